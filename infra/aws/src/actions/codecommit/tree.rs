//! A commit's files, fetched folder by folder and packed into an archive as they come. There is no public call that
//! gives all of them at once.

use super::{refused, text};
use crate::{
    actions::{
        archive::ENTRIES_MAX,
        provider::{Task, configuration, unavailable},
        scratch::Scratch,
    },
    client::{CallError, Client, Service},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use engine::action::Failure;
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, VecDeque},
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};
use tokio::{sync::mpsc, task::JoinSet};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Bytes of a commit's files together: CodePipeline's own bound for Git.
const SOURCE_BYTES_MAX: u64 = 1 << 30;
/// Calls on their way at a time; the service turns away more than some dozens a second.
const CALLS_AT_ONCE: usize = 8;
/// Files that wait to be packed.
const WAITING_FILES: usize = 16;
/// Characters of a path, most.
const PATH_CHARS_MAX: usize = 4_096;

/// A file of the commit that is to be fetched.
#[derive(Debug, Clone)]
struct Entry {
    path: String,
    blob: String,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Plain,
    Executable,
    Link,
}

/// A file with its content, on its way into the archive.
struct Content {
    entry: Entry,
    bytes: Vec<u8>,
}

/// Packs a commit's files into a file that vanishes with its handle.
pub(super) async fn pack(task: &Task<'_>, repository: &str, commit: &str) -> Result<Scratch, Failure> {
    let entries = list(task, repository, commit).await?;
    let scratch = Scratch::new(task.scratch, task.token());
    let path = scratch.path().to_owned();
    let (sender, receiver) = mpsc::channel(WAITING_FILES);
    let packing = tokio::task::spawn_blocking(move || write(&path, receiver));
    let fetched = fetch(task, repository, entries, sender).await;
    let packed = packing.await.map_err(|error| unavailable(format!("Packing broke off: {error}.")))?;
    // When packing ends early, fetching has nobody to send to: the first error is the one that counts.
    match (packed, fetched) {
        (Err(error), _) => Err(unavailable(format!("The archive cannot be written: {error}."))),
        (Ok(()), Err(failure)) => Err(failure),
        (Ok(()), Ok(())) => Ok(scratch),
    }
}

/// All files of the commit. Submodules are left out, as CodePipeline leaves them.
async fn list(task: &Task<'_>, repository: &str, commit: &str) -> Result<Vec<Entry>, Failure> {
    let mut folders = VecDeque::from(["/".to_owned()]);
    let (mut entries, mut seen) = (Vec::new(), BTreeSet::new());
    let mut running: JoinSet<Result<Value, CallError>> = JoinSet::new();
    loop {
        while running.len() < CALLS_AT_ONCE {
            let Some(folder) = folders.pop_front() else { break };
            let input =
                json!({ "repositoryName": repository, "commitSpecifier": commit, "folderPath": folder });
            let client = task.client.clone();
            running.spawn(async move { client.json(Service::CodeCommit, "GetFolder", &input).await });
        }
        let Some(answer) = running.join_next().await else { return Ok(entries) };
        let answer = answer.map_err(|error| unavailable(format!("Listing broke off: {error}.")))?;
        let answer = answer.map_err(|error| refused(task, repository, error))?;
        for folder in answer["subFolders"].as_array().into_iter().flatten() {
            let folder = text(folder, "absolutePath")?;
            if seen.insert(folder.clone()) {
                folders.push_back(folder);
            }
        }
        for (kind, is_link) in [("files", false), ("symbolicLinks", true)] {
            for file in answer[kind].as_array().into_iter().flatten() {
                entries.push(entry(file, is_link)?);
            }
        }
        if entries.len() > ENTRIES_MAX {
            return Err(configuration(format!(
                "The commit has more than {ENTRIES_MAX} files, the most an artifact holds. Use \
                 `OutputArtifactFormat` = `CODEBUILD_CLONE_REF`."
            )));
        }
    }
}

