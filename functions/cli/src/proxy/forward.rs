//! One request through the proxy: checked, signed again, sent on; the answer streams back.
//!
//! Only headers that carry a call of the API go on, and only those of an answer come back. The caller's
//! `Authorization`, its token and its dates stay here.

use super::local_keys::Callers;
use crate::{
    client::{endpoint::Endpoint, endpoint::LAMBDA, keys::Provider},
    server::read_body,
};
use anyhow::Context as _;
use api::{ApiError, Code, codec, sigv4};
use axum::{
    body::{Body, to_bytes},
    extract::State,
    http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri, header},
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::Semaphore;

/// Requests under way at the same time, most: each may hold a body.
const AT_ONCE_MAX: usize = 32;
/// How long a request waits for its turn.
const TURN_MAX: Duration = Duration::from_secs(10);
/// How long a connection may take to come about.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long an answer may take to begin, and stand still once it has begun. The function itself has half of it.
const STILL_MAX: Duration = Duration::from_secs(60);
/// Bytes of an answer, most: twice of what a function may answer.
const ANSWER_BYTES_MAX: u64 = 12 << 20;
/// Bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: usize = 1 << 20;

/// Headers of a request that go on.
const ASKED: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    header::ACCEPT,
    header::USER_AGENT,
    HeaderName::from_static("x-amz-target"),
    HeaderName::from_static("x-amz-user-agent"),
    HeaderName::from_static("amz-sdk-invocation-id"),
    HeaderName::from_static("amz-sdk-request"),
];
/// Headers of an answer that come back.
const ANSWERED: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::DATE,
    header::RETRY_AFTER,
    HeaderName::from_static("x-amzn-requestid"),
    HeaderName::from_static("x-amzn-errortype"),
];

/// Where requests go, and whose come.
pub struct Forward {
    http: reqwest::Client,
    endpoint: Endpoint,
    keys: Arc<Provider>,
    callers: Callers,
    port: u16,
    turns: Semaphore,
}

impl Forward {
    /// To an endpoint, for a proxy at this address.
    pub fn new(
        endpoint: Endpoint,
        keys: Arc<Provider>,
        callers: Callers,
        address: SocketAddr,
    ) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .read_timeout(STILL_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("no HTTP client can be made on this machine")?;
        Ok(Self { http, endpoint, keys, callers, port: address.port(), turns: Semaphore::new(AT_ONCE_MAX) })
    }
}

/// Answers a request, errors included.
pub async fn answer(State(forward): State<Arc<Forward>>, request: Request<Body>) -> Response<Body> {
    let request_id = uuid::Uuid::new_v4().to_string();
    match forward.pass(request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::info!(request_id, %error, "refused");
            codec::encode_error(&error, &request_id).map(Body::from)
        }
    }
}

impl Forward {
    async fn pass(&self, request: Request<Body>) -> Result<Response<Body>, ApiError> {
        self.check_host(request.headers(), request.uri())?;
        if request.method() != Method::POST || request.uri().path() != "/" {
            return Err(ApiError::new(
                Code::UnknownOperation,
                "The proxy passes on calls of the CodePipeline API in AWS JSON 1.1: `POST /`",
            ));
        }
        let turn = tokio::time::timeout(TURN_MAX, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(ApiError::new(Code::Throttling, "Too many requests go through the proxy at once"));
        };
        let (mut parts, body) = request.into_parts();
        let body = read_body(&parts.headers, body).await?;
        // Signed for `/`, whatever form the request line has.
        parts.uri = Uri::from_static("/");
        let request = Request::from_parts(parts, body);
        self.verify(&request).await?;
        let response = self.send(&request).await?;
        self.returned(response).await
    }

    /// A web page may have a name that leads here; its requests carry that name.
    fn check_host(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), ApiError> {
        let mut hosts = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
        let named = match (hosts.next(), hosts.next()) {
            (Some(host), None) => Some(host),
            (None, _) => uri.authority().map(|authority| authority.as_str()),
            (Some(_), Some(_)) => None,
        };
        let port = self.port;
        let own = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
        match named {
            Some(host) if own.iter().any(|name| host.eq_ignore_ascii_case(name)) => Ok(()),
            _ => Err(ApiError::new(
                Code::AccessDenied,
                format!(
                    "The header `host` must be `127.0.0.1:{port}` or `localhost:{port}`, the proxy's own"
                ),
            )),
        }
    }

