//! AWS JSON 1.1 in and out.

use api::model::{CreatePipelineOutput, ListPipelinesInput, ListPipelinesOutput};
use api::{ApiError, ApiException, Code, NoOutput, Operation, Timestamp, codec};
use http::Request;
use serde_json::json;

fn post(target: &str, body: &[u8]) -> Request<Vec<u8>> {
    Request::post("/").header("X-Amz-Target", target).body(body.to_vec()).unwrap()
}

fn code(request: &Request<Vec<u8>>) -> Code {
    codec::decode(request).unwrap_err().code
}

#[test]
fn the_target_names_the_operation_and_an_empty_body_is_an_empty_input() {
    for operation in Operation::ALL {
        let target = format!("CodePipeline_20150709.{}", operation.name());
        assert_eq!(codec::decode(&post(&target, b"")), Ok((operation, json!({}))));
        assert_eq!(codec::decode(&post(&target, b" {\"a\": 1}\n")), Ok((operation, json!({"a": 1}))));
    }
}

#[test]
fn a_target_that_names_nothing_is_an_unknown_operation() {
    for target in ["", "ListPipelines", "CodePipeline_20150709", "CodePipeline_20150709.", "X.ListPipelines"]
    {
        assert_eq!(code(&post(target, b"{}")), Code::UnknownOperation, "{target}");
    }
    assert_eq!(code(&post("CodePipeline_20150709.listPipelines", b"{}")), Code::UnknownOperation);
    assert_eq!(code(&Request::post("/").body(vec![]).unwrap()), Code::UnknownOperation);
    let mut twice = post("CodePipeline_20150709.ListPipelines", b"{}");
    twice.headers_mut().append("x-amz-target", "CodePipeline_20150709.DeletePipeline".parse().unwrap());
    assert_eq!(code(&twice), Code::UnknownOperation);
    let mut get = post("CodePipeline_20150709.ListPipelines", b"{}");
    *get.method_mut() = http::Method::GET;
    assert_eq!(code(&get), Code::UnknownOperation);
    let mut elsewhere = post("CodePipeline_20150709.ListPipelines", b"{}");
    *elsewhere.uri_mut() = "/service/CodePipeline_20150709/operation/ListPipelines".parse().unwrap();
    assert_eq!(code(&elsewhere), Code::UnknownOperation);
}

#[test]
fn a_body_that_is_no_object_is_a_serialization_error() {
    let deep = [b"{\"a\":".repeat(200_000), b"[".repeat(200_000)].concat();
    for body in [&b"{"[..], b"[]", b"null", b"1", b"\"x\"", b"{} {}", b"{\"a\": \xff}", &deep] {
        assert_eq!(code(&post("CodePipeline_20150709.ListPipelines", body)), Code::Serialization);
    }
}

#[test]
fn a_body_over_the_limit_is_refused_unread() {
    let body = vec![b' '; codec::BODY_BYTES_MAX + 1];
    let error = codec::decode(&post("CodePipeline_20150709.ListPipelines", &body)).unwrap_err();
    assert_eq!((error.code, error.status().as_u16()), (Code::RequestTooLarge, 413));
    assert!(codec::decode(&post("CodePipeline_20150709.ListPipelines", &body[1..])).is_ok());
}

