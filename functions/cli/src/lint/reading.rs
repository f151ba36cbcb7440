//! From a file to what is to be said about it: unreadable, illegal, or legal with findings.

use super::Linted;
use super::positions::{Position, Positions};
use crate::{
    definition_file::{self, Reading, Unchecked},
    up::ACCOUNT_DEFAULT,
};
use api::Invalid;
use domain::catalogue::{ActionType, ArtifactCount, Registry};
use domain::pipeline::lint::{self, Finding, Severity};
use domain::pipeline::{self, DefinitionError, PipelineDeclaration, Setting};
use events::ActionOwner;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

/// Artifacts of one direction that a custom action type may allow, most.
const CUSTOM_ARTIFACTS_MAX: usize = 5;

/// What a file that cannot be read is told under.
pub const UNREADABLE: &str = "unreadable-definition";

/// A finding, or what makes a definition illegal, at its place.
pub struct Problem {
    /// A rule's id; an exception of the API; [`UNREADABLE`].
    pub rule: String,
    pub severity: Severity,
    /// Inside the declaration; empty for the whole of it.
    pub path: String,
    pub position: Position,
    pub message: String,
    /// Of rules only.
    pub why: Option<&'static str>,
    pub mend: Option<String>,
}

/// Reads a file and asks every rule.
pub fn lint(path: &Path, region: Option<&str>, params: &[String]) -> Linted {
    let positions = match read(path, region, params) {
        Ok(read) => read,
        Err(problem) => {
            return Linted { path: path.to_owned(), pipeline: None, legal: false, problems: vec![*problem] };
        }
    };
    let declaration = &positions.file.declaration;
    let name = declaration.get("name").and_then(Value::as_str).map(str::to_owned);
    let (mut problems, definition) = check(declaration, region, &positions);
    let legal = problems.is_empty();
    problems.sort_by_key(|problem| problem.position);
    if let Some(definition) = definition {
        let mut found: Vec<Problem> =
            lint::lint(&definition).into_iter().map(|finding| told(finding, &positions)).collect();
        found.sort_by(|one, other| one.position.cmp(&other.position).then_with(|| one.path.cmp(&other.path)));
        problems.extend(found);
    }
    Linted { path: path.to_owned(), pipeline: name, legal, problems }
}

/// What was read, and where its members stand.
struct Places {
    file: Unchecked,
    /// Of a JSON text; the others keep their places themselves.
    json: Option<Positions>,
}

impl Places {
    fn of(&self, path: &str) -> Position {
        match &self.json {
            Some(positions) => positions.of(path),
            None => {
                self.file.place_of(path).map_or(Position::START, |(line, column)| Position { line, column })
            }
        }
    }
}

/// The declaration of a file and where its members stand. Whatever form a file has is known to `definition_file`.
fn read(path: &Path, region: Option<&str>, params: &[String]) -> Result<Places, Box<Problem>> {
    let reading = Reading { region, account: ACCOUNT_DEFAULT, params, pipeline: None };
    let file = definition_file::unchecked(path, &reading).map_err(|error| {
        // A text that is no JSON at all says itself where.
        let text = fs::read_to_string(path).unwrap_or_default();
        let place = serde_json::from_str::<IgnoredAny>(&text).err();
        let place = place.filter(|_| text.trim_start().starts_with(['{', '[']));
        let position = place.map_or(Position::START, |error| Position {
            line: error.line().max(1),
            column: error.column().max(1),
        });
        Box::new(Problem {
            rule: UNREADABLE.to_owned(),
            severity: Severity::Error,
            path: String::new(),
            position,
            message: error.to_string(),
            why: None,
            mend: None,
        })
    })?;
    let json = file.json().map(Positions::of_json);
    Ok(Places { file, json })
}

