//! The events of a deployment, their order, and which bundle supplies their scripts.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One step of a host's deployment, spelled as CodeDeploy spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Event {
    BeforeBlockTraffic,
    BlockTraffic,
    AfterBlockTraffic,
    ApplicationStop,
    DownloadBundle,
    BeforeInstall,
    Install,
    AfterInstall,
    ApplicationStart,
    ValidateService,
    BeforeAllowTraffic,
    AllowTraffic,
    AfterAllowTraffic,
}

/// Taking a host out of traffic.
pub(super) const BLOCK: [Event; 3] =
    [Event::BeforeBlockTraffic, Event::BlockTraffic, Event::AfterBlockTraffic];
/// Putting a host into traffic.
pub(super) const ALLOW: [Event; 3] =
    [Event::BeforeAllowTraffic, Event::AllowTraffic, Event::AfterAllowTraffic];
/// Replacing the application on a host.
pub(super) const REPLACE: [Event; 7] = [
    Event::ApplicationStop,
    Event::DownloadBundle,
    Event::BeforeInstall,
    Event::Install,
    Event::AfterInstall,
    Event::ApplicationStart,
    Event::ValidateService,
];

/// The order of an in-place deployment; the traffic events are part of it only behind a load balancer.
pub(super) fn in_place(traffic: bool) -> Vec<Event> {
    if traffic { [&BLOCK[..], &REPLACE[..], &ALLOW[..]].concat() } else { REPLACE.to_vec() }
}

/// Names that appear in CodeDeploy's own order of events and can carry no scripts.
pub(super) const RESERVED: [&str; 6] =
    ["Start", "BlockTraffic", "DownloadBundle", "Install", "AllowTraffic", "End"];

impl Event {
    const ALL: [Self; 13] = [
        Self::BeforeBlockTraffic,
        Self::BlockTraffic,
        Self::AfterBlockTraffic,
        Self::ApplicationStop,
        Self::DownloadBundle,
        Self::BeforeInstall,
        Self::Install,
        Self::AfterInstall,
        Self::ApplicationStart,
        Self::ValidateService,
        Self::BeforeAllowTraffic,
        Self::AllowTraffic,
        Self::AfterAllowTraffic,
    ];

    /// The events an appspec may give scripts to.
    pub(super) fn scriptable() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|event| !RESERVED.contains(&event.name()))
    }

    /// The event of a hook's name; `None` for unknown and reserved names.
    pub(super) fn hook(name: &str) -> Option<Self> {
        Self::scriptable().find(|event| event.name() == name)
    }

    /// The name as appspecs and logs spell it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BeforeBlockTraffic => "BeforeBlockTraffic",
            Self::BlockTraffic => "BlockTraffic",
            Self::AfterBlockTraffic => "AfterBlockTraffic",
            Self::ApplicationStop => "ApplicationStop",
            Self::DownloadBundle => "DownloadBundle",
            Self::BeforeInstall => "BeforeInstall",
            Self::Install => "Install",
            Self::AfterInstall => "AfterInstall",
            Self::ApplicationStart => "ApplicationStart",
            Self::ValidateService => "ValidateService",
            Self::BeforeAllowTraffic => "BeforeAllowTraffic",
            Self::AllowTraffic => "AllowTraffic",
            Self::AfterAllowTraffic => "AfterAllowTraffic",
        }
    }

    /// Stopping and blocking act on what runs now, so they use the scripts it came with.
    pub(super) fn uses_last_successful(self) -> bool {
        matches!(self, Self::ApplicationStop | Self::BeforeBlockTraffic | Self::AfterBlockTraffic)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
