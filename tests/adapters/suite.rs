//! What adapters promise, on whichever emulator.

use aws::{
    artifact_access::StsArtifactAccess,
    client::{Client, RestRequest, Service},
    outward::{EventBus, SnsTopics},
    secrets::ParameterSecrets,
};
use domain::pipeline::secrets::Secret;
use engine::{
    action::ArtifactLocation,
    outward::{Bus, BusEvent, OutwardError, TopicMessage, Topics},
    ports::{ArtifactAccess, ArtifactLoan, Secrets},
};
use events::{ActionName, PipelineName, StageName, Timestamp};
use http::Method;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};
use tests::emulator::{ACCOUNT, REGION};

/// A name nobody else uses in this emulator.
fn fresh(what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{what}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A queue that keeps what it is sent.
struct Queue {
    client: Client,
    url: String,
    arn: String,
}

impl Queue {
    async fn new(client: &Client) -> Self {
        let name = fresh("queue");
        let made = client.json(Service::Sqs, "CreateQueue", &json!({ "QueueName": name })).await.unwrap();
        let url = made["QueueUrl"].as_str().unwrap().to_owned();
        Self { client: client.clone(), url, arn: format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}") }
    }

    /// The bodies of so many messages, once they are there.
    async fn bodies(&self, count: usize) -> Vec<Value> {
        let mut bodies = Vec::new();
        for _ in 0..40 {
            let input = json!({ "QueueUrl": self.url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1 });
            let answer = self.client.json(Service::Sqs, "ReceiveMessage", &input).await.unwrap();
            for message in answer["Messages"].as_array().into_iter().flatten() {
                bodies.push(serde_json::from_str(message["Body"].as_str().unwrap()).unwrap());
                let input = json!({ "QueueUrl": self.url, "ReceiptHandle": message["ReceiptHandle"] });
                self.client.json(Service::Sqs, "DeleteMessage", &input).await.unwrap();
            }
            if bodies.len() >= count {
                return bodies;
            }
        }
        panic!("{} of {count} messages came: {bodies:?}", bodies.len());
    }
}

pub(crate) async fn events_arrive_on_the_bus_as_they_were_put(client: &Client) {
    let (bus, queue) = (fresh("bus"), Queue::new(client).await);
    client.json(Service::EventBridge, "CreateEventBus", &json!({ "Name": bus })).await.unwrap();
    let rule = json!({ "Name": "all", "EventBusName": bus, "EventPattern": "{\"source\":[\"towpath\"]}" });
    client.json(Service::EventBridge, "PutRule", &rule).await.unwrap();
    let targets = json!({
        "Rule": "all", "EventBusName": bus, "Targets": [{ "Id": "queue", "Arn": queue.arn }],
    });
    client.json(Service::EventBridge, "PutTargets", &targets).await.unwrap();
    // More than one call takes.
    let event = |number: usize| BusEvent {
        id: format!("event-{number}"),
        source: "towpath".into(),
        detail_type: "CodePipeline Pipeline Execution State Change".into(),
        time: Timestamp(1_700_000_000_000),
        resources: vec![format!("arn:aws:codepipeline:{REGION}:{ACCOUNT}:shop")],
        detail: json!({ "pipeline": "shop", "number": number, "text": "Grüße" }).to_string(),
    };
    EventBus::new(client, &*bus).put((0..23).map(event).collect()).await.unwrap();
    let came = queue.bodies(23).await;
    let mut numbers: Vec<_> = came.iter().map(|event| event["detail"]["number"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..23).collect::<Vec<_>>());
    let one = &came[0];
    assert_eq!(one["detail-type"], "CodePipeline Pipeline Execution State Change");
    assert_eq!((&one["source"], &one["detail"]["text"]), (&json!("towpath"), &json!("Grüße")));
    assert_eq!(one["resources"][0], format!("arn:aws:codepipeline:{REGION}:{ACCOUNT}:shop"));
    let time = one["time"].as_str().unwrap();
    // Ministack puts its own time in its place.
    assert!(time.starts_with("2023-11-14T22:13:20") || time > "2026", "{one}");
    let large = BusEvent { detail: format!("{{\"x\":\"{}\"}}", "x".repeat(256 << 10)), ..event(99) };
    let answer = EventBus::new(client, &*bus).put(vec![event(50), large, event(51)]).await;
    assert!(matches!(&answer, Err(OutwardError::Refused(text)) if text.contains("event-99")), "{answer:?}");
    assert_eq!(queue.bodies(2).await.len(), 2);
}

async fn topic(client: &Client) -> String {
    let params = [("Name".to_owned(), fresh("topic"))];
    let made = client.query(Service::Sns, "CreateTopic", &params).await.unwrap();
    made.text_of("CreateTopicResult/TopicArn").unwrap()
}

pub(crate) async fn a_topic_passes_messages_on(client: &Client) {
    let (topic, queue) = (topic(client).await, Queue::new(client).await);
    let params = [("TopicArn", &*topic), ("Protocol", "sqs"), ("Endpoint", &queue.arn)];
    let params = params.map(|(name, value)| (name.to_owned(), value.to_owned()));
    client.query(Service::Sns, "Subscribe", &params).await.unwrap();
    let message = TopicMessage {
        topic: topic.clone(),
        subject: Some("APPROVAL NEEDED: shop".into()),
        message: json!({ "default": "Grüße & mehr", "sqs": "{\"approval\":true}" }).to_string(),
        by_protocol: true,
        attributes: BTreeMap::from([("pipeline".to_owned(), "shop".to_owned())]),
        ..TopicMessage::default()
    };
    SnsTopics::new(client).publish(message).await.unwrap();
    let came = queue.bodies(1).await.remove(0);
    assert_eq!((&came["Message"], &came["TopicArn"]), (&json!("{\"approval\":true}"), &json!(topic)));
    assert_eq!(came["Subject"], "APPROVAL NEEDED: shop");
    assert_eq!(came["MessageAttributes"]["pipeline"]["Value"], "shop");
}

pub(crate) async fn a_topic_that_is_not_there_is_a_refusal(client: &Client) {
    let topics = SnsTopics::new(client);
    for topic in [format!("arn:aws:sns:{REGION}:{ACCOUNT}:nobody"), "nobody".to_owned()] {
        let message = TopicMessage { topic, message: "hello".into(), ..TopicMessage::default() };
        let answer = topics.publish(message).await;
        assert!(matches!(answer, Err(OutwardError::Refused(_))), "{answer:?}");
    }
}

fn secret(value: &str) -> Secret {
    Secret {
        stage: StageName::parse("Source").unwrap(),
        action: ActionName::parse("Checkout").unwrap(),
        key: "OAuthToken".into(),
        value: value.into(),
    }
}

pub(crate) async fn secrets_come_back_and_go(client: &Client) {
    let secrets = ParameterSecrets::new(client, &fresh("towpath"), None);
    let (shop, other) = (PipelineName::parse("shop@a_b").unwrap(), PipelineName::parse("shop_aa_b").unwrap());
    assert_eq!(secrets.get(&shop).await.unwrap(), []);
    secrets.put(&shop, &[secret("hush"), secret("Grüße \"\n")]).await.unwrap();
    assert_eq!(secrets.get(&shop).await.unwrap(), [secret("hush"), secret("Grüße \"\n")]);
    assert_eq!(secrets.get(&other).await.unwrap(), []);
    secrets.put(&shop, &[secret("new")]).await.unwrap();
    assert_eq!(secrets.get(&shop).await.unwrap(), [secret("new")]);
    secrets.put(&shop, &[]).await.unwrap();
    secrets.put(&shop, &[]).await.unwrap();
    assert_eq!(secrets.get(&shop).await.unwrap(), []);
    for value in ["hush", "", "=", " spaces "] {
        secrets.keep("webhook.github", value).await.unwrap();
        assert_eq!(secrets.recall("webhook.github").await.unwrap().as_deref(), Some(value));
    }
    secrets.forget("webhook.github").await.unwrap();
    secrets.forget("webhook.github").await.unwrap();
    assert_eq!(secrets.recall("webhook.github").await.unwrap(), None);
    for bad in ["", "../x", ".x", "a b"] {
        assert!(secrets.keep(bad, "x").await.is_err());
    }
}

pub(crate) async fn a_secret_that_is_too_long_is_refused_with_its_size(client: &Client) {
    let secrets = ParameterSecrets::new(client, &fresh("towpath"), None);
    secrets.keep("long", &"x".repeat(4095)).await.unwrap();
    assert_eq!(secrets.recall("long").await.unwrap().unwrap().len(), 4095);
    let error = secrets.keep("long", &"x".repeat(4096)).await.unwrap_err().to_string();
    assert!(error.contains("4096 bytes") && !error.contains("xxx"), "{error}");
}

pub(crate) async fn a_role_lends_credentials_for_an_hour(client: &Client) {
    let role = format!("arn:aws:iam::{ACCOUNT}:role/artifacts");
    let access = StsArtifactAccess::new(client, role.clone());
    let at = |key: &str| ArtifactLocation { bucket: "store".into(), key: key.into() };
    let loan = ArtifactLoan { inputs: vec![at("shop/In/1")], outputs: vec![at("shop/Out/2")] };
    let now = jiff::Timestamp::now().as_millisecond();
    let lent = access.lend(&loan, Timestamp(now)).await.unwrap();
    assert!(!lent.session_token.is_empty() && !lent.secret_access_key.is_empty());
    assert!((3_500_000..=3_700_000).contains(&(lent.expires.0 - now)), "{}", lent.expires.0 - now);
    let many =
        ArtifactLoan { inputs: (0..40).map(|n| at(&format!("shop/{n:0>60}"))).collect(), outputs: vec![] };
    let error = access.lend(&many, Timestamp(now)).await.unwrap_err().to_string();
    assert!(error.contains("2048"), "{error}");
    // The client of a role signs with its keys; emulators take any.
    let acting = client.assume(&role).await.unwrap();
    let who = acting.query(Service::Sts, "GetCallerIdentity", &[]).await.unwrap();
    assert!(who.text_of("GetCallerIdentityResult/Arn").is_some(), "{who:?}");
}

pub(crate) async fn objects_come_back_byte_for_byte(client: &Client) {
    let bucket = fresh("bucket");
    client.rest(RestRequest::object("CreateBucket", Method::PUT, &bucket, "")).await.unwrap();
    let key = "shop/a b/ü+%&=?#'/7.zip";
    let body: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    let put = RestRequest::object("PutObject", Method::PUT, &bucket, key)
        .header("content-type", "application/zip")
        .header("x-amz-meta-commit", "abc")
        .body(body.clone());
    let put = client.rest(put).await.unwrap();
    assert!(put.header("etag").is_some());
    let head = client.rest(RestRequest::object("HeadObject", Method::HEAD, &bucket, key)).await.unwrap();
    assert_eq!(head.header("content-length"), Some("100000"));
    assert_eq!(head.header("x-amz-meta-commit"), Some("abc"));
    let got = client.rest(RestRequest::object("GetObject", Method::GET, &bucket, key)).await.unwrap();
    assert!(got.body == body);
    let file = tempfile::tempdir().unwrap();
    let file = file.path().join("artifact");
    let get = RestRequest::object("GetObject", Method::GET, &bucket, key);
    client.rest_to_file(get, &file).await.unwrap();
    assert!(std::fs::read(&file).unwrap() == body);
    let listed = RestRequest::object("ListObjectsV2", Method::GET, &bucket, "")
        .query("list-type", "2")
        .query("prefix", "shop/a b/");
    let listed = client.rest(listed).await.unwrap();
    assert!(String::from_utf8_lossy(&listed.body).contains("7.zip"));
    let missing =
        client.rest(RestRequest::object("GetObject", Method::GET, &bucket, "no")).await.unwrap_err();
    assert!(missing.is(&["NoSuchKey"]), "{missing}");
    let missing =
        client.rest(RestRequest::object("HeadObject", Method::HEAD, &bucket, "no")).await.unwrap_err();
    assert!(missing.is(&["NotFound"]), "{missing}");
}
