//! Keys that another program gives: `credential_process` of a profile, and the `aws` command.

use super::keys::Keys;
use anyhow::Context;
use api::sigv4::Credentials;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{process::Stdio, time::Duration};
use tokio::{io::AsyncReadExt, process::Command};

/// How long a program may take: a person may have to answer it.
const PROGRAM_SECONDS_MAX: u64 = 120;
/// Bytes it may print.
const PRINTED_BYTES_MAX: u64 = 64 << 10;
/// The profiles, one a line, whose programs are being asked: one that asks us again must not do so for ever.
const ASKED_FOR: &str = "TOWPATH_ASKED_FOR_KEYS_OF";
/// The only version of the form there is.
const VERSION: u32 = 1;

/// What such a program prints.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expiration: Option<String>,
}

/// Runs the `credential_process` of a profile.
pub async fn run(profile: &str, command: &str) -> anyhow::Result<Keys> {
    let before = super::keys::variable(ASKED_FOR).unwrap_or_default();
    anyhow::ensure!(
        !before.lines().any(|asked| asked == profile),
        "`credential_process` of the profile `{profile}` leads back to `{profile}`: it must name another"
    );
    // By the shell, as the AWS SDKs of Rust and Go do: quotes in it mean what they mean there.
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).env(ASKED_FOR, format!("{before}\n{profile}"));
    read(shell).await.with_context(|| format!("`credential_process` of the profile `{profile}` gave no keys"))
}

/// Asks the `aws` command for the keys of a profile that are got in a way we do not know.
pub async fn ask_aws(profile: &str, key: &str) -> anyhow::Result<Keys> {
    let mut aws = Command::new("aws");
    aws.args(["configure", "export-credentials", "--profile", profile, "--format", "process"]);
    read(aws).await.with_context(|| {
        format!(
            "the profile `{profile}` gets its keys by `{key}`, which Towpath leaves to the `aws` command (version 2):\n  \
             eval \"$(aws configure export-credentials --profile {profile} --format env)\"\n  and then this again \
             without `--profile`; what `aws` said"
        )
    })
}

/// Keys in the form that `credential_process` wants.
pub fn printed(keys: &Keys) -> anyhow::Result<String> {
    let Credentials { access_key, secret_key, session_token } = keys.credentials.clone();
    Ok(serde_json::to_string_pretty(&Printed {
        version: VERSION,
        access_key_id: access_key,
        secret_access_key: secret_key,
        session_token,
        expiration: keys.expires.map(|end| end.to_string()),
    })?)
}

async fn read(mut command: Command) -> anyhow::Result<Keys> {
    // What it asks a person stays visible; what it prints is a secret.
    command.stdin(Stdio::inherit()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    let mut child = command.spawn().context("the program cannot be started")?;
    let out = child.stdout.take().context("the program has no output")?;
    let mut text = Vec::new();
    let done = async {
        out.take(PRINTED_BYTES_MAX + 1).read_to_end(&mut text).await?;
        child.wait().await
    };
    let status = match tokio::time::timeout(Duration::from_secs(PROGRAM_SECONDS_MAX), done).await {
        Ok(status) => status.context("its output cannot be read")?,
        Err(_) => anyhow::bail!("the program took longer than {PROGRAM_SECONDS_MAX} s"),
    };
    anyhow::ensure!(status.success(), "the program ended with {status}");
    anyhow::ensure!(
        text.len() as u64 <= PRINTED_BYTES_MAX,
        "the program printed more than {} KiB",
        PRINTED_BYTES_MAX >> 10
    );
    parse(&text)
}

fn parse(text: &[u8]) -> anyhow::Result<Keys> {
    // The error of the parser would quote a secret.
    let printed: Printed = serde_json::from_slice(text)
        .ok()
        .context("the program did not print JSON with `Version`, `AccessKeyId` and `SecretAccessKey`")?;
    anyhow::ensure!(
        printed.version == VERSION,
        "the program printed `Version` {}, not {VERSION}",
        printed.version
    );
    let expires = match &printed.expiration {
        None => None,
        Some(text) => {
            let moment: Result<Timestamp, _> = text.parse();
            Some(moment.with_context(|| format!("its `Expiration` is not a time: `{text}`"))?)
        }
    };
    let keys = Keys {
        credentials: Credentials {
            access_key: printed.access_key_id,
            secret_key: printed.secret_access_key,
            session_token: printed.session_token,
        },
        expires,
    };
    anyhow::ensure!(!keys.are_over(Timestamp::now()), "its keys are past their end: log in again");
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_is_read_and_written_alike() {
        let text = br#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T",
            "Expiration":"2999-01-02T03:04:05Z"}"#;
        let keys = parse(text).unwrap();
        assert_eq!(keys.credentials.session_token.as_deref(), Some("T"));
        let again = parse(printed(&keys).unwrap().as_bytes()).unwrap();
        assert_eq!(again.expires, keys.expires);
        assert_eq!(again.credentials.secret_key, "S");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for (text, words) in [
            (r#"{"Version":2,"AccessKeyId":"A","SecretAccessKey":"hush"}"#, "`Version` 2"),
            (r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":["hush"]}"#, "did not print JSON"),
            (r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"hush","Expiration":"soon"}"#, "not a time"),
            (
                r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"hush","Expiration":"2020-01-01T00:00:00Z"}"#,
                "past their end",
            ),
        ] {
            let error = format!("{:#}", parse(text.as_bytes()).unwrap_err());
            assert!(error.contains(words) && !error.contains("hush"), "{error}");
        }
    }
}
