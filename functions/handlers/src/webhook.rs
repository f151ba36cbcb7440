//! A call of a webhook's address: who calls, what the call asks for, and what comes of it. See `spec/api.md`,
//! section 2.7. The address is looked up before the body is read, so that nobody who does not know one can make us
//! read.

pub(crate) mod age;
pub(crate) mod payload;
pub(crate) mod signature;

use crate::Home;
use bytes::Bytes;
use domain::{
    command::{Command, Wish},
    webhook::{self, Asked, Webhook, WebhookDefinition, WebhookWish, cidr},
};
use engine::{
    log::{LogError, Once},
    ports::{Secrets, SecretsError},
    single::Order,
    transact::{Done, Envelope, TransactError},
};
use events::{
    ActionName, DeliveryEvaluated, DeliveryVerdict, ExecutionId, Timestamp, Trigger, TriggerType,
    WebhookAuthentication, WebhookName,
};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};
use subtle::ConstantTimeEq;

/// Bytes of a delivery's body, most: what the API takes, and far more than a push of 2,000 commits.
pub const DELIVERY_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Characters of a delivery's id that are kept, most; a longer one is kept as its hash.
const DELIVERY_ID_CHARS_MAX: usize = 128;
/// Characters of an event's name that are kept, most.
const EVENT_CHARS_MAX: usize = 100;
/// For how long a signed delivery holds where anybody can send it again, milliseconds: 5 minutes.
pub const DELIVERY_HOLDS_MS: u64 = 5 * 60 * 1000;
/// How long a delivery's id is remembered, milliseconds: 24 hours.
const DELIVERY_KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// Who sends commands because of a delivery.
const ACTOR: &str = "towpath:webhook";

/// The address of a webhook.
pub fn url<H: Home>(home: &H, token: &str) -> String {
    format!("{}/trigger?t={token}&v=1", home.outside().public_url)
}

/// The `t` of a new webhook's address: 244 random bits, and the name, by which it is found.
pub fn fresh_token<H: Home>(home: &H, name: &WebhookName) -> String {
    let random = [home.engine().fresh_command_id(), home.engine().fresh_command_id()];
    let random: String = random.iter().flat_map(|id| id.as_str().chars()).filter(|c| *c != '-').collect();
    format!("{random}.{name}")
}

/// The `t` of an address, from its query.
pub fn token_of(query: &str) -> Option<String> {
    payload::field(query.as_bytes(), b"t").and_then(|token| String::from_utf8(token).ok())
}

/// A webhook that an address belongs to.
pub struct Found {
    name: WebhookName,
    state: Arc<Webhook>,
    definition: WebhookDefinition,
}

/// A call, as it came.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Who called, as far as that is known for certain.
    pub peer: Option<IpAddr>,
    /// `X-Hub-Signature-256`.
    pub signature_256: Option<String>,
    /// `X-Hub-Signature`.
    pub signature_1: Option<String>,
    /// The sender's id of the delivery.
    pub id: Option<String>,
    /// What the sender says happened.
    pub event: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// For how long a signed delivery holds, milliseconds, where anybody in the world can send it again: an older one
    /// is refused, and one that was seen is known by its body, since the sender's id of it is not signed. `None` where
    /// senders are trusted to say when they repeat themselves.
    pub holds_ms: Option<u64>,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// What the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An execution was started, by this delivery or by an earlier copy of it.
    Started(ExecutionId),
    /// It is genuine and started nothing.
    Idle(String),
    /// It is not from whom it should be.
    Forbidden(String),
    /// The body cannot be read.
    Unreadable(String),
    /// Try again later.
    Unavailable(String),
}

/// The webhook with this `t`.
pub async fn find<H: Home>(home: &H, token: &str) -> Result<Option<Found>, LogError> {
    let Some(name) = token.split_once('.').and_then(|(_, name)| WebhookName::parse(name).ok()) else {
        return Ok(None);
    };
    let (state, _) = home.engine().webhook_at(&name).await?;
    let is_right = bool::from(state.token.as_bytes().ct_eq(token.as_bytes()));
    let Some(definition) = state.definition.clone().filter(|_| is_right) else { return Ok(None) };
    Ok(Some(Found { name, state, definition }))
}

/// Deals with a call, and notes what came of it.
pub async fn deliver<H: Home>(home: &H, found: &Found, delivery: &Delivery) -> Answer {
    match evaluate(home, found, delivery).await {
        Ok((verdict, answer)) => match record(home, found, delivery, verdict).await {
            Ok(()) => answer,
            // Started and not noted: the sender comes again with the same id, and is told of the same execution.
            Err(error) => Answer::Unavailable(error.to_string()),
        },
        Err(unavailable) => Answer::Unavailable(unavailable),
    }
}

