//! The way from a commit to production: sources, triggers, order, approvals, stages, modes, roles, artifacts.

use crate::parts::*;
use crate::{found, message};
use domain::pipeline::{lint, parse};
use serde_json::{Value, json};

const NONE: [&str; 0] = [];

#[test]
fn nothing_is_said_about_a_definition_that_is_as_it_should_be() {
    assert_eq!(lint::lint(&parse(&clean()).unwrap()), []);
}

#[test]
fn a_source_that_is_polled_is_told() {
    let rule = "polling-source";
    let mut pipeline = clean();
    let configuration = "stages[0].actions[0].configuration";
    assert_eq!(found(rule, &pipeline), NONE);
    pipeline["stages"][0]["actions"][0]["configuration"]["PollForSourceChanges"] = json!("True");
    assert_eq!(found(rule, &pipeline), [format!("{configuration}.PollForSourceChanges")]);
    pipeline["stages"][0]["actions"][0]["configuration"]
        .as_object_mut()
        .unwrap()
        .remove("PollForSourceChanges");
    assert_eq!(found(rule, &pipeline), [configuration]);
    assert_eq!(found(rule, &triggered(json!([]))), NONE, "a connection is told by events");
}

#[test]
fn action_types_whose_time_is_over_are_told_once() {
    let rule = "deprecated-action-type";
    assert_eq!(found(rule, &clean()), NONE);
    let mut pipeline = clean();
    let configuration = json!({"Owner": "o", "Repo": "r", "Branch": "main", "OAuthToken": "****"});
    let mut source = action("Fetch", "Source", "GitHub", configuration);
    source["actionTypeId"]["owner"] = json!("ThirdParty");
    source["outputArtifacts"] = json!([{"name": "Code"}]);
    pipeline["stages"][0]["actions"] = json!([source]);
    assert_eq!(found(rule, &pipeline), ["stages[0].actions[0].actionTypeId"]);
    assert_eq!(found("polling-source", &pipeline), NONE);
    let mut works = action("Push", "Deploy", "OpsWorks", json!({"Stack": "s", "App": "a"}));
    works["inputArtifacts"] = json!([{"name": "Code"}]);
    let pipeline = super::parts::pipeline(vec![stage("Deploy", vec![works])]);
    assert_eq!(found(rule, &pipeline), ["stages[1].actions[0].actionTypeId"]);
}

#[test]
fn a_filter_inside_of_another_is_told() {
    let rule = "shadowed-trigger";
    let branches = |names: &[&str]| json!({"branches": {"includes": names}});
    let shadow = "triggers[0].gitConfiguration.push[1]";
    assert_eq!(found(rule, &triggered(json!([branches(&["main"]), branches(&["release-*"])]))), NONE);
    assert_eq!(found(rule, &triggered(json!([branches(&["*"]), branches(&["main"])]))), [shadow]);
    assert_eq!(found(rule, &triggered(json!([branches(&["main"]), branches(&["main"])]))), [shadow]);
    let narrow = json!({"branches": {"includes": ["main"]}, "filePaths": {"includes": ["src/**"]}});
    assert_eq!(
        found(rule, &triggered(json!([narrow, branches(&["main"])]))),
        ["triggers[0].gitConfiguration.push[0]"],
        "paths decide nothing beside a filter without them"
    );
    let tags = json!({"tags": {"includes": ["*"]}});
    assert_eq!(found(rule, &triggered(json!([tags, branches(&["*"])]))), NONE);
    let without = json!({"branches": {"includes": ["*"], "excludes": ["main"]}});
    assert_eq!(found(rule, &triggered(json!([without, branches(&["main"])]))), NONE);
}

#[test]
fn pull_request_filters_shadow_each_other_only_for_the_same_events() {
    let of = |events: [&str; 1]| {
        let mut pipeline = triggered(json!([]));
        let git = &mut pipeline["triggers"][0]["gitConfiguration"];
        git.as_object_mut().unwrap().remove("push");
        git["pullRequest"] = json!([
            {"events": ["OPEN"], "branches": {"includes": ["**"]}},
            {"events": events, "branches": {"includes": ["main"]}},
        ]);
        found("shadowed-trigger", &pipeline)
    };
    assert_eq!(of(["OPEN"]), ["triggers[0].gitConfiguration.pullRequest[1]"]);
    assert_eq!(of(["CLOSED"]), NONE);
}