#[test]
fn answers_omit_what_is_absent_and_carry_the_request_id() {
    let output = ListPipelinesOutput { pipelines: Some(vec![]), next_token: None };
    let response = codec::encode_success(Operation::ListPipelines, &output, "id-1").unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.1");
    assert_eq!(response.headers()["x-amzn-requestid"], "id-1");
    assert_eq!(response.body().as_ref(), br#"{"pipelines":[]}"#);
    let empty =
        codec::encode_success(Operation::CreatePipeline, &CreatePipelineOutput::default(), "id").unwrap();
    assert_eq!(empty.body().as_ref(), b"{}");
}

#[test]
fn ten_operations_are_answered_with_nothing_at_all() {
    let silent = Operation::ALL.into_iter().filter(|operation| operation.model().output.is_none());
    let bodies =
        silent.map(|operation| codec::encode_success(operation, &NoOutput {}, "id").unwrap().into_body());
    assert_eq!(bodies.map(|body| body.len()).collect::<Vec<_>>(), [0; 10]);
}

#[test]
fn errors_carry_their_code_twice_and_their_status() {
    let error = ApiError::new(ApiException::PipelineNotFoundException, "There is no \"x\"");
    let response = codec::encode_error(&error, "bad\nid");
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["x-amzn-errortype"], "PipelineNotFoundException");
    assert!(!response.headers().contains_key("x-amzn-requestid"));
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(body, json!({"__type": "PipelineNotFoundException", "message": "There is no \"x\""}));
    let unserved = ApiError::not_served(Operation::ListRuleTypes);
    assert_eq!(
        unserved.to_string(),
        "UnknownOperationException: Towpath does not answer `ListRuleTypes` yet"
    );
    for (code, status) in [
        (Code::InternalFailure, 500),
        (Code::ServiceUnavailable, 503),
        (Code::Throttling, 400),
        (Code::AccessDenied, 400),
        (Code::InvalidSignature, 403),
    ] {
        assert_eq!(codec::encode_error(&ApiError::new(code, ""), "id").status(), status);
    }
}

#[test]
fn every_declared_error_has_the_name_of_its_variant() {
    for exception in ApiException::ALL {
        assert_eq!(exception.as_str(), format!("{exception:?}"));
    }
    for operation in Operation::ALL {
        assert_eq!(operation.name(), format!("{operation:?}"));
        assert_eq!(operation.model().input.name, format!("{operation:?}Input"));
    }
}

#[test]
fn a_clients_request_is_read_back_by_the_server() {
    let input = ListPipelinesInput { max_results: Some(5), ..Default::default() };
    let request = codec::encode_request("http://localhost:8780/", &input).unwrap();
    assert_eq!(codec::decode(&request), Ok((Operation::ListPipelines, json!({"maxResults": 5}))));
    assert!(codec::encode_request("not a url", &input).is_err());
}

#[test]
fn unknown_enum_values_survive_and_secrets_stay_out_of_debug_output() {
    use api::model::{AWSSessionCredentials, JobStatus};
    let status: JobStatus = serde_json::from_value(json!("Napping")).unwrap();
    assert_eq!(status, JobStatus::Other("Napping".to_owned()));
    assert_eq!(serde_json::to_value(&status).unwrap(), json!("Napping"));
    assert_eq!(JobStatus::from("Queued"), JobStatus::Queued);
    let secret = json!({"accessKeyId": "ak1", "secretAccessKey": "sk1", "sessionToken": "st1"});
    let credentials: AWSSessionCredentials = serde_json::from_value(secret.clone()).unwrap();
    let shown = format!("{credentials:?}");
    assert!(["ak1", "sk1", "st1"].iter().all(|secret| !shown.contains(secret)), "{shown}");
    assert_eq!(serde_json::to_value(&credentials).unwrap(), secret);
}

#[test]
fn members_with_odd_names_keep_them_on_the_wire() {
    use api::model::{
        ActionExecution, ArtifactDetail, ListWebhooksInput, S3Location, WebhookAuthConfiguration,
    };
    let webhooks = ListWebhooksInput { next_token: Some("t".to_owned()), max_results: Some(1) };
    assert_eq!(serde_json::to_value(webhooks).unwrap(), json!({"NextToken": "t", "MaxResults": 1}));
    let auth = WebhookAuthConfiguration { allowed_ip_range: Some("::/0".to_owned()), secret_token: None };
    assert_eq!(serde_json::to_value(auth).unwrap(), json!({"AllowedIPRange": "::/0"}));
    let artifact = ArtifactDetail { name: None, s3location: Some(S3Location::default()) };
    assert_eq!(serde_json::to_value(artifact).unwrap(), json!({"s3location": {}}));
    let action = ActionExecution {
        log_stream_arn: Some("arn".to_owned()),
        last_status_change: Some(Timestamp::from_millis(1_500)),
        ..Default::default()
    };
    assert_eq!(
        serde_json::to_value(action).unwrap(),
        json!({"logStreamARN": "arn", "lastStatusChange": 1.5})
    );
}
