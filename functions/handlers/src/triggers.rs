//! Events from outside, against every pipeline they may concern: evaluated, started, noted. See `spec/triggers.md`.
//!
//! One event after another, so that what comes in two ways, by a watch and by the Git host's own call, is seen to have
//! started an execution already. Whatever stops in between is done again when the sender comes again: starts and
//! notes are remembered by the delivery they belong to.

pub mod bus;
mod hook;

pub use hook::{Host, Told, deliver};

use crate::{Home, derived::execution_id, webhook::signature};
use domain::{
    command::{Command, Wish},
    trigger::{
        self, GitChange, GitEvent, Here, Note, REASON_CHARS_MAX, Rule, Start, Triggers, Verdict,
        aws::SourceChange, fitting, place, remembered_ms,
    },
    views::{PIPELINES, listing::PipelineSummary},
};
use engine::{
    log::Once,
    single::Order,
    transact::{Done, Envelope, TransactError},
    views::Views,
};
use events::{
    ActionName, ExecutionId, PipelineName, Timestamp, TriggerEvaluated, TriggerSource, TriggerVerdict,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// One at a time: see above.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// An event from outside.
#[derive(Debug, Clone)]
pub struct Arrived<'a> {
    /// How it came to be known.
    pub source: TriggerSource,
    /// What tells this delivery from others of the same source; the same when it comes again.
    pub delivery: String,
    /// What happened.
    pub what: What<'a>,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum What<'a> {
    /// Something in a repository that a Git host names; every pipeline that has it as a source may be meant.
    Git {
        /// What.
        event: GitEvent,
        /// Pull requests of forks may start something.
        allow_forks: bool,
    },
    /// A branch or tag of a repository that is watched for some source actions of one pipeline.
    Seen {
        /// What.
        event: GitEvent,
        /// The pipeline.
        pipeline: PipelineName,
        /// The source actions that fetch from there.
        actions: Vec<ActionName>,
    },
    /// An object of a bucket that is watched for a source action of one pipeline.
    Object {
        /// The pipeline.
        pipeline: PipelineName,
        /// The source action.
        action: ActionName,
        /// The object's version now.
        version: String,
    },
    /// An event of the bus.
    Bus {
        /// The whole event.
        event: Value,
        /// All rules there are.
        rules: &'a [Rule],
    },
    /// A rule's schedule is due.
    Tick {
        /// The event.
        event: Value,
        /// The rule.
        rule: &'a Rule,
    },
}

/// What became of an event, for one pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dealt {
    /// The pipeline.
    pub pipeline: PipelineName,
    /// What became of it there.
    pub verdict: TriggerVerdict,
}

/// Something that is needed did not answer: the event has to come again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

impl From<TransactError> for Unavailable {
    fn from(error: TransactError) -> Self {
        Self(error.to_string())
    }
}

/// Deals with an event. Returns what became of it for each pipeline that it concerns.
pub async fn deal<H: Home>(home: &H, arrived: &Arrived<'_>) -> Result<Vec<Dealt>, Unavailable> {
    let _turn = TURN.lock().await;
    let mut dealt = Vec::new();
    for pipeline in meant(home, &arrived.what).await? {
        for (part, verdict) in evaluate(home, &pipeline, arrived).await? {
            if let Some(verdict) = settle(home, &pipeline, arrived, &part, verdict).await? {
                dealt.push(Dealt { pipeline: pipeline.clone(), verdict });
            }
        }
    }
    Ok(dealt)
}

/// The pipelines that may be meant: of a large account's, those whose sources lie where it happened, as far as the rows
/// of the list say.
async fn meant<H: Home>(home: &H, what: &What<'_>) -> Result<Vec<PipelineName>, Unavailable> {
    match what {
        What::Seen { pipeline, .. } | What::Object { pipeline, .. } => Ok(vec![pipeline.clone()]),
        What::Tick { rule, .. } => Ok(vec![rule.pipeline.clone()]),
        What::Git { event, .. } => {
            let place = place::of_repository(&event.repository);
            listed(home, |_, places| places.contains(&place)).await
        }
        What::Bus { event, rules } => {
            let place = SourceChange::of(event).map(|change| place::of_change(&change));
            let has_rule = |name: &PipelineName| rules.iter().any(|rule| rule.pipeline == *name);
            listed(home, |name, places| {
                has_rule(name) || place.as_ref().is_some_and(|place| places.contains(place))
            })
            .await
        }
    }
}

