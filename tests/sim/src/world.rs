//! A world: processes over one log, people, workers and messages; first with everything that can go wrong, then until
//! all has come to rest. The same seed lives through the same story.

use crate::{
    definitions, ending,
    home::Process,
    panics, people,
    people::Request,
    plan::{Plan, Trouble},
    provider::{self, Hint},
    shared::{Die, Shared},
};
use api::{ApiError, Code, Operation};
use engine::log::{Log, Position};
use events::{ExecutionEvent, ExecutionId, PipelineName, StreamKind};
use handlers::{Caller, changes::Change, operations, project, publish, relay};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;

/// Rounds until everything must have ended once faults have stopped.
const ROUNDS_MAX: usize = 400;
/// How long anybody waits for an answer.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a `clientRequestToken` surely holds, in milliseconds.
const TOKEN_HOLDS_MS: i64 = 23 * 60 * 60_000;

/// How much a seed exercised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Executions started.
    pub executions: u64,
    /// Events written.
    pub events: u64,
    /// Requests answered.
    pub requests: u64,
    /// Tells one story from another: the hashes of what was written last to each stream, mixed.
    pub story: u64,
}

/// Everything of one seed.
struct World<const P: bool> {
    shared: Arc<Shared>,
    region: String,
    processes: Mutex<Vec<Arc<Process<P>>>>,
    /// Deliveries that have not been dealt with.
    on_its_way: AtomicU64,
    requests: AtomicU64,
    /// What starts with a token were answered, and when.
    tokens: Mutex<BTreeMap<String, (String, i64)>>,
}

/// Lives through a plan. The error says which law was broken.
pub async fn live(plan: Plan, tracing: bool) -> (Result<Tally, String>, Vec<String>) {
    match plan.pipelined {
        true => World::<true>::live(plan, tracing).await,
        false => World::<false>::live(plan, tracing).await,
    }
}

impl<const P: bool> World<P> {
    async fn live(plan: Plan, tracing: bool) -> (Result<Tally, String>, Vec<String>) {
        let (written, commits) = mpsc::unbounded_channel();
        let (hints, ends) = mpsc::unbounded_channel();
        let (died, deaths) = mpsc::unbounded_channel();
        let shared = Shared::new(plan, tracing, written, hints, died);
        shared.note(|| shared.plan.to_string());
        let definitions = definitions_of(&shared);
        shared.provider().give(definitions.iter().flat_map(definitions::variables).collect());
        let region = definitions.iter().find_map(definitions::region).unwrap_or("us-east-1").to_owned();
        let first = (0..shared.plan.engines).map(|_| Arc::new(Process::start(&shared, &region))).collect();
        let world = Arc::new(Self {
            shared: Arc::clone(&shared),
            region,
            processes: Mutex::new(first),
            on_its_way: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            tokens: Mutex::new(BTreeMap::new()),
        });
        tokio::spawn(Arc::clone(&world).deliver_all(commits));
        tokio::spawn(Arc::clone(&world).replace_the_dead(deaths));
        tokio::spawn(Arc::clone(&world).tell_of_ends(ends));
        let lived = world.run(definitions).await;
        (lived, shared.take_trace())
    }

    async fn run(self: &Arc<Self>, definitions: Vec<Value>) -> Result<Tally, String> {
        let mut names = Vec::new();
        for definition in definitions {
            for custom in definitions::custom_types(&definition) {
                let input = custom.clone();
                self.ask(Request { operation: Operation::CreateCustomActionType, input }).await;
            }
            let name = definition["name"].as_str().unwrap_or_default();
            names.extend(PipelineName::parse(name));
            self.ask(people::create(definition)).await;
        }
        if names.is_empty() {
            return Err("there is no pipeline to live with".to_owned());
        }
        for _ in 0..self.shared.plan.steps {
            self.step(&names).await;
            self.verdict()?;
        }
        self.come_to_rest().await?;
        if self.shared.plan.is_calm() {
            self.everybody_was_told()?;
        }
        ending::check(&self.shared, &self.anybody()).await?;
        self.verdict()?;
        let observer = self.shared.observer();
        Ok(Tally {
            executions: observer.executions.len() as u64,
            events: observer.events,
            requests: self.requests.load(Ordering::Relaxed),
            story: observer.story(),
        })
    }

