//! Audit bundles: the log, or one pipeline's part of it, as a text file that betrays every change.
//!
//! One JSON object a line: a head, then each commit with its hash, which covers the commit before it in its stream,
//! then a foot with a SHA-256 over all lines before it. Whoever has the file can check it without this program's
//! store, and without trusting it.

use super::Past;
use anyhow::{Context, bail, ensure};
use engine::log::{Commit, Hash, Position, StoredEvent, verify_after};
use events::{CommandId, PipelineName, StreamName, Timestamp, Version};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, Write},
};

/// Commits read at a time.
const PAGE_COMMITS: usize = 1_000;
/// Bytes of one line, most: the largest definition, escaped twice.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// What a bundle says it is.
const FORMAT: &str = "towpath audit bundle 1";

#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    pipeline: Option<PipelineName>,
    exported: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Line {
    position: u64,
    stream: StreamName,
    version: Version,
    time: Timestamp,
    command: CommandId,
    actor: String,
    events: Vec<Event>,
    hash: String,
}

#[derive(Serialize, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    schema: u16,
    /// The stored text, as text: the hash covers its bytes.
    body: String,
}

#[derive(Serialize, Deserialize)]
struct Foot {
    commits: u64,
    sha256: String,
}

/// What a bundle holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Streams.
    pub streams: u64,
    /// Commits.
    pub commits: u64,
    /// Events.
    pub events: u64,
}

/// Writes a bundle of the whole log, or of one pipeline's streams.
pub fn export(
    past: &Past,
    pipeline: Option<&PipelineName>,
    now: Timestamp,
    out: &mut impl Write,
) -> anyhow::Result<Counted> {
    let chosen = pipeline.map(|name| streams_of(past, name)).transpose()?;
    if let (Some(name), Some(streams)) = (pipeline, &chosen) {
        ensure!(streams.len() > 2, "the pipeline `{name}` is not in this log");
    }
    let mut writer = Hashed { out, sha: Sha256::new() };
    writer.line(&Head { format: FORMAT.into(), pipeline: pipeline.cloned(), exported: now })?;
    let mut counted = Counted::default();
    let mut seen = BTreeSet::new();
    let mut after = Position(0);
    loop {
        let page = past.history().follow(after, PAGE_COMMITS)?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (position, commit) in &page {
            if chosen.as_ref().is_some_and(|chosen| !chosen.contains(&commit.stream)) {
                continue;
            }
            counted.commits += 1;
            counted.events += commit.events.len() as u64;
            seen.insert(commit.stream.clone());
            writer.line(&line(*position, commit))?;
        }
    }
    counted.streams = seen.len() as u64;
    let sha256 = format!("{:?}", Hash(writer.sha.clone().finalize().into()));
    writer.line(&Foot { commits: counted.commits, sha256 })?;
    out.flush()?;
    Ok(counted)
}

/// A pipeline's own streams and those of all its runs.
fn streams_of(past: &Past, name: &PipelineName) -> anyhow::Result<BTreeSet<StreamName>> {
    let runs = past.runs(name)?;
    let runs = runs.values().map(StreamName::execution);
    Ok(runs.chain([StreamName::pipeline(name), StreamName::lane(name)]).collect())
}

fn line(position: Position, commit: &Commit) -> Line {
    let event = |stored: &StoredEvent| Event {
        kind: stored.kind.to_string(),
        schema: stored.schema,
        body: stored.body.clone(),
    };
    Line {
        position: position.0,
        stream: commit.stream.clone(),
        version: commit.first,
        time: commit.time,
        command: commit.command.clone(),
        actor: commit.actor.to_string(),
        events: commit.events.iter().map(event).collect(),
        hash: format!("{:?}", commit.hash),
    }
}

struct Hashed<'w, W> {
    out: &'w mut W,
    sha: Sha256,
}

impl<W: Write> Hashed<'_, W> {
    fn line(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_string(value)?;
        text.push('\n');
        self.sha.update(text.as_bytes());
        self.out.write_all(text.as_bytes()).context("the bundle cannot be written")
    }
}

/// Checks a bundle; the error says which line is wrong, and what about it.
pub fn verify(mut bundle: impl BufRead) -> anyhow::Result<Counted> {
    let mut sha = Sha256::new();
    let mut counted = Counted::default();
    let mut streams: BTreeMap<StreamName, (Version, Hash)> = BTreeMap::new();
    let mut position = 0;
    for number in 1.. {
        let Some(text) = next_line(&mut bundle).with_context(|| format!("line {number}"))? else {
            bail!("line {number}: the bundle ends without its foot: something was cut off");
        };
        if number == 1 {
            let head: Head = serde_json::from_str(&text).context("line 1: this is not an audit bundle")?;
            ensure!(head.format == FORMAT, "line 1: a bundle of another format: `{}`", head.format);
        } else if let Ok(foot) = serde_json::from_str::<Foot>(&text) {
            let found = format!("{:?}", Hash(sha.finalize().into()));
            ensure!(
                foot.sha256 == found,
                "line {number}: the bundle was changed: its SHA-256 is {found}, its foot says {}",
                foot.sha256
            );
            ensure!(
                foot.commits == counted.commits,
                "line {number}: {} commits are missing",
                foot.commits.abs_diff(counted.commits)
            );
            ensure!(next_line(&mut bundle)?.is_none(), "line {}: something follows the foot", number + 1);
            counted.streams = streams.len() as u64;
            return Ok(counted);
        } else {
            let read: Line = serde_json::from_str(&text)
                .with_context(|| format!("line {number}: this is not a commit"))?;
            ensure!(read.position > position, "line {number}: it is out of order");
            position = read.position;
            let commit = read.commit().with_context(|| format!("line {number}"))?;
            let (last, hash) = streams.get(&commit.stream).copied().unwrap_or_default();
            verify_after(last, hash, std::slice::from_ref(&commit))
                .with_context(|| format!("line {number}"))?;
            counted.commits += 1;
            counted.events += commit.events.len() as u64;
            streams.insert(commit.stream.clone(), (commit.last(), commit.hash));
        }
        sha.update(text.as_bytes());
    }
    bail!("the bundle has no end")
}

fn next_line(bundle: &mut impl BufRead) -> anyhow::Result<Option<String>> {
    let mut text = String::new();
    let read = std::io::Read::take(&mut *bundle, LINE_BYTES_MAX)
        .read_line(&mut text)
        .context("it cannot be read as text")?;
    ensure!(read as u64 != LINE_BYTES_MAX, "it is longer than {LINE_BYTES_MAX} bytes");
    Ok((read > 0).then_some(text))
}

impl Line {
    fn commit(self) -> anyhow::Result<Commit> {
        ensure!(!self.events.is_empty(), "a commit without events");
        let stored = |event: Event| StoredEvent::new(event.kind, event.schema, event.body);
        Ok(Commit {
            stream: self.stream,
            first: self.version,
            events: self.events.into_iter().map(stored).collect(),
            time: self.time,
            command: self.command,
            actor: self.actor.into(),
            hash: hash(&self.hash).context("its hash is not 64 hexadecimal digits")?,
            snapshot: None,
        })
    }
}

fn hash(text: &str) -> Option<Hash> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).ok()?;
    }
    Some(Hash(bytes))
}
