//! States that are decided alone: each has one stream, and no other joins its decisions. The same promises as
//! [`crate::transact`], without effects: what follows from such an event, others read from the log.

use crate::{
    Engine,
    cache::{Cache, Outcome, Slot, Warm},
    log::{Appended, Batch, Log, LogError},
    lost::Probe,
    ports::Actions,
    streams::{self, Folded, Head, Written},
    transact::{APPEND_ATTEMPTS_MAX, Done, TransactError},
};
use domain::{
    Rejection,
    catalogue::custom::{ActionTypeWish, ActionTypes},
    command::Context,
    trigger::{Note, Triggers},
    webhook::{Webhook, WebhookWish},
};
use events::{
    AccountId, ActionTypesEvent, CommandId, EXACT, PipelineName, StreamName, Timestamp, TriggerEvent,
    Version, WebhookEvent, WebhookName,
};
use std::{fmt::Display, sync::Arc};
use tokio::sync::OwnedMutexGuard;

/// A state that is decided alone.
pub trait Single: Folded {
    /// What tells one from another.
    type Key: Clone + Display + Send + Sync + 'static;
    /// What can be wished.
    type Wish: Send + Sync + 'static;

    /// Its stream.
    fn stream(key: &Self::Key) -> StreamName;

    /// A wish's name, for log lines.
    fn wish_name(wish: &Self::Wish) -> &'static str;

    /// Decides a wish. No events: it is satisfied already. Pure: it may be asked again on a newer state.
    fn decide(
        &self,
        key: &Self::Key,
        wish: &Self::Wish,
        context: Context<'_>,
    ) -> Result<Vec<Self::Event>, Rejection>;

    /// Where its warm states are.
    fn cache(singles: &Singles) -> &Cache<Self>;
}

/// Warm states of each kind that is decided alone.
#[derive(Default)]
pub struct Singles {
    webhooks: Cache<Webhook>,
    action_types: Cache<ActionTypes>,
    triggers: Cache<Triggers>,
}

impl Single for Webhook {
    type Key = WebhookName;
    type Wish = WebhookWish;

    fn stream(key: &WebhookName) -> StreamName {
        StreamName::webhook(key)
    }

    fn wish_name(wish: &WebhookWish) -> &'static str {
        wish.name()
    }

    fn decide(
        &self,
        key: &WebhookName,
        wish: &WebhookWish,
        context: Context<'_>,
    ) -> Result<Vec<WebhookEvent>, Rejection> {
        Webhook::decide(self, key, wish, context)
    }

    fn cache(singles: &Singles) -> &Cache<Self> {
        &singles.webhooks
    }
}

impl Single for ActionTypes {
    type Key = AccountId;
    type Wish = ActionTypeWish;

    fn stream(account: &AccountId) -> StreamName {
        StreamName::action_types(account)
    }

    fn wish_name(wish: &ActionTypeWish) -> &'static str {
        wish.name()
    }

    fn decide(
        &self,
        _: &AccountId,
        wish: &ActionTypeWish,
        context: Context<'_>,
    ) -> Result<Vec<ActionTypesEvent>, Rejection> {
        ActionTypes::decide(self, wish, context)
    }

    fn cache(singles: &Singles) -> &Cache<Self> {
        &singles.action_types
    }
}

impl Single for Triggers {
    type Key = PipelineName;
    type Wish = Note;

    fn stream(pipeline: &PipelineName) -> StreamName {
        StreamName::triggers(pipeline)
    }

    fn wish_name(wish: &Note) -> &'static str {
        wish.name()
    }

    fn decide(
        &self,
        _: &PipelineName,
        note: &Note,
        context: Context<'_>,
    ) -> Result<Vec<TriggerEvent>, Rejection> {
        Ok(Triggers::decide(self, note, context.now))
    }

    fn cache(singles: &Singles) -> &Cache<Self> {
        &singles.triggers
    }
}

/// A wish with its sender.
#[derive(Debug, Clone)]
pub struct Order<S: Single> {
    /// The command's id; the same when it is sent again.
    pub id: CommandId,
    /// A principal's ARN, or a part of the system.
    pub actor: String,
    /// Which one is meant.
    pub key: S::Key,
    /// The wish.
    pub wish: S::Wish,
}

