//! From the tree of YAML nodes to a buildspec, naming what is wrong.

use super::{ArtifactFiles, Artifacts, Buildspec, Cache, Env, OnFailure, Phase, PhaseName, Report, Shell};
use crate::yaml::{Content, Flaw, Key, Node, Place};
use regex_automata::meta::Regex;

/// Report groups of one buildspec.
const REPORT_GROUPS_MAX: usize = 5;
/// Runs of one build, for `RETRY-<n>`.
const RETRIES_MAX: u32 = 100;
const RETRIES_DEFAULT: u32 = 3;
const FALLBACK_KEYS_MAX: usize = 5;

/// Reads a whole buildspec; `None` is an empty file.
pub(super) fn buildspec(name: &str, root: Option<&Node>) -> Read<Buildspec> {
    let empty = || flaw(Place::START, "the buildspec is empty: `version: 0.2` and `phases` are required");
    let root = root.ok_or_else(empty)?;
    Reader { name, warnings: Vec::new() }.buildspec(root)
}

/// A failed `Result` is a flaw with its place.
type Read<T> = Result<T, Flaw>;

struct Reader<'a> {
    name: &'a str,
    warnings: Vec<String>,
}

/// A map whose known keys are fetched by name.
struct Fields<'n> {
    entries: &'n [(Key, Node)],
}

impl<'n> Fields<'n> {
    /// The value of a key, unless it says nothing.
    fn get(&self, name: &str) -> Option<&'n Node> {
        let found = self.entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node);
        found.filter(|node| node.content != Content::Null)
    }

    fn texts(&self, name: &str) -> Read<Vec<String>> {
        self.get(name).map_or(Ok(Vec::new()), |node| texts(node, name))
    }

    fn text(&self, name: &str) -> Read<Option<String>> {
        self.get(name).map(|node| text(node, &format!("`{name}`")).map(str::to_owned)).transpose()
    }

    fn yes(&self, name: &str) -> Read<bool> {
        self.get(name).map_or(Ok(false), |node| {
            let word = text(node, &format!("`{name}`"))?;
            match word.to_ascii_lowercase().as_str() {
                "yes" | "true" | "on" | "y" => Ok(true),
                "no" | "false" | "off" | "n" => Ok(false),
                _ => Err(flaw(node.place, format!("`{name}` is `yes` or `no`, not `{word}`"))),
            }
        })
    }
}

