//! A client of the API: signed requests over HTTP, a bounded answer.

use super::profile::Identity;
use anyhow::Context;
use api::{Request, codec, sigv4};
use serde_json::Value;
use std::time::Duration;

/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Bytes of an answer, most: a definition and what lies around it.
const ANSWER_BYTES_MAX: usize = 4 * codec::BODY_BYTES_MAX;
/// How often a request is sent before it is given up.
const ATTEMPTS_MAX: u32 = 3;
/// How long before it is sent again, at first.
const PAUSE: Duration = Duration::from_millis(400);

/// Calls the operations of one endpoint.
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    identity: Identity,
}

impl Client {
    pub(super) fn new(endpoint: Option<&str>, identity: Identity) -> anyhow::Result<Self> {
        let url = match endpoint {
            Some(url) => checked(url)?,
            None => format!("https://codepipeline.{}.{}/", identity.region, suffix(&identity.region)),
        };
        // Its answers are signed for one place: nobody may send them elsewhere.
        let http = reqwest::Client::builder()
            .timeout(ANSWER_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("no HTTP client can be made on this machine")?;
        Ok(Self { http, url, identity })
    }

    pub(super) fn shown(&self) -> &str {
        &self.url
    }

    pub(super) fn region(&self) -> &str {
        &self.identity.region
    }

    /// Calls an operation that only reads, again if the service was busy.
    pub(super) async fn call<R: Request>(&self, input: &R) -> anyhow::Result<Value> {
        let operation = R::OPERATION.name();
        let mut pause = PAUSE;
        for attempt in 1..=ATTEMPTS_MAX {
            match self.send(input).await {
                Ok(answer) => return answer.read(operation, &self.url),
                Err(Trouble::Passing(error)) if attempt == ATTEMPTS_MAX => {
                    return Err(error.context(format!("{operation} at {} got no answer", self.url)));
                }
                Err(Trouble::Passing(_)) => tokio::time::sleep(pause).await,
                Err(Trouble::Lasting(error)) => return Err(error),
            }
            pause *= 2;
        }
        anyhow::bail!("{operation} at {} got no answer", self.url)
    }

    async fn send<R: Request>(&self, input: &R) -> Result<Answer, Trouble> {
        let lasting = |error: api::ApiError| Trouble::Lasting(anyhow::anyhow!("{}", error.message));
        let mut request = codec::encode_request(&self.url, input).map_err(lasting)?;
        let Identity { credentials, region } = &self.identity;
        // Each time anew: a signature is good for minutes.
        sigv4::sign(&mut request, credentials, region, sigv4::SERVICE, jiff::Timestamp::now())
            .map_err(lasting)?;
        let request = reqwest::Request::try_from(request).map_err(|error| Trouble::Lasting(error.into()))?;
        let mut response =
            self.http.execute(request).await.map_err(|error| Trouble::Passing(error.into()))?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Trouble::Passing(error.into()))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let bound = ANSWER_BYTES_MAX >> 20;
                return Err(Trouble::Lasting(anyhow::anyhow!("the answer is larger than {bound} MiB")));
            }
            body.extend_from_slice(&chunk);
        }
        let answer = Answer { status, body };
        match answer.is_passing() {
            true => Err(Trouble::Passing(answer.refusal())),
            false => Ok(answer),
        }
    }
}

enum Trouble {
    /// Another attempt may go well.
    Passing(anyhow::Error),
    /// It would end the same way.
    Lasting(anyhow::Error),
}

struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    fn read(self, operation: &str, url: &str) -> anyhow::Result<Value> {
        if self.status != 200 {
            return Err(self.refusal().context(format!("{operation} was refused by {url}")));
        }
        serde_json::from_slice(&self.body).with_context(|| {
            format!("the answer of {url} to {operation} is not JSON; is it the CodePipeline API?")
        })
    }

    fn is_passing(&self) -> bool {
        let busy = ["ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"];
        self.status >= 500
            || self.status == 429
            || self.code().is_some_and(|code| busy.contains(&code.as_str()))
    }

    fn code(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let code = body["__type"].as_str()?;
        // Some services put a namespace in front.
        Some(code.rsplit('#').next().unwrap_or(code).to_owned())
    }

    fn refusal(&self) -> anyhow::Error {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let message =
            body["message"].as_str().or_else(|| body["Message"].as_str()).unwrap_or("without a reason");
        match self.code() {
            Some(code) => anyhow::anyhow!("{code}: {message}"),
            None => anyhow::anyhow!("HTTP status {}", self.status),
        }
    }
}

/// An endpoint's URL. Without TLS, a session token could be read on the way: on this machine alone.
fn checked(url: &str) -> anyhow::Result<String> {
    let parsed = reqwest::Url::parse(url).with_context(|| format!("`--endpoint-url {url}` is not a URL"))?;
    let host = parsed.host_str().unwrap_or_default();
    let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    anyhow::ensure!(
        parsed.scheme() == "https" || (parsed.scheme() == "http" && loopback),
        "`--endpoint-url {url}` must begin with `https://`, or lead to this machine"
    );
    anyhow::ensure!(
        matches!(parsed.path(), "" | "/") && parsed.query().is_none(),
        "`--endpoint-url {url}` must be an address without a path: the API is served at `/`"
    );
    Ok(parsed.into())
}

fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_called_without_tls() {
        for good in ["http://127.0.0.1:4500", "http://localhost:1/", "http://[::1]:1", "https://example.com"]
        {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in
            ["http://example.com", "ftp://127.0.0.1", "127.0.0.1:4500", "https://a/b", "http://127.0.0.1?x"]
        {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn refusals_are_told_apart() {
        let answer = |status, body: &str| Answer { status, body: body.as_bytes().to_vec() };
        let missing = answer(400, r#"{"__type":"x#PipelineNotFoundException","message":"no shop"}"#);
        assert!(!missing.is_passing());
        assert_eq!(missing.refusal().to_string(), "PipelineNotFoundException: no shop");
        assert!(answer(400, r#"{"__type":"ThrottlingException"}"#).is_passing());
        assert!(answer(503, "<html>").is_passing());
        assert_eq!(answer(404, "<html>").refusal().to_string(), "HTTP status 404");
    }
}
