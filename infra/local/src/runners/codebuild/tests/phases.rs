use super::*;

#[tokio::test]
async fn a_failed_build_phase_is_followed_by_post_build_and_artifacts_and_fails_the_action() {
    let stage = with_spec(
        "version: 0.2
phases:
  build:
    commands: ['echo x > made', 'exit 3', 'echo never']
  post_build:
    commands: ['echo succeeding=$CODEBUILD_BUILD_SUCCEEDING']
artifacts: {files: [made]}
",
    )
    .with_output("Out", &[]);
    let seen = stage.run().await;
    let failure = seen.failure();
    assert_eq!(
        failure.message,
        "Build terminated with state: FAILED. Phase: BUILD, Code: COMMAND_EXECUTION_ERROR, Message: Error \
         while executing command: exit 3. Reason: exit status 3"
    );
    assert_eq!(failure.code, FailureCode::JobFailed);
    assert!(failure.external_execution_id.as_ref().unwrap().starts_with("proj:"));
    assert_eq!(seen.printed(), ["succeeding=0"]);
    assert_eq!(names(&stage.artifact("Out")), ["made"]);
    seen.says("Running command exit 3")
        .says("Phase complete: BUILD State: FAILED")
        .says(
            "Phase context status code: COMMAND_EXECUTION_ERROR Message: Error while executing command: \
            exit 3.",
        )
        .says("Entering phase POST_BUILD")
        .says("The workspace is kept for you to look at: ");
    assert!(stage.workspace().join("src/made").exists());
}

#[tokio::test]
async fn a_failed_pre_build_skips_the_rest() {
    let stage = with_spec(
        "version: 0.2
phases:
  pre_build: {commands: ['false']}
  build: {commands: ['echo build']}
  post_build: {commands: ['echo post']}
artifacts: {files: ['**/*']}
",
    )
    .with_output("Out", &[]);
    let seen = stage.run().await;
    assert!(seen.failure().message.contains("Phase: PRE_BUILD"));
    assert_eq!(seen.printed(), [] as [&str; 0]);
    assert!(!stage.has_artifact("Out"));
}

#[tokio::test]
async fn directory_and_variables_are_shared_by_commands_and_phases_in_0_2() {
    let spec = |version: &str| {
        format!(
            "version: {version}
phases:
  install: {{commands: ['mkdir sub; cd sub; X=1']}}
  build: {{commands: ['basename \"$PWD\"', 'echo \"[$X]\"']}}
  post_build: {{commands: ['basename \"$(pwd)\"']}}
"
        )
    };
    assert_eq!(with_spec(&spec("0.2")).run().await.printed(), ["sub", "[1]", "sub"]);
    assert_eq!(with_spec(&spec("0.1")).run().await.printed(), ["src", "[]", "src"]);
}

