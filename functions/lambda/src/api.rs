//! The API behind a function URL. Who calls, the platform has made sure of (`AWS_IAM`); what each may do here, the table
//! of permissions says.

use crate::{
    entry::{Call, Failed},
    home::Home,
    telemetry,
    url::{self, Answer, BadRequest},
};
use api::{ApiError, Code, Operation, codec};
use bytes::Bytes;
use handlers::{Caller, measure::Measure, wire};
use http::Response;
use serde_json::Value;

/// Answers a request.
pub async fn handle(home: &Home, call: Call) -> Result<Answer, Failed> {
    let arrived = match url::read(call.payload) {
        Ok(arrived) => arrived,
        Err(BadRequest::TooLarge) => return Ok(refusal(&codec::too_large(), &call.request_id)),
        Err(error @ BadRequest::Shape(_)) => return Err(Failed::refused(error)),
    };
    let request_id = arrived.request_id;
    telemetry::note(|invocation| invocation.event_id = Some(request_id.clone()));
    let Some(arn) = arrived.caller else {
        let text =
            "Nobody has made sure of who calls: this function's address must have the AuthType `AWS_IAM`";
        return Ok(refusal(&ApiError::new(Code::AccessDenied, text), &request_id));
    };
    let caller = Caller { arn };
    let permissions = match home.permissions().await {
        Ok(permissions) => permissions,
        Err(error) => return Ok(refusal(&error, &request_id)),
    };
    let place = home.permissions_place();
    let may = |operation: Operation, input: &Value| {
        let checked = permissions.check(&caller, operation, input, &place);
        checked.inspect_err(|_| {
            tracing::info!(caller = caller.arn, operation = operation.name(), "denied");
            home.measured(&[Measure::count("CallsDenied", 1)]);
        })
    };
    let response = wire::answer_to(&home.service, &caller, may, &arrived.request, &request_id).await;
    Ok(whole(response, &request_id))
}

fn refusal(error: &ApiError, request_id: &str) -> Answer {
    whole(codec::encode_error(error, request_id), request_id)
}

/// The answer, or that it is too large to be one.
fn whole(response: Response<Bytes>, request_id: &str) -> Answer {
    Answer::of(response).unwrap_or_else(|| {
        let text = format!(
            "The answer is larger than {} MiB, which is all that fits: ask for less, with `maxResults`",
            url::BODY_BYTES_MAX / 1024 / 1024
        );
        let small = codec::encode_error(&ApiError::new(Code::RequestTooLarge, text), request_id);
        Answer::of(small).expect("a sentence is smaller than the largest answer")
    })
}
