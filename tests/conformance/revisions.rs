//! `PutActionRevision`: a worker reports what lies at the source.

use crate::steps::{create, execution, executions, reaches};
use serde_json::{Value, json};
use tests::{
    folder::Folder,
    pipelines::{commands, pipeline, source, stage},
    server::Server,
};

fn report(revision: &str) -> Value {
    json!({ "pipelineName": "shop", "stageName": "Source", "actionName": "Checkout",
        "actionRevision": { "revisionId": revision, "revisionChangeId": "change-7", "created": 1_700_000_000.5 } })
}

#[test]
fn a_revision_starts_one_execution_however_often_it_is_reported() {
    let definition = pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    let first = create(client, &definition, "Succeeded");
    let head = folder.git(&["rev-parse", "main"]);
    let known = client.call("PutActionRevision", &report(&head));
    assert_eq!(known, json!({ "newRevision": false, "pipelineExecutionId": first }));

    let second = folder.commit("Second");
    folder.commit("Third");
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let calls: Vec<_> =
            (0..8).map(|_| scope.spawn(|| client.call("PutActionRevision", &report(&second)))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    let id = answers[0]["pipelineExecutionId"].as_str().unwrap();
    assert!(answers.iter().all(|answer| answer["pipelineExecutionId"] == id), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer["newRevision"] == true).count(), 1, "{answers:?}");
    reaches(client, "shop", id, "Succeeded");
    let told = execution(client, "shop", id);
    assert_eq!(told["artifactRevisions"][0]["revisionId"], second);
    assert_eq!(told["trigger"], json!({ "triggerType": "PutActionRevision", "triggerDetail": "change-7" }));
    assert_eq!(executions(client, "shop").len(), 2);

    assert!(server.stop().success());
    let server = Server::start(&folder);
    let client = &server.client;
    let again = client.call("PutActionRevision", &report(&second));
    assert_eq!(again, json!({ "newRevision": false, "pipelineExecutionId": id }));

    let with = |member: &str, value: &str, code: &str| {
        let mut input = report("r");
        input[member] = json!(value);
        client.refused("PutActionRevision", &input, code)
    };
    with("pipelineName", "none", "PipelineNotFoundException");
    with("stageName", "None", "StageNotFoundException");
    with("actionName", "None", "ActionNotFoundException");
    let mut build = report("r");
    build["stageName"] = json!("Build");
    build["actionName"] = json!("Say");
    let refusal = client.refused("PutActionRevision", &build, "ValidationException");
    assert!(refusal.message.contains("not a source action"), "{}", refusal.message);
    client.refused("PutActionRevision", &report(""), "ValidationException");
    client.refused("PutActionRevision", &report(&"r".repeat(1501)), "ValidationException");
    assert_eq!(executions(client, "shop").len(), 2);
    // A pipeline of the same name that comes later has seen nothing.
    client.call("DeletePipeline", &json!({ "name": "shop" }));
    create(client, &definition, "Succeeded");
    assert_eq!(client.call("PutActionRevision", &report(&second))["newRevision"], true);
}
