//! What a crash left behind: every execution under way is taken up again.

use crate::{Home, project::ProjectError};
use domain::views::{OPEN, OWING};
use engine::views::Views;
use events::{ExecutionId, PipelineName};

/// Rows read at a time.
const PAGE_ROWS: usize = 500;

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
