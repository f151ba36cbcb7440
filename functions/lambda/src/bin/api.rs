//! See `lambda::api`.

use lambda::{api, entry::serve, settings::Function};
use std::process::ExitCode;

fn main() -> ExitCode {
    serve(Function::Api, async |home, call| api::handle(home, call).await)
}
