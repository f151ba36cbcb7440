//! The log file of one action: capped, with secrets masked.
//!
//! Every write goes through to the file at once, so that someone who follows the file sees a quiet build's
//! last line; only bytes that may be the beginning of a secret wait for the next chunk. Nothing here fails a
//! build: when the disk refuses, output is counted as dropped.

use aho_corasick::AhoCorasick;
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

/// What a masked value is written as.
pub const MASK: &str = "***";
/// Secrets shorter than this are not masked: they would hide half of any text.
pub const SECRET_CHARS_MIN: usize = 4;
/// How much of the end of the output is kept in memory.
pub const TAIL_BYTES_MAX: usize = 64 * 1024;
/// The runner's own lines may exceed the cap by this much, so that the reason of a failure is always there.
const OWN_LINES_RESERVE_BYTES: u64 = 64 * 1024;
/// Unfinished output that waits for its next chunk never grows beyond this and the longest secret.
const HELD_BYTES_MAX: usize = 256 * 1024;
/// AWS access key ids: one of these, then 16 upper-case letters or digits.
const KEY_ID_PREFIXES: [&str; 2] = ["AKIA", "ASIA"];
const KEY_ID_BYTES: usize = 20;

static KEY_IDS_ONLY: LazyLock<Arc<Masker>> = LazyLock::new(|| Arc::new(Masker::new(Vec::new())));

/// A handle on one action's log. Clones write to the same file.
#[derive(Clone)]
pub struct ActionLog {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: File,
    bytes_max: u64,
    kept: u64,
    dropped: u64,
    at_line_start: bool,
    masker: Arc<Masker>,
    /// Bytes that may turn out to begin a secret.
    held: Vec<u8>,
    /// Chunk plus what was held before it; kept for its allocation.
    work: Vec<u8>,
    tail: Tail,
}

