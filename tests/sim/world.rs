//! The scheduler: a virtual clock, messages that come twice, late and out of order, providers that succeed, fail,
//! hang or answer twice, people, and a sweep that mends what was lost. Each step one runnable thing is picked.

use crate::{
    check,
    prng::Prng,
    subject::{Answer, Faults, Order, Subject},
    users,
};
use domain::{
    Effect,
    command::{ActionResult, Attempt, Command, Details, Wish},
    execution::rollback::Past,
};
use events::{ActionExecutionId, ExecutionId, FailureCode, PipelineName, SourceRevision, Timestamp};
use std::collections::BTreeMap;

/// Steps while faults happen.
const STEPS: usize = 220;
/// Steps until everything must have ended once faults have stopped.
const STEPS_TO_REST_MAX: usize = 20_000;
/// How often a message is delivered before it goes where dead letters go; the sweep mends the rest.
const DELIVERIES_MAX: usize = 4;
/// Milliseconds in a minute.
const MINUTE: i64 = 60_000;

#[derive(Debug, Clone)]
enum Message {
    /// A command for the subject.
    Order(Box<Order>),
    /// Work for a provider.
    Run { pipeline: PipelineName, execution: ExecutionId, attempt: Attempt },
}

#[derive(Debug, Clone)]
struct Pending {
    due: i64,
    message: Message,
    deliveries: usize,
}

/// Everything outside the subject.
pub struct World<S> {
    subject: S,
    prng: Prng,
    clock: i64,
    faults: Faults,
    /// Messages are doubled and delayed.
    unreliable: bool,
    pending: Vec<Pending>,
    /// What each provider has made of an attempt: asked twice, it answers the same. `None` hangs.
    worked: BTreeMap<ActionExecutionId, Option<ActionResult>>,
    asked: BTreeMap<ExecutionId, Vec<Effect>>,
    ids: usize,
    runs: usize,
    trace: Vec<String>,
    tracing: bool,
}

/// How much a seed exercised.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub runs: usize,
    pub events: usize,
}

impl<S: Subject> World<S> {
    /// A world of this seed.
    pub fn new(seed: u64, subject: S, tracing: bool) -> Self {
        let mut prng = Prng::new(seed);
        let level = *prng.pick(&[0, 2, 8, 20]);
        Self {
            subject,
            faults: Faults { stale: level * 2, before: level, after: level },
            unreliable: prng.chance(80),
            prng,
            clock: 1_700_000_000_000,
            pending: Vec::new(),
            worked: BTreeMap::new(),
            asked: BTreeMap::new(),
            ids: 0,
            runs: 0,
            trace: Vec::new(),
            tracing,
        }
    }

    /// Lives through the seed.
    pub fn run(&mut self) -> Result<Tally, String> {
        for name in users::PIPELINES {
            let name = PipelineName::parse(name).map_err(|error| error.to_string())?;
            let command = users::create(&name, &mut self.prng);
            self.order(command, "founder")?;
        }
        for _ in 0..STEPS {
            self.step()?;
        }
        self.come_to_rest()?;
        let log = self.subject.log();
        check::at_the_end(log)?;
        let rows = log.lanes.values().map(|stream| stream.rows.len());
        let events = rows.chain(log.executions.values().map(|stream| stream.rows.len())).sum();
        Ok(Tally { runs: self.runs, events })
    }

    /// What happened, one line each.
    pub fn trace(&self) -> &[String] {
        &self.trace
    }

    fn step(&mut self) -> Result<(), String> {
        self.clock += self.prng.below(2_000) as i64;
        match self.prng.below(100) {
            0..=29 => {
                let id =
                    ExecutionId::parse(format!("e{:x}", self.runs)).map_err(|error| error.to_string())?;
                let Some(command) = users::act(self.subject.log(), &id, &mut self.prng) else {
                    return Ok(());
                };
                if command.execution.as_ref() == Some(&id) {
                    self.runs += 1;
                }
                self.order(command, "ann")
            }
            30..=32 => {
                // A night, or a month.
                let minutes = if self.prng.chance(10) { 31 * 24 * 60 } else { self.prng.below(90) };
                self.clock += minutes as i64 * MINUTE;
                self.note(|| format!("{minutes} minutes pass"));
                Ok(())
            }
            33..=35 => self.sweep(),
            _ => self.deliver_one(),
        }
    }

