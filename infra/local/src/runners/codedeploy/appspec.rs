//! The appspec of a server deployment: what to copy, who owns it, which scripts run when.
//!
//! Reading it never fails half-way: every flaw of the file is reported with its line.

use super::lifecycle::{Event, RESERVED};
use crate::yaml::{self, Content, Flaw, Key, Node, Place};
use std::{collections::BTreeMap, fmt};

/// Names an appspec may have, in the order they are looked for.
pub(super) const APPSPEC_NAMES: [&str; 2] = ["appspec.yml", "appspec.yaml"];
/// Seconds the scripts of one event may take together, and one script without a `timeout` of its own.
pub(super) const EVENT_SECONDS_MAX: u64 = 3600;
/// Flaws shown of one file.
const FLAWS_MAX: usize = 20;
/// Characters of a value shown where something else is expected.
const SHOWN_CHARS_MAX: usize = 60;

/// A checked appspec.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct AppSpec {
    pub(super) files: Vec<FileEntry>,
    pub(super) file_exists: Option<FileExists>,
    pub(super) permissions: Vec<Permission>,
    pub(super) hooks: BTreeMap<Event, Vec<Script>>,
    /// What a person should know about the file although it can be used.
    pub(super) warnings: Vec<String>,
}

/// Copy a file, or a folder's contents, into a folder.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FileEntry {
    /// Relative to the bundle, without leading slash or `..`; empty for the whole bundle.
    pub(super) source: String,
    /// Absolute, without `..`.
    pub(super) destination: String,
}

/// What happens to a file that is in the way and was not installed by the last deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum FileExists {
    #[default]
    Disallow,
    Overwrite,
    Retain,
}

impl FileExists {
    /// The behaviour a word stands for, in any case.
    pub(super) fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_uppercase().as_str() {
            "DISALLOW" => Some(Self::Disallow),
            "OVERWRITE" => Some(Self::Overwrite),
            "RETAIN" => Some(Self::Retain),
            _ => None,
        }
    }
}

/// Owner and mode of what was copied.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Permission {
    pub(super) object: String,
    pub(super) pattern: String,
    pub(super) except: Vec<String>,
    pub(super) owner: Option<String>,
    pub(super) group: Option<String>,
    /// Unix mode bits, at most `0o7777`.
    pub(super) mode: Option<u32>,
    pub(super) acls: Vec<String>,
    /// True when an SELinux `context` is given.
    pub(super) context: bool,
    pub(super) to_files: bool,
    pub(super) to_directories: bool,
    /// Where the entry stands.
    pub(super) line: usize,
}

/// One hook script.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Script {
    /// Relative to the bundle, without leading slash or `..`.
    pub(super) location: String,
    /// Seconds; `None` leaves it at what the event has left.
    pub(super) timeout: Option<u64>,
    pub(super) runas: Option<String>,
}

/// An appspec that cannot be used.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BadAppSpec {
    pub(super) path: String,
    pub(super) flaws: Vec<Flaw>,
}

impl std::error::Error for BadAppSpec {}

