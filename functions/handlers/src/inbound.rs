//! What comes to the function that hears of the world: a whole event of the bus, or an order to start a pipeline, which
//! a schedule or a rule with a transformer sends. It is read here, and dealt with by those it is for.

use crate::{
    Home,
    completion::{self, Ended, Externals, HintError, Hinted},
    triggers::{self, Arrived, Dealt, Unavailable, What},
};
use domain::trigger::{Here, Rule, RuleInput, event, fitting};
use engine::action::Work;
use events::{PipelineName, TriggerSource};
use serde::Deserialize;
use serde_json::Value;

/// The envelope's version; there has been no other.
const VERSION: &str = "0";
/// Characters of an event's id, most.
const ID_CHARS_MAX: usize = 200;
/// Characters of what was found that a message repeats, most.
const FOUND_CHARS_MAX: usize = 100;
/// Characters of a rule's name that are kept, most.
const RULE_CHARS_MAX: usize = 64;

/// Something that is no event this program understands. The same again would be refused again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEvent {
    /// The envelope lacks something, or has something else in its place.
    #[error("this is no event: {0}")]
    Shape(String),
    /// The envelope is of a version that did not exist.
    #[error("events of version {found} are not understood, only of version \"{VERSION}\"")]
    Version {
        /// What was found.
        found: String,
    },
    /// Nobody here listens to this source, or to this kind of its events.
    #[error("nobody here listens to \"{detail_type}\" of `{source_name}`: no rule should send it here")]
    Source {
        /// `source`.
        source_name: String,
        /// `detail-type`.
        detail_type: String,
    },
    /// What it says happened cannot be read.
    #[error("an event \"{detail_type}\" of `{source_name}` lacks {missing}")]
    Detail {
        /// `source`.
        source_name: String,
        /// `detail-type`.
        detail_type: String,
        /// Which member.
        missing: String,
    },
}

/// What came.
#[derive(Debug, Clone, PartialEq)]
pub enum Inbound {
    /// A source may have changed.
    Source {
        /// The event's id.
        id: String,
        /// The whole event.
        event: Value,
    },
    /// Some work may have ended.
    Ended(Ended),
    /// A pipeline shall be started.
    Start(Box<StartOrder>),
    /// It is understood, and asks for nothing.
    Nothing(&'static str),
}

/// An order to start a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct StartOrder {
    /// What tells it from others of the same rule; the same when it comes again.
    pub id: String,
    /// The rule or schedule, with its pipeline and what that is started with.
    pub rule: Rule,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOrder {
    #[allow(dead_code, reason = "looked at before")]
    towpath: String,
    pipeline: String,
    rule: String,
    id: String,
    #[serde(default)]
    input: Option<Value>,
}

/// Reads what came.
pub fn read(payload: Value) -> Result<Inbound, BadEvent> {
    let Some(fields) = payload.as_object() else {
        return Err(BadEvent::Shape(format!("it is not a JSON object: {}", found(&payload))));
    };
    match fields.get("towpath") {
        Some(Value::String(order)) if order == "start" => return start_order(payload),
        Some(other) => {
            let text = format!("the only order under `towpath` is \"start\": {}", found(other));
            return Err(BadEvent::Shape(text));
        }
        None => {}
    }
    let text = |key: &str| match fields.get(key) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(other) => Err(BadEvent::Shape(format!("`{key}` is not a text: {}", found(other)))),
        None => Err(BadEvent::Shape(format!("it has no `{key}`"))),
    };
    let (source_name, detail_type, id) = (text("source")?, text("detail-type")?, text("id")?);
    match fields.get("version") {
        Some(Value::String(version)) if version == VERSION => {}
        Some(other) => return Err(BadEvent::Version { found: found(other) }),
        None => return Err(BadEvent::Shape("it has no `version`".to_owned())),
    }
    if id.chars().count() > ID_CHARS_MAX {
        return Err(BadEvent::Shape(format!("`id` is longer than {ID_CHARS_MAX} characters")));
    }
    let Some(detail) = fields.get("detail").filter(|detail| detail.is_object()) else {
        return Err(BadEvent::Shape("`detail` is not a JSON object".to_owned()));
    };
    match completion::read(&source_name, &detail_type, detail) {
        completion::Told::Ended(ended) => return Ok(Inbound::Ended(ended)),
        completion::Told::Passing(why) => return Ok(Inbound::Nothing(why)),
        completion::Told::Missing(missing) => {
            return Err(BadEvent::Detail { source_name, detail_type, missing: missing.to_owned() });
        }
        completion::Told::Unknown => {}
    }
    match (source_name.as_str(), detail_type.as_str()) {
        ("aws.codecommit", "CodeCommit Repository State Change")
        | ("aws.s3", "Object Created" | "AWS API Call via CloudTrail")
        | ("aws.ecr", "ECR Image Action") => source_change(source_name, detail_type, id, payload),
        ("aws.events" | "aws.scheduler", _) => Err(BadEvent::Shape(
            "a schedule has to say which pipeline it starts: give its target the input \
             `{\"towpath\":\"start\",\"pipeline\":…,\"rule\":…,\"id\":…}`"
                .to_owned(),
        )),
        _ => Err(BadEvent::Source { source_name, detail_type }),
    }
}

