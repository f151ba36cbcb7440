//! The S3 source: one version of an object, copied inside of S3. The object is the artifact, unchanged.

use super::{
    objects::{Head, ObjectsError, Origin, Properties},
    provider::{Answer, Provider, SUMMARY_CHARS_MAX, Step, Task, configuration, cut, revision_unavailable},
};
use api::sigv4::percent_encoded;
use engine::action::{ActionJob, Failure, SourceRevision, Success};

/// Bytes of an object, most: CodePipeline's own bound for S3.
const OBJECT_BYTES_MAX: u64 = 7 << 30;
/// Bytes that a function with little time copies; more takes seconds.
const HERE_BYTES_MAX: u64 = 256 << 20;
/// The metadata in which whoever uploads an object says what is in it.
const SUMMARY: &str = "codepipeline-artifact-revision-summary";

/// Source actions of the provider `S3`.
pub struct S3Source;

impl Provider for S3Source {
    /// A version that is told is the same whoever fetches it; the newest may be another each time.
    fn begins_once(&self, job: &ActionJob) -> bool {
        job.revision.is_some()
    }

    fn start<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Step> {
        Box::pin(start(task))
    }
}

async fn start(task: &Task<'_>) -> Result<Step, Failure> {
    let (bucket, key) = (task.needs("S3Bucket")?, task.needs("S3ObjectKey")?);
    let output = task.output()?;
    let source = &task.objects;
    let versioning = source.versioning(bucket).await.map_err(|error| missing(task, bucket, error.into()))?;
    if versioning.as_deref() != Some("Enabled") {
        return Err(configuration(format!(
            "The bucket `{bucket}` keeps no versions, so that a run could not say what it was made from. Enable \
             versioning on it."
        )));
    }
    let wanted = task.job.revision.as_deref();
    let head = source.head_of(bucket, key, wanted).await.map_err(|error| gone(task, bucket, key, error))?;
    if head.size > OBJECT_BYTES_MAX {
        return Err(configuration(format!(
            "`{key}` in the bucket `{bucket}` has {} bytes; a source has {OBJECT_BYTES_MAX} at most.",
            head.size
        )));
    }
    if head.size > HERE_BYTES_MAX && !task.has_time {
        return Ok(Step::TooLong);
    }
    // The version as it was seen, also when a newer one comes meanwhile.
    let version = head.version_id.as_deref().or(wanted);
    let from = Origin { bucket, key, version, size: head.size };
    let to = (output.location.bucket.as_str(), output.location.key.as_str());
    let properties = Properties { key: task.encryption_key.map(str::to_owned), ..Properties::default() };
    let copied = source.copy(&from, to, &properties, false).await;
    copied.map_err(|error| missing(task, bucket, error.into()))?;
    Ok(Step::Done(success(task, bucket, key, &head)))
}

fn success(task: &Task<'_>, bucket: &str, key: &str, head: &Head) -> Success {
    let etag = head.etag.clone().unwrap_or_default();
    let version = head.version_id.clone().unwrap_or_else(|| etag.clone());
    let summary = head.metadata.get(SUMMARY).filter(|text| !text.is_empty());
    let summary = match summary {
        Some(text) => cut(text, SUMMARY_CHARS_MAX),
        None => format!("Amazon S3 version id: {version}"),
    };
    let url = format!(
        "https://console.aws.amazon.com/s3/object/{}/{}?region={}",
        percent_encoded(bucket),
        key.split('/').map(percent_encoded).collect::<Vec<_>>().join("/"),
        task.region
    );
    let variables = [("BucketName", bucket), ("ETag", &etag), ("ObjectKey", key), ("VersionId", &version)];
    Success {
        output_variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        summary: Some(summary.clone()),
        external_execution_id: Some(version.clone()),
        external_execution_url: Some(url.clone()),
        revision: Some(SourceRevision {
            action: task.job.action.clone(),
            revision_id: version,
            summary: Some(summary),
            url: Some(url),
            change_id: Some(etag).filter(|etag| !etag.is_empty()),
            created: None,
        }),
        mocked: false,
    }
}

fn gone(task: &Task<'_>, bucket: &str, key: &str, error: ObjectsError) -> Failure {
    let version = task.job.revision.as_ref().map(|version| format!(" in the version `{version}`"));
    match error {
        ObjectsError::Missing | ObjectsError::TooLarge { .. } => revision_unavailable(format!(
            "There is no object `{key}`{} in the bucket `{bucket}`: it was deleted, or never uploaded. Upload it, or \
             correct `S3ObjectKey`.",
            version.unwrap_or_default()
        )),
        // S3 says of a version id that it did not make itself that the request is wrong.
        ObjectsError::Call(error) if version.is_some() && error.is(&["InvalidArgument", "UnknownError"]) => {
            revision_unavailable(format!(
                "There is no object `{key}`{} in the bucket `{bucket}`.",
                version.unwrap_or_default()
            ))
        }
        error => missing(task, bucket, error),
    }
}

fn missing(task: &Task<'_>, bucket: &str, error: ObjectsError) -> Failure {
    match error {
        ObjectsError::Call(error) if error.is(&["NoSuchBucket", "PermanentRedirect"]) => {
            configuration(format!(
                "There is no bucket `{bucket}` in {}, the pipeline's Region. Correct `S3Bucket`, or the bucket of the \
             artifact store: {}",
                task.region,
                error.message()
            ))
        }
        ObjectsError::Call(error) => task.failed(*error),
        ObjectsError::Missing | ObjectsError::TooLarge { .. } => revision_unavailable(format!(
            "The object vanished from the bucket `{bucket}` while it was copied."
        )),
    }
}
