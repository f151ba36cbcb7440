//! Telling the world of an execution's changes of state: on the bus, and by messages to topics. A reader of the log with
//! a mark of its own for each execution: in order, and at least once.
//!
//! Nothing waits for it. What a bus or a topic refuses for good is passed over, and said to the operator; what does not
//! answer is told when this is called the next time.

mod fresh;

pub use fresh::{Courses, publish_fresh};

use crate::Home;
use domain::{
    fault,
    pipeline::PipelineDeclaration,
    state_change::{
        Course, Happened, StateChange, Surroundings, tell,
        topic::{self, Asked, Message},
    },
    trigger::Here,
};
use engine::{
    log::{Commit, Log, LogError},
    ports::{Bus, BusEvent, Marks, MarksError, OutwardError, TopicMessage, Topics},
};
use events::{ExecutionEvent, ExecutionId, StreamName, Timestamp, Version};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};

/// Commits that are told of at a time.
const COMMITS_MAX: usize = 64;
/// How often somebody else may be faster before the next call goes on.
const ATTEMPTS_MAX: usize = 5;
/// How long a mark is kept after the last change, milliseconds: 90 days, more than any approval may wait.
const MARK_KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1000;

/// Who is told.
pub struct Outlets<B, T, M> {
    /// The bus.
    pub bus: Arc<B>,
    /// Topics.
    pub topics: Arc<T>,
    /// How far was told.
    pub marks: Arc<M>,
    /// How.
    pub telling: Arc<Telling>,
}

impl<B, T, M> Clone for Outlets<B, T, M> {
    fn clone(&self) -> Self {
        Self {
            bus: Arc::clone(&self.bus),
            topics: Arc::clone(&self.topics),
            marks: Arc::clone(&self.marks),
            telling: Arc::clone(&self.telling),
        }
    }
}

/// How the world is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// `source` of events. AWS refuses those that begin with `aws.` on its own buses.
    pub source: String,
    /// The address of the pages people look at, without `/` at its end; links lead there.
    pub console: Option<String>,
    /// A topic of the installation that hears of every pipeline.
    pub topic: Option<TopicRule>,
}

/// The `source` on a bus of AWS.
pub const SOURCE_ON_AWS: &str = "codepipeline.selfhosted";
/// The `source` on a bus of one's own: that of the service, so that nobody need tell them apart.
pub const SOURCE_AT_HOME: &str = "aws.codepipeline";

/// What the installation's topic hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRule {
    /// Its ARN.
    pub arn: String,
    /// Of these: see [`topic::EVENT_TYPE_IDS`].
    pub event_type_ids: BTreeSet<String>,
}

impl TopicRule {
    /// A topic that hears of failures, and of approvals that are waited for.
    pub fn of(arn: impl Into<String>) -> Self {
        let event_type_ids = topic::EVENT_TYPE_IDS_DEFAULT.into_iter().map(str::to_owned).collect();
        Self { arn: arn.into(), event_type_ids }
    }
}

/// Why somebody has yet to be told.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The log did not answer.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Nor did the marks.
    #[error(transparent)]
    Marks(#[from] MarksError),
    /// Nor the bus, nor a topic.
    #[error("changes of state could not be published: {0}")]
    Outward(String),
    /// Others tell of the same execution, and were faster each time.
    #[error("others tell of execution {0} as well")]
    Contended(ExecutionId),
}

/// What was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Published {
    /// Events put on the bus.
    pub events: usize,
    /// Messages published to topics.
    pub messages: usize,
    /// Of both, what was refused for good.
    pub refused: usize,
}

/// What is kept between calls.
#[derive(Serialize, Deserialize)]
struct Note {
    fold: u32,
    version: Version,
    course: Course,
}

/// Tells the world what is new of an execution. `since` is the version of the first event that the caller knows to be
/// new: where nothing is noted, what lies before it was told by others or is of no interest any more.
pub async fn publish<H, B, T, M>(
    home: &H,
    outlets: &Outlets<B, T, M>,
    execution: &ExecutionId,
    since: Version,
) -> Result<Published, PublishError>
where
    H: Home,
    B: Bus,
    T: Topics,
    M: Marks,
{
    let mut published = Published::default();
    let key = key(execution);
    for _ in 0..ATTEMPTS_MAX {
        let Some(mut place) = place(home, &*outlets.marks, execution, &key, since).await? else {
            return Ok(published);
        };
        loop {
            let commits = read(home, execution, place.version).await?;
            let Some(last) = commits.last().map(Commit::last) else { return Ok(published) };
            // One run follows one definition.
            let mut definition = None;
            let new: Vec<&Commit> = commits.iter().collect();
            let told = Told::of(home, outlets, execution, &mut place.course, &mut definition, &new).await?;
            told.publish(outlets, &mut published).await?;
            place.version = last;
            if !mark(home, &*outlets.marks, &key, &place).await? {
                break;
            }
            place.seen += 1;
            // Whatever came meanwhile is told by whoever hears of that.
            if commits.len() < COMMITS_MAX {
                return Ok(published);
            }
        }
    }
    Err(PublishError::Contended(execution.clone()))
}

