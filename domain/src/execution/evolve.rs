//! Writing a run's events down. Total: never fails, never consults policy.

mod conditions;

use super::{
    ActionStatus, ArtifactState, AttemptRun, Execution, ExecutionStatus, Retry, RetryTrigger, StageRun,
    StageStatus, Start, StopRequest,
    job::{JobRun, JobStatus},
};
use events::{
    ActionCategory, ActionExecutionId, ActionProgressed, ActionStarted, ActionSucceeded, ExecutionEvent,
    ExecutionStarted, JobContinued, JobDispatched, JobQueued, StageName, StageRetried, StageRetryMode,
    Timestamp,
};

impl Execution {
    /// Writes one event down.
    pub fn evolve(&mut self, event: &ExecutionEvent, at: Timestamp) {
        match event {
            ExecutionEvent::ExecutionStarted(started) => self.started(started, at),
            ExecutionEvent::StageStarted(started) => self.stages.push(StageRun {
                stage: started.stage.clone(),
                entry: started.entry,
                status: StageStatus::InProgress,
                attempts: Vec::new(),
                conditions: Vec::new(),
                manual_retries: 0,
                auto_retries: 0,
                retry: None,
                started: at,
                ended: None,
            }),
            ExecutionEvent::StageRetried(retried) => self.stage_retried(retried),
            ExecutionEvent::ActionStarted(started) => self.action_started(started, at),
            ExecutionEvent::ActionSucceeded(succeeded) => self.action_succeeded(succeeded, at),
            ExecutionEvent::ActionFailed(failed) => {
                self.change(&failed.action_execution, at, |attempt| {
                    attempt.status = ActionStatus::Failed;
                    let ended = if failed.timed_out { JobStatus::TimedOut } else { JobStatus::Failed };
                    attempt.set_job(ended);
                    attempt.error = Some((failed.code, failed.message.clone()));
                    attempt.summary.clone_from(&failed.summary);
                    keep(&mut attempt.external_execution_id, &failed.external_execution_id);
                    keep(&mut attempt.external_execution_url, &failed.external_execution_url);
                    attempt.by.clone_from(&failed.by);
                });
            }
            ExecutionEvent::ActionAbandoned(abandoned) => {
                self.change(&abandoned.action_execution, at, |attempt| {
                    attempt.status = ActionStatus::Abandoned;
                    attempt.set_job(JobStatus::Failed);
                });
            }
            ExecutionEvent::JobQueued(queued) => self.job_queued(queued),
            ExecutionEvent::JobDispatched(dispatched) => self.job_dispatched(dispatched, at),
            ExecutionEvent::JobAcknowledged(acknowledged) => {
                self.with_attempt(&acknowledged.action_execution, |attempt| {
                    attempt.set_job(JobStatus::InProgress)
                });
            }
            ExecutionEvent::JobContinued(continued) => self.job_continued(continued),
            ExecutionEvent::ActionProgressed(progressed) => self.action_progressed(progressed),
            ExecutionEvent::RuleProgressed(progressed) => self.rule_progressed(progressed),
            ExecutionEvent::ResultIgnored(ignored) => {
                let attempts = self.stages.iter_mut().flat_map(|stage| stage.attempts.iter_mut());
                attempts
                    .filter(|attempt| attempt.action_execution == ignored.action_execution)
                    .for_each(|attempt| attempt.result_ignored = true);
            }
            ExecutionEvent::ConditionStarted(started) => self.condition_started(started, at),
            ExecutionEvent::ConditionEnded(ended) => self.condition_ended(ended, at),
            ExecutionEvent::ConditionOverridden(overridden) => self.condition_overridden(overridden, at),
            ExecutionEvent::RuleStarted(started) => self.rule_started(started, at),
            ExecutionEvent::RuleSucceeded(succeeded) => self.rule_succeeded(succeeded, at),
            ExecutionEvent::RuleFailed(failed) => self.rule_failed(failed, at),
            ExecutionEvent::RuleAbandoned(abandoned) => {
                self.change_rule(&abandoned.rule_execution, at, |rule| rule.status = ActionStatus::Abandoned);
            }
            ExecutionEvent::RuleResultIgnored(ignored) => self.rule_result_ignored(&ignored.rule_execution),
            ExecutionEvent::StageSkipped(ended) => self.stage_ended(&ended.stage, StageStatus::Skipped, at),
            ExecutionEvent::StageSucceeded(ended) => {
                self.stage_ended(&ended.stage, StageStatus::Succeeded, at)
            }
            ExecutionEvent::StageFailed(ended) => self.stage_ended(&ended.stage, StageStatus::Failed, at),
            ExecutionEvent::StageStopped(ended) => self.stage_ended(&ended.stage, StageStatus::Stopped, at),
            ExecutionEvent::StageCancelled(ended) => {
                self.stage_ended(&ended.stage, StageStatus::Cancelled, at)
            }
            ExecutionEvent::StopRequested(requested) => {
                self.status = ExecutionStatus::Stopping;
                self.stop = Some(StopRequest {
                    abandon: requested.abandon,
                    reason: requested.reason.clone(),
                    by: requested.by.clone(),
                });
                if let Some(stage) =
                    self.stages.last_mut().filter(|run| run.status == StageStatus::InProgress)
                {
                    stage.status = StageStatus::Stopping;
                }
            }
            ExecutionEvent::ExecutionSucceeded(_) => self.end(ExecutionStatus::Succeeded, at),
            ExecutionEvent::ExecutionFailed(_) => self.end(ExecutionStatus::Failed, at),
            ExecutionEvent::ExecutionStopped(_) => self.end(ExecutionStatus::Stopped, at),
            ExecutionEvent::ExecutionCancelled(cancelled) => {
                self.cause = Some(cancelled.reason.clone());
                self.end(ExecutionStatus::Cancelled, at);
            }
            ExecutionEvent::ExecutionSuperseded(superseded) => {
                self.cause = Some(superseded.by.to_string());
                self.gave_way = superseded.rule;
                self.end(ExecutionStatus::Superseded, at);
            }
        }
    }

