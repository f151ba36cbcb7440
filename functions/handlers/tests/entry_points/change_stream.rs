//! `relay` and `project`: records that come late, twice, in any order, or broken.

use super::home::{Account, Does, create, is, run, send, start, under_way};
use domain::{
    command::{ActionResult, Details, Wish},
    execution::ExecutionStatus,
    testing::{action, deploy, pipeline, source},
    views::{OPEN, PIPELINES, listing::pipeline_partition},
};
use engine::{
    log::{BoxError, Commit, StoredEvent},
    views::Views,
};
use events::{ExecutionId, StreamName};
use handlers::{
    changes::{Change, Turn},
    project::project_changes,
    relay::relay,
};
use std::sync::Mutex;

fn shop() -> domain::pipeline::PipelineDeclaration {
    pipeline("shop").stage("Source", [source("Src")]).stage("Live", [deploy("Push").input("Src")]).build()
}

async fn nobody(_: &ExecutionId, _: &[&Commit]) -> Result<(), BoxError> {
    Ok(())
}

#[tokio::test]
async fn what_a_process_died_before_doing_is_done_from_the_change_stream() {
    let account = Account::new();
    account.providers.set("Src", Does::Nothing);
    let dying = account.process();
    let name = create(&dying, shop()).await;
    let id = start(&dying, &name).await;
    account.providers.calls();
    account.providers.set("Src", Does::Succeeds);

    let relaying = account.process();
    let relayed = relay(&relaying, &account.changes(), nobody).await;
    assert_eq!(relayed.unmet, []);
    is(&*run(&relaying, &id).await, ExecutionStatus::Succeeded);
    let asked: Vec<String> = account.providers.calls().into_iter().map(|(action, _)| action).collect();
    assert_eq!(asked, ["Src", "Push"]);
    // Again, and again by another process: all is done.
    for process in [&relaying, &account.process()] {
        assert_eq!(relay(process, &account.changes(), nobody).await.unmet, []);
    }
    assert_eq!(account.providers.calls(), []);
    is(&*run(&dying, &id).await, ExecutionStatus::Succeeded);
}

#[tokio::test]
async fn begun_work_is_not_begun_again() {
    let account = Account::new();
    account.providers.set("Src", Does::Begins("b-1"));
    let home = account.process();
    let name = create(&home, shop()).await;
    let id = start(&home, &name).await;
    assert_eq!(account.providers.calls(), [("Src".to_owned(), None)]);
    let (stage, attempt) = (0, 0);
    let state = run(&home, &id).await;
    assert_eq!(state.stages[stage].attempts[attempt].external_execution_id.as_deref(), Some("b-1"));
    assert_eq!(relay(&account.process(), &account.changes(), nobody).await.unmet, []);
    assert_eq!(account.providers.calls(), []);
}