#[tokio::test]
async fn variables_are_published_even_when_never_exported() {
    let stage = with_spec(
        "version: 0.2
env:
  variables: {Y: 1.10}
  exported-variables: [X, Y, UNSET, EMPTY]
phases:
  install: {commands: ['X=1; EMPTY=']}
  post_build: {commands: ['true']}
",
    );
    let seen = stage.run().await;
    let variables = &seen.success().output_variables;
    assert_eq!(format!("{variables:?}"), r#"{"EMPTY": "", "X": "1", "Y": "1.10"}"#);
    assert!(!stage.workspace().exists());
}

#[tokio::test]
async fn finally_runs_after_a_failure_and_can_be_one() {
    let stage = with_spec(
        "version: 0.2
phases:
  build:
    commands: ['false', 'echo never']
    finally: ['echo finally $CODEBUILD_BUILD_SUCCEEDING']
",
    );
    let seen = stage.run().await;
    assert_eq!(seen.printed(), ["finally 0"]);
    assert!(seen.failure().message.contains("executing command: false."));

    let seen =
        with_spec("version: 0.2\nphases: {build: {commands: ['true'], finally: [exit 4, echo never]}}")
            .run()
            .await;
    assert!(seen.failure().message.ends_with("executing command: exit 4. Reason: exit status 4"));
    assert_eq!(seen.printed(), [] as [&str; 0]);
}

#[tokio::test]
async fn abort_ends_and_continue_goes_on_but_the_build_stays_failed() {
    let spec = |word: &str, phase: &str| {
        format!(
            "version: 0.2
phases:
  {phase}: {{commands: ['false'], on-failure: {word}}}
  post_build: {{commands: ['echo post']}}
"
        )
    };
    let seen = with_spec(&spec("ABORT", "build")).run().await;
    assert_eq!((seen.failure().code, seen.printed()), (FailureCode::JobFailed, vec![]));
    let seen = with_spec(&spec("CONTINUE", "install")).run().await;
    assert_eq!((seen.failure().code, seen.printed()), (FailureCode::JobFailed, vec!["post"]));
}

#[tokio::test]
async fn retries_are_bounded_and_only_on_a_match() {
    let counter = tempfile::tempdir().unwrap();
    let counter = counter.path().join("n");
    let spec = |print: &str| {
        format!(
            "version: 0.2
phases:
  build:
    on-failure: RETRY-2-timeout.*
    commands: ['test ! -e left-over', 'touch left-over', 'echo run >> {}', 'echo {print}', 'false']
",
            counter.display()
        )
    };
    let seen = with_spec(&spec("a timeout of 3s")).run().await;
    seen.failure();
    assert_eq!(fs::read_to_string(&counter).unwrap().lines().count(), 3);
    seen.says("Retrying the build from a fresh checkout: run 3");
    fs::remove_file(&counter).unwrap();
    with_spec(&spec("something else")).run().await.failure();
    assert_eq!(fs::read_to_string(&counter).unwrap().lines().count(), 1);
}

#[tokio::test]
async fn a_build_that_succeeds_on_its_second_run_succeeds() {
    let marker = tempfile::tempdir().unwrap();
    let marker = marker.path().join("been-here");
    let command = format!("test -e {0} || {{ touch {0}; exit 1; }}", marker.display());
    let spec = format!("version: 0.2\nphases: {{build: {{on-failure: Retry, commands: ['{command}']}}}}");
    with_spec(&spec).run().await.success();
}

#[tokio::test]
async fn a_command_that_never_ends_is_stopped_at_the_deadline() {
    let mut stage = with_spec(
        "version: 0.2\nphases:\n  build: {commands: ['echo begun; sleep 1000'], finally: ['echo never']}\n  \
         post_build: {commands: ['echo never']}\n",
    );
    stage.job.deadline = Timestamp(jiff::Timestamp::now().as_millisecond() + 300);
    let begun = Instant::now();
    let seen = stage.run().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(seen.failure().message.starts_with(
        "The action timed out after 0 seconds. Build terminated with state: TIMED_OUT. Phase: BUILD, Code: "
    ));
    assert_eq!(seen.printed(), ["begun"]);
}

#[tokio::test]
async fn a_cancelled_build_stops_at_once() {
    let stage = with_spec("version: 0.2\nphases: {build: {commands: ['echo begun; sleep 1000']}}");
    let site = stage.site();
    let (outcome, ()) = tokio::join!(super::run(&stage.job, &site), async {
        while !site.log.tail_text().contains("\nbegun") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stage.cancel.send_replace(true);
    });
    drop(site);
    assert!(stage.seen(outcome).failure().message.contains("state: STOPPED"));
}

#[tokio::test]
async fn commands_run_in_the_first_input_and_publish_what_they_are_asked_for() {
    let mut stage = stage(&[("app.txt", "one")])
        .with_input("Other-In", &[("other.txt", "two")])
        .with_output("Out", &["result", "sub/**/*"]);
    stage.job.commands = [
        "cat app.txt \"$CODEBUILD_SRC_DIR_Other_In/other.txt\" > result",
        "mkdir -p sub/deep && echo $GREETING > sub/deep/file",
        "VERSION=1.2.3",
    ]
    .map(str::to_owned)
    .to_vec();
    stage.job.output_variables =
        ["VERSION", "AWS_DEFAULT_REGION", "CODEBUILD_BUILD_ID", "NONE"].map(str::to_owned).to_vec();
    stage.job.environment_variables = vec![EnvironmentVariable {
        name: "GREETING".to_owned(),
        value: "hello".to_owned(),
        kind: EnvironmentVariableType::Plaintext,
    }];
    let seen = stage.run_commands().await;
    let success = seen.success();
    assert_eq!(success.output_variables["VERSION"], "1.2.3");
    assert_eq!(success.output_variables["AWS_DEFAULT_REGION"], "eu-west-1");
    assert_eq!(Some(&success.output_variables["CODEBUILD_BUILD_ID"]), success.external_execution_id.as_ref());
    assert!(!success.output_variables.contains_key("NONE"));
    assert!(success.external_execution_id.as_ref().unwrap().starts_with("shop-Build-Compile:"));
    let files = stage.artifact("Out");
    assert_eq!(files["result"], "onetwo");
    assert_eq!(files["sub/deep/file"], "hello\n");
}

#[tokio::test]
async fn a_failing_command_is_named() {
    let mut stage = stage(&[("a", "")]);
    stage.job.commands = vec!["npm-is-not-here test".to_owned(), "echo never".to_owned()];
    let seen = stage.run_commands().await;
    assert!(
        seen.failure().message.ends_with("executing command: npm-is-not-here test. Reason: exit status 127")
    );
    assert!(!seen.log.contains("Running command echo never"));
}
