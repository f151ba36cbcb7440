//! Custom action types and job workers: the life of a job as `docs/job-workers.md` tells it, with the worker shown
//! there, with the calls of the Jenkins plugin, and with everything a worker may do wrong.

use crate::{
    objects::program,
    steps::{action, action_reaches, executions, reaches, start},
};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command, time::Duration};
use tests::{
    client::Client,
    folder::Folder,
    pipelines::{pipeline, source, stage},
    processes::eventually,
    server::{ACCESS_KEY, SECRET_KEY, Server},
    towpath,
};

const JENKINS: &str = "Jenkins";

fn jenkins_id() -> Value {
    json!({ "category": "Build", "owner": "Custom", "provider": JENKINS, "version": "1" })
}

fn jenkins_type() -> Value {
    json!({
        "category": "Build", "provider": JENKINS, "version": "1",
        "settings": {
            "entityUrlTemplate": "https://ci.example/job/{Config:ProjectName}/",
            "executionUrlTemplate": "https://ci.example/job/{Config:ProjectName}/{ExternalExecutionId}/",
        },
        "configurationProperties": [
            { "name": "ProjectName", "required": true, "key": true, "secret": false, "queryable": true,
              "description": "The job at the build server", "type": "String" },
            { "name": "Password", "required": false, "key": false, "secret": true },
            { "name": "Branch", "required": false, "key": false, "secret": false },
        ],
        "inputArtifactDetails": { "minimumCount": 0, "maximumCount": 5 },
        "outputArtifactDetails": { "minimumCount": 0, "maximumCount": 5 },
    })
}

/// Source, a build that workers do, and a stage that uses what they made.
fn shop() -> Value {
    let mut checkout = source();
    checkout["actions"][0]["namespace"] = json!("Src");
    let compile = json!({
        "name": "Compile", "actionTypeId": jenkins_id(), "namespace": "Built",
        "configuration": {
            "ProjectName": "shop", "Password": "hunter22", "Branch": "#{Src.BranchName}",
        },
        "inputArtifacts": [{ "name": "Code" }], "outputArtifacts": [{ "name": "Package" }],
    });
    let check = json!({
        "name": "Check",
        "actionTypeId": { "category": "Compute", "owner": "AWS", "provider": "Commands", "version": "1" },
        "inputArtifacts": [{ "name": "Package" }],
        "commands": ["test \"$(cat made.txt)\" = \"#{Built.Tag}\""],
    });
    pipeline("shop", vec![checkout, stage("Build", vec![compile]), stage("Use", vec![check])])
}

struct Shop {
    folder: Folder,
    server: Server,
}

impl Shop {
    /// With the type created and an execution that waits for a worker.
    fn waiting() -> Self {
        let definition = shop();
        let folder = Folder::repository(&definition, &[]);
        let server = Server::start(&folder);
        server.client.call("CreateCustomActionType", &jenkins_type());
        server.client.call("CreatePipeline", &definition);
        Self { folder, server }
    }

    fn client(&self) -> &Client {
        &self.server.client
    }

    fn poll(&self) -> Vec<Value> {
        let asked = json!({
            "actionTypeId": jenkins_id(), "maxBatchSize": 1, "queryParam": { "ProjectName": "shop" },
        });
        self.client().call("PollForJobs", &asked)["jobs"].as_array().unwrap().clone()
    }

    /// The next job; there must be one soon.
    fn job(&self) -> Value {
        let mut jobs = Vec::new();
        assert!(eventually(Duration::from_secs(30), || {
            jobs = self.poll();
            !jobs.is_empty()
        }));
        jobs.remove(0)
    }

    /// The next job, taken.
    fn taken(&self) -> (Value, String) {
        let job = self.job();
        let id = job["id"].as_str().unwrap().to_owned();
        let taken = self.client().call("AcknowledgeJob", &json!({ "jobId": id, "nonce": job["nonce"] }));
        assert_eq!(taken["status"], "InProgress");
        (job, id)
    }

