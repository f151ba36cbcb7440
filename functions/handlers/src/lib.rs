//! Every entry point as a plain async function over ports. Knows no adapter and reads no environment.

pub mod exceptions;
pub mod operations;
pub mod paging;
pub mod project;
pub mod sweep;
pub mod webhook;

use domain::catalogue::Registry;
use engine::{
    Engine,
    log::Log,
    ports::{Actions, GitHosts, Secrets},
    views::Views,
};
use std::sync::Arc;

/// What the world outside knows this home by, and what it may call there.
#[derive(Default)]
pub struct Outside {
    /// The address others reach it at, without `/` at its end.
    pub public_url: String,
    /// Who tells Git hosts where to send their pushes.
    pub git_hosts: Option<Box<dyn GitHosts>>,
}

/// What the operations work on. Clones share everything.
pub struct Service<L, A, V, S> {
    /// The core over its ports.
    pub engine: Engine<L, A>,
    /// Listings.
    pub views: Arc<V>,
    /// Secret configuration values, kept outside the log.
    pub secrets: Arc<S>,
    /// The action types this installation knows.
    pub registry: Arc<Registry>,
    /// The world outside.
    pub outside: Arc<Outside>,
}

impl<L, A, V, S> Clone for Service<L, A, V, S> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            views: Arc::clone(&self.views),
            secrets: Arc::clone(&self.secrets),
            registry: Arc::clone(&self.registry),
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

    /// The core.
    fn engine(&self) -> &Engine<Self::Log, Self::Actions>;
    /// Listings.
    fn views(&self) -> &Self::Views;
    /// Secrets.
    fn secrets(&self) -> &Self::Secrets;
    /// The action types.
    fn registry(&self) -> &Registry;
    /// The world outside.
    fn outside(&self) -> &Outside;
}

impl<L: Log, A: Actions, V: Views, S: Secrets> Home for Service<L, A, V, S> {
    type Log = L;
    type Actions = A;
    type Views = V;
    type Secrets = S;

    fn engine(&self) -> &Engine<L, A> {
        &self.engine
    }

    fn views(&self) -> &V {
        &self.views
    }

    fn secrets(&self) -> &S {
        &self.secrets
    }

    fn registry(&self) -> &Registry {
        &self.registry
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