/// Pipelines of the list by where their sources lie; where a row does not say it, the definition is asked.
async fn listed<H: Home>(
    home: &H,
    is_meant: impl Fn(&PipelineName, &BTreeSet<String>) -> bool,
) -> Result<Vec<PipelineName>, Unavailable> {
    let rows = home.views().page(PIPELINES, None, domain::limits::PIPELINES_MAX, false).await;
    let rows = rows.map_err(|error| Unavailable(error.to_string()))?;
    let meant = rows.into_iter().filter_map(|row| {
        let summary: Option<PipelineSummary> =
            row.body.as_deref().and_then(|body| serde_json::from_str(body).ok());
        let name = PipelineName::parse(row.q).ok()?;
        let places = summary.and_then(|summary| summary.places);
        places.is_none_or(|places| is_meant(&name, &places)).then_some(name)
    });
    Ok(meant.collect())
}

/// What the event means for a pipeline: one verdict for each rule that may start it, named apart.
async fn evaluate<H: Home>(
    home: &H,
    name: &PipelineName,
    arrived: &Arrived<'_>,
) -> Result<Vec<(String, Verdict)>, Unavailable> {
    let engine = home.engine();
    let pipeline = engine.pipeline(name).await.map_err(|error| Unavailable(error.to_string()))?;
    let Some(definition) = pipeline.current_definition() else { return Ok(Vec::new()) };
    let here = Here { region: engine.region(), account: engine.account() };
    // Whoever declares a deleted name again starts anew: what was delivered before may come once more.
    let named = |rule: &str| match pipeline.incarnation {
        0 => rule.to_owned(),
        lives => format!("{lives}#{rule}"),
    };
    let whole = |verdict| Ok(vec![(named(""), verdict)]);
    match &arrived.what {
        What::Git { event, allow_forks } => whole(evaluate_git(definition, event, *allow_forks)),
        What::Seen { event, actions, .. } => whole(match &event.what {
            GitChange::Push(push) => {
                trigger::evaluate_push(definition, push, |listening| actions.contains(&listening.action.name))
            }
            GitChange::PullRequest(_) => Verdict::Elsewhere,
        }),
        What::Object { action, version, .. } => whole(trigger::evaluate_object(definition, action, version)),
        What::Tick { event, rule } => whole(trigger::evaluate_rule(rule, definition, event, true, here)),
        What::Bus { event, rules } => {
            let own = rules.iter().filter(|rule| rule.pipeline == *name);
            let judged = own.map(|rule| {
                (named(rule.name.as_str()), trigger::evaluate_rule(rule, definition, event, false, here))
            });
            let judged: Vec<_> = judged.collect();
            // A rule of one's own takes the place of the one that every source has.
            if judged.iter().any(|(_, verdict)| matches!(verdict, Verdict::Start(_))) {
                return Ok(judged);
            }
            let built_in = trigger::evaluate_sources(name, definition, event, here);
            Ok(judged.into_iter().chain([(named(""), built_in)]).collect())
        }
    }
}

/// What an event of a Git host means for a definition.
pub fn evaluate_git(
    definition: &domain::pipeline::PipelineDeclaration,
    event: &GitEvent,
    allow_forks: bool,
) -> Verdict {
    let is_meant = |listening: &trigger::Listening<'_>| {
        listening.is_connection() && listening.repository.eq_ignore_ascii_case(&event.repository)
    };
    match &event.what {
        GitChange::Push(push) => trigger::evaluate_push(definition, push, is_meant),
        GitChange::PullRequest(request) => {
            trigger::evaluate_pull_request(definition, request, allow_forks, is_meant)
        }
    }
}

