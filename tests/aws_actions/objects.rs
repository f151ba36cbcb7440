//! S3 deploy.

use super::{
    service::Reply,
    stage::{ATTEMPT, Stage, archive, input, job},
};
use engine::action::{ActionJob, FailureCode};

fn deploy(configuration: &[(&str, &str)]) -> ActionJob {
    ActionJob { inputs: vec![input("Built")], ..job("Deploy/S3", configuration) }
}

#[tokio::test]
async fn every_file_becomes_an_object_with_its_type_and_pages_come_last() {
    let stage = Stage::new();
    let site =
        archive(&[("index.html", "<html>"), ("app/main.js", "js"), ("./style.css", "css"), ("empty/", "")]);
    stage.service.put("store/shop/Built/k1", site);
    let configuration = [
        ("BucketName", "site"),
        ("Extract", "true"),
        ("ObjectKey", "/v1/"),
        ("CacheControl", "max-age=60"),
        ("CannedACL", "bucket-owner-full-control"),
        ("KMSEncryptionKeyARN", "arn:aws:kms:eu-west-1:111122223333:key/site"),
    ];
    let success = stage.succeeded(&deploy(&configuration)).await;
    assert_eq!(success.summary.as_deref(), Some("3 files put into `site/v1`"));
    let page = stage.service.object("site/v1/index.html").unwrap();
    assert_eq!(page.headers["content-type"], "text/html");
    assert_eq!(page.headers["cache-control"], "max-age=60");
    assert_eq!(page.headers["x-amz-acl"], "bucket-owner-full-control");
    assert_eq!(page.headers["x-amz-server-side-encryption"], "aws:kms");
    assert!(page.headers["x-amz-server-side-encryption-aws-kms-key-id"].ends_with("key/site"));
    assert_eq!(stage.service.object("site/v1/app/main.js").unwrap().bytes, b"js");
    assert_eq!(stage.service.object("site/v1/style.css").unwrap().headers["content-type"], "text/css");
    let puts = stage.service.calls("PutObject");
    assert!(puts.last().unwrap().target.contains("index.html"));
}

#[tokio::test]
async fn an_archive_is_copied_as_it_is_to_a_key_with_variables() {
    let stage = Stage::new();
    stage.service.put("store/shop/Built/k1", archive(&[("a", "a")]));
    let configuration =
        [("BucketName", "releases"), ("Extract", "false"), ("ObjectKey", "{datetime}/{uuid}.zip")];
    let success = stage.succeeded(&deploy(&configuration)).await;
    // The clock stands at the beginning of the attempt.
    let key = format!("2027-01-15_08:00:00/{ATTEMPT}.zip");
    assert_eq!(success.summary.unwrap(), format!("1 file put at `releases/{key}`"));
    assert!(stage.service.object(&format!("releases/{key}")).is_some());
    let call = stage.service.call("CopyObject");
    assert_eq!(call.headers["x-amz-copy-source"], "store/shop/Built/k1?versionId=v-new");
    assert_eq!(call.headers["x-amz-metadata-directive"], "REPLACE");
}

#[tokio::test]
async fn an_archive_that_leads_out_of_the_bucket_puts_nothing() {
    for name in ["../../etc/passwd", "/etc/passwd", "a/../../b"] {
        let stage = Stage::new();
        stage.service.put("store/shop/Built/k1", archive(&[("ok", "ok"), (name, "evil")]));
        let failure = stage.failed(&deploy(&[("BucketName", "site"), ("Extract", "true")])).await;
        assert_eq!(failure.code, FailureCode::ConfigurationError, "{name}");
        assert!(failure.message.contains("leads out of the artifact"), "{}", failure.message);
        assert_eq!(stage.service.places(), ["store/shop/Built/k1"]);
    }
    let stage = Stage::new();
    stage.service.put("store/shop/Built/k1", "no archive");
    let failure = stage.failed(&deploy(&[("BucketName", "site"), ("Extract", "true")])).await;
    assert!(failure.message.contains("cannot be read as a ZIP archive"), "{}", failure.message);
}

#[tokio::test]
async fn a_large_file_is_sent_in_parts() {
    let stage = Stage::new();
    let large: String = "0123456789abcdef".repeat(20 << 16);
    stage.service.put("store/shop/Built/k1", archive(&[("large.bin", &large), ("small", "s")]));
    stage.succeeded(&deploy(&[("BucketName", "site"), ("Extract", "true")])).await;
    assert_eq!(stage.service.object("site/large.bin").unwrap().bytes, large.as_bytes());
    assert_eq!(stage.service.calls("UploadPart").len(), 2);
    // Parts of an upload that fails are not left lying.
    let stage = Stage::new();
    stage.service.put("store/shop/Built/k1", archive(&[("large.bin", &large)]));
    stage.service.on("UploadPart", Reply::Refusal(403, "AccessDenied", "Access Denied".into()));
    let failure = stage.failed(&deploy(&[("BucketName", "site"), ("Extract", "true")])).await;
    assert_eq!(failure.code, FailureCode::PermissionError);
    assert!(failure.message.contains("`s3:PutObject`"), "{}", failure.message);
    stage.service.call("AbortMultipartUpload");
}

#[tokio::test]
async fn what_is_wrong_with_a_bucket_or_a_setting_is_said() {
    let stage = Stage::new();
    stage.service.put("store/shop/Built/k1", archive(&[("a", "a")]));
    stage
        .service
        .on("PutObject", Reply::Refusal(404, "NoSuchBucket", "The specified bucket does not exist".into()));
    let failure = stage.failed(&deploy(&[("BucketName", "gone"), ("Extract", "true")])).await;
    assert_eq!(failure.code, FailureCode::ConfigurationError);
    assert!(failure.message.contains("no bucket `gone` in eu-west-1"), "{}", failure.message);
    for (configuration, words) in [
        (&[("BucketName", "b"), ("Extract", "yes")][..], "`Extract` must be `true` or `false`"),
        (&[("BucketName", "b"), ("Extract", "false")], "no `ObjectKey`"),
        (&[("Extract", "true")], "no `BucketName`"),
        (&[("BucketName", "b"), ("Extract", "true"), ("CannedACL", "everyone")], "`CannedACL` is `everyone`"),
    ] {
        let failure = Stage::new().failed(&deploy(configuration)).await;
        assert_eq!(failure.code, FailureCode::ConfigurationError);
        assert!(failure.message.contains(words), "{}", failure.message);
    }
    // A copy that fails after S3 began to answer is no success.
    let stage = Stage::new();
    stage.service.put("store/shop/Built/k1", archive(&[("a", "a")]));
    stage.service.on("CopyObject", "<Error><Code>InternalError</Code><Message>again</Message></Error>");
    let copy = [("BucketName", "b"), ("Extract", "false"), ("ObjectKey", "k")];
    assert_eq!(stage.failed(&deploy(&copy)).await.code, FailureCode::SystemUnavailable);
    let stage = Stage::new();
    // The answer to HEAD has no words.
    stage.service.on("HeadObject", Reply::Raw(403, vec![], vec![]));
    assert_eq!(stage.failed(&deploy(&copy)).await.code, FailureCode::PermissionError);
}