    fn latest(&self) -> String {
        executions(self.client(), "shop")[0]["pipelineExecutionId"].as_str().unwrap().to_owned()
    }

    /// A Python program with boto3, as a worker has it: with the installation's own key pair.
    fn python(&self, arguments: &[&str]) -> String {
        let mut python = Command::new(program("TOWPATH_TEST_PYTHON", "python3"));
        towpath::plain(&mut python);
        python.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        python.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_DEFAULT_REGION", "us-east-1");
        python.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        let done = python.env("AWS_ENDPOINT_URL", self.server.url()).args(arguments).output().unwrap();
        let err = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{err}\n{}", self.folder.read("server.err"));
        String::from_utf8(done.stdout).unwrap()
    }
}

fn success(job: &str) -> Value {
    json!({ "jobId": job, "executionDetails": { "summary": "Finished", "externalExecutionId": "17" } })
}

fn failure(job: &str) -> Value {
    let failure = json!({ "type": "PermissionError", "message": "not allowed", "externalExecutionId": "17" });
    json!({ "jobId": job, "failureDetails": failure })
}

#[test]
fn the_worker_of_the_guide_takes_a_job_and_the_next_action_uses_what_it_made() {
    let shop = Shop::waiting();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let worker = root.join("examples/job-worker/worker.py");
    let guide = fs::read_to_string(root.join("docs/job-workers.md")).unwrap();
    let shown = fs::read_to_string(&worker).unwrap();
    assert!(guide.contains(&shown), "docs/job-workers.md shows examples/job-worker/worker.py as it is");
    let execution = shop.latest();
    let command = "test -d . && echo v7 > made.txt && echo '{\"Tag\": \"v7\"}' > output.json";
    let arguments = ["Build/Jenkins/1", "--query", "ProjectName=shop", "--once", "--", "sh", "-c", command];
    shop.python(&[&[worker.to_str().unwrap()], &arguments[..]].concat());
    reaches(shop.client(), "shop", &execution, "Succeeded");
    let built = action(shop.client(), "shop", ("Build", "Compile"));
    assert_eq!(built["latestExecution"]["percentComplete"], 100);
    assert_eq!(built["entityUrl"], "https://ci.example/job/shop/");
    let id = built["latestExecution"]["externalExecutionId"].as_str().unwrap();
    let url = format!("https://ci.example/job/shop/{id}/");
    assert_eq!(built["latestExecution"]["externalExecutionUrl"], url.as_str());

    // The same worker, and a command that fails.
    let again = start(shop.client(), "shop");
    let arguments = ["Build/Jenkins/1", "--query", "ProjectName=shop", "--once", "--", "sh", "-c", "exit 3"];
    shop.python(&[&[worker.to_str().unwrap()], &arguments[..]].concat());
    reaches(shop.client(), "shop", &again, "Failed");
    let built = action(shop.client(), "shop", ("Build", "Compile"))["latestExecution"].clone();
    assert_eq!(built["errorDetails"]["code"], "JobFailed");
    assert_eq!(built["errorDetails"]["message"], "sh ended with status 3: ");
}

/// What the Jenkins plugin calls, in its order: poll by ProjectName, acknowledge, details for fresh credentials,
/// download, multipart upload with `aws:kms`, result.
const JENKINS_PLUGIN: &str = r#"
import boto3, zipfile, io
from botocore.config import Config
pipeline = boto3.client("codepipeline")
wanted = {"category": "Build", "owner": "Custom", "provider": "Jenkins", "version": "1"}
jobs = []
while not jobs:
    jobs = pipeline.poll_for_jobs(actionTypeId=wanted, maxBatchSize=1, queryParam={"ProjectName": "shop"})["jobs"]
