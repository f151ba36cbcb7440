//! The SDKs of three languages against `towpath up`, each through the whole life of a pipeline, every answer checked
//! on the way.

use std::process::Command;
use tests::{
    proxy::Proxy,
    scenario::{self, Scenario},
    server::{ACCESS_KEY, SECRET_KEY},
};

#[track_caller]
fn plays(client: Command) {
    let scenario = Scenario::new();
    let proxy = Proxy::before(&scenario.server);
    scenario.play(client, &proxy.url(), (ACCESS_KEY, SECRET_KEY));
    // Nothing went past the proxy.
    for (operation, outcome, least) in [
        ("CreatePipeline", "200", 1),
        ("CreatePipeline", "PipelineNameInUseException", 1),
        ("StartPipelineExecution", "200", 2),
        ("PutApprovalResult", "ApprovalAlreadyCompletedException", 1),
        ("RetryStageExecution", "200", 1),
        ("ListActionExecutions", "200", 3),
        ("DisableStageTransition", "200", 1),
        ("UpdatePipeline", "200", 1),
        ("DeletePipeline", "200", 2),
        ("GetPipeline", "PipelineNotFoundException", 1),
    ] {
        assert!(proxy.count(operation, outcome) >= least, "{operation} {outcome}");
    }
    assert!(proxy.checked() > 30, "{} answers", proxy.checked());
}

#[test]
fn boto3_leads_a_pipeline_through_its_life() {
    plays(scenario::python());
}

#[test]
fn the_javascript_sdk_leads_a_pipeline_through_its_life() {
    plays(scenario::javascript());
}

#[test]
fn the_rust_sdk_leads_a_pipeline_through_its_life() {
    plays(scenario::rust());
}