async fn evaluate<H: Home>(
    home: &H,
    found: &Found,
    delivery: &Delivery,
) -> Result<(DeliveryVerdict, Answer), String> {
    let refused = |reason: &str| DeliveryVerdict::Refused { reason: reason.to_owned() };
    match authenticate(home, &found.definition, delivery).await {
        Ok(None) => {}
        Ok(Some(reason)) => return Ok((refused(reason), Answer::Forbidden(reason.to_owned()))),
        Err(error) => return Err(error.to_string()),
    }
    let body = match payload::read(delivery.content_type.as_deref(), &delivery.body) {
        Ok(body) => body,
        Err(reason) => return Ok((refused(&reason), Answer::Unreadable(reason))),
    };
    if is_signed(&found.definition)
        && let Some(reason) = age::refusal(delivery, &body, home.engine().clock().now())
    {
        return Ok((refused(&reason), Answer::Forbidden(reason)));
    }
    let target = &found.definition.target_pipeline;
    let pipeline = home.engine().pipeline(target).await.map_err(|error| error.to_string())?;
    let current = pipeline.current_definition().map(AsRef::as_ref);
    match webhook::evaluate(&found.definition, current, home.registry(), delivery.event.as_deref(), &body) {
        Asked::Nothing { reason } => {
            Ok((DeliveryVerdict::Ignored { reason: reason.clone() }, Answer::Idle(reason)))
        }
        Asked::Start { revision } => start(home, found, delivery, revision).await,
    }
}

/// Why a caller may not call; `None` when it may.
async fn authenticate<H: Home>(
    home: &H,
    definition: &WebhookDefinition,
    delivery: &Delivery,
) -> Result<Option<&'static str>, SecretsError> {
    match definition.authentication {
        WebhookAuthentication::Unauthenticated => Ok(None),
        WebhookAuthentication::Ip => {
            let range = definition.allowed_ip_range.as_deref().unwrap_or_default();
            let is_inside = delivery.peer.and_then(|peer| cidr::contains(range, peer)) == Some(true);
            Ok((!is_inside).then_some("the caller's address is not in the allowed range"))
        }
        WebhookAuthentication::GithubHmac => {
            let name = definition.secret.as_deref().unwrap_or_default();
            // Replaced between two looks: whoever comes again finds the new one.
            let secret = home.secrets().recall(name).await?;
            let secret =
                secret.ok_or_else(|| SecretsError("the webhook's secret is not there".to_owned()))?;
            Ok(signature::refusal(delivery, secret.as_bytes()))
        }
    }
}

async fn start<H: Home>(
    home: &H,
    found: &Found,
    delivery: &Delivery,
    revision: Option<(ActionName, String)>,
) -> Result<(DeliveryVerdict, Answer), String> {
    let engine = home.engine();
    let execution = engine.fresh_execution_id();
    let detail = arn(home, &found.name);
    let wish = Wish::StartExecution {
        trigger: Trigger { kind: TriggerType::Webhook, detail },
        variables: BTreeMap::new(),
        revisions: revision.into_iter().collect(),
    };
    let command = Command {
        pipeline: found.definition.target_pipeline.clone(),
        execution: Some(execution.clone()),
        wish,
    };
    // Of this address alone: a webhook that was deleted and made anew has not seen its predecessor's deliveries.
    let address = found.state.token.chars().take(32).collect::<String>();
    let known = match is_signed(&found.definition) {
        true => age::identity(delivery).or_else(|| id(delivery)),
        false => id(delivery),
    };
    let once = known.map(|id| Once {
        key: format!("delivery#{address}#{id}"),
        outcome: execution.to_string(),
        expires: Timestamp(engine.clock().now().0 + DELIVERY_KEPT_MS),
    });
    let envelope = Envelope { id: engine.fresh_command_id(), actor: ACTOR.to_owned(), command, once };
    let execution = match engine.transact(envelope).await {
        Ok(Done::Written | Done::Nothing) => execution,
        Ok(Done::Repeated(outcome)) => ExecutionId::parse(outcome)
            .map_err(|error| format!("the earlier delivery left no execution: {error}"))?,
        Err(TransactError::Rejected(rejection)) => {
            let reason: String =
                rejection.to_string().chars().take(domain::limits::WEBHOOK_REASON_CHARS_MAX).collect();
            return Ok((DeliveryVerdict::NotStarted { reason: reason.clone() }, Answer::Idle(reason)));
        }
        Err(error) => return Err(error.to_string()),
    };
    tracing::info!(webhook = %found.name, %execution, "started by a delivery");
    Ok((DeliveryVerdict::Started { execution: execution.clone() }, Answer::Started(execution)))
}

async fn record<H: Home>(
    home: &H,
    found: &Found,
    delivery: &Delivery,
    verdict: DeliveryVerdict,
) -> Result<(), TransactError> {
    let event = delivery.event.as_ref().map(|event| event.chars().take(EVENT_CHARS_MAX).collect());
    let wish = WebhookWish::RecordDelivery(DeliveryEvaluated { delivery: id(delivery), event, verdict });
    let id = home.engine().fresh_command_id();
    let order = Order::<Webhook> { id, actor: ACTOR.to_owned(), key: found.name.clone(), wish };
    home.engine().record(order).await.map(|_| ())
}

/// Whether what comes is signed, so that its body can be trusted to be the sender's.
fn is_signed(definition: &WebhookDefinition) -> bool {
    match definition.authentication {
        WebhookAuthentication::GithubHmac => true,
        WebhookAuthentication::Ip | WebhookAuthentication::Unauthenticated => false,
    }
}

/// The ARN of a webhook.
pub fn arn<H: Home>(home: &H, name: &WebhookName) -> String {
    format!("arn:aws:codepipeline:{}:{}:webhook:{name}", home.engine().region(), home.engine().account())
}

/// The delivery's id in a form that may be kept.
fn id(delivery: &Delivery) -> Option<String> {
    let id = delivery.id.as_deref().filter(|id| !id.is_empty())?;
    if id.len() <= DELIVERY_ID_CHARS_MAX && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(id.to_owned());
    }
    Some(signature::digest(id.as_bytes()))
}
