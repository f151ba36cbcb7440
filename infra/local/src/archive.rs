//! ZIP archives: packed the same way every time, unpacked without trusting them.
//!
//! An archive may come from anybody. All names and links are judged before the first byte is written, links are
//! made last so that nothing is ever written through one, and the caps count bytes that were really unpacked,
//! not the sizes an archive claims.

mod links;

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Cursor, Read, Seek, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};
use zip::{
    CompressionMethod, DateTime, System, ZipArchive, ZipWriter, result::ZipError, write::SimpleFileOptions,
};

/// Archives up to this size are read in one go; larger ones are read through a window.
const IN_MEMORY_BYTES_MAX: u64 = 8 << 20;
/// Bytes moved at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// A link's target; Linux takes no longer path.
const LINK_TARGET_BYTES_MAX: u64 = 4096;
/// An entry's name; Linux takes no longer path.
const NAME_BYTES_MAX: usize = 4096;
/// The fastest level of deflate: artifacts live for one run on one disk, time matters more than size.
const DEFLATE_LEVEL: i64 = 1;

/// What an archive may hold at most.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// Unpacked bytes.
    pub bytes: u64,
    /// Entries.
    pub files: u64,
}

/// Why an archive was refused.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// An entry, or a link, leads out of the folder.
    #[error("`{entry}` leads out of the folder it is unpacked to")]
    Escapes {
        /// The entry's name.
        entry: String,
    },
    /// Two entries with one name, or an entry below one that is no folder.
    #[error("`{entry}` is in the archive twice, or lies below something that is not a folder")]
    Duplicate {
        /// The entry's name.
        entry: String,
    },
    /// More than the caps allow.
    #[error("the archive is too large: {0}")]
    TooLarge(String),
    /// Not a ZIP archive, or a damaged one.
    #[error("`{path}` cannot be read as a ZIP archive: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reader's words.
        reason: String,
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

impl ArchiveError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    fn unreadable(path: &Path, reason: impl ToString) -> Self {
        Self::Unreadable { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// One file to pack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Name in the archive: relative, forward slashes.
    pub name: String,
    /// The file on disk.
    pub path: PathBuf,
    /// Store the link itself instead of what it points to.
    pub keep_link: bool,
}

/// Packs files: sorted by name, fixed times, Unix modes kept, so that equal trees give equal bytes. The archive
/// replaces any file at `into`; when packing fails nothing is left there.
pub fn pack(entries: &[Entry], into: &Path, caps: Caps) -> Result<(), ArchiveError> {
    let file = File::create(into).map_err(ArchiveError::io(into))?;
    let packed = pack_into(entries, file, into, caps);
    if packed.is_err() {
        // The first error is the one to tell; a leftover is only untidy.
        let _ = fs::remove_file(into);
    }
    packed
}

fn pack_into(entries: &[Entry], file: File, into: &Path, caps: Caps) -> Result<(), ArchiveError> {
    if entries.len() as u64 > caps.files {
        return Err(too_many(entries.len() as u64, caps));
    }
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut writer = ZipWriter::new(BufWriter::with_capacity(CHUNK_BYTES, file)).set_auto_large_file();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut left = caps.bytes;
    for (index, entry) in sorted.iter().enumerate() {
        if !is_safe(&entry.name) {
            return Err(ArchiveError::Escapes { entry: entry.name.clone() });
        }
        if index > 0 && sorted[index - 1].name == entry.name {
            return Err(ArchiveError::Duplicate { entry: entry.name.clone() });
        }
        pack_entry(entry, &mut writer, &mut buffer, &mut left, caps)?;
    }
    let mut buffered = writer.finish().map_err(|error| ArchiveError::unreadable(into, error))?;
    buffered.flush().map_err(ArchiveError::io(into))
}

fn pack_entry<W: Write + Seek>(
    entry: &Entry,
    writer: &mut ZipWriter<W>,
    buffer: &mut [u8],
    left: &mut u64,
    caps: Caps,
) -> Result<(), ArchiveError> {
    let bad = |error: ZipError| ArchiveError::unreadable(&entry.path, error);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(DEFLATE_LEVEL))
        .last_modified_time(DateTime::DEFAULT)
        .system(System::Unix);
    if entry.keep_link && entry.path.is_symlink() {
        let target = fs::read_link(&entry.path).map_err(ArchiveError::io(&entry.path))?;
        let target = target.to_str().ok_or_else(|| not_text(&entry.path))?;
        return writer.add_symlink(&entry.name, target, options.unix_permissions(0o777)).map_err(bad);
    }
    let (mut file, metadata) = open_file(&entry.path).map_err(ArchiveError::io(&entry.path))?;
    let options = options.unix_permissions(metadata.permissions().mode());
    writer.start_file(&entry.name, options).map_err(bad)?;
    loop {
        let count = file.read(buffer).map_err(ArchiveError::io(&entry.path))?;
        if count == 0 {
            return Ok(());
        }
        *left = left.checked_sub(count as u64).ok_or_else(|| too_long(caps))?;
        writer.write_all(&buffer[..count]).map_err(ArchiveError::io(&entry.path))?;
    }
}

