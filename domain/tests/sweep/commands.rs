//! The commands, spelled out for a state.

use crate::states::definition;
use domain::{
    command::{ActionResult, Attempt, Details, JobWish, RuleAttempt, RuleResult, Wish},
    execution::rollback::Past,
    testing::*,
};
use events::{
    ActionExecutionId, ActionName, ConditionType, Entry, ExecutionMode, FailureCode, JobId, RuleExecutionId,
    RuleName, StageName, StageRetryMode, Trigger, TriggerType,
};
use std::collections::BTreeMap;

/// Every kind of wish, by name.
pub(crate) const KINDS: &[&str] = &[
    "CreatePipeline",
    "UpdatePipeline",
    "DeletePipeline",
    "StartExecution",
    "TagPipeline",
    "UntagPipeline",
    "StopExecution",
    "RetryStage",
    "RollbackStage",
    "StartRollback",
    "RecordActionResult",
    "NoteActionProgress",
    "QueueJob",
    "DispatchJob",
    "AcknowledgeJob",
    "ContinueJob",
    "EndJob",
    "ExpireAction",
    "RecordRuleResult",
    "NoteRuleProgress",
    "ExpireRule",
    "OverrideCondition",
    "RecordApproval",
    "DisableTransition",
    "EnableTransition",
    "Settle",
];

/// Which kind a wish is. A new variant must be added here, to [`KINDS`] and to [`all`].
pub(crate) fn kind(wish: &Wish) -> &'static str {
    match wish {
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
        Wish::NoteRuleProgress { .. } => "NoteRuleProgress",
        Wish::OnJob { wish, .. } => wish.name(),
        Wish::ExpireAction { .. } => "ExpireAction",
        Wish::RecordRuleResult { .. } => "RecordRuleResult",
        Wish::ExpireRule { .. } => "ExpireRule",
        Wish::OverrideCondition { .. } => "OverrideCondition",
        Wish::RecordApproval { .. } => "RecordApproval",
        Wish::DisableTransition { .. } => "DisableTransition",
        Wish::EnableTransition { .. } => "EnableTransition",
        Wish::Settle => "Settle",
    }
}

/// A command with its name and the run it speaks of.
type Swept = (&'static str, Option<&'static str>, Wish);

/// Every command that can be spelled for a state, many of them out of place.
pub(crate) fn all(world: &World) -> Vec<Swept> {
    let mode = ExecutionMode::Superseded;
    let mut all: Vec<Swept> = vec![
        (
            "create the pipeline",
            None,
            Wish::CreatePipeline { definition: Box::new(definition(mode).build()), tags: BTreeMap::new() },
        ),
        (
            "update the pipeline",
            None,
            Wish::UpdatePipeline { definition: Box::new(definition(mode).build()) },
        ),
        ("delete the pipeline", None, Wish::DeletePipeline),
        (
            "tag the pipeline",
            None,
            Wish::TagPipeline { tags: BTreeMap::from([("team".into(), "shop".into())]) },
        ),
        ("untag the pipeline", None, Wish::UntagPipeline { keys: vec!["team".into()] }),
        ("start e1", Some("e1"), start(&[])),
        ("start e9", Some("e9"), start(&[])),
        ("start e9 with an unknown variable", Some("e9"), start(&[("W", "1")])),
        ("start e9 with an empty value", Some("e9"), start(&[("V", "")])),
        ("stop e1", Some("e1"), Wish::StopExecution { abandon: false, reason: None }),
        (
            "stop and abandon e1",
            Some("e1"),
            Wish::StopExecution { abandon: true, reason: Some("haste".into()) },
        ),
        ("stop e9", Some("e9"), Wish::StopExecution { abandon: false, reason: None }),
        (
            "disable the transition into Prod",
            None,
            Wish::DisableTransition { stage: stage_name("Prod"), reason: "freeze".into() },
        ),
        ("enable the transition into Build", None, Wish::EnableTransition { stage: stage_name("Build") }),
        (
            "disable the transition into Nowhere",
            None,
            Wish::DisableTransition { stage: stage_name("Nowhere"), reason: "freeze".into() },
        ),
        ("settle e1", Some("e1"), Wish::Settle),
        ("settle e9", Some("e9"), Wish::Settle),
    ];
    all.extend(retries());
    all.extend(rollbacks(world));
    all.extend(approvals(world));
    all.extend(results(world));
    all.extend(jobs(world));
    all.extend(gates(world));
    all
}

