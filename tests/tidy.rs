//! House rules as tests: what STYLE.md and ARCHITECTURE.md promise and a machine can check by reading files.
//!
//! Each test lists everything that breaks its rule, with path and line. A rule that has to give way is changed
//! here, in a change of its own that says why. What stored events promise is held by `events/tests/golden.rs`.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use walkdir::WalkDir;

/// Lines of a source file, most.
const FILE_LINES_MAX: usize = 800;

/// Generated, or the vendored contract of somebody else: not for people to keep short or wordy.
const GENERATED: &[&str] =
    &["functions/api/src/model.rs", "functions/api/model/service-2.json", "Cargo.lock"];

/// Folders that hold what programs left behind.
const SKIPPED_FOLDERS: &[&str] =
    &["target", ".git", ".towpath", "node_modules", "dist", "reports", "results"];

/// What each crate may use of the project. A crate that is not listed is not allowed to exist.
const OWN: &[(&str, &[&str])] = &[
    ("events", &[]),
    ("domain", &["events"]),
    ("engine", &["events", "domain"]),
    ("local", &["events", "domain", "engine"]),
    // Signatures and the shapes of S3 are in `api`.
    ("aws", &["events", "domain", "engine", "api"]),
    ("api", &[]),
    ("handlers", &["events", "domain", "engine", "api"]),
    ("cli", &["events", "domain", "engine", "local", "api", "handlers"]),
    ("lambda", &["events", "domain", "engine", "aws", "api", "handlers"]),
    ("tests", &["events", "domain", "engine", "local", "aws", "api", "handlers", "cli"]),
    ("sim", &["events", "domain", "engine", "api", "handlers"]),
    ("xtask", &[]),
];

/// What these crates may use of the rest of the world, and nothing else.
const FOREIGN: &[(&str, &[&str])] = &[
    ("events", &["serde", "serde_json", "thiserror"]),
    ("domain", &["serde", "serde_json", "thiserror"]),
    // The first thing built in a fresh clone.
    ("xtask", &["anyhow", "clap", "serde", "serde_json"]),
];

/// Crates that touch the world, and who alone may use them. A name that ends in `-` stands for all that begin so.
const TOUCHES_THE_WORLD: &[(&str, &[&str])] = &[
    ("rusqlite", &["local"]),
    ("rustix", &["local", "cli", "tests"]),
    ("axum", &["cli", "tests"]),
    ("reqwest", &["cli", "aws", "lambda"]),
    ("aws-", &["aws", "lambda", "tests"]),
    ("uuid", &["local", "aws", "lambda", "cli"]),
];

/// The only places that may ask for the time.
const CLOCKS: &[&str] =
    &["infra/local/", "infra/aws/", "functions/cli/", "functions/lambda/", "xtask/", "tests/"];

/// What the core must not name, with the reason. Split, so that this file does not name it either.
const IMPURE: &[(&str, &str)] = &[
    (concat!("std", "::fs"), "the core does no IO"),
    (concat!("std", "::net"), "the core does no IO"),
    (concat!("std", "::process"), "the core does no IO"),
    (concat!("std", "::env"), "configuration arrives as a value"),
    (concat!("std", "::thread"), "the core runs on its caller's thread"),
    (concat!("System", "Time"), "time arrives with the command"),
    (concat!("Instant", "::now"), "time arrives with the command"),
    (concat!("async", " fn"), "the core never waits"),
    (concat!("tok", "io"), "the core never waits"),
    (concat!("Hash", "Map"), "order must not depend on a seed: BTreeMap"),
    (concat!("Hash", "Set"), "order must not depend on a seed: BTreeSet"),
];

