//! Runs that do what they should, and runs whose commands fail.

use serde_json::json;
use std::path::Path;
use tests::{
    folder::Folder,
    pipelines::{build, commands, foreign, pipeline, source, source_action, stage},
};

#[test]
fn a_pipeline_of_commands_succeeds_and_leaves_a_log_of_each_action() {
    let say = commands("Say", &["echo \"it is $(cat greeting.txt)\""]);
    let definition = pipeline("shop", vec![source(), stage("Build", vec![say])]);
    let folder = Folder::repository(&definition, &[("greeting.txt", "hello")]);
    let ran = folder.towpath(&["run", "pipeline.json"]).exits(0).says(&[
        "shop: Source → Build",
        "Source/Checkout",
        "First commit",
        "Build/Say",
        "shop succeeded in ",
    ]);
    assert!(!ran.out.contains('\u{1b}'), "no colours without a terminal: {}", ran.out);
    assert_eq!(ran.err, "");
    let logs: Vec<String> = logs(&folder.state());
    assert!(logs.iter().any(|log| log.contains("it is hello")), "{logs:?}");
}

#[test]
fn a_plain_repository_with_a_buildspec_needs_no_settings() {
    let definition = pipeline("shop", vec![source(), stage("Build", vec![build("Compile")])]);
    let spec = "version: 0.2\nphases:\n  build:\n    commands:\n      - echo built > out.txt\n\
                artifacts:\n  files: [out.txt]\n";
    let folder = Folder::repository(&definition, &[("buildspec.yml", spec)]);
    folder.towpath(&["run", "pipeline.json"]).exits(0).says(&["Build/Compile", "shop succeeded"]);
}

#[test]
fn the_definition_may_lie_elsewhere_than_one_stands() {
    let definition = pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
    let folder = Folder::repository(&definition, &[]);
    let elsewhere = Folder::new();
    let file = folder.at("pipeline.json");
    elsewhere.towpath(&["run", file.to_str().unwrap()]).exits(0).says(&["shop succeeded"]);
    assert!(folder.state().is_dir() && !elsewhere.state().exists());
}

#[test]
fn a_failing_command_is_named_with_its_last_lines_and_its_log() {
    let lines =
        ["for i in $(seq 40); do echo \"line $i of output\"; done", "ls /nowhere/at-all", "echo never"];
    let definition = pipeline(
        "shop",
        vec![
            source(),
            stage("Build", vec![commands("Break", &lines)]),
            stage("Later", vec![commands("Never", &["true"])]),
        ],
    );
    let folder = Folder::repository(&definition, &[]);
    let ran = folder.towpath(&["run", "pipeline.json"]).exits(1).says(&[
        "Build/Break",
        "FAILED",
        "ls /nowhere/at-all",
        "| line 40 of output",
        "whole log: ",
        "shop: Failed",
    ]);
    assert!(!ran.out.contains("line 1 of output\n") && !ran.out.contains("Later/Never"), "{}", ran.out);
    let path = ran.out.lines().find_map(|line| line.trim().strip_prefix("whole log: ")).unwrap();
    let log = std::fs::read_to_string(path).unwrap();
    assert!(log.contains("line 1 of output") && log.contains("No such file"), "{log}");
    // The next run is a new one and does not trip over the failed one.
    folder.towpath(&["run", "pipeline.json"]).exits(1);
}

#[test]
fn variables_reach_the_commands_and_unknown_or_missing_ones_stop_the_start() {
    let mut definition = pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
    definition["pipeline"]["variables"] =
        json!([{ "name": "COLOUR", "defaultValue": "red" }, { "name": "SIZE" }]);
    definition["pipeline"]["stages"][1]["actions"][0]["commands"] =
        json!(["echo \"#{variables.COLOUR}-#{variables.SIZE}\""]);
    let folder = Folder::repository(&definition, &[]);
    folder.towpath(&["run", "pipeline.json", "--var", "SIZE=large"]).exits(0);
    let logs = logs(&folder.state());
    assert!(logs.iter().any(|log| log.contains("red-large")), "{logs:?}");
    folder.towpath(&["run", "pipeline.json"]).exits(2).complains(&["'SIZE'", "`--var NAME=VALUE`"]);
    folder
        .towpath(&["run", "pipeline.json", "--var", "SIZE=1", "--var", "WIDTH=2"])
        .exits(2)
        .complains(&["WIDTH"]);
    folder.towpath(&["run", "pipeline.json", "--var", "SIZE"]).exits(2).complains(&["`--var SIZE`", "`K=V`"]);
}

#[test]
fn a_source_may_be_any_folder_and_needs_no_git() {
    let definition =
        pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &["grep -q Markus name.txt"])])]);
    let folder = Folder::new();
    folder.write("pipeline.json", &definition.to_string());
    let other = Folder::new();
    other.write("name.txt", "Markus\n");
    let source = format!("shop={}", other.path().display());
    folder.towpath(&["run", "pipeline.json", "--source", &source]).exits(0).says(&["shop succeeded"]);
    let by_action = format!("Checkout={}", other.path().display());
    folder.towpath(&["run", "pipeline.json", "--source", &by_action]).exits(0);
    folder
        .towpath(&["run", "pipeline.json", "--source", "shop=./not-there"])
        .exits(2)
        .complains(&["`--source shop`", "not-there"]);
}