impl fmt::Display for BadAppSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` cannot be used", self.path)?;
        for Flaw { place, message } in self.flaws.iter().take(FLAWS_MAX) {
            write!(f, "\n  {}:{}:{}: {message}", self.path, place.line, place.column)?;
        }
        match self.flaws.len().saturating_sub(FLAWS_MAX) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// Reads and checks the text of an appspec; `path` is for messages.
pub(super) fn parse(path: &str, text: &str) -> Result<AppSpec, BadAppSpec> {
    let bad = |flaws| BadAppSpec { path: path.to_owned(), flaws };
    let root = yaml::parse(text).map_err(|flaw| bad(vec![flaw]))?;
    let Some(root) = root else {
        let message = "the file is empty; it needs at least `version: 0.0` and `os: linux`".to_owned();
        return Err(bad(vec![Flaw { place: Place::START, message }]));
    };
    let mut reader = Reader { path, spec: AppSpec::default(), flaws: Vec::new() };
    reader.document(&root);
    reader.flaws.sort_by_key(|flaw| flaw.place);
    if reader.flaws.is_empty() { Ok(reader.spec) } else { Err(bad(reader.flaws)) }
}

struct Reader<'a> {
    path: &'a str,
    spec: AppSpec,
    flaws: Vec<Flaw>,
}

impl Reader<'_> {
    fn document(&mut self, root: &Node) {
        const KEYS: [&str; 6] = ["version", "os", "files", "file_exists_behavior", "permissions", "hooks"];
        let Some(map) = self.map(root, "the appspec", &KEYS) else { return };
        let version = self.required(&map, root, "version", "write `version: 0.0`");
        if let Some((place, version)) = version
            && version != "0.0"
        {
            self.flaw(place, format!("`version` is `{version}`; only `0.0` exists"));
        }
        let os = self.required(&map, root, "os", "write `os: linux`");
        match os {
            Some((place, os)) if os == "windows" => {
                let message = "`os: windows` cannot be deployed on this machine; use `os: linux`".to_owned();
                self.flaw(place, message);
            }
            Some((place, os)) if os != "linux" => {
                self.flaw(place, format!("`os` is `{os}`; expected `linux` or `windows`"));
            }
            Some(_) | None => {}
        }
        if let Some((place, word)) = self.text(&map, "file_exists_behavior") {
            self.spec.file_exists = FileExists::parse(&word);
            if self.spec.file_exists.is_none() {
                let message =
                    format!("`file_exists_behavior` is `{word}`; expected DISALLOW, OVERWRITE or RETAIN");
                self.flaw(place, message);
            }
        }
        for node in self.list(&map, "files") {
            self.file(node);
        }
        for node in self.list(&map, "permissions") {
            self.permission(node);
        }
        if let Some(hooks) = map.get("hooks") {
            self.hooks(hooks);
        }
    }

    fn file(&mut self, node: &Node) {
        let Some(map) = self.map(node, "an entry of `files`", &["source", "destination"]) else { return };
        let hint = "each entry of `files` needs `source` and `destination`";
        let source = self.required(&map, node, "source", hint);
        let destination = self.required(&map, node, "destination", hint);
        let (Some((source_place, source)), Some((place, destination))) = (source, destination) else {
            return;
        };
        let source = match bundle_path(&source) {
            Ok(source) => source,
            Err(reason) => return self.flaw(source_place, format!("`source` `{source}` {reason}")),
        };
        if let Err(reason) = check_absolute(&destination) {
            return self.flaw(place, format!("`destination` `{destination}` {reason}"));
        }
        self.spec.files.push(FileEntry { source, destination });
    }

    fn permission(&mut self, node: &Node) {
        const KEYS: [&str; 9] =
            ["object", "pattern", "except", "owner", "group", "mode", "acls", "context", "type"];
        let Some(map) = self.map(node, "an entry of `permissions`", &KEYS) else { return };
        let hint = "each entry of `permissions` needs `object`, the path of a copied file or folder";
        let Some((object_place, object)) = self.required(&map, node, "object", hint) else { return };
        if let Err(reason) = check_absolute(&object) {
            return self.flaw(object_place, format!("`object` `{object}` {reason}"));
        }
        let types = self.texts(&map, "type");
        for (place, word) in &types {
            if word != "file" && word != "directory" {
                self.flaw(*place, format!("`type` is `{word}`; expected `file` or `directory`"));
            }
        }
        let has = |word: &str| types.is_empty() || types.iter().any(|(_, is)| is == word);
        let permission = Permission {
            object,
            pattern: self.text(&map, "pattern").map_or_else(|| "**".to_owned(), |(_, pattern)| pattern),
            except: self.texts(&map, "except").into_iter().map(|(_, name)| name).collect(),
            owner: self.text(&map, "owner").map(|(_, name)| name),
            group: self.text(&map, "group").map(|(_, name)| name),
            mode: self.mode(&map),
            acls: self.texts(&map, "acls").into_iter().map(|(_, acl)| acl).collect(),
            context: map.get("context").is_some_and(|node| node.content != Content::Null),
            to_files: has("file"),
            to_directories: has("directory"),
            line: node.place.line,
        };
        self.spec.permissions.push(permission);
    }

    fn mode(&mut self, map: &BTreeMap<&str, &Node>) -> Option<u32> {
        let (place, text) = self.text(map, "mode")?;
        let octal = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        if !octal {
            let message =
                format!("`mode` is `{text}`; expected 1 to 4 octal digits such as `644` or `\"0755\"`");
            self.flaw(place, message);
            return None;
        }
        let unquoted =
            matches!(map.get("mode").map(|node| &node.content), Some(Content::Scalar { quoted: false, .. }));
        if unquoted && text.len() > 1 && text.starts_with('0') {
            let message =
                format!("`mode: {text}` without quotes is read as octal {text}; write `\"{text}\"`");
            self.warn(place, &message);
        }
        u32::from_str_radix(&text, 8).ok()
    }

    fn hooks(&mut self, node: &Node) {
        let entries = match &node.content {
            Content::Null => return,
            Content::Map(entries) => entries,
            Content::Scalar { .. } | Content::List(_) => {
                let message = format!("`hooks` is {}; expected a map of event to scripts", kind(node));
                return self.flaw(node.place, message);
            }
        };
        let mut unknown: Vec<&Key> = Vec::new();
        for (key, scripts) in entries {
            match Event::hook(&key.name) {
                Some(event) => self.scripts(event, key, scripts),
                None if RESERVED.contains(&key.name.as_str()) => {
                    let message = format!("`{}` is CodeDeploy's own event and takes no scripts", key.name);
                    self.flaw(key.place, message);
                }
                None => unknown.push(key),
            }
        }
        if let Some(first) = unknown.first() {
            let names: Vec<_> = unknown.iter().map(|key| format!("`{}`", key.name)).collect();
            let known: Vec<_> = Event::scriptable().map(Event::name).collect();
            let message =
                format!("unknown hook events: {}; known are {}", names.join(", "), known.join(", "));
            self.flaw(first.place, message);
        }
    }

    fn scripts(&mut self, event: Event, key: &Key, node: &Node) {
        let items = match &node.content {
            Content::Null => return,
            Content::List(items) => items,
            Content::Scalar { .. } | Content::Map(_) => {
                let message =
                    format!("`{event}` is {}; expected a list of `- location: <script>`", kind(node));
                return self.flaw(node.place, message);
            }
        };
        let scripts: Vec<Script> = items.iter().filter_map(|item| self.script(event, item)).collect();
        let seconds: u64 = scripts.iter().filter_map(|script| script.timeout).sum();
        if seconds > EVENT_SECONDS_MAX {
            let message = format!(
                "the scripts of `{event}` may take {seconds} seconds together; at most {EVENT_SECONDS_MAX} \
                 are allowed: lower their `timeout`"
            );
            self.flaw(key.place, message);
        }
        self.spec.hooks.insert(event, scripts);
    }

    fn script(&mut self, event: Event, node: &Node) -> Option<Script> {
        let what = format!("a script of `{event}`");
        let map = self.map(node, &what, &["location", "timeout", "runas", "sudo"])?;
        let hint = format!("each script of `{event}` needs `location`, its path in the bundle");
        let (place, location) = self.required(&map, node, "location", &hint)?;
        let location = match bundle_path(&location) {
            Ok(path) if !path.is_empty() => path,
            Ok(_) => {
                self.flaw(place, format!("`location` `{location}` is the bundle itself, not a script"));
                return None;
            }
            Err(reason) => {
                self.flaw(place, format!("`location` `{location}` {reason}"));
                return None;
            }
        };
        let timeout = self.text(&map, "timeout").and_then(|(place, text)| match text.parse::<u64>() {
            Ok(seconds) if (1..=EVENT_SECONDS_MAX).contains(&seconds) => Some(seconds),
            Ok(_) | Err(_) => {
                let message = format!(
                    "`timeout` of `{location}` is `{text}`; expected seconds, 1 to {EVENT_SECONDS_MAX}"
                );
                self.flaw(place, message);
                None
            }
        });
        if let Some(sudo) = map.get("sudo") {
            self.warn(sudo.place, "`sudo` is ignored; use `runas`");
        }
        Some(Script { location, timeout, runas: self.text(&map, "runas").map(|(_, user)| user) })
    }

    /// The entries of a map by name. Unknown keys are told, not refused: the service ignores them too.
    fn map<'n>(&mut self, node: &'n Node, what: &str, keys: &[&str]) -> Option<BTreeMap<&'n str, &'n Node>> {
        let Content::Map(entries) = &node.content else {
            let message = format!("{what} is {}; expected a map with {}", kind(node), keys.join(", "));
            self.flaw(node.place, message);
            return None;
        };
        for (key, _) in entries {
            if !keys.contains(&key.name.as_str()) {
                let message = format!(
                    "`{}` is not a key of {what} and is ignored; known are {}",
                    key.name,
                    keys.join(", ")
                );
                self.warn(key.place, &message);
            }
        }
        Some(entries.iter().map(|(key, value)| (key.name.as_str(), value)).collect())
    }

    fn list<'n>(&mut self, map: &BTreeMap<&'n str, &'n Node>, key: &str) -> &'n [Node] {
        match map.get(key).map(|node| (node, &node.content)) {
            None | Some((_, Content::Null)) => &[],
            Some((_, Content::List(items))) => items,
            Some((node, Content::Scalar { .. } | Content::Map(_))) => {
                let message =
                    format!("`{key}` is {}; expected a list (lines that start with `-`)", kind(node));
                self.flaw(node.place, message);
                &[]
            }
        }
    }

    fn required(
        &mut self,
        map: &BTreeMap<&str, &Node>,
        parent: &Node,
        key: &str,
        hint: &str,
    ) -> Option<(Place, String)> {
        let missing = map.get(key).is_none_or(|node| {
            node.content == Content::Null
                || matches!(&node.content, Content::Scalar { text, .. } if text.is_empty())
        });
        if missing {
            let place = map.get(key).map_or(parent.place, |node| node.place);
            self.flaw(place, format!("`{key}` is missing: {hint}"));
            return None;
        }
        self.text(map, key)
    }

    fn text(&mut self, map: &BTreeMap<&str, &Node>, key: &str) -> Option<(Place, String)> {
        let node = map.get(key)?;
        match &node.content {
            Content::Null => None,
            Content::Scalar { text, .. } => Some((node.place, text.clone())),
            Content::List(_) | Content::Map(_) => {
                self.flaw(node.place, format!("`{key}` is {}; expected one value", kind(node)));
                None
            }
        }
    }

    fn texts(&mut self, map: &BTreeMap<&str, &Node>, key: &str) -> Vec<(Place, String)> {
        let items = match map.get(key) {
            Some(Node { content: Content::List(items), .. }) => items.as_slice(),
            Some(_) => return self.text(map, key).into_iter().collect(),
            None => return Vec::new(),
        };
        let mut texts = Vec::new();
        for item in items {
            match &item.content {
                Content::Scalar { text, .. } => texts.push((item.place, text.clone())),
                Content::Null | Content::List(_) | Content::Map(_) => {
                    self.flaw(item.place, format!("an entry of `{key}` is {}; expected text", kind(item)));
                }
            }
        }
        texts
    }

    fn flaw(&mut self, place: Place, message: String) {
        self.flaws.push(Flaw { place, message });
    }

    fn warn(&mut self, place: Place, message: &str) {
        self.spec.warnings.push(format!("{}:{}:{}: {message}", self.path, place.line, place.column));
    }
}

