//! Which changes of state people want to hear of, and what they are told. Pure. See
//! `spec/events-and-notifications.md`, section 5.

pub mod facts;
pub mod slack;

use crate::{
    state_change::{Course, StateChange},
    trigger::Glob,
};
use events::{
    ActionCategory, ExecutionId, StageName,
    outbound::{ChangeDetail, ChangedState},
};
use std::collections::BTreeSet;

/// Rules of one channel, most.
pub const RULES_MAX: usize = 50;
/// Patterns of one rule, most, of pipelines and of stages each.
const PATTERNS_MAX: usize = 50;

/// What may be worth a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It started.
    Started,
    /// It succeeded, as it did the time before.
    Succeeded,
    /// It failed.
    Failed,
    /// It succeeded after it had failed.
    Fixed,
    /// Somebody had it stopped.
    Stopped,
    /// Its pipeline was changed or deleted meanwhile.
    Canceled,
    /// A newer run took its place.
    Superseded,
    /// Somebody had it tried again.
    Resumed,
    /// It waits for somebody to approve it.
    Approval,
}

/// Every outcome, with its word in settings.
pub const OUTCOMES: [(&str, Outcome); 9] = [
    ("started", Outcome::Started),
    ("succeeded", Outcome::Succeeded),
    ("failed", Outcome::Failed),
    ("fixed", Outcome::Fixed),
    ("stopped", Outcome::Stopped),
    ("canceled", Outcome::Canceled),
    ("superseded", Outcome::Superseded),
    ("resumed", Outcome::Resumed),
    ("approval", Outcome::Approval),
];

impl Outcome {
    /// Its word in settings.
    pub fn as_str(self) -> &'static str {
        OUTCOMES.into_iter().find(|(_, outcome)| *outcome == self).map_or("", |(word, _)| word)
    }
}

/// Which changes a channel hears of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pipelines: Vec<Glob>,
    stages: Vec<Glob>,
    outcomes: BTreeSet<Outcome>,
}

/// A rule that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {message}")]
pub struct BadRule {
    /// `pipelines`, `stages` or `outcomes`.
    pub key: &'static str,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Rule {
    /// Reads a rule. Without pipelines it is for all of them. With stages it is about these stages rather than about
    /// whole runs. Without outcomes it is for failures and recoveries.
    pub fn parse<T: AsRef<str>>(pipelines: &[T], stages: &[T], outcomes: &[T]) -> Result<Self, BadRule> {
        let bad = |key, message: String| BadRule { key, message };
        let globs = |key, patterns: &[T]| {
            if patterns.len() > PATTERNS_MAX {
                return Err(bad(key, format!("must have at most {PATTERNS_MAX} patterns")));
            }
            let parse = |pattern: &T| {
                let pattern = pattern.as_ref();
                Glob::parse(pattern).map_err(|error| bad(key, format!("`{pattern}`: {}", error.0)))
            };
            patterns.iter().map(parse).collect::<Result<Vec<_>, _>>()
        };
        let word = |word: &T| {
            let word = word.as_ref();
            let known = OUTCOMES.into_iter().find(|(known, _)| *known == word).map(|(_, outcome)| outcome);
            known.ok_or_else(|| {
                let words: Vec<_> = OUTCOMES.iter().map(|(word, _)| *word).collect();
                bad("outcomes", format!("there is no outcome `{word}`; known are: `{}`", words.join("`, `")))
            })
        };
        let mut chosen = outcomes.iter().map(word).collect::<Result<BTreeSet<_>, _>>()?;
        if chosen.is_empty() {
            chosen = BTreeSet::from([Outcome::Failed, Outcome::Fixed]);
        }
        Ok(Self {
            pipelines: globs("pipelines", pipelines)?,
            stages: globs("stages", stages)?,
            outcomes: chosen,
        })
    }

