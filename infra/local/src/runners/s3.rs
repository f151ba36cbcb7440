//! S3 deploy: an artifact's files, or the archive itself, put into the folder that stands for a bucket. As on
//! AWS, objects that were there before and are not in the artifact stay.

use super::{Site, bucket_folder, caps, object_path};
use crate::archive::{self, ArchiveError};
use engine::action::{ActionJob, Failure, FailureCode, Outcome, Success};
use jiff::Timestamp;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Settings that mean something to S3 alone.
const WITHOUT_EFFECT: [&str; 3] = ["CannedACL", "CacheControl", "KMSEncryptionKeyARN"];

/// Carries out a deploy action of provider `S3`.
pub async fn run(job: &ActionJob, site: &Site) -> Outcome {
    match deploy(job, site).await {
        Ok(success) => Outcome::Succeeded(success),
        Err(failure) => Outcome::Failed(failure),
    }
}

async fn deploy(job: &ActionJob, site: &Site) -> Result<Success, Failure> {
    let key = |name: &str| job.configuration.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let missing =
        |name: &str| configuration(format!("The configuration of `{}` has no `{name}`.", job.action));
    let bucket = key("BucketName").ok_or_else(|| missing("BucketName"))?;
    let extract = match key("Extract").ok_or_else(|| missing("Extract"))? {
        "true" => true,
        "false" => false,
        other => return Err(configuration(format!("`Extract` must be `true` or `false`, not `{other}`."))),
    };
    let object = key("ObjectKey").map(|text| with_variables(text, job));
    if object.is_none() && !extract {
        return Err(missing("ObjectKey"));
    }
    let input = job.inputs.first().ok_or_else(|| configuration("The action has no input artifact."))?;
    let from = site.artifacts.get(&input.location).map_err(|error| {
        configuration(format!("The input artifact `{}` cannot be read: {error}.", input.name))
    })?;
    let folder = bucket_folder(site, bucket)?;
    for name in WITHOUT_EFFECT.into_iter().filter(|name| key(name).is_some()) {
        site.log.line(&format!("`{name}` has no effect on this machine."));
    }
    site.log.line(&format!("Bucket `{bucket}` is the folder `{}`", folder.display()));
    let work = Work {
        site: site.clone(),
        from,
        staging: folder.join(format!(".towpath-{}", job.action_execution)),
        target: target(&folder, object.as_deref(), extract)?,
        folder: folder.clone(),
    };
    let done = tokio::task::spawn_blocking(move || {
        let done = work.prepare().and_then(|()| if extract { work.extract() } else { work.copy() });
        // What is left there is of no use to anybody, and a next attempt clears it again.
        let _ = fs::remove_dir_all(&work.staging);
        let _ = fs::remove_file(work.staging.with_extension("copy"));
        done
    });
    let summary =
        done.await.unwrap_or_else(|panicked| Err(system(format!("copying broke off: {panicked}"))))?;
    site.log.line(&summary);
    Ok(Success { summary: Some(summary), ..Success::default() })
}

/// The object, or with `extract` the folder that the objects' names start with.
fn target(folder: &Path, object: Option<&str>, extract: bool) -> Result<PathBuf, Failure> {
    let object = match object {
        Some(object) if extract => object.trim_matches('/'),
        Some(object) => object,
        None => "",
    };
    if object.is_empty() && extract {
        return Ok(folder.to_owned());
    }
    object_path(folder, object)
        .ok_or_else(|| configuration(format!("`{object}` cannot be the key of an object in a folder.")))
}

/// `{datetime}` and `{uuid}` in a key. The id is the attempt's own, so an attempt that is resumed writes to the
/// same place.
fn with_variables(text: &str, job: &ActionJob) -> String {
    if !text.contains('{') {
        return text.to_owned();
    }
    let now = Timestamp::now().strftime("%Y-%m-%d_%H:%M:%S").to_string();
    text.replace("{datetime}", &now).replace("{uuid}", job.action_execution.as_str())
}

struct Work {
    site: Site,
    from: PathBuf,
    folder: PathBuf,
    staging: PathBuf,
    target: PathBuf,
}

impl Work {
    fn prepare(&self) -> Result<(), Failure> {
        if self.staging.exists() {
            fs::remove_dir_all(&self.staging).map_err(at(&self.staging))?;
        }
        fs::create_dir_all(&self.folder).map_err(at(&self.folder))
    }

    fn extract(&self) -> Result<String, Failure> {
        archive::unpack(&self.from, &self.staging, caps(&self.site)).map_err(refused)?;
        let mut entries = archive::list(&self.staging).map_err(refused)?;
        // Pages last, so that none is served before what it needs.
        entries.sort_by_key(|entry| entry.name.ends_with(".html") || entry.name.ends_with(".htm"));
        let any_links = entries.iter().any(|entry| entry.keep_link);
        let mut count = 0;
        for entry in &entries {
            if *self.site.cancelled.borrow() {
                return Err(system("The job was cancelled."));
            }
            if entry.keep_link && !entry.path.is_file() {
                let note = format!("`{}` is a link that leads to no file: left out", entry.name);
                self.site.log.line(&note);
                continue;
            }
            // A bucket has objects only: a link becomes a copy of the file it leads to. That file must be there
            // until the last link was followed, so with links in play everything is copied.
            let copy = any_links.then(|| self.staging.with_extension("copy"));
            let path = match copy {
                Some(copy) => fs::copy(&entry.path, &copy).map(|_| copy).map_err(at(&entry.path))?,
                None => entry.path.clone(),
            };
            place(&path, &self.target.join(&entry.name))?;
            count += 1;
        }
        let files = if count == 1 { "file" } else { "files" };
        Ok(format!("{count} {files} put into `{}`", self.target.display()))
    }

    fn copy(&self) -> Result<String, Failure> {
        fs::create_dir(&self.staging).map_err(at(&self.staging))?;
        let near = self.staging.join("object");
        fs::copy(&self.from, &near).map_err(at(&self.from))?;
        place(&near, &self.target)?;
        Ok(format!("1 file put at `{}`", self.target.display()))
    }
}

/// Moves a file to where its object belongs: whoever reads it sees the old content or the new, never a part.
fn place(file: &Path, target: &Path) -> Result<(), Failure> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(at(parent))?;
    }
    fs::rename(file, target).map_err(at(target))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Failure + '_ {
    move |error| {
        let message = format!("`{}`: {error}", path.display());
        match error.kind() {
            io::ErrorKind::PermissionDenied => Failure::new(FailureCode::PermissionError, message),
            io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                configuration(format!("{message}. An object and a folder cannot have the same name here."))
            }
            _ => system(message),
        }
    }
}

fn refused(error: ArchiveError) -> Failure {
    match error {
        ArchiveError::Io { path, source } => at(&path)(source),
        error @ (ArchiveError::Escapes { .. }
        | ArchiveError::Duplicate { .. }
        | ArchiveError::TooLarge(_)
        | ArchiveError::Unreadable { .. }) => {
            configuration(format!("The input artifact cannot be used: {error}."))
        }
    }
}

fn configuration(message: impl Into<String>) -> Failure {
    Failure::new(FailureCode::ConfigurationError, message)
}

fn system(message: impl Into<String>) -> Failure {
    Failure::new(FailureCode::SystemUnavailable, message)
}

#[cfg(test)]
mod tests;
