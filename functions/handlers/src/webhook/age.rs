//! How old a signed delivery is, and whether it was seen before. Its headers are not signed, so a copy that somebody kept
//! can be sent again under any id and any date; what the signature covers is the body alone.

use super::{Delivery, signature};
use events::Timestamp;
use serde_json::Value;

/// Why a delivery is too old to be believed; `None` when it is not, or does not say when it was made.
pub(crate) fn refusal(delivery: &Delivery, body: &Value, now: Timestamp) -> Option<String> {
    let holds_ms = delivery.holds_ms?;
    let made = made(body)?;
    let age = now.since(made);
    (age > holds_ms).then(|| {
        format!(
            "the delivery says of itself that it is {} seconds old, and one that is older than {} is not believed: \
             push again, or start the pipeline by hand",
            age / 1000,
            holds_ms / 1000
        )
    })
}

/// By what a delivery that holds for a while is known when it comes again; `None` where the sender is trusted to say.
pub(crate) fn identity(delivery: &Delivery) -> Option<String> {
    delivery.holds_ms.map(|_| signature::digest(&delivery.body))
}

/// When the sender made it, as its body says: GitHub's pushes and pull requests, Bitbucket's pull requests. A commit's
/// own time is none: it may be pushed years later.
fn made(body: &Value) -> Option<Timestamp> {
    let is_push = body["ref"].is_string();
    let pushed = body["repository"]["pushed_at"].as_i64().filter(|_| is_push);
    if let Some(seconds) = pushed {
        return Some(Timestamp(seconds.checked_mul(1000)?));
    }
    let texts = [&body["pull_request"]["updated_at"], &body["pullrequest"]["updated_on"]];
    let text = texts.into_iter().find_map(Value::as_str)?;
    let moment: api::sigv4::Moment = text.parse().ok()?;
    Some(Timestamp(moment.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn held(holds_ms: Option<u64>) -> Delivery {
        Delivery { holds_ms, body: "{}".into(), ..Delivery::default() }
    }

    #[test]
    fn a_delivery_is_believed_for_five_minutes() {
        let limit = Some(super::super::DELIVERY_HOLDS_MS);
        let push = |seconds: i64| json!({ "ref": "refs/heads/main", "repository": { "pushed_at": seconds } });
        assert_eq!(refusal(&held(limit), &push(1_700_000_000 - 300), NOW), None);
        let reason = refusal(&held(limit), &push(1_700_000_000 - 301), NOW).unwrap();
        assert!(reason.contains("301 seconds"), "{reason}");
        assert_eq!(refusal(&held(None), &push(0), NOW), None, "where senders are trusted");
        let request = json!({ "pull_request": { "updated_at": "2023-11-14T22:00:00Z" } });
        assert!(refusal(&held(limit), &request, NOW).is_some());
        let request = json!({ "pullrequest": { "updated_on": "2023-11-14T22:13:00.123456+00:00" } });
        assert_eq!(refusal(&held(limit), &request, NOW), None);
    }

    #[test]
    fn a_delivery_that_does_not_say_when_it_was_made_is_known_by_its_body_alone() {
        let limit = Some(1);
        for body in [
            json!(null),
            json!({ "repository": { "pushed_at": 1 } }),
            json!({ "ref": "x", "repository": { "pushed_at": "yesterday" } }),
            json!({ "ref": "x", "repository": { "pushed_at": i64::MAX } }),
            json!({ "pull_request": { "updated_at": "soon" } }),
        ] {
            assert_eq!(refusal(&held(limit), &body, NOW), None, "{body}");
        }
        assert!(identity(&held(limit)).is_some());
        assert_eq!(identity(&held(None)), None);
    }
}
