//! What leaves this machine when the state of an execution changes: events for the rules of this machine, so that one
//! pipeline's success starts another; events for a file or an address; notices for Slack.
//!
//! Two readers follow the log, each at its own pace: a Slack that does not answer keeps no pipeline waiting. What cannot
//! be told is tried again, and given up after [`GIVEN_UP`].

mod bus;
mod follow;
mod web;

use crate::{inbound::Known, machine::LocalService};
use anyhow::Context;
use bus::LocalBus;
use engine::ports::Clock;
use follow::{Heard, begin, follow};
use handlers::{
    notify::{Channel, Desk, notify_of, slack::Way},
    publish::{Outlets, SOURCE_AT_HOME, Telling, publish},
};
use local::{
    log::SqliteLog,
    marks::MarkFiles,
    settings::{NotificationSettings, SlackSettings, SlackWay},
    world::SystemClock,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::task::JoinSet;
use web::ReqwestWeb;

/// How long one execution's notices may wait for Slack before those of others have their turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that is told.
pub struct Outward {
    outlets: Option<Outlets<LocalBus, LocalBus, MarkFiles>>,
    desk: Option<Desk<ReqwestWeb, MarkFiles>>,
    state: PathBuf,
}

impl Outward {
    /// From the settings; secrets are read once.
    pub fn of(
        service: &LocalService,
        log: &SqliteLog,
        known: &Known,
        settings: &NotificationSettings,
        state: &Path,
    ) -> anyhow::Result<Self> {
        let web = Arc::new(ReqwestWeb::new()?);
        let marks = Arc::new(MarkFiles::new(state.join("told")));
        if let Err(error) = marks.sweep(SystemClock.now()) {
            // Nothing depends on it but the space that it takes.
            tracing::warn!(%error, "old notes of what was told could not be removed");
        }
        let console = settings.console.as_deref().map(|url| url.trim_end_matches('/').to_owned());
        let is_heard = settings.file.is_some()
            || settings.post.is_some()
            || known.plain.iter().any(|rule| rule.pattern.is_some());
        let outlets = is_heard.then(|| {
            let bus = Arc::new(LocalBus::new(service.clone(), known, settings, Arc::clone(&web)));
            let telling = Telling { source: SOURCE_AT_HOME.into(), console: console.clone(), topic: None };
            Outlets {
                bus: Arc::clone(&bus),
                topics: bus,
                marks: Arc::clone(&marks),
                telling: Arc::new(telling),
            }
        });
        let channels = settings.slack.iter().map(channel).collect::<anyhow::Result<Vec<_>>>()?;
        let channels = Arc::new(channels);
        let desk = (!channels.is_empty()).then(|| Desk {
            web,
            marks,
            channels,
            console,
            patience: PATIENCE,
            // The state folder is locked.
            alone: true,
        });
        for (file, is_wanted) in [(BUS_FILE, outlets.is_some()), (DESK_FILE, desk.is_some())] {
            if is_wanted {
                begin(log, &state.join(file));
            } else {
                // Whoever is told later is told of what happens then.
                let _ = std::fs::remove_file(state.join(file));
            }
        }
        Ok(Self { outlets, desk, state: state.to_owned() })
    }

    /// Begins to tell.
    pub fn tell(self, tasks: &mut JoinSet<()>, service: &LocalService, log: &Arc<SqliteLog>) {
        let Self { outlets, desk, state } = self;
        if let Some(outlets) = outlets {
            let service = service.clone();
            let told = move |heard: Heard| {
                let (service, outlets) = (service.clone(), outlets.clone());
                async move {
                    let told = publish(&service, &outlets, &heard.execution, heard.since).await;
                    told.map(drop).map_err(|error| error.to_string())
                }
            };
            tasks.spawn(follow(Arc::clone(log), state.join(BUS_FILE), "the bus", told));
        }
        if let Some(desk) = desk {
            let service = service.clone();
            let told = move |heard: Heard| {
                let (service, desk) = (service.clone(), desk.clone());
                async move {
                    let told = notify_of(&service, &desk, &heard.execution).await;
                    told.map(drop).map_err(|error| error.to_string())
                }
            };
            tasks.spawn(follow(Arc::clone(log), state.join(DESK_FILE), "Slack", told));
        }
    }
}

/// How far the bus was told.
const BUS_FILE: &str = "followed.json";
/// How far people were told.
const DESK_FILE: &str = "notified.json";

fn channel(settings: &SlackSettings) -> anyhow::Result<Channel> {
    let place = || format!("`[[notifications.slack]]` `{}`", settings.name);
    let way = settings.way().map_err(anyhow::Error::msg).with_context(place)?;
    let way = match way {
        SlackWay::Webhook(url) => Way::Webhook { url },
        SlackWay::Bot(token, channel) => {
            Way::Bot { token, channel, api: settings.api.trim_end_matches('/').to_owned() }
        }
    };
    let rules = settings.rules().map_err(|(key, message)| anyhow::anyhow!("{key}: {message}"));
    Ok(Channel { id: settings.name.clone(), way, rules: rules.with_context(place)? })
}
