//! Newtypes for everything that is named or numbered. Text becomes one of these once, where it enters.

use serde::{Deserialize, Deserializer, Serialize, de};
use std::{fmt, sync::Arc};

/// A text that is not a legal name, and the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}: {rule}")]
pub struct BadName {
    /// What the text should have been, for example `stage name`.
    pub kind: &'static str,
    /// The offending text, cut to 120 characters.
    pub text: String,
    /// The rule in words.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $min:literal..=$max:literal, $charset:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The only way in: checks length and characters.
            pub fn parse(text: impl AsRef<str>) -> Result<Self, BadName> {
                let text = text.as_ref();
                let legal: fn(u8) -> bool = $charset;
                // What is legal is ASCII, so that bytes are characters.
                if ($min..=$max).contains(&text.len()) && text.bytes().all(legal) {
                    Ok(Self(text.into()))
                } else {
                    Err(BadName { kind: $kind, text: text.chars().take(120).collect(), rule: $rule })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text(|text| Self::parse(text)))
            }
        }
    };
}

/// Reads a name from whatever text a format has in hand.
struct Text<T>(fn(&str) -> Result<T, BadName>);

impl<T> de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

name!(
    /// A pipeline's name. Invariant: 1 to 100 letters, digits, `.`, `@`, `-` or `_`.
    PipelineName, "pipeline name", 1..=100,
    |b| b.is_ascii_alphanumeric() || b".@-_".contains(&b),
    "1 to 100 letters, digits, `.`, `@`, `-` or `_`"
);
name!(
    /// A stage's name, unique in its pipeline. Invariant: 1 to 100 letters, digits, `.`, `@`, `-` or `_`.
    StageName, "stage name", 1..=100,
    |b| b.is_ascii_alphanumeric() || b".@-_".contains(&b),
    "1 to 100 letters, digits, `.`, `@`, `-` or `_`"
);
name!(
    /// An action's name, unique in its stage. Invariant: 1 to 100 letters, digits, `.`, `@`, `-` or `_`.
    ActionName, "action name", 1..=100,
    |b| b.is_ascii_alphanumeric() || b".@-_".contains(&b),
    "1 to 100 letters, digits, `.`, `@`, `-` or `_`"
);
name!(
    /// An artifact's name, unique among outputs. Invariant: 1 to 100 letters, digits, `-` or `_`.
    ArtifactName, "artifact name", 1..=100,
    |b| b.is_ascii_alphanumeric() || b"-_".contains(&b),
    "1 to 100 letters, digits, `-` or `_`"
);
name!(
    /// A variable namespace. Invariant: 1 to 100 letters, digits, `@`, `-` or `_`.
    Namespace, "namespace", 1..=100,
    |b| b.is_ascii_alphanumeric() || b"@-_".contains(&b),
    "1 to 100 letters, digits, `@`, `-` or `_`"
);
name!(
    /// A webhook's name. Invariant: 1 to 100 letters, digits, `.`, `@`, `-` or `_`.
    WebhookName, "webhook name", 1..=100,
    |b| b.is_ascii_alphanumeric() || b".@-_".contains(&b),
    "1 to 100 letters, digits, `.`, `@`, `-` or `_`"
);
name!(
    /// Id of one run of a pipeline. Invariant: a lower-case UUID.
    ExecutionId, "pipeline execution id", 1..=36,
    |b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'),
    "a UUID in lower case"
);
name!(
    /// Id of one attempt at one action; also the client token handed to its provider.
    /// Invariant: a lower-case UUID.
    ActionExecutionId, "action execution id", 1..=36,
    |b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'),
    "a UUID in lower case"
);
name!(
    /// Id of one attempt at one rule of a condition. It comes from the same well as those of actions: no two of them
    /// are alike, so that whoever carries out both may tell them apart by the id alone.
    /// Invariant: a lower-case UUID.
    RuleExecutionId, "rule execution id", 1..=36,
    |b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'),
    "a UUID in lower case"
);
name!(
    /// Id of one job that workers ask for. Invariant: a lower-case UUID.
    JobId, "job id", 1..=36,
    |b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'),
    "a UUID in lower case"
);
name!(
    /// A rule's name, unique in its condition. Invariant: 1 to 100 letters, digits, `.`, `@`, `-` or `_`.
    RuleName, "rule name", 1..=100,
    |b| b.is_ascii_alphanumeric() || b".@-_".contains(&b),
    "1 to 100 letters, digits, `.`, `@`, `-` or `_`"
);
name!(
    /// The account an installation answers for. Invariant: 12 digits.
    AccountId, "account id", 12..=12,
    |b| b.is_ascii_digit(),
    "12 digits"
);
name!(
    /// Id of one command, minted by whoever sends it; a command sent twice keeps its id.
    /// Invariant: 1 to 128 letters, digits, `-`, `_`, `#`, `/`, `.` or `:`.
    CommandId, "command id", 1..=128,
    |b| b.is_ascii_alphanumeric() || b"-_#/.:".contains(&b),
    "1 to 128 letters, digits, `-`, `_`, `#`, `/`, `.` or `:`"
);