#[test]
fn an_older_commit_is_run_when_it_is_asked_for() {
    let definition =
        pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &["grep -q one file.txt"])])]);
    let folder = Folder::repository(&definition, &[("file.txt", "one\n")]);
    let first = folder.git(&["rev-parse", "HEAD"]);
    folder.write("file.txt", "two\n");
    folder.commit("Second commit");
    folder.towpath(&["run", "pipeline.json"]).exits(1);
    folder.towpath(&["run", "pipeline.json", "--from-commit", &first]).exits(0).says(&["First commit"]);
    folder.towpath(&["run", "pipeline.json", "--from-commit", "HEAD~1"]).exits(0);
    folder.towpath(&["run", "pipeline.json", "--from-commit", "nonsense"]).exits(1).says(&["nonsense"]);
}

#[test]
fn a_branch_that_does_not_exist_fails_the_source_and_says_which() {
    let first = stage("Source", vec![source_action("release", false)]);
    let definition = pipeline("shop", vec![first, stage("Build", vec![commands("Say", &["true"])])]);
    let folder = Folder::repository(&definition, &[]);
    folder.towpath(&["run", "pipeline.json"]).exits(1).says(&["Source/Checkout", "FAILED", "release"]);
}

#[test]
fn a_provider_without_a_runner_names_the_setting_and_a_mock_is_shown_as_one() {
    let definition = pipeline("shop", vec![source(), stage("Live", vec![foreign("Ship")])]);
    let folder = Folder::repository(&definition, &[]);
    folder.towpath(&["run", "pipeline.json"]).exits(1).says(&[
        "Live/Ship",
        "`\"Deploy/ECS\" = \"succeed\"`",
        "`[mock]`",
        "towpath.toml",
    ]);
    folder.write("towpath.toml", "[mock]\n\"Deploy/ECS\" = \"succeed\"\n");
    folder.towpath(&["run", "pipeline.json"]).exits(0).says(&[
        "Live/Ship",
        "MOCKED",
        "mocked, nothing was really done: Live/Ship",
    ]);
    folder.write("towpath.toml", "[mock]\n\"Deploy/ECS\" = \"fail\"\n");
    folder.towpath(&["run", "pipeline.json"]).exits(1).says(&["FAILED"]);
}

#[test]
fn actions_of_one_order_run_side_by_side_and_the_next_order_waits() {
    // Each of the two waits for the other's mark: one after the other they would never end.
    let meet = |own: &str, other: &str| {
        format!(
            "touch \"$MEET/{own}\"; for i in $(seq 300); do [ -e \"$MEET/{other}\" ] && exit 0; sleep 0.02; done; exit 1"
        )
    };
    let marks = Folder::new();
    let action = |name: &str, line: &str, order: u32| {
        let mut action = commands(name, &[line]);
        action["runOrder"] = json!(order);
        action["environmentVariables"] = json!([{ "name": "MEET", "value": marks.path() }]);
        action
    };
    let both = "[ -e \"$MEET/a\" ] && [ -e \"$MEET/b\" ]";
    let actions =
        vec![action("A", &meet("a", "b"), 1), action("B", &meet("b", "a"), 1), action("C", both, 2)];
    let folder = Folder::repository(&pipeline("shop", vec![source(), stage("Build", actions)]), &[]);
    folder.towpath(&["run", "pipeline.json"]).exits(0);
}

#[test]
fn a_stage_that_fails_goes_back_before_the_command_ends_and_is_tried_again_where_it_says_so() {
    let marks = Folder::new();
    let (broken, log) = (marks.at("broken"), marks.at("live"));
    let lines = [
        format!("if [ -e {0} ]; then rm {0}; exit 1; fi", broken.display()),
        format!("cat word >> {}", log.display()),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut definition = pipeline("shop", vec![source(), stage("Live", vec![commands("Ship", &lines)])]);
    definition["pipeline"]["stages"][1]["onFailure"] = json!({ "result": "ROLLBACK" });
    let folder = Folder::repository(&definition, &[("word", "one\n")]);
    folder.towpath(&["run", "pipeline.json"]).exits(0);
    folder.write("word", "two\n");
    folder.commit("Second word");
    marks.write("broken", "");
    let ran = folder.towpath(&["run", "pipeline.json"]).exits(1);
    let ran = ran.says(&["Live goes back to execution", "shop: Failed", "shop succeeded"]);
    assert_eq!(marks.read("live"), "one\none\n", "{}", ran.out);

    definition["pipeline"]["stages"][1]["onFailure"] = json!({ "result": "RETRY" });
    folder.write("pipeline.json", &definition.to_string());
    marks.write("broken", "");
    let ran = folder.towpath(&["run", "pipeline.json"]).exits(0);
    let ran = ran.says(&["Live is tried once more", "shop succeeded"]);
    assert_eq!(marks.read("live"), "one\none\ntwo\n", "{}", ran.out);
}

#[test]
fn every_command_explains_itself() {
    let folder = Folder::new();
    folder.towpath(&["--help"]).exits(0).says(&["run", "up", "audit", "towpath.toml"]);
    folder.towpath(&["run", "--help"]).exits(0).says(&["--source", "--approve", "--resume", "Exit codes"]);
    folder.towpath(&["up", "--help"]).exits(0).says(&["--port", "--credentials", "127.0.0.1"]);
    folder.towpath(&["audit", "--help"]).exits(0).says(&["verify"]);
    folder.towpath(&["audit", "verify", "--help"]).exits(0).says(&["--dir"]);
    folder.towpath(&["--version"]).exits(0).says(&["towpath "]);
    folder.towpath(&["fly"]).exits(2).complains(&["fly"]);
}

/// The text of every action's log.
fn logs(state: &Path) -> Vec<String> {
    let runs = std::fs::read_dir(state.join("logs")).unwrap().flatten();
    let files = runs.flat_map(|run| std::fs::read_dir(run.path()).unwrap().flatten());
    files.map(|file| std::fs::read_to_string(file.path()).unwrap()).collect()
}
