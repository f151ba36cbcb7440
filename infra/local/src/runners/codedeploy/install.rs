//! The Install event: take away what the last deployment installed, plan every copy, then carry the plan out.
//!
//! The plan is made in full before the first file is written, so that a missing source or a file in the way
//! fails a deployment before it has changed anything but the old files.

use super::{
    appspec::{AppSpec, FileExists},
    cleanup::Cleanup,
    permissions::{self, ApplyError, Change},
    root::{BadPath, HostRoot},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};
use walkdir::WalkDir;

/// Instructions one bundle may come to at most.
const INSTRUCTIONS_MAX: usize = 1_000_000;

/// What Install needs to know of its host.
pub(super) struct Target<'a> {
    pub(super) root: &'a HostRoot,
    /// The unpacked bundle.
    pub(super) archive: &'a Path,
    /// The list of what the last deployment made, and the place for the new one.
    pub(super) cleanup: &'a Path,
    /// Where the plan is written down.
    pub(super) instructions: &'a Path,
    pub(super) file_exists: FileExists,
    pub(super) ignore_ownership: bool,
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Installed {
    pub(super) removed: usize,
    pub(super) files: usize,
    pub(super) folders: usize,
    /// Files left alone because of RETAIN.
    pub(super) retained: usize,
    pub(super) warnings: Vec<String>,
}

/// What will be copied and made.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Folders to make, parents first by their order as paths.
    folders: BTreeMap<PathBuf, ()>,
    /// Destination to source.
    copies: BTreeMap<PathBuf, PathBuf>,
    retained: usize,
}

/// Why nothing can be installed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    #[error("`source: {source_path}` is not in the bundle: check the path, and that the build puts it there")]
    SourceMissing { source_path: String },
    #[error("`{path}` would be written twice: from `{first}` and from `{second}`")]
    Twice { path: String, first: String, second: String },
    #[error("`{path}` would have to be both a file and a folder (from `{source_path}`)")]
    FileAndFolder { path: String, source_path: String },
    #[error(
        "The deployment failed because a specified file already exists at this location: {path} (set `file_exists_behavior` to OVERWRITE or RETAIN, or remove it)"
    )]
    Exists { path: String },
    #[error("`{link}` in the bundle is a link that would lead out of the host: {target}")]
    LinkEscapes { link: String, target: String },
    #[error("`{path}` in the bundle is neither a file, a folder nor a link")]
    Special { path: String },
    #[error("the permissions of `{path}` are set twice: by `object: {first}` and `object: {second}`")]
    PermissionTwice { path: String, first: String, second: String },
    #[error("permissions: `object: {object}` is a single file: {reason}")]
    SingleFile { object: String, reason: &'static str },
    #[error(
        "permissions (line {line}): `{key}` of `object: {object}` asks for {what}, which are not supported on this machine: remove `{key}`"
    )]
    Unsupported { object: String, key: &'static str, what: &'static str, line: usize },
    #[error("the bundle comes to more than {INSTRUCTIONS_MAX} files and folders")]
    TooMany,
    #[error(transparent)]
    Path(#[from] BadPath),
    #[error(transparent)]
    Rights(#[from] ApplyError),
    #[error("`{path}`: {source}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> PlanError + '_ {
    move |source| PlanError::Io { path: path.to_owned(), source }
}

/// Carries out the whole event.
pub(super) fn install(spec: &AppSpec, target: &Target<'_>) -> Result<Installed, PlanError> {
    let (removed, mut warnings) =
        Cleanup::undo(target.cleanup, target.root).map_err(io_error(target.cleanup))?;
    let plan = Plan::make(spec, target)?;
    let rights = permissions::changes(&spec.permissions, &plan, target.root)?;
    warnings.extend(rights.warnings);
    write_instructions(&plan, &rights.changes, target)?;
    execute(&plan, target)?;
    for change in &rights.changes {
        warnings.extend(permissions::apply(change, target.ignore_ownership)?);
    }
    Ok(Installed {
        removed,
        files: plan.copies.len(),
        folders: plan.folders.len(),
        retained: plan.retained,
        warnings,
    })
}

impl Plan {
    /// Works out what the `files` section comes to on this host.
    pub(super) fn make(spec: &AppSpec, target: &Target<'_>) -> Result<Self, PlanError> {
        let mut plan = Self::default();
        let root = fs::canonicalize(target.archive).map_err(io_error(target.archive))?;
        for entry in &spec.files {
            let source = root.join(&entry.source);
            let destination = target.root.resolve(&entry.destination)?;
            let missing = || PlanError::SourceMissing { source_path: entry.source.clone() };
            let meta = fs::symlink_metadata(&source).map_err(|_| missing())?;
            if meta.is_dir() {
                plan.folder(&destination, &entry.source, target)?;
                plan.contents(&source, &destination, &root, target)?;
            } else {
                let name = source.file_name().ok_or_else(missing)?;
                plan.folder(&destination, &entry.source, target)?;
                plan.copy(&source, &destination.join(name), &root, target)?;
            }
        }
        Ok(plan)
    }

    /// Whether a path is one of the files to copy.
    pub(super) fn copies(&self, path: &Path) -> bool {
        self.copies.contains_key(path)
    }

    /// The destinations of all copies.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.copies.keys().map(PathBuf::as_path)
    }

    /// The folders to make.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.keys().map(PathBuf::as_path)
    }

    fn contents(
        &mut self,
        source: &Path,
        destination: &Path,
        archive: &Path,
        target: &Target<'_>,
    ) -> Result<(), PlanError> {
        for found in WalkDir::new(source).min_depth(1).sort_by_file_name() {
            let found =
                found.map_err(|error| PlanError::Io { path: source.to_owned(), source: error.into() })?;
            let below = found.path().strip_prefix(source).unwrap_or(found.path());
            let to = destination.join(below);
            if found.file_type().is_dir() {
                self.folder(&to, &shown(found.path(), archive), target)?;
            } else {
                self.copy(found.path(), &to, archive, target)?;
            }
            if self.copies.len() + self.folders.len() > INSTRUCTIONS_MAX {
                return Err(PlanError::TooMany);
            }
        }
        Ok(())
    }

    /// A folder that must exist, and every missing one above it.
    fn folder(&mut self, path: &Path, source: &str, target: &Target<'_>) -> Result<(), PlanError> {
        let clash = |path: &Path| PlanError::FileAndFolder {
            path: target.root.shown(path),
            source_path: source.to_owned(),
        };
        let mut at = Some(path);
        while let Some(folder) = at.filter(|folder| *folder != target.root.path()) {
            if self.folders.contains_key(folder) {
                break;
            }
            if self.copies.contains_key(folder) {
                return Err(clash(folder));
            }
            target.root.confine(folder)?;
            match fs::metadata(folder) {
                Ok(meta) if meta.is_dir() => {
                    // A link to a folder counts as one, but its own target must be inside as well.
                    break;
                }
                Ok(_) => return Err(clash(folder)),
                Err(_) if fs::symlink_metadata(folder).is_ok() => return Err(clash(folder)),
                Err(_) => {}
            }
            self.folders.insert(folder.to_owned(), ());
            at = folder.parent();
        }
        Ok(())
    }

    fn copy(
        &mut self,
        source: &Path,
        to: &Path,
        archive: &Path,
        target: &Target<'_>,
    ) -> Result<(), PlanError> {
        let from = shown(source, archive);
        let path = || target.root.shown(to);
        if to.to_string_lossy().contains('\n') {
            return Err(PlanError::Special { path: from });
        }
        if let Some(first) = self.copies.get(to) {
            return Err(PlanError::Twice { path: path(), first: shown(first, archive), second: from });
        }
        if self.folders.contains_key(to) {
            return Err(PlanError::FileAndFolder { path: path(), source_path: from });
        }
        target.root.confine(to)?;
        check_source(source, to, archive, target)?;
        if let Ok(meta) = fs::symlink_metadata(to) {
            if meta.is_dir() {
                return Err(PlanError::FileAndFolder { path: path(), source_path: from });
            }
            match target.file_exists {
                FileExists::Disallow => return Err(PlanError::Exists { path: path() }),
                FileExists::Overwrite => {}
                FileExists::Retain => {
                    self.retained += 1;
                    return Ok(());
                }
            }
        }
        self.copies.insert(to.to_owned(), source.to_owned());
        Ok(())
    }
}

