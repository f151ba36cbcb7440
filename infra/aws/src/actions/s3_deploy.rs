//! S3 deploy: the artifact put into a bucket, as it is or file by file. Objects that were there before and are not in
//! the artifact stay.

mod content_types;
mod unpack;

use super::{
    clone_ref::{self, unreadable},
    objects::{Objects, ObjectsError, Origin, Properties, UploadError},
    provider::{Answer, Provider, Step, Task, configuration, unavailable},
    scratch::Scratch,
};
use crate::client::CallError;
use api::sigv4::percent_encoded;
use engine::action::{Failure, Success};
use std::sync::Arc;
use tokio::{sync::mpsc, task::JoinSet};
use unpack::{Content, File, UnpackError};

/// Bytes of an artifact that a function with little time unpacks; more is a matter of seconds.
const HERE_BYTES_MAX: u64 = 1 << 20;
/// Bytes that a function with little time copies.
const COPIED_HERE_BYTES_MAX: u64 = 256 << 20;
/// Bytes of an artifact that is unpacked.
const ARTIFACT_BYTES_MAX: u64 = 5 << 30;
/// Objects on their way at a time.
const OBJECTS_AT_ONCE: usize = 16;
/// Files that wait to be sent.
const WAITING_FILES: usize = 2;
/// Bytes of a key, as S3 bounds it.
const KEY_BYTES_MAX: usize = 1_024;
/// S3's ready-made access lists.
const CANNED: [&str; 7] = [
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
];

/// Deploy actions of the provider `S3`.
pub struct S3Deploy;

impl Provider for S3Deploy {
    fn start<'a>(&'a self, task: &'a Task<'a>) -> Answer<'a, Step> {
        Box::pin(start(task))
    }
}

struct Order<'a> {
    bucket: &'a str,
    /// The object's key, or what the keys of all objects begin with.
    key: String,
    properties: Properties,
}

async fn start(task: &Task<'_>) -> Result<Step, Failure> {
    let extract = match task.needs("Extract")? {
        "true" => true,
        "false" => false,
        other => return Err(configuration(format!("`Extract` must be `true` or `false`, not `{other}`."))),
    };
    let order = order(task, extract)?;
    let input = task.input()?;
    let head = clone_ref::files(task, input).await?;
    let here_max = if extract { HERE_BYTES_MAX } else { COPIED_HERE_BYTES_MAX };
    if head.size > here_max && !task.has_time {
        return Ok(Step::TooLong);
    }
    let summary = match extract {
        true => {
            let count = put_files(task, &order).await?;
            let files = if count == 1 { "file" } else { "files" };
            format!("{count} {files} put into `{}/{}`", order.bucket, order.key)
        }
        false => {
            let from = Origin {
                bucket: &input.location.bucket,
                key: &input.location.key,
                version: head.version_id.as_deref(),
                size: head.size,
            };
            let content_type = head.content_type.or_else(|| Some("application/zip".to_owned()));
            let properties = Properties { content_type, ..order.properties };
            let to = (order.bucket, order.key.as_str());
            let copied = Objects::new(task.client.clone()).copy(&from, to, &properties, true).await;
            copied.map_err(|error| refused(task, order.bucket, error))?;
            format!("1 file put at `{}/{}`", order.bucket, order.key)
        }
    };
    Ok(Step::Done(Success {
        summary: Some(summary),
        external_execution_url: Some(format!(
            "https://console.aws.amazon.com/s3/buckets/{}?region={}&prefix={}",
            percent_encoded(order.bucket),
            task.region,
            percent_encoded(&order.key)
        )),
        ..Success::default()
    }))
}

fn order<'a>(task: &'a Task<'_>, extract: bool) -> Result<Order<'a>, Failure> {
    let bucket = task.needs("BucketName")?;
    let acl = match task.value("CannedACL") {
        Some(acl) if !CANNED.contains(&acl) => {
            return Err(configuration(format!(
                "`CannedACL` is `{acl}`, and not one of `{}`.",
                CANNED.join("`, `")
            )));
        }
        acl => acl.map(str::to_owned),
    };
    let key = match (task.value("ObjectKey"), extract) {
        (Some(key), false) => with_variables(key, task),
        (None, false) => task.needs("ObjectKey")?.to_owned(),
        (Some(prefix), true) => with_variables(prefix, task).trim_matches('/').to_owned(),
        (None, true) => String::new(),
    };
    let properties = Properties {
        content_type: None,
        cache_control: task.value("CacheControl").map(str::to_owned),
        acl,
        key: task.value("KMSEncryptionKeyARN").map(str::to_owned),
        metadata: None,
    };
    Ok(Order { bucket, key, properties })
}

/// `{datetime}` and `{uuid}` in a key. Both are the attempt's own, so that one that is done again writes to the same
/// place.
fn with_variables(text: &str, task: &Task<'_>) -> String {
    if !text.contains('{') {
        return text.to_owned();
    }
    let began = jiff::Timestamp::from_millisecond(task.began().0).unwrap_or_default();
    let began = began.strftime("%Y-%m-%d_%H:%M:%S").to_string();
    text.replace("{datetime}", &began).replace("{uuid}", task.token())
}

