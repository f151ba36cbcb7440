//! Bodies in `aws-chunked` form: pieces with their size before them, perhaps signed, perhaps with headers behind.

use super::{S3Code, S3Error};
use crate::sigv4::s3::ChunkSignatures;
use bytes::{Buf as _, Bytes};
use sha2::{Digest as _, Sha256};

/// Bytes of a line between chunks, most.
const LINE_BYTES_MAX: usize = 4096;
/// Headers behind the body, most.
const TRAILERS_MAX: usize = 16;

/// Headers that came behind the body: names in lower case.
pub type Trailers = Vec<(String, String)>;

/// Takes such a body apart as it comes in.
#[derive(Debug)]
pub struct Chunked {
    at: At,
    line: Vec<u8>,
    signatures: Option<ChunkSignatures>,
    trailers: Trailers,
    has_trailer: bool,
    hash: Sha256,
    claimed: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Done,
}

impl Chunked {
    /// With `signatures` each chunk must be signed; with `has_trailer` headers follow.
    pub fn new(signatures: Option<ChunkSignatures>, has_trailer: bool) -> Self {
        Self {
            at: At::Size,
            line: Vec::new(),
            signatures,
            trailers: Trailers::new(),
            has_trailer,
            hash: Sha256::new(),
            claimed: None,
        }
    }

    /// Takes what came in and adds the content in it to `out`. A chunk's content is handed on before its signature
    /// was checked: until [`end`](Self::end) has agreed, it must not count.
    ///
    /// # Errors
    /// `IncompleteBody` for what has not this form, `SignatureDoesNotMatch`.
    pub fn feed(&mut self, mut input: Bytes, out: &mut Vec<Bytes>) -> Result<(), S3Error> {
        while input.has_remaining() {
            match self.at {
                At::Data(left) => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let piece = input.split_to(take);
                    if self.signatures.is_some() {
                        self.hash.update(&piece);
                    }
                    out.push(piece);
                    let left = left - take as u64;
                    self.at = if left == 0 { At::DataEnd } else { At::Data(left) };
                }
                At::Size | At::DataEnd | At::Trailer => self.read_line(&mut input)?,
                At::Done => return Err(broken("something follows its end")),
            }
        }
        Ok(())
    }

    /// The body is over: the headers behind it.
    ///
    /// # Errors
    /// `IncompleteBody` when it is not whole.
    pub fn end(mut self) -> Result<Trailers, S3Error> {
        // Some clients leave out the empty line after the last chunk, or after the trailer.
        if self.at == At::Trailer && self.line.is_empty() {
            self.finish()?;
        }
        if self.at == At::Done { Ok(self.trailers) } else { Err(broken("it breaks off")) }
    }

    fn read_line(&mut self, input: &mut Bytes) -> Result<(), S3Error> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let piece = input.split_to(end.map_or(input.len(), |end| end + 1));
        self.line.extend_from_slice(&piece);
        if self.line.len() > LINE_BYTES_MAX {
            return Err(broken("a line between its chunks is too long"));
        }
        if end.is_none() {
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r\n").ok_or_else(|| broken("a line does not end in CR LF"))?;
        let line = std::str::from_utf8(line).map_err(|_| broken("a line between its chunks is not text"))?;
        match self.at {
            At::Size => self.begin_chunk(line),
            At::DataEnd if line.is_empty() => {
                self.check_chunk()?;
                self.at = At::Size;
                Ok(())
            }
            At::DataEnd => Err(broken("a chunk is longer than it says")),
            At::Trailer => self.trailer(line),
            At::Data(_) | At::Done => Err(broken("a line stands where none may be")),
        }
    }

    fn begin_chunk(&mut self, line: &str) -> Result<(), S3Error> {
        let (size, extension) = line.split_once(';').map_or((line, None), |(size, rest)| (size, Some(rest)));
        let digits = (1..=16).contains(&size.len()) && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = if digits { u64::from_str_radix(size, 16).ok() } else { None };
        let size = size.ok_or_else(|| broken("a chunk's size is no number"))?;
        self.claimed = extension.and_then(|rest| rest.strip_prefix("chunk-signature=")).map(str::to_owned);
        if size > 0 {
            self.at = At::Data(size);
            return Ok(());
        }
        self.check_chunk()?;
        self.at = At::Trailer;
        Ok(())
    }

    fn check_chunk(&mut self) -> Result<(), S3Error> {
        let Some(signatures) = &mut self.signatures else { return Ok(()) };
        let hash = std::mem::take(&mut self.hash).finalize();
        signatures.check_chunk(&hash, self.claimed.take().as_deref())
    }

    fn trailer(&mut self, line: &str) -> Result<(), S3Error> {
        if line.is_empty() {
            return self.finish();
        }
        let (name, value) = line.split_once(':').ok_or_else(|| broken("a line behind it is no header"))?;
        if !self.has_trailer || self.trailers.len() >= TRAILERS_MAX {
            return Err(broken("more headers follow than were announced"));
        }
        self.trailers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), S3Error> {
        if let (Some(signatures), true) = (&mut self.signatures, self.has_trailer) {
            let named = self.trailers.iter().position(|(name, _)| name == "x-amz-trailer-signature");
            let claimed = named.map(|at| self.trailers.remove(at).1);
            signatures.check_trailer(&self.trailers, claimed.as_deref())?;
        }
        self.at = At::Done;
        Ok(())
    }
}

fn broken(what: &str) -> S3Error {
    S3Error::new(S3Code::IncompleteBody, format!("The body has not the form `aws-chunked`: {what}"))
}
