//! Rules of the bus: an event that a rule's pattern matches, or a schedule's tick, starts the rule's pipeline.

use super::{
    Here, Start, Verdict,
    aws::{self, SourceChange},
    fitting,
    pattern::Pattern,
    transformer::{Reserved, TargetInput, Transformer},
};
use crate::pipeline::PipelineDeclaration;
use events::{ActionName, PipelineName, Trigger, TriggerType};
use serde_json::Value;
use std::collections::BTreeMap;

/// A rule with a pipeline as its target.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name, 1 to 64 characters.
    pub name: String,
    /// The pipeline it starts.
    pub pipeline: PipelineName,
    /// Which events it is for; a rule with a schedule has none and is asked for by name.
    pub pattern: Option<Pattern>,
    /// What the pipeline is started with.
    pub input: RuleInput,
}

/// What a pipeline is started with.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleInput {
    /// The event itself: the revision it carries is fetched, where it concerns a source action.
    Event,
    /// The event, and every source action fetches its newest revision.
    Head,
    /// The same text each time.
    Constant(String),
    /// What a transformer makes of the event.
    Transformed(Transformer),
}

impl Rule {
    /// Its ARN.
    pub fn arn(&self, here: Here<'_>) -> String {
        format!("arn:aws:events:{}:{}:rule/{}", here.region, here.account, self.name)
    }
}

/// An event, or with `is_tick` the rule's own schedule, against a rule and its pipeline.
pub fn evaluate_rule(
    rule: &Rule,
    definition: &PipelineDeclaration,
    event: &Value,
    is_tick: bool,
    here: Here<'_>,
) -> Verdict {
    match (&rule.pattern, is_tick) {
        (None, false) => return Verdict::Elsewhere,
        (_, true) => {}
        (Some(pattern), false) => {
            if let Err(mismatch) = pattern.check(event) {
                // What comes from elsewhere, or is of another kind, is no business of the rule.
                if matches!(
                    mismatch.path.as_str(),
                    "source" | "detail-type" | "account" | "region" | "resources" | "detail.pipeline"
                ) || !is_near(pattern, event)
                {
                    return Verdict::Elsewhere;
                }
                let reason = format!("rule `{}`: {}", rule.name, mismatch.reason);
                return Verdict::Nothing { reason: fitting(&reason, super::REASON_CHARS_MAX) };
            }
        }
    }
    let because = match is_tick {
        true => format!("the schedule of rule `{}` was due", rule.name),
        false => format!("the event is as rule `{}` wants it", rule.name),
    };
    let trigger = Trigger { kind: TriggerType::CloudWatchEvent, detail: rule.arn(here) };
    match input(rule, definition, event, here) {
        Ok((revisions, variables)) => {
            Verdict::Start(Box::new(Start { trigger, revisions, variables, because }))
        }
        Err(reason) => Verdict::Nothing {
            reason: fitting(&format!("rule `{}`: {reason}", rule.name), super::REASON_CHARS_MAX),
        },
    }
}

/// Whether an event is of the kind that a pattern is about: then it is worth saying why it does not match.
fn is_near(pattern: &Pattern, event: &Value) -> bool {
    let wanted: Value = serde_json::from_str(pattern.text()).unwrap_or_default();
    let mut named = ["source", "detail-type"].into_iter().filter(|key| wanted.get(key).is_some()).peekable();
    named.peek().is_some()
        && named.all(|key| {
            let part = serde_json::json!({ key: wanted[key] }).to_string();
            Pattern::parse(&part).is_ok_and(|part| part.matches(event))
        })
}

type Input = (BTreeMap<ActionName, String>, BTreeMap<String, String>);

