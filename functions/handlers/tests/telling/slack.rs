//! A Slack that keeps what it is sent, and fails when it is told to.

use engine::ports::{Web, WebAnswer, WebError, WebPost};
use handlers::notify::{Channel, slack::Way};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

pub(crate) const WEBHOOK: &str = "https://hooks.slack.test/services/T0/B0/geheim";
pub(crate) const TOKEN: &str = "xoxb-geheim";

/// What comes instead of an answer that is right.
#[derive(Clone)]
pub(crate) enum Fault {
    /// This status, with this body and time to wait.
    Status(u16, &'static str, Option<u64>),
    /// Nothing comes, and nothing was taken.
    Silence,
    /// It was taken, and no answer comes.
    Lost,
    /// `ok: false` with this error.
    Error(&'static str),
}

#[derive(Default)]
pub(crate) struct Slack(Mutex<State>);

#[derive(Default)]
struct State {
    /// In order: how, and what was sent.
    taken: Vec<(String, Value)>,
    faults: VecDeque<Fault>,
    waited: Vec<Duration>,
    bearers: Vec<Option<String>>,
}

impl Slack {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panicked")
    }

    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    pub(crate) fn waited(&self) -> Vec<u64> {
        self.state().waited.iter().map(Duration::as_secs).collect()
    }

    /// What was taken, each as a line: how, in which thread, and the text.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |(how, body): &(String, Value)| {
            let thread = body["thread_ts"].as_str().map(|ts| format!(" in {ts}")).unwrap_or_default();
            let edited = body["ts"].as_str().map(|ts| format!(" {ts}")).unwrap_or_default();
            let aloud = if body["reply_broadcast"] == true { " aloud" } else { "" };
            format!("{how}{thread}{edited}{aloud}: {}", body["text"].as_str().unwrap_or_default())
        };
        self.state().taken.iter().map(line).collect()
    }

    pub(crate) fn bodies(&self) -> Vec<Value> {
        self.state().taken.iter().map(|(_, body)| body.clone()).collect()
    }

    pub(crate) fn bearers(&self) -> Vec<Option<String>> {
        self.state().bearers.clone()
    }
}

impl Web for Slack {
    async fn post(&self, post: WebPost) -> Result<WebAnswer, WebError> {
        let mut state = self.state();
        let fault = state.faults.pop_front();
        let answer = |status, body: &str, wait: Option<u64>| {
            Ok(WebAnswer { status, retry_after: wait.map(Duration::from_secs), body: body.to_owned() })
        };
        match fault {
            Some(Fault::Status(status, body, wait)) => return answer(status, body, wait),
            Some(Fault::Silence) => return Err(WebError("it took longer than 10 seconds".into())),
            Some(Fault::Error(error)) => {
                return answer(200, &json!({ "ok": false, "error": error }).to_string(), None);
            }
            Some(Fault::Lost) | None => {}
        }
        let body = serde_json::from_str(&post.body).expect("a body is JSON");
        let how = post.url.rsplit('/').next().unwrap_or_default();
        let is_bot = how.starts_with("chat.");
        let how = if is_bot { how } else { "webhook" };
        state.taken.push((how.to_owned(), body));
        state.bearers.push(post.bearer);
        let ts = state.taken.len();
        match fault {
            Some(Fault::Lost) => Err(WebError("the connection broke".into())),
            _ if is_bot => answer(200, &json!({ "ok": true, "ts": format!("{ts}.0") }).to_string(), None),
            _ => answer(200, "ok", None),
        }
    }

    async fn pause(&self, time: Duration) {
        self.state().waited.push(time);
    }
}

pub(crate) fn webhook(outcomes: &[&str]) -> Channel {
    channel(Way::Webhook { url: WEBHOOK.into() }, &[], outcomes)
}

pub(crate) fn bot(outcomes: &[&str]) -> Channel {
    let way = Way::Bot { token: TOKEN.into(), channel: "C01".into(), api: "https://slack.test/api".into() };
    channel(way, &[], outcomes)
}

pub(crate) fn channel(way: Way, stages: &[&str], outcomes: &[&str]) -> Channel {
    let rule = domain::notice::Rule::parse(&[], stages, outcomes).expect("a legal rule");
    Channel { id: "team".into(), way, rules: vec![rule] }
}
