//! Taking a body in: onto the disk as it comes, with every check it was announced with.

use super::{blocking, disk};
use api::{
    s3::{
        OBJECT_BYTES_MAX, S3Code, S3Error,
        checksum::{self, Algorithm, Hasher},
        chunked::{Chunked, Trailers},
    },
    sigv4::s3::Payload,
};
use axum::{
    body::{Body, HttpBody as _},
    http::{HeaderMap, header},
};
use bytes::Bytes;
use local::artifacts::Incoming;
use md5::{Digest as _, Md5};
use sha2::Sha256;
use std::{future::poll_fn, pin::Pin, time::Duration};

/// How long a body may pause.
pub(super) const PAUSE_SECONDS_MAX: Duration = Duration::from_secs(60);
/// Bytes gathered before they are hashed and written; as many more are being written meanwhile.
const GATHERED_BYTES: usize = 1 << 20;
/// Bytes of a refused body that are read nevertheless, so that its sender comes to read the refusal.
const DRAINED_BYTES_MAX: usize = 16 << 20;
/// How long that may take.
const DRAINED_SECONDS_MAX: Duration = Duration::from_secs(5);

/// What was taken in, and agrees with all that was said of it.
pub(super) struct Taken {
    pub(super) incoming: Incoming,
    pub(super) md5: [u8; 16],
    /// The checksum that its sender named.
    pub(super) checksum: Option<(Algorithm, String)>,
}

/// The length of the content that a request announces.
pub(super) fn announced(headers: &HeaderMap, payload: &Payload) -> Result<u64, S3Error> {
    let name = match payload {
        Payload::Chunked { .. } => "x-amz-decoded-content-length",
        Payload::Unsigned | Payload::Hash(_) => header::CONTENT_LENGTH.as_str(),
    };
    let length = headers.get(name).and_then(|value| value.to_str().ok()?.parse().ok());
    let length = length.ok_or_else(|| {
        S3Error::new(S3Code::MissingContentLength, format!("You must provide the HTTP header {name}"))
    })?;
    if length > OBJECT_BYTES_MAX {
        let text =
            format!("Your proposed upload exceeds the maximum allowed size of {OBJECT_BYTES_MAX} bytes");
        return Err(S3Error::new(S3Code::EntityTooLarge, text));
    }
    Ok(length)
}

/// Takes a body into a file.
pub(super) async fn take(
    headers: &HeaderMap,
    payload: Payload,
    body: Body,
    incoming: Incoming,
) -> Result<Taken, S3Error> {
    let length = announced(headers, &payload)?;
    let declared = checksum::declared(headers)?;
    let sink = Sink {
        incoming,
        md5: Md5::new(),
        sha256: matches!(payload, Payload::Hash(_)).then(Sha256::new),
        checksum: declared.checksum.as_ref().map(|(algorithm, _)| (*algorithm, Hasher::new(*algorithm))),
        length: 0,
    };
    let (sink, trailers) = pour(body, &payload, sink).await?;
    if sink.length != length {
        let text =
            format!("You did not provide the number of bytes you announced: {} of {length}", sink.length);
        return Err(S3Error::new(S3Code::IncompleteBody, text));
    }
    let Sink { incoming, md5, sha256, checksum: hasher, .. } = sink;
    if let (Payload::Hash(wanted), Some(hash)) = (&payload, sha256) {
        let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if *wanted != found {
            let text = "The provided x-amz-content-sha256 header does not match what was computed";
            return Err(S3Error::new(S3Code::XAmzContentSHA256Mismatch, text));
        }
    }
    let md5: [u8; 16] = md5.finalize().into();
    if declared.md5.is_some_and(|wanted| wanted != md5) {
        return Err(S3Error::new(
            S3Code::BadDigest,
            "The Content-MD5 you specified did not match what we received",
        ));
    }
    let mut agreed = None;
    if let (Some((algorithm, hasher)), Some((_, value))) = (hasher, declared.checksum) {
        let wanted = match value {
            Some(value) => value,
            None => trailed(&trailers, algorithm)?,
        };
        let found = hasher.finish();
        if found != wanted {
            let text =
                format!("The {} you specified did not match the calculated checksum", algorithm.name());
            return Err(S3Error::new(S3Code::BadDigest, text));
        }
        agreed = Some((algorithm, found));
    }
    Ok(Taken { incoming, md5, checksum: agreed })
}

