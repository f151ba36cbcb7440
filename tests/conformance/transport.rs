//! Below the operations: signatures, sizes, methods, health.

use serde_json::json;
use tests::{
    client::Client,
    folder::Folder,
    server::{ACCESS_KEY, SECRET_KEY, Server},
};

fn server() -> (Folder, Server) {
    let folder = Folder::repository(&json!({}), &[]);
    let server = Server::start(&folder);
    (folder, server)
}

#[track_caller]
fn refused(client: &Client, request: &http::Request<Vec<u8>>, status: u16, code: &str) {
    let answer = client.send(request).unwrap();
    tests::conforming::check("ListPipelines", &answer);
    let refusal = answer.refusal();
    assert_eq!((refusal.status, refusal.code.as_str()), (status, code), "{}", refusal.message);
}

#[test]
fn only_requests_signed_with_the_key_are_answered() {
    let (_folder, server) = server();
    let client = &server.client;
    let good = client.signed("ListPipelines", b"{}");
    assert_eq!(client.send(&good).unwrap().status, 200);
    let strange = client.with_key("AKIASOMEBODYELSE", SECRET_KEY).signed("ListPipelines", b"{}");
    refused(client, &strange, 403, "UnrecognizedClientException");
    let guessed = client.with_key(ACCESS_KEY, "a-guess").signed("ListPipelines", b"{}");
    refused(client, &guessed, 403, "InvalidSignatureException");
    let mut unsigned = good.clone();
    unsigned.headers_mut().remove("authorization");
    refused(client, &unsigned, 403, "MissingAuthenticationTokenException");
    let mut changed = good.clone();
    *changed.body_mut() = b"{\"maxResults\": 1}".to_vec();
    refused(client, &changed, 403, "InvalidSignatureException");
    let mut redirected = good.clone();
    let target = http::HeaderValue::from_static("CodePipeline_20150709.DeletePipeline");
    redirected.headers_mut().insert("x-amz-target", target);
    refused(client, &redirected, 403, "InvalidSignatureException");
    let mut torn = good.clone();
    torn.headers_mut()
        .insert("authorization", http::HeaderValue::from_static("AWS4-HMAC-SHA256 Credential=x"));
    refused(client, &torn, 403, "IncompleteSignatureException");
    let mut late = good;
    late.headers_mut().insert("x-amz-date", http::HeaderValue::from_static("20200101T000000Z"));
    refused(client, &late, 403, "InvalidSignatureException");
}

#[test]
fn operations_that_do_not_exist_are_called_unknown() {
    let (_folder, server) = server();
    for name in ["FlyPipeline", "listPipelines", "", "ListPipelines "] {
        let answer = server.client.post(name, b"{}").unwrap();
        let refusal = answer.refusal();
        let expected = if name.ends_with(' ') { 200 } else { 400 };
        assert!(answer.status == expected || answer.status == 403, "`{name}`: {refusal:?}");
        if expected == 400 {
            assert_eq!(refusal.code, "UnknownOperationException", "`{name}`");
        }
    }
    let mut other_service = server.client.signed("ListPipelines", b"{}");
    let target = http::HeaderValue::from_static("DynamoDB_20120810.ListTables");
    other_service.headers_mut().insert("x-amz-target", target);
    assert_eq!(server.client.send(&other_service).unwrap().status, 403, "its signature does not hold");
}

#[test]
fn health_needs_no_signature_and_other_paths_say_where_the_api_is() {
    let (_folder, server) = server();
    let health = server.client.get("/healthz").unwrap();
    assert_eq!((health.status, health.json()), (200, json!({ "status": "ok" })));
    let other = server.client.get("/").unwrap();
    assert_eq!(other.status, 404);
    assert!(String::from_utf8(other.body).unwrap().contains("POST /"));
}

#[test]
fn a_body_over_the_limit_is_refused_and_the_server_goes_on() {
    let (_folder, server) = server();
    let client = &server.client;
    let limit = api::codec::BODY_BYTES_MAX;
    let most = format!("{{\"x\":\"{}\"}}", "a".repeat(limit - 8));
    assert_eq!(most.len(), limit);
    assert_eq!(client.post("ListPipelines", most.as_bytes()).unwrap().status, 200);
    let over = client.post("ListPipelines", format!("{most} ").as_bytes()).unwrap();
    assert_eq!((over.status, over.refusal().code.as_str()), (413, "RequestTooLarge"));
    // One that only claims to be large is not waited for.
    let claims = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\nconnection: close\r\n\r\n";
    let answer = client.raw(claims.as_bytes());
    assert!(answer.is_ok_and(|answer| answer.status == 413), "a length over the limit is refused at once");
    assert_eq!(client.get("/healthz").unwrap().status, 200);
}

