//! Whose key pair a request is signed with: the environment, a profile's own keys, a program it names, a role it takes.
//!
//! Temporary keys are renewed before they end. What this file cannot do itself (single sign-on, a second factor, tokens
//! of a cluster) it leaves to the `aws` command, if there is one; else it says what to type.

use super::{assume, config::Files, process};
use anyhow::Context;
use api::sigv4::Credentials;
use jiff::{SignedDuration, Timestamp};
use std::env;
use tokio::sync::Mutex;

/// How long before their end keys are renewed.
const RENEWED_BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// Profiles that take each other's roles, most.
const ROLES_MAX: usize = 5;
/// How a profile may come by its keys that is left to the `aws` command.
const ELSEWHERE: [&str; 6] = [
    "sso_session",
    "sso_start_url",
    "login_session",
    "web_identity_token_file",
    "credential_source",
    "mfa_serial",
];

/// Keys, and until when they are good.
#[derive(Clone, Debug)]
pub struct Keys {
    /// What is signed with.
    pub credentials: Credentials,
    /// Their end; none for keys that last.
    pub expires: Option<Timestamp>,
}

impl Keys {
    fn lasting(credentials: Credentials) -> Self {
        Self { credentials, expires: None }
    }

    /// Whether they have come to their end.
    pub fn are_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    fn are_good(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|end| end.duration_since(now) > RENEWED_BEFORE)
    }
}

/// Gives keys, the same ones until they come to their end.
pub struct Provider {
    asked: Option<String>,
    region: String,
    known: Mutex<Option<Keys>>,
}

impl Provider {
    /// For a profile that was asked for, or for what the environment says.
    pub fn new(asked: Option<&str>, region: &str) -> Self {
        Self { asked: asked.map(str::to_owned), region: region.to_owned(), known: Mutex::new(None) }
    }

    /// The keys to sign with now.
    pub async fn keys(&self) -> anyhow::Result<Keys> {
        let mut known = self.known.lock().await;
        if let Some(keys) = known.as_ref().filter(|keys| keys.are_good(Timestamp::now())) {
            return Ok(keys.clone());
        }
        let keys = self.look().await?;
        *known = Some(keys.clone());
        Ok(keys)
    }

    /// The keys as files, programs and environment have them now, whatever was known before.
    pub async fn renewed(&self) -> anyhow::Result<Keys> {
        let mut known = self.known.lock().await;
        let keys = self.look().await?;
        *known = Some(keys.clone());
        Ok(keys)
    }

    async fn look(&self) -> anyhow::Result<Keys> {
        let source = resolve(self.asked.as_deref(), &variable, &Files::read()?)?;
        fetch(source, &self.region).await
    }
}

/// A variable that is set to something.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The profile that is meant: the one asked for, else that of the environment, else `default`.
pub fn profile_of(asked: Option<&str>, env: &dyn Fn(&str) -> Option<String>) -> String {
    let named = asked.map(str::to_owned).or_else(|| env("AWS_PROFILE"));
    named.unwrap_or_else(|| "default".to_owned())
}

/// Where keys come from.
#[derive(Debug)]
enum Source {
    Own(Credentials),
    Process { profile: String, command: String },
    Role { role: assume::Role, by: Box<Source> },
    Aws { profile: String, key: String },
}

fn resolve(
    asked: Option<&str>,
    env: &dyn Fn(&str) -> Option<String>,
    files: &Files,
) -> anyhow::Result<Source> {
    if asked.is_none()
        && let Some(credentials) = of_environment(env)?
    {
        return Ok(Source::Own(credentials));
    }
    let profile = profile_of(asked, env);
    let is_asked = asked.is_some() || env("AWS_PROFILE").is_some();
    if !files.knows(&profile) {
        anyhow::ensure!(!is_asked, "there is no profile `{profile}` in ~/.aws/credentials or ~/.aws/config");
        anyhow::bail!(
            "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a `--profile` of \
             ~/.aws/credentials"
        );
    }
    of_profile(&profile, env, files, ROLES_MAX)
}

