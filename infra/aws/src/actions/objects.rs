//! Objects of S3, as far as actions read and write them: artifacts, sources and what is deployed.

use crate::client::{CallError, Client, RestAnswer, RestRequest, Service, Xml};
use api::sigv4::percent_encoded;
use bytes::Bytes;
use engine::action::ArtifactLocation;
use http::Method;
use std::{collections::BTreeMap, io, path::Path, time::Duration};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
    task::JoinSet,
};

/// Bytes of one part of an upload: larger objects are uploaded in parts.
pub const PART_BYTES: u64 = 16 << 20;
/// Bytes of an object that one call copies, as S3 bounds it.
const COPY_BYTES_MAX: u64 = 5 << 30;
/// Bytes of one part of a copy.
const COPY_PART_BYTES: u64 = 512 << 20;
/// Parts on their way at a time.
const PARTS_AT_ONCE: usize = 4;
/// How long a call may take that moves so many bytes.
const BYTES_PER_SECOND_MIN: u64 = 1 << 20;
/// How long a copy inside of S3 may take.
const COPY_TIME: Duration = Duration::from_secs(5 * 60);
/// What begins the name of a header that holds an object's own metadata.
const METADATA_PREFIX: &str = "x-amz-meta-";

/// Reads and writes objects in one identity and Region.
#[derive(Clone)]
pub struct Objects {
    client: Client,
}

/// Why an object could not be read or written.
#[derive(Debug)]
pub enum ObjectsError {
    /// It is not there, or not in this version.
    Missing,
    /// It is larger than can be used.
    TooLarge {
        /// What can be used, bytes.
        bytes_max: u64,
    },
    /// The call went wrong otherwise.
    Call(Box<CallError>),
}

impl From<CallError> for ObjectsError {
    fn from(error: CallError) -> Self {
        // 405: the version is a marker that the object was deleted.
        match error {
            error if error.is(&["NoSuchKey", "NoSuchVersion", "NotFound", "MethodNotAllowed"]) => {
                Self::Missing
            }
            error => Self::Call(Box::new(error)),
        }
    }
}

/// What is known of an object without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its bytes.
    pub size: u64,
    /// Its ETag, without quotation marks.
    pub etag: Option<String>,
    /// Its version, in a bucket that keeps versions.
    pub version_id: Option<String>,
    /// Its content type.
    pub content_type: Option<String>,
    /// When it was written, as HTTP writes it.
    pub last_modified: Option<String>,
    /// Its own metadata, by names without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
}

/// How an object is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// Its content type.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// One of S3's ready-made access lists.
    pub acl: Option<String>,
    /// The KMS key it is encrypted with; the bucket decides when there is none.
    pub key: Option<String>,
    /// One entry of its own metadata: the header and its value.
    pub metadata: Option<(&'static str, String)>,
}

impl Properties {
    fn headers(&self, mut request: RestRequest) -> RestRequest {
        let named = [
            ("content-type", &self.content_type),
            ("cache-control", &self.cache_control),
            ("x-amz-acl", &self.acl),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                request = request.header(name, value.clone());
            }
        }
        if let Some(key) = &self.key {
            request = request.header("x-amz-server-side-encryption", "aws:kms");
            request = request.header("x-amz-server-side-encryption-aws-kms-key-id", key.clone());
        }
        match &self.metadata {
            Some((name, value)) => request.header(name, value.clone()),
            None => request,
        }
    }
}

/// What is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
    /// The version; the newest when there is none.
    pub version: Option<&'a str>,
    /// Its bytes.
    pub size: u64,
}

impl Origin<'_> {
    fn header(&self) -> String {
        let key: Vec<String> = self.key.split('/').map(percent_encoded).collect();
        let version = self.version.map(|version| format!("?versionId={}", percent_encoded(version)));
        format!("{}/{}{}", percent_encoded(self.bucket), key.join("/"), version.unwrap_or_default())
    }
}

impl Objects {
    /// Objects as this client may see them.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// What is known of an object.
    pub async fn head(&self, at: &ArtifactLocation) -> Result<Head, ObjectsError> {
        self.head_of(&at.bucket, &at.key, None).await
    }

