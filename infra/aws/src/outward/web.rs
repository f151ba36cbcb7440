//! Posts to addresses outside of AWS: Slack, and whatever hears of things over HTTPS.

use engine::outward::{WEB_ANSWER_BYTES_MAX, WEB_ANSWER_SECONDS_MAX, Web, WebAnswer, WebError, WebPost};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use std::{error::Error as _, time::Duration};

/// A client of the Web. Clones share their connections.
#[derive(Debug, Clone)]
pub struct HttpsWeb {
    http: reqwest::Client,
    over_tls_only: bool,
}

impl HttpsWeb {
    /// Posts over TLS, and in no other way: what is posted goes along with a secret.
    ///
    /// # Panics
    /// When the machine has no source of randomness for TLS.
    pub fn new() -> Self {
        Self::with(true)
    }

    /// Posts without TLS too, for stand-ins on the machine of a test.
    ///
    /// # Panics
    /// When the machine has no source of randomness for TLS.
    pub fn plain() -> Self {
        Self::with(false)
    }

    fn with(over_tls_only: bool) -> Self {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(WEB_ANSWER_SECONDS_MAX))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .build()
            .expect("a client without certificates or proxies of its own can be made on every machine");
        Self { http, over_tls_only }
    }
}

impl Default for HttpsWeb {
    fn default() -> Self {
        Self::new()
    }
}

impl Web for HttpsWeb {
    async fn post(&self, post: WebPost) -> Result<WebAnswer, WebError> {
        let url = reqwest::Url::parse(&post.url)
            .map_err(|error| WebError(format!("the address is no URL: {error}")))?;
        if self.over_tls_only && url.scheme() != "https" {
            return Err(WebError("the address must begin with `https://`".to_owned()));
        }
        let mut request =
            self.http.post(url).header(CONTENT_TYPE, "application/json; charset=utf-8").body(post.body);
        if let Some(bearer) = &post.bearer {
            request = request.bearer_auth(bearer);
        }
        let mut response = request.send().await.map_err(described)?;
        let seconds =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while body.len() < WEB_ANSWER_BYTES_MAX {
            match response.chunk().await.map_err(described)? {
                Some(chunk) => body.extend_from_slice(&chunk),
                None => break,
            }
        }
        body.truncate(WEB_ANSWER_BYTES_MAX);
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(WebAnswer { status, retry_after: seconds.map(Duration::from_secs), body })
    }
}

/// The whole chain, without the address: often it is the secret.
fn described(error: reqwest::Error) -> WebError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    WebError(text)
}
