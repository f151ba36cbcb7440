//! The artifact store over the S3 protocol, on the same port as the API: for job workers, with what they were lent
//! for a job, and for the owner of the key pair, who may read everything.
//!
//! Requests are judged here: whose they are, which call, whether the caller may. The modules below carry them out.

mod listing;
mod parts;
mod read;
mod take;
mod write;

use crate::credentials::KeyPair;
use api::{
    s3::{Call, Query, S3Code, S3Error, Target, xml::Document},
    sigv4::s3::{self, Payload},
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header},
};
use engine::{action::ArtifactLocation, ports::Clock as _};
use local::{
    artifact_access::{Lent, LocalArtifactAccess, NotLent},
    artifacts::ArtifactStore,
    world::SystemClock,
};
use std::{
    io::{self, ErrorKind},
    sync::Arc,
};
use tokio::sync::Semaphore;

/// Objects and parts that are taken in at the same time, most.
const UPLOADS_AT_ONCE_MAX: usize = 64;

/// The store, and who may use it. Clones share everything.
#[derive(Clone)]
pub struct Objects {
    store: ArtifactStore,
    access: Arc<LocalArtifactAccess>,
    owner: Arc<KeyPair>,
    region: String,
    uploads: Arc<Semaphore>,
}

/// Who calls.
enum Caller {
    /// The installation's own key pair.
    Owner,
    /// A worker, with what a job lends it.
    Worker(Lent),
}

/// A request that was let in.
struct Admitted {
    target: Target,
    headers: HeaderMap,
    payload: Payload,
    resource: String,
}

impl Admitted {
    fn location(&self) -> ArtifactLocation {
        ArtifactLocation { bucket: self.target.bucket.clone(), key: self.target.key.clone() }
    }
}

/// Whether a request is for the store: it has a path, or is signed for S3. The API is at `POST /`.
pub fn is_meant(request: &Request<Body>) -> bool {
    request.uri().path() != "/" || s3::is_meant(request)
}

