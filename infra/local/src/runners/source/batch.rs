//! One `git cat-file --batch` process answers everything a source action asks of a repository: which commit a
//! name means, what it says, which files it holds, and their content.
//!
//! `git archive` would do, but it leaves files out and rewrites others as `.gitattributes` says (`export-ignore`,
//! `eol`), is three times slower, and needs a second process for the commit. Here an artifact holds exactly the
//! blobs of the tree.

use crate::archive::{ArchiveError, Caps, Packer};
use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read, Write},
    process::{ChildStdin, ChildStdout},
};

/// Questions asked before the first answer is read. So few fit into any pipe, so neither side ever waits for
/// the other to read.
const IN_FLIGHT_MAX: usize = 64;
/// A commit object; a longer message is cut.
const COMMIT_BYTES_MAX: u64 = 1 << 20;
/// One folder of a repository.
const TREE_BYTES_MAX: u64 = 64 << 20;
/// A symbolic link's target.
const LINK_BYTES_MAX: u64 = 4096;

/// What a commit says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    /// In hexadecimal digits.
    pub(super) id: String,
    /// Without the line ends after it.
    pub(super) message: String,
    /// Whoever wrote it: name and mail address, as they wrote them.
    pub(super) author: (String, String),
    /// Since 1970.
    pub(super) author_seconds: i64,
    /// Since 1970.
    pub(super) committer_seconds: i64,
}

/// What was taken from a repository.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) commit: Commit,
    /// Which of the names asked for it was.
    pub(super) name: usize,
    /// Paths of submodules: folders that stay empty.
    pub(super) submodules: Vec<String>,
}

