//! An archive's files, one after the other. All names are judged before the first file is given out.

use crate::actions::{archive::ENTRIES_MAX, scratch::Scratch};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufReader, Read, Write as _},
    path::Path,
};
use tokio::sync::mpsc;
use zip::{System, ZipArchive, result::ZipError};

/// Bytes of a file that is sent from memory; larger ones are sent from disk.
const IN_MEMORY_BYTES_MAX: u64 = 4 << 20;
/// Bytes of all files together.
const UNPACKED_BYTES_MAX: u64 = 20 << 30;
/// Bytes of a link's target.
const LINK_BYTES_MAX: u64 = 4_096;
/// Links that lead to links.
const HOPS_MAX: usize = 8;
/// Bytes moved at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// A file of an archive.
pub(super) struct File {
    /// Its path in the archive, without anything that leads elsewhere.
    pub(super) name: String,
    pub(super) content: Content,
    /// A page, which shall not be served before what it needs.
    pub(super) waits_for_others: bool,
}

/// Where a file's content is.
pub(super) enum Content {
    Bytes(Bytes),
    File(Scratch),
}

/// Why an archive was not unpacked.
#[derive(Debug)]
pub(super) enum UnpackError {
    /// The archive's fault.
    Refused(String),
    /// The disk's.
    Disk(io::Error),
}

impl From<ZipError> for UnpackError {
    fn from(error: ZipError) -> Self {
        Self::Refused(format!("it cannot be read as a ZIP archive: {error}"))
    }
}

/// Gives out every file: pages after all others. Ends early, without an error, when nobody takes them.
pub(super) fn unpack(
    archive: &Path,
    scratch: &Path,
    attempt: &str,
    files: &mpsc::Sender<File>,
) -> Result<(), UnpackError> {
    let file = fs::File::open(archive).map_err(UnpackError::Disk)?;
    let mut zip = ZipArchive::new(BufReader::with_capacity(CHUNK_BYTES, file))?;
    let mut left = UNPACKED_BYTES_MAX;
    for (name, index) in plan(&mut zip)? {
        let content = content(&mut zip, index, &name, (scratch, attempt), &mut left)?;
        let waits_for_others = is_page(&name);
        if files.blocking_send(File { name, content, waits_for_others }).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn is_page(name: &str) -> bool {
    name.ends_with(".html") || name.ends_with(".htm")
}

type Zip = ZipArchive<BufReader<fs::File>>;

/// Names and places of all files, in the order in which they are given out. A link stands for the file it leads to;
/// one that leads nowhere is left out.
fn plan(zip: &mut Zip) -> Result<Vec<(String, usize)>, UnpackError> {
    if zip.len() > ENTRIES_MAX {
        return Err(UnpackError::Refused(format!("it has {} entries, more than {ENTRIES_MAX}", zip.len())));
    }
    if zip.has_duplicate_names() {
        return Err(UnpackError::Refused("two entries have the same name".to_owned()));
    }
    let (mut files, mut links) = (BTreeMap::new(), BTreeMap::new());
    for index in 0..zip.len() {
        let entry = zip.by_index(index)?;
        let raw = entry.name()?.into_owned();
        // Old Windows tools wrote backslashes; on Unix a backslash is a letter like any other.
        let raw = if entry.system() == System::Unix { raw } else { raw.replace('\\', "/") };
        let name = normal(&raw)?;
        if entry.is_dir() || raw.ends_with('/') {
            continue;
        }
        if name.is_empty() {
            return Err(UnpackError::Refused("an entry has no name".to_owned()));
        }
        let is_link = entry.is_symlink();
        let taken = if is_link {
            let mut target = String::new();
            let read = entry.take(LINK_BYTES_MAX).read_to_string(&mut target);
            read.map_err(|error| UnpackError::Refused(format!("the link `{name}` cannot be read: {error}")))?;
            links.insert(name.clone(), target).is_some() || files.contains_key(&name)
        } else {
            files.insert(name.clone(), index).is_some() || links.contains_key(&name)
        };
        if taken {
            return Err(UnpackError::Refused(format!("`{name}` is in it twice")));
        }
    }
    let led: Vec<(String, usize)> =
        links.keys().filter_map(|name| Some((name.clone(), end_of(name, &links, &files)?))).collect();
    let mut plan: Vec<(String, usize)> = files.into_iter().chain(led).collect();
    plan.sort_by(|(a, _), (b, _)| (is_page(a), a).cmp(&(is_page(b), b)));
    Ok(plan)
}

/// A name that leads nowhere else.
fn normal(name: &str) -> Result<String, UnpackError> {
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if name.starts_with('/') || name.contains('\0') || parts.contains(&"..") {
        let shown: String = name.chars().take(200).collect();
        return Err(UnpackError::Refused(format!("`{}` leads out of the artifact", shown.escape_debug())));
    }
    Ok(parts.join("/"))
}

/// The file that a link leads to, perhaps by way of others.
fn end_of(link: &str, links: &BTreeMap<String, String>, files: &BTreeMap<String, usize>) -> Option<usize> {
    let mut at = link.to_owned();
    for _ in 0..HOPS_MAX {
        let target = links.get(&at)?;
        if target.starts_with('/') {
            return None;
        }
        let mut parts: Vec<&str> = at.split('/').collect();
        parts.pop();
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                part => parts.push(part),
            }
        }
        at = parts.join("/");
        if let Some(index) = files.get(&at) {
            return Some(*index);
        }
    }
    None
}

fn content(
    zip: &mut Zip,
    index: usize,
    name: &str,
    (scratch, attempt): (&Path, &str),
    left: &mut u64,
) -> Result<Content, UnpackError> {
    let unreadable = |error: io::Error| UnpackError::Refused(format!("`{name}` cannot be unpacked: {error}"));
    let mut entry = zip.by_index(index)?;
    let mut bytes = Vec::new();
    let read = entry.by_ref().take(IN_MEMORY_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let mut take = |count: usize| -> Result<(), UnpackError> {
        let fits = left.checked_sub(count as u64);
        *left = fits.ok_or_else(|| {
            UnpackError::Refused(format!("it holds more than {UNPACKED_BYTES_MAX} bytes unpacked"))
        })?;
        Ok(())
    };
    take(read)?;
    if read as u64 <= IN_MEMORY_BYTES_MAX {
        return Ok(Content::Bytes(bytes.into()));
    }
    let scratch = Scratch::new(scratch, attempt);
    let mut file = fs::File::create_new(scratch.path()).map_err(UnpackError::Disk)?;
    file.write_all(&bytes).map_err(UnpackError::Disk)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = entry.read(&mut chunk).map_err(unreadable)?;
        if count == 0 {
            return Ok(Content::File(scratch));
        }
        take(count)?;
        file.write_all(&chunk[..count]).map_err(UnpackError::Disk)?;
    }
}
