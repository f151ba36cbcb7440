//! Whose signatures the proxy takes: those made with its own keys, or with a pair made for it.

use crate::{
    client::keys::{Keys, Provider},
    credentials::KeyPair,
};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use tokio::sync::Mutex;

/// How soon an unknown access key may make the files be read again: else whoever asks sets the pace.
const LOOKS_APART_MIN: SignedDuration = SignedDuration::from_secs(5);
/// Earlier keys that are still taken, most.
const EARLIER_MAX: usize = 8;

/// Who may call.
pub enum Callers {
    /// Whoever has a pair that was made for this proxy.
    Own(KeyPair),
    /// Whoever has the keys that the proxy signs with.
    Same { keys: Arc<Provider>, known: Mutex<Known> },
}

/// Keys that were given by now. Those before a renewal hold as long as AWS takes them.
pub struct Known {
    all: Vec<Keys>,
    looked: Timestamp,
}

impl Callers {
    /// With a fresh pair.
    pub fn own() -> Self {
        Self::Own(KeyPair::fresh())
    }

    /// With the proxy's keys, of which these are the first.
    pub fn same(keys: Arc<Provider>, first: Keys) -> Self {
        Self::Same { keys, known: Mutex::new(Known { all: vec![first], looked: Timestamp::UNIX_EPOCH }) }
    }

    /// What a caller writes into its environment, if it must be told.
    pub fn lines(&self, region: &str) -> Vec<String> {
        match self {
            Self::Same { .. } => Vec::new(),
            Self::Own(pair) => vec![
                format!("export AWS_ACCESS_KEY_ID={}", pair.access_key),
                format!("export AWS_SECRET_ACCESS_KEY={}", pair.secret),
                "unset AWS_SESSION_TOKEN".to_owned(),
                format!("export AWS_DEFAULT_REGION={region}"),
            ],
        }
    }

    /// The secret of an access key, if it is one of ours.
    pub async fn secret_of(&self, access_key: &str) -> Option<String> {
        match self {
            Self::Own(pair) => (pair.access_key == access_key).then(|| pair.secret.clone()),
            Self::Same { keys, known } => {
                let mut known = known.lock().await;
                let now = Timestamp::now();
                if let Some(secret) = known.secret_of(access_key, now) {
                    return Some(secret);
                }
                // Somebody logged in again, or a file was written anew.
                if now.duration_since(known.looked) < LOOKS_APART_MIN {
                    return None;
                }
                known.looked = now;
                match keys.renewed().await {
                    Ok(renewed) => known.add(renewed),
                    Err(error) => tracing::warn!(error = %crate::in_words(&error), "no keys"),
                }
                known.secret_of(access_key, now)
            }
        }
    }

    /// Notes keys that requests are signed with, so that callers may have them too.
    pub async fn note(&self, keys: &Keys) {
        if let Self::Same { known, .. } = self {
            known.lock().await.add(keys.clone());
        }
    }
}

impl Known {
    fn secret_of(&self, access_key: &str, now: Timestamp) -> Option<String> {
        let found =
            self.all.iter().find(|keys| keys.credentials.access_key == access_key && !keys.are_over(now))?;
        Some(found.credentials.secret_key.clone())
    }

    fn add(&mut self, keys: Keys) {
        self.all.retain(|known| known.credentials.access_key != keys.credentials.access_key);
        self.all.insert(0, keys);
        self.all.truncate(EARLIER_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::sigv4::Credentials;

    fn keys(name: &str, expires: Option<&str>) -> Keys {
        let credentials = Credentials {
            access_key: name.into(),
            secret_key: format!("secret of {name}"),
            session_token: None,
        };
        Keys { credentials, expires: expires.map(|end| end.parse().unwrap()) }
    }

    #[test]
    fn earlier_keys_hold_until_their_end() {
        let now: Timestamp = "2026-11-29T10:00:00Z".parse().unwrap();
        let mut known = Known { all: vec![keys("old", Some("2026-11-29T10:01:00Z"))], looked: now };
        known.add(keys("new", Some("2026-11-29T11:00:00Z")));
        assert_eq!(known.secret_of("old", now).as_deref(), Some("secret of old"));
        assert_eq!(known.secret_of("new", now).as_deref(), Some("secret of new"));
        assert_eq!(known.secret_of("old", now + SignedDuration::from_mins(2)), None);
        assert_eq!(known.secret_of("other", now), None);
        (0..20).for_each(|number| known.add(keys(&number.to_string(), None)));
        assert_eq!(known.all.len(), EARLIER_MAX);
    }
}
