//! `PutEvents` over HTTP: `POST /` with the target `AWSEvents.PutEvents`, or `POST /events`, signed for the service
//! `events` with this installation's key.

use crate::server::{Front, read_body};
use api::{ApiError, Code, codec, sigv4};
use axum::{
    body::Body,
    http::{Request, Response},
};
use bytes::Bytes;
use handlers::triggers::bus;

/// Whether a request is for the bus.
pub fn is_meant(request: &Request<Body>) -> bool {
    request.uri().path() == "/events"
        || target(request).is_some_and(|target| target.starts_with("AWSEvents."))
}

fn target<B>(request: &Request<B>) -> Option<&str> {
    request.headers().get("x-amz-target")?.to_str().ok()
}

/// Answers it.
pub async fn answer(
    front: &Front,
    request: Request<Body>,
    request_id: &str,
) -> Result<Response<Bytes>, ApiError> {
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body).await?;
    let request = Request::from_parts(parts, body);
    let expected = sigv4::Expected {
        service: "events",
        region: Some(front.service.engine.region()),
        now: jiff::Timestamp::now(),
    };
    let keys = &front.keys;
    sigv4::verify(&request, &expected, |key| (key == keys.access_key).then(|| keys.secret.clone()))?;
    if let Some(other) = target(&request).filter(|target| *target != "AWSEvents.PutEvents") {
        let text = format!("`{other}` is not served here: only `AWSEvents.PutEvents` is");
        return Err(ApiError::new(Code::UnknownOperation, text));
    }
    // Goes on to its end if the caller goes away.
    let (service, rules) = (front.service.clone(), std::sync::Arc::clone(&front.known.plain));
    let work = tokio::spawn(async move { bus::put(&service, &rules, request.body()).await });
    let output = work.await.map_err(|error| {
        tracing::error!(%error, "putting events broke off");
        ApiError::new(Code::InternalFailure, format!("internal failure in request {request_id}"))
    })??;
    let body = Bytes::from(output.to_string());
    Ok(codec::json_response(body, request_id))
}
