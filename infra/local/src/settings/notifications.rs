//! `[notifications]`: who is told of what happens to executions. Where secrets are, never what they are.

use super::load::Fault;
use domain::notice::{OUTCOMES, RULES_MAX, Rule};
use serde::Deserialize;
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Channels, most.
const CHANNELS_MAX: usize = 50;
/// Bytes of a file with a secret, most.
const SECRET_BYTES_MAX: u64 = 4096;
/// Where Slack's API is.
const SLACK_API: &str = "https://slack.com/api";

/// Who is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct NotificationSettings {
    /// The address of the pages people look at; links lead there. Default: no links.
    pub console: Option<String>,
    /// A file that every change of state is written to, a line of JSON each.
    pub file: Option<PathBuf>,
    /// An address that every change of state is posted to, as JSON.
    pub post: Option<String>,
    /// Channels of Slack.
    pub slack: Vec<SlackSettings>,
}

/// A channel of Slack: reached by an incoming webhook, or by a bot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SlackSettings {
    /// Its name here: 1 to 60 letters, digits, `-` or `_`. What it was told is remembered under it.
    pub name: String,
    /// The variable that holds the webhook's address.
    pub webhook_env: Option<String>,
    /// The file that holds it, and nothing else; readable by its owner only.
    pub webhook_file: Option<PathBuf>,
    /// The variable that holds the bot's token.
    pub token_env: Option<String>,
    /// The file that holds it, and nothing else; readable by its owner only.
    pub token_file: Option<PathBuf>,
    /// The channel's id, for a bot.
    pub channel: Option<String>,
    /// Where Slack's API is, for a bot. Default `https://slack.com/api`.
    #[serde(default = "slack_api")]
    pub api: String,
    /// What it hears of: whatever one of these asks for. Default: failures and recoveries of every pipeline.
    #[serde(default)]
    pub rules: Vec<NoticeRule>,
}

fn slack_api() -> String {
    SLACK_API.to_owned()
}

/// Which changes a channel hears of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct NoticeRule {
    /// Patterns of pipelines. Default: all.
    pub pipelines: Vec<String>,
    /// Patterns of stages. Default: the rule is about whole runs.
    pub stages: Vec<String>,
    /// What happened: see [`OUTCOMES`]. Default `failed` and `fixed`.
    pub outcomes: Vec<String>,
}

/// How a channel is reached, with its secret.
#[derive(Clone, PartialEq, Eq)]
pub enum SlackWay {
    /// The webhook's address.
    Webhook(String),
    /// The bot's token, and the channel's id.
    Bot(String, String),
}

impl NotificationSettings {
    /// Nobody is told of anything.
    pub fn is_empty(&self) -> bool {
        self.file.is_none() && self.post.is_none() && self.slack.is_empty()
    }

    pub(super) fn resolve(&mut self, base: &Path) {
        let files = self.slack.iter_mut().flat_map(|slack| [&mut slack.webhook_file, &mut slack.token_file]);
        for file in files.chain([&mut self.file]).flatten() {
            *file = base.join(&*file);
        }
    }

    /// What is wrong, if anything: the key, and the reason.
    pub(super) fn check(&self) -> Result<(), Fault> {
        for (key, url) in [("console", &self.console), ("post", &self.post)] {
            if let Some(url) = url.as_deref().filter(|url| !is_web(url)) {
                let text = format!("must begin with `https://` or `http://`: `{url}`");
                return Err((format!("notifications.{key}"), text));
            }
        }
        if self.slack.len() > CHANNELS_MAX {
            return Err(("notifications.slack".into(), format!("there are more than {CHANNELS_MAX}")));
        }
        for (index, slack) in self.slack.iter().enumerate() {
            let key = |member: &str| format!("notifications.slack[{index}]{member}");
            slack.check().map_err(|(member, message)| (key(member), message))?;
            if self.slack[..index].iter().any(|other| other.name == slack.name) {
                return Err((key(".name"), format!("there are two channels `{}`", slack.name)));
            }
        }
        Ok(())
    }
}

impl SlackSettings {
    fn check(&self) -> Result<(), (&'static str, String)> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if !(1..=60).contains(&self.name.len()) || !self.name.chars().all(legal) {
            return Err((".name", "1 to 60 letters, digits, `-` or `_`".to_owned()));
        }
        let ways = [
            self.webhook_env.is_some(),
            self.webhook_file.is_some(),
            self.token_env.is_some(),
            self.token_file.is_some(),
        ];
        if ways.into_iter().filter(|is| *is).count() != 1 {
            let text = "say where the secret is: `webhook-env`, `webhook-file`, `token-env` or `token-file`, one of \
                        them";
            return Err(("", text.to_owned()));
        }
        let is_bot = self.token_env.is_some() || self.token_file.is_some();
        match &self.channel {
            None if is_bot => {
                return Err((".channel", "a bot needs the channel's id, such as `C0123456789`".to_owned()));
            }
            Some(_) if !is_bot => {
                return Err((
                    ".channel",
                    "a webhook has its channel already; only a bot is told one".to_owned(),
                ));
            }
            Some(_) | None => {}
        }
        if !is_web(&self.api) {
            return Err((".api", "must begin with `https://` or `http://`".to_owned()));
        }
        self.rules().map(drop)
    }

    /// What it hears of.
    pub fn rules(&self) -> Result<Vec<Rule>, (&'static str, String)> {
        if self.rules.len() > RULES_MAX {
            return Err((".rules", format!("there are more than {RULES_MAX}")));
        }
        if self.rules.is_empty() {
            return Ok(vec![Rule::failures()]);
        }
        let rules = self.rules.iter();
        let rules = rules.map(|rule| Rule::parse(&rule.pipelines, &rule.stages, &rule.outcomes));
        rules.collect::<Result<_, _>>().map_err(|error| (".rules", error.to_string()))
    }

    /// How it is reached; or why that is not known, which never holds a part of the secret.
    pub fn way(&self) -> Result<SlackWay, String> {
        let webhook = secret(self.webhook_env.as_deref(), self.webhook_file.as_deref())?;
        let token = secret(self.token_env.as_deref(), self.token_file.as_deref())?;
        match (webhook, token, &self.channel) {
            (Some((url, place)), _, _) if !is_web(&url) => {
                Err(format!("{place} holds no address that begins with `https://`"))
            }
            (Some((url, _)), _, _) => Ok(SlackWay::Webhook(url)),
            (None, Some((token, _)), Some(channel)) => Ok(SlackWay::Bot(token, channel.clone())),
            (None, _, _) => Err("it is not said where the secret is".to_owned()),
        }
    }
}