/// Starts what is to be started, and notes what became of it, once; `None` when the event does not concern the pipeline.
async fn settle<H: Home>(
    home: &H,
    pipeline: &PipelineName,
    arrived: &Arrived<'_>,
    part: &str,
    verdict: Verdict,
) -> Result<Option<TriggerVerdict>, Unavailable> {
    let keys = Keys::of(pipeline, arrived, part);
    let identity = identity(&arrived.what);
    let verdict = match verdict {
        Verdict::Elsewhere => return Ok(None),
        Verdict::Nothing { .. } if is_passing(&arrived.what) => return Ok(None),
        Verdict::Nothing { reason } => TriggerVerdict::NotStarted { reason },
        Verdict::Start(to_start) => match known(home, pipeline, arrived, identity.as_deref()).await? {
            Some(reason) => TriggerVerdict::NotStarted { reason },
            None => start(home, pipeline, arrived, &keys, *to_start).await?,
        },
    };
    let evaluated = TriggerEvaluated {
        source: arrived.source,
        event: fitting(&words(&arrived.what), REASON_CHARS_MAX),
        identity,
        delivery: Some(keys.digest.clone()),
        verdict: verdict.clone(),
    };
    let engine = home.engine();
    let order = Order::<Triggers> {
        id: engine.fresh_command_id(),
        actor: actor(arrived.source).to_owned(),
        key: pipeline.clone(),
        wish: Note(evaluated),
    };
    engine.record(order).await?;
    Ok(Some(verdict))
}

/// Whether a run of another pipeline goes on: what no rule is for then is not worth a note, since more will come.
fn is_passing(what: &What<'_>) -> bool {
    let What::Bus { event, .. } = what else { return false };
    event["source"] == "aws.codepipeline"
        && matches!(event["detail"]["state"].as_str(), Some("STARTED" | "RESUMED" | "STOPPING"))
}

/// Why an event that would start something is known already; `None` when it is not.
async fn known<H: Home>(
    home: &H,
    pipeline: &PipelineName,
    arrived: &Arrived<'_>,
    identity: Option<&str>,
) -> Result<Option<String>, Unavailable> {
    let Some(identity) = identity else { return Ok(None) };
    let (journal, _) = home
        .engine()
        .single_at::<Triggers>(pipeline)
        .await
        .map_err(|error| Unavailable(error.to_string()))?;
    if let Some(execution) = journal.started_by_another(identity, arrived.source) {
        return Ok(Some(format!("it was seen in another way before, and started execution {execution}")));
    }
    let is_seen = journal.recent.iter().any(|known| known.evaluated.identity.as_deref() == Some(identity));
    Ok((is_seen && may_repeat(&arrived.what))
        .then(|| "the pull request still stands at a commit that was dealt with before".to_owned()))
}

/// Whether the host tells of an update where no commit came.
fn may_repeat(what: &What<'_>) -> bool {
    match what {
        What::Git { event: GitEvent { what: GitChange::PullRequest(request), .. }, .. } => {
            request.event == domain::pipeline::PullRequestEvent::Updated
                && request.head.provider.as_deref() == Some("Bitbucket")
        }
        What::Git { .. } | What::Seen { .. } | What::Object { .. } | What::Bus { .. } | What::Tick { .. } => {
            false
        }
    }
}

