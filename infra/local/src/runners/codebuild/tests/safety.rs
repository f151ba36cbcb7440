use super::*;
use crate::process;

#[tokio::test]
async fn a_child_left_behind_is_ended_with_the_build() {
    let note = tempfile::tempdir().unwrap();
    let note = note.path().join("pids");
    let spec = format!(
        "version: 0.2
phases:
  build:
    commands:
      - sleep 1000 & echo $! >> {0}
      - setsid sh -c 'echo $$ >> {0}; exec sleep 1000' & while [ $(wc -l < {0}) -lt 2 ]; do sleep 0.01; done
      - kill -0 $(head -1 {0}) && echo still there
",
        note.display()
    );
    let stage = with_spec(&spec);
    let seen = stage.run().await;
    seen.success();
    assert_eq!(seen.printed(), ["still there"]);
    seen.says("process(es) the build left running");
    for pid in fs::read_to_string(&note).unwrap().lines() {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{state}");
    }
}

#[tokio::test]
async fn links_that_leave_the_workspace_are_not_packed() {
    let spec = "version: 0.2
phases:
  build:
    commands:
      - echo fine > fine; ln -s /etc/passwd out; ln -s /etc etc; ln -s fine in; ln -s ../../../.. up
artifacts: {files: ['**/*', 'etc/passwd', 'up/**/*']}
";
    let stage = with_spec(spec).with_output("Out", &[]);
    let seen = stage.run().await;
    seen.success();
    assert_eq!(names(&stage.artifact("Out")), ["buildspec.yml", "fine", "in"]);
    seen.says("`out` is a link that leads out of the source folder: left out");

    for (base, why) in [("/etc", "lies outside"), ("etc", "lies outside"), ("../../..", "lies outside")] {
        let spec = format!(
            "version: 0.2\nphases: {{build: {{commands: ['ln -s /etc etc']}}}}\nartifacts: {{files: ['*'], \
             base-directory: '{base}'}}"
        );
        let seen = with_spec(&spec).with_output("Out", &[]).run().await;
        assert!(seen.failure().message.contains(why), "{}", seen.failure().message);
    }
}

#[tokio::test]
async fn a_buildspec_outside_the_source_is_not_read() {
    let stage = with_spec("").configured("BuildspecOverride", "../../../../../../../../../../etc/passwd");
    assert!(stage.run().await.failure().message.contains("does not lie in the artifact `Source`"));
}

#[tokio::test]
async fn an_artifact_beyond_the_limit_is_refused_and_cleared_away() {
    let spec =
        "version: 0.2\nphases: {build: {commands: ['truncate -s 10G big']}}\nartifacts: {files: [big]}";
    let stage = with_spec(spec).with_output("Out", &[]);
    let seen = stage.run().await;
    assert!(
        seen.failure().message.contains("would hold 10737418240 bytes, more than the 2147483648 allowed")
    );
    assert!(!stage.has_artifact("Out"));
    let left = fs::read_dir(stage.folder.path().join("artifacts/.incoming")).map_or(0, Iterator::count);
    assert_eq!(left, 0);

    let mut stage =
        with_spec("version: 0.2\nphases: {build: {commands: ['touch a b c']}}\nartifacts: {files: ['**/*']}")
            .with_output("Out", &[]);
    stage.settings.limits.artifact_files = 3;
    assert!(stage.run().await.failure().message.contains("more than 3 files"));
}

#[tokio::test]
async fn output_without_end_is_counted_and_binary_output_is_no_problem() {
    let mut stage = with_spec(
        "version: 0.2\nphases: {build: {commands: ['printf \"\\\\377\\\\000\\\\376\"', 'yes | head -c 3000000']}}",
    );
    stage.settings.limits.log_bytes = 10_000;
    let seen = stage.run().await;
    seen.success();
    assert!(seen.log.len() < 100_000);
    seen.says("bytes of output are not kept here").says("Phase complete: POST_BUILD State: SUCCEEDED");
}

#[tokio::test]
async fn secrets_reach_the_build_and_never_the_log() {
    let spec = "version: 0.2
env:
  secrets-manager: {TOKEN: 'app/token:key'}
  parameter-store: {PARAM: /app/param}
phases:
  build:
    commands:
      - printf %.7s \"$TOKEN\"; sleep 0.05; printf '%s\\n' \"${TOKEN#???????}\"
      - echo \"$PARAM\" >&2; test \"$PARAM\" = a-long-parameter
      - echo AKIAIOSFODNN7EXAMPLE
";
    let mut stage = with_spec(spec);
    let secrets = stage.folder.path().join("secrets.json");
    fs::write(&secrets, r#"{"app/token": {"key": "s3cr3t-token-value"}, "/app/param": "a-long-parameter"}"#)
        .unwrap();
    stage.settings.secrets = Some(secrets);
    let seen = stage.run().await;
    seen.success();
    assert_eq!(seen.printed(), ["***", "***", "***"]);

    let failing = spec.replace("      - echo AKIA", "      - exit 1 # AKIA");
    stage.project().buildspec = Some(failing);
    stage.run().await.failure();
    assert_eq!(fs::read_dir(stage.workspace().join("tmp")).unwrap().count(), 0, "no secret stays on disk");

    let exporting = spec.replace("env:\n", "env:\n  exported-variables: [TOKEN]\n");
    stage.project().buildspec = Some(exporting);
    let seen = stage.run().await;
    assert!(seen.failure().message.contains("`TOKEN` cannot be an output variable: its value is a secret"));
}

#[tokio::test]
async fn a_resumed_job_ends_what_the_earlier_attempt_left() {
    let mut stage = with_spec("version: 0.2\nphases: {build: {commands: ['ls']}}");
    let marker = format!("{}={}", process::MARKER, stage.job.action_execution);
    let (name, value) = marker.split_once('=').unwrap();
    let mut orphan = std::process::Command::new("sleep").arg("1000").env(name, value).spawn().unwrap();
    fs::create_dir_all(stage.workspace().join("src")).unwrap();
    fs::write(stage.workspace().join("src/half-done"), "").unwrap();
    stage.job.resumed = true;
    let seen = stage.run().await;
    seen.success();
    assert_eq!(seen.printed(), ["buildspec.yml"]);
    assert!(orphan.try_wait().unwrap().is_some());
}

#[tokio::test]
async fn a_broken_input_archive_is_a_configuration_error() {
    let stage = with_spec("");
    fs::write(store_in(stage.folder.path()).get(&location("Source")).unwrap(), "no archive").unwrap();
    let failure = stage.run().await.failure().clone();
    assert_eq!(failure.code, FailureCode::ConfigurationError);
    assert!(
        failure.message.contains("the input artifact `Source` cannot be unpacked"),
        "{}",
        failure.message
    );
}
