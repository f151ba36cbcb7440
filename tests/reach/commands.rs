//! The commands that speak to a Towpath elsewhere, as people use them.

use crate::running::{call, ran, with_keys};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{
    folder::Folder,
    function_url::{FunctionUrl, Mishap},
    pipelines::{approval, commands, pipeline, source, stage},
    processes::eventually,
    server::{ACCESS_KEY, SECRET_KEY, Server},
};

/// How long a pipeline of quick actions may take.
const SOON: Duration = Duration::from_secs(60);

struct Shop {
    folder: Folder,
    marks: Folder,
    server: Server,
    function: FunctionUrl,
}

impl Shop {
    /// Source, Gate (approval Sign), Live (Ship: fails until there is a mark).
    fn new() -> Self {
        let marks = Folder::new();
        let ship = commands("Ship", &[&format!("test -e {}", marks.at("go").display())]);
        let mut definition = pipeline(
            "shop",
            vec![source(), stage("Gate", vec![approval("Sign")]), stage("Live", vec![ship])],
        );
        definition["pipeline"]["variables"] = json!([{ "name": "COLOUR", "defaultValue": "red" }]);
        let folder = Folder::repository(&definition, &[]);
        let server = Server::start(&folder);
        let function = FunctionUrl::before(&server);
        server.client.call("CreatePipeline", &definition);
        Self { folder, marks, server, function }
    }

    fn call(&self, arguments: &[&str]) -> tests::folder::Ran {
        call(&self.folder, &self.function, arguments)
    }

    /// Waits until `towpath state` says this.
    #[track_caller]
    fn state(&self, text: &str) {
        let mut seen = String::new();
        let reached = eventually(SOON, || {
            seen = self.call(&["state", "shop"]).exits(0).out;
            seen.contains(text)
        });
        assert!(reached, "`{text}` is not in\n{seen}");
    }
}

#[test]
fn a_pipeline_is_led_through_its_life_behind_a_function_url() {
    let shop = Shop::new();
    shop.call(&["pipelines"]).exits(0).says(&["NAME", "shop  1        V2    SUPERSEDED"]);
    shop.state("Sign");
    shop.state("`towpath approve shop Gate/Sign`");
    // Started when it was created; it makes room for one of our own.
    shop.call(&["stop", "shop", "--abandon", "--reason", "not this one"]).exits(0).says(&["is stopped"]);
    shop.call(&["stop", "shop"]).exits(2).complains(&["nothing is going on"]);
    let started = shop.call(&["start", "shop", "--var", "COLOUR=blue"]).exits(0).says(&["started "]);
    let id = started.out.lines().next().unwrap().strip_prefix("started ").unwrap().to_owned();
    shop.state(&format!("InProgress  Gate  {}", &id[..8]));
    shop.state("waits for an answer");
    shop.call(&["approve", "shop", "Gate/None"]).exits(2).complains(&["does not wait for an answer"]);
    shop.call(&["approve", "shop", "--summary", "good"]).exits(0).says(&["Gate/Sign is approved for"]);
    shop.call(&["approve", "shop"]).exits(2).complains(&["waits for no approval"]);
    shop.state("JobFailed");
    shop.marks.write("go", "");
    shop.call(&["retry", "shop"]).exits(0).says(&["Live is tried again, what failed"]);
    shop.state("Succeeded   Live");
    shop.call(&["retry", "shop"]).exits(2).complains(&["no stage of `shop` failed"]);
    let listed = shop.call(&["executions", "shop"]).exits(0).says(&["EXECUTION", "Succeeded", "Stopped"]);
    assert_eq!(listed.out.lines().count(), 3, "{}", listed.out);
    assert!(!listed.out.contains('\u{1b}'), "no colours where there is no terminal: {}", listed.out);
    let told = shop.call(&["executions", "shop", "--limit", "1", "--format", "json"]).exits(0);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(told["pipelineExecutionSummaries"][0]["pipelineExecutionId"], id.as_str());

    shop.call(&["disable", "shop", "Live", "--reason", "freeze"]).exits(0);
    shop.state(": freeze");
    let second = shop.call(&["start", "shop", "--format", "json"]).exits(0);
    let second: Value = serde_json::from_str(&second.out).unwrap();
    let second = second["pipelineExecutionId"].as_str().unwrap();
    shop.state("waits for an answer");
    shop.call(&["approve", "shop", "Gate/Sign"]).exits(0);
    shop.state(&format!("{} waits here", &second[..8]));
    shop.call(&["enable", "shop", "Live"]).exits(0);
    shop.state(&format!("Succeeded   Live  {}", &second[..8]));
    shop.call(&["rollback", "shop", "Live", "--to", &id[..8]]).exits(0).says(&["takes Live back to"]);
    // Every request came by the function URL, with its signature.
    assert_eq!(shop.function.refused(), 0);
    assert!(shop.function.seen().len() > 20);
}