async fn start<H: Home>(
    home: &H,
    pipeline: &PipelineName,
    arrived: &Arrived<'_>,
    keys: &Keys,
    to_start: Start,
) -> Result<TriggerVerdict, Unavailable> {
    let engine = home.engine();
    let (execution, once) = match arrived.source {
        // After a while the same step of a branch is a new push.
        TriggerSource::Watch => {
            let execution = engine.fresh_execution_id();
            let once = Once {
                key: format!("trigger#{}", keys.digest),
                outcome: execution.to_string(),
                expires: Timestamp(
                    engine.clock().now().0.saturating_add_unsigned(remembered_ms(arrived.source)),
                ),
            };
            (execution, Some(once))
        }
        TriggerSource::GitHost | TriggerSource::Bus | TriggerSource::Schedule | TriggerSource::Pipeline => {
            (keys.execution.clone(), None)
        }
    };
    let Start { trigger, revisions, variables, because } = to_start;
    let wish = Wish::StartExecution { trigger, variables, revisions: revisions.clone() };
    let envelope = Envelope {
        id: engine.fresh_command_id(),
        actor: actor(arrived.source).to_owned(),
        command: Command { pipeline: pipeline.clone(), execution: Some(execution.clone()), wish },
        once,
    };
    let execution = match engine.transact(envelope).await {
        Ok(Done::Written | Done::Nothing) => execution,
        Ok(Done::Repeated(outcome)) => {
            ExecutionId::parse(outcome).map_err(|error| Unavailable(error.to_string()))?
        }
        Err(TransactError::Rejected(rejection)) => {
            let reason = fitting(&format!("{because}, but: {rejection}"), REASON_CHARS_MAX);
            tracing::warn!(%pipeline, reason, "an event started nothing");
            return Ok(TriggerVerdict::NotStarted { reason });
        }
        Err(error) => return Err(error.into()),
    };
    tracing::info!(%pipeline, %execution, because, "started by an event");
    Ok(TriggerVerdict::Started { execution, revisions, because: fitting(&because, REASON_CHARS_MAX) })
}

/// What a delivery is remembered by.
struct Keys {
    digest: String,
    /// The id of what it starts, if it never comes again but as itself.
    execution: ExecutionId,
}

impl Keys {
    fn of(pipeline: &PipelineName, arrived: &Arrived<'_>, part: &str) -> Self {
        // Length before text, so that no two share a key.
        let source = format!("{:?}", arrived.source);
        let parts = [pipeline.as_str(), &source, part, &arrived.delivery];
        let text: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
        let execution = execution_id(&["trigger", &text]);
        Self { digest: signature::digest(text.as_bytes()), execution }
    }
}

/// Who sends commands because of it.
fn actor(source: TriggerSource) -> &'static str {
    match source {
        TriggerSource::Watch => "towpath:watcher",
        TriggerSource::GitHost => "towpath:git-host",
        TriggerSource::Bus => "towpath:events",
        TriggerSource::Schedule => "towpath:schedule",
        TriggerSource::Pipeline => "towpath:pipeline",
    }
}

/// What happened, for people.
fn words(what: &What<'_>) -> String {
    match what {
        What::Git { event, .. } | What::Seen { event, .. } => {
            format!("{} of `{}`", event.what.words(), event.repository)
        }
        What::Object { action, version, .. } => format!("version {version} of what `{action}` fetches"),
        What::Tick { rule, .. } => format!("schedule of rule `{}`", rule.name),
        What::Bus { event, .. } => match SourceChange::of(event) {
            Some(change) => change.words(),
            None => {
                let part = |key: &str| event[key].as_str().unwrap_or("unnamed").to_owned();
                format!("event \"{}\" of `{}`", part("detail-type"), part("source"))
            }
        },
    }
}

/// What tells it from the same thing known in another way.
fn identity(what: &What<'_>) -> Option<String> {
    let (What::Git { event, .. } | What::Seen { event, .. }) = what else { return None };
    let repository = event.repository.to_lowercase();
    let text = match &event.what {
        GitChange::Push(push) => {
            let side = |commit: &Option<String>| commit.clone().unwrap_or_else(|| "none".to_owned());
            let (kind, name) = (push.reference.kind(), push.reference.name());
            format!("{repository} {kind} {name} {}..{}", side(&push.before), side(&push.after))
        }
        GitChange::PullRequest(request) => {
            format!("{repository} pull request {} {}", request.number, request.commit)
        }
    };
    // Too long to be kept: what stands for it must still tell apart.
    Some(if text.chars().count() <= 300 { text } else { signature::digest(text.as_bytes()) })
}
