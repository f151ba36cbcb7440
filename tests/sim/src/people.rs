//! What people do: start, stop, retry, answer, open and close doors, change and delete pipelines; all of it as
//! requests of the API. Whether it makes sense is for Towpath to say.

use crate::{definitions, observer::Observer, prng::Prng};
use api::Operation;
use domain::execution::{ActionStatus, Execution, StageStatus};
use events::{ConditionType, ExecutionId, Newer, PipelineName};
use serde_json::{Value, json};

/// A token that no approval ever had.
pub const MADE_UP_TOKEN: &str = "0badf00d-0bad-4bad-8bad-0badf00d0bad";

/// A request of the API.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which operation.
    pub operation: Operation,
    /// Its input.
    pub input: Value,
}

fn request(operation: Operation, input: Value) -> Request {
    Request { operation, input }
}

/// Declares a pipeline. The types it needs have to be there.
pub fn create(definition: Value) -> Request {
    request(Operation::CreatePipeline, definitions::with(json!({}), "pipeline", definition))
}

/// Something a person does to one of these pipelines.
pub fn act(observer: &Observer, names: &[PipelineName], prng: &mut Prng) -> Option<Request> {
    let name = prng.pick(names);
    let of_pipeline = |id: &&ExecutionId| {
        let run = observer.executions.get(*id);
        run.and_then(|run| run.state.start.as_ref()).is_some_and(|start| start.pipeline == *name)
    };
    let is_gone = observer.pipelines.get(name).is_none_or(|stream| stream.state.current.is_none());
    if is_gone && definitions::NAMES.contains(&name.as_str()) && prng.chance(70) {
        return Some(create(definitions::made(name.as_str(), prng)));
    }
    // The newest runs are those that anyone is interested in.
    let runs: Vec<&ExecutionId> = observer.started.iter().rev().filter(of_pipeline).take(6).collect();
    let chosen = (!runs.is_empty()).then(|| *prng.pick(&runs));
    let run = || Some((chosen?, &observer.executions.get(chosen?)?.state));
    let any_stage = |prng: &mut Prng| {
        let declared = observer.pipelines.get(name).and_then(|stream| stream.state.current_definition());
        let stages: Vec<String> = declared
            .map(|definition| definition.stages.iter().map(|stage| stage.name.to_string()).collect())
            .unwrap_or_default();
        if stages.is_empty() { "Build".to_owned() } else { prng.pick(&stages).clone() }
    };
    Some(match prng.below(100) {
        0..=37 => start(name, prng),
        38..=41 => {
            let (target, run) = run()?;
            // Mostly a stage that can be rolled back to that run.
            let passed = run.stages.iter().skip(1).rfind(|stage| stage.status == StageStatus::Succeeded);
            let passed = passed.filter(|_| prng.chance(80)).map(|passed| passed.stage.to_string());
            let stage = passed.unwrap_or_else(|| any_stage(prng));
            let input = json!({
                "pipelineName": name, "stageName": stage, "targetPipelineExecutionId": target,
            });
            request(Operation::RollbackStage, input)
        }
        42..=50 => {
            let abandon = prng.chance(40);
            let input = json!({
                "pipelineName": name, "pipelineExecutionId": run()?.0, "abandon": abandon,
            });
            request(Operation::StopPipelineExecution, input)
        }
        51..=64 => {
            let (id, run) = run()?;
            // Mostly the stage that failed.
            let failed = run.current_stage().map(|stage| stage.stage.to_string());
            let stage = if prng.chance(85) { failed? } else { any_stage(prng) };
            let mode = if prng.chance(30) { "ALL_ACTIONS" } else { "FAILED_ACTIONS" };
            let input = json!({
                "pipelineName": name, "stageName": stage, "pipelineExecutionId": id, "retryMode": mode,
            });
            request(Operation::RetryStageExecution, input)
        }
        65..=69 => {
            let (id, run) = run()?;
            // Mostly the gate that stands in the way.
            let open = run.current_stage().and_then(|stage| Some((stage, stage.conditions.last()?)));
            let (stage, condition) = match open.filter(|_| prng.chance(85)) {
                Some((run, asked)) => (run.stage.to_string(), asked.condition),
                None => {
                    (any_stage(prng), *prng.pick(&[ConditionType::BeforeEntry, ConditionType::OnSuccess]))
                }
            };
            let condition = match condition {
                ConditionType::BeforeEntry => "BEFORE_ENTRY",
                ConditionType::OnSuccess | ConditionType::OnFailure => "ON_SUCCESS",
            };
            let input = json!({
                "pipelineName": name, "stageName": stage, "pipelineExecutionId": id, "conditionType": condition,
            });
            request(Operation::OverrideStageCondition, input)
        }
        70..=79 => {
            let (_, run) = run()?;
            let mut answer = answer(name, run, !prng.chance(25))?;
            match prng.below(100) {
                0..=7 => answer.input["token"] = json!(MADE_UP_TOKEN),
                // One that counted once.
                8..=39 => {
                    if let Some(token) = outlived(run, &answer.input["actionName"]) {
                        answer.input["token"] = json!(token);
                    }
                }
                _ => {}
            }
            answer
        }
        80..=84 => {
            let input = json!({
                "pipelineName": name, "stageName": any_stage(prng), "transitionType": "Inbound",
                "reason": "freeze",
            });
            request(Operation::DisableStageTransition, input)
        }
        85..=91 => enable(name, &any_stage(prng)),
        92..=94 if definitions::NAMES.contains(&name.as_str()) => {
            let definition = definitions::made(name.as_str(), prng);
            request(Operation::UpdatePipeline, definitions::with(json!({}), "pipeline", definition))
        }
        95 => request(Operation::DeletePipeline, json!({ "name": name })),
        96..=97 if definitions::NAMES.contains(&name.as_str()) => {
            create(definitions::made(name.as_str(), prng))
        }
        _ => look(name, chosen, prng),
    })
}