    /// What is known of an object in a version.
    pub async fn head_of(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Head, ObjectsError> {
        let mut request = RestRequest::object("HeadObject", Method::HEAD, bucket, key);
        if let Some(version) = version {
            request = request.query("versionId", version);
        }
        let answer = self.client.rest(request).await?;
        let text = |name: &str| answer.header(name).map(str::to_owned).filter(|text| !text.is_empty());
        let metadata = answer.headers.iter().filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix(METADATA_PREFIX)?;
            Some((name.to_owned(), value.to_str().ok()?.to_owned()))
        });
        Ok(Head {
            size: text("content-length").and_then(|size| size.parse().ok()).unwrap_or(0),
            etag: text("etag").map(|etag| etag.trim_matches('"').to_owned()),
            version_id: text("x-amz-version-id").filter(|version| version != "null"),
            content_type: text("content-type"),
            last_modified: text("last-modified"),
            metadata: metadata.collect(),
        })
    }

    /// `Enabled`, `Suspended`, or nothing where versions were never kept.
    pub async fn versioning(&self, bucket: &str) -> Result<Option<String>, CallError> {
        let request = RestRequest::object("GetBucketVersioning", Method::GET, bucket, "");
        let answer = self.client.rest(request.query("versioning", "")).await?;
        Ok(xml(&answer).and_then(|xml| xml.text_of("Status")))
    }

    /// The content of an object that is known to have no more bytes than that.
    pub async fn get(&self, at: &ArtifactLocation, bytes_max: u64) -> Result<Bytes, ObjectsError> {
        let mut request = RestRequest::object("GetObject", Method::GET, &at.bucket, &at.key);
        request.answer_bytes = usize::try_from(bytes_max).ok();
        request.time = Some(time_for(bytes_max));
        Ok(self.client.rest(request).await?.body)
    }

    /// A part of an object's content, both ends included.
    pub async fn range(&self, at: &ArtifactLocation, first: u64, last: u64) -> Result<Bytes, ObjectsError> {
        let mut request = RestRequest::object("GetObject", Method::GET, &at.bucket, &at.key)
            .header("range", format!("bytes={first}-{last}"));
        let bytes = last - first + 1;
        request.answer_bytes = usize::try_from(bytes).ok();
        request.time = Some(time_for(bytes));
        Ok(self.client.rest(request).await?.body)
    }

    /// Writes the content of an object that is known to have no more bytes than that to a file.
    pub async fn download(
        &self,
        at: &ArtifactLocation,
        file: &Path,
        bytes_max: u64,
    ) -> Result<(), ObjectsError> {
        let mut request = RestRequest::object("GetObject", Method::GET, &at.bucket, &at.key);
        request.answer_bytes = usize::try_from(bytes_max).ok();
        request.time = Some(time_for(bytes_max));
        self.client.rest_to_file(request, file).await?;
        Ok(())
    }

    /// Writes an object.
    pub async fn put(
        &self,
        (bucket, key): (&str, &str),
        content: impl Into<Bytes>,
        properties: &Properties,
    ) -> Result<(), CallError> {
        let content = content.into();
        let mut request = RestRequest::object("PutObject", Method::PUT, bucket, key);
        request.time = Some(time_for(content.len() as u64));
        self.client.rest(properties.headers(request).body(content)).await?;
        Ok(())
    }

    /// Writes a file's content as an object, in parts when it is large.
    pub async fn upload(
        &self,
        to: (&str, &str),
        file: &Path,
        properties: &Properties,
    ) -> Result<(), UploadError> {
        let size = tokio::fs::metadata(file).await?.len();
        if size <= PART_BYTES {
            let content = tokio::fs::read(file).await?;
            return Ok(self.put(to, content, properties).await?);
        }
        let upload = self.begin(to, properties).await?;
        let parts = parts(size, PART_BYTES);
        let sent = self.in_parallel(&parts, |part| {
            let (objects, upload, file) = (self.clone(), upload.clone(), file.to_owned());
            async move { objects.part(&upload, part, &file).await }
        });
        self.end(&upload, sent.await).await
    }

    /// Copies an object inside of S3.
    pub async fn copy(
        &self,
        from: &Origin<'_>,
        to: (&str, &str),
        properties: &Properties,
        replace: bool,
    ) -> Result<(), CallError> {
        if from.size > COPY_BYTES_MAX {
            return self.copy_in_parts(from, to, properties).await;
        }
        let mut request = RestRequest::object("CopyObject", Method::PUT, to.0, to.1)
            .header("x-amz-copy-source", from.header());
        if replace {
            request = request.header("x-amz-metadata-directive", "REPLACE");
        }
        request.time = Some(COPY_TIME);
        let answer = self.client.rest(properties.headers(request)).await?;
        // S3 begins to answer before it is done, so its status may be wrong.
        not_an_error(&answer, "CopyObject").map(drop)
    }

    async fn copy_in_parts(
        &self,
        from: &Origin<'_>,
        to: (&str, &str),
        properties: &Properties,
    ) -> Result<(), CallError> {
        let upload = self.begin(to, properties).await?;
        let parts = parts(from.size, COPY_PART_BYTES);
        let source = from.header();
        let sent = self.in_parallel(&parts, |part| {
            let (objects, upload, source) = (self.clone(), upload.clone(), source.clone());
            async move { objects.part_copy(&upload, part, &source).await.map_err(UploadError::from) }
        });
        match self.end(&upload, sent.await).await {
            Ok(()) => Ok(()),
            Err(UploadError::Call(error)) => Err(*error),
            Err(UploadError::File(error)) => Err(unusable("UploadPartCopy", error.to_string())),
        }
    }

    async fn begin(&self, (bucket, key): (&str, &str), properties: &Properties) -> Result<Upload, CallError> {
        let request =
            RestRequest::object("CreateMultipartUpload", Method::POST, bucket, key).query("uploads", "");
        let answer = self.client.rest(properties.headers(request)).await?;
        let id = xml(&answer).and_then(|xml| xml.text_of("UploadId"));
        let id = id.ok_or_else(|| unusable("CreateMultipartUpload", "the answer has no `UploadId`"))?;
        Ok(Upload { bucket: bucket.to_owned(), key: key.to_owned(), id })
    }

    async fn part(&self, upload: &Upload, part: Part, file: &Path) -> Result<String, UploadError> {
        let mut content = vec![0; usize::try_from(part.last - part.first + 1).unwrap_or(0)];
        let mut file = File::open(file).await?;
        file.seek(io::SeekFrom::Start(part.first)).await?;
        file.read_exact(&mut content).await?;
        let mut request =
            upload.request("UploadPart", Method::PUT).query("partNumber", part.number.to_string());
        request.time = Some(time_for(PART_BYTES));
        let answer = self.client.rest(request.body(content)).await?;
        let etag = answer.header("etag").map(str::to_owned);
        Ok(etag.ok_or_else(|| unusable("UploadPart", "the answer has no `ETag`"))?)
    }

    async fn part_copy(&self, upload: &Upload, part: Part, source: &str) -> Result<String, CallError> {
        let mut request = upload
            .request("UploadPartCopy", Method::PUT)
            .query("partNumber", part.number.to_string())
            .header("x-amz-copy-source", source)
            .header("x-amz-copy-source-range", format!("bytes={}-{}", part.first, part.last));
        request.time = Some(COPY_TIME);
        let answer = self.client.rest(request).await?;
        let etag = not_an_error(&answer, "UploadPartCopy")?.and_then(|xml| xml.text_of("ETag"));
        etag.ok_or_else(|| unusable("UploadPartCopy", "the answer has no `ETag`"))
    }

    async fn in_parallel<F>(
        &self,
        parts: &[Part],
        send: impl Fn(Part) -> F,
    ) -> Result<BTreeMap<u32, String>, UploadError>
    where
        F: Future<Output = Result<String, UploadError>> + Send + 'static,
    {
        let (mut running, mut sent) = (JoinSet::new(), BTreeMap::new());
        let mut waiting = parts.iter().copied();
        loop {
            while running.len() < PARTS_AT_ONCE {
                let Some(part) = waiting.next() else { break };
                let sending = send(part);
                running.spawn(async move { sending.await.map(|etag| (part.number, etag)) });
            }
            match running.join_next().await {
                None => return Ok(sent),
                Some(Ok(done)) => {
                    let (number, etag) = done?;
                    sent.insert(number, etag);
                }
                Some(Err(error)) => return Err(unusable("UploadPart", error.to_string()).into()),
            }
        }
    }

    /// Puts the parts together, or throws them away: what is left lying costs money.
    async fn end(
        &self,
        upload: &Upload,
        sent: Result<BTreeMap<u32, String>, UploadError>,
    ) -> Result<(), UploadError> {
        let completed = match sent {
            Ok(parts) => self.complete(upload, &parts).await.map_err(UploadError::from),
            Err(error) => Err(error),
        };
        if completed.is_err() {
            let aborted = self.client.rest(upload.request("AbortMultipartUpload", Method::DELETE)).await;
            if let Err(error) = aborted {
                tracing::warn!(%error, "the parts of an upload were left lying");
            }
        }
        completed
    }

    async fn complete(&self, upload: &Upload, parts: &BTreeMap<u32, String>) -> Result<(), CallError> {
        let parts: String = parts
            .iter()
            .map(|(number, etag)| {
                let etag = etag.replace('&', "&amp;").replace('<', "&lt;");
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
            })
            .collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let mut request = upload.request("CompleteMultipartUpload", Method::POST).body(body);
        request.time = Some(COPY_TIME);
        let answer = self.client.rest(request).await?;
        not_an_error(&answer, "CompleteMultipartUpload").map(drop)
    }
}

