use super::*;
use crate::{
    runners::tests::Stage,
    settings::{Alarm, Function},
};
use events::{
    ConditionType, Entry, ExecutionId, PipelineName, RuleExecutionId, RuleName, StageName, Timestamp,
};

fn job(provider: &str, configuration: &[(&str, &str)]) -> RuleJob {
    RuleJob {
        rule_execution: RuleExecutionId::parse("11111111-1111-4111-8111-111111111111").unwrap(),
        execution: ExecutionId::parse("22222222-2222-4222-8222-222222222222").unwrap(),
        pipeline: PipelineName::parse("shop").unwrap(),
        stage: StageName::parse("Stage").unwrap(),
        condition: ConditionType::BeforeEntry,
        rule: RuleName::parse("Rule").unwrap(),
        entry: Entry::default(),
        provider: provider.into(),
        version: "1".into(),
        configuration: configuration.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        commands: vec![],
        inputs: vec![],
        begun: None,
        roles: vec![],
        region: None,
        encryption_key: None,
        resumed: false,
        started: Timestamp(now()),
        deadline: Timestamp(i64::MAX),
    }
}

async fn met(stage: &Stage, job: &RuleJob) -> RuleSuccess {
    match run(job, &stage.site).await {
        RuleOutcome::Succeeded(success) => success,
        RuleOutcome::Failed(failure) => panic!("{failure:?}\n{}", stage.log()),
    }
}

async fn refused(stage: &Stage, job: &RuleJob) -> (FailureCode, String) {
    match run(job, &stage.site).await {
        RuleOutcome::Succeeded(success) => panic!("{success:?}"),
        RuleOutcome::Failed(failure) => (failure.code, failure.message),
    }
}

async fn not_met(stage: &Stage, job: &RuleJob) -> String {
    let (code, message) = refused(stage, job).await;
    assert_eq!(code, FailureCode::JobFailed, "{message}");
    message
}

/// It could not be asked.
async fn not_asked(stage: &Stage, job: &RuleJob) -> String {
    let (code, message) = refused(stage, job).await;
    assert_eq!(code, FailureCode::ConfigurationError, "{message}");
    message
}

fn check(variable: &str, operator: &str, value: &str) -> RuleJob {
    job("VariableCheck", &[("Variable", variable), ("Operator", operator), ("Value", value)])
}

#[tokio::test]
async fn a_variable_is_compared_as_its_operator_says() {
    let stage = Stage::new();
    for (variable, operator, value, holds) in [
        ("main", "EQ", "main", true),
        ("main", "EQ", "Main", false),
        ("main", "NE", "next", true),
        ("main", "NE", "main", false),
        ("fix: a thing", "CONTAINS", "fix", true),
        ("fix: a thing", "CONTAINS", "fixed", false),
        ("release/1.2", "MATCHES", r"release/\d+\.\d+", true),
        ("my release/1.2", "MATCHES", r"release/\d+\.\d+", false),
        ("ab", "MATCHES", "a|ab", true),
        ("", "EQ", "", true),
        ("", "MATCHES", ".*", true),
    ] {
        let job = check(variable, operator, value);
        let outcome = run(&job, &stage.site).await;
        assert_eq!(
            matches!(outcome, RuleOutcome::Succeeded(_)),
            holds,
            "{variable} {operator} {value}: {outcome:?}"
        );
    }
    let message = not_met(&stage, &check("next", "EQ", "main")).await;
    assert_eq!(message, "`next` does not equal `main`");
    assert_eq!(met(&stage, &check("a", "NE", "b")).await.summary.as_deref(), Some("`a` differs from `b`"));
}

#[tokio::test]
async fn what_cannot_be_compared_could_not_be_asked() {
    let stage = Stage::new();
    let message = not_asked(&stage, &check("a", "GT", "b")).await;
    assert!(message.contains("`GT`") && message.contains("`MATCHES`"), "{message}");
    for pattern in ["(", "(?=a)", r"(a)\1", "a)(b", &"(a{1000}){1000}".repeat(3)] {
        let message = not_asked(&stage, &check("a", "MATCHES", pattern)).await;
        assert!(message.contains("is not a pattern"), "{message}");
    }
    let message = not_asked(&stage, &job("VariableCheck", &[("Variable", "a"), ("Value", "a")])).await;
    assert_eq!(message, "The configuration of the rule `Rule` has no `Operator`.");
}

#[tokio::test]
async fn an_open_window_lets_in_at_once() {
    let stage = Stage::new();
    for zone in ["", "UTC", "Europe/Berlin"] {
        let job = job("DeploymentWindow", &[("Cron", "* * * * * ?"), ("TimeZone", zone)]);
        let summary = met(&stage, &job).await.summary.unwrap();
        assert!(summary.starts_with("the deployment window is open: "), "{summary}");
    }
}