    async fn verify(&self, request: &Request<Bytes>) -> Result<(), ApiError> {
        // The key is looked up first, and waited for; the check itself does not wait.
        let secret = match claimed_key(request) {
            Some(key) => self.callers.secret_of(&key).await.map(|secret| (key, secret)),
            None => None,
        };
        let secret_of = |key: &str| {
            let (known, secret) = secret.as_ref()?;
            (known == key).then(|| secret.clone())
        };
        let region = Some(self.endpoint.region.as_str());
        let check = |service: &str| {
            let expected = sigv4::Expected { service, region, now: sigv4::Moment::now() };
            sigv4::verify(request, &expected, secret_of)
        };
        // A client that `towpath aws-setup` taught to sign for Lambda is as good.
        let refused = match check(sigv4::SERVICE) {
            Ok(_) => return Ok(()),
            Err(_) if check(LAMBDA).is_ok() => return Ok(()),
            Err(refused) => refused,
        };
        Err(match refused.code {
            Code::UnrecognizedClient => ApiError::new(
                refused.code,
                "The access key is not one that this proxy signs with: call it with the keys, or the profile, that \
                 `towpath proxy` was started with, or start it with `--own-keys`",
            ),
            _ => refused,
        })
    }

    async fn send(&self, request: &Request<Bytes>) -> Result<reqwest::Response, ApiError> {
        let keys = self.keys.keys().await.map_err(|error| {
            ApiError::new(
                Code::ExpiredToken,
                format!("The proxy has no keys to sign with: {}", crate::in_words(&error)),
            )
        })?;
        self.callers.note(&keys).await;
        let mut onward =
            Request::post(self.endpoint.url.as_str()).body(request.body().clone()).map_err(broken)?;
        for name in ASKED {
            if let Some(value) = request.headers().get(&name) {
                onward.headers_mut().insert(name, value.clone());
            }
        }
        let Endpoint { service, region, .. } = &self.endpoint;
        sigv4::sign(&mut onward, &keys.credentials, region, service, sigv4::Moment::now())?;
        let onward = reqwest::Request::try_from(onward).map_err(broken)?;
        self.http.execute(onward).await.map_err(|error| {
            let text = match error.is_timeout() {
                true => format!("{} did not answer within {} s", self.endpoint.url, STILL_MAX.as_secs()),
                false => format!("{} does not answer: {}", self.endpoint.url, crate::in_words(&error.into())),
            };
            ApiError::new(Code::ServiceUnavailable, text)
        })
    }

    async fn returned(&self, response: reqwest::Response) -> Result<Response<Body>, ApiError> {
        let (parts, body) = http::Response::from(response).into_parts();
        let body = Body::new(body);
        let mut answer = match parts.status {
            StatusCode::OK => Response::new(Body::new(Bounded { inner: body, left: ANSWER_BYTES_MAX })),
            status => {
                let body = to_bytes(body, REFUSAL_BYTES_MAX).await.map_err(broken)?;
                if let Some(error) = self.of_lambda(status, &body) {
                    return Err(error);
                }
                Response::new(Body::from(body))
            }
        };
        *answer.status_mut() = parts.status;
        for name in ANSWERED {
            if let Some(value) = parts.headers.get(&name) {
                answer.headers_mut().insert(name, value.clone());
            }
        }
        Ok(answer)
    }

    /// What Lambda says before a request reaches the function, as the API would say it: clients know no other words.
    fn of_lambda(&self, status: StatusCode, body: &[u8]) -> Option<ApiError> {
        let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        if body["__type"].is_string() {
            return None;
        }
        let said =
            body["Message"].as_str().or_else(|| body["message"].as_str()).unwrap_or("without a reason");
        let url = &self.endpoint.url;
        Some(match status {
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => ApiError::new(
                Code::AccessDenied,
                format!(
                    "{url} does not let these keys in: they need `lambda:InvokeFunctionUrl` and `lambda:InvokeFunction` \
                     on the function: {said}"
                ),
            ),
            StatusCode::PAYLOAD_TOO_LARGE => codec::too_large(),
            StatusCode::TOO_MANY_REQUESTS => {
                ApiError::new(Code::Throttling, format!("{url} is busy: {said}"))
            }
            status if status.is_server_error() => ApiError::new(
                Code::ServiceUnavailable,
                format!("{url} answered with status {status}: {said}"),
            ),
            status => ApiError::new(
                Code::InternalFailure,
                format!("{url} answered with status {status}: {said}; is it the API of a Towpath?"),
            ),
        })
    }
}

/// The access key that a request says it was signed with. What it says is not believed before it is checked.
fn claimed_key(request: &Request<Bytes>) -> Option<String> {
    let authorization = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let credential = authorization.split("Credential=").nth(1)?;
    Some(credential.split('/').next()?.to_owned())
}

fn broken(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(Code::ServiceUnavailable, format!("The answer could not be passed on: {error}"))
}

/// A body that breaks off rather than go on for ever.
struct Bounded {
    inner: Body,
    left: u64,
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            match self.left.checked_sub(length) {
                Some(left) => self.left = left,
                None => {
                    let text = format!("an answer larger than {} MiB was cut off", ANSWER_BYTES_MAX >> 20);
                    return Poll::Ready(Some(Err(axum::Error::new(std::io::Error::other(text)))));
                }
            }
        }
        polled
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
