//! Rules that look, and the one that calls a function.

use super::{
    service::{Reply, refusal},
    stage::{NOON, Stage, rule},
};
use engine::{
    action::{FailureCode, Run},
    rule::{RuleJob, RuleOutcome},
};
use events::{ConditionType, Timestamp};

async fn met(stage: &Stage, job: &RuleJob) -> String {
    match stage.rule(job).await {
        Run::Ended(RuleOutcome::Succeeded(success)) => success.summary.unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn refused(stage: &Stage, job: &RuleJob) -> (FailureCode, String) {
    match stage.rule(job).await {
        Run::Ended(RuleOutcome::Failed(failure)) => (failure.code, failure.message),
        other => panic!("{other:?}"),
    }
}

fn alarm(state: &str) -> Reply {
    Reply::Xml(format!(
        "<DescribeAlarmsResponse><DescribeAlarmsResult><CompositeAlarms/><MetricAlarms><member>\
         <AlarmName>errors</AlarmName><StateValue>{state}</StateValue></member></MetricAlarms></DescribeAlarmsResult>\
         </DescribeAlarmsResponse>"
    ))
}

#[tokio::test]
async fn an_alarm_is_waited_for_on_the_way_in_without_anybody_sleeping() {
    let stage = Stage::new();
    let job = rule("CloudWatchAlarm", &[("AlarmName", "errors"), ("WaitTime", "10")]);
    stage.service.on("DescribeAlarms", alarm("ALARM"));
    assert!(matches!(stage.rule(&job).await, Run::Elsewhere));
    stage.service.now("DescribeAlarms", alarm("OK"));
    assert_eq!(met(&stage, &job).await, "the alarm `errors` is in OK");
    stage.service.now("DescribeAlarms", alarm("ALARM"));
    stage.later(10);
    let (code, message) = refused(&stage, &job).await;
    assert_eq!(
        (code, message.as_str()),
        (FailureCode::JobFailed, "the alarm `errors` is still in ALARM after 10 minutes")
    );
    let call = &stage.service.calls("DescribeAlarms")[0];
    assert_eq!(call.input["AlarmNames.member.1"], "errors");
    assert_eq!(call.who, "pipeline");
}

#[tokio::test]
async fn on_the_way_out_an_alarm_is_watched_for_the_whole_time() {
    let stage = Stage::new();
    let mut job = rule("CloudWatchAlarm", &[("AlarmName", "errors"), ("WaitTime", "10")]);
    job.condition = ConditionType::OnSuccess;
    stage.service.on("DescribeAlarms", alarm("OK"));
    assert!(matches!(stage.rule(&job).await, Run::Elsewhere));
    stage.later(10);
    assert_eq!(met(&stage, &job).await, "the alarm `errors` is in OK after 10 minutes");
}

#[tokio::test]
async fn an_alarm_that_is_not_there_or_not_allowed_could_not_be_asked() {
    let stage = Stage::new();
    let job = rule("CloudWatchAlarm", &[("AlarmName", "typo")]);
    stage.service.on("DescribeAlarms", alarm("OK"));
    let (code, message) = refused(&stage, &job).await;
    assert_eq!(code, FailureCode::ConfigurationError);
    assert!(message.contains("no CloudWatch alarm `typo` in eu-west-1"), "{message}");
    stage.service.now("DescribeAlarms", Reply::Refusal(403, "AccessDenied", "no".into()));
    let (code, message) = refused(&stage, &job).await;
    assert_eq!(code, FailureCode::PermissionError);
    assert!(message.contains("`cloudwatch:DescribeAlarms`"), "{message}");
    stage.service.now("DescribeAlarms", refusal("Throttling", "Rate exceeded"));
    assert!(matches!(stage.rule(&job).await, Run::Elsewhere));
}

#[tokio::test]
async fn windows_and_comparisons_mean_what_they_mean_everywhere() {
    let stage = Stage::new();
    let check = [("Variable", "main"), ("Operator", "EQ"), ("Value", "main")];
    assert_eq!(met(&stage, &rule("VariableCheck", &check)).await, "`main` equals `main`");
    // Noon of the clock is 8 in the morning, UTC.
    let open = rule("DeploymentWindow", &[("Cron", "* * 8 * * ?")]);
    assert!(met(&stage, &open).await.starts_with("the deployment window is open: 2027-01-15 08:00"));
    let closed = rule("DeploymentWindow", &[("Cron", "* * 9 * * ?")]);
    assert!(matches!(stage.rule(&closed).await, Run::Elsewhere));
    stage.later(60);
    met(&stage, &closed).await;
    let (code, _) = refused(&stage, &rule("DeploymentWindow", &[("Cron", "whenever")])).await;
    assert_eq!(code, FailureCode::ConfigurationError);
    assert!(stage.service.operations().is_empty());
}

#[tokio::test]
async fn a_function_decides_a_rule_by_its_answer() {
    let stage = Stage::new();
    let job = RuleJob {
        started: Timestamp(NOON),
        ..rule("LambdaInvoke", &[("FunctionName", "arn:aws:lambda:eu-west-1:1:function:gate:live")])
    };
    stage.service.on("Invoke", Reply::Late(50, Box::new(Reply::Raw(200, vec![], b"null".to_vec()))));
    assert_eq!(met(&stage, &job).await, "the function gate answered without an error");
    assert_eq!(stage.service.call("Invoke").headers["x-amz-invocation-type"], "RequestResponse");
    let stage = Stage::new();
    let broken = br#"{"errorType": "NotReady", "errorMessage": "two checks are red", "trace": []}"#.to_vec();
    stage.service.on("Invoke", Reply::Raw(200, vec![("x-amz-function-error", "Unhandled".into())], broken));
    let (code, message) = refused(&stage, &job).await;
    assert_eq!(code, FailureCode::JobFailed);
    assert_eq!(message, "The function `gate` answered with an error: NotReady: two checks are red");
    let (code, message) = refused(&stage, &rule("Telepathy", &[])).await;
    assert_eq!(code, FailureCode::ConfigurationError);
    assert!(message.contains("`Telepathy`"));
}
