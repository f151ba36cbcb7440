//! Whole deployments, with real scripts and real folders.

use super::*;
use crate::{
    archive::{self, Caps},
    artifacts::ArtifactStore,
    output::ActionLog,
    settings::{DeploymentGroup, DeploymentStyle, Host, LoadBalancer, Settings},
};
use engine::action::{ActionTypeId, ArtifactLocation};
use events::{
    ActionExecutionId, ActionName, ArtifactName, Entry, ExecutionId, PipelineName, StageName, Timestamp,
};
use std::{fs, os::unix::fs::PermissionsExt};

const HEAD: &str = "version: 0.0\nos: linux\nfiles: [{source: app, destination: /opt/app}]\n";
const CAPS: Caps = Caps { bytes: 1 << 30, files: 100_000 };

struct World {
    temp: tempfile::TempDir,
    group: DeploymentGroup,
    stop: watch::Sender<bool>,
    bundles: u32,
}

impl World {
    fn new(hosts: &[&str]) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let group = DeploymentGroup { hosts: hosts_in(temp.path(), hosts), ..DeploymentGroup::default() };
        Self { temp, group, stop: watch::channel(false).0, bundles: 0 }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.temp.path().join(below)
    }

    fn text(&self, below: &str) -> String {
        fs::read_to_string(self.path(below)).unwrap_or_default()
    }

    fn log(&self) -> String {
        self.text("action.log")
    }

    /// Packs a bundle of files; `.sh` files become scripts.
    fn bundle(&mut self, appspec: &str, files: &[(&str, &str)]) -> ArtifactLocation {
        self.bundles += 1;
        let folder = self.path(&format!("bundle-{}", self.bundles));
        for (name, text) in [("appspec.yml", appspec)].iter().chain(files) {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let script = name.ends_with(".sh");
            let text = if script { format!("#!/bin/sh\n{text}\n") } else { (*text).to_owned() };
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(if script { 0o755 } else { 0o644 }))
                .unwrap();
        }
        let location =
            ArtifactLocation { bucket: "store".to_owned(), key: format!("bundle-{}", self.bundles) };
        let file = self.path("packed.zip");
        archive::pack(&archive::list(&folder).unwrap(), &file, CAPS).unwrap();
        self.store().put(&location, &file).unwrap();
        location
    }

    /// One file `app/version` and the given hooks, each a script that runs for one event.
    fn release(&mut self, version: &str, hooks: &[(&str, &str)]) -> ArtifactLocation {
        let mut appspec = format!("{HEAD}hooks:\n");
        let mut files = vec![("app/version".to_owned(), version.to_owned())];
        for (event, text) in hooks {
            appspec.push_str(&format!("  {event}:\n    - {{location: scripts/{event}.sh, timeout: 1}}\n"));
            files.push((format!("scripts/{event}.sh"), (*text).to_owned()));
        }
        let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        self.bundle(&appspec, &files)
    }

    fn store(&self) -> ArtifactStore {
        ArtifactStore::new(self.path("artifacts"))
    }

    fn site(&self) -> Site {
        let settings = Settings {
            codedeploy: [("shop/prod".to_owned(), self.group.clone())].into(),
            ..Settings::default()
        };
        Site {
            settings: Arc::new(settings),
            artifacts: Arc::new(self.store()),
            log: ActionLog::open(&self.path("action.log"), 1 << 20).unwrap(),
            cancelled: self.stop.subscribe(),
            state: self.path("state"),
            region: "eu-west-1".to_owned(),
            account: "000000000000".to_owned(),
        }
    }

    fn job(&self, location: &ArtifactLocation) -> ActionJob {
        let uuid = "00000000-0000-4000-8000-000000000001";
        ActionJob {
            action_execution: ActionExecutionId::parse(uuid).unwrap(),
            execution: ExecutionId::parse(uuid).unwrap(),
            pipeline: PipelineName::parse("shop").unwrap(),
            stage: StageName::parse("Deploy").unwrap(),
            action: ActionName::parse("Deploy").unwrap(),
            entry: Entry(1),
            action_type: serde_json::from_value::<ActionTypeId>(serde_json::json!({
                "category": "Deploy", "owner": "AWS", "provider": "CodeDeploy", "version": "1"
            }))
            .unwrap(),
            configuration: [("ApplicationName", "shop"), ("DeploymentGroupName", "prod")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            commands: Vec::new(),
            output_variables: Vec::new(),
            environment_variables: Vec::new(),
            inputs: vec![InputArtifact {
                name: ArtifactName::parse("Built").unwrap(),
                location: location.clone(),
                revision: Some(location.key.clone()),
            }],
            outputs: Vec::new(),
            revision: None,
            begun: None,
            roles: vec![],
            region: None,
            encryption_key: None,
            resumed: false,
            deadline: Timestamp(i64::MAX),
        }
    }

    async fn deploy(&self, location: &ArtifactLocation) -> Result<Success, Failure> {
        self.run(&self.job(location)).await
    }

    async fn run(&self, job: &ActionJob) -> Result<Success, Failure> {
        match run(job, &self.site()).await {
            Outcome::Succeeded(success) => Ok(success),
            Outcome::Failed(failure) => Err(failure),
        }
    }

    fn group_store(&self) -> Store {
        let group = Group::resolve(&self.site().settings, &self.path("state"), "shop", "prod").unwrap();
        Store::open(&self.path("state"), &group.id, &serde_json::json!({})).unwrap()
    }

    fn records(&self) -> Vec<Record> {
        self.group_store().records().unwrap()
    }
}

