//! What nobody was told to do: after a crash everything under way is taken up again; and where processes come and go,
//! once a minute whatever is due.

use crate::{Home, changes::settle, project::ProjectError};
use domain::{
    Effect,
    command::{Command, Wish},
    react,
    views::{OPEN, OWING, Row, listing::Open},
};
use engine::{
    transact::{Envelope, TransactError},
    views::Views,
};
use events::{ExecutionId, PipelineName, Timestamp};

/// Rows read at a time.
const PAGE_ROWS: usize = 500;
/// Executions that are taken up at the same time by [`sweep`].
const TAKEN_AT_ONCE: usize = 16;
/// Who ends what took too long.
const ACTOR: &str = "towpath:timer";

/// Takes up everything under way, and everything that was about to be, as the views list it; with `only`, what
/// belongs to that pipeline. The views must have caught up with the log. Returns the executions.
pub async fn resume_all<H: Home>(
    home: &H,
    only: Option<&PipelineName>,
) -> Result<Vec<ExecutionId>, ProjectError> {
    let mut resumed = resume_owed(home, only).await?;
    let mut after: Option<String> = None;
    loop {
        let rows = home.views().page(OPEN, after.as_deref(), PAGE_ROWS, false).await?;
        let Some(last) = rows.last() else { return Ok(resumed) };
        after = Some(last.q.clone());
        for row in rows {
            let Ok(id) = ExecutionId::parse(row.q) else { continue };
            if let Some(only) = only {
                let execution = home.engine().execution(&id).await?;
                if execution.start.as_ref().is_none_or(|start| start.pipeline != *only) {
                    continue;
                }
            }
            home.engine().resume(&id).await?;
            resumed.push(id);
        }
    }
}

/// Has the runs started that lanes owe: they do not exist yet, so that no list of executions has them.
async fn resume_owed<H: Home>(
    home: &H,
    only: Option<&PipelineName>,
) -> Result<Vec<ExecutionId>, ProjectError> {
    let mut owed = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let rows = home.views().page(OWING, after.as_deref(), PAGE_ROWS, false).await?;
        let Some(last) = rows.last() else { return Ok(owed) };
        after = Some(last.q.clone());
        for row in rows {
            let Ok(name) = PipelineName::parse(row.q) else { continue };
            if only.is_none_or(|only| *only == name) {
                owed.extend(home.engine().resume_lane(&name).await?);
            }
        }
    }
}

/// Takes up what is due, and does not wait for what comes of it: for a process that does all the work itself, of which
/// some takes hours. What it has in hand is let be. Returns how many executions were taken up.
pub async fn take_up<H: Home>(home: &H) -> Result<usize, ProjectError> {
    let mut taken = resume_owed(home, None).await?.len();
    let now = home.engine().clock().now();
    let mut after: Option<String> = None;
    loop {
        let rows = home.views().page(OPEN, after.as_deref(), PAGE_ROWS, false).await?;
        let Some(last) = rows.last() else { return Ok(taken) };
        after = Some(last.q.clone());
        for id in rows.into_iter().filter_map(|row| due(row, now)) {
            home.engine().resume(&id).await?;
            taken += 1;
        }
    }
}

/// How much one sweep may do.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Rows that are looked at, most.
    pub rows: usize,
    /// When to stop.
    pub until: Timestamp,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Executions under way that were looked at.
    pub open: usize,
    /// Of these, executions that were taken up.
    pub taken: usize,
    /// Attempts and rules whose time was over.
    pub expired: usize,
    /// Executions that were started because a lane owed them.
    pub owed: usize,
    /// Executions that could not be looked after.
    pub failed: usize,
    /// Rows were left for the next sweep, which begins elsewhere.
    pub is_cut: bool,
}

/// Takes up what is due: deadlines that passed, begun work whose provider is to be asked, work that nobody took,
/// word that may have been lost. What fails is left for the next minute, and holds up nothing else.
pub async fn sweep<H: Home>(home: &H, bounds: Bounds) -> Result<Swept, ProjectError> {
    let mut swept = Swept { owed: resume_owed(home, None).await?.len(), ..Swept::default() };
    settle(home).await;
    let start = beginning(home.engine().clock().now());
    // From somewhere to the end, then from the beginning to there: whoever cannot go round in one minute gets to
    // everybody in some.
    let mut after = Some(start.clone());
    let mut is_second = false;
    loop {
        let left = bounds.rows.saturating_sub(swept.open);
        if left == 0 || home.engine().clock().now() >= bounds.until {
            swept.is_cut = true;
            break;
        }
        let page = home.views().page(OPEN, after.as_deref(), left.min(PAGE_ROWS), false).await?;
        let is_end = page.is_empty();
        let rows: Vec<Row> = page.into_iter().take_while(|row| !is_second || row.q <= start).collect();
        match rows.last() {
            Some(last) => after = Some(last.q.clone()),
            None if is_second || !is_end => break,
            None => {
                (after, is_second) = (None, true);
                continue;
            }
        }
        if !take(home, rows, bounds.until, &mut swept).await {
            swept.is_cut = true;
            break;
        }
    }
    Ok(swept)
}