impl Objects {
    /// Over this store, for this owner.
    pub fn new(
        store: ArtifactStore,
        access: Arc<LocalArtifactAccess>,
        owner: Arc<KeyPair>,
        region: &str,
    ) -> Self {
        let uploads = Arc::new(Semaphore::new(UPLOADS_AT_ONCE_MAX));
        Self { store, access, owner, region: region.to_owned(), uploads }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let request_id = uuid::Uuid::new_v4().to_string();
        let head_only = request.method() == Method::HEAD;
        let resource = request.uri().path().to_owned();
        let (parts, body) = request.into_parts();
        // Whoever waits for a word before it sends the body gets the refusal instead.
        let waits = parts.headers.contains_key(header::EXPECT);
        let mut body = Some(body);
        let answered = self.carry_out(Request::from_parts(parts, ()), &mut body, &resource).await;
        let mut response = answered.unwrap_or_else(|error| {
            tracing::debug!(%error, resource, request_id, "refused");
            refusal(&error, &resource, &request_id, head_only)
        });
        if let Some(body) = body.filter(|_| response.status().as_u16() >= 400) {
            if waits {
                // It may send the body all the same, and nobody would tell that from its next request.
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            } else {
                take::drain(body).await;
            }
        }
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("x-amz-request-id", id);
        }
        response
    }

    async fn carry_out(
        &self,
        request: Request<()>,
        body: &mut Option<Body>,
        resource: &str,
    ) -> Result<Response<Body>, S3Error> {
        let query = Query::of(request.uri())?;
        let target = Target::of(request.uri(), request.headers())?;
        let (payload, caller) =
            s3::verify(&request, &query, jiff::Timestamp::now(), |key, token| self.secret_of(key, token))?;
        let call = Call::of(request.method(), &target, &query, request.headers())?;
        self.check_may(&caller, &call, &target)?;
        let (parts, ()) = request.into_parts();
        let admitted = Admitted { target, headers: parts.headers, payload, resource: resource.to_owned() };
        match call {
            Call::ListBuckets => self.list_buckets().await,
            Call::HeadBucket => Ok(Response::new(Body::empty())),
            Call::GetBucketLocation => Ok(document(self.location_document())),
            Call::GetBucketVersioning => Ok(document(Document::new("VersioningConfiguration"))),
            Call::ListObjects(listing) => self.list_objects(&admitted, listing).await,
            Call::GetObject => self.get(&admitted, true).await,
            Call::HeadObject => self.get(&admitted, false).await,
            Call::PutObject => self.put(admitted, body).await,
            Call::CreateMultipartUpload => self.begin_upload(&admitted).await,
            Call::UploadPart { upload, number } => self.take_part(admitted, &upload, number, body).await,
            Call::CompleteMultipartUpload { upload } => self.complete_upload(admitted, upload, body).await,
            Call::AbortMultipartUpload { upload } => self.abort_upload(&admitted, upload).await,
            Call::ListParts { upload } => self.list_parts(&admitted, upload).await,
        }
    }

    fn secret_of(&self, key: &str, token: Option<&str>) -> Result<(String, Caller), S3Error> {
        let Some(token) = token else {
            if key == self.owner.access_key {
                return Ok((self.owner.secret.clone(), Caller::Owner));
            }
            let text = "The AWS access key id you provided is not known here, or lacks its session token";
            return Err(S3Error::new(S3Code::InvalidAccessKeyId, text));
        };
        match self.access.check(key, token, SystemClock.now()) {
            Ok(lent) => Ok((lent.secret.clone(), Caller::Worker(lent))),
            Err(NotLent::Expired) => Err(S3Error::new(
                S3Code::ExpiredToken,
                "The provided token has expired. Ask for the job's details again to get a fresh one",
            )),
            Err(error @ NotLent::Unknown) => Err(S3Error::new(
                S3Code::InvalidToken,
                format!("The provided token is malformed or otherwise invalid: {error}"),
            )),
        }
    }

    fn check_may(&self, caller: &Caller, call: &Call, target: &Target) -> Result<(), S3Error> {
        let at = ArtifactLocation { bucket: target.bucket.clone(), key: target.key.clone() };
        let denied = |words: &str| Err(S3Error::new(S3Code::AccessDenied, format!("Access Denied: {words}")));
        match (call, caller) {
            (Call::ListBuckets, Caller::Owner) => Ok(()),
            (Call::ListBuckets | Call::ListObjects(_), Caller::Worker(_)) => {
                denied("the credentials of a job list nothing; its details name the artifacts")
            }
            (
                Call::HeadBucket | Call::GetBucketLocation | Call::GetBucketVersioning,
                Caller::Worker(lent),
            ) => match lent.knows_bucket(&at.bucket) {
                true => Ok(()),
                false => denied("none of the job's artifacts lies in this bucket"),
            },
            (Call::GetObject | Call::HeadObject, Caller::Worker(lent)) => match lent.may_read(&at) {
                true => Ok(()),
                false => denied("this is none of the job's artifacts"),
            },
            (
                Call::HeadBucket
                | Call::GetBucketLocation
                | Call::GetBucketVersioning
                | Call::ListObjects(_)
                | Call::GetObject
                | Call::HeadObject,
                Caller::Owner,
            ) => match self.store.has_bucket(&at.bucket) {
                true => Ok(()),
                false => Err(S3Error::new(
                    S3Code::NoSuchBucket,
                    "The specified bucket does not exist: no pipeline has stored an artifact in it yet",
                )),
            },
            (
                Call::PutObject
                | Call::CreateMultipartUpload
                | Call::UploadPart { .. }
                | Call::CompleteMultipartUpload { .. }
                | Call::AbortMultipartUpload { .. }
                | Call::ListParts { .. },
                caller,
            ) => match caller {
                Caller::Worker(lent) if lent.may_write(&at) => Ok(()),
                Caller::Worker(_) => denied("this is none of the job's output artifacts"),
                Caller::Owner => denied("artifacts are written with the credentials of a job"),
            },
        }
    }

    fn location_document(&self) -> Document {
        // As S3 has it, the oldest Region has no name.
        let region = if self.region == "us-east-1" { "" } else { &self.region };
        Document::of_text("LocationConstraint", region)
    }
}

fn document(document: Document) -> Response<Body> {
    let mut response = Response::new(Body::from(document.finish()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

fn refusal(error: &S3Error, resource: &str, request_id: &str, head_only: bool) -> Response<Body> {
    let bodiless = head_only || error.code == S3Code::NotModified;
    let text = if bodiless { String::new() } else { error.document(resource, request_id) };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = error.code.status();
    if error.code == S3Code::MethodNotAllowed {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, PUT, POST"));
    }
    if !bodiless {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    }
    response
}

fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// What the disk said, in S3's words.
fn disk(error: io::Error) -> S3Error {
    match error.kind() {
        ErrorKind::NotFound => {
            S3Error::new(S3Code::NoSuchKey, format!("The specified key does not exist: {error}"))
        }
        ErrorKind::InvalidInput => S3Error::new(S3Code::InvalidArgument, error.to_string()),
        ErrorKind::InvalidFilename => S3Error::new(
            S3Code::KeyTooLongError,
            "Your key is too long, or has a part that is too long for a file's name",
        ),
        ErrorKind::QuotaExceeded => S3Error::new(S3Code::SlowDown, error.to_string()),
        ErrorKind::StorageFull => {
            S3Error::new(S3Code::InsufficientStorage, "The disk of the artifact store is full")
        }
        _ => {
            // The words may name places of this machine, which are nobody's business but its owner's.
            tracing::error!(%error, "the artifact store did not answer");
            S3Error::new(
                S3Code::InternalError,
                "The artifact store did not answer; see the server's own output",
            )
        }
    }
}

/// Works with the disk beside the others' requests.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, S3Error> + Send + 'static,
) -> Result<T, S3Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "work with the artifact store broke off");
        Err(S3Error::new(S3Code::InternalError, "The request broke off"))
    })
}
