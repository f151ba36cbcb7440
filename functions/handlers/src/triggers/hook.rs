//! What a Git host calls with: whether it is genuine, what it says, and what became of it.

use super::{Arrived, Dealt, What, deal};
use crate::{
    Home,
    webhook::{Delivery, age, payload, signature},
};
use domain::trigger::hosts;
use events::TriggerSource;
use serde_json::Value;
use subtle::ConstantTimeEq;

/// A Git host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Host {
    GitHub,
    GitLab,
    Bitbucket,
}

impl Host {
    /// From the last part of an address.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "github" => Some(Self::GitHub),
            "gitlab" => Some(Self::GitLab),
            "bitbucket" => Some(Self::Bitbucket),
            _ => None,
        }
    }

    /// Headers that hold the event's name, and the delivery's id.
    pub fn headers(self) -> (&'static str, &'static str) {
        match self {
            Self::GitHub => ("x-github-event", "x-github-delivery"),
            Self::GitLab => ("x-gitlab-event", "x-gitlab-event-uuid"),
            Self::Bitbucket => ("x-event-key", "x-request-uuid"),
        }
    }
}

impl Host {
    /// Its deliveries are signed, rather than sent with the secret itself.
    fn signs(self) -> bool {
        match self {
            Self::GitHub | Self::Bitbucket => true,
            Self::GitLab => false,
        }
    }
}

/// What the caller is told.
#[derive(Debug)]
pub enum Told {
    /// It was dealt with.
    Dealt(Vec<Dealt>),
    /// It is genuine and concerns nobody.
    Idle(String),
    /// It is not from whom it should be.
    Forbidden(String),
    /// It cannot be read.
    Unreadable(String),
    /// Try again later.
    Unavailable(String),
}

/// Deals with a call. `token` is what GitLab sends instead of a signature; `is_enterprise` says that the sender is
/// somebody's own GitHub.
pub async fn deliver<H: Home>(
    home: &H,
    host: Host,
    secret: &[u8],
    delivery: &Delivery,
    token: Option<&str>,
    is_enterprise: bool,
    allow_forks: bool,
) -> Told {
    if let Some(reason) = refusal(host, secret, delivery, token) {
        return Told::Forbidden(reason.to_owned());
    }
    let Some(kind) = delivery.event.as_deref() else {
        return Told::Unreadable(format!("the header `{}` is missing", host.headers().0));
    };
    if kind == "ping" || kind == "diagnostics:ping" {
        return Told::Idle("it is a ping".to_owned());
    }
    let body = match payload::read(delivery.content_type.as_deref(), &delivery.body) {
        Ok(body) => body,
        Err(reason) => return Told::Unreadable(reason),
    };
    if host.signs()
        && let Some(reason) = age::refusal(delivery, &body, home.engine().clock().now())
    {
        return Told::Forbidden(reason);
    }
    let events = match read(host, kind, is_enterprise, &body) {
        Ok(hosts::Told::Events(events)) => events,
        Ok(hosts::Told::Nothing(reason)) => return Told::Idle(reason),
        Err(error) => return Told::Unreadable(error.to_string()),
    };
    // Without an id of its own a delivery is known by what it says.
    let by_body = age::identity(delivery).filter(|_| host == Host::GitHub);
    let id = by_body.or_else(|| delivery.id.clone()).unwrap_or_else(|| signature::digest(&delivery.body));
    let mut dealt = Vec::new();
    for (index, event) in events.into_iter().enumerate() {
        let arrived = Arrived {
            source: TriggerSource::GitHost,
            delivery: format!("{host:?}#{id}#{index}"),
            what: What::Git { event, allow_forks },
        };
        match deal(home, &arrived).await {
            Ok(some) => dealt.extend(some),
            Err(error) => return Told::Unavailable(error.to_string()),
        }
    }
    if dealt.is_empty() {
        return Told::Idle("no pipeline here has this repository as its source".to_owned());
    }
    Told::Dealt(dealt)
}

fn read(host: Host, kind: &str, is_enterprise: bool, body: &Value) -> Result<hosts::Told, hosts::Unreadable> {
    match host {
        Host::GitHub => hosts::github(kind, is_enterprise, body),
        Host::GitLab => hosts::gitlab(kind, body),
        Host::Bitbucket => hosts::bitbucket(kind, body),
    }
}

/// Why a call is not believed; `None` when it is. An empty secret is none, and believes nobody.
fn refusal(host: Host, secret: &[u8], delivery: &Delivery, token: Option<&str>) -> Option<&'static str> {
    if secret.is_empty() {
        return Some("there is no secret for this host");
    }
    match host {
        // The older signature counts for nothing here.
        Host::GitHub => {
            let only = Delivery { signature_1: None, body: delivery.body.clone(), ..signed(delivery) };
            signature::refusal(&only, secret)
        }
        // Sent under the older header's name, with the newer hash.
        Host::Bitbucket => {
            let only = Delivery {
                signature_256: delivery.signature_1.clone().or_else(|| delivery.signature_256.clone()),
                body: delivery.body.clone(),
                ..Delivery::default()
            };
            signature::refusal(&only, secret)
        }
        Host::GitLab => {
            let Some(token) = token else { return Some("the delivery has no token") };
            // Compared as digests, so that not even the length shows.
            let (sent, wanted) = (signature::digest(token.as_bytes()), signature::digest(secret));
            let is_right = bool::from(sent.as_bytes().ct_eq(wanted.as_bytes()));
            (!is_right).then_some("the token is not the right one")
        }
    }
}

fn signed(delivery: &Delivery) -> Delivery {
    Delivery { signature_256: delivery.signature_256.clone(), ..Delivery::default() }
}