/// The gates of Prod, and the rule `Open` that guards its way in.
fn gates(world: &World) -> Vec<Swept> {
    let pass = |name, condition| {
        (name, Some("e1"), Wish::OverrideCondition { stage: stage_name("Prod"), condition })
    };
    let met = || RuleResult::Succeeded { mocked: false, details: Details::default() };
    let failed = |code| RuleResult::Failed { code, message: "no".into(), details: Details::default() };
    let stranger = RuleAttempt {
        stage: stage_name("Prod"),
        rule: RuleName::parse("Open").unwrap(),
        rule_execution: RuleExecutionId::parse("00000000-0000-8000-8000-000000000002").unwrap(),
        entry: Entry(1),
    };
    let record = |attempt: &RuleAttempt, result| Wish::RecordRuleResult { attempt: attempt.clone(), result };
    let begun = |attempt: &RuleAttempt| Wish::NoteRuleProgress {
        attempt: attempt.clone(),
        details: Details { external_execution_id: Some("build:18".into()), ..Details::default() },
    };
    let mut all: Vec<Swept> = vec![
        pass("override the way into Prod of e1", ConditionType::BeforeEntry),
        pass("override the way out of Prod of e1", ConditionType::OnSuccess),
        pass("override the failure condition of Prod of e1", ConditionType::OnFailure),
        ("report a rule nobody asked", Some("e1"), record(&stranger, met())),
        ("note that a rule nobody asked has begun", Some("e1"), begun(&stranger)),
        ("expire a rule nobody asked", Some("e1"), Wish::ExpireRule { attempt: stranger.clone() }),
    ];
    if world.exists("e1") && !world.rules("e1", "Open").is_empty() {
        let attempt = world.rule_attempt_of("e1", "Open");
        let late = RuleAttempt { entry: Entry(attempt.entry.0 + 7), ..attempt.clone() };
        let no = failed(FailureCode::JobFailed);
        let error = failed(FailureCode::ConfigurationError);
        all.push(("report that Open of e1 is met", Some("e1"), record(&attempt, met())));
        all.push(("report that Open of e1 is not met", Some("e1"), record(&attempt, no)));
        all.push(("report that Open of e1 could not be asked", Some("e1"), record(&attempt, error)));
        all.push(("report Open of e1 for another admission", Some("e1"), record(&late, met())));
        all.push(("note that Open of e1 has begun", Some("e1"), begun(&attempt)));
        all.push(("expire Open of e1 before its time", Some("e1"), Wish::ExpireRule { attempt }));
    }
    all
}

fn start(variables: &[(&str, &str)]) -> Wish {
    Wish::StartExecution {
        trigger: Trigger { kind: TriggerType::StartPipelineExecution, detail: "somebody".into() },
        variables: variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        revisions: BTreeMap::new(),
    }
}

fn retries() -> Vec<Swept> {
    let retry =
        |name, run, stage, mode| (name, Some(run), Wish::RetryStage { stage: stage_name(stage), mode });
    vec![
        retry("retry what failed in Build of e1", "e1", "Build", StageRetryMode::FailedActions),
        retry("retry all of Build of e1", "e1", "Build", StageRetryMode::AllActions),
        retry("retry what failed in Prod of e1", "e1", "Prod", StageRetryMode::FailedActions),
        retry("retry what failed in Source of e1", "e1", "Source", StageRetryMode::FailedActions),
        retry("retry Nowhere of e1", "e1", "Nowhere", StageRetryMode::FailedActions),
        retry("retry what failed in Build of e9", "e9", "Build", StageRetryMode::FailedActions),
    ]
}

fn rollbacks(world: &World) -> Vec<Swept> {
    let past = |stage| {
        world.exists("e1").then(|| Past::of(world.run("e1"), &stage_name(stage))).flatten().map(Box::new)
    };
    let back = |name, stage| {
        let target = execution_id("e1");
        (name, Some("b1"), Wish::RollbackStage { stage: stage_name(stage), target, past: past(stage) })
    };
    vec![
        back("roll Source back to e1", "Source"),
        back("roll Build back to e1", "Build"),
        back("roll Prod back to e1", "Prod"),
        ("start a rollback that nobody owes", Some("b1"), Wish::StartRollback { past: past("Prod") }),
    ]
}

