//! Listings: order, pages, filters.

use crate::steps::{create, reaches, start};
use serde_json::{Value, json};
use tests::{
    client::Client,
    folder::Folder,
    pipelines::{commands, foreign, pipeline, source, stage},
    server::Server,
};

/// Every entry of a listing, read in pages of this size.
fn paged(client: &Client, operation: &str, input: &Value, key: &str, size: u32) -> Vec<Value> {
    let mut all = Vec::new();
    let mut input = input.clone();
    input["maxResults"] = json!(size);
    loop {
        let page = client.call(operation, &input);
        let entries = page[key].as_array().unwrap();
        assert!(entries.len() <= usize::try_from(size).unwrap(), "{operation}");
        all.extend(entries.iter().cloned());
        match page.get("nextToken") {
            Some(token) => input["nextToken"] = token.clone(),
            None => return all,
        }
    }
}

#[test]
fn every_listing_reads_the_same_in_pages_of_any_size() {
    let definition = pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    let mut runs = vec![create(client, &definition, "Succeeded")];
    for _ in 0..4 {
        let run = start(client, "shop");
        reaches(client, "shop", &run, "Succeeded");
        runs.push(run);
    }
    runs.reverse();
    for name in ["bee", "ant", "Cow", "shop-2"] {
        let mut other = definition.clone();
        other["pipeline"]["name"] = json!(name);
        create(client, &other, "Succeeded");
    }
    let of_shop = json!({ "pipelineName": "shop" });
    for size in [1, 2, 3, 4, 5, 10, 100] {
        let listed = paged(client, "ListPipelines", &json!({}), "pipelines", size);
        let names: Vec<&Value> = listed.iter().map(|listed| &listed["name"]).collect();
        assert_eq!(names, ["Cow", "ant", "bee", "shop", "shop-2"], "pages of {size}");
        let listed = paged(client, "ListPipelineExecutions", &of_shop, "pipelineExecutionSummaries", size);
        let ids: Vec<&Value> = listed.iter().map(|listed| &listed["pipelineExecutionId"]).collect();
        assert_eq!(ids, runs.iter().collect::<Vec<_>>(), "pages of {size}");
        let listed = paged(client, "ListActionExecutions", &of_shop, "actionExecutionDetails", size);
        let told: Vec<(&str, &str)> = listed
            .iter()
            .map(|one| (one["pipelineExecutionId"].as_str().unwrap(), one["actionName"].as_str().unwrap()))
            .collect();
        let expected: Vec<(&str, &str)> =
            runs.iter().flat_map(|run| [(run.as_str(), "Say"), (run.as_str(), "Checkout")]).collect();
        assert_eq!(told, expected, "pages of {size}");
        let one = json!({ "pipelineName": "shop", "filter": { "pipelineExecutionId": runs[1] } });
        assert_eq!(paged(client, "ListActionExecutions", &one, "actionExecutionDetails", size).len(), 2);
    }
}

#[test]
fn executions_can_be_filtered_by_the_stage_they_succeeded_in() {
    let build = stage("Build", vec![commands("Say", &["true"])]);
    let definition = pipeline("shop", vec![source(), build, stage("Live", vec![foreign("Ship")])]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    let first = create(client, &definition, "Failed");
    let passed = |stage: &str| -> Vec<Value> {
        let filter = json!({ "succeededInStage": { "stageName": stage } });
        let input = json!({ "pipelineName": "shop", "filter": filter });
        let listed = client.call("ListPipelineExecutions", &input);
        let listed = listed["pipelineExecutionSummaries"].as_array().unwrap().clone();
        listed.iter().map(|listed| listed["pipelineExecutionId"].clone()).collect()
    };
    assert_eq!(passed("Build"), [json!(first)]);
    assert_eq!(passed("Live"), Vec::<Value>::new());
    assert_eq!(passed("Unknown"), Vec::<Value>::new());
    // The filter holds from page to page.
    let mut runs = vec![first];
    for _ in 0..3 {
        let run = start(client, "shop");
        reaches(client, "shop", &run, "Failed");
        runs.push(run);
    }
    runs.reverse();
    let filter = json!({ "succeededInStage": { "stageName": "Build" } });
    let input = json!({ "pipelineName": "shop", "filter": filter });
    for size in [1, 2, 4] {
        let listed = paged(client, "ListPipelineExecutions", &input, "pipelineExecutionSummaries", size);
        let ids: Vec<&Value> = listed.iter().map(|listed| &listed["pipelineExecutionId"]).collect();
        assert_eq!(ids, runs.iter().collect::<Vec<_>>(), "pages of {size}");
    }
    // Another version of the pipeline has nobody who succeeded in it yet.
    client.call("UpdatePipeline", &definition);
    assert_eq!(passed("Build"), Vec::<Value>::new());
}

#[test]
fn a_token_is_good_for_its_own_listing_alone() {
    let definition = pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &definition, "Succeeded");
    let mut other = definition.clone();
    other["pipeline"]["name"] = json!("other");
    create(client, &other, "Succeeded");
    let page = client.call("ListActionExecutions", &json!({ "pipelineName": "shop", "maxResults": 1 }));
    let token = page["nextToken"].as_str().unwrap();
    let pipelines = client.call("ListPipelines", &json!({ "maxResults": 1 }));
    let invalid = "InvalidNextTokenException";
    let with = |name: &str, token: &str| json!({ "pipelineName": name, "nextToken": token });
    client.refused("ListActionExecutions", &with("other", token), invalid);
    client.refused("ListPipelineExecutions", &with("shop", token), invalid);
    client.refused("ListPipelines", &json!({ "nextToken": token }), invalid);
    client.refused("ListPipelines", &json!({ "nextToken": "garbled" }), invalid);
    client.refused(
        "ListPipelineExecutions",
        &with("shop", pipelines["nextToken"].as_str().unwrap()),
        invalid,
    );
    client.refused("ListActionExecutions", &with("shop", "1-00000000-zz"), invalid);
}
