//! What all processes of a world share: the time, the dice, what is stored, the trace. And the life of one process.

use crate::{
    bus::Heard,
    observer::{Observer, Touched},
    plan::{Plan, Trouble},
    prng::Prng,
    provider::{Hint, Provider},
};
use engine::{
    log::Position,
    memory::{Fault, Faults, MemoryLog, MemoryViews, outward::MemoryMarks},
};
use events::Timestamp;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

/// The time at which every world begins, in milliseconds.
pub const BEGINNING: i64 = 1_700_000_000_000;

/// Of so many times that a process could die right after an append, it does so once.
const DIES_MIDWAY: usize = 6;

/// Who rolls dice: each has a sequence of its own.
#[derive(Debug, Clone, Copy)]
pub enum Die {
    /// What people do.
    People,
    /// How long things take.
    Latency,
    /// What becomes of appends and reads.
    Log,
    /// What becomes of work.
    Work,
    /// What becomes of messages.
    Delivery,
    /// What the world does.
    World,
}

/// Everything that outlives a process.
pub struct Shared {
    /// What the seed decided.
    pub plan: Plan,
    /// The log.
    pub memory: MemoryLog,
    /// The rows.
    pub views: Arc<MemoryViews>,
    /// Commits that were written, for whoever delivers them.
    pub written: mpsc::UnboundedSender<Position>,
    /// Work that will end, for whoever tells of it.
    pub hints: mpsc::UnboundedSender<Hint>,
    /// Processes that have just died of themselves, for whoever starts others in their place.
    pub died: mpsc::UnboundedSender<u64>,
    /// How far the world was told.
    pub marks: MemoryMarks,
    heard: Mutex<Heard>,
    dice: [Mutex<Prng>; 6],
    observer: Mutex<Observer>,
    provider: Mutex<Provider>,
    trace: Mutex<Vec<String>>,
    tracing: bool,
    began: Instant,
    ids: AtomicU64,
    /// Faults still happen. The draw of append faults, which the log owns, reads it too.
    trouble: Arc<AtomicBool>,
}

impl Shared {
    /// The world of a plan, before anything has happened. Called on a runtime whose time stands still.
    pub fn new(
        plan: Plan,
        tracing: bool,
        written: mpsc::UnboundedSender<Position>,
        hints: mpsc::UnboundedSender<Hint>,
        died: mpsc::UnboundedSender<u64>,
    ) -> Arc<Self> {
        let prng = Prng::new(plan.seed);
        let trouble = Arc::new(AtomicBool::new(true));
        let memory = MemoryLog::new();
        memory.set_faults(append_faults(&plan, prng.split(100), Arc::clone(&trouble)));
        let observer = Mutex::new(Observer::new(&plan));
        Arc::new(Self {
            plan,
            memory,
            views: Arc::new(MemoryViews::new()),
            written,
            hints,
            died,
            marks: MemoryMarks::default(),
            heard: Mutex::default(),
            dice: [1, 2, 3, 4, 5, 6].map(|which| Mutex::new(prng.split(which))),
            observer,
            provider: Mutex::new(Provider::default()),
            trace: Mutex::new(Vec::new()),
            tracing,
            began: Instant::now(),
            ids: AtomicU64::new(1),
            trouble,
        })
    }

