//! What comes from outside: events of the bus, word from providers, Git hosts, callers.

use super::home::{Account, Does, Home, create, is, run, start};
use bytes::Bytes;
use domain::{
    execution::ExecutionStatus,
    pipeline::versions::Pipeline,
    testing::{deploy, pipeline, source},
    views::listing::Open,
};
use engine::{
    action::Work,
    log::{Batch, Log as _},
    streams::{self, Head, Written},
    views::Views,
};
use events::{ExecutionId, PipelineDeclared, PipelineEvent, PipelineName, PipelineVersion, StreamName};
use handlers::{
    Caller,
    inbound::{self, InboundError, Outcome},
    permissions::Permissions,
    webhook::{self, Answer, DELIVERY_HOLDS_MS, Delivery},
    wire, work,
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn shop() -> domain::pipeline::PipelineDeclaration {
    let source = source("Src")
        .set("S3Bucket", "bucket")
        .set("S3ObjectKey", "app.zip")
        .set("PollForSourceChanges", "false");
    pipeline("shop").stage("Source", [source]).stage("Live", [deploy("Push").input("Src")]).build()
}

async fn executions(account: &Account) -> Vec<ExecutionId> {
    account.projected().await;
    let rows = account.views.page("pipeline#shop#0", None, 100, false).await.unwrap();
    let listed = rows.into_iter().filter(|row| row.q.starts_with("exec#"));
    listed.map(|row| ExecutionId::parse(row.q.rsplit('#').next().unwrap()).unwrap()).collect()
}

fn event(id: &str, source: &str, kind: &str, detail: Value) -> Value {
    json!({
        "version": "0", "id": id, "detail-type": kind, "source": source, "account": "111122223333",
        "time": "2023-11-14T22:13:20Z", "region": "us-east-1", "resources": [], "detail": detail,
    })
}

#[tokio::test]
async fn an_upload_starts_the_pipeline_it_is_the_source_of_once() {
    let account = Account::new();
    let home = account.process();
    create(&home, shop()).await;
    account.projected().await;
    let detail =
        json!({ "bucket": { "name": "bucket" }, "object": { "key": "app.zip", "version-id": "v1" } });
    for process in [&home, &home, &account.process()] {
        let event = event("e-1", "aws.s3", "Object Created", detail.clone());
        let outcome = inbound::deal(process, &account.externals, event).await.unwrap();
        assert!(matches!(outcome, Outcome::Evaluated(_)));
        process.engine.quiet().await;
    }
    let ids = executions(&account).await;
    assert_eq!(ids.len(), 1);
    let state = run(&home, &ids[0]).await;
    is(&state, ExecutionStatus::Succeeded);
    let pinned = &state.start.as_ref().unwrap().revisions;
    assert_eq!(pinned.values().map(String::as_str).collect::<Vec<_>>(), ["v1"]);
}

#[tokio::test]
async fn a_schedule_starts_the_pipeline_it_names_once_for_each_tick() {
    let account = Account::new();
    let home = account.process();
    create(&home, shop()).await;
    account.projected().await;
    for id in ["t1", "t1", "t2"] {
        let order = json!({ "towpath": "start", "pipeline": "shop", "id": id,
            "rule": "arn:aws:scheduler:us-east-1:111122223333:schedule/default/nightly" });
        inbound::deal(&home, &account.externals, order).await.unwrap();
        home.engine.quiet().await;
    }
    let ids = executions(&account).await;
    assert_eq!(ids.len(), 2);
    let state = run(&home, &ids[0]).await;
    assert_eq!(
        state.start.as_ref().unwrap().trigger.detail,
        "arn:aws:events:us-east-1:111122223333:rule/nightly"
    );
}

#[tokio::test]
async fn what_cannot_be_understood_is_told_from_what_has_to_come_again() {
    let account = Account::new();
    let home = account.process();
    create(&home, shop()).await;
    account.projected().await;
    let bad = inbound::deal(&home, &account.externals, json!({ "source": "aws.s3" })).await.unwrap_err();
    assert!(matches!(bad, InboundError::Bad(_)), "{bad}");
    let name = PipelineName::parse("shop").unwrap();
    account.silence(&events::StreamName::pipeline(&name), true);
    let detail = json!({ "bucket": { "name": "bucket" }, "object": { "key": "app.zip" } });
    let event = event("e-1", "aws.s3", "Object Created", detail);
    let later = inbound::deal(&account.process(), &account.externals, event).await.unwrap_err();
    assert!(matches!(later, InboundError::Unavailable(_)), "{later}");
    assert!(later.to_string().contains("come again"), "{later}");
}

#[tokio::test]
async fn an_event_is_held_against_the_pipelines_that_fetch_from_where_it_happened() {
    let account = Account::new();
    let home = account.process();
    create(&home, shop()).await;
    let elsewhere =
        [("S3Bucket", "elsewhere"), ("S3ObjectKey", "app.zip"), ("PollForSourceChanges", "false")];
    let other = elsewhere.iter().fold(source("Src"), |source, (key, value)| source.set(key, value));
    create(
        &home,
        pipeline("other").stage("Source", [other]).stage("Live", [deploy("Push").input("Src")]).build(),
    )
    .await;
    account.projected().await;
    // Nobody needs the other's definition.
    let unread = events::StreamName::pipeline(&PipelineName::parse("other").unwrap());
    account.silence(&unread, true);
    let detail =
        json!({ "bucket": { "name": "bucket" }, "object": { "key": "app.zip", "version-id": "v1" } });
    let event = event("e-1", "aws.s3", "Object Created", detail);
    inbound::deal(&account.process(), &account.externals, event).await.unwrap();
    account.silence(&unread, false);
    assert_eq!(executions(&account).await.len(), 1);
}

/// A run whose source a provider has begun as `shop:1`.
async fn begun(account: &Account, home: &Home) -> Work {
    account.providers.set("Src", Does::Begins("shop:1"));
    let name = create(home, shop()).await;
    let execution = start(home, &name).await;
    let attempt = run(home, &execution).await.stages[0].attempts[0].action_execution.clone();
    account.providers.calls();
    Work { pipeline: name, execution, attempt }
}

fn built(status: &str) -> Value {
    let arn = "arn:aws:codebuild:us-east-1:111122223333:build/shop:1";
    let detail = json!({ "build-id": arn, "build-status": status });
    event("e-1", "aws.codebuild", "CodeBuild Build State Change", detail)
}

#[tokio::test]
async fn a_providers_word_has_it_asked_and_the_next_action_started() {
    let account = Account::new();
    let home = account.process();
    let work = begun(&account, &home).await;
    account.external("CodeBuild", "shop:1", &work);
    // It says that it is done, and is not: nothing is believed.
    assert!(matches!(
        inbound::deal(&home, &account.externals, built("SUCCEEDED")).await,
        Ok(Outcome::Taken(_))
    ));
    home.engine.quiet().await;
    assert_eq!(account.providers.calls(), [("Src".to_owned(), Some("shop:1".to_owned()))]);
    is(&*run(&home, &work.execution).await, ExecutionStatus::InProgress);

    account.providers.set("Src", Does::Succeeds);
    let hearing = account.process();
    assert!(matches!(
        inbound::deal(&hearing, &account.externals, built("FAILED")).await,
        Ok(Outcome::Taken(_))
    ));
    hearing.engine.quiet().await;
    is(&*run(&home, &work.execution).await, ExecutionStatus::Succeeded);
    let asked: Vec<_> = account.providers.calls();
    assert_eq!(asked, [("Src".to_owned(), Some("shop:1".to_owned())), ("Push".to_owned(), None)]);
    // Late, and twice: it is over.
    assert!(matches!(
        inbound::deal(&account.process(), &account.externals, built("FAILED")).await,
        Ok(Outcome::Nothing)
    ));
    assert_eq!(account.providers.calls(), []);
}

#[tokio::test]
async fn word_of_work_that_is_not_written_down_yet_is_made_up_for_by_the_sweep() {
    let account = Account::new();
    let home = account.process();
    let work = begun(&account, &home).await;
    account.providers.set("Src", Does::Succeeds);
    assert!(matches!(
        inbound::deal(&home, &account.externals, built("SUCCEEDED")).await,
        Ok(Outcome::Nothing)
    ));
    account.projected().await;
    account.pass(60);
    let bounds = handlers::sweep::Bounds { rows: 10, until: events::Timestamp(i64::MAX) };
    handlers::sweep::sweep(&home, bounds).await.unwrap();
    is(&*run(&home, &work.execution).await, ExecutionStatus::Succeeded);
}

#[tokio::test]
async fn long_work_is_taken_up_where_it_was_handed_to() {
    let account = Account::new();
    let home = account.process();
    let order = begun(&account, &home).await;
    account.providers.set("Src", Does::Succeeds);
    let worker = account.process();
    assert!(work::work(&worker, &order).await.unwrap());
    worker.engine.quiet().await;
    is(&*run(&home, &order.execution).await, ExecutionStatus::Succeeded);
    assert!(!work::work(&worker, &order).await.unwrap(), "it has ended");
}

#[tokio::test]
async fn the_row_of_a_run_says_when_somebody_has_to_look_after_it() {
    let account = Account::new();
    let home = account.process();
    let work = begun(&account, &home).await;
    account.projected().await;
    let row = account.views.get(domain::views::OPEN, work.execution.as_str()).await.unwrap().unwrap();
    let open: Open = serde_json::from_str(&row.body.unwrap()).unwrap();
    let now = home.engine.clock().now();
    assert_eq!(open.due.map(|due| due.0), Some(now.0 + 60_000));
    assert!(!open.is_due(now));
    assert!(open.is_due(events::Timestamp(now.0 + 60_000)));
}

const SECRET: &str = "a secret between us";

async fn hooked(home: &Home) -> webhook::Found {
    let input = json!({ "webhook": {
        "name": "hook", "targetPipeline": "shop", "targetAction": "Src",
        "filters": [{ "jsonPath": "$.ref", "matchEquals": "refs/heads/main" }],
        "authentication": "GITHUB_HMAC", "authenticationConfiguration": { "SecretToken": SECRET },
    } });
    let caller = Caller { arn: "arn:aws:iam::111122223333:user/ann".into() };
    let put = api::Operation::PutWebhook;
    let output = handlers::operations::dispatch(home, &caller, put, input).await.unwrap();
    let url = output["webhook"]["url"].as_str().unwrap();
    let token = webhook::token_of(url.split_once('?').unwrap().1).unwrap();
    webhook::find(home, &token).await.unwrap().unwrap()
}

fn pushed(id: &str, seconds: i64) -> Delivery {
    let body = json!({ "ref": "refs/heads/main", "after": "c1", "repository": { "pushed_at": seconds } });
    let body = Bytes::from(body.to_string());
    let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&body);
    let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Delivery {
        signature_256: Some(format!("sha256={digits}")),
        id: Some(id.to_owned()),
        event: Some("push".to_owned()),
        holds_ms: Some(DELIVERY_HOLDS_MS),
        body,
        ..Delivery::default()
    }
}

