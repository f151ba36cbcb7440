//! Which adapter stands for which port.

use crate::settings::{Effects, Function, Publishing, Settings};
use aws::{
    actions::{self, AwsActions, Handover, Identity, ledger},
    artifact_access::StsArtifactAccess,
    claims::Claims,
    client::Client,
    external::External,
    log::{DynamoLog, Tables},
    outward::{DynamoMarks, EventBus, SnsTopics},
    secrets::ParameterSecrets,
    views::DynamoViews,
    world::{NoTimers, RandomIds, SystemClock},
};
use domain::{catalogue::Registry, policy::Policies};
use engine::{
    Engine, World,
    action::Work,
    ports::{ArtifactAccess, ArtifactAccessError, ArtifactCredentials, ArtifactLoan},
    views::ViewsError,
};
use events::{Compatibility, Timestamp};
use handlers::{
    Outside, Service, completion,
    publish::{Telling, TopicRule},
};
use std::sync::Arc;

/// The operations over AWS.
pub type LambdaService = Service<DynamoLog, AwsActions, DynamoViews, ParameterSecrets, Lending>;

/// Who is told of changes of state.
pub type Outlets = handlers::publish::Outlets<EventBus, SnsTopics, DynamoMarks>;

/// The operations over these settings.
pub fn service(settings: &Settings, client: &Client) -> LambdaService {
    let tables = Tables { log: settings.log_table.clone(), views: settings.views_table.clone() };
    let effects = settings.effects.as_ref();
    let role = effects.and_then(|effects| effects.artifact_role.as_deref());
    let lending = Lending(role.map(|role| StsArtifactAccess::new(client, role)));
    let world = World {
        log: DynamoLog::new(client, tables),
        actions: actions(settings, client, lending.clone()),
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds),
        timers: Arc::new(NoTimers),
        region: settings.client.region.clone(),
        account: settings.client.account.clone(),
    };
    let compatibility = effects.map_or(Compatibility::Exact, |effects| effects.compatibility);
    let (root, key) =
        effects.map_or(("/", None), |effects| (effects.secrets_prefix.as_str(), effects.secrets_key.clone()));
    Service {
        engine: Engine::governed(world, Policies { compatibility, ..Policies::default() }),
        views: Arc::new(DynamoViews::new(client, &settings.views_table)),
        secrets: Arc::new(ParameterSecrets::below(client, root, key)),
        access: Arc::new(lending),
        registry: Arc::new(Registry::builtin()),
        partners: Arc::default(),
        outside: Arc::new(Outside {
            public_url: effects.map(|effects| effects.public_url.clone()).unwrap_or_default(),
            git_hosts: None,
        }),
    }
}

fn actions(settings: &Settings, client: &Client, lending: Lending) -> AwsActions {
    let views = &settings.views_table;
    let ledger =
        ledger::Tables { claims: Claims::new(client, views), external: External::new(client, views) };
    let of = |read: fn(&Effects) -> Option<String>| settings.effects.as_ref().and_then(read);
    // The function for long work is where long work is done.
    let work = of(|effects| effects.work_function.clone()).filter(|_| settings.function != Function::Work);
    let is_own = settings.effects.as_ref().is_some_and(|effects| effects.acts_as_itself);
    let how = actions::Settings {
        handover: work.map_or(Handover::Here, Handover::Function),
        identity: if is_own { Identity::Own } else { Identity::Roles },
        compute_project: of(|effects| effects.compute_project.clone()),
        ..actions::Settings::default()
    };
    AwsActions::new(client.clone(), ledger, lending, Arc::new(SystemClock), how)
}

/// Who is told of changes of state.
pub fn outlets(publishing: &Publishing, settings: &Settings, client: &Client) -> Outlets {
    Outlets {
        bus: Arc::new(EventBus::new(client, &publishing.bus)),
        topics: Arc::new(SnsTopics::new(client)),
        marks: Arc::new(DynamoMarks::new(client, &settings.views_table)),
        telling: Arc::new(Telling {
            source: publishing.source.clone(),
            console: settings.console.clone(),
            topic: publishing.topic.as_ref().map(TopicRule::of),
        }),
    }
}

/// What providers' ids lead to.
pub struct Externals(External);

impl Externals {
    /// The rows in this table.
    pub fn new(client: &Client, table: &str) -> Self {
        Self(External::new(client, table))
    }
}

impl completion::Externals for Externals {
    async fn whose(&self, provider: &str, id: &str) -> Result<Option<Work>, ViewsError> {
        self.0.find(provider, id).await
    }
}

/// Lends artifacts where there is a role to lend them by.
#[derive(Clone)]
pub struct Lending(Option<StsArtifactAccess>);

impl ArtifactAccess for Lending {
    async fn lend(
        &self,
        loan: &ArtifactLoan,
        now: Timestamp,
    ) -> Result<ArtifactCredentials, ArtifactAccessError> {
        match &self.0 {
            Some(access) => access.lend(loan, now).await,
            None => Err(ArtifactAccessError(
                "this installation has no role to lend artifacts by: name one in `TOWPATH_ARTIFACT_ROLE_ARN`"
                    .to_owned(),
            )),
        }
    }
}
