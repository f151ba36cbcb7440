//! Reading `towpath.toml`: where it lies, what is wrong in it, and which paths it means.

use super::{Alarm, DeploymentGroup, Host, RegisteredType, Settings, Source, rules};
use domain::pipeline::lint;
use events::{ActionCategory, Compatibility};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

/// The file's name beside a pipeline.
pub const SETTINGS_FILE: &str = "towpath.toml";
/// Larger files are refused unread.
const SETTINGS_BYTES_MAX: u64 = 1 << 20;
/// Schemes a clone URL may have. Others would let a URL run a program.
const URL_SCHEMES: [&str; 5] = ["https", "http", "ssh", "git", "file"];
const DEPLOYMENT_CONFIGS: [&str; 3] =
    ["CodeDeployDefault.OneAtATime", "CodeDeployDefault.HalfAtATime", "CodeDeployDefault.AllAtOnce"];
const FILE_EXISTS_BEHAVIORS: [&str; 3] = ["DISALLOW", "OVERWRITE", "RETAIN"];
const MOCK_CATEGORIES: [&str; 7] = ["Source", "Build", "Test", "Deploy", "Invoke", "Compute", "Rule"];

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("the settings file `{path}` cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, or has a key or a type that does not belong there.
    #[error("{path}:{line}:{column}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// A value that cannot be meant.
    #[error("{path}: `{key}`: {message}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, tables and all.
        key: String,
        /// What is wrong, and what would be right.
        message: String,
    },
}

pub(super) fn load(path: Option<&Path>, base: &Path) -> Result<Settings, SettingsError> {
    let unreadable = |path: &Path, source| SettingsError::Unreadable { path: path.to_owned(), source };
    let base = std::path::absolute(base).map_err(|source| unreadable(base, source))?;
    let file = match path {
        Some(path) => std::path::absolute(path).map_err(|source| unreadable(path, source))?,
        None => base.join(SETTINGS_FILE),
    };
    let text = match read(&file) {
        Ok(text) => text,
        Err(error) if path.is_none() && error.kind() == ErrorKind::NotFound => {
            return Ok(Settings { base, ..Settings::default() });
        }
        Err(error) => return Err(unreadable(&file, error)),
    };
    let mut settings: Settings = toml::from_str(&text).map_err(|error| syntax(&file, &text, &error))?;
    settings.base = file.parent().unwrap_or(&base).to_owned();
    check(&settings).map_err(|(key, message)| SettingsError::Value { path: file, key, message })?;
    resolve(&mut settings);
    Ok(settings)
}

fn read(path: &Path) -> std::io::Result<String> {
    let other = |message: String| std::io::Error::new(ErrorKind::InvalidData, message);
    if !std::fs::metadata(path)?.is_file() {
        return Err(other("it is not a plain file".into()));
    }
    let mut text = String::new();
    let count = File::open(path)?.take(SETTINGS_BYTES_MAX + 1).read_to_string(&mut text)?;
    match count as u64 > SETTINGS_BYTES_MAX {
        true => Err(other(format!("it is larger than {SETTINGS_BYTES_MAX} bytes"))),
        false => Ok(text),
    }
}

fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> SettingsError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let last_line = before.rsplit('\n').next().unwrap_or_default();
    SettingsError::Syntax {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: last_line.chars().count() + 1,
        message: reworded(error.message()),
    }
}

/// The reader knows of a misspelt key only in words: "unknown field `x`, expected one of `a`, `b`". They are
/// turned into ours for reading; nothing is decided on them.
fn reworded(message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field `") else { return message.to_owned() };
    let mut quoted = rest.split('`').step_by(2).map(str::trim);
    let (Some(unknown), known) = (quoted.next(), rest.split('`').skip(2).step_by(2).collect::<Vec<_>>())
    else {
        return message.to_owned();
    };
    let hint = match nearest(unknown, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "no key is known here".to_owned(),
        None => format!("known here: `{}`", known.join("`, `")),
    };
    format!("there is no setting `{unknown}` here; {hint}")
}

/// The known word that is at most two slips away, if one is.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|candidate| (slips(&word.replace('_', "-"), candidate), *candidate)).min()?;
    (near.0 <= 2 && near.0 < word.len()).then_some(near.1)
}

