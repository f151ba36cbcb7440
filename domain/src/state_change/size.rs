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
    use events::outbound::ActionChange;

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
        let artifact = events::outbound::ChangedArtifact {
            name: "Code".into(),
            s3location: events::outbound::ChangedLocation { bucket: "b".into(), key: "k".repeat(100) },
        };
        change.input_artifacts = vec![artifact; 100];
        let fitted = fit(&ChangeDetail::Action(change), 2_000);
        assert!(fitted.len() <= 2_000 && !fitted.contains("input-artifacts"), "{fitted}");
    }
}
