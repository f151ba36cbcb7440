//! The gates of the world's stages: what providers of rules report, and what people override.

use super::{
    outcome::Outcome,
    world::{World, stage_name},
};
use crate::{
    command::{Details, RuleAttempt, RuleResult, Wish},
    execution::{ConditionRun, ConditionStatus, RuleRun},
};
use events::{ConditionType, FailureCode};

/// Commands, spelled short.
impl World {
    /// Reports that the rule's newest attempt is met.
    #[track_caller]
    pub fn when_rule_succeeds(&mut self, execution: &str, rule: &str) -> Outcome {
        let attempt = self.rule_attempt_of(execution, rule);
        let result = RuleResult::Succeeded { mocked: false, details: Details::default() };
        self.when_rule_reported(execution, attempt, result)
    }

    /// Reports that the rule's newest attempt is not met.
    #[track_caller]
    pub fn when_rule_fails(&mut self, execution: &str, rule: &str) -> Outcome {
        self.when_rule_fails_with(execution, rule, FailureCode::JobFailed)
    }

    /// Reports that the rule's newest attempt could not be asked.
    #[track_caller]
    pub fn when_rule_cannot_run(&mut self, execution: &str, rule: &str) -> Outcome {
        self.when_rule_fails_with(execution, rule, FailureCode::PermissionError)
    }

    /// Reports a failure of this class.
    #[track_caller]
    pub fn when_rule_fails_with(&mut self, execution: &str, rule: &str, code: FailureCode) -> Outcome {
        let attempt = self.rule_attempt_of(execution, rule);
        let result = RuleResult::Failed { code, message: "no".to_owned(), details: Details::default() };
        self.when_rule_reported(execution, attempt, result)
    }

    /// Reports any result of any attempt.
    #[track_caller]
    pub fn when_rule_reported(
        &mut self,
        execution: &str,
        attempt: RuleAttempt,
        result: RuleResult,
    ) -> Outcome {
        self.send(Some(execution), Wish::RecordRuleResult { attempt, result })
    }

    /// Overrides a condition.
    #[track_caller]
    pub fn when_overridden(&mut self, execution: &str, stage: &str, condition: ConditionType) -> Outcome {
        self.send(Some(execution), Wish::OverrideCondition { stage: stage_name(stage), condition })
    }
}

/// Looking at the states.
impl World {
    /// Every attempt at a rule, oldest first.
    #[track_caller]
    pub fn rules(&self, execution: &str, rule: &str) -> Vec<&RuleRun> {
        let rules = self.run(execution).rules().map(|(_, _, run)| run);
        rules.filter(|run| run.rule.as_str() == rule).collect()
    }

    /// The newest attempt at a rule.
    #[track_caller]
    pub fn rule(&self, execution: &str, rule: &str) -> &RuleRun {
        match self.rules(execution, rule).pop() {
            Some(run) => run,
            None => panic!("`{rule}` was never asked in `{execution}`: {:#?}", self.run(execution)),
        }
    }

    /// What a provider would report the newest attempt at a rule with.
    #[track_caller]
    pub fn rule_attempt_of(&self, execution: &str, rule: &str) -> RuleAttempt {
        let found = self.run(execution).rules().filter(|(_, _, run)| run.rule.as_str() == rule).last();
        match found {
            Some((stage, _, run)) => RuleAttempt {
                stage: stage.stage.clone(),
                rule: run.rule.clone(),
                rule_execution: run.rule_execution.clone(),
                entry: run.entry,
            },
            None => panic!("`{rule}` was never asked in `{execution}`: {:#?}", self.run(execution)),
        }
    }

    /// Every time a gate of a stage was asked, oldest first.
    #[track_caller]
    pub fn conditions(&self, execution: &str, stage: &str, condition: ConditionType) -> Vec<&ConditionRun> {
        let run = self.run(execution).stage(&stage_name(stage));
        let conditions = run.into_iter().flat_map(|run| &run.conditions);
        conditions.filter(|run| run.condition == condition).collect()
    }

    /// How a gate of a stage was answered last; `None` when it was not asked.
    #[track_caller]
    pub fn condition_status(
        &self,
        execution: &str,
        stage: &str,
        condition: ConditionType,
    ) -> Option<ConditionStatus> {
        self.conditions(execution, stage, condition).pop().map(|run| run.status)
    }
}
