//! What a run needs to know of the resources its pipeline names: from the template where it says so, else defaults.

use super::{DefinitionFile, TemplateFile, template::refuse};
use domain::{
    pipeline::ActionDeclaration,
    template::{DeploymentGroup, Project, VariableKind},
};
use events::ActionCategory;
use local::{
    runners::has_runner,
    settings::{DeploymentStyle, Host, Settings},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Deployment configurations that mean something on this machine.
const CONFIGS: [&str; 3] =
    ["CodeDeployDefault.OneAtATime", "CodeDeployDefault.HalfAtATime", "CodeDeployDefault.AllAtOnce"];

/// Puts what the template says below the settings, which win. Returns what a person should know of it, a line each.
pub fn settle(file: &DefinitionFile, settings: &mut Settings, state: &Path) -> anyhow::Result<Vec<String>> {
    let Some(template) = &file.template else { return Ok(Vec::new()) };
    let mut lines = vec![format!(
        "{}: pipeline `{}` from `{}`, Region {}, account {}",
        template.shown, file.definition.name, template.id, template.region, template.account
    )];
    lines.extend(sources(file, settings));
    let mut seen = BTreeSet::new();
    for (_, action) in file.definition.actions() {
        let configured = |key: &str| action.configuration.get(key).map(String::as_str).unwrap_or_default();
        match action.action_type_id.provider.as_str() {
            "CodeBuild" if seen.insert(configured("ProjectName").to_owned()) => {
                lines.push(project(file, template, settings, configured("ProjectName"))?);
            }
            "CodeDeploy" => {
                let (application, group) = (configured("ApplicationName"), configured("DeploymentGroupName"));
                if seen.insert(format!("{application}/{group}")) {
                    lines.push(deployment_group(file, template, settings, [application, group], state)?);
                }
            }
            _ => {}
        }
    }
    lines.extend(undone(file, settings));
    Ok(lines)
}

/// Actions that this machine cannot do: told before the run, not when it gets there.
fn undone(file: &DefinitionFile, settings: &Settings) -> Vec<String> {
    let mut kinds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (stage, action) in file.definition.actions() {
        let kind = &action.action_type_id;
        if kind.category != ActionCategory::Approval && !has_runner(kind, settings) {
            let name = format!("{:?}/{}", kind.category, kind.provider);
            kinds.entry(name).or_default().push(format!("{}/{}", stage.name, action.name));
        }
    }
    let told = |(kind, actions): (&String, &Vec<String>)| {
        let places = actions.join(", ");
        format!(
            "  {places}: this machine cannot do `{kind}`, and the run fails there; to mock it openly, write \
             `\"{kind}\" = \"succeed\"` under `[mock]` in towpath.toml"
        )
    };
    kinds.iter().map(told).collect()
}

/// Repositories that are taken from the folder of the template.
fn sources(file: &DefinitionFile, settings: &Settings) -> Vec<String> {
    let first = file.definition.first_stage().into_iter().flat_map(|stage| &stage.actions);
    let mut lines = Vec::new();
    for action in first {
        if let Some(repository) = repository(action)
            && settings.source_for(action.name.as_str(), &repository).is_none()
        {
            lines.push(format!(
                "  source `{repository}`: the git repository that holds the template; for another, `--source \
                 {repository}=<folder or URL>`"
            ));
        }
    }
    lines
}

/// The repository a source action fetches, as its provider names it.
pub fn repository(action: &ActionDeclaration) -> Option<String> {
    let value = |key: &str| action.configuration.get(key).cloned();
    match action.action_type_id.provider.as_str() {
        "CodeCommit" => value("RepositoryName"),
        "CodeStarSourceConnection" => value("FullRepositoryId"),
        "GitHub" => Some(format!("{}/{}", value("Owner")?, value("Repo")?)),
        _ => None,
    }
}

fn project(
    file: &DefinitionFile,
    template: &TemplateFile,
    settings: &mut Settings,
    name: &str,
) -> anyhow::Result<String> {
    let own = settings.codebuild.get(name).cloned().unwrap_or_default();
    let is_settled = |what: &str| match what {
        "BuildSpec" => own.buildspec.is_some(),
        "TimeoutInMinutes" => own.timeout_minutes.is_some(),
        variable => [&own.environment, &own.parameter_store, &own.secrets_manager]
            .iter()
            .any(|variables| variables.contains_key(variable)),
    };
    let found = template.evaluate(|evaluator| {
        let found = evaluator.project(name, &is_settled);
        refuse(&evaluator.take_findings(), &file.text)?;
        Ok(found)
    })?;
    let Some(found) = found else {
        return Ok(format!(
            "  build project `{name}`: not in the template{}",
            told(settings.codebuild.contains_key(name))
        ));
    };
    let Project { id, buildspec, variables, timeout_minutes, image, .. } = found;
    let mut shown = vec![match (&own.buildspec, &buildspec) {
        (Some(_), _) => "buildspec from towpath.toml".to_owned(),
        (None, Some(text)) if text.contains('\n') || text.starts_with('{') => {
            "buildspec from the template".to_owned()
        }
        (None, Some(path)) => format!("buildspec `{path}`"),
        (None, None) => "buildspec `buildspec.yml`".to_owned(),
    }];
    if !variables.is_empty() {
        shown.push(format!("{} variable{}", variables.len(), if variables.len() == 1 { "" } else { "s" }));
    }
    if let Some(image) = image {
        shown.push(format!("image `{image}` not used: builds run on this machine as it is"));
    }
    let project = settings.codebuild.entry(name.to_owned()).or_default();
    if project.buildspec.is_none() {
        project.buildspec_from =
            buildspec.is_some().then(|| format!("`BuildSpec` of `{id}` in `{}`", template.shown));
        project.buildspec = buildspec;
    }
    project.timeout_minutes = project.timeout_minutes.or(timeout_minutes);
    for variable in variables {
        let place = match variable.kind {
            VariableKind::Plaintext => &mut project.environment,
            VariableKind::ParameterStore => &mut project.parameter_store,
            VariableKind::SecretsManager => &mut project.secrets_manager,
        };
        place.insert(variable.name, variable.value);
    }
    Ok(format!("  build project `{name}`: {}", shown.join("; ")))
}

fn deployment_group(
    file: &DefinitionFile,
    template: &TemplateFile,
    settings: &mut Settings,
    [application, name]: [&str; 2],
    state: &Path,
) -> anyhow::Result<String> {
    let key = format!("{application}/{name}");
    let found = template.evaluate(|evaluator| {
        let found = evaluator.deployment_group(application, name);
        refuse(&evaluator.take_findings(), &file.text)?;
        Ok(found)
    })?;
    let has_own = settings.codedeploy.contains_key(&key);
    let Some(found) = found else {
        return Ok(format!("  deployment group `{key}`: not in the template{}", told(has_own)));
    };
    let DeploymentGroup { config, blue_green, auto_rollback, mut ignored, .. } = found;
    let group = settings.codedeploy.entry(key.clone()).or_default();
    let (config, strange): (Vec<String>, Vec<String>) =
        config.into_iter().partition(|config| CONFIGS.contains(&config.as_str()));
    ignored.extend(strange.into_iter().map(|config| format!("DeploymentConfigName `{config}`")));
    group.config = group.config.take().or(config.into_iter().next());
    group.auto_rollback = group.auto_rollback.or(Some(auto_rollback));
    let mut shown = Vec::new();
    if has_own {
        shown.push("hosts from towpath.toml".to_owned());
    } else if blue_green {
        // Two sets of one host each: on AWS, the second would be made for the deployment.
        let root = state.join("hosts").join(format!("{application}-{name}"));
        let host = |name: &str| Host { name: name.to_owned(), root: root.join(name), ..Host::default() };
        group.style = DeploymentStyle::BlueGreen;
        (group.hosts, group.replacement_hosts) = (vec![host("blue")], vec![host("green")]);
        shown.push("blue/green over two hosts under the state folder".to_owned());
    } else {
        shown.push("one host under the state folder".to_owned());
    }
    if !ignored.is_empty() {
        shown.push(format!("without a meaning here: {}", ignored.join(", ")));
    }
    Ok(format!("  deployment group `{key}`: {}", shown.join("; ")))
}

fn told(is_set: bool) -> &'static str {
    if is_set { "; it is in towpath.toml" } else { "; defaults hold" }
}
