//! Signatures of S3 requests: the path signed as it is, bodies unsigned or in signed chunks, presigned URLs.

use super::{
    Authorization, CLOCK_SKEW_MINUTES_MAX, CONTENT_HASH, DATE, SESSION_TOKEN, canonical, check_scope,
    credential_parts, signed_at, single,
};
use crate::s3::{Query, S3Code, S3Error};
use canonical::{Scope, hex, hmac, signing_key};
use http::Request;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The service name that S3 clients sign for.
pub const SERVICE: &str = "s3";
/// The parameter that holds the signature of a presigned URL.
pub(super) const SIGNATURE: &str = "X-Amz-Signature";
/// How long a presigned URL may hold, at most: a week, as on S3.
const PRESIGNED_SECONDS_MAX: i64 = 7 * 24 * 60 * 60;

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// How a request's body is covered by its signature.
#[derive(Debug)]
pub enum Payload {
    /// Not at all.
    Unsigned,
    /// By this SHA-256, in lower-case hexadecimal.
    Hash(String),
    /// In `aws-chunked` form.
    Chunked {
        /// What each chunk's signature continues; `None` when chunks are unsigned.
        signatures: Option<ChunkSignatures>,
        /// Whether headers follow the body.
        has_trailer: bool,
    },
}

/// Whether a request means S3, as far as its signature says: it names the service.
pub fn is_meant<B>(request: &Request<B>) -> bool {
    let in_header = request.headers().get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let in_header = in_header.is_some_and(|text| text.contains("/s3/aws4_request"));
    in_header || request.uri().query().is_some_and(|query| query.contains("X-Amz-Credential="))
}

/// Checks the signature of an S3 request. `secret_of` finds, for an access key id and perhaps a session token, the
/// secret and whatever else the caller wants to know of the key.
///
/// Everything in the query is signed, and every `x-amz-*` header must be, as in [`super::verify`].
///
/// # Errors
/// `AccessDenied` without a signature or with an expired one, `AuthorizationHeaderMalformed`,
/// `RequestTimeTooSkewed`, `SignatureDoesNotMatch`; and what `secret_of` says.
pub fn verify<K>(
    request: &Request<()>,
    query: &Query,
    now: Timestamp,
    secret_of: impl FnOnce(&str, Option<&str>) -> Result<(String, K), S3Error>,
) -> Result<(Payload, K), S3Error> {
    let claim = match query.get(SIGNATURE) {
        Some(signature) => Claim::of_query(request, query, signature, now)?,
        None => Claim::of_header(request, now)?,
    };
    let wanted_for = super::Expected { service: SERVICE, region: None, now };
    check_scope(&claim.authorization.scope, &wanted_for)?;
    let Authorization { access_key, scope, signed_headers, signature } = &claim.authorization;
    let (secret, key) = secret_of(access_key, claim.token)?;
    let wanted = canonical::signature(request, signed_headers, claim.date, scope, claim.content, &secret);
    if !same(&wanted, signature) {
        return Err(S3Error::new(
            S3Code::SignatureDoesNotMatch,
            "The request signature we calculated does not match the signature you provided. Check your key and \
             signing method",
        ));
    }
    Ok((payload(&claim, &secret)?, key))
}

struct Claim<'a> {
    authorization: Authorization<'a>,
    date: &'a str,
    token: Option<&'a str>,
    content: &'a str,
}

impl<'a> Claim<'a> {
    fn of_header(request: &'a Request<()>, now: Timestamp) -> Result<Self, S3Error> {
        let authorization = Authorization::of(request)?;
        authorization.check_signed_headers(request)?;
        let date = single(request.headers(), DATE)?;
        let age = now.duration_since(signed_at(date, authorization.scope.date)?);
        if age.abs() > SignedDuration::from_mins(CLOCK_SKEW_MINUTES_MAX) {
            let text = "The difference between the request time and the server's time is too large";
            return Err(S3Error::new(S3Code::RequestTimeTooSkewed, format!("{text}: {date}")));
        }
        let headers = request.headers();
        let token =
            headers.contains_key(SESSION_TOKEN).then(|| single(headers, SESSION_TOKEN)).transpose()?;
        if !headers.contains_key(CONTENT_HASH) {
            let text = "Missing required header for this request: x-amz-content-sha256";
            return Err(S3Error::new(S3Code::InvalidRequest, text));
        }
        Ok(Self { authorization, date, token, content: single(headers, CONTENT_HASH)? })
    }