impl ActionLog {
    /// Opens the file for appending, making its folder. Beyond `bytes_max` bytes output is counted, not kept.
    pub fn open(path: &Path, bytes_max: u64) -> std::io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        let file = match options.open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
                options.open(path)?
            }
            opened => opened?,
        };
        let kept = file.metadata()?.len();
        let state = State {
            file,
            bytes_max,
            kept,
            dropped: 0,
            at_line_start: true,
            masker: KEY_IDS_ONLY.clone(),
            held: Vec::new(),
            work: Vec::new(),
            tail: Tail::default(),
        };
        Ok(Self { shared: Arc::new(Shared { path: path.to_owned(), state: Mutex::new(state) }) })
    }

    /// Values that must never appear in the log; each occurrence is written as `***`, across chunk borders.
    /// Values of fewer than [`SECRET_CHARS_MIN`] characters are ignored. AWS access key ids are masked
    /// always.
    pub fn mask(&self, secrets: impl IntoIterator<Item = String>) {
        let mut state = self.state();
        let mut all = state.masker.secrets.clone();
        for secret in secrets {
            if secret.chars().count() >= SECRET_CHARS_MIN && !all.contains(&secret) {
                all.push(secret);
            }
        }
        if all.len() > state.masker.secrets.len() {
            state.masker = Arc::new(Masker::new(all));
        }
    }

    /// Writes one line of the runner's own. An unfinished line of a process's output is ended first.
    pub fn line(&self, text: &str) {
        let mut state = self.state();
        state.release_held();
        state.end_line();
        let mut line = std::mem::take(&mut state.work);
        line.clear();
        line.extend_from_slice(text.as_bytes());
        line.push(b'\n');
        state.masked(&line, Origin::Runner, true);
        state.work = line;
    }

    /// Writes a chunk of a process's output as it came.
    pub fn bytes(&self, chunk: &[u8]) {
        let mut state = self.state();
        if state.held.is_empty() {
            state.masked(chunk, Origin::Process, false);
            return;
        }
        let mut work = std::mem::take(&mut state.work);
        work.clear();
        work.append(&mut state.held);
        work.extend_from_slice(chunk);
        state.masked(&work, Origin::Process, false);
        state.work = work;
    }

    /// Writes what was held back because it might have begun a secret: a process has ended, nothing follows.
    pub fn flush(&self) {
        self.state().release_held();
    }

    /// The last lines written, at most `lines` of them, for failure messages. Bytes that are not UTF-8 are
    /// replaced.
    pub fn tail(&self, lines: usize) -> Vec<String> {
        let text = self.tail_text();
        let mut last: Vec<String> = text.lines().rev().take(lines).map(str::to_owned).collect();
        last.reverse();
        last
    }

    /// The end of the output as one text, at most [`TAIL_BYTES_MAX`] bytes of it, masked like the file.
    pub fn tail_text(&self) -> String {
        let mut state = self.state();
        state.release_held();
        String::from_utf8_lossy(state.tail.bytes()).into_owned()
    }

    /// How many bytes were counted and not kept so far.
    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.release_held();
        if state.dropped > 0 {
            let break_line = if state.at_line_start { "" } else { "\n" };
            let text = format!(
                "{break_line}[towpath] {} bytes of output are not kept here: a log holds at most {} bytes \
                 (`limits.log-bytes` in towpath.toml)\n",
                state.dropped, state.bytes_max
            );
            if let Err(error) = state.file.write_all(text.as_bytes()) {
                tracing::warn!(path = %self.path.display(), %error, "the end of a log could not be written");
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Process,
    Runner,
}

impl State {
    /// Masks and writes; holds back an end that may begin a secret unless `last`.
    fn masked(&mut self, text: &[u8], origin: Origin, last: bool) {
        let masker = self.masker.clone();
        let mut written = 0;
        let verdict = masker.examine(text, last);
        for &(start, end) in &verdict.hidden {
            self.write(&text[written..start], origin);
            self.write(MASK.as_bytes(), origin);
            written = end;
        }
        self.write(&text[written..verdict.hold_from], origin);
        self.held.extend_from_slice(&text[verdict.hold_from..]);
    }

    fn release_held(&mut self) {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.masked(&held, Origin::Process, true);
        }
    }

    /// File and tail part ways beyond the cap, so each has its own idea of where a line starts.
    fn end_line(&mut self) {
        if self.tail.0.last().is_some_and(|last| *last != b'\n') {
            self.tail.push(b"\n");
        }
        if !self.at_line_start {
            self.store(b"\n", Origin::Runner);
        }
    }

    fn write(&mut self, text: &[u8], origin: Origin) {
        self.tail.push(text);
        self.store(text, origin);
    }

    fn store(&mut self, text: &[u8], origin: Origin) {
        let Some(last) = text.last() else { return };
        let reserve = match origin {
            Origin::Process => 0,
            Origin::Runner => OWN_LINES_RESERVE_BYTES,
        };
        let room = self.bytes_max.saturating_add(reserve).saturating_sub(self.kept);
        let take = usize::try_from(room).unwrap_or(usize::MAX).min(text.len());
        let kept = match self.file.write_all(&text[..take]) {
            Ok(()) => take,
            Err(error) => {
                if self.dropped == 0 {
                    tracing::warn!(%error, "a log could not be written");
                }
                0
            }
        };
        self.kept += kept as u64;
        self.dropped += (text.len() - kept) as u64;
        if kept > 0 {
            self.at_line_start = kept == text.len() && *last == b'\n';
        }
    }
}

/// Where in a text nothing may be shown.
struct Verdict {
    /// Byte ranges, ascending and apart.
    hidden: Vec<(usize, usize)>,
    /// What follows may be the beginning of a secret.
    hold_from: usize,
}

struct Masker {
    secrets: Vec<String>,
    automaton: Option<AhoCorasick>,
    longest: usize,
}

impl Masker {
    fn new(secrets: Vec<String>) -> Self {
        let patterns = secrets.iter().map(String::as_str).chain(KEY_ID_PREFIXES);
        let automaton = match AhoCorasick::new(patterns) {
            Ok(automaton) => Some(automaton),
            Err(error) => {
                tracing::error!(%error, "secrets cannot be masked: output is withheld");
                None
            }
        };
        let longest = secrets.iter().map(String::len).max().unwrap_or(0).max(KEY_ID_BYTES);
        Self { secrets, automaton, longest }
    }

