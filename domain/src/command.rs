//! Commands: what someone wishes to happen. Every command may arrive twice.

use crate::{
    draft::Decision,
    execution::{Execution, gate, rollback::Past},
    pipeline::PipelineDeclaration,
};
use events::{
    ActionExecutionId, ActionName, ConditionType, Entry, ExecutionId, FailureCode, JobId, PipelineName,
    Policy, RuleExecutionId, RuleName, SourceRevision, StageName, StageRetryMode, Timestamp, Trigger,
};
use std::collections::BTreeMap;

/// A wish concerning one pipeline. The pipeline's name and, for most, the execution's id say which streams it
/// reads, before anything is loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// The pipeline it concerns.
    pub pipeline: PipelineName,
    /// The run it concerns; `None` for wishes about the pipeline or its lane.
    pub execution: Option<ExecutionId>,
    /// What is wished.
    pub wish: Wish,
}

/// What is wished.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// Declare the pipeline for the first time. The definition is validated, normalised and free of secrets.
    CreatePipeline {
        /// The definition.
        definition: Box<PipelineDeclaration>,
        /// Tags of the pipeline.
        tags: BTreeMap<String, String>,
    },
    /// Declare its next version.
    UpdatePipeline {
        /// The definition.
        definition: Box<PipelineDeclaration>,
    },
    /// Delete it with everything under way.
    DeletePipeline,
    /// Add tags, or change their values.
    TagPipeline {
        /// The tags.
        tags: BTreeMap<String, String>,
    },
    /// Take tags off.
    UntagPipeline {
        /// Their keys.
        keys: Vec<String>,
    },
    /// Start the run of this id.
    StartExecution {
        /// What started it.
        trigger: Trigger,
        /// Values for pipeline variables.
        variables: BTreeMap<String, String>,
        /// Revisions that source actions must fetch, by action.
        revisions: BTreeMap<ActionName, String>,
    },
    /// Stop the run.
    StopExecution {
        /// Give up running actions instead of waiting for them.
        abandon: bool,
        /// Why, at most 200 characters.
        reason: Option<String>,
    },
    /// Run a failed or stopped stage again.
    RetryStage {
        /// The stage.
        stage: StageName,
        /// Which of its actions.
        mode: StageRetryMode,
    },
    /// Roll a stage back: start the run of this id, which enters the stage with what an earlier run had.
    RollbackStage {
        /// The stage.
        stage: StageName,
        /// The earlier run.
        target: ExecutionId,
        /// What it had; `None` when there is no such run.
        past: Option<Box<Past>>,
    },
    /// Start the run of this id, which the lane owes to a stage that failed.
    StartRollback {
        /// What the earlier run had; `None` when there is no such run.
        past: Option<Box<Past>>,
    },
    /// Note how an attempt ended.
    RecordActionResult {
        /// The attempt.
        attempt: Attempt,
        /// How it ended.
        result: ActionResult,
    },
    /// Note that a provider has begun the work of an attempt.
    NoteActionProgress {
        /// The attempt.
        attempt: Attempt,
        /// What the provider says; without an id of its own there is nothing to note.
        details: Details,
    },
    /// Do something with the job of an attempt.
    OnJob {
        /// The attempt.
        attempt: ActionExecutionId,
        /// What.
        wish: JobWish,
    },
    /// Fail an attempt whose time is up.
    ExpireAction {
        /// The attempt.
        attempt: Attempt,
    },
    /// Note how an attempt at a rule ended.
    RecordRuleResult {
        /// The attempt.
        attempt: RuleAttempt,
        /// How it ended.
        result: RuleResult,
    },
    /// Note that a provider has begun the work of an attempt at a rule.
    NoteRuleProgress {
        /// The attempt.
        attempt: RuleAttempt,
        /// What the provider says; without an id of its own there is nothing to note.
        details: Details,
    },
    /// Fail an attempt at a rule whose time is up.
    ExpireRule {
        /// The attempt.
        attempt: RuleAttempt,
    },
    /// Let the run pass in spite of a condition.
    OverrideCondition {
        /// The stage.
        stage: StageName,
        /// Which of its gates.
        condition: ConditionType,
    },
    /// Answer a manual approval.
    RecordApproval {
        /// The approval's stage.
        stage: StageName,
        /// The approval.
        action: ActionName,
        /// The token it was asked with.
        token: String,
        /// Yes or no.
        approved: bool,
        /// What the approver said, at most 512 characters.
        summary: String,
    },
    /// Close a stage's inbound transition.
    DisableTransition {
        /// The stage.
        stage: StageName,
        /// Why, 1 to 300 characters.
        reason: String,
    },
    /// Open it.
    EnableTransition {
        /// The stage.
        stage: StageName,
    },
    /// Bring the run in line with its lane.
    Settle,
}

