use super::*;
use crate::runners::tests::{Stage, job};

fn invoke_with(script: &str) -> Stage {
    Stage::with(|settings| {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        settings.lambda.insert("notify".into(), Function { command, ..Function::default() });
    })
}

fn invoke_job(stage: &Stage) -> ActionJob {
    let mut job = job("Invoke/AWS/Lambda", &[("FunctionName", "notify"), ("UserParameters", "hello")]);
    job.inputs = vec![stage.artifact("In-put")];
    job
}

#[tokio::test]
async fn a_program_gets_the_event_its_inputs_and_a_folder_for_each_output() {
    let stage = invoke_with(
        "cat > event.json; cp \"$TOWPATH_INPUT_In_put/a\" \"$TOWPATH_OUTPUT_Out/b\"; echo $CODEPIPELINE_JOB_ID >&2; \
         echo '{\"outputVariables\": {\"Answer\": 42, \"Word\": \"yes\"}}'",
    );
    stage.write(&[("a", "content")]);
    let job = invoke_job(&stage);
    let success = stage.succeeds(&job).await;
    let variables: Vec<_> = success.output_variables.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(variables, [("Answer", "42"), ("Word", "yes")]);
    assert_eq!(stage.unpacked(&job.outputs[0])["b"], "content");
    assert!(stage.log().contains(job.action_execution.as_str()));
    let event: Value = serde_json::from_slice(&fs::read(stage.base().join("event.json")).unwrap()).unwrap();
    let artifact = |name: &str, revision: Value, key: &str| {
        json!({ "name": name, "revision": revision, "location": {
            "type": "S3", "s3Location": { "bucketName": "store", "objectKey": key } } })
    };
    assert_eq!(
        event,
        json!({ "CodePipeline.job": {
            "id": "11111111-1111-4111-8111-111111111111",
            "accountId": "111122223333",
            "data": {
                "actionConfiguration": { "configuration": { "FunctionName": "notify", "UserParameters": "hello" } },
                "inputArtifacts": [artifact("In-put", "abc".into(), "in/In-put")],
                "outputArtifacts": [artifact("Out", Value::Null, "shop/Out/1234567")],
                "artifactCredentials":
                    { "accessKeyId": "local", "secretAccessKey": "local", "sessionToken": "local" },
            },
        } })
    );
    assert!(!stage.site.state.join("builds").join(format!("lambda-{}", job.action_execution)).exists());
}

#[tokio::test]
async fn a_program_that_fails_fails_the_action_with_its_last_lines() {
    let stage = invoke_with("echo went wrong; exit 3");
    let (code, message) = stage.fails(&invoke_job(&stage)).await;
    assert_eq!(code, FailureCode::JobFailed);
    assert!(message.starts_with("The function `notify` ended with status 3."), "{message}");
    assert!(message.ends_with("went wrong"), "{message}");
}

#[tokio::test]
async fn a_function_is_found_by_arn_and_a_missing_one_names_the_setting() {
    let stage = invoke_with("true");
    let mut job = invoke_job(&stage);
    let arn = "arn:aws:lambda:eu-central-1:111122223333:function:notify:live";
    job.configuration.insert("FunctionName".into(), arn.into());
    stage.succeeds(&job).await;
    job.configuration.insert("FunctionName".into(), "other".into());
    let (code, message) = stage.fails(&job).await;
    assert_eq!(code, FailureCode::ConfigurationError);
    assert!(message.contains("`[lambda.\"other\"]`"), "{message}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let mut stage = invoke_with("true");
    stage.set(|settings| {
        let function = Function { command: vec!["/nowhere/program".into()], ..Function::default() };
        settings.lambda.insert("notify".into(), function);
    });
    let (code, message) = stage.fails(&invoke_job(&stage)).await;
    assert_eq!(code, FailureCode::ConfigurationError);
    assert!(message.contains("`/nowhere/program` was not found"), "{message}");
}

#[test]
fn output_variables_come_from_an_object_in_the_last_line_only() {
    assert!(variables("plain words").unwrap().is_empty());
    assert!(variables("[1]").unwrap().is_empty());
    assert!(variables("{\"other\": 1}").unwrap().is_empty());
    for bad in [
        "{\"outputVariables\": 1}",
        "{\"outputVariables\": {\"a b\": \"x\"}}",
        "{\"outputVariables\": {\"a\": []}}",
    ] {
        assert_eq!(variables(bad).unwrap_err().code, FailureCode::JobFailed);
    }
    let large = json!({ "outputVariables": { "a": "x".repeat(VARIABLES_BYTES_MAX) } }).to_string();
    assert!(variables(&large).is_err());
}
