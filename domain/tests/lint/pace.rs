//! What runs when, and what stands in front of production: approvals, order, targets, modes.

use crate::parts::*;
use crate::{said, said_of_any};
use serde_json::{Value, json};

const NONE: [&str; 0] = [];

fn one(actions: Vec<Value>) -> Value {
    pipeline(vec![stage("Work", actions)])
}

fn named(name: &str, mut action: Value) -> Value {
    action["name"] = json!(name);
    action
}

fn with(mut action: Value, member: &str, value: Value) -> Value {
    action[member] = value;
    action
}

fn code_build(name: &str, category: &str, project: &str) -> Value {
    with(
        action(name, category, "CodeBuild", json!({"ProjectName": project})),
        "inputArtifacts",
        json!([{"name": "Code"}]),
    )
}

fn lambda(name: &str) -> Value {
    action(name, "Invoke", "Lambda", json!({"FunctionName": "f"}))
}

/// A condition of one rule that fails.
fn window() -> Value {
    json!({"conditions": [{"result": "FAIL", "rules": [{
        "name": "Window", "configuration": {"Cron": "* * 9-17 ? * MON-FRI *"},
        "ruleTypeId": {"category": "Rule", "owner": "AWS", "provider": "DeploymentWindow", "version": "1"},
    }]}]})
}

#[test]
fn an_approval_beside_any_kind_of_work_is_told() {
    let rule = "approval-beside-work";
    for work in [build("Do"), deploy("Do"), lambda("Do"), commands("Do", &["true"])] {
        assert_eq!(
            said(rule, &one(vec![approval("Ask"), work])),
            ["stages[1].actions[0]: `Ask` starts together with `Do`, and does not guard it."]
        );
    }
    for beside in [code_build("Try", "Test", "p"), approval("Second")] {
        assert_eq!(said(rule, &one(vec![approval("Ask"), beside])), NONE);
    }
    let raised = one(vec![at(2, deploy("Do")), at(2, approval("Ask"))]);
    assert_eq!(
        said(rule, &raised),
        ["stages[1].actions[1].runOrder: `Ask` starts together with `Do`, and does not guard it."]
    );
    assert_eq!(said("approval-holds-stage", &raised), NONE, "one finding is enough");
}

#[test]
fn the_last_deployment_before_an_approval_is_the_one_that_waits() {
    let rule = "approval-holds-stage";
    let actions =
        vec![deploy("First"), at(3, deploy("Second")), at(4, build("Look")), at(5, approval("Ask"))];
    assert_eq!(
        said(rule, &one(actions)),
        ["stages[1].actions[3]: stage `Work` stays taken after `Second` until `Ask` is answered."]
    );
    assert_eq!(said(rule, &one(vec![build("Look"), at(2, approval("Ask"))])), NONE);
    assert_eq!(said(rule, &one(vec![deploy("Web"), at(2, approval("Ask")), at(3, build("Look"))])), NONE);
}

#[test]
fn an_approval_without_an_end_waits_a_week() {
    let of = |mode: &str, rule: &str| {
        let mut definition = one(vec![with(approval("Ask"), "timeoutInMinutes", Value::Null)]);
        definition["executionMode"] = json!(mode);
        said(rule, &definition)
    };
    for mode in ["SUPERSEDED", "PARALLEL"] {
        let words = "stages[1].actions[0]: `Ask` waits up to 7 days for an answer.";
        assert_eq!(of(mode, "approval-without-timeout"), [words]);
        assert_eq!(of(mode, "queue-behind-approval"), NONE);
    }
    let words = "stages[1].actions[0]: all executions queue behind `Ask` for up to 7 days.";
    assert_eq!(of("QUEUED", "queue-behind-approval"), [words]);
}

#[test]
fn those_that_wait_in_vain_are_told_together() {
    let rule = "serial-actions";
    let waits = |waiting: Value| said(rule, &one(vec![build("Compile"), at(2, waiting)]));
    let words = "stages[1].actions[1].runOrder: `Lint` waits for `Compile` but uses nothing made there: it could run \
                 with `runOrder` 1.";
    for quiet in
        [code_build("Lint", "Build", "p"), code_build("Lint", "Test", "p"), commands("Lint", &["true"])]
    {
        assert_eq!(waits(quiet), [words]);
    }
    for busy in [
        code_build("PublishDocs", "Build", "p"),
        code_build("Lint", "Build", "smoke-tests"),
        deploy("Lint"),
        lambda("Lint"),
        approval("Lint"),
    ] {
        assert_eq!(waits(busy), NONE);
    }
    let several =
        vec![at(3, build("Compile")), at(3, build("Types")), at(5, build("Lint")), at(5, build("Count"))];
    assert_eq!(
        said(rule, &one(several)),
        [
            "stages[1].actions[2].runOrder: `Lint`, `Count` wait for `Compile`, `Types` but use nothing made there: \
          they could run with `runOrder` 3."
        ]
    );
    let beside = vec![build("Compile"), lambda("Make"), at(2, build("Lint"))];
    assert_eq!(said(rule, &one(beside)), NONE, "what the function does is not known");
    let mut foreign = build("Lint");
    foreign["actionTypeId"]["owner"] = json!("Custom");
    assert_eq!(said_of_any(rule, &one(vec![build("Compile"), at(2, foreign)])), NONE);
    let skips = vec![build("A"), at(2, deploy("B")), at(3, build("C"))];
    assert_eq!(said(rule, &one(skips)), NONE, "only neighbours are compared");
}