    fn verdict(&self) -> Result<(), String> {
        if let Some(panic) = panics::take() {
            return Err(format!("it panicked: {panic}"));
        }
        self.shared.observer().violation().map_or(Ok(()), |words| Err(words.to_owned()))
    }

    async fn step(self: &Arc<Self>, names: &[PipelineName]) {
        let (pause, what) = {
            let mut dice = self.shared.dice(Die::World);
            (dice.below(3_000), dice.below(100))
        };
        tokio::time::sleep(Duration::from_millis(pause as u64)).await;
        if self.shared.strikes(Trouble::Crash, Die::World) {
            self.crash().await;
        }
        match what {
            0..=64 => self.somebody_acts(names).await,
            65..=74 => self.work(false).await,
            75..=84 => {
                let minutes = {
                    let mut dice = self.shared.dice(Die::World);
                    // Nobody sweeps, so nothing may be left to time out, in a calm world of that kind.
                    if !P && self.shared.plan.is_calm() {
                        dice.below(5)
                    } else if dice.chance(6) {
                        31 * 24 * 60
                    } else {
                        dice.below(90)
                    }
                };
                self.shared.note(|| format!("{minutes} minutes pass"));
                tokio::time::sleep(Duration::from_secs(60 * minutes as u64)).await;
            }
            85..=92 if !self.shared.plan.is_calm() => self.anybody().sweep(&self.shared).await,
            _ => self.somebody_looks().await,
        }
    }

    async fn somebody_acts(self: &Arc<Self>, names: &[PipelineName]) {
        let (request, waits) = {
            let observer = self.shared.observer();
            let mut dice = self.shared.dice(Die::People);
            (people::act(&observer, names, &mut dice), dice.chance(75))
        };
        let Some(request) = request else { return };
        if waits {
            self.ask(request).await;
        } else {
            let world = Arc::clone(self);
            tokio::spawn(Box::pin(async move { world.ask(request).await }));
        }
    }

    /// What a process says of a run or a lane is what was written at the version it names.
    async fn somebody_looks(&self) {
        let process = self.anybody();
        let chosen = {
            let observer = self.shared.observer();
            let runs = &observer.started;
            (!runs.is_empty()).then(|| self.shared.dice(Die::World).pick(runs).clone())
        };
        let Some(id) = chosen else { return };
        let Some(durable) = self.shared.observer().executions.get(&id).map(|stream| stream.last) else {
            return;
        };
        let read = process.home.engine.execution_at(&id);
        let read = tokio::select! {
            biased;
            read = read => read,
            () = process.life.ended() => return,
        };
        let Ok((state, version)) = read else { return };
        if version < durable {
            self.shared.observer().blame(|| format!("a reader sees what is durable: `{id}` at {version}"));
        }
        let stream = events::StreamName::execution(&id);
        let Ok(commits) = self.shared.memory.read(&stream, events::Version(0), usize::MAX).await else {
            return;
        };
        let mut then = domain::execution::Execution::default();
        let mut at = events::Version(0);
        for commit in commits.iter().take_while(|commit| commit.last() <= version) {
            for stored in commit.events.iter() {
                let event = stored.read::<ExecutionEvent>();
                event.iter().for_each(|event| then.evolve(event, commit.time));
            }
            at = commit.last();
        }
        if at != version || then != *state {
            let words = format!("nobody sees what is not durable: `{id}` at {version}, {at} is: {state:#?}");
            self.shared.observer().blame(|| words);
        }
    }

    /// Workers ask for jobs, and do what they get. Well-behaved ones do it at once and once.
    async fn work(self: &Arc<Self>, well: bool) {
        let polls = people::poll(&self.shared.observer());
        for poll in polls {
            let Some(Ok(answer)) = self.ask(poll).await else { continue };
            let jobs = answer["jobs"].as_array().cloned().unwrap_or_default();
            for job in jobs {
                let world = Arc::clone(self);
                let work = Box::pin(async move { world.do_job(job, well).await });
                if well {
                    work.await;
                } else {
                    tokio::spawn(work);
                }
            }
        }
    }

    async fn do_job(self: &Arc<Self>, job: Value, well: bool) {
        let (lost, late, twice) = {
            let strikes = |it: &Self| it.shared.strikes(Trouble::Work, Die::Work);
            (strikes(self), strikes(self), strikes(self))
        };
        let pause = |most: usize| Duration::from_millis(self.shared.dice(Die::Work).below(most) as u64);
        if lost {
            return;
        }
        self.ask(people::acknowledge(&job)).await;
        if twice {
            self.ask(people::acknowledge(&job)).await;
        }
        if !well {
            tokio::time::sleep(pause(if late { 3_600_000 } else { 2_000 })).await;
        }
        let report = {
            let is_troubled = self.shared.is_troubled();
            people::report(&job, is_troubled, &mut self.shared.dice(Die::Work))
        };
        self.ask(report.clone()).await;
        if twice {
            self.ask(report).await;
        }
    }

