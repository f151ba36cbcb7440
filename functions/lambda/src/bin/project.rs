//! See `lambda::project`.

use lambda::{entry::serve, project, settings::Function};
use std::process::ExitCode;

fn main() -> ExitCode {
    serve(Function::Project, async |home, call| project::handle(home, call).await)
}