    /// A rule for failures and recoveries of every pipeline.
    pub fn failures() -> Self {
        let outcomes = BTreeSet::from([Outcome::Failed, Outcome::Fixed]);
        Self { pipelines: Vec::new(), stages: Vec::new(), outcomes }
    }

    /// The rule may be for this pipeline.
    pub fn is_for(&self, pipeline: &str) -> bool {
        self.pipelines.is_empty() || self.pipelines.iter().any(|glob| glob.matches(pipeline))
    }

    fn is_for_stage(&self, stage: Option<&StageName>) -> bool {
        let named = |stage: &StageName| self.stages.iter().any(|glob| glob.matches(stage.as_str()));
        self.stages.is_empty() || stage.is_some_and(named)
    }

    /// What a change means to whoever made the rule; `None` when they do not want to hear of it. `course` is that after
    /// the change.
    pub fn wants(&self, change: &StateChange, course: &Course, past: &Past) -> Option<Outcome> {
        if !self.is_for(change.pipeline.as_str()) {
            return None;
        }
        let outcome = match &change.detail {
            ChangeDetail::Pipeline(_) => self.of_run(change.state(), course, past),
            ChangeDetail::Stage(stage) => self.of_stage(change.state(), &stage.stage),
            ChangeDetail::Action(action) => {
                let asks = action.action_type.category == ActionCategory::Approval
                    && change.state() == ChangedState::Started;
                asks.then_some(Outcome::Approval).filter(|_| self.is_for_stage(Some(&action.stage)))
            }
        };
        outcome.filter(|outcome| self.outcomes.contains(outcome))
    }

    fn of_run(&self, state: ChangedState, course: &Course, past: &Past) -> Option<Outcome> {
        let stage = course.stage();
        let here = self.is_for_stage(stage);
        match state {
            // Where stages are named it is their own start and success that count.
            ChangedState::Started => Some(Outcome::Started).filter(|_| self.stages.is_empty()),
            ChangedState::Succeeded if past.is_fixed() => {
                Some(Outcome::Fixed).filter(|_| self.is_for_stage(past.failed_in.as_ref()))
            }
            ChangedState::Succeeded => Some(Outcome::Succeeded).filter(|_| self.stages.is_empty()),
            ChangedState::Failed => Some(Outcome::Failed).filter(|_| here),
            ChangedState::Stopped => Some(Outcome::Stopped).filter(|_| here),
            ChangedState::Canceled => Some(Outcome::Canceled).filter(|_| here),
            ChangedState::Superseded => Some(Outcome::Superseded).filter(|_| here),
            ChangedState::Resumed => Some(Outcome::Resumed).filter(|_| here),
            ChangedState::Stopping | ChangedState::Abandoned | ChangedState::Skipped => None,
        }
    }

    fn of_stage(&self, state: ChangedState, stage: &StageName) -> Option<Outcome> {
        let named = !self.stages.is_empty() && self.is_for_stage(Some(stage));
        match state {
            ChangedState::Started => Some(Outcome::Started).filter(|_| named),
            ChangedState::Succeeded => Some(Outcome::Succeeded).filter(|_| named),
            // Told with the whole run, which ends by it.
            ChangedState::Failed
            | ChangedState::Stopped
            | ChangedState::Canceled
            | ChangedState::Resumed
            | ChangedState::Stopping
            | ChangedState::Superseded
            | ChangedState::Abandoned
            | ChangedState::Skipped => None,
        }
    }
}

/// What was before, as far as it makes a success a recovery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// The run itself failed and was tried again.
    pub failed_before: bool,
    /// The run of the pipeline that finished last before this one failed.
    pub previous_failed: Option<ExecutionId>,
    /// Where the failure was, of this run or else of the one before.
    pub failed_in: Option<StageName>,
}

impl Past {
    /// A success now is a recovery.
    pub fn is_fixed(&self) -> bool {
        self.failed_before || self.previous_failed.is_some()
    }
}
