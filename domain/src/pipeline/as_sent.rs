//! A list that may be absent: the same to every rule as an empty one, and yet given back as it was sent.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::Deref;

/// A value that knows whether it was sent. What is absent reads as the default. Definitions come back letter for
/// letter: clients compare what they sent with what they get.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AsSent<T> {
    value: T,
    is_sent: bool,
}

impl<T> AsSent<T> {
    /// Whether there was none; for `skip_serializing_if`.
    pub fn is_absent(&self) -> bool {
        !self.is_sent
    }
}

impl<T> From<T> for AsSent<T> {
    fn from(value: T) -> Self {
        Self { value, is_sent: true }
    }
}

impl<T> Deref for AsSent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'a, T> IntoIterator for &'a AsSent<Vec<T>> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.value.iter()
    }
}

impl<T: Serialize> Serialize for AsSent<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for AsSent<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}