#[test]
fn bodies_that_are_no_json_object_are_refused_as_such() {
    let (_folder, server) = server();
    let deep = "[".repeat(100_000);
    let nested = format!("{{\"a\":{}", "{\"a\":".repeat(50_000));
    let bodies: &[&[u8]] = &[
        b"{",
        b"[]",
        b"null",
        b"7",
        b"\"x\"",
        b"\xff\xfe",
        b"{\"a\":1,}",
        deep.as_bytes(),
        nested.as_bytes(),
        // A mark of byte order, Latin-1, halves of a surrogate pair, a number beyond all, what JavaScript would take.
        b"\xef\xbb\xbf{}",
        b"{\"nextToken\":\"\xe4\"}",
        b"{\"nextToken\":\"\\ud83d\"}",
        b"{\"nextToken\":\"\\udea2\\ud83d\"}",
        b"{\"maxResults\":1e999}",
        b"{\"maxResults\":NaN}",
        b"{'maxResults':1}",
        b"{} {}",
        b"{\"maxResults\":01}",
    ];
    for body in bodies {
        let answer = server.client.post("ListPipelines", body).unwrap();
        tests::conforming::check("ListPipelines", &answer);
        assert_eq!(answer.refusal().code, "SerializationException");
    }
    for body in [
        &b""[..],
        b" \n",
        b"{}",
        b"{\"nextToken\": null, \"unknown\": [1]}",
        // The last of two equal keys counts; a pair of surrogates is one letter; unknown numbers may be huge.
        b"{\"maxResults\": 0, \"maxResults\": 1}",
        b"{\"unknown\": \"\\ud83d\\udea2\", \"\\u0000\": 1e300}",
        b"{\"MaxResults\": \"case matters\"}",
    ] {
        assert_eq!(server.client.post("ListPipelines", body).unwrap().status, 200);
    }
}

#[test]
fn headers_that_clients_disagree_about_do_not_matter() {
    let (_folder, server) = server();
    let client = &server.client;
    for content_type in ["application/x-amz-json-1.1; charset=utf-8", "application/json", "text/plain", ""] {
        let mut request = client.signed("ListPipelines", b"{}");
        request.headers_mut().remove("content-type");
        if !content_type.is_empty() {
            request.headers_mut().insert("content-type", content_type.parse().unwrap());
        }
        // Those that sign it are signed anew; the others leave it out of the signature.
        request.headers_mut().remove("authorization");
        request.headers_mut().remove("x-amz-date");
        client.sign(&mut request);
        let answer = client.send(&request).unwrap();
        assert_eq!(answer.status, 200, "`{content_type}`: {:?}", answer.refusal());
        tests::conforming::check("ListPipelines", &answer);
    }
    let lower = client.raw(b"post / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(lower.is_ok_and(|answer| answer.status < 500));
}

#[test]
fn wrong_types_are_told_in_the_services_words() {
    let (_folder, server) = server();
    for (operation, input, words) in [
        ("GetPipeline", json!({ "name": 7 }), "NUMBER_VALUE can not be converted to a String"),
        ("GetPipeline", json!({ "name": true }), "TRUE_VALUE can not be converted to a String"),
        ("GetPipeline", json!({ "name": [] }), "Start of list found where not expected"),
        ("GetPipeline", json!({ "name": {} }), "Start of structure or map found where not expected"),
        (
            "GetPipeline",
            json!({ "name": "a", "version": "1" }),
            "STRING_VALUE can not be converted to an Integer",
        ),
        (
            "StopPipelineExecution",
            json!({ "abandon": "true" }),
            "STRING_VALUE can not be converted to a Boolean",
        ),
        ("CreatePipeline", json!({ "pipeline": "x" }), "Unexpected field type"),
    ] {
        let refusal = server.client.refused(operation, &input, "SerializationException");
        assert!(refusal.message.starts_with(words), "{operation} {input}: {}", refusal.message);
        assert_eq!(refusal.status, 400);
    }
}

#[test]
fn a_fresh_key_pair_is_printed_once_made_and_kept() {
    let folder = Folder::repository(&json!({}), &[]);
    let exported = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| line.starts_with("export ")).cloned().collect()
    };
    let mut first = Vec::new();
    for _ in 0..2 {
        let server = Server::start_with_own_key(&folder);
        let lines = exported(&server.lines);
        assert_eq!(lines.len(), 3, "{:?}", server.lines);
        let value = |name: &str| {
            let prefix = format!("export {name}=");
            lines.iter().find_map(|line| line.strip_prefix(&prefix)).unwrap().to_owned()
        };
        assert_eq!(value("AWS_DEFAULT_REGION"), "us-east-1");
        let client = server.client.with_key(&value("AWS_ACCESS_KEY_ID"), &value("AWS_SECRET_ACCESS_KEY"));
        client.call("ListPipelines", &json!({}));
        if first.is_empty() {
            first = lines;
        } else {
            assert_eq!(lines, first);
        }
    }
    let kept = std::fs::metadata(folder.state().join("credentials")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&kept.permissions()) & 0o777, 0o600);
}
