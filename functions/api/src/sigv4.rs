//! AWS Signature Version 4: checks the signature of a request, and makes one.
//!
//! For this API only the form with an `Authorization` header is read; a signature in the query string is refused.
//! [`s3`] has what is different there. No clock and no key store here: both come in as arguments.

mod canonical;
pub mod s3;

use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use jiff::{SignedDuration, Timestamp};
use subtle::ConstantTimeEq as _;

use crate::{ApiError, Code};
use canonical::{Scope, payload_hash, signature};

/// Bytes of a text with percent signs; those that introduce no byte stand for themselves.
pub(crate) fn percent_decoded(text: &str) -> Vec<u8> {
    canonical::decoded(text)
}

/// The service name that CodePipeline clients sign for.
pub const SERVICE: &str = "codepipeline";
/// How far a client's clock may be from ours, in either direction.
pub const CLOCK_SKEW_MINUTES_MAX: i64 = 15;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE_FORMAT: &str = "%Y%m%dT%H%M%SZ";
const DATE: &str = "x-amz-date";
const SESSION_TOKEN: &str = "x-amz-security-token";
const CONTENT_HASH: &str = "x-amz-content-sha256";
/// May stay unsigned although its name begins with `x-amz-`: browsers set it and it decides nothing.
const USER_AGENT: &str = "x-amz-user-agent";

/// A text with everything but letters, digits and `-._~` as percent signs.
pub fn percent_encoded(text: &str) -> String {
    canonical::encoded(text.as_bytes())
}

/// What a signature must have been made for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Service name, [`SERVICE`] for this API.
    pub service: &'a str,
    /// Region, if only one is served; `None` accepts any.
    pub region: Option<&'a str>,
    /// The moment of arrival.
    pub now: Timestamp,
}

/// Who signed a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The id of the key, not secret.
    pub access_key: String,
    /// The Region the request was signed for.
    pub region: String,
}

/// A key to sign with.
#[derive(Clone)]
pub struct Credentials {
    /// The id of the key, not secret.
    pub access_key: String,
    /// The secret half.
    pub secret_key: String,
    /// Goes along with temporary keys; sent and signed, never checked here.
    pub session_token: Option<String>,
}

/// Secrets show as `***`.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .field("secret_key", &format_args!("***"))
            .field("session_token", &self.session_token.as_ref().map(|_| "***"))
            .finish()
    }
}

/// Checks that a request was signed, whole and lately, with a key we know. `secret_of` finds the secret for
/// an access key id.
///
/// Every `x-amz-*` header must be signed: an unsigned `X-Amz-Target` could be swapped on the way.
///
/// # Errors
/// `MissingAuthenticationTokenException`, `IncompleteSignatureException`, `InvalidSignatureException`,
/// `UnrecognizedClientException`; all with status 403.
pub fn verify<B: AsRef<[u8]>>(
    request: &Request<B>,
    expected: &Expected<'_>,
    secret_of: impl Fn(&str) -> Option<String>,
) -> Result<Caller, ApiError> {
    let authorization = Authorization::of(request)?;
    authorization.check_signed_headers(request)?;
    let date = single(request.headers(), DATE)?;
    check_date(date, authorization.scope.date, expected.now)?;
    check_scope(&authorization.scope, expected)?;
    let hash = payload_hash(request.body().as_ref());
    check_declared_hash(request.headers(), &hash)?;

    let secret = secret_of(authorization.access_key).ok_or_else(|| {
        ApiError::new(
            Code::UnrecognizedClient,
            "The security token included in the request is invalid: there is no such access key",
        )
    })?;
    let wanted =
        signature(request, &authorization.signed_headers, date, &authorization.scope, &hash, &secret);
    if !bool::from(wanted.as_bytes().ct_eq(authorization.signature.as_bytes())) {
        return Err(invalid(
            "The request signature we calculated does not match the signature you provided. Check your \
             secret access key and signing method",
        ));
    }
    Ok(Caller {
        access_key: authorization.access_key.to_owned(),
        region: authorization.scope.region.to_owned(),
    })
}

