//! CodeBuild and Commands.

use super::{
    service::{Call, Reply, refusal},
    stage::{ATTEMPT, ROLE, Stage, archive, asked, input, job, output, resumed, rule},
};
use engine::{
    action::{
        ActionJob, EnvironmentVariable, EnvironmentVariableType, FailureCode, Region, Run, WORK_VARIABLE,
        Work,
    },
    ports::Actions as _,
    rule::RuleOutcome,
};
use serde_json::{Value, json};

const BUILD: &str = "shop:0a1b2c3d-0000-4000-8000-000000000001";

fn stage() -> Stage {
    let stage = Stage::new();
    stage.service.put("store/shop/Source/k1", archive(&[("buildspec.yml", "version: 0.2")]));
    stage
}

fn build() -> ActionJob {
    ActionJob {
        inputs: vec![input("Source")],
        outputs: vec![output("Built")],
        ..job("Build/CodeBuild", &[("ProjectName", "shop")])
    }
}

fn started() -> Value {
    json!({ "build": { "id": BUILD, "arn": format!("arn:aws:codebuild:eu-west-1:111122223333:build/{BUILD}"),
            "buildStatus": "IN_PROGRESS", "currentPhase": "QUEUED", "projectName": "shop" } })
}

fn described(status: &str, more: Value) -> Value {
    let mut build = json!({ "id": BUILD, "projectName": "shop", "buildNumber": 7, "buildStatus": status });
    build.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "builds": [build], "buildsNotFound": [] })
}

fn variables(call: &Call) -> Vec<(String, String)> {
    let variables = call.input["environmentVariablesOverride"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    variables.iter().map(|one| (text(&one["name"]), text(&one["value"]))).collect()
}

#[tokio::test]
async fn a_build_reads_and_writes_the_artifact_store_and_is_known_by_the_attempt() {
    let stage = stage();
    stage.service.on("StartBuild", started());
    let begun = stage.begun(&build()).await;
    assert_eq!(begun.external_execution_id, BUILD);
    let url = begun.external_execution_url.unwrap();
    assert_eq!(
        url,
        format!(
            "https://eu-west-1.console.aws.amazon.com/codebuild/home?region=eu-west-1#/builds/{BUILD}/view/new"
        )
    );
    let call = stage.service.call("StartBuild");
    assert_eq!(call.who, "pipeline");
    let input = &call.input;
    assert_eq!(input["idempotencyToken"], ATTEMPT);
    assert_eq!(input["sourceTypeOverride"], "S3");
    assert_eq!(input["sourceLocationOverride"], "store/shop/Source/k1");
    assert_eq!(input["sourceVersion"], "v-new");
    let artifacts = &input["artifactsOverride"];
    assert_eq!(
        (&artifacts["location"], &artifacts["path"], &artifacts["name"], &artifacts["packaging"]),
        (&json!("store"), &json!("shop/Built"), &json!("k2"), &json!("ZIP"))
    );
    let environment = variables(&call);
    assert!(environment.contains(&("CODEPIPELINE_NAME".into(), "shop".into())));
    assert!(environment.contains(&("CODEPIPELINE_SOURCE_REVISION".into(), "abc123".into())));
    assert!(environment.contains(&("CODEPIPELINE_ACTION_EXECUTION_ID".into(), ATTEMPT.into())));
    // Word of its end carries its environment.
    let work = environment.iter().find(|(name, _)| name == WORK_VARIABLE).unwrap();
    assert_eq!(Work::of_line(&work.1), Some(Work::of(&build())));
    assert_eq!(*stage.ledger.noted.lock().unwrap(), []);
}

#[tokio::test]
async fn a_build_that_just_began_needs_no_claim_and_a_definition_cannot_say_whose_it_is() {
    let stage = stage();
    stage.service.now("StartBuild", started());
    let variables = json!([{ "name": WORK_VARIABLE, "value": "other/x/y" }]).to_string();
    let mut job = build();
    job.configuration.insert("EnvironmentVariables".into(), variables);
    // The one who appended, and the one who reads the change stream: the service makes one build of both.
    for _ in 0..2 {
        assert_eq!(stage.begun(&job).await.external_execution_id, BUILD);
    }
    let calls = stage.service.calls("StartBuild");
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].input, calls[1].input);
    let given = variables_named(&calls[0], WORK_VARIABLE);
    assert_eq!(given, [Work::of(&job).line()]);
    // Later the token says nothing any more: one of them looks and begins.
    stage.later(10);
    stage.service.now("ListBuildsForProject", json!({ "ids": [] }));
    assert_eq!(stage.begun(&job).await.external_execution_id, BUILD);
    stage.elsewhere(&job).await;
}