/// Letters to insert, drop or replace until one word is the other.
fn slips(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().take(80).enumerate() {
        let mut corner = std::mem::replace(&mut row[0], index + 1);
        for column in 0..to.len() {
            let replaced = corner + usize::from(letter != to[column]);
            corner = row[column + 1];
            row[column + 1] = replaced.min(corner + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

pub(super) type Fault = (String, String);

fn check(settings: &Settings) -> Result<(), Fault> {
    for (name, text) in &settings.sources {
        parse_source(text, &settings.base).map_err(|message| (format!("sources.\"{name}\""), message))?;
    }
    for (name, project) in &settings.codebuild {
        let key = |field: &str| format!("codebuild.\"{name}\".{field}");
        positive(project.timeout_minutes, || key("timeout-minutes"))?;
        variables(project.environment.keys(), || key("environment"))?;
        variables(project.parameter_store.keys(), || key("parameter-store"))?;
        variables(project.secrets_manager.keys(), || key("secrets-manager"))?;
    }
    for (name, group) in &settings.codedeploy {
        let key = format!("codedeploy.\"{name}\"");
        if name.split('/').filter(|part| !part.is_empty()).count() != 2 || name.matches('/').count() != 1 {
            return Err((key, "the name must be `Application/DeploymentGroup`".into()));
        }
        check_group(group, &key)?;
    }
    for (bucket, folder) in &settings.s3 {
        let key = format!("s3.\"{bucket}\"");
        if bucket.is_empty() || bucket.contains('/') {
            return Err((key, "the name of a bucket has no `/` and is not empty".into()));
        }
        check_path(folder, || key)?;
    }
    for (name, function) in &settings.lambda {
        let key = |field: &str| format!("lambda.\"{name}\".{field}");
        if function.command.first().is_none_or(|program| program.is_empty()) {
            return Err((key("command"), "name a program, and its arguments: `[\"./notify.sh\"]`".into()));
        }
        check_path(Path::new(&function.command[0]), || key("command"))?;
        positive(function.timeout_minutes, || key("timeout-minutes"))?;
        variables(function.environment.keys(), || key("environment"))?;
    }
    settings.alarms.iter().try_for_each(|(name, alarm)| check_alarm(name, alarm))?;
    if let Some(secrets) = &settings.secrets {
        check_path(secrets, || "secrets".into())?;
    }
    if let Some(host) = &settings.git_host {
        let is_plain = host.api.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
        if !is_plain || !["https://", "http://"].iter().any(|scheme| host.api.starts_with(scheme)) {
            return Err(("git-host.api".into(), format!("`{}` is not an http or https URL", host.api)));
        }
        check_path(&host.token_file, || "git-host.token-file".into())?;
    }
    rules::check(&settings.rules, &settings.hooks)?;
    settings.mock.keys().try_for_each(|key| check_mock(key))?;
    check_types(&settings.action_types)?;
    super::gates::policies(settings, Compatibility::Exact).map(drop)?;
    settings.notifications.check()?;
    settings.lint.allow.iter().try_for_each(|id| check_rule(id))?;
    let limits = &settings.limits;
    for (field, value) in [
        ("log-bytes", limits.log_bytes),
        ("artifact-bytes", limits.artifact_bytes),
        ("artifact-files", limits.artifact_files),
    ] {
        if value == 0 {
            return Err((format!("limits.{field}"), "must be 1 or more".into()));
        }
    }
    Ok(())
}

fn check_alarm(name: &str, alarm: &Alarm) -> Result<(), Fault> {
    let key = format!("alarms.\"{name}\"");
    let program = alarm.command.first();
    match (program, &alarm.file) {
        (Some(program), None) if !program.is_empty() => {
            check_path(Path::new(program), || format!("{key}.command"))
        }
        (None, Some(file)) => check_path(file, || format!("{key}.file")),
        (Some(_), Some(_)) => Err((key, "keep `command` or `file`, not both".into())),
        (Some(_) | None, None) => Err((
            key,
            "name a program that prints the alarm's state, `command = [\"./state.sh\"]`, or a file that holds \
             it, `file = \"state\"`"
                .into(),
        )),
    }
}

/// Lengths are those of the API's own shapes.
fn check_types(registered: &[RegisteredType]) -> Result<(), Fault> {
    let mut ids = BTreeSet::new();
    for (number, registered) in (1..).zip(registered) {
        let key = |field: &str| format!("action-types[{number}].{field}");
        let name = |text: &str, max: usize| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            (1..=max).contains(&text.len()) && text.chars().all(plain)
        };
        let length = |text: &str, max: usize| (1..=max).contains(&text.chars().count());
        let faults = [
            (name(&registered.provider, 35), "provider", "must have 1 to 35 letters, digits, `-` or `_`"),
            (name(&registered.version, 9), "version", "must have 1 to 9 letters, digits, `-` or `_`"),
            (is_uuid(&registered.client_id), "client-id", "must be a UUID in lower case"),
            (length(&registered.client_token, 256), "client-token", "must have 1 to 256 characters"),
            (registered.inputs.0.max(registered.inputs.1) <= 10, "inputs", "must be 0 to 10"),
            (registered.outputs.0.max(registered.outputs.1) <= 10, "outputs", "must be 0 to 10"),
        ];
        if let Some((_, field, message)) = faults.into_iter().find(|(holds, _, _)| !holds) {
            return Err((key(field), message.into()));
        }
        if matches!(registered.category, ActionCategory::Approval | ActionCategory::Compute) {
            return Err((key("category"), "workers have no jobs of this category".into()));
        }
        if (registered.category, registered.provider.as_str()) == (ActionCategory::Source, "GitHub") {
            return Err((key("provider"), "Towpath fetches from GitHub itself: see `[sources]`".into()));
        }
        if !ids.insert(registered.id()) {
            return Err((key("provider"), format!("{} is registered twice", registered.id())));
        }
        registered.declaration("").check().map_err(|message| (key("properties"), message))?;
    }
    Ok(())
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.chars().all(hex))
}

fn check_rule(id: &str) -> Result<(), Fault> {
    if lint::rule(id).is_some() {
        return Ok(());
    }
    let hint = match lint::nearest_rule(id) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`towpath lint --list-rules` lists them".to_owned(),
    };
    Err(("lint.allow".into(), format!("there is no rule `{id}`; {hint}")))
}

fn check_group(group: &DeploymentGroup, key: &str) -> Result<(), Fault> {
    let one_of = |field: &str, value: &Option<String>, known: &[&str]| match value {
        Some(value) if !known.contains(&value.as_str()) => {
            let message = format!("`{value}` is not one of `{}`", known.join("`, `"));
            Err((format!("{key}.{field}"), message))
        }
        Some(_) | None => Ok(()),
    };
    one_of("config", &group.config, &DEPLOYMENT_CONFIGS)?;
    one_of("file-exists-behavior", &group.file_exists_behavior, &FILE_EXISTS_BEHAVIORS)?;
    variables(group.environment.keys(), || format!("{key}.environment"))?;
    let (mut names, mut roots) = (BTreeSet::new(), BTreeSet::new());
    for (field, host) in hosts(group) {
        let key = format!("{key}.{field}");
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if host.name.is_empty() || host.name.starts_with('.') || !host.name.chars().all(plain) {
            let message = format!("`{}` is not a host's name: letters, digits, `.`, `-` or `_`", host.name);
            return Err((key, message));
        }
        if !names.insert(&host.name) {
            return Err((key, format!("two hosts are named `{}`", host.name)));
        }
        if !roots.insert(&host.root) {
            return Err((key, format!("two hosts have the folder `{}`", host.root.display())));
        }
        check_path(&host.root, || format!("{key}.root"))?;
        variables(host.environment.keys(), || format!("{key}.environment"))?;
    }
    Ok(())
}

fn hosts(group: &DeploymentGroup) -> impl Iterator<Item = (&'static str, &Host)> {
    let replacement = group.replacement_hosts.iter().map(|host| ("replacement-hosts", host));
    group.hosts.iter().map(|host| ("hosts", host)).chain(replacement)
}

fn check_path(path: &Path, key: impl FnOnce() -> String) -> Result<(), Fault> {
    match path.to_str() {
        Some("") => Err((key(), "a path must not be empty".into())),
        Some(text) if text == "~" || text.starts_with("~/") => {
            Err((key(), format!("`~` is not expanded here; write the whole path instead of `{text}`")))
        }
        Some(text) if text.contains('\0') => Err((key(), "a path cannot hold a zero character".into())),
        Some(_) | None => Ok(()),
    }
}

fn positive(minutes: Option<u32>, key: impl FnOnce() -> String) -> Result<(), Fault> {
    match minutes {
        Some(0) => Err((key(), "must be 1 or more".into())),
        Some(_) | None => Ok(()),
    }
}

fn variables<'a>(names: impl Iterator<Item = &'a String>, key: impl FnOnce() -> String) -> Result<(), Fault> {
    match names.into_iter().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        Some(name) => Err((key(), format!("`{name}` cannot be the name of a variable"))),
        None => Ok(()),
    }
}