fn of_environment(env: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Option<Credentials>> {
    match (env("AWS_ACCESS_KEY_ID"), env("AWS_SECRET_ACCESS_KEY")) {
        (Some(access_key), Some(secret_key)) => {
            Ok(Some(Credentials { access_key, secret_key, session_token: env("AWS_SESSION_TOKEN") }))
        }
        (Some(_), None) => anyhow::bail!("AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not"),
        (None, _) => Ok(None),
    }
}

/// In the order of the AWS tools: a role before keys, keys before a program.
fn of_profile(
    profile: &str,
    env: &dyn Fn(&str) -> Option<String>,
    files: &Files,
    left: usize,
) -> anyhow::Result<Source> {
    anyhow::ensure!(
        left > 0,
        "the profile `{profile}` takes a role through more than {ROLES_MAX} other profiles"
    );
    let value = |key: &str| files.value(profile, key);
    let own = || match (value("aws_access_key_id"), value("aws_secret_access_key")) {
        (Some(access_key), Some(secret_key)) => Some(Source::Own(Credentials {
            access_key,
            secret_key,
            session_token: value("aws_session_token"),
        })),
        _ => None,
    };
    let by_environment = value("credential_source").is_some_and(|source| source == "Environment");
    let mut elsewhere = ELSEWHERE.iter().filter(|key| !(by_environment && **key == "credential_source"));
    if let Some(key) = elsewhere.find(|key| value(key).is_some()) {
        return Ok(Source::Aws { profile: profile.to_owned(), key: (*key).to_owned() });
    }
    if let Some(arn) = value("role_arn") {
        let by = match (value("source_profile"), by_environment) {
            (Some(source), _) if source == profile => own().with_context(|| {
                format!("the profile `{profile}` takes a role by its own keys, and has none")
            })?,
            (Some(source), _) => {
                anyhow::ensure!(
                    files.knows(&source),
                    "the profile `{profile}` names `source_profile = {source}`, which does not exist"
                );
                of_profile(&source, env, files, left - 1)?
            }
            (None, true) => Source::Own(of_environment(env)?.with_context(|| {
                format!("the profile `{profile}` takes a role by the environment's keys, and there are none")
            })?),
            (None, false) => anyhow::bail!(
                "the profile `{profile}` names a role and no `source_profile` that may take it: add the line"
            ),
        };
        let role = assume::Role {
            arn,
            session: value("role_session_name"),
            external_id: value("external_id"),
            seconds: value("duration_seconds"),
        };
        return Ok(Source::Role { role, by: Box::new(by) });
    }
    if let Some(own) = own() {
        return Ok(own);
    }
    if let Some(command) = value("credential_process") {
        return Ok(Source::Process { profile: profile.to_owned(), command });
    }
    anyhow::bail!(
        "the profile `{profile}` has no keys: it needs `aws_access_key_id` and `aws_secret_access_key`, \
         `credential_process`, or `role_arn` with `source_profile`"
    )
}

async fn fetch(source: Source, region: &str) -> anyhow::Result<Keys> {
    // From the inside out: whoever takes a role needs keys first.
    let mut roles = Vec::new();
    let mut source = source;
    let mut keys = loop {
        match source {
            Source::Own(credentials) => break Keys::lasting(credentials),
            Source::Process { profile, command } => break process::run(&profile, &command).await?,
            Source::Aws { profile, key } => break process::ask_aws(&profile, &key).await?,
            Source::Role { role, by } => {
                roles.push(role);
                source = *by;
            }
        }
    };
    while let Some(role) = roles.pop() {
        keys = assume::assume(&role, &keys.credentials, region).await?;
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "# keys\n[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key=sd\n\n[ci]\n\
         aws_access_key_id = AKIACI\naws_secret_access_key = sc # old\naws_session_token = tc\n";
    const CONFIG: &str = "[profile sso]\nsso_session = work\n[profile tool]\ncredential_process = keys --for me\n\
         [profile deploy]\nrole_arn = arn:aws:iam::1:role/d\nsource_profile = ci\nexternal_id = x\n\
         [profile own]\nrole_arn = arn:aws:iam::1:role/o\nsource_profile = own\n\
         [profile a]\nrole_arn = arn:aws:iam::1:role/a\nsource_profile = b\n\
         [profile b]\nrole_arn = arn:aws:iam::1:role/b\nsource_profile = a\n\
         [profile lost]\nrole_arn = arn:aws:iam::1:role/l\nsource_profile = gone\n\
         [profile mfa]\nrole_arn = arn:aws:iam::1:role/m\nsource_profile = ci\nmfa_serial = arn:aws:iam::1:mfa/me\n\
         [profile shell]\nrole_arn = arn:aws:iam::1:role/s\ncredential_source = Environment\n\
         [profile empty]\nregion = eu-west-1\n";
    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "se")];

    fn found(asked: Option<&str>, variables: &[(&str, &str)]) -> Result<String, String> {
        let env = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let source = resolve(asked, &env, &Files::of(CREDENTIALS, CONFIG));
        source.map(|source| told(&source)).map_err(|error| error.to_string())
    }

    fn told(source: &Source) -> String {
        match source {
            Source::Own(keys) => {
                format!("{} {}", keys.access_key, keys.session_token.as_deref().unwrap_or("-"))
            }
            Source::Process { command, .. } => format!("`{command}`"),
            Source::Role { role, by } => format!("{} by {}", role.arn, told(by)),
            Source::Aws { profile, key } => format!("aws {profile} {key}"),
        }
    }

    #[test]
    fn a_profile_asked_for_wins_over_the_environment_and_that_over_the_default() {
        assert_eq!(found(None, &[]).unwrap(), "AKIADEFAULT -");
        assert_eq!(found(None, &KEYS).unwrap(), "AKIAENV -");
        assert_eq!(found(Some("ci"), &KEYS).unwrap(), "AKIACI tc");
        assert_eq!(found(None, &[("AWS_PROFILE", "ci")]).unwrap(), "AKIACI tc");
    }

    #[test]
    fn keys_come_from_programs_roles_and_the_aws_command() {
        assert_eq!(found(Some("tool"), &[]).unwrap(), "`keys --for me`");
        assert_eq!(found(Some("deploy"), &[]).unwrap(), "arn:aws:iam::1:role/d by AKIACI tc");
        assert_eq!(found(Some("shell"), &KEYS).unwrap(), "arn:aws:iam::1:role/s by AKIAENV -");
        assert_eq!(found(Some("sso"), &[]).unwrap(), "aws sso sso_session");
        assert_eq!(found(Some("mfa"), &[]).unwrap(), "aws mfa mfa_serial");
    }

    #[test]
    fn what_is_missing_is_said() {
        for (asked, words) in [
            ("no", "no profile `no`"),
            ("empty", "`credential_process`"),
            ("own", "by its own keys, and has none"),
            ("a", "more than 5 other profiles"),
            ("lost", "`source_profile = gone`, which does not exist"),
            ("shell", "by the environment's keys, and there are none"),
        ] {
            let error = found(Some(asked), &[]).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert!(found(None, &KEYS[..1]).unwrap_err().contains("AWS_SECRET_ACCESS_KEY is not"));
    }

    #[test]
    fn temporary_keys_are_renewed_before_they_end() {
        let now: Timestamp = "2026-11-29T10:00:00Z".parse().unwrap();
        let keys = |minutes: i64| Keys {
            credentials: Credentials { access_key: "a".into(), secret_key: "b".into(), session_token: None },
            expires: Some(now + SignedDuration::from_mins(minutes)),
        };
        assert!(keys(6).are_good(now) && !keys(6).are_over(now));
        assert!(!keys(4).are_good(now) && !keys(4).are_over(now));
        assert!(keys(0).are_over(now));
    }
}
