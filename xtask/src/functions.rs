//! The Lambda functions as files: which there are, their ZIPs, and a copy of the template that points at those.

use crate::tools;
use anyhow::{Context as _, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where each function's few lines lie.
const BINARIES: &str = "functions/lambda/src/bin";
/// The line of the template that says where the source is; a copy says for each function where its ZIP is instead.
const SOURCE: &str = "    CodeUri: functions/lambda/\n";
/// What Lambda looks for in a ZIP.
const EXECUTABLE: &str = "bootstrap";

/// The functions' names, sorted.
pub(crate) fn names() -> anyhow::Result<Vec<String>> {
    let folder = tools::root().join(BINARIES);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read `{}`", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().and_then(|name| name.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    ensure!(!names.is_empty(), "no function in `{}`", folder.display());
    Ok(names)
}

/// Builds the functions as cargo builds anything, for an emulator on this machine, and packs them: a folder with a ZIP
/// to each, and the template.
pub(crate) fn for_emulator() -> anyhow::Result<PathBuf> {
    tools::step("Building the functions");
    if !tools::shown(&mut tools::cargo(&["build", "--locked", "--package", "lambda", "--bins"])?)? {
        bail!("the functions do not build");
    }
    let target = tools::target()?;
    let folder = target.join("emulated-functions");
    for name in names()? {
        let (built, own) = (target.join("debug").join(&name), folder.join(&name));
        let zip = own.join("bootstrap.zip");
        if is_newer(&zip, &built) {
            continue;
        }
        fs::create_dir_all(&own)?;
        let executable = own.join(EXECUTABLE);
        fs::copy(&built, &executable).with_context(|| format!("cannot read `{}`", built.display()))?;
        // Only makes the ZIP smaller: it does without where there is no `strip`.
        let _ = tools::quiet(Command::new("strip").arg(&executable));
        let _ = fs::remove_file(&zip);
        let mut pack = Command::new("python3");
        pack.args(["-m", "zipfile", "-c", "bootstrap.zip", EXECUTABLE]).current_dir(&own);
        tools::quiet(&mut pack)?;
        fs::remove_file(&executable)?;
    }
    template(&folder)?;
    Ok(folder)
}

fn is_newer(this: &Path, that: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    matches!((changed(this), changed(that)), (Some(this), Some(that)) if this > that)
}

/// Writes a copy of the template into a folder that holds `<function>/bootstrap.zip`.
pub(crate) fn template(folder: &Path) -> anyhow::Result<()> {
    let path = tools::root().join("template.yaml");
    let template = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    fs::write(folder.join("template.yaml"), packed(&template, &names()?)?)?;
    Ok(())
}

/// The template with a ZIP to each function in place of the source of all. `aws cloudformation package` does not look
/// into `Globals`, so each says it itself.
fn packed(template: &str, names: &[String]) -> anyhow::Result<String> {
    ensure!(template.contains(SOURCE), "template.yaml lacks the line {SOURCE:?}");
    let mut packed = template.replacen(SOURCE, "", 1);
    for name in names {
        let before = format!("      BuildProperties: {{ Binary: {name} }}\n    Properties:\n");
        ensure!(packed.contains(&before), "template.yaml has no function with the lines {before:?}");
        packed = packed.replacen(&before, &format!("{before}      CodeUri: {name}/bootstrap.zip\n"), 1);
    }
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_the_copy_has_its_own_zip() {
        let template =
            fs::read_to_string(tools::root().join("template.yaml")).expect("the template is there");
        let names = ["api", "sweep"].map(str::to_owned);
        let packed = packed(&template, &names).expect("both are in the template");
        assert!(packed.contains("      CodeUri: api/bootstrap.zip\n"));
        assert!(packed.contains("      CodeUri: sweep/bootstrap.zip\n"));
        assert!(!packed.contains(SOURCE));
        assert!(super::packed(&template, &["unheard-of".to_owned()]).is_err());
    }
}
