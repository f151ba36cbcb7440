//! One call: signed, sent, and sent again while that makes sense.

use super::{
    CallError, Client, Credentials,
    error::{Refusal, Turn},
    request::Prepared,
};
use api::sigv4;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request};
use std::{
    error::Error as _,
    path::Path,
    time::{Duration, Instant},
};
use tokio::io::AsyncWriteExt as _;

/// The first pause after a service had an error of its own, most.
const PAUSE: Duration = Duration::from_millis(50);
/// The first pause after being turned away, most.
const THROTTLED_PAUSE: Duration = Duration::from_millis(250);
/// Any pause, most.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Bytes of an answer that is no success, most: enough for every message.
const REFUSAL_BYTES_MAX: usize = 1 << 20;

/// Where the body of an answer goes. Only that of a success goes to a file.
#[derive(Clone, Copy)]
pub(super) enum Sink<'a> {
    Memory,
    File(&'a Path),
}

/// An answer as it came.
pub(super) struct Raw {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What came of one attempt that was no success.
enum Trouble {
    Refused(Refusal),
    /// Nothing was sent: there was no connection.
    NotSent(String),
    /// It was sent, and what came of it is not known.
    Unknown(String),
    Unusable(String),
}

impl Client {
    /// Sends until there is an answer that `read` takes, a refusal, or no time left.
    pub(super) async fn exchange<T>(
        &self,
        prepared: &Prepared,
        sink: Sink<'_>,
        read: impl Fn(&Raw) -> Result<T, String>,
    ) -> Result<T, CallError> {
        let begun = Instant::now();
        let mut throttled_only = true;
        let mut renewed = false;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let keys = self.credentials(prepared.service).await?;
            if let Some(meter) = &self.shared.meter {
                meter.request(prepared.service, &prepared.operation, attempt, prepared.body.len());
            }
            let left = prepared.total.saturating_sub(begun.elapsed());
            let bounded = tokio::time::timeout(prepared.attempt.min(left), self.once(prepared, &keys, sink));
            let trouble = match bounded.await {
                Ok(Ok(raw)) => match read(&raw) {
                    Ok(answer) => return Ok(answer),
                    Err(reason) => Trouble::Unknown(reason),
                },
                Ok(Err(trouble)) => trouble,
                Err(_) => {
                    Trouble::Unknown(format!("no whole answer within {:?}", prepared.attempt.min(left)))
                }
            };
            let (pause, reason, throttled, untouched) = match trouble {
                Trouble::Refused(refusal) => match refusal.turn() {
                    Turn::Expired if !renewed && self.keys.forget(&keys).await => {
                        renewed = true;
                        continue;
                    }
                    Turn::Final | Turn::Expired => return Err(refused(prepared, refusal)),
                    Turn::Throttled => (THROTTLED_PAUSE, said(&refusal), true, true),
                    Turn::Passing => (PAUSE, said(&refusal), false, false),
                },
                Trouble::NotSent(reason) => (PAUSE, reason, false, true),
                Trouble::Unknown(reason) => (PAUSE, reason, false, false),
                Trouble::Unusable(reason) => return Err(prepared.unusable(reason)),
            };
            throttled_only &= throttled;
            let pause = pause_after(attempt, pause);
            let no_more = attempt >= self.limits.attempts.max(1)
                || begun.elapsed() + pause >= prepared.total
                || !(prepared.again || untouched);
            tracing::debug!(
                service = %prepared.service, operation = prepared.operation, attempt, reason, no_more, "no answer"
            );
            if no_more {
                return Err(CallError::Unavailable {
                    service: prepared.service,
                    operation: prepared.operation.clone(),
                    attempts: attempt,
                    took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
                    reason,
                    throttled: throttled_only,
                });
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn once(&self, prepared: &Prepared, keys: &Credentials, sink: Sink<'_>) -> Result<Raw, Trouble> {
        let request = self.signed(prepared, keys).map_err(Trouble::Unusable)?;
        let mut response =
            self.shared.http.execute(request).await.map_err(|error| match error.is_connect() {
                true => Trouble::NotSent(described(&error)),
                false => Trouble::Unknown(described(&error)),
            })?;
        let (status, headers) = (response.status(), response.headers().clone());
        let good = status.is_success();
        let bytes_max = if good { prepared.answer_bytes } else { REFUSAL_BYTES_MAX };
        let too_large = || {
            Trouble::Unusable(format!("the answer is larger than {bytes_max} bytes, the most that is taken"))
        };
        // Not for HEAD, whose answer announces a body that does not come.
        let announced = response.content_length().filter(|_| prepared.method != http::Method::HEAD);
        if announced.is_some_and(|length| length > bytes_max as u64) {
            return Err(too_large());
        }
        let mut file = match sink {
            Sink::File(path) if good => Some(tokio::fs::File::create(path).await.map_err(not_kept(path))?),
            Sink::File(_) | Sink::Memory => None,
        };
        let (mut body, mut received) = (BytesMut::new(), 0);
        while let Some(chunk) = response.chunk().await.map_err(|error| Trouble::Unknown(described(&error)))? {
            received += chunk.len();
            if received > bytes_max {
                return Err(too_large());
            }
            match (&mut file, sink) {
                (Some(file), Sink::File(path)) => file.write_all(&chunk).await.map_err(not_kept(path))?,
                _ => body.extend_from_slice(&chunk),
            }
        }
        if let (Some(mut file), Sink::File(path)) = (file, sink) {
            file.flush().await.map_err(not_kept(path))?;
        }
        if let Some(meter) = &self.shared.meter {
            meter.answer(prepared.service, &prepared.operation, received);
        }
        if !good {
            return Err(Trouble::Refused(Refusal::of(status.as_u16(), &headers, &body)));
        }
        Ok(Raw { status: status.as_u16(), headers, body: body.freeze() })
    }

    fn signed(&self, prepared: &Prepared, keys: &Credentials) -> Result<reqwest::Request, String> {
        let mut request = Request::builder().method(prepared.method.clone()).uri(&prepared.url);
        if let Some(headers) = request.headers_mut() {
            headers.clone_from(&prepared.headers);
        }
        let mut request = request.body(prepared.body.clone()).map_err(|error| error.to_string())?;
        let keys = sigv4::Credentials {
            access_key: keys.access_key.clone(),
            secret_key: keys.secret_key.clone(),
            session_token: keys.session_token.clone(),
        };
        // Each time anew: a signature is good for minutes.
        let now = jiff::Timestamp::now();
        sigv4::sign(&mut request, &keys, &self.region, prepared.service.signing_name(), now)
            .map_err(|error| error.message)?;
        reqwest::Request::try_from(request).map_err(|error| error.to_string())
    }
}

fn refused(prepared: &Prepared, refusal: Refusal) -> CallError {
    CallError::Refused {
        service: prepared.service,
        operation: prepared.operation.clone(),
        code: refusal.code,
        message: refusal.message,
        status: refusal.status,
        details: Box::new(refusal.details),
    }
}

fn said(refusal: &Refusal) -> String {
    format!("{}: {}", refusal.code, refusal.message)
}

fn not_kept(path: &Path) -> impl Fn(std::io::Error) -> Trouble {
    let path = path.to_owned();
    move |error| Trouble::Unusable(format!("`{}` cannot be written: {error}", path.display()))
}

/// The whole chain: the outermost says no more than that a request failed.
fn described(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

/// The pause after so many attempts: each may be twice as long as the one before.
fn pause_after(attempt: u32, first: Duration) -> Duration {
    jittered(first.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(PAUSE_MAX))
}

/// Full jitter: anything from nothing to this long, so that those turned away together do not come back together.
pub(crate) fn jittered(most: Duration) -> Duration {
    let random = uuid::Uuid::new_v4().as_u128() as u32;
    most.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_have_an_end() {
        for attempt in 1..40 {
            let most = PAUSE.saturating_mul(1 << (attempt - 1).min(16)).min(PAUSE_MAX);
            assert!((0..50).all(|_| pause_after(attempt, PAUSE) <= most), "{attempt}");
        }
        assert!((0..50).any(|_| pause_after(12, PAUSE) > PAUSE));
    }
}
