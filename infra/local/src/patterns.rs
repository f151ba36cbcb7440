//! File patterns as buildspecs and compute actions write them: `*` and `?` within one name, `**` for any
//! depth, `[…]` for a choice of characters. Names that start with a dot are ordinary names. A pattern that
//! names a folder means everything in it. Braces have no meaning.
//!
//! Searching never leaves the tree it is given: a link is followed only when it leads to a place inside.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

/// A text that is not a pattern, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a file pattern: {reason}")]
pub struct BadPattern {
    /// The pattern as written.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Why a search ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// More files than allowed.
    #[error("the patterns match more than {files_max} files (`limits.artifact-files` in towpath.toml)")]
    TooMany {
        /// The limit.
        files_max: u64,
    },
    /// The file system's own error.
    #[error("`{path}`: {source}")]
    Io {
        /// The file or folder at fault.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A set of patterns; a path matches when one of them does.
#[derive(Debug, Clone)]
pub struct Patterns {
    matcher: Matcher,
    /// Folders or files, relative, below which all matches lie.
    roots: BTreeSet<String>,
}

#[derive(Debug, Clone)]
enum Matcher {
    Everything,
    /// No wildcard anywhere: these files, and all below these folders.
    Names(Vec<String>),
    Globs(GlobSet),
}

impl Patterns {
    /// Reads patterns, relative to a folder yet to be named. A leading `./` is ignored.
    pub fn new(patterns: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, BadPattern> {
        let patterns: Vec<String> =
            patterns.into_iter().map(|pattern| normal(pattern.as_ref())).collect::<Result<_, _>>()?;
        if patterns.iter().any(|pattern| pattern == "**") {
            return Ok(Self { matcher: Matcher::Everything, roots: BTreeSet::from([String::new()]) });
        }
        let roots = patterns.iter().map(|pattern| literal_head(pattern)).collect();
        if !patterns.iter().any(|pattern| has_wildcard(pattern)) {
            return Ok(Self { matcher: Matcher::Names(patterns), roots });
        }
        let mut globs = GlobSetBuilder::new();
        for pattern in &patterns {
            globs.add(glob(pattern, pattern)?);
            if !has_wildcard(pattern.rsplit('/').next().unwrap_or(pattern)) {
                globs.add(glob(&format!("{pattern}/**"), pattern)?);
            }
        }
        let set = globs.build().map_err(|error| bad(&patterns.join(", "), error.kind().to_string()))?;
        Ok(Self { matcher: Matcher::Globs(set), roots })
    }

    /// Whether a path, relative and with forward slashes, matches.
    pub fn matches(&self, path: &str) -> bool {
        match &self.matcher {
            Matcher::Everything => true,
            Matcher::Names(names) => names.iter().any(|name| is_at_or_below(path, name)),
            Matcher::Globs(globs) => globs.is_match(path),
        }
    }
}

/// What to look for, and where.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// The folder patterns are relative to.
    pub base: &'a Path,
    /// The folder no file may come from outside of; holds `base`.
    pub tree: &'a Path,
    /// Files to find.
    pub files: &'a Patterns,
    /// Files to leave out.
    pub except: Option<&'a Patterns>,
    /// Report links as links when they lead to a place inside `base`, instead of what they lead to.
    pub keep_links: bool,
    /// More files than this are an error.
    pub files_max: u64,
}

/// A file that matched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Relative to the base, with forward slashes.
    pub name: String,
    /// Where its content lies; for a kept link, the link.
    pub path: PathBuf,
    /// A link to be kept as one.
    pub is_link: bool,
}

/// The answer to a search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// By name, each once.
    pub files: Vec<Found>,
    /// What was left out and why, for people.
    pub warnings: Vec<String>,
}

impl Search<'_> {
    /// Looks for files. Pipes, sockets and devices are left out with a warning.
    pub fn run(&self) -> Result<Findings, SearchError> {
        let tree = real(self.tree)?;
        let base = real(self.base)?;
        let mut walk = Walk { search: self, tree, base, files: BTreeMap::new(), warnings: Vec::new() };
        let mut covered: Option<&str> = None;
        for root in &self.files.roots {
            // Roots come sorted, so one that lies below another comes after it, though not always next to it;
            // walking a folder twice would be waste, not a mistake.
            if covered.is_some_and(|above| is_at_or_below(root, above)) {
                continue;
            }
            covered = Some(root);
            walk.enter(root)?;
        }
        Ok(Findings { files: walk.files.into_values().collect(), warnings: walk.warnings })
    }
}

/// Folders below `root` that a path with wildcards names, sorted. No `**`; nothing outside `root`.
pub fn folders(root: &Path, pattern: &str) -> Result<Vec<PathBuf>, BadPattern> {
    let normal = normal(pattern)?;
    let mut found = vec![root.to_owned()];
    if normal == "**" {
        return Ok(found);
    }
    for part in normal.split('/') {
        if !has_wildcard(part) {
            found = found.into_iter().map(|folder| folder.join(part)).filter(|path| path.is_dir()).collect();
            continue;
        }
        let matcher = glob(part, pattern)?.compile_matcher();
        let entries = found.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        let mut next: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.file_name().is_some_and(|name| matcher.is_match(name)) && path.is_dir())
            .collect();
        next.sort();
        found = next;
    }
    Ok(found)
}

/// Whether a text has a character with a meaning in patterns.
pub fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

struct Walk<'a> {
    search: &'a Search<'a>,
    tree: PathBuf,
    base: PathBuf,
    files: BTreeMap<String, Found>,
    warnings: Vec<String>,
}

/// A folder to visit: its name from the base, where it really is, and the real folders whose links led here.
struct Visit {
    name: String,
    real: PathBuf,
    trail: Vec<PathBuf>,
}

