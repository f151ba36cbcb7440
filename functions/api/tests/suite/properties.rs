//! Laws: what fits decodes, and nothing that arrives makes the gates panic.

use api::constraint::Shape;
use api::model::*;
use api::sigv4::{Credentials, Expected, SERVICE, sign, verify};
use api::{Operation, Request, codec, decode_input, validate, validate_shape};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::samples::{fitting, one_of};

const CASES: u32 = 24;

/// Runs `check::<R>` for the input of every operation.
macro_rules! for_every_request {
    ($check:ident $arguments:tt: $($input:ident)+) => {{
        let seen = [$($check::<$input> $arguments),+];
        assert_eq!(seen, Operation::ALL);
    }};
    ($check:ident $arguments:tt) => {
        for_every_request!($check $arguments: AcknowledgeJobInput AcknowledgeThirdPartyJobInput
            CreateCustomActionTypeInput CreatePipelineInput DeleteCustomActionTypeInput DeletePipelineInput
            DeleteWebhookInput DeregisterWebhookWithThirdPartyInput DisableStageTransitionInput
            EnableStageTransitionInput GetActionTypeInput GetJobDetailsInput GetPipelineInput
            GetPipelineExecutionInput GetPipelineStateInput GetThirdPartyJobDetailsInput
            ListActionExecutionsInput ListActionTypesInput ListDeployActionExecutionTargetsInput
            ListPipelineExecutionsInput ListPipelinesInput ListRuleExecutionsInput ListRuleTypesInput
            ListTagsForResourceInput ListWebhooksInput OverrideStageConditionInput PollForJobsInput
            PollForThirdPartyJobsInput PutActionRevisionInput PutApprovalResultInput PutJobFailureResultInput
            PutJobSuccessResultInput PutThirdPartyJobFailureResultInput PutThirdPartyJobSuccessResultInput
            PutWebhookInput RegisterWebhookWithThirdPartyInput RetryStageExecutionInput RollbackStageInput
            StartPipelineExecutionInput StopPipelineExecutionInput TagResourceInput UntagResourceInput
            UpdateActionTypeInput UpdatePipelineInput)
    };
}

fn sample(shape: &'static Shape, runner: &mut TestRunner) -> Value {
    let value = fitting(shape, runner);
    assert_eq!(validate_shape(shape.name, &value, "root"), Ok(()), "{value:#}");
    value
}

fn fits_decodes_and_encodes_back<R: Request>(runner: &mut TestRunner) -> Operation {
    let input = sample(R::OPERATION.model().input, runner);
    let typed: R = decode_input(input.clone()).unwrap();
    assert_eq!(serde_json::to_value(typed).unwrap(), input);
    if let Some(shape) = R::OPERATION.model().output {
        let output = sample(shape, runner);
        let typed: R::Output = serde_json::from_value(output.clone()).unwrap();
        assert_eq!(serde_json::to_value(typed).unwrap(), output);
    }
    R::OPERATION
}

#[test]
fn whatever_fits_its_shape_decodes_and_encodes_back_unchanged() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..CASES {
        for_every_request!(fits_decodes_and_encodes_back(&mut runner));
    }
}

/// Replaces one value somewhere in the tree.
fn damage(value: &mut Value, junk: &Value, runner: &mut TestRunner) {
    let here = one_of(4, runner) == 0;
    match value {
        Value::Object(members) if !members.is_empty() && !here => {
            let at = one_of(members.len(), runner);
            members.values_mut().skip(at).take(1).for_each(|member| damage(member, junk, runner));
        }
        Value::Array(entries) if !entries.is_empty() && !here => {
            let at = one_of(entries.len(), runner);
            damage(&mut entries[at], junk, runner);
        }
        value => *value = junk.clone(),
    }
}

fn passes_only_what_decodes<R: Request>(junk: &Value, runner: &mut TestRunner) -> Operation {
    let mut input = fitting(R::OPERATION.model().input, runner);
    damage(&mut input, junk, runner);
    if validate(R::OPERATION, &input).is_ok() {
        assert!(decode_input::<R>(input.clone()).is_ok(), "{input:#}");
    }
    R::OPERATION
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn header() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let name = prop_oneof![
        Just("authorization"),
        Just("x-amz-date"),
        Just("x-amz-target"),
        Just("x-amz-content-sha256"),
        Just("host"),
        Just("x-other"),
    ];
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        "[0-9]{8}T[0-9]{6}Z".prop_map(String::into_bytes),
        "CodePipeline_20150709\\.[A-Za-z]{0,20}".prop_map(String::into_bytes),
        "AWS4-HMAC-SHA256 Credential=[A-Z/0-9a-z]{0,40}, SignedHeaders=[a-z;-]{0,30}, Signature=[0-9a-f]{0,8}"
            .prop_map(String::into_bytes),
        Just(b"AWS4-HMAC-SHA256 Credential=K/20261121/r/codepipeline/aws4_request, \
               SignedHeaders=host;x-amz-date, Signature=00"
            .to_vec()),
    ];
    (name, value)
}

fn secret_of(_: &str) -> Option<String> {
    Some("secret".to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_check_never_panics_and_lets_nothing_through_that_does_not_decode(junk in any_json()) {
        let mut runner = TestRunner::deterministic();
        for operation in Operation::ALL {
            let _ = validate(operation, &junk);
        }
        for_every_request!(passes_only_what_decodes(&junk, &mut runner));
    }

    #[test]
    fn decoding_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200), target in any::<String>()) {
        for target in [target.as_bytes(), b"CodePipeline_20150709.CreatePipeline"] {
            if let Ok(value) = http::HeaderValue::from_bytes(target) {
                let request = http::Request::post("/").header("x-amz-target", value).body(&body).unwrap();
                if let Ok((operation, input)) = codec::decode(&request) {
                    let _ = validate(operation, &input);
                }
            }
        }
    }

    #[test]
    fn verifying_never_panics_and_accepts_nothing_made_up(
        headers in proptest::collection::vec(header(), 0..8),
        target in "/[!-~]{0,30}",
        body in proptest::collection::vec(any::<u8>(), 0..20),
        second in any::<i64>(),
    ) {
        let uri = target.parse::<http::Uri>().unwrap_or_default();
        let mut request = http::Request::post(uri).body(body).unwrap();
        for (name, value) in headers {
            if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                request.headers_mut().append(name, value);
            }
        }
        for now in [jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::MAX), jiff::Timestamp::MIN] {
            let expected = Expected { service: SERVICE, region: None, now };
            prop_assert!(verify(&request, &expected, secret_of).is_err());
        }
    }

    #[test]
    fn what_we_sign_we_accept(
        path in "/[a-zA-Z0-9%./~-]{0,20}(\\?[a-z0-9&=%+~]{0,20})?",
        body in proptest::collection::vec(any::<u8>(), 0..50),
        token in proptest::option::of("[A-Za-z0-9/+=]{1,30}"),
        second in 0_i64..4_000_000_000,
    ) {
        let uri = format!("http://localhost:1{path}").parse::<http::Uri>();
        prop_assume!(uri.is_ok());
        let mut request = http::Request::post(uri.unwrap()).body(body).unwrap();
        let credentials =
            Credentials { access_key: "K".to_owned(), secret_key: "secret".to_owned(), session_token: token };
        let now = jiff::Timestamp::from_second(second).unwrap();
        sign(&mut request, &credentials, "r", SERVICE, now).unwrap();
        let expected = Expected { service: SERVICE, region: Some("r"), now };
        prop_assert!(verify(&request, &expected, secret_of).is_ok());
    }
}
