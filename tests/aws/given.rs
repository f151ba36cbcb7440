//! What the tests are given: one installation for all of them, and pipelines.

use serde_json::{Value, json};
use std::{env, net::ToSocketAddrs as _, path::PathBuf};
use tests::emulated::{
    emulator::Emulator,
    stack::{Place, Stack},
};

/// What a test needs that not every endpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It spoils calls, counts them, or restarts: an emulator that somebody else started cannot be asked for it.
    OwnEmulator,
    /// Function URLs that let in whom IAM lets in, and say who that is.
    Callers,
    /// CodeBuild.
    Builds,
}

/// Towpath, deployed.
pub(crate) struct Home {
    /// `None` when somebody else started it.
    pub(crate) emulator: Option<Emulator>,
    pub(crate) stack: Stack,
    folder: Option<tempfile::TempDir>,
}

impl Home {
    pub(crate) fn new() -> Self {
        if let Ok(url) = env::var("TOWPATH_TEST_ENDPOINT") {
            let host = url.trim_start_matches("http://").trim_end_matches('/');
            let address = host.to_socket_addrs().unwrap().next().expect("the endpoint has an address");
            return Self { emulator: None, stack: Stack::deploy_at(&url, address), folder: None };
        }
        let folder = tempfile::tempdir().unwrap();
        let emulator = Emulator::start(folder.path());
        let stack = Stack::deploy(&emulator);
        Self { emulator: Some(emulator), stack, folder: Some(folder) }
    }

    /// The emulator, for tests that need one of their own.
    pub(crate) fn emulator(&mut self) -> &mut Emulator {
        self.emulator.as_mut().expect("a test that needs it is skipped elsewhere")
    }

    /// Why a test that needs this cannot run here.
    pub(crate) fn lacks(&self, need: Need) -> Option<&'static str> {
        let on_localstack = match &self.stack.place {
            Place::Telling => None,
            Place::LocalStack(services) => Some(services),
        };
        match need {
            Need::OwnEmulator if self.emulator.is_none() => Some("it needs an emulator of its own"),
            Need::Callers if on_localstack.is_some() => Some("function URLs here do not ask who calls"),
            Need::Builds if on_localstack.is_some_and(|services| !services.contains("codebuild")) => {
                Some("there is no CodeBuild here")
            }
            Need::OwnEmulator | Need::Callers | Need::Builds => None,
        }
    }

    /// Spoils nothing any more.
    pub(crate) fn heal(&self) {
        if let Some(emulator) = &self.emulator {
            emulator.meter.heal();
        }
    }

    /// Leaves what the emulator wrote, to look at.
    pub(crate) fn keep(&mut self) {
        if let Some(folder) = self.folder.take() {
            let kept: PathBuf = folder.keep();
            println!("what the emulator wrote is in {}", kept.display());
        }
    }

    /// Writes the object that a pipeline's source watches.
    pub(crate) fn push(&self, pipeline: &str, content: &str) {
        let bucket = self.stack.output("SourcesName");
        self.stack.aws.put_object(bucket, &format!("{pipeline}.zip"), zipped(content));
    }

    /// Creates a pipeline of these stages after its source, without an object for the first execution to find; that one
    /// has failed when this returns.
    pub(crate) fn create(&self, name: &str, stages: &[Value]) {
        self.stack.call("CreatePipeline", &self.pipeline(name, stages));
        let first = || self.stack.executions(name).first().cloned().unwrap_or_default();
        let failed = tests::processes::eventually(tests::emulated::stack::SOON, || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            first()["status"] == "Failed"
        });
        assert!(failed, "the first execution of {name} has nothing to fetch: {:#}", first());
    }

    /// The definition of a pipeline: an object as source, then these stages.
    pub(crate) fn pipeline(&self, name: &str, stages: &[Value]) -> Value {
        let configuration = json!({"S3Bucket": self.stack.output("SourcesName"),
            "S3ObjectKey": format!("{name}.zip"), "PollForSourceChanges": "false"});
        let mut source = action("Object", "Source", "S3", configuration);
        source["outputArtifacts"] = json!([{"name": "Source"}]);
        let mut all = vec![stage("Source", &[source])];
        all.extend_from_slice(stages);
        json!({"pipeline": {"name": name, "pipelineType": "V2", "executionMode": "QUEUED",
            "roleArn": self.stack.output("RoleArn"),
            "artifactStore": {"type": "S3", "location": self.stack.output("ArtifactBucketName")},
            "stages": all}})
    }

    /// A build of the fixtures' project.
    pub(crate) fn build(&self, name: &str) -> Value {
        let mut build = action(name, "Build", "CodeBuild", json!({"ProjectName": "shop"}));
        build["inputArtifacts"] = json!([{"name": "Source"}]);
        build
    }

    /// A build that takes so long.
    pub(crate) fn build_of(&self, name: &str, seconds: f64) -> Value {
        let mut build = self.build(name);
        let variables = json!([{"name": "BUILD_SECONDS", "value": seconds.to_string(), "type": "PLAINTEXT"}]);
        build["configuration"]["EnvironmentVariables"] = variables.to_string().into();
        build
    }

    /// An approval that is asked for over the fixtures' topic.
    pub(crate) fn approval(&self, name: &str) -> Value {
        let configuration = json!({"NotificationArn": self.stack.output("ApprovalsArn"),
            "CustomData": "Look at staging first"});
        action(name, "Approval", "Manual", configuration)
    }

    /// A deployment of the source to the fixtures' site, under a key of its own.
    pub(crate) fn deployment(&self, name: &str, key: &str) -> Value {
        let configuration =
            json!({"BucketName": self.stack.output("SiteName"), "Extract": "false", "ObjectKey": key});
        let mut deploy = action(name, "Deploy", "S3", configuration);
        deploy["inputArtifacts"] = json!([{"name": "Source"}]);
        deploy
    }

    /// Tells that a build has ended, as CodeBuild does.
    pub(crate) fn tell_build_ended(&self, id: &str, status: &str) {
        let arn = format!("arn:aws:codebuild:us-east-1:111122223333:build/{id}");
        let detail = json!({"build-status": status, "project-name": "shop", "build-id": arn,
            "current-phase": "COMPLETED", "version": "1"});
        self.stack.aws.put_event("default", "aws.codebuild", "CodeBuild Build State Change", &detail);
    }
}

/// A stage.
pub(crate) fn stage(name: &str, actions: &[Value]) -> Value {
    json!({"name": name, "actions": actions})
}

fn action(name: &str, category: &str, provider: &str, configuration: Value) -> Value {
    json!({"name": name, "runOrder": 1, "configuration": configuration,
        "actionTypeId": {"category": category, "owner": "AWS", "provider": provider, "version": "1"}})
}

/// A ZIP with one stored file.
fn zipped(content: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("index.html", stored).unwrap();
    std::io::Write::write_all(&mut zip, content.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}
