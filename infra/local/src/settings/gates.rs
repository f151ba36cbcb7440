//! What `towpath.toml` says about gates, as the core wants it.

use super::{Settings, load::Fault};
use domain::policy::{GATES_MAX, Policies};
use events::{Compatibility, GatePolicy, Newer, Older, PipelineName, StageName};
use serde::Deserialize;

/// One stage's entry in `[gates]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GateSettings {
    /// `hold` (default), `supersede` or `newest`: what a newer run does while an older one waits for its approval.
    pub newer: Newer,
    /// `refuse` or `allow`: what becomes of a run that comes after a newer one has entered. Default: refused where
    /// `newer` is not `hold`, and under `compatibility = "extended"` where the stage deploys.
    pub older: Option<Older>,
}

impl Settings {
    /// What is laid down for runs that start from now on. `default` is what holds where the file says nothing.
    pub fn policies(&self, default: Compatibility) -> Policies {
        policies(self, default).unwrap_or_default()
    }
}

/// The policies, or the key that is wrong and what would be right.
pub(super) fn policies(settings: &Settings, default: Compatibility) -> Result<Policies, Fault> {
    if settings.gates.len() > GATES_MAX {
        return Err(("gates".to_owned(), format!("at most {GATES_MAX} are kept: {}", settings.gates.len())));
    }
    let compatibility = settings.compatibility.unwrap_or(default);
    let mut policies = Policies { compatibility, ..Policies::default() };
    for (key, gate) in &settings.gates {
        let (pipeline, stage) = place(key).ok_or_else(|| {
            let right = "the name must be `Pipeline/Stage`, as in `[gates.\"shop/Prod\"]`";
            (format!("gates.\"{key}\""), right.to_owned())
        })?;
        if gate.newer != Newer::Hold && gate.older == Some(Older::Allow) {
            let wrong = format!(
                "`older = \"allow\"` cannot go with `newer = \"{}\"`: only where runs enter one by one does a newer \
                 one wait behind an approval",
                gate.newer.as_str()
            );
            return Err((format!("gates.\"{key}\".older"), wrong));
        }
        let policy = GatePolicy { newer: gate.newer, older: gate.older };
        policies.gates.entry(pipeline).or_default().insert(stage, policy);
    }
    Ok(policies)
}

fn place(key: &str) -> Option<(PipelineName, StageName)> {
    let (pipeline, stage) = key.split_once('/')?;
    Some((PipelineName::parse(pipeline).ok()?, StageName::parse(stage).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Policies, String> {
        let settings: Settings = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        policies(&settings, Compatibility::Extended).map_err(|(key, message)| format!("{key}: {message}"))
    }

    #[test]
    fn what_the_file_says_is_laid_down_for_each_pipeline() {
        let text = "compatibility = \"exact\"\n[gates.\"shop/Prod\"]\nnewer = \"newest\"\n";
        let policies = read(text).unwrap();
        assert_eq!(policies.compatibility, Compatibility::Exact);
        let shop = policies.of(&PipelineName::parse("shop").unwrap());
        assert_eq!(shop.gates[&StageName::parse("Prod").unwrap()].newer, Newer::Newest);
        assert!(policies.of(&PipelineName::parse("site").unwrap()).is_exact());
    }

    #[test]
    fn without_a_word_the_default_holds() {
        assert_eq!(read("").unwrap().compatibility, Compatibility::Extended);
        assert!(read("").unwrap().of(&PipelineName::parse("shop").unwrap()).is_extended());
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        for (text, expected) in [
            ("[gates.shop]\nnewer = \"hold\"", "`Pipeline/Stage`"),
            ("[gates.\"shop/a b\"]\nnewer = \"hold\"", "`Pipeline/Stage`"),
            ("[gates.\"shop/Prod\"]\nnewer = \"never\"", "unknown variant `never`"),
            ("[gates.\"shop/Prod\"]\nnewest = true", "unknown field `newest`"),
            ("[gates.\"shop/Prod\"]\nnewer = \"newest\"\nolder = \"allow\"", "cannot go with"),
            ("compatibility = \"loose\"", "unknown variant `loose`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
