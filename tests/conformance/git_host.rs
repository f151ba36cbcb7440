//! Webhooks made known to a Git host: one that speaks GitHub's API, played by the test, and none at all.

use crate::steps::create;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};
use tests::{
    client::Client,
    folder::Folder,
    pipelines::{commands, github, pipeline, source_action, stage},
    server::Server,
};

const TOKEN: &str = "ghp_only_the_host_may_see_this";
const SECRET: &str = "quote \" and \\ backslash";

/// A request the host was sent: method and path, the token, the body.
type Call = (String, String, Value);

/// A host that answers from a list of hooks, and notes what it was sent.
struct Host {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    /// Status and body of every answer, when it is to refuse.
    refusal: Arc<Mutex<Option<(u16, Value)>>>,
}

impl Host {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host =
            Self { address: listener.local_addr().unwrap(), calls: Arc::default(), refusal: Arc::default() };
        let (calls, refusal) = (Arc::clone(&host.calls), Arc::clone(&host.refusal));
        std::thread::spawn(move || {
            let mut hooks: Vec<Value> = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                let (call, mut stream) = receive(stream);
                let (status, body) = match &*refusal.lock().unwrap() {
                    Some((status, body)) => (*status, body.clone()),
                    None => answer(&mut hooks, &call),
                };
                calls.lock().unwrap().push(call);
                let body = body.to_string();
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        host
    }

    fn taken(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

fn receive(stream: TcpStream) -> (Call, TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        lines.iter().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request = lines[0].rsplit_once(' ').unwrap().0.to_owned();
    let token = header("authorization").unwrap_or_default();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    ((request, token, body), reader.into_inner())
}

fn answer(hooks: &mut Vec<Value>, (request, _, body): &Call) -> (u16, Value) {
    match request.split_once(' ').unwrap().0 {
        "GET" => (200, json!(hooks)),
        "POST" => {
            hooks.push(json!({ "id": 4711, "config": body["config"] }));
            (201, hooks[0].clone())
        }
        "DELETE" if hooks.is_empty() => (404, json!({ "message": "Not Found" })),
        "DELETE" => {
            hooks.clear();
            (204, json!({}))
        }
        _ => (200, json!({})),
    }
}

fn definition(source: Value) -> Value {
    pipeline("shop", vec![stage("Source", vec![source]), stage("Build", vec![commands("Say", &["true"])])])
}

fn put(client: &Client) -> Value {
    let input = json!({ "webhook": { "name": "hook", "targetPipeline": "shop", "targetAction": "Checkout",
        "filters": [], "authentication": "GITHUB_HMAC", "authenticationConfiguration": { "SecretToken": SECRET } } });
    client.call("PutWebhook", &input)["webhook"].clone()
}

fn listed(client: &Client) -> Value {
    client.call("ListWebhooks", &json!({}))["webhooks"][0].clone()
}

#[test]
fn the_host_is_told_what_to_send_where_and_told_to_stop() {
    let host = Host::start();
    let folder = Folder::repository(&definition(github()), &[]);
    folder.write("token", &format!("{TOKEN}\n"));
    let settings = format!("[git-host]\napi = \"http://{}\"\ntoken-file = \"token\"\n", host.address);
    folder.write("towpath.toml", &settings);
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &definition(github()), "Succeeded");
    let url = put(client)["url"].clone();
    let hook = json!({ "webhookName": "hook" });
    assert_eq!(client.call("RegisterWebhookWithThirdParty", &hook), json!({}));
    let calls = host.taken();
    let told = |calls: &[Call]| calls.iter().map(|(request, ..)| request.clone()).collect::<Vec<_>>();
    let list = "GET /repos/acme/shop/hooks?per_page=100";
    assert_eq!(told(&calls), [list, "POST /repos/acme/shop/hooks"], "{:#}", listed(client));
    assert!(calls.iter().all(|(_, token, _)| *token == format!("Bearer {TOKEN}")));
    let config = json!({ "url": url, "content_type": "json", "insecure_ssl": "0", "secret": SECRET });
    assert_eq!(calls[1].2, json!({ "name": "web", "active": true, "events": ["push"], "config": config }));
    assert_eq!(listed(client).get("errorCode"), None);

    client.call("RegisterWebhookWithThirdParty", &hook);
    assert_eq!(told(&host.taken()), [list, "PATCH /repos/acme/shop/hooks/4711"], "no second hook");
    for _ in 0..2 {
        client.call("DeregisterWebhookWithThirdParty", &hook);
    }
    assert_eq!(told(&host.taken()), ["DELETE /repos/acme/shop/hooks/4711"]);

    let refusal =
        json!({ "message": "Validation Failed", "errors": [{ "message": "url is not reachable" }] });
    *host.refusal.lock().unwrap() = Some((422, refusal));
    client.call("RegisterWebhookWithThirdParty", &hook);
    let seen = listed(client);
    assert_eq!(seen["errorCode"], "Refused");
    assert_eq!(seen["errorMessage"], "the Git host answered 422: Validation Failed: url is not reachable");
    *host.refusal.lock().unwrap() = None;
    client.call("RegisterWebhookWithThirdParty", &hook);
    assert_eq!(listed(client).get("errorCode"), None, "what works ends the error");

    std::fs::remove_file(folder.at("token")).unwrap();
    client.call("DeregisterWebhookWithThirdParty", &hook);
    assert_eq!(listed(client)["errorCode"], "NoCredentials");
    assert!(server.stop().success());
    for file in ["log.sqlite", "log.sqlite-wal"] {
        let bytes = std::fs::read(folder.state().join(file)).unwrap_or_default();
        assert!(!bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()), "{file}");
    }
}

#[test]
fn without_a_host_the_webhook_says_why_nobody_was_told() {
    let folder = Folder::repository(&definition(github()), &[]);
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &definition(github()), "Succeeded");
    put(client);
    let hook = json!({ "webhookName": "hook" });
    client.call("RegisterWebhookWithThirdParty", &hook);
    assert_eq!(listed(client)["errorCode"], "NoCredentials");
    assert!(listed(client)["errorMessage"].as_str().unwrap().contains("towpath.toml"));
    client.call("DeregisterWebhookWithThirdParty", &hook);
    assert_eq!(listed(client).get("errorCode"), None);
    let other = definition(source_action("main", false));
    client.call("UpdatePipeline", &json!({ "pipeline": other["pipeline"] }));
    client.call("RegisterWebhookWithThirdParty", &hook);
    assert_eq!(listed(client)["errorCode"], "InvalidTargetAction");
}
