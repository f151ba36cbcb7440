//! What leaves `towpath up` when the state of an execution changes: lines in a file, posts to an address, notices in a
//! Slack that the test plays.

use crate::steps::{create, needs, reaches, start};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
    time::Duration,
};
use tests::{
    client::Client,
    folder::Folder,
    pipelines::{commands, pipeline, source, stage},
    processes::eventually,
    server::Server,
};

/// How long a notice may take, even on a busy machine.
const SOON: Duration = Duration::from_secs(30);
const TOKEN: &str = "xoxb-only-slack-may-see-this";

/// A Slack that answers as told, and notes what it took: path, `Authorization`, body.
struct Slack {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<(String, String, Value)>>>,
    /// Status lines with further headers that come before all is well again.
    faults: Arc<Mutex<Vec<&'static str>>>,
}

impl Slack {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let slack =
            Self { address: listener.local_addr().unwrap(), taken: Arc::default(), faults: Arc::default() };
        let (taken, faults) = (Arc::clone(&slack.taken), Arc::clone(&slack.faults));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Some((call, mut stream)) = receive(stream) else { continue };
                let fault = faults.lock().unwrap().pop();
                let (head, body) = match fault {
                    Some(head) => (head, String::new()),
                    None => {
                        let mut taken = taken.lock().unwrap();
                        let is_bot = call.0.contains("/chat.");
                        taken.push(call);
                        let ts = format!("{}.0", taken.len());
                        (
                            "200 OK",
                            if is_bot { json!({ "ok": true, "ts": ts }).to_string() } else { "ok".into() },
                        )
                    }
                };
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
                drop(stream.write_all(answer.as_bytes()));
            }
        });
        slack
    }

    /// What was taken at a path that ends so, as texts.
    fn texts(&self, end: &str) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        let told = taken.iter().filter(|(path, _, _)| path.ends_with(end));
        told.map(|(_, _, body)| body["text"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn receive(stream: TcpStream) -> Option<((String, String, Value), TcpStream)> {
    let mut reader = BufReader::new(stream);
    let mut lines: Vec<String> = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
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
    let mut body = vec![0; header("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let path = lines.first()?.split(' ').nth(1)?.to_owned();
    let call = (path, header("authorization").unwrap_or_default(), serde_json::from_slice(&body).ok()?);
    Some((call, reader.into_inner()))
}

fn folder(settings: &str) -> (Folder, Value) {
    let folder = Folder::repository(&json!({}), &[]);
    let file = folder.at("good");
    fs::write(&file, "").unwrap();
    let definition =
        pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &[&needs(&file)])])]);
    folder.write("towpath.toml", settings);
    for (name, secret) in [("hook", String::new()), ("token", TOKEN.to_owned())] {
        fs::write(folder.at(name), secret).unwrap();
        fs::set_permissions(folder.at(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    (folder, definition)
}

fn fails(folder: &Folder, client: &Client) {
    fs::remove_file(folder.at("good")).unwrap();
    let failed = start(client, "shop");
    reaches(client, "shop", &failed, "Failed");
    fs::write(folder.at("good"), "").unwrap();
}

#[track_caller]
fn tells(told: impl Fn() -> Vec<String>, last: &str) -> Vec<String> {
    assert!(
        eventually(SOON, || told().last().is_some_and(|line| line.contains(last))),
        "`{last}` is not the last of {:#?}",
        told()
    );
    told()
}

#[test]
fn failures_and_recoveries_reach_slack_in_order_and_once_although_it_asks_for_time() {
    let slack = Slack::start();
    let at = slack.address;
    let (folder, definition) = folder(&format!(
        r#"
        [[notifications.slack]]
        name = "hook"
        webhook-file = "hook"

        [[notifications.slack]]
        name = "bot"
        token-file = "token"
        channel = "C1"
        api = "http://{at}/api"
        rules = [{{ pipelines = ["sh*"], outcomes = ["failed", "fixed"] }}]
        "#
    ));
    fs::write(folder.at("hook"), format!("http://{at}/services/geheim\n")).unwrap();
    let server = Server::start(&folder);
    let client = &server.client;
    create(client, &definition, "Succeeded");
    slack.faults.lock().unwrap().extend(["500 Trouble", "429 Slow\r\nretry-after: 1"]);
    fails(&folder, client);
    tells(|| slack.texts("/services/geheim"), "❌ shop failed in Build/Say");
    let next = start(client, "shop");
    reaches(client, "shop", &next, "Succeeded");
    let told = tells(|| slack.texts("/services/geheim"), "✅ shop fixed");
    assert_eq!(told.len(), 2, "{told:#?}");
    let told = tells(|| slack.texts("/api/chat.postMessage"), "✅ shop fixed");
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told[1].starts_with("❌ *Build/Say* failed"), "{told:#?}");
    let last = start(client, "shop");
    reaches(client, "shop", &last, "Succeeded");
    server.stop();
    // Everything was told: a new start has nothing to add.
    let count = slack.taken.lock().unwrap().len();
    let server = Server::start(&folder);
    let after = start(&server.client, "shop");
    reaches(&server.client, "shop", &after, "Succeeded");
    server.stop();
    let taken = slack.taken.lock().unwrap();
    assert_eq!(taken.len(), count, "{taken:#?}");
    let tokens =
        taken.iter().filter(|(path, _, _)| path.contains("/api/")).map(|(_, token, _)| token.as_str());
    assert!(tokens.into_iter().all(|token| token == format!("Bearer {TOKEN}")));
    let errors = folder.read("server.err");
    assert!(!errors.contains("geheim") && !errors.contains(TOKEN), "{errors}");
}

#[test]
fn what_slack_did_not_take_before_the_server_was_killed_is_told_by_the_next() {
    let slack = Slack::start();
    let (folder, definition) = folder("[[notifications.slack]]\nname = \"hook\"\nwebhook-file = \"hook\"\n");
    fs::write(folder.at("hook"), format!("http://{}/services/geheim", slack.address)).unwrap();
    let server = Server::start(&folder);
    create(&server.client, &definition, "Succeeded");
    slack.faults.lock().unwrap().extend(["503 Out"; 100]);
    fails(&folder, &server.client);
    assert!(eventually(SOON, || slack.faults.lock().unwrap().len() < 100), "Slack was asked");
    server.kill();
    slack.faults.lock().unwrap().clear();
    assert_eq!(slack.texts(""), Vec::<String>::new());
    let _server = Server::start(&folder);
    let told = tells(|| slack.texts("/services/geheim"), "❌ shop failed in Build/Say");
    assert_eq!(told.len(), 1, "{told:#?}");
}

#[test]
fn every_change_of_state_goes_to_a_file_and_an_address() {
    let slack = Slack::start();
    let settings =
        format!("[notifications]\nfile = \"told.jsonl\"\npost = \"http://{}/events\"\n", slack.address);
    let (folder, definition) = folder(&settings);
    let server = Server::start(&folder);
    let execution = create(&server.client, &definition, "Succeeded");
    let lines = || {
        let text = fs::read_to_string(folder.at("told.jsonl")).unwrap_or_default();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = tells(lines, "SUCCEEDED\",\"towpath-event-id");
    assert!(eventually(SOON, || slack.taken.lock().unwrap().len() >= 10), "{lines:#?}");
    let events: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let states: Vec<String> = events
        .iter()
        .map(|event| {
            let level = event["detail-type"].as_str().unwrap().split(' ').nth(1).unwrap();
            format!("{level} {}", event["detail"]["state"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        states,
        [
            "Pipeline STARTED",
            "Stage STARTED",
            "Action STARTED",
            "Action SUCCEEDED",
            "Stage SUCCEEDED",
            "Stage STARTED",
            "Action STARTED",
            "Action SUCCEEDED",
            "Stage SUCCEEDED",
            "Pipeline SUCCEEDED",
        ]
    );
    let first = &events[0];
    assert_eq!((&first["source"], &first["region"]), (&json!("aws.codepipeline"), &json!("us-east-1")));
    assert_eq!(first["resources"], json!(["arn:aws:codepipeline:us-east-1:123456789012:shop"]));
    assert_eq!(first["detail"]["execution-id"], execution.as_str());
    assert_eq!(first["id"], first["detail"]["towpath-event-id"]);
    let posted: Vec<Value> = slack.taken.lock().unwrap().iter().map(|(_, _, body)| body.clone()).collect();
    assert_eq!(posted, events);
}

#[test]
fn a_secret_that_is_missing_or_open_to_others_is_named_before_anything_starts() {
    let (folder, _) = folder("[[notifications.slack]]\nname = \"team\"\nwebhook-file = \"hook\"\n");
    fs::write(folder.at("hook"), "https://hooks.slack.test/geheim").unwrap();
    fs::set_permissions(folder.at("hook"), fs::Permissions::from_mode(0o644)).unwrap();
    let refused = folder.towpath(&["up", "--port", "0"]).exits(2).complains(&["`team`", "chmod 600"]);
    assert!(!refused.err.contains("geheim"), "{}", refused.err);
    folder.write(
        "towpath.toml",
        "[[notifications.slack]]\nname = \"team\"\nwebhook-env = \"TOWPATH_NO_SUCH\"\n",
    );
    folder.towpath(&["up", "--port", "0"]).exits(2).complains(&["`TOWPATH_NO_SUCH` is not set"]);
}
