//! What the runners' tests share, and the tests of choosing a runner.

use super::*;
use crate::{archive, settings::Mock};
use engine::action::{InputArtifact, OutputArtifact};
use events::{
    ActionExecutionId, ActionName, ArtifactLocation, ArtifactName, Entry, ExecutionId, PipelineName,
    StageName, Timestamp,
};
use std::{collections::BTreeMap, fs, path::Path};
use tempfile::TempDir;

/// A machine of its own for one test: a base folder, a state folder, a log.
pub(super) struct Stage {
    pub(super) dir: TempDir,
    pub(super) site: Site,
    pub(super) cancel: watch::Sender<bool>,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A machine with settings; their base folder is `base` and is there.
    pub(super) fn with(set: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("base");
        fs::create_dir(&base).unwrap();
        let mut settings = Settings { base, ..Settings::default() };
        set(&mut settings);
        let (cancel, cancelled) = watch::channel(false);
        let state = dir.path().join("state");
        let site = Site {
            settings: Arc::new(settings),
            artifacts: Arc::new(ArtifactStore::new(state.join("artifacts"))),
            log: ActionLog::open(&dir.path().join("log"), 1 << 20).unwrap(),
            cancelled,
            state,
            region: "eu-central-1".into(),
            account: "111122223333".into(),
        };
        Self { dir, site, cancel }
    }

    pub(super) fn base(&self) -> &Path {
        &self.site.settings.base
    }

    pub(super) fn set(&mut self, set: impl FnOnce(&mut Settings)) {
        let mut settings = (*self.site.settings).clone();
        set(&mut settings);
        self.site.settings = Arc::new(settings);
    }

    /// Writes files below the base folder.
    pub(super) fn write(&self, files: &[(&str, &str)]) {
        for (name, content) in files {
            let path = self.base().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    /// Puts an artifact of the files below the base folder into the store.
    pub(super) fn artifact(&self, name: &str) -> InputArtifact {
        let location = ArtifactLocation { bucket: "store".into(), key: format!("in/{name}") };
        let file = self.site.artifacts.scratch().unwrap();
        archive::pack(&archive::list(self.base()).unwrap(), &file, caps(&self.site)).unwrap();
        self.site.artifacts.put(&location, &file).unwrap();
        InputArtifact { name: ArtifactName::parse(name).unwrap(), location, revision: Some("abc".into()) }
    }

    /// Names and contents of an output artifact; a link's content is `-> target`.
    pub(super) fn unpacked(&self, output: &OutputArtifact) -> BTreeMap<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let archive = self.site.artifacts.get(&output.location).unwrap();
        archive::unpack(&archive, folder.path(), caps(&self.site)).unwrap();
        let content = |entry: &archive::Entry| match fs::read_link(&entry.path) {
            Ok(target) => format!("-> {}", target.display()),
            Err(_) => fs::read_to_string(&entry.path).unwrap(),
        };
        let entries = archive::list(folder.path()).unwrap();
        entries.iter().map(|entry| (entry.name.clone(), content(entry))).collect()
    }

    pub(super) fn log(&self) -> String {
        self.site.log.tail_text()
    }

    pub(super) async fn succeeds(&self, job: &ActionJob) -> engine::action::Success {
        match run(job, &self.site).await {
            Outcome::Succeeded(success) => success,
            Outcome::Failed(failure) => panic!("{failure:?}\n{}", self.log()),
        }
    }

    pub(super) async fn fails(&self, job: &ActionJob) -> (FailureCode, String) {
        match run(job, &self.site).await {
            Outcome::Succeeded(success) => panic!("{success:?}"),
            Outcome::Failed(failure) => {
                let dir = self.dir.path().canonicalize().unwrap();
                (failure.code, failure.message.replace(dir.to_str().unwrap(), ""))
            }
        }
    }
}

/// A job of `Category/Owner/Provider` with one output named `Out`.
pub(super) fn job(action_type: &str, configuration: &[(&str, &str)]) -> ActionJob {
    let parts: Vec<&str> = action_type.split('/').collect();
    let type_id = serde_json::json!({
        "category": parts[0], "owner": parts[1], "provider": parts[2], "version": "1"
    });
    ActionJob {
        action_execution: ActionExecutionId::parse("11111111-1111-4111-8111-111111111111").unwrap(),
        execution: ExecutionId::parse("22222222-2222-4222-8222-222222222222").unwrap(),
        pipeline: PipelineName::parse("shop").unwrap(),
        stage: StageName::parse("Stage").unwrap(),
        action: ActionName::parse("Act").unwrap(),
        entry: Entry::default(),
        action_type: serde_json::from_value(type_id).unwrap(),
        configuration: configuration.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        commands: vec![],
        output_variables: vec![],
        environment_variables: vec![],
        inputs: vec![],
        outputs: vec![OutputArtifact {
            name: ArtifactName::parse("Out").unwrap(),
            location: ArtifactLocation { bucket: "store".into(), key: "shop/Out/1234567".into() },
            files: vec![],
        }],
        revision: None,
        begun: None,
        roles: vec![],
        region: None,
        encryption_key: None,
        resumed: false,
        deadline: Timestamp(i64::MAX),
    }
}

#[tokio::test]
async fn an_action_type_without_a_runner_fails_and_says_how_to_mock_it() {
    let stage = Stage::new();
    let (code, message) = stage.fails(&job("Deploy/AWS/ECS", &[])).await;
    assert_eq!(code, FailureCode::ConfigurationError);
    assert_eq!(
        message,
        "No runner on this machine for Deploy/AWS/ECS/1. To mock it openly, add `\"Deploy/ECS\" = \"succeed\"` under \
         `[mock]` in towpath.toml."
    );
}

#[tokio::test]
async fn a_mock_writes_empty_artifacts_and_never_hides_that_it_is_one() {
    let stage = Stage::with(|settings| {
        settings.mock.insert("Deploy/ECS".into(), Mock::Succeed);
        settings.mock.insert("Build/CodeBuild".into(), Mock::Fail);
    });
    let job_done = job("Deploy/AWS/ECS", &[]);
    let success = stage.succeeds(&job_done).await;
    assert!(success.mocked);
    assert_eq!(success.summary.as_deref(), Some("mocked: nothing was done"));
    assert!(stage.unpacked(&job_done.outputs[0]).is_empty());
    assert!(stage.log().contains("is mocked in towpath.toml"), "{}", stage.log());
    let (code, message) = stage.fails(&job("Build/AWS/CodeBuild", &[])).await;
    assert_eq!((code, message.as_str()), (FailureCode::JobFailed, "mocked failure"));
}

#[tokio::test]
async fn a_runner_that_panics_fails_its_action_only() {
    let Outcome::Failed(failure) = guarded(&job("Deploy/AWS/S3", &[]), async { panic!("lost {}", 7) }).await
    else {
        panic!("a panic is no success");
    };
    assert_eq!(failure.code, FailureCode::SystemUnavailable);
    assert_eq!(
        failure.message,
        "The runner for Deploy/AWS/S3/1 broke off: lost 7. This is a fault in Towpath."
    );
}
