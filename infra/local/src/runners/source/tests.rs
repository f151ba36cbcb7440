use super::*;
use crate::runners::tests::{Stage, job};
use std::{fs, process::Command};

const CODE_COMMIT: &str = "Source/AWS/CodeCommit";
const SHOP_MAIN: [(&str, &str); 2] = [("RepositoryName", "shop"), ("BranchName", "main")];

fn git_in(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", folder)
        .env("GIT_AUTHOR_DATE", "2019-10-29T04:32:21+01:00")
        .env("GIT_COMMITTER_DATE", "2019-10-30T00:00:00Z")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "init.defaultBranch=main"])
        .args(["-C", folder.to_str().unwrap()])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A machine whose base folder is a repository with one commit of these files.
fn repository(files: &[(&str, &str)]) -> (Stage, String) {
    let stage = Stage::new();
    git_in(stage.base(), &["init", "-q"]);
    let commit = commit(&stage, files, "Add things\n\nbody");
    (stage, commit)
}

fn commit(stage: &Stage, files: &[(&str, &str)], message: &str) -> String {
    stage.write(files);
    git_in(stage.base(), &["add", "-A"]);
    git_in(stage.base(), &["commit", "-q", "--allow-empty", "-m", message]);
    git_in(stage.base(), &["rev-parse", "HEAD"])
}

fn variables(success: &Success) -> Vec<(&str, &str)> {
    success.output_variables.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
}

