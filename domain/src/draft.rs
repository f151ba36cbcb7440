//! A decision in the making: events are written down as they are decided, so that each next step of the same
//! decision sees the state after the last.

use crate::pipeline::PipelineDeclaration;
use crate::{
    command::Context, execution::Execution, lane::Lane, pipeline::versions::Pipeline, rejection::Rejection,
};
use events::{
    ExecutionEvent, ExecutionId, ExecutionMode, LaneEvent, PipelineEvent, PipelineName, Policy, StageName,
    Timestamp,
};
use std::sync::Arc;

/// The states a command reads. A command about no execution leaves that one untouched.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scope {
    /// Definitions.
    pub pipeline: Pipeline,
    /// Traffic.
    pub lane: Lane,
    /// The run.
    pub execution: Execution,
}

/// What a command leads to: events for each stream, to be appended together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// For `pipeline#<name>`.
    pub pipeline: Vec<PipelineEvent>,
    /// For `lane#<pipeline>`.
    pub lane: Vec<LaneEvent>,
    /// For `execution#<id>`.
    pub execution: Vec<ExecutionEvent>,
}

impl Decision {
    /// The command was satisfied already.
    pub fn is_empty(&self) -> bool {
        self.pipeline.is_empty() && self.lane.is_empty() && self.execution.is_empty()
    }

    /// What it does to the run is about attempts at actions alone: how they went, and which ones start next in the
    /// stage the run is in.
    pub(crate) fn stays_among_actions(&self) -> bool {
        self.execution.iter().all(|event| match event {
            ExecutionEvent::ActionStarted(_)
            | ExecutionEvent::ActionProgressed(_)
            | ExecutionEvent::ActionSucceeded(_)
            | ExecutionEvent::ActionFailed(_)
            | ExecutionEvent::JobQueued(_)
            | ExecutionEvent::JobDispatched(_)
            | ExecutionEvent::JobAcknowledged(_)
            | ExecutionEvent::JobContinued(_)
            | ExecutionEvent::ResultIgnored(_) => true,
            ExecutionEvent::ExecutionStarted(_)
            | ExecutionEvent::StageStarted(_)
            | ExecutionEvent::StageRetried(_)
            | ExecutionEvent::ActionAbandoned(_)
            | ExecutionEvent::ConditionStarted(_)
            | ExecutionEvent::ConditionEnded(_)
            | ExecutionEvent::ConditionOverridden(_)
            | ExecutionEvent::RuleStarted(_)
            | ExecutionEvent::RuleProgressed(_)
            | ExecutionEvent::RuleSucceeded(_)
            | ExecutionEvent::RuleFailed(_)
            | ExecutionEvent::RuleAbandoned(_)
            | ExecutionEvent::RuleResultIgnored(_)
            | ExecutionEvent::StageSkipped(_)
            | ExecutionEvent::StageSucceeded(_)
            | ExecutionEvent::StageFailed(_)
            | ExecutionEvent::StageStopped(_)
            | ExecutionEvent::StageCancelled(_)
            | ExecutionEvent::StopRequested(_)
            | ExecutionEvent::ExecutionSucceeded(_)
            | ExecutionEvent::ExecutionFailed(_)
            | ExecutionEvent::ExecutionStopped(_)
            | ExecutionEvent::ExecutionCancelled(_)
            | ExecutionEvent::ExecutionSuperseded(_) => false,
        })
    }
}