#[test]
fn a_run_that_is_waited_for_gives_its_outcome_as_a_code() {
    let shop = Shop::new();
    shop.state("waits for an answer");
    shop.call(&["stop", "shop", "--abandon"]).exits(0);
    let quick = pipeline("quick", vec![source(), stage("Say", vec![commands("Say", &["true"])])]);
    shop.server.client.call("CreatePipeline", &quick);
    shop.call(&["start", "quick", "--wait"]).exits(0).says(&["Succeeded after"]);
    let bad = pipeline("bad", vec![source(), stage("Say", vec![commands("Say", &["false"])])]);
    shop.server.client.call("CreatePipeline", &bad);
    shop.call(&["start", "bad", "--wait"]).exits(1).says(&["Failed after", "`towpath state bad`"]);
}

#[test]
fn a_pipeline_is_put_out_of_a_file_or_a_template() {
    let shop = Shop::new();
    let quick = pipeline("quick", vec![source(), stage("Say", vec![commands("Say", &["true"])])]);
    shop.folder.write("quick.json", &quick.to_string());
    shop.call(&["put", "quick.json"]).exits(0).says(&["quick is created, version 1"]);
    shop.call(&["put", "quick.json"]).exits(0).says(&["quick is updated, version 2"]);
    shop.folder.write("broken.json", r#"{"pipeline":{"name":"broken","stages":[]}}"#);
    shop.call(&["put", "broken.json"]).exits(2).complains(&["broken.json"]);
    let template = json!({ "Resources": { "Pipeline": { "Type": "AWS::CodePipeline::Pipeline", "Properties": {
        "Name": "templated",
        "RoleArn": { "Fn::Sub": "arn:aws:iam::${AWS::AccountId}:role/r" },
        "PipelineType": "V2",
        "ArtifactStore": { "Type": "S3", "Location": "release-artifacts-123456789012" },
        "DisableInboundStageTransitions": [{ "StageName": "Gate", "Reason": "freeze" }],
        "Stages": [
            { "Name": "Source", "Actions": [{ "Name": "Checkout",
                "ActionTypeId": { "Category": "Source", "Owner": "AWS", "Provider": "CodeCommit", "Version": "1" },
                "Configuration": { "RepositoryName": "shop", "BranchName": "main", "PollForSourceChanges": false },
                "OutputArtifacts": [{ "Name": "Code" }] }] },
            { "Name": "Gate", "Actions": [{ "Name": "Sign",
                "ActionTypeId": { "Category": "Approval", "Owner": "AWS", "Provider": "Manual", "Version": "1" } }] },
        ],
    } } } });
    shop.folder.write("template.json", &template.to_string());
    shop.call(&["put", "template.json"]).exits(2).complains(&["`--account`"]);
    shop.call(&["put", "template.json", "--account", "111122223333"])
        .exits(0)
        .says(&["templated is created"]);
    let told = shop.server.client.call("GetPipeline", &json!({ "name": "templated" }));
    assert_eq!(told["pipeline"]["roleArn"], "arn:aws:iam::111122223333:role/r");
    shop.call(&["state", "templated"]).exits(0).says(&[": freeze"]);
}

#[test]
fn the_same_commands_speak_to_a_server_on_this_machine() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let mut command = folder.command(&["pipelines", "--endpoint-url", &server.url(), "--format", "json"]);
    with_keys(&mut command);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    let listed = ran(&mut command).exits(0);
    assert_eq!(serde_json::from_str::<Value>(&listed.out).unwrap(), json!({ "pipelines": [] }));
}