impl From<&RuleExecutionId> for ActionExecutionId {
    /// The same id, for whoever carries out actions and rules alike: timers, runners.
    fn from(rule: &RuleExecutionId) -> Self {
        Self(rule.0.clone())
    }
}

/// Name of a stream of the log: `pipeline#<name>`, `lane#<pipeline>`, `execution#<id>`, `webhook#<name>`,
/// `action-types#<account>` or `triggers#<pipeline>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamName(Arc<str>);

/// What a stream's name says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamKind {
    /// Definitions of one pipeline.
    Pipeline(PipelineName),
    /// Traffic of one pipeline.
    Lane(PipelineName),
    /// One run.
    Execution(ExecutionId),
    /// One webhook.
    Webhook(WebhookName),
    /// The action types of one account, besides the built-in ones.
    ActionTypes(AccountId),
    /// What came that might have started one pipeline.
    Triggers(PipelineName),
}

impl StreamName {
    /// The stream of a pipeline's definitions.
    pub fn pipeline(name: &PipelineName) -> Self {
        Self::named("pipeline#", name.as_str())
    }

    /// The stream of a pipeline's traffic.
    pub fn lane(name: &PipelineName) -> Self {
        Self::named("lane#", name.as_str())
    }

    /// The stream of one run.
    pub fn execution(id: &ExecutionId) -> Self {
        Self::named("execution#", id.as_str())
    }

    /// The stream of one webhook.
    pub fn webhook(name: &WebhookName) -> Self {
        Self::named("webhook#", name.as_str())
    }

    /// The stream of an account's action types.
    pub fn action_types(account: &AccountId) -> Self {
        Self::named("action-types#", account.as_str())
    }

    /// The stream of what might have started a pipeline.
    pub fn triggers(name: &PipelineName) -> Self {
        Self::named("triggers#", name.as_str())
    }

    /// Put together before it is allocated: every command names three streams.
    fn named(kind: &str, name: &str) -> Self {
        let mut room = [0; 128];
        match room.get_mut(..kind.len() + name.len()) {
            Some(room) => {
                let (before, after) = room.split_at_mut(kind.len());
                before.copy_from_slice(kind.as_bytes());
                after.copy_from_slice(name.as_bytes());
                let text = std::str::from_utf8(room).expect("two texts after each other are one");
                Self(text.into())
            }
            None => Self([kind, name].concat().into()),
        }
    }

    /// Reads a stream's name back from a store.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let name = Self(text.into());
        name.kind().map(|_| name.clone())
    }

    /// Which stream this is.
    pub fn kind(&self) -> Result<StreamKind, BadName> {
        let bad = || BadName {
            kind: "stream name",
            text: self.0.chars().take(120).collect(),
            rule: "`pipeline#<name>`, `lane#<pipeline>`, `execution#<id>`, `webhook#<name>`, `action-types#<account>` or \
                   `triggers#<pipeline>`",
        };
        match self.0.split_once('#').ok_or_else(bad)? {
            ("pipeline", name) => PipelineName::parse(name).map(StreamKind::Pipeline),
            ("lane", name) => PipelineName::parse(name).map(StreamKind::Lane),
            ("execution", id) => ExecutionId::parse(id).map(StreamKind::Execution),
            ("triggers", name) => PipelineName::parse(name).map(StreamKind::Triggers),
            ("webhook", name) => WebhookName::parse(name).map(StreamKind::Webhook),
            ("action-types", account) => AccountId::parse(account).map(StreamKind::ActionTypes),
            _ => Err(bad()),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $type:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $type(pub $inner);

        impl $type {
            /// The number that follows.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// How many events a stream holds; the first event of a stream has version 1, an empty stream 0.
    Version(u64)
);
number!(
    /// A pipeline definition's version: 1 on creation, one more with each update.
    PipelineVersion(u32)
);
number!(
    /// The number of one admission to a stage, growing over a lane's whole life (a fencing token).
    Entry(u64)
);
number!(
    /// The place of an execution in its lane's order of starts.
    Sequence(u64)
);

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment plus so many minutes.
    #[must_use]
    pub fn plus_minutes(self, minutes: u32) -> Self {
        Self(self.0.saturating_add(i64::from(minutes) * 60_000))
    }

    /// Milliseconds from `earlier` to this moment; 0 when `earlier` is later.
    pub fn since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    /// Seconds since the epoch with millisecond fraction, the API's form.
    pub fn epoch_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_the_api_refuses() {
        assert!(PipelineName::parse("shop.api@eu-1_x").is_ok());
        assert!(PipelineName::parse("").is_err());
        assert!(StageName::parse("Deploy/Prod").is_err());
        assert!(ArtifactName::parse("with.dot").is_err());
        assert!(PipelineName::parse("x".repeat(101)).is_err());
    }

    #[test]
    fn stream_names_read_back() {
        let name = PipelineName::parse("shop").unwrap();
        let stream = StreamName::lane(&name);
        assert_eq!(StreamName::parse(stream.as_str()).unwrap().kind().unwrap(), StreamKind::Lane(name));
        assert!(StreamName::parse("lane#a b").is_err());
        assert!(StreamName::parse("other#a").is_err());
    }
}
