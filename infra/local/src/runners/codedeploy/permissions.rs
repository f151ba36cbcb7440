//! Which of the copied files a `permissions` entry means, and how it is carried out.
//!
//! The rules are the agent's own (`spec/buildspec-and-appspec.md`, B3), which differ from the documentation in
//! two places: `type: file` reaches files at any depth under the pattern `**`, and any other pattern reaches
//! direct children only.

use super::{
    appspec::Permission,
    install::{Plan, PlanError},
    root::HostRoot,
};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// One change of rights, of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// The path on this machine.
    pub(super) path: PathBuf,
    pub(super) mode: Option<u32>,
    pub(super) owner: Option<String>,
    pub(super) group: Option<String>,
}

/// What a file's entries come to, and what a person should know about them.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) changes: Vec<Change>,
    pub(super) warnings: Vec<String>,
}

/// Matches the entries against what the plan copies and makes.
pub(super) fn changes(entries: &[Permission], plan: &Plan, root: &HostRoot) -> Result<Changes, PlanError> {
    let mut found: BTreeMap<PathBuf, (Change, &str)> = BTreeMap::new();
    let mut warnings = Vec::new();
    for entry in entries {
        if !entry.acls.is_empty() {
            return Err(unsupported(entry, "acls", "access control lists"));
        }
        if entry.context {
            return Err(unsupported(entry, "context", "SELinux labels"));
        }
        let object = root.resolve(&entry.object)?;
        let matched = if plan.copies(&object) {
            single_file(entry)?;
            vec![object.clone()]
        } else {
            let matched: Vec<PathBuf> = plan
                .files()
                .filter(|path| entry.to_files && matches(entry, &object, path))
                .chain(plan.folders().filter(|path| entry.to_directories && matches(entry, &object, path)))
                .map(Path::to_owned)
                .collect();
            warnings.extend(differs(entry, &object, &matched, plan));
            matched
        };
        if matched.is_empty() {
            warnings.push(format!(
                "permissions: `object: {}` matches nothing this deployment copied",
                entry.object
            ));
        }
        for path in matched {
            let change = Change {
                path: path.clone(),
                mode: entry.mode,
                owner: entry.owner.clone(),
                group: entry.group.clone(),
            };
            if let Some((_, first)) = found.insert(path.clone(), (change, &entry.object)) {
                return Err(PlanError::PermissionTwice {
                    path: root.shown(&path),
                    first: first.to_owned(),
                    second: entry.object.clone(),
                });
            }
        }
    }
    Ok(Changes { changes: found.into_values().map(|(change, _)| change).collect(), warnings })
}

fn unsupported(entry: &Permission, key: &'static str, what: &'static str) -> PlanError {
    PlanError::Unsupported { object: entry.object.clone(), key, what, line: entry.line }
}

/// An `object` that is itself a copied file leaves no room for choosing among several.
fn single_file(entry: &Permission) -> Result<(), PlanError> {
    let wrong = if entry.pattern != "**" {
        Some("`pattern` must be `**` or left out")
    } else if !entry.except.is_empty() {
        Some("`except` must be left out")
    } else if !entry.to_files {
        Some("`type` must contain `file`")
    } else {
        None
    };
    match wrong {
        Some(reason) => Err(PlanError::SingleFile { object: entry.object.clone(), reason }),
        None => Ok(()),
    }
}

/// Whether a copied file or made folder below the entry's object is meant by its pattern.
pub(super) fn matches(entry: &Permission, object: &Path, path: &Path) -> bool {
    let Ok(below) = path.strip_prefix(object) else { return false };
    let below = below.to_string_lossy();
    if below.is_empty() {
        return false;
    }
    let child = |pattern: &str| !below.contains('/') && wildcard(pattern, &below);
    (entry.pattern == "**" || child(&entry.pattern)) && !entry.except.iter().any(|name| child(name))
}

