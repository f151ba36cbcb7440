//! Appends whose answer was lost. They may have been written, and then what they ask for must be carried out: nobody
//! else would hear of it for a minute.

use crate::{
    Engine,
    log::{Appended, Batch, Hash, Log, LogError},
    perform::{RECORD_ATTEMPTS_MAX, pause},
    ports::Actions,
};
use domain::{Effect, fault};
use events::{StreamName, Version};

/// Looks at the log for an append while its sender waits. More of them follow when nobody does any more.
const LOOKS_IN_TIME: u32 = 3;

/// By what an append is found again: the first of its commits.
#[derive(Debug, Clone)]
pub(crate) struct Probe(Option<(StreamName, Version, Hash)>);

impl Probe {
    /// What to look for.
    pub(crate) fn of(batch: &Batch) -> Self {
        Self(batch.commits.first().map(|commit| (commit.stream.clone(), commit.first, commit.hash)))
    }
}

impl<L: Log, A: Actions> Engine<L, A> {
    /// The answer to an append; where it was lost, the one that a look at the log gives. Effects are carried out later
    /// if even that takes too long.
    pub(crate) async fn answered(
        &self,
        probe: &Probe,
        answer: Result<Appended, LogError>,
        effects: &[Effect],
    ) -> Result<Appended, LogError> {
        let Err(lost @ LogError::Unavailable { .. }) = answer else { return answer };
        if fault!(LostAnswerForgotten) {
            return Err(lost);
        }
        for attempt in 1..=LOOKS_IN_TIME {
            match self.is_written(probe).await {
                Ok(true) => return Ok(Appended::Written),
                Ok(false) => return Err(lost),
                Err(_) => tokio::time::sleep(pause(attempt)).await,
            }
        }
        if !effects.is_empty() {
            self.look_later(probe.clone(), effects.to_vec());
        }
        Err(lost)
    }

    fn look_later(&self, probe: Probe, effects: Vec<Effect>) {
        self.set_out(|engine| async move {
            for attempt in LOOKS_IN_TIME + 1..=RECORD_ATTEMPTS_MAX {
                tokio::time::sleep(pause(attempt)).await;
                match engine.is_written(&probe).await {
                    Ok(true) => return engine.carry_out(effects),
                    Ok(false) => return,
                    Err(error) => {
                        tracing::debug!(%error, "it is not known yet whether an append was written")
                    }
                }
            }
            tracing::warn!(
                "it is not known whether an append was written; the next sweep takes up what it asks for"
            );
        });
    }

    async fn is_written(&self, probe: &Probe) -> Result<bool, LogError> {
        let Some((stream, first, hash)) = &probe.0 else { return Ok(false) };
        let before = Version(first.0.saturating_sub(1));
        let stands = self.log().read(stream, before, 1).await?;
        Ok(stands.first().is_some_and(|commit| commit.first == *first && commit.hash == *hash))
    }
}
