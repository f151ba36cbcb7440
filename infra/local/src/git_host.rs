//! Webhooks at GitHub, or whoever speaks its API. Called by the `curl` program, as repositories are by `git`: proxies
//! and certificates of the machine just work, and nothing is linked in for a call that is made once in a while.
//!
//! The token and the secret go to `curl` over its standard input: a command line can be read by every user.

use crate::settings::GitHost;
use engine::ports::{GitHosts, Hook, HostAnswer, HostError};
use serde_json::{Value, json};
use std::{process::Stdio, time::Duration};
use tokio::{io::AsyncWriteExt, process::Command};

/// How long one call may take.
const CALL_SECONDS_MAX: u64 = 20;
/// Bytes of an answer, most.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Bytes of the token, most.
const TOKEN_BYTES_MAX: usize = 1024;
/// Hooks a repository may have that are looked through for one of ours: one page, more than GitHub allows.
const HOOKS_LISTED: usize = 100;

/// Tells one Git host.
#[derive(Debug, Clone)]
pub struct CurlGitHost {
    settings: GitHost,
}

impl CurlGitHost {
    /// The host of these settings.
    pub fn new(settings: GitHost) -> Self {
        Self { settings }
    }

    async fn put_hook(&self, hook: &Hook<'_>) -> Result<String, HostError> {
        let mut config = json!({ "url": hook.url, "content_type": "json", "insecure_ssl": "0" });
        if let Some(secret) = hook.secret {
            config["secret"] = secret.into();
        }
        let body = json!({ "name": "web", "active": true, "events": ["push"], "config": config });
        let hooks = format!("/repos/{}/hooks", repository(hook.repository)?);
        let known = self.call("GET", &format!("{hooks}?per_page={HOOKS_LISTED}"), None).await?;
        let same = |known: &&Value| known["config"]["url"] == hook.url;
        let known = known.as_array().into_iter().flatten().find(same).and_then(|known| known["id"].as_u64());
        if let Some(id) = known {
            self.call("PATCH", &format!("{hooks}/{id}"), Some(&body)).await?;
            return Ok(id.to_string());
        }
        let made = self.call("POST", &hooks, Some(&body)).await?;
        made["id"]
            .as_u64()
            .map(|id| id.to_string())
            .ok_or_else(|| error("BadAnswer", "the host named no hook"))
    }

    async fn delete_hook(&self, of: &str, id: &str) -> Result<(), HostError> {
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error("BadHook", "the id of the hook is none of this host"));
        }
        match self.call("DELETE", &format!("/repos/{}/hooks/{id}", repository(of)?), None).await {
            Err(HostError { code, .. }) if code == "NotFound" => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, HostError> {
        let token = self.token().await?;
        let mut lines = format!(
            "request = \"{method}\"\nurl = {}\nheader = {}\nheader = \"Accept: application/vnd.github+json\"\nuser-agent = \
             \"towpath\"\nmax-time = {CALL_SECONDS_MAX}\nmax-filesize = {ANSWER_BYTES_MAX}\nproto = \"=http,https\"\n\
             silent\nshow-error\nwrite-out = \"\\n%{{http_code}}\"\n",
            quoted(&format!("{}{path}", self.settings.api.trim_end_matches('/'))),
            quoted(&format!("Authorization: Bearer {token}")),
        );
        if let Some(body) = body {
            lines.push_str(&format!(
                "header = \"Content-Type: application/json\"\ndata-raw = {}\n",
                quoted(&body.to_string())
            ));
        }
        let (status, answer) = curl(&lines).await?;
        let answer: Value = serde_json::from_str(&answer).unwrap_or(Value::Null);
        match status {
            200..=299 => Ok(answer),
            _ => {
                let words = answer["message"].as_str().unwrap_or("no reason was given");
                let why =
                    answer["errors"][0]["message"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
                let code = match status {
                    401 | 403 => "AccessDenied",
                    404 => "NotFound",
                    422 => "Refused",
                    _ => "HostError",
                };
                Err(error(code, &format!("the Git host answered {status}: {words}{why}")))
            }
        }
    }

    async fn token(&self) -> Result<String, HostError> {
        let path = &self.settings.token_file;
        let text = tokio::fs::read_to_string(path).await.map_err(|reason| {
            error("NoCredentials", &format!("the token file `{}` cannot be read: {reason}", path.display()))
        })?;
        let token = text.trim();
        if token.is_empty()
            || token.len() > TOKEN_BYTES_MAX
            || !token.bytes().all(|byte| byte.is_ascii_graphic())
        {
            let text = format!("the token file `{}` does not hold a token alone", path.display());
            return Err(error("NoCredentials", &text));
        }
        Ok(token.to_owned())
    }
}

impl GitHosts for CurlGitHost {
    fn register<'a>(&'a self, hook: &'a Hook<'a>) -> HostAnswer<'a, String> {
        Box::pin(self.put_hook(hook))
    }

    fn deregister<'a>(&'a self, repository: &'a str, id: &'a str) -> HostAnswer<'a, ()> {
        Box::pin(self.delete_hook(repository, id))
    }
}

fn error(code: &str, message: &str) -> HostError {
    HostError { code: code.to_owned(), message: message.to_owned() }
}

/// `owner/name`, in which no part may lead elsewhere.
fn repository(name: &str) -> Result<&str, HostError> {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.bytes().all(|byte| byte == b'.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    match name.split_once('/') {
        Some((owner, repository)) if is_part(owner) && is_part(repository) => Ok(name),
        Some(_) | None => {
            Err(error("BadRepository", &format!("`{name}` is not a repository's `owner/name`")))
        }
    }
}

/// A value in `curl`'s configuration.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Runs `curl` with a configuration; its status code and the body.
async fn curl(configuration: &str) -> Result<(u16, String), HostError> {
    let failed = |reason: String| error("HostUnavailable", &reason);
    let mut child = Command::new("curl")
        // Without the user's own configuration, which might add who knows what.
        .args(["--disable", "--config", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|reason| failed(format!("the program `curl` cannot be run: {reason}")))?;
    let mut stdin = child.stdin.take();
    let bytes = configuration.as_bytes().to_vec();
    let write = async move {
        if let Some(stdin) = &mut stdin {
            // Should it end before it has read everything, its own words say why.
            drop(stdin.write_all(&bytes).await);
        }
    };
    let wait = Duration::from_secs(CALL_SECONDS_MAX + 5);
    let both = async { tokio::join!(write, child.wait_with_output()).1 };
    let done = tokio::time::timeout(wait, both)
        .await
        .map_err(|_| failed(format!("the Git host did not answer within {} seconds", wait.as_secs())))?
        .map_err(|reason| failed(format!("`curl` broke off: {reason}")))?;
    if !done.status.success() {
        let words = String::from_utf8_lossy(&done.stderr);
        return Err(failed(format!("the Git host did not answer: {}", words.trim())));
    }
    let text = String::from_utf8_lossy(&done.stdout);
    let (body, status) = text.rsplit_once('\n').unwrap_or(("", &text));
    let status = status.trim().parse().map_err(|_| failed("`curl` gave no status".to_owned()))?;
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_sent_can_end_its_quotes() {
        assert_eq!(quoted("a\"b\\c\nurl = x"), "\"a\\\"b\\\\c\\nurl = x\"");
    }

    #[test]
    fn a_repository_is_two_plain_names() {
        assert!(repository("acme/shop.js").is_ok());
        for bad in ["acme", "acme/..", "../acme", "a/b/c", "a/b?x", "", "/", "a b/c"] {
            assert!(repository(bad).is_err(), "{bad}");
        }
    }
}
