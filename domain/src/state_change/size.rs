//! How large a published `detail` may be, and what is cut from one that is larger.

use events::outbound::{ChangeDetail, ExecutionTrigger};

/// Bytes of a `detail` as JSON, most. EventBridge counts type and source of the event as well, and takes 256 KiB.
pub const DETAIL_BYTES_MAX: usize = 255 * 1024;

/// The detail as JSON of at most so many bytes. What people read and what is longest goes first: the provider's summary,
/// the commit message, the reason of a stop, and at last the list of artifacts. Names and ids are short by themselves.
pub(super) fn fit(detail: &ChangeDetail, max: usize) -> String {
    let mut text = json(detail);
    if text.len() <= max {
        return text;
    }
    let mut detail = detail.clone();
    for part in [long_texts, artifacts] {
        for _ in 0..HALVINGS_MAX {
            text = json(&detail);
            if text.len() <= max {
                return text;
            }
            if !part(&mut detail) {
                break;
            }
        }
    }
    json(&detail)
}

/// A text is halved at most as often as its length allows.
const HALVINGS_MAX: usize = 64;

/// Halves the texts that are only words. False when there is nothing to halve.
fn long_texts(detail: &mut ChangeDetail) -> bool {
    match detail {
        ChangeDetail::Pipeline(change) => {
            let message = match &mut change.execution_trigger {
                Some(ExecutionTrigger::Connection(connection)) => halve(connection.commit_message.as_mut()),
                Some(ExecutionTrigger::Plain(plain)) => halve(Some(&mut plain.trigger_detail)),
                None => false,
            };
            halve(change.stop_execution_comments.as_mut()) || message
        }
        ChangeDetail::Stage(_) => false,
        ChangeDetail::Action(change) => {
            let result = change.execution_result.as_mut();
            halve(result.and_then(|result| result.external_execution_summary.as_mut()))
        }
    }
}

fn artifacts(detail: &mut ChangeDetail) -> bool {
    match detail {
        ChangeDetail::Pipeline(_) | ChangeDetail::Stage(_) => false,
        ChangeDetail::Action(change) => {
            let had = !change.input_artifacts.is_empty() || !change.output_artifacts.is_empty();
            change.input_artifacts.clear();
            change.output_artifacts.clear();
            had
        }
    }
}

fn halve(text: Option<&mut String>) -> bool {
    let Some(text) = text.filter(|text| text.chars().count() > 1) else { return false };
    let half = text.chars().count() / 2;
    *text = text.chars().take(half).chain(['…']).collect();
    half > 1
}