/// Why nothing was taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the repository has no such commit")]
    NoCommit,
    #[error("commit {commit} has no folder `{folder}`")]
    NoFolder { commit: String, folder: String },
    #[error("git gave an answer that makes no sense: {0}")]
    Garbled(String),
    #[error("git stopped answering: {0}")]
    Broken(#[from] io::Error),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// A conversation with `git cat-file --batch`.
pub(super) struct Batch {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// The head of an answer; as many bytes of content and a line feed follow.
struct Head {
    id: String,
    kind: String,
    size: u64,
}

/// A file, link or submodule of a tree.
struct Leaf {
    path: String,
    id: String,
    mode: u32,
}

const MODE_LINK: u32 = 0o120_000;
const MODE_SUBMODULE: u32 = 0o160_000;
const MODE_FOLDER: u32 = 0o040_000;
const MODE_KIND: u32 = 0o170_000;

impl Batch {
    pub(super) fn new(input: ChildStdin, output: ChildStdout) -> Self {
        Self { input, output: BufReader::with_capacity(64 << 10, output) }
    }

    /// Packs the tree of the first of `names` that is a commit, or one folder of it.
    pub(super) fn take(
        &mut self,
        names: &[String],
        folder: &str,
        into: &std::path::Path,
        caps: Caps,
    ) -> Result<Taken, Fault> {
        let (name, commit) = self.commit(names)?;
        let tree = match folder {
            "" => format!("{}^{{tree}}", commit.id),
            folder => format!("{}:{folder}", commit.id),
        };
        let Some(leaves) = self.leaves(&tree, caps)? else {
            return Err(Fault::NoFolder { commit: commit.id, folder: folder.to_owned() });
        };
        let mut packer = Packer::create(into, caps)?;
        self.pack(&leaves, &mut packer)?;
        packer.finish()?;
        let submodules = leaves.into_iter().filter(|leaf| leaf.mode & MODE_KIND == MODE_SUBMODULE);
        Ok(Taken { commit, name, submodules: submodules.map(|leaf| leaf.path).collect() })
    }

    fn commit(&mut self, names: &[String]) -> Result<(usize, Commit), Fault> {
        for (index, name) in names.iter().enumerate() {
            self.ask(&format!("{name}^{{commit}}"))?;
            if let Some(head) = self.head()? {
                let body = self.content(&head, COMMIT_BYTES_MAX, true)?;
                return Ok((index, parse_commit(head.id, &body)));
            }
        }
        Err(Fault::NoCommit)
    }

    /// All files below a tree, sorted by path; `None` when there is no such tree.
    fn leaves(&mut self, root: &str, caps: Caps) -> Result<Option<Vec<Leaf>>, Fault> {
        let mut waiting = VecDeque::from([(String::new(), root.to_owned())]);
        let mut asked: VecDeque<String> = VecDeque::new();
        let mut leaves = Vec::new();
        let mut folders = 0;
        loop {
            while asked.len() < IN_FLIGHT_MAX {
                let Some((prefix, id)) = waiting.pop_front() else { break };
                self.ask(&id)?;
                asked.push_back(prefix);
            }
            let Some(prefix) = asked.pop_front() else { break };
            let head = match self.head()? {
                Some(head) if head.kind == "tree" => head,
                Some(_) | None if folders == 0 => return Ok(None),
                Some(_) | None => return Err(Fault::Garbled(format!("the folder `{prefix}` is missing"))),
            };
            folders += 1;
            let body = self.content(&head, TREE_BYTES_MAX, false)?;
            for leaf in parse_tree(&body, &prefix, head.id.len() / 2)? {
                match leaf.mode & MODE_KIND {
                    MODE_FOLDER => waiting.push_back((format!("{}/", leaf.path), leaf.id)),
                    _ => leaves.push(leaf),
                }
            }
            // Folders count too: a tree may hold the same folder a million times.
            let entries = (leaves.len() + folders + waiting.len()) as u64;
            if entries > caps.files.saturating_mul(2) || leaves.len() as u64 > caps.files {
                let message = format!("more than {} files in the repository", caps.files);
                return Err(ArchiveError::TooLarge(message).into());
            }
        }
        leaves.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(Some(leaves))
    }

    fn pack(&mut self, leaves: &[Leaf], packer: &mut Packer) -> Result<(), Fault> {
        let has_content = |leaf: &&Leaf| leaf.mode & MODE_KIND != MODE_SUBMODULE;
        let mut to_ask = leaves.iter().filter(has_content);
        for leaf in to_ask.by_ref().take(IN_FLIGHT_MAX) {
            self.ask(&leaf.id)?;
        }
        for leaf in leaves {
            if !has_content(&leaf) {
                packer.folder(&leaf.path)?;
                continue;
            }
            let head = self.head()?.filter(|head| head.kind == "blob");
            let head = head.ok_or_else(|| Fault::Garbled(format!("the file `{}` is missing", leaf.path)))?;
            if let Some(next) = to_ask.next() {
                self.ask(&next.id)?;
            }
            if leaf.mode & MODE_KIND == MODE_LINK {
                let target = String::from_utf8(self.content(&head, LINK_BYTES_MAX, false)?);
                let target = target.map_err(|_| not_text(&leaf.path))?;
                packer.link(&leaf.path, &target)?;
            } else {
                let mut content = self.output.by_ref().take(head.size);
                packer.file(&leaf.path, leaf.mode & 0o777, &mut content)?;
                if content.limit() > 0 {
                    return Err(ended().into());
                }
                self.line_end()?;
            }
        }
        Ok(())
    }

    fn ask(&mut self, name: &str) -> io::Result<()> {
        self.input.write_all(format!("{name}\n").as_bytes())
    }

    /// The head of the next answer; `None` when there is no such object.
    fn head(&mut self) -> Result<Option<Head>, Fault> {
        let mut line = Vec::new();
        self.output.by_ref().take(16 << 10).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(ended().into());
        }
        let line = String::from_utf8_lossy(&line);
        let parts: Vec<&str> = line.split(' ').collect();
        if let [id, kind, size] = parts[..]
            && let (true, Ok(size)) =
                (id.len() >= 40 && id.bytes().all(|b| b.is_ascii_hexdigit()), size.parse())
        {
            return Ok(Some(Head { id: id.to_owned(), kind: kind.to_owned(), size }));
        }
        // `<name> missing` and `<name> ambiguous`, and what later versions may say instead of an object.
        Ok(None)
    }

    /// An answer's content; what is beyond `max` bytes is an error, or dropped with `cut`.
    fn content(&mut self, head: &Head, max: u64, cut: bool) -> Result<Vec<u8>, Fault> {
        if head.size > max && !cut {
            return Err(ArchiveError::TooLarge(format!("object {} has {} bytes", head.id, head.size)).into());
        }
        let kept = head.size.min(max);
        let mut content = Vec::with_capacity(kept as usize);
        self.output.by_ref().take(kept).read_to_end(&mut content)?;
        let dropped = io::copy(&mut self.output.by_ref().take(head.size - kept), &mut io::sink())?;
        if content.len() as u64 + dropped != head.size {
            return Err(ended().into());
        }
        self.line_end()?;
        Ok(content)
    }

    fn line_end(&mut self) -> io::Result<()> {
        self.output.read_exact(&mut [0])
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it ended early")
}

fn not_text(path: &str) -> Fault {
    Fault::Garbled(format!("a name or a link's target is not UTF-8 text: `{path}`"))
}

/// A tree object: `<mode> <name>\0<id>` again and again.
fn parse_tree(mut body: &[u8], prefix: &str, id_bytes: usize) -> Result<Vec<Leaf>, Fault> {
    let garbled = || Fault::Garbled(format!("the folder `{prefix}` cannot be read"));
    let mut leaves = Vec::new();
    while !body.is_empty() {
        let space = body.iter().position(|byte| *byte == b' ').ok_or_else(garbled)?;
        let end = body.iter().position(|byte| *byte == 0).filter(|end| *end > space).ok_or_else(garbled)?;
        let id = body.get(end + 1..end + 1 + id_bytes).ok_or_else(garbled)?;
        let mode =
            std::str::from_utf8(&body[..space]).ok().and_then(|mode| u32::from_str_radix(mode, 8).ok());
        let Ok(name) = std::str::from_utf8(&body[space + 1..end]) else {
            return Err(not_text(&format!("{prefix}{}", String::from_utf8_lossy(&body[space + 1..end]))));
        };
        leaves.push(Leaf {
            path: format!("{prefix}{name}"),
            id: id.iter().map(|byte| format!("{byte:02x}")).collect(),
            mode: mode.ok_or_else(garbled)?,
        });
        body = &body[end + 1 + id_bytes..];
    }
    Ok(leaves)
}

/// A commit object: header lines, an empty line, the message.
fn parse_commit(id: String, body: &[u8]) -> Commit {
    let split = body.windows(2).position(|two| two == b"\n\n").unwrap_or(body.len());
    let header = String::from_utf8_lossy(&body[..split]);
    let message = body.get(split + 2..).unwrap_or_default();
    let field = |name: &str| header.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    // `Name <mail> 1572319941 +0100`
    let seconds =
        |name: &str| field(name).and_then(|line| line.rsplit(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let latin = field("encoding").is_some_and(|name| name.eq_ignore_ascii_case("iso-8859-1"));
    let message = match latin {
        true => message.iter().map(|byte| char::from(*byte)).collect(),
        false => String::from_utf8_lossy(message).into_owned(),
    };
    Commit {
        id,
        message: message.trim_end().to_owned(),
        author: person(field("author").unwrap_or_default()),
        author_seconds: seconds("author"),
        committer_seconds: seconds("committer"),
    }
}

/// Name and mail address out of `Name <mail> 1572319941 +0100`.
fn person(line: &str) -> (String, String) {
    let (name, rest) = line.split_once('<').unwrap_or((line, ""));
    let mail = rest.split_once('>').map_or("", |(mail, _)| mail);
    (name.trim().to_owned(), mail.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_commit_is_read_with_its_signature_and_its_encoding() {
        let body = b"tree 11\nparent 22\nauthor A B <a@b> 1572319941 +0100\ncommitter C <c@d> 5 -0700\n\
            gpgsig -----BEGIN\n author fake 7 +0000\n -----END\nencoding ISO-8859-1\n\nGr\xfc\xdfe\n\nmore\n\n";
        let commit = parse_commit("ab".into(), body);
        assert_eq!((commit.author_seconds, commit.committer_seconds), (1_572_319_941, 5));
        assert_eq!(commit.author, ("A B".to_owned(), "a@b".to_owned()));
        assert_eq!(commit.message, "Gr\u{fc}\u{df}e\n\nmore");
    }

    proptest! {
        #[test]
        fn no_object_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_tree(&bytes, "a/", 20);
            let _ = parse_commit("ab".into(), &bytes);
        }
    }
}