fn hosts_in(folder: &Path, names: &[&str]) -> Vec<Host> {
    names
        .iter()
        .map(|name| Host { name: (*name).to_owned(), root: folder.join(name), ..Host::default() })
        .collect()
}

/// A hook that notes its event and its bundle's version in the host's folder.
const NOTE: &str = r#"echo "$LIFECYCLE_EVENT $(cat app/version)" >> "$CODEDEPLOY_TARGET_ROOT/events""#;

#[tokio::test]
async fn the_second_deployment_stops_the_first_with_the_firsts_own_script() {
    let mut world = World::new(&["blue"]);
    let hooks = ["ApplicationStop", "BeforeInstall", "AfterInstall", "ApplicationStart", "ValidateService"];
    let hooks = hooks.map(|event| (event, NOTE));
    let (one, two) = (world.release("1", &hooks), world.release("2", &hooks));
    let first = world.deploy(&one).await.unwrap();
    assert_eq!(world.text("blue/opt/app/version"), "1");
    assert_eq!(
        world.text("blue/events"),
        "BeforeInstall 1\nAfterInstall 1\nApplicationStart 1\nValidateService 1\n"
    );
    assert!(world.log().contains("host blue: ApplicationStop … Skipped"), "{}", world.log());

    let second = world.deploy(&two).await.unwrap();
    assert_eq!(world.text("blue/opt/app/version"), "2");
    assert!(world.text("blue/events").contains("ValidateService 1\nApplicationStop 1\nBeforeInstall 2\n"));

    let id = second.external_execution_id.unwrap();
    assert_eq!(second.output_variables["DeploymentId"], id);
    assert!(id.starts_with("d-") && id.len() == 11 && id != first.external_execution_id.unwrap());
    assert_eq!(second.summary.unwrap(), format!("Deployment {id} succeeded on 1 of 1 hosts"));
    let log = world.log();
    assert!(log.contains("host blue: BeforeInstall … Succeeded 0."), "{log}");
    assert!(log.contains("  blue  Succeeded"), "{log}");
}