#[tokio::test]
async fn a_signed_delivery_starts_once_under_whatever_id_it_comes_again_and_not_at_all_when_it_is_old() {
    let account = Account::new();
    let home = account.process();
    create(&home, shop()).await;
    let found = hooked(&home).await;
    let now = home.engine.clock().now().0 / 1000;
    let first = webhook::deliver(&home, &found, &pushed("d-1", now)).await;
    let Answer::Started(started) = first else { panic!("{first:?}") };
    for id in ["d-1", "d-2", ""] {
        let again = webhook::deliver(&home, &found, &pushed(id, now)).await;
        assert_eq!(again, Answer::Started(started.clone()), "the same answer, and nothing more");
    }
    account.pass(301);
    let old = webhook::deliver(&home, &found, &pushed("d-3", now)).await;
    assert!(matches!(&old, Answer::Forbidden(reason) if reason.contains("301 seconds")), "{old:?}");
    let mut forged = pushed("d-4", now + 301);
    forged.body = Bytes::from(String::from_utf8(forged.body.to_vec()).unwrap().replace("c1", "c2"));
    let forged = webhook::deliver(&home, &found, &forged).await;
    assert!(matches!(forged, Answer::Forbidden(_)), "{forged:?}");
    home.engine.quiet().await;
    assert_eq!(executions(&account).await, [started]);
}

