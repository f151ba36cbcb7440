//! AWS JSON 1.1: bytes to operation and value, answer or error to bytes.
//!
//! Nothing outside this file knows the protocol, so that another (Smithy RPC v2 CBOR) can stand beside it.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{ApiError, Code, Operation, Request};

/// Largest request body, in bytes. Readers must stop there; [`decode`] checks it again.
pub const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Media type of requests and answers.
pub const MEDIA_TYPE: &str = "application/x-amz-json-1.1";
/// What stands before the dot of `X-Amz-Target`.
pub const TARGET_PREFIX: &str = "CodePipeline_20150709";

const TARGET_HEADER: &str = "x-amz-target";
const REQUEST_ID_HEADER: &str = "x-amzn-requestid";
const ERROR_TYPE_HEADER: &str = "x-amzn-errortype";

/// Reads which operation a request asks for, and its input as JSON. An empty body counts as `{}`.
///
/// The content type is not looked at: clients disagree about it and it carries nothing.
///
/// # Errors
/// `UnknownOperationException`, `RequestTooLarge`, or `SerializationException` when the body is no JSON object.
pub fn decode<B: AsRef<[u8]>>(request: &http::Request<B>) -> Result<(Operation, Value), ApiError> {
    let operation = operation_of(request)?;
    let body = request.body().as_ref();
    if body.len() > BODY_BYTES_MAX {
        return Err(too_large());
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok((operation, json!({})));
    }
    let not_json =
        |error| ApiError::new(Code::Serialization, format!("The request body is not valid JSON: {error}"));
    match serde_json::from_slice(body).map_err(not_json)? {
        input @ Value::Object(_) => Ok((operation, input)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(ApiError::new(Code::Serialization, "The request body must be a JSON object"))
        }
    }
}

/// The answer to a body over [`BODY_BYTES_MAX`], for readers that stop early.
pub fn too_large() -> ApiError {
    ApiError::new(
        Code::RequestTooLarge,
        format!("The request body is larger than {} MiB", BODY_BYTES_MAX / 1024 / 1024),
    )
}

/// A successful answer. An operation without output is answered with a body of zero length, whatever
/// `output` is.
///
/// # Errors
/// `InternalFailure` if `output` cannot be written as JSON, such as a map with keys that are no text.
pub fn encode_success<T: Serialize>(
    operation: Operation,
    output: &T,
    request_id: &str,
) -> Result<Response<Bytes>, ApiError> {
    let body = match operation.model().output {
        None => Bytes::new(),
        Some(_) => serde_json::to_vec(output)
            .map_err(|error| {
                let text = format!("The answer to `{}` could not be written: {error}", operation.name());
                ApiError::new(Code::InternalFailure, text)
            })?
            .into(),
    };
    Ok(response(StatusCode::OK, body, request_id))
}

/// An error as clients expect it.
pub fn encode_error(error: &ApiError, request_id: &str) -> Response<Bytes> {
    let body = json!({ "__type": error.code.as_str(), "message": error.message }).to_string();
    let mut response = response(error.status(), body.into(), request_id);
    response.headers_mut().insert(ERROR_TYPE_HEADER, HeaderValue::from_static(error.code.as_str()));
    response
}

/// A request for a server at `uri`, not yet signed.
///
/// # Errors
/// `SerializationException` if `uri` is not one, or the input cannot be written as JSON.
pub fn encode_request<R: Request>(uri: &str, input: &R) -> Result<http::Request<Bytes>, ApiError> {
    let body =
        serde_json::to_vec(input).map_err(|error| ApiError::new(Code::Serialization, error.to_string()))?;
    http::Request::post(uri)
        .header(CONTENT_TYPE, MEDIA_TYPE)
        .header(TARGET_HEADER, format!("{TARGET_PREFIX}.{}", R::OPERATION.name()))
        .body(body.into())
        .map_err(|error| ApiError::new(Code::Serialization, format!("`{uri}` is not a usable URL: {error}")))
}

fn operation_of<B>(request: &http::Request<B>) -> Result<Operation, ApiError> {
    let unknown = |text: String| Err(ApiError::new(Code::UnknownOperation, text));
    if request.method() != Method::POST || request.uri().path() != "/" {
        return unknown(format!(
            "The API is served as `POST /` with the header `X-Amz-Target: {TARGET_PREFIX}.<operation>`"
        ));
    }
    let mut targets = request.headers().get_all(TARGET_HEADER).iter();
    let (Some(target), None) = (targets.next(), targets.next()) else {
        return unknown("The request must have exactly one header `X-Amz-Target`".to_owned());
    };
    let name = target.to_str().ok().and_then(|text| text.strip_prefix(TARGET_PREFIX)?.strip_prefix('.'));
    match name.and_then(Operation::parse) {
        Some(operation) => Ok(operation),
        None => unknown(format!("There is no operation {target:?} in this API")),
    }
}

/// An answer of a neighbouring service that speaks the same protocol.
pub fn json_response(body: Bytes, request_id: &str) -> Response<Bytes> {
    response(StatusCode::OK, body, request_id)
}

fn response(status: StatusCode, body: Bytes, request_id: &str) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    // An id that cannot stand in a header is left out: the answer matters more.
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID_HEADER, id);
    }
    response
}
