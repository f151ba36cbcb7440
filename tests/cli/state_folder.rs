//! The state folder: one towpath at a time, rights, damage.

use std::{fs, os::unix::fs::PermissionsExt, process::Stdio, time::Duration};
use tests::{
    folder::Folder,
    pipelines::{commands, pipeline, source, stage},
    processes,
    server::Server,
};

fn simple(folder_files: &[(&str, &str)]) -> Folder {
    let definition = pipeline("shop", vec![source(), stage("Build", vec![commands("Say", &["true"])])]);
    Folder::repository(&definition, folder_files)
}

#[test]
fn a_second_towpath_on_the_same_folder_refuses_and_names_the_first() {
    let folder = simple(&[]);
    let server = Server::start(&folder);
    let holder = format!("process {}", server.id());
    folder.towpath(&["run", "pipeline.json"]).exits(2).complains(&[
        ".towpath` is in use by",
        &holder,
        "towpath up",
    ]);
    let refused = folder.towpath(&["up", "--port", "0", "--dir", ".towpath"]).exits(2);
    let refused = refused.complains(&["is in use by"]);
    assert!(!refused.err.contains(tests::server::SECRET_KEY), "{}", refused.err);
    drop(server);
    folder.towpath(&["run", "pipeline.json"]).exits(0);
}

#[test]
fn a_port_in_use_is_said_plainly() {
    let folder = simple(&[]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    folder.towpath(&["up", "--port", &port, "--dir", ".towpath"]).exits(2).complains(&[&port, "`--port`"]);
    assert!(!folder.state().exists());
}

#[test]
fn a_folder_that_cannot_be_made_or_written_is_said_plainly() {
    let folder = simple(&[("file", "")]);
    folder
        .towpath(&["run", "pipeline.json", "--state", "file/state"])
        .exits(2)
        .complains(&["cannot write to the state folder", "file/state"]);
    let locked = folder.at("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
    // Rights do not bind root.
    if fs::write(locked.join("probe"), "").is_err() {
        folder
            .towpath(&["run", "pipeline.json", "--state", "locked/state"])
            .exits(2)
            .complains(&["cannot write to the state folder", "locked/state"]);
    }
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_log_that_is_none_is_left_as_it_is() {
    let folder = simple(&[]);
    let log = folder.write(".towpath/log.sqlite", &"this is no log of anything\n".repeat(400));
    let log =
        if local::log::LOG_FILE == "log.sqlite" { log } else { folder.state().join(local::log::LOG_FILE) };
    let garbage = "this is no log of anything\n".repeat(400);
    fs::write(&log, &garbage).unwrap();
    folder.towpath(&["run", "pipeline.json"]).exits(2).complains(&[local::log::LOG_FILE]);
    folder.towpath(&["up", "--port", "0", "--dir", ".towpath"]).exits(2).complains(&[local::log::LOG_FILE]);
    assert_eq!(fs::read_to_string(&log).unwrap(), garbage);
    let verified = folder.towpath(&["audit", "verify"]);
    assert!(verified.code != Some(0), "{verified:?}");
}

#[test]
fn a_run_whose_output_nobody_reads_ends_all_the_same() {
    let folder = simple(&[]);
    let mut child = folder.command(&["run", "pipeline.json"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = processes::wait(&mut child, Duration::from_secs(20)).expect("it ends");
    assert!(status.code().is_some(), "{status:?}");
    // Whatever it made of the broken pipe, the folder is usable.
    folder.towpath(&["run", "pipeline.json"]).exits(0);
}
