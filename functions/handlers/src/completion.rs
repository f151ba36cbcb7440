//! A provider says that some work came to its end. That is a hint and never a result: it names the work, the work leads
//! to an attempt, and the attempt's provider is asked. So a forged, repeated, late or lost event can do no harm.

use crate::Home;
use engine::{
    action::{WORK_VARIABLE, Work},
    log::LogError,
    views::ViewsError,
};
use serde_json::Value;
use std::future::Future;

/// Knows what work of a provider's belongs to. Derived from events, so what it does not know may be ours all the same.
pub trait Externals {
    /// The attempt that a provider's own id of some work leads to.
    fn whose(
        &self,
        provider: &str,
        id: &str,
    ) -> impl Future<Output = Result<Option<Work>, ViewsError>> + Send;
}

/// Whose the work is that an event is about, as far as it says; under which names it may be known here otherwise; and in
/// words what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Whose work it is.
    pub work: Option<Work>,
    /// Provider of the action or rule, and the provider's own id.
    pub names: Vec<(&'static str, String)>,
    /// What became of it.
    pub said: String,
}

/// What an event of a provider is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Some work may have come to its end.
    Ended(Ended),
    /// Nothing that anybody waits for: work goes on.
    Passing(&'static str),
    /// It is of a kind that is not known here.
    Unknown,
    /// It lacks something that events of its kind have.
    Missing(&'static str),
}

/// Providers whose work is done by builds.
const BUILDERS: &[&str] = &["CodeBuild", "Commands", "ECRBuildAndPublish", "InspectorScan", "EKS"];
/// Providers whose work is done by deployments of CodeDeploy.
const DEPLOYERS: &[&str] = &["CodeDeploy", "CodeDeployToECS"];
/// Providers whose work is done by stacks, and by sets of them.
const STACKERS: &[&str] = &["CloudFormation"];
const SET_STACKERS: &[&str] = &["CloudFormationStackSet", "CloudFormationStackInstances"];

/// Whether events of this source say how work goes on.
pub fn is_provider(source: &str) -> bool {
    matches!(source, "aws.codebuild" | "aws.codedeploy" | "aws.cloudformation" | "aws.ecs" | "aws.states")
}

/// Reads an event of a provider.
pub fn read(source: &str, detail_type: &str, detail: &Value) -> Told {
    match (source, detail_type) {
        ("aws.codebuild", "CodeBuild Build State Change") => {
            build(detail, "build-status", "build-id", "`detail.build-id`")
        }
        ("aws.codebuild", "CodeBuild Batch State Change" | "CodeBuild Build Batch State Change") => {
            build(detail, "build-batch-status", "build-batch-id", "`detail.build-batch-id`")
        }
        ("aws.codebuild", "CodeBuild Build Phase Change") => Told::Passing("a build came to another phase"),
        ("aws.codedeploy", "CodeDeploy Deployment State-change Notification") => {
            let state = detail["state"].as_str().unwrap_or_default();
            match state {
                "START" | "READY" => Told::Passing("the deployment goes on"),
                _ => ended(DEPLOYERS, &[&detail["deploymentId"]], state, "`detail.deploymentId`"),
            }
        }
        ("aws.codedeploy", "CodeDeploy Instance State-change Notification") => {
            Told::Passing("a deployment goes on")
        }
        ("aws.cloudformation", "CloudFormation Stack Status Change") => {
            let status = detail["status-details"]["status"].as_str().unwrap_or_default();
            // The stack is as it shall be; only what it replaced is still being removed.
            let is_done = status.ends_with("_CLEANUP_IN_PROGRESS");
            if status.ends_with("_IN_PROGRESS") && !is_done {
                return Told::Passing("the stack is being changed");
            }
            let ids = [&detail["stack-id"], &detail["client-request-token"]];
            ended(STACKERS, &ids, status, "`detail.stack-id`")
        }
        ("aws.cloudformation", "CloudFormation StackSet Operation Status Change") => {
            let status = detail["status-details"]["status"].as_str().unwrap_or_default();
            if matches!(status, "RUNNING" | "QUEUED" | "STOPPING") {
                return Told::Passing("the operation goes on");
            }
            let id = &detail["stack-set-operation-id"];
            ended(SET_STACKERS, &[id], status, "`detail.stack-set-operation-id`")
        }
        ("aws.cloudformation", _) => Told::Passing("it is about a part of a stack"),
        ("aws.ecs", "ECS Deployment State Change") => {
            let name = detail["eventName"].as_str().unwrap_or_default();
            if name == "SERVICE_DEPLOYMENT_IN_PROGRESS" {
                return Told::Passing("the deployment goes on");
            }
            ended(&["ECS"], &[&detail["deploymentId"]], name, "`detail.deploymentId`")
        }
        ("aws.ecs", _) => Told::Passing("it is about a part of a service"),
        ("aws.states", "Step Functions Execution Status Change") => {
            let status = detail["status"].as_str().unwrap_or_default();
            if matches!(status, "RUNNING" | "PENDING_REDRIVE") {
                return Told::Passing("the state machine goes on");
            }
            ended(&["StepFunctions"], &[&detail["executionArn"]], status, "`detail.executionArn`")
        }
        _ => Told::Unknown,
    }
}

fn build(detail: &Value, status: &str, id: &str, missing: &'static str) -> Told {
    let status = detail[status].as_str().unwrap_or_default();
    if status == "IN_PROGRESS" {
        return Told::Passing("the build goes on");
    }
    // An ARN; what the API calls a build's id stands behind its last slash.
    let arn = &detail[id];
    let short = arn.as_str().and_then(|arn| arn.rsplit_once('/')).map(|(_, id)| Value::from(id));
    match ended(BUILDERS, &[&short.unwrap_or_default(), arn], status, missing) {
        Told::Ended(ended) => Told::Ended(Ended { work: work(detail), ..ended }),
        other => other,
    }
}

/// Whose work a build says it is, in the environment it was given.
fn work(detail: &Value) -> Option<Work> {
    let variables = detail["additional-information"]["environment"]["environment-variables"].as_array()?;
    let own = variables.iter().find(|variable| variable["name"] == WORK_VARIABLE)?;
    Work::of_line(own["value"].as_str()?)
}

fn ended(providers: &[&'static str], ids: &[&Value], said: &str, missing: &'static str) -> Told {
    let ids = ids.iter().filter_map(|id| id.as_str()).filter(|id| !id.is_empty());
    let names: Vec<_> =
        ids.flat_map(|id| providers.iter().map(move |provider| (*provider, id.to_owned()))).collect();
    if names.is_empty() {
        return Told::Missing(missing);
    }
    Told::Ended(Ended { work: None, names, said: said.to_owned() })
}

/// What became of a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hinted {
    /// The attempt was taken up.
    Taken(Work),
    /// It has ended already.
    Over(Work),
    /// Nobody here knows the work: it is somebody else's, or began so recently that it is not written down yet. Then
    /// `sweep` asks how it goes within a minute.
    Unknown,
}

/// A hint that came to nothing and has to come again.
#[derive(Debug, thiserror::Error)]
pub enum HintError {
    /// Who knows whose work it is did not answer.
    #[error(transparent)]
    Views(#[from] ViewsError),
    /// The log did not.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Follows a hint to the attempt it is about, and takes that up.
pub async fn complete<H: Home>(
    home: &H,
    externals: &impl Externals,
    ended: &Ended,
) -> Result<Hinted, HintError> {
    let Some(work) = behind(externals, ended).await? else {
        let names = &ended.names;
        tracing::debug!(?names, said = ended.said, "nobody here waits for this work");
        return Ok(Hinted::Unknown);
    };
    tracing::info!(
        pipeline = %work.pipeline,
        execution = %work.execution,
        attempt = %work.attempt,
        said = ended.said,
        "a provider says that work has ended"
    );
    let is_under_way = home.engine().resume_attempt(&work.execution, &work.attempt).await?;
    Ok(if is_under_way { Hinted::Taken(work) } else { Hinted::Over(work) })
}

async fn behind(externals: &impl Externals, ended: &Ended) -> Result<Option<Work>, ViewsError> {
    if ended.work.is_some() {
        return Ok(ended.work.clone());
    }
    for (provider, id) in &ended.names {
        if let Some(work) = externals.whose(provider, id).await? {
            return Ok(Some(work));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(source: &str, kind: &str, detail: Value) -> Vec<(&'static str, String)> {
        match read(source, kind, &detail) {
            Told::Ended(ended) => ended.names,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_end_of_work_is_known_by_the_names_its_provider_gave_it() {
        let arn = "arn:aws:codebuild:us-east-1:111122223333:build/shop:8745a7a9-0000";
        let built = names(
            "aws.codebuild",
            "CodeBuild Build State Change",
            json!({ "build-id": arn, "build-status": "SUCCEEDED" }),
        );
        assert!(built.contains(&("CodeBuild", "shop:8745a7a9-0000".to_owned())));
        assert!(built.contains(&("Commands", "shop:8745a7a9-0000".to_owned())));
        let deployed = names(
            "aws.codedeploy",
            "CodeDeploy Deployment State-change Notification",
            json!({ "deploymentId": "d-1", "state": "FAILURE" }),
        );
        assert!(deployed.contains(&("CodeDeploy", "d-1".to_owned())));
        let stack = names(
            "aws.cloudformation",
            "CloudFormation Stack Status Change",
            json!({ "stack-id": "arn:s", "status-details": { "status": "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" } }),
        );
        assert_eq!(stack, [("CloudFormation", "arn:s".to_owned())]);
        let service = names(
            "aws.ecs",
            "ECS Deployment State Change",
            json!({ "deploymentId": "ecs-svc/1", "eventName": "SERVICE_DEPLOYMENT_COMPLETED" }),
        );
        assert_eq!(service, [("ECS", "ecs-svc/1".to_owned())]);
        let machine = names(
            "aws.states",
            "Step Functions Execution Status Change",
            json!({ "executionArn": "arn:e", "status": "ABORTED" }),
        );
        assert_eq!(machine, [("StepFunctions", "arn:e".to_owned())]);
    }

    #[test]
    fn a_build_says_in_its_environment_whose_work_it_is() {
        let line = "shop/aaaaaaaa-2222-3333-4444-555555555555/11111111-2222-4333-8444-555555555555";
        let told = |variables: Value| {
            let detail = json!({
                "build-id": "arn:aws:codebuild:us-east-1:111122223333:build/shop:1", "build-status": "FAILED",
                "additional-information": { "environment": { "environment-variables": variables } },
            });
            match read("aws.codebuild", "CodeBuild Build State Change", &detail) {
                Told::Ended(ended) => ended.work,
                other => panic!("{other:?}"),
            }
        };
        let named =
            |value: &str| json!([{ "name": "A", "value": "b" }, { "name": WORK_VARIABLE, "value": value }]);
        let work = told(named(line)).unwrap();
        assert_eq!((work.pipeline.as_str(), work.line().as_str()), ("shop", line));
        for strange in ["", "shop", "shop/x", "//", "a b/c/d", &format!("{line}/more")] {
            assert_eq!(told(named(strange)), None, "{strange}");
        }
        for strange in [json!(null), json!([]), json!({}), json!([7, { "name": WORK_VARIABLE }])] {
            assert_eq!(told(strange.clone()), None, "{strange}");
        }
    }

    #[test]
    fn work_that_goes_on_is_nobodys_business() {
        for (source, kind, detail) in [
            (
                "aws.codebuild",
                "CodeBuild Build State Change",
                json!({ "build-id": "x/y", "build-status": "IN_PROGRESS" }),
            ),
            (
                "aws.codedeploy",
                "CodeDeploy Deployment State-change Notification",
                json!({ "deploymentId": "d-1", "state": "START" }),
            ),
            (
                "aws.cloudformation",
                "CloudFormation Stack Status Change",
                json!({ "stack-id": "s", "status-details": { "status": "UPDATE_IN_PROGRESS" } }),
            ),
            ("aws.cloudformation", "CloudFormation Resource Status Change", json!({})),
            (
                "aws.states",
                "Step Functions Execution Status Change",
                json!({ "executionArn": "e", "status": "RUNNING" }),
            ),
        ] {
            assert!(matches!(read(source, kind, &detail), Told::Passing(_)), "{source} {kind}");
        }
    }

    #[test]
    fn an_event_without_a_name_says_what_it_lacks() {
        let kind = "CodeBuild Build State Change";
        for detail in [json!({}), json!(null), json!([]), json!({ "build-id": 7 }), json!({ "build-id": "" })]
        {
            assert_eq!(read("aws.codebuild", kind, &detail), Told::Missing("`detail.build-id`"), "{detail}");
        }
        assert_eq!(read("aws.codebuild", "CodeBuild Something Else", &json!({})), Told::Unknown);
    }
}
