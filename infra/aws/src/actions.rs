//! Actions and rules on AWS: each provider's work is begun with a call or two, and asked after when word comes that it
//! has ended. The port is [`provider`]; one file beside it for each provider.
//!
//! Who begins an attempt holds its claim (`docs/adr/0012-home-on-aws.md`), unless beginning it twice comes to one. A claim that ran out says that its holder
//! died at any distance: then the service is asked first whether it knows the attempt.

pub mod archive;
pub mod clone_ref;
pub mod cloudformation;
pub mod codebuild;
pub mod codecommit;
pub mod codedeploy;
pub mod commands;
pub mod ecs;
pub mod failure;
pub mod lambda_invoke;
pub mod ledger;
pub mod lend;
pub mod objects;
pub mod provider;
mod regions;
pub mod rules;
pub mod s3_deploy;
pub mod s3_source;
mod scratch;
pub mod step_functions;

use crate::client::{Client, RestRequest, Service};
use engine::{
    action::{ActionJob, Begun, Failure, FailureCode, Outcome, Run, Work},
    ports::{Actions, Clock},
    rule::{RuleJob, RuleOutcome},
};
use events::{ActionCategory, ActionExecutionId, ActionOwner, ActionTypeId, Timestamp};
use http::Method;
use ledger::Ledger;
use lend::Lend;
use objects::Objects;
use provider::{Provider, Step, Task, configuration, unavailable};
use std::{borrow::Cow, path::PathBuf, sync::Arc, time::Duration};

/// How long a claim holds for a few calls, in milliseconds: as long as they take with every repetition, and more.
const CLAIM_MS: i64 = 2 * 60 * 1000;
/// How long a claim holds for long work, in milliseconds: as long as Lambda lets a function run.
const LONG_CLAIM_MS: i64 = 15 * 60 * 1000;
/// How long an attempt that was handed on is not handed on again, in milliseconds.
const HANDED_MS: i64 = 3 * 60 * 1000;

/// What carries out actions here. Clones are the same.
#[derive(Clone)]
pub struct AwsActions(Arc<Shared>);

struct Shared {
    client: Client,
    ledger: Arc<dyn Ledger>,
    lend: Arc<dyn Lend>,
    clock: Arc<dyn Clock>,
    settings: Settings,
}

/// How actions are carried out.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who does long work.
    pub handover: Handover,
    /// In whose name services are called.
    pub identity: Identity,
    /// The CodeBuild project in which commands run; without one, actions of that kind are refused.
    pub compute_project: Option<String>,
    /// Where files may be put for a while.
    pub scratch: PathBuf,
    /// How long may be waited for what no event tells of, such as a change set.
    pub linger: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            handover: Handover::Here,
            identity: Identity::Roles,
            compute_project: None,
            scratch: std::env::temp_dir(),
            linger: Duration::from_secs(15),
        }
    }
}

/// Who does work that takes longer than a function should that answers somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handover {
    /// This process: it has the time.
    Here,
    /// This function: its name or ARN. It gets `{"pipeline", "execution", "attempt"}`, and takes that attempt up.
    Function(String),
}

/// In whose name services are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// The pipeline's role, and the action's own where it has one: what they may, and no more.
    Roles,
    /// The function's own role, whatever a definition says. For an account in which all pipelines may do the same.
    Own,
}

/// The table. Another provider is a file beside this one, and a line here.
fn provider(action_type: &ActionTypeId) -> Option<&'static dyn Provider> {
    use ActionCategory::{Build, Compute, Deploy, Invoke, Source, Test};
    let ActionTypeId { category, owner, provider, version } = action_type;
    if *owner != ActionOwner::AWS || version != "1" {
        return None;
    }
    let provider: &'static dyn Provider = match (category, provider.as_str()) {
        (Source, "CodeCommit") => &codecommit::CodeCommit,
        (Source, "S3") => &s3_source::S3Source,
        (Build | Test, "CodeBuild") => &codebuild::CodeBuild,
        (Build | Compute, "Commands") => &commands::Commands,
        (Deploy, "CloudFormation") => &cloudformation::CloudFormation,
        (Deploy, "CodeDeploy") => &codedeploy::CodeDeploy,
        (Deploy, "ECS") => &ecs::Ecs,
        (Deploy, "S3") => &s3_deploy::S3Deploy,
        (Invoke, "Lambda") => &lambda_invoke::LambdaInvoke,
        (Invoke, "StepFunctions") => &step_functions::StepFunctions,
        _ => return None,
    };
    Some(provider)
}

