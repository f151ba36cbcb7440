//! What may happen to a webhook.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

use domain::{
    Rejection,
    command::Context,
    webhook::{
        DELIVERIES_KEPT, IDLE_DELIVERIES_WRITTEN_MAX, IDLE_WINDOW_MS, Webhook, WebhookDefinition, WebhookWish,
    },
};
use events::{
    ActionName, DeliveryEvaluated, DeliveryVerdict, ExecutionId, PipelineName, Timestamp,
    WebhookAuthentication, WebhookEvent, WebhookName,
};
use std::collections::BTreeMap;

#[derive(Default)]
struct Hook {
    state: Webhook,
    now: i64,
}

impl Hook {
    /// Sends a wish twice: the second time it must be met already. Returns the events' names.
    fn send(&mut self, wish: &WebhookWish) -> Result<Vec<&'static str>, Rejection> {
        let events = self.decide(wish)?;
        self.write(&events);
        if !matches!(wish, WebhookWish::RecordDelivery(_)) {
            assert_eq!(self.decide(wish), Ok(Vec::new()), "decided twice: {wish:?}");
        }
        Ok(events.iter().map(events::codec::Stored::kind).collect())
    }

    fn decide(&self, wish: &WebhookWish) -> Result<Vec<WebhookEvent>, Rejection> {
        let context = Context {
            now: Timestamp(self.now),
            actor: "ann",
            command_id: "command",
            region: "us-east-1",
            policy: &events::EXACT,
        };
        self.state.decide(&WebhookName::parse("hook").unwrap(), wish, context)
    }

    fn write(&mut self, events: &[WebhookEvent]) {
        events.iter().for_each(|event| self.state.evolve(event, Timestamp(self.now)));
    }

    fn delivered(&mut self, verdict: DeliveryVerdict) -> usize {
        let evaluated = DeliveryEvaluated { delivery: None, event: None, verdict };
        self.send(&WebhookWish::RecordDelivery(evaluated)).unwrap().len()
    }
}

fn put(action: &str, token: &str, tags: &[(&str, &str)]) -> WebhookWish {
    WebhookWish::Put {
        definition: WebhookDefinition {
            target_pipeline: PipelineName::parse("shop").unwrap(),
            target_action: ActionName::parse(action).unwrap(),
            filters: Vec::new(),
            authentication: WebhookAuthentication::Unauthenticated,
            allowed_ip_range: None,
            secret: None,
        },
        tags: tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        fresh_token: token.into(),
    }
}

fn started(id: &str) -> DeliveryVerdict {
    DeliveryVerdict::Started { execution: ExecutionId::parse(id).unwrap() }
}

fn ignored() -> DeliveryVerdict {
    DeliveryVerdict::Ignored { reason: "no match".into() }
}

#[test]
fn a_webhook_keeps_its_address_until_it_is_deleted() {
    let mut hook = Hook::default();
    assert_eq!(hook.send(&put("Fetch", "one", &[])), Ok(vec!["WebhookPut"]));
    assert_eq!(hook.send(&put("Other", "two", &[])), Ok(vec!["WebhookPut"]));
    assert_eq!(hook.state.token, "one");
    assert_eq!(hook.send(&WebhookWish::Delete), Ok(vec!["WebhookDeleted"]));
    assert_eq!(hook.state, Webhook::default());
    hook.send(&put("Fetch", "three", &[])).unwrap();
    assert_eq!(hook.state.token, "three");
}

#[test]
fn what_was_never_put_can_be_deleted_and_nothing_else() {
    let mut hook = Hook::default();
    assert_eq!(hook.send(&WebhookWish::Delete), Ok(vec![]));
    for wish in [
        WebhookWish::Tag { tags: BTreeMap::new() },
        WebhookWish::Untag { keys: Vec::new() },
        WebhookWish::RecordRegistration { outcome: Ok("1".into()) },
        WebhookWish::Deregister,
    ] {
        assert!(matches!(hook.send(&wish), Err(Rejection::WebhookNotFound { .. })), "{wish:?}");
    }
    assert_eq!(hook.delivered(ignored()), 0);
}

#[test]
fn tags_come_together_and_never_number_more_than_fifty() {
    let mut hook = Hook::default();
    hook.send(&put("Fetch", "t", &[("a", "1")])).unwrap();
    hook.send(&put("Fetch", "t", &[("b", "1")])).unwrap();
    let tags = |range: std::ops::Range<usize>| WebhookWish::Tag {
        tags: range.map(|number| (format!("k{number}"), String::new())).collect(),
    };
    hook.send(&tags(0..48)).unwrap();
    assert_eq!(hook.state.tags.len(), 50);
    let refused = hook.send(&tags(48..49)).unwrap_err();
    assert_eq!(refused.to_string(), "Tag limit exceeded for resource [webhook:hook].");
    // Another value of a key that is there is no further tag.
    let other = WebhookWish::Tag { tags: BTreeMap::from([("a".into(), "2".into())]) };
    assert_eq!(hook.send(&other), Ok(vec!["WebhookTagged"]));
    let keys = vec!["a".into(), "gone".into()];
    assert_eq!(hook.send(&WebhookWish::Untag { keys }), Ok(vec!["WebhookUntagged"]));
    assert_eq!((hook.state.tags.get("a"), hook.state.tags.len()), (None, 49));
}

#[test]
fn a_registration_that_works_ends_the_error_of_one_that_did_not() {
    let mut hook = Hook::default();
    hook.send(&put("Fetch", "t", &[])).unwrap();
    let failed = WebhookWish::RecordRegistration { outcome: Err(("NoCredentials".into(), "none".into())) };
    assert_eq!(hook.send(&failed), Ok(vec!["WebhookRegistrationFailed"]));
    let worked = WebhookWish::RecordRegistration { outcome: Ok("17".into()) };
    assert_eq!(hook.send(&worked), Ok(vec!["WebhookRegistered"]));
    assert_eq!(hook.state.registration.error, None);
    assert_eq!(hook.send(&WebhookWish::Deregister), Ok(vec!["WebhookDeregistered"]));
    assert_eq!(hook.state.registration.hook, None);
}

#[test]
fn only_a_start_triggers() {
    let mut hook = Hook { now: 5, ..Hook::default() };
    hook.send(&put("Fetch", "t", &[])).unwrap();
    assert_eq!(hook.delivered(ignored()), 1);
    assert_eq!(hook.state.last_triggered, None);
    hook.now = 9;
    assert_eq!(hook.delivered(started("e1")), 1);
    assert_eq!(hook.state.last_triggered, Some(Timestamp(9)));
    hook.now = 12;
    assert_eq!(hook.delivered(started("e1")), 0, "the same delivery once more");
    assert_eq!(hook.state.last_triggered, Some(Timestamp(9)));
}

#[test]
fn calls_for_nothing_fill_neither_the_log_nor_the_state() {
    let mut hook = Hook { now: 1_000_000, ..Hook::default() };
    hook.send(&put("Fetch", "t", &[])).unwrap();
    let written: usize = (0..500).map(|_| hook.delivered(ignored())).sum();
    assert_eq!(written, IDLE_DELIVERIES_WRITTEN_MAX as usize);
    assert_eq!(hook.state.recent.len(), DELIVERIES_KEPT);
    assert_eq!(hook.delivered(started("e1")), 1, "a start is always written");
    hook.now += i64::try_from(IDLE_WINDOW_MS).unwrap();
    assert_eq!(hook.delivered(ignored()), 1);
}
