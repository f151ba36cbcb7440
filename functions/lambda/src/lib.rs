//! What the Lambda functions share: settings from the environment, the adapters put together, log lines; and what each
//! of them does with an invocation. The functions themselves are in `src/bin`, a few lines of wiring each.

pub mod adapters;
pub mod api;
pub mod entry;
pub mod home;
pub mod notify;
pub mod project;
pub mod relay;
pub mod settings;
pub mod stream;
pub mod sweep;
pub mod telemetry;
pub mod trigger;
pub mod url;
pub mod webhook;
pub mod work;
