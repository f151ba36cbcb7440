//! `towpath move switch` and `back`: one side lets go of a pipeline, the other takes it.
//!
//! The order matters. First the side that runs it is closed, then what is still under way behind its transition comes to
//! its end, and only then is the other opened. In between nobody deploys; if anything fails in between, the pipeline
//! stands still and the same command goes on.

use super::{
    HELD,
    side::{Door, Run, Side, Standing},
};
use crate::remote::{self, table, words};
use anyhow::{bail, ensure};
use api::model::GetPipelineInput;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// How often a side that is still at work is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long sources may be fetched while neither side runs the pipeline.
const FETCHING_MAX: Duration = Duration::from_secs(120);

/// Hands several pipelines over, one after the other.
pub async fn all(from: &Side, to: &Side, names: &[String], wait_minutes: u32) -> anyhow::Result<u8> {
    let wait = Duration::from_secs(u64::from(wait_minutes) * 60);
    let mut failed = 0;
    for name in names {
        anstream::println!("{name}: from {} to {}", from.name, to.name);
        if let Err(error) = hand_over(from, to, name, wait).await {
            failed += 1;
            anstream::eprintln!("towpath: {name}: {}", crate::in_words(&error));
        }
    }
    Ok(if failed == 0 { 0 } else { 2 })
}

async fn hand_over(from: &Side, to: &Side, name: &str, wait: Duration) -> anyhow::Result<()> {
    let (old, new) = (from.must_stand(name).await?, to.must_stand(name).await?);
    check(from, to, name, &old, &new).await?;
    let (old_second, new_second) = (old.second_name().to_owned(), new.second_name().to_owned());
    if old.door == Door::Open {
        from.close(name, &old_second, &format!("{HELD}{} runs this pipeline", to.name)).await?;
        anstream::println!("  {}: the transition into {old_second} is closed", from.name);
    }
    let old = idle(from, name, wait).await?;
    let new = fetched(to, name).await?;
    let runs = Runs { old: from.runs(name).await?, new: to.runs(name).await? };
    for (run, verdict) in runs.at_the_new_door(&old, &new) {
        let shown = shown(run);
        match verdict {
            Verdict::Enters => anstream::println!("  {}: {shown} waits, is newer, and enters", to.name),
            Verdict::Done => {
                to.stop(name, &run.id, &format!("{} has done the same", from.name)).await?;
                anstream::println!("  {}: {shown} is stopped: {} has done the same", to.name, from.name);
            }
            Verdict::Older => {
                to.stop(name, &run.id, &format!("{} has done a newer one", from.name)).await?;
                anstream::println!("  {}: {shown} is stopped: {} has done a newer one", to.name, from.name);
            }
        }
    }
    if new.door != Door::Open {
        to.open(name, &new_second).await?;
        anstream::println!("  {}: the transition into {new_second} is open", to.name);
    }
    for (run, is_covered) in runs.at_the_old_door(&old, &new) {
        let shown = shown(run);
        match is_covered {
            true => {
                from.stop(name, &run.id, &format!("{} does it", to.name)).await?;
                anstream::println!("  {}: {shown} waited, and is stopped: {} does it", from.name, to.name);
            }
            false => anstream::println!(
                "  {}: {shown} waits, and {} has not seen its revision: is its trigger set up there? `towpath start {name}` \
                 starts it",
                from.name,
                to.name
            ),
        }
    }
    for (stage, id) in old.waiting_behind() {
        let id = words::short(id);
        anstream::println!(
            "  {}: {id} waits in front of {stage}, and goes on there when that is opened; stop it if it shall not",
            from.name
        );
    }
    anstream::println!("  {} runs {name}; {} holds it", to.name, from.name);
    Ok(())
}

