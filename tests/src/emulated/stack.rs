//! Towpath, deployed: the real template, and what its pipelines work on.

use super::{
    emulator::{ACCOUNT, Emulator, REGION},
    installed,
};
use crate::{
    client::{Answer, Client, Refusal},
    processes::eventually,
};
use aws::client::{Client as AwsClient, Credentials, RestAnswer, RestRequest, Service, Settings, Xml};
use http::Method;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// The stack's name.
pub const NAME: &str = "towpath";
/// The key that callers sign with; the emulator makes it the name of a user.
pub const KEY: &str = "test";
/// Its secret.
pub const SECRET: &str = "test";
/// How long something may take that takes a second or two on an idle machine.
pub const SOON: Duration = Duration::from_secs(60);
/// What pipelines work on, as a stack of its own.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/aws/fixtures.json");

/// What a stack is deployed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Something whose function URLs say who signed, as those of AWS do: our emulator.
    Telling,
    /// LocalStack, with these services. Its function URLs ask nobody who they are, so that tests stand in for them: they
    /// invoke the function with what AWS would have said.
    LocalStack(BTreeSet<String>),
}

impl Place {
    /// What answers at this address.
    pub fn at(address: SocketAddr) -> Self {
        let ask = |path: &str| {
            let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            Client::new(address).raw(request.as_bytes()).ok().filter(|answer| answer.status == 200)
        };
        // Our emulator answers to both names.
        match ask("/_ministack/health").is_none().then(|| ask("/_localstack/health")).flatten() {
            Some(health) => {
                let services = health.json()["services"].as_object().cloned().unwrap_or_default();
                let there = |state: &Value| state != "disabled" && state != "error";
                Self::LocalStack(
                    services.into_iter().filter(|(_, state)| there(state)).map(|(name, _)| name).collect(),
                )
            }
            None => Self::Telling,
        }
    }

    /// The key that calls are signed with. LocalStack takes it for the account's number.
    fn key(&self) -> &'static str {
        match self {
            Self::Telling => KEY,
            Self::LocalStack(_) => ACCOUNT,
        }
    }
}

/// Calls AWS, and waits for the answer.
pub struct Aws {
    client: AwsClient,
    key: &'static str,
    runtime: tokio::runtime::Runtime,
}

/// A deployed Towpath.
pub struct Stack {
    /// Calls the emulator itself, past the meter.
    pub aws: Aws,
    /// What the two stacks say of themselves.
    pub outputs: BTreeMap<String, String>,
    /// Where it is.
    pub address: SocketAddr,
    /// What it is on.
    pub place: Place,
}

impl Aws {
    /// Calls what listens at this address, with this key.
    fn at(url: &str, key: &'static str) -> Self {
        let settings = Settings {
            region: REGION.to_owned(),
            account: ACCOUNT.to_owned(),
            endpoint: Some(url.to_owned()),
            endpoints: BTreeMap::new(),
            credentials: Credentials {
                access_key: key.to_owned(),
                secret_key: SECRET.to_owned(),
                session_token: None,
                expires: None,
            },
            limits: aws::client::Limits { attempt: SOON, total: SOON, ..aws::client::Limits::default() },
            meter: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { client: AwsClient::new(settings), key, runtime }
    }

    /// An operation of a service that speaks JSON; it must succeed.
    #[track_caller]
    pub fn json(&self, service: Service, operation: &str, input: &Value) -> Value {
        let answer = self.runtime.block_on(self.client.json(service, operation, input));
        answer.unwrap_or_else(|error| panic!("{operation} {input}: {error}"))
    }

    /// An operation of a service that takes forms.
    #[track_caller]
    pub fn query(&self, service: Service, action: &str, params: &[(&str, &str)]) -> Xml {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let params: Vec<_> = params.iter().map(owned).collect();
        let answer = self.runtime.block_on(self.client.query(service, action, &params));
        answer.unwrap_or_else(|error| panic!("{action} {params:?}: {error}"))
    }

    /// A request with a path of its own; `None` when there is no such thing.
    #[track_caller]
    pub fn rest(&self, request: RestRequest) -> Option<RestAnswer> {
        let what = format!("{request:?}");
        match self.runtime.block_on(self.client.rest(request)) {
            Ok(answer) => Some(answer),
            Err(error) if error.is(&["NoSuchKey", "NotFound", "NoSuchBucket", "404"]) => None,
            Err(error) => panic!("{what}: {error}"),
        }
    }

    /// Writes an object.
    pub fn put_object(&self, bucket: &str, key: &str, body: impl Into<Vec<u8>>) {
        let body = bytes::Bytes::from(body.into());
        self.rest(RestRequest::object("PutObject", Method::PUT, bucket, key).body(body)).unwrap();
    }

    /// Reads an object.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let answer = self.rest(RestRequest::object("GetObject", Method::GET, bucket, key))?;
        Some(answer.body.to_vec())
    }

