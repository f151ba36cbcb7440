use super::*;
use proptest::prelude::*;

fn parsed(text: &str) -> Buildspec {
    Buildspec::parse("buildspec.yml", text).unwrap()
}

fn why(text: &str) -> String {
    Buildspec::parse("buildspec.yml", text).unwrap_err().to_string()
}

fn on_failure_of(word: &str) -> OnFailure {
    let text = format!("version: 0.2\nphases: {{build: {{commands: [x], on-failure: '{word}'}}}}");
    parsed(&text).phases[2].clone().unwrap().on_failure
}

#[test]
fn every_key_is_read() {
    let spec = parsed(
        r#"version: "0.2"
run-as: builder
env:
  shell: bash
  variables: {VERSION: 1.10, YES: yes, EMPTY: , QUOTED: "007"}
  parameter-store: {P: /app/p}
  secrets-manager: {S: "app/s:key"}
  exported-variables: [VERSION]
phases:
  build:
    on-failure: ABORT
    commands:
      - true
      - |
        one
        command
    finally: [echo done]
  install:
    runtime-versions: {nodejs: 18.x}
reports:
  unit:
    files: ["**/*.xml"]
    file-format: junitxml
artifacts:
  files: ["**/*"]
  discard-paths: yes
  exclude-paths: "**/.*"
  secondary-artifacts:
    logs: {files: [a.log], enable-symlinks: on}
cache:
  paths: ["node_modules/**/*"]
  action: restore
"#,
    );
    assert!(!spec.forgets_state);
    assert_eq!(spec.env.shell, Shell::Bash);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        spec.env.variables,
        [pair("VERSION", "1.10"), pair("YES", "yes"), pair("EMPTY", ""), pair("QUOTED", "007")]
    );
    let build = spec.phases[2].as_ref().unwrap();
    assert_eq!(build.commands, ["true", "one\ncommand\n"]);
    assert!(matches!(build.on_failure, OnFailure::Abort));
    assert_eq!(spec.phases[0].as_ref().unwrap().runtimes, [pair("nodejs", "18.x")]);
    assert_eq!(spec.reports[0].format, "JUNITXML");
    let artifacts = spec.artifacts.unwrap();
    assert!(artifacts.primary.discard_paths && artifacts.secondary[0].1.enable_symlinks);
    assert_eq!(artifacts.primary.exclude, ["**/.*"]);
    let cache = spec.cache.unwrap();
    assert!(cache.restores && !cache.saves);
    assert_eq!(spec.warnings, [] as [&str; 0]);
}

#[test]
fn mistakes_are_named_with_place_and_expectation() {
    let cases = [
        ("", "buildspec.yml:1:1: the buildspec is empty: `version: 0.2` and `phases` are required"),
        ("phases: {}", "buildspec.yml:1:1: `version` is missing: write `version: 0.2`"),
        ("version: 0.3\nphases: {}", "buildspec.yml:1:10: `version` is `0.3`: expected 0.2 or 0.1"),
        ("version: 0.2\n", "buildspec.yml:1:1: `phases` is missing: at least one phase is required"),
        (
            "version: 0.2\nphases:\n  test:\n    commands: [x]\n",
            "buildspec.yml:3:3: Unknown phase `test`: expected `install`, `pre_build`, `build` or \
             `post_build`",
        ),
        (
            "version: 0.2\nphases:\n  build:\n    commands:\n      - ls\n      - echo a: b\n",
            "buildspec.yml:6:9: Expected Commands[1] to be of string type: found subkeys instead at line 6; \
             a command with `: ` in it must be quoted",
        ),
        (
            "version: 0.2\nphases:\n  build:\n    commands: npm test\n",
            "buildspec.yml:4:15: Expected Commands to be a list: found a text instead at line 4; write one \
             command per line, each after `- `",
        ),
        (
            "version: 0.2\nphases:\n  build:\n    finally: [x]\n",
            "buildspec.yml:3:3: `phases.build` has no `commands`: a list of commands is required",
        ),
        (
            "version: 0.2\nenv:\n  variables:\n    CODEBUILD_X: 1\nphases:\n  build:\n    commands: [x]\n",
            "buildspec.yml:4:5: `CODEBUILD_X` cannot be set: names that start with `CODEBUILD_` are taken",
        ),
        (
            "version: 0.2\nenv: {shell: powershell.exe}\nphases: {build: {commands: [x]}}",
            "buildspec.yml:2:14: `shell` is `powershell.exe`: on this machine it is `bash` or `/bin/sh`",
        ),
        (
            "version: 0.2\nphases: {build: {commands: [x]}}\nartifacts: {name: x}",
            "buildspec.yml:3:12: `artifacts` has no `files`: a list of patterns is required",
        ),
        (
            "version: 0.2\nphases:\n  build: {commands: [x]}\n  build: {commands: [y]}\n",
            "buildspec.yml:4:3: `build` is given twice: first on line 3",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(why(text), expected);
    }
}

#[test]
fn keys_nobody_knows_are_warnings() {
    let spec = parsed("version: 0.2\nphases:\n  build:\n    commands: [x]\n    comands: [y]\n");
    assert_eq!(
        spec.warnings,
        ["buildspec.yml:5:5: `comands` is not a key of `phases.build`: ignored (known: run-as, on-failure, \
          runtime-versions, commands, finally)"]
    );
}

#[test]
fn retries_are_counted_and_matched() {
    let read = |word: &str| match on_failure_of(word) {
        OnFailure::Retry { times, matching } => (times, matching),
        other @ (OnFailure::Unset | OnFailure::Abort | OnFailure::Continue) => panic!("{other:?}"),
    };
    assert!(matches!(read("RETRY"), (3, None)));
    assert!(matches!(read("Retry-2"), (2, None)));
    let (times, matching) = read("RETRY-2-timeout.*");
    assert!(times == 2 && matching.unwrap().is_match("a timeout of 3 s"));
    let (times, matching) = read("RETRY-timeout");
    assert!(times == 3 && !matching.unwrap().is_match("time"));
    let (times, matching) = read("RETRY-5xx");
    assert!(times == 3 && matching.unwrap().is_match("a 5xx answer"));
    let message = |word: &str| {
        why(&format!("version: 0.2\nphases: {{build: {{commands: [x], on-failure: '{word}'}}}}"))
    };
    assert!(message("RETRY-101").ends_with("`on-failure` retries 101 times: at most 100"));
    assert!(message("RETRY-(").contains("is not a regular expression"));
    assert!(message("STOP").contains("expected ABORT, CONTINUE, RETRY"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,300}") {
        let _ = Buildspec::parse("x", &text);
    }

    #[test]
    fn no_yaml_like_text_makes_the_reader_panic(
        lines in proptest::collection::vec(
            "( {0,6})(- )?(version|phases|build|commands|env|variables|<<|artifacts|files|[a-z&*!|>'\"{}\\[\\]]{0,4})(: ?(0\\.2|\\*a|&a|\\[x|\\{y|[a-z'\"|>]{0,4}))?",
            0..20,
        ),
    ) {
        let _ = Buildspec::parse("x", &lines.join("\n"));
    }
}
