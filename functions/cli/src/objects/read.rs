//! Reading an object, or a part of it, without ever holding it whole.

use super::{Admitted, Objects, blocking, disk};
use api::s3::{Conditions, Met, S3Code, S3Error, checksum::Algorithm, http_date};
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use local::artifacts::Stored;
use std::{
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::task::JoinHandle;

/// Bytes read at a time; twice as many are in memory for each reader.
const PIECE_BYTES: u64 = 256 << 10;

impl Objects {
    /// `GetObject`, and `HeadObject` without the content.
    pub(super) async fn get(&self, admitted: &Admitted, content: bool) -> Result<Response<Body>, S3Error> {
        let (store, location) = (self.store.clone(), admitted.location());
        let stored = blocking(move || store.open(&location).map_err(disk)).await?;
        let modified = jiff::Timestamp::try_from(stored.modified)
            .map_err(|error| S3Error::new(S3Code::InternalError, error.to_string()))?;
        let conditions = Conditions(&admitted.headers);
        let etag = &stored.notes.etag;
        match conditions.of_reading(etag, modified) {
            Met::Yes => {}
            // It goes without a body, and with the ETag: S3 has it as an error.
            Met::NotModified => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                put(&mut response, header::ETAG, &format!("\"{etag}\""))?;
                return Ok(response);
            }
            Met::No => {
                let text = "At least one of the pre-conditions you specified did not hold";
                return Err(S3Error::new(S3Code::PreconditionFailed, text));
            }
        }
        let range = conditions.range(etag, stored.length)?;
        let mut response = described(&stored, modified, admitted, range.as_ref())?;
        if content {
            let range = range.unwrap_or(0..stored.length);
            *response.body_mut() = Body::new(Content::new(stored.file, range));
        }
        Ok(response)
    }
}

fn described(
    stored: &Stored,
    modified: jiff::Timestamp,
    admitted: &Admitted,
    range: Option<&Range<u64>>,
) -> Result<Response<Body>, S3Error> {
    let mut response = Response::new(Body::empty());
    put(&mut response, header::ETAG, &format!("\"{}\"", stored.notes.etag))?;
    put(&mut response, header::LAST_MODIFIED, &http_date(modified))?;
    put(&mut response, header::ACCEPT_RANGES, "bytes")?;
    put(&mut response, header::CONTENT_TYPE, "binary/octet-stream")?;
    let length = range.map_or(stored.length, |range| range.end - range.start);
    put(&mut response, header::CONTENT_LENGTH, &length.to_string())?;
    match range {
        Some(range) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let text = format!("bytes {}-{}/{}", range.start, range.end - 1, stored.length);
            put(&mut response, header::CONTENT_RANGE, &text)?;
        }
        // A checksum is of the whole, so it would be wrong of a part.
        None if admitted.headers.get("x-amz-checksum-mode").is_some_and(|mode| mode == "ENABLED") => {
            let checksum = stored.notes.checksum.as_ref();
            let known = checksum.and_then(|(name, value)| Some((Algorithm::parse(name)?, value)));
            if let Some((algorithm, value)) = known {
                put(&mut response, name(&algorithm.header())?, value)?;
                put(&mut response, HeaderName::from_static("x-amz-checksum-type"), "FULL_OBJECT")?;
            }
        }
        None => {}
    }
    Ok(response)
}

pub(super) fn name(text: &str) -> Result<HeaderName, S3Error> {
    HeaderName::try_from(text).map_err(|error| S3Error::new(S3Code::InternalError, error.to_string()))
}

pub(super) fn put(response: &mut Response<Body>, name: HeaderName, text: &str) -> Result<(), S3Error> {
    let value = HeaderValue::from_str(text)
        .map_err(|error| S3Error::new(S3Code::InternalError, error.to_string()))?;
    response.headers_mut().insert(name, value);
    Ok(())
}

/// A piece of a file as a body: one piece is on its way to the reader while the next is read.
struct Content {
    file: Arc<File>,
    /// What was not asked of the disk yet.
    left: Range<u64>,
    /// What was not handed on yet.
    owed: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Content {
    fn new(file: File, range: Range<u64>) -> Self {
        let owed = range.end - range.start;
        let mut content = Self { file: Arc::new(file), left: range, owed, reading: None };
        content.read_on();
        content
    }

    fn read_on(&mut self) {
        let length = PIECE_BYTES.min(self.left.end - self.left.start);
        if length == 0 {
            return;
        }
        let (file, at) = (Arc::clone(&self.file), self.left.start);
        self.left.start += length;
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            file.read_exact_at(&mut bytes, at)?;
            Ok(Bytes::from(bytes))
        }));
    }
}

impl http_body::Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let bytes = read.map_err(io::Error::other).flatten()?;
        self.owed -= bytes.len() as u64;
        self.read_on();
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.owed == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.owed)
    }
}