[job] = jobs
assert pipeline.acknowledge_job(jobId=job["id"], nonce=job["nonce"])["status"] == "InProgress"
def s3():
    lent = pipeline.get_job_details(jobId=job["id"])["jobDetails"]["data"]["artifactCredentials"]
    return boto3.client("s3", aws_access_key_id=lent["accessKeyId"], aws_secret_access_key=lent["secretAccessKey"],
        aws_session_token=lent["sessionToken"], config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
at = job["data"]["inputArtifacts"][0]["location"]["s3Location"]
got = s3().get_object(Bucket=at["bucketName"], Key=at["objectKey"])["Body"].read()
assert zipfile.ZipFile(io.BytesIO(got)).testzip() is None
made = io.BytesIO()
with zipfile.ZipFile(made, "w") as packed:
    packed.writestr("made.txt", "v8")
to = job["data"]["outputArtifacts"][0]["location"]["s3Location"]
place = {"Bucket": to["bucketName"], "Key": to["objectKey"]}
upload = s3().create_multipart_upload(**place, ContentType="application/zip", ServerSideEncryption="aws:kms")["UploadId"]
part = s3().upload_part(**place, UploadId=upload, PartNumber=1, Body=made.getvalue())["ETag"]
s3().complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": [{"ETag": part, "PartNumber": 1}]})
pipeline.put_job_success_result(jobId=job["id"], outputVariables={"Tag": "v8"},
    executionDetails={"summary": "Finished", "externalExecutionId": "17"})
try:
    pipeline.put_job_success_result(jobId=job["id"])
except pipeline.exceptions.InvalidJobStateException as error:
    print(error.response["Error"]["Message"])
"#;

#[test]
fn the_calls_of_the_jenkins_plugin_carry_a_build_through() {
    let shop = Shop::waiting();
    let execution = shop.latest();
    action_reaches(shop.client(), "shop", ("Build", "Compile"), "InProgress");
    let waits = json!({ "actionTypeId": jenkins_id(), "queryParam": { "ProjectName": "other" } });
    assert_eq!(
        shop.client().call("PollForJobs", &waits),
        json!({ "jobs": [] }),
        "jobs of others are not handed out"
    );
    let file = shop.folder.at("plugin.py");
    fs::write(&file, JENKINS_PLUGIN).unwrap();
    let said = shop.python(&[file.to_str().unwrap()]);
    assert!(said.contains("is Succeeded, not InProgress"), "{said}");
    reaches(shop.client(), "shop", &execution, "Succeeded");
}

#[test]
fn a_job_tells_a_worker_all_it_needs_and_secrets_to_nobody_else() {
    let shop = Shop::waiting();
    let (execution, job) = (shop.latest(), shop.job());
    let data = &job["data"];
    assert_eq!(job["accountId"], "123456789012");
    assert_eq!(data["actionTypeId"], jenkins_id());
    let configuration = json!({ "ProjectName": "shop", "Password": "hunter22", "Branch": "main" });
    assert_eq!(data["actionConfiguration"]["configuration"], configuration);
    let attempt =
        action(shop.client(), "shop", ("Build", "Compile"))["latestExecution"]["actionExecutionId"].clone();
    assert_eq!(
        data["pipelineContext"],
        json!({
            "pipelineName": "shop", "pipelineArn": "arn:aws:codepipeline:us-east-1:123456789012:shop",
            "pipelineExecutionId": execution, "stage": { "name": "Build" },
            "action": { "name": "Compile", "actionExecutionId": attempt },
        })
    );
    let input = &data["inputArtifacts"][0];
    assert_eq!((&input["name"], &input["location"]["type"]), (&json!("Code"), &json!("S3")));
    assert_eq!(input["revision"], shop.folder.git(&["rev-parse", "HEAD"]).as_str());
    let output = &data["outputArtifacts"][0];
    assert_eq!(output["location"]["s3Location"]["bucketName"], "release-artifacts-123456789012");
    assert!(output["location"]["s3Location"]["objectKey"].as_str().unwrap().starts_with("shop/Package/"));
    assert!(output.get("revision").is_none() && data.get("continuationToken").is_none());

    let id = json!({ "jobId": job["id"] });
    let details = shop.client().call("GetJobDetails", &id)["jobDetails"].clone();
    assert_eq!((&details["id"], &details["accountId"]), (&job["id"], &job["accountId"]));
    assert_eq!(details["data"]["actionConfiguration"]["configuration"], configuration);
    let key = |data: &Value| data["artifactCredentials"]["accessKeyId"].as_str().unwrap().to_owned();
    assert_ne!(key(&details["data"]), "", "credentials come with every answer");
    for (operation, input) in [
        ("GetPipeline", json!({ "name": "shop" })),
        ("GetPipelineState", json!({ "name": "shop" })),
        ("ListActionExecutions", json!({ "pipelineName": "shop" })),
        ("ListActionTypes", json!({})),
    ] {
        let shown = shop.client().call(operation, &input).to_string();
        assert!(!shown.contains("hunter22"), "{operation} shows the secret");
    }
    let log = fs::read(shop.folder.at(".towpath/log.sqlite")).unwrap();
    assert!(!log.windows(8).any(|window| window == b"hunter22"), "no secret is in the log");
}

#[test]
fn a_job_is_given_once_and_takes_one_result() {
    let shop = Shop::waiting();
    let client = shop.client();
    let job = shop.job();
    let id = job["id"].as_str().unwrap();
    assert_eq!(shop.poll(), Vec::<Value>::new(), "a job that was handed out is kept for a minute");
    client.refused("PutJobSuccessResult", &success(id), "InvalidJobStateException");
    client.refused("PutJobFailureResult", &failure(id), "InvalidJobStateException");
    let with = |nonce: &Value| json!({ "jobId": id, "nonce": nonce });
    client.refused("AcknowledgeJob", &with(&json!("other")), "InvalidNonceException");
    assert_eq!(client.call("AcknowledgeJob", &with(&job["nonce"]))["status"], "InProgress");
    client.refused("AcknowledgeJob", &with(&job["nonce"]), "InvalidNonceException");
    client.call("PutJobFailureResult", &failure(id));
    let seen = action_reaches(client, "shop", ("Build", "Compile"), "Failed");
    assert_eq!(seen["errorDetails"], json!({ "code": "PermissionError", "message": "not allowed" }));
    assert_eq!(seen["externalExecutionUrl"], "https://ci.example/job/shop/17/");
    client.refused("PutJobFailureResult", &failure(id), "InvalidJobStateException");
    client.refused("PutJobSuccessResult", &success(id), "InvalidJobStateException");
    assert_eq!(client.call("AcknowledgeJob", &with(&job["nonce"]))["status"], "Failed");
    for unknown in ["11111111-abcd-1111-abcd-111111abcdef"] {
        let job = json!({ "jobId": unknown });
        client.refused("GetJobDetails", &job, "JobNotFoundException");
        client.refused("PutJobSuccessResult", &success(unknown), "JobNotFoundException");
        client.refused("PutJobFailureResult", &failure(unknown), "JobNotFoundException");
        let nonce = json!({ "jobId": unknown, "nonce": "1" });
        client.refused("AcknowledgeJob", &nonce, "JobNotFoundException");
    }
    client.refused("GetJobDetails", &json!({ "jobId": "no uuid" }), "ValidationException");
}

#[test]
fn a_continuation_goes_on_in_a_new_job_and_shows_how_far_it_is() {
    let shop = Shop::waiting();
    let client = shop.client();
    let (_, first) = shop.taken();
    let mut both = success(&first);
    both["continuationToken"] = json!("phase-2");
    both["outputVariables"] = json!({ "Tag": "v9" });
    client.refused("PutJobSuccessResult", &both, "ValidationException");
    both.as_object_mut().unwrap().remove("outputVariables");
    both["executionDetails"]["percentComplete"] = json!(40);
    client.call("PutJobSuccessResult", &both);
    let seen = action_reaches(client, "shop", ("Build", "Compile"), "InProgress");
    assert_eq!(seen["percentComplete"], 40);
    assert_eq!((&seen["externalExecutionId"], &seen["summary"]), (&json!("17"), &json!("Finished")));
    client.refused("PutJobSuccessResult", &success(&first), "InvalidJobStateException");
    let (job, second) = shop.taken();
    assert_ne!(first, second);
    assert_eq!(job["data"]["continuationToken"], "phase-2");
    // The artifact was never stored: whoever needs it says so.
    client.call("PutJobSuccessResult", &success(&second));
    let seen = action_reaches(client, "shop", ("Use", "Check"), "Failed");
    assert_eq!(seen["errorDetails"]["code"], "ConfigurationError");
    let large = json!({ "Big": "x".repeat(122_880) });
    let mut spills = success(&second);
    spills["outputVariables"] = large;
    client.refused("PutJobSuccessResult", &spills, "OutputVariablesSizeExceededException");
}

#[test]
fn a_result_that_comes_after_the_stop_changes_nothing() {
    let shop = Shop::waiting();
    let client = shop.client();
    let (_, id) = shop.taken();
    let execution = shop.latest();
    let stop = json!({ "pipelineName": "shop", "pipelineExecutionId": execution, "abandon": true });
    client.call("StopPipelineExecution", &stop);
    reaches(client, "shop", &execution, "Stopped");
    client.refused("PutJobSuccessResult", &success(&id), "InvalidJobStateException");
    assert_eq!(action(client, "shop", ("Build", "Compile"))["latestExecution"]["status"], "Abandoned");
    assert_eq!(shop.poll(), Vec::<Value>::new());
}

#[test]
fn jobs_outlive_the_server() {
    let Shop { folder, server } = Shop::waiting();
    let shop = Shop { folder, server };
    let (_, id) = shop.taken();
    let Shop { folder, server } = shop;
    drop(server);
    let shop = Shop { server: Server::start(&folder), folder };
    assert_eq!(shop.poll(), Vec::<Value>::new(), "a job that was taken is not offered again");
    shop.client().call("PutJobFailureResult", &failure(&id));
    action_reaches(shop.client(), "shop", ("Build", "Compile"), "Failed");
    let retry = json!({
        "pipelineName": "shop", "stageName": "Build", "retryMode": "FAILED_ACTIONS",
        "pipelineExecutionId": shop.latest(),
    });
    shop.client().call("RetryStageExecution", &retry);
    let job = shop.job();
    assert_ne!(job["id"], id.as_str());
    let Shop { folder, server } = shop;
    drop(server);
    let shop = Shop { server: Server::start(&folder), folder };
    let nonce = json!({ "jobId": job["id"], "nonce": job["nonce"] });
    assert_eq!(shop.client().call("AcknowledgeJob", &nonce)["status"], "InProgress");
}

#[test]
fn a_poll_names_a_custom_type_and_its_queryable_property() {
    let folder = Folder::repository(&shop(), &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    let poll = |id: &Value, query: Value| json!({ "actionTypeId": id, "queryParam": query });
    let by_name = json!({ "ProjectName": "shop" });
    client.refused("PollForJobs", &poll(&jenkins_id(), by_name.clone()), "ActionTypeNotFoundException");
    client.call("CreateCustomActionType", &jenkins_type());
    assert_eq!(client.call("PollForJobs", &poll(&jenkins_id(), by_name.clone())), json!({ "jobs": [] }));
    for query in [json!({}), json!({ "Other": "shop" }), json!({ "Branch": "main" })] {
        client.refused("PollForJobs", &poll(&jenkins_id(), query), "ValidationException");
    }
    for owner in ["AWS", "ThirdParty"] {
        let mut id = jenkins_id();
        id["owner"] = json!(owner);
        client.refused("PollForJobs", &poll(&id, by_name.clone()), "ValidationException");
    }
    let mut plain = jenkins_type();
    plain["provider"] = json!("Plain");
    plain["configurationProperties"] = json!([]);
    plain["settings"] = json!({});
    client.call("CreateCustomActionType", &plain);
    let mut id = jenkins_id();
    id["provider"] = json!("Plain");
    assert_eq!(client.call("PollForJobs", &json!({ "actionTypeId": id })), json!({ "jobs": [] }));
    client.refused("PollForJobs", &poll(&id, by_name.clone()), "ValidationException");
    client
        .call("DeleteCustomActionType", &json!({ "category": "Build", "provider": "Plain", "version": "1" }));
    client.refused("PollForJobs", &json!({ "actionTypeId": id }), "ActionTypeNotFoundException");
}

#[test]
fn a_type_is_created_listed_tagged_and_deleted() {
    let folder = Folder::repository(&shop(), &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    client.refused("CreatePipeline", &shop(), "InvalidActionDeclarationException");
    let mut tagged = jenkins_type();
    tagged["tags"] = json!([{ "key": "team", "value": "shop" }]);
    let made = client.call("CreateCustomActionType", &tagged);
    assert_eq!(made["tags"], tagged["tags"]);
    let shown = &made["actionType"];
    assert_eq!(shown["id"], jenkins_id());
    assert_eq!(shown["settings"], tagged["settings"]);
    assert_eq!(shown["actionConfigurationProperties"], tagged["configurationProperties"]);
    assert_eq!(shown["inputArtifactDetails"], tagged["inputArtifactDetails"]);
    let list = |filter: Value| client.call("ListActionTypes", &filter);
    assert_eq!(list(json!({ "actionOwnerFilter": "Custom" })), json!({ "actionTypes": [shown] }));
    assert_eq!(list(json!({ "regionFilter": "eu-west-1" })), json!({ "actionTypes": [] }));
    let all = list(json!({ "regionFilter": "us-east-1" }));
    let ids: Vec<&Value> = all["actionTypes"].as_array().unwrap().iter().map(|found| &found["id"]).collect();
    let has = |category: &str, owner: &str, provider: &str| {
        ids.contains(&&json!({ "category": category, "owner": owner, "provider": provider, "version": "1" }))
    };
    assert!(
        has("Source", "ThirdParty", "GitHub")
            && has("Build", "AWS", "CodeBuild")
            && has("Approval", "AWS", "Manual")
    );
    assert!(!has("Deploy", "AWS", "ECS"), "only what can be carried out here is listed");
    client.refused("ListActionTypes", &json!({ "nextToken": "other" }), "InvalidNextTokenException");
    let arn = "arn:aws:codepipeline:us-east-1:123456789012:actiontype:Custom/Build/Jenkins/1";
    let arn = json!({ "resourceArn": arn });
    assert_eq!(client.call("ListTagsForResource", &arn)["tags"], tagged["tags"]);

    assert_eq!(client.call("CreateCustomActionType", &jenkins_type())["actionType"], *shown);
    let mut other = jenkins_type();
    other["outputArtifactDetails"]["maximumCount"] = json!(4);
    client.refused("CreateCustomActionType", &other, "ActionTypeAlreadyExistsException");
    client.call("CreatePipeline", &shop());
    let id = json!({ "category": "Build", "provider": JENKINS, "version": "1" });
    for _ in 0..2 {
        client.call("DeleteCustomActionType", &id);
    }
    assert_eq!(list(json!({ "actionOwnerFilter": "Custom" })), json!({ "actionTypes": [] }));
    client.refused("ListTagsForResource", &arn, "ResourceNotFoundException");
    let gone = client.refused("CreateCustomActionType", &other, "InvalidActionTypeException");
    assert!(gone.message.ends_with("has been deleted. Create a new version of the action type."), "{gone:?}");

    // A pipeline that was there before is left with an action nobody can be asked to do.
    let run = start(client, "shop");
    reaches(client, "shop", &run, "Failed");
    let seen = action(client, "shop", ("Build", "Compile"))["latestExecution"].clone();
    assert_eq!(seen["errorDetails"]["code"], "ConfigurationError");
    assert!(
        seen["errorDetails"]["message"].as_str().unwrap().contains("does not exist any more"),
        "{seen:#}"
    );
    client.call("CreateCustomActionType", &jenkins_type());
}

const PARTNER: &str = r#"
[[action-types]]
category = "Test"
provider = "Inspector"
client-id = "3f0c2b1a-9d8e-4f7a-8b6c-5d4e3f2a1b0c"
client-token = "between-us"
inputs = [1, 1]
properties = [
    { name = "Suite", key = true },
    { name = "Token", no-echo = true },
    { name = "Note", optional = true },
]
urls = { execution-url-template = "https://inspector.example/{Config:Suite}/{ExternalExecutionId}" }
"#;

#[test]
fn a_partner_works_with_its_clients_token() {
    let inspector =
        json!({ "category": "Test", "owner": "ThirdParty", "provider": "Inspector", "version": "1" });
    let inspect = json!({
        "name": "Inspect", "actionTypeId": inspector, "inputArtifacts": [{ "name": "Code" }],
        "configuration": { "Suite": "smoke", "Token": "hunter22" },
    });
    let definition = pipeline("shop", vec![source(), stage("Test", vec![inspect])]);
    let folder = Folder::repository(&definition, &[]);
    fs::write(folder.at("towpath.toml"), PARTNER).unwrap();
    let server = Server::start(&folder);
    let client = &server.client;
    client.call("CreatePipeline", &definition);
    let poll = json!({ "actionTypeId": inspector });
    let mut jobs = Value::Null;
    assert!(eventually(Duration::from_secs(30), || {
        jobs = client.call("PollForThirdPartyJobs", &poll)["jobs"].clone();
        jobs != json!([])
    }));
    let id = jobs[0]["jobId"].as_str().unwrap();
    assert_eq!(jobs[0]["clientId"], "3f0c2b1a-9d8e-4f7a-8b6c-5d4e3f2a1b0c");
    let with = |token: &str| json!({ "jobId": id, "clientToken": token });
    client.refused("GetThirdPartyJobDetails", &with("guess"), "InvalidClientTokenException");
    let job = client.call("GetThirdPartyJobDetails", &with("between-us"))["jobDetails"].clone();
    assert_eq!(
        job["data"]["actionConfiguration"]["configuration"],
        json!({ "Suite": "smoke", "Token": "hunter22" })
    );
    let context = &job["data"]["pipelineContext"];
    assert!(
        context.get("pipelineArn").is_none() && context.get("pipelineExecutionId").is_none(),
        "{context}"
    );
    let mut take = with("between-us");
    take["nonce"] = json!("other");
    client.refused("AcknowledgeThirdPartyJob", &take, "InvalidNonceException");
    take["nonce"] = job["nonce"].clone();
    assert_eq!(client.call("AcknowledgeThirdPartyJob", &take)["status"], "InProgress");
    client.refused("GetJobDetails", &json!({ "jobId": id }), "JobNotFoundException");
    client.refused("PutJobSuccessResult", &success(id), "JobNotFoundException");
    let mut result = success(id);
    result["clientToken"] = json!("guess");
    client.refused("PutThirdPartyJobSuccessResult", &result, "InvalidClientTokenException");
    result["clientToken"] = json!("between-us");
    client.call("PutThirdPartyJobSuccessResult", &result);
    let seen = action_reaches(client, "shop", ("Test", "Inspect"), "Succeeded");
    assert_eq!(seen["externalExecutionUrl"], "https://inspector.example/smoke/17");
    client.refused("GetThirdPartyJobDetails", &with("between-us"), "InvalidJobException");
    client.refused("PutThirdPartyJobSuccessResult", &result, "InvalidJobStateException");
    let mut bad = failure(id);
    bad["clientToken"] = json!("between-us");
    client.refused("PutThirdPartyJobFailureResult", &bad, "InvalidJobStateException");
    client.refused("PollForThirdPartyJobs", &json!({ "actionTypeId": jenkins_id() }), "ValidationException");

    let of = json!({ "category": "Test", "owner": "ThirdParty", "provider": "Inspector", "version": "1" });
    let mut declared = client.call("GetActionType", &of)["actionType"].clone();
    assert_eq!(declared["id"], inspector);
    assert!(!declared.to_string().contains("between-us"));
    declared["properties"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "name": "Depth", "optional": true, "key": false, "noEcho": false }));
    client.call("UpdateActionType", &json!({ "actionType": declared }));
    assert_eq!(client.call("GetActionType", &of)["actionType"], declared);
    declared["properties"][2]["optional"] = json!(false);
    client.refused("UpdateActionType", &json!({ "actionType": declared }), "RequestFailedException");
    let unknown = json!({ "category": "Test", "owner": "AWS", "provider": "Inspector", "version": "1" });
    client.refused("GetActionType", &unknown, "ActionTypeNotFoundException");
    declared["id"] = unknown;
    client.refused("UpdateActionType", &json!({ "actionType": declared }), "ActionTypeNotFoundException");
}

#[test]
fn a_source_that_workers_fetch_gives_its_artifact_a_revision() {
    let shelf = json!({ "category": "Source", "owner": "Custom", "provider": "Shelf", "version": "1" });
    let fetch = json!({
        "name": "Fetch", "actionTypeId": shelf, "outputArtifacts": [{ "name": "Code" }], "configuration": {},
    });
    let build = json!({
        "name": "Compile", "actionTypeId": jenkins_id(), "configuration": { "ProjectName": "shop" },
        "inputArtifacts": [{ "name": "Code" }],
    });
    let definition = pipeline("shop", vec![stage("Source", vec![fetch]), stage("Build", vec![build])]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    client.call("CreateCustomActionType", &jenkins_type());
    let mut kind = jenkins_type();
    kind["category"] = json!("Source");
    kind["provider"] = json!("Shelf");
    kind["configurationProperties"] = json!([]);
    kind["settings"] = json!({ "revisionUrlTemplate": "https://shelf.example/changes" });
    client.call("CreateCustomActionType", &kind);
    client.call("CreatePipeline", &definition);
    let shop = Shop { folder, server };
    let client = shop.client();
    let mut jobs = Value::Null;
    assert!(eventually(Duration::from_secs(30), || {
        jobs = client.call("PollForJobs", &json!({ "actionTypeId": shelf }))["jobs"].clone();
        jobs != json!([])
    }));
    let id = jobs[0]["id"].as_str().unwrap();
    client.call("AcknowledgeJob", &json!({ "jobId": id, "nonce": jobs[0]["nonce"] }));
    let revision = json!({
        "revision": "r9", "changeIdentifier": "c9", "created": 1_700_000_000.5, "revisionSummary": "Nine",
    });
    client.call("PutJobSuccessResult", &json!({ "jobId": id, "currentRevision": revision }));
    let job = shop.job();
    assert_eq!(job["data"]["inputArtifacts"][0]["revision"], "r9");
    let seen = action(client, "shop", ("Source", "Fetch"));
    let shown = json!({ "revisionId": "r9", "revisionChangeId": "c9", "created": 1_700_000_000.5 });
    assert_eq!(seen["currentRevision"], shown);
    assert_eq!(seen["revisionUrl"], "https://shelf.example/changes");
    let told = client.call(
        "GetPipelineExecution",
        &json!({ "pipelineName": "shop", "pipelineExecutionId": shop.latest() }),
    );
    let told = &told["pipelineExecution"]["artifactRevisions"][0];
    assert_eq!(told["revisionChangeIdentifier"], "c9");
    assert_eq!((&told["revisionId"], &told["revisionSummary"]), (&json!("r9"), &json!("Nine")));
}