fn variables_named(call: &Call, name: &str) -> Vec<String> {
    variables(call).into_iter().filter(|(known, _)| known == name).map(|(_, value)| value).collect()
}

#[tokio::test]
async fn a_build_under_way_is_left_alone_and_a_finished_one_gives_its_variables() {
    let stage = stage();
    stage.service.on("StartBuild", started());
    stage.service.on("BatchGetBuilds", described("IN_PROGRESS", json!({ "currentPhase": "BUILD" })));
    let begun = stage.begun(&build()).await;
    let later = asked(&build(), &begun);
    stage.elsewhere(&later).await;
    let exported = json!({ "exportedEnvironmentVariables": [
        { "name": "IMAGE", "value": "shop:1" }, { "name": "EMPTY", "value": "" },
    ] });
    stage.service.now("BatchGetBuilds", described("SUCCEEDED", exported));
    stage.service.put("store/shop/Built/k2", archive(&[("app", "x")]));
    let success = stage.succeeded(&later).await;
    assert_eq!(success.output_variables["IMAGE"], "shop:1");
    assert_eq!(success.output_variables["EMPTY"], "");
    assert_eq!(success.summary.as_deref(), Some("Build 7 of shop succeeded"));
    assert_eq!(success.external_execution_id.as_deref(), Some(BUILD));
    assert_eq!(stage.service.calls("StartBuild").len(), 1);
}

#[tokio::test]
async fn a_failed_build_says_which_phase_why_and_its_last_lines() {
    let stage = stage();
    let failed = json!({
        "phases": [
            { "phaseType": "INSTALL", "phaseStatus": "SUCCEEDED" },
            { "phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": [
                { "statusCode": "COMMAND_EXECUTION_ERROR",
                  "message": "Error while executing command: make test. Reason: exit status 2" } ] },
        ],
        "logs": { "groupName": "/aws/codebuild/shop", "streamName": "s1", "deepLink": "https://console/log" },
    });
    stage.service.on("BatchGetBuilds", described("FAILED", failed));
    stage.service.on(
        "GetLogEvents",
        json!({ "events": [{ "message": "cart_test FAILED\n" }, { "message": "1 test failed\n" }] }),
    );
    let failure = stage.failed(&ActionJob { begun: Some(BUILD.into()), ..build() }).await;
    assert_eq!(failure.code, FailureCode::JobFailed);
    assert_eq!(
        failure.message,
        "Build terminated with state: FAILED. Phase: BUILD, Code: COMMAND_EXECUTION_ERROR, Message: Error while \
         executing command: make test. Reason: exit status 2.\nThe last lines of its log:\ncart_test FAILED\n1 test \
         failed\nIts log: https://console/log"
    );
    assert_eq!(failure.external_execution_id.as_deref(), Some(BUILD));
    // Without the permission to read the log, the link alone.
    stage.service.now("GetLogEvents", refusal("AccessDeniedException", "no"));
    let failure = stage.failed(&ActionJob { begun: Some(BUILD.into()), ..build() }).await;
    assert!(failure.message.ends_with("exit status 2.\nIts log: https://console/log"), "{}", failure.message);
}

#[tokio::test]
async fn a_build_without_the_declared_artifact_says_what_its_buildspec_lacks() {
    let stage = stage();
    stage.service.on("BatchGetBuilds", described("SUCCEEDED", json!({})));
    let failure = stage.failed(&ActionJob { begun: Some(BUILD.into()), ..build() }).await;
    assert_eq!(failure.code, FailureCode::ConfigurationError);
    assert!(failure.message.contains("left no output artifact `Built`: its buildspec needs `artifacts`"));
}