    fn of_query(
        request: &'a Request<()>,
        query: &'a Query,
        signature: &'a str,
        now: Timestamp,
    ) -> Result<Self, S3Error> {
        let malformed = |text: &str| S3Error::new(S3Code::AuthorizationHeaderMalformed, text);
        if request.headers().contains_key(http::header::AUTHORIZATION) {
            let text = "Only one auth mechanism allowed: the header `Authorization` or the parameter X-Amz-Signature";
            return Err(S3Error::new(S3Code::InvalidArgument, text));
        }
        let needed = |name: &str| {
            query
                .get(name)
                .ok_or_else(|| malformed(&format!("A presigned URL must have the parameter {name}")))
        };
        if needed("X-Amz-Algorithm")? != super::ALGORITHM {
            return Err(malformed("X-Amz-Algorithm must be `AWS4-HMAC-SHA256`"));
        }
        let (access_key, scope) = credential_parts(needed("X-Amz-Credential")?)?;
        let signed_headers: Vec<&str> = needed("X-Amz-SignedHeaders")?.split(';').collect();
        if !signed_headers.contains(&"host") {
            return Err(malformed("X-Amz-SignedHeaders must name `host`"));
        }
        // Whoever holds the URL must not be able to add a meaning to it.
        let mut sent = request.headers().keys().map(http::HeaderName::as_str);
        let covered =
            |name: &str| signed_headers.contains(&name) || matches!(name, CONTENT_HASH | super::USER_AGENT);
        if let Some(name) = sent.find(|name| name.starts_with("x-amz-") && !covered(name)) {
            let text = format!("There were headers present in the request which were not signed: {name}");
            return Err(S3Error::new(S3Code::AccessDenied, text));
        }
        let date = needed("X-Amz-Date")?;
        let lasts = needed("X-Amz-Expires")?
            .parse()
            .ok()
            .filter(|seconds| (1..=PRESIGNED_SECONDS_MAX).contains(seconds));
        let lasts = lasts.ok_or_else(|| malformed("X-Amz-Expires must be 1 to 604800 seconds"))?;
        let age = now.duration_since(signed_at(date, scope.date)?);
        if age > SignedDuration::from_secs(lasts) {
            return Err(S3Error::new(S3Code::AccessDenied, "Request has expired"));
        }
        if age < -SignedDuration::from_mins(CLOCK_SKEW_MINUTES_MAX) {
            return Err(S3Error::new(S3Code::AccessDenied, "Request is not valid yet"));
        }
        let authorization = Authorization { access_key, scope, signed_headers, signature };
        Ok(Self { authorization, date, token: query.get("X-Amz-Security-Token"), content: UNSIGNED })
    }
}

fn payload(claim: &Claim<'_>, secret: &str) -> Result<Payload, S3Error> {
    let chunks = |signed: bool, has_trailer: bool| {
        let Authorization { scope, signature, .. } = &claim.authorization;
        let signatures = signed.then(|| ChunkSignatures::new(scope, claim.date, signature, secret));
        Payload::Chunked { signatures, has_trailer }
    };
    match claim.content {
        UNSIGNED => Ok(Payload::Unsigned),
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(chunks(false, true)),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(chunks(true, false)),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Ok(chunks(true, true)),
        hash if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok(Payload::Hash(hash.to_ascii_lowercase()))
        }
        _ => Err(S3Error::new(
            S3Code::InvalidArgument,
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a form of STREAMING- payload that is signed with \
             AWS4-HMAC-SHA256 or not at all, or a valid SHA-256",
        )),
    }
}

/// The chain of signatures over the chunks of a body, each on the one before.
#[derive(Clone)]
pub struct ChunkSignatures {
    key: Vec<u8>,
    date: String,
    scope: String,
    before: String,
}

impl std::fmt::Debug for ChunkSignatures {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ChunkSignatures").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl ChunkSignatures {
    fn new(scope: &Scope<'_>, date: &str, seed: &str, secret: &str) -> Self {
        let key = signing_key(scope, secret);
        Self { key, date: date.to_owned(), scope: scope.to_string(), before: seed.to_owned() }
    }

    pub(crate) fn check_chunk(&mut self, hash: &[u8], claimed: Option<&str>) -> Result<(), S3Error> {
        let nothing = hex(&Sha256::digest(b""));
        self.check("AWS4-HMAC-SHA256-PAYLOAD", &format!("{nothing}\n{}", hex(hash)), claimed)
    }

    pub(crate) fn check_trailer(
        &mut self,
        trailers: &[(String, String)],
        claimed: Option<&str>,
    ) -> Result<(), S3Error> {
        let text: String = trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        self.check("AWS4-HMAC-SHA256-TRAILER", &hex(&Sha256::digest(text)), claimed)
    }

    fn check(&mut self, kind: &str, what: &str, claimed: Option<&str>) -> Result<(), S3Error> {
        let to_sign = format!("{kind}\n{}\n{}\n{}\n{what}", self.date, self.scope, self.before);
        let wanted = hex(&hmac(&self.key, &to_sign));
        if !claimed.is_some_and(|claimed| same(&wanted, claimed)) {
            let text = "The signature of a chunk, or of what follows the body, does not match";
            return Err(S3Error::new(S3Code::SignatureDoesNotMatch, text));
        }
        self.before = wanted;
        Ok(())
    }
}

fn same(wanted: &str, claimed: &str) -> bool {
    wanted.as_bytes().ct_eq(claimed.as_bytes()).into()
}
