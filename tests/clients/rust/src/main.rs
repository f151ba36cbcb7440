//! The Rust SDK against `towpath up`: one pipeline from its creation to its end. `tests/conformance/clients.rs` says
//! what comes in the environment.

#![allow(clippy::print_stdout, reason = "it reports to the test that started it")]

use aws_sdk_codepipeline::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    error::{ProvideErrorMetadata, SdkError},
    types::{
        ActionCategory, ActionDeclaration, ActionExecutionStatus, ActionOwner, ActionTypeId, ApprovalResult,
        ApprovalStatus, ArtifactStore, ArtifactStoreType, InputArtifact, OutputArtifact, PipelineDeclaration,
        PipelineExecutionStatus, PipelineType, PipelineVariable, PipelineVariableDeclaration,
        StageDeclaration, StageRetryMode, StageTransitionType, Tag,
    },
};
use serde_json::Value;
use std::{env, error::Error, fs, time::Duration};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How often a state is looked at, and for how long.
const LOOKS_MAX: usize = 600;
const LOOK: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let variable = |name: &str| env::var(name).map_err(|_| format!("{name} is not set"));
    let credentials = Credentials::new(
        variable("AWS_ACCESS_KEY_ID")?,
        variable("AWS_SECRET_ACCESS_KEY")?,
        None,
        None,
        "test",
    );
    let config = aws_sdk_codepipeline::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(variable("CLIENT_ENDPOINT")?)
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let scenario = Scenario { client: Client::from_conf(config), mark: variable("CLIENT_MARK")? };
    let definition: Value = serde_json::from_slice(&fs::read(variable("CLIENT_DEFINITION")?)?)?;
    scenario.creation(&definition).await?;
    scenario.first_execution_is_stopped().await?;
    let execution = scenario.approval_and_retry().await?;
    scenario.history(&execution).await?;
    scenario.doors_and_versions().await?;
    scenario.end().await?;
    println!("done");
    Ok(())
}

struct Scenario {
    client: Client,
    mark: String,
}

impl Scenario {
    async fn creation(&self, definition: &Value) -> Outcome<()> {
        let declaration = declaration(&definition["pipeline"])?;
        let tags: Vec<Tag> = definition["tags"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|tag| Tag::builder().key(text(&tag["key"])).value(text(&tag["value"])).build())
            .collect::<Result<_, _>>()?;
        let create =
            || self.client.create_pipeline().pipeline(declaration.clone()).set_tags(Some(tags.clone()));
        let created = create().send().await?;
        let mut sorted = tags.clone();
        sorted.sort_by(|one, other| one.key().cmp(other.key()));
        assert_eq!(created.tags(), sorted);
        let pipeline = created.pipeline.ok_or("no pipeline")?;
        assert_eq!((pipeline.name(), pipeline.version), ("shop", Some(1)));
        refused(create().send().await, "PipelineNameInUseException");
        let known = self.client.get_pipeline().name("shop").send().await?;
        assert_eq!(known.pipeline, Some(pipeline));
        let metadata = known.metadata.ok_or("no metadata")?;
        assert_eq!(metadata.pipeline_arn(), Some("arn:aws:codepipeline:us-east-1:123456789012:shop"));
        assert!(metadata.created.is_some() && metadata.created == metadata.updated);
        let version = self.client.get_pipeline().name("shop").version(9).send().await;
        refused(version, "PipelineVersionNotFoundException");
        refused(self.client.get_pipeline().name("no/slash").send().await, "ValidationException");
        Ok(())
    }

    async fn first_execution_is_stopped(&self) -> Outcome<()> {
        let token = self.action("Gate", "Sign", &ActionExecutionStatus::InProgress).await?;
        assert!(token.is_some());
        let listed = self.client.list_pipeline_executions().pipeline_name("shop").send().await?;
        let first =
            listed.pipeline_execution_summaries()[0].pipeline_execution_id().ok_or("no id")?.to_owned();
        let stop = || {
            let stop = self.client.stop_pipeline_execution().pipeline_name("shop");
            stop.pipeline_execution_id(&first).reason("not this one").abandon(true)
        };
        stop().send().await?;
        self.execution(&first, &PipelineExecutionStatus::Stopped).await?;
        refused(stop().send().await, "PipelineExecutionNotStoppableException");
        Ok(())
    }