/// Opens a plain file. Without blocking: opening a pipe nobody writes to would wait for ever.
fn open_file(path: &Path) -> io::Result<(File, fs::Metadata)> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    let metadata = file.metadata()?;
    match metadata.is_file() {
        true => Ok((file, metadata)),
        false => Err(io::Error::other("is not a plain file")),
    }
}

/// Unpacks into an empty folder, made when missing. Permission bits are kept (not set-user-id and the like);
/// absolute names, `..`, links that leave and names that come twice are refused before anything is written.
/// When it fails later, the folder holds a part.
pub fn unpack(archive: &Path, into: &Path, caps: Caps) -> Result<(), ArchiveError> {
    let mut file = File::open(archive).map_err(ArchiveError::io(archive))?;
    let bytes = file.metadata().map_err(ArchiveError::io(archive))?.len();
    let task = Unpacking { archive, into, caps };
    if bytes <= IN_MEMORY_BYTES_MAX {
        let mut content = Vec::with_capacity(bytes as usize + 1);
        file.read_to_end(&mut content).map_err(ArchiveError::io(archive))?;
        task.run(Cursor::new(content))
    } else {
        task.run(BufReader::with_capacity(CHUNK_BYTES, file))
    }
}

struct Unpacking<'a> {
    archive: &'a Path,
    into: &'a Path,
    caps: Caps,
}

/// What an archive asks for, judged but not yet written.
#[derive(Default)]
struct Plan {
    /// Name and mode, where the archive knows one.
    folders: Vec<(String, Option<u32>)>,
    /// Index, name and mode.
    files: Vec<(usize, String, u32)>,
    /// Name and target.
    links: links::Links,
}

/// What the archive's directory says of one entry.
struct Stated {
    raw: String,
    mode: Option<u32>,
    folder: bool,
    link: bool,
}

