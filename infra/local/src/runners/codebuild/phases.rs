//! The phases of a build and the ways between them (`spec/buildspec-and-appspec.md`, A3).

use super::{
    Broken, Phase, State, Voice,
    buildspec::{self, Buildspec, OnFailure, PhaseName},
    shell::{Session, Step},
    workspace::Workspace,
};
use crate::process::{End, Ended, StartError};
use engine::action::FailureCode;
use rustix::process::geteuid;
use std::fs;
use tokio::time::Instant;

/// What a build knows when its phases begin.
pub(super) struct Frame<'a> {
    pub(super) spec: &'a Buildspec,
    pub(super) voice: &'a Voice,
    pub(super) workspace: &'a Workspace,
    pub(super) deadline: Instant,
    /// Runs before this one.
    pub(super) attempt: u32,
    /// Whether something after the last command needs the variables it leaves.
    pub(super) needs_state: bool,
    pub(super) ignore_run_as: bool,
}

/// How the phases went.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// The first failure.
    pub(super) failure: Option<Broken>,
    /// Whether artifacts are to be tried.
    pub(super) uploads: bool,
    /// Whether POST_BUILD was reached: reports and exported variables are of that moment.
    pub(super) reached_post_build: bool,
    /// Everything is to be done again, from a fresh checkout.
    pub(super) again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Phase,
    Finalizing,
    Again,
}

/// Runs the phases.
pub(super) async fn run(frame: &Frame<'_>, session: &mut Session) -> Course {
    let mut course = Course::default();
    let last = last_list(frame.spec);
    for (index, name) in PhaseName::ALL.into_iter().enumerate() {
        course.reached_post_build |= name == PhaseName::PostBuild;
        let phase = frame.spec.phases[index].as_ref();
        frame.voice.say(&format!("Entering phase {name}"));
        let result = match phase {
            Some(phase) => one(frame, session, name, phase, last).await,
            None => Ok(()),
        };
        frame.voice.phase_complete(Phase::Commands(name), result.as_ref().err());
        let Err(broken) = result else { continue };
        session.succeeding = false;
        let on_failure = phase.map_or(&OnFailure::Unset, |phase| &phase.on_failure);
        let next = match broken.state {
            State::Failed => after_failure(frame, name, on_failure, &broken),
            State::TimedOut | State::Stopped => Next::Finalizing,
        };
        course.failure.get_or_insert(broken);
        match next {
            Next::Phase => {}
            Next::Finalizing => return course,
            Next::Again => return Course { again: true, ..course },
        }
    }
    course.uploads = true;
    course
}

fn after_failure(frame: &Frame<'_>, name: PhaseName, on_failure: &OnFailure, broken: &Broken) -> Next {
    let usual = match name {
        PhaseName::Install | PhaseName::PreBuild => Next::Finalizing,
        PhaseName::Build | PhaseName::PostBuild => Next::Phase,
    };
    match on_failure {
        OnFailure::Unset => usual,
        OnFailure::Abort => Next::Finalizing,
        OnFailure::Continue => Next::Phase,
        OnFailure::Retry { times, matching } => {
            let text = || format!("{}\n{}", broken.message, frame.voice.log.tail_text());
            let wanted = matching.as_ref().is_none_or(|regex| regex.is_match(text().as_str()));
            if wanted && frame.attempt < *times { Next::Again } else { usual }
        }
    }
}

/// The last list of commands: the state after its last command matters only to what follows the phases.
fn last_list(spec: &Buildspec) -> Option<(PhaseName, bool)> {
    PhaseName::ALL.into_iter().zip(&spec.phases).rev().find_map(|(name, phase)| {
        let phase = phase.as_ref()?;
        match (phase.finally.is_empty(), phase.commands.is_empty()) {
            (false, _) => Some((name, true)),
            (true, false) => Some((name, false)),
            (true, true) => None,
        }
    })
}

async fn one(
    frame: &Frame<'_>,
    session: &mut Session,
    name: PhaseName,
    phase: &buildspec::Phase,
    last: Option<(PhaseName, bool)>,
) -> Result<(), Broken> {
    for (runtime, version) in &phase.runtimes {
        frame.voice.say(&format!(
            "runtime-versions asks for {runtime} {version}: nothing is installed on this machine, what \
             `PATH` has is used"
        ));
    }
    let user = user_of(frame, name, phase)?;
    let mut result = Ok(());
    for (list, is_finally) in [(&phase.commands, false), (&phase.finally, true)] {
        for (index, text) in list.iter().enumerate() {
            let is_last = last == Some((name, is_finally)) && index + 1 == list.len();
            let step = Step { text, save: frame.needs_state || !is_last, user, deadline: frame.deadline };
            frame.voice.say(&format!("Running command {}", text.trim_end_matches('\n')));
            let Err(broken) = verdict(name, text, session.run(&step).await) else { continue };
            frame.voice.say(&format!("Command did not succeed: {}", broken.message));
            session.succeeding = false;
            if broken.state != State::Failed {
                return Err(broken);
            }
            result = result.and(Err(broken));
            break;
        }
    }
    result
}

fn verdict(name: PhaseName, text: &str, ended: Result<Ended, StartError>) -> Result<(), Broken> {
    let broken = |state: State, reason: String| {
        let message =
            format!("Error while executing command: {}. Reason: {reason}", super::short(text.trim()));
        let phase = Phase::Commands(name);
        Broken { state, ..Broken::new(phase, "COMMAND_EXECUTION_ERROR", FailureCode::JobFailed, message) }
    };
    match ended.map(|ended| ended.end) {
        Ok(End::Exited(0)) => Ok(()),
        Ok(End::Exited(status)) => Err(broken(State::Failed, format!("exit status {status}"))),
        Ok(End::TimedOut) => Err(broken(State::TimedOut, "it was stopped at the end of its time".to_owned())),
        Ok(End::Cancelled) => Err(broken(State::Stopped, "it was stopped on request".to_owned())),
        Err(error) => Err(broken(State::Failed, error.to_string())),
    }
}

/// The user and group to run a phase as, when that is not whom we already are.
fn user_of(
    frame: &Frame<'_>,
    name: PhaseName,
    phase: &buildspec::Phase,
) -> Result<Option<(u32, u32)>, Broken> {
    let Some(wanted) = phase.run_as.as_ref().or(frame.spec.run_as.as_ref()) else { return Ok(None) };
    let refused = |message: String| {
        Broken::new(Phase::Commands(name), "CLIENT_ERROR", FailureCode::ConfigurationError, message)
    };
    let found = look_up(wanted);
    if found.is_some_and(|(user, _)| user == geteuid().as_raw()) {
        return Ok(None);
    }
    if frame.ignore_run_as {
        frame.voice.say(&format!("run-as `{wanted}` is ignored, as towpath.toml says"));
        return Ok(None);
    }
    let ids =
        found.ok_or_else(|| refused(format!("`run-as` names `{wanted}`: there is no such user here")))?;
    if !geteuid().is_root() {
        return Err(refused(format!(
            "`run-as` names `{wanted}`, and only root may run commands as another user: set `ignore-run-as \
             = true` for the project in towpath.toml"
        )));
    }
    frame
        .workspace
        .give_to(ids)
        .map_err(|error| refused(format!("the workspace cannot be given to `{wanted}`: {error}")))?;
    Ok(Some(ids))
}

fn look_up(user: &str) -> Option<(u32, u32)> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(user))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
