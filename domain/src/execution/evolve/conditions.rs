//! Writing the events of conditions and rules down. Total: never fails, never consults policy.

use super::keep;
use crate::execution::{
    ActionStatus, ConditionRun, ConditionStatus, Execution, ExecutionStatus, RuleRun, StageRun, StageStatus,
};
use events::{
    ConditionEnded, ConditionOverridden, ConditionStarted, ConditionType, RuleExecutionId, RuleFailed,
    RuleProgressed, RuleStarted, RuleSucceeded, StageName, StageRetryMode, Timestamp,
};

impl StageRun {
    /// What a retry makes of the gates: the way out is asked again in any case; the way in if the whole stage
    /// begins anew, or if it was not passed.
    pub(super) fn set_conditions_aside(&mut self, mode: StageRetryMode) {
        for run in &mut self.conditions {
            let passed = matches!(run.status, ConditionStatus::Succeeded | ConditionStatus::Overridden);
            run.set_aside |= match (run.condition, mode) {
                (ConditionType::OnSuccess | ConditionType::OnFailure, _)
                | (ConditionType::BeforeEntry, StageRetryMode::AllActions) => true,
                (ConditionType::BeforeEntry, StageRetryMode::FailedActions) => !passed,
            };
        }
    }
}

impl Execution {
    pub(super) fn condition_started(&mut self, started: &ConditionStarted, at: Timestamp) {
        let Some(stage) = self.stage_mut(&started.stage) else { return };
        stage.conditions.push(ConditionRun {
            condition: started.condition,
            entry: started.entry,
            status: ConditionStatus::InProgress,
            summary: None,
            rules: Vec::new(),
            started: at,
            updated: at,
            by: None,
            set_aside: false,
        });
    }

    pub(super) fn condition_ended(&mut self, ended: &ConditionEnded, at: Timestamp) {
        if let Some(run) = self.condition_mut(&ended.stage, ended.condition) {
            run.status = ended.verdict.into();
            run.summary.clone_from(&ended.summary);
            run.updated = at;
        }
    }

    pub(super) fn condition_overridden(&mut self, overridden: &ConditionOverridden, at: Timestamp) {
        self.status = ExecutionStatus::InProgress;
        self.ended = None;
        if let Some(stage) = self.stage_mut(&overridden.stage) {
            stage.entry = overridden.entry;
            stage.status = StageStatus::InProgress;
            stage.ended = None;
        }
        if let Some(run) = self.condition_mut(&overridden.stage, overridden.condition) {
            run.status = ConditionStatus::Overridden;
            run.by = Some(overridden.by.clone());
            run.updated = at;
        }
    }

    pub(super) fn rule_started(&mut self, started: &RuleStarted, at: Timestamp) {
        let Some(condition) = self.condition_mut(&started.stage, started.condition) else { return };
        condition.rules.push(RuleRun {
            rule: started.rule.clone(),
            rule_execution: started.rule_execution.clone(),
            entry: started.entry,
            provider: started.provider.clone(),
            version: started.version.clone(),
            status: ActionStatus::InProgress,
            started: at,
            updated: at,
            deadline: started.deadline,
            resolved: started.resolved.clone(),
            inputs: started.inputs.clone(),
            error: None,
            summary: None,
            external_execution_id: None,
            external_execution_url: None,
            mocked: false,
            result_ignored: false,
        });
    }

    pub(super) fn rule_progressed(&mut self, progressed: &RuleProgressed) {
        if let Some(rule) = self.rules_mut().find(|rule| rule.rule_execution == progressed.rule_execution) {
            rule.external_execution_id = Some(progressed.external_execution_id.clone());
            rule.external_execution_url.clone_from(&progressed.external_execution_url);
            rule.summary.clone_from(&progressed.summary);
        }
    }

    pub(super) fn rule_succeeded(&mut self, succeeded: &RuleSucceeded, at: Timestamp) {
        self.change_rule(&succeeded.rule_execution, at, |rule| {
            rule.status = ActionStatus::Succeeded;
            rule.summary.clone_from(&succeeded.summary);
            keep(&mut rule.external_execution_id, &succeeded.external_execution_id);
            keep(&mut rule.external_execution_url, &succeeded.external_execution_url);
            rule.mocked = succeeded.mocked;
        });
    }

    pub(super) fn rule_failed(&mut self, failed: &RuleFailed, at: Timestamp) {
        self.change_rule(&failed.rule_execution, at, |rule| {
            rule.status = ActionStatus::Failed;
            rule.error = Some((failed.code, failed.message.clone()));
            rule.summary.clone_from(&failed.summary);
            keep(&mut rule.external_execution_id, &failed.external_execution_id);
            keep(&mut rule.external_execution_url, &failed.external_execution_url);
        });
    }

    pub(super) fn rule_result_ignored(&mut self, id: &RuleExecutionId) {
        self.rules_mut().filter(|rule| rule.rule_execution == *id).for_each(|rule| {
            rule.result_ignored = true;
        });
    }

    pub(super) fn change_rule(
        &mut self,
        id: &RuleExecutionId,
        at: Timestamp,
        how: impl FnOnce(&mut RuleRun),
    ) {
        if let Some(rule) = self.rules_mut().find(|rule| rule.rule_execution == *id) {
            rule.updated = at;
            how(rule);
        }
    }

    fn rules_mut(&mut self) -> impl Iterator<Item = &mut RuleRun> {
        let conditions = self.stages.iter_mut().rev().flat_map(|stage| stage.conditions.iter_mut().rev());
        conditions.flat_map(|condition| condition.rules.iter_mut())
    }

    fn stage_mut(&mut self, stage: &StageName) -> Option<&mut StageRun> {
        self.stages.iter_mut().rev().find(|run| run.stage == *stage)
    }

    fn condition_mut(&mut self, stage: &StageName, gate: ConditionType) -> Option<&mut ConditionRun> {
        let runs = self.stage_mut(stage)?.conditions.iter_mut().rev();
        runs.into_iter().find(|run| run.condition == gate && !run.set_aside)
    }
}
