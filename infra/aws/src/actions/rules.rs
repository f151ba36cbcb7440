//! The rules of stage conditions: alarms are asked, functions called, builds left to the providers that do the same for
//! actions. What windows and comparisons mean is in `engine`, the same for every home.
//!
//! A rule that waits is not slept for: it is looked at again each minute, for as long as it may take.

use super::{
    AwsActions, codebuild, commands, failure, lambda_invoke,
    provider::{Answer, Provider, Step, Task, configuration, cut, job_failed},
    shortened,
};
use crate::client::Service;
use engine::{
    action::{ActionJob, Failure, FailureCode, Run, Success},
    rule::{
        Look, RuleJob, RuleOutcome, RuleSuccess,
        alarm::{self, Watch},
        check, window,
    },
};
use events::ActionCategory;
use serde_json::Value;
use std::time::Duration;

/// How long a function is waited for that decides a rule: as long as Lambda lets it run, less what we need ourselves.
const ANSWER_MAX: Duration = Duration::from_secs(14 * 60);
/// Characters of a function's answer that are shown.
const ANSWER_CHARS_MAX: usize = 1_000;

/// Decides one rule.
pub(super) async fn run(actions: &AwsActions, job: &RuleJob) -> Run<RuleOutcome> {
    let now = actions.now();
    match job.provider.as_str() {
        "VariableCheck" => looked(check::look(job)),
        "DeploymentWindow" => looked(window::look(job, now)),
        "CloudWatchAlarm" => match watch(actions, job).await {
            Ok(look) => looked(look),
            // It can be asked again, until the rule's time is over.
            Err(failure) if failure.code == FailureCode::SystemUnavailable => {
                tracing::warn!(rule = %job.rule_execution, reason = failure.message, "an alarm was not seen");
                Run::Elsewhere
            }
            Err(failure) => failed(failure),
        },
        other => {
            let Some((provider, action)) = as_action(job) else {
                return failed(configuration(format!(
                    "Towpath on AWS knows no rules of the provider `{other}`: those are `CloudWatchAlarm`, `CodeBuild`, \
                     `Commands`, `DeploymentWindow`, `LambdaInvoke` and `VariableCheck`."
                )));
            };
            match actions.attempt(provider, &action, other, job.started).await {
                Ok(Run::Ended(outcome)) => Run::Ended(outcome.into()),
                Ok(Run::Begun(begun)) => Run::Begun(begun),
                Ok(Run::Elsewhere) => Run::Elsewhere,
                Err(failure) => failed(failure),
            }
        }
    }
}

/// The action that does a rule's work, and who carries it out; nothing for a rule that only looks.
pub(super) fn as_action(job: &RuleJob) -> Option<(&'static dyn Provider, ActionJob)> {
    match job.provider.as_str() {
        "CodeBuild" => Some((&codebuild::CodeBuild, job.as_action(ActionCategory::Build, "CodeBuild"))),
        "Commands" => Some((&commands::Commands, job.as_action(ActionCategory::Compute, "Commands"))),
        "LambdaInvoke" => Some((&Answered, job.as_action(ActionCategory::Invoke, "Lambda"))),
        _ => None,
    }
}

fn looked(look: Result<Look, String>) -> Run<RuleOutcome> {
    match look {
        Ok(Look::Met(words)) => {
            Run::Ended(RuleOutcome::Succeeded(RuleSuccess { summary: Some(words), ..RuleSuccess::default() }))
        }
        Ok(Look::NotMet(words)) => failed(Failure::new(FailureCode::JobFailed, words)),
        Ok(Look::Wait(_, words)) => {
            tracing::debug!(words, "a rule waits");
            Run::Elsewhere
        }
        Err(message) => failed(Failure::new(FailureCode::ConfigurationError, message)),
    }
}

fn failed(failure: Failure) -> Run<RuleOutcome> {
    Run::Ended(RuleOutcome::Failed(shortened(failure)))
}

/// The alarm's state, and what it means now. The inner error: the rule is written wrong.
async fn watch(actions: &AwsActions, job: &RuleJob) -> Result<Result<Look, String>, Failure> {
    let watch = match Watch::read(job) {
        Ok(watch) => watch,
        Err(message) => return Ok(Err(message)),
    };
    let action = job.as_action(ActionCategory::Invoke, "CloudWatchAlarm");
    let task = actions.task(&action, false).await?;
    let params = [
        ("AlarmNames.member.1", watch.name.as_str()),
        ("AlarmTypes.member.1", "MetricAlarm"),
        ("AlarmTypes.member.2", "CompositeAlarm"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let answer = task.client.query(Service::CloudWatch, "DescribeAlarms", &params).await;
    let answer = answer.map_err(|error| failure::of(&error, task.who))?;
    let metric = answer.members("DescribeAlarmsResult/MetricAlarms");
    let mut all = metric.chain(answer.members("DescribeAlarmsResult/CompositeAlarms"));
    let Some(alarm) = all.find(|alarm| alarm.text_of("AlarmName").as_deref() == Some(&watch.name)) else {
        return Ok(Err(format!(
            "There is no CloudWatch alarm `{}` in {}. Make it, or correct `AlarmName`.",
            watch.name, task.region
        )));
    };
    let said = alarm.text_of("StateValue").unwrap_or_default();
    let Some(state) = alarm::state(&said) else {
        return Ok(Err(format!(
            "CloudWatch says that the alarm `{}` is in `{said}`, which is no state.",
            watch.name
        )));
    };
    Ok(Ok(watch.judge(job, state, actions.now())))
}

/// A function whose answer decides: no error, and the rule is met.
struct Answered;

impl Provider for Answered {
    fn start<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Step> {
        Box::pin(async move {
            let function = task.needs("FunctionName")?;
            let event = lambda_invoke::event(task).await?;
            let mut request = lambda_invoke::invocation(function, "RequestResponse", &event);
            request.time = Some(ANSWER_MAX);
            // Whoever did not answer in time may have been called.
            request.again = false;
            let answer = task.client.rest(request).await;
            let answer = answer.map_err(|error| lambda_invoke::refused(task, function, error))?;
            let name = lambda_invoke::bare(function);
            let text = cut(&String::from_utf8_lossy(&answer.body), ANSWER_CHARS_MAX);
            match answer.header("x-amz-function-error") {
                None => Ok(Step::Done(Success {
                    summary: Some(format!("the function {name} answered without an error")),
                    external_execution_id: Some(task.token().to_owned()),
                    ..Success::default()
                })),
                Some(_) => {
                    Err(job_failed(format!("The function `{name}` answered with an error: {}", said(&text))))
                }
            }
        })
    }

    fn is_long(&self, job: &ActionJob) -> bool {
        let _ = job;
        true
    }
}

/// What a function that broke says: its error and the message, without the stack.
fn said(answer: &str) -> String {
    let Ok(Value::Object(answer)) = serde_json::from_str::<Value>(answer) else { return answer.to_owned() };
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, message) = (text("errorType"), text("errorMessage"));
    match (kind.is_empty(), message.is_empty()) {
        (true, true) => Value::Object(answer).to_string(),
        (true, false) => message,
        (false, true) => kind,
        (false, false) => format!("{kind}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_function_is_quoted_without_its_stack() {
        let answer = r#"{"errorMessage": "no quota", "errorType": "Refused", "stackTrace": ["line"]}"#;
        assert_eq!(said(answer), "Refused: no quota");
        assert_eq!(said("plain"), "plain");
    }
}
