//! A stand-in for AWS over real HTTP: S3 in memory, and for every other operation the answers that a test wrote down, in
//! shapes of the API documentation. It remembers each call, and in whose name it was made.

use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// A call as it came.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The operation's name.
    pub(crate) operation: String,
    /// JSON, or the members of a form.
    pub(crate) input: Value,
    /// The method and what follows it.
    pub(crate) target: String,
    /// Headers in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// Whose key signed it: `own`, or a role's name.
    pub(crate) who: String,
}

/// An answer as a test writes it down.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A success in JSON.
    Json(Value),
    /// A success in XML.
    Xml(String),
    /// Headers and a body.
    Raw(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// A refusal: status, code, message.
    Refusal(u16, &'static str, String),
    /// The connection is closed without an answer, after the call was heard.
    Silence,
    /// Another answer, so many milliseconds later.
    Late(u64, Box<Reply>),
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

impl From<&str> for Reply {
    fn from(xml: &str) -> Self {
        Self::Xml(xml.to_owned())
    }
}

/// A refusal.
pub(crate) fn refusal(code: &'static str, message: &str) -> Reply {
    Reply::Refusal(400, code, message.to_owned())
}

/// An object of the S3 in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object {
    /// Its content.
    pub(crate) bytes: Vec<u8>,
    /// Its headers.
    pub(crate) headers: BTreeMap<String, String>,
}

/// An object that comes in parts.
struct Upload {
    at: String,
    headers: BTreeMap<String, String>,
    parts: BTreeMap<u32, Vec<u8>>,
}

#[derive(Default)]
struct State {
    script: BTreeMap<String, VecDeque<Reply>>,
    calls: Vec<Call>,
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
}

/// The stand-in. Ends with the test.
#[derive(Clone)]
pub(crate) struct Service {
    /// Where it is.
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Service {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = Self { url, state: Arc::default() };
        let shared = service.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), shared) = (stream, shared.clone()) else { continue };
                thread::spawn(move || shared.serve(stream));
            }
        });
        service
    }

    /// What an operation answers next; the last answer stays.
    pub(crate) fn on(&self, operation: &str, reply: impl Into<Reply>) -> &Self {
        let mut state = self.state.lock().unwrap();
        state.script.entry(operation.to_owned()).or_default().push_back(reply.into());
        drop(state);
        self
    }

    /// Forgets what an operation was to answer, and has it answer this.
    pub(crate) fn now(&self, operation: &str, reply: impl Into<Reply>) -> &Self {
        self.state.lock().unwrap().script.remove(operation);
        self.on(operation, reply)
    }

    /// All calls of an operation.
    pub(crate) fn calls(&self, operation: &str) -> Vec<Call> {
        let state = self.state.lock().unwrap();
        state.calls.iter().filter(|call| call.operation == operation).cloned().collect()
    }

    /// The only call of an operation.
    #[track_caller]
    pub(crate) fn call(&self, operation: &str) -> Call {
        let mut calls = self.calls(operation);
        assert_eq!(calls.len(), 1, "{operation}: {:?}", self.operations());
        calls.remove(0)
    }

    /// Which operations were called, in order.
    pub(crate) fn operations(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.iter().map(|call| call.operation.clone()).collect()
    }

    /// Puts an object.
    pub(crate) fn put(&self, at: &str, bytes: impl Into<Vec<u8>>) {
        let object = Object { bytes: bytes.into(), headers: BTreeMap::new() };
        self.state.lock().unwrap().objects.insert(at.to_owned(), object);
    }

    /// The object at `bucket/key`.
    pub(crate) fn object(&self, at: &str) -> Option<Object> {
        self.state.lock().unwrap().objects.get(at).cloned()
    }

    /// All objects' places.
    pub(crate) fn places(&self) -> Vec<String> {
        self.state.lock().unwrap().objects.keys().cloned().collect()
    }

    fn serve(&self, stream: TcpStream) {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        while let Some(call) = read(&mut reader) {
            let is_head = call.target.starts_with("HEAD ");
            let mut reply = self.reply(&call);
            if let Reply::Late(ms, then) = reply {
                thread::sleep(Duration::from_millis(ms));
                reply = *then;
            }
            let Some(bytes) = written(reply, &call, is_head) else { return };
            if writer.write_all(&bytes).is_err() {
                return;
            }
        }
    }

    fn reply(&self, call: &Call) -> Reply {
        let mut state = self.state.lock().unwrap();
        state.calls.push(call.clone());
        if let Some(replies) = state.script.get_mut(&call.operation) {
            let last = replies.len() == 1;
            let reply = if last { replies.front().cloned() } else { replies.pop_front() };
            return reply.unwrap();
        }
        if call.operation == "AssumeRole" {
            let role = call.input["RoleArn"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            return Reply::Xml(format!(
                "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{role}</AccessKeyId>\
                 <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                 <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
            ));
        }
        s3(&mut state, call).unwrap_or_else(|| {
            refusal("UnknownOperationException", &format!("nothing is written down for `{}`", call.operation))
        })
    }
}

