//! A plain folder as a source: its files as they are now. Only for a folder the settings name, since a run
//! cannot be repeated from it later.

use super::{configuration, disk, output};
use crate::{
    archive::{self, ArchiveError, Entry},
    runners::{Site, caps},
};
use engine::action::{ActionJob, Failure, OutputArtifact, SourceRevision, Success};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
};

/// Folders that never belong to a source.
const LEFT_OUT: [&str; 2] = [".git", ".towpath"];
/// Characters of the digest that serve as revision id: as long as a commit's.
const ID_CHARS: usize = 40;

pub(super) async fn take(
    job: &ActionJob,
    site: &Site,
    folder: &Path,
    out: &OutputArtifact,
) -> Result<Success, Failure> {
    debug_assert_eq!(output(job).ok(), Some(out));
    if !folder.is_dir() {
        return Err(configuration(format!(
            "`{}` is not a folder; `[sources]` in towpath.toml names it for `{}`.",
            folder.display(),
            job.action
        )));
    }
    if let Some(revision) = &job.revision {
        return Err(configuration(format!(
            "`{}` is a plain folder, not a git repository: revision `{revision}` cannot be fetched from it.",
            folder.display()
        )));
    }
    site.log
        .line(&format!("Taking the files of `{}` as they are now (not a git repository)", folder.display()));
    let (caps, store, location) = (caps(site), site.artifacts.clone(), out.location.clone());
    let from = folder.to_owned();
    let work = tokio::task::spawn_blocking(move || -> Result<(String, usize), ArchiveError> {
        let mut entries = archive::list(&from)?;
        entries.retain(|entry| !entry.name.split('/').any(|part| LEFT_OUT.contains(&part)));
        let id = digest(&entries)?;
        let at_store = |source| ArchiveError::Io { path: store.root().to_owned(), source };
        let file = store.scratch().map_err(at_store)?;
        archive::pack(&entries, &file, caps)?;
        store.put(&location, &file).map_err(at_store)?;
        Ok((id, entries.len()))
    });
    let (id, files) = match work.await {
        Ok(Ok(taken)) => taken,
        Ok(Err(ArchiveError::Io { path, source })) => return Err(disk(&path, source)),
        Ok(Err(error)) => {
            return Err(configuration(format!("`{}` cannot be an artifact: {error}.", folder.display())));
        }
        Err(panicked) => return Err(super::system(format!("reading the folder broke off: {panicked}"))),
    };
    let message = format!("Snapshot of `{}`: {files} files", folder.display());
    site.log.line(&format!("{message}, {id}"));
    let branch = ["BranchName", "Branch"].into_iter().find_map(|key| job.configuration.get(key));
    let repository = ["RepositoryName", "FullRepositoryId", "Repo"].into_iter();
    let repository = repository.clone().find_map(|key| job.configuration.get(key));
    let repository_key = match job.action_type.provider.as_str() {
        "CodeStarSourceConnection" => "FullRepositoryName",
        _ => "RepositoryName",
    };
    Ok(Success {
        output_variables: BTreeMap::from([
            ("CommitId".to_owned(), id.clone()),
            ("CommitMessage".to_owned(), message.clone()),
            ("BranchName".to_owned(), branch.cloned().unwrap_or_default()),
            (repository_key.to_owned(), repository.cloned().unwrap_or_default()),
        ]),
        summary: Some(message.clone()),
        external_execution_id: Some(id.clone()),
        revision: Some(SourceRevision {
            action: job.action.clone(),
            revision_id: id,
            summary: Some(message),
            url: None,
            change_id: None,
            created: None,
        }),
        ..Success::default()
    })
}

/// SHA-256 over every name, kind, mode and content, so that equal folders have equal ids.
fn digest(entries: &[Entry]) -> Result<String, ArchiveError> {
    let mut all = Sha256::new();
    for entry in entries {
        let failed = |source| ArchiveError::Io { path: entry.path.clone(), source };
        let (kind, content): (u32, Vec<u8>) = if entry.keep_link {
            let target = fs::read_link(&entry.path).map_err(failed)?;
            (0, Sha256::digest(target.as_os_str().as_bytes()).to_vec())
        } else {
            let mut file = File::open(&entry.path).map_err(failed)?;
            let mut content = Sha256::new();
            io::copy(&mut file, &mut Hashing(&mut content)).map_err(failed)?;
            let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
            (0o1000 | mode, content.finalize().to_vec())
        };
        all.update((entry.name.len() as u64).to_be_bytes());
        all.update(entry.name.as_bytes());
        all.update(kind.to_be_bytes());
        all.update(content);
    }
    Ok(hex(&all.finalize()).chars().take(ID_CHARS).collect())
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lets a digest be written to.
pub(super) struct Hashing<'a>(pub(super) &'a mut Sha256);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