pub(crate) struct Draft<'a> {
    pub(crate) scope: &'a mut Scope,
    pub(crate) decision: Decision,
    pub(crate) name: &'a PipelineName,
    pub(crate) now: Timestamp,
    pub(crate) actor: &'a str,
    pub(crate) region: &'a str,
    pub(crate) policy: &'a Policy,
    command_id: &'a str,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(scope: &'a mut Scope, name: &'a PipelineName, context: Context<'a>) -> Self {
        Self {
            scope,
            decision: Decision::default(),
            name,
            now: context.now,
            actor: context.actor,
            region: context.region,
            policy: context.policy,
            command_id: context.command_id,
        }
    }

    pub(crate) fn pipeline(&mut self, event: PipelineEvent) {
        self.scope.pipeline.evolve(&event, self.now);
        self.decision.pipeline.push(event);
    }

    pub(crate) fn lane(&mut self, event: LaneEvent) {
        if fault!(StageNotReleased) && matches!(event, LaneEvent::StageReleased(_))
            || fault!(SupersededForgotten) && matches!(event, LaneEvent::ExecutionSuperseded(_))
        {
            return;
        }
        self.scope.lane.evolve(&event, self.now);
        self.decision.lane.push(event);
    }

    pub(crate) fn execution(&mut self, event: ExecutionEvent) {
        self.scope.execution.evolve(&event, self.now);
        self.decision.execution.push(event);
    }

    /// The scope's run is one of this very pipeline, not of another, nor of one of this name that was deleted.
    /// The lane says so: unlike the pipeline's stream it is always read at the version that is written, so that a
    /// run of a deleted pipeline can never take a stage of its successor.
    pub(crate) fn is_own_run(&self) -> bool {
        let start = self.scope.execution.start.as_ref();
        start.is_some_and(|start| {
            start.pipeline == *self.name
                && (start.incarnation == self.scope.lane.incarnation || fault!(DeletionUnnoticed))
        })
    }

    /// The pipeline was updated since the scope's run started, and the run must end for it: see
    /// `spec/execution-semantics.md`, section 12. Decided on an older read of the pipeline the run goes on for one
    /// more step; its next door is where it ends then.
    pub(crate) fn is_outdated(&self) -> bool {
        let pipeline = &self.scope.pipeline;
        self.scope.execution.start.as_ref().is_some_and(|start| {
            start.mode != ExecutionMode::Parallel
                && !start.policy.is_extended()
                && start.incarnation == pipeline.incarnation
                && pipeline.current.is_some_and(|current| current > start.pipeline_version)
        })
    }

    /// The definition the scope's run follows. `None` when its pipeline was deleted, and when the pipeline was
    /// read before that version was declared: the run then stays as it is until `Settle`.
    pub(crate) fn own_definition(&self) -> Option<Arc<PipelineDeclaration>> {
        let start = self.scope.execution.start.as_ref().filter(|_| self.is_own_run())?;
        let pipeline = &self.scope.pipeline;
        let definition = pipeline.definition(start.pipeline_version);
        definition.filter(|_| start.incarnation == pipeline.incarnation).cloned()
    }

    /// The scope's run keeps its own definition, whatever becomes of the pipeline's.
    pub(crate) fn is_extended(&self) -> bool {
        self.is_own_run()
            && self.scope.execution.start.as_ref().is_some_and(|start| start.policy.is_extended())
    }

    /// The definition that a wish of people about the scope's run is judged by: its own where it keeps that,
    /// otherwise the current one, which must then be the run's own too.
    pub(crate) fn judging_definition(&self) -> Option<Arc<PipelineDeclaration>> {
        if self.is_extended() {
            return self.own_definition();
        }
        self.scope.pipeline.current_definition().cloned()
    }

    /// Why there is no definition to judge by: the pipeline is not there, or this version of towpath cannot read it.
    pub(crate) fn no_pipeline(&self) -> Rejection {
        let pipeline = self.name.clone();
        let own = self.scope.execution.start.as_ref().filter(|_| self.is_extended());
        match self.scope.pipeline.current {
            Some(current) => {
                let version = own.map_or(current, |start| start.pipeline_version);
                Rejection::DefinitionUnreadable { pipeline, version }
            }
            None => Rejection::PipelineNotFound { pipeline },
        }
    }

    pub(crate) fn no_stage(&self, stage: &StageName) -> Rejection {
        Rejection::StageNotFound { pipeline: self.name.clone(), stage: stage.clone() }
    }

    pub(crate) fn no_execution(&self, execution: &ExecutionId) -> Rejection {
        Rejection::ExecutionNotFound { pipeline: self.name.clone(), execution: execution.clone() }
    }

    /// 128 bits made of the command's id, what they are for, and how much this decision has made so far. The same
    /// command decided again makes the same bits. They promise no secrecy: an approval token is as secret as the ids it
    /// is derived from, which the API shows to the same callers (ADR 5).
    pub(crate) fn derive(&self, purpose: &[&str]) -> u128 {
        let ordinal = self.decision.execution.len().to_string();
        spread([self.command_id, ordinal.as_str()].into_iter().chain(purpose.iter().copied()))
    }

    /// A UUID (version 8: of our own making) from [`Draft::derive`].
    pub(crate) fn derive_uuid(&self, purpose: &[&str]) -> String {
        uuid_of(self.derive(purpose))
    }
}

/// 128 bits made of some texts: FNV-1a, which spreads well and keeps no secret.
pub(crate) fn spread<'t>(parts: impl IntoIterator<Item = &'t str>) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut hash = parts.into_iter().fold(OFFSET, |hash, part| {
        let eat = |hash: u128, byte: &u8| (hash ^ u128::from(*byte)).wrapping_mul(PRIME);
        eat(part.as_bytes().iter().fold(hash, eat), &0xff)
    });
    // The last bytes barely reach the high bits; two more rounds of folding mix them in.
    for _ in 0..2 {
        hash = (hash ^ (hash >> 64)).wrapping_mul(PRIME | (PRIME << 40));
    }
    hash ^ (hash >> 64)
}

/// A UUID of version 8 (of our own making) from bits that are spread well already; six of them give way to its marks.
pub fn uuid_of(bits: u128) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x8 << 76) | (0x2 << 62);
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (ordinal, byte) in bits.to_be_bytes().into_iter().enumerate() {
        at += usize::from(matches!(ordinal, 4 | 6 | 8 | 10));
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 0xf)];
        at += 2;
    }
    std::str::from_utf8(&text).expect("digits and dashes are text").to_owned()
}
