//! A function's own address: what comes from it as a request, and an answer as it goes back. See the payload format,
//! version 2.0, of Lambda's function URLs.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, net::IpAddr};

/// Bytes of a body, most, in either direction: the platform's own limit for requests and answers. An answer that has to
/// be encoded for the way counts in its encoded form.
pub const BODY_BYTES_MAX: usize = 6 * 1024 * 1024;
/// What an answer's headers and envelope may take of that.
const ENVELOPE_BYTES: usize = 16 * 1024;

/// A request, and what the platform knows of it.
#[derive(Debug)]
pub struct Arrived {
    /// The request.
    pub request: Request<Bytes>,
    /// Who calls, where the platform has made sure of it.
    pub caller: Option<String>,
    /// The address it came from.
    pub peer: Option<IpAddr>,
    /// The platform's id of the request.
    pub request_id: String,
}

/// Something that is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The event is not one of a function URL.
    #[error("this is no event of a function URL: {0}")]
    Shape(String),
    /// The body is larger than any that would be served.
    #[error("the request body is larger than {} MiB", BODY_BYTES_MAX / 1024 / 1024)]
    TooLarge,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    version: String,
    raw_path: String,
    #[serde(default)]
    raw_query_string: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    request_context: Context,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    http: Http,
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    authorizer: Option<Authorizer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: String,
    #[serde(default)]
    source_ip: String,
}

#[derive(Deserialize)]
struct Authorizer {
    iam: Option<Iam>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Iam {
    user_arn: Option<String>,
}

/// Reads an event.
pub fn read(event: Value) -> Result<Arrived, BadRequest> {
    let bad = |text: String| BadRequest::Shape(text);
    let event: Event = serde_json::from_value(event).map_err(|error| bad(error.to_string()))?;
    if event.version != "2.0" {
        return Err(bad(format!("its version is not \"2.0\": {:?}", event.version)));
    }
    let body = event.body.unwrap_or_default();
    let body = match event.is_base64_encoded {
        true => {
            BASE64_STANDARD.decode(&body).map_err(|error| bad(format!("its body is not base64: {error}")))?
        }
        false => body.into_bytes(),
    };
    if body.len() > BODY_BYTES_MAX {
        return Err(BadRequest::TooLarge);
    }
    let method = Method::from_bytes(event.request_context.http.method.as_bytes())
        .map_err(|error| bad(format!("its method is none: {error}")))?;
    let target = match event.raw_query_string.as_str() {
        "" => event.raw_path,
        query => format!("{}?{query}", event.raw_path),
    };
    let uri: Uri = target.parse().map_err(|error| bad(format!("its path is none: {error}")))?;
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    for (name, value) in &event.headers {
        // What cannot be a header was none on the way here either.
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            request.headers_mut().append(name, value);
        }
    }
    let iam = event.request_context.authorizer.and_then(|authorizer| authorizer.iam);
    Ok(Arrived {
        request,
        caller: iam.and_then(|iam| iam.user_arn).filter(|arn| arn.starts_with("arn:")),
        peer: event.request_context.http.source_ip.parse().ok(),
        request_id: event.request_context.request_id,
    })
}

/// An answer, as the platform takes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    status_code: u16,
    headers: BTreeMap<String, String>,
    body: String,
    is_base64_encoded: bool,
}

impl Answer {
    /// From a response; `None` for one that is too large to go back.
    pub fn of(response: Response<Bytes>) -> Option<Self> {
        let (parts, body) = response.into_parts();
        let mut headers = BTreeMap::new();
        for (name, value) in &parts.headers {
            // One line for a name is all that the format has room for.
            let value = String::from_utf8_lossy(value.as_bytes());
            headers
                .entry(name.as_str().to_owned())
                .and_modify(|all: &mut String| *all = format!("{all}, {value}"))
                .or_insert_with(|| value.into_owned());
        }
        let (body, is_base64_encoded) = match String::from_utf8(body.into()) {
            Ok(text) => (text, false),
            Err(other) => (BASE64_STANDARD.encode(other.as_bytes()), true),
        };
        (body.len() + ENVELOPE_BYTES <= BODY_BYTES_MAX).then_some(Self {
            status_code: parts.status.as_u16(),
            headers,
            body,
            is_base64_encoded,
        })
    }

