use super::*;
use proptest::prelude::*;

fn flaws(text: &str) -> String {
    parse("appspec.yml", text).expect_err("flaws").to_string()
}

const HEAD: &str = "version: 0.0\nos: linux\n";

#[test]
fn a_whole_appspec_is_read() {
    let spec = parse(
        "appspec.yml",
        r#"
version: 0.0
os: linux
files:
  - source: /
    destination: /opt/app
  - source: ./conf/app.conf
    destination: /etc/app
file_exists_behavior: OVERWRITE
permissions:
  - object: /opt/app
    pattern: "**"
    except: [secret.txt, tmp]
    owner: app
    group: app
    mode: 644
    type:
      - file
hooks:
  ApplicationStop:
    - location: scripts/stop.sh
      timeout: 30
      runas: app
  AfterInstall:
"#,
    )
    .unwrap();
    assert_eq!(spec.files[0], FileEntry { source: String::new(), destination: "/opt/app".into() });
    assert_eq!(spec.files[1].source, "conf/app.conf");
    assert_eq!(spec.file_exists, Some(FileExists::Overwrite));
    assert_eq!(spec.permissions[0].mode, Some(0o644));
    assert!(spec.permissions[0].to_files && !spec.permissions[0].to_directories);
    assert_eq!(spec.permissions[0].except, ["secret.txt", "tmp"]);
    let stop = &spec.hooks[&Event::ApplicationStop][0];
    assert_eq!((stop.timeout, stop.runas.as_deref()), (Some(30), Some("app")));
    assert_eq!(spec.warnings, Vec::<String>::new());
}

#[test]
fn every_flaw_of_a_file_is_told_with_its_place() {
    let text = "version: 0.1\nos: beos\nfiles:\n  - source: a\n    destination: opt\n  - destination: /b\n\
                permissions:\n  - mode: u+x\n  - object: /a\n    mode: 999\nhooks:\n  ApplicationStart:\n    - \
                timeout: 3\n    - location: x\n      timeout: 0\n";
    let told = flaws(text);
    for expected in [
        "appspec.yml:1:10: `version` is `0.1`; only `0.0` exists",
        "appspec.yml:2:5: `os` is `beos`",
        "appspec.yml:5:18: `destination` `opt` must be an absolute path",
        "appspec.yml:6:5: `source` is missing",
        "appspec.yml:8:5: `object` is missing",
        "appspec.yml:10:11: `mode` is `999`; expected 1 to 4 octal digits",
        "appspec.yml:13:7: `location` is missing",
        "appspec.yml:15:16: `timeout` of `x` is `0`; expected seconds, 1 to 3600",
    ] {
        assert!(told.contains(expected), "{expected}\n--- is not in ---\n{told}");
    }
}

#[test]
fn unknown_events_are_listed_together_and_reserved_ones_are_explained() {
    let told = flaws(&format!("{HEAD}hooks:\n  AfterStart: []\n  Install: []\n  Begin: []\n"));
    assert!(told.contains("5:3: `Install` is CodeDeploy's own event"), "{told}");
    assert!(
        told.contains("unknown hook events: `AfterStart`, `Begin`; known are BeforeBlockTraffic"),
        "{told}"
    );
}

#[test]
fn empty_files_wrong_types_and_windows_are_refused() {
    assert!(flaws("").contains("the file is empty"));
    assert!(flaws("- a").contains("the appspec is a list; expected a map"));
    assert!(flaws("version: 0.0\nos: windows").contains("2:5: `os: windows` cannot be deployed"));
    assert!(flaws(&format!("{HEAD}files: a")).contains("`files` is `a`; expected a list"));
    assert!(flaws(&format!("{HEAD}hooks: [a]")).contains("`hooks` is a list"));
    assert!(flaws(&format!("{HEAD}file_exists_behavior: KEEP")).contains("DISALLOW, OVERWRITE or RETAIN"));
    assert!(flaws("os: linux").contains("`version` is missing: write `version: 0.0`"));
}

#[test]
fn timeouts_of_one_event_add_up_to_an_hour_at_most() {
    let script = "    - location: a\n      timeout: 1801\n";
    let told = flaws(&format!("{HEAD}hooks:\n  AfterInstall:\n{script}{script}"));
    assert!(told.contains("4:3: the scripts of `AfterInstall` may take 3602 seconds together"), "{told}");
    assert!(
        parse("a", &format!("{HEAD}hooks:\n  AfterInstall:\n    - location: a\n    - location: b\n")).is_ok()
    );
}

#[test]
fn paths_that_climb_are_refused() {
    for entry in [
        "{source: ../a, destination: /b}",
        "{source: a, destination: /../../etc}",
        "{source: a, destination: /a/..}",
    ] {
        assert!(flaws(&format!("{HEAD}files: [{entry}]")).contains("remove `..`"), "{entry}");
    }
    let hook = format!("{HEAD}hooks:\n  AfterInstall:\n    - location: ../x.sh\n");
    assert!(flaws(&hook).contains("remove `..`"));
}

#[test]
fn an_unquoted_mode_with_a_leading_zero_is_octal_and_warned_about() {
    let spec =
        parse("appspec.yml", &format!("{HEAD}permissions:\n  - object: /a\n    mode: 0644\n")).unwrap();
    assert_eq!(spec.permissions[0].mode, Some(0o644));
    assert!(
        spec.warnings[0].starts_with("appspec.yml:5:11: `mode: 0644` without quotes"),
        "{:?}",
        spec.warnings
    );
    let spec = parse("a", &format!("{HEAD}permissions:\n  - object: /a\n    mode: \"4755\"\n")).unwrap();
    assert_eq!((spec.permissions[0].mode, spec.warnings.len()), (Some(0o4755), 0));
}

#[test]
fn unknown_keys_are_warned_about() {
    let spec = parse("appspec.yml", &format!("{HEAD}file:\n  - a\n")).unwrap();
    assert!(spec.warnings[0].contains("3:1: `file` is not a key of the appspec"), "{:?}", spec.warnings);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
        let _ = parse("appspec.yml", &text);
    }

    #[test]
    fn no_yaml_shaped_text_makes_the_reader_panic(
        lines in proptest::collection::vec("[ ]{0,6}(- )?(version|os|files|source|destination|permissions|object|mode|except|hooks|AfterInstall|location|timeout|&a|\\*a|<<)?(: ?)?([0-9.]{1,4}|linux|/a|\\[|\\{|\\]|\\}|\"|'|\\|)?", 0..16)
    ) {
        let _ = parse("appspec.yml", &lines.join("\n"));
    }
}