/// S3 as far as actions use it.
fn s3(state: &mut State, call: &Call) -> Option<Reply> {
    let (_, target) = call.target.split_once(' ')?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let at = decoded(path.trim_start_matches('/'));
    let query: BTreeMap<String, String> = pairs(query);
    let missing = || Reply::Refusal(404, "NoSuchKey", "The specified key does not exist.".to_owned());
    let kept = |call: &Call| -> BTreeMap<String, String> {
        let is_kept =
            |name: &str| name.starts_with("x-amz-") || matches!(name, "content-type" | "cache-control");
        call.headers.iter().filter(|(name, _)| is_kept(name)).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    Some(match call.operation.as_str() {
        "GetBucketVersioning" => Reply::Xml(
            "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>".to_owned(),
        ),
        "HeadObject" | "GetObject" => {
            let Some(object) = state.objects.get(&at) else { return Some(missing()) };
            let mut headers: Vec<(&'static str, String)> = vec![
                ("etag", format!("\"etag-{}\"", object.bytes.len())),
                ("x-amz-version-id", query.get("versionId").cloned().unwrap_or_else(|| "v-new".to_owned())),
            ];
            for (name, known) in [
                ("content-type", "content-type"),
                ("x-amz-meta-towpath-format", "x-amz-meta-towpath-format"),
                (
                    "x-amz-meta-codepipeline-artifact-revision-summary",
                    "x-amz-meta-codepipeline-artifact-revision-summary",
                ),
            ] {
                headers.extend(object.headers.get(known).map(|value| (name, value.clone())));
            }
            match call.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) {
                Some((first, last)) => {
                    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                    let last = last.min(object.bytes.len() - 1);
                    Reply::Raw(206, headers, object.bytes[first..=last].to_vec())
                }
                None => Reply::Raw(200, headers, object.bytes.clone()),
            }
        }
        "PutObject" => {
            state.objects.insert(at, Object { bytes: call.body.clone(), headers: kept(call) });
            Reply::Raw(200, vec![("etag", "\"e\"".to_owned())], Vec::new())
        }
        "CopyObject" => {
            let source = decoded(call.headers["x-amz-copy-source"].split('?').next().unwrap());
            let Some(object) = state.objects.get(source.trim_start_matches('/')).cloned() else {
                return Some(missing());
            };
            state.objects.insert(at, Object { headers: kept(call), ..object });
            Reply::Xml("<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>".to_owned())
        }
        "CreateMultipartUpload" => {
            let id = format!("upload-{}", state.uploads.len());
            state.uploads.insert(id.clone(), Upload { at, headers: kept(call), parts: BTreeMap::new() });
            Reply::Xml(format!("<R><UploadId>{id}</UploadId></R>"))
        }
        "UploadPart" => {
            let parts = &mut state.uploads.get_mut(&query["uploadId"])?.parts;
            parts.insert(query["partNumber"].parse().unwrap(), call.body.clone());
            Reply::Raw(200, vec![("etag", format!("\"{}\"", query["partNumber"]))], Vec::new())
        }
        "CompleteMultipartUpload" => {
            let Upload { at, headers, parts } = state.uploads.remove(&query["uploadId"])?;
            state.objects.insert(at, Object { bytes: parts.into_values().flatten().collect(), headers });
            Reply::Xml("<CompleteMultipartUploadResult/>".to_owned())
        }
        "AbortMultipartUpload" => {
            state.uploads.remove(&query["uploadId"]);
            Reply::Raw(204, Vec::new(), Vec::new())
        }
        _ => return None,
    })
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Call> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let target = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let text = String::from_utf8_lossy(&body).into_owned();
    let form = pairs(&text);
    let (operation, input) = match (headers.get("x-amz-target"), form.get("Action")) {
        (Some(target), _) => {
            (target.rsplit('.').next().unwrap().to_owned(), serde_json::from_str(&text).unwrap_or_default())
        }
        (None, Some(action)) => (action.clone(), json!(form)),
        (None, None) => (rest(&target, &headers), serde_json::from_str(&text).unwrap_or_default()),
    };
    let authorization = headers.get("authorization").cloned().unwrap_or_default();
    let who = authorization.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next());
    let who = who.unwrap_or_default().to_owned();
    Some(Call { operation, input, target, headers, body, who })
}

