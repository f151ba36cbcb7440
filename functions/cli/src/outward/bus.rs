//! The bus of this machine: its rules hear of every event, and so do a file and an address, if they are asked for.

use super::web::ReqwestWeb;
use crate::{
    inbound::{Known, deal},
    machine::LocalService,
};
use domain::trigger::{Here, Rule, event::Made};
use engine::ports::{Bus, BusEvent, OutwardError, TopicMessage, Topics, Web, WebPost};
use events::TriggerSource;
use handlers::triggers::{Arrived, What};
use local::settings::NotificationSettings;
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Events whose rules were asked, and that are remembered when they come again because a file or an address failed.
const ASKED_MAX: usize = 4096;

/// See above.
pub(super) struct LocalBus {
    service: LocalService,
    rules: Arc<Vec<Rule>>,
    file: Option<PathBuf>,
    post: Option<String>,
    web: Arc<ReqwestWeb>,
    asked: Mutex<VecDeque<String>>,
}

impl LocalBus {
    pub(super) fn new(
        service: LocalService,
        known: &Known,
        settings: &NotificationSettings,
        web: Arc<ReqwestWeb>,
    ) -> Self {
        Self {
            service,
            rules: Arc::clone(&known.plain),
            file: settings.file.clone(),
            post: settings.post.clone(),
            web,
            asked: Mutex::default(),
        }
    }

    fn whole(&self, event: &BusEvent) -> Value {
        let engine = &self.service.engine;
        let made = Made {
            id: event.id.clone(),
            at: event.time,
            source: event.source.clone(),
            detail_type: event.detail_type.clone(),
            resources: event.resources.clone(),
            detail: serde_json::from_str(&event.detail).unwrap_or_default(),
        };
        made.event(Here { region: engine.region(), account: engine.account() })
    }

    /// Rules that do not match are not even evaluated: most events concern nobody.
    async fn ask_rules(&self, id: &str, event: Value) {
        let is_wanted = self
            .rules
            .iter()
            .any(|rule| rule.pattern.as_ref().is_some_and(|pattern| pattern.matches(&event)));
        let is_asked = {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.iter().any(|other| other == id)
        };
        if !is_wanted || is_asked {
            return;
        }
        let what = What::Bus { event, rules: &self.rules };
        deal(&self.service, &Arrived { source: TriggerSource::Pipeline, delivery: id.to_owned(), what })
            .await;
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push_back(id.to_owned());
        if asked.len() > ASKED_MAX {
            asked.pop_front();
        }
    }

    async fn write(&self, lines: &[Value]) -> Result<(), OutwardError> {
        if let Some(file) = &self.file {
            append(file, lines).map_err(|error| {
                OutwardError::Unavailable(format!("`{}` cannot be written: {error}", file.display()))
            })?;
        }
        let Some(url) = &self.post else { return Ok(()) };
        for line in lines {
            let post = WebPost { url: url.clone(), bearer: None, body: line.to_string() };
            let answer = self.web.post(post).await;
            let unavailable =
                |reason: String| OutwardError::Unavailable(format!("`notifications.post`: {reason}"));
            match answer.map_err(|error| unavailable(error.to_string()))?.status {
                200..=299 => {}
                status @ (408 | 429 | 500..) => return Err(unavailable(format!("status {status}"))),
                status => tracing::error!(status, "the address of `notifications.post` refused an event"),
            }
        }
        Ok(())
    }
}

fn append(file: &Path, lines: &[Value]) -> std::io::Result<()> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(text.as_bytes())
}

impl Bus for LocalBus {
    async fn put(&self, events: Vec<BusEvent>) -> Result<(), OutwardError> {
        let whole: Vec<Value> = events.iter().map(|event| self.whole(event)).collect();
        for (event, whole) in events.iter().zip(&whole) {
            self.ask_rules(&event.id, whole.clone()).await;
        }
        self.write(&whole).await
    }
}

/// There are no topics on this machine: what they would get goes where events go.
impl Topics for LocalBus {
    async fn publish(&self, message: TopicMessage) -> Result<(), OutwardError> {
        let line = json!({
            "topic": message.topic,
            "subject": message.subject,
            "message": message.message,
            "attributes": message.attributes,
        });
        self.write(&[line]).await
    }
}