    /// One sequence of dice.
    pub fn dice(&self, die: Die) -> MutexGuard<'_, Prng> {
        lock(&self.dice[die as usize])
    }

    /// A trouble comes now.
    pub fn strikes(&self, trouble: Trouble, die: Die) -> bool {
        let level = self.plan.level(trouble);
        level > 0 && self.trouble.load(Ordering::Relaxed) && self.dice(die).rarely(level)
    }

    /// A process dies now, in the middle of something.
    pub fn strikes_dead(&self) -> bool {
        self.strikes(Trouble::Crash, Die::Log) && self.dice(Die::Log).below(DIES_MIDWAY) == 0
    }

    /// Faults still happen.
    pub fn is_troubled(&self) -> bool {
        self.trouble.load(Ordering::Relaxed)
    }

    /// From now on nothing goes wrong.
    pub fn calm_down(&self) {
        self.trouble.store(false, Ordering::Relaxed);
    }

    /// What was seen so far.
    pub fn observer(&self) -> MutexGuard<'_, Observer> {
        lock(&self.observer)
    }

    /// Notes that a law was broken.
    pub fn blame(&self, words: impl FnOnce() -> String) {
        self.observer().blame(words);
    }

    /// What the world was told.
    pub fn heard(&self) -> MutexGuard<'_, Heard> {
        lock(&self.heard)
    }

    /// Whoever does the work.
    pub fn provider(&self) -> MutexGuard<'_, Provider> {
        lock(&self.provider)
    }

    /// Milliseconds since the beginning.
    pub fn elapsed(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// The true time.
    pub fn now(&self) -> Timestamp {
        Timestamp(BEGINNING + self.elapsed())
    }

    /// A number never used before.
    pub fn fresh(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits as long as a disk or a network may take.
    pub async fn takes_time(&self) {
        if !self.plan.slow {
            return;
        }
        let wait = {
            let mut dice = self.dice(Die::Latency);
            match dice.below(10) {
                0..=5 => 0,
                6..=8 => 1 + dice.below(20),
                _ => 20 + dice.below(400),
            }
        };
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait as u64)).await;
        }
    }

    /// Somebody listens to the story.
    pub fn is_told(&self) -> bool {
        self.tracing
    }

    /// Writes a line of the trace.
    pub fn note(&self, line: impl FnOnce() -> String) {
        if self.tracing {
            let at = self.elapsed() as f64 / 1000.0;
            let line = shortened(&line());
            lock(&self.trace).push(format!("{at:>12.3} {line}"));
        }
    }

    /// The trace, taken out.
    pub fn take_trace(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.trace))
    }

    /// Looks at what was written since the last look, and tells those who follow.
    pub fn look(&self) {
        let mut observer = self.observer();
        let mut seen = Touched::default();
        let after = observer.at;
        self.memory.look(after, usize::MAX, |position, commit| {
            observer.see(position, commit, &mut seen, &mut |line| self.note(line));
            // On one machine only who tells the world follows this way.
            let _ = self.written.send(position);
        });
        observer.judge(&seen);
    }
}

/// Ids are long; what tells them apart within one world is not.
fn shortened(line: &str) -> String {
    line.replace("00000000-0000-4000-8000-00000000", "#")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Draws the fault of each append. Nobody else rolls these dice.
fn append_faults(plan: &Plan, mut prng: Prng, trouble: Arc<AtomicBool>) -> Faults {
    let levels = [
        (Fault::Conflict, plan.level(Trouble::Conflict)),
        (Fault::Unavailable, plan.level(Trouble::Throttle)),
        (Fault::AnswerLost, plan.level(Trouble::AnswerLost)),
    ];
    if levels.iter().all(|(_, level)| *level == 0) {
        return Faults::default();
    }
    Faults::drawn(move |_| {
        let drawn = levels.map(|(fault, level)| prng.rarely(level).then_some(fault));
        drawn.into_iter().flatten().next().filter(|_| trouble.load(Ordering::Relaxed))
    })
}

/// A number that only grows and can be waited for. Whoever waits is woken in the order of coming; those who wait for a
/// `watch` are woken by lot, and no seed would tell its story twice.
#[derive(Default)]
pub struct Awaited {
    number: AtomicU64,
    grown: Notify,
}

impl Awaited {
    /// How far it has come.
    pub fn at(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// It has come so far, if it had not before.
    pub fn raise(&self, to: u64) {
        if self.number.fetch_max(to, Ordering::Relaxed) < to {
            self.grown.notify_waiters();
        }
    }

    /// Waits until it has come so far.
    pub async fn reaches(&self, number: u64) {
        loop {
            let grown = self.grown.notified();
            if self.at() >= number {
                return;
            }
            grown.await;
        }
    }
}

/// A process, as long as it lives. What it has under way when it dies never goes on.
pub struct Life {
    /// Which one, from 1.
    pub number: u64,
    /// How far its clock is off, in milliseconds.
    pub skew: i64,
    dead: Awaited,
    /// How far its own clock went, which never goes back.
    clock: AtomicI64,
}

impl Life {
    /// A process begins.
    pub fn new(number: u64, skew: i64) -> Arc<Self> {
        Arc::new(Self { number, skew, dead: Awaited::default(), clock: AtomicI64::new(0) })
    }

    /// It ends here and now.
    pub fn end(&self) {
        self.dead.raise(1);
    }

    /// It has ended.
    pub fn is_over(&self) -> bool {
        self.dead.at() > 0
    }

    /// Goes on only if the process still lives: whatever it had under way stops at the next thing it needs of the
    /// world.
    pub async fn lives(&self) {
        if self.is_over() {
            std::future::pending::<()>().await;
        }
    }

    /// Resolves when the process has ended.
    pub async fn ended(&self) {
        self.dead.reaches(1).await;
    }

    /// The time as this process has it.
    pub fn now(&self, shared: &Shared) -> Timestamp {
        let now = shared.now().0 + self.skew;
        Timestamp(now.max(self.clock.fetch_max(now, Ordering::Relaxed)))
    }
}