impl<L: Log, A: Actions> Engine<L, A> {
    /// Carries a wish about a single state through to the log. Goes on to its end even if the caller goes away.
    pub async fn record<S: Single>(&self, order: Order<S>) -> Result<Done, TransactError> {
        let engine = self.clone();
        let work = tokio::spawn(async move { engine.record_attempts(&order).await });
        match work.await {
            Ok(done) => done,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// A webhook with its stream's version, as durable. Default when there is none of that name.
    pub async fn webhook_at(&self, name: &WebhookName) -> Result<(Arc<Webhook>, Version), LogError> {
        self.single_at(name).await
    }

    /// A single state with its stream's version, as durable. Default when there never was one.
    pub async fn single_at<S: Single>(&self, key: &S::Key) -> Result<(Arc<S>, Version), LogError> {
        let stream = S::stream(key);
        let cache = S::cache(self.singles());
        let (state, version) = self.durable(cache, &stream).await?;
        // Whoever asks for names at random must not fill the cache. Not before it is durable: what was read empty
        // may have an append on its way.
        if version == Version::default() {
            cache.forget(&stream);
        }
        Ok((state, version))
    }

    async fn record_attempts<S: Single>(&self, order: &Order<S>) -> Result<Done, TransactError> {
        for _ in 0..APPEND_ATTEMPTS_MAX {
            if let Some(done) = self.record_attempt(order).await? {
                return Ok(done);
            }
        }
        Err(TransactError::Busy { subject: order.key.to_string() })
    }

    /// One attempt; `None` when somebody else was faster.
    async fn record_attempt<S: Single>(&self, order: &Order<S>) -> Result<Option<Done>, TransactError> {
        let stream = S::stream(&order.key);
        let cache = S::cache(self.singles());
        let (mut slot, was_warm) = self.warm(cache, &stream).await?;
        let (state, head) = known(&slot);
        let now = self.clock().now().max(head.time);
        let events = match decide(&*state, order, now, self.region()) {
            Ok(events) if !events.is_empty() => events,
            other => {
                if !L::PIPELINED && was_warm {
                    // Only a state just read may refuse a wish, or call it satisfied: see `transact`.
                    *slot = None;
                    return Ok(None);
                }
                let rests_on = slot.as_ref().and_then(|warm| warm.rests_on.clone());
                drop(slot);
                self.log().barrier().await;
                if let Some(append) = rests_on
                    && !append.lasts().await
                {
                    return Ok(None);
                }
                return other.map(|_| Some(Done::Nothing)).map_err(TransactError::from);
            }
        };
        let mut after = Arc::unwrap_or_clone(state);
        events.iter().for_each(|event| after.fold(event, now));
        let written = Written { now, command: &order.id, actor: &order.actor };
        let (commit, head) = streams::commit(&stream, &head, events, &after, &written)
            .expect("events that are not empty make a commit");
        let (outcome, on_its_way) = Outcome::open(slot.take().and_then(|warm| warm.rests_on));
        *slot = Some(Warm { state: Arc::new(after), head, rests_on: L::PIPELINED.then_some(on_its_way) });
        let batch = Batch { commits: vec![commit], checks: Vec::new(), once: None };
        let probe = Probe::of(&batch);
        let answer = self.log().append(batch);
        // As in `transact`: the lock goes at once where appends keep their order, and the slot stays pinned.
        let (held, pinned) = if L::PIPELINED {
            let pinned = Arc::clone(OwnedMutexGuard::mutex(&slot));
            drop(slot);
            (None, Some(pinned))
        } else {
            (Some(slot), None)
        };
        let answer = self.answered(&probe, answer.await, &[]).await;
        let is_written = matches!(answer, Ok(Appended::Written));
        outcome.tell(is_written);
        if let Some(mut slot) = held.filter(|_| !is_written) {
            *slot = None;
        }
        drop(pinned);
        if is_written {
            tracing::debug!(%stream, wish = S::wish_name(&order.wish), version = head.version.0, "appended");
            return Ok(Some(Done::Written));
        }
        // As in `transact`: what somebody else has on its way stays.
        cache.lock(&stream).await.take_if(|warm| !warm.is_pending());
        match answer? {
            Appended::Written => Ok(Some(Done::Written)),
            Appended::Conflict { stream } => {
                tracing::debug!(%stream, wish = S::wish_name(&order.wish), "conflict");
                Ok(None)
            }
            Appended::Repeated { outcome } => Ok(Some(Done::Repeated(outcome))),
        }
    }
}

fn known<S: Single>(slot: &Slot<S>) -> (Arc<S>, Head) {
    slot.as_ref().map(|warm| (Arc::clone(&warm.state), warm.head)).unwrap_or_default()
}

fn decide<S: Single>(
    state: &S,
    order: &Order<S>,
    now: Timestamp,
    region: &str,
) -> Result<Vec<S::Event>, Rejection> {
    let context = Context { now, actor: &order.actor, command_id: order.id.as_str(), region, policy: &EXACT };
    state.decide(&order.key, &order.wish, context)
}
