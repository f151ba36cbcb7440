//! A client of the API, wherever it is served: CodePipeline, a Towpath on AWS, one on this machine.
//!
//! Requests are signed for the address they go to, answers are bounded. An operation that only reads is called again
//! when the service was busy; one that changes something only when it is certain that it did not arrive.

pub mod assume;
pub mod config;
pub mod endpoint;
pub mod keys;
pub mod process;
pub mod wire;

use anyhow::Context;
use api::{Request, codec, sigv4};
use endpoint::{Endpoint, LAMBDA, Reach};
use keys::Provider;
use serde_json::Value;
use std::{fmt, time::Duration};

/// Bytes of an answer, most: a definition and what lies around it.
const ANSWER_BYTES_MAX: usize = 4 * codec::BODY_BYTES_MAX;
/// How often a request is sent before it is given up.
const ATTEMPTS_MAX: u32 = 4;
/// How long before it is sent again, at first.
const PAUSE: Duration = Duration::from_millis(400);

/// Calls the operations of one endpoint.
pub struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
    keys: Provider,
}

/// The service's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The exception's name; of an answer that has none, the HTTP status in words.
    pub code: String,
    /// Its reason.
    pub message: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        self.hint.map_or(Ok(()), |hint| write!(f, "\n  {hint}"))
    }
}

impl std::error::Error for Refused {}

/// The service's no in an error, if it is one.
pub fn refusal(error: &anyhow::Error) -> Option<&Refused> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

impl Client {
    /// For what the options, the environment and the files say.
    pub fn of(reach: &Reach) -> anyhow::Result<Self> {
        Self::new(reach.endpoint()?, reach.profile.as_deref())
    }

    /// For an endpoint, with the keys of a profile or of the environment.
    pub fn new(endpoint: Endpoint, profile: Option<&str>) -> anyhow::Result<Self> {
        let keys = Provider::new(profile, &endpoint.region);
        Ok(Self { http: wire::http()?, endpoint, keys })
    }

    /// Where it calls.
    pub fn shown(&self) -> &str {
        self.endpoint.url.as_str()
    }

    /// The Region it signs for.
    pub fn region(&self) -> &str {
        &self.endpoint.region
    }

    /// Calls an operation that only reads, or that does the same once however often it is called.
    pub async fn call<R: Request>(&self, input: &R) -> anyhow::Result<Value> {
        self.attempt(input, |trouble| !matches!(trouble, Trouble::Lasting(_))).await
    }

    /// The same, with the answer as the model has it.
    pub async fn ask<R: Request>(&self, input: &R) -> anyhow::Result<R::Output> {
        self.typed::<R>(self.call(input).await?)
    }

    /// Calls an operation that changes something, again only if it did not arrive.
    pub async fn tell<R: Request>(&self, input: &R) -> anyhow::Result<R::Output> {
        let answer = self.attempt(input, |trouble| matches!(trouble, Trouble::NotArrived(_))).await?;
        self.typed::<R>(answer)
    }

    fn typed<R: Request>(&self, answer: Value) -> anyhow::Result<R::Output> {
        serde_json::from_value(answer).with_context(|| {
            let name = R::OPERATION.name();
            format!("the answer of {} to {name} is not as the API has it", self.endpoint.url)
        })
    }

