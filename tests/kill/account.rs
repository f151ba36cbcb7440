//! What the log and the marks of the actions tell together.

use domain::execution::ExecutionStatus;
use engine::log::Position;
use events::{ExecutionEvent, StreamKind};
use local::{lock::FolderLock, log::SqliteLog};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Commits read at a time.
const PAGE: usize = 1_000;

/// The counts.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Executions in the log.
    pub(crate) started: usize,
    /// Those that succeeded.
    pub(crate) finished: usize,
    /// Those that did not.
    pub(crate) lost: usize,
    /// Actions with a result.
    pub(crate) actions: usize,
    /// Times that an action was begun again, as it must be when it had no result yet.
    pub(crate) begun_again: usize,
    /// Times that an action was begun after its result had been recorded.
    pub(crate) run_again: usize,
    /// The ids of all executions.
    pub(crate) known: BTreeSet<String>,
    /// Whatever else does not fit together.
    pub(crate) wrong: Vec<String>,
}

/// An action of an execution, and when it was begun or done, milliseconds since 1970.
type Times = BTreeMap<(String, String), Vec<i64>>;

/// Puts a state folder that nobody uses any more, and the marks that actions left, side by side.
pub(crate) fn of(state: &Path, marks: &str) -> Account {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let lock = FolderLock::acquire(state, "the test").unwrap();
        let log = SqliteLog::open(&lock).unwrap();
        let account = account(&log, marks).await;
        let damages = log.verify_all(|_, _| {}).await.unwrap().damages;
        assert!(damages.is_empty(), "{damages:?}");
        log.close().await;
        account
    })
}

async fn account(log: &SqliteLog, marks: &str) -> Account {
    let mut account = Account::default();
    let mut ends: BTreeMap<String, ExecutionStatus> = BTreeMap::new();
    let mut recorded = Times::new();
    let mut at = Position::default();
    loop {
        let commits = log.follow(at, PAGE).await.unwrap();
        let Some((last, _)) = commits.last() else { break };
        at = *last;
        for (_, commit) in &commits {
            let Ok(StreamKind::Execution(id)) = commit.stream.kind() else { continue };
            for stored in commit.events.iter() {
                let event = stored.parse::<ExecutionEvent>().unwrap();
                note(&event, id.as_str(), commit.time.0, &mut ends, &mut recorded);
            }
        }
    }
    account.started = ends.len();
    account.finished = ends.values().filter(|status| **status == ExecutionStatus::Succeeded).count();
    account.lost = account.started - account.finished;
    account.known = ends.keys().cloned().collect();
    account.actions = recorded.len();
    for (key, times) in &recorded {
        if times.len() != 1 {
            account.wrong.push(format!("{key:?} has {} results", times.len()));
        }
    }
    let (begun, done) = (marked(marks, "begin"), marked(marks, "end"));
    for (key, times) in &begun {
        let Some(result) = recorded.get(key).map(|times| times[0]) else {
            account.wrong.push(format!("{key:?} was begun and has no result"));
            continue;
        };
        account.run_again += times.iter().filter(|begun| **begun > result).count();
        account.begun_again += times.len() - 1;
        if done.get(key).is_none_or(|times| times.iter().all(|done| *done > result)) {
            account.wrong.push(format!("{key:?} has a result and was not done"));
        }
    }
    account
}

fn note(
    event: &ExecutionEvent,
    id: &str,
    time: i64,
    ends: &mut BTreeMap<String, ExecutionStatus>,
    recorded: &mut Times,
) {
    match event {
        ExecutionEvent::ExecutionStarted(_) => {
            ends.insert(id.to_owned(), ExecutionStatus::InProgress);
        }
        ExecutionEvent::ExecutionSucceeded(_) => {
            ends.insert(id.to_owned(), ExecutionStatus::Succeeded);
        }
        ExecutionEvent::ActionSucceeded(succeeded) => {
            recorded.entry((id.to_owned(), succeeded.action.to_string())).or_default().push(time);
        }
        ExecutionEvent::ActionFailed(failed) => {
            recorded.entry((id.to_owned(), failed.action.to_string())).or_default().push(time);
        }
        ExecutionEvent::StageStarted(_)
        | ExecutionEvent::StageRetried(_)
        | ExecutionEvent::ActionStarted(_)
        | ExecutionEvent::ConditionStarted(_)
        | ExecutionEvent::ConditionEnded(_)
        | ExecutionEvent::ConditionOverridden(_)
        | ExecutionEvent::RuleStarted(_)
        | ExecutionEvent::RuleSucceeded(_)
        | ExecutionEvent::RuleFailed(_)
        | ExecutionEvent::RuleAbandoned(_)
        | ExecutionEvent::RuleResultIgnored(_)
        | ExecutionEvent::StageSkipped(_)
        | ExecutionEvent::ActionAbandoned(_)
        | ExecutionEvent::ResultIgnored(_)
        | ExecutionEvent::JobQueued(_)
        | ExecutionEvent::JobDispatched(_)
        | ExecutionEvent::JobAcknowledged(_)
        | ExecutionEvent::JobContinued(_)
        | ExecutionEvent::ActionProgressed(_)
        | ExecutionEvent::RuleProgressed(_)
        | ExecutionEvent::StageSucceeded(_)
        | ExecutionEvent::StageFailed(_)
        | ExecutionEvent::StageStopped(_)
        | ExecutionEvent::StageCancelled(_)
        | ExecutionEvent::StopRequested(_)
        | ExecutionEvent::ExecutionFailed(_)
        | ExecutionEvent::ExecutionStopped(_)
        | ExecutionEvent::ExecutionCancelled(_)
        | ExecutionEvent::ExecutionSuperseded(_) => {}
    }
}

/// The times of one kind of mark: lines of kind, execution, action and time.
fn marked(marks: &str, kind: &str) -> Times {
    let mut times = Times::new();
    for line in marks.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if let [found, run, action, time] = words[..]
            && found == kind
        {
            times.entry((run.to_owned(), action.to_owned())).or_default().push(time.parse().unwrap());
        }
    }
    times
}
