//! Test reports: found, counted, kept; never a reason to fail a build (`spec/buildspec-and-appspec.md`, A11).

use super::{Voice, buildspec::Report, environment::expand, workspace::file_name};
use crate::patterns::{Patterns, Search};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

const FILES_MAX: u64 = 1_000;
const FILE_BYTES_MAX: u64 = 64 << 20;
const CASES_MAX: usize = 500;
const MESSAGE_CHARS_MAX: usize = 5_000;

/// One report as it is stored.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stored {
    group: String,
    #[serde(rename = "type")]
    kind: &'static str,
    format: String,
    /// `SUCCEEDED`, `FAILED`, `INCOMPLETE`, or `LISTED` for formats that are only listed.
    status: &'static str,
    total: u64,
    passed: u64,
    failed: u64,
    error: u64,
    skipped: u64,
    duration_ns: u64,
    files: Vec<String>,
    /// The first 500.
    cases: Vec<Case>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    prefix: String,
    name: String,
    status: &'static str,
    duration_ns: u64,
    message: String,
}

/// Where reports of one build come from and go to.
pub(super) struct Reporting<'a> {
    pub(super) root: &'a Path,
    pub(super) source: &'a Path,
    pub(super) variables: &'a BTreeMap<String, String>,
    pub(super) state: &'a Path,
    pub(super) project: &'a str,
    pub(super) build: &'a str,
    pub(super) voice: &'a Voice,
}

impl Reporting<'_> {
    /// Reads and stores every group; what goes wrong is said in the log.
    pub(super) fn run(&self, reports: &[Report]) {
        for report in reports {
            if let Err(message) = self.one(report) {
                self.voice.say(&format!("Warning: report group `{}`: {message}", report.group));
            }
        }
    }

    fn one(&self, report: &Report) -> Result<(), String> {
        let group = match report.group.rsplit_once("report-group/") {
            Some((_, name)) => name.to_owned(),
            None => format!("{}-{}", self.project, report.group),
        };
        let base = expand(report.base_directory.as_deref().unwrap_or("."), self.variables);
        let base = fs::canonicalize(self.source.join(base))
            .map_err(|error| format!("no base directory: {error}"))?;
        if !base.starts_with(self.root) {
            return Err("the base directory lies outside the build's folder".to_owned());
        }
        let patterns = report.files.iter().map(|pattern| expand(pattern, self.variables));
        let patterns = Patterns::new(patterns).map_err(|error| error.to_string())?;
        let search = Search {
            base: &base,
            tree: self.root,
            files: &patterns,
            except: None,
            keep_links: false,
            files_max: FILES_MAX,
        };
        let found = search.run().map_err(|error| error.to_string())?.files;
        if found.is_empty() {
            return Err("no file matches".to_owned());
        }
        let mut stored = Stored {
            group: group.clone(),
            kind: if is_coverage(&report.format) { "CODE_COVERAGE" } else { "TEST" },
            format: report.format.clone(),
            status: "LISTED",
            files: found.iter().map(|file| file.name.clone()).collect(),
            ..Stored::default()
        };
        if report.format == "JUNITXML" {
            stored.count(found.iter().map(|file| file.path.as_path()));
        }
        self.store(&stored)?;
        self.voice.say(&match stored.status {
            "LISTED" => {
                format!("Report {group}: {} file(s), {} is not counted here", found.len(), report.format)
            }
            status => format!(
                "Report {group}: {status}, {} tests: {} passed, {} failed, {} errors, {} skipped",
                stored.total, stored.passed, stored.failed, stored.error, stored.skipped
            ),
        });
        Ok(())
    }

    fn store(&self, stored: &Stored) -> Result<(), String> {
        let folder: PathBuf = self.state.join("reports").join(file_name(&stored.group));
        let text = serde_json::to_vec_pretty(stored).map_err(|error| error.to_string())?;
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join(format!("{}.json", self.build)), text))
            .map_err(|error| format!("`{}` cannot be written: {error}", folder.display()))
    }
}

fn is_coverage(format: &str) -> bool {
    matches!(format, "CLOVERXML" | "COBERTURAXML" | "JACOCOXML" | "SIMPLECOV")
}

impl Stored {
    fn count<'p>(&mut self, files: impl Iterator<Item = &'p Path>) {
        let mut is_whole = true;
        for file in files {
            let fits = fs::metadata(file).is_ok_and(|about| about.len() <= FILE_BYTES_MAX);
            match fs::read(file) {
                Ok(text) if fits => is_whole &= self.count_junit(&String::from_utf8_lossy(&text)),
                Ok(_) | Err(_) => is_whole = false,
            }
        }
        self.status = match (is_whole, self.failed + self.error) {
            (false, _) => "INCOMPLETE",
            (true, 0) => "SUCCEEDED",
            (true, _) => "FAILED",
        };
    }

    /// Adds the cases of one JUnit file. Not an XML parser: it looks for the four tags that count and is
    /// content with whatever else there is. False when a case never ends.
    fn count_junit(&mut self, text: &str) -> bool {
        let mut open: Option<Case> = None;
        let mut seen_any = false;
        for tag in (Tags { rest: text }) {
            let ends_case = match tag.name {
                "testsuite" | "testsuites" => {
                    seen_any = true;
                    false
                }
                "testcase" => {
                    seen_any = true;
                    open = Some(Case {
                        prefix: tag.attribute("classname"),
                        name: tag.attribute("name"),
                        status: "SUCCEEDED",
                        duration_ns: nanoseconds(&tag.attribute("time")),
                        message: String::new(),
                    });
                    tag.is_closed
                }
                "/testcase" => true,
                "failure" | "error" | "skipped" => {
                    if let Some(case) = &mut open {
                        case.status = match tag.name {
                            "failure" => "FAILED",
                            "error" => "ERROR",
                            _ => "SKIPPED",
                        };
                        case.message = tag.attribute("message").chars().take(MESSAGE_CHARS_MAX).collect();
                    }
                    false
                }
                _ => false,
            };
            if ends_case && let Some(case) = open.take() {
                self.add(case);
            }
        }
        seen_any && open.is_none()
    }

    fn add(&mut self, case: Case) {
        self.total += 1;
        self.duration_ns = self.duration_ns.saturating_add(case.duration_ns);
        match case.status {
            "FAILED" => self.failed += 1,
            "ERROR" => self.error += 1,
            "SKIPPED" => self.skipped += 1,
            _ => self.passed += 1,
        }
        if self.cases.len() < CASES_MAX {
            self.cases.push(case);
        }
    }
}

