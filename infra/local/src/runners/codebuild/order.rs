//! What is to be built: an action's configuration and `towpath.toml`, read into one order.

use super::{
    buildspec::{Buildspec, PhaseName},
    environment::{self, Variable},
};
use crate::{runners::Site, settings::BuildProject};
use engine::action::ActionJob;
use std::borrow::Cow;

/// A build in a project, unless the project says otherwise.
const PROJECT_MINUTES_DEFAULT: u32 = 60;
/// A compute action's build.
const COMMANDS_MINUTES_MAX: u32 = 55;

/// One build, whoever asked for it.
pub(super) struct Order<'a> {
    pub(super) job: &'a ActionJob,
    pub(super) site: &'a Site,
    /// The first part of the build's id.
    pub(super) project: String,
    pub(super) settings: Cow<'a, BuildProject>,
    pub(super) buildspec: Spec<'a>,
    /// Index of the primary input.
    pub(super) primary: usize,
    /// Variables given by the action.
    pub(super) variables: Vec<Variable>,
    pub(super) minutes_max: u32,
}

/// Where a build's buildspec comes from.
pub(super) enum Spec<'a> {
    /// Made for a compute action.
    Made(Box<Buildspec>),
    /// Given as text; what to call it.
    Inline(&'a str, String),
    /// A path in the primary source, and the setting that says so.
    Path(&'a str, String),
    /// `buildspec.yml`, since nothing says otherwise.
    Default,
}

/// Reads a CodeBuild action.
pub(super) fn of_project<'a>(job: &'a ActionJob, site: &'a Site) -> Result<Order<'a>, String> {
    let value = |key: &str| job.configuration.get(key).map(String::as_str).filter(|text| !text.is_empty());
    let project = value("ProjectName").ok_or("`ProjectName` is missing in the action's configuration")?;
    if value("BatchEnabled").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Err("`BatchEnabled` is set, and batch builds are not run on this machine yet".to_owned());
    }
    let settings = site.settings.codebuild.get(project).map_or_else(Default::default, Cow::Borrowed);
    let of_settings = site.settings.codebuild.get(project).and_then(|settings| settings.buildspec.as_deref());
    let setting = || match &settings.buildspec_from {
        Some(from) => from.clone(),
        None => format!("`buildspec` of `[codebuild.{project}]` in towpath.toml"),
    };
    let buildspec = match (value("BuildspecOverride"), of_settings.filter(|text| !text.is_empty())) {
        (Some(text), _) if is_inline(text) => Spec::Inline(text, "`BuildspecOverride`".to_owned()),
        (Some(path), _) => Spec::Path(path, "`BuildspecOverride` of the action".to_owned()),
        (None, Some(text)) if is_inline(text) => Spec::Inline(text, setting()),
        (None, Some(path)) => Spec::Path(path, setting()),
        (None, None) => Spec::Default,
    };
    if let Spec::Path(path, from) = &buildspec
        && path.starts_with("arn:")
    {
        return Err(format!(
            "`{path}`, from {from}, is an ARN: on this machine a buildspec is a path or the text itself"
        ));
    }
    let named = value("PrimarySource");
    if named.is_none() && job.inputs.len() > 1 {
        return Err(
            "the action has several input artifacts: name the one with the buildspec in `PrimarySource`"
                .to_owned(),
        );
    }
    let primary = primary(job, named)?;
    let variables = value("EnvironmentVariables").map_or(Ok(Vec::new()), environment::of_action)?;
    let minutes_max = settings.timeout_minutes.unwrap_or(PROJECT_MINUTES_DEFAULT);
    Ok(Order { job, site, project: project.to_owned(), settings, buildspec, primary, variables, minutes_max })
}

/// Reads a Commands action. Its first input is the primary one.
pub(super) fn of_commands<'a>(job: &'a ActionJob, site: &'a Site) -> Result<Order<'a>, String> {
    if job.commands.is_empty() {
        return Err("`commands` is missing: a Commands action runs 1 to 50 of them".to_owned());
    }
    if job.configuration.get("EnvironmentType").is_some_and(|kind| kind.starts_with("WINDOWS")) {
        return Err("`EnvironmentType` asks for Windows, which this machine is not".to_owned());
    }
    let variables = job.environment_variables.iter().map(|variable| Variable {
        name: variable.name.clone(),
        value: variable.value.clone(),
        kind: variable.kind.into(),
    });
    let mut spec = Buildspec::default();
    spec.env.exported.clone_from(&job.output_variables);
    let build = super::buildspec::Phase { commands: job.commands.clone(), ..Default::default() };
    spec.phases[PhaseName::Build as usize] = Some(build);
    Ok(Order {
        job,
        site,
        project: format!("{}-{}-{}", job.pipeline, job.stage, job.action),
        settings: Cow::Owned(BuildProject::default()),
        buildspec: Spec::Made(Box::new(spec)),
        primary: primary(job, None)?,
        variables: variables.collect(),
        minutes_max: COMMANDS_MINUTES_MAX,
    })
}

fn is_inline(text: &str) -> bool {
    text.contains('\n') || text.starts_with("version:") || text.starts_with('{')
}

fn primary(job: &ActionJob, named: Option<&str>) -> Result<usize, String> {
    let names = || job.inputs.iter().map(|input| format!("`{}`", input.name)).collect::<Vec<_>>().join(", ");
    match (named, job.inputs.len()) {
        (_, 0) => Err("the action has no input artifact to build from".to_owned()),
        (None, _) => Ok(0),
        (Some(name), _) => job.inputs.iter().position(|input| input.name.as_str() == name).ok_or_else(|| {
            format!(
                "`PrimarySource` is `{name}`, which is not an input artifact of the action: expected {}",
                names()
            )
        }),
    }
}
