//! How commands share a state: each runs in a shell of its own, and environment and directory are carried
//! from one to the next (`spec/buildspec-and-appspec.md`, A4).
//!
//! One fork per command. The shell itself writes its exported variables when it exits, with a builtin; the
//! next command gets them as its environment. Nothing is sourced, so nothing a command does to its shell
//! (options, functions, aliases, traps) survives it.

use super::buildspec::Shell;
use crate::process::{Children, Command, DRAIN_GRACE, Drain, Ended, StartError};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};
use tokio::time::Instant;

/// Scripts longer than this go through a file: Linux takes at most 128 KiB in one argument.
const ARGUMENT_BYTES_MAX: usize = 100 * 1024;
/// The last line of a state that was written whole.
const STATE_END: &str = "#end";
/// What a shell keeps about itself.
const NOT_CARRIED: [&str; 3] = ["_", "SHLVL", "_towpath"];

/// The commands of one build.
pub(super) struct Session {
    children: Children,
    shell: Shell,
    /// What the build began with, and what version 0.1 gives to every command.
    first: BTreeMap<String, String>,
    source: PathBuf,
    forgets_state: bool,
    /// `None` when the environment is still the first.
    carried: Option<BTreeMap<String, String>>,
    folder: PathBuf,
    pub(super) succeeding: bool,
}

/// One command of a phase.
pub(super) struct Step<'a> {
    pub(super) text: &'a str,
    /// Whether anything needs the state it leaves behind.
    pub(super) save: bool,
    pub(super) user: Option<(u32, u32)>,
    pub(super) deadline: Instant,
}

impl Session {
    /// Commands start in `source` with `environment`; `folder` is for the session's own files.
    pub(super) fn new(
        children: Children,
        (shell, forgets_state): (Shell, bool),
        environment: BTreeMap<String, String>,
        source: &Path,
        folder: &Path,
    ) -> Self {
        Self {
            children,
            shell,
            first: environment,
            source: source.to_owned(),
            forgets_state,
            carried: None,
            folder: folder.to_owned(),
            succeeding: true,
        }
    }

    /// Runs one command and takes over the state it leaves.
    pub(super) async fn run(&mut self, step: &Step<'_>) -> Result<Ended, StartError> {
        let state = self.folder.join("state");
        let script = script(step.text, step.save.then_some(state.as_path()));
        let mut environment =
            if self.forgets_state { self.first.clone() } else { self.variables().into_owned() };
        let cwd = match environment.get("PWD") {
            Some(folder) if folder.starts_with('/') => PathBuf::from(folder),
            Some(_) | None => self.source.clone(),
        };
        environment.insert("CODEBUILD_BUILD_SUCCEEDING".to_owned(), u8::from(self.succeeding).to_string());
        let file;
        let args: [&OsStr; 2] = if script.len() <= ARGUMENT_BYTES_MAX {
            [OsStr::new("-c"), &script]
        } else {
            file = self.folder.join("command.sh");
            let program = Path::new("command.sh").to_owned();
            fs::write(&file, script.as_bytes()).map_err(|source| StartError::Refused { program, source })?;
            [OsStr::new("--"), file.as_os_str()]
        };
        let program = match self.shell {
            Shell::Sh => Path::new("/bin/sh"),
            Shell::Bash => Path::new("bash"),
        };
        let ended = self
            .children
            .run(&Command {
                program,
                args: &args,
                cwd: &cwd,
                env: &environment,
                stdin: None,
                user: step.user,
                deadline: Some(step.deadline),
                drain: Drain::Grace(DRAIN_GRACE),
            })
            .await?;
        if step.save
            && let Some(saved) = fs::read(&state).ok().and_then(|text| read_exports(&text))
        {
            self.carried = Some(self.with_strange_names(saved));
        }
        Ok(ended)
    }

    /// Ends what the commands left running, and forgets the state: it may hold secrets, and the workspace of a
    /// failed build is kept. Returns how many processes were told to end.
    pub(super) async fn end(self) -> usize {
        let told = self.children.end().await;
        // Not there when no command saved one.
        let _ = fs::remove_file(self.folder.join("state"));
        told
    }