/// Puts every file of the artifact; says how many.
async fn put_files(task: &Task<'_>, order: &Order<'_>) -> Result<usize, Failure> {
    let input = task.input()?;
    let archive = Scratch::new(task.scratch, task.token());
    let downloaded = task.objects.download(&input.location, archive.path(), ARTIFACT_BYTES_MAX).await;
    downloaded.map_err(|error| unreadable(task.who, input, error))?;
    let (sender, receiver) = mpsc::channel(WAITING_FILES);
    let (scratch, token) = (task.scratch.to_owned(), task.token().to_owned());
    // The archive's handle goes along: its file must outlast the reading.
    let unpacking =
        tokio::task::spawn_blocking(move || unpack::unpack(archive.path(), &scratch, &token, &sender));
    let sent = send(task, order, receiver).await;
    let unpacked = unpacking.await.map_err(|error| unavailable(format!("Unpacking broke off: {error}.")))?;
    match (sent, unpacked) {
        // When sending ends early, unpacking has nobody to give to: the first error is the one that counts.
        (Err(failure), _) => Err(failure),
        (Ok(_), Err(UnpackError::Disk(error))) => Err(unavailable(format!(
            "The artifact cannot be unpacked: {error}. Give the function more ephemeral storage, or deploy less."
        ))),
        (Ok(_), Err(UnpackError::Refused(reason))) => {
            Err(configuration(format!("The input artifact `{}` cannot be used: {reason}.", input.name)))
        }
        (Ok(count), Ok(())) => Ok(count),
    }
}

async fn send(task: &Task<'_>, order: &Order<'_>, mut files: mpsc::Receiver<File>) -> Result<usize, Failure> {
    let objects = Objects::new(task.client.clone());
    let bucket: Arc<str> = order.bucket.into();
    let mut running: JoinSet<Result<(), UploadError>> = JoinSet::new();
    let (mut count, mut pages_begun, mut is_over) = (0, false, false);
    loop {
        if running.len() >= OBJECTS_AT_ONCE || is_over {
            match running.join_next().await {
                Some(done) => sent(task, order, done)?,
                None => return Ok(count),
            }
            continue;
        }
        let Some(file) = files.recv().await else {
            is_over = true;
            continue;
        };
        if file.waits_for_others && !pages_begun {
            while let Some(done) = running.join_next().await {
                sent(task, order, done)?;
            }
            pages_begun = true;
        }
        let key = match order.key.as_str() {
            "" => file.name.clone(),
            prefix => format!("{prefix}/{}", file.name),
        };
        if key.len() > KEY_BYTES_MAX {
            return Err(configuration(format!(
                "`{key}` would be a key of more than {KEY_BYTES_MAX} bytes, which S3 does not take."
            )));
        }
        let content_type = Some(content_types::of(&file.name).to_owned());
        let properties = Properties { content_type, ..order.properties.clone() };
        let (objects, bucket) = (objects.clone(), Arc::clone(&bucket));
        running.spawn(async move {
            match file.content {
                Content::Bytes(bytes) => Ok(objects.put((&bucket, &key), bytes, &properties).await?),
                Content::File(scratch) => objects.upload((&bucket, &key), scratch.path(), &properties).await,
            }
        });
        count += 1;
    }
}

fn sent(
    task: &Task<'_>,
    order: &Order<'_>,
    done: Result<Result<(), UploadError>, tokio::task::JoinError>,
) -> Result<(), Failure> {
    match done {
        Ok(Ok(())) => Ok(()),
        Ok(Err(UploadError::Call(error))) => Err(refused(task, order.bucket, *error)),
        Ok(Err(UploadError::File(error))) => {
            Err(unavailable(format!("A file of the artifact cannot be read again: {error}.")))
        }
        Err(error) => Err(unavailable(format!("Sending broke off: {error}."))),
    }
}

fn refused(task: &Task<'_>, bucket: &str, error: CallError) -> Failure {
    match ObjectsError::from(error) {
        ObjectsError::Call(error) if error.is(&["NoSuchBucket", "PermanentRedirect"]) => {
            configuration(format!(
                "There is no bucket `{bucket}` in {}. Make it, correct `BucketName`, or give the action the Region of \
                 the bucket.",
                task.region
            ))
        }
        ObjectsError::Call(error) if error.is(&["AccessControlListNotSupported"]) => configuration(format!(
            "The bucket `{bucket}` takes no access lists: leave `CannedACL` out, or change the bucket's object \
             ownership."
        )),
        ObjectsError::Call(error) => task.failed(*error),
        ObjectsError::Missing | ObjectsError::TooLarge { .. } => {
            configuration(format!("The artifact vanished while it was put into the bucket `{bucket}`."))
        }
    }
}
