//! See `lambda::trigger`.

use lambda::{entry::serve, settings::Function, trigger};
use std::process::ExitCode;

fn main() -> ExitCode {
    serve(Function::Trigger, async |home, call| trigger::handle(home, call).await)
}
