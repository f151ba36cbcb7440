//! A temporary folder that is a small git repository with a pipeline in it.

use crate::towpath;
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// A folder that is gone when this value is.
pub struct Folder {
    dir: TempDir,
}

/// How a call of `towpath` ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Asserts the exit code, and shows everything when it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "--- out\n{}\n--- err\n{}", self.out, self.err);
        self
    }

    /// Asserts that the output holds each text.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.out.contains(text), "`{text}` is not in\n{}\n--- err\n{}", self.out, self.err);
        }
        self
    }

    /// Asserts that the errors hold each text, and nothing a person could not read.
    #[track_caller]
    pub fn complains(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.err.contains(text), "`{text}` is not in\n{}\n--- out\n{}", self.err, self.out);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Folder {
    /// An empty folder.
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A git repository with one commit that holds these files and `pipeline.json`.
    pub fn repository(pipeline: &Value, files: &[(&str, &str)]) -> Self {
        let folder = Self::new();
        folder.git(&["init", "--quiet", "--initial-branch=main"]);
        folder.write(".gitignore", ".towpath\n");
        folder.write("pipeline.json", &serde_json::to_string_pretty(pipeline).unwrap());
        for (name, text) in files {
            folder.write(name, text);
        }
        folder.commit("First commit");
        folder
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path in it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The state folder of `towpath run`.
    pub fn state(&self) -> PathBuf {
        self.at(".towpath")
    }

    /// Writes a file, with its folders.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes a program.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Reads a file; empty when there is none.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    /// Runs git here and returns what it printed.
    pub fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        towpath::plain(&mut git);
        for role in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{role}_NAME"), "Ada").env(format!("GIT_{role}_EMAIL"), "ada@example.com");
        }
        let done = git.args(arguments).current_dir(self.path()).stdin(Stdio::null()).output().unwrap();
        assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Commits everything; returns the commit.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A call of `towpath` in this folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = towpath::command();
        command.args(arguments).current_dir(self.path());
        command
    }

    /// Calls `towpath` in this folder and waits for its end.
    pub fn towpath(&self, arguments: &[&str]) -> Ran {
        let done = self.command(arguments).output().unwrap();
        Ran {
            code: done.status.code(),
            out: String::from_utf8_lossy(&done.stdout).into_owned(),
            err: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }
}
