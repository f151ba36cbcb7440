//! The unmodified `aws` command against `towpath up`: one long walk, since each call costs half a second.

use serde_json::{Value, json};
use std::{env, fs, path::PathBuf, process::Command, time::Duration};
use tests::{
    deliveries::{Delivery, push},
    folder::Folder,
    pipelines::{approval, commands, github, pipeline, source, stage},
    processes::eventually,
    server::{ACCESS_KEY, SECRET_KEY, Server},
    towpath,
};

/// How long a pipeline of quick actions may take.
const SOON: Duration = Duration::from_secs(60);

struct Aws {
    program: PathBuf,
    url: String,
}

impl Aws {
    fn new(server: &Server) -> Self {
        let program = find().expect(
            "there is no `aws` command: run `cargo xtask test`, which installs it, or set TOWPATH_TEST_AWS to one",
        );
        Self { program, url: server.url() }
    }

    fn run(&self, arguments: &[&str]) -> Result<Value, String> {
        let mut aws = Command::new(&self.program);
        towpath::plain(&mut aws);
        aws.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        aws.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        aws.args(["--region", "us-east-1", "--output", "json", "--endpoint-url", &self.url, "codepipeline"]);
        let done = aws.args(arguments).output().unwrap();
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned());
        }
        let out = String::from_utf8(done.stdout).unwrap();
        Ok(if out.trim().is_empty() { Value::Null } else { serde_json::from_str(&out).unwrap() })
    }

    #[track_caller]
    fn call(&self, arguments: &[&str]) -> Value {
        self.run(arguments).unwrap_or_else(|error| panic!("aws {arguments:?}: {error}"))
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str], code: &str) {
        let error = self.run(arguments).expect_err(code);
        assert!(error.contains(&format!("({code})")), "aws {arguments:?}: {error}");
    }

    /// Waits until the newest attempt of an action has this status; returns it.
    #[track_caller]
    fn action(&self, stage: usize, action: usize, status: &str) -> Value {
        let mut seen = Value::Null;
        let reached = eventually(SOON, || {
            let state = self.call(&["get-pipeline-state", "--name", "shop"]);
            seen = state["stageStates"][stage]["actionStates"][action]["latestExecution"].clone();
            seen["status"] == status
        });
        assert!(reached, "not {status}: {seen:#}");
        seen
    }
}

/// The `aws` command: named by the environment, or in the path.
fn find() -> Option<PathBuf> {
    if let Some(named) = env::var_os("TOWPATH_TEST_AWS") {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join("aws")).find(|file| file.is_file())
}

