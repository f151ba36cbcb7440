//! What the world must do because of an event.

use crate::command::{Attempt, Command};
use events::{ActionExecutionId, ExecutionId, PipelineName, StageName, Timestamp};

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
