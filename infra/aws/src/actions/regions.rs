//! Artifacts of actions in another Region. A service takes its inputs from a bucket of its own Region, and leaves its
//! outputs in one: inputs are copied there before the work begins, outputs back when it has ended. Their keys stay.

use super::{
    clone_ref::unreadable,
    failure,
    objects::{Objects, ObjectsError, Origin, Properties},
    provider::configuration,
};
use crate::client::Client;
use engine::action::{ActionJob, ArtifactLocation, Failure, InputArtifact, Region};

/// The Region in which a job's provider works, if it is not that of the pipeline.
pub(super) fn elsewhere<'a>(job: &'a ActionJob, home: &str) -> Option<&'a Region> {
    job.region.as_ref().filter(|region| !region.name.is_empty() && region.name != home)
}

/// The job with its artifacts where they are to be over there.
pub(super) fn moved(job: &ActionJob, region: &Region) -> Result<ActionJob, Failure> {
    let mut moved = job.clone();
    if job.inputs.is_empty() && job.outputs.is_empty() {
        return Ok(moved);
    }
    let bucket = region.bucket.as_ref().ok_or_else(|| {
        configuration(format!(
            "The action `{}` works in {}, where the pipeline has no artifact store: add one for that Region to \
             `artifactStores`.",
            job.action, region.name
        ))
    })?;
    let inputs = moved.inputs.iter_mut().map(|input| &mut input.location);
    for location in inputs.chain(moved.outputs.iter_mut().map(|output| &mut output.location)) {
        location.bucket.clone_from(bucket);
    }
    moved.encryption_key.clone_from(&region.encryption_key);
    Ok(moved)
}

/// Both ends of the way between two Regions, in one identity.
pub(super) struct Way<'a> {
    pub(super) home: Objects,
    pub(super) there: Objects,
    pub(super) who: &'a str,
}

impl<'a> Way<'a> {
    pub(super) fn new(client: &Client, home: &str, region: &str, who: &'a str) -> Self {
        let at = |region: &str| Objects::new(client.in_region(region));
        Self { home: at(home), there: at(region), who }
    }

    /// Copies the inputs to where the moved job has them.
    pub(super) async fn bring(&self, job: &ActionJob, moved: &ActionJob) -> Result<(), Failure> {
        for (from, to) in job.inputs.iter().zip(&moved.inputs) {
            // Keys are never used twice: what is there already is what it shall be.
            match self.there.head(&to.location).await {
                Ok(_) => continue,
                Err(ObjectsError::Missing) => {}
                Err(error) => return Err(unreadable(self.who, to, error)),
            }
            let ends = (&from.location, &to.location);
            copy((&self.home, &self.there), ends, moved.encryption_key.as_ref(), from, self.who).await?;
        }
        Ok(())
    }

    /// Copies the outputs to where the pipeline expects them.
    pub(super) async fn take_back(&self, job: &ActionJob, moved: &ActionJob) -> Result<(), Failure> {
        for (to, from) in job.outputs.iter().zip(&moved.outputs) {
            let named =
                InputArtifact { name: from.name.clone(), location: from.location.clone(), revision: None };
            let ends = (&from.location, &to.location);
            copy((&self.there, &self.home), ends, job.encryption_key.as_ref(), &named, self.who).await?;
        }
        Ok(())
    }
}

/// Copies one artifact. The Region it goes to fetches it.
async fn copy(
    (source, target): (&Objects, &Objects),
    (from, to): (&ArtifactLocation, &ArtifactLocation),
    key: Option<&String>,
    named: &InputArtifact,
    who: &str,
) -> Result<(), Failure> {
    let head = source.head(from).await.map_err(|error| unreadable(who, named, error))?;
    let origin =
        Origin { bucket: &from.bucket, key: &from.key, version: head.version_id.as_deref(), size: head.size };
    let properties = Properties { key: key.cloned(), ..Properties::default() };
    let copied = target.copy(&origin, (&to.bucket, &to.key), &properties, false).await;
    copied.map_err(|error| failure::of(&error, who))
}