/// Reads and forgets the rest of a refused body.
pub(super) async fn drain(mut body: Body) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DRAINED_BYTES_MAX {
                return;
            }
        }
    };
    // Whoever takes longer may lose the refusal, not more.
    let _ = tokio::time::timeout(DRAINED_SECONDS_MAX, reading).await;
}

fn trailed(trailers: &Trailers, algorithm: Algorithm) -> Result<String, S3Error> {
    let name = algorithm.header();
    let found = trailers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    found.ok_or_else(|| {
        S3Error::new(S3Code::InvalidRequest, format!("The trailer was announced and did not come: {name}"))
    })
}

struct Sink {
    incoming: Incoming,
    md5: Md5,
    sha256: Option<Sha256>,
    checksum: Option<(Algorithm, Hasher)>,
    length: u64,
}

impl Sink {
    fn add(mut self, pieces: &[Bytes]) -> Result<Self, S3Error> {
        for piece in pieces {
            self.length += piece.len() as u64;
            if self.length > OBJECT_BYTES_MAX {
                return Err(S3Error::new(
                    S3Code::EntityTooLarge,
                    "Your upload exceeds the maximum allowed size",
                ));
            }
            self.md5.update(piece);
            if let Some(hash) = &mut self.sha256 {
                hash.update(piece);
            }
            if let Some((_, hasher)) = &mut self.checksum {
                hasher.update(piece);
            }
            self.incoming.write(piece).map_err(disk)?;
        }
        Ok(self)
    }
}

async fn pour(mut body: Body, payload: &Payload, sink: Sink) -> Result<(Sink, Trailers), S3Error> {
    let mut chunked = match payload {
        Payload::Chunked { signatures, has_trailer } => Some(Chunked::new(signatures.clone(), *has_trailer)),
        Payload::Unsigned | Payload::Hash(_) => None,
    };
    let mut writing = tokio::spawn(std::future::ready(Ok(sink)));
    let mut gathered: Vec<Bytes> = Vec::new();
    let mut waiting = 0;
    while let Some(piece) = next(&mut body).await? {
        let before = gathered.len();
        match &mut chunked {
            Some(chunked) => chunked.feed(piece, &mut gathered)?,
            None => gathered.push(piece),
        }
        waiting += gathered[before..].iter().map(Bytes::len).sum::<usize>();
        if waiting >= GATHERED_BYTES {
            let (sink, pieces) = (joined(writing).await?, std::mem::take(&mut gathered));
            waiting = 0;
            writing = tokio::spawn(blocking(move || sink.add(&pieces)));
        }
    }
    let sink = joined(writing).await?;
    let sink = blocking(move || sink.add(&gathered)).await?;
    Ok((sink, chunked.map_or(Ok(Trailers::new()), Chunked::end)?))
}

async fn joined(writing: tokio::task::JoinHandle<Result<Sink, S3Error>>) -> Result<Sink, S3Error> {
    writing.await.unwrap_or_else(|error| Err(S3Error::new(S3Code::InternalError, error.to_string())))
}

/// The next piece of a body; `None` at its end.
async fn next(body: &mut Body) -> Result<Option<Bytes>, S3Error> {
    loop {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        let frame = tokio::time::timeout(PAUSE_SECONDS_MAX, frame).await.map_err(|_| {
            let text = "Your socket connection to the server was not written to within the timeout period";
            S3Error::new(S3Code::RequestTimeout, text)
        })?;
        match frame {
            None => return Ok(None),
            Some(Ok(frame)) => {
                // Trailers of HTTP itself say nothing here.
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
            Some(Err(error)) => {
                let text = format!("The request's body broke off: {error}");
                return Err(S3Error::new(S3Code::IncompleteBody, text));
            }
        }
    }
}
