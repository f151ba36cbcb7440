//! The sources: S3 and CodeCommit.

use super::{
    service::{Reply, refusal},
    stage::{Stage, files, input, job, output},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use engine::action::{ActionJob, FailureCode};
use serde_json::{Value, json};

const COMMIT: &str = "1f9a0b2c3d4e5f60718293a4b5c6d7e8f9012345";

fn bucket() -> ActionJob {
    let configuration = [("S3Bucket", "uploads"), ("S3ObjectKey", "release/app v1.zip")];
    ActionJob { outputs: vec![output("Source")], ..job("Source/S3", &configuration) }
}

fn repository(more: &[(&str, &str)]) -> ActionJob {
    let configuration = [&[("RepositoryName", "shop"), ("BranchName", "main")], more].concat();
    ActionJob { outputs: vec![output("Source")], ..job("Source/CodeCommit", &configuration) }
}

#[tokio::test]
async fn a_version_of_an_object_becomes_the_artifact() {
    let stage = Stage::new();
    stage.service.put("uploads/release/app v1.zip", "content");
    let key = Some("arn:aws:kms:eu-west-1:111122223333:key/k".to_owned());
    let success = stage.succeeded(&ActionJob { encryption_key: key, ..bucket() }).await;
    assert_eq!(stage.service.object("store/shop/Source/k2").unwrap().bytes, b"content");
    let call = stage.service.call("CopyObject");
    assert_eq!(call.headers["x-amz-copy-source"], "uploads/release/app%20v1.zip?versionId=v-new");
    assert!(call.headers["x-amz-server-side-encryption-aws-kms-key-id"].ends_with("key/k"));
    let variables = success.output_variables;
    assert_eq!(variables["BucketName"], "uploads");
    assert_eq!(variables["ObjectKey"], "release/app v1.zip");
    assert_eq!((variables["VersionId"].as_str(), variables["ETag"].as_str()), ("v-new", "etag-7"));
    let revision = success.revision.unwrap();
    assert_eq!(revision.revision_id, "v-new");
    assert_eq!(revision.summary.as_deref(), Some("Amazon S3 version id: v-new"));
}

#[tokio::test]
async fn the_revision_of_the_run_is_taken_not_the_newest() {
    let stage = Stage::new();
    stage.service.put("uploads/release/app v1.zip", "content");
    let success = stage.succeeded(&ActionJob { revision: Some("v-7".into()), ..bucket() }).await;
    assert_eq!(success.revision.unwrap().revision_id, "v-7");
    assert!(stage.service.call("HeadObject").target.ends_with("?versionId=v-7"));
}

#[tokio::test]
async fn an_object_that_is_gone_or_a_bucket_without_versions_is_said() {
    let stage = Stage::new();
    let failure = stage.failed(&bucket()).await;
    assert_eq!(failure.code, FailureCode::RevisionUnavailable);
    assert!(failure.message.contains("no object `release/app v1.zip` in the bucket `uploads`"));
    let stage = Stage::new();
    stage.service.on("GetBucketVersioning", "<VersioningConfiguration/>");
    let failure = stage.failed(&bucket()).await;
    assert_eq!(failure.code, FailureCode::ConfigurationError);
    assert!(failure.message.contains("Enable versioning"), "{}", failure.message);
    let stage = Stage::new();
    stage.service.on("GetBucketVersioning", Reply::Refusal(404, "NoSuchBucket", "no such".into()));
    assert_eq!(stage.failed(&bucket()).await.code, FailureCode::ConfigurationError);
    let stage = Stage::new();
    stage.service.put("uploads/release/app v1.zip", "content");
    stage.service.on("HeadObject", Reply::Raw(403, vec![], vec![]));
    let failure = stage.failed(&bucket()).await;
    assert_eq!(failure.code, FailureCode::PermissionError);
    assert!(failure.message.contains("Permission `s3:GetObject`"), "{}", failure.message);
}

fn commit(stage: &Stage) {
    stage.service.on("GetBranch", json!({ "branch": { "branchName": "main", "commitId": COMMIT } }));
    let who = json!({ "name": "Ann", "email": "a@example.com", "date": "1572319941 +0100" });
    stage.service.on(
        "GetCommit",
        json!({ "commit": { "commitId": COMMIT, "message": "Sell tea\n\nAnd cake.", "author": who, "committer": who } }),
    );
}

fn blob(content: &[u8]) -> Value {
    json!({ "content": BASE64_STANDARD.encode(content) })
}

#[tokio::test]
async fn a_commits_files_are_packed_with_their_modes() {
    let stage = Stage::new();
    commit(&stage);
    let file = |path: &str, mode: &str| json!({ "absolutePath": path, "relativePath": path, "blobId": "b", "fileMode": mode });
    stage.service.on(
        "GetFolder",
        json!({ "folderPath": "", "commitId": COMMIT, "files": [file("run.sh", "EXECUTABLE")],
                "subFolders": [{ "absolutePath": "src", "relativePath": "src", "treeId": "t" }],
                "symbolicLinks": [file("link", "SYMLINK")], "subModules": [{ "absolutePath": "sub" }] }),
    );
    stage.service.on("GetFolder", json!({ "files": [file("src/main.rs", "NORMAL")], "subFolders": [] }));
    stage.service.on("GetBlob", blob(b"run.sh"));
    let success = stage.succeeded(&repository(&[])).await;
    let artifact = stage.service.object("store/shop/Source/k2").unwrap();
    let names: Vec<String> = files(&artifact.bytes).into_keys().collect();
    assert_eq!(names, ["link", "run.sh", "src/main.rs"]);
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(artifact.bytes)).unwrap();
    let mut mode = |name: &str| zip.by_name(name).unwrap().unix_mode().unwrap();
    assert_eq!((mode("run.sh") & 0o777, mode("src/main.rs") & 0o777), (0o755, 0o644));
    assert_eq!(mode("link") & 0o170_000, 0o120_000);
    let variables = success.output_variables;
    assert_eq!(variables["CommitId"], COMMIT);
    assert_eq!(variables["CommitMessage"], "Sell tea\n\nAnd cake.");
    assert_eq!(variables["AuthorDate"], "2019-10-29T03:32:21Z");
    assert_eq!(success.summary.as_deref(), Some("Sell tea"));
    let second = &stage.service.calls("GetFolder")[1];
    assert_eq!(
        (&second.input["folderPath"], &second.input["commitSpecifier"]),
        (&json!("src"), &json!(COMMIT))
    );
}