#[tokio::test]
async fn a_process_that_knew_an_older_definition_carries_out_the_newer() {
    let account = Account::new();
    let (api, other) = (account.process(), account.process());
    let name = create(&api, shop()).await;
    start(&other, &name).await;
    account.providers.calls();
    // The other process holds version 1 warm; this one makes and starts version 2, and dies.
    let newer = pipeline("shop").stage("Source", [source("Src2")]).stage("Live", [deploy("Push")]).build();
    super::home::send(
        &api,
        &name,
        None,
        domain::command::Wish::UpdatePipeline { definition: Box::new(newer) },
    )
    .await;
    account.providers.set("Src2", Does::Nothing);
    let id = start(&api, &name).await;
    account.providers.set("Src2", Does::Succeeds);
    account.providers.calls();
    assert_eq!(relay(&other, &account.changes(), nobody).await.unmet, []);
    is(&*run(&other, &id).await, ExecutionStatus::Succeeded);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_holds_up_no_other() {
    let account = Account::new();
    account.providers.set("Src", Does::Nothing);
    let home = account.process();
    let name = create(&home, shop()).await;
    let id = start(&home, &name).await;
    account.providers.set("Src", Does::Succeeds);
    let mut changes = account.changes();
    let mut foreign = changes[0].clone();
    foreign.sequence = "foreign".into();
    if let Ok(commit) = &mut foreign.commit {
        commit.stream = StreamName::execution(&home.engine.fresh_execution_id());
    }
    let mut newer = changes.last().cloned().unwrap();
    newer.sequence = "newer".into();
    if let Ok(commit) = &mut newer.commit {
        commit.events = [StoredEvent::new("ExecutionTeleported", 1, "{}")].into();
    }
    let broken = Change { sequence: "broken".into(), commit: Err("it is no commit".into()) };
    changes.splice(0..0, [broken, foreign, newer]);

    let relayed = relay(&account.process(), &changes, nobody).await;
    let mut unmet = relayed.unmet;
    unmet.sort_by(|a, b| a.sequence.cmp(&b.sequence));
    let sequences: Vec<&str> = unmet.iter().map(|unmet| unmet.sequence.as_str()).collect();
    assert_eq!(sequences, ["broken", "foreign", "newer"]);
    assert!(unmet.iter().all(|unmet| unmet.turn == Turn::Never));
    assert_eq!(unmet[0].reason, "it is no commit");
    assert!(unmet[1].reason.contains("no start"), "{}", unmet[1].reason);
    assert!(unmet[2].reason.contains("ExecutionTeleported"), "{}", unmet[2].reason);
    is(&*run(&home, &id).await, ExecutionStatus::Succeeded);

    let unmet = project_changes(&account.process(), &changes).await;
    let sequences: Vec<&str> = unmet.iter().map(|unmet| unmet.sequence.as_str()).collect();
    assert_eq!(sequences, ["broken"], "a view shows what can be read");
    assert_eq!(account.views.page(PIPELINES, None, 10, false).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_log_that_does_not_answer_has_its_records_come_again_and_no_others() {
    let account = Account::new();
    let home = account.process();
    let name = create(&home, shop()).await;
    let (quiet, loud) = (start(&home, &name).await, start(&home, &name).await);
    account.silence(&StreamName::execution(&quiet), true);
    let changes = account.changes();
    let of = |stream: &StreamName| -> Vec<String> {
        let own = changes.iter().filter(|change| change.commit.as_ref().is_ok_and(|it| it.stream == *stream));
        own.map(|change| change.sequence.clone()).collect()
    };
    for unmet in [
        relay(&account.process(), &changes, nobody).await.unmet,
        project_changes(&account.process(), &changes).await,
    ] {
        let sequences: Vec<String> = unmet.iter().map(|unmet| unmet.sequence.clone()).collect();
        assert_eq!(sequences, of(&StreamName::execution(&quiet)));
        assert!(unmet.iter().all(|unmet| unmet.turn == Turn::Later));
    }
    let listed = account.views.page("pipeline#shop#0", None, 10, false).await.unwrap();
    assert!(listed.iter().any(|row| row.q.ends_with(loud.as_str())));
    account.silence(&StreamName::execution(&quiet), false);
    assert_eq!(project_changes(&account.process(), &changes).await, []);
}

#[tokio::test]
async fn the_order_of_records_makes_no_difference_to_the_views() {
    let account = Account::new();
    account.providers.set("Make", Does::Begins("b-1"));
    let home = account.process();
    let definition =
        pipeline("shop").stage("Source", [source("Src")]).stage("Build", [action("Make").input("Src")]);
    let name = create(&home, definition.build()).await;
    start(&home, &name).await;
    start(&home, &name).await;
    account.projected().await;
    let mut listed = Vec::new();
    for p in [PIPELINES, OPEN, "pipeline#shop#0"] {
        listed.push(account.views.page(p, None, 100, false).await.unwrap());
    }
    assert_eq!(listed[1].len(), 2, "two are under way");
    account.views.drop_all(handlers::project::READER).await.unwrap();
    let mut changes = account.changes();
    changes.reverse();
    for change in &changes {
        assert_eq!(project_changes(&account.process(), std::slice::from_ref(change)).await, []);
    }
    for (p, before) in [PIPELINES, OPEN, "pipeline#shop#0"].into_iter().zip(listed) {
        assert_eq!(account.views.page(p, None, 100, false).await.unwrap(), before, "{p}");
    }
}

#[tokio::test]
async fn changes_are_published_once_for_each_stream_and_again_when_that_failed() {
    let account = Account::new();
    let home = account.process();
    let name = create(&home, shop()).await;
    let id = start(&home, &name).await;
    let told = Mutex::new(Vec::new());
    let publish = async |id: &ExecutionId, commits: &[&Commit]| -> Result<(), BoxError> {
        told.lock().unwrap().push((id.clone(), commits[0].first.0));
        Err("the bus does not answer".into())
    };
    let relayed = relay(&account.process(), &account.changes(), publish).await;
    assert_eq!(*told.lock().unwrap(), [(id, 1)]);
    assert!(!relayed.unmet.is_empty());
    assert!(relayed.unmet.iter().all(|unmet| unmet.turn == Turn::Later));
    assert!(relayed.unmet[0].reason.contains("the bus does not answer"), "{}", relayed.unmet[0].reason);
}

#[tokio::test]
async fn how_well_things_go_is_counted_by_pipeline_and_stage() {
    let account = Account::new();
    account.providers.set("Push", Does::Fails);
    let home = account.process();
    let name = create(&home, shop()).await;
    start(&home, &name).await;
    let relayed = relay(&account.process(), &account.changes(), nobody).await;
    let mut counted: Vec<String> = relayed
        .measures
        .iter()
        .map(|measure| format!("{} {}", measure.name, measure.stage.as_deref().unwrap_or("-")))
        .collect();
    counted.sort();
    assert_eq!(
        counted,
        [
            "ActionsFailed -",
            "ExecutionTime -",
            "ExecutionsFailed -",
            "ExecutionsStarted -",
            "StageTime Live",
            "StageTime Source",
            "StagesFailed Live"
        ]
    );
    assert!(relayed.measures.iter().all(|measure| measure.pipeline.as_deref() == Some("shop")));
}

#[tokio::test]
async fn a_result_that_no_longer_counts_changes_no_row() {
    let account = Account::new();
    account.providers.set("Src", Does::Nothing);
    let home = account.process();
    let name = create(&home, shop()).await;
    let id = start(&home, &name).await;
    let attempt = under_way(&*run(&home, &id).await);
    send(&home, &name, Some(&id), Wish::StopExecution { reason: None, abandon: true }).await;
    account.projected().await;
    let p = pipeline_partition(&name, 0);
    let rows = account.views.page(&p, None, usize::MAX, false).await.unwrap();
    assert!(rows.iter().any(|row| row.q.ends_with("Source/Src")), "the attempt has a row");
    let before = account.changes().len();
    let result = ActionResult::Failed {
        code: events::FailureCode::JobFailed,
        message: "late".to_owned(),
        details: Details::default(),
    };
    send(&home, &name, Some(&id), Wish::RecordActionResult { attempt, result }).await;
    let late = &account.changes()[before..];
    let kinds: Vec<&str> = late
        .iter()
        .flat_map(|change| change.commit.as_ref().unwrap().events.iter())
        .map(|it| &*it.kind)
        .collect();
    assert_eq!(kinds, ["ResultIgnored"]);

    assert_eq!(project_changes(&home, late).await, []);
    assert_eq!(account.views.page(&p, None, usize::MAX, false).await.unwrap(), rows);
}
