//! The SDKs that the tests talk to Towpath with: installed and built aside, pinned by the lock files in
//! `tests/clients`, so that nothing of them gets into the workspace.

use crate::tools;
use anyhow::{Context as _, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const PACKAGE: &str = include_str!("../../tests/clients/javascript/package.json");
const PACKAGE_LOCK: &str = include_str!("../../tests/clients/javascript/package-lock.json");

/// The file that says which lock file the installed packages were made from.
const STAMP: &str = "towpath-package-lock.json";

/// Installs the JavaScript SDK into a folder, unless it is there already. Returns its `node_modules`.
pub(crate) fn node_modules(folder: &Path) -> anyhow::Result<PathBuf> {
    let stamp = folder.join(STAMP);
    let modules = folder.join("node_modules");
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == PACKAGE_LOCK) && modules.is_dir() {
        return Ok(modules);
    }
    tools::step("Installing the JavaScript SDK for the tests (once)");
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove `{}`", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    fs::write(folder.join("package.json"), PACKAGE)?;
    fs::write(folder.join("package-lock.json"), PACKAGE_LOCK)?;
    let mut install = Command::new("npm");
    install.args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
    if !tools::shown(&mut install)? {
        bail!("the JavaScript packages could not be installed: is the registry npm is set up for reachable?");
    }
    // Last, so that an installation that broke off is begun anew.
    fs::write(stamp, PACKAGE_LOCK)?;
    Ok(modules)
}

/// Builds the client on the Rust SDK. Its path, or nothing when it does not build.
pub(crate) fn rust_client() -> anyhow::Result<Option<PathBuf>> {
    tools::step("Building the client on the Rust SDK");
    let target = tools::target()?.join("rust-client");
    let manifest = "tests/clients/rust/Cargo.toml";
    let mut build = tools::cargo(&["build", "--locked", "--quiet", "--manifest-path", manifest])?;
    build.env("CARGO_TARGET_DIR", &target);
    Ok(tools::shown(&mut build)?.then(|| target.join("debug/rust-client")))
}