    async fn approval_and_retry(&self) -> Outcome<String> {
        let colour = PipelineVariable::builder().name("COLOUR").value("blue").build()?;
        let start = || {
            let start = self.client.start_pipeline_execution().name("shop").variables(colour.clone());
            start.client_request_token("only-once")
        };
        let id = start().send().await?.pipeline_execution_id.ok_or("no id")?;
        assert_eq!(start().send().await?.pipeline_execution_id.as_ref(), Some(&id));
        let token =
            self.action("Gate", "Sign", &ActionExecutionStatus::InProgress).await?.ok_or("no token")?;
        let result = ApprovalResult::builder().summary("good").status(ApprovalStatus::Approved).build()?;
        let answer = || {
            let answer = self.client.put_approval_result().pipeline_name("shop").stage_name("Gate");
            answer.action_name("Sign").token(&token).result(result.clone())
        };
        assert!(answer().send().await?.approved_at.is_some());
        refused(answer().send().await, "ApprovalAlreadyCompletedException");
        self.action("Live", "Ship", &ActionExecutionStatus::Failed).await?;
        fs::write(&self.mark, "")?;
        let retry = self.client.retry_stage_execution().pipeline_name("shop").stage_name("Live");
        let retry = retry.pipeline_execution_id(&id).retry_mode(StageRetryMode::FailedActions);
        assert_eq!(retry.send().await?.pipeline_execution_id.as_ref(), Some(&id));
        self.execution(&id, &PipelineExecutionStatus::Succeeded).await?;
        Ok(id)
    }

    async fn history(&self, id: &str) -> Outcome<()> {
        let get = self.client.get_pipeline_execution().pipeline_name("shop").pipeline_execution_id(id);
        let told = get.send().await?.pipeline_execution.ok_or("no execution")?;
        assert_eq!(told.variables()[0].resolved_value(), Some("blue"));
        let mut pages = self.client.list_action_executions().pipeline_name("shop").max_results(2);
        let mut names = Vec::new();
        loop {
            let page = pages.clone().send().await?;
            names.extend(page.action_execution_details().iter().filter_map(|one| one.action_name.clone()));
            let Some(token) = page.next_token else { break };
            pages = pages.next_token(token);
        }
        assert_eq!(names, ["Ship", "Ship", "Sign", "Checkout", "Sign", "Checkout"]);
        let paginator = self.client.list_pipeline_executions().pipeline_name("shop").into_paginator();
        let mut summaries = paginator.page_size(1).items().send();
        let mut ids = Vec::new();
        while let Some(summary) = summaries.next().await {
            ids.push(summary?.pipeline_execution_id.unwrap_or_default());
        }
        assert_eq!((ids.len(), ids[0].as_str()), (2, id));
        Ok(())
    }

    async fn doors_and_versions(&self) -> Outcome<()> {
        let disable = self.client.disable_stage_transition().pipeline_name("shop").stage_name("Live");
        disable.transition_type(StageTransitionType::Inbound).reason("freeze").send().await?;
        let state = self.client.get_pipeline_state().name("shop").send().await?;
        let door = state.stage_states()[2].inbound_transition_state().ok_or("no transition state")?;
        assert_eq!((door.enabled, door.disabled_reason()), (false, Some("freeze")));
        assert!(door.last_changed_at.is_some());
        let enable = self.client.enable_stage_transition().pipeline_name("shop").stage_name("Live");
        enable.transition_type(StageTransitionType::Inbound).send().await?;
        let known = self.client.get_pipeline().name("shop").send().await?;
        let updated = self.client.update_pipeline().set_pipeline(known.pipeline).send().await?;
        assert_eq!(updated.pipeline.and_then(|pipeline| pipeline.version), Some(2));
        let listed = self.client.list_pipelines().send().await?;
        assert_eq!((listed.pipelines()[0].name(), listed.pipelines()[0].version), (Some("shop"), Some(2)));
        Ok(())
    }

