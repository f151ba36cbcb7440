//! Variables that are never there or never asked for, and sources that start a pipeline by themselves.

use crate::parts::*;
use crate::{said, said_of_any};
use serde_json::{Value, json};

const NONE: [&str; 0] = [];

fn with(mut action: Value, member: &str, value: Value) -> Value {
    action[member] = value;
    action
}

/// Something in front, and commands that ask it for a variable.
fn asked(before: Value, reference: &str) -> Value {
    let before = with(before, "namespace", json!("Did"));
    let line = format!("echo #{{{reference}}}");
    pipeline(vec![stage("One", vec![before]), stage("Two", vec![commands("Ask", &[&line])])])
}

#[test]
fn what_an_action_does_not_publish_is_told_with_what_it_does() {
    let rule = "unknown-output-variable";
    let machine = action("Do", "Invoke", "StepFunctions", json!({"StateMachineArn": "arn"}));
    let mut group =
        action("Do", "Deploy", "CodeDeploy", json!({"ApplicationName": "a", "DeploymentGroupName": "g"}));
    group["inputArtifacts"] = json!([{"name": "Code"}]);
    let counted = with(commands("Do", &["true"]), "outputVariables", json!(["Number", "Sum"]));
    for (before, reference, problem) in [
        (build("Do"), "codepipeline.PipelineExecutionId", None),
        (
            build("Do"),
            "codepipeline.Id",
            Some("`#{codepipeline.Id}` does not exist: `codepipeline` holds `PipelineExecutionId` only."),
        ),
        (build("Do"), "Did.Anything", None),
        (counted.clone(), "Did.Number", None),
        (counted.clone(), "Did.Nmber", Some("`Do` publishes no `Nmber`: did you mean `#{Did.Number}`?")),
        (counted, "Did.Weight", Some("`Do` publishes no `Weight`, only `Number`, `Sum`.")),
        (
            commands("Do", &["true"]),
            "Did.Sum",
            Some("`Do` publishes no variables, so `#{Did.Sum}` has no value."),
        ),
        (approval("Do"), "Did.Answer", Some("`Do` publishes no variables, so `#{Did.Answer}` has no value.")),
        (deploy("Do"), "Did.Anything", None),
        (group.clone(), "Did.DeploymentId", None),
        (
            group.clone(),
            "Did.DeploymentID",
            Some("`Do` publishes no `DeploymentID`: did you mean `#{Did.DeploymentId}`?"),
        ),
        (group, "Did.Hosts", None),
        (machine, "Did.Output", None),
    ] {
        let expected: Vec<String> = problem
            .map(|problem| format!("stages[2].actions[0].commands[0]: {problem}"))
            .into_iter()
            .collect();
        assert_eq!(said(rule, &asked(before, reference)), expected, "{reference}");
    }
    let of_source = |provider: &str, reference: &str| {
        let mut definition = asked(build("Do"), reference);
        let source = &mut definition["stages"][0]["actions"][0];
        source["actionTypeId"]["provider"] = json!(provider);
        said_of_any(rule, &definition)
    };
    let all = "`Fetch` publishes no `Weight`, only `RegistryId`, `RepositoryName`, `ImageTag`, `ImageDigest`, \
               `ImageURI`.";
    assert_eq!(of_source("ECR", "Src.Weight"), [format!("stages[2].actions[0].commands[0]: {all}")]);
    assert_eq!(of_source("CodeStarSourceConnection", "Src.Weight"), NONE, "what started the run decides");
    assert_eq!(of_source("Unheard", "Src.Weight"), NONE);
}

#[test]
fn only_a_setting_is_told_of_a_reference_left_open() {
    let rule = "unclosed-reference";
    let mut definition = clean();
    definition["stages"][1]["actions"][0]["configuration"]["BuildspecOverride"] =
        json!("#{Src.CommitId} #{Src");
    let words = "a reference is opened with `#{` and never closed.";
    assert_eq!(
        said(rule, &definition),
        [format!("stages[1].actions[0].configuration.BuildspecOverride: {words}")]
    );
    let mut elsewhere = asked(build("Do"), "codepipeline.PipelineExecutionId");
    elsewhere["variables"] = json!([{"name": "V", "defaultValue": "#{"}]);
    elsewhere["stages"][2]["actions"][0]["environmentVariables"] = json!([{"name": "N", "value": "#{"}]);
    assert_eq!(said(rule, &elsewhere), NONE);
}

#[test]
fn a_variable_of_the_pipeline_is_asked_for_and_has_a_value() {
    let of = |rule: &str, line: &str, poll: &str| {
        let mut definition = pipeline(vec![stage("Work", vec![commands("Say", &[line])])]);
        definition["variables"] = json!([{"name": "A", "defaultValue": "x"}, {"name": "B"}]);
        definition["stages"][0]["actions"][0]["configuration"]["PollForSourceChanges"] = json!(poll);
        said(rule, &definition)
    };
    let unused = |index: usize, name: &str| {
        format!("variables[{index}].name: nothing refers to `#{{variables.{name}}}`.")
    };
    assert_eq!(of("unused-variable", "echo #{variables.A}", "false"), [unused(1, "B")]);
    assert_eq!(of("unused-variable", "echo #{variables.B}", "false"), [unused(0, "A")]);
    assert_eq!(of("unused-variable", "echo #{variables.A}#{variables.B}", "false"), NONE);
    let bare = "variables[1]: `B` has no `defaultValue`, and changes of the source start this pipeline.";
    assert_eq!(of("variable-without-default", "true", "true"), [bare]);
    assert_eq!(of("variable-without-default", "true", "False"), NONE);
}

