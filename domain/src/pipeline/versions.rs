//! A pipeline's definitions over time: the state of a `pipeline#<name>` stream.

use super::{PipelineDeclaration, new_tags};
use crate::{draft::Draft, execution::Start, lane::admit, rejection::Rejection};
use events::{
    LaneCleared, LaneEvent, PipelineDeclared, PipelineDeleted, PipelineEvent, PipelineTagged,
    PipelineUntagged, PipelineVersion, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Number of this fold; one more whenever [`Pipeline`]'s shape or meaning changes.
pub const FOLD: u32 = 1;

/// The state of a `pipeline#<name>` stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    /// The newest version; `None` before the first and after a deletion.
    pub current: Option<PipelineVersion>,
    /// Every version since the pipeline was created.
    pub versions: BTreeMap<PipelineVersion, Arc<PipelineDeclaration>>,
    /// How often the name was deleted.
    pub incarnation: u32,
    /// When version 1 was declared.
    pub created: Timestamp,
    /// When the newest version was declared.
    pub updated: Timestamp,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Pipeline {
    /// Writes one event down.
    pub fn evolve(&mut self, event: &PipelineEvent, at: Timestamp) {
        match event {
            PipelineEvent::PipelineDeclared(declared) => {
                if self.current.is_none() {
                    self.created = at;
                    self.tags.clone_from(&declared.tags);
                }
                self.updated = at;
                self.current = Some(declared.version);
                // A definition was parsed before it was stored. Should a later program no longer understand it,
                // the version is known but has no content, and what needs it says so.
                if let Ok(definition) = declared.definition.read::<PipelineDeclaration>() {
                    self.versions.insert(declared.version, definition);
                }
            }
            PipelineEvent::PipelineTagged(tagged) => self.tags.extend(tagged.tags.clone()),
            PipelineEvent::PipelineUntagged(untagged) => {
                self.tags.retain(|key, _| !untagged.keys.contains(key));
            }
            PipelineEvent::PipelineDeleted(_) => {
                *self = Self { incarnation: self.incarnation + 1, ..Self::default() };
            }
        }
    }

    /// The definition new executions follow.
    pub fn current_definition(&self) -> Option<&Arc<PipelineDeclaration>> {
        self.versions.get(&self.current?)
    }

    /// The definition that a run started with; `None` when the pipeline was deleted since.
    pub fn followed_by(&self, start: &Start) -> Option<&Arc<PipelineDeclaration>> {
        self.definition(start.pipeline_version).filter(|_| start.incarnation == self.incarnation)
    }

    /// The definition of one version.
    pub fn definition(&self, version: PipelineVersion) -> Option<&Arc<PipelineDeclaration>> {
        self.versions.get(&version)
    }
}

/// Accepts the first definition. It has been validated and normalised, and holds no secret.
pub(crate) fn create(
    draft: &mut Draft<'_>,
    definition: &PipelineDeclaration,
    tags: &BTreeMap<String, String>,
) -> Result<(), Rejection> {
    if draft.scope.pipeline.current.is_some() {
        return Err(Rejection::PipelineNameInUse { pipeline: draft.name.clone() });
    }
    declare(draft, definition, PipelineVersion(1), tags.clone());
    Ok(())
}

/// Accepts a later definition; the version grows even if nothing else changed.
pub(crate) fn update(draft: &mut Draft<'_>, definition: &PipelineDeclaration) -> Result<(), Rejection> {
    let current = draft.scope.pipeline.current.ok_or_else(|| draft.no_pipeline())?;
    declare(draft, definition, PipelineVersion(current.0 + 1), BTreeMap::new());
    // Who waits for a stage is cancelled at once; who is inside one, after its running actions.
    for (stage, execution) in draft.scope.lane.ended_by_updates() {
        admit::leave(draft, &stage, &execution);
    }
    Ok(())
}

/// Deletes the pipeline; what is under way is told. Deleting what is not there changes nothing.
pub(crate) fn delete(draft: &mut Draft<'_>) {
    if draft.scope.pipeline.current.is_none() {
        return;
    }
    draft.pipeline(PipelineEvent::PipelineDeleted(PipelineDeleted { by: draft.actor.to_owned() }));
    let executions = draft.scope.lane.under_way().into_iter().cloned().collect();
    draft.lane(LaneEvent::LaneCleared(LaneCleared { executions }));
}

/// Adds tags, or changes their values; those that are as wished stay as they are.
pub(crate) fn tag(draft: &mut Draft<'_>, tags: &BTreeMap<String, String>) -> Result<(), Rejection> {
    draft.scope.pipeline.current.ok_or_else(|| draft.no_pipeline())?;
    let tags = new_tags(&draft.scope.pipeline.tags, tags)
        .ok_or_else(|| Rejection::TooManyTags { resource: draft.name.to_string() })?;
    if !tags.is_empty() {
        let by = draft.actor.to_owned();
        draft.pipeline(PipelineEvent::PipelineTagged(PipelineTagged { tags, by }));
    }
    Ok(())
}

/// Takes tags off, as far as they are there.
pub(crate) fn untag(draft: &mut Draft<'_>, keys: &[String]) -> Result<(), Rejection> {
    draft.scope.pipeline.current.ok_or_else(|| draft.no_pipeline())?;
    let tags = &draft.scope.pipeline.tags;
    let keys: Vec<String> = tags.keys().filter(|key| keys.contains(key)).cloned().collect();
    if !keys.is_empty() {
        let by = draft.actor.to_owned();
        draft.pipeline(PipelineEvent::PipelineUntagged(PipelineUntagged { keys, by }));
    }
    Ok(())
}

fn declare(
    draft: &mut Draft<'_>,
    definition: &PipelineDeclaration,
    version: PipelineVersion,
    tags: BTreeMap<String, String>,
) {
    let definition = serde_json::to_value(numbered(definition, version))
        .expect("a declaration holds only text keys and plain values, which JSON can always hold");
    draft.pipeline(PipelineEvent::PipelineDeclared(PipelineDeclared {
        version,
        definition: definition.into(),
        tags,
        by: draft.actor.to_owned(),
    }));
}

fn numbered(definition: &PipelineDeclaration, version: PipelineVersion) -> PipelineDeclaration {
    PipelineDeclaration { version: Some(version), ..definition.clone() }
}
