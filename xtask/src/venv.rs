//! Python's virtual environments, made once from pinned requirements.

use crate::tools;
use anyhow::{Context as _, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The file in a virtual environment that holds the requirements it was made from.
const STAMP: &str = "towpath-requirements.txt";

/// Makes a virtual environment with these packages, unless it is there already and `program` answers to `question`.
/// Returns its folder of programs.
pub(crate) fn make(
    folder: &Path,
    requirements: &str,
    (program, question): (&str, &str),
) -> anyhow::Result<PathBuf> {
    let programs = folder.join("bin");
    let stamp = folder.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == requirements) {
        // The stamp survives an upgrade of the system's Python; the programs may not.
        if tools::quiet(Command::new(programs.join(program)).arg(question)).is_ok() {
            return Ok(programs);
        }
    }
    tools::step(&format!("Installing `{program}` and what belongs to it, from PyPI (once)"));
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove `{}`", folder.display()))?;
    }
    if let Err(error) = tools::quiet(Command::new("python3").args(["-m", "venv"]).arg(folder)) {
        bail!(
            "Python cannot make virtual environments: `apt-get install python3-venv` helps on Debian ({error:#})"
        );
    }
    let list = folder.join("requirements.txt");
    fs::write(&list, requirements)?;
    let mut install = Command::new(programs.join("python"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    if !tools::shown(install.arg(&list))? {
        bail!(
            "the Python packages could not be installed: is PyPI, or the index pip is set up for, reachable?"
        );
    }
    // Last, so that an installation that broke off is begun anew.
    fs::rename(&list, &stamp)?;
    Ok(programs)
}