#[tokio::test]
async fn a_build_that_was_started_before_a_crash_is_found_and_not_started_again() {
    let stage = stage();
    let own = json!([{ "name": "CODEPIPELINE_ACTION_EXECUTION_ID", "value": ATTEMPT, "type": "PLAINTEXT" }]);
    stage.service.on("ListBuildsForProject", json!({ "ids": ["shop:other", BUILD] }));
    stage.service.on(
        "BatchGetBuilds",
        json!({ "builds": [
            { "id": "shop:other", "buildStatus": "SUCCEEDED", "environment": { "environmentVariables": [] } },
            { "id": BUILD, "buildStatus": "IN_PROGRESS", "environment": { "environmentVariables": own } },
        ] }),
    );
    stage.service.on("BatchGetBuilds", described("IN_PROGRESS", json!({})));
    let begun = stage.begun(&resumed(&build())).await;
    assert_eq!(begun.external_execution_id, BUILD);
    assert!(stage.service.calls("StartBuild").is_empty());
}

#[tokio::test]
async fn a_start_that_was_not_answered_is_looked_for_before_it_fails() {
    let stage = stage();
    stage.service.on("StartBuild", Reply::Silence);
    stage.service.on("ListBuildsForProject", json!({ "ids": [BUILD] }));
    let own = json!([{ "name": "CODEPIPELINE_ACTION_EXECUTION_ID", "value": ATTEMPT }]);
    let more = json!({ "environment": { "environmentVariables": own } });
    stage.service.on("BatchGetBuilds", described("IN_PROGRESS", more));
    assert_eq!(stage.begun(&build()).await.external_execution_id, BUILD);
    let tokens = stage.service.calls("StartBuild");
    assert!(tokens.iter().all(|call| call.input["idempotencyToken"] == ATTEMPT));
}

#[tokio::test]
async fn a_build_that_another_has_begun_with_other_words_is_taken_up_and_does_not_fail() {
    let stage = stage();
    let words = "IdempotencyParameterMismatch: the token was used with other parameters";
    stage.service.on("StartBuild", Reply::Refusal(400, "InvalidInputException", words.into()));
    stage.service.on("ListBuildsForProject", json!({ "ids": [BUILD] }));
    let own = json!([{ "name": "CODEPIPELINE_ACTION_EXECUTION_ID", "value": ATTEMPT }]);
    let more = json!({ "environment": { "environmentVariables": own } });
    stage.service.on("BatchGetBuilds", described("IN_PROGRESS", more));
    assert_eq!(stage.begun(&build()).await.external_execution_id, BUILD);
}

