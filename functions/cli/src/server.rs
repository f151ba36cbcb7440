//! The API over HTTP on loopback, and beside it the artifact store.

use crate::{
    credentials::KeyPair,
    inbound::{Known, bus, hooks},
    machine::LocalService,
    objects::{self, Objects},
    trigger::{self, Calls},
};
use api::{ApiError, Code, codec};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header::CONTENT_LENGTH},
    response::IntoResponse,
    routing::{get, post},
};
use bytes::Bytes;
use handlers::wire::{self, Arrival};
use std::{any::Any, sync::Arc, time::Duration};
use tower_http::catch_panic::CatchPanicLayer;

/// How long a caller may take to send a body.
pub const BODY_SECONDS_MAX: Duration = Duration::from_secs(30);

/// What requests are answered with.
#[derive(Clone)]
pub struct Front {
    /// The operations.
    pub service: LocalService,
    /// Who may call.
    pub keys: Arc<KeyPair>,
    /// The artifact store, for what is no call of the API.
    pub objects: Objects,
    /// How webhooks are called.
    pub calls: Calls,
    /// Rules, and the Git hosts that may call.
    pub known: Known,
}

/// The routes.
pub fn router(front: Front) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/trigger", post(trigger::called))
        .route("/hooks/{host}", post(hooks::called))
        .fallback(answer)
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(front)
}

/// Answers once the log and the listings do.
async fn healthz(State(front): State<Front>) -> Response<Body> {
    use engine::views::Views;
    match front.service.views.page(domain::views::PIPELINES, None, 1, false).await {
        Ok(_) => (StatusCode::OK, "{\"status\":\"ok\"}\n").into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

async fn answer(State(front): State<Front>, request: Request<Body>) -> Response<Body> {
    if request.method() == Method::POST && bus::is_meant(&request) {
        let request_id = uuid::Uuid::new_v4().to_string();
        let answer = bus::answer(&front, request, &request_id).await;
        return answer.unwrap_or_else(|error| codec::encode_error(&error, &request_id)).map(Body::from);
    }
    if objects::is_meant(&request) {
        return front.objects.answer(request).await;
    }
    let request_id = uuid::Uuid::new_v4().to_string();
    if request.method() != Method::POST {
        let text = "towpath answers the CodePipeline API: POST / in AWS JSON 1.1; artifacts by S3: GET \
                    /bucket/key; and GET /healthz\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    }
    let response = match received(request).await {
        Ok(request) => {
            let keys = &front.keys;
            let secret_of = |key: &str| (key == keys.access_key).then(|| keys.secret.clone());
            let arrival = Arrival { now: jiff::Timestamp::now(), request_id: &request_id };
            wire::answer(&front.service, secret_of, &request, arrival).await
        }
        Err(error) => codec::encode_error(&error, &request_id),
    };
    response.map(Body::from)
}

/// The request with its body read.
async fn received(request: Request<Body>) -> Result<Request<Bytes>, ApiError> {
    let (mut parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body).await?;
    // Signed for `/`, whatever form the request line has.
    parts.uri = Uri::from_static("/");
    Ok(Request::from_parts(parts, body))
}

/// A request's body, within its bounds of size and time.
pub async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    // Said before it is sent: not a byte of it need be read.
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > codec::BODY_BYTES_MAX as u64) {
        return Err(codec::too_large());
    }
    let read = tokio::time::timeout(BODY_SECONDS_MAX, to_bytes(body, codec::BODY_BYTES_MAX));
    match read.await {
        Ok(body) => body.map_err(|error| body_error(&error)),
        Err(_) => Err(ApiError::new(Code::Serialization, "the request body did not arrive in time")),
    }
}

fn body_error(error: &axum::Error) -> ApiError {
    let too_large =
        std::error::Error::source(error).is_some_and(|source| source.to_string().contains("length limit"));
    if too_large {
        codec::too_large()
    } else {
        ApiError::new(Code::Serialization, format!("the request body could not be read: {error}"))
    }
}

/// A panic is a defect of ours; the caller gets an error it can report, the others get served on.
fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    let request_id = uuid::Uuid::new_v4().to_string();
    tracing::error!(request_id, "a request broke off");
    let error = ApiError::new(Code::InternalFailure, format!("internal failure in request {request_id}"));
    codec::encode_error(&error, &request_id).map(Body::from)
}
