//! Requests before they are signed, and answers of services with paths of their own.

use super::{CallError, Client, Protocol, Service, send::Raw, service::dns_suffix};
use api::sigv4::percent_encoded;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::CONTENT_TYPE};
use sha2::{Digest as _, Sha256};
use std::{fmt::Write as _, time::Duration};

/// A request to a service with methods and paths of its own.
#[derive(Debug, Clone)]
pub struct RestRequest {
    /// The service.
    pub service: Service,
    /// The operation's name, for messages and for the meter.
    pub operation: &'static str,
    /// The method.
    pub method: Method,
    /// A bucket of S3; `None` for every other service.
    pub bucket: Option<String>,
    /// The path as the service spells it: not encoded yet, beginning with `/`.
    pub path: String,
    /// The query, not encoded yet.
    pub query: Vec<(String, String)>,
    /// Headers besides those that signing adds.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
    /// Bytes of the answer, most; the client's own limit when there is none.
    pub answer_bytes: Option<usize>,
    /// How long one attempt may take; the client's own limit when there is none. The limit over all attempts is
    /// moved along.
    pub time: Option<Duration>,
    /// False for a request that must not be sent twice: what came of the first attempt is then the answer, unless it
    /// was turned away before anything was done.
    pub again: bool,
}

impl RestRequest {
    /// A request without query, headers and body.
    pub fn new(service: Service, operation: &'static str, method: Method, path: impl Into<String>) -> Self {
        Self {
            service,
            operation,
            method,
            bucket: None,
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            answer_bytes: None,
            time: None,
            again: true,
        }
    }

    /// A request about an object of S3.
    pub fn object(operation: &'static str, method: Method, bucket: &str, key: &str) -> Self {
        let request = Self::new(Service::S3, operation, method, format!("/{key}"));
        Self { bucket: Some(bucket.to_owned()), ..request }
    }

    /// With this in the query.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// With this header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }
}

/// An answer of a service with paths of its own; its status is one of success.
#[derive(Debug, Clone)]
pub struct RestAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl RestAnswer {
    pub(super) fn of(raw: &Raw) -> Self {
        Self { status: raw.status, headers: raw.headers.clone(), body: raw.body.clone() }
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What is signed and sent, as often as it takes.
pub(super) struct Prepared {
    pub(super) service: Service,
    pub(super) operation: String,
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) answer_bytes: usize,
    pub(super) attempt: Duration,
    pub(super) total: Duration,
    pub(super) again: bool,
}

impl Prepared {
    pub(super) fn json(
        client: &Client,
        service: Service,
        operation: &str,
        body: String,
    ) -> Result<Self, CallError> {
        let mut prepared = Self::empty(client, service, operation);
        let Protocol::Json { version, target } = service.protocol() else {
            return Err(prepared.unusable("this service does not speak AWS JSON"));
        };
        prepared.set("content-type", &format!("application/x-amz-json-{version}"))?;
        prepared.set("x-amz-target", &format!("{target}.{operation}"))?;
        prepared.body = body.into();
        Ok(prepared)
    }

    pub(super) fn query(
        client: &Client,
        service: Service,
        action: &str,
        params: &[(String, String)],
    ) -> Result<Self, CallError> {
        let mut prepared = Self::empty(client, service, action);
        let Protocol::Query { version } = service.protocol() else {
            return Err(prepared.unusable("this service does not take forms"));
        };
        let mut body = format!("Action={}&Version={version}", percent_encoded(action));
        for (name, value) in params {
            // Writing to a `String` cannot fail.
            let _ = write!(body, "&{}={}", percent_encoded(name), percent_encoded(value));
        }
        prepared.set("content-type", "application/x-www-form-urlencoded; charset=utf-8")?;
        prepared.body = body.into();
        Ok(prepared)
    }

    pub(super) fn rest(client: &Client, request: RestRequest) -> Result<Self, CallError> {
        let mut prepared = Self::empty(client, request.service, request.operation);
        // URLs have no way to say "the segment `..`": whatever is written, it is resolved on the way.
        if request.path.split('/').any(|segment| matches!(segment, "." | "..")) {
            let text = format!("a path with the segment `.` or `..` cannot be asked for: `{}`", request.path);
            return Err(prepared.unusable(text));
        }
        let (base, in_path) = match &request.bucket {
            Some(bucket) => home_of_bucket(client, bucket),
            None => (client.endpoint(request.service), String::new()),
        };
        let path: Vec<String> = request.path.split('/').map(percent_encoded).collect();
        let pairs: Vec<String> = request
            .query
            .iter()
            .map(|(name, value)| match value.is_empty() {
                // S3 names sub-resources so: `?uploads`.
                true => format!("{}=", percent_encoded(name)),
                false => format!("{}={}", percent_encoded(name), percent_encoded(value)),
            })
            .collect();
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        prepared.url = format!("{base}{in_path}{}{query}", path.join("/"));
        prepared.method = request.method;
        for (name, value) in &request.headers {
            prepared.set(name, value)?;
        }
        if request.service == Service::S3 {
            // S3 wants the hash declared, and checks the body against it.
            let hash = Sha256::digest(&request.body).iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
            prepared.set("x-amz-content-sha256", &hash)?;
        }
        prepared.body = request.body;
        prepared.again = request.again;
        if let Some(bytes) = request.answer_bytes {
            prepared.answer_bytes = bytes;
        }
        if let Some(time) = request.time {
            prepared.total = prepared.total.saturating_sub(prepared.attempt).saturating_add(time);
            prepared.attempt = time;
        }
        Ok(prepared)
    }

    fn empty(client: &Client, service: Service, operation: &str) -> Self {
        Self {
            service,
            operation: operation.to_owned(),
            method: Method::POST,
            url: format!("{}/", client.endpoint(service)),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            answer_bytes: client.limits.answer_bytes,
            attempt: client.limits.attempt,
            total: client.limits.total,
            again: true,
        }
    }

    fn set(&mut self, name: &'static str, value: &str) -> Result<(), CallError> {
        let value = HeaderValue::from_str(value).map_err(|_| {
            self.unusable(format!("this cannot stand in the header `{name}`: `{}`", value.escape_debug()))
        })?;
        let name = if name == "content-type" { CONTENT_TYPE } else { HeaderName::from_static(name) };
        self.headers.insert(name, value);
        Ok(())
    }

    pub(super) fn unusable(&self, reason: impl Into<String>) -> CallError {
        CallError::Unusable {
            service: self.service,
            operation: self.operation.clone(),
            reason: reason.into(),
        }
    }
}

/// A bucket has a host of its own, unless its name has dots, which no certificate covers, or S3 is an emulator's.
fn home_of_bucket(client: &Client, bucket: &str) -> (String, String) {
    if client.is_elsewhere(Service::S3) || bucket.contains('.') {
        return (client.endpoint(Service::S3), format!("/{}", percent_encoded(bucket)));
    }
    let host = format!("https://{bucket}.s3.{}.{}", client.region, dns_suffix(&client.region));
    (host, String::new())
}
