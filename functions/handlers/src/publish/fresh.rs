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
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Executions that are remembered, most. What is forgotten is folded from the log again.
const COURSES_MAX: usize = 64;

/// How far this process told the world of executions: what spares it a look at the marks and at the log, and what it owes
/// where it could not leave a mark.
#[derive(Default)]
pub struct Courses(Mutex<BTreeMap<ExecutionId, How>>);

#[derive(Clone)]
enum How {
    /// Everything has been told up to a version.
    Told(Box<Known>),
    /// From this version on, it may be that something was not.
    Owed(Version),
}

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
    fn kept(&self) -> MutexGuard<'_, BTreeMap<ExecutionId, How>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is known of an execution, and owes it from these commits on until they are told.
    fn owe(&self, execution: &ExecutionId, first: Version) -> Option<How> {
        let mut kept = self.kept();
        let how = kept.remove(execution);
        let since = match &how {
            Some(How::Owed(since)) => first.min(*since),
            // What lies between was told by another process, or is marked.
            Some(How::Told(_)) | None => first,
        };
        while kept.len() >= COURSES_MAX {
            kept.pop_first();
        }
        kept.insert(execution.clone(), How::Owed(since));
        how
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
    let how = courses.owe(execution, first);
    let (published, known) = tell_fresh(home, outlets, how, execution, first, commits).await?;
    let mut kept = courses.kept();
    match known {
        Some(known) => drop(kept.insert(execution.clone(), How::Told(Box::new(known)))),
        // There is a mark.
        None => drop(kept.remove(execution)),
    }
    Ok(published)
}

/// Tells the world; gives what is known then, where no mark was left.
async fn tell_fresh<H, B, T, M>(
    home: &H,
    outlets: &Outlets<B, T, M>,
    how: Option<How>,
    execution: &ExecutionId,
    first: Version,
    commits: &[&Commit],
) -> Result<(Published, Option<Known>), PublishError>
where
    H: Home,
    B: Bus,
    T: Topics,
    M: Marks,
{
    let from_log = async |since: Version| Ok((publish(home, outlets, execution, since).await?, None));
    let known = match how {
        Some(How::Told(known)) if known.version.next() >= first => *known,
        Some(How::Owed(since)) => return from_log(since.min(first)).await,
        // Somebody told of what came before, and left a mark if that did not go well.
        Some(How::Told(_)) | None if outlets.marks.get(&key(execution)).await?.is_some() => {
            return from_log(first).await;
        }
        Some(How::Told(_)) | None => {
            let before = Version(first.0.saturating_sub(1));
            match course(home, execution, before).await? {
                Some((version, course)) if version == before => Known { version, course, definition: None },
                _ => return from_log(first).await,
            }
        }
    };
    let fresh: Vec<&Commit> =
        commits.iter().copied().filter(|commit| commit.last() > known.version).collect();
    if !follows(known.version, &fresh) {
        return from_log(known.version.next()).await;
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
            Ok((published, Some(next)))
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