/// The name of an operation with a path of its own.
fn rest(target: &str, headers: &BTreeMap<String, String>) -> String {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let method = target.split(' ').next().unwrap_or_default();
    let name = match method {
        "POST" if target.contains("/2015-03-31/functions/") => "Invoke",
        "POST" if has("uploads") => "CreateMultipartUpload",
        "POST" => "CompleteMultipartUpload",
        "PUT" if has("partNumber") => "UploadPart",
        "PUT" if headers.contains_key("x-amz-copy-source") => "CopyObject",
        "PUT" => "PutObject",
        "GET" if has("versioning") => "GetBucketVersioning",
        "GET" => "GetObject",
        "HEAD" => "HeadObject",
        "DELETE" => "AbortMultipartUpload",
        _ => "Unknown",
    };
    name.to_owned()
}

fn written(reply: Reply, call: &Call, is_head: bool) -> Option<Vec<u8>> {
    let (status, headers, body) = match reply {
        Reply::Json(value) => (200, vec![], value.to_string().into_bytes()),
        Reply::Xml(text) => (200, vec![], text.into_bytes()),
        Reply::Raw(status, headers, body) => (status, headers, body),
        Reply::Refusal(status, code, message) if call.headers.contains_key("x-amz-target") => {
            (status, vec![], json!({ "__type": code, "message": message }).to_string().into_bytes())
        }
        Reply::Refusal(status, code, message) if call.operation == "Invoke" => {
            let headers = vec![("x-amzn-errortype", code.to_owned())];
            (status, headers, json!({ "Message": message }).to_string().into_bytes())
        }
        Reply::Refusal(status, code, message) => {
            let error = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
            let is_form = call.input.get("Action").is_some();
            let text = if is_form { format!("<ErrorResponse>{error}</ErrorResponse>") } else { error };
            (status, vec![], text.into_bytes())
        }
        Reply::Silence => return None,
        Reply::Late(_, then) => return written(*then, call, is_head),
    };
    let mut bytes = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len()).into_bytes();
    for (name, value) in headers {
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    bytes.extend(b"\r\n");
    if !is_head {
        bytes.extend(body);
    }
    Some(bytes)
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    text.split('&').filter(|text| !text.is_empty()).map(pair).collect()
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let digits = std::str::from_utf8(&digits).unwrap_or("00");
                bytes.push(u8::from_str_radix(digits, 16).unwrap_or(0));
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