fn start(name: &PipelineName, prng: &mut Prng) -> Request {
    let mut input = json!({ "name": name });
    if prng.chance(30) {
        input["clientRequestToken"] = json!(format!("token-{}", prng.below(4)));
    }
    request(Operation::StartPipelineExecution, input)
}

/// Opens a door.
pub fn enable(name: &PipelineName, stage: &str) -> Request {
    let input = json!({ "pipelineName": name, "stageName": stage, "transitionType": "Inbound" });
    request(Operation::EnableStageTransition, input)
}

fn look(name: &PipelineName, run: Option<&ExecutionId>, prng: &mut Prng) -> Request {
    match (prng.below(5), run) {
        (0, _) => request(Operation::GetPipelineState, json!({ "name": name })),
        (1, Some(run)) => {
            let input = json!({ "pipelineName": name, "pipelineExecutionId": run });
            request(Operation::GetPipelineExecution, input)
        }
        (2, _) => request(Operation::ListActionExecutions, json!({ "pipelineName": name })),
        (3, _) => request(Operation::ListRuleExecutions, json!({ "pipelineName": name })),
        (_, _) => request(Operation::ListPipelineExecutions, json!({ "pipelineName": name })),
    }
}

/// Answers an approval of a run, an open one if there is any.
pub fn answer(name: &PipelineName, run: &Execution, approved: bool) -> Option<Request> {
    let asked = run.stages.iter().flat_map(|stage| stage.attempts.iter().map(move |asked| (stage, asked)));
    let (stage, asked) = asked
        .filter(|(_, attempt)| attempt.token.is_some())
        .max_by_key(|(_, attempt)| attempt.status == ActionStatus::InProgress)?;
    let status = if approved { "Approved" } else { "Rejected" };
    let input = json!({
        "pipelineName": name, "stageName": stage.stage, "actionName": asked.action,
        "token": asked.token, "result": { "summary": "seen", "status": status },
    });
    Some(request(Operation::PutApprovalResult, input))
}

/// The token of the first attempt at an approval, which later ones have replaced.
fn outlived<'r>(run: &'r Execution, action: &Value) -> Option<&'r str> {
    let attempts = run.stages.iter().flat_map(|stage| &stage.attempts);
    let mut asked = attempts.filter(|attempt| *action == *attempt.action.as_str());
    asked.next()?.token.as_deref()
}

/// Whatever is needed so that everything under way can come to an end.
pub fn let_everything_end(observer: &Observer) -> Vec<Request> {
    let mut requests = Vec::new();
    for (name, stream) in &observer.lanes {
        let closed = stream.state.stages.keys().filter(|stage| !stream.state.is_open(stage));
        requests.extend(closed.map(|stage| enable(name, stage.as_str())));
    }
    for stream in observer.executions.values() {
        let run = &stream.state;
        let waits = run.running().any(|(_, attempt)| attempt.token.is_some());
        if let (true, Some(start)) = (waits, &run.start) {
            requests.extend(answer(&start.pipeline, run, true));
            // Where only the newest may pass, the others are sent away.
            if start.policy.gates.values().any(|gate| gate.newer == Newer::Newest) {
                requests.extend(answer(&start.pipeline, run, false));
            }
        }
    }
    requests
}

/// Asks for jobs of the custom types that runs wait for.
pub fn poll(observer: &Observer) -> Vec<Request> {
    let running = observer.executions.values().flat_map(|stream| stream.state.running());
    let mut asked: Vec<Value> = Vec::new();
    for (_, attempt) in running {
        let Some(job) = &attempt.job else { continue };
        let mut input = json!({ "actionTypeId": attempt.action_type, "maxBatchSize": 2 });
        if let Some(query) = &job.query {
            input["queryParam"] = json!({ "ProjectName": query });
        }
        if !asked.contains(&input) {
            asked.push(input);
        }
    }
    asked.into_iter().map(|input| request(Operation::PollForJobs, input)).collect()
}

/// Takes a job on.
pub fn acknowledge(job: &Value) -> Request {
    request(Operation::AcknowledgeJob, json!({ "jobId": job["id"], "nonce": job["nonce"] }))
}

/// Reports what became of a job: mostly that it went well, now and then that it goes on.
pub fn report(job: &Value, is_troubled: bool, prng: &mut Prng) -> Request {
    let id = &job["id"];
    match prng.below(if is_troubled { 10 } else { 7 }) {
        0..=6 => request(Operation::PutJobSuccessResult, json!({ "jobId": id })),
        7 => {
            let input = json!({ "jobId": id, "continuationToken": "more" });
            request(Operation::PutJobSuccessResult, input)
        }
        _ => {
            let failure = json!({ "type": "JobFailed", "message": "exit status 1" });
            request(Operation::PutJobFailureResult, json!({ "jobId": id, "failureDetails": failure }))
        }
    }
}