#[test]
fn patterns_that_are_excluded_again_are_told() {
    let of = |excludes: &[&str]| {
        let filter = json!([{"branches": {"includes": ["main", "dev"], "excludes": excludes}}]);
        found("trigger-matches-nothing", &triggered(filter))
    };
    assert_eq!(of(&["main"]), NONE);
    assert_eq!(of(&["*"]), ["triggers[0].gitConfiguration.push[0].branches"]);
}

#[test]
fn builds_that_wait_in_vain_are_told() {
    let rule = "serial-actions";
    let of = |first: Value, second: Value| {
        found(rule, &pipeline(vec![stage("Check", vec![first, at(2, second)])]))
    };
    assert_eq!(of(build("Compile"), build("Lint")), ["stages[1].actions[1].runOrder"]);
    assert_eq!(of(build("Deploy"), build("Verify")), NONE, "a build that deploys is waited for");
    assert_eq!(of(approval("Ask"), build("Lint")), NONE, "an approval is there to be waited for");
    let mut made = build("Compile");
    made["outputArtifacts"] = json!([{"name": "Built"}]);
    let mut uses = build("Lint");
    uses["inputArtifacts"] = json!([{"name": "Built"}]);
    assert_eq!(of(made, uses), NONE);
    let mut told = commands("Count", &["true"]);
    told["namespace"] = json!("Counted");
    told["outputVariables"] = json!(["N"]);
    assert_eq!(of(told, commands("Show", &["echo #{Counted.N}"])), NONE);
}

#[test]
fn two_deployments_to_one_place_at_once_are_told() {
    let rule = "same-target-in-parallel";
    let of = |actions: Vec<Value>| found(rule, &pipeline(vec![stage("Deploy", actions)]));
    let twin = |name: &str| {
        let mut twin = deploy(name);
        twin["configuration"]["ServiceName"] = json!("web");
        twin
    };
    assert_eq!(of(vec![deploy("A"), deploy("B")]), NONE);
    assert_eq!(of(vec![twin("A"), twin("B")]), ["stages[1].actions[1].configuration"]);
    assert_eq!(of(vec![twin("A"), at(2, twin("B"))]), NONE);
    let mut elsewhere = twin("B");
    elsewhere["roleArn"] = json!("arn:aws:iam::210987654321:role/deploy");
    assert_eq!(of(vec![twin("A"), elsewhere]), NONE, "the same name in another account");
    assert_eq!(of(vec![stack("A", "CREATE_UPDATE"), stack("B", "CREATE_UPDATE")]).len(), 1);
    assert_eq!(of(vec![stack("A", "CHANGE_SET_REPLACE"), stack("B", "CHANGE_SET_REPLACE")]), NONE);
}

#[test]
fn an_approval_that_guards_nothing_is_told() {
    let rule = "approval-beside-work";
    let of = |actions: Vec<Value>| found(rule, &pipeline(vec![stage("Deploy", actions)]));
    assert_eq!(of(vec![approval("Ask"), deploy("Web")]), ["stages[1].actions[0]"]);
    assert_eq!(of(vec![at(3, deploy("Web")), at(3, approval("Ask"))]), ["stages[1].actions[1].runOrder"]);
    assert_eq!(of(vec![approval("Ask"), at(2, deploy("Web"))]), NONE);
    let mut test = action("Try", "Test", "CodeBuild", json!({"ProjectName": "try"}));
    test["inputArtifacts"] = json!([{"name": "Code"}]);
    assert_eq!(of(vec![approval("Ask"), test]), NONE, "a test beside it is something to look at");
}