    fn examine(&self, text: &[u8], last: bool) -> Verdict {
        // Gigabytes of secrets would be needed to get here; showing them would be the worse answer.
        let Some(automaton) = &self.automaton else {
            return Verdict { hidden: vec![(0, text.len())], hold_from: text.len() };
        };
        let mut hidden: Vec<(usize, usize)> = Vec::new();
        if self.secrets.is_empty() {
            // The common case: non-overlapping search, which skips ahead through ordinary text.
            for found in automaton.find_iter(text) {
                hidden.extend(key_id_end(text, found.start()).map(|end| (found.start(), end)));
            }
        } else {
            for found in automaton.find_overlapping_iter(text) {
                if found.pattern().as_usize() < self.secrets.len() {
                    hidden.push((found.start(), found.end()));
                } else {
                    hidden.extend(key_id_end(text, found.start()).map(|end| (found.start(), end)));
                }
            }
            hidden = merged(hidden);
        }
        let mut hold_from = if last { text.len() } else { self.unfinished(text) };
        while let Some(&(start, end)) = hidden.last()
            && end > hold_from
        {
            hold_from = hold_from.min(start);
            hidden.pop();
        }
        if text.len() - hold_from > HELD_BYTES_MAX + self.longest {
            // A secret that overlaps itself, printed without end: hide what is known and move on.
            hidden.push((hold_from, text.len()));
            hold_from = text.len();
        }
        Verdict { hidden, hold_from }
    }

    /// Where the longest end begins that may be the start of a secret; the text's length when there is none.
    fn unfinished(&self, text: &[u8]) -> usize {
        let first = text.len().saturating_sub(self.longest - 1);
        (first..text.len())
            .find(|&at| {
                let end = &text[at..];
                self.secrets.iter().any(|secret| {
                    secret.len() > end.len()
                        && secret.as_bytes()[0] == end[0]
                        && secret.as_bytes().starts_with(end)
                }) || begins_key_id(end)
            })
            .unwrap_or(text.len())
    }
}

fn merged(mut ranges: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    ranges.sort_unstable();
    let mut apart: Vec<(usize, usize)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match apart.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            Some(_) | None => apart.push((start, end)),
        }
    }
    apart
}

fn key_id_end(text: &[u8], start: usize) -> Option<usize> {
    let end = start + KEY_ID_BYTES;
    let id = text.get(start..end)?;
    id.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).then_some(end)
}