    /// Puts an event on a bus.
    pub fn put_event(&self, bus: &str, source: &str, detail_type: &str, detail: &Value) {
        let entry = json!({"EventBusName": bus, "Source": source, "DetailType": detail_type,
            "Detail": detail.to_string()});
        let answer = self.json(Service::EventBridge, "PutEvents", &json!({"Entries": [entry]}));
        assert_eq!(answer["FailedEntryCount"], 0, "{answer}");
    }

    /// Invokes a function and waits for its answer.
    #[track_caller]
    pub fn invoke(&self, function: &str, event: &Value) -> Value {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let request = RestRequest::new(Service::Lambda, "Invoke", Method::POST, path);
        let answer = self.rest(request.body(event.to_string().into_bytes())).unwrap();
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }

    /// Takes all messages out of a queue.
    pub fn messages(&self, queue: &str) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let input = json!({"QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0});
            let answer = self.json(Service::Sqs, "ReceiveMessage", &input);
            let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                return all;
            }
            for message in messages {
                let handle = json!({"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]});
                self.json(Service::Sqs, "DeleteMessage", &handle);
                let body = message["Body"].as_str().unwrap();
                all.push(serde_json::from_str(body).unwrap_or_else(|_| json!(body)));
            }
        }
    }

    fn has_stack(&self, stack: &str) -> bool {
        let params = [("StackName".to_owned(), stack.to_owned())];
        self.runtime.block_on(self.client.query(Service::CloudFormation, "DescribeStacks", &params)).is_ok()
    }

    fn outputs(&self, stack: &str) -> BTreeMap<String, String> {
        let answer = self.query(Service::CloudFormation, "DescribeStacks", &[("StackName", stack)]);
        let of_stack = "DescribeStacksResult/Stacks/member/Outputs";
        let text = |output: &Xml, name: &str| output.text_of(name).unwrap_or_default();
        answer
            .members(of_stack)
            .map(|output| (text(output, "OutputKey"), text(output, "OutputValue")))
            .collect()
    }
}

impl Stack {
    /// Deploys the template of `TOWPATH_TEST_FUNCTIONS` as anybody would, and what its pipelines work on.
    pub fn deploy(emulator: &Emulator) -> Self {
        Self::deploy_at(&emulator.url(), emulator.address)
    }

    /// The same, to what listens at an address.
    pub fn deploy_at(url: &str, address: SocketAddr) -> Self {
        let place = Place::at(address);
        let aws = Aws::at(url, place.key());
        aws.rest(RestRequest::object("CreateBucket", Method::PUT, "deployments", "")).unwrap();
        let folder = installed("TOWPATH_TEST_FUNCTIONS");
        let packaged = tempfile::NamedTempFile::new().unwrap();
        let file = packaged.path().to_str().unwrap();
        let package =
            ["cloudformation", "package", "--template-file", "template.yaml", "--s3-bucket", "deployments"];
        command(url, aws.key, &folder, &[&package[..], &["--output-template-file", file]].concat());
        let deploy =
            ["deploy", "--stack-name", NAME, "--template-file", file, "--capabilities", "CAPABILITY_IAM"];
        let administrator = format!("AdministratorArn=arn:aws:iam::{ACCOUNT}:user/{KEY}");
        // The template is longer than one that a call carries.
        let bucket = ["--s3-bucket", "deployments", "--no-fail-on-empty-changeset"];
        let parameters = ["--parameter-overrides", "Architecture=x86_64", "WithSlack=true", &administrator];
        command(url, aws.key, &folder, &[&["cloudformation"], &deploy[..], &bucket, &parameters].concat());

        let body = std::fs::read_to_string(FIXTURES).unwrap();
        let fixtures = [("StackName", "fixtures"), ("TemplateBody", &body)];
        let capability = ("Capabilities.member.1", "CAPABILITY_NAMED_IAM");
        // They are there when an installation that was left running is tested again.
        if !aws.has_stack("fixtures") {
            aws.query(Service::CloudFormation, "CreateStack", &[&fixtures[..], &[capability]].concat());
        }
        let mut outputs = aws.outputs(NAME);
        let made = eventually(SOON, || {
            let made = aws.outputs("fixtures");
            outputs.extend(made.clone());
            !made.is_empty()
        });
        assert!(made, "the fixtures' stack has no outputs");
        Self { aws, outputs, address, place }
    }

