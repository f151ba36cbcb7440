//! Deliveries of a Git host, signed as GitHub does.

use crate::client::{Answer, Client};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;

/// A delivery to be sent.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Path and query of the webhook's address.
    pub target: String,
    /// Headers besides the content type.
    pub headers: Vec<(String, String)>,
    /// Its media type.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Delivery {
    /// A JSON body to the address of a webhook.
    pub fn new(url: &str, body: &Value) -> Self {
        let target = url.splitn(4, '/').nth(3).map(|rest| format!("/{rest}")).unwrap_or_default();
        let body = body.to_string().into_bytes();
        Self { target, headers: Vec::new(), content_type: "application/json".into(), body }
    }

    /// With a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Signed with SHA-256.
    #[must_use]
    pub fn signed(self, secret: &str) -> Self {
        let signature = format!("sha256={}", digest::<Hmac<Sha256>>(secret, &self.body));
        self.with("x-hub-signature-256", &signature)
    }

    /// Signed with SHA-1.
    #[must_use]
    pub fn signed_with_sha1(self, secret: &str) -> Self {
        let signature = format!("sha1={}", digest::<Hmac<Sha1>>(secret, &self.body));
        self.with("x-hub-signature", &signature)
    }

    /// Sends it.
    #[track_caller]
    pub fn send(&self, client: &Client) -> Answer {
        let mut request = http::Request::post(format!("http://localhost{}", self.target))
            .header("host", "localhost")
            .header("content-type", &self.content_type);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        client.send(&request.body(self.body.clone()).unwrap()).unwrap()
    }
}

/// The body of a push.
pub fn push(branch: &str, commit: &str) -> Value {
    json!({
        "ref": format!("refs/heads/{branch}"),
        "before": "0000000000000000000000000000000000000000",
        "after": commit,
        "deleted": false,
        "repository": { "id": 1, "full_name": "acme/shop", "private": true },
        "head_commit": { "id": commit, "modified": ["src/main.rs", "README.md"], "author": { "name": "Ada" } },
        "commits": [{ "id": commit, "message": "Ärger — gelöst", "distinct": true }],
    })
}

fn digest<M: Mac + KeyInit>(secret: &str, body: &[u8]) -> String {
    let mut mac = <M as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
