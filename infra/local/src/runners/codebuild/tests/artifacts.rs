use super::*;

const DOCS_TREE: [(&str, &str); 4] = [
    ("my-build-1/my-file-1.txt", "1"),
    ("my-build-2/my-file-2.txt", "2"),
    ("my-build-2/my-subdirectory/my-file-3.txt", "3"),
    ("other/my-file-4.txt", "4"),
];

async fn packed(block: &str) -> (Stage, Seen) {
    let spec = format!("version: 0.2\nphases: {{build: {{commands: ['true']}}}}\nartifacts:\n{block}");
    let mut files = DOCS_TREE.to_vec();
    files.push(("buildspec.yml", &spec));
    let stage = stage(&files).with_output("Out", &[]);
    let seen = stage.run().await;
    (stage, seen)
}

async fn packed_names(block: &str) -> Vec<String> {
    let (stage, seen) = packed(block).await;
    seen.success();
    stage.artifact("Out").into_keys().collect()
}

#[tokio::test]
async fn base_directories_behave_as_documented() {
    assert_eq!(
        packed_names("  files: ['*/my-file-3.txt']\n  base-directory: my-build-2\n").await,
        ["my-subdirectory/my-file-3.txt"]
    );
    assert_eq!(
        packed_names("  files: ['**/*']\n  base-directory: 'my-build*'\n  discard-paths: yes\n").await,
        ["my-file-1.txt", "my-file-2.txt", "my-file-3.txt"]
    );
    assert_eq!(
        packed_names("  files: ['**/*']\n  base-directory: 'my-build*'\n").await,
        ["my-file-1.txt", "my-file-2.txt", "my-subdirectory/my-file-3.txt"]
    );
    assert_eq!(
        packed_names("  files: ['my-build-2', 'other/*']\n  exclude-paths: ['**/my-sub*/**']\n").await,
        ["my-build-2/my-file-2.txt", "other/my-file-4.txt"]
    );
}

#[tokio::test]
async fn what_matches_nothing_fails_the_upload() {
    let (_, seen) = packed("  files: ['*.jar']\n").await;
    assert!(
        seen.failure().message.ends_with(
            "Phase: UPLOAD_ARTIFACTS, Code: CLIENT_ERROR, Message: no matching artifact paths found"
        )
    );
    let (_, seen) = packed("  files: ['*']\n  base-directory: dist\n").await;
    assert!(seen.failure().message.ends_with("Message: no matching base directory path found for dist"));
}

#[tokio::test]
async fn names_that_collide_without_their_folders_are_an_error() {
    let spec = "version: 0.2\nphases: {build: {commands: ['mkdir a b; touch a/x b/x']}}\nartifacts: {files: \
        ['*/x'], discard-paths: yes}";
    let seen = with_spec(spec).with_output("Out", &[]).run().await;
    assert!(seen.failure().message.contains("two files with the name `x`: one is `src/a/x`"));
}

#[tokio::test]
async fn the_primary_source_holds_the_buildspec_and_others_are_at_hand() {
    let spec = "version: 0.2
phases:
  build:
    commands:
      - cat \"$CODEBUILD_SRC_DIR_source2/two.txt\"
      - echo \"$CODEBUILD_RESOLVED_SOURCE_VERSION $CODEBUILD_SOURCE_VERSION_source2\"
artifacts:
  base-directory: $CODEBUILD_SRC_DIR_source2
  files: ['*.txt']
";
    let mut stage = stage(&[("two.txt", "second\n"), ("buildspec.yml", "not this one")]);
    stage.job.inputs[0].name = ArtifactName::parse("source2").unwrap();
    let stage = stage
        .with_input("source1", &[("buildspec.yml", spec)])
        .with_output("Out", &[])
        .configured("PrimarySource", "source1");
    let seen = stage.run().await;
    seen.success();
    assert_eq!(seen.printed(), ["second", "revision-of-source1 revision-of-Source"]);
    assert_eq!(names(&stage.artifact("Out")), ["two.txt"]);
}