#[test]
fn sources_start_a_pipeline_unless_they_are_told_not_to() {
    let rule = "variable-without-default";
    let of = |provider: &str, configuration: Value| {
        let mut definition = pipeline(vec![stage("Work", vec![build("Do")])]);
        definition["variables"] = json!([{"name": "A"}]);
        let source = &mut definition["stages"][0]["actions"][0];
        source["actionTypeId"]["provider"] = json!(provider);
        source["configuration"] = configuration;
        !said_of_any(rule, &definition).is_empty()
    };
    for provider in ["S3", "CodeCommit", "GitHub"] {
        assert!(of(provider, json!({})), "{provider}");
        assert!(of(provider, json!({"DetectChanges": "false"})), "{provider}");
        assert!(!of(provider, json!({"PollForSourceChanges": "FALSE"})), "{provider}");
    }
    assert!(of("CodeStarSourceConnection", json!({"PollForSourceChanges": "false"})));
    assert!(!of("CodeStarSourceConnection", json!({"DetectChanges": "false"})));
    assert!(!of("ECR", json!({})), "an image is told of by an event rule");
    let mut triggers = triggered(json!([]));
    triggers["variables"] = json!([{"name": "A"}]);
    triggers["stages"][0]["actions"][0]["configuration"]["DetectChanges"] = json!("false");
    assert_eq!(said(rule, &triggers).len(), 1, "its triggers start it");
    triggers["triggers"] = Value::Null;
    assert_eq!(said(rule, &triggers), NONE);
}

#[test]
fn a_variable_is_exported_for_somebody() {
    let rule = "unread-output-variable";
    let place = "stages[1].actions[0].outputVariables";
    let counted = || with(commands("Do", &["true"]), "outputVariables", json!(["N", "M"]));
    assert_eq!(
        said(rule, &asked(counted(), "Did.N")),
        [format!("{place}[1]: nothing refers to `#{{Did.M}}`.")]
    );
    let nameless = pipeline(vec![stage("One", vec![counted()])]);
    let words = |index: usize, name: &str| {
        format!("{place}[{index}]: `Do` has no `namespace`, so nothing can read `{name}`.")
    };
    assert_eq!(said(rule, &nameless), [words(0, "N"), words(1, "M")]);
}

#[test]
fn a_source_polls_where_it_is_not_told_not_to() {
    let rule = "polling-source";
    let of = |category: &str, provider: &str, owner: &str, poll: Option<&str>| {
        let mut definition = pipeline(vec![stage("Work", vec![build("Do")])]);
        let source = &mut definition["stages"][0]["actions"][0];
        source["actionTypeId"] =
            json!({"category": category, "provider": provider, "owner": owner, "version": "1"});
        source["configuration"] =
            poll.map_or_else(|| json!({}), |poll| json!({"PollForSourceChanges": poll}));
        said_of_any(rule, &definition)
    };
    let place = "stages[0].actions[0].configuration";
    let absent =
        format!("{place}: `Fetch` does not set `PollForSourceChanges`, so it polls its source for changes.");
    let present = format!("{place}.PollForSourceChanges: `Fetch` polls its source for changes.");
    for provider in ["S3", "CodeCommit"] {
        assert_eq!(of("Source", provider, "AWS", None), std::slice::from_ref(&absent));
        assert_eq!(of("Source", provider, "AWS", Some("true")), std::slice::from_ref(&present));
        assert_eq!(of("Source", provider, "AWS", Some("False")), NONE);
        assert_eq!(of("Source", provider, "AWS", Some("#{Src.Poll}")), NONE);
    }
    for (category, provider, owner) in [
        ("Source", "ECR", "AWS"),
        ("Deploy", "S3", "AWS"),
        ("Source", "S3", "Custom"),
        ("Source", "Git", "AWS"),
    ] {
        assert_eq!(of(category, provider, owner, None), NONE, "{category} {provider} {owner}");
    }
}

#[test]
fn a_type_whose_time_is_over_is_told_by_its_whole_identity() {
    let of = |category: &str, owner: &str, provider: &str| {
        let mut old = build("Do");
        old["actionTypeId"] =
            json!({"category": category, "provider": provider, "owner": owner, "version": "1"});
        said_of_any("deprecated-action-type", &pipeline(vec![stage("Work", vec![old])]))
    };
    let place = "stages[1].actions[0].actionTypeId: `Do`";
    assert_eq!(
        of("Source", "ThirdParty", "GitHub"),
        [format!(
            "{place} takes its source by GitHub's version 1 action, with one person's OAuth token, and polls or needs \
             a webhook."
        )]
    );
    assert_eq!(
        of("Deploy", "AWS", "OpsWorks"),
        [format!("{place} deploys with OpsWorks, which AWS has shut down: the action cannot succeed.")]
    );
    for (category, owner, provider) in [
        ("Source", "Custom", "GitHub"),
        ("Build", "ThirdParty", "GitHub"),
        ("Source", "ThirdParty", "OpsWorks"),
        ("Build", "AWS", "OpsWorks"),
        ("Deploy", "Custom", "OpsWorks"),
        ("Deploy", "AWS", "GitHub"),
    ] {
        assert_eq!(of(category, owner, provider), NONE, "{category} {owner} {provider}");
    }
}
