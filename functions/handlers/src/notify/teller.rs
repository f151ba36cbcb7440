//! Telling one channel of one execution, from where it was left.

use super::{
    CALL_MS_MAX, Channel, Desk, Notified, NotifyError,
    history::{AGE_MAX_MS, History, Unfolding},
    slack::{Call, Failed, Patience, Way, call},
};
use crate::Home;
use domain::{
    execution::StageStatus,
    notice::{
        Outcome, Past,
        facts::{self, Facts, span},
        slack::{Detail, detail, message},
    },
    state_change::StateChange,
};
use engine::ports::{Marks, MarksError, Web};
use events::{
    ActionCategory, ExecutionId, Timestamp, Version,
    outbound::{ChangeDetail, ChangedState},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How long somebody who tells may take before another takes over, milliseconds. Longer than a call may take; and over
/// when one that broke off is called again, which is a minute later at the soonest.
const HELD_MS: i64 = CALL_MS_MAX + 40 * 1000;
/// How long a mark is kept after the last change, milliseconds: 90 days, more than any approval may wait.
const MARK_KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// How often others may be faster before this one gives up.
const ATTEMPTS_MAX: usize = 20;

/// What is noted of an execution and a channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Note {
    /// Everything up to this event was told.
    version: Version,
    /// The message that stands for the run, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ts: Option<String>,
    /// What that message shows: the run after this event.
    #[serde(default)]
    shown: Version,
    /// Who is telling, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
    /// How often others left word that there is more.
    #[serde(default)]
    word: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Held {
    by: String,
    until: Timestamp,
}

/// Tells a channel what is new of an execution.
pub(super) async fn tell<H: Home, W: Web, M: Marks>(
    home: &H,
    desk: &Desk<W, M>,
    channel: &Channel,
    execution: &ExecutionId,
    notified: &mut Notified,
) -> Result<(), NotifyError> {
    let key = format!("once#notice#{execution}#{}", channel.id);
    let mut teller = Teller {
        home,
        desk,
        channel,
        notified,
        patience: Patience(desk.patience),
        book: Book { marks: &*desk.marks, home, key, channel: &channel.id, seen: 0, note: Note::default() },
    };
    for _ in 0..ATTEMPTS_MAX {
        teller.book.open().await?;
        let now = home.engine().clock().now();
        let held = teller.book.note.held.as_ref().filter(|_| !desk.alone);
        if held.is_some_and(|held| held.until > now) {
            teller.book.note.word += 1;
            if teller.book.write().await? {
                teller.notified.left += 1;
                return Ok(());
            }
            continue;
        }
        let history = History::read(home, execution).await?;
        if !teller.has_more(&history) {
            return Ok(());
        }
        let by = home.engine().fresh_command_id().to_string();
        teller.book.note.held = Some(Held { by, until: Timestamp(now.0.saturating_add(HELD_MS)) });
        if !teller.book.write().await? {
            continue;
        }
        let told = teller.tell_all(history, execution).await;
        if told.is_err() {
            teller.book.give_up().await;
        }
        return told;
    }
    Err(NotifyError::TakenOver(channel.id.clone()))
}

struct Teller<'a, H, W, M> {
    home: &'a H,
    desk: &'a Desk<W, M>,
    channel: &'a Channel,
    notified: &'a mut Notified,
    patience: Patience,
    book: Book<'a, H, M>,
}

