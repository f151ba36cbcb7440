//! One request of the API, from its signature to the bytes of the answer. Whoever listens only reads the body.

use crate::{Caller, Home, operations};
use api::{ApiError, codec, sigv4};
use bytes::Bytes;
use http::{Request, Response};

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
    match operate(home, secret_of, request, arrival).await {
        Ok(response) => response,
        Err(error) => codec::encode_error(&error, arrival.request_id),
    }
}

async fn operate<H: Home>(
    home: &H,
    secret_of: impl Fn(&str) -> Option<String>,
    request: &Request<Bytes>,
    arrival: Arrival<'_>,
) -> Result<Response<Bytes>, ApiError> {
    let caller = verify(home, secret_of, request, arrival.now)?;
    let (operation, input) = codec::decode(request)?;
    let output = operations::dispatch(home, &caller, operation, input).await.inspect_err(|error| {
        let request_id = arrival.request_id;
        tracing::debug!(operation = operation.name(), %error, request_id, "refused");
    })?;
    codec::encode_success(operation, &output, arrival.request_id)
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