    /// Sends a request to some process. `None`: it was not answered.
    async fn ask(&self, request: Request) -> Option<Result<Value, ApiError>> {
        let process = self.anybody();
        let Request { operation, input } = request;
        // Only who listens needs the words.
        let asked = if self.shared.is_told() { short(&input) } else { String::new() };
        let caller = Caller { arn: "arn:aws:iam::123456789012:user/ann".into() };
        let is_made_up = input["token"] == people::MADE_UP_TOKEN;
        let answered = input["token"].as_str().filter(|_| operation == Operation::PutApprovalResult);
        let is_void = answered.is_some_and(|token| !self.shared.observer().is_asked(token));
        let token = input["clientRequestToken"].as_str().map(|token| format!("{}/{token}", input["name"]));
        self.shared.note(|| format!("asked of {}: {operation:?} {asked}", process.life.number));
        let home = process.home.clone();
        let work = async move { operations::dispatch(&home, &caller, operation, input).await };
        let work = tokio::spawn(Box::pin(work));
        let answer = tokio::select! {
            biased;
            answer = work => answer.ok(),
            () = process.life.ended() => None,
            () = tokio::time::sleep(PATIENCE) => None,
        };
        self.requests.fetch_add(1, Ordering::Relaxed);
        match &answer {
            None => self.shared.note(|| format!("no answer to {operation:?} {asked}")),
            Some(Ok(value)) => {
                self.shared.note(|| format!("answer to {operation:?} {asked}: {}", short(value)));
                self.check_start(operation, value, token);
                if is_void && !is_made_up {
                    self.shared
                        .observer()
                        .blame(|| format!("who is asked no more approves nothing: {asked}"));
                }
                if is_made_up {
                    self.shared
                        .observer()
                        .blame(|| format!("nobody approves by guessing: {operation:?} {asked}"));
                }
            }
            Some(Err(error)) => {
                self.shared.note(|| format!("answer to {operation:?} {asked}: {error}"));
                let bad = match error.code {
                    Code::InternalFailure => true,
                    // A conflict whose answer was lost is told as such.
                    Code::ServiceUnavailable | Code::Throttling => {
                        let plan = &self.shared.plan;
                        plan.is_calm() && plan.level(Trouble::AnswerLost) == 0
                    }
                    _ => false,
                };
                if bad {
                    self.shared.observer().blame(|| format!("no request ends so: {operation:?}: {error}"));
                }
            }
        }
        answer
    }

    /// Who was told that it started has started, and the same token always names the same run.
    fn check_start(&self, operation: Operation, answer: &Value, token: Option<String>) {
        if operation != Operation::StartPipelineExecution {
            return;
        }
        let id = answer["pipelineExecutionId"].as_str().unwrap_or_default().to_owned();
        let known = ExecutionId::parse(&id).ok();
        let mut observer = self.shared.observer();
        if !known.is_some_and(|id| observer.executions.contains_key(&id)) {
            observer.blame(|| format!("nobody is told of what is not durable: `{id}`"));
        }
        let Some(token) = token else { return };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.shared.elapsed();
        match tokens.get(&token) {
            Some((earlier, at)) if now - at < TOKEN_HOLDS_MS => {
                if *earlier != id {
                    observer.blame(|| format!("a token starts one run: {token}: `{earlier}` and `{id}`"));
                }
            }
            Some(_) | None => drop(tokens.insert(token, (id, now))),
        }
    }

    async fn crash(self: &Arc<Self>) {
        let index = {
            let processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.dice(Die::World).below(processes.len())
        };
        self.replace(index).await;
    }

    /// Processes that died in the middle of something are followed by others.
    async fn replace_the_dead(self: Arc<Self>, mut deaths: mpsc::UnboundedReceiver<u64>) {
        while let Some(number) = deaths.recv().await {
            let index = {
                let processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
                processes.iter().position(|process| process.life.number == number)
            };
            // It may have been replaced meanwhile.
            if let Some(index) = index {
                self.replace(index).await;
            }
        }
    }