/// `*` stands for any number of characters; nothing else is special.
fn wildcard(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The documentation would leave out files below sub-folders when `type` is `file` alone.
fn differs(entry: &Permission, object: &Path, matched: &[PathBuf], plan: &Plan) -> Option<String> {
    if entry.to_directories || entry.pattern != "**" {
        return None;
    }
    let deep = matched.iter().filter(|path| plan.copies(path) && path.parent() != Some(object)).count();
    (deep > 0).then(|| {
        format!(
            "permissions: `object: {}` with `type: file` also changes {deep} files in sub-folders, as the \
             CodeDeploy agent does; its documentation speaks of direct children only",
            entry.object
        )
    })
}

/// Carries one change out. With `lenient`, an owner that cannot be set is told instead of failing.
pub(super) fn apply(change: &Change, lenient: bool) -> Result<Option<String>, ApplyError> {
    let warning = match own(change) {
        Ok(()) => None,
        Err(error) if lenient => Some(format!("{error}; ignored (`ignore-ownership`)")),
        Err(error) => return Err(error),
    };
    // After the owner: changing it clears the set-user-id bit.
    if let Some(mode) = change.mode
        && !fs::symlink_metadata(&change.path).is_ok_and(|meta| meta.is_symlink())
    {
        fs::set_permissions(&change.path, fs::Permissions::from_mode(mode))
            .map_err(|source| ApplyError::Io { path: change.path.clone(), source })?;
    }
    Ok(warning)
}

/// Why rights could not be changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    #[error(
        "{kind} `{name}` does not exist on this machine: set `ignore-ownership = true` for the deployment group to go on without"
    )]
    Unknown { kind: &'static str, name: String },
    #[error(
        "`{path}` cannot be given to {to}: only root may do that; run as root or set `ignore-ownership = true` for the deployment group"
    )]
    NotRoot { path: PathBuf, to: String },
    #[error("`{path}`: {source}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

fn own(change: &Change) -> Result<(), ApplyError> {
    if change.owner.is_none() && change.group.is_none() {
        return Ok(());
    }
    let uid = change.owner.as_deref().map(|name| account("/etc/passwd", "user", name)).transpose()?;
    let gid = change.group.as_deref().map(|name| account("/etc/group", "group", name)).transpose()?;
    match std::os::unix::fs::lchown(&change.path, uid, gid) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let to = [&change.owner, &change.group].into_iter().flatten().map(|name| format!("`{name}`"));
            Err(ApplyError::NotRoot { path: change.path.clone(), to: to.collect::<Vec<_>>().join(":") })
        }
        Err(source) => Err(ApplyError::Io { path: change.path.clone(), source }),
    }
}

/// The number of an account: a number as it is, or the third field of its line.
pub(super) fn account(file: &str, kind: &'static str, name: &str) -> Result<u32, ApplyError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let lines = fs::read_to_string(file).unwrap_or_default();
    let number = lines.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    number.ok_or_else(|| ApplyError::Unknown { kind, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_nothing_else_is_special() {
        for (pattern, name, expected) in [
            ("*", "a.txt", true),
            ("*.txt", "a.txt", true),
            ("*.txt", "a.txtx", false),
            ("a*c", "abc", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a?c", "abc", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(wildcard(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn only_the_double_star_reaches_below_direct_children_and_the_object_itself_never_matches() {
        let entry = |pattern: &str, except: &[&str]| Permission {
            pattern: pattern.to_owned(),
            except: except.iter().map(|&name| name.to_owned()).collect(),
            ..Permission::default()
        };
        let object = Path::new("/h/app");
        let hit = |entry: &Permission, path: &str| matches(entry, object, Path::new(path));
        assert!(hit(&entry("**", &[]), "/h/app/a/b.txt"));
        assert!(!hit(&entry("**", &[]), "/h/app"));
        assert!(!hit(&entry("**", &[]), "/h/apple/x"));
        assert!(hit(&entry("*.txt", &[]), "/h/app/b.txt"));
        assert!(!hit(&entry("*.txt", &[]), "/h/app/a/b.txt"));
        assert!(!hit(&entry("**", &["b.txt"]), "/h/app/b.txt"));
        assert!(hit(&entry("**", &["b.txt"]), "/h/app/a/b.txt"), "except names direct children only");
    }
}
