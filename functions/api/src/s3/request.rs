//! Which call a request is.

use super::{S3Code, S3Error};
use crate::sigv4::percent_decoded;
use http::{HeaderMap, Method, Uri, header::HOST};

/// Numbers of parts, most; S3's own bound.
pub const PARTS_MAX: u32 = 10_000;
/// Keys of one page of a listing, most; S3's own bound.
const PAGE_KEYS_MAX: usize = 1000;
/// What a host that names a bucket ends with, the more exact first.
const VIRTUAL_HOSTS: [&str; 2] = [".s3.localhost", ".localhost"];
/// Parameters that ask for a part of S3 that is not here, or for what has no meaning here.
const SUBRESOURCES: [&str; 30] = [
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "logging",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "versions",
    "website",
];

/// What a request is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// The bucket; empty when none is named.
    pub bucket: String,
    /// The key; empty when none is named.
    pub key: String,
}

impl Target {
    /// Reads `/bucket/key`, or `/key` at the host `bucket.localhost` or `bucket.s3.localhost`.
    ///
    /// # Errors
    /// `InvalidURI` when it is not UTF-8.
    pub fn of(uri: &Uri, headers: &HeaderMap) -> Result<Self, S3Error> {
        let path = uri.path().strip_prefix('/').unwrap_or_default();
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if let Some(bucket) = bucket_of(host) {
            return Ok(Self { bucket: bucket.to_owned(), key: text(path)? });
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        Ok(Self { bucket: text(bucket)?, key: text(key)? })
    }
}

/// The bucket that a host names, if it does.
fn bucket_of(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let bucket = VIRTUAL_HOSTS.iter().find_map(|end| name.strip_suffix(end))?;
    (!bucket.is_empty() && bucket != "s3").then_some(bucket)
}

fn text(encoded: &str) -> Result<String, S3Error> {
    String::from_utf8(percent_decoded(encoded))
        .map_err(|_| S3Error::new(S3Code::InvalidURI, "Could not parse the specified URI: it is not UTF-8"))
}

/// The parameters of a request, decoded.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads them.
    ///
    /// # Errors
    /// `InvalidURI` when one is not UTF-8.
    pub fn of(uri: &Uri) -> Result<Self, S3Error> {
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.map(|(name, value)| Ok((text(name)?, text(value)?))).collect::<Result<_, _>>().map(Self)
    }

    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A page of keys that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// What every key begins with.
    pub prefix: String,
    /// Whether keys are grouped by what stands before their next `/`.
    pub grouped: bool,
    /// Only what comes behind this, in the order of bytes.
    pub after: String,
    /// Keys and groups together, most.
    pub max: usize,
    /// Whether names in the answer are percent-encoded.
    pub encoded: bool,
    /// The first version of the call, which pages by `marker`.
    pub first_version: bool,
}

/// The calls that are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Names of buckets.
    ListBuckets,
    /// Whether a bucket is there.
    HeadBucket,
    /// The Region of a bucket.
    GetBucketLocation,
    /// Whether versions are kept: they are not.
    GetBucketVersioning,
    /// Keys of a bucket.
    ListObjects(Listing),
    /// An object's content.
    GetObject,
    /// What is known of an object.
    HeadObject,
    /// A new object.
    PutObject,
    /// A new object in parts: begins.
    CreateMultipartUpload,
    /// One part.
    UploadPart {
        /// The upload's id.
        upload: String,
        /// From 1 to [`PARTS_MAX`].
        number: u32,
    },
    /// The parts become the object.
    CompleteMultipartUpload {
        /// The upload's id.
        upload: String,
    },
    /// The parts are thrown away.
    AbortMultipartUpload {
        /// The upload's id.
        upload: String,
    },
    /// Which parts are there.
    ListParts {
        /// The upload's id.
        upload: String,
    },
}

impl Call {
    /// Which call it is.
    ///
    /// # Errors
    /// `MethodNotAllowed` for what an append-only store will never do, `NotImplemented` for the rest of S3,
    /// `InvalidArgument` for a parameter that cannot be.
    pub fn of(method: &Method, target: &Target, query: &Query, headers: &HeaderMap) -> Result<Self, S3Error> {
        if let Some(name) = SUBRESOURCES.iter().find(|name| query.get(name).is_some()) {
            return Err(not_here(&format!("`?{name}`")));
        }
        match (target.bucket.is_empty(), target.key.is_empty()) {
            (true, true) if method == Method::GET => Ok(Self::ListBuckets),
            (true, _) => {
                Err(S3Error::new(S3Code::InvalidRequest, "The path must begin with a bucket's name"))
            }
            (false, true) => of_bucket(method, query),
            (false, false) => of_object(method, query, headers),
        }
    }
}