impl Reader<'_> {
    fn buildspec(mut self, root: &Node) -> Read<Buildspec> {
        const KEYS: [&str; 9] =
            ["version", "run-as", "env", "proxy", "batch", "phases", "reports", "artifacts", "cache"];
        let top = self.fields(root, "the buildspec", &KEYS)?;
        let forgets_state = version(root, &top)?;
        if let Some(proxy) = top.get("proxy") {
            self.warn(proxy.place, "`proxy` has no effect on this machine");
        }
        let mut buildspec = Buildspec {
            forgets_state,
            run_as: top.text("run-as")?,
            env: top.get("env").map(|node| self.env(node)).transpose()?.unwrap_or_default(),
            phases: self.phases(root, &top)?,
            reports: top.get("reports").map(|node| self.reports(node)).transpose()?.unwrap_or_default(),
            artifacts: top.get("artifacts").map(|node| self.artifacts(node)).transpose()?,
            cache: top.get("cache").map(|node| self.cache(node)).transpose()?,
            batch_line: top.get("batch").map(|node| node.place.line),
            warnings: Vec::new(),
        };
        buildspec.warnings = self.warnings;
        Ok(buildspec)
    }

    fn env(&mut self, node: &Node) -> Read<Env> {
        const KEYS: [&str; 6] = [
            "shell",
            "variables",
            "parameter-store",
            "secrets-manager",
            "exported-variables",
            "git-credential-helper",
        ];
        let fields = self.fields(node, "`env`", &KEYS)?;
        if fields.yes("git-credential-helper")? {
            self.warn(
                node.place,
                "`git-credential-helper` has no effect on this machine: git's own settings count",
            );
        }
        let exported = fields.texts("exported-variables")?;
        if let (Some(name), Some(node)) =
            (exported.iter().find(|name| name.starts_with("AWS_")), fields.get("exported-variables"))
        {
            return Err(flaw(
                node.place,
                format!("`{name}` cannot be exported: its name starts with `AWS_`"),
            ));
        }
        Ok(Env {
            shell: shell(&fields)?,
            variables: variables(&fields, "variables")?,
            parameter_store: variables(&fields, "parameter-store")?,
            secrets_manager: variables(&fields, "secrets-manager")?,
            exported,
        })
    }

    fn phases(&mut self, root: &Node, top: &Fields<'_>) -> Read<[Option<Phase>; 4]> {
        let Some(node) = top.get("phases") else {
            return Err(flaw(root.place, "`phases` is missing: at least one phase is required"));
        };
        let entries = map(node, "`phases`")?;
        let mut phases = [const { None }; 4];
        for (key, node) in entries {
            let Some(index) = PhaseName::ALL.iter().position(|phase| phase.key() == key.name) else {
                let message = format!(
                    "Unknown phase `{}`: expected `install`, `pre_build`, `build` or `post_build`",
                    key.name
                );
                return Err(flaw(key.place, message));
            };
            phases[index] = Some(self.phase(PhaseName::ALL[index], key.place, node)?);
        }
        if entries.is_empty() {
            return Err(flaw(node.place, "`phases` is empty: at least one phase is required"));
        }
        Ok(phases)
    }

    fn phase(&mut self, phase: PhaseName, place: Place, node: &Node) -> Read<Phase> {
        const KEYS: [&str; 5] = ["run-as", "on-failure", "runtime-versions", "commands", "finally"];
        let what = format!("`phases.{}`", phase.key());
        let missing = || flaw(place, format!("{what} has no `commands`: a list of commands is required"));
        if node.content == Content::Null {
            return if phase == PhaseName::Install { Ok(Phase::default()) } else { Err(missing()) };
        }
        let fields = self.fields(node, &what, &KEYS)?;
        let commands = match fields.get("commands") {
            Some(list) => commands(list, "Commands")?,
            None if phase == PhaseName::Install => Vec::new(),
            None => return Err(missing()),
        };
        let runtimes = match fields.get("runtime-versions") {
            Some(list) if phase == PhaseName::Install => map(list, "`runtime-versions`")?
                .iter()
                .map(|(key, node)| {
                    text(node, "a runtime's version").map(|text| (key.name.clone(), text.to_owned()))
                })
                .collect::<Read<_>>()?,
            Some(list) => {
                self.warn(list.place, "`runtime-versions` belongs to `phases.install`: ignored");
                Vec::new()
            }
            None => Vec::new(),
        };
        Ok(Phase {
            run_as: fields.text("run-as")?,
            on_failure: fields.get("on-failure").map(on_failure).transpose()?.unwrap_or_default(),
            commands,
            finally: fields.get("finally").map_or(Ok(Vec::new()), |list| self::commands(list, "Finally"))?,
            runtimes,
        })
    }

    fn reports(&mut self, node: &Node) -> Read<Vec<Report>> {
        const KEYS: [&str; 4] = ["files", "base-directory", "discard-paths", "file-format"];
        const FORMATS: [&str; 10] = [
            "JUNITXML",
            "CUCUMBERJSON",
            "NUNITXML",
            "NUNIT3XML",
            "TESTNGXML",
            "VISUALSTUDIOTRX",
            "CLOVERXML",
            "COBERTURAXML",
            "JACOCOXML",
            "SIMPLECOV",
        ];
        let groups = map(node, "`reports`")?;
        if groups.len() > REPORT_GROUPS_MAX {
            let message = format!("{} report groups: at most {REPORT_GROUPS_MAX} are allowed", groups.len());
            return Err(flaw(node.place, message));
        }
        let mut reports = Vec::new();
        for (key, node) in groups {
            let fields = self.fields(node, &format!("`reports.{}`", key.name), &KEYS)?;
            let format =
                fields.text("file-format")?.unwrap_or_else(|| FORMATS[0].to_owned()).to_ascii_uppercase();
            if !FORMATS.contains(&format.as_str()) {
                let message = format!("`file-format` is `{format}`: expected one of {}", FORMATS.join(", "));
                return Err(flaw(node.place, message));
            }
            fields.yes("discard-paths")?;
            reports.push(Report {
                group: key.name.clone(),
                files: required_texts(&fields, "files", key.place, &format!("`reports.{}`", key.name))?,
                base_directory: fields.text("base-directory")?,
                format,
            });
        }
        Ok(reports)
    }

    fn artifacts(&mut self, node: &Node) -> Read<Artifacts> {
        const KEYS: [&str; 8] = [
            "files",
            "name",
            "discard-paths",
            "base-directory",
            "exclude-paths",
            "enable-symlinks",
            "s3-prefix",
            "secondary-artifacts",
        ];
        let fields = self.fields(node, "`artifacts`", &KEYS)?;
        let mut secondary = Vec::new();
        if let Some(node) = fields.get("secondary-artifacts") {
            for (key, node) in map(node, "`secondary-artifacts`")? {
                let what = format!("`secondary-artifacts.{}`", key.name);
                // `s3-prefix` and the like are the pipeline's to choose, so they may stand anywhere.
                let fields = self.fields(node, &what, &KEYS[..7])?;
                secondary.push((key.name.clone(), artifact_files(&fields, key.place, &what)?));
            }
        }
        Ok(Artifacts { primary: artifact_files(&fields, node.place, "`artifacts`")?, secondary })
    }

    fn cache(&mut self, node: &Node) -> Read<Cache> {
        let fields = self.fields(node, "`cache`", &["key", "fallback-keys", "action", "paths"])?;
        let fallback_keys = fields.texts("fallback-keys")?;
        if fallback_keys.len() > FALLBACK_KEYS_MAX {
            let message = format!("{} fallback keys: at most {FALLBACK_KEYS_MAX}", fallback_keys.len());
            return Err(flaw(node.place, message));
        }
        let (restores, saves) = match fields.text("action")?.as_deref() {
            None => (true, true),
            Some("restore") => (true, false),
            Some("save") => (false, true),
            Some(other) => {
                let message = format!("`cache.action` is `restore` or `save`, not `{other}`");
                return Err(flaw(node.place, message));
            }
        };
        let paths = required_texts(&fields, "paths", node.place, "`cache`")?;
        Ok(Cache { key: fields.text("key")?, fallback_keys, restores, saves, paths })
    }

    /// A map, with a warning for each key nobody knows.
    fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&str]) -> Read<Fields<'n>> {
        let entries = map(node, what)?;
        for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
            let message =
                format!("`{}` is not a key of {what}: ignored (known: {})", key.name, known.join(", "));
            self.warn(key.place, &message);
        }
        Ok(Fields { entries })
    }

    fn warn(&mut self, place: Place, message: &str) {
        self.warnings.push(format!("{}:{}:{}: {message}", self.name, place.line, place.column));
    }
}