fn entry(file: &Value, is_link: bool) -> Result<Entry, Failure> {
    let path = text(file, "absolutePath")?;
    let path = path.trim_start_matches('/').to_owned();
    let is_odd = path.is_empty()
        || path.chars().count() > PATH_CHARS_MAX
        || path.split('/').any(|part| matches!(part, "" | "." | ".."));
    if is_odd {
        return Err(configuration(format!(
            "The commit has a file with a name that no archive takes: `{path}`."
        )));
    }
    let mode = match (is_link, file["fileMode"].as_str()) {
        (true, _) | (_, Some("SYMLINK")) => Mode::Link,
        (false, Some("EXECUTABLE")) => Mode::Executable,
        (false, _) => Mode::Plain,
    };
    Ok(Entry { path, blob: text(file, "blobId")?, mode })
}

async fn fetch(
    task: &Task<'_>,
    repository: &str,
    entries: Vec<Entry>,
    sender: mpsc::Sender<Content>,
) -> Result<(), Failure> {
    let mut left = SOURCE_BYTES_MAX;
    let mut running = JoinSet::new();
    let mut waiting = entries.into_iter();
    loop {
        while running.len() < CALLS_AT_ONCE {
            let Some(entry) = waiting.next() else { break };
            let (client, repository) = (task.client.clone(), repository.to_owned());
            running.spawn(async move { (blob(&client, &repository, &entry.blob).await, entry) });
        }
        let Some(answer) = running.join_next().await else { return Ok(()) };
        let (answer, entry) = answer.map_err(|error| unavailable(format!("Fetching broke off: {error}.")))?;
        let bytes = answer.map_err(|error| too_large(&entry.path, error, task, repository))?;
        let bytes = bytes.ok_or_else(|| {
            unavailable(format!("CodeCommit's answer for the file `{}` cannot be read.", entry.path))
        })?;
        left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
            configuration(format!(
                "The commit's files have more than {SOURCE_BYTES_MAX} bytes, the most an artifact of a Git source \
                 holds. Use `OutputArtifactFormat` = `CODEBUILD_CLONE_REF`."
            ))
        })?;
        if sender.send(Content { entry, bytes }).await.is_err() {
            return Err(unavailable("The archive cannot be written."));
        }
    }
}

/// A file's content; `None` when it is not what the service promises.
async fn blob(client: &Client, repository: &str, blob: &str) -> Result<Option<Vec<u8>>, CallError> {
    let input = json!({ "repositoryName": repository, "blobId": blob });
    let answer = client.json(Service::CodeCommit, "GetBlob", &input).await?;
    Ok(answer["content"].as_str().and_then(|content| BASE64_STANDARD.decode(content).ok()))
}

fn too_large(path: &str, error: CallError, task: &Task<'_>, repository: &str) -> Failure {
    match error.is(&["FileTooLargeException", "BlobTooLargeException"]) {
        true => configuration(format!(
            "The file `{path}` is larger than CodeCommit hands out by itself (6 MB). Use `OutputArtifactFormat` = \
             `CODEBUILD_CLONE_REF`, or keep it in S3."
        )),
        false => refused(task, repository, error),
    }
}

fn write(path: &Path, mut contents: mpsc::Receiver<Content>) -> Result<(), zip::result::ZipError> {
    let mut zip = ZipWriter::new(BufWriter::new(File::create(path)?)).set_auto_large_file();
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    while let Some(Content { entry, bytes }) = contents.blocking_recv() {
        match entry.mode {
            Mode::Link => {
                let target = String::from_utf8_lossy(&bytes).into_owned();
                zip.add_symlink(entry.path, target, options.unix_permissions(0o777))?;
            }
            Mode::Plain | Mode::Executable => {
                let mode = if entry.mode == Mode::Executable { 0o755 } else { 0o644 };
                zip.start_file(entry.path, options.unix_permissions(mode))?;
                zip.write_all(&bytes)?;
            }
        }
    }
    zip.finish()?.flush()?;
    Ok(())
}
