use super::*;
use crate::runners::tests::{Stage, job};

fn deploy(stage: &Stage, configuration: &[(&str, &str)]) -> ActionJob {
    let mut job = job("Deploy/AWS/S3", configuration);
    job.inputs = vec![stage.artifact("Site")];
    job.outputs.clear();
    job
}

fn names(folder: &Path) -> Vec<String> {
    archive::list(folder).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[tokio::test]
async fn files_land_under_their_prefix_and_older_ones_stay() {
    let stage = Stage::new();
    stage.write(&[("index.html", "page"), ("css/site.css", "style")]);
    let job = deploy(
        &stage,
        &[("BucketName", "site"), ("Extract", "true"), ("ObjectKey", "v1/"), ("CannedACL", "public-read")],
    );
    let bucket = stage.site.state.join("s3/site");
    fs::create_dir_all(bucket.join("v1")).unwrap();
    fs::write(bucket.join("v1/old"), "old").unwrap();
    fs::write(bucket.join("v1/index.html"), "older page").unwrap();
    let success = stage.succeeds(&job).await;
    assert_eq!(names(&bucket), ["v1/css/site.css", "v1/index.html", "v1/old"]);
    assert_eq!(fs::read_to_string(bucket.join("v1/index.html")).unwrap(), "page");
    assert!(success.summary.unwrap().starts_with("2 files put into"));
    assert!(stage.log().contains("`CannedACL` has no effect on this machine."));
}

#[tokio::test]
async fn links_become_copies_since_a_bucket_has_objects_only() {
    let stage = Stage::new();
    stage.write(&[("a.js", "code")]);
    std::os::unix::fs::symlink("a.js", stage.base().join("z.js")).unwrap();
    std::os::unix::fs::symlink("none", stage.base().join("dangling")).unwrap();
    stage.succeeds(&deploy(&stage, &[("BucketName", "site"), ("Extract", "true")])).await;
    let bucket = stage.site.state.join("s3/site");
    assert_eq!(names(&bucket), ["a.js", "z.js"]);
    assert!(fs::symlink_metadata(bucket.join("z.js")).unwrap().is_file());
    assert!(stage.log().contains("`dangling` is a link that leads to no file"));
}

#[tokio::test]
async fn the_archive_itself_is_copied_to_its_key() {
    let mut stage = Stage::new();
    stage.write(&[("a", "1")]);
    let bucket = stage.dir.path().join("my bucket");
    stage.set(|settings| drop(settings.s3.insert("releases".into(), bucket.clone())));
    let configuration = [("BucketName", "releases"), ("Extract", "false"), ("ObjectKey", "app/{uuid}.zip")];
    let job = deploy(&stage, &configuration);
    stage.succeeds(&job).await;
    let object = bucket.join(format!("app/{}.zip", job.action_execution));
    let artifact = stage.site.artifacts.get(&job.inputs[0].location).unwrap();
    assert_eq!(fs::read(object).unwrap(), fs::read(artifact).unwrap());
    assert_eq!(names(&bucket).len(), 1);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_meant_is_refused() {
    let stage = Stage::new();
    stage.write(&[("a", "1")]);
    for configuration in [
        &[("Extract", "true")][..],
        &[("BucketName", "b")],
        &[("BucketName", "b"), ("Extract", "yes")],
        &[("BucketName", "b"), ("Extract", "false")],
        &[("BucketName", "../b"), ("Extract", "true")],
        &[("BucketName", "b"), ("Extract", "false"), ("ObjectKey", "../../x")],
        &[("BucketName", "b"), ("Extract", "true"), ("ObjectKey", "a/../../x")],
    ] {
        let (code, message) = stage.fails(&deploy(&stage, configuration)).await;
        assert_eq!(code, FailureCode::ConfigurationError, "{configuration:?}: {message}");
    }
}

#[tokio::test]
async fn a_file_does_not_replace_a_folder() {
    let stage = Stage::new();
    stage.write(&[("a", "1")]);
    let bucket = stage.site.state.join("s3/b");
    fs::create_dir_all(bucket.join("a/inside")).unwrap();
    let (code, message) = stage.fails(&deploy(&stage, &[("BucketName", "b"), ("Extract", "true")])).await;
    assert_eq!(code, FailureCode::ConfigurationError);
    assert!(message.contains("cannot have the same name here"), "{message}");
    assert_eq!(fs::read_dir(&bucket).unwrap().count(), 1);
}
