use super::*;
use std::{fs, sync::Arc};

struct Stage {
    folder: tempfile::TempDir,
    log: ActionLog,
    cancel: Arc<watch::Sender<bool>>,
    children: Children,
}

fn stage() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let log = ActionLog::open(&folder.path().join("log"), 1 << 20).unwrap();
    let (cancel, cancelled) = watch::channel(false);
    let mut children = Children::new(&log, &cancelled);
    children.stop_grace = Duration::from_millis(200);
    Stage { folder, log, cancel: Arc::new(cancel), children }
}

impl Stage {
    async fn sh(&mut self, script: &str, deadline: Option<Duration>) -> Ended {
        self.run(script, deadline, Drain::Grace(Duration::from_millis(30)), None).await.unwrap()
    }

    async fn run(
        &mut self,
        script: &str,
        deadline: Option<Duration>,
        drain: Drain,
        stdin: Option<&[u8]>,
    ) -> Result<Ended, StartError> {
        let env = BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap())]);
        let command = Command {
            program: Path::new("sh"),
            args: &[OsStr::new("-c"), OsStr::new(script)],
            cwd: self.folder.path(),
            env: &env,
            stdin,
            user: None,
            deadline: deadline.map(|after| Instant::now() + after),
            drain,
        };
        self.children.run(&command).await
    }

    fn output(&self) -> String {
        self.log.tail_text()
    }

    fn noted_pid(&self) -> Pid {
        let text = fs::read_to_string(self.folder.path().join("pid")).unwrap();
        Pid::from_raw(text.trim().parse().unwrap()).unwrap()
    }
}

fn exited(status: i32) -> Ended {
    Ended { end: End::Exited(status), output_open: false }
}

/// Gone, or dead and waiting for a parent that does not ask.
fn is_gone(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.is_empty() || rest.trim_start().starts_with('Z'))
}

#[tokio::test]
async fn output_of_both_streams_is_kept_in_order_with_the_status() {
    let mut stage = stage();
    assert_eq!(stage.sh("echo a; echo b >&2; echo c; exit 3", None).await, exited(3));
    assert_eq!(stage.output(), "a\nb\nc\n");
}

#[tokio::test]
async fn a_signal_counts_as_128_and_its_number() {
    assert_eq!(stage().sh("kill -9 $$", None).await, exited(137));
}

#[tokio::test]
async fn nothing_is_inherited_and_stdin_is_empty() {
    let mut stage = stage();
    assert_eq!(stage.sh("cat; echo \"[$HOME$CARGO]\"", None).await, exited(0));
    assert_eq!(stage.output(), "[]\n");
}

#[tokio::test]
async fn given_bytes_arrive_on_stdin_even_when_they_are_many() {
    let mut stage = stage();
    let bytes = vec![b'x'; 1 << 20];
    stage.run("wc -c", None, Drain::Grace(DRAIN_GRACE), Some(&bytes)).await.unwrap();
    assert_eq!(stage.output().trim(), "1048576");
    let unread = stage.run("true", None, Drain::Grace(DRAIN_GRACE), Some(&bytes)).await.unwrap();
    assert_eq!(unread, exited(0));
}

#[tokio::test]
async fn much_output_is_all_there() {
    let mut stage = stage();
    stage.sh("head -c 900000 /dev/zero; echo end", None).await;
    assert_eq!(fs::metadata(stage.log.path()).unwrap().len(), 900_004);
}

#[tokio::test]
async fn a_command_that_never_ends_is_stopped_at_its_deadline() {
    let mut stage = stage();
    let ended = stage.sh("sleep 1000 | cat", Some(Duration::from_millis(50))).await;
    assert_eq!(ended, Ended { end: End::TimedOut, output_open: false });
}

#[tokio::test]
async fn a_command_deaf_to_term_is_killed_after_the_grace() {
    let mut stage = stage();
    let script = "trap '' TERM; while :; do sleep 0.01; done";
    let ended = stage.sh(script, Some(Duration::from_millis(50))).await;
    assert_eq!(ended.end, End::TimedOut);
}

#[tokio::test]
async fn a_cancelled_command_stops_and_no_other_starts() {
    let mut stage = stage();
    let cancel = stage.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(30)).await;
        cancel.send_replace(true);
    });
    assert_eq!(stage.sh("sleep 1000", None).await.end, End::Cancelled);
    assert_eq!(stage.sh("touch late", None).await.end, End::Cancelled);
    assert!(!stage.folder.path().join("late").exists());
}

#[tokio::test]
async fn a_background_child_lives_until_the_end_and_is_still_heard() {
    let mut stage = stage();
    let begun = Instant::now();
    let ended = stage
        .sh(
            "(echo $$ >&2; while [ ! -e go ]; do sleep 0.01; done; echo heard; exec sleep 1000) & \
                  echo $! > pid",
            None,
        )
        .await;
    assert_eq!(ended, Ended { end: End::Exited(0), output_open: true });
    assert!(begun.elapsed() < Duration::from_secs(5));
    let child = stage.noted_pid();
    assert!(!is_gone(child));
    stage.sh("touch go", None).await;
    while !stage.output().contains("heard") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(stage.children.end().await, 1);
    assert!(is_gone(child));
}

#[tokio::test]
async fn dropping_the_children_kills_them() {
    let mut stage = stage();
    stage.sh("sleep 1000 & echo $! > pid", None).await;
    let child = stage.noted_pid();
    drop(stage);
    for _ in 0..200 {
        if is_gone(child) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("still there");
}

#[tokio::test]
async fn output_held_open_until_the_deadline_is_reported() {
    let mut stage = stage();
    let deadline = Some(Duration::from_millis(80));
    let ended = stage.run("sleep 1000 &", deadline, Drain::UntilDeadline, None).await.unwrap();
    assert_eq!(ended, Ended { end: End::Exited(0), output_open: true });
    stage.children.end().await;
}

#[tokio::test]
async fn a_daemon_that_fled_its_group_is_found_by_its_marker() {
    let mut stage = stage();
    let action = ActionExecutionId::parse(uuid::Uuid::new_v4().to_string()).unwrap();
    stage.children = stage.children.marked(&action);
    stage
        .sh(
            "setsid sh -c 'echo $$ > pid; exec sleep 1000' >/dev/null 2>&1 & \
              while [ ! -s pid ]; do sleep 0.01; done",
            None,
        )
        .await;
    let daemon = stage.noted_pid();
    assert!(!is_gone(daemon));
    assert_eq!(clear_leftovers(&action).await, 1);
    assert!(is_gone(daemon));
    assert_eq!(clear_leftovers(&action).await, 0);
}

#[tokio::test]
async fn what_cannot_be_started_is_said_plainly() {
    let mut stage = stage();
    let env = BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]);
    let mut command = Command {
        program: Path::new("no-such-tool"),
        args: &[],
        cwd: Path::new("/"),
        env: &env,
        stdin: None,
        user: None,
        deadline: None,
        drain: Drain::Grace(DRAIN_GRACE),
    };
    let missing = stage.children.run(&command).await.unwrap_err().to_string();
    assert_eq!(missing, "`no-such-tool` was not found: install it, or put its folder into `PATH`");
    command.program = Path::new("/bin/sh");
    command.cwd = Path::new("/no/such/folder");
    let folder = stage.children.run(&command).await.unwrap_err().to_string();
    assert_eq!(folder, "`/no/such/folder` is not a folder a command can run in");
}
