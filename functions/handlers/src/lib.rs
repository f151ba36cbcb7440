//! Every entry point as a plain async function over ports. Knows no adapter and reads no environment.

pub mod changes;
pub mod completion;
mod derived;
pub mod exceptions;
pub mod inbound;
pub mod measure;
pub mod notify;
pub mod operations;
pub mod paging;
pub mod permissions;
pub mod project;
pub mod publish;
pub mod relay;
pub mod sweep;
pub mod triggers;
pub mod webhook;
pub mod wire;
pub mod work;

use domain::catalogue::Registry;
use engine::{
    Engine,
    log::Log,
    ports::{Actions, ArtifactAccess, GitHosts, Secrets},
    views::Views,
};
use events::ActionTypeId;
use std::{collections::BTreeMap, sync::Arc};

/// What the world outside knows this home by, and what it may call there.
#[derive(Default)]
pub struct Outside {
    /// The address others reach it at, without `/` at its end.
    pub public_url: String,
    /// Who tells Git hosts where to send their pushes.
    pub git_hosts: Option<Box<dyn GitHosts>>,
}

/// What the operations work on. Clones share everything.
pub struct Service<L, A, V, S, X> {
    /// The core over its ports.
    pub engine: Engine<L, A>,
    /// Listings.
    pub views: Arc<V>,
    /// Secret configuration values, kept outside the log.
    pub secrets: Arc<S>,
    /// Who lends workers the artifacts of their jobs.
    pub access: Arc<X>,
    /// The action types this installation knows.
    pub registry: Arc<Registry>,
    /// Who does the work of third-party types.
    pub partners: Arc<BTreeMap<ActionTypeId, Partner>>,
    /// The world outside.
    pub outside: Arc<Outside>,
}

/// A partner that does the work of a third-party action type.
#[derive(Clone, PartialEq, Eq)]
pub struct Partner {
    /// By what a partner knows for whom a job is.
    pub client_id: String,
    /// By what we know the partner.
    pub client_token: String,
}

/// A partner never shows its token by accident.
impl std::fmt::Debug for Partner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Partner({})", self.client_id)
    }
}

impl<L, A, V, S, X> Clone for Service<L, A, V, S, X> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            views: Arc::clone(&self.views),
            secrets: Arc::clone(&self.secrets),
            access: Arc::clone(&self.access),
            registry: Arc::clone(&self.registry),
            partners: Arc::clone(&self.partners),
            outside: Arc::clone(&self.outside),
        }
    }
}

/// Ports every operation needs, as one bound.
pub trait Home: Clone + Send + Sync + 'static {
    /// The log.
    type Log: Log;
    /// Who acts.
    type Actions: Actions;
    /// Listings.
    type Views: Views;
    /// Secrets.
    type Secrets: Secrets;
    /// Who lends artifacts.
    type Access: ArtifactAccess;

    /// The core.
    fn engine(&self) -> &Engine<Self::Log, Self::Actions>;
    /// Listings.
    fn views(&self) -> &Self::Views;
    /// Secrets.
    fn secrets(&self) -> &Self::Secrets;
    /// Who lends artifacts.
    fn access(&self) -> &Self::Access;
    /// The action types.
    fn registry(&self) -> &Registry;
    /// Who does the work of a third-party type.
    fn partner(&self, action_type: &ActionTypeId) -> Option<&Partner>;
    /// The world outside.
    fn outside(&self) -> &Outside;
}

impl<L: Log, A: Actions, V: Views, S: Secrets, X: ArtifactAccess> Home for Service<L, A, V, S, X> {
    type Log = L;
    type Actions = A;
    type Views = V;
    type Secrets = S;
    type Access = X;

    fn engine(&self) -> &Engine<L, A> {
        &self.engine
    }

    fn views(&self) -> &V {
        &self.views
    }

    fn secrets(&self) -> &S {
        &self.secrets
    }

    fn access(&self) -> &X {
        &self.access
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn partner(&self, action_type: &ActionTypeId) -> Option<&Partner> {
        self.partners.get(action_type)
    }

    fn outside(&self) -> &Outside {
        &self.outside
    }
}

/// Who calls, as the signature proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The principal's ARN; recorded with everything it does.
    pub arn: String,
}