fn of_bucket(method: &Method, query: &Query) -> Result<Call, S3Error> {
    if query.get("uploads").is_some() {
        return Err(not_here("ListMultipartUploads"));
    }
    match *method {
        Method::HEAD => Ok(Call::HeadBucket),
        Method::GET if query.get("location").is_some() => Ok(Call::GetBucketLocation),
        Method::GET if query.get("versioning").is_some() => Ok(Call::GetBucketVersioning),
        Method::GET => listing(query).map(Call::ListObjects),
        Method::PUT => Err(S3Error::new(
            S3Code::MethodNotAllowed,
            "Buckets are not created by hand: an artifact store's bucket is there once its first artifact is",
        )),
        Method::DELETE => Err(never_deleted()),
        _ => Err(not_here("this call")),
    }
}

fn of_object(method: &Method, query: &Query, headers: &HeaderMap) -> Result<Call, S3Error> {
    let upload = query.get("uploadId").map(str::to_owned);
    match (method.as_str(), upload) {
        ("GET", Some(upload)) => Ok(Call::ListParts { upload }),
        ("PUT", Some(upload)) => {
            no_copy(headers)?;
            let number = query.get("partNumber").and_then(|number| number.parse().ok());
            let number = number.filter(|number| (1..=PARTS_MAX).contains(number)).ok_or_else(|| {
                argument(format!("`partNumber` must be an integer between 1 and {PARTS_MAX}"))
            })?;
            Ok(Call::UploadPart { upload, number })
        }
        ("POST", Some(upload)) => Ok(Call::CompleteMultipartUpload { upload }),
        ("DELETE", Some(upload)) => Ok(Call::AbortMultipartUpload { upload }),
        ("POST", None) if query.get("uploads").is_some() => Ok(Call::CreateMultipartUpload),
        ("GET", None) | ("HEAD", None) => {
            if query.get("versionId").is_some_and(|version| version != "null") {
                return Err(argument(
                    "Invalid version id specified: versions are not kept, there is only `null`",
                ));
            }
            if query.get("partNumber").is_some() {
                return Err(not_here("reading a single part"));
            }
            Ok(if method == Method::GET { Call::GetObject } else { Call::HeadObject })
        }
        ("PUT", None) => no_copy(headers).map(|()| Call::PutObject),
        ("DELETE", None) => Err(never_deleted()),
        _ => Err(not_here("this call")),
    }
}

fn listing(query: &Query) -> Result<Listing, S3Error> {
    let first_version = query.get("list-type") != Some("2");
    let grouped = match query.get("delimiter").unwrap_or_default() {
        "" => false,
        "/" => true,
        other => return Err(not_here(&format!("the delimiter `{other}`"))),
    };
    let max = match query.get("max-keys") {
        None => PAGE_KEYS_MAX,
        Some(text) => {
            text.parse::<usize>().map_err(|_| argument("`max-keys` must be a number"))?.min(PAGE_KEYS_MAX)
        }
    };
    let encoded = match query.get("encoding-type") {
        None => false,
        Some("url") => true,
        Some(_) => return Err(argument("`encoding-type` can only be `url`")),
    };
    let after = match first_version {
        true => query.get("marker"),
        // Our token is the name itself: it needs no memory, and tells nothing new.
        false => query.get("continuation-token").or_else(|| query.get("start-after")),
    };
    Ok(Listing {
        prefix: query.get("prefix").unwrap_or_default().to_owned(),
        grouped,
        after: after.unwrap_or_default().to_owned(),
        max,
        encoded,
        first_version,
    })
}

fn no_copy(headers: &HeaderMap) -> Result<(), S3Error> {
    if headers.contains_key("x-amz-copy-source") {
        return Err(not_here("copying an object"));
    }
    let own_key =
        headers.keys().any(|name| name.as_str().starts_with("x-amz-server-side-encryption-customer-"));
    // To take the content and drop the key would leave it unencrypted without a word.
    if own_key { Err(not_here("encryption with a customer's key")) } else { Ok(()) }
}

fn never_deleted() -> S3Error {
    S3Error::new(S3Code::MethodNotAllowed, "Artifacts are written once and never deleted")
}

fn not_here(what: &str) -> S3Error {
    S3Error::new(
        S3Code::NotImplemented,
        format!("Towpath's artifact store does not have this part of S3: {what}"),
    )
}

fn argument(message: impl Into<String>) -> S3Error {
    S3Error::new(S3Code::InvalidArgument, message)
}
