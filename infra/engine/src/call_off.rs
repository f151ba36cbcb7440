//! Calling off: what becomes of the work at an attempt that no longer counts. Whoever works at it in this process is told;
//! a provider elsewhere is asked to stop what it has begun, as soon as the log says how it calls that.

use crate::{
    Engine,
    action::{ActionJob, Run},
    busy::Hand,
    job,
    log::{Log, LogError},
    perform::{RECORD_ATTEMPTS_MAX, pause},
    ports::Actions,
    rule::RuleJob,
    streams::{self, Head},
};
use domain::{
    command::{Attempt, RuleAttempt},
    execution::Execution,
    pipeline::{PipelineDeclaration, versions::Pipeline},
};
use events::{ActionExecutionId, ExecutionId, PipelineName, RuleExecutionId, StreamName};
use std::{pin::pin, sync::Arc, time::Duration};

/// Commits of a pipeline's history that are read at a time.
const HISTORY_COMMITS: usize = 100;
/// How often whoever carries out an attempt that was called off is told so.
const TOLD_AGAIN: Duration = Duration::from_secs(1);

impl<L: Log, A: Actions> Engine<L, A> {
    /// Calls off an attempt that no longer counts: for whoever works at it here, and for whoever is about to.
    pub(crate) fn call_off(&self, attempt: &ActionExecutionId) {
        self.in_hand().call_off(attempt);
        self.actions().cancel(attempt);
    }

    /// Has an attempt carried out that was not called off while its job was read. When that happens later, whoever
    /// carries it out may not know of it yet, and is told until it is over.
    pub(crate) async fn unless_called_off<T>(
        &self,
        hand: &Hand,
        run: impl Future<Output = Run<T>>,
    ) -> Run<T> {
        if hand.is_called_off() {
            return Run::Elsewhere;
        }
        let mut run = pin!(run);
        tokio::select! {
            biased;
            run = &mut run => return run,
            () = hand.called_off() => {}
        }
        loop {
            self.actions().cancel(hand.attempt());
            if let Ok(run) = tokio::time::timeout(TOLD_AGAIN, &mut run).await {
                return run;
            }
        }
    }

    /// Asks the provider of an attempt that no longer counts to stop what it has begun, if it has.
    pub(crate) async fn stop_action(
        &self,
        pipeline: &PipelineName,
        execution: &ExecutionId,
        attempt: &Attempt,
    ) {
        let mut tries = 0;
        loop {
            match self.begun_job(pipeline, execution, attempt).await {
                Ok(Some(job)) => return self.actions().stop(job).await,
                Ok(None) => return,
                Err(error) if self.tries_again(&mut tries, &error).await => {}
                Err(_) => return,
            }
        }
    }

    pub(crate) async fn stop_rule(
        &self,
        pipeline: &PipelineName,
        execution: &ExecutionId,
        id: &RuleExecutionId,
    ) {
        let mut tries = 0;
        loop {
            match self.begun_rule_job(pipeline, execution, id).await {
                Ok(Some(job)) => return self.actions().stop_rule(job).await,
                Ok(None) => return,
                Err(error) if self.tries_again(&mut tries, &error).await => {}
                Err(_) => return,
            }
        }
    }

    /// After a log that did not answer: waits, and says whether to ask again. Nobody else asks a provider to stop.
    async fn tries_again(&self, tries: &mut u32, error: &LogError) -> bool {
        *tries += 1;
        if *tries >= RECORD_ATTEMPTS_MAX {
            self.give_up("a provider was not asked to stop", error);
            return false;
        }
        tracing::warn!(%error, "trying again to read what is to be stopped");
        tokio::time::sleep(pause(*tries)).await;
        true
    }

    /// The job of an attempt whose work a provider is known to have begun.
    async fn begun_job(
        &self,
        pipeline: &PipelineName,
        execution: &ExecutionId,
        attempt: &Attempt,
    ) -> Result<Option<ActionJob>, LogError> {
        let (definitions, state) = self.as_known(pipeline, execution).await?;
        let run = state.attempt(&attempt.action_execution);
        if run.is_none_or(|(_, run)| run.external_execution_id.is_none()) {
            return Ok(None);
        }
        let definition = self.definition_then(pipeline, &definitions, &state).await?;
        let place = job::Place { pipeline, execution, attempt };
        Ok(definition.and_then(|definition| job::job(&place, &state, &definition, false)))
    }

    /// The job of an attempt at a rule whose work a provider is known to have begun.
    async fn begun_rule_job(
        &self,
        pipeline: &PipelineName,
        execution: &ExecutionId,
        id: &RuleExecutionId,
    ) -> Result<Option<RuleJob>, LogError> {
        let (definitions, state) = self.as_known(pipeline, execution).await?;
        let Some((stage, _, run)) = state.rule(id) else { return Ok(None) };
        if run.external_execution_id.is_none() {
            return Ok(None);
        }
        let attempt = RuleAttempt {
            stage: stage.stage.clone(),
            rule: run.rule.clone(),
            rule_execution: id.clone(),
            entry: run.entry,
        };
        let definition = self.definition_then(pipeline, &definitions, &state).await?;
        Ok(definition
            .and_then(|definition| job::rule_job(pipeline, execution, &attempt, &state, &definition, false)))
    }

    /// The definition that a run started with, also when its pipeline was deleted since: then it stands in the log alone.
    async fn definition_then(
        &self,
        pipeline: &PipelineName,
        definitions: &Pipeline,
        state: &Execution,
    ) -> Result<Option<Arc<PipelineDeclaration>>, LogError> {
        let Some(start) = &state.start else { return Ok(None) };
        if start.incarnation == definitions.incarnation {
            return Ok(definitions.followed_by(start).cloned());
        }
        let stream = StreamName::pipeline(pipeline);
        let (mut past, mut head) = (Pipeline::default(), Head::default());
        loop {
            let commits = self.log().read(&stream, head.version, HISTORY_COMMITS).await?;
            let is_last = commits.len() < HISTORY_COMMITS;
            for commit in &commits {
                streams::fold_on(&stream, &mut past, &mut head, [commit])?;
                if let Some(then) = past.followed_by(start) {
                    return Ok(Some(Arc::clone(then)));
                }
            }
            if is_last {
                return Ok(None);
            }
        }
    }
}
