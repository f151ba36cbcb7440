//! What a function says of itself: log lines, one JSON object each, and metrics in the same stream.
//!
//! One process deals with one invocation at a time, also in the tasks it sets going; so what a line says of the
//! invocation is kept in one place for all of them, and no task can lose it.

mod lines;
mod metrics;

pub use lines::Lines;
pub use metrics::Metrics;

use std::sync::{Mutex, PoisonError};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// What every line says besides its own: by what an invocation is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The platform's id of it.
    pub request_id: String,
    /// The X-Ray trace it belongs to.
    pub trace_id: Option<String>,
    /// The event it is about.
    pub event_id: Option<String>,
    /// The execution it is about, where it is about one.
    pub execution: Option<String>,
}

static CURRENT: Mutex<Option<Invocation>> = Mutex::new(None);

/// Says which invocation lines belong to from now on.
pub fn begin(invocation: Invocation) {
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(invocation);
}

/// Says more about the invocation under way.
pub fn note(more: impl FnOnce(&mut Invocation)) {
    if let Some(current) = CURRENT.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        more(current);
    }
}

/// The invocation under way.
pub fn current() -> Option<Invocation> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Begins to write lines to the standard output. `filter` is that of `tracing`; one that cannot be read counts as
/// `info`, and is said.
pub fn init(filter: Option<&str>) {
    let default = || Targets::new().with_default(tracing::Level::INFO);
    let wanted = filter.map(|filter| filter.to_lowercase().parse::<Targets>());
    let (targets, is_bad) = match wanted {
        Some(Ok(targets)) => (targets, false),
        Some(Err(_)) => (default(), true),
        None => (default(), false),
    };
    // What the runtime says of failures and panics, these lines say better.
    let targets = targets.with_target("lambda_runtime", LevelFilter::OFF);
    std::panic::set_hook(Box::new(
        |panic| tracing::error!(%panic, "a defect of ours: the invocation breaks off"),
    ));
    // Set before by a test, perhaps; then that stays.
    let _ = tracing_subscriber::registry().with(targets).with(Lines::to_stdout()).try_init();
    if is_bad {
        tracing::warn!(filter, "the filter for log lines cannot be read: `info` counts");
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    use engine::ports::Clock as _;
    aws::world::SystemClock.now().0
}

/// A moment as RFC 3339, with milliseconds.
pub(crate) fn rfc3339(ms: i64) -> String {
    let whole = api::sigv4::Moment::from_millisecond(ms).unwrap_or_default();
    format!("{whole:.3}")
}