fn input(
    rule: &Rule,
    definition: &PipelineDeclaration,
    event: &Value,
    here: Here<'_>,
) -> Result<Input, String> {
    let text = match &rule.input {
        RuleInput::Head => return Ok(Input::default()),
        RuleInput::Event => return Ok((pinned(definition, event), BTreeMap::new())),
        RuleInput::Constant(text) => text.clone(),
        RuleInput::Transformed(transformer) => {
            let arn = rule.arn(here);
            let time = event["time"].as_str().unwrap_or_default();
            let reserved = Reserved { rule_arn: &arn, rule_name: &rule.name, ingestion_time: time };
            transformer.apply(event, reserved).map_err(|error| error.to_string())?
        }
    };
    let input = TargetInput::parse(&text).map_err(|error| error.to_string())?;
    let mut revisions = BTreeMap::new();
    for (action, kind, value) in input.revisions {
        let source = aws::sources(definition).find(|source| source.name == action);
        let source =
            source.ok_or_else(|| format!("the input names `{action}`, which is no source action"))?;
        let provider = source.action_type_id.provider.as_str();
        match (kind.as_str(), provider) {
            ("COMMIT_ID", "CodeCommit" | "GitHub" | "CodeStarSourceConnection")
            | ("IMAGE_DIGEST", "ECR")
            | ("S3_OBJECT_VERSION_ID", "S3") => drop(revisions.insert(action, value)),
            // The key is the configured one, or the start would be of another object.
            ("S3_OBJECT_KEY", "S3") if source.configuration.get("S3ObjectKey") == Some(&value) => {}
            ("S3_OBJECT_KEY", "S3") => {
                return Err(format!("another `S3_OBJECT_KEY` for `{action}` is not supported here"));
            }
            _ => return Err(format!("`{kind}` does not fit `{action}` of provider `{provider}`")),
        }
    }
    Ok((revisions, input.variables))
}

/// The revision an event carries, for each source action that fetches what changed.
fn pinned(definition: &PipelineDeclaration, event: &Value) -> BTreeMap<ActionName, String> {
    let Some(change) = SourceChange::of(event) else { return BTreeMap::new() };
    aws::sources(definition)
        .filter_map(|action| Some((action.name.clone(), change.concerns(action)?.ok()??)))
        .collect()
}

/// An event against the sources of a definition themselves: what on AWS a rule for each source does. `S3` and
/// `CodeCommit` sources that are polled are left to polling.
pub fn evaluate_sources(
    name: &PipelineName,
    definition: &PipelineDeclaration,
    event: &Value,
    here: Here<'_>,
) -> Verdict {
    let Some(change) = SourceChange::of(event) else { return Verdict::Elsewhere };
    let (mut revisions, mut because, mut reasons, mut first) =
        (BTreeMap::new(), Vec::new(), Vec::new(), None);
    for action in aws::sources(definition) {
        match change.concerns(action) {
            None => {}
            Some(Err(reason)) => reasons.push(reason),
            Some(Ok(_)) if aws::is_polled(action) => reasons.push(format!(
                "`{}` is polled: set `PollForSourceChanges` to false and let events start it",
                action.name
            )),
            Some(Ok(revision)) => {
                because.push(format!("it is what `{}` fetches", action.name));
                first.get_or_insert_with(|| action.name.clone());
                if let Some(revision) = revision {
                    revisions.insert(action.name.clone(), revision);
                }
            }
        }
    }
    let Some(action) = first else {
        return match reasons.is_empty() {
            true => Verdict::Elsewhere,
            false => Verdict::Nothing { reason: fitting(&reasons.join("; "), super::REASON_CHARS_MAX) },
        };
    };
    let detail = format!("arn:aws:events:{}:{}:rule/source-{name}-{action}", here.region, here.account);
    Verdict::Start(Box::new(Start {
        trigger: Trigger { kind: TriggerType::CloudWatchEvent, detail },
        revisions,
        variables: BTreeMap::new(),
        because: because.join("; "),
    }))
}

/// An object that was seen to have another version, against the source action that fetches it.
pub fn evaluate_object(definition: &PipelineDeclaration, name: &ActionName, version: &str) -> Verdict {
    let Some(action) = aws::sources(definition).find(|action| action.name == *name) else {
        return Verdict::Elsewhere;
    };
    if !aws::is_polled(action) {
        return Verdict::Elsewhere;
    }
    Verdict::Start(Box::new(Start {
        trigger: Trigger { kind: TriggerType::PollForSourceChanges, detail: name.to_string() },
        revisions: BTreeMap::from([(name.clone(), version.to_owned())]),
        variables: BTreeMap::new(),
        because: format!("the object that `{name}` fetches has a new version"),
    }))
}
