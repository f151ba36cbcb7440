use super::*;

const PRINT: &str = "version: 0.2
env: {variables: {A: spec, B: spec, C: spec, P: '$PATH:/x'}}
phases: {build: {commands: ['echo $A $B $C', 'printf \"%s\\n\" \"$P\"']}}
";

#[tokio::test]
async fn the_action_wins_over_the_project_and_the_project_over_the_buildspec() {
    let mut stage = with_spec(PRINT)
        .configured("EnvironmentVariables", r#"[{"name":"C","value":"action","type":"PLAINTEXT"}]"#);
    stage.project().environment =
        BTreeMap::from([("B".to_owned(), "project".to_owned()), ("C".to_owned(), "project".to_owned())]);
    assert_eq!(stage.run().await.printed(), ["spec project action", "$PATH:/x"]);
}

#[tokio::test]
async fn the_host_lends_only_what_is_allowed() {
    let mut stage = with_spec(
        "version: 0.2\nphases: {build: {commands: ['echo \"[$CARGO_MANIFEST_DIR]\"; test \"$HOME\" = \"$REAL_HOME\"']}}",
    );
    stage.project().environment = BTreeMap::from([("REAL_HOME".to_owned(), std::env::var("HOME").unwrap())]);
    let seen = stage.run().await;
    seen.success();
    assert_eq!(seen.printed(), ["[]"]);
    stage.project().inherit = vec!["CARGO_MANIFEST_DIR".to_owned()];
    let seen = stage.run().await;
    assert!(seen.log.contains("/local]"), "{}", seen.log);
}

#[tokio::test]
async fn built_in_variables_are_set() {
    let stage = with_spec(
        "version: 0.2
phases:
  build:
    commands:
      - echo $AWS_REGION $CODEBUILD_INITIATOR $CODEBUILD_BUILD_NUMBER $CI
      - echo $CODEBUILD_BUILD_ARN
      - test \"$PWD\" = \"$CODEBUILD_SRC_DIR\" && [ ${#CODEBUILD_START_TIME} = 13 ]
",
    );
    let seen = stage.run().await;
    seen.success();
    assert_eq!(seen.printed()[0], "eu-west-1 codepipeline/shop 1 true");
    assert!(seen.printed()[1].starts_with("arn:aws:codebuild:eu-west-1:111122223333:build/proj:"));
    assert_eq!(stage.run().await.printed()[2], "eu-west-1 codepipeline/shop 2 true");
}

#[tokio::test]
async fn the_buildspec_comes_from_the_action_then_the_project_then_the_source() {
    let spec = |word: &str| format!("version: 0.2\nphases: {{build: {{commands: ['echo {word}']}}}}\n");
    let mut stage = stage(&[("buildspec.yml", &spec("source")), ("ci/other.yml", &spec("path"))]);
    assert_eq!(stage.run().await.printed(), ["source"]);
    stage.project().buildspec = Some("ci/other.yml".to_owned());
    assert_eq!(stage.run().await.printed().last(), Some(&"path"));
    let stage = stage.configured("BuildspecOverride", &spec("inline"));
    assert_eq!(stage.run().await.printed().last(), Some(&"inline"));
}

#[tokio::test]
async fn variables_of_the_project_may_lie_in_the_secrets() {
    let spec = "version: 0.2\nphases: {build: {commands: ['echo ${#TOKEN} ${#PARAM}']}}\n";
    let mut stage = with_spec(spec);
    let secrets = stage.folder.path().join("secrets.json");
    std::fs::write(&secrets, r#"{"app/token": {"key": "0123456789"}, "/app/param": "0123456"}"#).unwrap();
    stage.settings.secrets = Some(secrets);
    stage.project().secrets_manager = BTreeMap::from([("TOKEN".to_owned(), "app/token:key".to_owned())]);
    stage.project().parameter_store = BTreeMap::from([("PARAM".to_owned(), "/app/param".to_owned())]);
    assert_eq!(stage.run().await.printed(), ["10 7"]);
}

#[tokio::test]
async fn a_buildspec_out_of_a_template_is_called_after_its_place() {
    let mut stage = stage(&[("a", "")]);
    stage.project().buildspec = Some("ci.yml".to_owned());
    stage.project().buildspec_from = Some("`BuildSpec` of `Build` in `template.yaml`".to_owned());
    assert!(stage.run().await.failure().message.ends_with(
        "the buildspec `ci.yml`, from `BuildSpec` of `Build` in `template.yaml`, was not found in the artifact \
         `Source`"
    ));
}

#[tokio::test]
async fn a_missing_buildspec_is_said_with_the_settings_that_name_one() {
    let seen = stage(&[("a", "")]).run().await;
    let failure = seen.failure();
    assert_eq!(failure.code, FailureCode::ConfigurationError);
    assert_eq!(
        failure.message,
        "Build terminated with state: FAILED. Phase: DOWNLOAD_SOURCE, Code: YAML_FILE_ERROR, Message: \
         `buildspec.yml` was not found in the artifact `Source`: add it, or say where it is with \
         `BuildspecOverride` of the action or with `buildspec` of `[codebuild.proj]` in towpath.toml"
    );
    let seen = stage(&[("a", "")]).configured("BuildspecOverride", "ci.yml").run().await;
    assert!(seen.failure().message.ends_with(
        "the buildspec `ci.yml`, from `BuildspecOverride` of the action, was not found in the artifact \
         `Source`"
    ));
    let seen = stage(&[("buildspec.yaml", PRINT)]).run().await;
    seen.says("Warning: buildspec.yaml is used").success();
}

#[tokio::test]
async fn a_mistake_in_the_buildspec_is_a_configuration_error_with_its_place() {
    let seen = with_spec("version: 0.2\nphases:\n  build:\n    commands:\n      - echo a: b\n").run().await;
    assert_eq!(seen.failure().code, FailureCode::ConfigurationError);
    assert!(seen.failure().message.contains(
        "Code: YAML_FILE_ERROR, Message: buildspec.yml:5:9: Expected Commands[0] to be of string type: found \
         subkeys instead at line 5"
    ));
}

#[tokio::test]
async fn what_cannot_be_done_here_is_refused_plainly() {
    let message = |stage: Stage| async move { stage.run().await.failure().message.clone() };
    assert_eq!(
        message(with_spec(PRINT).configured("BatchEnabled", "true")).await,
        "`BatchEnabled` is set, and batch builds are not run on this machine yet"
    );
    assert!(
        message(with_spec(PRINT).configured("EnvironmentVariables", "x"))
            .await
            .contains("is not a JSON list")
    );
    assert!(
        message(with_spec(PRINT).with_input("Two", &[("a", "")]))
            .await
            .contains("name the one with the buildspec")
    );
    assert!(
        message(with_spec(PRINT).configured("PrimarySource", "Nope")).await.ends_with("expected `Source`")
    );
    let asks =
        "version: 0.2\nenv: {secrets-manager: {TOKEN: app/token}}\nphases: {build: {commands: ['true']}}";
    assert!(message(with_spec(asks)).await.contains("set `secrets` in towpath.toml"));
}

#[tokio::test]
async fn another_user_is_refused_unless_told_to_ignore_it() {
    let spec = "version: 0.2\nrun-as: no-such-user-here\nphases: {build: {commands: ['echo ran']}}";
    let mut stage = with_spec(spec);
    let seen = stage.run().await;
    assert!(
        seen.failure().message.contains("`run-as` names `no-such-user-here`: there is no such user here")
    );
    stage.project().ignore_run_as = true;
    let seen = stage.run().await;
    seen.success();
    assert_eq!(seen.printed(), ["ran"]);
}

#[tokio::test]
async fn root_runs_phases_as_whom_they_ask_for() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let stage = with_spec(
        "version: 0.2
phases:
  install: {run-as: nobody, commands: ['id -un; touch mine; X=kept']}
  build: {commands: ['echo $X; stat -c %U mine']}
",
    );
    // The way to the workspace must be open to that user.
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(stage.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let seen = stage.run().await;
    seen.success();
    assert_eq!(seen.printed(), ["nobody", "kept", "nobody"]);
}

#[tokio::test]
async fn toolchains_asked_for_are_mentioned_and_not_installed() {
    let seen = with_spec("version: 0.2\nphases: {install: {runtime-versions: {nodejs: 18.x}}}").run().await;
    seen.says("runtime-versions asks for nodejs 18.x: nothing is installed on this machine").success();
}
