//! A pipeline that is deleted and made anew by one process, while another still knows it as it was.

use super::home::{Account, Does, create, is, run, send, start, under_way};
use domain::{
    command::{ActionResult, Details, Wish},
    execution::ExecutionStatus,
    pipeline::PipelineDeclaration,
    testing::{action, deploy, pipeline, source},
};
use std::collections::BTreeMap;

fn shop() -> PipelineDeclaration {
    pipeline("shop").stage("Source", [source("Src")]).stage("Live", [deploy("Push").input("Src")]).build()
}

fn succeeded(attempt: domain::command::Attempt) -> Wish {
    let result = ActionResult::Succeeded {
        output_variables: BTreeMap::new(),
        revision: None,
        mocked: false,
        details: Details::default(),
    };
    Wish::RecordActionResult { attempt, result }
}

#[tokio::test]
async fn a_result_recorded_by_whoever_knew_the_deleted_pipeline_moves_the_run_on() {
    let account = Account::new();
    let (old, other) = (account.process(), account.process());
    let name = create(&old, shop()).await;
    is(&*run(&old, &start(&old, &name).await).await, ExecutionStatus::Succeeded);
    send(&other, &name, None, Wish::DeletePipeline).await;
    create(&other, shop()).await;
    account.providers.set("Src", Does::Nothing);
    let id = start(&other, &name).await;
    let attempt = under_way(&*run(&other, &id).await);
    // Its lane is the one before, in which this run stands nowhere.
    send(&old, &name, Some(&id), succeeded(attempt)).await;
    is(&*run(&other, &id).await, ExecutionStatus::Succeeded);
}

#[tokio::test]
async fn work_is_done_by_whoever_knew_the_deleted_pipeline_as_the_new_one_says() {
    let account = Account::new();
    let (old, other) = (account.process(), account.process());
    let name = create(&old, shop()).await;
    is(&*run(&old, &start(&old, &name).await).await, ExecutionStatus::Succeeded);
    send(&other, &name, None, Wish::DeletePipeline).await;
    // The same version number, and another definition.
    let anew = pipeline("shop").stage("Source", [source("Src")]).stage("Live", [action("Build2")]).build();
    create(&other, anew).await;
    account.providers.set("Src", Does::Nothing);
    let id = start(&other, &name).await;
    account.providers.set("Src", Does::Succeeds);
    account.providers.calls();
    old.engine.resume(&id).await.unwrap();
    old.engine.quiet().await;
    is(&*run(&other, &id).await, ExecutionStatus::Succeeded);
    let asked: Vec<String> = account.providers.calls().into_iter().map(|(action, _)| action).collect();
    assert_eq!(asked, ["Src", "Build2"]);
}
