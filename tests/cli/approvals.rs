//! Manual approvals without a terminal: given by flag, or waited for and taken up again.

use serde_json::Value;
use tests::{
    folder::Folder,
    pipelines::{approval, commands, pipeline, source, stage},
};

fn gated() -> Value {
    pipeline(
        "shop",
        vec![
            source(),
            stage("Gate", vec![approval("Sign")]),
            stage("Live", vec![commands("Ship", &["true"])]),
        ],
    )
}

#[test]
fn an_approval_given_by_flag_lets_the_run_through() {
    let folder = Folder::repository(&gated(), &[]);
    folder.towpath(&["run", "pipeline.json", "--approve", "Gate/Sign"]).exits(0).says(&[
        "Gate/Sign",
        "approved by flag",
        "Live/Ship",
        "shop succeeded",
    ]);
}

#[test]
fn without_a_flag_the_run_says_what_it_waits_for_and_can_be_taken_up_again() {
    let folder = Folder::repository(&gated(), &[]);
    let waiting = folder
        .towpath(&["run", "pipeline.json"])
        .exits(3)
        .says(&["Waiting for approval: Gate/Sign", "towpath run pipeline.json --resume --approve Gate/Sign"]);
    assert!(!waiting.out.contains("Live/Ship"), "{}", waiting.out);
    // Nobody answered meanwhile: it waits on.
    folder.towpath(&["run", "pipeline.json", "--resume"]).exits(3).says(&["Gate/Sign"]);
    let done = folder.towpath(&["run", "pipeline.json", "--resume", "--approve", "Gate/Sign"]).exits(0);
    let done = done.says(&["Live/Ship", "shop succeeded"]);
    assert!(!done.out.contains("Source/Checkout"), "what is done is not done again: {}", done.out);
    folder.towpath(&["run", "pipeline.json", "--resume"]).exits(2).complains(&["no run", "`--resume`"]);
}

#[test]
fn how_to_go_on_repeats_the_flags_that_lead_to_the_same_folder() {
    let folder = Folder::repository(&gated(), &[]);
    let waiting = folder.towpath(&["run", "pipeline.json", "--state", "elsewhere"]).exits(3);
    let line = waiting.out.lines().find(|line| line.contains("--resume")).unwrap().trim().to_owned();
    let arguments: Vec<&str> = line.split(' ').skip(1).collect();
    folder.towpath(&arguments).exits(0).says(&["shop succeeded"]);
}

#[test]
fn an_approval_that_the_pipeline_does_not_have_is_refused_before_anything_starts() {
    let folder = Folder::repository(&gated(), &[]);
    folder
        .towpath(&["run", "pipeline.json", "--approve", "Gate/Sing"])
        .exits(2)
        .complains(&["`--approve Gate/Sing`", "Gate/Sign"]);
    assert!(!folder.state().exists());
}

#[test]
fn a_waiting_run_of_another_pipeline_in_the_folder_is_left_alone() {
    let folder = Folder::repository(&gated(), &[]);
    let other = pipeline("other", vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
    folder.write("other.json", &other.to_string());
    folder.towpath(&["run", "pipeline.json"]).exits(3);
    let ran = folder.towpath(&["run", "other.json"]).exits(0).says(&["other succeeded"]);
    assert!(!ran.out.contains("Gate/Sign"), "{}", ran.out);
    folder.towpath(&["run", "other.json", "--resume"]).exits(2).complains(&["no run of this pipeline"]);
    folder.towpath(&["run", "pipeline.json", "--resume", "--approve", "Gate/Sign"]).exits(0);
}