/// Words of the outcomes that a rule may name.
pub fn outcomes() -> impl Iterator<Item = &'static str> {
    OUTCOMES.iter().map(|(word, _)| *word)
}

fn is_web(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !url.contains(|c: char| c.is_whitespace() || c.is_control()))
}

/// A secret and where it was, in words.
fn secret(name: Option<&str>, file: Option<&Path>) -> Result<Option<(String, String)>, String> {
    let (text, place) = match (name, file) {
        (None, None) => return Ok(None),
        (Some(name), _) => {
            let text = std::env::var(name).map_err(|_| format!("the variable `{name}` is not set"))?;
            (text, format!("the variable `{name}`"))
        }
        (None, Some(file)) => {
            let place = format!("the file `{}`", file.display());
            let cannot = |error: std::io::Error| format!("{place} cannot be read: {error}");
            let mode = std::fs::metadata(file).map_err(cannot)?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(format!("{place} can be read by others: `chmod 600` it"));
            }
            (read(file).map_err(cannot)?, place)
        }
    };
    let text = text.trim();
    match text.is_empty() || text.contains(char::is_whitespace) {
        true => Err(format!("{place} does not hold one word")),
        false => Ok(Some((text.to_owned(), place))),
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(file)?;
    std::io::Read::read_to_string(&mut std::io::Read::take(file, SECRET_BYTES_MAX), &mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NotificationSettings, String> {
        let settings: NotificationSettings =
            toml::from_str(text).map_err(|error| error.message().to_owned())?;
        settings.check().map_err(|(key, message)| format!("{key}: {message}"))?;
        Ok(settings)
    }

    #[test]
    fn a_webhook_alone_is_enough_and_hears_of_failures() {
        let settings = read("[[slack]]\nname = \"team\"\nwebhook-env = \"HOOK\"").unwrap();
        assert_eq!(settings.slack[0].rules().unwrap(), [Rule::failures()]);
        assert!(!settings.is_empty() && NotificationSettings::default().is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        let wrong = [
            ("console = \"towpath.example.org\"", "notifications.console: must begin with `https://`"),
            ("[[slack]]\nname = \"a b\"\nwebhook-env = \"H\"", "slack[0].name: 1 to 60 letters"),
            ("[[slack]]\nname = \"a\"", "slack[0]: say where the secret is"),
            (
                "[[slack]]\nname = \"a\"\nwebhook-env = \"H\"\ntoken-env = \"T\"",
                "slack[0]: say where the secret is",
            ),
            ("[[slack]]\nname = \"a\"\ntoken-env = \"T\"", "slack[0].channel: a bot needs the channel's id"),
            (
                "[[slack]]\nname = \"a\"\nwebhook-env = \"T\"\nchannel = \"C\"",
                "a webhook has its channel already",
            ),
            (
                "[[slack]]\nname = \"a\"\nwebhook-env = \"T\"\nrules = [{ outcomes = [\"broken\"] }]",
                "slack[0].rules: `outcomes`: there is no outcome `broken`; known are: `started`",
            ),
            (
                "[[slack]]\nname = \"a\"\nwebhook-env = \"T\"\n[[slack]]\nname = \"a\"\nwebhook-env = \"U\"",
                "slack[1].name: there are two channels `a`",
            ),
            ("[[slack]]\nname = \"a\"\nwebhook = \"https://hooks.slack.com/x\"", "unknown field `webhook`"),
        ];
        for (text, reason) in wrong {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hook");
        std::fs::write(&file, "https://hooks.slack.test/geheim\n").unwrap();
        let mut settings = read("[[slack]]\nname = \"a\"\nwebhook-file = \"hook\"").unwrap();
        settings.resolve(folder.path());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = settings.slack[0].way().err().unwrap();
        assert!(refused.contains("chmod 600") && !refused.contains("geheim"), "{refused}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(settings.slack[0].way() == Ok(SlackWay::Webhook("https://hooks.slack.test/geheim".into())));
        std::fs::write(&file, "geheim").unwrap();
        let refused = settings.slack[0].way().err().unwrap();
        assert!(refused.contains("holds no address") && !refused.contains("geheim"), "{refused}");
    }
}
