//! Posts to addresses outside, over HTTP.

use engine::outward::{WEB_ANSWER_BYTES_MAX, WEB_ANSWER_SECONDS_MAX, Web, WebAnswer, WebError, WebPost};
use std::time::Duration;

/// A client that keeps its connections.
pub(super) struct ReqwestWeb(reqwest::Client);

impl ReqwestWeb {
    pub(super) fn new() -> anyhow::Result<Self> {
        // What is sent is meant for one place: nobody may send it elsewhere.
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(WEB_ANSWER_SECONDS_MAX))
            .redirect(reqwest::redirect::Policy::none())
            .build();
        client
            .map(Self)
            .map_err(|error| anyhow::anyhow!("no HTTP client can be made on this machine: {error}"))
    }
}

impl Web for ReqwestWeb {
    async fn post(&self, post: WebPost) -> Result<WebAnswer, WebError> {
        // The address may be a secret: no error may show it.
        let failed = |error: reqwest::Error| WebError(words(&error.without_url()));
        let request = self.0.post(post.url).header("content-type", "application/json; charset=utf-8");
        let request = match post.bearer {
            Some(bearer) => request.bearer_auth(bearer),
            None => request,
        };
        let mut response = request.body(post.body).send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() >= WEB_ANSWER_BYTES_MAX {
                body.truncate(WEB_ANSWER_BYTES_MAX);
                break;
            }
        }
        Ok(WebAnswer { status, retry_after, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// The error with what caused it.
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words = format!("{words}: {error}");
        source = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// A server that answers once, with these bytes.
    async fn server(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/services/geheim", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = vec![0; 4096];
            let count = stream.read(&mut seen).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            String::from_utf8_lossy(&seen[..count]).into_owned()
        });
        (url, serving)
    }

    fn post(url: &str, bearer: Option<&str>) -> WebPost {
        WebPost { url: url.to_owned(), bearer: bearer.map(str::to_owned), body: "{\"text\":\"ü\"}".into() }
    }

    #[tokio::test]
    async fn it_posts_json_and_reads_status_time_and_body() {
        let (url, serving) =
            server("HTTP/1.1 429 Slow\r\nretry-after: 30\r\ncontent-length: 4\r\n\r\nbusy").await;
        let answer = ReqwestWeb::new().unwrap().post(post(&url, Some("xoxb-1"))).await.unwrap();
        let wait = Some(Duration::from_secs(30));
        assert_eq!(answer, WebAnswer { status: 429, retry_after: wait, body: "busy".into() });
        let seen = serving.await.unwrap().to_lowercase();
        assert!(seen.starts_with("post /services/geheim "), "{seen}");
        assert!(seen.contains("authorization: bearer xoxb-1"), "{seen}");
        assert!(seen.contains("content-type: application/json"), "{seen}");
        assert!(seen.contains("{\"text\":\"ü\"}"), "{seen}");
    }

    #[tokio::test]
    async fn it_is_sent_nowhere_else() {
        let (url, _serving) =
            server("HTTP/1.1 307 Away\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
        let answer = ReqwestWeb::new().unwrap().post(post(&url, None)).await.unwrap();
        assert_eq!(answer.status, 307);
    }

    #[tokio::test]
    async fn no_error_shows_the_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/services/geheim", listener.local_addr().unwrap());
        drop(listener);
        let error =
            ReqwestWeb::new().unwrap().post(post(&url, Some("xoxb-1"))).await.unwrap_err().to_string();
        assert!(!error.contains("geheim") && !error.contains("xoxb"), "{error}");
        assert!(error.starts_with("no answer came: "), "{error}");
    }
}
