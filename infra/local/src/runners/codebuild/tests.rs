use super::*;
use crate::{
    archive::{self, Caps},
    artifacts::ArtifactStore,
    settings::{BuildProject, Settings},
};
use engine::action::*;
use events::*;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

const CAPS: Caps = Caps { bytes: 1 << 30, files: 10_000 };

/// A machine with a store, and a job that can be changed before it runs.
struct Stage {
    folder: tempfile::TempDir,
    settings: Settings,
    job: ActionJob,
    cancel: watch::Sender<bool>,
}

/// What a test looks at afterwards.
struct Seen {
    outcome: Outcome,
    log: String,
}

fn location(key: &str) -> ArtifactLocation {
    ArtifactLocation { bucket: "bucket".to_owned(), key: key.to_owned() }
}

fn store_in(folder: &Path) -> ArtifactStore {
    ArtifactStore::new(folder.join("artifacts"))
}

fn stage(files: &[(&str, &str)]) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let now = jiff::Timestamp::now().as_millisecond();
    let job = ActionJob {
        action_execution: ActionExecutionId::parse(uuid::Uuid::new_v4().to_string()).unwrap(),
        execution: ExecutionId::parse(uuid::Uuid::new_v4().to_string()).unwrap(),
        pipeline: PipelineName::parse("shop").unwrap(),
        stage: StageName::parse("Build").unwrap(),
        action: ActionName::parse("Compile").unwrap(),
        entry: Entry(1),
        action_type: ActionTypeId {
            category: ActionCategory::Build,
            owner: ActionOwner::AWS,
            provider: "CodeBuild".to_owned(),
            version: "1".to_owned(),
        },
        configuration: BTreeMap::from([("ProjectName".to_owned(), "proj".to_owned())]),
        commands: Vec::new(),
        output_variables: Vec::new(),
        environment_variables: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        revision: None,
        begun: None,
        roles: vec![],
        region: None,
        encryption_key: None,
        resumed: false,
        deadline: Timestamp(now + 600_000),
    };
    let (cancel, _) = watch::channel(false);
    let stage = Stage { folder, settings: Settings::default(), job, cancel };
    stage.with_input("Source", files)
}

/// A stage whose only input holds this buildspec.
fn with_spec(spec: &str) -> Stage {
    stage(&[("buildspec.yml", spec)])
}

impl Stage {
    fn with_input(mut self, name: &str, files: &[(&str, &str)]) -> Self {
        let from = self.folder.path().join("inputs").join(name);
        for (file, text) in files {
            let path = from.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let zip = self.folder.path().join(format!("{name}.zip"));
        archive::pack(&archive::list(&from).unwrap(), &zip, CAPS).unwrap();
        store_in(self.folder.path()).put(&location(name), &zip).unwrap();
        self.job.inputs.push(InputArtifact {
            name: ArtifactName::parse(name).unwrap(),
            location: location(name),
            revision: Some(format!("revision-of-{name}")),
        });
        self
    }

    fn with_output(mut self, name: &str, files: &[&str]) -> Self {
        self.job.outputs.push(OutputArtifact {
            name: ArtifactName::parse(name).unwrap(),
            location: location(name),
            files: files.iter().map(|file| (*file).to_owned()).collect(),
        });
        self
    }

    fn configured(mut self, key: &str, value: &str) -> Self {
        self.job.configuration.insert(key.to_owned(), value.to_owned());
        self
    }

    fn project(&mut self) -> &mut BuildProject {
        self.settings.codebuild.entry("proj".to_owned()).or_default()
    }

    fn site(&self) -> Site {
        let path = self.folder.path().join("action.log");
        Site {
            settings: Arc::new(self.settings.clone()),
            artifacts: Arc::new(store_in(self.folder.path())),
            log: ActionLog::open(&path, self.settings.limits.log_bytes).unwrap(),
            cancelled: self.cancel.subscribe(),
            state: self.folder.path().join("state"),
            region: "eu-west-1".to_owned(),
            account: "111122223333".to_owned(),
        }
    }

    async fn run(&self) -> Seen {
        let site = self.site();
        let outcome = super::run(&self.job, &site).await;
        drop(site);
        self.seen(outcome)
    }

    async fn run_commands(&self) -> Seen {
        let site = self.site();
        let outcome = super::run_commands(&self.job, &site).await;
        drop(site);
        self.seen(outcome)
    }

    fn seen(&self, outcome: Outcome) -> Seen {
        let log = fs::read(self.folder.path().join("action.log")).unwrap();
        Seen { outcome, log: String::from_utf8_lossy(&log).into_owned() }
    }

    fn workspace(&self) -> PathBuf {
        self.folder.path().join("state/builds").join(self.job.action_execution.as_str())
    }

    /// The files of an output artifact, by name and content.
    fn artifact(&self, name: &str) -> BTreeMap<String, String> {
        let into = tempfile::tempdir().unwrap();
        let into = into.path().join("x");
        let zip = store_in(self.folder.path()).get(&location(name)).unwrap();
        archive::unpack(&zip, &into, CAPS).unwrap();
        let entries = archive::list(&into).unwrap();
        entries.into_iter().map(|entry| (entry.name, fs::read_to_string(entry.path).unwrap())).collect()
    }

    fn has_artifact(&self, name: &str) -> bool {
        store_in(self.folder.path()).exists(&location(name))
    }
}

impl Seen {
    #[track_caller]
    fn success(&self) -> &Success {
        match &self.outcome {
            Outcome::Succeeded(success) => success,
            Outcome::Failed(failure) => panic!("{}\n{}", failure.message, self.log),
        }
    }

    #[track_caller]
    fn failure(&self) -> &Failure {
        match &self.outcome {
            Outcome::Failed(failure) => failure,
            Outcome::Succeeded(_) => panic!("it succeeded\n{}", self.log),
        }
    }

    /// Lines a command printed: those not of the runner.
    fn printed(&self) -> Vec<&str> {
        self.log.lines().filter(|line| !line.starts_with("[Container]")).collect()
    }

    #[track_caller]
    fn says(&self, text: &str) -> &Self {
        assert!(self.log.contains(text), "no `{text}` in\n{}", self.log);
        self
    }
}

fn names(files: &BTreeMap<String, String>) -> Vec<&str> {
    files.keys().map(String::as_str).collect()
}

mod artifacts;
mod phases;
mod safety;
mod settings;
