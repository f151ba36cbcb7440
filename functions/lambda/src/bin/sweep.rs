//! See `lambda::sweep`.

use lambda::{entry::serve, settings::Function, sweep};
use std::process::ExitCode;

fn main() -> ExitCode {
    serve(Function::Sweep, async |home, call| sweep::handle(home, call).await)
}