#[tokio::test]
async fn whoever_may_not_is_told_so_and_nothing_happens() {
    let account = Account::new();
    let home = account.process();
    create(&home, shop()).await;
    let caller = Caller { arn: "arn:aws:iam::111122223333:user/bob".into() };
    let permissions = Permissions::default();
    let request = |operation: &str| {
        http::Request::post("/")
            .header("x-amz-target", format!("CodePipeline_20150709.{operation}"))
            .body(Bytes::from_static(br#"{"name":"shop"}"#))
            .unwrap()
    };
    let may = |operation, input: &Value| permissions.check(&caller, operation, input, "the table");
    let read = wire::answer_to(&home, &caller, may, &request("GetPipeline"), "r-1").await;
    assert_eq!(read.status(), 200);
    let started = wire::answer_to(&home, &caller, may, &request("StartPipelineExecution"), "r-2").await;
    assert_eq!(started.status(), 400);
    assert_eq!(started.headers()["x-amzn-errortype"], "AccessDeniedException");
    let body: Value = serde_json::from_slice(started.body()).unwrap();
    assert!(body["message"].as_str().unwrap().contains("codepipeline:StartPipelineExecution"), "{body}");
    assert_eq!(executions(&account).await, []);
}

/// A definition of two stages, as `create-pipeline` takes it.
fn site() -> Value {
    json!({ "pipeline": {
        "name": "site", "roleArn": "arn:aws:iam::111122223333:role/p",
        "artifactStore": { "type": "S3", "location": "artifacts" },
        "stages": [
            { "name": "Source", "actions": [{ "name": "Src", "configuration": { "S3Bucket": "b", "S3ObjectKey": "k" },
                "actionTypeId": { "category": "Source", "owner": "AWS", "provider": "S3", "version": "1" },
                "outputArtifacts": [{ "name": "Source" }] }] },
            { "name": "Ok", "actions": [{ "name": "Ask",
                "actionTypeId": { "category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1" } }] },
        ],
    } })
}

#[tokio::test]
async fn a_definition_that_this_program_cannot_read_is_listed_and_waits_for_an_update() {
    let account = Account::new();
    let home = account.process();
    let caller = Caller { arn: "arn:aws:iam::111122223333:user/ann".into() };
    let call =
        async |operation, input| handlers::operations::dispatch(&home, &caller, operation, input).await;
    // As another version may have written it.
    let name = PipelineName::parse("site").unwrap();
    let declared = PipelineEvent::PipelineDeclared(PipelineDeclared {
        version: PipelineVersion(1),
        definition: json!({ "name": "site", "stages": "in a file" }).into(),
        tags: BTreeMap::new(),
        by: caller.arn.clone(),
    });
    let mut state = Pipeline::default();
    state.evolve(&declared, home.engine.clock().now());
    let id = home.engine.fresh_command_id();
    let written = Written { now: home.engine.clock().now(), command: &id, actor: &caller.arn };
    let stream = StreamName::pipeline(&name);
    let (commit, _) = streams::commit(&stream, &Head::default(), vec![declared], &state, &written).unwrap();
    let batch = Batch { commits: vec![commit], checks: Vec::new(), once: None };
    home.engine.log().append(batch).await.unwrap();
    account.projected().await;

    let list = call(api::Operation::ListPipelines, json!({})).await.unwrap();
    assert_eq!(list["pipelines"][0]["name"], "site", "{list}");
    let start = || call(api::Operation::StartPipelineExecution, json!({ "name": "site" }));
    let refused = start().await.unwrap_err().to_string();
    assert!(refused.contains("version 1") && refused.contains("update the pipeline"), "{refused}");
    let updated = call(api::Operation::UpdatePipeline, site()).await.unwrap();
    assert_eq!(updated["pipeline"]["version"], 2);
    start().await.unwrap();
}

#[tokio::test]
async fn a_pipeline_stands_in_the_list_before_the_change_stream_comes_by() {
    let account = Account::new();
    let home = account.process();
    let caller = Caller { arn: "arn:aws:iam::111122223333:user/ann".into() };
    let call = async |operation, input| {
        handlers::operations::dispatch(&home, &caller, operation, input).await.unwrap()
    };
    let listed = async || {
        let list = call(api::Operation::ListPipelines, json!({})).await;
        let pipelines = list["pipelines"].as_array().unwrap().iter();
        pipelines.map(|one| format!("{} {}", one["name"], one["version"])).collect::<Vec<_>>()
    };
    call(api::Operation::CreatePipeline, site()).await;
    assert_eq!(listed().await, ["\"site\" 1"]);
    call(api::Operation::UpdatePipeline, site()).await;
    assert_eq!(listed().await, ["\"site\" 2"]);
    call(api::Operation::DeletePipeline, json!({ "name": "site" })).await;
    assert_eq!(listed().await, Vec::<String>::new());
}
