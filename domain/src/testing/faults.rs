//! Defects that can be switched on, one at a time and for one thread: whoever watches over the rules must notice each.
//! Outside of tests the switches do not exist.

use std::cell::Cell;

/// A defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each says what is wrong; `story` says it in words")]
pub enum Fault {
    StageNotReleased,
    NobodyLetIn,
    TwoInAStage,
    ClosedDoorIgnored,
    QueueJumped,
    SupersededForgotten,
    OlderPassesNewer,
    EntryRepeated,
    FenceIgnored,
    ResultTwice,
    RetriedForEver,
    StopUnheard,
    TokenUnchecked,
    ExpiryIgnored,
    PlaceReused,
    JobTakenTwice,
    DeletionUnnoticed,
    ActionNotAskedFor,
    RuleNotAskedFor,
    NobodyTold,
    WorkNotCalledOff,
    BegunUnheard,
    RollbackNotAskedFor,
    ActionNotResumed,
    TimerNotResumed,
    SettleNotResumed,
    RollbackNotResumed,
    OpenRowKept,
    TimeRunsBack,
    EffectsTooEarly,
    AnswerTooEarly,
    ReadsUnchecked,
    ConflictTakenForSuccess,
    StaleStateKept,
    LostAnswerForgotten,
    BegunTwice,
    TokenForgotten,
    SnapshotOfBefore,
    StaleReader,
    ProgressForgotten,
    ToldTooEarly,
}

/// Every defect.
pub const FAULTS: &[Fault] = &[
    Fault::StageNotReleased,
    Fault::NobodyLetIn,
    Fault::TwoInAStage,
    Fault::ClosedDoorIgnored,
    Fault::QueueJumped,
    Fault::SupersededForgotten,
    Fault::OlderPassesNewer,
    Fault::EntryRepeated,
    Fault::FenceIgnored,
    Fault::ResultTwice,
    Fault::RetriedForEver,
    Fault::StopUnheard,
    Fault::TokenUnchecked,
    Fault::ExpiryIgnored,
    Fault::PlaceReused,
    Fault::JobTakenTwice,
    Fault::DeletionUnnoticed,
    Fault::ActionNotAskedFor,
    Fault::RuleNotAskedFor,
    Fault::NobodyTold,
    Fault::WorkNotCalledOff,
    Fault::BegunUnheard,
    Fault::RollbackNotAskedFor,
    Fault::ActionNotResumed,
    Fault::TimerNotResumed,
    Fault::SettleNotResumed,
    Fault::RollbackNotResumed,
    Fault::OpenRowKept,
    Fault::TimeRunsBack,
    Fault::EffectsTooEarly,
    Fault::AnswerTooEarly,
    Fault::ReadsUnchecked,
    Fault::ConflictTakenForSuccess,
    Fault::StaleStateKept,
    Fault::LostAnswerForgotten,
    Fault::BegunTwice,
    Fault::TokenForgotten,
    Fault::SnapshotOfBefore,
    Fault::StaleReader,
    Fault::ProgressForgotten,
    Fault::ToldTooEarly,
];

impl Fault {
    /// What is wrong, in words.
    pub fn story(self) -> &'static str {
        match self {
            Self::StageNotReleased => "a stage is not released when its run leaves it",
            Self::NobodyLetIn => "nobody is let in when a stage becomes free",
            Self::TwoInAStage => "a stage that is held counts as free",
            Self::ClosedDoorIgnored => "a closed door counts as open",
            Self::QueueJumped => "the last in line is let in first",
            Self::SupersededForgotten => "the lane forgets whom it has superseded",
            Self::OlderPassesNewer => "an older run may follow a newer one where order matters",
            Self::EntryRepeated => "two admissions have the same number",
            Self::FenceIgnored => "a result of an attempt that was given up counts",
            Self::ResultTwice => "a second result of an attempt counts too",
            Self::RetriedForEver => "a stage is retried of its own accord more than once",
            Self::StopUnheard => "a run that was asked to stop goes on",
            Self::TokenUnchecked => "an approval takes any token",
            Self::ExpiryIgnored => "an attempt whose time is up goes on",
            Self::PlaceReused => "a second attempt writes to the place of the first",
            Self::JobTakenTwice => "a job is given to a second worker",
            Self::DeletionUnnoticed => "a run of a deleted pipeline goes on",
            Self::ActionNotAskedFor => "an action that was started is not asked for",
            Self::RuleNotAskedFor => "a rule that was started is not asked for",
            Self::NobodyTold => "who was let in is not told",
            Self::WorkNotCalledOff => "work at an attempt that was given up is not called off",
            Self::BegunUnheard => {
                "work that turns out to have begun after its attempt was given up is not called off"
            }
            Self::RollbackNotAskedFor => "a rollback that is owed is not asked for",
            Self::ActionNotResumed => "running actions are not taken up again",
            Self::TimerNotResumed => "timers are not set again",
            Self::SettleNotResumed => "runs are not brought in line with their lane again",
            Self::RollbackNotResumed => "rollbacks that are owed are not taken up again",
            Self::OpenRowKept => "a run that has ended stays listed as under way",
            Self::TimeRunsBack => "recorded time follows the clock alone",
            Self::EffectsTooEarly => "effects are carried out before the append is answered",
            Self::AnswerTooEarly => "callers are answered before the append is durable",
            Self::ReadsUnchecked => "streams that were only read are not checked",
            Self::ConflictTakenForSuccess => "a conflict is taken for success",
            Self::StaleStateKept => "a state that a conflict proved old is kept",
            Self::LostAnswerForgotten => "an append whose answer was lost is forgotten",
            Self::BegunTwice => "work that is under way here is begun again by a sweep",
            Self::TokenForgotten => "a token does not make a start happen once",
            Self::SnapshotOfBefore => "a snapshot is taken before its commit's last event",
            Self::StaleReader => "a reader is content with what its process knows",
            Self::ProgressForgotten => "that a provider has begun is not noted",
            Self::ToldTooEarly => "what a bus did not take counts as told",
        }
    }
}

thread_local! {
    static ACTIVE: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// From now on this thread lives with a defect, or without any.
pub fn set(fault: Option<Fault>) {
    ACTIVE.set(fault);
}

/// The defect this thread lives with.
pub fn active() -> Option<Fault> {
    ACTIVE.get()
}

/// This thread lives with that defect.
pub fn is(fault: Fault) -> bool {
    ACTIVE.get() == Some(fault)
}