impl<H: Home, W: Web, M: Marks> Teller<'_, H, W, M> {
    /// A channel that no rule of can be for this pipeline is not even noted.
    fn has_more(&self, history: &History) -> bool {
        let mut unfolding = history.unfold();
        let _ = unfolding.step(self.home);
        let pipeline = unfolding.course.pipeline().map(|(name, _)| name.to_string()).unwrap_or_default();
        history.last() > self.book.note.version
            && self.channel.rules.iter().any(|rule| rule.is_for(&pipeline))
    }

    /// Until there is nothing more, also of what others left word of meanwhile.
    async fn tell_all(&mut self, mut history: History, execution: &ExecutionId) -> Result<(), NotifyError> {
        loop {
            self.tell_history(&history).await?;
            if self.book.let_go().await? {
                return Ok(());
            }
            history = History::read(self.home, execution).await?;
        }
    }

    async fn tell_history(&mut self, history: &History) -> Result<(), NotifyError> {
        let root = self.root(history).await?;
        let mut unfolding = history.unfold();
        let from = self.book.note.version;
        let mut changed = self.book.note.shown;
        while let Some((version, changes)) = unfolding.step(self.home) {
            if version <= from {
                continue;
            }
            for change in &changes {
                changed = version;
                if self.tell_change(&unfolding, change, root.as_ref()).await? {
                    self.book.note.version = version;
                    self.book.save().await?;
                }
            }
        }
        if let (Some(root), Some(ts)) = (root, self.book.note.ts.clone())
            && changed > self.book.note.shown
        {
            self.call(Call::Edit { message: &root.message, ts: &ts }).await?;
            self.book.note.shown = root.version;
        }
        self.book.note.version = history.last();
        Ok(())
    }

    /// The message that stands for the run, as it is now, where there is such a thing.
    async fn root(&self, history: &History) -> Result<Option<Root>, NotifyError> {
        if matches!(self.channel.way, Way::Webhook { .. }) {
            return Ok(None);
        }
        let mut now = history.unfold();
        while now.step(self.home).is_some() {}
        let past = now.past(self.home).await?;
        let facts = self.facts(&now, &past);
        Ok(facts.map(|facts| Root { message: message(&facts), version: history.last() }))
    }

    /// True when something was posted.
    async fn tell_change(
        &mut self,
        unfolding: &Unfolding<'_>,
        change: &StateChange,
        root: Option<&Root>,
    ) -> Result<bool, NotifyError> {
        let now = self.home.engine().clock().now();
        if now.0.saturating_sub(change.at.0) > AGE_MAX_MS {
            return Ok(false);
        }
        let is_end = change.stage().is_none() && change.state() == ChangedState::Succeeded;
        let past = if is_end { unfolding.past(self.home).await? } else { Past::default() };
        let wanted = self.wanted(unfolding, change, &past);
        let Some(facts) = self.facts(unfolding, &past) else { return Ok(false) };
        match root {
            Some(root) => self.tell_thread(unfolding, change, wanted, root, &facts).await,
            None if wanted.is_some() => {
                self.call(Call::Post(&message(&facts))).await?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn wanted(&self, unfolding: &Unfolding<'_>, change: &StateChange, past: &Past) -> Option<Outcome> {
        self.channel.rules.iter().find_map(|rule| rule.wants(change, &unfolding.course, past))
    }

    /// A run has a message from the first change on that somebody wants to hear of. From then on its thread tells all.
    async fn tell_thread(
        &mut self,
        unfolding: &Unfolding<'_>,
        change: &StateChange,
        wanted: Option<Outcome>,
        root: &Root,
        facts: &Facts,
    ) -> Result<bool, NotifyError> {
        let mut posted = false;
        let is_known = self.book.note.ts.is_some();
        if !is_known && wanted.is_some() {
            self.book.note.ts = self.call(Call::Post(&root.message)).await?;
            self.book.note.shown = root.version;
            self.book.save().await?;
            posted = true;
        }
        let Some(thread) = self.book.note.ts.clone() else { return Ok(posted) };
        // The message itself says what its run began with, or came to.
        let says_it_all = !is_known && !matches!(wanted, Some(Outcome::Failed | Outcome::Approval));
        let Some(reply) = reply(unfolding, change, facts).filter(|_| !says_it_all) else { return Ok(posted) };
        // An edit alone notifies nobody.
        let aloud = is_known && matches!(wanted, Some(Outcome::Failed | Outcome::Fixed | Outcome::Approval));
        self.call(Call::Reply { thread: &thread, message: &reply, aloud }).await?;
        Ok(true)
    }

    fn facts(&self, unfolding: &Unfolding<'_>, past: &Past) -> Option<Facts> {
        let outcome = Some(Outcome::Fixed).filter(|_| past.is_fixed());
        unfolding.facts(self.home, self.desk.console.as_deref(), outcome)
    }

    /// What Slack refuses for good is passed over, and said to the operator.
    async fn call(&mut self, wanted: Call<'_>) -> Result<Option<String>, NotifyError> {
        match call(&*self.desk.web, &self.channel.way, wanted, &mut self.patience).await {
            Ok(ts) => {
                match wanted {
                    Call::Post(_) | Call::Reply { .. } => self.notified.posted += 1,
                    Call::Edit { .. } => self.notified.edited += 1,
                }
                Ok(ts)
            }
            Err(Failed::Refused(reason)) => {
                self.notified.refused += 1;
                tracing::error!(channel = %self.channel.id, %reason, "Slack refused a notice: it is not told again");
                // Somebody deleted it: what comes next gets a message of its own.
                if matches!(reason.as_str(), "message_not_found" | "thread_not_found" | "cant_update_message")
                {
                    self.book.note.ts = None;
                }
                Ok(None)
            }
            Err(Failed::Unavailable(reason)) => {
                Err(NotifyError::Channel { channel: self.channel.id.clone(), reason })
            }
        }
    }
}

/// The message that stands for a run, and the event up to which it tells of it.
struct Root {
    message: Value,
    version: Version,
}

/// What is said in the thread about a change.
fn reply(unfolding: &Unfolding<'_>, change: &StateChange, facts: &Facts) -> Option<Value> {
    match &change.detail {
        ChangeDetail::Pipeline(_) => match change.state() {
            ChangedState::Failed => Some(detail(&Detail::Failed(&facts.failures))),
            ChangedState::Succeeded
            | ChangedState::Stopped
            | ChangedState::Canceled
            | ChangedState::Superseded => Some(detail(&Detail::Ended(facts))),
            ChangedState::Started
            | ChangedState::Stopping
            | ChangedState::Resumed
            | ChangedState::Abandoned
            | ChangedState::Skipped => None,
        },
        ChangeDetail::Stage(stage) => {
            let status = match change.state() {
                ChangedState::Succeeded => StageStatus::Succeeded,
                ChangedState::Stopped => StageStatus::Stopped,
                ChangedState::Canceled => StageStatus::Cancelled,
                ChangedState::Skipped => StageStatus::Skipped,
                ChangedState::Resumed => {
                    return Some(detail(&Detail::Resumed { stage: stage.stage.as_str() }));
                }
                // A failure is told with the run's, which ends by it.
                ChangedState::Failed
                | ChangedState::Started
                | ChangedState::Stopping
                | ChangedState::Superseded
                | ChangedState::Abandoned => return None,
            };
            let started = unfolding.run.stage(&stage.stage)?.started;
            let took = span(started, change.at);
            Some(detail(&Detail::Stage { stage: stage.stage.as_str(), status, took }))
        }
        ChangeDetail::Action(action) if action.action_type.category == ActionCategory::Approval => {
            if change.state() == ChangedState::Started {
                let mut asked = facts.approvals.iter();
                let asked = asked.find(|asked| asked.action == action.action.as_str())?;
                return Some(detail(&Detail::Asked(asked)));
            }
            let (_, attempt) = unfolding.run.attempt(&action.action_execution_id)?;
            let (approved, by, comment) = facts::answered(attempt)?;
            let place = format!("{}/{}", action.stage, action.action);
            Some(detail(&Detail::Answered { place, approved, by: &by, comment: comment.as_deref() }))
        }
        ChangeDetail::Action(_) => None,
    }
}

/// The mark, and what stands in it.
struct Book<'a, H, M> {
    marks: &'a M,
    home: &'a H,
    key: String,
    channel: &'a str,
    seen: u64,
    note: Note,
}

impl<H: Home, M: Marks> Book<'_, H, M> {
    async fn open(&mut self) -> Result<(), NotifyError> {
        let mark = self.marks.get(&self.key).await?;
        self.seen = mark.as_ref().map_or(0, |mark| mark.version);
        self.note = mark.and_then(|mark| serde_json::from_str(&mark.note).ok()).unwrap_or_default();
        Ok(())
    }

    /// False when somebody else was faster.
    async fn write(&mut self) -> Result<bool, NotifyError> {
        let note = serde_json::to_string(&self.note).map_err(|error| MarksError(error.to_string()))?;
        let expires = Timestamp(self.home.engine().clock().now().0.saturating_add(MARK_KEPT_MS));
        let is_written = self.marks.put(&self.key, self.seen, &note, expires).await?;
        self.seen += u64::from(is_written);
        Ok(is_written)
    }

    /// Writes what was told. Others may have left word meanwhile; that is kept.
    async fn save(&mut self) -> Result<(), NotifyError> {
        for _ in 0..ATTEMPTS_MAX {
            if self.write().await? {
                return Ok(());
            }
            self.take_word().await?;
        }
        Err(NotifyError::TakenOver(self.channel.to_owned()))
    }

    async fn take_word(&mut self) -> Result<(), NotifyError> {
        let own = self.note.clone();
        self.open().await?;
        if self.note.held != own.held {
            return Err(NotifyError::TakenOver(self.channel.to_owned()));
        }
        self.note = Note { word: self.note.word, ..own };
        Ok(())
    }

    /// Writes what was told, and lets others tell. False when they have left word that there is more.
    async fn let_go(&mut self) -> Result<bool, NotifyError> {
        let held = self.note.held.take();
        if self.write().await? {
            return Ok(true);
        }
        self.note.held = held;
        self.take_word().await?;
        Ok(false)
    }

    /// Lets others tell where this one could not. If that cannot be written either, its time runs out.
    async fn give_up(&mut self) {
        for _ in 0..ATTEMPTS_MAX {
            let held = self.note.held.take();
            if self.write().await.unwrap_or(true) {
                return;
            }
            self.note.held = held;
            if self.take_word().await.is_err() {
                return;
            }
        }
    }
}
