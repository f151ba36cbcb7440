//! A new object in parts.

use super::{
    Admitted, Objects, blocking, disk, document, no_content, take,
    write::{acknowledged, created, hex, wants_new},
};
use api::{
    s3::{
        DOCUMENT_BYTES_MAX, OBJECT_BYTES_MAX, S3Code, S3Error,
        checksum::{self, Algorithm, Hasher},
        xml::{self, Document, NamedPart},
    },
    sigv4::s3::Payload,
};
use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Response},
};
use engine::action::ArtifactLocation;
use local::artifacts::{ArtifactStore, Incoming, Notes, Part, Upload};
use md5::{Digest as _, Md5};
use std::io::{self, ErrorKind};

/// Bytes of every part but the last, fewest; S3's own bound.
const PART_BYTES_MIN: u64 = 5 << 20;

impl Objects {
    /// `CreateMultipartUpload`.
    pub(super) async fn begin_upload(&self, admitted: &Admitted) -> Result<Response<Body>, S3Error> {
        let (store, location) = (self.store.clone(), admitted.location());
        let upload = blocking(move || store.begin_upload(&location).map_err(disk)).await?;
        let target = &admitted.target;
        let answer = Document::new("InitiateMultipartUploadResult")
            .with("Bucket", &target.bucket)
            .with("Key", &target.key)
            .with("UploadId", upload.id);
        Ok(document(answer))
    }

    /// `UploadPart`.
    pub(super) async fn take_part(
        &self,
        admitted: Admitted,
        id: &str,
        number: u32,
        body: &mut Option<Body>,
    ) -> Result<Response<Body>, S3Error> {
        let _turn = self.turn()?;
        take::announced(&admitted.headers, &admitted.payload)?;
        let (store, location, id) = (self.store.clone(), admitted.location(), id.to_owned());
        let begin = move || {
            let upload = store.upload(&id, &location).map_err(gone)?;
            let incoming = upload.begin_part().map_err(gone)?;
            Ok((upload, incoming))
        };
        let (upload, incoming) = blocking(begin).await?;
        let body = body.take().unwrap_or_default();
        let taken = take::take(&admitted.headers, admitted.payload, body, incoming).await?;
        let etag = hex(&taken.md5);
        let named = etag.clone();
        blocking(move || upload.keep_part(&taken.incoming, number, &named).map_err(gone)).await?;
        acknowledged(&etag, taken.checksum)
    }

    /// `CompleteMultipartUpload`.
    pub(super) async fn complete_upload(
        &self,
        admitted: Admitted,
        id: String,
        body: &mut Option<Body>,
    ) -> Result<Response<Body>, S3Error> {
        let _turn = self.turn()?;
        let location = admitted.location();
        let Admitted { headers, payload, target, resource, .. } = admitted;
        let named = xml::named_parts(&small_body(body, payload).await?)?;
        let only_new = wants_new(&headers)?;
        let whole = whole_checksum(&headers)?;
        let store = self.store.clone();
        let work = move || complete(&store, &location, &id, &named, whole, only_new);
        let etag = blocking(work).await?;
        let answer = Document::new("CompleteMultipartUploadResult")
            .with("Location", resource)
            .with("Bucket", target.bucket)
            .with("Key", target.key)
            .with("ETag", format!("\"{etag}\""));
        Ok(document(answer))
    }

    /// `AbortMultipartUpload`.
    pub(super) async fn abort_upload(
        &self,
        admitted: &Admitted,
        id: String,
    ) -> Result<Response<Body>, S3Error> {
        let (store, location) = (self.store.clone(), admitted.location());
        blocking(move || store.upload(&id, &location).and_then(|upload| upload.remove()).map_err(gone))
            .await?;
        Ok(no_content())
    }

    /// `ListParts`: always all of them on one page.
    pub(super) async fn list_parts(
        &self,
        admitted: &Admitted,
        id: String,
    ) -> Result<Response<Body>, S3Error> {
        let (store, location) = (self.store.clone(), admitted.location());
        let named = id.clone();
        let list = move || store.upload(&named, &location).and_then(|upload| upload.parts()).map_err(gone);
        let parts = blocking(list).await?;
        let mut answer = Document::new("ListPartsResult")
            .with("Bucket", &admitted.target.bucket)
            .with("Key", &admitted.target.key)
            .with("UploadId", id)
            .with("MaxParts", parts.len())
            .with("IsTruncated", false);
        for Part { number, etag, length, modified } in parts {
            let modified = jiff::Timestamp::try_from(modified).unwrap_or_default();
            let members = [
                ("PartNumber", number.to_string()),
                ("LastModified", modified.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()),
                ("ETag", format!("\"{etag}\"")),
                ("Size", length.to_string()),
            ];
            answer.group("Part", &members.each_ref().map(|(name, text)| (*name, text.as_str())));
        }
        Ok(document(answer))
    }
}