#[test]
fn the_aws_command_creates_runs_approves_retries_and_deletes() {
    let marks = Folder::new();
    let flaky =
        commands("Ship", &[&format!("test -e {}", marks.at("go").display()), "echo #{variables.COLOUR}"]);
    let mut definition =
        pipeline("shop", vec![source(), stage("Gate", vec![approval("Sign")]), stage("Live", vec![flaky])]);
    definition["pipeline"]["variables"] = json!([{ "name": "COLOUR", "defaultValue": "red" }]);
    definition["tags"] = json!([{ "key": "team", "value": "shop" }]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let aws = Aws::new(&server);
    let file = format!("file://{}", folder.at("pipeline.json").display());

    let created = aws.call(&["create-pipeline", "--cli-input-json", &file]);
    assert_eq!(created["pipeline"]["version"], 1);
    assert_eq!(created["tags"], definition["tags"]);
    aws.refused(&["create-pipeline", "--cli-input-json", &file], "PipelineNameInUseException");
    let known = aws.call(&["get-pipeline", "--name", "shop"]);
    assert_eq!(known["pipeline"], created["pipeline"]);
    fs::write(folder.at("again.json"), json!({ "pipeline": known["pipeline"] }).to_string()).unwrap();

    // The execution that creating started waits for its approval; it is stopped there.
    let token = aws.action(1, 0, "InProgress")["token"].clone();
    let listed = aws.call(&["list-pipeline-executions", "--pipeline-name", "shop"]);
    let first = &listed["pipelineExecutionSummaries"][0];
    assert_eq!(first["trigger"]["triggerType"], "CreatePipeline");
    let first = first["pipelineExecutionId"].as_str().unwrap();
    let stop = ["stop-pipeline-execution", "--pipeline-name", "shop", "--pipeline-execution-id", first];
    aws.call(&[&stop[..], &["--reason", "not this one"]].concat());
    aws.refused(&stop, "DuplicatedStopRequestException");
    aws.call(&[&stop[..], &["--abandon"]].concat());
    aws.refused(&stop, "PipelineExecutionNotStoppableException");
    let answer = |token: &Value, status: &str| {
        let result = format!("summary=good,status={status}");
        let token = token.as_str().unwrap().to_owned();
        let words =
            ["put-approval-result", "--pipeline-name", "shop", "--stage-name", "Gate", "--action-name"];
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        words.extend(["Sign".into(), "--result".into(), result, "--token".into(), token]);
        words
    };
    let words = |words: &[String]| -> Vec<String> { words.to_vec() };
    let call = |given: &[String]| aws.run(&given.iter().map(String::as_str).collect::<Vec<_>>());
    let late = call(&words(&answer(&token, "Approved"))).unwrap_err();
    assert!(late.contains("(InvalidApprovalTokenException)"), "{late}");

    let file = format!("file://{}", folder.at("again.json").display());
    assert_eq!(aws.call(&["update-pipeline", "--cli-input-json", &file])["pipeline"]["version"], 2);
    let pipelines = aws.call(&["list-pipelines"]);
    assert_eq!(pipelines["pipelines"][0]["name"], "shop");
    assert_eq!(pipelines["pipelines"][0]["version"], 2);

    let start = ["start-pipeline-execution", "--name", "shop", "--variables", "name=COLOUR,value=blue"];
    let start = [&start[..], &["--client-request-token", "once"]].concat();
    let second = aws.call(&start);
    assert_eq!(aws.call(&start), second);
    let second = second["pipelineExecutionId"].as_str().unwrap();
    let token = aws.action(1, 0, "InProgress")["token"].clone();
    // A number or a date, as the version of the command has it.
    assert!(!call(&answer(&token, "Approved")).unwrap()["approvedAt"].is_null());
    let twice = call(&answer(&token, "Approved")).unwrap_err();
    assert!(twice.contains("(ApprovalAlreadyCompletedException)"), "{twice}");

    aws.action(2, 0, "Failed");
    marks.write("go", "");
    let retry = ["retry-stage-execution", "--pipeline-name", "shop", "--stage-name", "Live"];
    let retry = [&retry[..], &["--pipeline-execution-id", second, "--retry-mode", "FAILED_ACTIONS"]].concat();
    assert_eq!(aws.call(&retry)["pipelineExecutionId"], second);
    aws.action(2, 0, "Succeeded");
    let get = ["get-pipeline-execution", "--pipeline-name", "shop", "--pipeline-execution-id", second];
    let told = aws.call(&get);
    assert_eq!(told["pipelineExecution"]["status"], "Succeeded");
    assert_eq!(told["pipelineExecution"]["variables"][0]["resolvedValue"], "blue");

    // The command pages by itself: three calls of two entries each make one list.
    let all = aws.call(&["list-action-executions", "--pipeline-name", "shop", "--page-size", "2"]);
    assert_eq!(all["actionExecutionDetails"].as_array().unwrap().len(), 6);
    let list = ["list-action-executions", "--pipeline-name", "shop", "--max-items", "1"];
    let page = aws.call(&list);
    let next = aws.call(&[&list[..], &["--starting-token", page["NextToken"].as_str().unwrap()]].concat());
    assert_eq!(next["actionExecutionDetails"][0], all["actionExecutionDetails"][1]);

    let door = ["--pipeline-name", "shop", "--stage-name", "Live", "--transition-type", "Inbound"];
    aws.call(&[&["disable-stage-transition"][..], &door, &["--reason", "freeze"]].concat());
    let state = aws.call(&["get-pipeline-state", "--name", "shop"]);
    assert_eq!(state["stageStates"][2]["inboundTransitionState"]["disabledReason"], "freeze");
    aws.call(&[&["enable-stage-transition"][..], &door].concat());

    aws.call(&["delete-pipeline", "--name", "shop"]);
    aws.refused(&["get-pipeline", "--name", "shop"], "PipelineNotFoundException");
}

#[test]
fn the_aws_command_puts_webhooks_tags_them_and_reports_revisions() {
    let quick = commands("Say", &["true"]);
    let definition = pipeline("shop", vec![stage("Source", vec![github()]), stage("Build", vec![quick])]);
    let folder = Folder::repository(&definition, &[]);
    let server = Server::start(&folder);
    let aws = Aws::new(&server);
    let file = format!("file://{}", folder.at("pipeline.json").display());
    aws.call(&["create-pipeline", "--cli-input-json", &file]);
    aws.action(1, 0, "Succeeded");

    let webhook = json!({ "webhook": { "name": "hook", "targetPipeline": "shop", "targetAction": "Checkout",
        "filters": [{ "jsonPath": "$.ref", "matchEquals": "refs/heads/{Branch}" }],
        "authentication": "GITHUB_HMAC", "authenticationConfiguration": { "SecretToken": "secret" } },
        "tags": [{ "key": "team", "value": "shop" }] });
    folder.write("webhook.json", &webhook.to_string());
    let file = format!("file://{}", folder.at("webhook.json").display());
    let put = aws.call(&["put-webhook", "--cli-input-json", &file])["webhook"].clone();
    assert_eq!(put["definition"]["authenticationConfiguration"]["SecretToken"], "****");
    aws.call(&["register-webhook-with-third-party", "--webhook-name", "hook"]);
    let listed = aws.call(&["list-webhooks", "--page-size", "1"])["webhooks"].clone();
    assert_eq!(listed[0]["errorCode"], "NoCredentials");
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["url"]), (1, &put["url"]));

    let pushed = folder.commit("Pushed");
    let delivery = Delivery::new(put["url"].as_str().unwrap(), &push("main", &pushed)).signed("secret");
    let started = delivery.send(&server.client).json()["pipelineExecutionId"].clone();
    let get = ["get-pipeline-execution", "--pipeline-name", "shop", "--pipeline-execution-id"];
    let told = aws.call(&[&get[..], &[started.as_str().unwrap()]].concat());
    assert_eq!(told["pipelineExecution"]["trigger"]["triggerDetail"], put["arn"]);

    let arn = put["arn"].as_str().unwrap();
    aws.call(&["tag-resource", "--resource-arn", arn, "--tags", "key=a,value=b"]);
    aws.call(&["untag-resource", "--resource-arn", arn, "--tag-keys", "team"]);
    let tags = aws.call(&["list-tags-for-resource", "--resource-arn", arn]);
    assert_eq!(tags["tags"], json!([{ "key": "a", "value": "b" }]));

    let revision = format!("revisionId={pushed},revisionChangeId=1,created=2026-01-02T03:04:05Z");
    let place = ["put-action-revision", "--pipeline-name", "shop", "--stage-name", "Source"];
    let place = [&place[..], &["--action-name", "Checkout", "--action-revision", &revision]].concat();
    assert!(tests::processes::eventually(SOON, || {
        aws.call(&get.iter().copied().chain([started.as_str().unwrap()]).collect::<Vec<_>>())["pipelineExecution"]
            ["status"]
            == "Succeeded"
    }));
    assert_eq!(aws.call(&place), json!({ "newRevision": false, "pipelineExecutionId": started }));
    aws.refused(
        &[
            "list-deploy-action-execution-targets",
            "--action-execution-id",
            "00000000-0000-4000-8000-000000000000",
        ],
        "ActionExecutionNotFoundException",
    );
    aws.call(&["deregister-webhook-with-third-party", "--webhook-name", "hook"]);
    aws.call(&["delete-webhook", "--name", "hook"]);
    assert_eq!(aws.call(&["list-webhooks"])["webhooks"], json!([]));
    assert_eq!(delivery.send(&server.client).status, 404);
}