    /// A short answer in JSON.
    pub fn told(status: http::StatusCode, body: &Value) -> Self {
        Self {
            status_code: status.as_u16(),
            headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
            body: format!("{body}\n"),
            is_base64_encoded: false,
        }
    }

    /// Its status.
    pub fn status(&self) -> u16 {
        self.status_code
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Value {
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "a=1&b=%2F",
            "cookies": [], "headers": { "x-amz-target": "CodePipeline_20150709.ListPipelines", "host": "x" },
            "requestContext": {
                "accountId": "111122223333", "apiId": "x", "domainName": "x",
                "authorizer": { "iam": { "accessKey": "ASIA", "accountId": "111122223333", "callerId": "AROA:ann",
                    "cognitoIdentity": null, "principalOrgId": null, "userId": "AROA:ann",
                    "userArn": "arn:aws:sts::111122223333:assumed-role/dev/ann" } },
                "http": { "method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7",
                    "userAgent": "aws-cli" },
                "requestId": "r-1", "routeKey": "$default", "stage": "$default", "timeEpoch": 1_700_000_000_000_i64
            },
            "body": "e30=", "isBase64Encoded": true
        })
    }

    #[test]
    fn an_event_is_a_request_with_a_caller() {
        let arrived = read(event()).unwrap();
        assert_eq!(arrived.request.method(), Method::POST);
        assert_eq!(arrived.request.uri(), "/?a=1&b=%2F");
        assert_eq!(arrived.request.headers()["x-amz-target"], "CodePipeline_20150709.ListPipelines");
        assert_eq!(arrived.request.body(), "{}");
        assert_eq!(arrived.caller.as_deref(), Some("arn:aws:sts::111122223333:assumed-role/dev/ann"));
        assert_eq!(arrived.peer, "203.0.113.7".parse().ok());
        assert_eq!(arrived.request_id, "r-1");
    }

    #[test]
    fn an_address_that_anybody_may_call_knows_no_caller() {
        let mut public = event();
        public["requestContext"].as_object_mut().unwrap().remove("authorizer");
        public.as_object_mut().unwrap().remove("body");
        let arrived = read(public).unwrap();
        assert_eq!(arrived.caller, None);
        assert!(arrived.request.body().is_empty());
        let mut odd = event();
        odd["requestContext"]["authorizer"]["iam"]["userArn"] = json!("ann");
        assert_eq!(read(odd).unwrap().caller, None);
    }

    #[test]
    fn what_is_no_request_is_refused_with_its_reason() {
        let change = |path: &[&str], value: Value| {
            let mut event = event();
            let mut at = &mut event;
            for key in path {
                at = &mut at[*key];
            }
            *at = value;
            event
        };
        for (wrong, about) in [
            (json!(null), "no event"),
            (json!({}), "version"),
            (change(&["version"], json!("1.0")), "1.0"),
            (change(&["body"], json!("%%%")), "base64"),
            (change(&["rawPath"], json!("no path")), "path"),
            (change(&["requestContext", "http", "method"], json!("GE T")), "method"),
            (change(&["requestContext"], json!(7)), "no event"),
        ] {
            let error = read(wrong.clone()).unwrap_err().to_string();
            assert!(error.contains(about), "{wrong}: {error}");
        }
        let mut large = event();
        large["body"] = json!("x".repeat(BODY_BYTES_MAX + 1));
        large["isBase64Encoded"] = json!(false);
        assert_eq!(read(large).unwrap_err(), BadRequest::TooLarge);
    }

    #[test]
    fn an_answer_goes_back_as_text_or_encoded_or_not_at_all() {
        let response =
            |body: Vec<u8>| Response::builder().header("x-a", "1").body(Bytes::from(body)).unwrap();
        let text = Answer::of(response(b"{}".to_vec())).unwrap();
        assert_eq!(
            serde_json::to_value(&text).unwrap(),
            json!({ "statusCode": 200, "headers": { "x-a": "1" }, "body": "{}", "isBase64Encoded": false })
        );
        let bytes = Answer::of(response(vec![0xff, 0])).unwrap();
        assert_eq!((bytes.body.as_str(), bytes.is_base64_encoded), ("/wA=", true));
        assert!(Answer::of(response(vec![b'x'; BODY_BYTES_MAX])).is_none());
    }
}
