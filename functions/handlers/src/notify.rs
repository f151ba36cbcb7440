//! Telling people, in Slack: which changes of state they want to hear of, and what has been told already.
//!
//! Whoever calls brings a hint that something happened to an execution, nothing more. What happened is read from the log,
//! so that hints may come twice, late, in any order, or not at all if a later one comes. What was told is noted under a
//! mark for each execution and channel, after it was told: a crash in between repeats a message rather than loses it.
//! One caller tells at a time; another leaves word, and the first looks again before it goes.

mod history;
pub mod settings;
pub mod slack;
mod teller;

pub use history::AGE_MAX_MS;

use crate::Home;
use domain::notice::Rule;
use engine::{
    log::LogError,
    ports::{Marks, MarksError, Web},
    views::ViewsError,
};
use events::{BadName, ExecutionId};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// Channels of an installation, most.
pub const CHANNELS_MAX: usize = 50;

/// Who tells whom.
pub struct Desk<W, M> {
    /// The way out.
    pub web: Arc<W>,
    /// What was told.
    pub marks: Arc<M>,
    /// Who is told of what.
    pub channels: Arc<Vec<Channel>>,
    /// The address of the pages people look at, without `/` at its end; links lead there.
    pub console: Option<String>,
    /// How long one call may wait for a channel that asks for time, or does not answer.
    pub patience: Duration,
    /// Nobody else tells: whoever is noted to be telling is a process that is gone.
    pub alone: bool,
}

/// How long one call may take where others tell too, milliseconds: 60 seconds. Who takes longer is taken to be gone soon
/// after, before the platform calls again in its place.
pub const CALL_MS_MAX: i64 = 60 * 1000;

impl<W, M> Clone for Desk<W, M> {
    fn clone(&self) -> Self {
        Self {
            web: Arc::clone(&self.web),
            marks: Arc::clone(&self.marks),
            channels: Arc::clone(&self.channels),
            console: self.console.clone(),
            patience: self.patience,
            alone: self.alone,
        }
    }
}

/// Somebody who is told.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its name here: 1 to 60 letters, digits, `-` or `_`. What was told is noted under it.
    pub id: String,
    /// How it is reached.
    pub way: slack::Way,
    /// What it wants to hear of: whatever one of these wants.
    pub rules: Vec<Rule>,
}

impl Channel {
    /// A legal name for a channel.
    pub fn is_name(text: &str) -> bool {
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        (1..=60).contains(&text.len()) && text.chars().all(legal)
    }
}

/// What was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notified {
    /// Messages posted.
    pub posted: usize,
    /// Messages edited.
    pub edited: usize,
    /// Of both, what was refused for good.
    pub refused: usize,
    /// Channels that somebody else is telling at this moment.
    pub left: usize,
}

/// Why somebody has yet to be told.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The hint names no execution. It will not be understood the next time either.
    #[error("the event is none of a change of state: {0}")]
    NotMeant(String),
    /// The log did not answer.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The listings did not.
    #[error(transparent)]
    Views(#[from] ViewsError),
    /// The marks did not.
    #[error(transparent)]
    Marks(#[from] MarksError),
    /// The channel did not, or not in time.
    #[error("channel `{channel}` could not be told: {reason}")]
    Channel {
        /// Its name here.
        channel: String,
        /// Why, without secrets.
        reason: String,
    },
    /// Somebody else took the telling over: what this one posted last may come twice.
    #[error("channel `{0}` is told by somebody else")]
    TakenOver(String),
}

/// Tells people of an event of the bus: one of ours, of whatever level.
pub async fn notify<H: Home, W: Web, M: Marks>(
    home: &H,
    desk: &Desk<W, M>,
    event: &Value,
) -> Result<Notified, NotifyError> {
    notify_of(home, desk, &execution_of(event)?).await
}

/// The execution an event of the bus is about.
pub fn execution_of(event: &Value) -> Result<ExecutionId, NotifyError> {
    let not_meant = |reason: String| NotifyError::NotMeant(reason);
    let kind = event["detail-type"].as_str().unwrap_or_default();
    let is_ours = kind.starts_with("CodePipeline ") && kind.ends_with(" Execution State Change");
    if !is_ours && kind != events::outbound::STAGE_SKIPPED {
        return Err(not_meant(format!(
            "its `detail-type` is `{}`",
            kind.chars().take(100).collect::<String>()
        )));
    }
    let id = event["detail"]["execution-id"].as_str();
    let id = id.ok_or_else(|| not_meant("`detail.execution-id` is missing".to_owned()))?;
    ExecutionId::parse(id).map_err(|error: BadName| not_meant(format!("`detail.execution-id`: {error}")))
}

/// Tells people what is new of an execution. Every channel is tried; the first error of any is returned.
pub async fn notify_of<H: Home, W: Web, M: Marks>(
    home: &H,
    desk: &Desk<W, M>,
    execution: &ExecutionId,
) -> Result<Notified, NotifyError> {
    let mut notified = Notified::default();
    let mut failed = None;
    for channel in desk.channels.iter() {
        if let Err(error) = teller::tell(home, desk, channel, execution, &mut notified).await {
            tracing::warn!(%execution, channel = %channel.id, %error, "a channel waits to be told");
            failed.get_or_insert(error);
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(notified),
    }
}