impl Unpacking<'_> {
    fn run<R: Read + Seek>(&self, reader: R) -> Result<(), ArchiveError> {
        let mut zip = ZipArchive::new(reader).map_err(|error| self.unreadable(error))?;
        let plan = self.plan(&mut zip)?;
        if let Some(entry) = plan.links.escaping() {
            return Err(ArchiveError::Escapes { entry });
        }
        self.prepare()?;
        let mut made = HashSet::new();
        for (name, _) in &plan.folders {
            self.make_folder(name, &mut made)?;
        }
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut left = self.caps.bytes;
        for (index, name, mode) in &plan.files {
            self.make_parent(name, &mut made)?;
            self.write_file(&mut zip, (*index, name, *mode), &mut buffer, &mut left)?;
        }
        for (name, target) in plan.links.iter() {
            self.make_parent(name, &mut made)?;
            let path = self.into.join(name);
            symlink(target, &path).map_err(|error| made_error(error, name, &path))?;
        }
        for (name, mode) in &plan.folders {
            if let Some(mode) = mode {
                let path = self.into.join(name);
                // The owner must be able to clear the folder away again.
                let permissions = fs::Permissions::from_mode(mode | 0o700);
                fs::set_permissions(&path, permissions).map_err(ArchiveError::io(&path))?;
            }
        }
        Ok(())
    }

    fn plan<R: Read + Seek>(&self, zip: &mut ZipArchive<R>) -> Result<Plan, ArchiveError> {
        if zip.len() as u64 > self.caps.files {
            return Err(too_many(zip.len() as u64, self.caps));
        }
        if zip.has_duplicate_names() {
            return Err(self.unreadable("two entries have the same name"));
        }
        if zip.decompressed_size().is_some_and(|bytes| bytes > u128::from(self.caps.bytes)) {
            return Err(too_long(self.caps));
        }
        let mut plan = Plan::default();
        for index in 0..zip.len() {
            let Stated { raw, mode, folder, link } = self.stated(zip, index)?;
            let name = normal(&raw).ok_or_else(|| ArchiveError::Escapes { entry: cut(&raw) })?;
            if folder {
                if !name.is_empty() {
                    plan.folders.push((name, mode));
                }
            } else if name.is_empty() {
                return Err(ArchiveError::Escapes { entry: cut(&raw) });
            } else if link {
                let target = self.link_target(zip, index, &name)?;
                if !plan.links.insert(name.clone(), target) {
                    return Err(ArchiveError::Duplicate { entry: name });
                }
            } else {
                plan.files.push((index, name, mode.unwrap_or(0o644)));
            }
        }
        Ok(plan)
    }

    fn stated<R: Read + Seek>(&self, zip: &ZipArchive<R>, index: usize) -> Result<Stated, ArchiveError> {
        let entry = zip.by_index_data(index).map_err(|error| self.unreadable(error))?;
        let raw = match std::str::from_utf8(entry.name_raw()) {
            Ok(text) => text.to_owned(),
            Err(_) => entry.name().map_err(|error| self.unreadable(error))?.into_owned(),
        };
        Ok(Stated {
            folder: raw.ends_with('/') || entry.is_dir(),
            link: entry.is_symlink(),
            mode: entry.unix_mode().map(|mode| mode & 0o777).filter(|mode| *mode != 0),
            // Old Windows tools wrote backslashes; on Unix a backslash is a letter like any other.
            raw: if entry.system() == System::Unix { raw } else { raw.replace('\\', "/") },
        })
    }

    fn link_target<R: Read + Seek>(
        &self,
        zip: &mut ZipArchive<R>,
        index: usize,
        name: &str,
    ) -> Result<String, ArchiveError> {
        let file = zip.by_index(index).map_err(|error| self.unreadable(error))?;
        let mut target = String::new();
        file.take(LINK_TARGET_BYTES_MAX + 1)
            .read_to_string(&mut target)
            .map_err(|error| self.unreadable(format!("link `{name}`: {error}")))?;
        match target.len() as u64 <= LINK_TARGET_BYTES_MAX && !target.is_empty() && !target.contains('\0') {
            true => Ok(target),
            false => Err(self.unreadable(format!("link `{name}` has no usable target"))),
        }
    }

    fn prepare(&self) -> Result<(), ArchiveError> {
        fs::create_dir_all(self.into).map_err(ArchiveError::io(self.into))?;
        let mut inside = fs::read_dir(self.into).map_err(ArchiveError::io(self.into))?;
        match inside.next() {
            None => Ok(()),
            Some(_) => Err(ArchiveError::io(self.into)(io::ErrorKind::DirectoryNotEmpty.into())),
        }
    }

    fn make_parent(&self, name: &str, made: &mut HashSet<String>) -> Result<(), ArchiveError> {
        name.rsplit_once('/').map_or(Ok(()), |(parent, _)| self.make_folder(parent, made))
    }

    fn make_folder(&self, name: &str, made: &mut HashSet<String>) -> Result<(), ArchiveError> {
        if made.contains(name) {
            return Ok(());
        }
        self.make_parent(name, made)?;
        let path = self.into.join(name);
        fs::create_dir(&path).map_err(|error| made_error(error, name, &path))?;
        made.insert(name.to_owned());
        Ok(())
    }

    fn write_file<R: Read + Seek>(
        &self,
        zip: &mut ZipArchive<R>,
        (index, name, mode): (usize, &str, u32),
        buffer: &mut [u8],
        left: &mut u64,
    ) -> Result<(), ArchiveError> {
        let path = self.into.join(name);
        let mut reader = zip.by_index(index).map_err(|error| self.unreadable(error))?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .map_err(|error| made_error(error, name, &path))?;
        loop {
            let count = reader.read(buffer).map_err(|error| self.unreadable(format!("`{name}`: {error}")))?;
            if count == 0 {
                break;
            }
            *left = left.checked_sub(count as u64).ok_or_else(|| too_long(self.caps))?;
            file.write_all(&buffer[..count]).map_err(ArchiveError::io(&path))?;
        }
        let metadata = file.metadata().map_err(ArchiveError::io(&path))?;
        if metadata.permissions().mode() & 0o777 != mode {
            file.set_permissions(fs::Permissions::from_mode(mode)).map_err(ArchiveError::io(&path))?;
        }
        Ok(())
    }

    fn unreadable(&self, reason: impl ToString) -> ArchiveError {
        ArchiveError::unreadable(self.archive, reason)
    }
}

