//! What the tasks share: where things lie, which programs must be there, running one and watching it.

use anyhow::{Context as _, bail, ensure};
use std::{
    env,
    ffi::OsStr,
    io::{BufRead as _, BufReader, IsTerminal as _, Read, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// The oldest versions that will do, with where to get a newer one.
const NODE: Wanted = Wanted {
    program: "node",
    oldest: (18, 17),
    get: "install Node.js 18.17 or newer (Debian 12: `apt-get install nodejs`)",
};
const GIT: Wanted =
    Wanted { program: "git", oldest: (2, 25), get: "install git 2.25 or newer (`apt-get install git`)" };
const PYTHON: Wanted = Wanted {
    program: "python3",
    oldest: (3, 10),
    get: "install Python 3.10 or newer (`apt-get install python3 python3-venv`)",
};
const NPM: Wanted = Wanted {
    program: "npm",
    oldest: (7, 0),
    get: "install npm 7 or newer (Debian 12: `apt-get install npm`)",
};

struct Wanted {
    program: &'static str,
    oldest: (u32, u32),
    get: &'static str,
}

/// The top of the clone.
pub(crate) fn root() -> &'static Path {
    // xtask stands directly below it.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The folder for everything that is expensive to make and may be deleted at any time.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    // An empty or relative value counts as unset, as the XDG specification has it.
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    Ok(base.context("neither HOME nor XDG_CACHE_HOME is set: there is no place for a cache")?.join("towpath"))
}

/// Where the tasks have cargo build: outside of the clone, unless told otherwise.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        // Cargo reads it relative to where it was called, and a task calls cargo from the top.
        Some(folder) if !folder.is_empty() => Ok(env::current_dir()?.join(folder)),
        Some(_) | None => Ok(cache()?.join("target")),
    }
}

/// Cargo, at the top of the clone, building into [`target`].
pub(crate) fn cargo(arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root()).env("CARGO_TARGET_DIR", target()?);
    if std::io::stderr().is_terminal() && env::var_os("CARGO_TERM_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    Ok(command)
}

/// True when cargo knows this subcommand.
pub(crate) fn cargo_has(subcommand: &str) -> bool {
    cargo(&[subcommand, "--version"]).is_ok_and(|mut command| quiet(&mut command).is_ok())
}

/// Makes sure that git and Node are there and new enough.
pub(crate) fn need_git_and_node() -> anyhow::Result<()> {
    need(&GIT)?;
    need(&NODE)
}

/// Makes sure that Python is there and new enough.
pub(crate) fn need_python() -> anyhow::Result<()> {
    need(&PYTHON)
}

/// Makes sure that npm is there and new enough, and a Node that the JavaScript SDK runs on.
pub(crate) fn need_npm() -> anyhow::Result<()> {
    need(&NPM)?;
    need(&Wanted { oldest: (20, 0), get: "install Node.js 20 or newer: the JavaScript SDK needs it", ..NODE })
}

fn need(wanted: &Wanted) -> anyhow::Result<()> {
    let Wanted { program, oldest, get } = wanted;
    let said = quiet(Command::new(program).arg("--version"))
        .map_err(|_| anyhow::anyhow!("`{program}` is not installed, or does not run: {get}"))?;
    let found = version(&said).with_context(|| format!("`{program} --version` says {said:?}: {get}"))?;
    ensure!(found >= *oldest, "`{program}` has version {}.{}, which is too old: {get}", found.0, found.1);
    Ok(())
}

/// The first `number.number` in a text.
fn version(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let mut numbers = word.split('.').map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
            _ => None,
        }
    })
}

/// Runs a program without showing what it says, and returns that. An error carries it.
pub(crate) fn quiet(command: &mut Command) -> anyhow::Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", name(command)))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({}): {}{}", name(command), output.status, complaint, said);
    }
    Ok(said.trim().to_owned())
}

/// Runs a program that talks to the terminal itself. True when it succeeded.
pub(crate) fn shown(command: &mut Command) -> anyhow::Result<bool> {
    let status = command.status().with_context(|| format!("cannot start {}", name(command)))?;
    Ok(status.success())
}

/// Runs a program, passes on what it says as it says it, and returns that too, without colours.
pub(crate) fn watched(command: &mut Command) -> anyhow::Result<(bool, String)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", name(command)))?;
    let errors = child.stderr.take().map(|stderr| thread::spawn(move || pass_on(stderr, true)));
    let mut said = child.stdout.take().map(|stdout| pass_on(stdout, false)).unwrap_or_default();
    if let Some(errors) = errors {
        said.push_str(&errors.join().unwrap_or_default());
    }
    Ok((child.wait()?.success(), said))
}

fn pass_on(from: impl Read, is_error: bool) -> String {
    let mut lines = BufReader::new(from);
    let (mut all, mut line) = (String::new(), Vec::new());
    while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // A terminal that went away is no reason to stop the work.
        let _ = match is_error {
            true => std::io::stderr().write_all(&line),
            false => std::io::stdout().write_all(&line),
        };
        all.push_str(&plain(&String::from_utf8_lossy(&line)));
        line.clear();
    }
    all
}

/// A text without the terminal's colour sequences.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest);
    }
    plain + rest
}

fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args().take(3));
    format!("`{}`", words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" "))
}

/// Copies a folder; entries of these names are left out, wherever they are.
pub(crate) fn copy_folder(from: &Path, to: &Path, without: &[&str]) -> anyhow::Result<()> {
    let said = |what: &str, path: &Path| format!("cannot {what} `{}`", path.display());
    std::fs::create_dir_all(to).with_context(|| said("make", to))?;
    for entry in std::fs::read_dir(from).with_context(|| said("read", from))? {
        let entry = entry?;
        if without.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target, without)?;
        } else {
            // Takes the mode bits along: scripts stay executable.
            std::fs::copy(entry.path(), &target).with_context(|| said("write", &target))?;
        }
    }
    Ok(())
}

/// A duration as a person reads it.
pub(crate) fn readable(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60.. => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// Announces the next step.
pub(crate) fn step(what: &str) {
    println!("\n==> {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (said, expected) in [
            ("git version 2.39.5 (Apple Git-154)", Some((2, 39))),
            ("v20.20.2", Some((20, 20))),
            ("Python 3.11.7", Some((3, 11))),
            ("no number", None),
        ] {
            assert_eq!(version(said), expected, "{said}");
        }
    }

    #[test]
    fn colours_are_taken_out_and_text_stays() {
        assert_eq!(plain("a \u{1b}[1;32mgreen\u{1b}[0m word"), "a green word");
        assert_eq!(plain("cut off \u{1b}[1"), "cut off ");
        assert_eq!(plain("nothing"), "nothing");
    }
}