/// What makes a declaration illegal, and the definition if it can be read at all.
fn check(
    declaration: &Value,
    region: Option<&str>,
    positions: &Places,
) -> (Vec<Problem>, Option<PipelineDeclaration>) {
    if let Err(invalid) = api::validate_shape("PipelineDeclaration", declaration, "pipeline") {
        return (constraints(&invalid, positions), None);
    }
    let mut definition = match pipeline::parse(declaration) {
        Ok(definition) => definition,
        Err(error) => return (vec![illegal(&error, positions)], None),
    };
    let registry = registry(&definition);
    pipeline::normalize(&mut definition, events::PipelineVersion(1), None, &registry);
    let problems = regions(&definition, region)
        .iter()
        .map(|region| {
            pipeline::check_all(
                &definition,
                &Setting { registry: &registry, region, account: ACCOUNT_DEFAULT },
            )
        })
        .min_by_key(Vec::len)
        .unwrap_or_default();
    (problems.iter().map(|error| illegal(error, positions)).collect(), Some(definition))
}

/// The built-in action types, and each custom one the definition uses: those exist in an account, which is not asked.
fn registry(definition: &PipelineDeclaration) -> Registry {
    let mut registry = Registry::builtin();
    let any = ArtifactCount { min: 0, max: CUSTOM_ARTIFACTS_MAX };
    for (_, action) in definition.actions() {
        let id = &action.action_type_id;
        if id.owner == ActionOwner::Custom {
            let mut custom =
                ActionType::custom(id.category, id.provider.clone(), id.version.clone(), any, any);
            custom.open_configuration = true;
            registry.register(custom);
        }
    }
    registry
}

/// The Regions a definition may be for. A file does not say, so it is read as for the one that suits it best.
fn regions(definition: &PipelineDeclaration, given: Option<&str>) -> BTreeSet<String> {
    if let Some(given) = given {
        return BTreeSet::from([given.to_owned()]);
    }
    let mut regions = BTreeSet::from([definition_file::region_of(definition)]);
    regions.extend(definition.artifact_stores.iter().flatten().map(|(region, _)| region.clone()));
    let topics = definition.actions().filter_map(|(_, action)| action.configuration.get("NotificationArn"));
    regions.extend(
        topics.filter_map(|arn| arn.split(':').nth(3)).filter(|region| !region.is_empty()).map(str::to_owned),
    );
    regions
}

fn told(finding: Finding, positions: &Places) -> Problem {
    Problem {
        rule: finding.rule.id.to_owned(),
        severity: finding.rule.severity,
        position: positions.of(&finding.path),
        path: finding.path,
        message: finding.message,
        why: Some(finding.rule.why),
        mend: Some(finding.rule.mend.to_owned()),
    }
}

fn illegal(error: &DefinitionError, positions: &Places) -> Problem {
    Problem {
        rule: error.code.to_string(),
        severity: Severity::Error,
        position: positions.of(&error.path),
        path: error.path.clone(),
        message: error.message.clone(),
        why: None,
        mend: error.hint.clone(),
    }
}

fn constraints(invalid: &Invalid, positions: &Places) -> Vec<Problem> {
    let problem = |rule: &str, wire: &str, message: String| {
        let path = own_path(wire);
        Problem {
            rule: rule.to_owned(),
            severity: Severity::Error,
            position: positions.of(&path),
            path,
            message,
            why: None,
            mend: None,
        }
    };
    match invalid {
        Invalid::Type(mismatch) => {
            vec![problem("SerializationException", &mismatch.path, mismatch.to_string())]
        }
        Invalid::Constraints(violations) => violations
            .listed
            .iter()
            .map(|violation| {
                let key = violation.key.as_ref().map(|key| format!(".{key}")).unwrap_or_default();
                problem("ValidationException", &format!("{}{key}", violation.path), violation.to_string())
            })
            .collect(),
    }
}

/// The wire's `pipeline.stages.2.member.name` as `stages[1].name`.
fn own_path(wire: &str) -> String {
    let mut own = String::new();
    let mut parts =
        wire.strip_prefix("pipeline").unwrap_or(wire).split('.').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        match part.parse::<usize>() {
            Ok(number) if number > 0 && parts.peek() == Some(&"member") => {
                parts.next();
                own.push_str(&format!("[{}]", number - 1));
            }
            Ok(_) | Err(_) => {
                if !own.is_empty() {
                    own.push('.');
                }
                own.push_str(part);
            }
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wires_paths_are_spelled_our_way() {
        assert_eq!(own_path("pipeline.stages.2.member.actions.1.member.name"), "stages[1].actions[0].name");
        assert_eq!(own_path("pipeline.roleArn"), "roleArn");
        assert_eq!(own_path("pipeline"), "");
    }
}