fn json(detail: &ChangeDetail) -> String {
    serde_json::to_string(detail)
        .expect("details hold only text keys and plain values, which JSON can always write")
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{
        TriggerType,
        outbound::{
            ActionChange, ChangedArtifact, ChangedLocation, ConnectionTrigger, PipelineChange, PlainTrigger,
        },
    };

    fn failed(summary: &str) -> ChangeDetail {
        let sample = include_str!("../../../events/golden/outbound/action.json");
        let mut change: ActionChange = serde_json::from_str(sample).unwrap();
        change.execution_result.as_mut().unwrap().external_execution_summary = Some(summary.to_owned());
        ChangeDetail::Action(Box::new(change))
    }

    #[test]
    fn a_detail_that_fits_is_left_alone() {
        let detail = failed("short");
        assert_eq!(fit(&detail, DETAIL_BYTES_MAX), json(&detail));
    }

    #[test]
    fn the_summary_is_cut_first_and_at_a_character() {
        let fitted = fit(&failed(&"ü\n".repeat(200_000)), DETAIL_BYTES_MAX);
        assert!(fitted.len() <= DETAIL_BYTES_MAX && fitted.len() > DETAIL_BYTES_MAX / 4, "{}", fitted.len());
        let read: ActionChange = serde_json::from_str(&fitted).unwrap();
        let summary = read.execution_result.unwrap().external_execution_summary.unwrap();
        assert!(summary.starts_with("ü\nü") && summary.ends_with('…'));
    }

    #[test]
    fn artifacts_go_when_words_are_not_enough() {
        let ChangeDetail::Action(mut change) = failed("word") else { panic!("an action") };
        let artifact = ChangedArtifact {
            name: "Code".into(),
            s3location: ChangedLocation { bucket: "b".into(), key: "k".repeat(100) },
        };
        change.input_artifacts = vec![artifact; 100];
        let fitted = fit(&ChangeDetail::Action(change), 2_000);
        assert!(fitted.len() <= 2_000 && !fitted.contains("input-artifacts"), "{fitted}");
    }

    #[test]
    fn a_detail_of_exactly_the_size_is_left_alone_and_one_byte_more_is_too_much() {
        let detail = failed(&"x".repeat(100));
        let size = json(&detail).len();
        assert_eq!(fit(&detail, size), json(&detail));
        let half = json(&failed(&format!("{}…", "x".repeat(50))));
        assert_eq!(fit(&detail, size - 1), half);
        assert_eq!(fit(&detail, half.len()), half);
    }

    #[test]
    fn a_text_is_halved_down_to_one_character() {
        for (text, shown, goes_on) in [
            ("", "", false),
            ("ü", "ü", false),
            ("üb", "ü…", false),
            ("übe", "ü…", false),
            ("über", "üb…", true),
        ] {
            let mut halved = text.to_owned();
            assert_eq!((halve(Some(&mut halved)), halved.as_str()), (goes_on, shown), "{text:?}");
        }
        assert!(!halve(None));
    }

    fn stopped(trigger: Option<ExecutionTrigger>, comments: Option<&str>) -> PipelineChange {
        let sample = include_str!("../../../events/golden/outbound/pipeline.json");
        let change: PipelineChange = serde_json::from_str(sample).unwrap();
        let comments = comments.map(ToOwned::to_owned);
        PipelineChange { execution_trigger: trigger, stop_execution_comments: comments, ..change }
    }

    #[test]
    fn of_a_change_of_the_run_message_and_reason_are_halved_and_of_a_stage_nothing() {
        let connection = |message: &str| {
            let commit_message = Some(message.to_owned());
            let connection = ConnectionTrigger { commit_message, ..ConnectionTrigger::default() };
            Some(ExecutionTrigger::Connection(Box::new(connection)))
        };
        let plain = |detail: &str| {
            let (trigger_type, trigger_detail) = (TriggerType::Webhook, detail.to_owned());
            Some(ExecutionTrigger::Plain(PlainTrigger { trigger_type, trigger_detail }))
        };
        for (before, after, goes_on) in [
            (stopped(connection("abcd"), Some("efgh")), stopped(connection("ab…"), Some("ef…")), true),
            (stopped(connection("abcd"), None), stopped(connection("ab…"), None), true),
            (stopped(connection("a"), Some("efgh")), stopped(connection("a"), Some("ef…")), true),
            (stopped(plain("abcd"), Some("e")), stopped(plain("ab…"), Some("e")), true),
            (stopped(None, Some("efgh")), stopped(None, Some("ef…")), true),
            (stopped(None, None), stopped(None, None), false),
            (stopped(plain("a"), Some("e")), stopped(plain("a"), Some("e")), false),
        ] {
            let mut detail = ChangeDetail::Pipeline(before);
            assert_eq!((long_texts(&mut detail), detail), (goes_on, ChangeDetail::Pipeline(after)));
        }
        let sample = include_str!("../../../events/golden/outbound/stage.json");
        let mut stage = ChangeDetail::Stage(serde_json::from_str(sample).unwrap());
        assert!(!long_texts(&mut stage) && !artifacts(&mut stage));
    }

    #[test]
    fn artifacts_on_either_side_are_left_out() {
        let artifact = ChangedArtifact {
            name: "Code".into(),
            s3location: ChangedLocation { bucket: "b".into(), key: "k".into() },
        };
        for (inputs, outputs) in [(1, 1), (1, 0), (0, 1), (0, 0)] {
            let ChangeDetail::Action(mut change) = failed("word") else { panic!("an action") };
            change.input_artifacts = vec![artifact.clone(); inputs];
            change.output_artifacts = vec![artifact.clone(); outputs];
            let mut detail = ChangeDetail::Action(change);
            assert_eq!(artifacts(&mut detail), inputs + outputs > 0);
            let ChangeDetail::Action(change) = detail else { panic!("an action") };
            assert!(change.input_artifacts.is_empty() && change.output_artifacts.is_empty());
        }
    }
}