    /// An output of one of the stacks.
    #[track_caller]
    pub fn output(&self, name: &str) -> &str {
        self.outputs.get(name).unwrap_or_else(|| panic!("no output `{name}`: {:?}", self.outputs))
    }

    /// Makes a user of IAM with this policy; the key they sign with, and its secret.
    pub fn user(&self, name: &str, policy: Option<&str>) -> (String, String) {
        let (url, folder) = (format!("http://{}", self.address), std::env::temp_dir());
        let iam = |arguments: &[&str]| command(&url, self.aws.key, &folder, &[&["iam"], arguments].concat());
        iam(&["create-user", "--user-name", name]);
        if let Some(policy) = policy {
            iam(&["attach-user-policy", "--user-name", name, "--policy-arn", policy]);
        }
        let query = ["--query", "AccessKey.[AccessKeyId, SecretAccessKey]", "--output", "text"];
        let key = iam(&[&["create-access-key", "--user-name", name], &query[..]].concat());
        let (id, secret) = key.trim().split_once('\t').expect("two columns");
        (id.to_owned(), secret.to_owned())
    }

    /// The path of a function URL on the emulator, from the output that names it.
    pub fn url_path(&self, output: &str) -> String {
        let url = self.output(output);
        let id = url.trim_start_matches("https://").split('.').next().unwrap();
        format!("/_aws/lambda-url/{id}/")
    }

    /// A function URL on the emulator, whole.
    pub fn url(&self, output: &str) -> String {
        format!("http://{}{}", self.address, self.url_path(output))
    }

    /// Sends an operation to the function URL, signed with a key.
    pub fn post_as(&self, (key, secret): (&str, &str), operation: &str, input: &Value) -> Answer {
        let client = Client::new(self.address).with_key(key, secret);
        let target = format!("CodePipeline_20150709.{operation}");
        let path = self.url_path("ApiUrl");
        client.send(&client.signed_for("lambda", &path, &target, input.to_string().as_bytes())).unwrap()
    }

    /// Calls an operation as a function URL does that has made sure of its caller.
    fn invoked(&self, operation: &str, input: &Value) -> Answer {
        let event = json!({"version": "2.0", "rawPath": "/", "rawQueryString": "",
            "headers": {"content-type": "application/x-amz-json-1.1",
                "x-amz-target": format!("CodePipeline_20150709.{operation}")},
            "requestContext": {"http": {"method": "POST", "path": "/", "sourceIp": "127.0.0.1"},
                "requestId": operation,
                "authorizer": {"iam": {"userArn": format!("arn:aws:iam::{ACCOUNT}:user/{KEY}")}}},
            "body": input.to_string(), "isBase64Encoded": false});
        let answer = self.aws.invoke(&self.function("ApiFunction"), &event);
        let body = answer["body"].as_str().unwrap_or_default().as_bytes().to_vec();
        let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
        Answer {
            status: status.unwrap_or_else(|| panic!("{operation}: {answer}")),
            headers: Vec::new(),
            body,
        }
    }

    /// The name of a function, from what the template calls it.
    pub fn function(&self, logical: &str) -> String {
        let params = [("StackName", NAME), ("LogicalResourceId", logical)];
        let answer = self.aws.query(Service::CloudFormation, "DescribeStackResource", &params);
        let path = "DescribeStackResourceResult/StackResourceDetail/PhysicalResourceId";
        answer.text_of(path).unwrap_or_else(|| panic!("no resource `{logical}`: {answer:?}"))
    }

