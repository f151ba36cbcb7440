//! The one address that anybody in the world can call: Git hosts, and the addresses that `PutWebhook` gives. Nothing else
//! is served, and nothing is believed that is not signed where a signature is asked for.

use crate::{
    entry::{Call, Failed},
    home::Home,
    telemetry,
    url::{self, Answer, Arrived, BadRequest},
};
use events::TriggerVerdict;
use handlers::{
    measure::Measure,
    triggers::{self, Dealt, Host, Told},
    webhook::{self, DELIVERY_HOLDS_MS, Delivery},
};
use http::{Method, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

/// Answers a call.
pub async fn handle(home: &Home, call: Call) -> Result<Answer, Failed> {
    let arrived = match url::read(call.payload) {
        Ok(arrived) => arrived,
        Err(BadRequest::TooLarge) => {
            let text = format!("the body is larger than {} MiB", url::BODY_BYTES_MAX / 1024 / 1024);
            return Ok(told(StatusCode::PAYLOAD_TOO_LARGE, &text));
        }
        Err(error @ BadRequest::Shape(_)) => return Err(Failed::refused(error)),
    };
    let answer = match (arrived.request.method(), arrived.request.uri().path()) {
        (&Method::POST, "/trigger") => called(home, &arrived).await,
        (&Method::POST, path) => match path.strip_prefix("/hooks/").and_then(Host::of) {
            Some(host) => hooked(home, host, &arrived).await,
            None => nothing_here(),
        },
        _ => nothing_here(),
    };
    if matches!(answer.status(), 401 | 403) {
        home.measured(&[Measure::count("DeliveriesRefused", 1)]);
    }
    Ok(answer)
}

fn nothing_here() -> Answer {
    told(StatusCode::NOT_FOUND, "there is nothing at this address")
}

/// `POST /trigger?t=…&v=1`.
async fn called(home: &Home, arrived: &Arrived) -> Answer {
    let token = arrived.request.uri().query().and_then(webhook::token_of).unwrap_or_default();
    let found = match webhook::find(&home.service, &token).await {
        Ok(Some(found)) => found,
        Ok(None) => return told(StatusCode::NOT_FOUND, "there is no webhook at this address"),
        Err(error) => {
            tracing::warn!(%error, "a webhook could not be looked up");
            return told(StatusCode::SERVICE_UNAVAILABLE, "not available: try again later");
        }
    };
    let ids = ["x-github-delivery", "x-gitlab-event-uuid", "x-request-uuid"];
    let events = ["x-github-event", "x-gitlab-event", "x-event-key"];
    let delivery = delivery(arrived, &ids, &events);
    let (status, body) = match webhook::deliver(&home.service, &found, &delivery).await {
        webhook::Answer::Started(execution) => {
            telemetry::note(|invocation| invocation.execution = Some(execution.to_string()));
            (StatusCode::OK, json!({ "started": true, "pipelineExecutionId": execution }))
        }
        webhook::Answer::Idle(reason) => (StatusCode::OK, json!({ "started": false, "message": reason })),
        webhook::Answer::Forbidden(reason) => return refused(&reason),
        webhook::Answer::Unreadable(reason) => return told(StatusCode::BAD_REQUEST, &reason),
        webhook::Answer::Unavailable(reason) => return unavailable(&reason),
    };
    Answer::told(status, &body)
}

/// `POST /hooks/github`, and those of the other hosts.
async fn hooked(home: &Home, host: Host, arrived: &Arrived) -> Answer {
    let secret = match home.host_secret(host).await {
        Ok(Some(secret)) => secret,
        Ok(None) => {
            tracing::warn!(
                ?host,
                place = home.host_secret_place(host),
                "a Git host called that has no secret here"
            );
            return nothing_here();
        }
        Err(error) => return unavailable(&error),
    };
    let (event, id) = host.headers();
    let delivery = delivery(arrived, &[id], &[event]);
    let token = header(arrived, "x-gitlab-token");
    let is_enterprise = header(arrived, "x-github-enterprise-host").is_some();
    let forks = home.settings.allow_forks;
    let (secret, token) = (secret.as_bytes(), token.as_deref());
    let dealt = triggers::deliver(&home.service, host, secret, &delivery, token, is_enterprise, forks).await;
    match dealt {
        Told::Dealt(dealt) => {
            let pipelines: Vec<Value> = dealt.iter().map(one).collect();
            Answer::told(StatusCode::OK, &json!({ "pipelines": pipelines }))
        }
        Told::Idle(reason) => Answer::told(StatusCode::OK, &json!({ "pipelines": [], "message": reason })),
        Told::Forbidden(reason) => refused(&reason),
        Told::Unreadable(reason) => told(StatusCode::BAD_REQUEST, &reason),
        Told::Unavailable(reason) => unavailable(&reason),
    }
}

fn one(dealt: &Dealt) -> Value {
    let name = &dealt.pipeline;
    match &dealt.verdict {
        TriggerVerdict::Started { execution, because, .. } => {
            telemetry::note(|invocation| invocation.execution = Some(execution.to_string()));
            json!({ "pipeline": name, "started": true, "pipelineExecutionId": execution, "message": because })
        }
        TriggerVerdict::NotStarted { reason } => {
            json!({ "pipeline": name, "started": false, "message": reason })
        }
    }
}

fn delivery(arrived: &Arrived, ids: &[&str], events: &[&str]) -> Delivery {
    let any = |names: &[&str]| names.iter().find_map(|name| header(arrived, name));
    let id = any(ids);
    telemetry::note(|invocation| invocation.event_id.clone_from(&id));
    Delivery {
        peer: arrived.peer,
        signature_256: header(arrived, "x-hub-signature-256"),
        signature_1: header(arrived, "x-hub-signature"),
        id,
        event: any(events),
        content_type: header(arrived, CONTENT_TYPE.as_str()),
        holds_ms: Some(DELIVERY_HOLDS_MS),
        body: arrived.request.body().clone(),
    }
}

fn header(arrived: &Arrived, name: &str) -> Option<String> {
    arrived.request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn refused(reason: &str) -> Answer {
    tracing::warn!(reason, "a delivery was refused");
    told(StatusCode::FORBIDDEN, reason)
}

fn unavailable(reason: &str) -> Answer {
    tracing::warn!(reason, "a delivery could not be dealt with");
    told(StatusCode::SERVICE_UNAVAILABLE, "not available: try again later")
}

fn told(status: StatusCode, message: &str) -> Answer {
    Answer::told(status, &json!({ "message": message }))
}
