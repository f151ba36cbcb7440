//! Writing archives: sorted names, fixed times, so that equal trees give equal bytes.

use super::{
    ArchiveError, CHUNK_BYTES, Caps, Entry, LINK_TARGET_BYTES_MAX, is_safe, not_text, too_long, too_many,
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zip::{CompressionMethod, DateTime, System, ZipWriter, result::ZipError, write::SimpleFileOptions};

/// The fastest level of deflate: artifacts live for one run on one disk, time matters more than size.
const DEFLATE_LEVEL: i64 = 1;

/// Packs files: sorted by name, fixed times, Unix modes kept, so that equal trees give equal bytes. The archive
/// replaces any file at `into`; when packing fails nothing is left there.
pub fn pack(entries: &[Entry], into: &Path, caps: Caps) -> Result<(), ArchiveError> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut packer = Packer::create(into, caps)?;
    for entry in sorted {
        if entry.keep_link && entry.path.is_symlink() {
            let target = fs::read_link(&entry.path).map_err(ArchiveError::io(&entry.path))?;
            packer.link(&entry.name, target.to_str().ok_or_else(|| not_text(&entry.path))?)?;
        } else {
            let (mut file, mode) = open_file(&entry.path).map_err(ArchiveError::io(&entry.path))?;
            packer.file(&entry.name, mode, &mut file)?;
        }
    }
    packer.finish()
}

/// Opens a plain file. Without blocking: opening a pipe nobody writes to would wait for ever.
fn open_file(path: &Path) -> io::Result<(File, u32)> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    let metadata = file.metadata()?;
    match metadata.is_file() {
        true => Ok((file, metadata.permissions().mode())),
        false => Err(io::Error::other("is not a plain file")),
    }
}

/// An archive being written, for content that need not lie in files. Entries must come sorted by name. Dropped
/// before [`finish`](Self::finish), it removes what it wrote.
pub struct Packer {
    writer: Option<ZipWriter<BufWriter<File>>>,
    path: PathBuf,
    caps: Caps,
    bytes_left: u64,
    files: u64,
    last: Option<String>,
    buffer: Vec<u8>,
}

impl Packer {
    /// Starts an archive, replacing any file at `path`.
    pub fn create(path: &Path, caps: Caps) -> Result<Self, ArchiveError> {
        // Removed, not cut to nothing: ext4 writes a file that was cut to disk when it is closed, which
        // takes milliseconds.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ArchiveError::io(path)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let file = File::create_new(path).map_err(ArchiveError::io(path))?;
        let writer = ZipWriter::new(BufWriter::with_capacity(CHUNK_BYTES, file)).set_auto_large_file();
        Ok(Self {
            writer: Some(writer),
            path: path.to_owned(),
            caps,
            bytes_left: caps.bytes,
            files: 0,
            last: None,
            buffer: vec![0; CHUNK_BYTES],
        })
    }

    /// Adds a file with everything `content` yields. Of `mode` only the permission bits are kept.
    pub fn file(&mut self, name: &str, mode: u32, content: &mut dyn Read) -> Result<(), ArchiveError> {
        let options = self.next(name)?.unix_permissions(mode);
        let Self { writer, path, caps, bytes_left, buffer, .. } = self;
        let writer = open(writer, path)?;
        writer.start_file(name, options).map_err(bad(path))?;
        loop {
            let count = content.read(buffer).map_err(ArchiveError::io(Path::new(name)))?;
            if count == 0 {
                return Ok(());
            }
            *bytes_left = bytes_left.checked_sub(count as u64).ok_or_else(|| too_long(*caps))?;
            writer.write_all(&buffer[..count]).map_err(ArchiveError::io(path))?;
        }
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, name: &str, target: &str) -> Result<(), ArchiveError> {
        if target.len() as u64 > LINK_TARGET_BYTES_MAX {
            return Err(ArchiveError::TooLarge(format!("the target of the link `{name}` is too long")));
        }
        let options = self.next(name)?.unix_permissions(0o777);
        open(&mut self.writer, &self.path)?.add_symlink(name, target, options).map_err(bad(&self.path))
    }

    /// Adds a folder, for one that would be empty; others need no entry.
    pub fn folder(&mut self, name: &str) -> Result<(), ArchiveError> {
        let options = self.next(name)?.unix_permissions(0o755);
        open(&mut self.writer, &self.path)?.add_directory(name, options).map_err(bad(&self.path))
    }

    /// Completes the archive. It is not yet on disk for certain: that is the store's task.
    pub fn finish(mut self) -> Result<(), ArchiveError> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let flushed = match writer.finish() {
            Ok(mut buffered) => buffered.flush().map_err(ArchiveError::io(&self.path)),
            Err(error) => Err(bad(&self.path)(error)),
        };
        if flushed.is_err() {
            let _ = fs::remove_file(&self.path);
        }
        flushed
    }

    /// Counts and judges the next name.
    fn next(&mut self, name: &str) -> Result<SimpleFileOptions, ArchiveError> {
        self.files += 1;
        if self.files > self.caps.files {
            return Err(too_many(self.files, self.caps));
        }
        if !is_safe(name) {
            return Err(ArchiveError::Escapes { entry: name.to_owned() });
        }
        if self.last.as_deref().is_some_and(|last| last >= name) {
            return Err(ArchiveError::Duplicate { entry: name.to_owned() });
        }
        self.last = Some(name.to_owned());
        Ok(SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(DEFLATE_LEVEL))
            .last_modified_time(DateTime::DEFAULT)
            .system(System::Unix))
    }
}

impl Drop for Packer {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            // Whatever led here is the error to tell; a leftover is only untidy.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open<'a>(
    writer: &'a mut Option<ZipWriter<BufWriter<File>>>,
    path: &Path,
) -> Result<&'a mut ZipWriter<BufWriter<File>>, ArchiveError> {
    writer.as_mut().ok_or_else(|| ArchiveError::unreadable(path, "it is already complete"))
}

fn bad(path: &Path) -> impl FnOnce(ZipError) -> ArchiveError + '_ {
    move |error| match error {
        ZipError::Io(source) => ArchiveError::io(path)(source),
        other => ArchiveError::unreadable(path, other),
    }
}