#[tokio::test]
async fn scripts_see_the_documented_variables_and_their_output_is_kept_apart() {
    let mut world = World::new(&["blue"]);
    world.group.environment =
        [("COLOUR".to_owned(), "group".to_owned()), ("A".to_owned(), "group".to_owned())].into();
    world.group.hosts[0].environment = [("COLOUR".to_owned(), "host".to_owned())].into();
    let script = "env > \"$CODEDEPLOY_TARGET_ROOT/env\"; pwd; echo oh >&2";
    let location = world.release("1", &[("AfterInstall", script)]);
    let id = world.deploy(&location).await.unwrap().external_execution_id.unwrap();
    let env = world.text("blue/env");
    for expected in [
        "LIFECYCLE_EVENT=AfterInstall",
        "APPLICATION_NAME=shop",
        "DEPLOYMENT_GROUP_NAME=prod",
        "BUNDLE_BUCKET=store",
        "BUNDLE_KEY=bundle-1",
        "TOWPATH_HOST=blue",
        "COLOUR=host",
        "A=group",
        &format!("DEPLOYMENT_ID={id}"),
    ] {
        assert!(env.lines().any(|line| line == expected), "{expected} is not in {env}");
    }
    assert!(!env.contains("TOWPATH_ACTION"), "a service must not be taken for a build's leftover");
    let host = world.group_store().host("blue");
    let scripts = fs::read_to_string(host.scripts_log(&id)).unwrap();
    assert!(scripts.contains("LifecycleEvent - AfterInstall") && scripts.contains("[stderr]oh"), "{scripts}");
    assert!(
        scripts.contains(&format!("[stdout]{}", host.archive(&id).canonicalize().unwrap().display())),
        "{scripts}"
    );
    assert!(world.log().contains("host blue | oh"));
}

#[tokio::test]
async fn a_failed_deployment_is_rolled_back_to_the_last_good_revision_and_stays_failed() {
    let mut world = World::new(&["blue"]);
    let good = world.release("1", &[("ApplicationStart", NOTE)]);
    let bad =
        world.release("2", &[("ApplicationStart", NOTE), ("ValidateService", "echo no answer; exit 7")]);
    let first = world.deploy(&good).await.unwrap();
    let failure = world.deploy(&bad).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::JobFailed);
    let records = world.records();
    let [_, failed, rollback] = records.as_slice() else { panic!("{records:?}") };
    for expected in [
        "host blue: ValidateService: Script at specified location: scripts/ValidateService.sh failed with exit code 7",
        "    no answer",
        &format!("Rolled back to revision bundle-1 (deployment {}): Succeeded.", rollback.deployment_id),
    ] {
        assert!(failure.message.contains(expected), "{expected} is not in {}", failure.message);
    }
    assert_eq!(failure.external_execution_id.as_ref(), Some(&failed.deployment_id));
    assert_eq!(failed.status, Status::Failed);
    assert_eq!(failed.rollback_info.rollback_deployment_id.as_ref(), Some(&rollback.deployment_id));
    assert_eq!(rollback.creator, Creator::CodeDeployRollback);
    assert_eq!(
        rollback.rollback_info.rollback_triggering_deployment_id.as_ref(),
        Some(&failed.deployment_id)
    );
    assert_ne!(Some(&rollback.deployment_id), first.external_execution_id.as_ref());
    assert_eq!(world.text("blue/opt/app/version"), "1");
    assert_eq!(world.text("blue/events"), "ApplicationStart 1\nApplicationStart 2\nApplicationStart 1\n");
}

#[tokio::test]
async fn a_rollback_bears_a_stop_script_that_fails_on_what_is_stopped_already() {
    let mut world = World::new(&["blue"]);
    let start = "mkdir \"$CODEDEPLOY_TARGET_ROOT/running\"";
    let hooks =
        [("ApplicationStart", start), ("ApplicationStop", "rmdir \"$CODEDEPLOY_TARGET_ROOT/running\"")];
    let good = world.release("1", &hooks);
    world.deploy(&good).await.unwrap();
    let bad = world.release("2", &[("BeforeInstall", "exit 1")]);
    let failure = world.deploy(&bad).await.unwrap_err();
    assert!(failure.message.ends_with(": Succeeded."), "{}", failure.message);
    assert!(world.log().contains("had stopped it already)"), "{}", world.log());
    assert!(world.path("blue/running").exists());

    fs::remove_dir(world.path("blue/running")).unwrap();
    let failure = world.deploy(&good).await.unwrap_err();
    assert!(
        failure.message.contains("host blue: ApplicationStop"),
        "what should run must stop: {}",
        failure.message
    );
}

