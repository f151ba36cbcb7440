//! Output artifacts: which files go into which, and into the store (`spec/buildspec-and-appspec.md`, A9).

use super::{
    Broken, Phase, Voice,
    buildspec::{ArtifactFiles, Artifacts},
    environment::{expand, identifier},
    workspace::Workspace,
};
use crate::{
    archive::{self, Caps, Entry},
    artifacts::ArtifactStore,
    patterns::{Patterns, Search, SearchError, folders, has_wildcard},
};
use engine::action::{FailureCode, OutputArtifact};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What packing needs to know.
pub(super) struct Packing<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) source: &'a Path,
    pub(super) variables: &'a BTreeMap<String, String>,
    pub(super) store: &'a ArtifactStore,
    pub(super) caps: Caps,
    pub(super) voice: &'a Voice,
}

/// Which files each output is to hold.
pub(super) fn assign(
    outputs: &[OutputArtifact],
    artifacts: Option<&Artifacts>,
) -> Result<Vec<ArtifactFiles>, Broken> {
    let refused = |message: String| {
        Broken::new(Phase::UploadArtifacts, "CLIENT_ERROR", FailureCode::ConfigurationError, message)
    };
    match (outputs, artifacts) {
        ([], _) => Ok(Vec::new()),
        (outputs, _) if outputs.iter().all(|output| !output.files.is_empty()) => Ok(outputs
            .iter()
            .map(|output| ArtifactFiles { files: output.files.clone(), ..Default::default() })
            .collect()),
        ([output, ..], None) => Err(refused(format!(
            "the action declares the output artifact `{}`, but the buildspec has no `artifacts` section",
            output.name
        ))),
        ([_], Some(artifacts)) => Ok(vec![artifacts.primary.clone()]),
        (outputs, Some(artifacts)) => outputs
            .iter()
            .map(|output| {
                let name = output.name.as_str();
                let found = artifacts.secondary.iter().find(|(id, _)| id == name || *id == identifier(name));
                found.map(|(_, files)| files.clone()).ok_or_else(|| {
                    refused(format!(
                        "the action declares several output artifacts, but `secondary-artifacts` of the \
                         buildspec has no `{name}`"
                    ))
                })
            })
            .collect(),
    }
}

impl Packing<'_> {
    /// Packs one output and puts it into the store.
    pub(super) fn upload(&self, output: &OutputArtifact, files: &ArtifactFiles) -> Result<(), Broken> {
        let entries = self.entries(files)?;
        let count = entries.len();
        self.check_size(&output.name.to_string(), &entries)?;
        let ours = |what: &str, error: &dyn std::fmt::Display| {
            let message = format!("the artifact `{}` cannot be {what}: {error}", output.name);
            Broken::new(Phase::UploadArtifacts, "CLIENT_ERROR", FailureCode::JobFailed, message)
        };
        let file = self.store.scratch().map_err(|error| ours("stored", &error))?;
        archive::pack(&entries, &file, self.caps).map_err(|error| ours("packed", &error))?;
        let stored = self.store.put(&output.location, &file);
        if stored.is_err() {
            // The scratch file is of no use to anyone; the error that matters is the other one.
            let _ = fs::remove_file(&file);
        }
        stored.map_err(|error| ours("stored", &error))?;
        self.voice.say(&format!("Uploaded artifact {}: {count} file(s)", output.name));
        Ok(())
    }

    /// The files of one artifact, by name.
    pub(super) fn entries(&self, files: &ArtifactFiles) -> Result<Vec<Entry>, Broken> {
        let bases = self.bases(files)?;
        let except = match files.exclude.as_slice() {
            [] => None,
            patterns => Some(
                Patterns::new(patterns.iter().map(|pattern| self.expand(pattern)))
                    .map_err(|error| broken(error.to_string()))?,
            ),
        };
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for base in &bases {
            let patterns = files.files.iter().map(|pattern| self.below(base, &self.expand(pattern)));
            let search = Search {
                base,
                tree: &self.workspace.root,
                files: &Patterns::new(patterns).map_err(|error| broken(error.to_string()))?,
                except: except.as_ref(),
                keep_links: files.enable_symlinks,
                files_max: self.caps.files,
            };
            let findings = search.run().map_err(|error| search_broken(&error))?;
            for warning in &findings.warnings {
                self.voice.say(&format!("Warning: {warning}"));
            }
            for found in findings.files {
                let name = match files.discard_paths {
                    true => found.name.rsplit('/').next().unwrap_or(&found.name).to_owned(),
                    false => found.name,
                };
                let entry = Entry { name: name.clone(), path: found.path, keep_link: found.is_link };
                let Some(before) = entries.insert(name.clone(), entry) else { continue };
                if files.discard_paths {
                    return Err(broken(format!(
                        "`discard-paths` leaves two files with the name `{name}`: one is `{}`",
                        before.path.strip_prefix(&self.workspace.root).unwrap_or(&before.path).display()
                    )));
                }
                self.voice
                    .say(&format!("Warning: `{name}` is in several base directories: the last one counts"));
            }
        }
        if entries.is_empty() {
            return Err(broken("no matching artifact paths found".to_owned()));
        }
        self.voice.say(&format!("Found {} file(s)", entries.len()));
        Ok(entries.into_values().collect())
    }

    fn bases(&self, files: &ArtifactFiles) -> Result<Vec<PathBuf>, Broken> {
        let Some(written) = &files.base_directory else { return Ok(vec![self.source.to_owned()]) };
        let base = self.expand(written);
        self.voice.say(&format!("Expanding base directory path: {base}"));
        let missing = || broken(format!("no matching base directory path found for {written}"));
        let path = self.below(self.source, &base);
        if has_wildcard(&path) && !path.starts_with('/') {
            let found = folders(self.source, &path).map_err(|error| broken(error.to_string()))?;
            return if found.is_empty() { Err(missing()) } else { Ok(found) };
        }
        let folder = fs::canonicalize(self.source.join(&path)).ok().filter(|folder| folder.is_dir());
        let folder = folder.ok_or_else(missing)?;
        if !folder.starts_with(&self.workspace.root) {
            return Err(broken(format!(
                "the base directory `{written}` lies outside the build's folder: copy what is needed into \
                 the source directory first"
            )));
        }
        Ok(vec![folder])
    }

    /// A path below `folder` as a relative one; any other as it is.
    fn below(&self, folder: &Path, path: &str) -> String {
        match Path::new(path).strip_prefix(folder).ok().and_then(Path::to_str) {
            Some("") => ".".to_owned(),
            Some(relative) => relative.to_owned(),
            None => path.to_owned(),
        }
    }

    fn expand(&self, text: &str) -> String {
        expand(text, self.variables)
    }

    /// Says no before gigabytes have been packed.
    fn check_size(&self, name: &str, entries: &[Entry]) -> Result<(), Broken> {
        let size = |entry: &Entry| fs::symlink_metadata(&entry.path).map_or(0, |about| about.len());
        let bytes: u64 = entries.iter().map(size).sum();
        if bytes > self.caps.bytes {
            return Err(broken(format!(
                "the artifact `{name}` would hold {bytes} bytes, more than the {} allowed \
                 (`limits.artifact-bytes` in towpath.toml)",
                self.caps.bytes
            )));
        }
        Ok(())
    }
}

fn search_broken(error: &SearchError) -> Broken {
    broken(error.to_string())
}

fn broken(message: String) -> Broken {
    Broken::new(Phase::UploadArtifacts, "CLIENT_ERROR", FailureCode::JobFailed, message)
}
