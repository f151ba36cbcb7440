//! Log lines: one JSON object each, in the shape that the platform reads levels and times from.

use super::{Invocation, current, now_ms, rfc3339};
use serde_json::{Map, Value};
use std::{
    fmt::Debug,
    io::Write,
    sync::{Mutex, PoisonError},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// Characters of one value, most: the platform cuts lines at 256 KiB, and a cut line is no JSON.
const VALUE_CHARS_MAX: usize = 16 * 1024;

/// Writes lines.
pub struct Lines {
    out: Mutex<Box<dyn Write + Send>>,
    now: fn() -> i64,
    current: fn() -> Option<Invocation>,
}

impl Lines {
    /// To the standard output, where the platform collects them.
    pub fn to_stdout() -> Self {
        Self { out: Mutex::new(Box::new(std::io::stdout())), now: now_ms, current }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        let metadata = event.metadata();
        let line =
            line(fields.0, metadata.level().as_str(), metadata.target(), (self.now)(), (self.current)());
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody is left to be told that the output is closed.
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }
}

fn line(
    mut fields: Map<String, Value>,
    level: &str,
    target: &str,
    now: i64,
    invocation: Option<Invocation>,
) -> String {
    let invocation = invocation.unwrap_or_default();
    let mut add = |key: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            fields.insert(key.to_owned(), Value::String(value));
        }
    };
    add("timestamp", Some(rfc3339(now)));
    add("level", Some(level.to_owned()));
    add("target", Some(target.to_owned()));
    add("requestId", Some(invocation.request_id));
    add("traceId", invocation.trace_id);
    add("eventId", invocation.event_id);
    // A line about another execution keeps its own word.
    if !fields.contains_key("execution")
        && let Some(execution) = invocation.execution
    {
        fields.insert("execution".to_owned(), Value::String(execution));
    }
    let mut text = Value::Object(fields).to_string();
    text.push('\n');
    text
}

struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn text(&mut self, field: &Field, text: &str) {
        match text.char_indices().nth(VALUE_CHARS_MAX) {
            Some((end, _)) => self.add(field, format!("{}…", &text[..end])),
            None => self.add(field, text),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, &value.to_string());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(say: impl FnOnce()) -> String {
        let kept = Kept::default();
        let lines = Lines {
            out: Mutex::new(Box::new(kept.clone())),
            now: || 1_700_000_000_007,
            current: || {
                Some(Invocation {
                    request_id: "r-1".into(),
                    trace_id: Some("1-6a7e8feb-00".into()),
                    event_id: Some("e-1".into()),
                    execution: Some("x-1".into()),
                })
            },
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), say);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_says_when_what_and_in_which_invocation() {
        let pipeline = "shop";
        let lines = written(|| {
            tracing::info!(target: "t", %pipeline, version = 7_u64, is_new = true, "appended");
            tracing::warn!(target: "t", execution = "x-2", "another's");
        });
        let expected = concat!(
            r#"{"eventId":"e-1","execution":"x-1","is_new":true,"level":"INFO","message":"appended","pipeline":"shop","#,
            r#""requestId":"r-1","target":"t","timestamp":"2023-11-14T22:13:20.007Z","traceId":"1-6a7e8feb-00","#,
            r#""version":7}"#,
            "\n",
            r#"{"eventId":"e-1","execution":"x-2","level":"WARN","message":"another's","requestId":"r-1","#,
            r#""target":"t","timestamp":"2023-11-14T22:13:20.007Z","traceId":"1-6a7e8feb-00"}"#,
            "\n",
        );
        assert_eq!(lines, expected);
    }

    #[test]
    fn whatever_is_said_stays_one_line_of_json() {
        let lines = written(|| tracing::error!(target: "t", text = "a\nb\u{1}\"", long = "x".repeat(20_000)));
        assert_eq!(lines.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&lines).unwrap();
        assert_eq!(value["text"], "a\nb\u{1}\"");
        assert_eq!(value["long"].as_str().unwrap().chars().count(), VALUE_CHARS_MAX + 1);
    }
}