    async fn end(&self) -> Outcome<()> {
        for _ in 0..2 {
            self.client.delete_pipeline().name("shop").send().await?;
        }
        refused(self.client.get_pipeline().name("shop").send().await, "PipelineNotFoundException");
        Ok(())
    }

    /// Waits until an action's newest attempt has this status; its approval token.
    async fn action(
        &self,
        stage: &str,
        action: &str,
        status: &ActionExecutionStatus,
    ) -> Outcome<Option<String>> {
        for _ in 0..LOOKS_MAX {
            let state = self.client.get_pipeline_state().name("shop").send().await?;
            let stages = state.stage_states().iter().filter(|one| one.stage_name() == Some(stage));
            let actions = stages.flat_map(|one| one.action_states());
            let found = actions
                .filter(|one| one.action_name() == Some(action))
                .find_map(|one| one.latest_execution());
            if let Some(found) = found.filter(|found| found.status() == Some(status)) {
                return Ok(found.token.clone());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(format!("{stage}/{action} is not {status}").into())
    }

    async fn execution(&self, id: &str, status: &PipelineExecutionStatus) -> Outcome<()> {
        for _ in 0..LOOKS_MAX {
            let get = self.client.get_pipeline_execution().pipeline_name("shop").pipeline_execution_id(id);
            if get.send().await?.pipeline_execution.and_then(|one| one.status).as_ref() == Some(status) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(format!("{id} is not {status}").into())
    }
}

/// The call was refused with this exception, and words.
fn refused<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    answer: Result<T, SdkError<E>>,
    code: &str,
) {
    match answer {
        Ok(output) => panic!("not refused with {code}: {output:?}"),
        Err(error) => {
            assert_eq!(error.code(), Some(code), "{error:?}");
            assert!(error.message().is_some_and(|message| !message.is_empty()), "{error:?}");
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The test's definition in the SDK's types; only what it uses.
fn declaration(json: &Value) -> Outcome<PipelineDeclaration> {
    let mut builder = PipelineDeclaration::builder()
        .name(text(&json["name"]))
        .role_arn(text(&json["roleArn"]))
        .pipeline_type(PipelineType::from(text(&json["pipelineType"])))
        .artifact_store(
            ArtifactStore::builder()
                .r#type(ArtifactStoreType::from(text(&json["artifactStore"]["type"])))
                .location(text(&json["artifactStore"]["location"]))
                .build()?,
        );
    for variable in json["variables"].as_array().into_iter().flatten() {
        let declared = PipelineVariableDeclaration::builder().name(text(&variable["name"]));
        builder = builder.variables(declared.default_value(text(&variable["defaultValue"])).build()?);
    }
    for stage in json["stages"].as_array().into_iter().flatten() {
        let mut declared = StageDeclaration::builder().name(text(&stage["name"]));
        for one in stage["actions"].as_array().into_iter().flatten() {
            declared = declared.actions(action(one)?);
        }
        builder = builder.stages(declared.build()?);
    }
    Ok(builder.build()?)
}

fn action(json: &Value) -> Outcome<ActionDeclaration> {
    let kind = &json["actionTypeId"];
    let mut builder = ActionDeclaration::builder().name(text(&json["name"])).action_type_id(
        ActionTypeId::builder()
            .category(ActionCategory::from(text(&kind["category"])))
            .owner(ActionOwner::from(text(&kind["owner"])))
            .provider(text(&kind["provider"]))
            .version(text(&kind["version"]))
            .build()?,
    );
    for (key, value) in json["configuration"].as_object().into_iter().flatten() {
        builder = builder.configuration(key, text(value));
    }
    for line in json["commands"].as_array().into_iter().flatten() {
        builder = builder.commands(text(line));
    }
    for artifact in json["inputArtifacts"].as_array().into_iter().flatten() {
        builder = builder.input_artifacts(InputArtifact::builder().name(text(&artifact["name"])).build()?);
    }
    for artifact in json["outputArtifacts"].as_array().into_iter().flatten() {
        builder = builder.output_artifacts(OutputArtifact::builder().name(text(&artifact["name"])).build()?);
    }
    Ok(builder.build()?)
}
