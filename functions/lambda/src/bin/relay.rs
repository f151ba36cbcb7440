//! See `lambda::relay`.

use lambda::{entry::serve, relay, settings::Function};
use std::process::ExitCode;

fn main() -> ExitCode {
    serve(Function::Relay, async |home, call| relay::handle(home, call).await)
}
