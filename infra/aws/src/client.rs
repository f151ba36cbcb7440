//! The one client that every call to AWS goes through: it signs, waits, tries again, and tells a service that is busy
//! from one that says no. No vendor SDK (`docs/adr/0012-home-on-aws.md`).

mod error;
mod keys;
mod meter;
mod request;
mod send;
mod service;
mod settings;
#[cfg(test)]
mod tests;
mod xml;

pub use error::CallError;
pub use meter::{Count, Meter};
pub use request::{RestAnswer, RestRequest};
pub use service::{Protocol, Service, partition};
pub use settings::{Credentials, Limits, Settings, SettingsError};
pub use xml::Xml;

pub(crate) use send::jittered;

use keys::Keys;
use request::Prepared;
use send::Sink;
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

/// How long opening a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long a connection is kept open without being used.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Connections kept open to one host, most.
const IDLE_CONNECTIONS_MAX: usize = 32;

/// Calls AWS. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    region: Arc<str>,
    limits: Limits,
    keys: Arc<Keys>,
    /// Who asks for new keys when those of a role run out.
    parent: Option<Arc<Client>>,
}

struct Shared {
    http: reqwest::Client,
    account: String,
    endpoint: Option<String>,
    endpoints: BTreeMap<Service, String>,
    meter: Option<Meter>,
}

impl Client {
    /// A client with these settings. Opens no connection.
    ///
    /// # Panics
    /// When the machine has no source of randomness for TLS.
    pub fn new(settings: Settings) -> Self {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .tcp_nodelay(true)
            .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
            // Requests are signed for one place: nobody may send them elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a client without certificates or proxies of its own can be made on every machine");
        Self {
            shared: Arc::new(Shared {
                http,
                account: settings.account,
                endpoint: settings.endpoint,
                endpoints: settings.endpoints,
                meter: settings.meter,
            }),
            region: settings.region.into(),
            limits: settings.limits,
            keys: Arc::new(Keys::fixed(settings.credentials)),
            parent: None,
        }
    }

    /// Calls an operation of a service that speaks JSON.
    pub async fn json(&self, service: Service, operation: &str, input: &Value) -> Result<Value, CallError> {
        let metered = self.shared.meter.as_ref().filter(|_| service == Service::DynamoDb);
        let metered = metered.filter(|_| meter::says_capacity(operation));
        let body = match metered {
            Some(_) => {
                let mut input = input.clone();
                input["ReturnConsumedCapacity"] = json!("TOTAL");
                input.to_string()
            }
            None => input.to_string(),
        };
        let prepared = Prepared::json(self, service, operation, body)?;
        let answer = self
            .exchange(&prepared, Sink::Memory, |raw| {
                // Some operations answer with nothing at all.
                if raw.body.iter().all(u8::is_ascii_whitespace) {
                    return Ok(json!({}));
                }
                serde_json::from_slice::<Value>(&raw.body)
                    .map_err(|error| format!("the answer is not JSON: {error}"))
            })
            .await?;
        if let Some(meter) = metered {
            meter.capacity(operation, &answer);
        }
        Ok(answer)
    }

    /// Calls an operation of a service that takes a form and answers in XML; gives the answer's outermost element.
    pub async fn query(
        &self,
        service: Service,
        action: &str,
        params: &[(String, String)],
    ) -> Result<Xml, CallError> {
        let prepared = Prepared::query(self, service, action, params)?;
        let read = |raw: &send::Raw| Xml::parse(&String::from_utf8_lossy(&raw.body));
        self.exchange(&prepared, Sink::Memory, read).await
    }

    /// Calls a service with methods and paths of its own.
    pub async fn rest(&self, request: RestRequest) -> Result<RestAnswer, CallError> {
        let prepared = Prepared::rest(self, request)?;
        self.exchange(&prepared, Sink::Memory, |raw| Ok(RestAnswer::of(raw))).await
    }

    /// The same, with the answer's body written to a file that is made or replaced; the answer's own body is empty.
    pub async fn rest_to_file(&self, request: RestRequest, file: &Path) -> Result<RestAnswer, CallError> {
        let prepared = Prepared::rest(self, request)?;
        self.exchange(&prepared, Sink::File(file), |raw| Ok(RestAnswer::of(raw))).await
    }

    /// A client that acts in a role. Its keys are asked for now, kept, and renewed five minutes before they end. Asking
    /// again for the same role gives the same keys.
    pub async fn assume(&self, role_arn: &str) -> Result<Self, CallError> {
        let client = Self {
            shared: Arc::clone(&self.shared),
            region: Arc::clone(&self.region),
            limits: self.limits,
            keys: self.keys.of_role(role_arn),
            parent: Some(Arc::new(self.clone())),
        };
        client.credentials(Service::Sts).await?;
        Ok(client)
    }

    /// Fresh keys for a role, cut down by a session policy if there is one; not kept. STS gives a role that was
    /// assumed from another role an hour at most.
    pub async fn session(
        &self,
        role_arn: &str,
        session_name: &str,
        policy: Option<&str>,
        seconds: u32,
    ) -> Result<Credentials, CallError> {
        keys::assume_role(self, role_arn, session_name, policy, seconds).await
    }

    /// The same client with other limits.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        Self { limits, ..self.clone() }
    }

    /// The same client for another Region. Endpoints that were set stay.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        Self { region: region.into(), ..self.clone() }
    }

    /// Opens connections before they are needed: what a TLS handshake costs is then paid while a function starts. A
    /// service that does not answer now is none of its business.
    pub async fn connect(&self, services: &[Service]) {
        let mut opened = tokio::task::JoinSet::new();
        for &service in services {
            let asked = self.shared.http.get(self.endpoint(service)).timeout(CONNECT_MAX);
            opened.spawn(async move {
                // Read to the end, or the connection is not used again.
                let opening = async { asked.send().await?.bytes().await };
                if let Err(error) = opening.await {
                    tracing::debug!(%service, %error, "no connection yet");
                }
            });
        }
        opened.join_all().await;
    }

    /// The Region that is called.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The account, as the settings have it.
    pub fn account(&self) -> &str {
        &self.shared.account
    }

    /// The Region's partition, for ARNs.
    pub fn partition(&self) -> &'static str {
        partition(&self.region)
    }

    /// What counts the requests, if anything does.
    pub fn meter(&self) -> Option<&Meter> {
        self.shared.meter.as_ref()
    }

    /// Where a service is reached.
    fn endpoint(&self, service: Service) -> String {
        let set = self.shared.endpoints.get(&service).or(self.shared.endpoint.as_ref());
        set.map_or_else(
            || service::regional(service, &self.region),
            |url| url.trim_end_matches('/').to_owned(),
        )
    }

    /// True when a service is not reached where AWS has it.
    fn is_elsewhere(&self, service: Service) -> bool {
        self.shared.endpoint.is_some() || self.shared.endpoints.contains_key(&service)
    }

    /// Keys that hold for the next minutes.
    async fn credentials(&self, service: Service) -> Result<Credentials, CallError> {
        let current = self.keys.current(self.parent.as_deref()).await;
        current.inspect_err(|error| tracing::debug!(%service, %error, "no credentials"))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").field("region", &self.region).finish_non_exhaustive()
    }
}