#[test]
fn whoever_asks_for_a_variable_waits_for_a_reason() {
    let rule = "serial-actions";
    let counted = || {
        let counted = with(commands("Count", &["true"]), "namespace", json!("Counted"));
        with(counted, "outputVariables", json!(["N"]))
    };
    let variable = |value: &str| json!([{"name": "N", "value": value}]);
    for asks in [
        commands("Show", &["true", "echo #{Counted.N}"]),
        with(commands("Show", &["true"]), "environmentVariables", variable("#{Counted.N}")),
        {
            let mut build = build("Show");
            build["configuration"]["BuildspecOverride"] = json!("#{Counted.N}.yml");
            build
        },
    ] {
        assert_eq!(said(rule, &one(vec![counted(), at(2, asks)])), NONE);
    }
    let other = with(commands("Show", &["true"]), "environmentVariables", variable("#{Src.CommitId}"));
    assert_eq!(said(rule, &one(vec![counted(), at(2, other)])).len(), 1);
}

#[test]
fn what_takes_one_deployment_at_a_time_is_known_by_its_settings() {
    let rule = "same-target-in-parallel";
    let of = |provider: &str, configuration: Value| {
        let make = |name: &str| {
            let action = action(name, "Deploy", provider, configuration.clone());
            with(action, "inputArtifacts", json!([{"name": "Code"}]))
        };
        said_of_any(rule, &one(vec![make("A"), make("B")]))
    };
    let group = json!({"ApplicationName": "a", "DeploymentGroupName": "g"});
    for (provider, configuration, kind) in [
        ("CloudFormation", json!({"ActionMode": "CREATE_UPDATE", "StackName": "s"}), "stack"),
        ("CodeDeploy", group.clone(), "deployment group"),
        ("CodeDeployToECS", group, "deployment group"),
        ("ECS", json!({"ClusterName": "c", "ServiceName": "s"}), "service"),
        ("ElasticBeanstalk", json!({"ApplicationName": "a", "EnvironmentName": "e"}), "environment"),
    ] {
        let words = format!(
            "stages[1].actions[1].configuration: `A` and `B` deploy to the same {kind} at the same time."
        );
        assert_eq!(of(provider, configuration), [words]);
    }
    assert_eq!(of("CodeDeploy", json!({"ApplicationName": "a"})), NONE, "which group is not said");
    assert_eq!(of("S3", json!({"BucketName": "b", "Extract": "true"})), NONE, "a bucket takes any number");
    let twin = || with(deploy("Web"), "configuration", json!({"ClusterName": "c", "ServiceName": "s"}));
    let mut foreign = named("Other", twin());
    foreign["actionTypeId"]["owner"] = json!("Custom");
    assert_eq!(said_of_any(rule, &one(vec![foreign.clone(), named("Third", foreign)])), NONE);
    let elsewhere = with(named("Other", twin()), "region", json!("eu-west-1"));
    assert_eq!(said_of_any(rule, &one(vec![twin(), elsewhere])), NONE, "another Region has another service");
    let stages = pipeline(vec![stage("One", vec![twin()]), stage("Two", vec![named("Other", twin())])]);
    assert_eq!(said(rule, &stages), NONE, "stages come one after another");
}

#[test]
fn what_can_hold_up_a_change_stands_before_production() {
    let rule = "production-without-approval";
    let words = "stages[2].actions[0]: nothing can hold up a change before `Web` in stage `Prod`.";
    let of = |change: fn(&mut Value)| {
        let mut definition = pipeline(vec![
            stage("Build", vec![build("Compile")]),
            stage("Prod", vec![deploy("Web")]),
            stage("After", vec![build("Look")]),
        ]);
        change(&mut definition);
        said(rule, &definition)
    };
    assert_eq!(of(|_| {}), [words]);
    for (change, holds) in [
        ((|json| json["stages"][1]["beforeEntry"] = window()) as fn(&mut Value), true),
        (|json| json["stages"][2]["beforeEntry"] = window(), true),
        (|json| json["stages"][3]["beforeEntry"] = window(), false),
        (|json| json["stages"][0]["onSuccess"] = window(), true),
        (|json| json["stages"][1]["onSuccess"] = window(), true),
        (|json| json["stages"][2]["onSuccess"] = window(), false),
        (|json| json["stages"][1]["actions"] = json!([build("Compile"), at(2, approval("Ask"))]), true),
        (|json| json["stages"][2]["actions"] = json!([deploy("Web"), approval("Ask")]), false),
        (|json| json["stages"][3]["actions"] = json!([approval("Ask")]), false),
    ] {
        assert_eq!(of(change).is_empty(), holds);
    }
}