#[test]
fn an_approval_that_keeps_an_environment_taken_is_told() {
    let rule = "approval-holds-stage";
    let of = |actions: Vec<Value>| found(rule, &pipeline(vec![stage("Staging", actions)]));
    assert_eq!(of(vec![deploy("Web"), at(2, approval("Look"))]), ["stages[1].actions[1]"]);
    assert_eq!(of(vec![approval("Look"), at(2, deploy("Web"))]), NONE);
    let change = vec![
        stack("Prepare", "CHANGE_SET_REPLACE"),
        at(2, approval("Look")),
        at(3, stack("Execute", "CHANGE_SET_EXECUTE")),
    ];
    assert_eq!(of(change), NONE, "a change set is looked at before it is executed");
}

#[test]
fn an_approval_without_an_end_is_told_by_what_it_holds_up() {
    let mut pipeline = clean();
    let place = ["stages[2].actions[0]"];
    assert_eq!(found("approval-without-timeout", &pipeline), NONE);
    pipeline["stages"][2]["actions"][0].as_object_mut().unwrap().remove("timeoutInMinutes");
    assert_eq!(found("approval-without-timeout", &pipeline), place);
    assert_eq!(found("queue-behind-approval", &pipeline), NONE);
    pipeline["executionMode"] = json!("QUEUED");
    assert_eq!(found("approval-without-timeout", &pipeline), NONE);
    assert_eq!(found("queue-behind-approval", &pipeline), place);
}

#[test]
fn production_that_nothing_guards_is_told_once() {
    let rule = "production-without-approval";
    let of = |stages: Vec<Value>| found(rule, &pipeline(stages));
    let prod = || stage("Prod", vec![deploy("Web")]);
    assert_eq!(of(vec![prod(), stage("ProdUs", vec![deploy("Us")])]), ["stages[1].actions[0]"]);
    assert_eq!(of(vec![stage("Gate", vec![approval("Ask")]), prod()]), NONE);
    assert_eq!(of(vec![stage("PreProd", vec![deploy("Web")])]), NONE);
    assert_eq!(of(vec![stage("Deploy", vec![deploy("ToProduction")])]), ["stages[1].actions[0]"]);
    assert_eq!(of(vec![stage("Live", vec![build("Roll")])]), ["stages[1].actions[0]"]);
    let mut guarded = prod();
    guarded["beforeEntry"] = json!({"conditions": [{"result": "FAIL", "rules": [{
        "name": "Window", "ruleTypeId": {"category": "Rule", "owner": "AWS", "provider": "DeploymentWindow",
            "version": "1"},
        "configuration": {"Cron": "* * 9-17 ? * MON-FRI *"},
    }]}]});
    assert_eq!(of(vec![guarded]), NONE);
}

#[test]
fn production_without_a_way_back_is_told() {
    let rule = "production-without-on-failure";
    let mut pipeline = clean();
    assert_eq!(found(rule, &pipeline), NONE);
    pipeline["stages"][2].as_object_mut().unwrap().remove("onFailure");
    assert_eq!(found(rule, &pipeline), ["stages[2]"]);
    assert!(message(rule, &pipeline).contains("ROLLBACK"));
    pipeline["executionMode"] = json!("PARALLEL");
    assert!(!message(rule, &pipeline).contains("ROLLBACK"));
}

#[test]
fn a_deployment_straight_from_the_source_is_told() {
    let rule = "deploy-without-test";
    assert_eq!(found(rule, &clean()), NONE);
    let straight = pipeline(vec![stage("Ask", vec![approval("Ask")]), stage("Deploy", vec![deploy("Web")])]);
    assert_eq!(found(rule, &straight), ["stages[2].actions[0]"]);
}

#[test]
fn parallel_deployments_to_one_place_are_told() {
    let rule = "parallel-deploy";
    let mut parallel = pipeline(vec![stage("Deploy", vec![deploy("Web"), deploy("Api")])]);
    assert_eq!(found(rule, &parallel), NONE);
    parallel["executionMode"] = json!("PARALLEL");
    assert_eq!(found(rule, &parallel), ["executionMode"]);
    for action in parallel["stages"][1]["actions"].as_array_mut().unwrap() {
        action["configuration"]["ServiceName"] = json!("web-#{Src.BranchName}");
    }
    assert_eq!(found(rule, &parallel), NONE, "each branch has its own place");
}

