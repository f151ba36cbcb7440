//! The log as a process sees it: the one in memory, which takes its time, may not answer, and forgets what a process
//! that dies had not handed over.

use crate::{
    plan::Trouble,
    shared::{Awaited, Die, Life, Shared},
};
use engine::log::{Appended, Batch, Commit, Loaded, Log, LogError};
use events::{StreamName, Version};
use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// The log of one process: with `PIPELINED` its appends wait in a line, otherwise each goes its own way.
pub struct SimLog<const PIPELINED: bool> {
    shared: Arc<Shared>,
    life: Arc<Life>,
    line: Arc<Line>,
}

impl<const PIPELINED: bool> Clone for SimLog<PIPELINED> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), life: Arc::clone(&self.life), line: Arc::clone(&self.line) }
    }
}

type Answer = Result<Appended, LogError>;

/// Appends on their way to the disk, in the order of the calls.
#[derive(Default)]
struct Line {
    waiting: Mutex<Waiting>,
    /// Appends that are durable or have failed.
    done: Awaited,
}

#[derive(Default)]
struct Waiting {
    appends: VecDeque<(Batch, oneshot::Sender<Answer>)>,
    asked: u64,
    is_served: bool,
}

/// Appends that one wait for the disk makes durable, most.
const GROUP_MAX: usize = 3;

impl<const PIPELINED: bool> SimLog<PIPELINED> {
    /// The log as this process sees it.
    pub fn new(shared: &Arc<Shared>, life: &Arc<Life>) -> Self {
        Self { shared: Arc::clone(shared), life: Arc::clone(life), line: Arc::default() }
    }

    /// The process dies: so many of what waited had reached the disk, and the rest never will.
    pub async fn cut(&self) {
        let waiting = std::mem::take(&mut self.waiting().appends);
        let kept = self.shared.dice(Die::Log).below(waiting.len() + 1);
        for (batch, _) in waiting.into_iter().take(kept) {
            drop(self.apply(batch).await);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.line.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn apply(&self, batch: Batch) -> Answer {
        let subject = batch.commits.first().map(|commit| commit.stream.clone());
        let answer = self.shared.memory.append(batch).await;
        match &answer {
            Ok(Appended::Written) => {}
            Ok(Appended::Conflict { stream }) => self.shared.note(|| format!("  conflict on {stream}")),
            Ok(Appended::Repeated { .. }) => {
                self.shared
                    .note(|| format!("  repeated: {}", subject.map(|it| it.to_string()).unwrap_or_default()));
            }
            Err(error) => self.shared.note(|| format!("  {error}")),
        }
        self.shared.look();
        // Between the append and what follows from it.
        if !self.life.is_over() && self.shared.strikes_dead() {
            self.life.end();
            let _ = self.shared.died.send(self.life.number);
        }
        answer
    }

    fn join_the_line(&self, batch: Batch) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        let mut waiting = self.waiting();
        waiting.appends.push_back((batch, answer));
        waiting.asked += 1;
        if !waiting.is_served {
            waiting.is_served = true;
            let log = self.clone();
            tokio::spawn(async move { log.serve().await });
        }
        answered
    }

    /// Writes what waits, a few at a time; nobody of a group hears before all of it is durable.
    async fn serve(&self) {
        loop {
            self.shared.takes_time().await;
            self.life.lives().await;
            let group: Vec<_> = {
                let mut waiting = self.waiting();
                if waiting.appends.is_empty() {
                    waiting.is_served = false;
                    return;
                }
                let most = 1 + self.shared.dice(Die::Latency).below(GROUP_MAX);
                let size = waiting.appends.len().min(most);
                waiting.appends.drain(..size).collect()
            };
            let size = group.len() as u64;
            let mut answers = Vec::new();
            for (batch, answer) in group {
                answers.push((answer, self.apply(batch).await));
            }
            for (answer, outcome) in answers {
                drop(answer.send(outcome));
            }
            self.line.done.raise(self.line.done.at() + size);
        }
    }

    async fn go_alone(self, batch: Batch) -> Answer {
        self.shared.takes_time().await;
        self.life.lives().await;
        let answer = self.apply(batch).await;
        self.shared.takes_time().await;
        self.life.lives().await;
        answer
    }

    /// Before a read: it takes its time, and may fail.
    async fn reach(&self, stream: &StreamName) -> Result<(), LogError> {
        self.shared.takes_time().await;
        self.life.lives().await;
        if self.shared.strikes(Trouble::Unread, Die::Log) {
            self.shared.note(|| format!("  {stream} cannot be read"));
            return Err(LogError::Unavailable { subject: stream.to_string(), source: "throttled".into() });
        }
        Ok(())
    }
}

impl<const PIPELINED: bool> Log for SimLog<PIPELINED> {
    const PIPELINED: bool = PIPELINED;

    fn append(&self, batch: Batch) -> impl Future<Output = Answer> + Send + 'static {
        let log = self.clone();
        let on_its_way = match PIPELINED {
            true => Ok(self.join_the_line(batch)),
            false => Err(batch),
        };
        async move {
            match on_its_way {
                Ok(answered) => match answered.await {
                    Ok(answer) => {
                        log.life.lives().await;
                        answer
                    }
                    // Cut off with its process.
                    Err(_) => std::future::pending().await,
                },
                Err(batch) => log.go_alone(batch).await,
            }
        }
    }

    async fn barrier(&self) {
        let asked = self.waiting().asked;
        self.line.done.reaches(asked).await;
        self.life.lives().await;
    }

    async fn load(&self, stream: &StreamName, fold: u32) -> Result<Loaded, LogError> {
        self.reach(stream).await?;
        self.shared.memory.load(stream, fold).await
    }

    async fn read(&self, stream: &StreamName, after: Version, limit: usize) -> Result<Vec<Commit>, LogError> {
        self.reach(stream).await?;
        self.shared.memory.read(stream, after, limit).await
    }
}
