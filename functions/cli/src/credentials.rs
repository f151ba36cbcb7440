//! The key pair that callers of `towpath up` sign with.

use anyhow::Context;
use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

/// The file's name in the state folder.
const FILE: &str = "credentials";

/// One access key with its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The access key id.
    pub access_key: String,
    /// The secret access key; never shown but where the user asks for it.
    pub secret: String,
}

impl KeyPair {
    /// Reads `KEY:SECRET`.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let (access_key, secret) =
            text.split_once(':').context("`--credentials` must have the form `KEY:SECRET`")?;
        Self::checked(access_key, secret)
    }

    /// The pair kept in a state folder; a fresh one is made and kept when there is none. True when it is fresh.
    pub fn of(state: &Path) -> anyhow::Result<(Self, bool)> {
        let path = state.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let pair = text.trim().split_once(':');
                let (access_key, secret) = pair.with_context(|| {
                    format!("`{}` does not hold `KEY:SECRET`; delete it to get a fresh pair", path.display())
                })?;
                Ok((Self::checked(access_key, secret)?, false))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let pair = Self::fresh();
                let mut file = fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)
                    .with_context(|| format!("`{}` cannot be written", path.display()))?;
                writeln!(file, "{}:{}", pair.access_key, pair.secret)?;
                file.sync_all()?;
                Ok((pair, true))
            }
            Err(error) => Err(error).with_context(|| format!("`{}` cannot be read", path.display())),
        }
    }

    fn checked(access_key: &str, secret: &str) -> anyhow::Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        anyhow::ensure!(
            (3..=128).contains(&access_key.len()) && access_key.chars().all(plain),
            "an access key has 3 to 128 letters, digits or `_`"
        );
        anyhow::ensure!(!secret.is_empty() && secret.len() <= 256, "a secret key has 1 to 256 characters");
        Ok(Self { access_key: access_key.to_owned(), secret: secret.to_owned() })
    }

    /// A pair nobody has yet.
    pub fn fresh() -> Self {
        // Two random UUIDs hold 244 random bits, more than a secret key's 240.
        let random = || uuid::Uuid::new_v4().simple().to_string();
        let access_key = format!("AKIATOWPATH{}", random()[..9].to_uppercase());
        Self { access_key, secret: format!("{}{}", random(), random()) }
    }
}