/// True for 0.1.
fn version(root: &Node, top: &Fields<'_>) -> Read<bool> {
    let Some(node) = top.get("version") else {
        return Err(flaw(root.place, "`version` is missing: write `version: 0.2`"));
    };
    match text(node, "`version`")? {
        "0.2" => Ok(false),
        "0.1" => Ok(true),
        other => Err(flaw(node.place, format!("`version` is `{other}`: expected 0.2 or 0.1"))),
    }
}

fn shell(fields: &Fields<'_>) -> Read<Shell> {
    let Some(node) = fields.get("shell") else { return Ok(Shell::Sh) };
    match text(node, "`shell`")? {
        "sh" | "/bin/sh" => Ok(Shell::Sh),
        "bash" | "/bin/bash" => Ok(Shell::Bash),
        other => {
            let message = format!("`shell` is `{other}`: on this machine it is `bash` or `/bin/sh`");
            Err(flaw(node.place, message))
        }
    }
}

fn variables(fields: &Fields<'_>, name: &str) -> Read<Vec<(String, String)>> {
    let Some(node) = fields.get(name) else { return Ok(Vec::new()) };
    let read = |(key, node): &(Key, Node)| {
        if key.name.starts_with("CODEBUILD_") {
            let message =
                format!("`{}` cannot be set: names that start with `CODEBUILD_` are taken", key.name);
            return Err(flaw(key.place, message));
        }
        let value = match &node.content {
            Content::Null => "",
            Content::Scalar { .. } | Content::List(_) | Content::Map(_) => {
                text(node, &format!("`{}`", key.name))?
            }
        };
        Ok((key.name.clone(), value.to_owned()))
    };
    map(node, &format!("`env.{name}`"))?.iter().map(read).collect()
}

/// `what` is the word the service's message starts with.
fn commands(node: &Node, what: &str) -> Read<Vec<String>> {
    let Content::List(items) = &node.content else {
        let message = format!(
            "Expected {what} to be a list: found {} instead at line {}; write one command per line, each \
             after `- `",
            kind(node),
            node.place.line
        );
        return Err(flaw(node.place, message));
    };
    let command = |(index, node): (usize, &Node)| match &node.content {
        Content::Scalar { text, .. } => Ok(text.clone()),
        Content::Map(_) => Err(flaw(
            node.place,
            format!(
                "Expected {what}[{index}] to be of string type: found subkeys instead at line {}; a command \
                 with `: ` in it must be quoted",
                node.place.line
            ),
        )),
        Content::Null | Content::List(_) => Err(flaw(
            node.place,
            format!(
                "Expected {what}[{index}] to be of string type: found {} instead at line {}",
                kind(node),
                node.place.line
            ),
        )),
    };
    items.iter().enumerate().map(command).collect()
}

