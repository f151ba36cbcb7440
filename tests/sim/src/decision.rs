//! What one decision costs: on a definition of 50 stages, in a lane with 50 executions, one in each; and whether a long
//! history makes it dearer.

use domain::{
    Scope,
    command::{ActionResult, Attempt, Command, Context, Details, Wish},
    decide,
    execution::Execution,
    lane::Lane,
    pipeline::versions::Pipeline,
    testing,
};
use events::{EXACT, ExecutionId, ExecutionMode, PipelineName, Timestamp, Trigger, TriggerType};
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

/// Stages of the definition, and executions of the lane: the most that a pipeline may have.
const STAGES: usize = 50;
/// Times that a decision is measured.
const TIMES: usize = 2_000;
/// Executions that have passed through before, for the long history.
const BEFORE: usize = 200;

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// The median of a decision that ends an action, frees its stage, and lets the next execution in.
    pub median: Duration,
    /// Nine of ten took no longer.
    pub ninth_tenth: Duration,
    /// The median where many executions have passed through before.
    pub after_long_history: Duration,
    /// Events of the lane by then.
    pub history: u64,
}

/// Measures.
///
/// # Errors
/// A decision that should have been made was not.
pub fn measure() -> Result<Measured, String> {
    let mut young = Pipe::new()?;
    young.fill(0)?;
    let mut times = young.times()?;
    let mut old = Pipe::new()?;
    for number in 0..BEFORE {
        old.pass_through(1_000 + number)?;
    }
    old.fill(10_000)?;
    let mut old_times = old.times()?;
    times.sort();
    old_times.sort();
    Ok(Measured {
        median: times[times.len() / 2],
        ninth_tenth: times[times.len() * 9 / 10],
        after_long_history: old_times[old_times.len() / 2],
        history: old.events,
    })
}

struct Pipe {
    name: PipelineName,
    pipeline: Pipeline,
    lane: Lane,
    executions: BTreeMap<ExecutionId, Execution>,
    events: u64,
    commands: u64,
}

impl Pipe {
    fn new() -> Result<Self, String> {
        let mut builder = testing::pipeline("long").mode(ExecutionMode::Queued);
        builder = builder.stage("S00", [testing::source("A00")]);
        for number in 1..STAGES {
            let action = testing::action(&format!("A{number:02}")).input("A00").set("P", "shop");
            builder = builder.stage(&format!("S{number:02}"), [action]);
        }
        let definition = builder.build();
        let name = definition.name.clone();
        let mut pipe = Self {
            name,
            pipeline: Pipeline::default(),
            lane: Lane::default(),
            executions: BTreeMap::new(),
            events: 0,
            commands: 0,
        };
        let create = Wish::CreatePipeline { definition: Box::new(definition), tags: BTreeMap::new() };
        pipe.send(None, create)?;
        Ok(pipe)
    }

    /// One execution in each stage.
    fn fill(&mut self, from: usize) -> Result<(), String> {
        for number in 0..STAGES {
            let id = self.start(from + number)?;
            for _ in 0..STAGES - 1 - number {
                self.succeed(&id)?;
            }
        }
        match self.lane.under_way().len() {
            STAGES => Ok(()),
            other => Err(format!("{other} executions are under way, not {STAGES}")),
        }
    }

    fn pass_through(&mut self, number: usize) -> Result<(), String> {
        let id = self.start(number)?;
        for _ in 0..STAGES {
            self.succeed(&id)?;
        }
        self.executions.remove(&id);
        Ok(())
    }

    fn start(&mut self, number: usize) -> Result<ExecutionId, String> {
        let id = ExecutionId::parse(format!("e{number:06}")).map_err(|error| error.to_string())?;
        let trigger = Trigger { kind: TriggerType::StartPipelineExecution, detail: "ann".into() };
        let wish = Wish::StartExecution { trigger, variables: BTreeMap::new(), revisions: BTreeMap::new() };
        self.send(Some(&id), wish)?;
        Ok(id)
    }

    fn succeed(&mut self, id: &ExecutionId) -> Result<(), String> {
        let wish = self.success(id)?;
        self.send(Some(id), wish)
    }

    fn success(&self, id: &ExecutionId) -> Result<Wish, String> {
        let run = self.executions.get(id).ok_or("the execution is not there")?;
        let (stage, attempt) = run.running().next().ok_or("nothing runs")?;
        let attempt = Attempt {
            stage: stage.stage.clone(),
            action: attempt.action.clone(),
            action_execution: attempt.action_execution.clone(),
            entry: attempt.entry,
        };
        let result = ActionResult::Succeeded {
            output_variables: BTreeMap::new(),
            revision: None,
            mocked: false,
            details: Details::default(),
        };
        Ok(Wish::RecordActionResult { attempt, result })
    }

    fn send(&mut self, execution: Option<&ExecutionId>, wish: Wish) -> Result<(), String> {
        let mut queue = VecDeque::from([self.command(execution, wish)]);
        while let Some(command) = queue.pop_front() {
            let mut scope = self.scope(&command);
            let decision = self.decide(&mut scope, &command)?;
            self.events += decision.lane.len() as u64;
            let told = decision.lane.iter().flat_map(|event| domain::react::react_to_lane(&self.name, event));
            queue.extend(told.filter_map(|effect| match effect {
                domain::Effect::Tell(command) => Some(*command),
                _ => None,
            }));
            (self.pipeline, self.lane) = (scope.pipeline, scope.lane);
            if let Some(id) = &command.execution {
                self.executions.insert(id.clone(), scope.execution);
            }
        }
        Ok(())
    }

    fn command(&self, execution: Option<&ExecutionId>, wish: Wish) -> Command {
        Command { pipeline: self.name.clone(), execution: execution.cloned(), wish }
    }

    fn scope(&self, command: &Command) -> Scope {
        let run = command.execution.as_ref().and_then(|id| self.executions.get(id));
        Scope {
            pipeline: self.pipeline.clone(),
            lane: self.lane.clone(),
            execution: run.cloned().unwrap_or_default(),
        }
    }

    fn decide(&mut self, scope: &mut Scope, command: &Command) -> Result<domain::Decision, String> {
        self.commands += 1;
        let id = self.commands.to_string();
        let context = Context {
            now: Timestamp(1_700_000_000_000),
            actor: "ann",
            command_id: &id,
            region: "us-east-1",
            policy: &EXACT,
        };
        decide(scope, command, context).map_err(|rejection| rejection.to_string())
    }

    /// How long it takes, each time on the same states, to decide that the action of the execution in the middle has
    /// succeeded: it waits for the next stage then, and its own goes to the one behind it.
    fn times(&mut self) -> Result<Vec<Duration>, String> {
        let middle = self.executions.keys().rev().nth(STAGES / 2).cloned().ok_or("there is no execution")?;
        let wish = self.success(&middle)?;
        let command = self.command(Some(&middle), wish);
        let mut times = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let mut scope = self.scope(&command);
            let begun = Instant::now();
            let decision = self.decide(&mut scope, &command)?;
            times.push(begun.elapsed());
            if decision.lane.len() < 2 {
                return Err(format!("a stage is freed and a door is reached: {:?}", decision.lane));
            }
        }
        Ok(times)
    }
}
