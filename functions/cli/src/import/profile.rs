//! Whose key pair a request is signed with, and for which Region: flags, environment, the files in `~/.aws`.

use anyhow::Context;
use api::sigv4::Credentials;
use std::{
    collections::BTreeMap,
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// Bytes of a file in `~/.aws`, most.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A key pair and a Region.
pub(super) struct Identity {
    pub(super) credentials: Credentials,
    pub(super) region: String,
}

/// Looks them up.
pub(super) fn find(profile: Option<&str>, region: Option<&str>) -> anyhow::Result<Identity> {
    let files = Files::read()?;
    resolve(profile, region, &|name| env::var(name).ok().filter(|value| !value.is_empty()), &files)
}

type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// Both files; one that is not there has no sections.
struct Files {
    credentials: Sections,
    config: Sections,
}

impl Files {
    fn read() -> anyhow::Result<Self> {
        let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let place = |variable: &str, name: &str| match env::var_os(variable) {
            Some(path) => PathBuf::from(path),
            None => home.join(".aws").join(name),
        };
        Ok(Self {
            credentials: sections(&place("AWS_SHARED_CREDENTIALS_FILE", "credentials"))?,
            config: sections(&place("AWS_CONFIG_FILE", "config"))?,
        })
    }

    fn value(&self, profile: &str, key: &str) -> Option<String> {
        let in_config = if profile == "default" { profile.to_owned() } else { format!("profile {profile}") };
        let of = |sections: &Sections, name: &str| sections.get(name)?.get(key).cloned();
        of(&self.credentials, profile).or_else(|| of(&self.config, &in_config))
    }

    fn knows(&self, profile: &str) -> bool {
        self.credentials.contains_key(profile)
            || self.config.contains_key(&format!("profile {profile}"))
            || (profile == "default" && self.config.contains_key(profile))
    }
}

fn resolve(
    asked: Option<&str>,
    region: Option<&str>,
    env: &dyn Fn(&str) -> Option<String>,
    files: &Files,
) -> anyhow::Result<Identity> {
    let profile =
        asked.map(str::to_owned).or_else(|| env("AWS_PROFILE")).unwrap_or_else(|| "default".to_owned());
    let credentials = match (asked, env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY")) {
        (None, Some(access_key), Some(secret_key)) => {
            Credentials { access_key, secret_key, session_token: env("AWS_SESSION_TOKEN") }
        }
        (None, Some(_), None) => anyhow::bail!("AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not"),
        _ => of_profile(&profile, asked.is_some() || env("AWS_PROFILE").is_some(), files)?,
    };
    let region = region.map(str::to_owned);
    let region = region
        .or_else(|| env("AWS_REGION"))
        .or_else(|| env("AWS_DEFAULT_REGION"))
        .or_else(|| files.value(&profile, "region"))
        .context("no Region is known: give `--region`, or set AWS_REGION")?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    anyhow::ensure!(
        !region.is_empty() && region.chars().all(plain),
        "`{region}` is not the name of a Region, such as `eu-west-1`"
    );
    Ok(Identity { credentials, region })
}

fn of_profile(profile: &str, asked: bool, files: &Files) -> anyhow::Result<Credentials> {
    let value = |key: &str| files.value(profile, key);
    if let (Some(access_key), Some(secret_key)) = (value("aws_access_key_id"), value("aws_secret_access_key"))
    {
        return Ok(Credentials { access_key, secret_key, session_token: value("aws_session_token") });
    }
    let elsewhere = ["sso_session", "sso_start_url", "role_arn", "credential_process", "login_session"];
    if let Some(key) = elsewhere.into_iter().find(|key| value(key).is_some()) {
        anyhow::bail!(
            "the profile `{profile}` gets its keys by `{key}`, which Towpath leaves to the `aws` command:\n  \
             eval \"$(aws configure export-credentials --profile {profile} --format env)\"\n  and then this again \
             without `--profile`"
        );
    }
    anyhow::ensure!(
        !asked || files.knows(profile),
        "there is no profile `{profile}` in ~/.aws/credentials or ~/.aws/config"
    );
    anyhow::bail!(
        "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a `--profile` of \
         ~/.aws/credentials"
    )
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

/// `[section]` and `key = value`; what is indented belongs to the key above and is none of ours.
fn parse(text: &str) -> Sections {
    let mut sections = Sections::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) || line.starts_with([' ', '\t']) {
            continue;
        }
        if let Some(name) =
            trimmed.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(name, _)| name)
        {
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ").replace('"', "");
            sections.entry(name.clone()).or_default();
            current = Some(name);
        } else if let (Some(section), Some((key, value))) = (&current, trimmed.split_once('=')) {
            let value = value.split(" #").next().unwrap_or_default().trim();
            let section = sections.entry(section.clone()).or_default();
            section.insert(key.trim().to_ascii_lowercase(), value.to_owned());
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(
        asked: Option<&str>,
        region: Option<&str>,
        variables: &[(&str, &str)],
    ) -> Result<(String, Option<String>, String), String> {
        let files = Files {
            credentials: parse(
                "# keys\n[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key=sd\n\n[ci]\n\
                 aws_access_key_id = AKIACI\naws_secret_access_key = sc # old\naws_session_token = tc\n",
            ),
            config: parse(
                "[default]\nregion = eu-west-1\n[profile ci]\nregion=eu-central-1\ns3 =\n  region = xx\n\
                 [profile sso]\nsso_session = work\nregion = us-east-1\n",
            ),
        };
        let env = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let identity = resolve(asked, region, &env, &files).map_err(|error| error.to_string())?;
        let Credentials { access_key, session_token, .. } = identity.credentials;
        Ok((access_key, session_token, identity.region))
    }

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "se")];

    #[test]
    fn a_profile_asked_for_wins_over_the_environment_and_that_over_the_default() {
        let key = |asked, variables: &[_]| found(asked, None, variables).unwrap();
        assert_eq!(key(None, &[]), ("AKIADEFAULT".into(), None, "eu-west-1".into()));
        assert_eq!(key(None, &KEYS), ("AKIAENV".into(), None, "eu-west-1".into()));
        let ci = ("AKIACI".to_owned(), Some("tc".to_owned()), "eu-central-1".to_owned());
        assert_eq!(key(Some("ci"), &KEYS), ci);
        assert_eq!(key(None, &[("AWS_PROFILE", "ci")]), ci);
    }

    #[test]
    fn the_region_comes_from_the_nearest_place() {
        let region = |region, variables: &[_]| found(None, region, variables).unwrap().2;
        assert_eq!(region(None, &[("AWS_DEFAULT_REGION", "b"), ("AWS_REGION", "a")]), "a");
        assert_eq!(region(Some("c"), &[("AWS_REGION", "a")]), "c");
        assert!(found(None, Some("evil.example/"), &[]).unwrap_err().contains("not the name of a Region"));
    }

    #[test]
    fn what_is_missing_is_said() {
        assert!(found(Some("no"), None, &[]).unwrap_err().contains("no profile `no`"));
        let sso = found(Some("sso"), None, &[]).unwrap_err();
        assert!(sso.contains("`sso_session`") && sso.contains("export-credentials --profile sso"), "{sso}");
        assert!(found(None, None, &KEYS[..1]).unwrap_err().contains("AWS_SECRET_ACCESS_KEY is not"));
    }
}