    /// Faults stop, doors open, approvals are answered: everything must end.
    fn come_to_rest(&mut self) -> Result<(), String> {
        self.note(|| "faults stop".to_owned());
        self.faults = Faults::NONE;
        self.unreliable = false;
        for _ in 0..STEPS_TO_REST_MAX {
            if self.pending.iter().any(|pending| pending.due <= self.clock) {
                self.deliver_one()?;
                continue;
            }
            for command in users::let_everything_end(self.subject.log()) {
                self.order(command, "ann")?;
            }
            let resumed = self.subject.resume();
            if resumed.is_empty() {
                return Ok(());
            }
            self.effects(resumed);
            // A hanging action times out after hours; nothing happens until the next message is due.
            let later = self.pending.iter().map(|pending| pending.due).filter(|due| *due > self.clock);
            let next = later.min().unwrap_or(self.clock);
            self.clock = next.max(self.clock + MINUTE);
        }
        self.note(|| "it goes on and on".to_owned());
        Ok(())
    }

    fn sweep(&mut self) -> Result<(), String> {
        self.note(|| "sweep".to_owned());
        let resumed = self.subject.resume();
        self.effects(resumed);
        Ok(())
    }

    fn deliver_one(&mut self) -> Result<(), String> {
        let runnable: Vec<usize> =
            (0..self.pending.len()).filter(|index| self.pending[*index].due <= self.clock).collect();
        if runnable.is_empty() {
            // Nothing to do now: the clock moves on to whatever comes next.
            if let Some(next) = self.pending.iter().map(|pending| pending.due).min() {
                self.clock = self.clock.max(next.min(self.clock + 10 * MINUTE));
            }
            return Ok(());
        }
        let pending = self.pending.swap_remove(*self.prng.pick(&runnable));
        match pending.message.clone() {
            Message::Order(order) => {
                let done = self.send(&order)?;
                if !done && pending.deliveries < DELIVERIES_MAX {
                    let due = self.clock + self.prng.below(30_000) as i64;
                    self.pending.push(Pending { due, deliveries: pending.deliveries + 1, ..pending });
                }
                Ok(())
            }
            Message::Run { pipeline, execution, attempt } => {
                self.work(&pipeline, &execution, &attempt);
                Ok(())
            }
        }
    }

    /// A person, or the founder, sends a command; when nobody answers, now and then they send it again.
    fn order(&mut self, command: Command, actor: &str) -> Result<(), String> {
        self.ids += 1;
        let order = Order { command, id: format!("order-{}", self.ids), actor: actor.to_owned() };
        let done = self.send(&order)?;
        if !done && self.prng.chance(50) {
            self.pending.push(Pending {
                due: self.clock,
                message: Message::Order(Box::new(order)),
                deliveries: 1,
            });
        }
        Ok(())
    }

    /// False when nobody knows what became of it.
    fn send(&mut self, order: &Order) -> Result<bool, String> {
        // Clocks of several machines never quite agree.
        let skew = if self.unreliable { self.prng.below(4_000) as i64 - 2_000 } else { 0 };
        let clock = Timestamp(self.clock + skew);
        let answer = self.subject.send(order, clock, self.faults, &mut self.prng)?;
        let about = order.command.execution.as_ref().map_or(String::new(), |id| format!(" {id}"));
        let words = format!("{}{about} of {} ({})", order.command.name(), order.command.pipeline, order.id);
        let done = match answer {
            Answer::Done(effects, lines) => {
                self.note(|| format!("{words}: {}", if lines.is_empty() { "nothing" } else { "done" }));
                lines.into_iter().for_each(|line| self.note(|| format!("    {line}")));
                self.effects(effects);
                true
            }
            Answer::Refused(rejection) => {
                self.note(|| format!("{words}: refused: {rejection}"));
                true
            }
            Answer::Lost(when, lines) => {
                self.note(|| format!("{words}: lost {when}"));
                lines.into_iter().for_each(|line| self.note(|| format!("    {line}")));
                false
            }
        };
        check::after_step(self.subject.log(), &order.command.pipeline)?;
        if let Some(id) = &order.command.execution {
            let asked = self.asked.get(id).map_or(&[][..], Vec::as_slice);
            check::resume_covers(self.subject.log(), id, asked)?;
        }
        Ok(done)
    }