/// Notes how far was told; false when somebody else was faster.
async fn mark<H: Home, M: Marks>(home: &H, marks: &M, key: &str, place: &Place) -> Result<bool, MarksError> {
    let note = Note { fold: Course::FOLD, version: place.version, course: place.course.clone() };
    let note = serde_json::to_string(&note).map_err(|error| MarksError(error.to_string()))?;
    let expires = Timestamp(home.engine().clock().now().0.saturating_add(MARK_KEPT_MS));
    marks.put(key, place.seen, &note, expires).await
}

/// Under which key it is noted how far was told of an execution.
fn key(execution: &ExecutionId) -> String {
    format!("once#publish#{execution}")
}

async fn read<H: Home>(home: &H, execution: &ExecutionId, after: Version) -> Result<Vec<Commit>, LogError> {
    home.engine().log().read(&StreamName::execution(execution), after, COMMITS_MAX).await
}

/// Where telling goes on.
struct Place {
    /// Everything up to here has been told.
    version: Version,
    /// The fold of that.
    course: Course,
    /// The mark's version.
    seen: u64,
}

/// Where telling goes on; `None` when there is nothing new after it.
async fn place<H: Home, M: Marks>(
    home: &H,
    marks: &M,
    execution: &ExecutionId,
    key: &str,
    since: Version,
) -> Result<Option<Place>, PublishError> {
    let mark = marks.get(key).await?;
    let seen = mark.as_ref().map_or(0, |mark| mark.version);
    let note = mark.and_then(|mark| serde_json::from_str::<Note>(&mark.note).ok());
    let told = match note {
        Some(Note { fold: Course::FOLD, version, course }) => {
            return Ok(Some(Place { version, course, seen }));
        }
        Some(Note { version, .. }) => version,
        None => Version(since.0.saturating_sub(1)),
    };
    // Without a course of this fold: it is made of what was told already.
    let course = course(home, execution, told).await?;
    Ok(course.map(|(version, course)| Place { version, course, seen }))
}

/// The fold of what happened up to a version; `None` when that is not there.
async fn course<H: Home>(
    home: &H,
    execution: &ExecutionId,
    told: Version,
) -> Result<Option<(Version, Course)>, LogError> {
    let mut place = (Version(0), Course::default());
    while place.0 < told {
        let commits = read(home, execution, place.0).await?;
        let Some(last) = commits.last().map(Commit::last) else { return Ok(None) };
        for commit in commits.iter().take_while(|commit| commit.last() <= told) {
            for (_, event) in decoded(commit) {
                let around = Surroundings { execution, region: "", definition: None };
                tell(&mut place.1, Happened { event, version: commit.first, at: commit.time }, around);
            }
            place.0 = commit.last();
        }
        if place.0 < last {
            break;
        }
    }
    Ok(Some(place))
}

/// A commit's events with their versions. One that this version cannot read is passed over: it must not keep what
/// follows from being told.
fn decoded(commit: &Commit) -> impl Iterator<Item = (Version, &ExecutionEvent)> {
    commit.events.iter().enumerate().filter_map(|(index, stored)| {
        let version = Version(commit.first.0 + index as u64);
        match stored.read() {
            Ok(event) => Some((version, event)),
            Err(error) => {
                tracing::error!(stream = %commit.stream, %version, kind = %stored.kind, %error, "an event is not told");
                None
            }
        }
    })
}

/// What some commits have to tell.
#[derive(Default)]
struct Told {
    events: Vec<BusEvent>,
    messages: Vec<TopicMessage>,
}

