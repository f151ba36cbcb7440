//! The client against a server that misbehaves.

use super::*;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What the server does with one request.
#[derive(Clone)]
enum Step {
    Answer(u16, &'static str, String),
    /// Announces a body and closes in the middle of it.
    Half,
    /// Closes without a word.
    Close,
    Hang,
    /// More bytes than anybody takes, without saying how many.
    Huge,
}

fn ok(body: &str) -> Step {
    Step::Answer(200, "", body.to_owned())
}

fn refusal(status: u16, code: &str) -> Step {
    Step::Answer(status, "", format!("{{\"__type\":\"x#{code}\",\"message\":\"words\"}}"))
}

/// A server that goes through its steps, and keeps what it was sent: heads and bodies as text.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
}

impl Server {
    async fn with(steps: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let steps = Arc::new(Mutex::new(steps.into_iter().collect::<VecDeque<_>>()));
        let (seen, connections) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<usize>>::default());
        let server = Self { url, seen: Arc::clone(&seen), connections: Arc::clone(&connections) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *connections.lock().unwrap() += 1;
                tokio::spawn(serve(stream, Arc::clone(&steps), Arc::clone(&seen)));
            }
        });
        server
    }

    fn client(&self) -> Client {
        Client::new(Settings {
            region: "eu-west-1".to_owned(),
            account: "111122223333".to_owned(),
            endpoint: Some(self.url.clone()),
            endpoints: BTreeMap::new(),
            credentials: Credentials {
                access_key: "AKIA".to_owned(),
                secret_key: "hush".to_owned(),
                session_token: Some("token".to_owned()),
                expires: None,
            },
            limits: Limits {
                attempt: Duration::from_millis(500),
                total: Duration::from_secs(20),
                attempts: 4,
                answer_bytes: 10_000,
            },
            meter: Some(Meter::new()),
        })
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    steps: Arc<Mutex<VecDeque<Step>>>,
    seen: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    loop {
        let request = request(&mut stream).await?;
        seen.lock().unwrap().push(request);
        let step = steps.lock().unwrap().pop_front()?;
        let bytes = match &step {
            Step::Answer(status, headers, body) => {
                format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
            }
            Step::Half => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":".to_owned(),
            Step::Close => return None,
            Step::Hang => std::future::pending::<String>().await,
            Step::Huge => format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(20_000)),
        };
        stream.write_all(bytes.as_bytes()).await.ok()?;
        if matches!(step, Step::Half | Step::Huge) {
            return None;
        }
    }
}

/// One request, head and body.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse().unwrap() {
                return Some(text);
            }
        }
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
    }
}

async fn put(client: &Client) -> Result<Value, CallError> {
    client.json(Service::DynamoDb, "PutItem", &json!({ "TableName": "log" })).await
}

#[tokio::test]
async fn a_busy_service_is_asked_again_over_the_same_connection() {
    let steps =
        [refusal(400, "ThrottlingException"), refusal(500, "InternalServerError"), ok("{\"done\":true}")];
    let server = Server::with(steps).await;
    let client = server.client();
    assert_eq!(put(&client).await.unwrap(), json!({ "done": true }));
    assert_eq!(*server.connections.lock().unwrap(), 1);
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    for part in [
        "POST / HTTP/1.1",
        "x-amz-target: DynamoDB_20120810.PutItem",
        "content-type: application/x-amz-json-1.0",
        "x-amz-security-token: token",
        "/eu-west-1/dynamodb/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
        "\"ReturnConsumedCapacity\":\"TOTAL\"",
    ] {
        assert!(seen[2].contains(part), "{part}: {}", seen[2]);
    }
    let counts = client.meter().unwrap().counts();
    let count = counts[&(Service::DynamoDb, "PutItem".to_owned())];
    assert_eq!((count.requests, count.again), (3, 2));
}