fn check_mock(name: &str) -> Result<(), Fault> {
    let fault = |message: String| Err((format!("mock.\"{name}\""), message));
    match name.split_once('/') {
        Some(("Approval", _)) => fault("an approval is given by a person and cannot be mocked".into()),
        Some((category, provider)) if MOCK_CATEGORIES.contains(&category) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            match !provider.is_empty() && provider.chars().all(plain) {
                true => Ok(()),
                false => fault(format!("`{provider}` is not a provider's name; for example `Deploy/ECS`")),
            }
        }
        Some((category, _)) => {
            fault(format!("`{category}` is not one of `{}`", MOCK_CATEGORIES.join("`, `")))
        }
        None => fault("the name must be `Category/Provider`, for example `Deploy/ECS`".into()),
    }
}

pub(super) fn parse_source(text: &str, base: &Path) -> Result<Source, String> {
    if text.is_empty() || text.starts_with('-') || text.contains(['\0', '\n', '\r']) {
        return Err(format!("`{text}` is neither a folder nor a clone URL"));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return match URL_SCHEMES.contains(&scheme) && !rest.is_empty() && !rest.starts_with('-') {
            true => Ok(Source::Url(text.to_owned())),
            false => Err(format!("a clone URL starts with one of `{}://`", URL_SCHEMES.join("://`, `"))),
        };
    }
    if let Some((host, path)) = text.split_once(':').filter(|(host, _)| !host.contains('/')) {
        return match path.starts_with(':') || path.is_empty() || host.is_empty() {
            true => Err(format!("`{text}` is neither a folder nor a clone URL")),
            false => Ok(Source::Url(text.to_owned())),
        };
    }
    check_path(Path::new(text), String::new).map_err(|(_, message)| message)?;
    Ok(Source::Folder(tidy(&base.join(text))))
}

