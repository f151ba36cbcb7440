//! The service's values as people read them.

use api::{
    Timestamp,
    model::{ExecutionTrigger, SourceRevision},
};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Letters of an execution's id or a commit that are shown.
const SHORT_CHARS: usize = 8;
/// Letters of somebody's words that are shown.
const WORDS_CHARS_MAX: usize = 60;

/// A status in its colour. The colours go where the output is no terminal.
pub fn status(text: &str) -> String {
    let colour = match text {
        "Succeeded" => "32",
        "Failed" | "Cancelled" => "31",
        "InProgress" | "Stopping" => "33",
        _ => return text.to_owned(),
    };
    format!("\u{1b}[{colour}m{text}\u{1b}[0m")
}

/// How long ago.
pub fn ago(at: Option<Timestamp>, now: jiff::Timestamp) -> String {
    match at {
        Some(at) => format!("{} ago", span(now.as_millisecond() - at.as_millis())),
        None => "-".to_owned(),
    }
}

/// How long.
pub fn span(millis: i64) -> String {
    match millis {
        i64::MIN..MINUTE => format!("{} s", millis.max(0) / SECOND),
        MINUTE..HOUR => format!("{} min", millis / MINUTE),
        HOUR..DAY => format!("{} h {:02} min", millis / HOUR, millis % HOUR / MINUTE),
        DAY.. => format!("{} d {} h", millis / DAY, millis % DAY / HOUR),
    }
}

/// The beginning of an id or of a commit; other revisions (a version of an object, a digest) likewise.
pub fn short(id: &str) -> &str {
    let end = id.char_indices().nth(SHORT_CHARS).map_or(id.len(), |(at, _)| at);
    &id[..end]
}

/// The first line of a text, cut.
pub fn line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(WORDS_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

/// What started an execution.
pub fn trigger(trigger: Option<&ExecutionTrigger>) -> String {
    let Some(trigger) = trigger else { return "-".to_owned() };
    let kind = trigger.trigger_type.as_ref().map_or("-", |kind| kind.as_str());
    match trigger.trigger_detail.as_deref() {
        // An ARN's end says who or what it is.
        Some(detail) => format!("{kind} {}", line(detail.rsplit('/').next().unwrap_or(detail))),
        None => kind.to_owned(),
    }
}

/// Revisions in short.
pub fn revisions(revisions: &[SourceRevision]) -> String {
    let one = |revision: &SourceRevision| {
        let id = short(revision.revision_id.as_deref().unwrap_or("-")).to_owned();
        match revision.revision_summary.as_deref().map(summary_of) {
            Some(words) if !words.is_empty() => format!("{id} {}", line(&words)),
            _ => id,
        }
    };
    match revisions {
        [] => "-".to_owned(),
        all => all.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

/// The commit's message: some sources wrap it in JSON.
pub fn summary_of(text: &str) -> String {
    let wrapped: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let message = wrapped.as_ref().and_then(|value| value["CommitMessage"].as_str());
    message.unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_one_unit_or_two() {
        for (millis, words) in [
            (-5, "0 s"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (3 * HOUR + 4 * MINUTE, "3 h 04 min"),
            (2 * DAY + 5 * HOUR, "2 d 5 h"),
        ] {
            assert_eq!(span(millis), words);
        }
    }

    #[test]
    fn long_and_wrapped_texts_are_cut_to_what_matters() {
        assert_eq!(short("äöüäöüäöü"), "äöüäöüäö");
        assert_eq!(line(&"x".repeat(61)), format!("{}…", "x".repeat(60)));
        assert_eq!(summary_of(r#"{"ProviderType":"GitHub","CommitMessage":"Fix"}"#), "Fix");
        let trigger_of = |detail: &str| ExecutionTrigger {
            trigger_type: Some("StartPipelineExecution".into()),
            trigger_detail: Some(detail.into()),
        };
        assert_eq!(trigger(Some(&trigger_of("arn:aws:iam::1:user/ada"))), "StartPipelineExecution ada");
    }
}