fn source_change(
    source_name: String,
    detail_type: String,
    id: String,
    event: Value,
) -> Result<Inbound, BadEvent> {
    if domain::trigger::aws::SourceChange::of(&event).is_some() {
        return Ok(Inbound::Source { id, event });
    }
    if detail_type == "AWS API Call via CloudTrail" && event["detail"]["eventName"].is_string() {
        return Ok(Inbound::Nothing("the call did not write an object, or not in one step"));
    }
    let missing = "the names of what changed".to_owned();
    Err(BadEvent::Detail { source_name, detail_type, missing })
}

fn start_order(payload: Value) -> Result<Inbound, BadEvent> {
    let bad = |text: String| BadEvent::Shape(format!("an order to start a pipeline: {text}"));
    let order: WrittenOrder = serde_json::from_value(payload).map_err(|error| bad(error.to_string()))?;
    let pipeline = PipelineName::parse(order.pipeline).map_err(|error| bad(error.to_string()))?;
    if order.id.is_empty() || order.id.chars().count() > ID_CHARS_MAX {
        return Err(bad(format!("`id` must have 1 to {ID_CHARS_MAX} characters")));
    }
    // Of an ARN, its last part: the bus or the group before it says nothing to anybody here.
    let name = order.rule.rsplit(['/', ':']).next().unwrap_or_default();
    if name.is_empty() {
        return Err(bad(format!("`rule` names no rule or schedule: {:?}", clipped(&order.rule))));
    }
    let input = match order.input {
        None | Some(Value::Null) => RuleInput::Head,
        Some(input @ Value::Object(_)) => RuleInput::Constant(input.to_string()),
        Some(other) => return Err(bad(format!("`input` is not a JSON object: {}", found(&other)))),
    };
    let rule = Rule { name: fitting(name, RULE_CHARS_MAX), pipeline, pattern: None, input };
    Ok(Inbound::Start(Box::new(StartOrder { id: order.id, rule })))
}

fn found(value: &Value) -> String {
    clipped(&value.to_string())
}

fn clipped(text: &str) -> String {
    fitting(text, FOUND_CHARS_MAX)
}

/// What became of an event.
#[derive(Debug)]
pub enum Outcome {
    /// It was held against the pipelines it may concern.
    Evaluated(Vec<Dealt>),
    /// It led to an attempt, which was taken up.
    Taken(Work),
    /// It asks for nothing here.
    Nothing,
}

