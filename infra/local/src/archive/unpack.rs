//! Reading archives: everything is judged before the first byte is written.

use super::{
    ArchiveError, CHUNK_BYTES, Caps, LINK_TARGET_BYTES_MAX, cut, links::Links, normal, too_long, too_many,
};
use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Cursor, Read, Seek, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    path::Path,
};
use zip::{System, ZipArchive};

/// Archives up to this size are read in one go; larger ones are read through a window.
const IN_MEMORY_BYTES_MAX: u64 = 8 << 20;

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

/// The buffer for content, at least; an archive may state less than it holds.
const BUFFER_BYTES_MIN: usize = 4 << 10;

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
    links: Links,
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
        // Many small artifacts are unpacked at the same time: no more memory than there is to unpack.
        let stated = zip.decompressed_size().and_then(|bytes| usize::try_from(bytes).ok());
        let mut buffer =
            vec![0; stated.map_or(CHUNK_BYTES, |bytes| bytes.clamp(BUFFER_BYTES_MIN, CHUNK_BYTES))];
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

fn made_error(error: io::Error, name: &str, path: &Path) -> ArchiveError {
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            ArchiveError::Duplicate { entry: cut(name) }
        }
        _ => ArchiveError::io(path)(error),
    }
}
