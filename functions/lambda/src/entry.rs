//! How a function starts, and what each of its invocations has in common.

use crate::{
    home::Home,
    settings::{Function, Settings},
    telemetry::{self, Invocation, now_ms},
};
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use serde::Serialize;
use serde_json::Value;
use std::{process::ExitCode, time::Duration};

/// How long a function that starts waits for its connections: nobody is answered any sooner without them.
const CONNECT_MAX: Duration = Duration::from_millis(1500);
/// What is kept of an invocation's time for writing down what became of it.
const MARGIN_MS: i64 = 1_000;

/// How long an invocation may take on Lambda at most.
const LONGEST_MS: i64 = 15 * 60 * 1000;

/// An invocation: what came, and until when it must be answered.
#[derive(Debug)]
pub struct Call {
    /// What came.
    pub payload: Value,
    /// The platform's id of it.
    pub request_id: String,
    /// When to stop: the platform's own end, less what answering takes. Milliseconds since 1970.
    pub until_ms: i64,
}

/// Why an invocation failed, as the platform reports it: to whoever called, or with what is put aside.
#[derive(Debug)]
pub struct Failed {
    kind: &'static str,
    message: String,
}

impl Failed {
    /// Something in the world did not answer: the same again may go well.
    pub fn later(message: impl std::fmt::Display) -> Self {
        Self { kind: "Towpath.TryAgain", message: message.to_string() }
    }

    /// What came cannot be dealt with, however often it comes.
    pub fn refused(message: impl std::fmt::Display) -> Self {
        Self { kind: "Towpath.Refused", message: message.to_string() }
    }
}

impl From<Failed> for Diagnostic {
    fn from(failed: Failed) -> Self {
        Self { error_type: failed.kind.to_owned(), error_message: failed.message }
    }
}

/// Starts a function, and serves its invocations until the platform ends it.
pub fn serve<T: Serialize>(
    function: Function,
    handle: impl AsyncFn(&Home, Call) -> Result<T, Failed>,
) -> ExitCode {
    let named = |name: &str| std::env::var(name).ok();
    telemetry::init(named("TOWPATH_LOG").or_else(|| named("AWS_LAMBDA_LOG_LEVEL")).as_deref());
    let settings = match Settings::read(function, named) {
        Ok(settings) => settings,
        Err(error) => {
            tracing::error!(%error, "not started");
            return ExitCode::FAILURE;
        }
    };
    if let Some(missing) = ["AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_FUNCTION_NAME"]
        .into_iter()
        .find(|name| named(name).is_none_or(|value| value.is_empty()))
    {
        tracing::error!(
            missing,
            "not started: this program runs as a Lambda function, or under `cargo lambda watch`"
        );
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "not started");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(invocations(settings, handle)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "ended");
            ExitCode::FAILURE
        }
    }
}

async fn invocations<T: Serialize>(
    settings: Settings,
    handle: impl AsyncFn(&Home, Call) -> Result<T, Failed>,
) -> Result<(), lambda_runtime::Error> {
    let home = Home::new(settings);
    if tokio::time::timeout(CONNECT_MAX, home.connect()).await.is_err() {
        tracing::warn!("started without its connections: they did not open in time");
    }
    let (home, handle) = (&home, &handle);
    let one = async |event: LambdaEvent<Value>| -> Result<Value, Diagnostic> {
        let (payload, context) = event.into_parts();
        telemetry::begin(Invocation {
            request_id: context.request_id.clone(),
            trace_id: context.xray_trace_id.as_deref().and_then(root).map(str::to_owned),
            event_id: None,
            execution: None,
        });
        let until_ms = end_ms(context.deadline, now_ms()).saturating_sub(MARGIN_MS);
        let answer = handle(home, Call { payload, request_id: context.request_id, until_ms }).await;
        // The platform may freeze this process once it is answered.
        home.settle(until_ms).await;
        let answer = answer.inspect_err(|failed| {
            tracing::error!(kind = failed.kind, error = failed.message, "failed");
        })?;
        serde_json::to_value(answer).map_err(|error| Failed::later(error).into())
    };
    Runtime::new(service_fn(one)).run().await
}

/// When the platform ends an invocation. Lambda says it in milliseconds since 1970; `cargo lambda watch` says how many there
/// are, which would have been over long ago.
fn end_ms(stated: u64, now_ms: i64) -> i64 {
    match i64::try_from(stated).unwrap_or(i64::MAX) {
        stated if stated <= LONGEST_MS => now_ms.saturating_add(stated),
        stated => stated,
    }
}

/// The id of the trace, out of what the platform says: `Root=1-…;Parent=…;Sampled=1`.
fn root(trace: &str) -> Option<&str> {
    trace.split(';').find_map(|part| part.trim().strip_prefix("Root="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_may_be_stated_as_the_time_that_is_left() {
        let now = 1_796_000_000_000;
        assert_eq!(end_ms(1_796_000_030_000, now), 1_796_000_030_000);
        assert_eq!(end_ms(600_000, now), 1_796_000_600_000);
        // One that has passed stays so.
        assert_eq!(end_ms(1_795_999_999_999, now), 1_795_999_999_999);
        assert_eq!(end_ms(u64::MAX, now), i64::MAX);
    }

    #[test]
    fn a_trace_is_known_by_its_root() {
        assert_eq!(root("Root=1-6a7e8feb-0;Parent=1;Sampled=1"), Some("1-6a7e8feb-0"));
        assert_eq!(root("Parent=1;Root=1-2"), Some("1-2"));
        assert_eq!(root(""), None);
    }
}
