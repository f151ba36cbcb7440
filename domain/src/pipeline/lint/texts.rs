//! Every text of a definition that people write freely, with its place.

use crate::pipeline::validation::{Place, places, rules_with_paths};
use crate::pipeline::{EnvironmentVariableType, PipelineDeclaration};
use events::ActionCategory;

/// A text and where it stands.
pub(super) struct Text<'a> {
    pub path: String,
    /// The configuration key, or the variable's name; none for commands.
    pub name: Option<&'a str>,
    pub value: &'a str,
    pub site: Site<'a>,
}

/// What a text belongs to.
#[derive(Clone, Copy)]
pub(super) enum Site<'a> {
    Configuration(Place<'a>),
    Command(Place<'a>),
    /// True when the value is only the id of a secret.
    Environment(Place<'a>, bool),
    /// The default of a pipeline variable.
    Variable,
    /// A setting or a command of a condition's rule.
    Rule,
}

impl<'a> Site<'a> {
    /// The action the text belongs to.
    pub(super) fn place(&self) -> Option<Place<'a>> {
        match self {
            Site::Configuration(place) | Site::Command(place) | Site::Environment(place, _) => Some(*place),
            Site::Variable | Site::Rule => None,
        }
    }

    /// Whether a pipeline variable could stand here: neither in source actions nor in other variables.
    pub(super) fn takes_variables(&self) -> bool {
        match self {
            Site::Configuration(place) | Site::Command(place) | Site::Environment(place, _) => {
                place.action.action_type_id.category != ActionCategory::Source
            }
            Site::Variable => false,
            Site::Rule => true,
        }
    }
}

/// All of them, in declared order.
pub(super) fn texts(declaration: &PipelineDeclaration) -> Vec<Text<'_>> {
    let mut texts = Vec::new();
    for (index, variable) in declaration.variables.iter().enumerate() {
        if let Some(value) = &variable.default_value {
            let path = format!("variables[{index}].defaultValue");
            texts.push(Text { path, name: Some(variable.name.as_str()), value, site: Site::Variable });
        }
    }
    for place in places(declaration) {
        of_action(place, &mut texts);
    }
    for (index, stage) in declaration.stages.iter().enumerate() {
        for (rule_path, rule) in rules_with_paths(stage, index) {
            for (key, value) in &rule.configuration {
                let path = format!("{rule_path}.configuration.{key}");
                texts.push(Text { path, name: Some(key), value, site: Site::Rule });
            }
            for (index, value) in rule.commands.iter().enumerate() {
                let path = format!("{rule_path}.commands[{index}]");
                texts.push(Text { path, name: None, value, site: Site::Rule });
            }
        }
    }
    texts
}

fn of_action<'a>(place: Place<'a>, texts: &mut Vec<Text<'a>>) {
    for (key, value) in &place.action.configuration {
        let path = place.path(&format!(".configuration.{key}"));
        texts.push(Text { path, name: Some(key), value, site: Site::Configuration(place) });
    }
    for (index, value) in place.action.commands.iter().enumerate() {
        let path = place.path(&format!(".commands[{index}]"));
        texts.push(Text { path, name: None, value, site: Site::Command(place) });
    }
    for (index, variable) in place.action.environment_variables.iter().enumerate() {
        let by_id = variable.kind == Some(EnvironmentVariableType::SecretsManager);
        let path = place.path(&format!(".environmentVariables[{index}].value"));
        let site = Site::Environment(place, by_id);
        texts.push(Text { path, name: Some(&variable.name), value: &variable.value, site });
    }
}

/// The words of a name in lower case: parted at everything but letters and digits, and where a capital begins a
/// word. `DeployToProd-2` has `deploy`, `to`, `prod`, `2`.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let letters: Vec<char> = name.chars().collect();
    let mut open = false;
    for (index, letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            open = false;
            continue;
        }
        let before = index.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(index + 1);
        // `DBPassword` is `db` and `password`; `PROD` is one word.
        let begins = letter.is_uppercase()
            && (before.is_some_and(|before| before.is_lowercase() || before.is_numeric())
                || (before.is_some_and(char::is_uppercase)
                    && after.is_some_and(|after| after.is_lowercase())));
        match words.last_mut() {
            Some(word) if open && !begins => word.extend(letter.to_lowercase()),
            Some(_) | None => words.push(letter.to_lowercase().collect()),
        }
        open = true;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_into_words() {
        assert_eq!(words("DeployToProd-2"), ["deploy", "to", "prod", "2"]);
        assert_eq!(words("DB_PASSWORD"), ["db", "password"]);
        assert_eq!(words("DBPassword"), ["db", "password"]);
        assert_eq!(words("dbPassword"), ["db", "password"]);
        assert_eq!(words("Products"), ["products"]);
        assert_eq!(words("PREPROD"), ["preprod"]);
        assert_eq!(words("Ärger!ünique"), ["ärger", "ünique"]);
        assert_eq!(words("v2Api"), ["v2", "api"]);
        assert_eq!(words("aBC"), ["a", "bc"]);
        assert_eq!(words("ABc"), ["a", "bc"]);
        assert_eq!(words("A B"), ["a", "b"]);
        assert_eq!(words("AB2c"), ["ab2c"]);
        assert!(words("--").is_empty());
    }
}
