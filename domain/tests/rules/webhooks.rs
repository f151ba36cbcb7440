//! What may happen to a webhook.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

use domain::{
    Rejection,
    command::Context,
    views::Row,
    webhook::{
        DELIVERIES_KEPT, Delivery, IDLE_DELIVERIES_WRITTEN_MAX, IDLE_WINDOW_MS, Webhook, WebhookDefinition,
        WebhookWish,
    },
};
use events::{
    ActionName, DeliveryEvaluated, DeliveryVerdict, ExecutionId, PipelineName, Timestamp, Version,
    WebhookAuthentication, WebhookEvent, WebhookFilter, WebhookName,
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

#[test]
fn a_registration_is_written_down_whenever_it_says_something_new() {
    let mut hook = Hook::default();
    hook.send(&put("Fetch", "t", &[])).unwrap();
    let registered = |id: &str| WebhookWish::RecordRegistration { outcome: Ok(id.into()) };
    let failed = |code: &str| WebhookWish::RecordRegistration { outcome: Err((code.into(), "no".into())) };
    for (wish, event) in [
        (failed("NoCredentials"), "WebhookRegistrationFailed"),
        (failed("NotFound"), "WebhookRegistrationFailed"),
        (registered("17"), "WebhookRegistered"),
        (registered("18"), "WebhookRegistered"),
        (failed("NotFound"), "WebhookRegistrationFailed"),
        (registered("18"), "WebhookRegistered"),
        (failed("NotFound"), "WebhookRegistrationFailed"),
        (WebhookWish::Deregister, "WebhookDeregistered"),
    ] {
        assert_eq!(hook.send(&wish), Ok(vec![event]), "{wish:?}");
    }
    assert_eq!((&hook.state.registration.hook, &hook.state.registration.error), (&None, &None));
}

#[test]
fn what_is_kept_of_a_webhook_is_what_was_put_and_what_was_delivered() {
    let mut hook = Hook { now: 7, ..Hook::default() };
    let definition = WebhookDefinition {
        target_pipeline: PipelineName::parse("shop").unwrap(),
        target_action: ActionName::parse("Fetch").unwrap(),
        filters: vec![WebhookFilter { json_path: "$.ref".into(), match_equals: Some("x".into()) }],
        authentication: WebhookAuthentication::Ip,
        allowed_ip_range: Some("10.0.0.0/8".into()),
        secret: Some("hook-secret".into()),
    };
    let put = |definition: &WebhookDefinition| WebhookWish::Put {
        definition: definition.clone(),
        tags: BTreeMap::new(),
        fresh_token: "t".into(),
    };
    hook.send(&put(&definition)).unwrap();
    assert_eq!(hook.state.definition.as_ref(), Some(&definition));
    let other = WebhookDefinition { allowed_ip_range: None, ..definition };
    assert_eq!(hook.send(&put(&other)), Ok(vec!["WebhookPut"]));
    let verdict = DeliveryVerdict::Refused { reason: "no".into() };
    let (delivery, event) = (Some("d-1".to_owned()), Some("push".to_owned()));
    let evaluated =
        DeliveryEvaluated { delivery: delivery.clone(), event: event.clone(), verdict: verdict.clone() };
    hook.send(&WebhookWish::RecordDelivery(evaluated)).unwrap();
    assert_eq!(hook.state.recent, [Delivery { at: Timestamp(7), delivery, event, verdict }]);
}

#[test]
fn of_deliveries_the_newest_twenty_are_kept() {
    let mut hook = Hook { now: 1, ..Hook::default() };
    hook.send(&put("Fetch", "t", &[])).unwrap();
    for number in 1..=22 {
        hook.now = number;
        hook.delivered(ignored());
    }
    let kept = Vec::from_iter(hook.state.recent.iter().map(|delivery| delivery.at.0));
    assert_eq!(kept, Vec::from_iter(3..=22));
}

#[test]
fn a_window_of_calls_for_nothing_ends_a_minute_after_it_began() {
    let window = i64::try_from(IDLE_WINDOW_MS).unwrap();
    let mut hook = Hook { now: window, ..Hook::default() };
    hook.send(&put("Fetch", "t", &[])).unwrap();
    let max = IDLE_DELIVERIES_WRITTEN_MAX as usize;
    let deliver = |hook: &mut Hook, now: i64, times: usize| {
        hook.now = now;
        (0..times).map(|_| hook.delivered(ignored())).sum::<usize>()
    };
    assert_eq!(deliver(&mut hook, window, max), max);
    assert_eq!(deliver(&mut hook, 2 * window - 1, 2), 0);
    assert_eq!(deliver(&mut hook, 2 * window, max + 2), max);
    assert_eq!((hook.state.idle_since, hook.state.idle_written), (Timestamp(2 * window), 60));
}

#[test]
fn each_wish_is_called_in_logs_by_a_name_of_its_own() {
    let evaluated = DeliveryEvaluated { delivery: None, event: None, verdict: ignored() };
    let wishes = [
        put("Fetch", "t", &[]),
        WebhookWish::Delete,
        WebhookWish::Tag { tags: BTreeMap::new() },
        WebhookWish::Untag { keys: Vec::new() },
        WebhookWish::RecordRegistration { outcome: Ok(String::new()) },
        WebhookWish::Deregister,
        WebhookWish::RecordDelivery(evaluated),
    ];
    assert_eq!(
        wishes.each_ref().map(WebhookWish::name),
        [
            "PutWebhook",
            "DeleteWebhook",
            "TagWebhook",
            "UntagWebhook",
            "RecordRegistration",
            "DeregisterWebhook",
            "RecordDelivery"
        ]
    );
}

#[test]
fn a_webhook_is_listed_by_its_name_as_long_as_there_is_one() {
    let mut hook = Hook::default();
    let name = WebhookName::parse("hook").unwrap();
    let row = |hook: &Hook| {
        let mut rows = domain::views::webhooks::rows(&name, &hook.state, Version(3));
        let Row { p, q, v, body } = rows.pop().unwrap();
        assert_eq!((p.as_str(), q.as_str(), v, rows.len()), ("webhooks", "hook", Version(3), 0));
        body
    };
    assert_eq!(row(&hook), None);
    hook.send(&put("Fetch", "t", &[])).unwrap();
    assert_eq!(row(&hook).as_deref(), Some("\"hook\""));
}
