//! The part of the service model's format that the generator uses.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

#[derive(serde::Deserialize)]
pub(super) struct Model {
    pub(super) operations: BTreeMap<String, Operation>,
    pub(super) shapes: BTreeMap<String, Shape>,
}

#[derive(serde::Deserialize)]
pub(super) struct Operation {
    pub(super) input: Target,
    pub(super) output: Option<Target>,
    #[serde(default)]
    pub(super) errors: Vec<Target>,
}

/// A reference to a shape.
#[derive(serde::Deserialize)]
pub(super) struct Target {
    pub(super) shape: String,
}

#[derive(serde::Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Shape {
    Structure {
        members: Members,
        #[serde(default)]
        required: Vec<String>,
        #[serde(default)]
        exception: bool,
    },
    List {
        member: Target,
        min: Option<i64>,
        max: Option<i64>,
    },
    Map {
        key: Target,
        value: Target,
        min: Option<i64>,
        max: Option<i64>,
    },
    String {
        min: Option<i64>,
        max: Option<i64>,
        pattern: Option<String>,
        #[serde(rename = "enum")]
        values: Option<Vec<String>>,
        #[serde(default)]
        sensitive: bool,
    },
    Integer {
        min: Option<i64>,
        max: Option<i64>,
    },
    Boolean,
    Timestamp,
}

/// Members in the order of the file, which is the order of the API reference.
pub(super) struct Members(pub(super) Vec<(String, Target)>);

impl Shape {
    pub(super) fn is_exception(&self) -> bool {
        matches!(self, Self::Structure { exception: true, .. })
    }

    pub(super) fn requires(&self, member: &str) -> bool {
        matches!(self, Self::Structure { required, .. } if required.iter().any(|name| name == member))
    }

    pub(super) fn bounds(&self) -> (Option<i64>, Option<i64>) {
        match *self {
            Self::List { min, max, .. }
            | Self::Map { min, max, .. }
            | Self::String { min, max, .. }
            | Self::Integer { min, max } => (min, max),
            Self::Structure { .. } | Self::Boolean | Self::Timestamp => (None, None),
        }
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of members")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = entries.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