#[tokio::test]
async fn a_throttled_start_is_tried_again_and_a_throttled_question_does_no_harm() {
    let stage = stage();
    stage.service.on("StartBuild", refusal("ThrottlingException", "Rate exceeded"));
    stage.service.on("StartBuild", started());
    let begun = stage.begun(&build()).await;
    stage.service.on("BatchGetBuilds", refusal("ThrottlingException", "Rate exceeded"));
    stage.elsewhere(&asked(&build(), &begun)).await;
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named_with_the_role() {
    let stage = stage();
    stage.service.on(
        "StartBuild",
        refusal(
            "AccessDeniedException",
            "User: arn:aws:sts::111122223333:assumed-role/pipeline/towpath is not authorized to perform: \
             codebuild:StartBuild on resource: arn:aws:codebuild:eu-west-1:111122223333:project/shop because no \
             identity-based policy allows the codebuild:StartBuild action",
        ),
    );
    let failure = stage.failed(&build()).await;
    assert_eq!(failure.code, FailureCode::PermissionError);
    assert!(failure.message.starts_with(
        "Permission `codebuild:StartBuild` on `arn:aws:codebuild:eu-west-1:111122223333:project/shop` is missing for \
         the role `pipeline`."
    ));
    let stage = self::stage();
    stage.service.on("StartBuild", refusal("ResourceNotFoundException", "Project cannot be found: shop"));
    let failure = stage.failed(&build()).await;
    assert_eq!(failure.code, FailureCode::ConfigurationError);
    assert!(
        failure.message.starts_with("There is no CodeBuild project `shop` in eu-west-1"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn the_actions_own_role_is_assumed_from_the_pipelines_and_a_refusal_names_both() {
    let stage = stage();
    stage.service.on("StartBuild", started());
    let roles = vec![ROLE.to_owned(), "arn:aws:iam::444455556666:role/builder".to_owned()];
    stage.begun(&ActionJob { roles: roles.clone(), ..build() }).await;
    let call = stage.service.call("StartBuild");
    assert_eq!(call.who, "builder");
    let assumed: Vec<String> =
        stage.service.calls("AssumeRole").iter().map(|call| call.who.clone()).collect();
    assert_eq!(assumed, ["own", "pipeline"]);

    let stage = self::stage();
    stage.service.on("AssumeRole", Reply::Refusal(403, "AccessDenied", "User: x is not authorized".into()));
    let failure = stage.failed(&ActionJob { roles, ..build() }).await;
    assert_eq!(failure.code, FailureCode::PermissionError);
    assert!(
        failure.message.contains(ROLE) && failure.message.contains("trust policy"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn a_build_in_another_region_gets_its_artifacts_there_and_they_come_back() {
    let stage = stage();
    stage.service.on("StartBuild", started());
    let region = Region { name: "us-east-2".into(), bucket: Some("store-us".into()), encryption_key: None };
    let job = ActionJob { region: Some(region), ..build() };
    let begun = stage.begun(&job).await;
    let call = stage.service.call("StartBuild");
    assert!(call.headers["authorization"].contains("/us-east-2/codebuild/"), "{:?}", call.headers);
    assert_eq!(call.input["sourceLocationOverride"], "store-us/shop/Source/k1");
    assert_eq!(call.input["artifactsOverride"]["location"], "store-us");
    assert!(stage.service.object("store-us/shop/Source/k1").is_some());
    let copied = stage.service.call("CopyObject");
    assert!(copied.headers["authorization"].contains("/us-east-2/s3/"), "{:?}", copied.headers);
    stage.service.on("BatchGetBuilds", described("SUCCEEDED", json!({})));
    stage.service.put("store-us/shop/Built/k2", "made there");
    stage.succeeded(&asked(&job, &begun)).await;
    assert_eq!(stage.service.object("store/shop/Built/k2").unwrap().bytes, b"made there");
    let region = Region { name: "us-east-2".into(), bucket: None, encryption_key: None };
    let failure = stage.failed(&ActionJob { region: Some(region), ..build() }).await;
    assert_eq!(failure.code, FailureCode::ConfigurationError);
    assert!(failure.message.contains("no artifact store"), "{}", failure.message);
}

#[tokio::test]
async fn a_role_that_may_not_look_begins_anew_under_the_same_token() {
    let stage = stage();
    stage.service.on("ListBuildsForProject", refusal("AccessDeniedException", "no"));
    stage.service.on("StartBuild", started());
    stage.begun(&resumed(&build())).await;
    assert_eq!(stage.service.call("StartBuild").input["idempotencyToken"], ATTEMPT);
}

#[tokio::test]
async fn a_build_is_asked_to_stop() {
    let stage = stage();
    stage.service.on("StopBuild", json!({}));
    stage.actions.stop(ActionJob { begun: Some(BUILD.into()), ..build() }).await;
    assert_eq!(stage.service.call("StopBuild").input["id"], BUILD);
}

#[tokio::test]
async fn several_artifacts_go_by_their_names_and_variables_of_the_action_win() {
    let stage = stage();
    stage.service.put("store/shop/More-Files/k1", archive(&[("a", "a")]));
    stage.service.on("StartBuild", started());
    let mut job = ActionJob {
        inputs: vec![input("More-Files"), input("Source")],
        outputs: vec![output("One"), output("Two")],
        encryption_key: Some("arn:aws:kms:eu-west-1:111122223333:key/k".into()),
        ..build()
    };
    job.configuration.insert("PrimarySource".into(), "Source".into());
    let variables = r#"[{"name":"CODEPIPELINE_NAME","value":"mine"},{"name":"KEY","value":"/a","type":"PARAMETER_STORE"}]"#;
    job.configuration.insert("EnvironmentVariables".into(), variables.into());
    stage.begun(&job).await;
    let call = stage.service.call("StartBuild");
    assert_eq!(call.input["sourceLocationOverride"], "store/shop/Source/k1");
    assert_eq!(call.input["secondarySourcesOverride"][0]["sourceIdentifier"], "More_Files");
    assert_eq!(call.input["artifactsOverride"]["type"], "NO_ARTIFACTS");
    assert_eq!(call.input["secondaryArtifactsOverride"][1]["artifactIdentifier"], "Two");
    assert_eq!(call.input["encryptionKeyOverride"], "arn:aws:kms:eu-west-1:111122223333:key/k");
    let environment = self::variables(&call);
    assert!(environment.contains(&("CODEPIPELINE_NAME".into(), "mine".into())), "{environment:?}");
    assert_eq!(environment.iter().filter(|(name, _)| name == "CODEPIPELINE_NAME").count(), 1);
}

#[tokio::test]
async fn a_batch_is_started_asked_and_stopped_as_one() {
    let stage = stage();
    let batch = "shop:batch-1";
    let mut job = ActionJob { outputs: vec![], ..build() };
    job.configuration.insert("BatchEnabled".into(), "true".into());
    stage.service.on("StartBuildBatch", json!({ "buildBatch": { "id": batch } }));
    let begun = stage.begun(&job).await;
    assert_eq!(stage.ledger.noted.lock().unwrap()[0].1, batch, "what is said of its end has no environment");
    stage.service.on(
        "BatchGetBuildBatches",
        json!({ "buildBatches": [{ "id": batch, "buildBatchStatus": "SUCCEEDED", "projectName": "shop" }] }),
    );
    stage.succeeded(&asked(&job, &begun)).await;
    stage.service.on("StopBuildBatch", json!({}));
    stage.actions.stop(asked(&job, &begun)).await;
    assert_eq!(stage.service.call("StopBuildBatch").input["id"], batch);
}

#[tokio::test]
async fn commands_are_a_build_with_a_buildspec_of_their_own() {
    let stage = Stage::with(|settings| settings.compute_project = Some("towpath-commands".into()));
    stage.service.put("store/shop/Source/k1", archive(&[("a", "a")]));
    stage.service.on("StartBuild", started());
    let job = ActionJob {
        commands: vec!["make".into(), "make test".into()],
        output_variables: vec!["VERSION".into()],
        environment_variables: vec![EnvironmentVariable {
            name: "TOKEN".into(),
            value: "id:key".into(),
            kind: EnvironmentVariableType::SecretsManager,
        }],
        inputs: vec![input("Source")],
        ..job("Compute/Commands", &[("ComputeType", "BUILD_GENERAL1_MEDIUM")])
    };
    stage.begun(&job).await;
    let call = stage.service.call("StartBuild");
    let spec: Value = serde_json::from_str(call.input["buildspecOverride"].as_str().unwrap()).unwrap();
    assert_eq!(spec["phases"]["build"]["commands"], json!(["make", "make test"]));
    assert_eq!(spec["env"]["exported-variables"], json!(["VERSION"]));
    assert_eq!(call.input["projectName"], "towpath-commands");
    assert_eq!(call.input["serviceRoleOverride"], ROLE);
    assert_eq!(call.input["logsConfigOverride"]["cloudWatchLogs"]["groupName"], "/aws/codepipeline/shop");
    assert_eq!(call.input["computeTypeOverride"], "BUILD_GENERAL1_MEDIUM");
    let without = Stage::new().failed(&job).await;
    assert_eq!(without.code, FailureCode::ConfigurationError);
    assert!(without.message.contains("CodeBuild project"), "{}", without.message);
}

#[tokio::test]
async fn a_rule_is_decided_by_a_build() {
    let stage = stage();
    let mut rule = rule("CodeBuild", &[("ProjectName", "shop")]);
    rule.inputs = vec![input("Source")];
    stage.service.on("StartBuild", started());
    let Run::Begun(begun) = stage.rule(&rule).await else { panic!() };
    rule.begun = Some(begun.external_execution_id);
    stage.service.on("BatchGetBuilds", described("SUCCEEDED", json!({})));
    let Run::Ended(RuleOutcome::Succeeded(success)) = stage.rule(&rule).await else { panic!() };
    assert_eq!(success.summary.as_deref(), Some("Build 7 of shop succeeded"));
    let work = variables_named(&stage.service.call("StartBuild"), WORK_VARIABLE);
    assert_eq!(Work::of_line(&work[0]).unwrap().attempt.as_str(), rule.rule_execution.as_str());
    stage.service.on("StopBuild", json!({}));
    stage.actions.stop_rule(rule).await;
    assert_eq!(stage.service.call("StopBuild").input["id"], BUILD);
}
