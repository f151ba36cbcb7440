//! `towpath audit verify`: whole history is called whole, and one changed byte is found.

use std::fs;
use tests::{
    folder::Folder,
    pipelines::{commands, pipeline, source, stage},
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
