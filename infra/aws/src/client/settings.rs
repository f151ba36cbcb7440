//! What a client is made of.

use super::{Meter, Service};
use engine::ports::Clock as _;
use std::{collections::BTreeMap, fmt, time::Duration};

/// What a client is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The Region that is called.
    pub region: String,
    /// The account, 12 digits: for ARNs that are put together here.
    pub account: String,
    /// One endpoint for every service, such as that of an emulator; `AWS_ENDPOINT_URL`.
    pub endpoint: Option<String>,
    /// Endpoints of single services, before the one above; `AWS_ENDPOINT_URL_<SERVICE>`.
    pub endpoints: BTreeMap<Service, String>,
    /// What requests are signed with.
    pub credentials: Credentials,
    /// How long and how often.
    pub limits: Limits,
    /// Counts requests, if there is one. DynamoDB is then asked to say what each took.
    pub meter: Option<Meter>,
}

/// What requests are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The id of the key, not secret.
    pub access_key: String,
    /// The secret half.
    pub secret_key: String,
    /// Goes along with temporary keys.
    pub session_token: Option<String>,
    /// Milliseconds since 1970 at which they cease to hold; `None` for keys without an end, or whose end is not known.
    pub expires: Option<i64>,
}

/// Secrets show as `***`.
impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .field("secret_key", &format_args!("***"))
            .field("session_token", &self.session_token.as_ref().map(|_| "***"))
            .field("expires", &self.expires)
            .finish()
    }
}

impl Credentials {
    /// True when they hold for at least so long from now.
    pub(super) fn hold_for(&self, at_least: Duration) -> bool {
        let now = crate::world::SystemClock.now().0;
        let at_least = i64::try_from(at_least.as_millis()).unwrap_or(i64::MAX);
        self.expires.is_none_or(|expires| expires.saturating_sub(now) >= at_least)
    }
}

/// How long and how often a call is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long one attempt may take, from its first byte out to its last byte in.
    pub attempt: Duration,
    /// How long all attempts together may take, pauses included.
    pub total: Duration,
    /// How often a request is sent; at least once.
    pub attempts: u32,
    /// Bytes of an answer, most.
    pub answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(10),
            total: Duration::from_secs(30),
            attempts: 5,
            answer_bytes: 8 << 20,
        }
    }
}

/// A setting that is missing or cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(pub String);

impl Settings {
    /// Reads what AWS's own tools read too: `AWS_REGION` (or `AWS_DEFAULT_REGION`), `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>`. Where from is
    /// the caller's business.
    pub fn read(
        account: impl Into<String>,
        named: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let named = |name: &str| named(name).filter(|value| !value.is_empty());
        let needed = |name: &str| named(name).ok_or_else(|| SettingsError(format!("`{name}` is not set")));
        let region = named("AWS_REGION").or_else(|| named("AWS_DEFAULT_REGION")).ok_or_else(|| {
            SettingsError("neither `AWS_REGION` nor `AWS_DEFAULT_REGION` is set".to_owned())
        })?;
        let endpoint_of = |service: &Service| {
            named(&format!("AWS_ENDPOINT_URL_{}", service.setting())).map(|url| (*service, url))
        };
        let settings = Self {
            region,
            account: account.into(),
            endpoint: named("AWS_ENDPOINT_URL"),
            endpoints: Service::ALL.iter().filter_map(endpoint_of).collect(),
            credentials: Credentials {
                access_key: needed("AWS_ACCESS_KEY_ID")?,
                secret_key: needed("AWS_SECRET_ACCESS_KEY")?,
                session_token: named("AWS_SESSION_TOKEN"),
                expires: None,
            },
            limits: Limits::default(),
            meter: None,
        };
        settings.check()?;
        Ok(settings)
    }

    /// Refuses what would only fail with the first call, or would leave for a place nobody meant.
    pub fn check(&self) -> Result<(), SettingsError> {
        let letters = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if !letters(&self.region) {
            return Err(SettingsError(format!("this is not the name of a Region: `{}`", self.region)));
        }
        for url in self.endpoint.iter().chain(self.endpoints.values()) {
            let parsed = reqwest::Url::parse(url)
                .map_err(|error| SettingsError(format!("the endpoint `{url}` is not a URL: {error}")))?;
            if !matches!(parsed.scheme(), "http" | "https") || parsed.query().is_some() {
                let what = "must begin with `http://` or `https://` and have no query";
                return Err(SettingsError(format!("an endpoint {what}: `{url}`")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let pairs: BTreeMap<_, _> = pairs.iter().copied().collect();
        Settings::read("111122223333", |name| pairs.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn settings_are_those_of_every_tool() {
        let keys = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "hush")];
        let more = [
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_SESSION_TOKEN", "hush too"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:4570"),
            ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:4571"),
            ("AWS_ENDPOINT_URL_SNS", ""),
        ];
        let settings = read(&[&keys[..], &more].concat()).unwrap();
        assert_eq!(settings.region, "eu-west-1");
        assert_eq!(settings.endpoints.len(), 1);
        assert_eq!(settings.endpoints[&Service::S3], "http://127.0.0.1:4571");
        let shown = format!("{settings:?}");
        assert!(!shown.contains("hush"), "{shown}");
        assert!(read(&keys).unwrap_err().to_string().contains("AWS_REGION"));
        assert!(read(&[("AWS_REGION", "eu-west-1")]).unwrap_err().to_string().contains("AWS_ACCESS_KEY_ID"));
        let bad = [("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL", "file:///etc/passwd")];
        assert!(read(&[&keys[..], &bad].concat()).is_err());
        assert!(read(&[&keys[..], &[("AWS_REGION", "evil.example/")]].concat()).is_err());
    }
}
