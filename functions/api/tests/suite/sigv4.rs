//! Signatures: AWS's published vectors, requests of a real client, and everything that must be refused.

use api::sigv4::{Caller, Credentials, Expected, SERVICE, sign, verify};
use api::{ApiError, Code, codec};
use http::Request;
use jiff::Timestamp;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const KEY: &str = "AKIDEXAMPLE";
const UNRESERVED: &str = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn secret_of(key: &str) -> Option<String> {
    (key == KEY).then(|| SECRET.to_owned())
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A request of AWS's test suite: `service` in `us-east-1`, 30 August 2015.
fn vector(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
    signature: &str,
) -> Request<String> {
    let mut names: Vec<String> = headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    names.extend(["host".to_owned(), "x-amz-date".to_owned()]);
    names.sort();
    names.dedup();
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/20150830/us-east-1/service/aws4_request, SignedHeaders={}, \
         Signature={signature}",
        names.join(";")
    );
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
        .header("Host", "example.amazonaws.com")
        .header("X-Amz-Date", "20150830T123600Z")
        .header("Authorization", authorization)
        .body(body.to_owned())
        .unwrap()
}

fn verify_vector(request: &Request<String>) -> Result<Caller, ApiError> {
    let expected =
        Expected { service: "service", region: Some("us-east-1"), now: at("2015-08-30T12:40:00Z") };
    verify(request, &expected, secret_of)
}

