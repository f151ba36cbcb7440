//! What the world must do because of an event.

use crate::command::{Attempt, Command, RuleAttempt};
use events::{ActionExecutionId, ExecutionId, PipelineName, RuleExecutionId, StageName, Timestamp};

/// A request to the world. Its id is the stream, version and index of the event that asked for it; carrying one
/// out twice must do no harm.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Have a provider carry out an attempt, and record its result.
    RunAction {
        /// The pipeline.
        pipeline: PipelineName,
        /// The run.
        execution: ExecutionId,
        /// The attempt.
        attempt: Attempt,
        /// It may have been started before a crash: clear away what that left behind.
        resumed: bool,
    },
    /// Ask a provider to stop an attempt that no longer counts.
    CancelAction {
        /// The pipeline.
        pipeline: PipelineName,
        /// The run.
        execution: ExecutionId,
        /// The attempt.
        attempt: Attempt,
    },
    /// Forget the timer that would have expired an attempt: it has ended.
    ClearTimer {
        /// The attempt.
        action_execution: ActionExecutionId,
    },
    /// Have the attempt expire at its deadline.
    SetTimer {
        /// The pipeline.
        pipeline: PipelineName,
        /// The run.
        execution: ExecutionId,
        /// The attempt.
        attempt: Attempt,
        /// Not before.
        at: Timestamp,
    },
    /// Have a provider carry out an attempt at a rule, and record its result.
    RunRule {
        /// The pipeline.
        pipeline: PipelineName,
        /// The run.
        execution: ExecutionId,
        /// The attempt.
        attempt: RuleAttempt,
        /// It may have been started before a crash: clear away what that left behind.
        resumed: bool,
    },
    /// Ask a provider to stop an attempt at a rule that no longer counts.
    CancelRule {
        /// The pipeline.
        pipeline: PipelineName,
        /// The run.
        execution: ExecutionId,
        /// The attempt.
        rule_execution: RuleExecutionId,
    },
    /// Forget the timer that would have expired an attempt at a rule: it has ended.
    ClearRuleTimer {
        /// The attempt.
        rule_execution: RuleExecutionId,
    },
    /// Have the attempt at a rule expire at its deadline.
    SetRuleTimer {
        /// The pipeline.
        pipeline: PipelineName,
        /// The run.
        execution: ExecutionId,
        /// The attempt.
        attempt: RuleAttempt,
        /// Not before.
        at: Timestamp,
    },
    /// Start a run that rolls a stage back: look up what the target had, and send that with `StartRollback`.
    StartRollback {
        /// The pipeline.
        pipeline: PipelineName,
        /// The run to start.
        execution: ExecutionId,
        /// The stage.
        stage: StageName,
        /// The earlier run.
        target: ExecutionId,
    },
    /// Send a command.
    Tell(Box<Command>),
}