    async fn attempt<R: Request>(
        &self,
        input: &R,
        again: impl Fn(&Trouble) -> bool,
    ) -> anyhow::Result<Value> {
        let (operation, url) = (R::OPERATION.name(), self.endpoint.url.as_str());
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            let trouble = match self.send(input).await {
                Ok(body) if body.is_empty() => return Ok(Value::Object(serde_json::Map::default())),
                Ok(body) => {
                    return serde_json::from_slice(&body).with_context(|| {
                        format!("the answer of {url} to {operation} is not JSON; is it the CodePipeline API?")
                    });
                }
                Err(trouble) => trouble,
            };
            if attempt == ATTEMPTS_MAX || !again(&trouble) {
                return Err(self.in_words(trouble, operation));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    async fn send<R: Request>(&self, input: &R) -> Result<Vec<u8>, Trouble> {
        let lasting = |error: api::ApiError| Trouble::Lasting(anyhow::anyhow!("{}", error.message));
        let keys = self.keys.keys().await.map_err(Trouble::Keys)?;
        let mut request = codec::encode_request(self.shown(), input).map_err(lasting)?;
        let Endpoint { service, region, .. } = &self.endpoint;
        // Each time anew: a signature is good for minutes.
        sigv4::sign(&mut request, &keys.credentials, region, service, jiff::Timestamp::now())
            .map_err(lasting)?;
        let request = reqwest::Request::try_from(request).map_err(|error| Trouble::Lasting(error.into()))?;
        let response = self.http.execute(request).await.map_err(|error| {
            if error.is_connect() {
                Trouble::NotArrived(error.into())
            } else {
                Trouble::Passing(error.into())
            }
        })?;
        let status = response.status().as_u16();
        let body = wire::body(response, ANSWER_BYTES_MAX).await.map_err(|error| {
            if error.is::<wire::TooLarge>() { Trouble::Lasting(error) } else { Trouble::Passing(error) }
        })?;
        match status {
            200 => Ok(body),
            _ => Err(trouble(status, &body)),
        }
    }

    fn in_words(&self, trouble: Trouble, operation: &str) -> anyhow::Error {
        let url = &self.endpoint.url;
        match trouble {
            Trouble::Keys(error) => error,
            Trouble::NotArrived(error) if self.endpoint.is_here() => error.context(format!(
                "nobody answers at {url}: is `towpath up`, or `towpath proxy`, running there?"
            )),
            Trouble::NotArrived(error) | Trouble::Passing(error) => {
                error.context(format!("{operation} at {url} got no answer"))
            }
            Trouble::Lasting(error) => match error.downcast::<Refused>() {
                Ok(refused) => {
                    let hint = self.hint(&refused);
                    anyhow::Error::new(Refused { hint, ..refused })
                        .context(format!("{operation} was refused by {url}"))
                }
                Err(error) => error,
            },
        }
    }

    /// What to do about a refusal.
    fn hint(&self, refused: &Refused) -> Option<&'static str> {
        let at_lambda = self.endpoint.service == LAMBDA;
        Some(match refused.code.as_str() {
            "PipelineNotFoundException" => "`towpath pipelines` lists those that are there",
            "AccessDeniedException" | "Forbidden" if at_lambda => {
                "the caller needs `lambda:InvokeFunctionUrl` and `lambda:InvokeFunction` on the function, and a role that \
                 may call this operation: docs/reaching-the-api.md"
            }
            "AccessDeniedException" => "the caller's policy does not allow this: docs/reaching-the-api.md",
            "ExpiredTokenException" => {
                "the keys are past their end: log in again, for example with `aws sso login`"
            }
            "UnrecognizedClientException" => {
                "the server does not know this access key: is it the right `--profile`, and the right `--url`?"
            }
            "InvalidSignatureException" => {
                "the secret key, the Region or the service differs from what the server expects: see `--profile`, \
                 `--region`, `--sign-for`"
            }
            _ => return None,
        })
    }
}

enum Trouble {
    /// There are no keys to sign with.
    Keys(anyhow::Error),
    /// It was not carried out, and another attempt may go well.
    NotArrived(anyhow::Error),
    /// Another attempt may go well; whether this one did anything is unknown.
    Passing(anyhow::Error),
    /// It would end the same way.
    Lasting(anyhow::Error),
}

/// What an answer that is no success means.
fn trouble(status: u16, body: &[u8]) -> Trouble {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    // Some services put a namespace in front.
    let code = body["__type"].as_str().map(|code| code.rsplit('#').next().unwrap_or(code).to_owned());
    let message =
        body["message"].as_str().or_else(|| body["Message"].as_str()).unwrap_or_default().to_owned();
    let busy = ["ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"];
    let is_busy = status == 429 || code.as_deref().is_some_and(|code| busy.contains(&code));
    let code = code.unwrap_or_else(|| match status {
        403 => "Forbidden".to_owned(),
        _ => format!("HTTP status {status}"),
    });
    let error = anyhow::Error::new(Refused { code, message, hint: None });
    match status {
        _ if is_busy => Trouble::NotArrived(error),
        500.. => Trouble::Passing(error),
        _ => Trouble::Lasting(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        let told = |status, body: &str| match trouble(status, body.as_bytes()) {
            Trouble::Lasting(error) => format!("lasting {error}"),
            Trouble::Passing(error) => format!("passing {error}"),
            Trouble::NotArrived(error) => format!("not arrived {error}"),
            Trouble::Keys(error) => error.to_string(),
        };
        let missing = r#"{"__type":"x#PipelineNotFoundException","message":"no shop"}"#;
        assert_eq!(told(400, missing), "lasting PipelineNotFoundException: no shop");
        assert_eq!(told(400, r#"{"__type":"ThrottlingException"}"#), "not arrived ThrottlingException");
        assert_eq!(told(429, "{}"), "not arrived HTTP status 429");
        assert_eq!(told(503, "<html>"), "passing HTTP status 503");
        assert_eq!(told(403, r#"{"Message":"Forbidden."}"#), "lasting Forbidden: Forbidden.");
        assert_eq!(told(404, "<html>"), "lasting HTTP status 404");
    }

    #[test]
    fn a_refusal_says_what_to_do_and_is_still_known_for_what_it_is() {
        let reach = Reach {
            url: Some("http://127.0.0.1:9".into()),
            region: Some("eu-west-1".into()),
            ..Reach::default()
        };
        let client = Client::of(&reach).unwrap();
        let answer = trouble(400, br#"{"__type":"PipelineNotFoundException","message":"no shop"}"#);
        let error = client.in_words(answer, "GetPipeline");
        assert_eq!(
            crate::in_words(&error),
            "GetPipeline was refused by http://127.0.0.1:9/: PipelineNotFoundException: no shop\n  `towpath pipelines` \
             lists those that are there"
        );
        assert_eq!(refusal(&error).unwrap().code, "PipelineNotFoundException");
    }
}
