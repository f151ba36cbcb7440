//! The channels of an installation as JSON, for homes that keep their settings in a store: names of secrets, never the
//! secrets.

use super::{
    CHANNELS_MAX, Channel,
    slack::{API_DEFAULT, Way},
};
use domain::notice::{RULES_MAX, Rule};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Who is told. `{"console": …, "slack": […]}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct NoticeSettings {
    /// The address of the pages people look at; links lead there.
    pub console: Option<String>,
    /// Channels of Slack.
    pub slack: Vec<SlackChannel>,
}

/// A channel of Slack.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SlackChannel {
    /// Its name here: 1 to 60 letters, digits, `-` or `_`.
    pub name: String,
    /// The parameter that holds the webhook's address.
    pub webhook_parameter: Option<String>,
    /// The parameter that holds the bot's token.
    pub token_parameter: Option<String>,
    /// The channel's id, for a bot.
    pub channel: Option<String>,
    /// Where Slack's API is, for a bot.
    #[serde(default = "api_default")]
    pub api: String,
    /// What it hears of; failures and recoveries of every pipeline without any.
    #[serde(default)]
    pub rules: Vec<SlackRule>,
}

fn api_default() -> String {
    API_DEFAULT.to_owned()
}

/// Which changes a channel hears of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[allow(missing_docs, reason = "documented at `domain::notice::Rule::parse`")]
pub struct SlackRule {
    pub pipelines: Vec<String>,
    pub stages: Vec<String>,
    pub outcomes: Vec<String>,
}

/// Settings that cannot be meant: where, and why. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the settings of notifications: {0}")]
pub struct BadNotices(pub String);

impl NoticeSettings {
    /// Reads and checks them.
    pub fn parse(json: &str) -> Result<Self, BadNotices> {
        // An array would pass for an object whose members all have defaults.
        if !json.trim_start().starts_with('{') {
            return Err(BadNotices("it must be a JSON object".to_owned()));
        }
        let settings: Self = serde_json::from_str(json).map_err(|error| BadNotices(error.to_string()))?;
        if settings.slack.len() > CHANNELS_MAX {
            return Err(BadNotices(format!("`slack` has more than {CHANNELS_MAX} members")));
        }
        let mut names = BTreeSet::new();
        for (index, channel) in settings.slack.iter().enumerate() {
            let wrong = |what: String| BadNotices(format!("`slack[{index}]`: {what}"));
            channel.check().map_err(wrong)?;
            if !names.insert(&channel.name) {
                return Err(wrong(format!("there are two channels `{}`", channel.name)));
            }
        }
        Ok(settings)
    }

    /// The names of all secrets, each once.
    pub fn secrets(&self) -> BTreeSet<&str> {
        let channels = self.slack.iter();
        channels.filter_map(|channel| channel.secret().map(|(name, _)| name)).collect()
    }

    /// The channels; `secret` gives a secret by its name. One whose secret is missing or no secret is left out, so that
    /// the others are told, and reported.
    pub fn channels(&self, secret: impl Fn(&str) -> Option<String>) -> (Vec<Channel>, Vec<BadNotices>) {
        let (mut channels, mut wrong) = (Vec::new(), Vec::new());
        for channel in &self.slack {
            match channel.open(&secret) {
                Ok(open) => channels.push(open),
                Err(what) => wrong.push(BadNotices(format!("channel `{}`: {what}", channel.name))),
            }
        }
        (channels, wrong)
    }
}

impl SlackChannel {
    fn check(&self) -> Result<(), String> {
        if !Channel::is_name(&self.name) {
            return Err("`name` must have 1 to 60 letters, digits, `-` or `_`".to_owned());
        }
        match (&self.webhook_parameter, &self.token_parameter, &self.channel) {
            (Some(_), None, None) | (None, Some(_), Some(_)) => {}
            (None, Some(_), None) => return Err("a bot needs `channel`, the channel's id".to_owned()),
            (Some(_), None, Some(_)) => return Err("a webhook has its channel already".to_owned()),
            (None, None, _) | (Some(_), Some(_), _) => {
                return Err("name `webhook-parameter` or `token-parameter`, one of them".to_owned());
            }
        }
        if !(self.api.starts_with("https://") || self.api.starts_with("http://")) {
            return Err("`api` must begin with `https://`".to_owned());
        }
        self.rules().map(drop)
    }

    fn secret(&self) -> Option<(&str, bool)> {
        let webhook = self.webhook_parameter.as_deref().map(|name| (name, true));
        webhook.or_else(|| self.token_parameter.as_deref().map(|name| (name, false)))
    }

    fn rules(&self) -> Result<Vec<Rule>, String> {
        if self.rules.len() > RULES_MAX {
            return Err(format!("`rules` has more than {RULES_MAX} members"));
        }
        if self.rules.is_empty() {
            return Ok(vec![Rule::failures()]);
        }
        let rules = self.rules.iter();
        let rules = rules.map(|rule| Rule::parse(&rule.pipelines, &rule.stages, &rule.outcomes));
        rules.collect::<Result<_, _>>().map_err(|error| error.to_string())
    }

    fn open(&self, secret: impl Fn(&str) -> Option<String>) -> Result<Channel, String> {
        let (name, is_webhook) = self.secret().ok_or("it is not said where the secret is")?;
        let value = secret(name).ok_or_else(|| format!("there is no parameter `{name}`"))?;
        let value = value.trim();
        if value.is_empty() || value.contains(char::is_whitespace) {
            return Err(format!("the parameter `{name}` does not hold one word"));
        }
        let way = match &self.channel {
            None if is_webhook && !(value.starts_with("https://") || value.starts_with("http://")) => {
                return Err(format!("the parameter `{name}` holds no address that begins with `https://`"));
            }
            None => Way::Webhook { url: value.to_owned() },
            Some(channel) => Way::Bot {
                token: value.to_owned(),
                channel: channel.clone(),
                api: self.api.trim_end_matches('/').to_owned(),
            },
        };
        Ok(Channel { id: self.name.clone(), way, rules: self.rules()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_opened_with_their_secrets_and_those_without_are_reported() {
        let settings = NoticeSettings::parse(
            r#"{"console": "https://towpath.example.org", "slack": [
                {"name": "team", "webhook-parameter": "/t/hook"},
                {"name": "bot", "token-parameter": "/t/token", "channel": "C1",
                 "rules": [{"pipelines": ["shop*"], "outcomes": ["started", "failed", "fixed"]}]},
                {"name": "lost", "webhook-parameter": "/t/lost"},
                {"name": "odd", "webhook-parameter": "/t/token"}]}"#,
        );
        let settings = settings.unwrap();
        assert_eq!(settings.secrets().into_iter().collect::<Vec<_>>(), ["/t/hook", "/t/lost", "/t/token"]);
        let secret = |name: &str| match name {
            "/t/hook" => Some("https://hooks.slack.test/geheim\n".to_owned()),
            "/t/token" => Some("xoxb-geheim".to_owned()),
            _ => None,
        };
        let (channels, wrong) = settings.channels(secret);
        assert_eq!(channels.iter().map(|channel| channel.id.as_str()).collect::<Vec<_>>(), ["team", "bot"]);
        assert_eq!(channels[0].way, Way::Webhook { url: "https://hooks.slack.test/geheim".into() });
        let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        assert!(wrong[0].contains("channel `lost`: there is no parameter `/t/lost`"), "{wrong:?}");
        assert!(wrong[1].contains("holds no address") && !wrong[1].contains("geheim"), "{wrong:?}");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_place() {
        let wrong = [
            ("[]", "it must be a JSON object"),
            (r#"{"slak": []}"#, "unknown field `slak`"),
            (r#"{"slack": [{"name": "a b", "webhook-parameter": "x"}]}"#, "`slack[0]`: `name` must have"),
            (r#"{"slack": [{"name": "a"}]}"#, "`slack[0]`: name `webhook-parameter` or"),
            (r#"{"slack": [{"name": "a", "token-parameter": "x"}]}"#, "`slack[0]`: a bot needs `channel`"),
            (
                r#"{"slack": [{"name": "a", "webhook-parameter": "x", "rules": [{"outcomes": ["bad"]}]}]}"#,
                "there is no outcome `bad`",
            ),
            (
                r#"{"slack": [{"name": "a", "webhook-parameter": "x"}, {"name": "a", "webhook-parameter": "y"}]}"#,
                "`slack[1]`: there are two channels `a`",
            ),
        ];
        for (json, reason) in wrong {
            let refused = NoticeSettings::parse(json).unwrap_err().to_string();
            assert!(refused.contains(reason), "{json}: {refused}");
        }
    }
}
