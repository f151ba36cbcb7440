//! `POST /hooks/github`, `/hooks/gitlab`, `/hooks/bitbucket`: where Git hosts call. What a call means
//! `handlers::triggers` decides; here it is read.

use crate::{
    server::{BODY_SECONDS_MAX, Front},
    trigger::{is_too_large, json_answer, told},
};
use axum::{
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{Request, Response, StatusCode, header::CONTENT_TYPE},
};
use events::TriggerVerdict;
use handlers::{
    triggers::{self, Dealt, Host, Told},
    webhook::{DELIVERY_BYTES_MAX, Delivery},
};
use serde_json::{Value, json};

/// Answers a call.
pub async fn called(
    State(front): State<Front>,
    Path(name): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let secret = Host::of(&name).and_then(|host| Some((host, front.known.secrets.get(&host)?.clone())));
    let Some((host, secret)) = secret else {
        let text =
            "there is no Git host of that name: it needs `[hooks.<name>]` with a secret in towpath.toml";
        return told(StatusCode::NOT_FOUND, text);
    };
    let Some(_turn) = front.calls.turn().await else {
        return told(StatusCode::SERVICE_UNAVAILABLE, "too many deliveries at once");
    };
    let (parts, body) = request.into_parts();
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
    let (event, id) = host.headers();
    let delivery = Delivery {
        peer: None,
        signature_256: header("x-hub-signature-256"),
        signature_1: header("x-hub-signature"),
        id: header(id),
        event: header(event),
        content_type: header(CONTENT_TYPE.as_str()),
        holds_ms: None,
        body,
    };
    let (token, is_enterprise) = (header("x-gitlab-token"), header("x-github-enterprise-host").is_some());
    let (service, allow_forks) = (front.service.clone(), front.known.allow_forks);
    // Goes on to its end if the caller goes away: what was started is noted.
    let work = tokio::spawn(async move {
        let (secret, token) = (secret.as_bytes(), token.as_deref());
        triggers::deliver(&service, host, secret, &delivery, token, is_enterprise, allow_forks).await
    });
    match work.await {
        Ok(answer) => shown(answer),
        Err(error) => {
            tracing::error!(%error, "a delivery broke off");
            told(StatusCode::INTERNAL_SERVER_ERROR, "internal failure")
        }
    }
}

fn shown(answer: Told) -> Response<Body> {
    match answer {
        Told::Dealt(dealt) => {
            let pipelines: Vec<Value> = dealt.iter().map(one).collect();
            json_answer(StatusCode::OK, &json!({ "pipelines": pipelines }))
        }
        Told::Idle(reason) => json_answer(StatusCode::OK, &json!({ "pipelines": [], "message": reason })),
        Told::Forbidden(reason) => told(StatusCode::FORBIDDEN, &reason),
        Told::Unreadable(reason) => told(StatusCode::BAD_REQUEST, &reason),
        Told::Unavailable(reason) => {
            tracing::warn!(reason, "a delivery could not be dealt with");
            told(StatusCode::SERVICE_UNAVAILABLE, "not available: try again later")
        }
    }
}

fn one(dealt: &Dealt) -> Value {
    let name = &dealt.pipeline;
    match &dealt.verdict {
        TriggerVerdict::Started { execution, because, .. } => {
            json!({ "pipeline": name, "started": true, "pipelineExecutionId": execution, "message": because })
        }
        TriggerVerdict::NotStarted { reason } => {
            json!({ "pipeline": name, "started": false, "message": reason })
        }
    }
}
