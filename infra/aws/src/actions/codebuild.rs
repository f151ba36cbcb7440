//! CodeBuild: builds and tests in a project of the account, and batches of them.
//!
//! A project made for CodePipeline has sources and artifacts of the type `CODEPIPELINE`, whose way is not open to
//! others. So each build is started with both overridden: S3 objects in, S3 objects out.

mod answer;
mod order;

use super::{
    clone_ref::Source,
    provider::{Answer, Provider, Step, Task, console},
};
use crate::client::{CallError, Service};
use api::sigv4::percent_encoded;
use engine::action::{ActionJob, Failure};
use serde_json::{Value, json};

pub(super) use order::{Order, Outputs, Variable, sources};

/// Pages of a project's builds that are looked through for one that was begun before.
const PAGES_MAX: usize = 3;
/// Builds described with one call, as the service bounds it.
const DESCRIBED_MAX: usize = 100;
/// The variable by which a build tells whose it is; the token does so for 5 minutes alone.
const ATTEMPT: &str = "CODEPIPELINE_ACTION_EXECUTION_ID";

/// Actions of the provider `CodeBuild`, for builds and for tests.
pub struct CodeBuild;

impl Provider for CodeBuild {
    fn start<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Step> {
        Box::pin(async move {
            let order = Order::of_project(task).await?;
            begin(task, &order).await
        })
    }

    fn poll<'a>(&'a self, task: &'a Task<'a>, id: &'a str) -> Answer<'a, Step> {
        Box::pin(async move { ask(task, id, task.flag("BatchEnabled")?).await })
    }

    fn find<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Option<String>> {
        Box::pin(async move {
            let project = task.needs("ProjectName")?;
            find(task, project, task.flag("BatchEnabled")?).await
        })
    }

    fn wants_artifacts_near(&self) -> bool {
        true
    }

    fn begins_once(&self, _: &ActionJob) -> bool {
        true
    }

    /// What is said of a batch does not have its environment.
    fn tells_whose(&self, job: &ActionJob) -> bool {
        job.configuration.get("BatchEnabled").is_none_or(|value| !value.eq_ignore_ascii_case("true"))
    }

    fn stop<'a>(&'a self, task: &'a Task<'a>, id: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { stop(task, id, task.flag("BatchEnabled")?).await })
    }
}

/// Which calls a build takes: the same ones under other names for batches.
struct Words {
    start: &'static str,
    started: &'static str,
    describe: &'static str,
    described: &'static str,
    list: &'static str,
    stop: &'static str,
    status: &'static str,
    page: &'static str,
}

const BUILD: Words = Words {
    start: "StartBuild",
    started: "build",
    describe: "BatchGetBuilds",
    described: "builds",
    list: "ListBuildsForProject",
    stop: "StopBuild",
    status: "buildStatus",
    page: "builds",
};

const BATCH: Words = Words {
    start: "StartBuildBatch",
    started: "buildBatch",
    describe: "BatchGetBuildBatches",
    described: "buildBatches",
    list: "ListBuildBatchesForProject",
    stop: "StopBuildBatch",
    status: "buildBatchStatus",
    page: "builds",
};

fn words(is_batch: bool) -> &'static Words {
    if is_batch { &BATCH } else { &BUILD }
}

/// Starts a build.
pub(super) async fn begin(task: &Task<'_>, order: &Order) -> Result<Step, Failure> {
    let words = words(order.is_batch);
    let answer = task.client.json(Service::CodeBuild, words.start, &order.input(task)).await;
    let answer = match answer {
        Ok(answer) => answer,
        // The quota of builds at a time: some of them end.
        Err(error) if error.is(&["AccountLimitExceededException"]) => return Ok(Step::NotYet),
        Err(error) => return Err(refused(task, &order.project, error)),
    };
    let id = answer[words.started]["id"].as_str().ok_or_else(|| {
        super::provider::unavailable(format!("CodeBuild answered `{}` without the build's id.", words.start))
    })?;
    Ok(Step::begun(id, Some(url(task, id, order.is_batch)), format!("Build {id} is under way")))
}