#[test]
fn crates_use_only_what_their_place_in_the_house_allows() {
    let names: BTreeSet<String> = crates().into_iter().map(|(name, _, _)| name).collect();
    let mut wrong = Vec::new();
    for (name, path, manifest) in crates() {
        let Some(own) = allowed(OWN, &name) else {
            wrong.push(format!("{path}: crate `{name}` has no place yet: add it to `OWN` in tests/tidy.rs"));
            continue;
        };
        for (dependency, is_dev) in dependencies(&manifest) {
            if names.contains(&dependency) {
                if !own.contains(&dependency.as_str()) && dependency != name {
                    wrong.push(format!("{path}: `{name}` must not know `{dependency}`"));
                }
                continue;
            }
            if is_dev {
                continue;
            }
            if allowed(FOREIGN, &name).is_some_and(|only| !only.contains(&dependency.as_str())) {
                wrong.push(format!("{path}: `{name}` must do without `{dependency}`"));
            }
            let reserved = TOUCHES_THE_WORLD.iter().find(|(reserved, _)| match reserved.ends_with('-') {
                true => dependency.starts_with(reserved),
                false => dependency == *reserved,
            });
            if reserved.is_some_and(|(_, users)| !users.contains(&name.as_str())) {
                wrong.push(format!("{path}: `{dependency}` touches the world, `{name}` must not"));
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn every_crate_takes_its_lints_and_versions_from_the_workspace() {
    let mut wrong = Vec::new();
    for (name, path, manifest) in crates() {
        let inherits =
            |table: &toml::Value| table.get("workspace").and_then(toml::Value::as_bool) == Some(true);
        if !manifest.get("lints").is_some_and(inherits) {
            wrong.push(format!("{path}: `{name}` lacks `[lints] workspace = true`"));
        }
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            let package = manifest.get("package").and_then(|package| package.get(key));
            if !package.is_some_and(inherits) {
                wrong.push(format!("{path}: `{name}` lacks `{key}.workspace = true`"));
            }
        }
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(table).and_then(toml::Value::as_table) else { continue };
            // A crate names itself by its path, to have its own tests use a feature.
            let pinned = table.iter().filter(|(of, dependency)| **of != name && !inherits(dependency));
            wrong.extend(
                pinned.map(|(dependency, _)| format!("{path}: `{dependency}` lacks `.workspace = true`")),
            );
        }
    }
    assert_none(wrong);
}

#[test]
fn the_core_names_nothing_that_is_not_pure() {
    let mut wrong = Vec::new();
    for path in
        files(&["rs"]).into_iter().filter(|path| starts_with_any(path, &["events/src/", "domain/src/"]))
    {
        for (number, line) in code(&path) {
            let found = IMPURE.iter().filter(|(word, _)| line.contains(word));
            wrong.extend(found.map(|(word, reason)| format!("{path}:{number}: `{word}`: {reason}")));
        }
    }
    assert_none(wrong);
}

#[test]
fn only_the_edges_ask_for_the_time() {
    let mut wrong = Vec::new();
    for path in files(&["rs"]).into_iter().filter(|path| !starts_with_any(path, CLOCKS)) {
        for (number, line) in code(&path) {
            for clock in [concat!("SystemTime", "::now"), concat!("Instant", "::now")] {
                if line.contains(clock) {
                    wrong.push(format!(
                        "{path}:{number}: `{clock}`: take a `Clock`, or a `now` as an argument"
                    ));
                }
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn no_source_file_is_too_long() {
    let mut wrong = Vec::new();
    for path in files(&["rs"]).into_iter().filter(|path| !GENERATED.contains(&path.as_str())) {
        let lines = read(&path).lines().count();
        if lines > FILE_LINES_MAX {
            wrong.push(format!("{path}: {lines} lines, at most {FILE_LINES_MAX}: look for the seam"));
        }
    }
    assert_none(wrong);
}

#[test]
fn nothing_is_left_unfinished() {
    let unfinished = [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("db", "g!(")];
    let notes = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];
    let mut wrong = Vec::new();
    for path in files(&["rs"]) {
        for (number, line) in (1..).zip(read(&path).lines()) {
            if unfinished.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{path}:{number}: not finished: {}", line.trim()));
            }
            if notes.iter().any(|note| line.contains(note)) && !line.contains('#') {
                wrong
                    .push(format!("{path}:{number}: a note without the number of an issue: {}", line.trim()));
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    let places = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    let mut wrong = Vec::new();
    let written = ["rs", "md", "toml", "json", "sh", "js", "cjs", "yml", "txt", "patch", "run"];
    for path in files(&written).into_iter().filter(|path| !GENERATED.contains(&path.as_str())) {
        for (number, line) in (1..).zip(read(&path).lines()) {
            if places.iter().any(|place| line.contains(place)) {
                wrong.push(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let mut wrong = Vec::new();
    for path in files(&["md"]) {
        let folder = root().join(&path).parent().unwrap().to_owned();
        for (number, line) in (1..).zip(read(&path).lines()) {
            let links =
                line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
            for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
                let target = link.split_once('#').map_or(link, |(target, _)| target);
                if !folder.join(target).exists() {
                    wrong.push(format!("{path}:{number}: `{link}` leads nowhere"));
                }
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn the_readme_begins_with_the_demo_and_then_the_tests() {
    let readme = read("README.md");
    let commands: Vec<&str> = readme.lines().filter(|line| line.starts_with("cargo xtask ")).collect();
    let first: Vec<&str> =
        commands.iter().take(2).map(|line| line.split('#').next().unwrap().trim()).collect();
    assert_eq!(first, ["cargo xtask demo", "cargo xtask test"]);
}

/// Name, path of the manifest, and manifest of every member of the workspace.
fn crates() -> Vec<(String, String, toml::Table)> {
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    members
        .iter()
        .map(|member| {
            let path = format!("{}/Cargo.toml", member.as_str().unwrap());
            let manifest: toml::Table = read(&path).parse().unwrap();
            (manifest["package"]["name"].as_str().unwrap().to_owned(), path, manifest)
        })
        .collect()
}

/// Every dependency of a manifest, also those of one platform; true for those of tests alone.
fn dependencies(manifest: &toml::Table) -> Vec<(String, bool)> {
    let mut tables: Vec<&toml::Table> = vec![manifest];
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    tables.extend(
        platforms.into_iter().flat_map(|platforms| platforms.values()).filter_map(toml::Value::as_table),
    );
    let mut found = Vec::new();
    for table in tables {
        for (kind, is_dev) in
            [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
        {
            let Some(listed) = table.get(kind).and_then(toml::Value::as_table) else { continue };
            found.extend(listed.keys().map(|name| (name.clone(), is_dev)));
        }
    }
    found
}

fn allowed<'a>(rules: &[(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    rules.iter().find(|(of, _)| *of == name).map(|(_, allowed)| *allowed)
}

/// Lines of a source file with their numbers, without comments and without its tests.
fn code(path: &str) -> Vec<(usize, String)> {
    if path.ends_with("/tests.rs") || path.contains("/tests/") {
        return Vec::new();
    }
    let text = read(path);
    let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).collect();
    // Tests stand last in a file; a module of tests in a file of its own is one line, and may stand anywhere.
    let tests =
        lines.windows(2).position(|pair| pair[0].1.trim() == "#[cfg(test)]" && pair[1].1.ends_with('{'));
    lines[..tests.unwrap_or(lines.len())]
        .iter()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (*number, (*line).to_owned()))
        .collect()
}

/// Paths of the repository's files with one of these endings, relative to its top, in order.
fn files(endings: &[&str]) -> Vec<String> {
    let walk = WalkDir::new(root()).sort_by_file_name().into_iter().filter_entry(|entry| {
        let name = entry.file_name().to_string_lossy();
        !(entry.file_type().is_dir() && SKIPPED_FOLDERS.contains(&name.as_ref()))
    });
    walk.map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().strip_prefix(root()).unwrap().to_str().unwrap().to_owned())
        .filter(|path| endings.iter().any(|ending| path.rsplit(['.', '/']).next() == Some(*ending)))
        .collect()
}

fn starts_with_any(path: &str, folders: &[&str]) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("cannot read `{path}`: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[track_caller]
fn assert_none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{} found:\n  {}", wrong.len(), wrong.join("\n  "));
}
