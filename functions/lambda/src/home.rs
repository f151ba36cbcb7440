//! The home on AWS: the adapters, wired together, and what the functions need besides them.

use crate::{
    adapters::{self, Externals, LambdaService, Outlets},
    entry::Failed,
    settings::Settings,
    telemetry::{Metrics, now_ms},
};
use api::{ApiError, Code};
use aws::{
    client::{Client, Service},
    outward::{DynamoMarks, HttpsWeb},
};
use engine::{
    log::{BoxError, Commit, LogError},
    outward::WEB_ANSWER_SECONDS_MAX,
};
use events::ExecutionId;
use handlers::{
    measure::Measure,
    notify::{Channel, Desk, settings::NoticeSettings},
    permissions::Permissions,
    publish::{Courses, publish_fresh},
    triggers::Host,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// For how long what was read from a parameter counts, milliseconds: 1 minute.
const READ_KEPT_MS: i64 = 60 * 1000;
/// For how long it counts when it cannot be read again, milliseconds: 15 minutes.
const STALE_KEPT_MS: i64 = 15 * 60 * 1000;

/// An account with an installation, as one function sees it.
pub struct Home {
    /// The operations over this home's adapters.
    pub service: LambdaService,
    /// What providers' ids lead to.
    pub externals: Externals,
    /// What this function works with.
    pub settings: Settings,
    outlets: Option<Outlets>,
    courses: Courses,
    client: Client,
    metrics: Metrics,
    permissions: Mutex<Option<Read<Permissions>>>,
    host_secrets: Mutex<BTreeMap<Host, Read<Option<String>>>>,
    channels: Mutex<Option<Read<Noticed>>>,
}

/// Who is told, with what is needed for it.
struct Noticed {
    channels: Arc<Vec<Channel>>,
    console: Option<String>,
    web: Arc<HttpsWeb>,
}

/// Who tells people.
pub type LambdaDesk = Desk<HttpsWeb, DynamoMarks>;

/// Something that was read, and when.
struct Read<T> {
    at_ms: i64,
    value: Arc<T>,
}

impl<T> Read<T> {
    fn within(&self, kept_ms: i64) -> Option<Arc<T>> {
        (now_ms().saturating_sub(self.at_ms) < kept_ms).then(|| Arc::clone(&self.value))
    }
}

impl Home {
    /// Puts the adapters together. Calls nobody.
    pub fn new(settings: Settings) -> Self {
        let client = Client::new(settings.client.clone());
        let metrics = Metrics::to_stdout(
            &settings.metrics_namespace,
            &settings.installation,
            settings.function.name(),
            settings.metrics_detail,
        );
        Self {
            service: adapters::service(&settings, &client),
            outlets: settings
                .publishing
                .as_ref()
                .map(|publishing| adapters::outlets(publishing, &settings, &client)),
            courses: Courses::default(),
            externals: Externals::new(&client, &settings.views_table),
            client,
            metrics,
            permissions: Mutex::default(),
            host_secrets: Mutex::default(),
            channels: Mutex::default(),
            settings,
        }
    }

    /// Which function this is.
    pub fn function(&self) -> &'static str {
        self.settings.function.name()
    }

    /// Opens the connections that nearly every invocation needs.
    pub async fn connect(&self) {
        self.client.connect(&[Service::DynamoDb]).await;
    }

    /// Waits until everything that was set going has come to its end, at most until then. What is left over, `sweep`
    /// finds.
    pub async fn settle(&self, until_ms: i64) {
        if tokio::time::timeout(left(until_ms), self.service.engine.quiet()).await.is_err() {
            tracing::error!("the time is over, and not everything that was set going has ended");
        }
    }

    /// Does something, at most until then.
    pub async fn within<T>(&self, until_ms: i64, work: impl Future<Output = T>) -> Result<T, Failed> {
        let done = tokio::time::timeout(left(until_ms), work).await;
        done.map_err(|_| Failed::later("the time is over: what was not done will be, when this comes again"))
    }

    /// Writes metrics; those that say nothing are left out.
    pub fn measured(&self, measures: &[Measure]) {
        let some: Vec<Measure> = measures.iter().filter(|measure| measure.value > 0.0).cloned().collect();
        self.metrics.write(&some);
    }

    /// The commit in an item of the log's table.
    pub fn commit(image: &Value) -> Option<Result<Commit, String>> {
        Some(aws::log::commit(image).map_err(|error| match error {
            // Nobody was asked, so nobody failed to answer.
            LogError::Unavailable { subject, source } => format!("{subject}: {source}"),
            other => other.to_string(),
        }))
    }

    /// Tells the world of an execution's changes of state.
    pub async fn publish(&self, execution: &ExecutionId, commits: &[&Commit]) -> Result<(), BoxError> {
        let Some(outlets) = &self.outlets else { return Ok(()) };
        let published = publish_fresh(&self.service, outlets, &self.courses, execution, commits).await?;
        if published.refused > 0 {
            self.measured(&[Measure::count("StateChangesRefused", published.refused)]);
        }
        Ok(())
    }

    /// Puts a message into the queue of what nobody can deal with.
    pub async fn put_aside(&self, message: &str) -> Result<(), String> {
        let Some(url) = &self.settings.dead_letters else {
            return Err("`TOWPATH_DEAD_LETTERS_URL` names no queue".to_owned());
        };
        let input = json!({ "QueueUrl": url, "MessageBody": message });
        let sent = self.client.json(Service::Sqs, "SendMessage", &input).await;
        sent.map(drop).map_err(|error| error.to_string())
    }

    /// Who may do what. A table that cannot be had or understood lets nobody in.
    pub async fn permissions(&self) -> Result<Arc<Permissions>, ApiError> {
        let Some(name) = &self.settings.permissions else { return Ok(Arc::default()) };
        let mut kept = self.permissions.lock().await;
        if let Some(fresh) = kept.as_ref().and_then(|read| read.within(READ_KEPT_MS)) {
            return Ok(fresh);
        }
        let read = match self.parameter(name).await {
            Ok(Some(text)) => Permissions::parse(&text).map_err(|error| error.to_string()),
            Ok(None) => Err("there is no such parameter".to_owned()),
            Err(error) => match kept.as_ref().and_then(|read| read.within(STALE_KEPT_MS)) {
                Some(stale) => {
                    tracing::warn!(error, "the table of permissions could not be read again");
                    return Ok(stale);
                }
                None => Err(error),
            },
        };
        match read {
            Ok(table) => {
                let value = Arc::new(table);
                *kept = Some(Read { at_ms: now_ms(), value: Arc::clone(&value) });
                Ok(value)
            }
            Err(reason) => {
                *kept = None;
                tracing::error!(parameter = name, reason, "nobody is let in");
                let text =
                    format!("nobody is let in while the SSM parameter `{name}` cannot be used: {reason}");
                Err(ApiError::new(Code::ServiceUnavailable, text))
            }
        }
    }

    /// Where the table of permissions lies, for people.
    pub fn permissions_place(&self) -> String {
        match &self.settings.permissions {
            Some(name) => format!("the SSM parameter `{name}`"),
            None => "an SSM parameter, and name it in `TOWPATH_PERMISSIONS_PARAMETER`".to_owned(),
        }
    }

    /// What a Git host signs with; `None` when it may not call.
    pub async fn host_secret(&self, host: Host) -> Result<Option<String>, String> {
        let mut kept = self.host_secrets.lock().await;
        if let Some(fresh) = kept.get(&host).and_then(|read| read.within(READ_KEPT_MS)) {
            return Ok(Option::clone(&fresh));
        }
        let secret = self.parameter(&self.host_secret_place(host)).await?;
        kept.insert(host, Read { at_ms: now_ms(), value: Arc::new(secret.clone()) });
        Ok(secret)
    }

    /// The SSM parameter with what a Git host signs with.
    pub fn host_secret_place(&self, host: Host) -> String {
        let prefix = self.settings.effects.as_ref().map_or("/", |effects| &effects.secrets_prefix);
        let name = match host {
            Host::GitHub => "github",
            Host::GitLab => "gitlab",
            Host::Bitbucket => "bitbucket",
        };
        format!("{prefix}hooks/{name}")
    }

    /// Who is told of changes of state until then; `None` when nobody is.
    pub async fn desk(&self, until_ms: i64) -> Result<Option<LambdaDesk>, String> {
        let Some(noticed) = self.noticed().await? else { return Ok(None) };
        // The last call may take its time as well, and what was told must be noted.
        let patience = left(until_ms).saturating_sub(Duration::from_secs(WEB_ANSWER_SECONDS_MAX + 5));
        Ok((!noticed.channels.is_empty()).then(|| Desk {
            web: Arc::clone(&noticed.web),
            marks: Arc::new(DynamoMarks::new(&self.client, &self.settings.views_table)),
            channels: Arc::clone(&noticed.channels),
            console: noticed.console.clone(),
            patience,
            alone: false,
        }))
    }

    async fn noticed(&self) -> Result<Option<Arc<Noticed>>, String> {
        let Some(name) = &self.settings.notices else { return Ok(None) };
        let mut kept = self.channels.lock().await;
        if let Some(fresh) = kept.as_ref().and_then(|read| read.within(READ_KEPT_MS)) {
            return Ok(Some(fresh));
        }
        let Some(text) = self.parameter(name).await? else { return Ok(None) };
        let wanted = NoticeSettings::parse(&text).map_err(|error| format!("`{name}`: {error}"))?;
        let mut secrets = BTreeMap::new();
        for secret in wanted.secrets() {
            if let Some(value) = self.parameter(secret).await? {
                secrets.insert(secret.to_owned(), value);
            }
        }
        let (channels, wrong) = wanted.channels(|secret| secrets.get(secret).cloned());
        for error in wrong {
            tracing::error!(%error, "a channel is told nothing");
        }
        let web = kept.as_ref().map(|read| Arc::clone(&read.value.web));
        let value = Arc::new(Noticed {
            channels: Arc::new(channels),
            console: wanted
                .console
                .map(|url| url.trim_end_matches('/').to_owned())
                .or_else(|| self.settings.console.clone()),
            web: web.unwrap_or_else(|| Arc::new(self.web())),
        });
        *kept = Some(Read { at_ms: now_ms(), value: Arc::clone(&value) });
        Ok(Some(value))
    }

    /// The way out to Slack: over TLS, unless this installation stands on an emulator.
    fn web(&self) -> HttpsWeb {
        if self.settings.plain_web { HttpsWeb::plain() } else { HttpsWeb::new() }
    }

    /// A parameter's value; `None` when there is none of that name, or it is empty.
    async fn parameter(&self, name: &str) -> Result<Option<String>, String> {
        let input = json!({ "Name": name, "WithDecryption": true });
        match self.client.json(Service::Ssm, "GetParameter", &input).await {
            Ok(output) => {
                let value = output["Parameter"]["Value"].as_str().map(str::to_owned);
                Ok(value.filter(|value| !value.trim().is_empty()))
            }
            Err(error) if error.is(&["ParameterNotFound"]) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// How long it is until then.
fn left(until_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(until_ms.saturating_sub(now_ms())).unwrap_or(0))
}
