//! Lambda invoke: a program on this machine gets the job event on stdin, and its exit decides.
//!
//! A function on AWS answers by calling the API; a local program answers by ending. Its last line of output may
//! be `{"outputVariables": {"name": "value"}}`. Input artifacts lie unpacked in `TOWPATH_INPUT_<NAME>`; what it
//! leaves in `TOWPATH_OUTPUT_<NAME>` becomes an output artifact.

use super::{Site, caps};
use crate::{
    archive::{self, ArchiveError},
    process::{Children, Command, Drain, End},
    settings::Function,
};
use engine::action::{ActionJob, ArtifactLocation, Failure, FailureCode, Outcome, Success};
use events::ArtifactName;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// The service's own reply window.
const TIMEOUT_MINUTES_DEFAULT: u32 = 20;
/// Names and values of one action's output variables together, as the API bounds them.
const VARIABLES_BYTES_MAX: usize = 122_880;
/// Lines of output shown in a failure.
const TAIL_LINES: usize = 10;
/// How long output is read after the program's exit.
const DRAIN: Duration = Duration::from_millis(100);
/// Variables of this process a function may see, besides those whose names start with `LC_`.
const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "TZ", "TERM", "TMPDIR"];

/// Carries out an invoke action of provider `Lambda`.
pub async fn run(job: &ActionJob, site: &Site) -> Outcome {
    let room = site.state.join("builds").join(format!("lambda-{}", job.action_execution));
    // An earlier attempt that a crash cut short may have left its files here.
    let _ = fs::remove_dir_all(&room);
    let done = invoke(job, site, &room).await;
    let _ = fs::remove_dir_all(&room);
    match done {
        Ok(success) => Outcome::Succeeded(success),
        Err(failure) => Outcome::Failed(failure),
    }
}

async fn invoke(job: &ActionJob, site: &Site, room: &Path) -> Result<Success, Failure> {
    let name = job.configuration.get("FunctionName").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| {
        configuration(format!("The configuration of `{}` has no `FunctionName`.", job.action))
    })?;
    let function = function(site, name).ok_or_else(|| {
        configuration(format!(
            "Nothing on this machine stands for the function `{name}`. Name a program in towpath.toml: \
             `[lambda.\"{name}\"]` `command = [\"./program\"]`."
        ))
    })?;
    let [program, args @ ..] = &function.command[..] else {
        return Err(configuration(format!("`[lambda.\"{name}\"]` in towpath.toml names no program.")));
    };
    let outputs = folders(job.outputs.iter().map(|output| &output.name), &room.join("out"))?;
    let inputs = folders(job.inputs.iter().map(|input| &input.name), &room.join("in"))?;
    prepare(job, site, &inputs, &outputs).await?;
    let minutes = function.timeout_minutes.unwrap_or(TIMEOUT_MINUTES_DEFAULT);
    let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    let event = event(job, &site.account).to_string();
    let environment = environment(job, site, name, function, &inputs, &outputs);
    site.log.line(&format!("Running `{}` for the function `{name}`", function.command.join(" ")));
    let mut children = Children::new(&site.log, &site.cancelled).marked(&job.action_execution);
    let ended = children
        .run(&Command {
            program: Path::new(program),
            args: &args,
            cwd: &site.settings.base,
            env: &environment,
            stdin: Some(event.as_bytes()),
            user: None,
            deadline: Some(deadline(job, minutes)),
            drain: Drain::Grace(DRAIN),
        })
        .await;
    children.end().await;
    match ended.map_err(|error| configuration(format!("The function `{name}`: {error}.")))?.end {
        End::Exited(0) => {}
        End::Exited(status) => {
            let tail = site.log.tail(TAIL_LINES).join("\n");
            return Err(failed(format!(
                "The function `{name}` ended with status {status}. Its last lines:\n{tail}"
            )));
        }
        End::TimedOut => return Err(failed(format!("The action timed out after {minutes} minutes."))),
        End::Cancelled => return Err(system("The job was cancelled.")),
    }
    let output_variables = variables(site.log.tail(1).last().map_or("", String::as_str))?;
    collect(job, site, outputs).await?;
    Ok(Success {
        output_variables,
        summary: Some(format!("the function `{name}` ran on this machine")),
        external_execution_id: Some(job.action_execution.to_string()),
        ..Success::default()
    })
}

/// The settings of a function given by name, with an alias, or by ARN.
fn function<'a>(site: &'a Site, name: &str) -> Option<&'a Function> {
    let bare = name.split_once(":function:").map_or(name, |(_, rest)| rest);
    let bare = bare.split(':').next().unwrap_or(bare);
    site.settings.lambda.get(name).or_else(|| site.settings.lambda.get(bare))
}

/// Folder and variable name of each artifact.
type Folders = Vec<(String, PathBuf)>;

fn folders<'a>(names: impl Iterator<Item = &'a ArtifactName>, parent: &Path) -> Result<Folders, Failure> {
    let mut folders = Folders::new();
    for name in names {
        let variable = name.as_str().replace('-', "_");
        if folders.iter().any(|(other, _)| *other == variable) {
            return Err(configuration(format!(
                "Two artifacts would both be called `{variable}` in a variable."
            )));
        }
        folders.push((variable, parent.join(name.as_str())));
    }
    Ok(folders)
}