/// Which attempt at which action is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The stage.
    pub stage: StageName,
    /// The action.
    pub action: ActionName,
    /// The attempt's id.
    pub action_execution: ActionExecutionId,
    /// The stage admission it belonged to.
    pub entry: Entry,
}

/// Which attempt at which rule is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleAttempt {
    /// The stage.
    pub stage: StageName,
    /// The rule.
    pub rule: RuleName,
    /// The attempt's id.
    pub rule_execution: RuleExecutionId,
    /// The stage admission it belonged to.
    pub entry: Entry,
}

/// How an attempt at a rule ended, as its provider reports it.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleResult {
    /// The rule is met.
    Succeeded {
        /// Nothing was really asked.
        mocked: bool,
        /// What else is known.
        details: Details,
    },
    /// The rule is not met, or could not be asked.
    Failed {
        /// `JobFailed`: it was asked and is not met. Every other: it could not be asked.
        code: FailureCode,
        /// Why.
        message: String,
        /// What else is known.
        details: Details,
    },
}

/// What is wished of an attempt's job.
#[derive(Debug, Clone, PartialEq)]
pub enum JobWish {
    /// Offer the attempt's work to workers.
    Queue {
        /// The value it is asked for by, when its type has a queryable property.
        query: Option<String>,
    },
    /// Hand the job to a worker that asks.
    Dispatch {
        /// The job.
        job: JobId,
        /// A nonce never used before.
        nonce: String,
    },
    /// Take the job on.
    Acknowledge {
        /// The job.
        job: JobId,
        /// What came with the job.
        nonce: String,
    },
    /// End the job, and let the work go on in another one.
    Continue {
        /// The job.
        job: JobId,
        /// What the next worker shall be told.
        continuation_token: String,
        /// How far the work has come.
        details: Details,
    },
    /// End the job, and its attempt.
    End {
        /// The job.
        job: JobId,
        /// How it ended.
        result: ActionResult,
    },
}

/// How an attempt ended, as its provider reports it.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionResult {
    /// It did its work.
    Succeeded {
        /// Output variables.
        output_variables: BTreeMap<String, String>,
        /// The revision a source action fetched.
        revision: Option<SourceRevision>,
        /// Nothing was really done.
        mocked: bool,
        /// What else is known.
        details: Details,
    },
    /// It failed.
    Failed {
        /// The class of the failure.
        code: FailureCode,
        /// What went wrong.
        message: String,
        /// What else is known.
        details: Details,
    },
}

/// What a provider says about its own work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// One line for people.
    pub summary: Option<String>,
    /// The provider's own id of the work.
    pub external_execution_id: Option<String>,
    /// Where a person can look at the work.
    pub external_execution_url: Option<String>,
    /// How much of the work is done, 0 to 100.
    pub percent_complete: Option<u8>,
}

/// Streams that a decision rests on beside those that it writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reliance {
    /// The definitions of its pipeline.
    pub pipeline: bool,
    /// The traffic of its pipeline.
    pub lane: bool,
}

impl Command {
    /// What was read and not written, and must not have moved either: a run is brought in line with its lane only as both
    /// stand now, and a definition matters only to commands that ask which one is current. A run that is named is always
    /// relied on.
    ///
    /// `run` is the run after the decision.
    pub fn relies_on(&self, decision: &Decision, run: &Execution) -> Reliance {
        Reliance {
            pipeline: decision.pipeline.is_empty() && self.relies_on_current_definition(),
            lane: decision.lane.is_empty() && self.relies_on_lane(decision, run),
        }
    }

    /// True when the answer depends on which definition is current, so that the pipeline's stream must not have
    /// moved. An execution under way follows its own version, whose content never changes; that a newer one has
    /// overtaken it may be noticed a step late.
    pub fn relies_on_current_definition(&self) -> bool {
        match self.wish {
            Wish::CreatePipeline { .. }
            | Wish::UpdatePipeline { .. }
            | Wish::DeletePipeline
            | Wish::TagPipeline { .. }
            | Wish::UntagPipeline { .. }
            | Wish::StartExecution { .. }
            | Wish::RetryStage { .. }
            | Wish::OverrideCondition { .. }
            | Wish::RollbackStage { .. }
            | Wish::StartRollback { .. }
            | Wish::DisableTransition { .. }
            | Wish::EnableTransition { .. } => true,
            Wish::StopExecution { .. }
            | Wish::RecordActionResult { .. }
            | Wish::NoteActionProgress { .. }
            | Wish::OnJob { .. }
            | Wish::ExpireAction { .. }
            | Wish::RecordRuleResult { .. }
            | Wish::NoteRuleProgress { .. }
            | Wish::ExpireRule { .. }
            | Wish::RecordApproval { .. }
            | Wish::Settle => false,
        }
    }

