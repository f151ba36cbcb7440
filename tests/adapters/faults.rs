//! A bus that takes part of what it is given, and an address that answers oddly.

use aws::outward::{EventBus, HttpsWeb};
use engine::outward::{Bus, BusEvent, OutwardError, WEB_ANSWER_BYTES_MAX, Web, WebPost};
use events::Timestamp;
use serde_json::{Value, json};
use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};
use tests::{
    emulator,
    faulty::{Fault, Faulty},
};

fn event(number: usize) -> BusEvent {
    BusEvent {
        id: format!("event-{number}"),
        source: "towpath".into(),
        detail_type: "x".into(),
        time: Timestamp(0),
        resources: vec![],
        detail: json!({ "number": number }).to_string(),
    }
}

/// Answers calls of `PutEvents` with these codes for their entries (empty: taken), one list for each call; keeps the
/// numbers of the events of each call.
fn bus(answers: Vec<Vec<&'static str>>) -> (EventBus, Arc<Mutex<Vec<Vec<u64>>>>) {
    // Nothing is passed on: no emulator is needed behind it.
    let faulty = Faulty::before("http://127.0.0.1:9");
    let calls = Arc::<Mutex<Vec<Vec<u64>>>>::default();
    let (seen, mut answers) = (Arc::clone(&calls), answers.into_iter());
    faulty.set(move |call| {
        let entries = call.input["Entries"].as_array().unwrap();
        let number = |entry: &Value| {
            let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
            detail["number"].as_u64().unwrap()
        };
        seen.lock().unwrap().push(entries.iter().map(number).collect());
        let codes = answers.next().unwrap_or_default();
        let results: Vec<Value> = (0..entries.len())
            .map(|index| match codes.get(index).copied().unwrap_or_default() {
                "" => json!({ "EventId": "1" }),
                code => json!({ "ErrorCode": code, "ErrorMessage": "words" }),
            })
            .collect();
        Fault::Instead(200, json!({ "Entries": results, "FailedEntryCount": 1 }))
    });
    (EventBus::new(&emulator::client(&faulty.url()), "state"), calls)
}

#[tokio::test]
async fn what_a_bus_did_not_take_goes_again_with_all_that_follows_it() {
    let (bus, calls) =
        bus(vec![vec!["", "ThrottlingException", "", ""], vec!["", "InternalFailure", ""], vec![]]);
    bus.put((0..4).map(event).collect()).await.unwrap();
    assert_eq!(*calls.lock().unwrap(), [vec![0, 1, 2, 3], vec![1, 2, 3], vec![2, 3]]);
}

#[tokio::test]
async fn an_event_that_is_never_taken_holds_nobody_up_and_is_named() {
    let (bus, calls) = bus(vec![vec!["", "MalformedDetail", ""]]);
    let answer = bus.put((0..12).map(event).collect()).await;
    let Err(OutwardError::Refused(text)) = answer else { panic!("{answer:?}") };
    assert!(text.contains("event-1") && text.contains("MalformedDetail"), "{text}");
    assert_eq!(*calls.lock().unwrap(), [(0..10).collect::<Vec<_>>(), vec![10, 11]]);
}

#[tokio::test]
async fn a_bus_that_stays_busy_is_for_later() {
    let (bus, calls) = bus(vec![vec!["ThrottlingException"]; 20]);
    let answer = bus.put(vec![event(0)]).await;
    assert!(matches!(answer, Err(OutwardError::Unavailable(_))), "{answer:?}");
    assert_eq!(calls.lock().unwrap().len(), 6);
}

/// An address that gives this answer to whoever comes, and keeps what came.
fn address(answer: String) -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/services/T0/secret-path", listener.local_addr().unwrap());
    let seen = Arc::<Mutex<String>>::default();
    let keeps = Arc::clone(&seen);
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut buffer = [0; 4096];
            let read = client.read(&mut buffer).unwrap_or(0);
            keeps.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
            drop(client.write_all(answer.as_bytes()));
        }
    });
    (url, seen)
}

#[tokio::test]
async fn an_answer_of_the_web_is_read_with_what_it_asks_for() {
    let (url, seen) = address(
        "HTTP/1.1 429 Slow\r\nretry-after: 30\r\ncontent-length: 4\r\nconnection: close\r\n\r\nslow".into(),
    );
    let post = WebPost { url, bearer: Some("xoxb-hush".into()), body: "{\"text\":\"hi\"}".into() };
    let answer = HttpsWeb::plain().post(post.clone()).await.unwrap();
    assert_eq!(
        (answer.status, answer.retry_after, &*answer.body),
        (429, Some(Duration::from_secs(30)), "slow")
    );
    assert!(seen.lock().unwrap().contains("authorization: Bearer xoxb-hush"));
    // Where it matters, not without TLS.
    let error = HttpsWeb::new().post(post).await.unwrap_err().to_string();
    assert!(error.contains("https://") && !error.contains("secret-path"), "{error}");
}

#[tokio::test]
async fn an_answer_of_the_web_has_an_end_and_an_error_no_secret() {
    let (url, _) = address(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(200_000)));
    let answer = HttpsWeb::plain().post(WebPost { url, bearer: None, body: "{}".into() }).await.unwrap();
    assert_eq!(answer.body.len(), WEB_ANSWER_BYTES_MAX);
    let (url, _) =
        address("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".into());
    let answer = HttpsWeb::plain().post(WebPost { url, bearer: None, body: "{}".into() }).await.unwrap();
    assert_eq!(answer.status, 302);
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let post = WebPost { url: format!("http://{gone}/secret-path"), bearer: None, body: "{}".into() };
    let error = HttpsWeb::plain().post(post).await.unwrap_err().to_string();
    assert!(!error.contains("secret-path"), "{error}");
}
