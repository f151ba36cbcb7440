//! See `lambda::webhook`.

use lambda::{entry::serve, settings::Function, webhook};
use std::process::ExitCode;

fn main() -> ExitCode {
    serve(Function::Webhook, async |home, call| webhook::handle(home, call).await)
}