/// An event that was not dealt with.
#[derive(Debug, thiserror::Error)]
pub enum InboundError {
    /// It cannot be dealt with, however often it comes.
    #[error(transparent)]
    Bad(#[from] BadEvent),
    /// It has to come again.
    #[error("an event could not be dealt with and has to come again: {0}")]
    Unavailable(#[from] Unavailable),
    /// It has to come again.
    #[error("an event could not be dealt with and has to come again: {0}")]
    Hint(#[from] HintError),
}

/// Deals with what came.
pub async fn deal<H: Home>(
    home: &H,
    externals: &impl Externals,
    payload: Value,
) -> Result<Outcome, InboundError> {
    match read(payload)? {
        Inbound::Nothing(why) => {
            tracing::debug!(why, "an event asks for nothing");
            Ok(Outcome::Nothing)
        }
        Inbound::Ended(ended) => Ok(match completion::complete(home, externals, &ended).await? {
            Hinted::Taken(work) => Outcome::Taken(work),
            Hinted::Over(_) | Hinted::Unknown => Outcome::Nothing,
        }),
        Inbound::Source { id, event } => {
            let what = What::Bus { event, rules: &[] };
            evaluated(home, &Arrived { source: TriggerSource::Bus, delivery: id, what }).await
        }
        Inbound::Start(order) => {
            let StartOrder { id, rule } = *order;
            let here = Here { region: home.engine().region(), account: home.engine().account() };
            let event = event::tick(&rule.arn(here), &id, home.engine().clock().now(), here);
            let delivery = format!("{}#{id}", rule.name);
            let what = What::Tick { event, rule: &rule };
            evaluated(home, &Arrived { source: TriggerSource::Schedule, delivery, what }).await
        }
    }
}

async fn evaluated<H: Home>(home: &H, arrived: &Arrived<'_>) -> Result<Outcome, InboundError> {
    let dealt = triggers::deal(home, arrived).await?;
    for one in &dealt {
        tracing::info!(pipeline = %one.pipeline, verdict = ?one.verdict, "evaluated");
    }
    Ok(Outcome::Evaluated(dealt))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(source: &str, kind: &str, detail: Value) -> Value {
        json!({
            "version": "0", "id": "6a7e8feb", "detail-type": kind, "source": source, "account": "111122223333",
            "time": "2026-11-29T09:00:00Z", "region": "us-east-1", "resources": [], "detail": detail,
        })
    }

    #[test]
    fn events_of_sources_and_of_providers_are_told_apart() {
        let push = json!({ "repositoryName": "shop", "referenceType": "branch", "referenceName": "main",
            "event": "referenceUpdated", "commitId": "c1" });
        let push = event("aws.codecommit", "CodeCommit Repository State Change", push);
        assert_eq!(read(push.clone()), Ok(Inbound::Source { id: "6a7e8feb".into(), event: push }));
        let build = json!({ "build-id": "arn:x/shop:1", "build-status": "FAILED" });
        assert!(matches!(
            read(event("aws.codebuild", "CodeBuild Build State Change", build)),
            Ok(Inbound::Ended(_))
        ));
        let call = json!({ "eventName": "DeleteObject" });
        assert!(matches!(
            read(event("aws.s3", "AWS API Call via CloudTrail", call)),
            Ok(Inbound::Nothing(_))
        ));
    }

    #[test]
    fn an_order_starts_one_pipeline_and_is_known_by_its_id() {
        let order = json!({ "towpath": "start", "pipeline": "shop", "id": "t1",
            "rule": "arn:aws:scheduler:us-east-1:111122223333:schedule/default/nightly",
            "input": { "variables": [{ "name": "A", "value": "1" }] } });
        let Ok(Inbound::Start(order)) = read(order) else { panic!("an order") };
        assert_eq!((order.rule.name.as_str(), order.rule.pipeline.as_str()), ("nightly", "shop"));
        assert!(matches!(order.rule.input, RuleInput::Constant(_)));
        for (wrong, about) in [
            (json!({ "towpath": "stop" }), "only order"),
            (json!({ "towpath": "start", "pipeline": "a b", "rule": "r", "id": "1" }), "a b"),
            (json!({ "towpath": "start", "pipeline": "p", "rule": "r" }), "id"),
            (json!({ "towpath": "start", "pipeline": "p", "rule": "r", "id": "" }), "`id`"),
            (json!({ "towpath": "start", "pipeline": "p", "rule": "x/", "id": "1" }), "`rule`"),
            (json!({ "towpath": "start", "pipeline": "p", "rule": "r", "id": "1", "input": [] }), "`input`"),
            (json!({ "towpath": "start", "pipeline": "p", "rule": "r", "id": "1", "more": 1 }), "more"),
        ] {
            let error = read(wrong.clone()).unwrap_err().to_string();
            assert!(error.contains(about), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_reason() {
        let mut newer = event("aws.s3", "Object Created", json!({}));
        newer["version"] = json!("1");
        let mut bare = event("aws.s3", "Object Created", json!({}));
        bare["detail"] = json!("text");
        let mut long = event("aws.s3", "Object Created", json!({}));
        long["id"] = json!("x".repeat(201));
        for (wrong, about) in [
            (json!(7), "not a JSON object"),
            (json!(null), "not a JSON object"),
            (json!({}), "`source`"),
            (json!({ "source": 7 }), "`source`"),
            (newer, "version \"1\""),
            (bare, "`detail`"),
            (long, "`id`"),
            (event("aws.s3", "Object Created", json!({})), "the names"),
            (event("aws.s3", "Object Deleted", json!({})), "nobody here listens"),
            (event("aws.ec2", "EC2 Instance State-change Notification", json!({})), "`aws.ec2`"),
            (event("aws.events", "Scheduled Event", json!({})), "which pipeline"),
            (event("aws.codebuild", "CodeBuild Build State Change", json!({})), "`detail.build-id`"),
        ] {
            let error = read(wrong.clone()).unwrap_err().to_string();
            assert!(error.contains(about), "{wrong}: {error}");
        }
    }

    #[test]
    fn nothing_that_can_come_makes_it_panic() {
        // Every member of a good event replaced by everything else, one at a time.
        let good = event("aws.codecommit", "CodeCommit Repository State Change", json!({ "a": [1] }));
        let others = [json!(null), json!(1), json!(""), json!("\u{0}é"), json!([]), json!({}), json!(true)];
        for key in good.as_object().unwrap().keys() {
            for other in &others {
                let mut event = good.clone();
                event[key] = other.clone();
                let _ = read(event);
            }
        }
    }
}