#[tokio::test]
async fn a_refusal_is_not_asked_again() {
    let server = Server::with([refusal(400, "ConditionalCheckFailedException")]).await;
    let error = put(&server.client()).await.unwrap_err();
    assert!(error.is(&["ConditionalCheckFailedException"]), "{error}");
    assert_eq!(error.to_string(), "dynamodb refused PutItem: ConditionalCheckFailedException: words");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn broken_answers_are_asked_for_again() {
    for trouble in [Step::Half, Step::Close, Step::Hang, ok("<html>"), Step::Answer(502, "", "<html>".into())]
    {
        let server = Server::with([trouble, ok("{}")]).await;
        assert_eq!(put(&server.client()).await.unwrap(), json!({}));
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn attempts_and_time_have_an_end() {
    let server = Server::with(std::iter::repeat_n(refusal(400, "SlowDown"), 9)).await;
    let error = put(&server.client()).await.unwrap_err();
    assert!(matches!(error, CallError::Unavailable { attempts: 4, throttled: true, .. }), "{error:?}");
    let server = Server::with([refusal(500, "InternalFailure"), refusal(400, "SlowDown")]).await;
    let limits = Limits { attempts: 2, ..server.client().limits };
    let error = put(&server.client().with_limits(limits)).await.unwrap_err();
    assert!(matches!(error, CallError::Unavailable { attempts: 2, throttled: false, .. }), "{error:?}");
    let server = Server::with(std::iter::repeat_n(Step::Hang, 9)).await;
    let limits = Limits { attempts: 100, total: Duration::from_millis(900), ..server.client().limits };
    let begun = std::time::Instant::now();
    let error = put(&server.client().with_limits(limits)).await.unwrap_err();
    assert!(error.is_passing() && begun.elapsed() < Duration::from_secs(5), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let server = Server::with([]).await;
    let mut client = server.client();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    Arc::get_mut(&mut client.shared).unwrap().endpoint = Some(format!("http://{gone}"));
    let error = put(&client).await.unwrap_err();
    assert!(matches!(error, CallError::Unavailable { attempts: 4, .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_taken() {
    let announced = ok(&format!("\"{}\"", "x".repeat(10_001)));
    for huge in [Step::Huge, announced] {
        let server = Server::with([huge]).await;
        let error = put(&server.client()).await.unwrap_err();
        assert!(matches!(error, CallError::Unusable { .. }), "{error:?}");
        assert!(error.to_string().contains("larger than 10000 bytes"), "{error}");
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn what_must_not_be_sent_twice_is_sent_again_only_if_nothing_was_done() {
    let once = || RestRequest {
        again: false,
        ..RestRequest::new(Service::Lambda, "Invoke", http::Method::POST, "/x")
    };
    for trouble in [Step::Half, Step::Close, refusal(500, "ServiceException")] {
        let server = Server::with([trouble, ok("{}")]).await;
        let error = server.client().rest(once()).await.unwrap_err();
        assert!(matches!(error, CallError::Unavailable { attempts: 1, .. }), "{error:?}");
        assert_eq!(server.seen().len(), 1);
    }
    let server = Server::with([refusal(429, "TooManyRequestsException"), ok("{}")]).await;
    assert_eq!(server.client().rest(once()).await.unwrap().status, 200);
}

#[tokio::test]
async fn objects_are_asked_for_by_their_key_letter_by_letter() {
    let server =
        Server::with([Step::Answer(200, "etag: \"7\"\r\n", "bytes".into()), refusal(404, "NoSuchKey")]).await;
    let client = server.client();
    let request = RestRequest::object("GetObject", http::Method::GET, "store", "a b/ü+%/c")
        .query("versionId", "v&1")
        .query("acl", "");
    let answer = client.rest(request).await.unwrap();
    assert_eq!((answer.header("etag"), &answer.body[..]), (Some("\"7\""), &b"bytes"[..]));
    let seen = server.seen().remove(0);
    let line = "GET /store/a%20b/%C3%BC%2B%25/c?versionId=v%261&acl= HTTP/1.1\r\n";
    assert!(seen.starts_with(line), "{seen}");
    let empty = "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert!(seen.contains(empty), "{seen}");
    let climbing = RestRequest::object("GetObject", http::Method::GET, "store", "a/../b");
    assert!(matches!(client.rest(climbing).await, Err(CallError::Unusable { .. })));
}

#[tokio::test]
async fn an_answer_goes_to_a_file_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("artifact");
    let server = Server::with([Step::Half, ok("whole"), refusal(403, "AccessDenied")]).await;
    let request = || RestRequest::object("GetObject", http::Method::GET, "store", "key");
    server.client().rest_to_file(request(), &file).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "whole");
    let denied = server.client().rest_to_file(request(), &file).await.unwrap_err();
    assert!(denied.is_denied());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "whole");
}

fn assumed(key: &str, minutes: i64) -> Step {
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes);
    ok(&format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s\
         </SecretAccessKey><SessionToken>t</SessionToken><Expiration>{end}</Expiration></Credentials>\
         </AssumeRoleResult></AssumeRoleResponse>"
    ))
}

#[tokio::test]
async fn a_role_s_keys_are_kept_and_renewed_before_their_end() {
    let steps =
        [assumed("ROLE1", 60), ok("{}"), ok("{}"), assumed("ROLE2", 4), assumed("ROLE3", 60), ok("{}")];
    let server = Server::with(steps).await;
    let client = server.client();
    let role = client.assume("arn:aws:iam::111122223333:role/one").await.unwrap();
    put(&role).await.unwrap();
    put(&client.assume("arn:aws:iam::111122223333:role/one").await.unwrap()).await.unwrap();
    // Four minutes are too few to begin anything with.
    put(&client.assume("arn:aws:iam::111122223333:role/two").await.unwrap()).await.unwrap();
    let key = |seen: &String| seen.split("Credential=").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let signers: Vec<_> = server.seen().iter().map(key).collect();
    assert_eq!(signers, ["AKIA", "ROLE1", "ROLE1", "AKIA", "AKIA", "ROLE3"]);
}

#[tokio::test]
async fn keys_that_ran_out_early_are_asked_for_anew_once() {
    let steps = [assumed("ROLE1", 60), refusal(400, "ExpiredTokenException"), assumed("ROLE2", 60), ok("{}")];
    let server = Server::with(steps).await;
    let role = server.client().assume("arn:aws:iam::111122223333:role/one").await.unwrap();
    put(&role).await.unwrap();
    assert!(server.seen()[3].contains("Credential=ROLE2/"));
    let server = Server::with([refusal(400, "ExpiredTokenException")]).await;
    assert!(put(&server.client()).await.unwrap_err().is(&["ExpiredTokenException"]));
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_a_refusal() {
    let denied = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole\
                  </Message></Error></ErrorResponse>";
    let server = Server::with([Step::Answer(403, "", denied.to_owned())]).await;
    let error = server.client().assume("arn:aws:iam::111122223333:role/one").await.unwrap_err();
    assert!(error.is_denied() && error.message().contains("sts:AssumeRole"), "{error}");
}

#[tokio::test]
async fn a_service_is_not_spoken_to_in_a_language_it_does_not_know() {
    let server = Server::with([]).await;
    let client = server.client();
    assert!(matches!(client.json(Service::Sts, "X", &json!({})).await, Err(CallError::Unusable { .. })));
    assert!(matches!(client.query(Service::S3, "X", &[]).await, Err(CallError::Unusable { .. })));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn connections_are_opened_before_they_are_needed() {
    let server = Server::with([ok("healthy"), ok("{}")]).await;
    let client = server.client();
    client.connect(&[Service::DynamoDb]).await;
    put(&client).await.unwrap();
    assert_eq!(*server.connections.lock().unwrap(), 1);
}