async fn prepare(job: &ActionJob, site: &Site, inputs: &Folders, outputs: &Folders) -> Result<(), Failure> {
    let mut archives = Vec::new();
    for (input, (_, folder)) in job.inputs.iter().zip(inputs) {
        let archive = site.artifacts.get(&input.location);
        let archive =
            archive.map_err(|error| configuration(format!("Input artifact `{}`: {error}.", input.name)))?;
        archives.push((archive, folder.clone()));
    }
    let (outputs, caps) = (outputs.clone(), caps(site));
    blocking(move || {
        for (_, folder) in outputs {
            fs::create_dir_all(&folder).map_err(|source| ArchiveError::Io { path: folder, source })?;
        }
        archives.iter().try_for_each(|(archive, folder)| archive::unpack(archive, folder, caps))
    })
    .await
}

async fn collect(job: &ActionJob, site: &Site, outputs: Folders) -> Result<(), Failure> {
    let locations: Vec<ArtifactLocation> = job.outputs.iter().map(|output| output.location.clone()).collect();
    let (store, caps) = (site.artifacts.clone(), caps(site));
    blocking(move || {
        for (location, (_, folder)) in locations.iter().zip(outputs) {
            let at_store = |source| ArchiveError::Io { path: store.root().to_owned(), source };
            let file = store.scratch().map_err(at_store)?;
            archive::pack(&archive::list(&folder)?, &file, caps)?;
            store.put(location, &file).map_err(at_store)?;
        }
        Ok(())
    })
    .await
}

async fn blocking(work: impl FnOnce() -> Result<(), ArchiveError> + Send + 'static) -> Result<(), Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(ArchiveError::Io { path, source })) => Err(system(format!("`{}`: {source}", path.display()))),
        Ok(Err(error)) => Err(configuration(format!("An artifact cannot be used: {error}."))),
        Err(panicked) => Err(system(format!("Handling the artifacts broke off: {panicked}."))),
    }
}

/// The event as a function on AWS gets it. There are no credentials to give on this machine, but functions read
/// the keys, so they hold a word.
fn event(job: &ActionJob, account: &str) -> Value {
    let artifact = |name: &ArtifactName, location: &ArtifactLocation, revision: Option<&String>| {
        json!({
            "name": name,
            "revision": revision,
            "location": {
                "type": "S3",
                "s3Location": { "bucketName": location.bucket, "objectKey": location.key },
            },
        })
    };
    let inputs =
        job.inputs.iter().map(|input| artifact(&input.name, &input.location, input.revision.as_ref()));
    let outputs = job.outputs.iter().map(|output| artifact(&output.name, &output.location, None));
    json!({ "CodePipeline.job": {
        "id": job.action_execution,
        "accountId": account,
        "data": {
            "actionConfiguration": { "configuration": job.configuration },
            "inputArtifacts": inputs.collect::<Vec<_>>(),
            "outputArtifacts": outputs.collect::<Vec<_>>(),
            "artifactCredentials": {
                "accessKeyId": "local",
                "secretAccessKey": "local",
                "sessionToken": "local",
            },
        },
    } })
}

fn environment(
    job: &ActionJob,
    site: &Site,
    name: &str,
    function: &Function,
    inputs: &Folders,
    outputs: &Folders,
) -> BTreeMap<String, String> {
    let mut environment: BTreeMap<String, String> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| INHERITED.contains(&name.as_str()) || name.starts_with("LC_"))
        .collect();
    environment.extend(function.environment.clone());
    environment.extend(
        [
            ("AWS_REGION", site.region.as_str()),
            ("AWS_DEFAULT_REGION", &site.region),
            ("AWS_LAMBDA_FUNCTION_NAME", name),
            ("CODEPIPELINE_JOB_ID", job.action_execution.as_str()),
            ("CODEPIPELINE_NAME", job.pipeline.as_str()),
            ("CODEPIPELINE_EXECUTION_ID", job.execution.as_str()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    for (prefix, folders) in [("TOWPATH_INPUT_", inputs), ("TOWPATH_OUTPUT_", outputs)] {
        let named =
            folders.iter().map(|(name, path)| (format!("{prefix}{name}"), path.display().to_string()));
        environment.extend(named);
    }
    environment
}

fn deadline(job: &ActionJob, minutes: u32) -> Instant {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let until = Duration::from_millis(u64::try_from(job.deadline.0).unwrap_or(0)).saturating_sub(now);
    Instant::now() + until.min(Duration::from_secs(60 * u64::from(minutes)))
}

/// Output variables of the last line printed, if it is an object with such a member.
fn variables(line: &str) -> Result<BTreeMap<String, String>, Failure> {
    let Ok(Value::Object(mut answer)) = serde_json::from_str(line) else { return Ok(BTreeMap::new()) };
    let Some(given) = answer.remove("outputVariables") else { return Ok(BTreeMap::new()) };
    let Value::Object(given) = given else {
        return Err(failed("`outputVariables` in the last line must be an object of names and texts."));
    };
    let mut variables = BTreeMap::new();
    for (name, value) in given {
        let plain = |c: char| c.is_ascii_alphanumeric() || "@-_".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return Err(failed(format!(
                "`{name}` cannot be the name of an output variable: letters, digits, `@-_`."
            )));
        }
        let text = match value {
            Value::String(text) => text,
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(failed(format!("The output variable `{name}` must be a text.")));
            }
        };
        variables.insert(name, text);
    }
    let bytes: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    match bytes <= VARIABLES_BYTES_MAX {
        true => Ok(variables),
        false => {
            Err(failed(format!("The output variables have {bytes} bytes, more than {VARIABLES_BYTES_MAX}.")))
        }
    }
}

fn configuration(message: impl Into<String>) -> Failure {
    Failure::new(FailureCode::ConfigurationError, message)
}

fn failed(message: impl Into<String>) -> Failure {
    Failure::new(FailureCode::JobFailed, message)
}

fn system(message: impl Into<String>) -> Failure {
    Failure::new(FailureCode::SystemUnavailable, message)
}

#[cfg(test)]
mod tests;