#[test]
fn roles_that_do_nothing_are_told() {
    let mut pipeline = clean();
    assert_eq!(found("unused-role", &pipeline), NONE);
    pipeline["stages"][2]["actions"][0]["roleArn"] = json!("arn:aws:iam::123456789012:role/ask");
    assert_eq!(found("unused-role", &pipeline), ["stages[2].actions[0].roleArn"]);
    pipeline["stages"][2]["actions"][0]["configuration"]["NotificationArn"] =
        json!("arn:aws:sns:us-east-1:123456789012:gates");
    assert_eq!(found("unused-role", &pipeline), NONE);
    assert_eq!(found("redundant-role", &pipeline), NONE);
    pipeline["stages"][1]["actions"][0]["roleArn"] = json!(ROLE);
    assert_eq!(found("redundant-role", &pipeline), ["stages[1].actions[0].roleArn"]);
}

#[test]
fn one_role_for_everything_is_told() {
    let with = |roles: [&str; 3]| {
        let mut pipeline = clean();
        for (place, role) in
            ["/stages/0/actions/0", "/stages/1/actions/0", "/stages/2/actions/1"].iter().zip(roles)
        {
            pipeline.pointer_mut(place).unwrap()["roleArn"] =
                json!(format!("arn:aws:iam::123456789012:role/{role}"));
        }
        found("one-role-for-all", &pipeline)
    };
    assert_eq!(with(["all", "all", "all"]), ["stages[0].actions[0].roleArn"]);
    assert_eq!(with(["all", "all", "deploy"]), NONE);
}

#[test]
fn names_that_come_again_are_told_once() {
    let rule = "repeated-action-name";
    let stages = |names: [&str; 3]| {
        let stages = names.iter().enumerate().map(|(n, name)| stage(&format!("S{n}"), vec![build(name)]));
        pipeline(stages.collect())
    };
    assert_eq!(found(rule, &stages(["A", "B", "C"])), NONE);
    assert_eq!(found(rule, &stages(["A", "A", "A"])), ["stages[2].actions[0].name"]);
}

#[test]
fn outputs_nobody_reads_are_told() {
    let rule = "unread-output";
    let mut pipeline = clean();
    assert_eq!(found(rule, &pipeline), NONE);
    pipeline["stages"][1]["actions"][0]["outputArtifacts"] = json!([{"name": "Built"}]);
    assert_eq!(found(rule, &pipeline), ["stages[1].actions[0].outputArtifacts[0]"]);
    pipeline["stages"][2]["actions"][1]["inputArtifacts"] = json!([{"name": "Built"}]);
    assert_eq!(found(rule, &pipeline), NONE);
    // A second source may be there to start the pipeline, or for its variables.
    let mut second = action("Image", "Source", "ECR", json!({"RepositoryName": "base"}));
    second["outputArtifacts"] = json!([{"name": "Base"}]);
    pipeline["stages"][0]["actions"].as_array_mut().unwrap().push(second);
    assert_eq!(found(rule, &pipeline), NONE);
}

#[test]
fn a_store_without_a_key_is_told_louder_when_another_account_must_read_it() {
    let (default, crossing) = ("default-artifact-key", "cross-account-without-key");
    let mut pipeline = clean();
    pipeline["stages"][2]["actions"][1]["roleArn"] = json!("arn:aws:iam::210987654321:role/deploy");
    assert_eq!(found(crossing, &pipeline), NONE);
    pipeline["artifactStore"].as_object_mut().unwrap().remove("encryptionKey");
    assert_eq!(found(crossing, &pipeline), ["stages[2].actions[1].roleArn"]);
    assert_eq!(found(default, &pipeline), NONE);
    pipeline["stages"][2]["actions"][1].as_object_mut().unwrap().remove("roleArn");
    assert_eq!(found(crossing, &pipeline), NONE);
    assert_eq!(found(default, &pipeline), ["artifactStore"]);
    let store = pipeline.as_object_mut().unwrap().remove("artifactStore").unwrap();
    pipeline["artifactStores"] = json!({"us-east-1": store});
    assert_eq!(found(default, &pipeline), ["artifactStores.us-east-1"]);
}
