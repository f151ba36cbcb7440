//! Settings, from the environment of a function. All that is wrong is said at once, each by the variable's name: a
//! function that cannot be configured does not start.

use events::Compatibility;
use handlers::publish::SOURCE_ON_AWS;
use std::fmt;

/// One function for each entry point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what its file in `src/bin` says")]
pub enum Function {
    Api,
    Webhook,
    Trigger,
    Relay,
    Project,
    Work,
    Notify,
    Sweep,
}

impl Function {
    /// Its name, which is that of its binary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Webhook => "webhook",
            Self::Trigger => "trigger",
            Self::Relay => "relay",
            Self::Project => "project",
            Self::Work => "work",
            Self::Notify => "notify",
            Self::Sweep => "sweep",
        }
    }

    /// It appends to the log, or carries out what was appended.
    pub fn acts(self) -> bool {
        match self {
            Self::Api | Self::Webhook | Self::Trigger | Self::Relay | Self::Work | Self::Sweep => true,
            Self::Project | Self::Notify => false,
        }
    }
}

/// What a function works with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which function.
    pub function: Function,
    /// How AWS is called.
    pub client: aws::client::Settings,
    /// The table of the log.
    pub log_table: String,
    /// The table of the views.
    pub views_table: String,
    /// Which installation, for metrics.
    pub installation: String,
    /// The namespace of metrics.
    pub metrics_namespace: String,
    /// How finely metrics are told apart.
    pub metrics_detail: Detail,
    /// The address of the pages people look at, which messages lead to.
    pub console: Option<String>,
    /// What carrying out effects needs; `None` for a function that does not.
    pub effects: Option<Effects>,
    /// Where state changes are published; only `relay` does.
    pub publishing: Option<Publishing>,
    /// The queue that records go to which nobody can deal with.
    pub dead_letters: Option<String>,
    /// The SSM parameter with the table of permissions.
    pub permissions: Option<String>,
    /// Pull requests of forks may start something.
    pub allow_forks: bool,
    /// The SSM parameter that says who is told of changes of state.
    pub notices: Option<String>,
    /// Addresses outside of AWS may be called without TLS: for emulators.
    pub plain_web: bool,
}

/// What carrying out effects needs.
#[derive(Debug, Clone)]
pub struct Effects {
    /// The function that long work is handed to; without one it is done where it is met.
    pub work_function: Option<String>,
    /// Where secrets lie: an SSM path with `/` at both ends.
    pub secrets_prefix: String,
    /// What secrets are encrypted with; the account's own key without one.
    pub secrets_key: Option<String>,
    /// The role whose sessions lend artifacts to workers.
    pub artifact_role: Option<String>,
    /// Providers are called in the function's own name, not in that of the role a definition names.
    pub acts_as_itself: bool,
    /// The CodeBuild project that commands run in.
    pub compute_project: Option<String>,
    /// How closely CodePipeline's own limits are kept.
    pub compatibility: Compatibility,
    /// The address webhooks are called at, without `/` at its end.
    pub public_url: String,
}

/// Where state changes are published.
#[derive(Debug, Clone)]
pub struct Publishing {
    /// Name or ARN of the bus.
    pub bus: String,
    /// Their `source`.
    pub source: String,
    /// A topic that hears of failures of every pipeline, besides what rules send from the bus.
    pub topic: Option<String>,
}

/// How finely metrics are told apart. Each pair of names is a metric of its own, and paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// All pipelines together.
    Installation,
    /// Also by pipeline.
    Pipeline,
    /// Also by stage.
    Stage,
}

/// Everything that is wrong with an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct BadSettings {
    function: &'static str,
    wrong: Vec<String>,
}

impl fmt::Display for BadSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "function `{}` cannot start: {}", self.function, self.wrong.join("; "))
    }
}