#[tokio::test]
async fn a_window_that_makes_no_sense_could_not_be_asked() {
    let stage = Stage::new();
    for cron in ["", "* * * *", "* * * * *", "* * 25 * * ?", "whenever", "* * * L-3 * ?"] {
        let message = not_asked(&stage, &job("DeploymentWindow", &[("Cron", cron)])).await;
        assert!(message.contains("`Cron`"), "{message}");
    }
    let job = job("DeploymentWindow", &[("Cron", "* * * * * ?"), ("TimeZone", "Mars/Olympus")]);
    let message = not_asked(&stage, &job).await;
    assert!(message.contains("`Mars/Olympus`"), "{message}");
    let never = self::job("DeploymentWindow", &[("Cron", "* * * 30 2 ?")]);
    assert!(not_asked(&stage, &never).await.contains("never opens"));
}

#[tokio::test]
async fn a_closed_window_waits_until_it_is_told_to_stop() {
    let stage = Stage::new();
    // Open in a year that is over within the schedule's reach, and not now.
    let job = job("DeploymentWindow", &[("Cron", "* * * * * ? 2199")]);
    let waiting = tokio::spawn({
        let (job, site) = (job.clone(), stage.site.clone());
        async move { run(&job, &site).await }
    });
    while !stage.log().contains("it opens 2199-01-01 00:00 UTC") {
        assert!(!waiting.is_finished(), "{}", stage.log());
        tokio::task::yield_now().await;
    }
    stage.cancel.send_replace(true);
    assert!(matches!(waiting.await.unwrap(), RuleOutcome::Failed(_)));
}

fn alarm(file: &str) -> Stage {
    let stage = Stage::new();
    let path = stage.base().join(file);
    let mut stage = stage;
    stage.set(|settings| {
        settings.alarms.insert("errors".into(), Alarm { file: Some(path), ..Alarm::default() });
    });
    stage
}

fn watching(condition: ConditionType, wait: &str, started: i64) -> RuleJob {
    let configuration = [("AlarmName", "errors"), ("WaitTime", wait)];
    RuleJob { condition, started: Timestamp(started), ..job("CloudWatchAlarm", &configuration) }
}

#[tokio::test]
async fn an_alarm_that_is_quiet_lets_in_at_once() {
    let stage = alarm("state");
    stage.write(&[("state", "OK\n")]);
    let success = met(&stage, &watching(ConditionType::BeforeEntry, "60", now())).await;
    assert_eq!(success.summary.as_deref(), Some("the alarm `errors` is in OK"));
}

#[tokio::test]
async fn an_alarm_that_rings_shuts_the_way_in_when_the_wait_is_over() {
    let stage = alarm("state");
    stage.write(&[("state", "ALARM")]);
    let message = not_met(&stage, &watching(ConditionType::BeforeEntry, "", now())).await;
    assert_eq!(message, "the alarm `errors` is still in ALARM after 0 minutes");
    // Resumed after a restart: the time before it counts.
    let message = not_met(&stage, &watching(ConditionType::OnFailure, "10", now() - 11 * 60_000)).await;
    assert_eq!(message, "the alarm `errors` is still in ALARM after 10 minutes");
}

#[tokio::test]
async fn the_way_out_watches_to_the_end_and_fails_at_the_first_ring() {
    let stage = alarm("state");
    stage.write(&[("state", "OK")]);
    let success = met(&stage, &watching(ConditionType::OnSuccess, "10", now() - 11 * 60_000)).await;
    assert_eq!(success.summary.as_deref(), Some("the alarm `errors` is in OK after 10 minutes"));
    stage.write(&[("state", "ALARM")]);
    let message = not_met(&stage, &watching(ConditionType::OnSuccess, "10", now())).await;
    assert_eq!(message, "the alarm `errors` is in ALARM");
}

#[tokio::test]
async fn the_states_that_matter_are_a_list() {
    let stage = alarm("state");
    stage.write(&[("state", "INSUFFICIENT_DATA")]);
    for states in ["ALARM,INSUFFICIENT_DATA", r#"["INSUFFICIENT_DATA"]"#, " INSUFFICIENT_DATA "] {
        let configuration = [("AlarmName", "errors"), ("AlarmStates", states)];
        assert!(not_met(&stage, &job("CloudWatchAlarm", &configuration)).await.contains("INSUFFICIENT_DATA"));
    }
    let configuration = [("AlarmName", "arn:aws:cloudwatch:eu-west-1:1:alarm:errors")];
    met(&stage, &job("CloudWatchAlarm", &configuration)).await;
    let configuration = [("AlarmName", "errors"), ("AlarmStates", "RINGING")];
    assert!(not_asked(&stage, &job("CloudWatchAlarm", &configuration)).await.contains("`RINGING`"));
}