/// What stands here: the value itself where it is one, so that a person finds it.
fn kind(node: &Node) -> String {
    match &node.content {
        Content::Null => "nothing".to_owned(),
        Content::Scalar { text, .. } => {
            format!("`{}`", text.chars().take(SHOWN_CHARS_MAX).collect::<String>())
        }
        Content::List(_) => "a list".to_owned(),
        Content::Map(_) => "a map of keys and values".to_owned(),
    }
}

/// A path in the bundle: forward slashes, no leading or trailing slash, no `.`; empty for the bundle itself.
fn bundle_path(text: &str) -> Result<String, &'static str> {
    let text = if text == "\\" { "/" } else { text };
    if text.contains(['\0', '\n']) {
        return Err("contains a line break or a null character");
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err("must stay inside the bundle: remove `..`");
    }
    Ok(parts.join("/"))
}

fn check_absolute(text: &str) -> Result<(), &'static str> {
    if !text.starts_with('/') {
        return Err("must be an absolute path: start it with `/`");
    }
    if text.contains(['\0', '\n']) {
        return Err("contains a line break or a null character");
    }
    if text.split('/').any(|part| part == "..") {
        return Err("must not lead out of the host: remove `..`");
    }
    Ok(())
}

#[cfg(test)]
#[path = "appspec_tests.rs"]
mod tests;
