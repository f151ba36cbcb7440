//! The canonical form of a request, and the signature over it.

use std::fmt::{self, Write as _};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Request;
use http::header::HOST;
use sha2::{Digest as _, Sha256};

/// What a derived key is good for.
pub(super) struct Scope<'a> {
    /// Day, as `YYYYMMDD`.
    pub(super) date: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

/// The signature in lower-case hexadecimal.
pub(super) fn signature<B>(
    request: &Request<B>,
    signed_headers: &[&str],
    date: &str,
    scope: &Scope<'_>,
    payload_hash: &str,
    secret: &str,
) -> String {
    let canonical =
        canonical_request(request, signed_headers, payload_hash, scope.service == super::s3::SERVICE);
    let to_sign = format!("{}\n{date}\n{scope}\n{}", super::ALGORITHM, hex(&Sha256::digest(&canonical)));
    hex(&hmac(&signing_key(scope, secret), &to_sign))
}

/// The key that a scope's signatures are made with.
pub(super) fn signing_key(scope: &Scope<'_>, secret: &str) -> Vec<u8> {
    let first_key = format!("AWS4{secret}").into_bytes();
    [scope.date, scope.region, scope.service, "aws4_request"]
        .iter()
        .fold(first_key, |key, part| hmac(&key, part))
}

/// SHA-256 of the body in lower-case hexadecimal.
pub(super) fn payload_hash(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// The `host` header, or what stands in its place in HTTP/2 and in absolute URLs.
pub(super) fn host<B>(request: &Request<B>) -> Option<String> {
    match request.headers().get(HOST) {
        Some(host) => host.to_str().ok().map(str::to_owned),
        None => request.uri().authority().map(|authority| authority.as_str().to_owned()),
    }
}

/// Bytes rather than text: header values need not be UTF-8.
fn canonical_request<B>(
    request: &Request<B>,
    signed_headers: &[&str],
    payload_hash: &str,
    for_s3: bool,
) -> Vec<u8> {
    let path = match for_s3 {
        // A key may hold `..` and `//`: the path is signed as it is, encoded once.
        true => {
            request.uri().path().split('/').map(|part| encoded(&decoded(part))).collect::<Vec<_>>().join("/")
        }
        false => canonical_path(request.uri().path()),
    };
    let query = canonical_query(request.uri().query().unwrap_or_default());
    let mut out = format!("{}\n{path}\n{query}\n", request.method()).into_bytes();
    for name in signed_headers {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        if *name == "host" {
            out.extend_from_slice(host(request).unwrap_or_default().trim().as_bytes());
        } else {
            let values: Vec<Vec<u8>> =
                request.headers().get_all(*name).iter().map(|value| folded(value.as_bytes())).collect();
            out.extend_from_slice(&values.join(&b','));
        }
        out.push(b'\n');
    }
    out.extend_from_slice(format!("\n{}\n{payload_hash}", signed_headers.join(";")).as_bytes());
    out
}

/// Removes `.`, `..` and empty segments, then encodes each once more: for every service but S3, the path is
/// signed with the percent signs of the wire encoded again.
fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut out = String::from("/");
    out.push_str(&segments.iter().map(|segment| encoded(segment.as_bytes())).collect::<Vec<_>>().join("/"));
    if path.ends_with('/') && !segments.is_empty() {
        out.push('/');
    }
    out
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encoded(&decoded(name)), encoded(&decoded(value))))
        // A signature in the query does not sign itself.
        .filter(|(name, _)| name != super::s3::SIGNATURE)
        .collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Without space at the ends, and with one where there were several.
fn folded(value: &[u8]) -> Vec<u8> {
    let words = value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(&b' ')
}

pub(super) fn encoded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Percent signs that introduce no byte stand for themselves.
pub(super) fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        // `from_str_radix` alone would also take a sign.
        let byte = byte.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

pub(super) fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