    /// The variables as the last command left them.
    pub(super) fn variables(&self) -> Cow<'_, BTreeMap<String, String>> {
        Cow::Borrowed(self.carried.as_ref().unwrap_or(&self.first))
    }

    /// Shells forget variables whose names they cannot spell (`a.b`); programs may still want them.
    fn with_strange_names(&self, mut saved: BTreeMap<String, String>) -> BTreeMap<String, String> {
        for (name, value) in self.first.iter().filter(|(name, _)| !is_shell_name(name)) {
            saved.insert(name.clone(), value.clone());
        }
        saved
    }
}

/// Whether a shell can have a variable of this name.
pub(super) fn is_shell_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The text the shell runs. `set -a` exports what a command merely assigns; the trap writes the state, also
/// when the command calls `exit`.
fn script(text: &str, state: Option<&Path>) -> OsString {
    let Some(state) = state else {
        // Nothing after the text, so that the shell may become the last program instead of waiting for it.
        return OsString::from(format!("set -a; {}", text.trim_end_matches('\n')));
    };
    let mut save = b"{ _towpath=$?; set +xa; } 2>/dev/null; { export -p; echo '#end'; } >|".to_vec();
    save.extend(quoted(state.as_os_str().as_bytes()));
    let mut script = b"trap ".to_vec();
    script.extend(quoted(&save));
    script.extend(b" 0; set -a; ");
    script.extend(text.as_bytes());
    if text.contains("trap") {
        // The command may have an EXIT trap of its own, which replaces ours.
        script.extend(b"\n\n");
        script.extend(&save);
        script.extend(b"; exit $_towpath");
    }
    OsString::from_vec(script)
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in text {
        match byte {
            b'\'' => quoted.extend(br"'\''"),
            _ => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// Reads what `export -p` wrote, in the spelling of any POSIX shell or bash. `None` when it is not whole.
/// Values that are not UTF-8 have their odd bytes replaced; arrays are left out.
fn read_exports(text: &[u8]) -> Option<BTreeMap<String, String>> {
    let text = text.strip_suffix(b"\n")?.strip_suffix(STATE_END.as_bytes())?;
    let mut scan = Scan { text, at: 0 };
    let mut variables = BTreeMap::new();
    while !scan.done() {
        let verb = scan.word()?;
        if !matches!(verb.as_slice(), b"export" | b"declare" | b"typeset") {
            return None;
        }
        let mut word = scan.word()?;
        while word.starts_with(b"-") {
            word = scan.word()?;
        }
        scan.end_line();
        let Some(equals) = word.iter().position(|byte| *byte == b'=') else { continue };
        let (Ok(name), value) = (std::str::from_utf8(&word[..equals]), &word[equals + 1..]) else {
            return None;
        };
        if is_shell_name(name) && !NOT_CARRIED.contains(&name) {
            variables.insert(name.to_owned(), String::from_utf8_lossy(value).into_owned());
        }
    }
    Some(variables)
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn done(&self) -> bool {
        self.at >= self.text.len()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.text.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn end_line(&mut self) {
        while self.text.get(self.at).is_some_and(|byte| *byte == b'\n') {
            self.at += 1;
        }
    }

    /// One word with its quotes taken off; stands behind the blank after it, or on the line's end.
    fn word(&mut self) -> Option<Vec<u8>> {
        let mut word = Vec::new();
        loop {
            match self.text.get(self.at).copied() {
                None | Some(b'\n') => return Some(word),
                Some(b' ') => {
                    self.at += 1;
                    return Some(word);
                }
                Some(b'\'') => {
                    self.at += 1;
                    loop {
                        match self.next()? {
                            b'\'' => break,
                            byte => word.push(byte),
                        }
                    }
                }
                Some(b'"') => {
                    self.at += 1;
                    self.double_quoted(&mut word)?;
                }
                Some(b'$') if self.text.get(self.at + 1) == Some(&b'\'') => {
                    self.at += 2;
                    self.ansi_quoted(&mut word)?;
                }
                Some(b'\\') => {
                    self.at += 1;
                    word.push(self.next()?);
                }
                Some(b'(') if word.ends_with(b"=") => {
                    // An array: programs never see it, so it is not carried.
                    self.skip_array()?;
                    return Some(Vec::new());
                }
                Some(byte) => {
                    self.at += 1;
                    word.push(byte);
                }
            }
        }
    }

    fn double_quoted(&mut self, word: &mut Vec<u8>) -> Option<()> {
        loop {
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => match self.next()? {
                    byte @ (b'"' | b'\\' | b'$' | b'`') => word.push(byte),
                    b'\n' => {}
                    byte => word.extend([b'\\', byte]),
                },
                byte => word.push(byte),
            }
        }
    }

    /// `$'…'`, bash's spelling of values with control characters.
    fn ansi_quoted(&mut self, word: &mut Vec<u8>) -> Option<()> {
        loop {
            match self.next()? {
                b'\'' => return Some(()),
                b'\\' => match self.next()? {
                    b'a' => word.push(7),
                    b'b' => word.push(8),
                    b'e' | b'E' => word.push(27),
                    b'f' => word.push(12),
                    b'n' => word.push(b'\n'),
                    b'r' => word.push(b'\r'),
                    b't' => word.push(b'\t'),
                    b'v' => word.push(11),
                    first @ b'0'..=b'7' => {
                        let mut value = u32::from(first - b'0');
                        for _ in 0..2 {
                            let Some(digit @ b'0'..=b'7') = self.text.get(self.at) else { break };
                            value = value * 8 + u32::from(digit - b'0');
                            self.at += 1;
                        }
                        word.push((value & 0xff) as u8);
                    }
                    byte => word.push(byte),
                },
                byte => word.push(byte),
            }
        }
    }

    fn skip_array(&mut self) -> Option<()> {
        let mut ignored = Vec::new();
        loop {
            match self.next()? {
                b')' => return Some(()),
                b'"' => self.double_quoted(&mut ignored)?,
                b'$' if self.text.get(self.at) == Some(&b'\'') => {
                    self.at += 1;
                    self.ansi_quoted(&mut ignored)?;
                }
                b'\'' => while self.next()? != b'\'' {},
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{output::ActionLog, process::End};
    use std::time::Duration;
    use tokio::sync::watch;

    struct Stage {
        folder: tempfile::TempDir,
        log: ActionLog,
        session: Session,
    }

    fn stage(shell: Shell, forgets_state: bool) -> Stage {
        let folder = tempfile::Builder::new().prefix("it's a ").tempdir().unwrap();
        let log = ActionLog::open(&folder.path().join("log"), 1 << 20).unwrap();
        let (_, cancelled) = watch::channel(false);
        let source = folder.path().join("src");
        fs::create_dir_all(source.join("sub")).unwrap();
        let environment = BTreeMap::from([
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            ("PWD".to_owned(), source.display().to_string()),
            ("A".to_owned(), "first".to_owned()),
            ("dotted.name".to_owned(), "kept".to_owned()),
        ]);
        let children = Children::new(&log, &cancelled);
        let session = Session::new(children, (shell, forgets_state), environment, &source, folder.path());
        Stage { folder, log, session }
    }

    impl Stage {
        async fn run(&mut self, text: &str, save: bool) -> i32 {
            let deadline = Instant::now() + Duration::from_secs(60);
            let ended = self.session.run(&Step { text, save, user: None, deadline }).await.unwrap();
            let End::Exited(status) = ended.end else { panic!("{ended:?}") };
            status
        }

        async fn says(&mut self, text: &str) -> String {
            let before = self.log.tail_text().len();
            self.run(text, true).await;
            self.log.tail_text()[before..].trim_end().to_owned()
        }
    }

    const SHELLS: [Shell; 2] = [Shell::Sh, Shell::Bash];

    #[tokio::test]
    async fn directory_and_variables_are_carried_and_nothing_else() {
        for shell in SHELLS {
            let mut stage = stage(shell, false);
            stage.run("cd sub; X=1; set -u; f() { :; }; unset A", true).await;
            assert!(stage.says("pwd").await.ends_with("/src/sub"));
            assert_eq!(stage.says("echo \"$X/${A-unset}/$NOT_SET\"").await, "1/unset/");
            assert_eq!(stage.says("env | grep '^X='").await, "X=1", "assigned variables are exported");
            assert!(stage.says("f").await.contains("not found"));
            if shell == Shell::Bash {
                // dash hands on only what it can spell.
                assert_eq!(stage.says("env | grep dotted").await, "dotted.name=kept");
            }
            assert_eq!(stage.says("cd ..; cd - >/dev/null; basename \"$OLDPWD\"").await, "src");
        }
    }

    #[tokio::test]
    async fn version_0_1_starts_afresh_every_time() {
        let mut stage = stage(Shell::Sh, true);
        stage.run("cd sub; X=1", true).await;
        assert!(stage.says("pwd").await.ends_with("/src"));
        assert_eq!(stage.says("echo \"[$X]\"").await, "[]");
    }

    #[tokio::test]
    async fn state_is_kept_when_a_command_exits_fails_or_sets_its_own_trap() {
        for shell in SHELLS {
            let mut stage = stage(shell, false);
            assert_eq!(stage.run("X=1; exit 7", true).await, 7);
            assert_eq!(stage.run("set -e; Y=2; false; Y=3", true).await, 1);
            assert_eq!(stage.run("trap 'echo bye' EXIT; Z=3; false", true).await, 1);
            assert!(stage.log.tail_text().ends_with("bye\n"));
            assert_eq!(stage.says("echo $X$Y$Z").await, "123");
            assert_ne!(stage.run("if then", true).await, 0);
            assert_eq!(stage.says("echo $X # still there").await, "1");
            assert_eq!(stage.says("set -xC; : nothing").await, "+ : nothing", "our own work is not traced");
        }
    }

    #[tokio::test]
    async fn only_the_last_status_counts() {
        let mut stage = stage(Shell::Sh, false);
        assert_eq!(stage.run("false; true", true).await, 0);
        assert_eq!(stage.run("false | true", false).await, 0);
        assert_eq!(stage.run("true\nfalse\n", false).await, 1);
        assert_eq!(stage.run("echo a \\", true).await, 0);
    }

    #[tokio::test]
    async fn values_of_any_kind_survive() {
        let values =
            ["", " a  b ", "it's", "\"q\" `x` $y \\ \\n", "two\nlines\n\n", "tab\there", "\u{1b}[0m ümlaut"];
        for shell in SHELLS {
            let mut stage = stage(shell, false);
            for (index, value) in values.iter().enumerate() {
                stage.session.first.insert(format!("V{index}"), (*value).to_owned());
            }
            stage.run("V_NEW=$(printf 'a\\001b')", true).await;
            for (index, value) in values.iter().enumerate() {
                assert_eq!(stage.session.variables()[&format!("V{index}")], *value, "{shell:?}");
            }
            assert_eq!(stage.session.variables()["V_NEW"], "a\u{1}b");
        }
        let mut stage = stage(Shell::Bash, false);
        stage.run("list=(a ')' \"b c\"); declare -i number=3; readonly fixed=1", true).await;
        assert_eq!(stage.run("number=x; fixed=2; [ \"$number$fixed${list-}\" = x2 ]", true).await, 0);
    }

    #[tokio::test]
    async fn a_long_script_runs_from_a_file() {
        let mut stage = stage(Shell::Sh, false);
        let text = format!("X=1\n{}echo $X done", ": a line of no meaning\n".repeat(10_000));
        assert_eq!(stage.says(&text).await, "1 done");
        assert!(stage.folder.path().join("command.sh").exists());
    }

    #[test]
    fn a_state_that_is_not_whole_is_not_taken() {
        assert_eq!(read_exports(b"export A='1'\nexport B='tw"), None);
        assert_eq!(read_exports(b"export A='1'\n"), None);
        assert_eq!(read_exports(b"rm -rf x\n#end\n"), None);
        let read = read_exports(b"export A='1'\nexport B\n#end\n").unwrap();
        assert_eq!(read, BTreeMap::from([("A".to_owned(), "1".to_owned())]));
    }
}