/// Where a sweep begins among ids, another place each minute. Ids are spread evenly, and so are these.
fn beginning(now: Timestamp) -> String {
    let minute = u32::try_from(now.0.max(0) / 60_000 % i64::from(u32::MAX)).unwrap_or(0);
    format!("{:08x}", minute.wrapping_mul(0x9e37_79b1))
}

/// Takes up the rows that are due; false when the time is over.
async fn take<H: Home>(home: &H, rows: Vec<Row>, until: Timestamp, swept: &mut Swept) -> bool {
    let now = home.engine().clock().now();
    swept.open += rows.len();
    let due: Vec<ExecutionId> = rows.into_iter().filter_map(|row| due(row, now)).collect();
    for some in due.chunks(TAKEN_AT_ONCE) {
        if home.engine().clock().now() >= until {
            return false;
        }
        for id in some {
            match look_after(home, id, now).await {
                Ok(expired) => {
                    swept.taken += 1;
                    swept.expired += expired;
                }
                Err(error) => {
                    swept.failed += 1;
                    tracing::error!(execution = %id, %error, "an execution could not be looked after");
                }
            }
        }
        settle(home).await;
    }
    true
}

/// The execution of a row, if it is due. A row that cannot be read is: its execution's stream says what there is.
fn due(row: Row, now: Timestamp) -> Option<ExecutionId> {
    let open: Option<Open> = row.body.as_deref().and_then(|body| serde_json::from_str(body).ok());
    if open.is_some_and(|open| !open.is_due(now)) {
        return None;
    }
    ExecutionId::parse(row.q).ok()
}

/// Ends what took too long, and takes up the rest. Returns how much took too long.
async fn look_after<H: Home>(home: &H, id: &ExecutionId, now: Timestamp) -> Result<usize, TransactError> {
    let engine = home.engine();
    let expired = {
        let state = engine.execution(id).await?;
        over(react::resume(id, &state), now)
    };
    for command in &expired {
        tracing::info!(
            pipeline = %command.pipeline,
            execution = %id,
            command = command.name(),
            "its time is over"
        );
        let envelope = Envelope {
            id: engine.fresh_command_id(),
            actor: ACTOR.to_owned(),
            command: command.clone(),
            once: None,
        };
        match engine.transact(envelope).await {
            Ok(_) => {}
            // Ended meanwhile, or deleted.
            Err(TransactError::Rejected(rejection)) => {
                tracing::debug!(execution = %id, %rejection, "a deadline was refused");
            }
            Err(error) => return Err(error),
        }
    }
    engine.resume(id).await?;
    tracing::debug!(execution = %id, expired = expired.len(), "looked after");
    Ok(expired.len())
}

/// The commands of timers whose time has come.
fn over(effects: Vec<Effect>, now: Timestamp) -> Vec<Command> {
    let commands = effects.into_iter().filter_map(|effect| match effect {
        Effect::SetTimer { pipeline, execution, attempt, at } if at <= now => {
            let wish = Wish::ExpireAction { attempt };
            Some(Command { pipeline, execution: Some(execution), wish })
        }
        Effect::SetRuleTimer { pipeline, execution, attempt, at } if at <= now => {
            let wish = Wish::ExpireRule { attempt };
            Some(Command { pipeline, execution: Some(execution), wish })
        }
        Effect::SetTimer { .. }
        | Effect::SetRuleTimer { .. }
        | Effect::RunAction { .. }
        | Effect::CancelAction { .. }
        | Effect::ClearTimer { .. }
        | Effect::RunRule { .. }
        | Effect::CancelRule { .. }
        | Effect::ClearRuleTimer { .. }
        | Effect::StartRollback { .. }
        | Effect::Tell(_) => None,
    });
    commands.collect()
}