/// Signs a request: sets `x-amz-date`, `host` (if missing), the session token's header and `Authorization`.
///
/// # Errors
/// `IncompleteSignatureException` when the request has no host, or a part of the credentials cannot stand
/// in a header.
pub fn sign<B: AsRef<[u8]>>(
    request: &mut Request<B>,
    credentials: &Credentials,
    region: &str,
    service: &str,
    now: Timestamp,
) -> Result<(), ApiError> {
    let date = now.strftime(DATE_FORMAT).to_string();
    let host = canonical::host(request)
        .ok_or_else(|| incomplete("A request without a host cannot be signed: use an absolute URL"))?;
    let host = header_value("host", &host)?;
    let date_value = header_value("date", &date)?;
    let token =
        credentials.session_token.as_deref().map(|token| header_value("session token", token)).transpose()?;

    let headers = request.headers_mut();
    headers.insert(HOST, host);
    headers.insert(DATE, date_value);
    if let Some(token) = token {
        headers.insert(SESSION_TOKEN, token);
    }
    let mut signed: Vec<String> = headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| matches!(*name, "host" | "content-type") || name.starts_with("x-amz-"))
        .map(str::to_owned)
        .collect();
    signed.sort_unstable();

    let scope = Scope { date: date.get(..DATE_DIGITS).unwrap_or_default(), region, service };
    let names: Vec<&str> = signed.iter().map(String::as_str).collect();
    // S3's clients may declare, and sign, that a body is unsigned or comes in chunks.
    let declared = request.headers().get(CONTENT_HASH).and_then(|hash| hash.to_str().ok()).map(str::to_owned);
    let hash = declared.unwrap_or_else(|| payload_hash(request.body().as_ref()));
    let signature = signature(request, &names, &date, &scope, &hash, &credentials.secret_key);
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
        credentials.access_key,
        signed.join(";")
    );
    let authorization = header_value("access key", &authorization)?;
    request.headers_mut().insert(AUTHORIZATION, authorization);
    Ok(())
}

/// The `Authorization` header, taken apart.
struct Authorization<'a> {
    access_key: &'a str,
    scope: Scope<'a>,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn of<B>(request: &'a Request<B>) -> Result<Self, ApiError> {
        if !request.headers().contains_key(AUTHORIZATION) {
            let in_query = request.uri().query().is_some_and(|query| query.contains("X-Amz-Signature="));
            let advice = if in_query { ": a signature in the query string is not accepted" } else { "" };
            return Err(ApiError::new(
                Code::MissingAuthenticationToken,
                format!(
                    "The request has no `Authorization` header{advice}. Sign it with Signature Version 4"
                ),
            ));
        }
        let text = single(request.headers(), AUTHORIZATION.as_str())?;
        let parameters = text
            .strip_prefix(ALGORITHM)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or_else(|| incomplete(format!("The `Authorization` header must begin with `{ALGORITHM}`")))?;
        let credential = parameter(parameters, "Credential")?;
        let signed_headers = parameter(parameters, "SignedHeaders")?.split(';').collect();
        let signature = parameter(parameters, "Signature")?;
        let (access_key, scope) = credential_parts(credential)?;
        Ok(Self { access_key, scope, signed_headers, signature })
    }

    fn check_signed_headers<B>(&self, request: &Request<B>) -> Result<(), ApiError> {
        let names = &self.signed_headers;
        // Strictly ascending also means that no name stands twice.
        let in_order = names.windows(2).all(|pair| pair[0] < pair[1]);
        let lower_case = !names.iter().any(|name| name.contains(|letter: char| letter.is_ascii_uppercase()));
        if !in_order || !lower_case {
            return Err(incomplete("`SignedHeaders` must name each header once, in lower case and sorted"));
        }
        let present = |name: &str| match name {
            "host" => canonical::host(request).is_some(),
            _ => request.headers().contains_key(name),
        };
        if let Some(absent) = names.iter().find(|name| !present(name)) {
            return Err(incomplete(format!(
                "`SignedHeaders` names `{absent}`, which the request does not have"
            )));
        }
        let sent = request.headers().keys().map(HeaderName::as_str);
        let must_be_signed = sent.filter(|name| name.starts_with("x-amz-") && *name != USER_AGENT);
        let unsigned = ["host", DATE].into_iter().chain(must_be_signed).find(|name| !names.contains(name));
        match unsigned {
            Some(name) => Err(incomplete(format!("The header `{name}` must be among the `SignedHeaders`"))),
            None if request.headers().get_all(HOST).iter().count() > 1 => {
                Err(incomplete("The request has more than one header `host`"))
            }
            None => Ok(()),
        }
    }
}