/// Reads one environment, and notes what is wrong with it.
struct Reading<F> {
    named: F,
    wrong: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Reading<F> {
    /// An empty variable is none: a template cannot leave one out.
    fn optional(&self, name: &str) -> Option<String> {
        (self.named)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn needed(&mut self, name: &str, what: &str) -> String {
        let value = self.optional(name);
        value.unwrap_or_else(|| {
            self.wrong.push(format!("`{name}` is not set: {what}"));
            String::new()
        })
    }

    fn checked(&mut self, name: &str, value: &str, is_right: bool, rule: &str) {
        if !is_right && !value.is_empty() {
            self.wrong.push(format!("`{name}` must be {rule}: {value:?}"));
        }
    }
}

impl Settings {
    /// Reads what a function needs.
    pub fn read(function: Function, named: impl Fn(&str) -> Option<String>) -> Result<Self, BadSettings> {
        let mut reading = Reading { named, wrong: Vec::new() };
        let account = reading.needed("TOWPATH_ACCOUNT", "the number of the account");
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        reading.checked("TOWPATH_ACCOUNT", &account, is_account, "12 digits");
        let client = aws::client::Settings::read(account, &reading.named);
        if let Err(error) = &client {
            reading.wrong.push(error.to_string());
        }
        let log_table = reading.needed("TOWPATH_LOG_TABLE", "the name of the log's table");
        let views_table = reading.needed("TOWPATH_VIEWS_TABLE", "the name of the views' table");
        let detail = reading.optional("TOWPATH_METRICS_DETAIL").unwrap_or_default();
        let metrics_detail = match detail.as_str() {
            "pipeline" => Detail::Pipeline,
            "stage" => Detail::Stage,
            _ => Detail::Installation,
        };
        let is_detail = matches!(detail.as_str(), "installation" | "pipeline" | "stage");
        reading.checked(
            "TOWPATH_METRICS_DETAIL",
            &detail,
            is_detail,
            "`installation`, `pipeline` or `stage`",
        );
        let effects = function.acts().then(|| effects(&mut reading));
        let publishing = (function == Function::Relay).then(|| Publishing {
            bus: reading.needed("TOWPATH_BUS", "the name or ARN of the bus that state changes go to"),
            source: reading.optional("TOWPATH_EVENT_SOURCE").unwrap_or_else(|| SOURCE_ON_AWS.to_owned()),
            topic: reading.optional("TOWPATH_TOPIC_ARN"),
        });
        if let Some(publishing) = &publishing {
            let source = &publishing.source;
            // The service refuses these, one event after another.
            let is_free = !source.starts_with("aws.");
            reading.checked("TOWPATH_EVENT_SOURCE", source, is_free, "no source that begins with `aws.`");
        }
        let forks = reading.optional("TOWPATH_ALLOW_FORKS").unwrap_or_default();
        let is_switch = matches!(forks.as_str(), "true" | "false");
        reading.checked("TOWPATH_ALLOW_FORKS", &forks, is_switch, "`true` or `false`");
        let settings = |client| Self {
            function,
            client,
            log_table,
            views_table,
            installation: reading.optional("TOWPATH_INSTALLATION").unwrap_or_else(|| "towpath".to_owned()),
            metrics_namespace: reading
                .optional("TOWPATH_METRICS_NAMESPACE")
                .unwrap_or_else(|| "Towpath".to_owned()),
            metrics_detail,
            console: reading.optional("TOWPATH_CONSOLE_URL").map(|url| url.trim_end_matches('/').to_owned()),
            effects,
            publishing,
            dead_letters: reading.optional("TOWPATH_DEAD_LETTERS_URL"),
            permissions: reading.optional("TOWPATH_PERMISSIONS_PARAMETER"),
            allow_forks: forks == "true",
            notices: reading.optional("TOWPATH_NOTICES_PARAMETER"),
            plain_web: reading.optional("TOWPATH_PLAIN_WEB").is_some_and(|value| value == "true"),
        };
        match client {
            Ok(client) if reading.wrong.is_empty() => Ok(settings(client)),
            Ok(_) | Err(_) => Err(BadSettings { function: function.name(), wrong: reading.wrong }),
        }
    }
}

fn effects<F: Fn(&str) -> Option<String>>(reading: &mut Reading<F>) -> Effects {
    let secrets_prefix = reading.needed("TOWPATH_SECRETS_PREFIX", "the SSM path that secrets lie under");
    let is_path =
        secrets_prefix.len() > 1 && secrets_prefix.starts_with('/') && secrets_prefix.ends_with('/');
    reading.checked("TOWPATH_SECRETS_PREFIX", &secrets_prefix, is_path, "a path with `/` at both ends");
    let text = reading.optional("TOWPATH_COMPATIBILITY").unwrap_or_default();
    let compatibility = match text.as_str() {
        "extended" => Compatibility::Extended,
        _ => Compatibility::Exact,
    };
    let is_known = matches!(text.as_str(), "exact" | "extended");
    reading.checked("TOWPATH_COMPATIBILITY", &text, is_known, "`exact` or `extended`");
    let identity = reading.optional("TOWPATH_IDENTITY").unwrap_or_default();
    let is_known = matches!(identity.as_str(), "roles" | "own");
    reading.checked("TOWPATH_IDENTITY", &identity, is_known, "`roles` or `own`");
    let role = reading.optional("TOWPATH_ARTIFACT_ROLE_ARN");
    let is_role = role.as_deref().is_none_or(|role| role.starts_with("arn:") && role.contains(":role/"));
    let shown = role.clone().unwrap_or_default();
    reading.checked("TOWPATH_ARTIFACT_ROLE_ARN", &shown, is_role, "the ARN of a role");
    let public_url = reading.optional("TOWPATH_PUBLIC_URL").unwrap_or_default();
    Effects {
        work_function: reading.optional("TOWPATH_WORK_FUNCTION"),
        secrets_prefix,
        secrets_key: reading.optional("TOWPATH_SECRETS_KEY"),
        artifact_role: role,
        acts_as_itself: identity == "own",
        compute_project: reading.optional("TOWPATH_COMPUTE_PROJECT"),
        compatibility,
        public_url: public_url.trim_end_matches('/').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[(&str, &str)] = &[
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
        ("TOWPATH_ACCOUNT", "111122223333"),
        ("TOWPATH_LOG_TABLE", "log"),
        ("TOWPATH_VIEWS_TABLE", "views"),
        ("TOWPATH_SECRETS_PREFIX", "/towpath/t/"),
        ("TOWPATH_BUS", "bus"),
    ];

    fn read(function: Function, more: &[(&str, &str)]) -> Result<Settings, BadSettings> {
        let named = |name: &str| {
            let last = WHOLE.iter().chain(more).rev().find(|(known, _)| *known == name);
            last.map(|(_, value)| (*value).to_owned())
        };
        Settings::read(function, named)
    }

    #[test]
    fn what_may_be_left_out_has_its_usual_value() {
        let settings = read(Function::Relay, &[]).unwrap();
        assert_eq!(settings.installation, "towpath");
        assert_eq!(settings.metrics_detail, Detail::Installation);
        assert_eq!(settings.publishing.unwrap().source, SOURCE_ON_AWS);
        let effects = settings.effects.unwrap();
        assert_eq!(effects.compatibility, Compatibility::Exact);
        assert_eq!(effects.work_function, None);
        assert!(read(Function::Project, &[("TOWPATH_SECRETS_PREFIX", "")]).unwrap().effects.is_none());
        let url = [("TOWPATH_PUBLIC_URL", "https://x.lambda-url.eu-west-1.on.aws/")];
        let effects = read(Function::Api, &url).unwrap().effects.unwrap();
        assert_eq!(effects.public_url, "https://x.lambda-url.eu-west-1.on.aws");
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_and_by_name() {
        let wrong = read(
            Function::Relay,
            &[
                ("AWS_REGION", ""),
                ("TOWPATH_ACCOUNT", "12"),
                ("TOWPATH_LOG_TABLE", ""),
                ("TOWPATH_SECRETS_PREFIX", "towpath"),
                ("TOWPATH_BUS", ""),
                ("TOWPATH_EVENT_SOURCE", "aws.codepipeline"),
                ("TOWPATH_COMPATIBILITY", "exactly"),
                ("TOWPATH_ARTIFACT_ROLE_ARN", "lender"),
                ("TOWPATH_IDENTITY", "mine"),
                ("TOWPATH_ALLOW_FORKS", "yes"),
                ("TOWPATH_METRICS_DETAIL", "all"),
            ],
        );
        let text = wrong.unwrap_err().to_string();
        for name in [
            "AWS_REGION",
            "TOWPATH_ACCOUNT",
            "TOWPATH_LOG_TABLE",
            "TOWPATH_SECRETS_PREFIX",
            "TOWPATH_BUS",
            "TOWPATH_EVENT_SOURCE",
            "TOWPATH_COMPATIBILITY",
            "TOWPATH_ARTIFACT_ROLE_ARN",
            "TOWPATH_IDENTITY",
            "TOWPATH_ALLOW_FORKS",
            "TOWPATH_METRICS_DETAIL",
            "`relay`",
        ] {
            assert!(text.contains(name), "{name}: {text}");
        }
        assert!(!text.contains("hush"));
    }
}
