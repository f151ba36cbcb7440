//! VariableCheck: a value that is compared. Who wrote `#{…}` there finds it replaced already.

use super::{Look, RuleJob, value};
use regex_automata::meta::{BuildError, Config, Regex};

/// Bytes a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Characters of a value that are shown.
const SHOWN_CHARS_MAX: usize = 120;

/// Compares.
///
/// # Errors
/// Why it cannot be compared, for people.
pub fn look(job: &RuleJob) -> Result<Look, String> {
    // An empty value is a value: a variable may well be empty.
    let found = job.configuration.get("Variable").map(String::as_str).unwrap_or_default();
    let wanted = job.configuration.get("Value").map(String::as_str).unwrap_or_default();
    let operator = value(job, "Operator")?;
    let (holds, yes, no) = match operator {
        "EQ" => (found == wanted, "equals", "does not equal"),
        "NE" => (found != wanted, "differs from", "does not differ from"),
        "CONTAINS" => (found.contains(wanted), "contains", "does not contain"),
        "MATCHES" => (pattern(wanted)?.is_match(found), "matches", "does not match"),
        other => {
            return Err(format!(
                "`Operator` of the rule `{}` is `{other}`, and not one of `EQ`, `NE`, `CONTAINS`, `MATCHES`.",
                job.rule
            ));
        }
    };
    let words = format!("`{}` {} `{}`", shown(found), if holds { yes } else { no }, shown(wanted));
    Ok(if holds { Look::Met(words) } else { Look::NotMet(words) })
}

/// A pattern for the whole of a value, as in Java. Matching takes time that grows with the value and no faster;
/// so it knows neither look-around nor back-references.
fn pattern(text: &str) -> Result<Regex, String> {
    let config = Config::new().nfa_size_limit(Some(PATTERN_BYTES_MAX));
    let build = |text: &str| Regex::builder().configure(config.clone()).build(text).map_err(Box::new);
    let refused = |error: Box<BuildError>| {
        let reason = error.syntax_error().map_or_else(|| error.to_string(), ToString::to_string);
        format!(
            "`{}` is not a pattern that `MATCHES` understands here; look-around and back-references are not \
             known: {reason}",
            shown(text)
        )
    };
    // On its own first: `a)(b` must not become whole by the brackets put around it.
    build(text).map_err(refused)?;
    build(&format!(r"\A(?:{text})\z")).map_err(refused)
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