    fn started(&mut self, started: &ExecutionStarted, at: Timestamp) {
        if let Some(rollback) = &started.rollback {
            self.revisions.clone_from(&rollback.sources);
            self.artifacts.extend(rollback.artifacts.iter().map(|kept| {
                let state =
                    ArtifactState { location: kept.location.clone(), revision: kept.revision.clone() };
                (kept.name.clone(), state)
            }));
        }
        self.start = Some(Start {
            pipeline: started.pipeline.clone(),
            pipeline_version: started.pipeline_version,
            incarnation: started.incarnation,
            mode: started.mode,
            sequence: started.sequence,
            trigger: started.trigger.clone(),
            variables: started.variables.clone(),
            revisions: started.revisions.clone(),
            rollback: started.rollback.clone(),
            policy: started.policy.clone(),
            at,
        });
    }

    fn stage_retried(&mut self, retried: &StageRetried) {
        self.status = ExecutionStatus::InProgress;
        self.stop = None;
        self.ended = None;
        let Some(stage) = self.stages.iter_mut().find(|run| run.stage == retried.stage) else { return };
        stage.entry = retried.entry;
        stage.status = StageStatus::InProgress;
        stage.ended = None;
        let (trigger, count) = if retried.automatic {
            (RetryTrigger::AutomatedStageRetry, &mut stage.auto_retries)
        } else {
            (RetryTrigger::ManualStageRetry, &mut stage.manual_retries)
        };
        *count += 1;
        stage.retry = Some(Retry { mode: retried.mode, trigger, under_way: true });
        stage.set_conditions_aside(retried.mode);
        for attempt in &mut stage.attempts {
            attempt.set_aside |= match (retried.mode, attempt.status) {
                (StageRetryMode::AllActions, _)
                | (StageRetryMode::FailedActions, ActionStatus::Failed | ActionStatus::Abandoned) => true,
                (StageRetryMode::FailedActions, ActionStatus::InProgress | ActionStatus::Succeeded) => false,
            };
        }
    }

    fn action_started(&mut self, started: &ActionStarted, at: Timestamp) {
        let Some(stage) = self.stages.iter_mut().find(|run| run.stage == started.stage) else { return };
        stage.attempts.push(AttemptRun {
            action: started.action.clone(),
            action_execution: started.action_execution.clone(),
            entry: started.entry,
            action_type: started.action_type.clone(),
            status: ActionStatus::InProgress,
            started: at,
            updated: at,
            deadline: started.deadline,
            token: started.token.clone(),
            resolved: started.resolved.clone(),
            inputs: started.inputs.clone(),
            outputs: started.outputs.clone(),
            output_variables: std::collections::BTreeMap::new(),
            revision: None,
            error: None,
            summary: None,
            external_execution_id: None,
            external_execution_url: None,
            percent_complete: None,
            job: None,
            mocked: false,
            by: None,
            set_aside: false,
            result_ignored: false,
        });
    }

