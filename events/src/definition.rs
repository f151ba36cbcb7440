//! A definition as it lies in a log.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;
use std::{
    any::Any,
    fmt,
    sync::{Arc, OnceLock},
};

/// A normalised declaration as `GetPipeline` shows it, secrets replaced by `****`. It is read into its own type once,
/// however many fold the event it came with.
#[derive(Clone)]
pub struct StoredDefinition {
    json: Value,
    /// No part of what is stored.
    read: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl StoredDefinition {
    /// The definition, for whoever always asks for the same type.
    ///
    /// # Errors
    /// This version cannot read it.
    pub fn read<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<T>, serde_json::Error> {
        if let Some(known) = self.read.get().and_then(|known| Arc::clone(known).downcast().ok()) {
            return Ok(known);
        }
        let read = Arc::new(T::deserialize(&self.json)?);
        // Somebody may have been faster, with the same.
        let _ = self.read.set(Arc::clone(&read) as Arc<dyn Any + Send + Sync>);
        Ok(read)
    }
}

impl From<Value> for StoredDefinition {
    fn from(json: Value) -> Self {
        Self { json, read: OnceLock::new() }
    }
}

impl PartialEq for StoredDefinition {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl fmt::Debug for StoredDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.json.fmt(f)
    }
}

impl Serialize for StoredDefinition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StoredDefinition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_is_read_once_and_a_failure_is_not_remembered() {
        let stored = StoredDefinition::from(serde_json::json!({ "a": 1 }));
        assert!(stored.read::<BTreeMap<String, String>>().is_err());
        let read = stored.read::<BTreeMap<String, u8>>().unwrap();
        assert_eq!(read["a"], 1);
        assert!(Arc::ptr_eq(&read, &stored.read().unwrap()));
        assert!(Arc::ptr_eq(&read, &stored.clone().read().unwrap()));
        assert_eq!(stored.read::<BTreeMap<String, i64>>().unwrap()["a"], 1);
        assert!(Arc::ptr_eq(&read, &stored.read().unwrap()), "the first type stays");
    }
}
