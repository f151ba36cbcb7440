//! The folder of one build: `<state>/builds/<action execution>/{src,src_<input>,tmp}`.

use super::{Broken, Phase, environment::identifier};
use crate::{
    archive::{self, Caps},
    artifacts::ArtifactStore,
};
use engine::action::{FailureCode, InputArtifact};
use rustix::fs::{FlockOperation, flock};
use std::{
    fs,
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How long the workspace of a failed build is kept for whoever wants to look.
const KEEP_FAILED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A prepared workspace. All paths are absolute and free of links.
#[derive(Debug, Clone)]
pub(super) struct Workspace {
    pub(super) root: PathBuf,
    /// One source directory per input.
    pub(super) sources: Vec<PathBuf>,
    /// For the runner's own files; made by [`Workspace::make_tmp`].
    pub(super) tmp: PathBuf,
}

impl Workspace {
    /// Makes the folder afresh and unpacks every input.
    pub(super) fn prepare(
        root: &Path,
        inputs: &[InputArtifact],
        primary: usize,
        store: &ArtifactStore,
        caps: Caps,
    ) -> Result<Self, Broken> {
        let ours = |path: &Path, error: &io::Error| {
            let message = format!("the workspace `{}` cannot be prepared: {error}", path.display());
            Broken::new(
                Phase::DownloadSource,
                "INTERNAL_SERVICE_ERROR",
                FailureCode::SystemUnavailable,
                message,
            )
        };
        remove(root).map_err(|error| ours(root, &error))?;
        // Its files hold the environment, secrets too.
        fs::create_dir_all(root).map_err(|error| ours(root, &error))?;
        let root = fs::canonicalize(root).map_err(|error| ours(root, &error))?;
        let mut sources: Vec<PathBuf> = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.iter().enumerate() {
            let broken = |message: String| {
                let message = format!("the input artifact `{}` cannot be unpacked: {message}", input.name);
                Broken::new(Phase::DownloadSource, "CLIENT_ERROR", FailureCode::ConfigurationError, message)
            };
            let name = match index == primary {
                true => "src".to_owned(),
                false => format!("src_{}", identifier(input.name.as_str())),
            };
            let folder = root.join(name);
            if sources.contains(&folder) {
                return Err(broken("another input's name differs only in `-` and `_`".to_owned()));
            }
            let archive = store.get(&input.location).map_err(|error| broken(error.to_string()))?;
            archive::unpack(&archive, &folder, caps).map_err(|error| broken(error.to_string()))?;
            sources.push(folder);
        }
        Ok(Self { tmp: root.join("tmp"), root, sources })
    }

    /// Makes the folder for the runner's own files. Most builds of one command never need it, and folders that come
    /// and go are what an action spends most of its time on.
    pub(super) fn make_tmp(&self) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(&self.tmp)
    }

    /// Gives everything to another user, who is to run commands in it.
    pub(super) fn give_to(&self, user: (u32, u32)) -> io::Result<()> {
        for entry in walkdir::WalkDir::new(&self.root) {
            std::os::unix::fs::lchown(entry?.path(), Some(user.0), Some(user.1))?;
        }
        Ok(())
    }
}

/// Removes a folder with everything in it, also what a build made read-only. Nothing there is fine.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(folder);
            fs::remove_dir_all(folder)
        }
        removed => removed,
    }
}

/// Folders come before what is in them, so each is readable by the time it is read.
fn make_writable(folder: &Path) {
    let Ok(about) = fs::symlink_metadata(folder) else { return };
    if !about.is_dir() {
        return;
    }
    // What cannot be changed will be named by the removal that follows.
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        make_writable(&entry.path());
    }
}

/// Removes the workspaces of builds that failed long ago.
pub(super) fn remove_old(builds: &Path) {
    let Some(limit) = SystemTime::now().checked_sub(KEEP_FAILED) else { return };
    for entry in fs::read_dir(builds).into_iter().flatten().flatten() {
        let is_old = entry.metadata().and_then(|about| about.modified()).is_ok_and(|changed| changed < limit);
        if is_old
            && ["src", "tmp"].iter().any(|folder| entry.path().join(folder).is_dir())
            && let Err(error) = remove(&entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "an old workspace cannot be removed");
        }
    }
}

/// The project's next build number, from 1. Safe beside other builds, also of other processes.
pub(super) fn next_number(state: &Path, project: &str) -> io::Result<u64> {
    let path = state.join("builds/numbers").join(file_name(project));
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = match options.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(state))?;
            options.open(&path)?
        }
        opened => opened?,
    };
    flock(&file, FlockOperation::LockExclusive)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let number = text.trim().parse().unwrap_or(0) + 1;
    file.rewind()?;
    write!(file, "{number}")?;
    Ok(number)
}

/// A name that is one plain file name whatever it was.
pub(super) fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = name.chars().take(200).map(plain).collect();
    if name.trim_start_matches('.').is_empty() { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_up_per_project() {
        let state = tempfile::tempdir().unwrap();
        let next = |project: &str| next_number(state.path(), project).unwrap();
        assert_eq!((next("a"), next("a"), next("b"), next("a")), (1, 2, 1, 3));
    }

    #[test]
    fn a_name_cannot_lead_anywhere() {
        assert_eq!(file_name("../x/y"), ".._x_y");
        assert_eq!(file_name(".."), "_..");
    }

    #[test]
    fn read_only_folders_are_removed_too() {
        let folder = tempfile::tempdir().unwrap();
        let locked = folder.path().join("a/b");
        fs::create_dir_all(&locked).unwrap();
        fs::write(locked.join("c"), "").unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
        remove(&folder.path().join("a")).unwrap();
        assert!(!locked.exists());
        remove(&folder.path().join("a")).unwrap();
    }
}
