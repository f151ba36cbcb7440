//! Telling the world with the commits in hand, as a change stream gives them: each in order, and again after a failure.
//! Then nothing has to be noted where all goes well; a mark is left where something did not, and whoever comes next goes
//! on from there.

use super::{Outlets, Place, PublishError, Published, Told, course, key, mark, publish};
use crate::Home;
use domain::{pipeline::PipelineDeclaration, state_change::Course};
use engine::{
    log::Commit,
    ports::{Bus, Marks, Topics},
};
use events::{ExecutionId, Version};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Executions that are remembered, most. What is forgotten is folded from the log again.
const COURSES_MAX: usize = 64;

/// How far this process told the world of executions: what spares it a look at the marks and at the log.
#[derive(Default)]
pub struct Courses(Mutex<BTreeMap<ExecutionId, Known>>);

#[derive(Clone)]
struct Known {
    /// Everything up to here has been told.
    version: Version,
    /// The fold of that.
    course: Course,
    /// What the run follows, once it was needed.
    definition: Option<Arc<PipelineDeclaration>>,
}

impl Courses {
    fn take(&self, execution: &ExecutionId) -> Option<Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(execution)
    }

    fn keep(&self, execution: &ExecutionId, known: Known) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.len() >= COURSES_MAX {
            kept.pop_first();
        }
        kept.insert(execution.clone(), known);
    }
}

/// Tells the world what these commits of an execution say, which follow each other. What this process told already is
/// not told again; where something was not told before, that comes first.
pub async fn publish_fresh<H, B, T, M>(
    home: &H,
    outlets: &Outlets<B, T, M>,
    courses: &Courses,
    execution: &ExecutionId,
    commits: &[&Commit],
) -> Result<Published, PublishError>
where
    H: Home,
    B: Bus,
    T: Topics,
    M: Marks,
{
    let Some(first) = commits.first().map(|commit| commit.first) else { return Ok(Published::default()) };
    let known = match courses.take(execution).filter(|known| known.version.next() >= first) {
        Some(known) => known,
        // Somebody told of what came before, and left a mark if that did not go well.
        None if outlets.marks.get(&key(execution)).await?.is_some() => {
            return publish(home, outlets, execution, first).await;
        }
        None => {
            let before = Version(first.0.saturating_sub(1));
            match course(home, execution, before).await? {
                Some((version, course)) if version == before => Known { version, course, definition: None },
                _ => return publish(home, outlets, execution, first).await,
            }
        }
    };
    let fresh: Vec<&Commit> =
        commits.iter().copied().filter(|commit| commit.last() > known.version).collect();
    if !follows(known.version, &fresh) {
        return publish(home, outlets, execution, known.version.next()).await;
    }
    let mut next = known.clone();
    let mut published = Published::default();
    let Known { course, definition, .. } = &mut next;
    let told = match Told::of(home, outlets, execution, course, definition, &fresh).await {
        Ok(told) => told.publish(outlets, &mut published).await,
        Err(error) => Err(error.into()),
    };
    match told {
        Ok(()) => {
            next.version = fresh.last().map_or(known.version, |commit| commit.last());
            courses.keep(execution, next);
            Ok(published)
        }
        Err(error) => {
            let place = Place { version: known.version, course: known.course, seen: 0 };
            if let Err(unmarked) = mark(home, &*outlets.marks, &key(execution), &place).await {
                // The records come again all the same.
                tracing::warn!(%execution, error = %unmarked, "it was not noted how far was told");
            }
            Err(error)
        }
    }
}

/// Whether commits go on from a version without a gap.
fn follows(version: Version, commits: &[&Commit]) -> bool {
    let mut next = version.next();
    commits.iter().all(|commit| {
        let is_next = commit.first == next;
        next = commit.last().next();
        is_next
    })
}
