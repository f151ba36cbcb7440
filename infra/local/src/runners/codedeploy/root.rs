//! A host's folder as its file system: paths of an appspec are resolved under it and cannot leave it, neither
//! by `..` nor through a link.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

/// A host's root folder. Invariant: an existing folder, links resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostRoot(PathBuf);

/// A path that cannot be used under a root.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadPath {
    #[error("`{path}` leads out of the host's folder `{root}`")]
    Escapes { path: String, root: PathBuf },
    #[error("`{path}` is not an absolute path without `..`")]
    NotAbsolute { path: String },
    #[error("`{path}`: {source}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl HostRoot {
    /// Makes the folder if it is missing.
    pub(super) fn open(folder: &Path) -> Result<Self, BadPath> {
        let io = |source| BadPath::Io { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(io)?;
        Ok(Self(fs::canonicalize(folder).map_err(io)?))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Where a host's absolute path lies on this machine. The folders above it must not lead out of the root;
    /// the last component itself is not followed.
    pub(super) fn resolve(&self, path: &str) -> Result<PathBuf, BadPath> {
        if !path.starts_with('/') {
            return Err(BadPath::NotAbsolute { path: path.to_owned() });
        }
        let mut below = PathBuf::new();
        for component in Path::new(path).components() {
            match component {
                Component::RootDir | Component::CurDir => {}
                Component::Normal(name) => below.push(name),
                Component::ParentDir | Component::Prefix(_) => {
                    return Err(BadPath::NotAbsolute { path: path.to_owned() });
                }
            }
        }
        let full = self.0.join(below);
        self.confine(&full)?;
        Ok(full)
    }

    /// Fails when a folder above `full` is a link that leads out of the root.
    pub(super) fn confine(&self, full: &Path) -> Result<(), BadPath> {
        let escapes = || BadPath::Escapes { path: self.shown(full), root: self.0.clone() };
        if full == self.0 {
            return Ok(());
        }
        let mut above = full.parent().ok_or_else(escapes)?;
        // The deepest folder that exists decides: what is made below it is made by us, as real folders.
        while above != self.0 && fs::symlink_metadata(above).is_err() {
            above = above.parent().ok_or_else(escapes)?;
        }
        let real =
            fs::canonicalize(above).map_err(|source| BadPath::Io { path: above.to_owned(), source })?;
        if real.starts_with(&self.0) { Ok(()) } else { Err(escapes()) }
    }

    /// Fails unless a whole path lies under the root, by its text and through links.
    pub(super) fn holds(&self, full: &Path) -> Result<(), BadPath> {
        let climbs = full.components().any(|part| part == Component::ParentDir);
        if climbs || !full.starts_with(&self.0) || full == self.0 {
            return Err(BadPath::Escapes { path: full.display().to_string(), root: self.0.clone() });
        }
        self.confine(full)
    }

    /// A path as the host would name it: absolute, without the root.
    pub(super) fn shown(&self, full: &Path) -> String {
        match full.strip_prefix(&self.0) {
            Ok(below) => format!("/{}", below.display()),
            Err(_) => full.display().to_string(),
        }
    }

    /// Whether a link at `full` with this target stays inside, judged by its text.
    pub(super) fn link_stays(&self, full: &Path, target: &Path) -> bool {
        if target.is_absolute() {
            return false;
        }
        let mut at = full.parent().unwrap_or(&self.0).to_owned();
        for component in target.components() {
            match component {
                Component::CurDir => {}
                Component::Normal(name) => at.push(name),
                Component::ParentDir => {
                    if at == self.0 || !at.pop() {
                        return false;
                    }
                }
                Component::RootDir | Component::Prefix(_) => return false,
            }
        }
        at.starts_with(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn root() -> (tempfile::TempDir, HostRoot) {
        let temp = tempfile::tempdir().unwrap();
        let root = HostRoot::open(&temp.path().join("host")).unwrap();
        (temp, root)
    }

    #[test]
    fn paths_stay_under_the_root() {
        let (_temp, root) = root();
        assert_eq!(root.resolve("/opt/app").unwrap(), root.path().join("opt/app"));
        assert_eq!(root.resolve("//opt/./app/").unwrap(), root.path().join("opt/app"));
        assert_eq!(root.shown(&root.path().join("opt")), "/opt");
        assert!(matches!(root.resolve("/../../etc"), Err(BadPath::NotAbsolute { .. })));
        assert!(matches!(root.resolve("etc"), Err(BadPath::NotAbsolute { .. })));
    }

    #[test]
    fn links_may_point_inside_but_not_outside() {
        let (temp, root) = root();
        fs::create_dir_all(root.path().join("releases/1")).unwrap();
        symlink("releases/1", root.path().join("current")).unwrap();
        symlink(temp.path(), root.path().join("out")).unwrap();
        symlink("nowhere", root.path().join("dangling")).unwrap();
        assert!(root.resolve("/current/bin").is_ok());
        assert!(matches!(root.resolve("/out/file"), Err(BadPath::Escapes { .. })));
        assert!(matches!(root.resolve("/out/new/file"), Err(BadPath::Escapes { .. })));
        assert!(matches!(root.resolve("/dangling/file"), Err(BadPath::Io { .. })));
        assert!(root.resolve("/out").is_ok(), "the link itself may be replaced or kept");
    }

    #[test]
    fn a_links_text_tells_whether_it_stays() {
        let (_temp, root) = root();
        let at = root.path().join("a/link");
        assert!(root.link_stays(&at, Path::new("b")));
        assert!(root.link_stays(&at, Path::new("../c")));
        assert!(!root.link_stays(&at, Path::new("../../c")));
        assert!(!root.link_stays(&at, Path::new("/etc/passwd")));
    }
}