/// The path without `.` parts; `..` stays, since only the file system knows where a link's parent is.
fn tidy(path: &Path) -> PathBuf {
    path.components().collect()
}

fn resolve(settings: &mut Settings) {
    let Settings { base, codedeploy, s3, lambda, alarms, secrets, git_host, hooks, notifications, .. } =
        settings;
    let absolute = |path: &mut PathBuf| *path = tidy(&base.join(&path));
    for group in codedeploy.values_mut() {
        group.hosts.iter_mut().chain(&mut group.replacement_hosts).for_each(|host| absolute(&mut host.root));
    }
    s3.values_mut().for_each(absolute);
    secrets.iter_mut().for_each(absolute);
    git_host.iter_mut().for_each(|host| absolute(&mut host.token_file));
    hooks.resolve(base);
    notifications.resolve(base);
    alarms.values_mut().filter_map(|alarm| alarm.file.as_mut()).for_each(absolute);
    let commands = lambda.values_mut().map(|function| &mut function.command);
    for command in commands.chain(alarms.values_mut().map(|alarm| &mut alarm.command)) {
        if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
            // The file is TOML and the base came from text or the system; a base that is no text stays as it is.
            if let Some(path) = tidy(&base.join(&program)).to_str() {
                *program = path.to_owned();
            }
        }
    }
}

pub(super) fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, group) in &settings.codedeploy {
        for (_, host) in hosts(group) {
            if host.root.parent().is_none() {
                warnings.push(format!(
                    "Host `{}` of `{name}` is this machine's own root folder: a deployment replaces real files.",
                    host.name
                ));
            }
        }
    }
    for (bucket, folder) in &settings.s3 {
        if folder.parent().is_none() {
            warnings.push(format!("Bucket `{bucket}` is this machine's own root folder."));
        }
    }
    for (action_type, mock) in &settings.mock {
        warnings.push(format!(
            "`{action_type}` is mocked: it will {} without doing anything.",
            match mock {
                super::Mock::Succeed => "succeed",
                super::Mock::Fail => "fail",
            }
        ));
    }
    warnings
}

#[cfg(test)]
mod tests;