#[tokio::test]
async fn a_commit_becomes_an_artifact_of_exactly_its_tree() {
    let (stage, _) = repository(&[("a.txt", "one"), ("dir/b.txt", "two\n")]);
    std::os::unix::fs::symlink("dir/b.txt", stage.base().join("link")).unwrap();
    fs::set_permissions(stage.base().join("a.txt"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    // None of these may change what the artifact holds.
    let attributes = "dir export-ignore\n*.txt eol=crlf\n";
    let id = commit(&stage, &[(".gitattributes", attributes)], "More");
    stage.write(&[("a.txt", "changed, not committed"), ("new.txt", "new")]);
    let job = job(CODE_COMMIT, &SHOP_MAIN);
    let success = stage.succeeds(&job).await;
    let tree = stage.unpacked(&job.outputs[0]);
    let expected =
        [(".gitattributes", attributes), ("a.txt", "one"), ("dir/b.txt", "two\n"), ("link", "-> dir/b.txt")];
    assert_eq!(tree, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    assert_eq!(
        variables(&success),
        [
            ("AuthorDate", "2019-10-29T03:32:21Z"),
            ("BranchName", "main"),
            ("CommitId", id.as_str()),
            ("CommitMessage", "More"),
            ("CommitterDate", "2019-10-30T00:00:00Z"),
            ("RepositoryName", "shop"),
        ]
    );
    let revision = success.revision.unwrap();
    assert_eq!((revision.revision_id, revision.summary.as_deref()), (id.clone(), Some("More")));
    assert_eq!(success.external_execution_id, Some(id));
    let log = stage.log();
    assert!(log.contains("Note: 2 files in") && log.contains("not part of this run"), "{log}");
    let bytes = || fs::read(stage.site.artifacts.get(&job.outputs[0].location).unwrap()).unwrap();
    let first = bytes();
    stage.succeeds(&job).await;
    assert_eq!(first, bytes());
}

#[tokio::test]
async fn each_provider_reports_its_own_variables_and_summary() {
    let (stage, id) = repository(&[("a", "1")]);
    let arn = "arn:aws:codeconnections:eu-central-1:111122223333:connection/x";
    let connection = [("ConnectionArn", arn), ("FullRepositoryId", "acme/Shop"), ("BranchName", "main")];
    let success = stage.succeeds(&job("Source/AWS/CodeStarSourceConnection", &connection)).await;
    assert_eq!(
        variables(&success),
        [
            ("AuthorDate", "2019-10-29T03:32:21Z"),
            ("AuthorDisplayName", "Ann"),
            ("AuthorEmail", "ann@example.com"),
            ("BranchName", "main"),
            ("CommitId", id.as_str()),
            ("CommitMessage", "Add things\n\nbody"),
            ("ConnectionArn", arn),
            ("FullRepositoryName", "acme/Shop"),
        ]
    );
    let summary = success.revision.unwrap().summary.unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(
        summary,
        serde_json::json!({ "ProviderType": "GitHub", "CommitMessage": "Add things\n\nbody" })
    );
    let v1 = [("Owner", "acme"), ("Repo", "shop"), ("Branch", "main"), ("OAuthToken", "****")];
    let success = stage.succeeds(&job("Source/ThirdParty/GitHub", &v1)).await;
    assert_eq!(success.output_variables["CommitUrl"], format!("https://github.com/acme/shop/commit/{id}"));
    assert_eq!(success.output_variables["RepositoryName"], "shop");
}

#[tokio::test]
async fn a_missing_branch_is_answered_with_those_there_are() {
    let (stage, _) = repository(&[("a", "1")]);
    git_in(stage.base(), &["branch", "topic"]);
    let (code, message) =
        stage.fails(&job(CODE_COMMIT, &[("RepositoryName", "shop"), ("BranchName", "trunk")])).await;
    assert_eq!(code, FailureCode::RevisionUnavailable);
    assert_eq!(
        message,
        "There is no branch `trunk` in `/base`. There are: `main`, `topic`. Name one of them as `BranchName`, or run \
         a certain commit with `--from-commit <commit>`."
    );
}

#[tokio::test]
async fn a_revision_replaces_the_head_of_the_branch() {
    let (mut stage, first) = repository(&[("a", "1")]);
    let second = commit(&stage, &[("a", "2")], "Second");
    let mut job = job(CODE_COMMIT, &SHOP_MAIN);
    job.revision = Some(first.clone());
    assert_eq!(stage.succeeds(&job).await.output_variables["CommitId"], first);
    assert_eq!(stage.unpacked(&job.outputs[0])["a"], "1");
    job.revision = None;
    stage.set(|settings| settings.from_commit = Some("HEAD~1".into()));
    assert_eq!(stage.succeeds(&job).await.output_variables["CommitId"], first);
    job.revision = Some("0123456789012345678901234567890123456789".into());
    let (code, message) = stage.fails(&job).await;
    assert_eq!(code, FailureCode::RevisionUnavailable, "{message} {second}");
}

#[tokio::test]
async fn names_that_could_be_options_or_two_lines_are_refused() {
    let (stage, _) = repository(&[("a", "1")]);
    for name in ["--upload-pack=x", "main\nHEAD", "a b", ""] {
        let (code, _) =
            stage.fails(&job(CODE_COMMIT, &[("RepositoryName", "shop"), ("BranchName", name)])).await;
        assert_eq!(code, FailureCode::ConfigurationError, "{name:?}");
    }
}

#[tokio::test]
async fn a_branch_that_is_known_from_the_remote_only_is_taken_with_a_note() {
    let (stage, id) = repository(&[("a", "1")]);
    git_in(stage.base(), &["update-ref", "refs/remotes/origin/live", "HEAD"]);
    let job = job(CODE_COMMIT, &[("RepositoryName", "shop"), ("BranchName", "live")]);
    assert_eq!(stage.succeeds(&job).await.output_variables["CommitId"], id);
    assert!(stage.log().contains("taking `origin/live` as it was last fetched"), "{}", stage.log());
}

#[tokio::test]
async fn a_subfolder_named_in_the_settings_is_the_whole_artifact() {
    let (mut stage, _) = repository(&[("shop/app.js", "x"), ("shop/lib/y.js", "y"), ("other", "z")]);
    stage.set(|settings| drop(settings.sources.insert("shop".into(), "./shop".into())));
    let job = job(CODE_COMMIT, &SHOP_MAIN);
    stage.succeeds(&job).await;
    assert_eq!(stage.unpacked(&job.outputs[0]).into_keys().collect::<Vec<_>>(), ["app.js", "lib/y.js"]);
    stage.write(&[("fresh/a", "1")]);
    stage.set(|settings| drop(settings.sources.insert("shop".into(), "fresh".into())));
    let (code, message) = stage.fails(&job).await;
    assert_eq!(code, FailureCode::RevisionUnavailable);
    assert!(message.contains("has no folder `fresh`"), "{message}");
}

#[tokio::test]
async fn outside_a_repository_the_failure_names_the_setting_and_the_flag() {
    let stage = Stage::new();
    let (code, message) = stage.fails(&job(CODE_COMMIT, &SHOP_MAIN)).await;
    assert_eq!(code, FailureCode::ConfigurationError);
    assert!(message.contains("`--source Act=<path or URL>`") && message.contains("`[sources]`"), "{message}");
}

#[tokio::test]
async fn a_clone_reference_is_refused_clearly() {
    let (stage, _) = repository(&[("a", "1")]);
    let configuration = [SHOP_MAIN[0], SHOP_MAIN[1], ("OutputArtifactFormat", "CODEBUILD_CLONE_REF")];
    let (code, message) = stage.fails(&job(CODE_COMMIT, &configuration)).await;
    assert_eq!(code, FailureCode::ConfigurationError);
    assert!(message.contains("not offered on this machine"), "{message}");
}

#[tokio::test]
async fn a_clone_url_is_fetched_into_a_copy_that_follows_it() {
    let (origin, first) = repository(&[("a", "1")]);
    let url = format!("file://{}", origin.base().display());
    let stage = Stage::with(|settings| drop(settings.sources.insert("shop".into(), url)));
    let mut job = job(CODE_COMMIT, &SHOP_MAIN);
    assert_eq!(stage.succeeds(&job).await.output_variables["CommitId"], first);
    let second = commit(&origin, &[("a", "2")], "Second");
    assert_eq!(stage.succeeds(&job).await.output_variables["CommitId"], second);
    assert_eq!(stage.unpacked(&job.outputs[0])["a"], "2");
    job.revision = Some(first.clone());
    assert_eq!(stage.succeeds(&job).await.output_variables["CommitId"], first);
    job.revision = Some("HEAD".into());
    job.configuration.insert("BranchName".into(), "none".into());
    job.revision = None;
    let (code, message) = stage.fails(&job).await;
    assert_eq!(code, FailureCode::RevisionUnavailable);
    assert!(message.contains("There are: `main`"), "{message}");
}

#[tokio::test]
async fn a_clone_url_that_leads_nowhere_is_said_in_gits_words() {
    let stage =
        Stage::with(|settings| drop(settings.sources.insert("shop".into(), "file:///nowhere/x.git".into())));
    let (code, message) = stage.fails(&job(CODE_COMMIT, &SHOP_MAIN)).await;
    assert_eq!(code, FailureCode::ConfigurationError);
    assert!(message.starts_with("git could not fetch from `file:///nowhere/x.git`: "), "{message}");
}

#[tokio::test]
async fn a_repository_beyond_the_limits_is_refused_and_leaves_nothing() {
    let (mut stage, _) = repository(&[("a", "12345"), ("b", "12345"), ("c/d", "1")]);
    let job = job(CODE_COMMIT, &SHOP_MAIN);
    for (bytes, files) in [(10, 10), (1000, 2)] {
        stage.set(|settings| {
            settings.limits.artifact_bytes = bytes;
            settings.limits.artifact_files = files;
        });
        let (code, message) = stage.fails(&job).await;
        assert_eq!(code, FailureCode::ConfigurationError, "{message}");
        assert!(message.contains("too large"), "{message}");
        assert!(!stage.site.artifacts.exists(&job.outputs[0].location));
        assert_eq!(fs::read_dir(stage.site.artifacts.root().join(".incoming")).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_cancelled_job_ends() {
    let (stage, _) = repository(&[("a", "1")]);
    stage.cancel.send(true).unwrap();
    let (code, message) = stage.fails(&job(CODE_COMMIT, &SHOP_MAIN)).await;
    assert_eq!((code, message.as_str()), (FailureCode::SystemUnavailable, "The job was cancelled."));
}

#[tokio::test]
async fn a_plain_folder_is_taken_as_it_is_when_the_settings_name_it() {
    let mut stage = Stage::new();
    stage.write(&[("app/a", "1"), ("app/.towpath/log", "x"), ("app/b/c", "2")]);
    stage.set(|settings| drop(settings.sources.insert("Act".into(), "app".into())));
    let job = job(CODE_COMMIT, &SHOP_MAIN);
    let first = stage.succeeds(&job).await.revision.unwrap().revision_id;
    assert_eq!(stage.unpacked(&job.outputs[0]).into_keys().collect::<Vec<_>>(), ["a", "b/c"]);
    assert_eq!(first.len(), 40);
    assert_eq!(stage.succeeds(&job).await.revision.unwrap().revision_id, first);
    stage.write(&[("app/a", "3")]);
    assert_ne!(stage.succeeds(&job).await.revision.unwrap().revision_id, first);
}

#[tokio::test]
async fn an_object_is_copied_and_its_digest_is_its_version() {
    let mut stage = Stage::new();
    stage.write(&[("bucket/app/app.zip", "hello")]);
    let bucket = stage.base().join("bucket");
    stage.set(|settings| drop(settings.s3.insert("my-bucket".into(), bucket)));
    let object = [("S3Bucket", "my-bucket"), ("S3ObjectKey", "app/app.zip")];
    let mut job = job("Source/AWS/S3", &object);
    let success = stage.succeeds(&job).await;
    let version = "2cf24dba5fb0a30e26e83b2ac5b9e29e";
    assert_eq!(
        variables(&success),
        [
            ("BucketName", "my-bucket"),
            ("ETag", version),
            ("ObjectKey", "app/app.zip"),
            ("VersionId", version),
        ]
    );
    let stored = stage.site.artifacts.get(&job.outputs[0].location).unwrap();
    assert_eq!(fs::read(stored).unwrap(), b"hello");
    job.revision = Some("older".into());
    assert_eq!(stage.fails(&job).await.0, FailureCode::RevisionUnavailable);
    job.revision = None;
    job.configuration.insert("S3ObjectKey".into(), "none.zip".into());
    assert_eq!(stage.fails(&job).await.0, FailureCode::RevisionUnavailable);
    job.configuration.insert("S3ObjectKey".into(), "../../secret".into());
    assert_eq!(stage.fails(&job).await.0, FailureCode::ConfigurationError);
}

#[test]
fn a_long_message_still_makes_a_summary_that_is_json() {
    let summary = connection_summary(None, &"\"quoted\"\n".repeat(2000));
    assert!(summary.chars().count() <= SUMMARY_CHARS_MAX);
    assert!(serde_json::from_str::<serde_json::Value>(&summary).is_ok());
}

#[test]
fn commit_pages_are_those_of_the_host() {
    let page = |remote: &str| commit_page(remote, "ab");
    assert_eq!(page("https://me:x@github.com/a/b.git").as_deref(), Some("https://github.com/a/b/commit/ab"));
    assert_eq!(page("git@github.com:a/b.git").as_deref(), Some("https://github.com/a/b/commit/ab"));
    assert_eq!(
        page("ssh://git@gitlab.com:22/g/s/b").as_deref(),
        Some("https://gitlab.com/g/s/b/-/commit/ab")
    );
    assert_eq!(page("file:///srv/x.git"), None);
    assert_eq!(provider_type("https://git.corp.example/a/b"), "GitHubEnterpriseServer");
}
