//! ZIP artifacts: one file read out of a large one without fetching all of it, and small ones made in memory.
//!
//! An archive may come from anybody: sizes are counted as they are read, and never believed.

use super::{
    clone_ref::{self, unreadable},
    provider::{Task, configuration},
};
use bytes::Bytes;
use engine::action::{Failure, InputArtifact};
use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read, Seek, SeekFrom, Write as _},
};
use zip::{CompressionMethod, ZipArchive, ZipWriter, result::ZipError, write::SimpleFileOptions};

/// Bytes fetched at a time.
const CHUNK_BYTES: u64 = 1 << 20;
/// Bytes of an archive that is fetched whole.
const WHOLE_BYTES_MAX: u64 = 4 << 20;
/// Chunks fetched for one file: those of the archive's directory, and of the file itself.
const CHUNKS_MAX: usize = 64;
/// Bytes of an artifact from which files are read.
const ARTIFACT_BYTES_MAX: u64 = 256 << 20;
/// Entries of an archive, most.
pub const ENTRIES_MAX: usize = 100_000;

/// A file in an input artifact, by its path.
pub async fn read(
    task: &Task<'_>,
    input: &InputArtifact,
    path: &str,
    bytes_max: u64,
) -> Result<Vec<u8>, Failure> {
    read_if_there(task, input, path, bytes_max).await?.ok_or_else(|| {
        configuration(format!(
            "There is no file `{path}` in the input artifact `{}`. Upper and lower case matter; the path begins at the \
             artifact's top.",
            input.name
        ))
    })
}

/// The same for a file that need not be there.
pub async fn read_if_there(
    task: &Task<'_>,
    input: &InputArtifact,
    path: &str,
    bytes_max: u64,
) -> Result<Option<Vec<u8>>, Failure> {
    let head = clone_ref::files(task, input).await?;
    if head.size > ARTIFACT_BYTES_MAX {
        return Err(configuration(format!(
            "The input artifact `{}` has {} bytes; this action reads files from artifacts of {ARTIFACT_BYTES_MAX} \
             bytes at most.",
            input.name, head.size
        )));
    }
    let wanted = normal(path);
    let mut sparse = Sparse::new(head.size);
    for _ in 0..=CHUNKS_MAX {
        match extract(&mut sparse, &wanted, bytes_max) {
            Ok(found) => return Ok(found),
            Err(Extract::Missing(chunk)) => {
                let first = chunk * sparse.chunk_bytes;
                let last = (first + sparse.chunk_bytes).min(head.size) - 1;
                let bytes = task.objects.range(&input.location, first, last).await;
                let bytes = bytes.map_err(|error| unreadable(task.who, input, error))?;
                sparse.chunks.insert(chunk, bytes);
            }
            Err(Extract::TooLarge) => {
                return Err(configuration(format!(
                    "`{path}` in the input artifact `{}` has more than {bytes_max} bytes, the most this action reads.",
                    input.name
                )));
            }
            Err(Extract::Broken(reason)) => return Err(not_a_zip(input, &reason)),
        }
    }
    Err(not_a_zip(input, "its directory is too large"))
}

fn not_a_zip(input: &InputArtifact, reason: &str) -> Failure {
    configuration(format!("The input artifact `{}` cannot be read as a ZIP archive: {reason}.", input.name))
}

/// A path without what means nothing: a `/` or `./` in front.
fn normal(path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}

/// A ZIP archive with one file.
pub fn of_one_file(name: &str, content: &[u8]) -> io::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // The same content gives the same archive, whenever it is made.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    zip.start_file(name, options)?;
    zip.write_all(content)?;
    Ok(zip.finish()?.into_inner())
}

/// Why a file was not read.
#[derive(Debug)]
enum Extract {
    /// This chunk has to be fetched first.
    Missing(u64),
    TooLarge,
    Broken(String),
}

/// An object of which some chunks are known.
struct Sparse {
    size: u64,
    chunk_bytes: u64,
    at: u64,
    chunks: BTreeMap<u64, Bytes>,
    missing: Option<u64>,
}

impl Sparse {
    fn new(size: u64) -> Self {
        let chunk_bytes = if size <= WHOLE_BYTES_MAX { size.max(1) } else { CHUNK_BYTES };
        Self { size, chunk_bytes, at: 0, chunks: BTreeMap::new(), missing: None }
    }
}

