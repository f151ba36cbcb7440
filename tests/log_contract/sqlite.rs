//! What only the log in a file has to prove: that it survives, and that it says when it was damaged.

use crate::fixtures::*;
use engine::{
    log::{Commit, Log, LogError, Position},
    views::{Cursor, ViewRow, Views},
};
use events::Version;
use local::{
    lock::FolderLock,
    log::{OpenError, SqliteLog},
};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

#[tokio::test]
async fn a_log_that_is_reopened_goes_on_where_it_was() {
    let folder = Folder::new();
    let mut tip = Tip::start("shop");
    let log = folder.open();
    let mut commits = grow(&log, &mut tip, 3).await;
    let row = ViewRow { p: "p".into(), q: "q".into(), v: Version(3), body: Some("{}".into()) };
    let cursor = Cursor { reader: "project".into(), at: log.head() };
    let waiting = log.views().put(vec![row.clone()], Some(cursor.clone()));
    drop(log);
    waiting.await.unwrap();
    let log = folder.open();
    assert_eq!(log.head(), Position(3));
    assert_eq!(all(&log, &tip.stream).await, commits);
    commits.extend(grow(&log, &mut tip, 2).await);
    let followed = log.follow(Position(0), 100).await.unwrap();
    let positions: Vec<_> = followed.iter().map(|(position, _)| position.0).collect();
    assert_eq!(positions, [1, 2, 3, 4, 5]);
    assert!(followed.iter().map(|(_, commit)| commit).eq(&commits));
    assert_eq!(log.views().get("p", "q").await.unwrap(), Some(row));
    assert_eq!(log.views().cursor("project").await.unwrap(), cursor.at);
}

#[tokio::test]
async fn followers_see_every_commit_in_order_and_hear_of_new_ones() {
    let folder = Folder::new();
    let log = folder.open();
    let mut head = log.watch();
    let [a, b, c] = ["a", "b", "c"].map(|name| Tip::start(name).one("start"));
    written(log.append(batch([a.clone(), b.clone()])).await);
    head.wait_for(|head| *head == Position(2)).await.unwrap();
    drop(log.append(batch([c.clone()])));
    assert_eq!(log.flush().await.unwrap(), Position(3));
    assert_eq!((*head.borrow_and_update(), log.head()), (Position(3), Position(3)));
    let page = log.follow(Position(0), 2).await.unwrap();
    assert_eq!(page, [(Position(1), a), (Position(2), b)]);
    assert_eq!(log.follow(Position(2), 2).await.unwrap(), [(Position(3), c)]);
    assert_eq!(log.follow(Position(3), 2).await.unwrap(), []);
    log.close().await;
    assert!(head.changed().await.is_err());
}