#[tokio::test]
async fn several_outputs_come_from_secondary_artifacts() {
    let spec = "version: 0.2
phases: {build: {commands: ['echo $((1+1)) > n; NAME=n']}}
artifacts:
  files: ['**/*']
  secondary-artifacts:
    one: {files: [$NAME]}
    two: {files: [buildspec.yml]}
";
    let stage = with_spec(spec).with_output("one", &[]).with_output("two", &[]);
    stage.run().await.success();
    assert_eq!(stage.artifact("one")["n"], "2\n");
    assert_eq!(names(&stage.artifact("two")), ["buildspec.yml"]);

    let seen = with_spec(spec).with_output("one", &[]).with_output("three", &[]).run().await;
    assert!(seen.failure().message.contains("`secondary-artifacts` of the buildspec has no `three`"));
    assert_eq!(seen.failure().code, FailureCode::ConfigurationError);
    assert!(!seen.log.contains("Running command"), "such a mistake is found before building");
}

#[tokio::test]
async fn an_output_without_an_artifacts_section_is_a_configuration_error() {
    let seen =
        with_spec("version: 0.2\nphases: {build: {commands: ['true']}}").with_output("Out", &[]).run().await;
    assert_eq!(seen.failure().code, FailureCode::ConfigurationError);
    assert!(seen.failure().message.contains("`Out`, but the buildspec has no `artifacts` section"));
}

#[tokio::test]
async fn modes_are_kept_and_equal_trees_give_equal_archives() {
    let spec = "version: 0.2\nphases: {build: {commands: ['echo x > tool; chmod 755 tool; echo y > \
        data']}}\nartifacts: {files: [tool, data]}";
    let archives: Vec<Vec<u8>> = {
        let mut archives = Vec::new();
        for _ in 0..2 {
            let stage = with_spec(spec).with_output("Out", &[]);
            stage.run().await.success();
            archives.push(fs::read(store_in(stage.folder.path()).get(&location("Out")).unwrap()).unwrap());
        }
        archives
    };
    assert_eq!(archives[0], archives[1]);
}

#[tokio::test]
async fn reports_are_counted_and_never_fail_a_build() {
    let spec = "version: 0.2
phases:
  build:
    commands:
      - mkdir out
      - echo '<testsuite><testcase name=\"a\"/><testcase name=\"b\"><failure/></testcase></testsuite>' > out/t.xml
reports:
  unit: {files: ['*.xml'], base-directory: out}
  coverage: {files: ['none.xml'], file-format: CLOVERXML}
";
    let stage = with_spec(spec);
    let seen = stage.run().await;
    seen.success();
    seen.says("Report proj-unit: FAILED, 2 tests: 1 passed, 1 failed, 0 errors, 0 skipped")
        .says("Warning: report group `coverage`: no file matches");
    let folder = stage.folder.path().join("state/reports/proj-unit");
    let file = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let report: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_eq!((&report["status"], &report["cases"][1]["status"]), (&"FAILED".into(), &"FAILED".into()));
}

#[tokio::test]
async fn the_cache_carries_files_from_build_to_build() {
    let spec = |key: &str| {
        format!(
            "version: 0.2
phases:
  build: {{commands: ['ls deps 2>/dev/null; mkdir -p deps; date +%N > deps/dep-$(ls deps | wc -l); ln -sf dep-0 deps/link']}}
cache:
  {key}
  paths: ['deps/**/*', '/opt/m2/**/*']
"
        )
    };
    let mut stage = with_spec(&spec("action: save"));
    let mut again = async |key: &str| {
        stage.project().buildspec = Some(spec(key));
        stage.run().await
    };
    assert_eq!(again("action: save").await.printed(), [] as [&str; 0]);
    let seen = again("action: restore").await;
    assert_eq!(seen.printed(), ["dep-0", "link"]);
    seen.says("lies outside the source directory: left alone");
    let seen = again("key: \"v1-$(cat buildspec.yml | wc -l)\"").await;
    seen.says("Cache: nothing kept yet").says("Cache: 2 file(s) kept");
    let seen = again("key: v1-other\n  fallback-keys: [v0, v1-]").await;
    assert!(seen.log.matches("Cache: 2 file(s) restored").count() == 2, "{}", seen.log);
    let seen = again("key: \"$(codebuild-hash-files x)\"").await;
    seen.says("Warning: the cache is not used").success();
}
