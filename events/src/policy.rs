//! By which rules a run is governed beyond CodePipeline's own. Recorded with the run, so that its log alone says
//! why it went as it did.

use crate::StageName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What governs a run from its start to its end, retries included. The default is CodePipeline as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How closely the service's own limits are kept.
    #[serde(default, skip_serializing_if = "Compatibility::is_exact")]
    pub compatibility: Compatibility,
    /// Stages with rules of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gates: BTreeMap<StageName, GatePolicy>,
}

/// CodePipeline as it is, without any extension.
pub static EXACT: Policy = Policy { compatibility: Compatibility::Exact, gates: BTreeMap::new() };

impl Policy {
    /// CodePipeline as it is.
    pub fn is_exact(&self) -> bool {
        *self == EXACT
    }

    /// The run keeps its own definition.
    pub fn is_extended(&self) -> bool {
        self.compatibility == Compatibility::Extended
    }
}

/// How closely CodePipeline's own limits are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compatibility {
    /// As the service does it: an update ends what is under way, and forbids retries and rollbacks across it.
    #[default]
    Exact,
    /// A run keeps the definition it started with, and no older run deploys after a newer one.
    Extended,
}

impl Compatibility {
    /// The word in settings and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Extended => "extended",
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    fn is_exact(&self) -> bool {
        *self == Self::Exact
    }
}

/// The rules of one stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatePolicy {
    /// What a newer arrival does while a run waits here for its approval.
    #[serde(default, skip_serializing_if = "Newer::is_hold")]
    pub newer: Newer,
    /// What becomes of an older run that arrives after a newer one has entered. Without it the mode decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older: Option<Older>,
}

/// What a newer arrival does to a run that waits for its approval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Newer {
    /// It waits at the door, as in CodePipeline.
    #[default]
    Hold,
    /// It takes the older one's place: that is superseded, its token void.
    Supersede,
    /// It waits, and the older one can only be rejected.
    Newest,
}

impl Newer {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    fn is_hold(&self) -> bool {
        *self == Self::Hold
    }

    /// The word in settings and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Supersede => "supersede",
            Self::Newest => "newest",
        }
    }
}

/// What becomes of a run that comes to a stage after a newer one has entered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Older {
    /// It is superseded.
    Refuse,
    /// It enters.
    Allow,
}

/// On which terms a run waits for a stage or holds it. The default is CodePipeline as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The run keeps its own definition: an update does not send it away.
    #[serde(default, skip_serializing_if = "is_false")]
    pub extended: bool,
    /// The stage is entered by one run at a time, in every mode, and by none that is older than who entered before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ordered: bool,
    /// The run rolls the stage back: it says nothing about how new what it brings is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub rollback: bool,
    /// What a newer arrival does while the run waits for its approval.
    #[serde(default, skip_serializing_if = "Newer::is_hold")]
    pub newer: Newer,
}

impl Terms {
    /// CodePipeline as it is.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// Which rule made a run give way, where it was not its mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GaveWay {
    /// It waited for an approval whose gate lets newer runs take its place.
    Gate,
    /// A newer run has entered the stage before it.
    Order,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