fn approvals(world: &World) -> Vec<Swept> {
    let token = world
        .exists("e1")
        .then(|| world.attempts("e1", "Sign"))
        .and_then(|attempts| attempts.last()?.token.clone());
    let answer = |approved, token: &str, action: &str| Wish::RecordApproval {
        stage: stage_name("Prod"),
        action: ActionName::parse(action).unwrap(),
        token: token.to_owned(),
        approved,
        summary: "so be it".into(),
    };
    let wrong = "00000000-0000-8000-8000-000000000000";
    let token = token.unwrap_or_else(|| wrong.to_owned());
    vec![
        ("approve Sign of e1", Some("e1"), answer(true, &token, "Sign")),
        ("reject Sign of e1", Some("e1"), answer(false, &token, "Sign")),
        ("approve Sign of e1 with a wrong token", Some("e1"), answer(true, wrong, "Sign")),
        ("approve Ship of e1, which is no approval", Some("e1"), answer(true, &token, "Ship")),
        ("approve Nothing of e1", Some("e1"), answer(true, &token, "Nothing")),
    ]
}

/// Results of the newest attempts at `A` and `Ship`, in time, of another admission, and of nobody's attempt.
fn results(world: &World) -> Vec<Swept> {
    let succeeded = || ActionResult::Succeeded {
        output_variables: BTreeMap::new(),
        revision: None,
        mocked: false,
        details: Details::default(),
    };
    let failed = || ActionResult::Failed {
        code: FailureCode::JobFailed,
        message: "no".into(),
        details: Details::default(),
    };
    let stranger = Attempt {
        stage: StageName::parse("Build").unwrap(),
        action: ActionName::parse("A").unwrap(),
        action_execution: ActionExecutionId::parse("00000000-0000-8000-8000-000000000001").unwrap(),
        entry: Entry(1),
    };
    let record = |attempt: &Attempt, result| Wish::RecordActionResult { attempt: attempt.clone(), result };
    let begun = |attempt: &Attempt| Wish::NoteActionProgress {
        attempt: attempt.clone(),
        details: Details { external_execution_id: Some("build:17".into()), ..Details::default() },
    };
    let mut all: Vec<Swept> = vec![
        ("report success of an attempt nobody made", Some("e1"), record(&stranger, succeeded())),
        ("report success to e9", Some("e9"), record(&stranger, succeeded())),
        ("expire an attempt nobody made", Some("e1"), Wish::ExpireAction { attempt: stranger.clone() }),
        ("note that an attempt nobody made has begun", Some("e1"), begun(&stranger)),
    ];
    let started = |action| world.exists("e1") && !world.attempts("e1", action).is_empty();
    if started("A") {
        let attempt = world.attempt_of("e1", "A");
        let late = Attempt { entry: Entry(attempt.entry.0 + 7), ..attempt.clone() };
        all.push(("report that A of e1 succeeded", Some("e1"), record(&attempt, succeeded())));
        all.push(("report that A of e1 failed", Some("e1"), record(&attempt, failed())));
        all.push(("report A of e1 for another admission", Some("e1"), record(&late, succeeded())));
        all.push(("note that A of e1 has begun", Some("e1"), begun(&attempt)));
        all.push(("note that A of e1 has begun, for another admission", Some("e1"), begun(&late)));
        all.push(("expire A of e1 before its time", Some("e1"), Wish::ExpireAction { attempt }));
    }
    if started("Ship") {
        let attempt = world.attempt_of("e1", "Ship");
        all.push(("report that Ship of e1 succeeded", Some("e1"), record(&attempt, succeeded())));
    }
    all
}

/// Wishes about the job of `A`, which no state has queued but these.
fn jobs(world: &World) -> Vec<Swept> {
    if !world.exists("e1") || world.attempts("e1", "A").is_empty() {
        return Vec::new();
    }
    let run = world.attempt("e1", "A");
    let attempt = run.action_execution.clone();
    let job = run.job.as_ref().map_or_else(
        || JobId::parse("00000000-0000-8000-8000-000000000002").unwrap(),
        |known| known.job.clone(),
    );
    let on = |name, wish| (name, Some("e1"), Wish::OnJob { attempt: attempt.clone(), wish });
    let failed = || ActionResult::Failed {
        code: FailureCode::JobFailed,
        message: "no".into(),
        details: Details::default(),
    };
    let (continuation_token, details) = ("phase-2".to_owned(), Details::default());
    vec![
        on("queue a job for A of e1", JobWish::Queue { query: None }),
        on("hand out the job of A of e1", JobWish::Dispatch { job: job.clone(), nonce: "n2".into() }),
        on("take the job of A of e1", JobWish::Acknowledge { job: job.clone(), nonce: "n1".into() }),
        on(
            "continue the job of A of e1",
            JobWish::Continue { job: job.clone(), continuation_token, details },
        ),
        on("end the job of A of e1", JobWish::End { job, result: failed() }),
    ]
}