/// What must be so before anything is changed.
async fn check(from: &Side, to: &Side, name: &str, old: &Standing, new: &Standing) -> anyhow::Result<()> {
    for side in [from, to] {
        let answer = side.client.ask(&GetPipelineInput { name: name.to_owned(), version: None }).await?;
        let mode = answer.pipeline.and_then(|pipeline| pipeline.execution_mode);
        ensure!(
            mode.is_none_or(|mode| mode.as_str() != "PARALLEL"),
            "its mode is PARALLEL, where a closed transition is no safe hold: end what starts it on one side, and begin it on \
             the other, by hand"
        );
    }
    ensure!(
        old.second_name() == new.second_name(),
        "the second stage is `{}` at {} and `{}` at {}: the definitions have come apart; bring them together first",
        old.second_name(),
        from.name,
        new.second_name(),
        to.name
    );
    for (side, standing) in [(from, old), (to, new)] {
        if let Door::Closed(reason) = &standing.door {
            bail!(
                "the transition into `{}` is closed at {} for a reason of its own, and was not closed here; open it first: \
                 {reason}",
                standing.second_name(),
                side.name
            );
        }
    }
    Ok(())
}

/// Waits until nothing goes on behind a closed transition.
async fn idle(side: &Side, name: &str, wait: Duration) -> anyhow::Result<Standing> {
    let begun = Instant::now();
    let mut was_idle = false;
    loop {
        let standing = side.must_stand(name).await?;
        let at_work = standing.at_work().join(", ");
        // Twice: one that was let in just before shows a moment later.
        if at_work.is_empty() && was_idle {
            return Ok(standing);
        }
        was_idle = at_work.is_empty();
        ensure!(
            was_idle || begun.elapsed() < wait,
            "{} is still at work in {at_work}; nothing new gets there. The same command goes on once that has ended, or waits \
             for it with `--wait MINUTES`",
            side.name
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until what is being fetched stands at the door: what it holds decides whether it may enter.
async fn fetched(side: &Side, name: &str) -> anyhow::Result<Standing> {
    let begun = Instant::now();
    loop {
        let standing = side.must_stand(name).await?;
        if !standing.is_fetching() {
            return Ok(standing);
        }
        ensure!(
            begun.elapsed() < FETCHING_MAX,
            "{} has been fetching sources for {} s: the same command goes on once that has ended",
            side.name,
            FETCHING_MAX.as_secs()
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// What is to become of an execution that waits on the side that takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Enters,
    Done,
    Older,
}

/// The executions of both sides.
struct Runs {
    old: Vec<Run>,
    new: Vec<Run>,
}

impl Runs {
    fn of<'a>(runs: &'a [Run], ids: &[&str]) -> Vec<&'a Run> {
        runs.iter().filter(|run| ids.contains(&run.id.as_str())).collect()
    }

    /// Those that wait where the pipeline goes. Nothing that the old side has deployed is deployed again, and nothing
    /// older than that.
    fn at_the_new_door(&self, old: &Standing, new: &Standing) -> Vec<(&Run, Verdict)> {
        let last = old.last_through().and_then(|id| self.old.iter().find(|run| run.id == id));
        let verdict = |run: &Run| match last {
            None => Verdict::Enters,
            Some(last) if run.has_the_same_as(last) => Verdict::Done,
            Some(last) if run.started < last.started => Verdict::Older,
            Some(_) => Verdict::Enters,
        };
        Self::of(&self.new, &new.waiting()).into_iter().map(|run| (run, verdict(run))).collect()
    }

    /// Those that wait where the pipeline ran, and whether one that enters on the new side does their work.
    fn at_the_old_door(&self, old: &Standing, new: &Standing) -> Vec<(&Run, bool)> {
        let enters =
            self.at_the_new_door(old, new).into_iter().filter(|(_, verdict)| *verdict == Verdict::Enters);
        let enters: Vec<&Run> = enters.map(|(run, _)| run).collect();
        let through = new.last_through().and_then(|id| self.new.iter().find(|run| run.id == id));
        let covers = |run: &Run| {
            enters.iter().copied().chain(through).any(|other| other.has_the_same_as(run))
                || enters.iter().any(|other| other.started > run.started)
        };
        Self::of(&self.old, &old.waiting()).into_iter().map(|run| (run, covers(run))).collect()
    }
}

fn shown(run: &Run) -> String {
    let revisions: Vec<&str> = run.revisions.iter().map(|(_, revision)| words::short(revision)).collect();
    match revisions.is_empty() {
        true => words::short(&run.id).to_owned(),
        false => format!("{} ({})", words::short(&run.id), revisions.join(", ")),
    }
}

/// `towpath move status`.
pub async fn status(codepipeline: &Side, towpath: &Side, names: Vec<String>) -> anyhow::Result<u8> {
    let mut all: BTreeSet<String> = names.into_iter().collect();
    if all.is_empty() {
        for side in [codepipeline, towpath] {
            let pipelines = remote::pipelines::all(&side.client).await?;
            all.extend(pipelines.into_iter().filter_map(|pipeline| pipeline.name));
        }
    }
    let mut rows = Vec::new();
    for name in all {
        let old = codepipeline.standing(&name).await?;
        let new = towpath.standing(&name).await?;
        let note = note(old.as_ref(), new.as_ref());
        rows.push(vec![name, place(old.as_ref()), place(new.as_ref()), note]);
    }
    table::print(&["PIPELINE", "CODEPIPELINE", "TOWPATH", ""], &rows);
    Ok(0)
}

fn place(standing: Option<&Standing>) -> String {
    let Some(standing) = standing else { return "-".to_owned() };
    let waits = match standing.waiting().len() {
        0 => String::new(),
        some => format!(", {some} waiting"),
    };
    let door = match standing.door {
        Door::Open => "runs",
        Door::Held => "held",
        Door::Closed(_) => "closed",
    };
    format!("{door}{waits}")
}

fn note(old: Option<&Standing>, new: Option<&Standing>) -> String {
    let words = match (old.map(|old| &old.door), new.map(|new| &new.door)) {
        (Some(Door::Open), Some(Door::Open)) => "both run it: `towpath move switch` or `back` ends that",
        (Some(Door::Held), Some(Door::Held)) => "a switch stopped half way: the same command again goes on",
        (Some(Door::Held), None) => "nobody runs it: `towpath enable` at CodePipeline opens it",
        _ => "",
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::model::StageState;
    use serde_json::json;

    fn run(id: &str, started: i64, revision: &str) -> Run {
        let revisions = vec![("Checkout".to_owned(), revision.to_owned())];
        Run {
            id: id.to_owned(),
            started,
            revisions: if revision.is_empty() { Vec::new() } else { revisions },
        }
    }

    fn standing(through: Option<&str>, waiting: &[&str]) -> Standing {
        let stage = |value: serde_json::Value| serde_json::from_value::<StageState>(value).unwrap();
        let inbound: Vec<_> =
            waiting.iter().map(|id| json!({ "pipelineExecutionId": id, "status": "InProgress" })).collect();
        let mut second = json!({ "stageName": "Live", "inboundExecutions": inbound });
        if let Some(id) = through {
            second["latestExecution"] = json!({ "pipelineExecutionId": id, "status": "Succeeded" });
        }
        Standing { stages: vec![stage(json!({ "stageName": "Source" })), stage(second)], door: Door::Held }
    }

    #[test]
    fn what_was_deployed_is_not_deployed_again_and_nothing_older_is() {
        let runs = Runs {
            old: vec![run("o1", 100, "b")],
            new: vec![
                run("same", 101, "b"),
                run("newer", 200, "c"),
                run("older", 50, "a"),
                run("blank", 60, ""),
            ],
        };
        let (old, new) = (standing(Some("o1"), &[]), standing(None, &["same", "newer", "older", "blank"]));
        let verdicts: Vec<(&str, Verdict)> = runs
            .at_the_new_door(&old, &new)
            .iter()
            .map(|(run, verdict)| (run.id.as_str(), *verdict))
            .collect();
        assert_eq!(
            verdicts,
            [
                ("same", Verdict::Done),
                ("newer", Verdict::Enters),
                ("older", Verdict::Older),
                ("blank", Verdict::Older)
            ]
        );
        let nothing = standing(None, &[]);
        assert!(runs.at_the_new_door(&nothing, &new).iter().all(|(_, verdict)| *verdict == Verdict::Enters));
    }

    #[test]
    fn what_waits_on_the_old_side_is_stopped_only_if_somebody_does_it() {
        let runs = Runs { old: vec![run("w", 300, "d"), run("o1", 100, "b")], new: vec![run("n", 301, "d")] };
        let old = standing(Some("o1"), &["w"]);
        let covered = |new: &Standing| runs.at_the_old_door(&old, new)[0].1;
        assert!(covered(&standing(None, &["n"])));
        assert!(covered(&standing(Some("n"), &[])));
        assert!(!covered(&standing(None, &[])));
    }
}
