//! The text of `~/.aws/config` with and without our lines. Those stand between two comments; all others are kept as
//! they are.

use crate::client::config::header;
use anyhow::{bail, ensure};

/// What a profile shall say.
pub struct Wanted<'a> {
    /// The profile.
    pub profile: &'a str,
    /// The section it has, without brackets.
    pub section: &'a str,
    /// Its settings.
    pub settings: &'a [(&'a str, String)],
    /// The sections that it refers to, whole.
    pub beside: &'a str,
}

/// The text with the lines of a profile; those that an earlier call wrote are replaced.
pub fn with(text: &str, wanted: &Wanted<'_>) -> anyhow::Result<String> {
    let mut lines = without_lines(text, wanted.profile)?;
    let [begin, end] = marks(wanted.profile);
    let settings = || wanted.settings.iter().map(|(key, value)| format!("{key} = {value}"));
    let is_own = |line: &String| header(line).as_deref() == Some(wanted.section);
    if let Some(at) = lines.iter().position(is_own) {
        check(&lines[at + 1..], wanted)?;
        let block = [begin.clone()].into_iter().chain(settings()).chain([end.clone()]);
        lines.splice(at + 1..at + 1, block);
        lines.push(begin);
    } else {
        lines.push(begin);
        lines.push(format!("[{}]", wanted.section));
        lines.extend(settings());
    }
    lines.extend(wanted.beside.lines().map(str::to_owned));
    lines.push(end);
    Ok(joined(&lines))
}

/// The text without the lines of a profile.
pub fn without(text: &str, profile: &str) -> anyhow::Result<String> {
    Ok(joined(&without_lines(text, profile)?))
}

fn marks(profile: &str) -> [String; 2] {
    ["begin", "end"].map(|which| format!("# towpath aws-setup {profile}: {which}"))
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn without_lines(text: &str, profile: &str) -> anyhow::Result<Vec<String>> {
    let [begin, end] = marks(profile);
    let mut kept = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.trim() {
            trimmed if trimmed == begin => {
                ensure!(
                    !inside,
                    "`{begin}` stands twice without `{end}` between them: mend the file by hand"
                );
                inside = true;
            }
            trimmed if trimmed == end => {
                ensure!(inside, "`{end}` stands there without `{begin}` before it: mend the file by hand");
                inside = false;
            }
            _ if inside => {}
            _ => kept.push(line.to_owned()),
        }
    }
    ensure!(!inside, "`{begin}` stands there without `{end}` behind it: mend the file by hand");
    Ok(kept)
}

/// A setting that stands twice makes every AWS tool refuse the whole file.
fn check(below: &[String], wanted: &Wanted<'_>) -> anyhow::Result<()> {
    let section = below.iter().take_while(|line| header(line).is_none());
    for line in section.filter(|line| !line.starts_with([' ', '\t', '#', ';'])) {
        let Some((key, value)) = line.split_once('=') else { continue };
        let key = key.trim().to_ascii_lowercase();
        if wanted.settings.iter().any(|(ours, _)| *ours == key) {
            bail!(
                "the profile `{}` has a `{key}` already: `{}`; choose another name with `--profile`, and this one's keys \
                 with `--from {}`",
                wanted.profile,
                value.trim(),
                wanted.profile
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREIGN: &str =
        "# mine\n[default]\nregion = eu-west-1\n\n[profile ci]\nrole_arn = r   # keep\n; end";

    fn wanted<'a>(profile: &'a str, section: &'a str, settings: &'a [(&'a str, String)]) -> Wanted<'a> {
        Wanted { profile, section, settings, beside: "[services tp]\ncodepipeline =\n  endpoint_url = u\n" }
    }

    #[test]
    fn a_new_profile_goes_to_the_end_and_comes_out_again() {
        let settings = [("region", "eu-central-1".to_owned()), ("services", "tp".to_owned())];
        let wanted = wanted("tp", "profile tp", &settings);
        let written = with(FOREIGN, &wanted).unwrap();
        assert_eq!(
            written,
            format!(
                "{FOREIGN}\n# towpath aws-setup tp: begin\n[profile tp]\nregion = eu-central-1\nservices = tp\n[services tp]\n\
                 codepipeline =\n  endpoint_url = u\n# towpath aws-setup tp: end\n"
            )
        );
        assert_eq!(with(&written, &wanted).unwrap(), written);
        assert_eq!(without(&written, "tp").unwrap(), format!("{FOREIGN}\n"));
        assert_eq!(without(&written, "other").unwrap(), written);
    }

    #[test]
    fn a_profile_that_is_there_keeps_its_own_lines() {
        let settings = [("services", "tp".to_owned())];
        let wanted = wanted("ci", "profile ci", &settings);
        let written = with(FOREIGN, &wanted).unwrap();
        let place = "[profile ci]\n# towpath aws-setup ci: begin\nservices = tp\n# towpath aws-setup ci: end\nrole_arn";
        assert!(written.contains(place), "{written}");
        assert_eq!(with(&written, &wanted).unwrap(), written);
        assert_eq!(without(&written, "ci").unwrap(), format!("{FOREIGN}\n"));
    }

    #[test]
    fn a_setting_that_would_stand_twice_is_refused() {
        let settings = [("role_arn", "x".to_owned())];
        let error = with(FOREIGN, &wanted("ci", "profile ci", &settings)).unwrap_err().to_string();
        assert!(error.contains("has a `role_arn` already") && error.contains("--from ci"), "{error}");
    }

    #[test]
    fn a_file_with_half_a_block_is_left_alone() {
        for text in ["# towpath aws-setup tp: begin\n", "# towpath aws-setup tp: end\n"] {
            assert!(without(text, "tp").unwrap_err().to_string().contains("by hand"));
        }
    }
}
