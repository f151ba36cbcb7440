//! The files in `~/.aws`, as every AWS tool reads them.

use std::{
    collections::BTreeMap,
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// Bytes of a file in `~/.aws`, most.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// Both files; one that is not there has no sections.
pub struct Files {
    credentials: Sections,
    config: Sections,
}

impl Files {
    /// Reads them from where the environment says, else from `~/.aws`.
    pub fn read() -> anyhow::Result<Self> {
        Ok(Self {
            credentials: sections(&place("AWS_SHARED_CREDENTIALS_FILE", "credentials"))?,
            config: sections(&config_path())?,
        })
    }

    /// With another text for `config`.
    pub fn with_config(config: &str) -> anyhow::Result<Self> {
        let credentials = sections(&place("AWS_SHARED_CREDENTIALS_FILE", "credentials"))?;
        Ok(Self { credentials, config: parse(config) })
    }

    /// The files' contents, for tests.
    #[cfg(test)]
    pub fn of(credentials: &str, config: &str) -> Self {
        Self { credentials: parse(credentials), config: parse(config) }
    }

    /// What a profile says of a key: `credentials` before `config`. A key below another is `above.below`.
    pub fn value(&self, profile: &str, key: &str) -> Option<String> {
        let of = |sections: &Sections, name: &str| sections.get(name)?.get(key).cloned();
        of(&self.credentials, profile).or_else(|| of(&self.config, &section_of(profile)))
    }

    /// Whether a profile stands in one of the files.
    pub fn knows(&self, profile: &str) -> bool {
        self.credentials.contains_key(profile) || self.config.contains_key(&section_of(profile))
    }

    /// Where the profile sends calls of CodePipeline, if it says so for that service.
    pub fn codepipeline_endpoint(&self, profile: &str) -> Option<String> {
        let services = self.value(profile, "services")?;
        self.config.get(&format!("services {services}"))?.get("codepipeline.endpoint_url").cloned()
    }
}

/// The section of `config` that a profile has.
pub fn section_of(profile: &str) -> String {
    if profile == "default" { profile.to_owned() } else { format!("profile {profile}") }
}

/// Where `config` lies.
pub fn config_path() -> PathBuf {
    place("AWS_CONFIG_FILE", "config")
}

fn place(variable: &str, name: &str) -> PathBuf {
    match env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => env::var_os("HOME").map(PathBuf::from).unwrap_or_default().join(".aws").join(name),
    }
}

fn sections(path: &Path) -> anyhow::Result<Sections> {
    let unreadable = |error| anyhow::anyhow!("`{}` cannot be read: {error}", path.display());
    match fs::metadata(path) {
        Ok(data) if data.len() > FILE_BYTES_MAX => anyhow::bail!("`{}` is larger than 1 MiB", path.display()),
        Ok(_) => Ok(parse(&fs::read_to_string(path).map_err(unreadable)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Sections::new()),
        Err(error) => Err(unreadable(error)),
    }
}

/// `[section]` and `key = value`; what is indented belongs to the key above.
fn parse(text: &str) -> Sections {
    let mut sections = Sections::new();
    let mut current: Option<String> = None;
    let mut above: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = header(line) {
            sections.entry(name.clone()).or_default();
            current = Some(name);
            above = None;
        } else if let (Some(section), Some((key, value))) = (&current, trimmed.split_once('=')) {
            let key = key.trim().to_ascii_lowercase();
            let is_below = line.starts_with([' ', '\t']);
            let key = match (&above, is_below) {
                (Some(above), true) => format!("{above}.{key}"),
                (None, true) => continue,
                (_, false) => {
                    above = Some(key.clone());
                    key
                }
            };
            let value = value.split(" #").next().unwrap_or_default().trim();
            sections.entry(section.clone()).or_default().insert(key, value.to_owned());
        }
    }
    sections
}

/// The name in a line that begins a section.
pub fn header(line: &str) -> Option<String> {
    let name = line.trim_end().strip_prefix('[')?.split_once(']')?.0;
    Some(name.split_whitespace().collect::<Vec<_>>().join(" ").replace('"', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_one_service_are_found_below_their_key() {
        let files = Files::of(
            "[a]\nregion = one\n",
            "[profile a]\nregion = two\nservices = here\ns3 =\n  region = three\n[services here]\ns3 =\n  endpoint_url = \
             no\ncodepipeline =\n  endpoint_url = https://yes # but why\n",
        );
        assert_eq!(files.value("a", "region").as_deref(), Some("one"));
        assert_eq!(files.value("a", "s3.region").as_deref(), Some("three"));
        assert_eq!(files.codepipeline_endpoint("a").as_deref(), Some("https://yes"));
        assert_eq!(files.codepipeline_endpoint("b"), None);
        assert!(files.knows("a") && !files.knows("default"));
    }
}
