//! `POST /trigger?t=…&v=1`: the addresses of webhooks. What a call means `handlers::webhook` decides; here it is read.

use crate::server::{BODY_SECONDS_MAX, Front};
use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderName, Request, Response, StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
};
use handlers::webhook::{self, Answer, DELIVERY_BYTES_MAX, Delivery};
use serde_json::json;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Deliveries that are read and evaluated at the same time, most: each may hold a body and what was parsed of it.
const DELIVERIES_AT_ONCE_MAX: usize = 4;
/// How long a delivery waits for its turn.
const TURN_SECONDS_MAX: Duration = Duration::from_secs(10);

/// How webhooks are called here.
#[derive(Clone)]
pub struct Calls {
    client_ip_header: Option<HeaderName>,
    turns: Arc<Semaphore>,
}

impl Calls {
    /// With the header in which a trusted proxy says who calls.
    pub fn new(client_ip_header: Option<HeaderName>) -> Self {
        Self { client_ip_header, turns: Arc::new(Semaphore::new(DELIVERIES_AT_ONCE_MAX)) }
    }

    /// Waits for a turn; `None` when too many others have theirs.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let turn = tokio::time::timeout(TURN_SECONDS_MAX, Arc::clone(&self.turns).acquire_owned()).await;
        turn.ok()?.ok()
    }

    /// Who calls: the proxy's word where one is trusted, and then nothing else.
    fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> Option<IpAddr> {
        match &self.client_ip_header {
            None => Some(peer.ip()),
            // What comes before the last entry the caller may have made up.
            Some(name) => headers
                .get_all(name)
                .iter()
                .next_back()?
                .to_str()
                .ok()?
                .rsplit(',')
                .next()?
                .trim()
                .parse()
                .ok(),
        }
    }
}

/// Answers a call.
pub async fn called(
    State(front): State<Front>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let token = parts.uri.query().and_then(webhook::token_of).unwrap_or_default();
    let found = match webhook::find(&front.service, &token).await {
        Ok(Some(found)) => found,
        Ok(None) => return told(StatusCode::NOT_FOUND, "there is no webhook at this address"),
        Err(error) => return told(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    };
    let Some(_turn) = front.calls.turn().await else {
        return told(StatusCode::SERVICE_UNAVAILABLE, "too many deliveries at once");
    };
    let body = match tokio::time::timeout(BODY_SECONDS_MAX, to_bytes(body, DELIVERY_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if is_too_large(&error) => {
            let text = format!("the body is larger than {} MiB", DELIVERY_BYTES_MAX / 1024 / 1024);
            return told(StatusCode::PAYLOAD_TOO_LARGE, &text);
        }
        Ok(Err(error)) => {
            return told(StatusCode::BAD_REQUEST, &format!("the body could not be read: {error}"));
        }
        Err(_) => return told(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
    };
    let header =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let any = |names: &[&str]| names.iter().find_map(|name| header(name));
    let delivery = Delivery {
        peer: front.calls.client(peer, &parts.headers),
        signature_256: header("x-hub-signature-256"),
        signature_1: header("x-hub-signature"),
        id: any(&["x-github-delivery", "x-gitlab-event-uuid", "x-request-uuid"]),
        event: any(&["x-github-event", "x-gitlab-event", "x-event-key"]),
        content_type: header(CONTENT_TYPE.as_str()),
        holds_ms: None,
        body,
    };
    // Goes on to its end if the caller goes away: what was started is noted.
    let service = front.service.clone();
    let work = tokio::spawn(async move { webhook::deliver(&service, &found, &delivery).await });
    match work.await {
        Ok(answer) => shown(&answer),
        Err(error) => {
            tracing::error!(%error, "a delivery broke off");
            told(StatusCode::INTERNAL_SERVER_ERROR, "internal failure")
        }
    }
}

fn shown(answer: &Answer) -> Response<Body> {
    let (status, body) = match answer {
        Answer::Started(execution) => {
            (StatusCode::OK, json!({ "started": true, "pipelineExecutionId": execution }))
        }
        Answer::Idle(reason) => (StatusCode::OK, json!({ "started": false, "message": reason })),
        Answer::Forbidden(reason) => return told(StatusCode::FORBIDDEN, reason),
        Answer::Unreadable(reason) => return told(StatusCode::BAD_REQUEST, reason),
        Answer::Unavailable(reason) => {
            tracing::warn!(reason, "a delivery could not be dealt with");
            return told(StatusCode::SERVICE_UNAVAILABLE, "not available: try again later");
        }
    };
    json_answer(status, &body)
}

pub fn told(status: StatusCode, message: &str) -> Response<Body> {
    json_answer(status, &json!({ "message": message }))
}

pub fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
    (status, [(CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

pub fn is_too_large(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.to_string().contains("length limit"))
}
