//! See `lambda::notify`.

use lambda::{entry::serve, notify, settings::Function};
use std::process::ExitCode;

fn main() -> ExitCode {
    serve(Function::Notify, async |home, call| notify::handle(home, call).await)
}
