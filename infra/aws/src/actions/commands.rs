//! Commands: an action's own commands as a build, in a project that the installation keeps for it. CodePipeline has
//! machines of its own for these actions; here they are the account's.

use super::{
    codebuild::{self, Order, Outputs, Variable},
    provider::{Answer, Provider, Step, Task, configuration},
};
use engine::action::{ActionJob, Failure};
use serde_json::{Map, Value, json};

/// How long commands may take, in minutes.
const MINUTES_MAX: u32 = 55;

/// Actions of the provider `Commands`.
pub struct Commands;

impl Provider for Commands {
    fn start<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Step> {
        Box::pin(async move { codebuild::begin(task, &order(task).await?).await })
    }

    fn poll<'a>(&'a self, task: &'a Task<'a>, id: &'a str) -> Answer<'a, Step> {
        Box::pin(codebuild::ask(task, id, false))
    }

    fn find<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Option<String>> {
        Box::pin(async move { codebuild::find(task, project(task)?, false).await })
    }

    fn wants_artifacts_near(&self) -> bool {
        true
    }

    fn begins_once(&self, _: &ActionJob) -> bool {
        true
    }

    fn tells_whose(&self, _: &ActionJob) -> bool {
        true
    }

    fn stop<'a>(&'a self, task: &'a Task<'a>, id: &'a str) -> Answer<'a, ()> {
        Box::pin(codebuild::stop(task, id, false))
    }
}

fn project<'a>(task: &'a Task<'_>) -> Result<&'a str, Failure> {
    task.compute_project.ok_or_else(|| {
        configuration(
            "Commands need a CodeBuild project to run in, and this installation has none. Name one in the setting \
             for it, or use a CodeBuild action.",
        )
    })
}

async fn order(task: &Task<'_>) -> Result<Order, Failure> {
    let job = task.job;
    if job.commands.is_empty() {
        return Err(configuration("`commands` is missing: a Commands action runs 1 to 50 of them."));
    }
    if task.value("VpcId").is_some() {
        return Err(configuration(
            "`VpcId` cannot be given to a single build. Give the network to the CodeBuild project in which commands \
             run, and leave `VpcId`, `Subnets` and `SecurityGroupIds` out.",
        ));
    }
    let variables = job.environment_variables.iter().map(|variable| Variable {
        name: variable.name.clone(),
        value: variable.value.clone(),
        kind: variable.kind.into(),
    });
    let mut further = Map::from_iter([("timeoutInMinutesOverride".to_owned(), json!(MINUTES_MAX))]);
    further.insert(
        "logsConfigOverride".to_owned(),
        json!({ "cloudWatchLogs": { "status": "ENABLED", "groupName": format!("/aws/codepipeline/{}", job.pipeline) } }),
    );
    for (key, member) in
        [("EnvironmentType", "environmentTypeOverride"), ("ComputeType", "computeTypeOverride")]
    {
        if let Some(value) = task.value(key) {
            further.insert(member.to_owned(), value.into());
        }
    }
    Ok(Order {
        project: project(task)?.to_owned(),
        is_batch: false,
        combine: false,
        buildspec: Some(buildspec(task).to_string()),
        // What the commands may do is what the pipeline may.
        role: job.roles.last().cloned().filter(|role| task.who == role),
        variables: variables.collect(),
        sources: codebuild::sources(task, job.inputs.first().map(|input| input.name.as_str())).await?,
        outputs: job
            .outputs
            .first()
            .map_or(Outputs::None, |output| Outputs::Primary(output.location.clone())),
        further,
    })
}

/// JSON, which is YAML too.
fn buildspec(task: &Task<'_>) -> Value {
    let job = task.job;
    let mut buildspec = json!({ "version": 0.2, "phases": { "build": { "commands": job.commands } } });
    if !job.output_variables.is_empty() {
        buildspec["env"] = json!({ "exported-variables": job.output_variables });
    }
    if let Some(output) = job.outputs.first() {
        let files = if output.files.is_empty() { vec!["**/*".to_owned()] } else { output.files.clone() };
        buildspec["artifacts"] = json!({ "files": files });
    }
    buildspec
}