/// Why a file was not uploaded.
#[derive(Debug)]
pub enum UploadError {
    /// A call went wrong.
    Call(Box<CallError>),
    /// The file cannot be read.
    File(io::Error),
}

impl From<CallError> for UploadError {
    fn from(error: CallError) -> Self {
        Self::Call(Box::new(error))
    }
}

impl From<io::Error> for UploadError {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

#[derive(Clone)]
struct Upload {
    bucket: String,
    key: String,
    id: String,
}

impl Upload {
    fn request(&self, operation: &'static str, method: Method) -> RestRequest {
        RestRequest::object(operation, method, &self.bucket, &self.key).query("uploadId", self.id.clone())
    }
}

/// A part of an object: its number, from 1, and its first and last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    number: u32,
    first: u64,
    last: u64,
}

fn parts(size: u64, part: u64) -> Vec<Part> {
    (1..)
        .zip((0..size).step_by(usize::try_from(part).unwrap_or(usize::MAX)))
        .map(|(number, first)| Part { number, first, last: (first + part).min(size) - 1 })
        .collect()
}

fn time_for(bytes: u64) -> Duration {
    Duration::from_secs(20 + bytes / BYTES_PER_SECOND_MIN)
}

fn xml(answer: &RestAnswer) -> Option<Xml> {
    Xml::parse(&String::from_utf8_lossy(&answer.body)).ok()
}