/// A source is a file, or a link that stays inside both the bundle and the host.
fn check_source(source: &Path, to: &Path, archive: &Path, target: &Target<'_>) -> Result<(), PlanError> {
    let meta = fs::symlink_metadata(source).map_err(io_error(source))?;
    if meta.is_file() {
        return Ok(());
    }
    if !meta.is_symlink() {
        return Err(PlanError::Special { path: shown(source, archive) });
    }
    let link = fs::read_link(source).map_err(io_error(source))?;
    let inside = fs::canonicalize(source).is_ok_and(|real| real.starts_with(archive));
    if inside && target.root.link_stays(to, &link) {
        return Ok(());
    }
    Err(PlanError::LinkEscapes { link: shown(source, archive), target: link.display().to_string() })
}

fn execute(plan: &Plan, target: &Target<'_>) -> Result<(), PlanError> {
    let mut cleanup = Cleanup::begin(target.cleanup).map_err(io_error(target.cleanup))?;
    for folder in plan.folders.keys() {
        // Noted first: a crash in between leaves a line about nothing, never a folder without a line.
        cleanup.note(folder).map_err(io_error(target.cleanup))?;
        fs::create_dir(folder).map_err(io_error(folder))?;
    }
    for (to, source) in &plan.copies {
        target.root.confine(to)?;
        cleanup.note(to).map_err(io_error(target.cleanup))?;
        place(source, to).map_err(io_error(to))?;
    }
    Ok(())
}

/// Copies one file or link. What is in the way is taken away first, never written through: it may be a link,
/// or a program that runs.
fn place(source: &Path, to: &Path) -> io::Result<()> {
    match fs::remove_file(to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if fs::symlink_metadata(source)?.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(source)?, to)
    } else {
        fs::copy(source, to).map(|_| ())
    }
}

fn write_instructions(plan: &Plan, changes: &[Change], target: &Target<'_>) -> Result<(), PlanError> {
    let mut list = Vec::new();
    list.extend(plan.folders.keys().map(|folder| json!({ "type": "mkdir", "directory": folder })));
    for (to, source) in &plan.copies {
        list.push(json!({ "type": "copy", "source": source, "destination": to }));
    }
    for change in changes {
        if let Some(mode) = change.mode {
            list.push(json!({ "type": "chmod", "mode": format!("{mode:o}"), "file": change.path }));
        }
        if change.owner.is_some() || change.group.is_some() {
            list.push(json!({
                "type": "chown", "owner": change.owner, "group": change.group, "file": change.path
            }));
        }
    }
    let text = json!({ "instructions": list }).to_string();
    fs::write(target.instructions, text).map_err(io_error(target.instructions))
}

fn shown(path: &Path, archive: &Path) -> String {
    path.strip_prefix(archive).unwrap_or(path).display().to_string()
}

#[cfg(test)]
#[path = "install_tests.rs"]
mod tests;