fn credential_parts(credential: &str) -> Result<(&str, Scope<'_>), ApiError> {
    let parts: Vec<&str> = credential.split('/').collect();
    let &[access_key, date, region, service, "aws4_request"] = parts.as_slice() else {
        return Err(incomplete(
            "`Credential` must read `<access key>/<date>/<region>/<service>/aws4_request`",
        ));
    };
    Ok((access_key, Scope { date, region, service }))
}

fn parameter<'a>(parameters: &'a str, name: &str) -> Result<&'a str, ApiError> {
    let mut values = parameters
        .split(',')
        .filter_map(|parameter| parameter.trim().split_once('='))
        .filter_map(|(key, value)| (key == name).then_some(value));
    match (values.next(), values.next()) {
        (Some(value), None) if !value.is_empty() => Ok(value),
        _ => Err(incomplete(format!("The `Authorization` header must have exactly one `{name}`"))),
    }
}

const DATE_DIGITS: usize = "YYYYMMDD".len();

fn check_date(date: &str, scope_date: &str, now: Timestamp) -> Result<(), ApiError> {
    let signed_at = signed_at(date, scope_date)?;
    let skew = SignedDuration::from_mins(CLOCK_SKEW_MINUTES_MAX);
    let ours = now.strftime(DATE_FORMAT);
    let age = now.duration_since(signed_at);
    if age > skew {
        let text =
            format!("Signature expired: {date} is more than {CLOCK_SKEW_MINUTES_MAX} min before {ours}");
        return Err(invalid(text));
    }
    if age < -skew {
        let text = format!(
            "Signature not yet current: {date} is more than {CLOCK_SKEW_MINUTES_MAX} min after {ours}"
        );
        return Err(invalid(text));
    }
    Ok(())
}

/// The moment of signing, which must lie on the scope's day.
fn signed_at(date: &str, scope_date: &str) -> Result<Timestamp, ApiError> {
    let well_formed = date.len() == "YYYYMMDDTHHMMSSZ".len()
        && date.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    let signed_at = jiff::civil::DateTime::strptime(DATE_FORMAT, date)
        .ok()
        .filter(|_| well_formed)
        .and_then(|moment| jiff::tz::TimeZone::UTC.to_timestamp(moment).ok())
        .ok_or_else(|| incomplete("The header `x-amz-date` must read like `20150830T123600Z`"))?;
    if !date.starts_with(scope_date) || scope_date.len() != DATE_DIGITS {
        return Err(invalid("The date in `Credential` is not that of the header `x-amz-date`"));
    }
    Ok(signed_at)
}

fn check_scope(scope: &Scope<'_>, expected: &Expected<'_>) -> Result<(), ApiError> {
    if scope.service != expected.service {
        let text = format!("Credential should be scoped to the service `{}`", expected.service);
        return Err(invalid(text));
    }
    match expected.region {
        Some(region) if scope.region != region => {
            Err(invalid(format!("Credential should be scoped to the Region `{region}`")))
        }
        Some(_) | None => Ok(()),
    }
}

/// A client that declares a hash has signed that declaration; it must tell the truth about the body.
fn check_declared_hash(headers: &HeaderMap, hash: &str) -> Result<(), ApiError> {
    if !headers.contains_key(CONTENT_HASH) {
        return Ok(());
    }
    let declared = single(headers, CONTENT_HASH)?;
    if declared.eq_ignore_ascii_case(hash) {
        return Ok(());
    }
    Err(invalid(
        "The header `x-amz-content-sha256` is not the SHA-256 of the body; unsigned and streamed \
                 payloads are not accepted",
    ))
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, ApiError> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(HeaderValue::to_str), values.next()) {
        (Some(Ok(value)), None) => Ok(value.trim()),
        _ => Err(incomplete(format!("The request must have exactly one header `{name}`, in ASCII"))),
    }
}

fn header_value(what: &str, text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text)
        .map_err(|_| incomplete(format!("The {what} has a character that cannot stand in a header")))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(Code::InvalidSignature, message)
}

fn incomplete(message: impl Into<String>) -> ApiError {
    ApiError::new(Code::IncompleteSignature, message)
}
