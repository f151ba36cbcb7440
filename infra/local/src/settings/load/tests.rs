use super::*;
use crate::settings::Mock;
use proptest::prelude::*;

fn from(text: &str) -> (tempfile::TempDir, Result<Settings, SettingsError>) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(SETTINGS_FILE), text).unwrap();
    let loaded = Settings::load(None, dir.path());
    (dir, loaded)
}

fn says(text: &str, expected: &str) {
    let (dir, loaded) = from(text);
    let message = loaded.expect_err(text).to_string();
    let message = message.replace(&format!("{}/", dir.path().display()), "");
    assert_eq!(message, expected);
}

#[test]
fn without_a_file_every_setting_has_its_default() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::load(None, dir.path()).unwrap();
    assert_eq!(settings, Settings { base: dir.path().to_owned(), ..Settings::default() });
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let error = Settings::load(Some(&dir.path().join("none.toml")), dir.path()).unwrap_err();
    assert!(error.to_string().contains("none.toml` cannot be read: No such file"), "{error}");
    let error = Settings::load(Some(dir.path()), dir.path()).unwrap_err();
    assert!(error.to_string().contains("not a plain file"), "{error}");
}

#[test]
fn every_key_is_read_and_relative_paths_start_at_the_file() {
    let (dir, loaded) = from(
        r#"
        secrets = "secrets.json"
        sources = { "acme/shop" = "../shop", Tool = "https://example.com/tool.git" }
        s3 = { site = "out/site" }
        [codebuild.shop-build]
        buildspec = "ci/buildspec.yml"
        environment = { STAGE = "test" }
        timeout-minutes = 10
        inherit = ["JAVA_HOME"]
        ignore-run-as = true
        [codedeploy."Shop/Live"]
        hosts = [{ name = "one", root = "hosts/one", environment = { PORT = "8001" } }]
        style = "blue-green"
        replacement-hosts = [{ name = "two", root = "/srv/two" }]
        config = "CodeDeployDefault.AllAtOnce"
        auto-rollback = false
        file-exists-behavior = "OVERWRITE"
        load-balancer = { block = "./lb off", allow = "./lb on" }
        [lambda.notify]
        command = ["./notify.sh", "--fast"]
        [mock]
        "Deploy/ECS" = "succeed"
        [limits]
        log-bytes = 1000
        "#,
    );
    let (settings, base) = (loaded.unwrap(), dir.path());
    let group = &settings.codedeploy["Shop/Live"];
    assert_eq!(group.hosts[0].root, base.join("hosts/one"));
    assert_eq!(group.replacement_hosts[0].root, Path::new("/srv/two"));
    assert_eq!(settings.s3["site"], base.join("out/site"));
    assert_eq!(settings.secrets.as_deref(), Some(base.join("secrets.json").as_path()));
    assert_eq!(settings.lambda["notify"].command, [base.join("notify.sh").to_str().unwrap(), "--fast"]);
    assert_eq!(settings.mock["Deploy/ECS"], Mock::Succeed);
    assert_eq!((settings.limits.log_bytes, settings.limits.artifact_files), (1000, 100_000));
    assert_eq!(settings.source_for("Src", "acme/shop"), Some(Ok(Source::Folder(base.join("../shop")))));
    let url = Source::Url("https://example.com/tool.git".into());
    assert_eq!(settings.source_for("Src", "acme/Tool"), Some(Ok(url.clone())));
    assert_eq!(settings.source_for("Tool", "acme/shop"), Some(Ok(url)));
    assert_eq!(settings.source_for("Src", "other"), None);
}

#[test]
fn a_misspelt_key_is_refused_where_it_stands_with_the_right_one() {
    says(
        "[codebuild.x]\nbuildspek = 'b'\n",
        "towpath.toml:2:1: there is no setting `buildspek` here; did you mean `buildspec`?",
    );
    says(
        "[codebuild.x]\ntimeout_minutes = 1\n",
        "towpath.toml:2:1: there is no setting `timeout_minutes` here; did you mean `timeout-minutes`?",
    );
    says("[s4]\n", "towpath.toml:1:2: there is no setting `s4` here; did you mean `s3`?");
    says(
        "[lambda.x]\nwhatever = 1\n",
        "towpath.toml:2:1: there is no setting `whatever` here; known here: `command`, `environment`, `timeout-minutes`",
    );
}