impl Read for Sparse {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let (chunk, offset) = (self.at / self.chunk_bytes, self.at % self.chunk_bytes);
        let Some(bytes) = self.chunks.get(&chunk) else {
            self.missing = Some(chunk);
            return Err(io::Error::other("this part was not fetched yet"));
        };
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Sparse {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

fn extract(sparse: &mut Sparse, path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, Extract> {
    sparse.missing = None;
    sparse.at = 0;
    let found = read_entry(sparse, path, bytes_max);
    match (sparse.missing.take(), found) {
        (Some(chunk), _) => Err(Extract::Missing(chunk)),
        (None, found) => found,
    }
}

fn read_entry(sparse: &mut Sparse, path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, Extract> {
    let broken = |error: ZipError| Extract::Broken(error.to_string());
    let mut zip = ZipArchive::new(sparse).map_err(broken)?;
    if zip.len() > ENTRIES_MAX {
        return Err(Extract::Broken(format!("it has more than {ENTRIES_MAX} entries")));
    }
    // By name first; some tools write `./name`.
    let index = zip.index_for_name(path).or_else(|| {
        let is_it = |index: &usize| {
            zip.name_for_index(*index).is_some_and(|name| name.is_ok_and(|name| normal(&name) == path))
        };
        (0..zip.len()).find(is_it)
    });
    let Some(index) = index else { return Ok(None) };
    let file = zip.by_index(index).map_err(broken)?;
    if file.is_dir() {
        return Ok(None);
    }
    let mut content = Vec::new();
    let read = file.take(bytes_max + 1).read_to_end(&mut content);
    read.map_err(|error| Extract::Broken(error.to_string()))?;
    match content.len() as u64 > bytes_max {
        true => Err(Extract::TooLarge),
        false => Ok(Some(content)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(
        archive: &[u8],
        path: &str,
        bytes_max: u64,
        chunk: u64,
    ) -> (Result<Option<Vec<u8>>, Extract>, usize) {
        let mut sparse = Sparse { chunk_bytes: chunk, ..Sparse::new(archive.len() as u64) };
        loop {
            match extract(&mut sparse, path, bytes_max) {
                Err(Extract::Missing(number)) => {
                    let first = usize::try_from(number * chunk).unwrap();
                    let last = (first + usize::try_from(chunk).unwrap()).min(archive.len());
                    sparse.chunks.insert(number, Bytes::copy_from_slice(&archive[first..last]));
                }
                found => return (found, sparse.chunks.len()),
            }
        }
    }

    fn archive() -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        zip.start_file("large.bin", stored).unwrap();
        zip.write_all(&vec![7; 100_000]).unwrap();
        zip.start_file("./deploy/template.json", stored).unwrap();
        zip.write_all(b"{}").unwrap();
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn a_small_file_of_a_large_archive_is_read_from_a_few_chunks() {
        let archive = archive();
        let (found, chunks) = fetched(&archive, "deploy/template.json", 10, 4_096);
        assert_eq!(found.unwrap().unwrap(), b"{}");
        assert!(chunks <= 3, "{chunks} of {} chunks", archive.len() / 4_096);
        let (missing, _) = fetched(&archive, "deploy/Template.json", 10, 4_096);
        assert!(missing.unwrap().is_none());
    }

    #[test]
    fn what_is_too_large_or_no_archive_is_refused() {
        let (large, _) = fetched(&archive(), "large.bin", 1_000, 4_096);
        assert!(matches!(large, Err(Extract::TooLarge)));
        let (none, _) = fetched(b"no archive at all", "x", 10, 4);
        assert!(matches!(none, Err(Extract::Broken(_))));
    }

    #[test]
    fn an_archive_made_here_is_read_here() {
        let archive = of_one_file("outputs.json", b"{\"a\":1}").unwrap();
        let (found, _) = fetched(&archive, "outputs.json", 100, 1 << 20);
        assert_eq!(found.unwrap().unwrap(), b"{\"a\":1}");
        assert_eq!(archive, of_one_file("outputs.json", b"{\"a\":1}").unwrap());
    }
}
