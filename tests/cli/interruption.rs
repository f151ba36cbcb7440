//! Ctrl-C: the run stops, nothing is left running, and the exit code says so.

use rustix::process::Signal;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    time::{Duration, Instant},
};
use tests::{
    folder::Folder,
    pipelines::{commands, pipeline, source, stage},
    processes,
};

/// A run of one action with these commands, started up to the moment its first line is in `marks`.
fn started(folder: &Folder) -> Child {
    let mut child = folder.command(&["run", "pipeline.json"]).stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || out.lines().map_while(Result::ok).for_each(drop));
    let is_there = processes::eventually(Duration::from_secs(20), || folder.at("started").exists());
    assert!(is_there, "the command was not started");
    child
}

fn sleeping(folder: &Folder, lines: &[&str]) {
    let mark = format!("touch {}", folder.at("started").display());
    let lines: Vec<&str> = std::iter::once(mark.as_str()).chain(lines.iter().copied()).collect();
    let definition = pipeline("shop", vec![source(), stage("Build", vec![commands("Sleep", &lines)])]);
    folder.git(&["init", "--quiet", "--initial-branch=main"]);
    folder.write("pipeline.json", &definition.to_string());
    folder.write(".gitignore", ".towpath\nstarted\n");
    folder.commit("First commit");
}

#[test]
fn ctrl_c_stops_the_run_with_everything_it_started() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = Folder::new();
        sleeping(&folder, &["sleep 1000 & sleep 1000"]);
        let mut child = started(&folder);
        let pressed = Instant::now();
        processes::signal(&child, signal);
        let status = processes::wait(&mut child, Duration::from_secs(20)).expect("it ends");
        assert_eq!(status.code(), Some(130), "{signal:?}");
        assert!(pressed.elapsed() < Duration::from_secs(10), "{:?}", pressed.elapsed());
        processes::none_left(folder.path().to_str().unwrap());
        // The run is over: there is nothing to take up.
        folder.towpath(&["run", "pipeline.json", "--resume"]).exits(2).complains(&["no run"]);
    }
}

#[test]
fn a_command_that_ignores_being_asked_is_ended_too() {
    let folder = Folder::new();
    sleeping(&folder, &["trap '' INT TERM; while true; do sleep 0.1; done"]);
    let mut child = started(&folder);
    processes::signal(&child, Signal::INT);
    let status = processes::wait(&mut child, Duration::from_secs(25)).expect("it ends");
    assert_eq!(status.code(), Some(130));
    processes::none_left(folder.path().to_str().unwrap());
}

#[test]
fn ctrl_c_at_any_early_moment_leaves_nothing_running() {
    for pause in [5, 20, 40, 60, 80, 120] {
        let folder = Folder::new();
        sleeping(&folder, &["sleep 1000"]);
        let mut child = folder.command(&["run", "pipeline.json"]).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        processes::signal(&child, Signal::INT);
        let status = processes::wait(&mut child, Duration::from_secs(25)).expect("it ends");
        assert!(!status.success(), "{pause} ms");
        processes::none_left(folder.path().to_str().unwrap());
    }
}

#[test]
fn a_run_that_was_killed_is_taken_up_again_and_finished() {
    let folder = Folder::new();
    sleeping(&folder, &["sleep 0.3"]);
    let mut child = started(&folder);
    child.kill().unwrap();
    child.wait().unwrap();
    let done = folder.towpath(&["run", "pipeline.json", "--resume"]).exits(0);
    done.says(&["1 interrupted run is taken up again", "shop succeeded"]);
    processes::none_left(folder.path().to_str().unwrap());
}
