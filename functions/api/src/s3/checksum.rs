//! Checksums that clients send along, in a header or behind the body.

use super::{S3Code, S3Error, crc::Crc};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;
use sha2::Digest as _;
use std::fmt;

/// What the names of all checksum headers begin with.
const PREFIX: &str = "x-amz-checksum-";
/// Headers that begin so and are no checksums.
const NOT_CHECKSUMS: [&str; 3] = ["algorithm", "mode", "type"];

/// An algorithm that this endpoint checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// CRC-32, as in ZIP.
    Crc32,
    /// CRC-32C.
    Crc32c,
    /// CRC-64/NVME.
    Crc64nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64nvme, Self::Sha1, Self::Sha256];

    /// As headers name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "crc32",
            Self::Crc32c => "crc32c",
            Self::Crc64nvme => "crc64nvme",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// The header that bears its value.
    pub fn header(self) -> String {
        format!("{PREFIX}{}", self.name())
    }

    /// The algorithm of this name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }
}

/// A checksum in the making.
pub enum Hasher {
    /// CRC-32.
    Crc32(crc32fast::Hasher),
    /// CRC-32C.
    Crc32c(Checking),
    /// CRC-64/NVME.
    Crc64nvme(Checking),
    /// SHA-1.
    Sha1(sha1::Sha1),
    /// SHA-256.
    Sha256(sha2::Sha256),
}

/// A check of ours, in the making.
pub struct Checking(Crc);

impl Hasher {
    /// Nothing read yet.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(crc32fast::Hasher::new()),
            Algorithm::Crc32c => Self::Crc32c(Checking(Crc::castagnoli())),
            Algorithm::Crc64nvme => Self::Crc64nvme(Checking(Crc::nvme())),
            Algorithm::Sha1 => Self::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
        }
    }

    /// Goes on with these bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Crc32c(Checking(crc)) | Self::Crc64nvme(Checking(crc)) => crc.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    /// The checksum, in Base64 as headers bear it.
    pub fn finish(self) -> String {
        match self {
            Self::Crc32(hasher) => STANDARD.encode(hasher.finalize().to_be_bytes()),
            Self::Crc32c(Checking(crc)) => STANDARD.encode(&crc.finish().to_be_bytes()[4..]),
            Self::Crc64nvme(Checking(crc)) => STANDARD.encode(crc.finish().to_be_bytes()),
            Self::Sha1(hasher) => STANDARD.encode(hasher.finalize()),
            Self::Sha256(hasher) => STANDARD.encode(hasher.finalize()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hasher")
    }
}

/// What a request says of its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// A checksum to hold: the algorithm, and its value unless that comes behind the body.
    pub checksum: Option<(Algorithm, Option<String>)>,
    /// `Content-MD5`, as 16 bytes.
    pub md5: Option<[u8; 16]>,
}

/// Reads the checksum headers.
///
/// # Errors
/// `InvalidDigest` and `InvalidRequest`; `NotImplemented` for an algorithm that could not be checked, since a
/// checksum that nobody checks is worse than none.
pub fn declared(headers: &HeaderMap) -> Result<Declared, S3Error> {
    let in_header =
        headers.iter().filter_map(|(name, value)| Some((name.as_str().strip_prefix(PREFIX)?, value)));
    let mut found: Vec<(Algorithm, Option<String>)> = Vec::new();
    for (name, value) in in_header.filter(|(name, _)| !NOT_CHECKSUMS.contains(name)) {
        let value = value.to_str().map_err(|_| invalid("a checksum header is not in ASCII"))?;
        found.push((known(name)?, Some(value.trim().to_owned())));
    }
    for trailer in headers.get_all("x-amz-trailer") {
        let names = trailer.to_str().map_err(|_| invalid("`x-amz-trailer` is not in ASCII"))?;
        for name in names.split(',').filter_map(|name| name.trim().strip_prefix(PREFIX)) {
            found.push((known(name)?, None));
        }
    }
    if found.len() > 1 {
        return Err(S3Error::new(S3Code::InvalidRequest, "Expecting a single `x-amz-checksum-` header"));
    }
    let md5 = headers.get("content-md5").map(|value| {
        let bytes = STANDARD.decode(value.as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        bytes.ok_or_else(|| {
            invalid("The `Content-MD5` you specified was invalid: it must be 16 bytes in Base64")
        })
    });
    Ok(Declared { checksum: found.pop(), md5: md5.transpose()? })
}

fn known(name: &str) -> Result<Algorithm, S3Error> {
    Algorithm::parse(name).ok_or_else(|| {
        let known = Algorithm::ALL.map(Algorithm::name).join(", ");
        let text = format!("Checksums of this kind are not checked here; send one of {known}: {name}");
        S3Error::new(S3Code::NotImplemented, text)
    })
}

fn invalid(message: &str) -> S3Error {
    S3Error::new(S3Code::InvalidDigest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(algorithm: Algorithm, pieces: &[&[u8]]) -> String {
        let mut hasher = Hasher::new(algorithm);
        pieces.iter().for_each(|piece| hasher.update(piece));
        hasher.finish()
    }

    #[test]
    fn check_values_of_the_catalogues_are_met_however_the_input_is_cut() {
        let expected = [
            (Algorithm::Crc32, STANDARD.encode(0xCBF4_3926_u32.to_be_bytes())),
            (Algorithm::Crc32c, STANDARD.encode(0xE306_9283_u32.to_be_bytes())),
            (Algorithm::Crc64nvme, STANDARD.encode(0xAE8B_1486_0A79_9888_u64.to_be_bytes())),
        ];
        for (algorithm, expected) in expected {
            assert_eq!(of(algorithm, &[b"123456789"]), expected, "{algorithm:?}");
            assert_eq!(of(algorithm, &[b"", b"1", b"2345678", b"9"]), expected, "{algorithm:?}");
        }
        assert_eq!(of(Algorithm::Sha1, &[b"abc"]), "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
        assert_eq!(of(Algorithm::Sha256, &[b"abc"]), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }

    #[test]
    fn a_checksum_is_read_from_its_header_or_announced_by_the_trailer() {
        let headers = |pairs: &[(&'static str, &str)]| -> HeaderMap {
            pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
                .collect()
        };
        let read = |pairs: &[(&'static str, &str)]| declared(&headers(pairs));
        assert_eq!(read(&[("x-amz-checksum-mode", "ENABLED")]), Ok(Declared::default()));
        let named = read(&[("x-amz-checksum-crc32", "AAAAAA==")]).unwrap().checksum;
        assert_eq!(named, Some((Algorithm::Crc32, Some("AAAAAA==".to_owned()))));
        let later = read(&[("x-amz-trailer", "x-amz-checksum-crc64nvme")]).unwrap().checksum;
        assert_eq!(later, Some((Algorithm::Crc64nvme, None)));
        let refused = |pairs: &[(&'static str, &str)]| read(pairs).unwrap_err().code;
        let two = [("x-amz-checksum-crc32", "AAAAAA=="), ("x-amz-checksum-sha1", "AA==")];
        assert_eq!(refused(&two), S3Code::InvalidRequest);
        assert_eq!(refused(&[("x-amz-checksum-xxhash3", "AA==")]), S3Code::NotImplemented);
        assert_eq!(refused(&[("content-md5", "AA==")]), S3Code::InvalidDigest);
    }
}