impl Told {
    async fn of<H: Home, B, T, M>(
        home: &H,
        outlets: &Outlets<B, T, M>,
        execution: &ExecutionId,
        course: &mut Course,
        known: &mut Option<Arc<PipelineDeclaration>>,
        commits: &[&Commit],
    ) -> Result<Self, LogError> {
        let telling = &*outlets.telling;
        let here = Here { region: home.engine().region(), account: home.engine().account() };
        let mut told = Self::default();
        for commit in commits {
            for (version, event) in decoded(commit) {
                let definition = definition(home, course, event, known).await?;
                let around =
                    Surroundings { execution, region: here.region, definition: definition.as_deref() };
                let changes = tell(course, Happened { event, version, at: commit.time }, around);
                for change in &changes {
                    told.events.push(bus_event(change, telling, here));
                    if let Some(message) = rule_message(home, telling, around, course, change).await? {
                        told.messages.push(message);
                    }
                }
                if let (ExecutionEvent::ActionStarted(started), Some(change)) = (&event, changes.first()) {
                    let asked = definition.as_deref().and_then(|definition| {
                        let action = definition.action(&started.stage, &started.action)?;
                        Some(Asked {
                            pipeline: &change.pipeline,
                            started,
                            configuration: &action.configuration,
                            console: telling.console.as_deref(),
                        })
                    });
                    told.messages.extend(asked.and_then(|asked| approval(asked, execution, change, here)));
                }
            }
        }
        Ok(told)
    }

    /// The bus first, then topics, each in order.
    async fn publish<B: Bus, T: Topics, M>(
        self,
        outlets: &Outlets<B, T, M>,
        published: &mut Published,
    ) -> Result<(), PublishError> {
        let events = self.events.len();
        if events > 0 {
            match outlets.bus.put(self.events).await {
                Ok(()) => published.events += events,
                Err(OutwardError::Refused(reason)) => {
                    published.refused += events;
                    tracing::error!(%reason, events, "the bus refused changes of state: nobody there is told of them");
                }
                Err(OutwardError::Unavailable(_)) if fault!(ToldTooEarly) => {}
                Err(OutwardError::Unavailable(reason)) => return Err(PublishError::Outward(reason)),
            }
        }
        for message in self.messages {
            let topic = message.topic.clone();
            match outlets.topics.publish(message).await {
                Ok(()) => published.messages += 1,
                Err(OutwardError::Refused(reason)) => {
                    published.refused += 1;
                    tracing::error!(%topic, %reason, "a topic refused a message");
                }
                Err(OutwardError::Unavailable(reason)) => return Err(PublishError::Outward(reason)),
            }
        }
        Ok(())
    }
}

/// The definition behind an event of an action: its Region stands there, and what an approval says.
async fn definition<H: Home>(
    home: &H,
    course: &Course,
    event: &ExecutionEvent,
    known: &mut Option<Arc<PipelineDeclaration>>,
) -> Result<Option<Arc<PipelineDeclaration>>, LogError> {
    let is_of_action = matches!(
        event,
        ExecutionEvent::ActionStarted(_)
            | ExecutionEvent::ActionSucceeded(_)
            | ExecutionEvent::ActionFailed(_)
            | ExecutionEvent::ActionAbandoned(_)
    );
    let Some((pipeline, version)) = course.pipeline().filter(|_| is_of_action) else { return Ok(None) };
    if known.is_none() {
        *known = home.engine().pipeline(pipeline).await?.definition(version).cloned();
    }
    Ok(known.clone())
}

fn bus_event(change: &StateChange, telling: &Telling, here: Here<'_>) -> BusEvent {
    BusEvent {
        id: change.id.clone(),
        source: telling.source.clone(),
        detail_type: change.detail_type().to_owned(),
        time: change.at,
        resources: vec![topic::pipeline_arn(&change.pipeline, here)],
        detail: change.body(),
    }
}

async fn rule_message<H: Home>(
    home: &H,
    telling: &Telling,
    around: Surroundings<'_>,
    course: &Course,
    change: &StateChange,
) -> Result<Option<TopicMessage>, LogError> {
    let Some(rule) = &telling.topic else { return Ok(None) };
    if !topic::event_type_ids(change).iter().any(|id| rule.event_type_ids.contains(*id)) {
        return Ok(None);
    }
    let here = Here { region: home.engine().region(), account: home.engine().account() };
    let run = home.engine().execution(around.execution).await?;
    let message = topic::changed(change, course, &run, around.definition, here);
    Ok(Some(topic_message(&rule.arn, message, around.execution, &change.id)))
}

/// A topic that cannot be one was let through when the pipeline was declared, with a variable in it for example.
fn approval(
    asked: Asked<'_>,
    execution: &ExecutionId,
    change: &StateChange,
    here: Here<'_>,
) -> Option<TopicMessage> {
    let arn = asked.topic()?;
    let message = topic::approval(asked, here.region);
    Some(topic_message(arn, message, execution, &format!("{}-approval", change.id)))
}

fn topic_message(arn: &str, message: Message, execution: &ExecutionId, id: &str) -> TopicMessage {
    TopicMessage {
        topic: arn.to_owned(),
        message: message.text(),
        by_protocol: message.mail.is_some(),
        subject: message.subject,
        attributes: message.attributes,
        group: execution.to_string(),
        deduplication: id.to_owned(),
    }
}
