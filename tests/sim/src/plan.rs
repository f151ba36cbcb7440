//! What a seed decides before anything happens: which home is lived in, what goes wrong there and how often.

use crate::prng::Prng;
use domain::policy::Policies;
use events::{Compatibility, GatePolicy, Newer, Older, PipelineName, StageName};
use std::{collections::BTreeMap, fmt};

/// See [`Plan::is_thorough`].
const THOROUGH: u64 = 8;
/// See [`Plan::is_listed_anew`].
const LISTED_ANEW: u64 = 4;
/// See [`Plan::is_heard`].
const HEARD: u64 = 4;

/// What can go wrong. Each has dice of its own, so that taking one away leaves the others as they were, as far as
/// what happens allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// An append is answered with a conflict though nobody was faster.
    Conflict,
    /// An append is not written, and not answered.
    Throttle,
    /// An append is written, and not answered.
    AnswerLost,
    /// A stream cannot be read.
    Unread,
    /// A process dies with everything it had under way.
    Crash,
    /// Rows cannot be written.
    Rows,
    /// What the change stream or a provider has to say comes twice, late, or never.
    Delivery,
    /// Work hangs, or is reported twice or late.
    Work,
}

/// Every kind of trouble.
pub const TROUBLES: [Trouble; 8] = [
    Trouble::Conflict,
    Trouble::Throttle,
    Trouble::AnswerLost,
    Trouble::Unread,
    Trouble::Crash,
    Trouble::Rows,
    Trouble::Delivery,
    Trouble::Work,
];

/// What a replay leaves out, to see what a failure needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// So many steps at most.
    pub steps: Option<usize>,
    /// Without these.
    pub without: Vec<Trouble>,
}

/// What a seed decides.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// One process whose appends follow each other, as on one machine; otherwise several, as on AWS.
    pub pipelined: bool,
    /// Processes at the same time.
    pub engines: usize,
    /// How often each trouble comes, of 1,000 chances.
    levels: BTreeMap<Trouble, usize>,
    /// Whatever waits for a disk or a network takes its time.
    pub slow: bool,
    /// Things that happen.
    pub steps: usize,
    /// Pipelines at the beginning.
    pub pipelines: usize,
    /// Of 100 definitions, how many come from the folder.
    pub from_folder: usize,
    /// What the installation lays down.
    pub policies: Policies,
}

impl Plan {
    /// The plan of a seed.
    pub fn new(seed: u64, trimmed: &Trimmed) -> Self {
        let mut prng = Prng::new(seed);
        let pipelined = prng.chance(60);
        let calm = prng.chance(15);
        let mut levels = BTreeMap::new();
        for trouble in TROUBLES {
            let level = *prng.pick(&[0, 0, 10, 40, 120]);
            let level = match trouble {
                // A process that dies all the time gets nothing done.
                Trouble::Crash => level.min(40),
                Trouble::Work => level * 2,
                Trouble::Conflict
                | Trouble::Throttle
                | Trouble::AnswerLost
                | Trouble::Unread
                | Trouble::Rows
                | Trouble::Delivery => level,
            };
            // An answer that is lost is looked up, so that nothing is lost with it.
            let is_quiet = calm && trouble != Trouble::AnswerLost;
            if !is_quiet && !trimmed.without.contains(&trouble) {
                levels.insert(trouble, level);
            }
        }
        let steps = 8 + prng.below(24);
        Self {
            seed,
            pipelined,
            engines: if pipelined { 1 } else { 1 + prng.below(3) },
            levels,
            slow: prng.chance(60),
            steps: trimmed.steps.map_or(steps, |most| most.min(steps)),
            pipelines: if prng.chance(75) { 1 } else { 2 },
            from_folder: *prng.pick(&[0, 0, 0, 100]),
            policies: policies(&mut prng),
        }
    }

    /// How often a trouble comes, of 1,000 chances.
    pub fn level(&self, trouble: Trouble) -> usize {
        self.levels.get(&trouble).copied().unwrap_or(0)
    }

    // What follows is read from digits of the seed of their own, so that each is met with each of the others.

    /// One world in so many is looked at for what others look at already: hashes that the log checks, events read back,
    /// streams folded once more.
    pub fn is_thorough(&self) -> bool {
        self.seed.is_multiple_of(THOROUGH)
    }

    /// All rows are made anew at the end in one world of so many.
    pub fn is_listed_anew(&self) -> bool {
        (self.seed / (THOROUGH * HEARD)).is_multiple_of(LISTED_ANEW)
    }

    /// The world outside is told in one world of so many.
    pub fn is_heard(&self) -> bool {
        (self.seed / THOROUGH).is_multiple_of(HEARD)
    }

    /// On one machine: while something goes wrong, a sweep takes up what is due, as `towpath` does while it runs, and
    /// not all that is under way, as it does at its start.
    pub fn takes_up(&self) -> bool {
        (self.seed / (THOROUGH * HEARD * LISTED_ANEW)).is_multiple_of(2)
    }

    /// Nothing goes wrong that anybody would have to make good later: everything must come to its end without anybody
    /// sweeping.
    pub fn is_calm(&self) -> bool {
        let mut others = self.levels.iter().filter(|(trouble, _)| **trouble != Trouble::AnswerLost);
        others.all(|(_, level)| *level == 0)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let home = if self.pipelined { "one machine" } else { "AWS" };
        let slow = if self.slow { "slow" } else { "prompt" };
        write!(f, "seed {}: {home}, {slow}, {} at once, {} steps", self.seed, self.engines, self.steps)?;
        let troubles: Vec<String> = self
            .levels
            .iter()
            .filter(|(_, level)| **level > 0)
            .map(|(trouble, level)| format!("{trouble:?} {level}‰"))
            .collect();
        let words = if troubles.is_empty() { "nothing goes wrong".to_owned() } else { troubles.join(", ") };
        write!(f, "; {words}; {:?}", self.policies.compatibility)
    }
}

/// Now CodePipeline as it is, now more.
fn policies(prng: &mut Prng) -> Policies {
    if prng.chance(40) {
        return Policies::default();
    }
    let mut policies = Policies { compatibility: Compatibility::Extended, ..Policies::default() };
    for name in crate::definitions::NAMES {
        let Ok(name) = PipelineName::parse(name) else { continue };
        let newer = *prng.pick(&[Newer::Hold, Newer::Hold, Newer::Supersede, Newer::Newest]);
        let older = *prng.pick(&[None, Some(Older::Refuse)]);
        if prng.chance(50) {
            continue;
        }
        let gates = ["Gate", "Deploy"].into_iter().filter_map(|stage| StageName::parse(stage).ok());
        let gates = gates.map(|stage| (stage, GatePolicy { newer, older })).collect();
        policies.gates.insert(name, gates);
    }
    policies
}