/// Makes the object of the parts that were named; returns its ETag.
fn complete(
    store: &ArtifactStore,
    location: &ArtifactLocation,
    id: &str,
    named: &[NamedPart],
    whole: Option<(Algorithm, String)>,
    only_new: bool,
) -> Result<String, S3Error> {
    let etag = etag_of(named)?;
    let upload = match store.upload(id, location) {
        Ok(upload) => upload,
        // Completed before, and the answer was lost.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let same = store.open(location).is_ok_and(|stored| stored.notes.etag == etag);
            return if same { Ok(etag) } else { Err(gone(error)) };
        }
        Err(error) => return Err(disk(error)),
    };
    let parts = chosen(&upload, named)?;
    let mut incoming = upload.join(&parts).map_err(gone)?;
    if let Some((algorithm, wanted)) = &whole {
        check_whole(&mut incoming, *algorithm, wanted)?;
    }
    let notes =
        Notes { etag, checksum: whole.map(|(algorithm, value)| (algorithm.name().to_owned(), value)) };
    let etag = created(store, location, &incoming, notes, only_new)?;
    drop(incoming);
    if let Err(error) = upload.remove() {
        // The object is there; what is left of the upload is swept later.
        tracing::debug!(%error, "the parts of an upload could not be removed");
    }
    Ok(etag)
}

/// As on S3: the MD5 of the parts' MD5s, and how many there are.
fn etag_of(named: &[NamedPart]) -> Result<String, S3Error> {
    let mut md5 = Md5::new();
    for part in named {
        let etag = &part.etag;
        let bytes = (0..16).map(|at| u8::from_str_radix(etag.get(2 * at..2 * at + 2)?, 16).ok());
        let bytes: Option<Vec<u8>> = bytes.collect();
        md5.update(bytes.filter(|_| etag.len() == 32).ok_or_else(|| not_there(part.number))?);
    }
    Ok(format!("{}-{}", hex(&md5.finalize()), named.len()))
}

fn chosen(upload: &Upload, named: &[NamedPart]) -> Result<Vec<Part>, S3Error> {
    let there = upload.parts().map_err(gone)?;
    let mut chosen = Vec::with_capacity(named.len());
    for NamedPart { number, etag } in named {
        let found = there.iter().find(|part| part.number == *number && part.etag.eq_ignore_ascii_case(etag));
        chosen.push(found.ok_or_else(|| not_there(*number))?.clone());
    }
    let small = chosen.iter().rev().skip(1).find(|part| part.length < PART_BYTES_MIN);
    if let Some(part) = small {
        let text = format!(
            "Your proposed upload is smaller than the minimum allowed size: part {} has {} bytes",
            part.number, part.length
        );
        return Err(S3Error::new(S3Code::EntityTooSmall, text));
    }
    let bytes: u64 = chosen.iter().map(|part| part.length).sum();
    if bytes > OBJECT_BYTES_MAX {
        let text = format!("The parts together have {bytes} bytes, more than {OBJECT_BYTES_MAX}");
        return Err(S3Error::new(S3Code::EntityTooLarge, text));
    }
    Ok(chosen)
}

/// The checksum of all of the content, if one was sent. One that is made of the parts' own (`...-3`) says nothing
/// that was not checked part by part.
fn whole_checksum(headers: &HeaderMap) -> Result<Option<(Algorithm, String)>, S3Error> {
    let declared = checksum::declared(headers)?.checksum;
    let whole = declared.and_then(|(algorithm, value)| Some((algorithm, value?)));
    Ok(whole.filter(|(_, value)| !value.contains('-')))
}

fn check_whole(incoming: &mut Incoming, algorithm: Algorithm, wanted: &str) -> Result<(), S3Error> {
    let mut hasher = Hasher::new(algorithm);
    incoming.read_through(|bytes| hasher.update(bytes)).map_err(disk)?;
    if hasher.finish() == wanted {
        return Ok(());
    }
    let text = format!("The {} you specified did not match the calculated checksum", algorithm.name());
    Err(S3Error::new(S3Code::BadDigest, text))
}

/// A body that is small by its nature.
async fn small_body(body: &mut Option<Body>, payload: Payload) -> Result<Vec<u8>, S3Error> {
    let body = body.take().unwrap_or_default();
    let text = format!("The body broke off, or has more than {DOCUMENT_BYTES_MAX} bytes");
    let read = tokio::time::timeout(take::PAUSE_SECONDS_MAX, to_bytes(body, DOCUMENT_BYTES_MAX)).await;
    let bytes = read.ok().and_then(Result::ok).ok_or_else(|| S3Error::new(S3Code::IncompleteBody, text))?;
    match payload {
        Payload::Unsigned => {}
        Payload::Hash(wanted) => {
            if hex(&sha2::Sha256::digest(&bytes)) != wanted {
                let text = "The provided x-amz-content-sha256 header does not match what was computed";
                return Err(S3Error::new(S3Code::XAmzContentSHA256Mismatch, text));
            }
        }
        Payload::Chunked { .. } => {
            let text = "A list of parts comes as it is, not in the form `aws-chunked`";
            return Err(S3Error::new(S3Code::InvalidRequest, text));
        }
    }
    Ok(bytes.to_vec())
}

fn not_there(number: u32) -> S3Error {
    let text =
        format!("One or more of the specified parts could not be found: part {number}, with that ETag");
    S3Error::new(S3Code::InvalidPart, text)
}

/// What the disk said of an upload.
fn gone(error: io::Error) -> S3Error {
    if error.kind() == ErrorKind::NotFound {
        let text = "The specified upload does not exist: it was completed or aborted, or is older than a day";
        return S3Error::new(S3Code::NoSuchUpload, text);
    }
    disk(error)
}