    fn action_succeeded(&mut self, succeeded: &ActionSucceeded, at: Timestamp) {
        let mut written = Vec::new();
        let mut is_source = false;
        self.change(&succeeded.action_execution, at, |attempt| {
            attempt.status = ActionStatus::Succeeded;
            attempt.output_variables.clone_from(&succeeded.output_variables);
            attempt.summary.clone_from(&succeeded.summary);
            keep(&mut attempt.external_execution_id, &succeeded.external_execution_id);
            keep(&mut attempt.external_execution_url, &succeeded.external_execution_url);
            attempt.revision.clone_from(&succeeded.revision);
            attempt.percent_complete = succeeded.percent_complete;
            attempt.set_job(JobStatus::Succeeded);
            attempt.mocked = succeeded.mocked;
            attempt.by.clone_from(&succeeded.by);
            written.clone_from(&attempt.outputs);
            is_source = attempt.action_type.category == ActionCategory::Source;
        });
        // A revision travels with the artifacts of its source action; what a build makes of them has none.
        let revision = succeeded.revision.as_ref().filter(|_| is_source);
        for artifact in written {
            self.artifacts.insert(
                artifact.name,
                ArtifactState {
                    location: artifact.location,
                    revision: revision.map(|revision| revision.revision_id.clone()),
                },
            );
        }
        if let Some(revision) = revision {
            self.revisions.retain(|known| known.action != revision.action);
            self.revisions.push(revision.clone());
        }
    }

    fn action_progressed(&mut self, progressed: &ActionProgressed) {
        self.with_attempt(&progressed.action_execution, |attempt| {
            attempt.external_execution_id = Some(progressed.external_execution_id.clone());
            attempt.external_execution_url.clone_from(&progressed.external_execution_url);
            attempt.summary.clone_from(&progressed.summary);
        });
    }

    fn job_queued(&mut self, queued: &JobQueued) {
        self.with_attempt(&queued.action_execution, |attempt| {
            attempt.job = Some(JobRun {
                job: queued.job.clone(),
                status: JobStatus::Queued,
                query: queued.query.clone(),
                continuation_token: queued.continuation_token.clone(),
                nonce: None,
                dispatched: None,
            });
        });
    }

    fn job_dispatched(&mut self, dispatched: &JobDispatched, at: Timestamp) {
        self.with_attempt(&dispatched.action_execution, |attempt| {
            let Some(job) = &mut attempt.job else { return };
            job.status = JobStatus::Dispatched;
            job.nonce = Some(dispatched.nonce.clone());
            job.dispatched = Some(at);
        });
    }

    fn job_continued(&mut self, continued: &JobContinued) {
        self.with_attempt(&continued.action_execution, |attempt| {
            attempt.set_job(JobStatus::Succeeded);
            keep(&mut attempt.summary, &continued.summary);
            keep(&mut attempt.external_execution_id, &continued.external_execution_id);
            keep(&mut attempt.external_execution_url, &continued.external_execution_url);
            attempt.percent_complete = continued.percent_complete.or(attempt.percent_complete);
        });
    }

    fn change(&mut self, id: &ActionExecutionId, at: Timestamp, how: impl FnOnce(&mut AttemptRun)) {
        self.with_attempt(id, |attempt| {
            attempt.updated = at;
            how(attempt);
        });
    }

    fn with_attempt(&mut self, id: &ActionExecutionId, how: impl FnOnce(&mut AttemptRun)) {
        // The attempt is nearly always among the newest.
        let mut newest_first = self.stages.iter_mut().rev().flat_map(|stage| stage.attempts.iter_mut().rev());
        if let Some(attempt) = newest_first.find(|attempt| attempt.action_execution == *id) {
            how(attempt);
        }
    }

    fn stage_ended(&mut self, stage: &StageName, status: StageStatus, at: Timestamp) {
        if let Some(run) = self.stages.iter_mut().rev().find(|run| run.stage == *stage) {
            run.status = status;
            run.ended = Some(at);
            if let Some(retry) = &mut run.retry {
                retry.under_way = false;
            }
        }
    }

    fn end(&mut self, status: ExecutionStatus, at: Timestamp) {
        self.status = status;
        self.ended = Some(at);
    }
}

/// What was said once holds until something else is said: work that began elsewhere keeps its id when it ends.
fn keep(known: &mut Option<String>, said: &Option<String>) {
    if said.is_some() {
        known.clone_from(said);
    }
}

impl AttemptRun {
    fn set_job(&mut self, status: JobStatus) {
        if let Some(job) = &mut self.job {
            job.status = status;
        }
    }
}
