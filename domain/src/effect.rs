//! What the world must do because of an event.

use crate::command::{Attempt, Command};
use events::{ExecutionId, PipelineName, Timestamp};

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
    /// Send a command, now or at a time.
    Tell {
        /// The command.
        command: Box<Command>,
        /// Not before; `None` means now.
        at: Option<Timestamp>,
    },
}
