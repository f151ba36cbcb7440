//! Requests around inputs: mostly as a client signs them, sometimes with something wrong about them.

use super::{
    bodies,
    world::{KEY, SECRET},
};
use crate::random::Random;
use api::{
    Operation,
    sigv4::{self, Credentials, Moment},
};
use bytes::Bytes;
use http::{HeaderValue, Request};
use serde_json::Value;

/// What was meant with a request.
pub(super) struct Sent {
    /// The operation that stands in its target, if it is one.
    pub(super) operation: String,
    /// Whether its signature is good.
    pub(super) is_authentic: bool,
}

/// A request for this input.
pub(super) fn any(
    random: &mut Random,
    (operation, input): (Operation, Value),
    now: Moment,
) -> (Sent, Request<Bytes>) {
    let mut body = input.to_string().into_bytes();
    if random.below(12) == 0 {
        bodies::damage(&mut body, random);
    }
    let mut name = operation.name().to_owned();
    if random.below(40) == 0 {
        name = random
            .pick(&["FlyPipeline", "", "getpipeline", "GetPipeline.", "GetPipeline GetPipeline"])
            .to_string();
    }
    let prefix = if random.below(60) == 0 { "DynamoDB_20120810" } else { api::codec::TARGET_PREFIX };
    let content = *random.pick(&[
        api::codec::MEDIA_TYPE,
        api::codec::MEDIA_TYPE,
        "text/plain",
        "x",
        "application/cbor",
    ]);
    let mut request = Request::post("http://127.0.0.1:4500/")
        .header("content-type", content)
        .header("x-amz-target", format!("{prefix}.{name}"))
        .body(body)
        .unwrap();
    sign(&mut request, KEY, SECRET, now);
    let is_authentic = random.below(12) > 0;
    if !is_authentic {
        spoil(&mut request, random, now);
    }
    let is_known = prefix == api::codec::TARGET_PREFIX && Operation::parse(&name).is_some();
    let operation = if is_known { name } else { String::new() };
    (Sent { operation, is_authentic }, request.map(Bytes::from))
}

fn sign(request: &mut Request<Vec<u8>>, key: &str, secret: &str, now: Moment) {
    let credentials = Credentials { access_key: key.into(), secret_key: secret.into(), session_token: None };
    sigv4::sign(request, &credentials, "us-east-1", sigv4::SERVICE, now).unwrap();
}

/// Makes a signature worthless, in one of the ways there are.
fn spoil(request: &mut Request<Vec<u8>>, random: &mut Random, now: Moment) {
    let stale = |minutes: i64| Moment::from_second(now.as_second() + minutes * 60).unwrap();
    match random.below(10) {
        0 => drop(request.headers_mut().remove("authorization")),
        1 => sign(request, "SOMEBODY", SECRET, now),
        2 => sign(request, KEY, "a-guess", now),
        3 => sign(request, KEY, SECRET, stale(-16)),
        4 => sign(request, KEY, SECRET, stale(17)),
        5 => request.body_mut().push(b' '),
        6 => {
            let other = HeaderValue::from_static("CodePipeline_20150709.DeletePipeline ");
            request.headers_mut().insert("x-amz-target", other);
        }
        7 => {
            request.headers_mut().insert("x-amz-date", HeaderValue::from_static("yesterday"));
        }
        8 => {
            let mut bytes = request.headers()["authorization"].as_bytes().to_vec();
            let at = random.below(bytes.len());
            // Another letter, and not only in another case: hexadecimal digits may be judged without it.
            bytes[at] = if bytes[at] == b'~' { b'!' } else { b'~' };
            if let Ok(torn) = HeaderValue::from_bytes(&bytes) {
                request.headers_mut().insert("authorization", torn);
            }
        }
        _ => {
            let torn = *random.pick(&[
                "",
                "AWS4-HMAC-SHA256",
                "Basic dXNlcg==",
                "AWS4-HMAC-SHA256 Credential=,,,===",
            ]);
            request.headers_mut().insert("authorization", HeaderValue::from_static(torn));
        }
    }
}