#[test]
fn errors_name_the_next_step() {
    let shop = Shop::new();
    shop.call(&["state", "none"])
        .exits(2)
        .complains(&["PipelineNotFoundException", "`towpath pipelines` lists those that are there"]);
    shop.call(&["stop", "shop", "abc"]).exits(2).complains(&["at least 4 letters"]);
    shop.call(&["stop", "shop", "ffff0000"]).exits(2).complains(&["`towpath executions shop`"]);
    shop.call(&["start", "shop", "--var", "x"]).exits(2).complains(&["`NAME=VALUE`"]);
    shop.call(&["retry", "shop", "Nowhere"]).exits(2).complains(&["no stage `Nowhere`"]);
    shop.call(&["lint", "x.json"]).exits(2).complains(&["works on this machine"]);
    shop.function.next(Mishap::Says(403, r#"{"Message":"Forbidden."}"#));
    shop.call(&["pipelines"]).exits(2).complains(&["`lambda:InvokeFunctionUrl`", "docs/reaching-the-api.md"]);
    let mut wrong = shop.folder.command(&["pipelines", "--url", &shop.function.url()]);
    with_keys(&mut wrong);
    ran(&mut wrong).exits(2).complains(&["Forbidden"]);
    let mut nobody = shop.folder.command(&["pipelines", "--url", "http://127.0.0.1:1"]);
    with_keys(&mut nobody);
    ran(&mut nobody).exits(2).complains(&["nobody answers", "`towpath up`"]);
}

#[test]
fn what_was_busy_is_called_again_and_what_changes_something_only_if_it_did_not_arrive() {
    let shop = Shop::new();
    shop.state("waits for an answer");
    let calls = |shop: &Shop, target: &str| {
        let seen = shop.function.seen();
        seen.iter().filter(|seen| seen.headers["x-amz-target"].to_str().unwrap().ends_with(target)).count()
    };
    shop.function.next(Mishap::Says(502, "oops"));
    shop.function.next(Mishap::BreaksOff);
    shop.call(&["pipelines"]).exits(0);
    assert_eq!(calls(&shop, "ListPipelines"), 3);
    // The first is the question for what is going on; the second stops it.
    let state = shop.server.client.call("ListPipelineExecutions", &json!({ "pipelineName": "shop" }));
    let id = state["pipelineExecutionSummaries"][0]["pipelineExecutionId"].as_str().unwrap().to_owned();
    shop.function.next(Mishap::Says(429, r#"{"Message":"Rate Exceeded."}"#));
    shop.call(&["disable", "shop", "Live", "--reason", "busy"]).exits(0);
    assert_eq!(calls(&shop, "DisableStageTransition"), 2);
    shop.call(&["executions", "shop"]).exits(0);
    let before = shop.function.seen().len();
    // The answer to the list of executions is good, that to the stop is lost.
    shop.function.next(Mishap::Says(200, &LISTED.replace("ID", &id).leak()[..]));
    shop.function.next(Mishap::Says(502, "oops"));
    shop.call(&["stop", "shop", &id, "--abandon"])
        .exits(2)
        .complains(&["StopPipelineExecution", "got no answer"]);
    assert_eq!(shop.function.seen().len(), before + 2);
}

/// An answer to ListPipelineExecutions.
const LISTED: &str = r#"{"pipelineExecutionSummaries":[{"pipelineExecutionId":"ID","status":"InProgress"}]}"#;