#[tokio::test]
async fn an_alarm_may_be_a_program_that_prints_its_state() {
    let mut stage = Stage::new();
    let script = |text: &str| Alarm { command: vec!["sh".into(), "-c".into(), text.into()], file: None };
    for (program, expected) in [
        ("echo looking; echo OK", "the alarm `errors` is in OK"),
        ("echo $TOWPATH_ALARM; echo ALARM", "the alarm `errors` is still in ALARM after 0 minutes"),
        ("exit 3", "The program for the alarm `errors` ended with status 3."),
    ] {
        stage.set(|settings| drop(settings.alarms.insert("errors".into(), script(program))));
        let outcome = run(&watching(ConditionType::BeforeEntry, "0", now()), &stage.site).await;
        let words = match outcome {
            RuleOutcome::Succeeded(success) => success.summary.unwrap(),
            RuleOutcome::Failed(failure) => failure.message,
        };
        assert_eq!(words, expected);
    }
    stage.set(|settings| drop(settings.alarms.insert("errors".into(), script("true"))));
    let message = not_asked(&stage, &watching(ConditionType::BeforeEntry, "0", now())).await;
    assert!(message.contains("one of `OK`, `ALARM`"), "silence is no state: {message}");
}

#[tokio::test]
async fn an_alarm_nothing_stands_for_could_not_be_asked_and_says_what_to_set() {
    let stage = Stage::new();
    let message = not_asked(&stage, &watching(ConditionType::BeforeEntry, "0", now())).await;
    assert!(message.contains("`[alarms.\"errors\"]`"), "{message}");
    let stage = alarm("missing");
    assert!(
        not_asked(&stage, &watching(ConditionType::BeforeEntry, "0", now())).await.contains("cannot be read")
    );
    let message = not_asked(&stage, &watching(ConditionType::BeforeEntry, "soon", now())).await;
    assert!(message.contains("`WaitTime` is `soon`"), "{message}");
}

#[tokio::test]
async fn commands_decide_by_how_they_exit() {
    let stage = Stage::new();
    stage.write(&[("ready", "yes")]);
    let input = stage.artifact("App");
    for (command, holds) in [("test -f ready", true), ("test -f missing", false)] {
        let commands = vec![command.to_owned()];
        let job = RuleJob { commands, inputs: vec![input.clone()], ..job("Commands", &[]) };
        match run(&job, &stage.site).await {
            RuleOutcome::Succeeded(_) => assert!(holds, "{command}"),
            RuleOutcome::Failed(failure) => {
                assert!(!holds, "{command}: {failure:?}\n{}", stage.log());
                assert_eq!(failure.code, FailureCode::JobFailed);
            }
        }
    }
}

#[tokio::test]
async fn a_function_decides_by_how_it_exits() {
    for (script, holds) in [("cat > event.json", true), ("exit 1", false)] {
        let stage = Stage::with(|settings| {
            let command = ["sh", "-c", script].map(str::to_owned).to_vec();
            settings.lambda.insert("gate".into(), Function { command, ..Function::default() });
        });
        let job = job("LambdaInvoke", &[("FunctionName", "gate"), ("UserParameters", "x")]);
        let outcome = run(&job, &stage.site).await;
        assert_eq!(matches!(outcome, RuleOutcome::Succeeded(_)), holds, "{outcome:?}");
    }
    let stage = Stage::new();
    let message = not_asked(&stage, &job("LambdaInvoke", &[("FunctionName", "gate")])).await;
    assert!(message.contains("[lambda.\"gate\"]"), "{message}");
}

#[tokio::test]
async fn a_build_decides_by_how_it_ends() {
    let stage = Stage::new();
    stage.write(&[("buildspec.yml", "version: 0.2\nphases:\n  build:\n    commands: [exit 4]\n")]);
    let inputs = vec![stage.artifact("App")];
    let job = RuleJob { inputs, ..job("CodeBuild", &[("ProjectName", "gate")]) };
    not_met(&stage, &job).await;
}

#[tokio::test]
async fn a_mocked_rule_says_that_it_is_one() {
    let stage = Stage::with(|settings| {
        settings.mock.insert("Rule/CloudWatchAlarm".into(), Mock::Succeed);
        settings.mock.insert("Rule/LambdaInvoke".into(), Mock::Fail);
    });
    let success = met(&stage, &job("CloudWatchAlarm", &[])).await;
    assert!(success.mocked);
    assert_eq!(not_met(&stage, &job("LambdaInvoke", &[])).await, "mocked failure");
}

#[tokio::test]
async fn an_unknown_provider_could_not_be_asked_and_says_how_to_mock_it() {
    let stage = Stage::new();
    let message = not_asked(&stage, &job("Oracle", &[])).await;
    assert!(message.contains("`\"Rule/Oracle\" = \"succeed\"`"), "{message}");
}
