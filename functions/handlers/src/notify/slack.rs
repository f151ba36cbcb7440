//! Slack's two ways in: an incoming webhook, which takes messages and nothing else, and a bot's token, with which a
//! message can be edited and answered to. See `spec/events-and-notifications.md`, section 5.1.

use engine::outward::{WEB_ANSWER_SECONDS_MAX, Web, WebAnswer, WebPost};
use serde_json::{Value, json};
use std::time::Duration;

/// Where Slack's API is, unless another place is given.
pub const API_DEFAULT: &str = "https://slack.com/api";
/// The first pause after no answer, or one of a server in trouble; it doubles.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The pause where Slack asks for time and does not say how much.
const PAUSE_ASKED: Duration = Duration::from_secs(1);
/// Characters of an answer that are shown to an operator.
const ANSWER_CHARS_MAX: usize = 200;

/// How a channel is reached. It never shows its secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Way {
    /// An incoming webhook: a message for each notice.
    Webhook {
        /// Its address, a secret as a whole.
        url: String,
    },
    /// A bot: a message for each run, edited in place, with details in its thread.
    Bot {
        /// Its token, a secret.
        token: String,
        /// The channel's id, such as `C0123456789`.
        channel: String,
        /// Where Slack's API is, without `/` at its end.
        api: String,
    },
}

impl std::fmt::Debug for Way {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Webhook { .. } => formatter.write_str("Webhook(***)"),
            Self::Bot { channel, .. } => write!(formatter, "Bot({channel})"),
        }
    }
}

/// What is wanted of Slack.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call<'a> {
    /// A message of its own.
    Post(&'a Value),
    /// An answer in a thread; with `aloud` the whole channel sees it too.
    Reply { thread: &'a str, message: &'a Value, aloud: bool },
    /// Other words for a message.
    Edit { message: &'a Value, ts: &'a str },
}

/// Why a call did not come through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failed {
    /// It will not the next time either: in Slack's own word, if it has one.
    Refused(String),
    /// Perhaps later.
    Unavailable(String),
}

/// How long may still be waited.
#[derive(Debug)]
pub(super) struct Patience(pub(super) Duration);

impl Patience {
    /// Time went by without an answer.
    fn spend(&mut self, time: Duration) {
        self.0 = self.0.saturating_sub(time);
    }

    /// Waits, unless it would be for too long.
    async fn wait<W: Web>(&mut self, web: &W, time: Duration) -> bool {
        let Some(left) = self.0.checked_sub(time) else { return false };
        self.0 = left;
        web.pause(time).await;
        true
    }
}

/// Calls Slack, again as long as there is patience. The message's `ts`, where Slack tells it.
pub(super) async fn call<W: Web>(
    web: &W,
    way: &Way,
    call: Call<'_>,
    patience: &mut Patience,
) -> Result<Option<String>, Failed> {
    let mut pause = PAUSE_FIRST;
    loop {
        let heard = match web.post(request(way, call)).await {
            Ok(answer) => read(way, &answer),
            Err(error) => {
                patience.spend(Duration::from_secs(WEB_ANSWER_SECONDS_MAX));
                Heard::Trouble(error.to_string())
            }
        };
        let (time, reason) = match heard {
            Heard::Done(ts) => return Ok(ts),
            Heard::Refused(reason) => return Err(Failed::Refused(reason)),
            Heard::Wait(time) => (time, format!("it asks for {} seconds", time.as_secs())),
            Heard::Trouble(reason) => {
                let time = pause;
                pause = (pause * 2).min(PAUSE_MAX);
                (time, reason)
            }
        };
        if !patience.wait(web, time).await {
            return Err(Failed::Unavailable(reason));
        }
    }
}

fn request(way: &Way, call: Call<'_>) -> WebPost {
    match way {
        Way::Webhook { url } => {
            let (Call::Post(message) | Call::Reply { message, .. } | Call::Edit { message, .. }) = call;
            let body = with(json!({ "unfurl_links": false, "unfurl_media": false }), message);
            WebPost { url: url.clone(), bearer: None, body: body.to_string() }
        }
        Way::Bot { token, channel, api } => {
            let (method, message, more) = match call {
                Call::Post(message) => ("chat.postMessage", message, json!({})),
                Call::Reply { thread, message, aloud } => {
                    ("chat.postMessage", message, json!({ "thread_ts": thread, "reply_broadcast": aloud }))
                }
                Call::Edit { message, ts } => ("chat.update", message, json!({ "ts": ts })),
            };
            let plain = json!({ "channel": channel, "unfurl_links": false, "unfurl_media": false });
            let body = with(with(plain, message), &more);
            WebPost { url: format!("{api}/{method}"), bearer: Some(token.clone()), body: body.to_string() }
        }
    }
}

/// One object with the members of another.
fn with(mut body: Value, more: &Value) -> Value {
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    body
}

enum Heard {
    Done(Option<String>),
    Refused(String),
    Wait(Duration),
    Trouble(String),
}

fn read(way: &Way, answer: &WebAnswer) -> Heard {
    let shown: String = answer.body.chars().filter(|c| !c.is_control()).take(ANSWER_CHARS_MAX).collect();
    match answer.status {
        429 => return Heard::Wait(answer.retry_after.unwrap_or(PAUSE_ASKED).max(PAUSE_ASKED)),
        status @ (408 | 500..) => return Heard::Trouble(format!("status {status}")),
        200 => {}
        status => return Heard::Refused(format!("status {status}: {shown}")),
    }
    match way {
        Way::Webhook { .. } => Heard::Done(None),
        Way::Bot { .. } => {
            let Ok(body) = serde_json::from_str::<Value>(&answer.body) else {
                return Heard::Trouble("its answer is not JSON".to_owned());
            };
            if body["ok"] == true {
                return Heard::Done(body["ts"].as_str().map(str::to_owned));
            }
            match body["error"].as_str() {
                Some("ratelimited" | "rate_limited") => {
                    Heard::Wait(answer.retry_after.unwrap_or(PAUSE_ASKED).max(PAUSE_ASKED))
                }
                Some(
                    error @ ("internal_error"
                    | "fatal_error"
                    | "service_unavailable"
                    | "request_timeout"
                    | "team_added_to_org"),
                ) => Heard::Trouble(error.to_owned()),
                Some(error) => Heard::Refused(error.chars().take(ANSWER_CHARS_MAX).collect()),
                None => Heard::Trouble("its answer says neither yes nor no".to_owned()),
            }
        }
    }
}