fn nanoseconds(seconds: &str) -> u64 {
    // Some writers group digits; a time nobody can read is no time. The cast saturates.
    seconds.replace(',', "").parse::<f64>().map_or(0, |seconds| (seconds * 1e9) as u64)
}

/// The tags of an XML text, comments and literal text left out.
struct Tags<'t> {
    rest: &'t str,
}

struct Tag<'t> {
    name: &'t str,
    attributes: &'t str,
    is_closed: bool,
}

impl<'t> Iterator for Tags<'t> {
    type Item = Tag<'t>;

    fn next(&mut self) -> Option<Tag<'t>> {
        loop {
            let (_, inside) = self.rest.split_once('<')?;
            let skipped = [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>")]
                .into_iter()
                .find_map(|(begin, end)| inside.strip_prefix(begin).map(|inside| (inside, end)));
            if let Some((inside, end)) = skipped {
                self.rest = inside.split_once(end)?.1;
                continue;
            }
            let end = end_of_tag(inside)?;
            self.rest = &inside[end + 1..];
            let body = &inside[..end];
            let open = body.strip_suffix('/').unwrap_or(body);
            let name_end = open.find(char::is_whitespace).unwrap_or(open.len());
            let (name, attributes) = open.split_at(name_end);
            return Some(Tag { name, attributes, is_closed: open.len() < body.len() });
        }
    }
}

/// A `>` in an attribute's value does not end its tag.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    text.bytes().position(|byte| match (quote, byte) {
        (None, b'>') => true,
        (None, b'"' | b'\'') => {
            quote = Some(byte);
            false
        }
        (Some(open), byte) if open == byte => {
            quote = None;
            false
        }
        (None | Some(_), _) => false,
    })
}

impl Tag<'_> {
    fn attribute(&self, name: &str) -> String {
        let mut rest = self.attributes;
        while let Some((key, after)) = rest.split_once('=') {
            let after = after.trim_start();
            let Some(quote) = after.chars().next().filter(|c| matches!(c, '"' | '\'')) else { break };
            let Some((value, behind)) = after[1..].split_once(quote) else { break };
            if key.trim() == name {
                return plain(value);
            }
            rest = behind;
        }
        String::new()
    }
}

fn plain(text: &str) -> String {
    let named =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#10;", "\n"), ("&amp;", "&")];
    named.into_iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JUNIT: &str = r#"<?xml version="1.0"?>
<!-- <testcase name="not one"/> -->
<testsuites><testsuite name="s" tests="5">
  <testcase classname="a.B" name="adds &lt;1&gt;" time="0.25"/>
  <testcase classname='a.B' name="fails"><failure message="1 > 2 &amp; so on">trace <![CDATA[<testcase>]]></failure></testcase>
  <testcase name="breaks" time="1,000.5"><error/></testcase>
  <testcase name="waits"><skipped message="later"></skipped></testcase>
  <testcase name="prints"><system-out>&lt;failure&gt;</system-out></testcase>
</testsuite></testsuites>"#;

    #[test]
    fn junit_cases_are_counted() {
        let mut stored = Stored::default();
        assert!(stored.count_junit(JUNIT));
        assert_eq!(
            (stored.total, stored.passed, stored.failed, stored.error, stored.skipped),
            (5, 2, 1, 1, 1)
        );
        assert_eq!(stored.duration_ns, 1_000_750_000_000);
        assert_eq!((stored.cases[0].prefix.as_str(), stored.cases[0].name.as_str()), ("a.B", "adds <1>"));
        assert_eq!((stored.cases[1].status, stored.cases[1].message.as_str()), ("FAILED", "1 > 2 & so on"));
    }

    #[test]
    fn what_is_no_report_is_incomplete() {
        assert!(!Stored::default().count_junit("<testcase name='x'>"));
        assert!(!Stored::default().count_junit("just text"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_makes_the_counter_panic(text in "[<>/='\" a-eü!\\[\\]-]{0,80}", cut in 0usize..600) {
            Stored::default().count_junit(&text);
            let cut = (0..=cut.min(JUNIT.len())).rev().find(|at| JUNIT.is_char_boundary(*at)).unwrap();
            Stored::default().count_junit(&format!("{}{text}", &JUNIT[..cut]));
        }
    }
}
