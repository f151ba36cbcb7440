//! The real binary.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// The path of `towpath`, of the same profile as the test that asks. `cargo xtask test` builds it first; a test that
/// was started alone builds it itself when it is not there.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let own = env::current_exe().unwrap();
        // target/<profile>/deps/<test>
        let profile =
            own.parent().and_then(Path::parent).expect("a test lies two folders below the target's");
        let binary = profile.join("towpath");
        if !binary.exists() {
            build(profile);
        }
        assert!(binary.exists(), "`cargo build -p cli` made no `{}`", binary.display());
        binary
    })
}

fn build(profile: &Path) {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "cli", "--target-dir"]);
    cargo.arg(profile.parent().expect("a profile's folder lies in the target folder"));
    if profile.file_name() == Some(OsStr::new("release")) {
        cargo.arg("--release");
    }
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    assert!(cargo.status().unwrap().success(), "`towpath` could not be built");
}

/// A call of `towpath` that inherits nothing which could change what it does, and has no terminal.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    command.stdin(Stdio::null());
    plain(&mut command);
    command
}

/// Takes out of a command's environment what differs between machines.
pub fn plain(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("TOWPATH_") || name.starts_with("GIT_") || name.starts_with("AWS_") {
            command.env_remove(&*name);
        }
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").env("TZ", "UTC");
}