impl Walk<'_> {
    fn enter(&mut self, root: &str) -> Result<(), SearchError> {
        let path = if root.is_empty() { self.base.clone() } else { self.base.join(root) };
        let Ok(about) = fs::symlink_metadata(&path) else { return Ok(()) };
        let Some((folder, _)) = root.rsplit_once('/').or((!root.is_empty()).then_some(("", root))) else {
            return self.walk(Visit { name: String::new(), real: self.base.clone(), trail: Vec::new() });
        };
        let folder = real(&if folder.is_empty() { self.base.clone() } else { self.base.join(folder) })?;
        if !folder.starts_with(&self.tree) {
            self.warnings.push(format!("`{root}` leads out of the source folder and is left out"));
            return Ok(());
        }
        let above = Visit { name: String::new(), real: folder, trail: Vec::new() };
        match self.look(&above, root.to_owned(), path, about.file_type())? {
            Some(visit) => self.walk(visit),
            None => Ok(()),
        }
    }

    fn walk(&mut self, from: Visit) -> Result<(), SearchError> {
        let mut pending = vec![from];
        while let Some(visit) = pending.pop() {
            let entries = fs::read_dir(&visit.real).map_err(|source| io_error(&visit.real, source))?;
            for entry in entries {
                let entry = entry.map_err(|source| io_error(&visit.real, source))?;
                let Ok(name) = entry.file_name().into_string() else {
                    self.warnings.push(format!("{:?} is left out: its name is not UTF-8", entry.path()));
                    continue;
                };
                let name = if visit.name.is_empty() { name } else { format!("{}/{name}", visit.name) };
                let kind = entry.file_type().map_err(|source| io_error(&entry.path(), source))?;
                pending.extend(self.look(&visit, name, entry.path(), kind)?);
            }
        }
        Ok(())
    }

    /// Takes a file, or returns the folder to go on with.
    fn look(
        &mut self,
        above: &Visit,
        name: String,
        path: PathBuf,
        kind: fs::FileType,
    ) -> Result<Option<Visit>, SearchError> {
        if kind.is_dir() {
            return Ok(Some(Visit { name, real: path, trail: above.trail.clone() }));
        }
        if kind.is_file() {
            return self.take(Found { name, path, is_link: false }).map(|()| None);
        }
        if !kind.is_symlink() {
            return Ok(self.leave_out(&name, "is neither a file nor a folder"));
        }
        let Ok(target) = fs::canonicalize(&path) else {
            return Ok(self.leave_out(&name, "is a link that leads nowhere"));
        };
        let limit = if self.search.keep_links { &self.base } else { &self.tree };
        if !target.starts_with(limit) {
            return Ok(self.leave_out(&name, "is a link that leads out of the source folder"));
        }
        if self.search.keep_links {
            return self.take(Found { name, path, is_link: true }).map(|()| None);
        }
        if target.is_file() {
            return self.take(Found { name, path: target, is_link: false }).map(|()| None);
        }
        if !target.is_dir() {
            return Ok(self.leave_out(&name, "is neither a file nor a folder"));
        }
        let mut trail = above.trail.clone();
        trail.push(above.real.clone());
        if trail.iter().any(|been| been.starts_with(&target)) {
            return Ok(self.leave_out(&name, "is a link to a folder it lies in"));
        }
        Ok(Some(Visit { name, real: target, trail }))
    }

    fn take(&mut self, found: Found) -> Result<(), SearchError> {
        let wanted = self.search.files.matches(&found.name)
            && !self.search.except.is_some_and(|except| except.matches(&found.name));
        if wanted {
            self.files.insert(found.name.clone(), found);
            if self.files.len() as u64 > self.search.files_max {
                return Err(SearchError::TooMany { files_max: self.search.files_max });
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, name: &str, why: &str) -> Option<Visit> {
        if self.search.files.matches(name) {
            self.warnings.push(format!("`{name}` {why}: left out"));
        }
        None
    }
}

/// One spelling per meaning: no `./`, no empty parts, `**` for everything.
fn normal(pattern: &str) -> Result<String, BadPattern> {
    if pattern.starts_with('/') {
        return Err(bad(pattern, "it must be relative to the base directory"));
    }
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(bad(pattern, "`..` would lead out of the base directory"));
    }
    let name = parts.join("/");
    match name.as_str() {
        "" if pattern.is_empty() => Err(bad(pattern, "it is empty")),
        "" | "**" | "**/*" => Ok("**".to_owned()),
        _ => Ok(name),
    }
}

fn literal_head(pattern: &str) -> String {
    let parts: Vec<&str> = pattern.split('/').take_while(|part| !has_wildcard(part)).collect();
    parts.join("/")
}

fn is_at_or_below(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn glob(pattern: &str, written: &str) -> Result<globset::Glob, BadPattern> {
    // Braces are ordinary characters here and a choice of words to the library.
    let mut text = String::with_capacity(pattern.len());
    let mut in_class = false;
    for character in pattern.chars() {
        match character {
            '{' | '}' if !in_class => text.extend(['[', character, ']']),
            _ => text.push(character),
        }
        in_class = (in_class || character == '[') && character != ']';
    }
    GlobBuilder::new(&text)
        .literal_separator(true)
        .build()
        .map_err(|error| bad(written, error.kind().to_string()))
}

fn bad(pattern: &str, reason: impl Into<String>) -> BadPattern {
    BadPattern { pattern: pattern.chars().take(200).collect(), reason: reason.into() }
}

fn real(path: &Path) -> Result<PathBuf, SearchError> {
    fs::canonicalize(path).map_err(|source| io_error(path, source))
}

fn io_error(path: &Path, source: io::Error) -> SearchError {
    SearchError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
