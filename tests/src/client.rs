//! A client of the API on a plain socket: small enough to send anything, also what no client would.

use crate::{
    conforming,
    server::{ACCESS_KEY, SECRET_KEY},
};
use api::sigv4::{self, Credentials};
use engine::ports::ArtifactCredentials;
use serde_json::Value;
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Calls operations at one address.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    credentials: Credentials,
}

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// An error of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Status code.
    pub status: u16,
    /// The exception's name.
    pub code: String,
    /// Its words.
    pub message: String,
}

impl Answer {
    /// The header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; an empty one is `null`.
    pub fn json(&self) -> Value {
        if self.body.is_empty() { Value::Null } else { serde_json::from_slice(&self.body).unwrap() }
    }

    /// The error it tells of.
    pub fn refusal(&self) -> Refusal {
        let body = self.json();
        let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
        Refusal { status: self.status, code: text("__type"), message: text("message") }
    }
}

impl Client {
    /// With the test's key pair.
    pub fn new(address: SocketAddr) -> Self {
        let credentials =
            Credentials { access_key: ACCESS_KEY.into(), secret_key: SECRET_KEY.into(), session_token: None };
        Self { address, credentials }
    }

    /// With another key pair.
    pub fn with_key(&self, access_key: &str, secret_key: &str) -> Self {
        let credentials =
            Credentials { access_key: access_key.into(), secret_key: secret_key.into(), session_token: None };
        Self { address: self.address, credentials }
    }

    /// With credentials that were lent for a job.
    pub fn with_lent(&self, lent: &ArtifactCredentials) -> Self {
        let credentials = Credentials {
            access_key: lent.access_key_id.clone(),
            secret_key: lent.secret_access_key.clone(),
            session_token: Some(lent.session_token.clone()),
        };
        Self { address: self.address, credentials }
    }

    /// Sends a request of S3, signed with its body left out.
    pub fn object(&self, method: &str, target: &str, body: &[u8]) -> io::Result<Answer> {
        self.object_with(method, target, &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")], body)
    }

    /// Sends a request of S3 with these headers, which say how its body is signed.
    pub fn object_with(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let request = http::Request::builder().method(method).uri(format!("http://{}{target}", self.address));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut request = request.body(body.to_vec()).map_err(io::Error::other)?;
        sigv4::sign(&mut request, &self.credentials, "us-east-1", sigv4::s3::SERVICE, jiff::Timestamp::now())
            .map_err(io::Error::other)?;
        self.send(&request)
    }

    /// Calls an operation. The answer, good or bad, must be as the service model declares it.
    #[track_caller]
    pub fn try_call(&self, operation: &str, input: &Value) -> Result<Value, Refusal> {
        let answer = self.post(operation, input.to_string().as_bytes()).unwrap();
        conforming::check(operation, &answer);
        if answer.status == 200 { Ok(answer.json()) } else { Err(answer.refusal()) }
    }

    /// Calls an operation that must succeed.
    #[track_caller]
    pub fn call(&self, operation: &str, input: &Value) -> Value {
        self.try_call(operation, input).unwrap_or_else(|refusal| panic!("{operation} {input}: {refusal:?}"))
    }

    /// Calls an operation that must be refused with this exception.
    #[track_caller]
    pub fn refused(&self, operation: &str, input: &Value, code: &str) -> Refusal {
        match self.try_call(operation, input) {
            Ok(output) => panic!("{operation} {input} was not refused: {output}"),
            Err(refusal) => {
                assert_eq!(refusal.code, code, "{operation} {input}: {}", refusal.message);
                assert!(!refusal.message.is_empty(), "{operation} {input}");
                refusal
            }
        }
    }

    /// Sends a body, signed, and whatever comes back.
    pub fn post(&self, operation: &str, body: &[u8]) -> io::Result<Answer> {
        self.send(&self.signed(operation, body))
    }

    /// A signed request for a neighbouring service.
    pub fn signed_for(&self, service: &str, path: &str, target: &str, body: &[u8]) -> http::Request<Vec<u8>> {
        let mut request = http::Request::post(format!("http://{}{path}", self.address))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .body(body.to_vec())
            .unwrap();
        sigv4::sign(&mut request, &self.credentials, "us-east-1", service, jiff::Timestamp::now()).unwrap();
        request
    }

    /// A signed request, to be changed before it is sent.
    pub fn signed(&self, operation: &str, body: &[u8]) -> http::Request<Vec<u8>> {
        let mut request = http::Request::post(format!("http://{}/", self.address))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("CodePipeline_20150709.{operation}"))
            .body(body.to_vec())
            .unwrap();
        self.sign(&mut request);
        request
    }

    /// Signs a request as it is now.
    pub fn sign(&self, request: &mut http::Request<Vec<u8>>) {
        sigv4::sign(request, &self.credentials, "us-east-1", sigv4::SERVICE, jiff::Timestamp::now()).unwrap();
    }

    /// Sends a request as it is.
    pub fn send(&self, request: &http::Request<Vec<u8>>) -> io::Result<Answer> {
        let target = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let mut bytes = format!("{} {target} HTTP/1.1\r\n", request.method()).into_bytes();
        for (name, value) in request.headers() {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        let length = request.body().len();
        bytes.extend_from_slice(format!("content-length: {length}\r\nconnection: close\r\n\r\n").as_bytes());
        bytes.extend_from_slice(request.body());
        self.raw(&bytes)
    }

    /// Sends bytes, whatever they are.
    pub fn raw(&self, bytes: &[u8]) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.set_write_timeout(Some(ANSWER_MAX))?;
        stream.set_nodelay(true)?;
        // A server may answer before it has read everything, and close: then what it said counts.
        let written = stream.write_all(bytes);
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        if answer.is_empty() {
            written?;
            read?;
        }
        parse(&answer)
    }

    /// `GET` of a path.
    pub fn get(&self, path: &str) -> io::Result<Answer> {
        self.raw(
            format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address).as_bytes(),
        )
    }
}

/// Reads an HTTP answer to its end.
pub(crate) fn parse(answer: &[u8]) -> io::Result<Answer> {
    let broken = || io::Error::other(format!("no HTTP answer: {}", String::from_utf8_lossy(answer)));
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(broken)?;
    let head = std::str::from_utf8(&answer[..end]).map_err(io::Error::other)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).ok_or_else(broken)?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: Vec<(String, String)> = lines.filter_map(header).collect();
    Ok(Answer { status, headers, body: answer[end + 4..].to_vec() })
}