#[tokio::test]
async fn a_clone_reference_is_for_builds_and_for_nobody_else() {
    let stage = Stage::new();
    commit(&stage);
    stage.succeeded(&repository(&[("OutputArtifactFormat", "CODEBUILD_CLONE_REF")])).await;
    let object = stage.service.object("store/shop/Source/k2").unwrap();
    let reference: Value = serde_json::from_slice(&object.bytes).unwrap();
    assert_eq!(reference["commitId"], COMMIT);
    assert_eq!(reference["cloneUrl"], "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/shop");
    let mut artifact = input("Source");
    artifact.location.key = "shop/Source/k2".into();
    let build =
        ActionJob { inputs: vec![artifact.clone()], ..job("Build/CodeBuild", &[("ProjectName", "shop")]) };
    stage.service.on("StartBuild", json!({ "build": { "id": "shop:1" } }));
    // The attempt's id is the same in these tests; the source's claim has run out by then.
    stage.later(20);
    stage.service.on("ListBuildsForProject", json!({ "ids": [] }));
    stage.begun(&build).await;
    let call = stage.service.call("StartBuild");
    assert_eq!(call.input["sourceTypeOverride"], "CODECOMMIT");
    assert_eq!(call.input["sourceVersion"], COMMIT);
    assert_eq!(call.input["gitCloneDepthOverride"], 0);
    let site = [("BucketName", "b"), ("Extract", "true")];
    stage.later(20);
    let failure = stage.failed(&ActionJob { inputs: vec![artifact], ..job("Deploy/S3", &site) }).await;
    assert_eq!(failure.code, FailureCode::ConfigurationError);
    assert!(failure.message.contains("Set `CODE_ZIP` there"), "{}", failure.message);
}

#[tokio::test]
async fn what_a_repository_lacks_is_said() {
    for (operation, code, expected, words) in [
        ("GetBranch", "BranchDoesNotExistException", FailureCode::RevisionUnavailable, "no branch `main`"),
        (
            "GetBranch",
            "RepositoryDoesNotExistException",
            FailureCode::ConfigurationError,
            "no CodeCommit repository",
        ),
        ("GetCommit", "CommitIdDoesNotExistException", FailureCode::RevisionUnavailable, "no commit"),
        ("GetFolder", "AccessDeniedException", FailureCode::PermissionError, "`codecommit:GetFolder`"),
    ] {
        let stage = Stage::new();
        commit(&stage);
        stage.service.now(operation, refusal(code, "as AWS says"));
        let failure = stage.failed(&repository(&[])).await;
        assert_eq!(failure.code, expected, "{}", failure.message);
        assert!(failure.message.contains(words), "{}", failure.message);
    }
    let stage = Stage::new();
    commit(&stage);
    stage.service.on("GetFolder", json!({ "files": [{ "absolutePath": "big.bin", "blobId": "b" }] }));
    stage.service.on("GetBlob", refusal("FileTooLargeException", "6 MB"));
    let failure = stage.failed(&repository(&[])).await;
    assert!(failure.message.contains("`big.bin` is larger"), "{}", failure.message);
    assert_eq!(stage.service.places(), Vec::<String>::new());
    // A path that leads out of an archive comes from no repository of good faith.
    stage.service.now("GetFolder", json!({ "files": [{ "absolutePath": "../up", "blobId": "b" }] }));
    stage.later(20);
    assert_eq!(stage.failed(&repository(&[])).await.code, FailureCode::ConfigurationError);
}