    /// True when what was decided depends on the lane, so that the lane's stream must not have moved. Not so for notes
    /// about an attempt, which move nothing on; nor for results inside of a stage: the run holds it until it leaves by
    /// itself, and whatever else the lane did meanwhile (its pipeline was deleted), the run hears of it by `Settle`,
    /// a step late. Only where a newer run may take its place at any moment does the lane count at every step.
    ///
    /// `run` is the run after the decision.
    fn relies_on_lane(&self, decision: &Decision, run: &Execution) -> bool {
        match self.wish {
            Wish::NoteActionProgress { .. } | Wish::NoteRuleProgress { .. } => false,
            Wish::RecordActionResult { .. } | Wish::OnJob { .. } => {
                // Where nothing is under way any more, something should have followed. If nothing did, these states may
                // be old: of a pipeline that was deleted and made anew, say.
                let is_idle = run.running().next().is_none();
                !decision.stays_among_actions() || is_idle || gate::may_give_way(run)
            }
            Wish::CreatePipeline { .. }
            | Wish::UpdatePipeline { .. }
            | Wish::DeletePipeline
            | Wish::TagPipeline { .. }
            | Wish::UntagPipeline { .. }
            | Wish::StartExecution { .. }
            | Wish::StopExecution { .. }
            | Wish::RetryStage { .. }
            | Wish::RollbackStage { .. }
            | Wish::StartRollback { .. }
            | Wish::ExpireAction { .. }
            | Wish::RecordRuleResult { .. }
            | Wish::ExpireRule { .. }
            | Wish::OverrideCondition { .. }
            | Wish::RecordApproval { .. }
            | Wish::DisableTransition { .. }
            | Wish::EnableTransition { .. }
            | Wish::Settle => true,
        }
    }

    /// The wish's name, for log lines.
    pub fn name(&self) -> &'static str {
        match self.wish {
            Wish::CreatePipeline { .. } => "CreatePipeline",
            Wish::UpdatePipeline { .. } => "UpdatePipeline",
            Wish::DeletePipeline => "DeletePipeline",
            Wish::TagPipeline { .. } => "TagPipeline",
            Wish::UntagPipeline { .. } => "UntagPipeline",
            Wish::StartExecution { .. } => "StartExecution",
            Wish::StopExecution { .. } => "StopExecution",
            Wish::RetryStage { .. } => "RetryStage",
            Wish::RollbackStage { .. } => "RollbackStage",
            Wish::StartRollback { .. } => "StartRollback",
            Wish::RecordActionResult { .. } => "RecordActionResult",
            Wish::NoteActionProgress { .. } => "NoteActionProgress",
            Wish::OnJob { ref wish, .. } => wish.name(),
            Wish::ExpireAction { .. } => "ExpireAction",
            Wish::RecordRuleResult { .. } => "RecordRuleResult",
            Wish::NoteRuleProgress { .. } => "NoteRuleProgress",
            Wish::ExpireRule { .. } => "ExpireRule",
            Wish::OverrideCondition { .. } => "OverrideCondition",
            Wish::RecordApproval { .. } => "RecordApproval",
            Wish::DisableTransition { .. } => "DisableTransition",
            Wish::EnableTransition { .. } => "EnableTransition",
            Wish::Settle => "Settle",
        }
    }
}

impl JobWish {
    /// The wish's name, for log lines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Queue { .. } => "QueueJob",
            Self::Dispatch { .. } => "DispatchJob",
            Self::Acknowledge { .. } => "AcknowledgeJob",
            Self::Continue { .. } => "ContinueJob",
            Self::End { .. } => "EndJob",
        }
    }
}

/// What a decision knows besides its scope.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The later of the clock and the scope's last recorded times.
    pub now: Timestamp,
    /// Who sends the command: a principal's ARN, or a part of the system.
    pub actor: &'a str,
    /// The command's id: every id made by the decision is derived from it, so deciding again makes the same ids.
    pub command_id: &'a str,
    /// The Region label, for artifact stores.
    pub region: &'a str,
    /// What governs runs that start with this command. It is recorded with them: no other command looks here.
    pub policy: &'a Policy,
}
