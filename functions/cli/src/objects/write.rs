//! A new object in one request.

use super::{
    Admitted, Objects, blocking, disk,
    read::{name, put},
    take::{self, announced},
};
use api::s3::{S3Code, S3Error, checksum::Algorithm};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, Response, header},
};
use engine::action::ArtifactLocation;
use local::artifacts::{ArtifactStore, Incoming, Notes, Put};
use tokio::sync::SemaphorePermit;

impl Objects {
    /// `PutObject`.
    pub(super) async fn put(
        &self,
        admitted: Admitted,
        body: &mut Option<Body>,
    ) -> Result<Response<Body>, S3Error> {
        let _turn = self.turn()?;
        let (store, location) = (self.store.clone(), admitted.location());
        let length = announced(&admitted.headers, &admitted.payload)?;
        let only_new = wants_new(&admitted.headers)?;
        let begin = move || {
            let path = store.path(&location).map_err(disk)?;
            // Refused before a byte is sent, where that much is certain.
            if path.exists() && (only_new || path.metadata().map_err(disk)?.len() != length) {
                return Err(taken());
            }
            Ok((Incoming::begin(&store).map_err(disk)?, location))
        };
        let (incoming, location) = blocking(begin).await?;
        let body = body.take().unwrap_or_default();
        let taken = take::take(&admitted.headers, admitted.payload, body, incoming).await?;
        let notes = Notes {
            etag: hex(&taken.md5),
            checksum: taken
                .checksum
                .as_ref()
                .map(|(algorithm, value)| (algorithm.name().to_owned(), value.clone())),
        };
        let store = self.store.clone();
        let etag = blocking(move || created(&store, &location, &taken.incoming, notes, only_new)).await?;
        acknowledged(&etag, taken.checksum)
    }

    pub(super) fn turn(&self) -> Result<SemaphorePermit<'_>, S3Error> {
        let text = "Please reduce your request rate: too many uploads at once";
        self.uploads.try_acquire().map_err(|_| S3Error::new(S3Code::SlowDown, text))
    }
}

/// Makes the object; returns the ETag it has from now on.
pub(super) fn created(
    store: &ArtifactStore,
    location: &ArtifactLocation,
    incoming: &Incoming,
    notes: Notes,
    only_new: bool,
) -> Result<String, S3Error> {
    match store.create(location, incoming, &notes).map_err(disk)? {
        Put::New => Ok(notes.etag),
        // Somebody did not hear the answer and tried again.
        Put::Same if !only_new => Ok(notes.etag),
        Put::Same | Put::Taken => Err(taken()),
    }
}

/// Whether the request is only for a key that is not written yet.
pub(super) fn wants_new(headers: &HeaderMap) -> Result<bool, S3Error> {
    if headers.contains_key(header::IF_MATCH) {
        return Err(taken());
    }
    match headers.get(header::IF_NONE_MATCH).map(axum::http::HeaderValue::as_bytes) {
        None => Ok(false),
        Some(b"*") => Ok(true),
        Some(_) => {
            let text = "`If-None-Match` of a write can only be `*`";
            Err(S3Error::new(S3Code::NotImplemented, text))
        }
    }
}

/// Every write is treated as if it had `If-None-Match: *`, so its refusal is the same.
fn taken() -> S3Error {
    S3Error::new(
        S3Code::PreconditionFailed,
        "This key is written already, or one that is a folder for it: an artifact is written once and never replaced",
    )
}

pub(super) fn acknowledged(
    etag: &str,
    checksum: Option<(Algorithm, String)>,
) -> Result<Response<Body>, S3Error> {
    let mut response = Response::new(Body::empty());
    put(&mut response, header::ETAG, &format!("\"{etag}\""))?;
    if let Some((algorithm, value)) = checksum {
        put(&mut response, name(&algorithm.header())?, &value)?;
        put(&mut response, HeaderName::from_static("x-amz-checksum-type"), "FULL_OBJECT")?;
    }
    Ok(response)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
