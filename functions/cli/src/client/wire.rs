//! HTTP as far as a client needs it: one way to connect, bounded answers.

use anyhow::Context;
use std::{sync::OnceLock, time::Duration};

/// How long a connection may take to come about.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The client that all calls share.
pub fn http() -> anyhow::Result<reqwest::Client> {
    static SHARED: OnceLock<reqwest::Client> = OnceLock::new();
    if let Some(client) = SHARED.get() {
        return Ok(client.clone());
    }
    // What is sent is signed for one place: nobody may send it elsewhere.
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_MAX)
        .timeout(ANSWER_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("no HTTP client can be made on this machine")?;
    Ok(SHARED.get_or_init(|| client).clone())
}

/// An answer's body, within a bound.
pub async fn body(mut response: reqwest::Response, bytes_max: usize) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > bytes_max {
            anyhow::bail!(TooLarge { kib: bytes_max >> 10 });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An answer that was not read to its end.
#[derive(Debug)]
pub struct TooLarge {
    kib: usize,
}

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the answer is larger than {} KiB", self.kib)
    }
}

impl std::error::Error for TooLarge {}