fn not_an_error(answer: &RestAnswer, operation: &str) -> Result<Option<Xml>, CallError> {
    let Some(xml) = xml(answer) else { return Ok(None) };
    if xml.name != "Error" {
        return Ok(Some(xml));
    }
    let text = |name: &str| xml.text_of(name).unwrap_or_default();
    Err(CallError::Refused {
        service: Service::S3,
        operation: operation.to_owned(),
        code: text("Code"),
        message: text("Message"),
        // As S3 would have answered had it known in time.
        status: 500,
        details: Box::default(),
    })
}

fn unusable(operation: &str, reason: impl Into<String>) -> CallError {
    CallError::Unusable { service: Service::S3, operation: operation.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_every_byte_once() {
        let three = parts(25, 10);
        let ends: Vec<(u64, u64)> = three.iter().map(|part| (part.first, part.last)).collect();
        assert_eq!(ends, [(0, 9), (10, 19), (20, 24)]);
        assert_eq!(three.iter().map(|part| part.number).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(parts(20, 10).len(), 2);
    }

    #[test]
    fn what_is_copied_is_named_whole() {
        let from = Origin { bucket: "b", key: "a b/c+d.zip", version: Some("v=1"), size: 1 };
        assert_eq!(from.header(), "b/a%20b/c%2Bd.zip?versionId=v%3D1");
    }
}