/// Every file below a folder as entries, links that stay inside kept as links. A link that leaves is followed
/// when it leads to a file and refused when it does not. Folders without files, sockets, pipes and devices are
/// left out. Sorted by name.
pub fn list(folder: &Path) -> Result<Vec<Entry>, ArchiveError> {
    let mut entries = Vec::new();
    let walk = walkdir::WalkDir::new(folder).min_depth(1);
    for found in walk {
        let found = found.map_err(|error| {
            let path = error.path().unwrap_or(folder).to_owned();
            ArchiveError::Io { path, source: error.into() }
        })?;
        let kind = found.file_type();
        if !kind.is_file() && !kind.is_symlink() {
            continue;
        }
        let path = found.into_path();
        let relative = path.strip_prefix(folder).ok().and_then(Path::to_str);
        let name = relative.ok_or_else(|| not_text(&path))?.to_owned();
        let keep_link = kind.is_symlink() && {
            let target = fs::read_link(&path).map_err(ArchiveError::io(&path))?;
            let stays = links::stays_inside(folder, &path, &target);
            if !stays && !path.is_file() {
                return Err(ArchiveError::Escapes { entry: name });
            }
            stays
        };
        entries.push(Entry { name, path, keep_link });
    }
    entries.sort_unstable();
    Ok(entries)
}

/// A name without `.` and doubled slashes; `None` when it could lead out.
fn normal(name: &str) -> Option<String> {
    if name.starts_with('/') || name.contains('\0') || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

fn is_safe(name: &str) -> bool {
    !name.is_empty() && normal(name).is_some_and(|normal| normal == name)
}

/// An entry's name for a message, cut to 200 characters.
fn cut(name: &str) -> String {
    name.chars().take(200).collect()
}

fn made_error(error: io::Error, name: &str, path: &Path) -> ArchiveError {
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            ArchiveError::Duplicate { entry: cut(name) }
        }
        _ => ArchiveError::io(path)(error),
    }
}

fn not_text(path: &Path) -> ArchiveError {
    ArchiveError::io(path)(io::Error::new(io::ErrorKind::InvalidData, "its name or target is not UTF-8 text"))
}

fn too_many(files: u64, caps: Caps) -> ArchiveError {
    ArchiveError::TooLarge(format!("{files} entries, at most {} are allowed", caps.files))
}

fn too_long(caps: Caps) -> ArchiveError {
    ArchiveError::TooLarge(format!("more than {} bytes unpacked", caps.bytes))
}

#[cfg(test)]
mod tests;
