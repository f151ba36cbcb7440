//! The same providers against `moto`, an emulator that others wrote: what it knows, it answers as they read the
//! documentation. `TOWPATH_TEST_MOTO` names its program `moto_server`; without it there is nothing to run.
//!
//! It starts no builds, functions or deployments, and ends a build as soon as it is asked for.

use super::stage::{NOON, Stage, archive, asked, input, job, now, output, patient_client_of, resumed, rule};
use aws::{
    actions::objects::{Objects, Properties},
    client::{Client, RestRequest, Service},
};
use engine::{
    action::{ActionJob, ArtifactLocation, FailureCode, Run},
    rule::RuleOutcome,
};
use events::{ActionExecutionId, Timestamp};
use http::Method;
use serde_json::{Value, json};
use std::{
    env,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

const MOTO: &str = "TOWPATH_TEST_MOTO";
/// It is Python, and machines are busy.
const READY_MAX: Duration = Duration::from_secs(90);

/// In the emulator's own account: a role of another one would see nothing.
const ROLE: &str = "arn:aws:iam::123456789012:role/pipeline";

struct Moto {
    url: String,
    /// Ends the emulator when its standard input ends: with this process, however that comes about.
    _guard: Child,
}

/// The emulator, started with the first test that asks for it.
#[allow(clippy::print_stderr, reason = "what was not tested is said where people look for it")]
fn moto() -> Option<&'static Moto> {
    static RUNNING: LazyLock<Option<Moto>> = LazyLock::new(|| {
        let Some(program) = env::var_os(MOTO).filter(|program| !program.is_empty()) else {
            eprintln!("not run: `{MOTO}` names no `moto_server`");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let guard = Command::new("sh")
            .args(["-c", r#""$0" -H 127.0.0.1 -p "$1" >/dev/null 2>&1 & cat >/dev/null; kill $!"#])
            .arg(program)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let until = Instant::now() + READY_MAX;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "moto is not ready after {READY_MAX:?}");
            thread::sleep(Duration::from_millis(100));
        }
        Some(Moto { url: format!("http://127.0.0.1:{port}"), _guard: guard })
    });
    RUNNING.as_ref()
}

/// A stage over the emulator, with a bucket for artifacts.
async fn stage() -> Option<(Stage, Client)> {
    let moto = moto()?;
    let client = patient_client_of(&moto.url);
    bucket(&client, "store").await;
    Some((Stage::over(&moto.url), client))
}

async fn bucket(client: &Client, name: &str) {
    let body = "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    let request = RestRequest::object("CreateBucket", Method::PUT, name, "").body(body);
    // Perhaps another test made it.
    let _ = client.rest(request).await;
    let body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let request = RestRequest::object("PutBucketVersioning", Method::PUT, name, "").query("versioning", "");
    client.rest(request.body(body)).await.unwrap();
}

async fn put(client: &Client, bucket: &str, key: &str, bytes: Vec<u8>) {
    Objects::new(client.clone()).put((bucket, key), bytes, &Properties::default()).await.unwrap();
}

async fn get(client: &Client, bucket: &str, key: &str) -> Vec<u8> {
    let at = ArtifactLocation { bucket: bucket.into(), key: key.into() };
    Objects::new(client.clone()).get(&at, 64 << 20).await.unwrap().to_vec()
}

async fn call(client: &Client, service: Service, operation: &str, input: Value) -> Value {
    client.json(service, operation, &input).await.unwrap()
}

/// An attempt of its own: the emulator is shared.
fn attempt(job: ActionJob, number: u32) -> ActionJob {
    let id = format!("11111111-1111-4111-8111-{number:012}");
    let action_execution = ActionExecutionId::parse(id).unwrap();
    // Its clock is that of the machine.
    let deadline = Timestamp(job.deadline.0 - NOON + now());
    ActionJob { action_execution, roles: vec![ROLE.into()], deadline, ..job }
}

#[tokio::test]
async fn objects_go_from_a_source_to_a_site() {
    let Some((stage, client)) = stage().await else { return };
    bucket(&client, "uploads").await;
    bucket(&client, "site").await;
    put(&client, "uploads", "app v1.zip", archive(&[("index.html", "first"), ("js/app.js", "js")])).await;
    let source = ActionJob {
        outputs: vec![output("Source")],
        ..job("Source/S3", &[("S3Bucket", "uploads"), ("S3ObjectKey", "app v1.zip")])
    };
    let first = stage.succeeded(&attempt(source.clone(), 1)).await;
    let version = first.output_variables["VersionId"].clone();
    put(&client, "uploads", "app v1.zip", archive(&[("index.html", "second")])).await;
    let second = stage.succeeded(&attempt(source.clone(), 2)).await;
    assert_ne!(second.output_variables["VersionId"], version);
    // The first once more, by its version.
    let pinned = ActionJob { revision: Some(version.clone()), ..source.clone() };
    let again = stage.succeeded(&attempt(pinned, 3)).await;
    assert_eq!(again.output_variables["VersionId"], version);
    let unknown = ActionJob { revision: Some("no-such-version".into()), ..source };
    let failure = stage.failed(&attempt(unknown, 4)).await;
    assert_eq!(failure.code, FailureCode::RevisionUnavailable, "{}", failure.message);

    let mut artifact = input("Source");
    artifact.location.key = "shop/Source/k2".into();
    let site = ActionJob {
        inputs: vec![artifact],
        ..job(
            "Deploy/S3",
            &[("BucketName", "site"), ("Extract", "true"), ("ObjectKey", "v1"), ("CacheControl", "no-cache")],
        )
    };
    let success = stage.succeeded(&attempt(site, 5)).await;
    assert_eq!(success.summary.as_deref(), Some("2 files put into `site/v1`"));
    assert_eq!(get(&client, "site", "v1/index.html").await, b"first");
    // In parts, as S3 puts them together.
    let large = "0123456789abcdef".repeat(20 << 16);
    put(&client, "store", "shop/Large/k1", archive(&[("large.bin", &large)])).await;
    let site = ActionJob {
        inputs: vec![input("Large")],
        ..job("Deploy/S3", &[("BucketName", "site"), ("Extract", "true")])
    };
    stage.succeeded(&attempt(site, 6)).await;
    assert_eq!(get(&client, "site", "large.bin").await, large.as_bytes());
    let gone = ActionJob {
        inputs: vec![input("Large")],
        ..job("Deploy/S3", &[("BucketName", "nobodys"), ("Extract", "true")])
    };
    let failure = stage.failed(&attempt(gone, 7)).await;
    assert!(failure.message.contains("no bucket `nobodys`"), "{}", failure.message);
}

#[tokio::test]
async fn a_build_is_begun_asked_for_and_found_again() {
    let Some((stage, client)) = stage().await else { return };
    put(&client, "store", "shop/Source/k1", archive(&[("buildspec.yml", "version: 0.2")])).await;
    call(
        &client,
        Service::CodeBuild,
        "CreateProject",
        json!({ "name": "shop", "source": { "type": "S3", "location": "store/x" },
                "artifacts": { "type": "NO_ARTIFACTS" }, "serviceRole": "arn:aws:iam::123456789012:role/service-role/build",
                "environment": { "type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL" } }),
    )
    .await;
    let build =
        ActionJob { inputs: vec![input("Source")], ..job("Build/CodeBuild", &[("ProjectName", "shop")]) };
    let build = attempt(build, 11);
    let begun = stage.begun(&build).await;
    assert!(begun.external_execution_id.starts_with("shop:"), "{begun:?}");
    let success = stage.succeeded(&asked(&build, &begun)).await;
    assert_eq!(success.external_execution_id, Some(begun.external_execution_id));
    let missing =
        ActionJob { inputs: vec![input("Source")], ..job("Build/CodeBuild", &[("ProjectName", "typo")]) };
    let failure = stage.failed(&attempt(missing, 12)).await;
    assert_eq!(failure.code, FailureCode::ConfigurationError, "{}", failure.message);
}

#[tokio::test]
async fn a_stack_is_made_changed_and_deleted() {
    let Some((stage, client)) = stage().await else { return };
    let template = |more: &str| {
        format!(
            r#"{{"Parameters":{{"Name":{{"Type":"String"}}}},"Resources":{{"Topic":{{"Type":"AWS::SNS::Topic","Properties":
               {{"TopicName":{{"Ref":"Name"}}}}}}{more}}},"Outputs":{{"Arn":{{"Value":{{"Ref":"Topic"}}}}}}}}"#
        )
    };
    put(&client, "store", "shop/Built/k1", archive(&[("t.json", &template(""))])).await;
    let deploy = |mode: &str, more: &[(&str, &str)], number: u32| {
        let fixed = [("ActionMode", mode), ("StackName", "shop-topic"), ("TemplatePath", "Built::t.json")];
        let configuration = [&fixed[..], more].concat();
        let job = ActionJob { inputs: vec![input("Built")], ..job("Deploy/CloudFormation", &configuration) };
        attempt(job, number)
    };
    let named = [("ParameterOverrides", r#"{"Name":"orders"}"#)];
    let create = deploy("CREATE_UPDATE", &named, 21);
    let begun = stage.begun(&create).await;
    let success = stage.succeeded(&asked(&create, &begun)).await;
    assert!(success.output_variables["Arn"].ends_with(":orders"), "{success:?}");
    let queue = r#","Queue":{"Type":"AWS::SQS::Queue"}"#;
    put(&client, "store", "shop/Built/k1", archive(&[("t.json", &template(queue))])).await;
    let change_set = [("ChangeSetName", "next"), named[0]];
    let replace = deploy("CHANGE_SET_REPLACE", &change_set, 22);
    stage.succeeded(&replace).await;
    let execute = deploy("CHANGE_SET_EXECUTE", &change_set, 23);
    let begun = stage.begun(&execute).await;
    let success = stage.succeeded(&asked(&execute, &begun)).await;
    assert_eq!(success.summary.as_deref(), Some("Stack shop-topic was updated."));
    let delete = deploy("DELETE_ONLY", &[], 24);
    let begun = stage.begun(&delete).await;
    let success = stage.succeeded(&asked(&delete, &begun)).await;
    assert_eq!(success.summary.as_deref(), Some("Stack shop-topic was deleted."));
    stage.succeeded(&deploy("DELETE_ONLY", &[], 25)).await;
}

#[tokio::test]
async fn a_deployment_is_made_and_found_by_its_description() {
    let Some((stage, client)) = stage().await else { return };
    put(&client, "store", "shop/Deployed/k1", archive(&[("appspec.yml", "version: 0.0")])).await;
    let application = json!({ "applicationName": "shop", "computePlatform": "Server" });
    call(&client, Service::CodeDeploy, "CreateApplication", application).await;
    call(
        &client,
        Service::CodeDeploy,
        "CreateDeploymentGroup",
        json!({ "applicationName": "shop", "deploymentGroupName": "live",
                "serviceRoleArn": "arn:aws:iam::123456789012:role/deploy" }),
    )
    .await;
    let deploy = |group: &str, number: u32| {
        let configuration = [("ApplicationName", "shop"), ("DeploymentGroupName", group)];
        let job = ActionJob { inputs: vec![input("Deployed")], ..job("Deploy/CodeDeploy", &configuration) };
        attempt(job, number)
    };
    let begun = stage.begun(&deploy("live", 31)).await;
    // Its holder died; the claim has run out.
    stage.later(20);
    match stage.actions_run(&resumed(&deploy("live", 31))).await {
        Run::Begun(found) => assert_eq!(found.external_execution_id, begun.external_execution_id),
        Run::Ended(outcome) => {
            assert!(format!("{outcome:?}").contains(&begun.external_execution_id), "{outcome:?}")
        }
        Run::Elsewhere => panic!("it was not found"),
    }
    let failure = stage.failed(&deploy("typo", 32)).await;
    assert_eq!(failure.code, FailureCode::ConfigurationError, "{}", failure.message);
}

#[tokio::test]
async fn an_alarm_is_asked_for_its_state() {
    let Some((stage, client)) = stage().await else { return };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let alarm = pairs(&[
        ("AlarmName", "errors"),
        ("MetricName", "Errors"),
        ("Namespace", "Shop"),
        ("Statistic", "Sum"),
        ("Period", "60"),
        ("EvaluationPeriods", "1"),
        ("Threshold", "1"),
        ("ComparisonOperator", "GreaterThanThreshold"),
    ]);
    client.query(Service::CloudWatch, "PutMetricAlarm", &alarm).await.unwrap();
    let set =
        |state: &str| pairs(&[("AlarmName", "errors"), ("StateValue", state), ("StateReason", "a test")]);
    client.query(Service::CloudWatch, "SetAlarmState", &set("ALARM")).await.unwrap();
    let mut job = rule("CloudWatchAlarm", &[("AlarmName", "errors")]);
    job.roles = vec![ROLE.into()];
    job.started = Timestamp(1);
    match stage.rule(&job).await {
        Run::Ended(RuleOutcome::Failed(failure)) => {
            assert_eq!(failure.message, "the alarm `errors` is still in ALARM after 0 minutes");
        }
        other => panic!("{other:?}"),
    }
    client.query(Service::CloudWatch, "SetAlarmState", &set("OK")).await.unwrap();
    assert!(matches!(stage.rule(&job).await, Run::Ended(RuleOutcome::Succeeded(_))));
}
