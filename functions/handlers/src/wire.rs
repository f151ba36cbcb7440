//! One request of the API, from its signature to the bytes of the answer. Whoever listens only reads the body.

use crate::{Caller, Home, operations};
use api::{ApiError, Operation, codec, sigv4};
use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;

/// When a request arrived, and under which id it is answered.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The time; a signature holds for some minutes only.
    pub now: sigv4::Moment,
    /// The request's id, told to the caller whatever the answer is.
    pub request_id: &'a str,
}

/// Answers a request, errors included. `secret_of` finds the secret for an access key id.
pub async fn answer<H: Home>(
    home: &H,
    secret_of: impl Fn(&str) -> Option<String>,
    request: &Request<Bytes>,
    arrival: Arrival<'_>,
) -> Response<Bytes> {
    match verify(home, secret_of, request, arrival.now) {
        Ok(caller) => answer_to(home, &caller, |_, _| Ok(()), request, arrival.request_id).await,
        Err(error) => codec::encode_error(&error, arrival.request_id),
    }
}

/// Answers a request of a caller whom somebody else has made sure of, errors included. `may` refuses what this caller
/// may not do.
pub async fn answer_to<H: Home>(
    home: &H,
    caller: &Caller,
    may: impl FnOnce(Operation, &Value) -> Result<(), ApiError>,
    request: &Request<Bytes>,
    request_id: &str,
) -> Response<Bytes> {
    match operate(home, caller, may, request, request_id).await {
        Ok(response) => response,
        Err(error) => codec::encode_error(&error, request_id),
    }
}

async fn operate<H: Home>(
    home: &H,
    caller: &Caller,
    may: impl FnOnce(Operation, &Value) -> Result<(), ApiError>,
    request: &Request<Bytes>,
    request_id: &str,
) -> Result<Response<Bytes>, ApiError> {
    let (operation, input) = codec::decode(request)?;
    may(operation, &input)?;
    let output = operations::dispatch(home, caller, operation, input).await.inspect_err(|error| {
        tracing::debug!(operation = operation.name(), %error, request_id, "refused");
    })?;
    codec::encode_success(operation, &output, request_id)
}

fn verify<H: Home>(
    home: &H,
    secret_of: impl Fn(&str) -> Option<String>,
    request: &Request<Bytes>,
    now: sigv4::Moment,
) -> Result<Caller, ApiError> {
    let engine = home.engine();
    let expected = sigv4::Expected { service: sigv4::SERVICE, region: Some(engine.region()), now };
    let verified = sigv4::verify(request, &expected, secret_of)?;
    Ok(Caller { arn: format!("arn:aws:iam::{}:user/{}", engine.account(), verified.access_key) })
}
