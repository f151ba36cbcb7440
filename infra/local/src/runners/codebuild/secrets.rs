//! Secrets and parameters from this machine: the file or folder `secrets` names in `towpath.toml`.

use crate::runners::Site;
use serde_json::Value;
use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

/// Bytes of the file, or of one secret.
const SECRET_BYTES_MAX: u64 = 1 << 20;

/// What builds may look up, and what they looked up so far.
pub(super) struct Secrets<'a> {
    place: Option<&'a Path>,
    file: Option<Value>,
    /// Values handed out: none of them may appear in a log.
    pub(super) used: Vec<String>,
}

impl<'a> Secrets<'a> {
    pub(super) fn new(site: &'a Site) -> Self {
        Self { place: site.settings.secrets.as_deref(), file: None, used: Vec::new() }
    }

    /// The value of a parameter for a variable.
    pub(super) fn parameter(&mut self, variable: &str, name: &str) -> Result<String, String> {
        let value = self.look_up(variable, name, &[name, name.trim_start_matches('/')])?;
        self.hand_out(text_of(value))
    }

    /// The value a `secret-id[:json-key[:version-stage[:version-id]]]` names.
    pub(super) fn secret(&mut self, variable: &str, reference: &str) -> Result<String, String> {
        let reference = Reference::parse(reference);
        if !matches!(reference.stage, "" | "AWSCURRENT") || !reference.version.is_empty() {
            return Err(format!(
                "`{variable}` asks for a version of the secret `{}`: on this machine there is only the \
                 current one",
                reference.id
            ));
        }
        let short = reference.short_name();
        let value = self.look_up(variable, reference.id, &[reference.id, short, without_suffix(short)])?;
        if reference.key.is_empty() {
            return self.hand_out(text_of(value));
        }
        let object = match value {
            Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::Null),
            other => other,
        };
        match object.get(reference.key) {
            Some(value) => self.hand_out(text_of(value.clone())),
            None => Err(format!(
                "`{variable}` asks for `{}` of the secret `{}`, which is not JSON with that key",
                reference.key, reference.id
            )),
        }
    }

    fn hand_out(&mut self, value: String) -> Result<String, String> {
        self.used.push(value.clone());
        Ok(value)
    }

    fn look_up(&mut self, variable: &str, name: &str, spellings: &[&str]) -> Result<Value, String> {
        let Some(place) = self.place else {
            return Err(format!(
                "`{variable}` asks for the secret `{name}`: set `secrets` in towpath.toml to a JSON file of \
                 names and values, or to a folder with one file per secret"
            ));
        };
        let missing = || {
            format!(
                "`{variable}` asks for the secret `{name}`, which is not in `{}`: add it",
                place.display()
            )
        };
        let unreadable = |path: &Path, why: &dyn std::fmt::Display| {
            format!("`{}`, where `{variable}` would come from, cannot be read: {why}", path.display())
        };
        if place.is_dir() {
            for file in spellings.iter().filter_map(|name| below(place, name)) {
                match read(&file) {
                    // A file ends with a line break that is not the secret's.
                    Ok(text) => {
                        return Ok(Value::String(text.strip_suffix('\n').unwrap_or(&text).to_owned()));
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(unreadable(&file, &error)),
                }
            }
            return Err(missing());
        }
        if self.file.is_none() {
            let text = read(place).map_err(|error| unreadable(place, &error))?;
            let value: Value = serde_json::from_str(&text).map_err(|error| {
                // The parser's words name line and column and never quote the text.
                unreadable(place, &error)
            })?;
            self.file = Some(value);
        }
        let found = self.file.as_ref().and_then(|file| spellings.iter().find_map(|name| file.get(name)));
        found.cloned().ok_or_else(missing)
    }
}

/// A secret reference taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Reference<'r> {
    id: &'r str,
    key: &'r str,
    stage: &'r str,
    version: &'r str,
}

impl<'r> Reference<'r> {
    /// An ARN's own colons belong to the id: six before the secret's name.
    fn parse(text: &'r str) -> Self {
        let own_colons = if text.starts_with("arn:") { 6 } else { 0 };
        let end = text.match_indices(':').nth(own_colons).map_or(text.len(), |(at, _)| at);
        let mut parts = text[end..].split(':').skip(1);
        let mut part = || parts.next().unwrap_or("");
        Self { id: &text[..end], key: part(), stage: part(), version: part() }
    }

    fn short_name(&self) -> &'r str {
        if self.id.starts_with("arn:") { self.id.rsplit(':').next().unwrap_or(self.id) } else { self.id }
    }
}

/// The service ends the names in its ARNs with a dash and six random characters.
fn without_suffix(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((plain, suffix)) if suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            plain
        }
        Some(_) | None => name,
    }
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

/// The file of a name that stays below the folder.
fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let name = Path::new(name.trim_start_matches('/'));
    let plain = name.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && name.components().next().is_some()).then(|| folder.join(name))
}

fn read(path: &Path) -> io::Result<String> {
    let about = fs::metadata(path)?;
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it is not a file"));
    }
    if about.len() > SECRET_BYTES_MAX {
        return Err(io::Error::other(format!("it is larger than {SECRET_BYTES_MAX} bytes")));
    }
    fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(place: Option<&Path>) -> Secrets<'_> {
        Secrets { place, file: None, used: Vec::new() }
    }

    #[test]
    fn a_file_of_names_and_values_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets.json");
        fs::write(
            &file,
            r#"{"/app/url": "u", "plain": "p", "db": {"user": "me", "port": 5432}, "s": "{\"k\":\"v\"}"}"#,
        )
        .unwrap();
        let mut secrets = secrets(Some(&file));
        assert_eq!(secrets.parameter("V", "/app/url").unwrap(), "u");
        assert_eq!(secrets.secret("V", "plain").unwrap(), "p");
        assert_eq!(secrets.secret("V", "db:port").unwrap(), "5432");
        assert_eq!(secrets.secret("V", "s:k:AWSCURRENT").unwrap(), "v");
        assert_eq!(
            secrets
                .secret("V", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-a1B2c3:user")
                .unwrap(),
            "me"
        );
        assert_eq!(secrets.used, ["u", "p", "5432", "v", "me"]);
        assert!(secrets.secret("V", "db:pass").unwrap_err().contains("asks for `pass` of the secret `db`"));
        assert!(secrets.secret("V", "db::AWSPREVIOUS").unwrap_err().contains("only the current one"));
        assert!(
            secrets.secret("V", "none").unwrap_err().contains("asks for the secret `none`, which is not in")
        );
    }

    #[test]
    fn a_folder_of_files_is_read_and_never_left() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("s/app")).unwrap();
        fs::write(folder.path().join("s/app/key"), "value\n").unwrap();
        fs::write(folder.path().join("outside"), "x").unwrap();
        let place = folder.path().join("s");
        let mut secrets = secrets(Some(&place));
        assert_eq!(secrets.parameter("V", "/app/key").unwrap(), "value");
        assert!(secrets.parameter("V", "../outside").unwrap_err().contains("is not in"));
    }

    #[test]
    fn without_a_place_the_setting_is_named() {
        let why = secrets(None).secret("TOKEN", "app/token").unwrap_err();
        assert!(why.starts_with("`TOKEN` asks for the secret `app/token`: set `secrets` in towpath.toml"));
    }
}
