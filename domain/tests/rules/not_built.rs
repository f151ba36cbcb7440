//! What this version does not do must not run as if it did.

use domain::{
    Rejection, Scope,
    command::{Command, Context, Wish},
    decide,
};
use events::{ExecutionId, Timestamp, Trigger, TriggerType};
use std::collections::BTreeMap;

const CONTEXT: Context<'_> =
    Context { now: Timestamp(1), actor: "ann", command_id: "command-1", region: "us-east-1" };

#[test]
fn a_pipeline_with_a_gate_that_nobody_evaluates_does_not_start() {
    let json = include_str!("../fixtures/pipelines/valid/own.v2-before-entry-window.json");
    let definition = domain::pipeline::parse(&serde_json::from_str(json).unwrap()).unwrap();
    let pipeline = definition.name.clone();
    let mut scope = Scope::default();
    let send = |scope: &mut Scope, execution, wish| {
        decide(scope, &Command { pipeline: pipeline.clone(), execution, wish }, CONTEXT)
    };
    let create = Wish::CreatePipeline { definition: Box::new(definition), tags: BTreeMap::new() };
    send(&mut scope, None, create).unwrap();
    let trigger = Trigger { kind: TriggerType::StartPipelineExecution, detail: "ann".to_owned() };
    let start = Wish::StartExecution { trigger, variables: BTreeMap::new(), revisions: BTreeMap::new() };
    let refused = send(&mut scope, Some(ExecutionId::parse("e1").unwrap()), start).unwrap_err();
    assert!(matches!(&refused, Rejection::NotBuilt { member: "beforeEntry", .. }), "{refused}");
}