#[test]
fn a_wrong_value_is_refused_by_its_key() {
    for (text, expected) in [
        ("[codebuild.x]\ntimeout-minutes = 0", "`codebuild.\"x\".timeout-minutes`: must be 1 or more"),
        ("[codedeploy.Shop]", "`codedeploy.\"Shop\"`: the name must be `Application/DeploymentGroup`"),
        (
            "[codedeploy.\"A/B\"]\nfile-exists-behavior = \"KEEP\"",
            "`codedeploy.\"A/B\".file-exists-behavior`: `KEEP` is not one of `DISALLOW`, `OVERWRITE`, `RETAIN`",
        ),
        (
            "[codedeploy.\"A/B\"]\nhosts = [{ name = \"h\", root = \"a\" }, { name = \"h\", root = \"b\" }]",
            "`codedeploy.\"A/B\".hosts`: two hosts are named `h`",
        ),
        (
            "[codedeploy.\"A/B\"]\nhosts = [{ name = \"../h\", root = \"a\" }]",
            "`codedeploy.\"A/B\".hosts`: `../h` is not a host's name: letters, digits, `.`, `-` or `_`",
        ),
        (
            "s3 = { b = \"~/site\" }",
            "`s3.\"b\"`: `~` is not expanded here; write the whole path instead of `~/site`",
        ),
        (
            "[lambda.f]\ncommand = []",
            "`lambda.\"f\".command`: name a program, and its arguments: `[\"./notify.sh\"]`",
        ),
        (
            "mock = { ECS = \"fail\" }",
            "`mock.\"ECS\"`: the name must be `Category/Provider`, for example `Deploy/ECS`",
        ),
        (
            "mock = { \"Approval/Manual\" = \"succeed\" }",
            "`mock.\"Approval/Manual\"`: an approval is given by a person and cannot be mocked",
        ),
        ("limits = { log-bytes = 0 }", "`limits.log-bytes`: must be 1 or more"),
        (
            "sources = { a = \"ext::sh -c id\" }",
            "`sources.\"a\"`: `ext::sh -c id` is neither a folder nor a clone URL",
        ),
        (
            "sources = { a = \"ftp://host/x\" }",
            "`sources.\"a\"`: a clone URL starts with one of `https://`, `http://`, `ssh://`, `git://`, `file://`",
        ),
        (
            "sources = { a = \"--upload-pack=x\" }",
            "`sources.\"a\"`: `--upload-pack=x` is neither a folder nor a clone URL",
        ),
    ] {
        says(text, &format!("towpath.toml: {expected}"));
    }
}

#[test]
fn a_huge_file_is_refused_unread() {
    let (_dir, loaded) = from(&"# comment\n".repeat(200_000));
    assert!(loaded.unwrap_err().to_string().contains("larger than 1048576 bytes"));
}

#[test]
fn a_root_folder_as_host_and_every_mock_are_warned_about() {
    let (_dir, loaded) = from(
        "mock = { \"Deploy/ECS\" = \"fail\" }\n[codedeploy.\"A/B\"]\nhosts = [{ name = \"h\", root = \"/\" }]",
    );
    assert_eq!(
        loaded.unwrap().warnings(),
        [
            "Host `h` of `A/B` is this machine's own root folder: a deployment replaces real files.",
            "`Deploy/ECS` is mocked: it will fail without doing anything.",
        ]
    );
}

#[test]
fn clone_urls_and_folders_are_told_apart() {
    let parsed = |text: &str| Source::parse(text, Path::new("/base"));
    for url in ["https://h/r.git", "git@github.com:acme/shop.git", "ssh://h/r", "file:///srv/r.git"] {
        assert_eq!(parsed(url), Ok(Source::Url(url.into())));
    }
    assert_eq!(parsed("./a/./b"), Ok(Source::Folder("/base/a/b".into())));
    assert_eq!(parsed("/x"), Ok(Source::Folder("/x".into())));
    assert_eq!(parsed("."), Ok(Source::Folder("/base".into())));
    assert_eq!(parsed("a/b:c"), Ok(Source::Folder("/base/a/b:c".into())));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z0-9\\[\\]\".=\n{}, \u{e9}-]{0,80}", any in ".{0,60}") {
        let dir = tempfile::tempdir().unwrap();
        for text in [text, any] {
            std::fs::write(dir.path().join(SETTINGS_FILE), &text).unwrap();
            if let Err(error) = Settings::load(None, dir.path()) {
                let _ = error.to_string();
            }
            let _ = Source::parse(&text, dir.path());
        }
    }
}