/// Says what to do about a type that nothing here carries out.
fn no_provider(action_type: &ActionTypeId) -> Failure {
    let ActionTypeId { category, owner, provider, .. } = action_type;
    let hint = match (category, provider.as_str()) {
        (ActionCategory::Source, "CodeStarSourceConnection" | "GitHub") => {
            "Mirror the repository to CodeCommit, or have its host upload an archive to a versioned bucket and use the \
             source `S3`."
        }
        (_, "CodeDeployToECS") => {
            "Deploy with the provider `ECS`, with CloudFormation, or with CodeBuild and `aws deploy`."
        }
        (_, "OpsWorks") => "AWS has retired the service.",
        _ if *owner == ActionOwner::Custom => "Its work is done by workers that ask for it.",
        _ => {
            "Run the service's command line in a CodeBuild action instead, or register a custom action type."
        }
    };
    configuration(format!("Towpath on AWS cannot carry out actions of the type {action_type} yet. {hint}"))
}

impl AwsActions {
    /// Carries actions out with this client, whose Region is that of the pipelines.
    pub fn new(
        client: Client,
        ledger: impl Ledger,
        lend: impl Lend,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Self {
        Self(Arc::new(Shared { client, ledger: Arc::new(ledger), lend: Arc::new(lend), clock, settings }))
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn has_time(&self) -> bool {
        self.0.settings.handover == Handover::Here
    }

    /// One attempt at an action, or at a rule that is like one. `known_as` is the provider's name as completion events
    /// are looked up by it; `began` is when the attempt did.
    async fn attempt(
        &self,
        provider: &dyn Provider,
        job: &ActionJob,
        known_as: &str,
        began: Timestamp,
    ) -> Result<Run<Outcome>, Failure> {
        let elsewhere = regions::elsewhere(job, self.0.client.region());
        let near = match elsewhere.filter(|_| provider.wants_artifacts_near()) {
            Some(region) => Cow::Owned(regions::moved(job, region)?),
            None => Cow::Borrowed(job),
        };
        let effort = Effort { provider, job, near, known_as, began };
        match &job.begun {
            Some(id) => self.ask(&effort, id).await,
            None => self.begin(&effort).await,
        }
    }

    async fn ask(&self, effort: &Effort<'_>, id: &str) -> Result<Run<Outcome>, Failure> {
        let step = async {
            let task = self.task(&effort.near, effort.is_moved()).await?;
            self.finished(effort, &task, effort.provider.poll(&task, id).await?).await
        };
        match step.await {
            Ok(Step::Done(success)) => Ok(Run::Ended(Outcome::Succeeded(success))),
            Ok(Step::Begun(begun)) if begun.external_execution_id == id => Ok(Run::Elsewhere),
            Ok(Step::Begun(begun)) => Ok(self.begun(effort, begun).await),
            Ok(Step::NotYet) => Ok(Run::Elsewhere),
            Ok(Step::TooLong) => self.hand_on(effort.job).await,
            // The work is none the worse for it that nobody could ask how it goes.
            Err(failure) if failure.code == FailureCode::SystemUnavailable => {
                let attempt = &effort.job.action_execution;
                tracing::warn!(%attempt, reason = failure.message, "a provider did not say");
                Ok(Run::Elsewhere)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn begin(&self, effort: &Effort<'_>) -> Result<Run<Outcome>, Failure> {
        let Effort { provider, job, began, .. } = effort;
        if provider.is_long(job) && !self.has_time() {
            return self.hand_on(job).await;
        }
        let (attempt, holder, now) = (&job.action_execution, uuid::Uuid::new_v4().to_string(), self.now());
        // Nobody can have died holding the claim of an attempt that is younger than a claim.
        let may_be_known = job.resumed || now.0 >= began.0.saturating_add(CLAIM_MS);
        let is_claimed = may_be_known || effort.is_moved() || !provider.begins_once(job);
        if is_claimed {
            let long = if self.has_time() { LONG_CLAIM_MS } else { CLAIM_MS };
            match self.0.ledger.take(attempt, &holder, now, Timestamp(now.0 + long)).await {
                Ok(true) => {}
                Ok(false) => return Ok(Run::Elsewhere),
                // Not begun by anyone, so nothing is lost: `sweep` comes by.
                Err(error) => {
                    tracing::warn!(%attempt, %error, "an attempt could not be claimed");
                    return Ok(Run::Elsewhere);
                }
            }
        }
        let task = self.task(&effort.near, effort.is_moved()).await?;
        let known = if may_be_known { found(*provider, &task).await? } else { None };
        let step = match known {
            Some(id) => self.known(*provider, &task, id).await,
            None => self.start(effort, &task, is_claimed).await,
        };
        match self.finished(effort, &task, step?).await? {
            Step::Done(success) => Ok(Run::Ended(Outcome::Succeeded(success))),
            Step::Begun(begun) => Ok(self.begun(effort, begun).await),
            other => {
                if is_claimed {
                    self.release(attempt, &holder).await;
                }
                if other == Step::TooLong { self.hand_on(job).await } else { Ok(Run::Elsewhere) }
            }
        }
    }

    async fn start(&self, effort: &Effort<'_>, task: &Task<'_>, is_claimed: bool) -> Result<Step, Failure> {
        let Effort { provider, job, near, .. } = effort;
        if let Some(way) = effort.way(task, self.0.client.region()) {
            way.bring(job, near).await?;
        }
        match provider.start(task).await {
            // It was asked, and did not answer: perhaps it heard. Without a claim, somebody else may have asked in other
            // words, by which the provider does not know the token again.
            Err(failure) if failure.code == FailureCode::SystemUnavailable || !is_claimed => {
                match found(*provider, task).await.ok().flatten() {
                    Some(id) => self.known(*provider, task, id).await,
                    None => Err(failure),
                }
            }
            step => step,
        }
    }

    /// Fetches what work elsewhere has left, when it is done.
    async fn finished(&self, effort: &Effort<'_>, task: &Task<'_>, step: Step) -> Result<Step, Failure> {
        if matches!(step, Step::Done(_))
            && let Some(way) = effort.way(task, self.0.client.region())
        {
            way.take_back(effort.job, &effort.near).await?;
        }
        Ok(step)
    }

    /// Work that was begun before: where it stands, or at least what it is called.
    async fn known(&self, provider: &dyn Provider, task: &Task<'_>, id: String) -> Result<Step, Failure> {
        tracing::info!(attempt = task.token(), external = id, "an attempt was begun before, and is taken up");
        match provider.poll(task, &id).await {
            Ok(Step::NotYet) => Ok(Step::begun(&id, None, "under way")),
            Err(failure) if failure.code == FailureCode::SystemUnavailable => {
                Ok(Step::begun(&id, None, "under way"))
            }
            step => step,
        }
    }

    /// Notes whose work it is, so that word of its end finds the way.
    async fn begun(&self, effort: &Effort<'_>, begun: Begun) -> Run<Outcome> {
        let Effort { provider, job, known_as, .. } = effort;
        if provider.tells_whose(job) {
            return Run::Begun(begun);
        }
        let noted = self.0.ledger.note(known_as, &begun.external_execution_id, &Work::of(job)).await;
        if let Err(error) = noted {
            // Then no event helps, and `sweep` asks.
            tracing::warn!(attempt = %job.action_execution, %error, "whose work it is could not be noted");
        }
        Run::Begun(begun)
    }

    /// Has the function with more time take the attempt up. Several processes may want to; one of them does.
    async fn hand_on(&self, job: &ActionJob) -> Result<Run<Outcome>, Failure> {
        let Handover::Function(function) = &self.0.settings.handover else {
            return Err(unavailable("The work takes longer than any function may run."));
        };
        let (handing, now) = (ledger::handing(&job.action_execution), self.now());
        let holder = uuid::Uuid::new_v4().to_string();
        match self.0.ledger.take(&handing, &holder, now, Timestamp(now.0 + HANDED_MS)).await {
            Ok(true) => {}
            Ok(false) => return Ok(Run::Elsewhere),
            Err(error) => {
                tracing::warn!(attempt = %job.action_execution, %error, "an attempt could not be claimed");
                return Ok(Run::Elsewhere);
            }
        }
        let order = serde_json::to_vec(&Work::of(job)).expect("three texts are always JSON");
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let request = RestRequest::new(Service::Lambda, "Invoke", Method::POST, path)
            .header("x-amz-invocation-type", "Event")
            .header("content-type", "application/json")
            .body(order);
        match self.0.client.rest(request).await {
            Ok(_) => Ok(Run::Elsewhere),
            Err(error) => {
                self.release(&handing, &holder).await;
                let failure = failure::of(&error, OWN);
                match failure.code {
                    FailureCode::SystemUnavailable => {
                        tracing::warn!(attempt = %job.action_execution, %error, "long work was not handed on");
                        Ok(Run::Elsewhere)
                    }
                    _ => Err(failure),
                }
            }
        }
    }

    async fn release(&self, attempt: &ActionExecutionId, holder: &str) {
        if let Err(error) = self.0.ledger.release(attempt, holder).await {
            tracing::warn!(%attempt, %error, "a claim was not given back, and runs out");
        }
    }

    /// What a provider is handed: with clients that act in the job's roles. Its artifacts are in the pipeline's Region, or
    /// near the provider.
    async fn task<'a>(&'a self, job: &'a ActionJob, is_near: bool) -> Result<Task<'a>, Failure> {
        let Shared { client: own, lend, settings, .. } = &*self.0;
        let (mut client, mut who) = (own.clone(), OWN);
        if settings.identity == Identity::Roles {
            for role in &job.roles {
                client = client.assume(role).await.map_err(|error| failure::of_role(&error, role, who))?;
                who = role;
            }
        }
        let home = own.region();
        let region = regions::elsewhere(job, home).map_or(home, |region| region.name.as_str());
        let there = if region == home { client.clone() } else { client.in_region(region) };
        Ok(Task {
            job,
            objects: Objects::new(if is_near { there.clone() } else { client }),
            client: there,
            region,
            artifact_region: if is_near { region } else { home },
            account: own.account(),
            who,
            encryption_key: job.encryption_key.as_deref(),
            lend: &**lend,
            now: self.now(),
            has_time: self.has_time(),
            linger: settings.linger,
            scratch: &settings.scratch,
            compute_project: settings.compute_project.as_deref(),
        })
    }
}

/// An attempt that is carried out.
struct Effort<'a> {
    provider: &'a dyn Provider,
    /// As the pipeline has it.
    job: &'a ActionJob,
    /// As the provider gets it: with artifacts in its own Region, if it wants that.
    near: Cow<'a, ActionJob>,
    known_as: &'a str,
    began: Timestamp,
}

impl Effort<'_> {
    fn is_moved(&self) -> bool {
        matches!(self.near, Cow::Owned(_))
    }

    fn way<'a>(&self, task: &Task<'a>, home: &str) -> Option<regions::Way<'a>> {
        self.is_moved().then(|| regions::Way::new(&task.client, home, task.region, task.who))
    }
}

/// Work that was begun before. A role that may not look is one of CodePipeline's, which never did: then the service's
/// own token has to do, as far as there is one.
async fn found(provider: &dyn Provider, task: &Task<'_>) -> Result<Option<String>, Failure> {
    match provider.find(task).await {
        Err(failure) if failure.code == FailureCode::PermissionError => {
            tracing::warn!(
                attempt = task.token(),
                reason = failure.message,
                "nobody may look what was begun"
            );
            Ok(None)
        }
        found => found,
    }
}

/// How this installation's own identity is called in messages.
const OWN: &str = "Towpath's own role";

impl Actions for AwsActions {
    async fn run(&self, job: ActionJob) -> Run<Outcome> {
        let Some(provider) = provider(&job.action_type) else {
            return Run::Ended(Outcome::Failed(no_provider(&job.action_type)));
        };
        let known_as = job.action_type.provider.clone();
        let ended = self.attempt(provider, &job, &known_as, provider::began(&job)).await;
        ended.unwrap_or_else(|failure| Run::Ended(Outcome::Failed(shortened(failure))))
    }