#[tokio::test]
async fn a_first_deployment_that_fails_says_that_there_is_nothing_to_roll_back_to() {
    let mut world = World::new(&["blue"]);
    let bad = world.release("1", &[("AfterInstall", "exit 1")]);
    let failure = world.deploy(&bad).await.unwrap_err();
    assert!(
        failure.message.ends_with("the group has no earlier deployment that succeeded."),
        "{}",
        failure.message
    );
    world.group.auto_rollback = Some(false);
    let failure = world.deploy(&bad).await.unwrap_err();
    assert!(failure.message.ends_with("Not rolled back: `auto-rollback` is off."), "{}", failure.message);
}

#[tokio::test]
async fn a_daemon_that_holds_its_output_open_fails_the_script_instead_of_hanging() {
    let mut world = World::new(&["blue"]);
    let location = world.release("1", &[("ApplicationStart", "sleep 60 &")]);
    let begun = std::time::Instant::now();
    let failure = world.deploy(&location).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(failure.message.contains("failed to close STDOUT"), "{}", failure.message);
}

#[tokio::test]
async fn a_daemon_that_redirects_its_output_outlives_the_deployment() {
    let mut world = World::new(&["blue"]);
    let start = "sleep 60 >/dev/null 2>&1 </dev/null &\necho $! > \"$CODEDEPLOY_TARGET_ROOT/pid\"";
    let stop = "kill $(cat \"$CODEDEPLOY_TARGET_ROOT/pid\")";
    let location = world.release("1", &[("ApplicationStart", start), ("ApplicationStop", stop)]);
    world.deploy(&location).await.unwrap();
    let process =
        || world.text("blue/pid").trim().parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    let first = process();
    assert!(rustix::process::test_kill_process(first).is_ok());
    world.deploy(&location).await.unwrap();
    let second = process();
    assert_ne!(first, second);
    rustix::process::kill_process(second, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn scripts_that_are_missing_slow_or_not_executable_are_told_apart() {
    let mut world = World::new(&["blue"]);
    let missing =
        world.bundle(&format!("{HEAD}hooks: {{BeforeInstall: [{{location: no.sh}}]}}"), &[("app/a", "")]);
    let failure = world.deploy(&missing).await.unwrap_err();
    assert!(
        failure.message.contains("Script does not exist at specified location: no.sh"),
        "{}",
        failure.message
    );

    let slow = world.release("1", &[("BeforeInstall", "sleep 30")]);
    let failure = world.deploy(&slow).await.unwrap_err();
    assert!(failure.message.contains("failed to complete in 1 seconds"), "{}", failure.message);

    let hooks = format!("{HEAD}hooks: {{BeforeInstall: [{{location: run}}]}}");
    let plain = world.bundle(&hooks, &[("app/a", ""), ("run", "#!/bin/sh\nexit 0\n")]);
    world.deploy(&plain).await.unwrap();
    let codes: Vec<_> = world
        .records()
        .iter()
        .flat_map(|record| record.hosts[0].lifecycle_events.clone())
        .filter_map(|event| event.diagnostics.map(|diagnostics| diagnostics.error_code))
        .collect();
    assert_eq!(codes, [record::ErrorCode::ScriptMissing, record::ErrorCode::ScriptTimedOut]);
}

#[tokio::test]
async fn one_at_a_time_stops_at_a_failure_and_rolls_back_only_what_it_touched() {
    let mut world = World::new(&["a", "b", "c"]);
    let one = world.release("1", &[("AfterInstall", NOTE)]);
    world.deploy(&one).await.unwrap();
    let fails_on_b = "[ \"$TOWPATH_HOST\" != b ]";
    let two = world.release("2", &[("ValidateService", fails_on_b)]);
    let failure = world.deploy(&two).await.unwrap_err();
    assert!(failure.message.contains("1 of 3 hosts succeeded, 1 were not begun"), "{}", failure.message);
    let records = world.records();
    let progress = |record: &Record| record.hosts.iter().map(|host| host.status).collect::<Vec<_>>();
    assert_eq!(progress(&records[1]), [Standing::Succeeded, Standing::Failed, Standing::Skipped]);
    assert_eq!(progress(&records[2]), [Standing::Succeeded, Standing::Succeeded]);
    for host in ["a", "b", "c"] {
        assert_eq!(world.text(&format!("{host}/opt/app/version")), "1");
    }
    assert_eq!(world.text("c/events").lines().count(), 1);
}

#[tokio::test]
async fn a_failure_on_the_last_of_several_hosts_is_borne_one_at_a_time() {
    let mut world = World::new(&["a", "b"]);
    let location = world.release("1", &[("ValidateService", "[ \"$TOWPATH_HOST\" = a ]")]);
    let success = world.deploy(&location).await.unwrap();
    assert!(success.summary.unwrap().ends_with("succeeded on 1 of 2 hosts"));
}

#[tokio::test]
async fn hosts_of_a_batch_run_at_the_same_time() {
    let mut world = World::new(&["a", "b", "c", "d"]);
    world.group.config = Some("CodeDeployDefault.AllAtOnce".to_owned());
    // Each host waits until all four have come.
    let meet = "touch \"$MEET/$TOWPATH_HOST\"; for i in 1 2 3 4 5 6 7 8 9; do \
                [ $(ls \"$MEET\" | wc -l) = 4 ] && exit 0; sleep 0.1; done; exit 1";
    fs::create_dir(world.path("meet")).unwrap();
    world.group.environment = [("MEET".to_owned(), world.path("meet").display().to_string())].into();
    let location = world.release("1", &[("ApplicationStart", meet)]);
    world.deploy(&location).await.unwrap();
}

#[tokio::test]
async fn a_load_balancer_brings_the_traffic_events() {
    let mut world = World::new(&["blue"]);
    let note = |word: &str| Some(format!("echo \"{word} $TOWPATH_HOST\" >> \"$TOWPATH_HOST_ROOT/events\""));
    world.group.load_balancer = Some(LoadBalancer { block: note("block"), allow: note("allow") });
    let location = world.release("1", &[("BeforeAllowTraffic", NOTE), ("AfterBlockTraffic", NOTE)]);
    world.deploy(&location).await.unwrap();
    world.deploy(&location).await.unwrap();
    let expected = "block blue\nBeforeAllowTraffic 1\nallow blue\n\
                    block blue\nAfterBlockTraffic 1\nBeforeAllowTraffic 1\nallow blue\n";
    assert_eq!(world.text("blue/events"), expected);
}

fn blue_green() -> World {
    let mut world = World::new(&["blue"]);
    world.group.style = DeploymentStyle::BlueGreen;
    world.group.replacement_hosts = hosts_in(world.temp.path(), &["green"]);
    let note =
        |word: &str| Some(format!("echo \"$TOWPATH_HOST {word}\" >> '{}'", world.path("traffic").display()));
    world.group.load_balancer = Some(LoadBalancer { block: note("out"), allow: note("in") });
    world
}

#[tokio::test]
async fn blue_and_green_change_roles_with_each_deployment() {
    let mut world = blue_green();
    let (one, two) = (world.release("1", &[]), world.release("2", &[]));
    world.deploy(&one).await.unwrap();
    assert_eq!(
        (world.text("green/opt/app/version"), world.text("blue/opt/app/version")),
        ("1".into(), "".into())
    );
    assert_eq!(world.text("traffic"), "green in\nblue out\n");
    world.deploy(&two).await.unwrap();
    assert_eq!(
        (world.text("green/opt/app/version"), world.text("blue/opt/app/version")),
        ("1".into(), "2".into())
    );
    assert_eq!(world.text("traffic"), "green in\nblue out\nblue in\ngreen out\n");
}

#[tokio::test]
async fn a_blue_green_failure_before_traffic_moves_leaves_it_where_it_is() {
    let mut world = blue_green();
    let (one, bad) = (world.release("1", &[]), world.release("2", &[("ValidateService", "exit 1")]));
    world.deploy(&one).await.unwrap();
    let failure = world.deploy(&bad).await.unwrap_err();
    assert!(failure.message.contains("Traffic stayed on the original hosts"), "{}", failure.message);
    assert_eq!(world.text("traffic"), "green in\nblue out\n");
    world.deploy(&one).await.unwrap();
    assert_eq!(world.text("traffic"), "green in\nblue out\nblue in\ngreen out\n");
}

#[tokio::test]
async fn a_blue_green_failure_while_traffic_moves_takes_it_back() {
    let mut world = blue_green();
    let (one, bad) = (world.release("1", &[]), world.release("2", &[("AfterAllowTraffic", "exit 1")]));
    world.deploy(&one).await.unwrap();
    let failure = world.deploy(&bad).await.unwrap_err();
    assert!(
        failure.message.contains("Traffic moved back to the original hosts (deployment d-"),
        "{}",
        failure.message
    );
    assert_eq!(world.text("traffic"), "green in\nblue out\nblue in\ngreen in\nblue out\n");
    assert!(world.group_store().replacement_is_live());
}

#[tokio::test]
async fn a_resumed_job_fails_what_was_interrupted_stops_its_script_and_deploys_again() {
    let mut world = World::new(&["blue"]);
    let location = world.release("1", &[("ApplicationStart", NOTE)]);
    world.deploy(&location).await.unwrap();
    // What a crash in ApplicationStart leaves: an open record, and the script itself still running.
    let store = world.group_store();
    let mut interrupted = world.records().remove(0);
    interrupted.deployment_id = "d-CRASHED01".to_owned();
    interrupted.number = 2;
    interrupted.status = Status::InProgress;
    interrupted.begin("blue", lifecycle::Event::ApplicationStart);
    store.save(&interrupted).unwrap();
    let mut script = tokio::process::Command::new("sleep")
        .arg("60")
        .env("DEPLOYMENT_ID", "d-CRASHED01")
        .env("TOWPATH_HOST", "blue")
        .env("LIFECYCLE_EVENT", "ApplicationStart")
        .kill_on_drop(true)
        .spawn()
        .unwrap();

    let job = ActionJob { resumed: true, ..world.job(&location) };
    let success = world.run(&job).await.unwrap();
    let status = tokio::time::timeout(Duration::from_secs(5), script.wait()).await.unwrap().unwrap();
    assert!(!status.success(), "the leftover script was stopped");
    let records = world.records();
    assert_eq!(records[1].status, Status::Failed);
    assert_eq!(records[1].error_information.as_ref().unwrap().code, "FAILED_AFTER_RESTART");
    assert_eq!(records[1].hosts[0].lifecycle_events.last().unwrap().status, Standing::Failed);
    assert_eq!(Some(&records[2].deployment_id), success.external_execution_id.as_ref());

    let again = world.run(&job).await.unwrap();
    assert_eq!(again.external_execution_id, success.external_execution_id, "its result alone had been lost");
    assert_eq!(world.records().len(), 3);
}

#[tokio::test]
async fn a_cancelled_deployment_stops_its_script_and_is_recorded_as_stopped() {
    let mut world = World::new(&["a", "b"]);
    let script = "touch \"$CODEDEPLOY_TARGET_ROOT/begun\"; exec sleep 60";
    let hooks = format!("{HEAD}hooks: {{AfterInstall: [{{location: slow.sh}}]}}");
    let location = world.bundle(&hooks, &[("app/a", ""), ("slow.sh", script)]);
    let stopper = async {
        while !world.path("a/begun").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.stop.send(true).unwrap();
    };
    let (result, ()) = tokio::join!(world.deploy(&location), stopper);
    assert!(result.unwrap_err().message.ends_with("was stopped"));
    let records = world.records();
    assert_eq!((records.len(), records[0].status), (1, Status::Stopped));
    assert_eq!(records[0].hosts[1].status, Standing::Skipped);
}

#[tokio::test]
async fn a_deployment_stops_at_the_actions_deadline() {
    let mut world = World::new(&["a"]);
    let hooks = format!("{HEAD}hooks: {{AfterInstall: [{{location: slow.sh}}]}}");
    let location = world.bundle(&hooks, &[("app/a", ""), ("slow.sh", "exec sleep 60")]);
    let soon = jiff::Timestamp::now().as_millisecond() + 300;
    let failure =
        world.run(&ActionJob { deadline: Timestamp(soon), ..world.job(&location) }).await.unwrap_err();
    assert!(
        failure.message.starts_with("The action timed out after 1 minutes. Deployment d-"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn one_deployment_at_a_time_per_group() {
    let mut world = World::new(&["blue"]);
    let alone =
        "mkdir \"$CODEDEPLOY_TARGET_ROOT/alone\" && sleep 0.1 && rmdir \"$CODEDEPLOY_TARGET_ROOT/alone\"";
    let location = world.release("1", &[("AfterInstall", alone)]);
    let (one, two) = tokio::join!(world.deploy(&location), world.deploy(&location));
    assert_ne!(one.unwrap().external_execution_id, two.unwrap().external_execution_id);
    assert!(world.log().contains("waiting for another deployment of shop/prod"));
}

#[tokio::test]
async fn bundles_that_cannot_be_deployed_touch_nothing() {
    let mut world = World::new(&["blue"]);
    let climbing = HEAD.replace("/opt/app", "/../../etc");
    let unknown = format!("{HEAD}hooks: {{AfterParty: []}}");
    for (appspec, expected) in [
        (climbing.as_str(), "appspec.yml:3:36: `destination` `/../../etc` must not lead out of the host"),
        (unknown.as_str(), "unknown hook events: `AfterParty`"),
        ("", "the file is empty"),
    ] {
        let location = world.bundle(appspec, &[("app/a", "")]);
        let failure = world.deploy(&location).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::ConfigurationError);
        assert!(failure.message.contains(expected), "{}", failure.message);
    }
    assert!(!world.path("blue").exists() && world.records().is_empty());
    let gone = ArtifactLocation { bucket: "store".to_owned(), key: "gone".to_owned() };
    assert_eq!(world.deploy(&gone).await.unwrap_err().code, FailureCode::RevisionUnavailable);
    let location = world.release("1", &[]);
    let mut job = world.job(&location);
    job.configuration.remove("DeploymentGroupName");
    assert!(world.run(&job).await.unwrap_err().message.contains("has no `DeploymentGroupName`"));
    let mut job = world.job(&location);
    job.inputs.clear();
    assert!(world.run(&job).await.unwrap_err().message.contains("exactly one input artifact"));
}

#[tokio::test]
async fn a_single_folder_around_the_appspec_is_stripped() {
    let mut world = World::new(&["blue"]);
    let location = world.release("1", &[]);
    let folder = world.path("wrapped");
    fs::create_dir(&folder).unwrap();
    fs::rename(world.path("bundle-1"), folder.join("shop-1.0")).unwrap();
    let file = world.path("packed.zip");
    archive::pack(&archive::list(&folder).unwrap(), &file, CAPS).unwrap();
    let location = ArtifactLocation { key: "wrapped".to_owned(), ..location };
    world.store().put(&location, &file).unwrap();
    world.deploy(&location).await.unwrap();
    assert_eq!(world.text("blue/opt/app/version"), "1");
}

#[tokio::test]
async fn old_archives_go_and_the_last_good_one_stays() {
    let mut world = World::new(&["blue"]);
    let good = world.release("1", &[]);
    let bad = world.release("2", &[("BeforeInstall", "exit 1")]);
    world.group.auto_rollback = Some(false);
    let id = world.deploy(&good).await.unwrap().external_execution_id.unwrap();
    for _ in 0..store::ARCHIVES_KEPT + 2 {
        world.deploy(&bad).await.unwrap_err();
    }
    let store = world.group_store();
    let kept: Vec<_> = world
        .records()
        .iter()
        .filter(|record| store.bundle(&record.deployment_id).exists())
        .map(|record| record.deployment_id.clone())
        .collect();
    assert_eq!(kept.len(), store::ARCHIVES_KEPT + 1);
    assert_eq!(kept[0], id);
    assert!(store.host("blue").archive(&id).join("appspec.yml").exists());
    let folders =
        world.records().iter().filter(|is| store.host("blue").deployment(&is.deployment_id).exists()).count();
    assert_eq!(folders, store::ARCHIVES_KEPT + 1);
}

#[tokio::test]
async fn failures_of_application_stop_can_be_ignored() {
    let mut world = World::new(&["blue"]);
    world.group.auto_rollback = Some(false);
    let location = world.release("1", &[("ApplicationStop", "exit 1")]);
    world.deploy(&location).await.unwrap();
    assert!(world.deploy(&location).await.unwrap_err().message.contains("ApplicationStop"));
    world.group.ignore_application_stop_failures = true;
    world.deploy(&location).await.unwrap();
    assert!(world.log().contains("(ignored: `ignore-application-stop-failures`)"));
}