    async fn replace(self: &Arc<Self>, index: usize) {
        let old = {
            let processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&processes[index])
        };
        old.die(&self.shared).await;
        let new = Arc::new(Process::start(&self.shared, &self.region));
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)[index] = Arc::clone(&new);
        if P {
            new.take_up(&self.shared).await;
        }
    }

    fn anybody(&self) -> Arc<Process<P>> {
        let processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        let index =
            if processes.len() == 1 { 0 } else { self.shared.dice(Die::Delivery).below(processes.len()) };
        Arc::clone(&processes[index])
    }

    /// Faults stop, doors open, approvals are answered, jobs are done: everything must end. Where nothing ever went
    /// wrong it must do so without anybody sweeping.
    async fn come_to_rest(self: &Arc<Self>) -> Result<(), String> {
        self.shared.note(|| "faults stop".to_owned());
        self.shared.calm_down();
        let mut still = 0;
        for _ in 0..ROUNDS_MAX {
            let before = self.shared.observer().at;
            let requests = people::let_everything_end(&self.shared.observer());
            for request in requests {
                self.ask(request).await;
            }
            self.work(true).await;
            if !self.shared.plan.is_calm() || self.is_something_overdue() {
                self.anybody().sweep(&self.shared).await;
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
            self.verdict()?;
            let is_still =
                self.shared.observer().at == before && self.on_its_way.load(Ordering::Relaxed) == 0;
            still = if is_still { still + 1 } else { 0 };
            if still > 0 && ending::unfinished(&self.shared.observer()).is_none() {
                return Ok(());
            }
            if still > 1 {
                // Whatever hangs times out after hours or days.
                let rest = self.next_deadline().unwrap_or_default();
                tokio::time::sleep(rest.max(Duration::from_secs(3600))).await;
            }
        }
        let words = ending::unfinished(&self.shared.observer()).unwrap_or_default();
        Err(format!("everything comes to its end: {words}"))
    }

    /// Where timers are the sweep's business, it has to come for them.
    fn is_something_overdue(&self) -> bool {
        !P && self.next_deadline().is_some_and(|rest| rest.is_zero())
    }

    /// How long until something times out.
    fn next_deadline(&self) -> Option<Duration> {
        let observer = self.shared.observer();
        let runs = observer.executions.values().map(|stream| &stream.state);
        let deadlines = runs.flat_map(|run| {
            let actions = run.running().map(|(_, attempt)| attempt.deadline);
            actions.chain(run.running_rules().map(|(_, _, rule)| rule.deadline)).collect::<Vec<_>>()
        });
        let next = deadlines.min()?;
        Some(provider::rest(next, self.shared.now()))
    }

    /// Whoever works on what no longer counts has heard of it.
    fn everybody_was_told(&self) -> Result<(), String> {
        let observer = self.shared.observer();
        let provider = self.shared.provider();
        match provider.not_told(observer.called_off()).first() {
            Some(id) => Err(format!("who works in vain is told: nobody called off {id:?}")),
            None => Ok(()),
        }
    }

    /// The change stream: every commit reaches both of its readers at least once, late, twice, in any order.
    async fn deliver_all(self: Arc<Self>, mut commits: mpsc::UnboundedReceiver<Position>) {
        let (told, tell) = mpsc::unbounded_channel();
        if self.shared.plan.is_heard() {
            tokio::spawn(Arc::clone(&self).tell_the_world(tell));
        }
        while let Some(position) = commits.recv().await {
            if self.shared.plan.is_heard() {
                self.on_its_way.fetch_add(1, Ordering::Relaxed);
                let _ = told.send(position);
            }
            // One machine follows its log by itself.
            let readers: &[bool] = if P { &[] } else { &[false, true] };
            for relays in readers.iter().copied() {
                let copies = if self.shared.strikes(Trouble::Delivery, Die::Delivery) { 2 } else { 1 };
                for _ in 0..copies {
                    self.on_its_way.fetch_add(1, Ordering::Relaxed);
                    tokio::spawn(Box::pin(Arc::clone(&self).deliver(position, relays)));
                }
            }
        }
    }

    /// Providers tell when what they have begun may have ended: late, twice, too early, or never.
    async fn tell_of_ends(self: Arc<Self>, mut ends: mpsc::UnboundedReceiver<Hint>) {
        while let Some(hint) = ends.recv().await {
            if self.shared.strikes(Trouble::Delivery, Die::Delivery) {
                continue;
            }
            let copies = if self.shared.strikes(Trouble::Delivery, Die::Delivery) { 2 } else { 1 };
            for _ in 0..copies {
                tokio::spawn(Box::pin(Arc::clone(&self).tell_of_end(hint.clone())));
            }
        }
    }

    async fn tell_of_end(self: Arc<Self>, hint: Hint) {
        let early = self.shared.strikes(Trouble::Delivery, Die::Delivery);
        let rest = if early { 0 } else { hint.at - self.shared.elapsed() };
        tokio::time::sleep(Duration::from_millis(u64::try_from(rest).unwrap_or(0))).await;
        loop {
            let late = self.shared.strikes(Trouble::Delivery, Die::Delivery);
            let pause = self.shared.dice(Die::Delivery).below(if late { 120_000 } else { 200 });
            tokio::time::sleep(Duration::from_millis(pause as u64)).await;
            let process = self.anybody();
            let told = tokio::select! {
                biased;
                told = process.home.engine.resume_attempt(&hint.execution, &hint.attempt) => told.is_ok(),
                () = process.life.ended() => false,
            };
            if told {
                return;
            }
        }
    }

    /// Tells the world of each run's commits in their order, sometimes by two processes at once.
    async fn tell_the_world(self: Arc<Self>, mut commits: mpsc::UnboundedReceiver<Position>) {
        while let Some(position) = commits.recv().await {
            if self.shared.strikes(Trouble::Delivery, Die::Delivery) {
                self.on_its_way.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(Box::pin(Arc::clone(&self).tell_of(position)));
            }
            Arc::clone(&self).tell_of(position).await;
        }
    }

    async fn tell_of(self: Arc<Self>, position: Position) {
        let commit = self.shared.memory.commit(position);
        if let Some(commit) = commit
            && let Ok(StreamKind::Execution(id)) = commit.stream.kind()
        {
            loop {
                let process = self.anybody();
                let (home, outlets) = (&process.home, &process.outlets);
                // Whoever reads a change stream has the commit in hand; whoever follows the log has its number.
                let telling = async {
                    match P {
                        true => publish::publish(home, outlets, &id, commit.first).await,
                        false => {
                            publish::publish_fresh(home, outlets, &process.courses, &id, &[&commit]).await
                        }
                    }
                };
                let told = tokio::select! {
                    biased;
                    told = telling => told.is_ok(),
                    () = process.life.ended() => false,
                };
                if told {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        self.on_its_way.fetch_sub(1, Ordering::Relaxed);
    }

    async fn deliver(self: Arc<Self>, position: Position, relays: bool) {
        loop {
            let late = self.shared.strikes(Trouble::Delivery, Die::Delivery);
            let pause = self.shared.dice(Die::Delivery).below(if late { 120_000 } else { 800 });
            tokio::time::sleep(Duration::from_millis(pause as u64)).await;
            let process = self.anybody();
            let Some(commit) = self.shared.memory.commit(position) else { return };
            let change = [Change { sequence: position.0.to_string(), commit: Ok(commit) }];
            let dealt_with = async {
                let unmet = match relays {
                    true => relay::relay(&process.home, &change, async |_, _| Ok(())).await.unmet,
                    false => project::project_changes(&process.home, &change).await,
                };
                unmet.is_empty()
            };
            let done = tokio::select! {
                biased;
                done = dealt_with => done,
                () = process.life.ended() => false,
            };
            if done {
                break;
            }
        }
        self.on_its_way.fetch_sub(1, Ordering::Relaxed);
    }
}

fn definitions_of(shared: &Shared) -> Vec<Value> {
    let mut dice = shared.dice(Die::People);
    let mut definitions: Vec<Value> = Vec::new();
    for name in &definitions::NAMES[..shared.plan.pipelines] {
        let from_folder = dice.chance(shared.plan.from_folder);
        let chosen = if from_folder { definitions::of_folder(&mut dice) } else { None };
        let definition = chosen.unwrap_or_else(|| definitions::made(name, &mut dice));
        // Stores lie in one Region, the first one's.
        let fits =
            definitions.iter().all(|first| definitions::region(first) == definitions::region(&definition));
        if fits && definitions.iter().all(|first| first["name"] != definition["name"]) {
            definitions.push(definition);
        }
    }
    definitions
}

/// A value as a line of the trace shows it.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