#[test]
fn production_is_known_by_what_an_action_is_and_how_it_is_called() {
    let rule = "production-without-approval";
    for (stage_name, work, is_told) in [
        ("Prod", deploy("Web"), true),
        ("Staging", deploy("WebProd"), true),
        ("Staging", deploy("Web"), false),
        ("Prod", build("Roll"), true),
        ("Prod", lambda("Roll"), true),
        ("Prod", commands("Roll", &["true"]), true),
        ("Staging", build("Prod"), false),
        ("ProdTests", build("Roll"), false),
        ("Prod", build("PlanChanges"), false),
        ("Prod", code_build("Roll", "Test", "p"), false),
        ("Prod", approval("Roll"), false),
    ] {
        let definition = pipeline(vec![stage(stage_name, vec![work])]);
        assert_eq!(!said(rule, &definition).is_empty(), is_told, "{}", definition["stages"][1]);
    }
}

#[test]
fn a_stage_that_deploys_to_production_has_an_answer_to_failures() {
    let rule = "production-without-on-failure";
    let of = |mode: &str, work: Value| {
        let mut definition = pipeline(vec![stage("Staging", vec![deploy("Web")]), stage("Prod", vec![work])]);
        definition["executionMode"] = json!(mode);
        said(rule, &definition)
    };
    for (mode, way_out) in [
        ("SUPERSEDED", "`ROLLBACK` or `RETRY`"),
        ("QUEUED", "`ROLLBACK` or `RETRY`"),
        ("PARALLEL", "`RETRY`"),
    ] {
        let words = format!(
            "stages[2]: stage `Prod` has no `onFailure`: {way_out} could answer a failed deployment."
        );
        assert_eq!(of(mode, deploy("Us")), [words]);
    }
    assert_eq!(of("SUPERSEDED", build("Roll")), NONE, "it does not deploy");
}

#[test]
fn whatever_looks_at_a_commit_before_it_is_deployed_counts() {
    let rule = "deploy-without-test";
    let words = "`Web` deploys what no earlier action has built or tested.";
    for (looks, counts) in [
        (build("Look"), true),
        (code_build("Look", "Test", "p"), true),
        (commands("Look", &["true"]), true),
        (lambda("Look"), true),
        (approval("Look"), false),
    ] {
        let before = pipeline(vec![stage("Look", vec![looks.clone()]), stage("Deploy", vec![deploy("Web")])]);
        let expected = if counts { vec![] } else { vec![format!("stages[2].actions[0]: {words}")] };
        assert_eq!(said(rule, &before), expected);
        let beside = one(vec![looks.clone(), deploy("Web")]);
        assert_eq!(said(rule, &beside), [format!("stages[1].actions[1]: {words}")], "beside is not before");
        let after = one(vec![deploy("Web"), at(2, looks)]);
        assert_eq!(said(rule, &after), [format!("stages[1].actions[0]: {words}")]);
    }
    assert_eq!(said(rule, &one(vec![build("Compile")])), NONE, "nothing is deployed");
}

#[test]
fn deployments_of_a_parallel_pipeline_are_counted() {
    let rule = "parallel-deploy";
    let of = |mode: &str, actions: Vec<Value>| {
        let mut definition = one(actions);
        definition["executionMode"] = json!(mode);
        said(rule, &definition)
    };
    let words = |others: &str| {
        format!(
            "executionMode: executions run in PARALLEL, and `A` in stage `Work`{others} deploys all of them to the \
             same place."
        )
    };
    assert_eq!(of("PARALLEL", vec![deploy("A")]), [words("")]);
    assert_eq!(of("PARALLEL", vec![deploy("A"), deploy("B")]), [words(" (and one more action)")]);
    assert_eq!(of("PARALLEL", vec![deploy("A"), deploy("B"), deploy("C")]), [words(" (and 2 more actions)")]);
    assert_eq!(of("PARALLEL", vec![build("A")]), NONE);
    for mode in ["QUEUED", "SUPERSEDED"] {
        assert_eq!(of(mode, vec![deploy("A")]), NONE);
    }
}

#[test]
fn the_holders_of_one_name_are_counted() {
    let again = pipeline(vec![
        stage("One", vec![build("A")]),
        stage("Two", vec![build("B")]),
        stage("Three", vec![build("A")]),
        stage("Four", vec![build("A")]),
    ]);
    assert_eq!(
        said("repeated-action-name", &again),
        ["stages[3].actions[0].name: `A` is the name of 3 actions; the first is in stage `One`."]
    );
}
