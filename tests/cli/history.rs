//! `towpath audit verify`: whole history is called whole, and one changed byte is found.

use std::fs;
use tests::{
    folder::Folder,
    pipelines::{approval, commands, pipeline, source, stage},
};

#[test]
fn a_whole_log_verifies_and_a_flipped_byte_is_found_and_nothing_is_overwritten() {
    let definition = pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
    let folder = Folder::repository(&definition, &[]);
    folder.towpath(&["audit", "verify"]).exits(2).complains(&["there is no log", "`--dir`"]);
    assert!(!folder.state().exists());
    folder.towpath(&["run", "pipeline.json"]).exits(0);
    folder.towpath(&["audit", "verify"]).exits(0).says(&["3 streams", "0 damaged"]);

    let log = folder.state().join(local::log::LOG_FILE);
    let mut bytes = fs::read(&log).unwrap();
    // Of an event of the run; listings, which may be made anew, do not hold it.
    let word = b"\"type\":\"ExecutionStarted\"";
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(word)).collect();
    assert!(!places.is_empty(), "the event stands in the log");
    // The file may hold old copies of a page beside the one that counts.
    places.into_iter().for_each(|at| bytes[at + 8] = b'e');
    fs::write(&log, &bytes).unwrap();
    folder.towpath(&["audit", "verify"]).exits(1).says(&["damaged: ", "execution#", "1 damaged"]);
    // The verification itself changed nothing.
    assert_eq!(fs::read(&log).unwrap(), bytes);
}

#[test]
fn a_run_whose_history_is_damaged_is_not_taken_up_and_nothing_is_overwritten() {
    let gate = stage("Gate", vec![approval("Sign")]);
    let folder = Folder::repository(&pipeline("shop", vec![source(), gate]), &[]);
    folder.towpath(&["run", "pipeline.json"]).exits(3);
    let log = folder.state().join(local::log::LOG_FILE);
    let text = fs::read(&log).unwrap();
    let word = b"\"type\":\"ActionStarted\"";
    let places: Vec<usize> = (0..text.len()).filter(|at| text[*at..].starts_with(word)).collect();
    let mut bytes = text;
    places.into_iter().for_each(|at| bytes[at + 8] = b'a');
    fs::write(&log, &bytes).unwrap();
    for arguments in [
        &["run", "pipeline.json", "--resume", "--approve", "Gate/Sign"][..],
        &["run", "pipeline.json"],
        &["up", "--port", "0", "--dir", ".towpath"],
    ] {
        folder.towpath(arguments).exits(2).complains(&["is damaged at version", "`towpath audit verify`"]);
        assert!(fs::read(&log).unwrap() == bytes, "{arguments:?} wrote to a damaged log");
    }
}

#[test]
fn the_past_is_told_shown_at_any_moment_compared_and_explained() {
    let deploy = stage("Build", vec![commands("Say", &["test ! -e broken"])]);
    let folder = Folder::repository(&pipeline("shop", vec![source(), deploy]), &[("a.txt", "a")]);
    folder.towpath(&["why", "shop"]).exits(2).complains(&["there is no log", "`--dir`"]);
    folder.towpath(&["run", "pipeline.json"]).exits(0);
    folder.write("broken", "");
    let broken = folder.commit("Break it");
    folder.towpath(&["run", "pipeline.json"]).exits(1);

    folder.towpath(&["log", "shop"]).exits(0).says(&[
        "started on version 1 by StartPipelineExecution",
        "takes stage Build",
        "Build/Say FAILED",
        "the execution FAILED",
    ]);
    let told = folder.towpath(&["log", "shop~1", "--format", "json"]).exits(0).out;
    let last: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!(last["type"], "ExecutionSucceeded");
    folder.towpath(&["show", "shop"]).exits(0).says(&[
        ": Failed",
        "Succeeded   Source",
        "Failed      Say",
        "why: Build/Say failed",
    ]);
    folder.towpath(&["show", "shop", "--at", "+0s"]).exits(0).says(&[
        ": InProgress",
        "InProgress  Checkout",
        "-           Build",
    ]);
    folder
        .towpath(&["show", "shop", "--at", "1999-01-01T00:00:00Z"])
        .exits(2)
        .complains(&["had not started"]);
    folder.towpath(&["diff", "shop~1", "shop"]).exits(1).says(&[
        "Succeeded (stage Build Succeeded) → Failed (stage Build Failed)",
        "Checkout: ",
        &broken,
        "first differing event",
        "Source/Checkout succeeded: Break it",
    ]);
    folder
        .towpath(&["why", "shop"])
        .exits(0)
        .says(&["(Failed): Build/Say failed (JobFailed)", "because it was started by"]);
    let answer = folder.towpath(&["why", "shop~1", "--format", "json"]).exits(0).out;
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["cause"], "Succeeded");
    for (command, complaint) in
        [("shop~7", "none 7 before"), ("nowhere", "no pipeline of that name"), ("a b", "neither")]
    {
        folder.towpath(&["log", command]).exits(2).complains(&[complaint]);
    }
}

#[test]
fn an_exported_history_verifies_anywhere_and_betrays_every_flipped_byte() {
    let definition = pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
    let folder = Folder::repository(&definition, &[]);
    folder.towpath(&["run", "pipeline.json"]).exits(0);
    folder
        .towpath(&["audit", "export", "--pipeline", "other"])
        .exits(2)
        .complains(&["`other` is not in this log"]);
    folder
        .towpath(&["audit", "export", "--pipeline", "shop", "--out", "shop.jsonl"])
        .exits(0)
        .says(&["3 streams"]);
    folder
        .towpath(&["audit", "export", "--out", "shop.jsonl"])
        .exits(2)
        .complains(&["never writes over a file"]);
    fs::remove_dir_all(folder.state()).unwrap();
    folder.towpath(&["audit", "verify", "--bundle", "shop.jsonl"]).exits(0).says(&["3 streams", "0 damaged"]);

    let whole = fs::read(folder.at("shop.jsonl")).unwrap();
    let step = whole.len() / 40;
    for at in (0..whole.len()).step_by(step) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(folder.at("shop.jsonl"), &changed).unwrap();
        folder.towpath(&["audit", "verify", "--bundle", "shop.jsonl"]).exits(1).says(&["damaged: line "]);
    }
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    fs::write(folder.at("shop.jsonl"), lines[..lines.len() - 1].concat()).unwrap();
    folder.towpath(&["audit", "verify", "--bundle", "shop.jsonl"]).exits(1).says(&["something was cut off"]);
}
