//! A bundle: the ZIP archive that holds the appspec, the files and the scripts of a revision.

use super::appspec::{self, APPSPEC_NAMES, AppSpec, BadAppSpec};
use crate::{
    archive::{self, ArchiveError, Caps},
    yaml::TEXT_BYTES_MAX,
};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

const CHUNK_BYTES: usize = 64 * 1024;

/// Why a bundle cannot be deployed.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadBundle {
    #[error("the bundle has no `appspec.yml` at its top: add one to the build's artifacts")]
    NoAppSpec,
    #[error("`{name}` has more than {TEXT_BYTES_MAX} bytes")]
    TooLong { name: String },
    #[error("`{name}` is not UTF-8 text")]
    NotText { name: String },
    #[error(transparent)]
    AppSpec(#[from] BadAppSpec),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("`{path}`: {source}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> BadBundle + '_ {
    move |source| BadBundle::Io { path: path.to_owned(), source }
}

/// Reads and checks the appspec without unpacking anything else.
pub(super) fn read_appspec(bundle: &Path) -> Result<AppSpec, BadBundle> {
    let unreadable = |reason: zip::result::ZipError| {
        BadBundle::Archive(ArchiveError::Unreadable { path: bundle.to_owned(), reason: reason.to_string() })
    };
    let file = File::open(bundle).map_err(io_error(bundle))?;
    let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(unreadable)?;
    let names = archive.file_names().map(|name| Ok(name?.into_owned()));
    let names: Vec<String> = names.collect::<Result<_, _>>().map_err(unreadable)?;
    let name = locate(names.iter().map(String::as_str)).ok_or(BadBundle::NoAppSpec)?;
    let entry = archive.by_name(&name).map_err(unreadable)?;
    let mut bytes = Vec::new();
    entry.take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(io_error(bundle))?;
    parse(&name, bytes)
}

/// Reads the appspec of an unpacked bundle.
pub(super) fn unpacked_appspec(archive: &Path) -> Result<AppSpec, BadBundle> {
    let found =
        APPSPEC_NAMES.into_iter().map(|name| (name, archive.join(name))).find(|(_, path)| path.is_file());
    let (name, path) = found.ok_or(BadBundle::NoAppSpec)?;
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(io_error(&path))?;
    file.take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(io_error(&path))?;
    parse(name, bytes)
}

fn parse(name: &str, bytes: Vec<u8>) -> Result<AppSpec, BadBundle> {
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(BadBundle::TooLong { name: name.to_owned() });
    }
    let text = String::from_utf8(bytes).map_err(|_| BadBundle::NotText { name: name.to_owned() })?;
    Ok(appspec::parse(name, &text)?)
}

/// The name of the appspec's entry: at the top, or in the one folder everything lies in.
fn locate<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    let at = |path: &str| names.clone().any(|name| name == path).then(|| path.to_owned());
    if let Some(name) = APPSPEC_NAMES.into_iter().find_map(at) {
        return Some(name);
    }
    let (top, _) = names.clone().next()?.split_once('/')?;
    let alone = names.clone().all(|name| name.strip_prefix(top).is_some_and(|rest| rest.starts_with('/')));
    if !alone {
        return None;
    }
    APPSPEC_NAMES.into_iter().find_map(|name| at(&format!("{top}/{name}")))
}

/// Unpacks a bundle to `archive`, which is replaced; a single top folder around the appspec is stripped.
pub(super) fn unpack(bundle: &Path, archive: &Path, caps: Caps) -> Result<(), BadBundle> {
    let beside = archive.with_extension("new");
    for leftover in [&beside, archive] {
        match fs::remove_dir_all(leftover) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(leftover)(error)),
            Ok(()) | Err(_) => {}
        }
    }
    archive::unpack(bundle, &beside, caps)?;
    let has_appspec = |folder: &Path| APPSPEC_NAMES.iter().any(|name| folder.join(name).is_file());
    if has_appspec(&beside) {
        return fs::rename(&beside, archive).map_err(io_error(archive));
    }
    let mut entries = fs::read_dir(&beside).map_err(io_error(&beside))?;
    let (Some(Ok(top)), None) = (entries.next(), entries.next()) else { return Err(BadBundle::NoAppSpec) };
    if !has_appspec(&top.path()) {
        return Err(BadBundle::NoAppSpec);
    }
    fs::rename(top.path(), archive).map_err(io_error(archive))?;
    fs::remove_dir_all(&beside).map_err(io_error(&beside))
}

/// SHA-256 of a file in hexadecimal.
pub(super) fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            count => hasher.update(&chunk[..count]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_appspec_is_at_the_top_or_in_the_only_folder() {
        let locate = |names: &[&'static str]| locate(names.iter().copied());
        assert_eq!(locate(&["a", "appspec.yaml"]).as_deref(), Some("appspec.yaml"));
        assert_eq!(locate(&["appspec.yaml", "appspec.yml"]).as_deref(), Some("appspec.yml"));
        assert_eq!(locate(&["app/", "app/a", "app/appspec.yml"]).as_deref(), Some("app/appspec.yml"));
        assert_eq!(locate(&["app/appspec.yml", "other"]), None);
        assert_eq!(locate(&["app/appspec.yml", "apple/x"]), None);
        assert_eq!(locate(&["app/sub/appspec.yml"]), None);
        assert_eq!(locate(&[]), None);
    }
}
