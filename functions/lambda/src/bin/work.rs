//! See `lambda::work`.

use lambda::{entry::serve, settings::Function, work};
use std::process::ExitCode;

fn main() -> ExitCode {
    serve(Function::Work, async |home, call| work::handle(home, call).await)
}
