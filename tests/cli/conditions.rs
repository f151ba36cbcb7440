//! The gates of a stage as `towpath run` shows them.

use serde_json::{Value, json};
use std::time::Duration;
use tests::{
    folder::Folder,
    pipelines::{commands, gated, pipeline, rule, rule_of_commands, source, stage},
    processes::eventually,
};

/// `Where` must be `main` on the way in, `ready.txt` must be there on the way out.
fn definition() -> Value {
    let check = |name, operator, value| {
        let configuration = json!({ "Variable": "#{variables.Where}", "Operator": operator, "Value": value });
        rule(name, "VariableCheck", configuration)
    };
    let extra = stage("Extra", vec![commands("More", &["echo more"])]);
    let extra = gated(extra, "beforeEntry", "SKIP", vec![check("OnNext", "EQ", "next")]);
    let ship = stage("Ship", vec![commands("Say", &["echo shipped"])]);
    let ship = gated(ship, "beforeEntry", "FAIL", vec![check("OnMain", "MATCHES", "main|hotfix/.+")]);
    let ship = gated(ship, "onSuccess", "FAIL", vec![rule_of_commands("Ready", &["test -f ready.txt"])]);
    let mut definition = pipeline("shop", vec![source(), extra, ship]);
    definition["pipeline"]["variables"] = json!([{ "name": "Where", "defaultValue": "main" }]);
    definition
}

#[test]
fn gates_are_shown_as_they_are_asked_and_a_skipped_stage_says_why() {
    let folder = Folder::repository(&definition(), &[("ready.txt", "")]);
    let ran = folder.towpath(&["run", "pipeline.json", "--var", "Where=hotfix/1"]).exits(0).says(&[
        "Extra/OnNext (beforeEntry)",
        "NOT MET",
        "`hotfix/1` does not equal `next`",
        "skipped",
        "Ship/OnMain (beforeEntry)",
        "`hotfix/1` matches `main|hotfix/.+`",
        "Ship/Ready (onSuccess)",
        "shop succeeded in ",
        "skipped: Extra (OnNext: `hotfix/1` does not equal `next`)",
    ]);
    assert!(!ran.out.contains("Extra/More"), "{}", ran.out);
}

#[test]
fn a_gate_that_stays_shut_is_named_with_its_reason_and_with_what_opens_it() {
    let folder = Folder::repository(&definition(), &[("ready.txt", "")]);
    let ran = folder.towpath(&["run", "pipeline.json", "--var", "Where=elsewhere"]).exits(1).says(&[
        "Ship beforeEntry",
        "shop: Failed",
        "Ship/OnMain (beforeEntry) failed (JobFailed):",
        "`elsewhere` does not match `main|hotfix/.+`",
        "aws codepipeline override-stage-condition",
        "--condition-type BEFORE_ENTRY",
    ]);
    assert!(!ran.out.contains("Ship/Say"), "{}", ran.out);
}

#[test]
fn a_way_out_that_stays_shut_shows_the_end_of_its_rules_log() {
    let folder = Folder::repository(&definition(), &[]);
    let ran = folder.towpath(&["run", "pipeline.json"]).exits(1).says(&[
        "Ship/Say",
        "Ship/Ready (onSuccess) failed (JobFailed):",
        "test -f ready.txt",
        "whole log: ",
        "--condition-type ON_SUCCESS",
    ]);
    let path = ran.out.lines().find_map(|line| line.trim().strip_prefix("whole log: ")).unwrap();
    assert!(path.contains("Ship.onSuccess.Ready."), "{path}");
}

#[test]
fn a_rule_that_could_not_be_asked_says_what_to_set() {
    let ship = stage("Ship", vec![commands("Say", &["true"])]);
    let alarm = rule("Calm", "CloudWatchAlarm", json!({ "AlarmName": "errors" }));
    let definition = pipeline("shop", vec![source(), gated(ship, "beforeEntry", "FAIL", vec![alarm])]);
    let folder = Folder::repository(&definition, &[]);
    folder.towpath(&["run", "pipeline.json"]).exits(1).says(&[
        "NOT ASKED",
        "could not be asked",
        "Ship/Calm (beforeEntry) failed (ConfigurationError):",
        "`[alarms.\"errors\"]`",
    ]);
    folder.write("towpath.toml", "[alarms.errors]\nfile = \"alarm.txt\"\n");
    folder.write("alarm.txt", "OK\n");
    folder.towpath(&["run", "pipeline.json"]).exits(0).says(&["the alarm `errors` is in OK"]);
}

#[test]
fn a_run_that_waits_at_a_gate_is_taken_up_again_after_an_interruption() {
    let ship = stage("Ship", vec![commands("Say", &["true"])]);
    let alarm = rule("Calm", "CloudWatchAlarm", json!({ "AlarmName": "errors", "WaitTime": "30" }));
    let definition = pipeline("shop", vec![source(), gated(ship, "beforeEntry", "FAIL", vec![alarm])]);
    let folder = Folder::repository(&definition, &[]);
    folder.write("towpath.toml", "[alarms.errors]\nfile = \"alarm.txt\"\n");
    folder.write("alarm.txt", "ALARM\n");
    let mut waiting = folder.command(&["run", "pipeline.json"]).spawn().unwrap();
    let log = || {
        std::fs::read_dir(folder.state().join("logs")).is_ok_and(|mut runs| {
            runs.any(|run| {
                std::fs::read_dir(run.unwrap().path()).unwrap().any(|file| {
                    file.unwrap().file_name().to_string_lossy().starts_with("Ship.beforeEntry.Calm.")
                })
            })
        })
    };
    assert!(eventually(Duration::from_secs(30), log), "the rule is asked");
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    folder.write("alarm.txt", "OK\n");
    folder.towpath(&["run", "pipeline.json", "--resume"]).exits(0).says(&[
        "1 interrupted run is taken up again",
        "Ship/Calm (beforeEntry)",
        "shop succeeded",
    ]);
}