    fn effects(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let copies = if self.unreliable && self.prng.chance(15) { 2 } else { 1 };
            for _ in 0..copies {
                let delay = if self.unreliable { self.prng.below(20_000) as i64 } else { 0 };
                let (due, message) = match effect.clone() {
                    Effect::RunAction { pipeline, execution, attempt, .. } => {
                        (self.clock, Message::Run { pipeline, execution, attempt })
                    }
                    // A timer that fires for an attempt that has ended must do no harm, so none is taken back.
                    Effect::CancelAction { .. } | Effect::ClearTimer { .. } => continue,
                    // The port keeps one timer for each attempt; the sweep sets it again and again.
                    Effect::SetTimer { attempt, .. } if self.has_timer(&attempt) => continue,
                    Effect::SetTimer { pipeline, execution, attempt, at } => {
                        let wish = Wish::ExpireAction { attempt };
                        let order = self.told(Command { pipeline, execution: Some(execution), wish });
                        (at.0, order)
                    }
                    Effect::StartRollback { pipeline, execution, stage, target } => {
                        let known = self.subject.log().executions.get(&target);
                        let past = known.and_then(|stream| Past::of(stream.now(), &stage)).map(Box::new);
                        let wish = Wish::StartRollback { past };
                        (self.clock, self.told(Command { pipeline, execution: Some(execution), wish }))
                    }
                    Effect::Tell(command) => (self.clock, self.told(*command)),
                };
                self.pending.push(Pending { due: due + delay, message, deliveries: 1 });
            }
            self.remember(effect);
        }
    }

    fn has_timer(&self, attempt: &Attempt) -> bool {
        self.pending.iter().any(|pending| match &pending.message {
            Message::Order(order) => {
                matches!(&order.command.wish, Wish::ExpireAction { attempt: timed } if timed == attempt)
            }
            Message::Run { .. } => false,
        })
    }

    fn told(&mut self, command: Command) -> Message {
        self.ids += 1;
        let id = format!("told-{}", self.ids);
        Message::Order(Box::new(Order { command, id, actor: "towpath".to_owned() }))
    }

    fn remember(&mut self, effect: Effect) {
        let execution = match &effect {
            Effect::RunAction { execution, .. } | Effect::SetTimer { execution, .. } => {
                Some(execution.clone())
            }
            Effect::CancelAction { .. } | Effect::ClearTimer { .. } | Effect::StartRollback { .. } => None,
            Effect::Tell(command) => command.execution.clone(),
        };
        if let Some(execution) = execution {
            let asked = self.asked.entry(execution).or_default();
            let known = asked.iter().any(|other| same_wish(other, &effect));
            if !known {
                asked.push(effect);
            }
        }
    }

    /// A provider: asked twice for one attempt, it works once and may still answer twice.
    fn work(&mut self, pipeline: &PipelineName, execution: &ExecutionId, attempt: &Attempt) {
        let known = self.worked.get(&attempt.action_execution).cloned();
        let result = known.unwrap_or_else(|| self.make(attempt));
        self.worked.insert(attempt.action_execution.clone(), result.clone());
        let Some(result) = result else { return };
        let times = if self.unreliable && self.prng.chance(20) { 2 } else { 1 };
        for _ in 0..times {
            let due = self.clock + self.prng.below(if self.unreliable { 200_000 } else { 1 }) as i64;
            self.ids += 1;
            let command = Command {
                pipeline: pipeline.clone(),
                execution: Some(execution.clone()),
                wish: Wish::RecordActionResult { attempt: attempt.clone(), result: result.clone() },
            };
            let id = format!("result-{}", self.ids);
            let order = Order { command, id, actor: "provider".to_owned() };
            self.pending.push(Pending { due, message: Message::Order(Box::new(order)), deliveries: 1 });
        }
    }

    fn make(&mut self, attempt: &Attempt) -> Option<ActionResult> {
        let dice = if self.unreliable { self.prng.below(100) } else { 50 };
        match dice {
            0..=3 => None,
            4..=18 => Some(ActionResult::Failed {
                code: FailureCode::JobFailed,
                message: "exit status 1".to_owned(),
                details: Details::default(),
            }),
            _ => {
                let revision = (attempt.action.as_str() == "Src").then(|| SourceRevision {
                    action: attempt.action.clone(),
                    revision_id: "abc".to_owned(),
                    summary: None,
                    url: None,
                    change_id: None,
                    created: None,
                });
                // Now and then a variable that someone relies on is missing.
                let names: &[&str] = if self.prng.chance(92) { &["Commit", "Tag"] } else { &["Tag"] };
                Some(ActionResult::Succeeded {
                    output_variables: names.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect(),
                    revision,
                    mocked: false,
                    details: Details::default(),
                })
            }
        }
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if self.tracing {
            let line = format!("{:>12.3} {}", (self.clock - 1_700_000_000_000) as f64 / 1000.0, line());
            self.trace.push(line);
        }
    }
}

/// Equal but for a mark that says it was asked again.
fn same_wish(left: &Effect, right: &Effect) -> bool {
    match (left, right) {
        (Effect::RunAction { attempt: left, .. }, Effect::RunAction { attempt: right, .. }) => left == right,
        (
            Effect::RunAction { .. }
            | Effect::CancelAction { .. }
            | Effect::ClearTimer { .. }
            | Effect::SetTimer { .. }
            | Effect::StartRollback { .. }
            | Effect::Tell(_),
            _,
        ) => left == right,
    }
}