fn begins_key_id(end: &[u8]) -> bool {
    end[0] == b'A'
        && end.len() < KEY_ID_BYTES
        && KEY_ID_PREFIXES.iter().any(|prefix| {
            let compared = prefix.len().min(end.len());
            prefix.as_bytes()[..compared] == end[..compared]
        })
        && end.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// The end of everything written, in memory. Holds up to twice its promise and then forgets half at once,
/// which is cheaper than moving bytes with every chunk.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn push(&mut self, text: &[u8]) {
        let text = &text[text.len().saturating_sub(TAIL_BYTES_MAX)..];
        if self.0.len() + text.len() > 2 * TAIL_BYTES_MAX {
            let keep = TAIL_BYTES_MAX.saturating_sub(text.len());
            let forget = self.0.len().saturating_sub(keep);
            self.0.drain(..forget);
        }
        self.0.extend_from_slice(text);
    }

    fn bytes(&self) -> &[u8] {
        &self.0[self.0.len().saturating_sub(TAIL_BYTES_MAX)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "correct-horse-battery";

    fn written(bytes_max: u64, secrets: &[&str], work: impl FnOnce(&ActionLog)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/action.log");
        let log = ActionLog::open(&path, bytes_max).unwrap();
        log.mask(secrets.iter().map(|secret| (*secret).to_owned()));
        work(&log);
        drop(log);
        String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
    }

    #[test]
    fn lines_and_output_are_kept_in_order_and_lines_start_at_a_line_start() {
        let text = written(1000, &[], |log| {
            log.line("one");
            log.bytes(b"two without end");
            log.line("three");
        });
        assert_eq!(text, "one\ntwo without end\nthree\n");
    }

    #[test]
    fn a_secret_is_masked_wherever_the_chunks_break() {
        let whole = format!("before {SECRET} after\n");
        for cut in 0..=whole.len() {
            let text = written(1000, &[SECRET], |log| {
                log.bytes(&whole.as_bytes()[..cut]);
                log.bytes(&whole.as_bytes()[cut..]);
            });
            assert_eq!(text, "before *** after\n", "cut at {cut}");
        }
    }

    #[test]
    fn overlapping_secrets_leave_nothing_of_either() {
        let text = written(1000, &["abcdef", "defghi", "cdef"], |log| log.bytes(b"-abcdefghi-"));
        assert_eq!(text, "-***-");
    }

    #[test]
    fn access_key_ids_are_masked_without_being_told() {
        let text = written(1000, &[], |log| {
            log.bytes(b"key AKIAIOSFOD");
            log.bytes(b"NN7EXAMPLE, ASIA is a continent, AKIA");
        });
        assert_eq!(text, "key ***, ASIA is a continent, AKIA");
    }

    #[test]
    fn values_too_short_to_be_secrets_are_left_alone() {
        assert_eq!(written(1000, &["a", "yes"], |log| log.line("yes, a test")), "yes, a test\n");
    }

    #[test]
    fn the_runners_own_lines_are_masked_too() {
        assert_eq!(written(1000, &[SECRET], |log| log.line(&format!("x={SECRET}"))), "x=***\n");
    }

    #[test]
    fn beyond_the_cap_bytes_are_counted_and_said_once_while_own_lines_still_fit() {
        let text = written(10, &[], |log| {
            log.bytes(b"0123456789abcdef\n");
            log.line("Phase complete");
            assert_eq!(log.dropped(), 7);
            assert_eq!(log.tail(2), ["0123456789abcdef", "Phase complete"]);
        });
        assert_eq!(
            text,
            "0123456789\nPhase complete\n[towpath] 7 bytes of output are not kept here: a log holds at most \
             10 bytes (`limits.log-bytes` in towpath.toml)\n"
        );
    }

    #[test]
    fn binary_output_is_stored_as_it_came_and_the_tail_is_readable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = ActionLog::open(&path, 1000).unwrap();
        log.bytes(&[0, 159, 146, 150, b'\n', b'o', b'k']);
        assert_eq!(log.tail(1), ["ok"]);
        assert_eq!(fs::read(&path).unwrap(), [0, 159, 146, 150, b'\n', b'o', b'k']);
    }

    #[test]
    fn the_tail_is_the_end_of_a_long_output() {
        let folder = tempfile::tempdir().unwrap();
        let log = ActionLog::open(&folder.path().join("log"), 1 << 30).unwrap();
        for number in 0..100_000 {
            log.bytes(format!("{number}\n").as_bytes());
        }
        assert_eq!(log.tail(2), ["99998", "99999"]);
        assert_eq!(log.tail_text().len(), TAIL_BYTES_MAX);
    }

    #[test]
    fn a_secret_found_inside_the_start_of_another_waits_for_it() {
        let text = written(1000, &["abbb", "aabbbb"], |log| {
            log.bytes(b"aaabbb");
            log.bytes(b"b");
        });
        assert_eq!(text, "a***");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn masking_does_not_depend_on_where_chunks_break(
            text in "[ab]{0,40}",
            secrets in proptest::collection::vec("[ab]{4,6}", 0..3),
            cuts in proptest::collection::vec(0usize..40, 0..6),
        ) {
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let at_once = written(1000, &secrets, |log| log.bytes(text.as_bytes()));
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let in_pieces = written(1000, &secrets, |log| {
                for pair in cuts.windows(2) {
                    log.bytes(&text.as_bytes()[pair[0]..pair[1]]);
                }
            });
            prop_assert_eq!(&at_once, &in_pieces);
            for secret in secrets {
                prop_assert!(!at_once.contains(secret));
            }
        }
    }
}