fn on_failure(node: &Node) -> Read<OnFailure> {
    let word = text(node, "`on-failure`")?;
    let expected = || {
        let message = format!(
            "`on-failure` is `{word}`: expected ABORT, CONTINUE, RETRY, RETRY-<count>, RETRY-<regex> or \
             RETRY-<count>-<regex>"
        );
        flaw(node.place, message)
    };
    let upper = word.to_ascii_uppercase();
    match upper.as_str() {
        "ABORT" => return Ok(OnFailure::Abort),
        "CONTINUE" => return Ok(OnFailure::Continue),
        "RETRY" => return Ok(OnFailure::Retry { times: RETRIES_DEFAULT, matching: None }),
        _ => {}
    }
    // Upper case keeps the length of ASCII, and the prefix is ASCII.
    let rest = upper.strip_prefix("RETRY-").map(|_| &word["RETRY-".len()..]).ok_or_else(expected)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let after = &rest[digits..];
    let (times, regex) = match (digits, after.strip_prefix('-')) {
        (1.., Some(regex)) => (count(node, &rest[..digits])?, Some(regex)),
        (1.., None) if after.is_empty() => (count(node, rest)?, None),
        (_, _) => (RETRIES_DEFAULT, Some(rest)),
    };
    let matching = regex.map(|regex| {
        Regex::new(regex).map(Box::new).map_err(|error| {
            // The library's own message shows the pattern on lines of its own.
            let reason = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
            flaw(node.place, format!("`{regex}` in `on-failure` is not a regular expression: {reason}"))
        })
    });
    Ok(OnFailure::Retry { times, matching: matching.transpose()? })
}

fn count(node: &Node, digits: &str) -> Read<u32> {
    let count = digits.parse().ok().filter(|count| *count <= RETRIES_MAX);
    count.ok_or_else(|| {
        flaw(node.place, format!("`on-failure` retries {digits} times: at most {RETRIES_MAX}"))
    })
}

fn artifact_files(fields: &Fields<'_>, place: Place, what: &str) -> Read<ArtifactFiles> {
    let exclude = match fields.get("exclude-paths") {
        Some(Node { content: Content::Scalar { text, .. }, .. }) => vec![text.clone()],
        Some(node) => texts(node, "exclude-paths")?,
        None => Vec::new(),
    };
    Ok(ArtifactFiles {
        files: required_texts(fields, "files", place, what)?,
        base_directory: fields.text("base-directory")?,
        exclude,
        discard_paths: fields.yes("discard-paths")?,
        enable_symlinks: fields.yes("enable-symlinks")?,
    })
}

fn required_texts(fields: &Fields<'_>, name: &str, place: Place, what: &str) -> Read<Vec<String>> {
    let texts = fields.texts(name)?;
    if texts.is_empty() {
        return Err(flaw(place, format!("{what} has no `{name}`: a list of patterns is required")));
    }
    Ok(texts)
}

fn texts(node: &Node, name: &str) -> Read<Vec<String>> {
    let Content::List(items) = &node.content else {
        let message = format!("`{name}` is {}: a list is expected, each item after `- `", kind(node));
        return Err(flaw(node.place, message));
    };
    items
        .iter()
        .enumerate()
        .map(|(index, node)| text(node, &format!("`{name}[{index}]`")).map(str::to_owned))
        .collect()
}

fn text<'n>(node: &'n Node, what: &str) -> Read<&'n str> {
    match &node.content {
        Content::Scalar { text, .. } => Ok(text),
        Content::Null | Content::List(_) | Content::Map(_) => {
            Err(flaw(node.place, format!("{what} is {}: a text is expected", kind(node))))
        }
    }
}

fn map<'n>(node: &'n Node, what: &str) -> Read<&'n [(Key, Node)]> {
    match &node.content {
        Content::Map(entries) => Ok(entries),
        Content::Null | Content::Scalar { .. } | Content::List(_) => {
            Err(flaw(node.place, format!("{what} is {}: `key: value` lines are expected", kind(node))))
        }
    }
}

/// What stands here, in the service's words.
fn kind(node: &Node) -> &'static str {
    match &node.content {
        Content::Null => "nothing",
        Content::Scalar { .. } => "a text",
        Content::List(_) => "a list",
        Content::Map(_) => "subkeys",
    }
}

fn flaw(place: Place, message: impl Into<String>) -> Flaw {
    Flaw { place, message: message.into() }
}