#[test]
fn the_published_vectors_verify() {
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let double = format!("/?{UNRESERVED}={UNRESERVED}");
    let path = format!("/{UNRESERVED}");
    let (trim, same, order) = (
        [("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
        [("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
        [
            ("My-Header1", "value4"),
            ("My-Header1", "value1"),
            ("My-Header1", "value3"),
            ("My-Header1", "value2"),
        ],
    );
    for (name, request) in [
        (
            "get-vanilla",
            vector("GET", "/", &[], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ),
        (
            "post-vanilla",
            vector("POST", "/", &[], "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ),
        (
            "get-relative",
            vector(
                "GET",
                "/example1/example2/../..",
                &[],
                "",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
        ),
        (
            "get-slashes",
            vector(
                "GET",
                "//example//",
                &[],
                "",
                "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
            ),
        ),
        (
            "get-unreserved",
            vector("GET", &path, &[], "", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
        ),
        (
            "get-vanilla-query-unreserved",
            vector(
                "GET",
                &double,
                &[],
                "",
                "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
            ),
        ),
        (
            "get-vanilla-query-order-key-case",
            vector(
                "GET",
                "/?Param2=value2&Param1=value1",
                &[],
                "",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ),
        (
            "get-header-value-trim",
            vector("GET", "/", &trim, "", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
        ),
        (
            "get-header-key-duplicate",
            vector("GET", "/", &same, "", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"),
        ),
        (
            "get-header-value-order",
            vector(
                "GET",
                "/",
                &order,
                "",
                "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
            ),
        ),
        (
            "post-header-key-sort",
            vector(
                "POST",
                "/",
                &[("My-Header1", "value1")],
                "",
                "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
            ),
        ),
        (
            "post-x-www-form-urlencoded",
            vector(
                "POST",
                "/",
                &form,
                "Param1=value1",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ),
    ] {
        assert_eq!(verify_vector(&request).map(|caller| caller.access_key), Ok(KEY.to_owned()), "{name}");
    }
}

#[test]
fn signing_gives_the_published_signature() {
    let mut request = Request::get("https://example.amazonaws.com/").body("").unwrap();
    let credentials =
        Credentials { access_key: KEY.to_owned(), secret_key: SECRET.to_owned(), session_token: None };
    sign(&mut request, &credentials, "us-east-1", "service", at("2015-08-30T12:36:00Z")).unwrap();
    assert_eq!(
        request.headers()["authorization"],
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=host;x-amz-date, \
         Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    );
}

#[test]
fn what_boto3_signs_verifies_decodes_and_fits_the_model() {
    let fixture: serde_json::Value = serde_json::from_str(include_str!("../fixtures/boto3.json")).unwrap();
    let expected = Expected { service: SERVICE, region: Some("eu-west-1"), now: at("2026-01-02T03:04:35Z") };
    for recorded in fixture["requests"].as_array().unwrap() {
        let mut request = Request::post("/").header("Host", "127.0.0.1:8780");
        for (name, value) in recorded["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        let request = request.body(recorded["body"].as_str().unwrap()).unwrap();
        let caller = Caller { access_key: KEY.to_owned(), region: "eu-west-1".to_owned() };
        assert_eq!(verify(&request, &expected, secret_of), Ok(caller));
        let (operation, input) = codec::decode(&request).unwrap();
        assert_eq!(api::validate(operation, &input), Ok(()));
    }
}

/// A request to this API, signed now.
fn signed() -> Request<String> {
    let mut request = Request::post("http://localhost:8780/")
        .header("X-Amz-Target", "CodePipeline_20150709.ListPipelines")
        .header("Content-Type", codec::MEDIA_TYPE)
        .body("{}".to_owned())
        .unwrap();
    sign_again(&mut request, Some("to/ken=="));
    request
}

fn sign_again(request: &mut Request<String>, token: Option<&str>) {
    let credentials = Credentials {
        access_key: KEY.to_owned(),
        secret_key: SECRET.to_owned(),
        session_token: token.map(str::to_owned),
    };
    sign(request, &credentials, "eu-west-1", SERVICE, now()).unwrap();
}

fn now() -> Timestamp {
    at("2026-11-21T04:00:00Z")
}

fn check(request: &Request<String>) -> Result<Caller, ApiError> {
    verify(request, &Expected { service: SERVICE, region: None, now: now() }, secret_of)
}

fn refused(change: impl FnOnce(&mut Request<String>)) -> Code {
    let mut request = signed();
    change(&mut request);
    let error = check(&request).unwrap_err();
    assert_eq!(error.status(), http::StatusCode::FORBIDDEN, "{error}");
    assert!(!error.message.contains(SECRET));
    error.code
}

fn replace(request: &mut Request<String>, name: &'static str, value: &str) {
    request.headers_mut().insert(name, value.parse().unwrap());
}

fn edit_authorization(from: &str, to: &str) -> impl FnOnce(&mut Request<String>) {
    move |request| {
        let text = request.headers()["authorization"].to_str().unwrap().to_owned();
        assert!(text.contains(from), "{text}");
        replace(request, "authorization", &text.replace(from, to));
    }
}

#[test]
fn a_signed_request_verifies_also_without_an_absolute_url_and_with_unsigned_extras() {
    assert!(check(&signed()).is_ok());
    let (mut parts, body) = signed().into_parts();
    parts.uri = "/".parse().unwrap();
    let mut request = Request::from_parts(parts, body);
    replace(&mut request, "user-agent", "changed by a proxy");
    replace(&mut request, "x-amz-user-agent", "browser");
    assert!(check(&request).is_ok());
}

#[test]
fn whatever_was_signed_cannot_be_changed() {
    assert_eq!(refused(|request| request.body_mut().push(' ')), Code::InvalidSignature);
    assert_eq!(refused(|request| *request.method_mut() = http::Method::PUT), Code::InvalidSignature);
    assert_eq!(refused(|request| *request.uri_mut() = "/x".parse().unwrap()), Code::InvalidSignature);
    assert_eq!(refused(|request| *request.uri_mut() = "/?a=b".parse().unwrap()), Code::InvalidSignature);
    assert_eq!(refused(|request| replace(request, "host", "elsewhere")), Code::InvalidSignature);
    assert_eq!(refused(|request| replace(request, "x-amz-security-token", "other")), Code::InvalidSignature);
    assert_eq!(refused(|request| replace(request, "x-amz-date", "20261121T040001Z")), Code::InvalidSignature);
    assert_eq!(
        refused(|request| replace(request, "x-amz-target", "CodePipeline_20150709.DeletePipeline")),
        Code::InvalidSignature
    );
    let twice = |request: &mut Request<String>| {
        request.headers_mut().append("x-amz-target", "CodePipeline_20150709.DeletePipeline".parse().unwrap());
    };
    assert_eq!(refused(twice), Code::InvalidSignature);
}

#[test]
fn keys_and_scopes_must_be_the_right_ones() {
    assert_eq!(refused(edit_authorization(KEY, "AKIDOTHER")), Code::UnrecognizedClient);
    assert_eq!(refused(edit_authorization("/codepipeline/", "/s3/")), Code::InvalidSignature);
    assert_eq!(refused(edit_authorization("eu-west-1", "eu-west-2")), Code::InvalidSignature);
    assert_eq!(refused(edit_authorization("/20261121/", "/20261122/")), Code::InvalidSignature);
    let elsewhere = Expected { service: SERVICE, region: Some("us-east-1"), now: now() };
    assert_eq!(verify(&signed(), &elsewhere, secret_of).unwrap_err().code, Code::InvalidSignature);
    let other_secret = |_: &str| Some("another".to_owned());
    let here = Expected { region: None, ..elsewhere };
    assert_eq!(verify(&signed(), &here, other_secret).unwrap_err().code, Code::InvalidSignature);
}

#[test]
fn a_quarter_of_an_hour_is_tolerated_and_no_more() {
    let verify_at =
        |text| verify(&signed(), &Expected { service: SERVICE, region: None, now: at(text) }, secret_of);
    assert!(verify_at("2026-11-21T04:15:00Z").is_ok());
    assert!(verify_at("2026-11-21T03:45:00Z").is_ok());
    let late = verify_at("2026-11-21T04:15:01Z").unwrap_err();
    assert!(late.message.starts_with("Signature expired: 20261121T040000Z"), "{late}");
    let early = verify_at("2026-11-21T03:44:59Z").unwrap_err();
    assert!(early.message.starts_with("Signature not yet current"), "{early}");
}

#[test]
fn a_request_without_signature_is_told_apart_from_one_with_half_of_it() {
    let remove =
        |name: &'static str| move |request: &mut Request<String>| drop(request.headers_mut().remove(name));
    assert_eq!(refused(remove("authorization")), Code::MissingAuthenticationToken);
    assert_eq!(refused(remove("x-amz-date")), Code::IncompleteSignature);
    assert_eq!(refused(remove("x-amz-target")), Code::IncompleteSignature);
    assert_eq!(refused(edit_authorization("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1")), Code::IncompleteSignature);
    assert_eq!(refused(edit_authorization("Signature=", "Sig=")), Code::IncompleteSignature);
    assert_eq!(refused(edit_authorization("/aws4_request", "")), Code::IncompleteSignature);
    assert_eq!(refused(edit_authorization("host;", "")), Code::IncompleteSignature);
    assert_eq!(refused(edit_authorization(";x-amz-target", "")), Code::IncompleteSignature);
    assert_eq!(refused(edit_authorization(";x-amz-security-token", "")), Code::IncompleteSignature);
    assert_eq!(
        refused(edit_authorization("content-type;host", "host;content-type")),
        Code::IncompleteSignature
    );
    assert_eq!(refused(edit_authorization("host;", "host;host;")), Code::IncompleteSignature);
    assert_eq!(refused(edit_authorization("host;", "host;nowhere;")), Code::IncompleteSignature);
    for date in ["", "20261121", "2026-11-21T04:00", "20261321T040000Z", "+0261121T040000Z"] {
        assert_eq!(
            refused(|request| replace(request, "x-amz-date", date)),
            Code::IncompleteSignature,
            "{date}"
        );
    }
    for name in ["host", "authorization", "x-amz-date"] {
        let twice = |request: &mut Request<String>| {
            let value = request.headers()[name].clone();
            request.headers_mut().append(name, value);
        };
        assert_eq!(refused(twice), Code::IncompleteSignature, "{name}");
    }
}

#[test]
fn a_declared_hash_must_be_that_of_the_body() {
    let hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    for (declared, accepted) in [
        (hash, true),
        ("UNSIGNED-PAYLOAD", false),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", false),
        ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", false),
    ] {
        let mut request = signed();
        replace(&mut request, "x-amz-content-sha256", declared);
        sign_again(&mut request, None);
        assert_eq!(check(&request).is_ok(), accepted, "{declared}");
    }
}

#[test]
fn query_order_and_spelling_do_not_change_what_was_signed() {
    let mut request = signed();
    *request.uri_mut() = "http://localhost:8780/?b=2&a=%7e%2F&a=1&c".parse().unwrap();
    sign_again(&mut request, None);
    for (same, accepted) in
        [("/?c=&a=1&a=~/&b=2", true), ("/?a=1&a=%7E%2f&b=2&c", true), ("/?a=1&b=2&c", false)]
    {
        *request.uri_mut() = same.parse().unwrap();
        assert_eq!(check(&request).is_ok(), accepted, "{same}");
    }
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let credentials = Credentials {
        access_key: KEY.to_owned(),
        secret_key: SECRET.to_owned(),
        session_token: Some("t0k".to_owned()),
    };
    let shown = format!("{credentials:?}");
    assert!(shown.contains(KEY) && !shown.contains(SECRET) && !shown.contains("t0k"), "{shown}");
}