#[tokio::test]
async fn a_closed_log_has_written_what_waited_and_takes_nothing_more() {
    let folder = Folder::new();
    let log = folder.open();
    let mut tip = Tip::start("shop");
    let mut answers = Vec::new();
    for index in 0..300 {
        let commit = tip.one(&format!("step-{index}"));
        tip = Tip::after(&commit);
        answers.push(log.append(batch([commit])));
    }
    log.close().await;
    for answer in answers {
        written(answer.await);
    }
    assert!(matches!(log.append(batch([tip.one("late")])).await, Err(LogError::Unavailable { .. })));
    assert!(matches!(log.load(&tip.stream, 1).await, Err(LogError::Unavailable { .. })));
    assert!(log.flush().await.is_err());
    assert!(log.views().get("p", "q").await.is_err());
    log.close().await;
    let names: Vec<_> =
        fs::read_dir(folder.lock().folder()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "only `lock` and the log are left: {names:?}");
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let folder = Folder::new();
    let log = folder.open();
    for body in ["", "{", " {}", "{}]"] {
        let answer = log.append(batch([Tip::start("shop").commit("start", vec![event(body)])])).await;
        assert!(matches!(answer, Err(LogError::Unreadable { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn a_changed_byte_is_found_in_its_stream_and_version() {
    let folder = Folder::new();
    let log = folder.open();
    grow(&log, &mut Tip::start("before"), 3).await;
    let mut tip = Tip::start("shop");
    grow(&log, &mut tip, 2).await;
    let victim = tip.commit("victim", vec![event("{\"approved-by\":\"ada-the-only-one\"}")]);
    written(log.append(batch([victim.clone()])).await);
    grow(&log, &mut Tip::after(&victim), 2).await;
    let whole = log.verify_all(|_, _| ()).await.unwrap();
    assert_eq!((whole.streams, whole.commits, whole.events, whole.damages), (2, 8, 8, vec![]));
    drop(log);
    change_byte(&folder.file(), b"ada-the-only-one", b'e');
    let changed = fs::read(folder.file()).unwrap();

    let log = folder.open();
    let reports = Arc::new(Mutex::new(Vec::new()));
    let found = log.verify_all({
        let reports = reports.clone();
        move |done, total| reports.lock().unwrap().push((done, total))
    });
    let found = found.await.unwrap();
    assert_eq!(reports.lock().unwrap().last(), Some(&(8, 8)));
    let [damage] = &found.damages[..] else { panic!("{found:?}") };
    assert_eq!(
        damage.to_string(),
        "stream `lane#shop`, version 3 (commit 6 of the log): its hash does not match what it holds"
    );
    let Err(LogError::Broken(broken)) = log.load(&tip.stream, 1).await else { panic!("loaded") };
    assert_eq!((broken.stream, broken.version), (tip.stream, Version(3)));
    assert_eq!(all(&log, &stream("before")).await.len(), 3);
    drop(log);
    assert!(fs::read(folder.file()).unwrap() == changed, "a damaged file is left as it is");
}

fn change_byte(file: &Path, needle: &[u8], byte: u8) {
    let mut bytes = fs::read(file).unwrap();
    let at: Vec<_> = (0..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    assert_eq!(at.len(), 1, "the text lies there once");
    bytes[at[0]] = byte;
    fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_page_of_rubbish_is_said_and_never_overwritten() {
    let folder = Folder::new();
    let log = folder.open();
    let mut tip = Tip::start("shop");
    grow(&log, &mut tip, 2000).await;
    drop(log);
    let mut bytes = fs::read(folder.file()).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(folder.file(), &bytes).unwrap();
    let said = match SqliteLog::open(folder.lock()) {
        Err(refused) => refused.to_string(),
        Ok(log) => log.load(&tip.stream, 1).await.unwrap_err().to_string(),
    };
    assert!(said.contains("log.sqlite` is damaged"), "{said}");
    assert!(fs::read(folder.file()).unwrap() == bytes);
}

#[tokio::test]
async fn a_full_disk_refuses_whole_groups_and_loses_nothing() {
    let folder = Folder::new();
    let log = folder.open();
    let mut tip = Tip::start("shop");
    let mut commits = grow(&log, &mut tip, 10).await;
    log.limit_pages(Some(40)).unwrap();
    let wide = |tip: &Tip, index: usize| {
        tip.commit(&format!("wide-{index}"), vec![event(&format!("\"{}\"", "x".repeat(20_000)))])
    };
    let mut ahead = tip.clone();
    let answers: Vec<_> = (0..30)
        .map(|index| {
            let commit = wide(&ahead, index);
            ahead = Tip::after(&commit);
            (commit.clone(), log.append(batch([commit])))
        })
        .collect();
    let mut refused = 0;
    for (commit, answer) in answers {
        match answer.await {
            Ok(engine::log::Appended::Written) => commits.push(commit),
            Ok(answer) => assert!(matches!(answer, engine::log::Appended::Conflict { .. }), "{answer:?}"),
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("the disk is full"), "{error}");
            }
        }
    }
    assert!(refused > 0);
    assert_eq!(all(&log, &tip.stream).await, commits);
    assert_eq!(log.head(), Position(commits.len() as u64));
    log.limit_pages(None).unwrap();
    let mut tip = Tip::after(commits.last().unwrap());
    commits.push(wide(&tip, 99));
    written(log.append(batch(commits.last().cloned())).await);
    tip = Tip::after(commits.last().unwrap());
    commits.extend(grow(&log, &mut tip, 3).await);
    drop(log);
    let log = folder.open();
    assert_eq!(all(&log, &tip.stream).await, commits);
    assert_eq!(log.verify_all(|_, _| ()).await.unwrap().damages, []);
}

#[test]
fn a_second_process_is_refused_with_the_id_of_the_first() {
    let folder = Folder::new();
    let refused = FolderLock::acquire(folder.lock().folder(), "towpath up").unwrap_err().to_string();
    let holder = format!("in use by process {} (`log_contract`)", std::process::id());
    assert!(refused.contains(&holder), "{refused}");
}

#[test]
fn a_read_only_folder_is_said_plainly() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("state");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    // Rights do not bind the superuser; the process file system takes files from nobody.
    let bound = fs::write(folder.join("probe"), "").is_err();
    let folder = if bound { folder.as_path() } else { Path::new("/proc/self") };
    let refused = FolderLock::acquire(folder, "towpath up").unwrap_err().to_string();
    let expected = format!("cannot write to the state folder `{}`: ", folder.display());
    assert!(refused.starts_with(&expected), "{refused}");
}

#[test]
fn a_folder_in_the_place_of_the_file_is_said_plainly() {
    let folder = Folder::new();
    fs::create_dir(folder.file()).unwrap();
    let Err(refused @ OpenError::Store(_)) = SqliteLog::open(folder.lock()) else { panic!("opened") };
    assert!(refused.to_string().contains("log.sqlite` cannot be opened for writing"), "{refused}");
}

/// Names the state folder in the environment of the child below.
const CHILD: &str = "TOWPATH_LOG_CONTRACT_CHILD";

/// Acknowledged appends after which the child is killed.
const ACKNOWLEDGED: usize = 300;

#[test]
fn after_kill_9_every_acknowledged_append_is_there_and_the_chain_holds() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::child_that_appends_until_it_is_killed", "--nocapture"])
        .env(CHILD, dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut acknowledged: Vec<String> = lines.by_ref().take(ACKNOWLEDGED).collect();
    assert_eq!(acknowledged.len(), ACKNOWLEDGED, "{acknowledged:?}");
    let held = FolderLock::acquire(dir.path(), "").unwrap_err().to_string();
    assert!(held.contains(&format!("process {}", child.id())), "{held}");
    child.kill().unwrap();
    child.wait().unwrap();
    acknowledged.extend(lines);

    let lock = FolderLock::acquire(dir.path(), "log_contract").unwrap();
    let log = SqliteLog::open(&lock).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let found = log.verify_all(|_, _| ()).await.unwrap();
        assert_eq!(found.damages, []);
        let stored = log.follow(Position(0), usize::MAX).await.unwrap();
        let stored: Vec<_> = stored.iter().map(|(_, commit)| name(commit)).collect();
        for line in &acknowledged {
            // The last line may have been cut short by the kill.
            assert!(stored.contains(line) || Some(line) == acknowledged.last(), "{line} was lost");
        }
        for lane in LANES {
            let commits = all(&log, &stream(lane)).await;
            grow(&log, &mut commits.last().map_or(Tip::start(lane), Tip::after), 1).await;
        }
    });
}

const LANES: [&str; 4] = ["a", "b", "c", "d"];

fn name(commit: &Commit) -> String {
    format!("{} {} {:?}.", commit.stream, commit.first, commit.hash)
}

/// Does nothing unless the test above starts it.
#[tokio::test]
async fn child_that_appends_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let lock = FolderLock::acquire(Path::new(&folder), "child").unwrap();
    let log = Arc::new(SqliteLog::open(&lock).unwrap());
    let mut lanes = tokio::task::JoinSet::new();
    for lane in LANES {
        let log = log.clone();
        lanes.spawn(async move {
            let mut tip = Tip::start(lane);
            loop {
                let commits = [0, 1, 2].map(|index| {
                    let commit = tip.one(&format!("{lane}-{index}"));
                    tip = Tip::after(&commit);
                    commit
                });
                let answers = commits.clone().map(|commit| log.append(batch([commit])));
                for (commit, answer) in commits.iter().zip(answers) {
                    written(answer.await);
                    std::io::stderr().write_all(format!("{}\n", name(commit)).as_bytes()).unwrap();
                }
            }
        });
    }
    lanes.join_all().await;
}