    /// Gives a function so many seconds for an invocation.
    pub fn set_timeout(&self, logical: &str, seconds: u32) {
        let path = format!("/2015-03-31/functions/{}/configuration", self.function(logical));
        let request = RestRequest::new(Service::Lambda, "UpdateFunctionConfiguration", Method::PUT, path);
        self.aws.rest(request.body(json!({"Timeout": seconds}).to_string().into_bytes())).unwrap();
    }

    /// Calls an operation at the function URL, or in its place.
    pub fn try_call(&self, operation: &str, input: &Value) -> Result<Value, Refusal> {
        let answer = match self.place {
            Place::Telling => self.post_as((KEY, SECRET), operation, input),
            Place::LocalStack(_) => self.invoked(operation, input),
        };
        if answer.status == 200 { Ok(answer.json()) } else { Err(answer.refusal()) }
    }

    /// The same; it must succeed.
    #[track_caller]
    pub fn call(&self, operation: &str, input: &Value) -> Value {
        self.try_call(operation, input).unwrap_or_else(|refusal| panic!("{operation} {input}: {refusal:?}"))
    }

    /// How an execution stands.
    pub fn status(&self, pipeline: &str, execution: &str) -> String {
        let input = json!({"pipelineName": pipeline, "pipelineExecutionId": execution});
        let answer = self.call("GetPipelineExecution", &input);
        answer["pipelineExecution"]["status"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an execution has this status.
    #[track_caller]
    pub fn wait_for(&self, pipeline: &str, execution: &str, wanted: &str) {
        let mut last = String::new();
        let so = eventually(SOON, || {
            last = self.status(pipeline, execution);
            std::thread::sleep(Duration::from_millis(100));
            // A run that has ended stays as it is.
            ["Succeeded", "Failed", "Stopped", wanted].contains(&last.as_str())
        });
        let so = so && last == wanted;
        let state = || self.call("GetPipelineState", &json!({"name": pipeline}));
        assert!(so, "{pipeline} {execution} is {last}, not {wanted}: {:#}", state());
    }

    /// The executions of a pipeline, newest first.
    pub fn executions(&self, pipeline: &str) -> Vec<Value> {
        let answer = self.call("ListPipelineExecutions", &json!({"pipelineName": pipeline}));
        answer["pipelineExecutionSummaries"].as_array().cloned().unwrap_or_default()
    }

    /// What GetPipelineState says of an action.
    pub fn action(&self, pipeline: &str, stage: &str, action: &str) -> Value {
        let state = self.call("GetPipelineState", &json!({"name": pipeline}));
        let find = |list: &Value, key: &str, name: &str| -> Value {
            let of = list.as_array().into_iter().flatten();
            of.clone().find(|entry| entry[key] == name).cloned().unwrap_or(Value::Null)
        };
        find(&find(&state["stageStates"], "stageName", stage)["actionStates"], "actionName", action)
    }

    /// Waits until an action's newest attempt has this status.
    #[track_caller]
    pub fn wait_for_action(&self, pipeline: &str, stage: &str, action: &str, wanted: &str) -> Value {
        let mut last = Value::Null;
        let so = eventually(SOON, || {
            last = self.action(pipeline, stage, action);
            std::thread::sleep(Duration::from_millis(100));
            last["latestExecution"]["status"] == wanted
        });
        assert!(so, "{pipeline}: {stage}/{action} is not {wanted}: {last:#}");
        last
    }
}

/// Runs the `aws` command; what it says.
fn command(url: &str, key: &str, folder: &Path, arguments: &[&str]) -> String {
    let mut aws = Command::new(installed("TOWPATH_TEST_AWS"));
    aws.args(arguments).current_dir(folder).stdin(Stdio::null());
    aws.env("AWS_ENDPOINT_URL", url).env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", SECRET);
    aws.env("AWS_DEFAULT_REGION", REGION).env("AWS_CONFIG_FILE", "/dev/null");
    aws.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").env_remove("AWS_PROFILE");
    let done = aws.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr) + String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "aws {arguments:?}: {said}");
    String::from_utf8(done.stdout).unwrap()
}