    async fn run_rule(&self, job: RuleJob) -> Run<RuleOutcome> {
        rules::run(self, &job).await
    }

    fn can_carry_out(&self, action_type: &ActionTypeId) -> bool {
        provider(action_type).is_some() || self.leaves_to_workers(action_type)
    }

    fn cancel(&self, _: &ActionExecutionId) {
        // What is being done here is over in a moment, and its outcome is dropped; [`Actions::stop`] is for the rest.
    }

    async fn stop(&self, job: ActionJob) {
        let Some(provider) = provider(&job.action_type) else { return };
        self.ask_to_stop(provider, &job).await;
    }

    async fn stop_rule(&self, job: RuleJob) {
        let Some((provider, action)) = rules::as_action(&job) else { return };
        self.ask_to_stop(provider, &action).await;
    }
}

impl AwsActions {
    async fn ask_to_stop(&self, provider: &dyn Provider, job: &ActionJob) {
        let Some(id) = &job.begun else { return };
        let stopped = async { provider.stop(&self.task(job, false).await?, id).await };
        match stopped.await {
            Ok(()) => {
                tracing::info!(attempt = %job.action_execution, external = id, "a provider was asked to stop")
            }
            Err(failure) => {
                let reason = failure.message;
                tracing::warn!(attempt = %job.action_execution, external = id, reason, "a provider does not stop");
            }
        }
    }
}

/// A failure's message within the API's bound.
fn shortened(failure: Failure) -> Failure {
    Failure { message: provider::cut(&failure.message, MESSAGE_CHARS_MAX), ..failure }
}

/// Characters of a failure's message, as the API bounds it.
const MESSAGE_CHARS_MAX: usize = 5_000;

#[cfg(test)]
mod tests {
    use super::*;
    use domain::catalogue::{action_types, homes::is_done_on_aws};

    #[test]
    fn who_moves_in_is_told_the_same_as_the_table_says() {
        let types = action_types().iter().filter(|known| known.owner == ActionOwner::AWS);
        // The engine itself waits for people.
        for known in types.filter(|known| known.category != ActionCategory::Approval) {
            let told = is_done_on_aws(&format!("{:?}", known.category), &known.provider);
            assert_eq!(told, provider(&known.id()).is_some(), "{}", known.id());
        }
    }
}