/// Asks how a build goes.
pub(super) async fn ask(task: &Task<'_>, id: &str, is_batch: bool) -> Result<Step, Failure> {
    let words = words(is_batch);
    let answer = task.client.json(Service::CodeBuild, words.describe, &json!({ "ids": [id] })).await;
    let answer = answer.map_err(|error| task.failed(error))?;
    let Some(build) = answer[words.described].get(0) else {
        return Err(answer::gone(id));
    };
    match build[words.status].as_str().unwrap_or_default() {
        "IN_PROGRESS" => {
            let phase = build["currentPhase"].as_str().unwrap_or("under way");
            Ok(Step::begun(id, Some(url(task, id, is_batch)), format!("Build {id}: {phase}")))
        }
        "SUCCEEDED" => answer::succeeded(task, build, id, url(task, id, is_batch)).await.map(Step::Done),
        status => Err(answer::failed(task, build, id, status, url(task, id, is_batch)).await),
    }
}

/// Looks for the build that an earlier try may have started.
pub(super) async fn find(task: &Task<'_>, project: &str, is_batch: bool) -> Result<Option<String>, Failure> {
    let words = words(is_batch);
    let mut next = Value::Null;
    for _ in 0..PAGES_MAX {
        let mut input = json!({ "projectName": project, "sortOrder": "DESCENDING" });
        if next.is_string() {
            input["nextToken"] = next;
        }
        let page = task.client.json(Service::CodeBuild, words.list, &input).await;
        let page = page.map_err(|error| refused(task, project, error))?;
        let ids = page["ids"].as_array().or(page[words.page].as_array()).cloned().unwrap_or_default();
        if ids.is_empty() {
            return Ok(None);
        }
        for ids in ids.chunks(DESCRIBED_MAX) {
            let answer = task.client.json(Service::CodeBuild, words.describe, &json!({ "ids": ids })).await;
            let answer = answer.map_err(|error| task.failed(error))?;
            let builds = answer[words.described].as_array().map_or(&[][..], Vec::as_slice);
            if let Some(own) = builds.iter().find(|build| is_own(task, build)) {
                return Ok(own["id"].as_str().map(str::to_owned));
            }
            // Those that come are older than the attempt.
            let began = task.began().0 as f64 / 1000.0;
            if builds.iter().any(|build| build["startTime"].as_f64().is_some_and(|start| start < began)) {
                return Ok(None);
            }
        }
        next = page["nextToken"].clone();
        if !next.is_string() {
            return Ok(None);
        }
    }
    Ok(None)
}

fn is_own(task: &Task<'_>, build: &Value) -> bool {
    let variables = build["environment"]["environmentVariables"].as_array().map_or(&[][..], Vec::as_slice);
    variables.iter().any(|variable| variable["name"] == ATTEMPT && variable["value"] == task.token())
}

/// Asks for a build to be stopped.
pub(super) async fn stop(task: &Task<'_>, id: &str, is_batch: bool) -> Result<(), Failure> {
    let stopped = task.client.json(Service::CodeBuild, words(is_batch).stop, &json!({ "id": id })).await;
    stopped.map(drop).map_err(|error| task.failed(error))
}

fn refused(task: &Task<'_>, project: &str, error: CallError) -> Failure {
    if error.is(&["ResourceNotFoundException"]) {
        return super::provider::configuration(format!(
            "There is no CodeBuild project `{project}` in {}: {}. Make it, or correct `ProjectName`.",
            task.region,
            error.message().trim_end_matches('.')
        ));
    }
    task.failed(error)
}

fn url(task: &Task<'_>, id: &str, is_batch: bool) -> String {
    let (region, kind) = (task.region, if is_batch { "batch" } else { "builds" });
    format!(
        "{}/codebuild/home?region={region}#/{kind}/{}/view/new",
        console(region),
        percent_encoded(id).replace("%3A", ":")
    )
}

/// An identifier of a source or an artifact: the service takes letters, digits and `_`.
fn identifier(name: &str) -> String {
    name.replace('-', "_")
}

/// `bucket/key`, as CodeBuild names objects.
fn place(input: &engine::action::ArtifactLocation) -> String {
    format!("{}/{}", input.bucket, input.key)
}

/// A source as the fields that override the project's own.
fn overrides(source: &Source, location: &engine::action::ArtifactLocation) -> (Value, Option<String>) {
    match source {
        Source::Files(head) => {
            (json!({ "type": "S3", "location": place(location) }), head.version_id.clone())
        }
        Source::Clone(reference) => (
            json!({ "type": reference.kind, "location": reference.clone_url, "gitCloneDepth": 0 }),
            Some(reference.commit_id.clone()),
        ),
    }
}
