//! (type, schema, body) to event and back: the only place where stored bytes are parsed.
//!
//! A stored event names its type and schema beside its body, so that a body never needs to be looked at twice and
//! an old schema can be lifted before it is read. Every type is at schema 1 today; `upcast` is where the first
//! lift will go.

use crate::{ActionTypesEvent, ExecutionEvent, LaneEvent, PipelineEvent, TriggerEvent, WebhookEvent};
use serde::de::DeserializeOwned;

/// A stored event this version cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// No such type in this kind of stream.
    #[error("unknown event type `{kind}`")]
    UnknownType {
        /// The type's name.
        kind: String,
    },
    /// Written by a later version of the program.
    #[error("event `{kind}` has schema {schema}; this version reads up to {newest}")]
    UnknownSchema {
        /// The type's name.
        kind: String,
        /// The schema found.
        schema: u16,
        /// The newest known.
        newest: u16,
    },
    /// The body is not what the schema says.
    #[error("event `{kind}` cannot be read: {reason}")]
    Body {
        /// The type's name.
        kind: String,
        /// The reader's words.
        reason: String,
    },
}

/// An event that can be stored.
pub trait Stored: Clone + Send + Sync + 'static {
    /// Every type's name, with the newest schema.
    const TYPES: &'static [(&'static str, u16)];

    /// The explicit type name.
    fn kind(&self) -> &'static str;

    /// The schema new bodies are written with.
    fn schema(&self) -> u16;

    /// The body as JSON.
    fn body(&self) -> String;

    /// Reads an event back.
    fn decode(kind: &str, schema: u16, body: &str) -> Result<Self, CodecError>;
}

fn read<T: DeserializeOwned>(kind: &str, schema: u16, newest: u16, body: &str) -> Result<T, CodecError> {
    if schema == 0 || schema > newest {
        return Err(CodecError::UnknownSchema { kind: kind.to_owned(), schema, newest });
    }
    serde_json::from_str(body)
        .map_err(|error| CodecError::Body { kind: kind.to_owned(), reason: error.to_string() })
}

macro_rules! stored {
    ($enum:ident { $($variant:ident),+ $(,)? }) => {
        impl Stored for $enum {
            const TYPES: &'static [(&'static str, u16)] = &[$((stringify!($variant), 1)),+];

            fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => stringify!($variant)),+ }
            }

            fn schema(&self) -> u16 {
                1
            }

            fn body(&self) -> String {
                match self {
                    $(Self::$variant(body) => serde_json::to_string(body)),+
                }
                .expect("event shapes hold only text keys and plain values, which JSON can always write")
            }

            fn decode(kind: &str, schema: u16, body: &str) -> Result<Self, CodecError> {
                match kind {
                    $(stringify!($variant) => read(kind, schema, 1, body).map(Self::$variant),)+
                    _ => Err(CodecError::UnknownType { kind: kind.to_owned() }),
                }
            }
        }
    };
}

stored!(PipelineEvent { PipelineDeclared, PipelineDeleted, PipelineTagged, PipelineUntagged });
stored!(ActionTypesEvent {
    CustomActionTypeCreated,
    CustomActionTypeDeleted,
    CustomActionTypeTagged,
    CustomActionTypeUntagged,
    ActionTypeUpdated,
});
stored!(LaneEvent {
    StageHeld,
    StageReleased,
    ExecutionWaits,
    ExecutionLeft,
    ExecutionSuperseded,
    SupersessionSettled,
    RollbackOwed,
    RollbackSettled,
    TransitionDisabled,
    TransitionEnabled,
    LaneCleared,
});
stored!(ExecutionEvent {
    ExecutionStarted,
    StageStarted,
    StageRetried,
    ActionStarted,
    ActionProgressed,
    ActionSucceeded,
    ActionFailed,
    ActionAbandoned,
    JobQueued,
    JobDispatched,
    JobAcknowledged,
    JobContinued,
    ResultIgnored,
    ConditionStarted,
    ConditionEnded,
    ConditionOverridden,
    RuleStarted,
    RuleProgressed,
    RuleSucceeded,
    RuleFailed,
    RuleAbandoned,
    RuleResultIgnored,
    StageSkipped,
    StageSucceeded,
    StageFailed,
    StageStopped,
    StageCancelled,
    StopRequested,
    ExecutionSucceeded,
    ExecutionFailed,
    ExecutionStopped,
    ExecutionCancelled,
    ExecutionSuperseded,
});
stored!(WebhookEvent {
    WebhookPut,
    WebhookDeleted,
    WebhookTagged,
    WebhookUntagged,
    WebhookRegistered,
    WebhookRegistrationFailed,
    WebhookDeregistered,
    DeliveryEvaluated,
});
stored!(TriggerEvent { TriggerEvaluated });
