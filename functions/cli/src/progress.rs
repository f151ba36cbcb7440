//! What is going on, while it goes on: a tree of stages, their gates and actions on a terminal, plain lines elsewhere.

use crate::run::duration;
use domain::{
    execution::{ActionStatus, Execution},
    pipeline::PipelineDeclaration,
};
use events::{
    ActionExecutionId, ActionName, ConditionEnded, ConditionType, ConditionVerdict, ExecutionEvent,
    ExecutionId, FailureCode, RuleName, StageName, Timestamp,
};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::{collections::HashMap, time::Duration};

/// How often running lines of the tree move.
const SPIN: Duration = Duration::from_millis(120);

/// Shows events as they come.
pub struct Progress {
    display: Display,
    /// Several runs are shown: each line names its own.
    several: bool,
    actions: HashMap<ActionExecutionId, Running>,
    stages: HashMap<(ExecutionId, StageName), Timestamp>,
    width: usize,
}

struct Running {
    name: String,
    since: Timestamp,
    line: Option<ProgressBar>,
}

enum Display {
    Plain,
    Tree(MultiProgress),
}

impl Progress {
    /// A display for one pipeline's runs; on a terminal, a tree.
    pub fn new(definition: &PipelineDeclaration, terminal: bool, several: bool) -> Self {
        let display = if terminal { Display::Tree(MultiProgress::new()) } else { Display::Plain };
        let progress = Self {
            display,
            several,
            actions: HashMap::new(),
            stages: HashMap::new(),
            width: names(definition).iter().map(String::len).max().unwrap_or(0),
        };
        let stages: Vec<&str> = definition.stages.iter().map(|stage| stage.name.as_str()).collect();
        progress.say(&format!("{}: {}", definition.name, stages.join(" → ")));
        progress
    }

    /// From now on each line names its run.
    pub fn show_several(&mut self) {
        self.several = true;
    }

    /// Shows one event.
    pub fn event(&mut self, id: &ExecutionId, event: &ExecutionEvent, at: Timestamp) {
        match event {
            ExecutionEvent::ExecutionStarted(started) => {
                let back = started.rollback.as_ref().map(|rollback| format!(", back to {}", rollback.target));
                let (version, back) = (started.pipeline_version, back.unwrap_or_default());
                self.line(id, at, &format!("execution {id} of version {version}{back}"));
            }
            ExecutionEvent::StageStarted(started) => self.stage_started(id, &started.stage, at),
            ExecutionEvent::StageRetried(retried) => {
                if retried.automatic {
                    self.line(id, at, &format!("{} is tried once more", retried.stage));
                }
                self.stage_started(id, &retried.stage, at);
            }
            ExecutionEvent::ActionStarted(started) => {
                let name = name_of(&started.stage, &started.action);
                self.action_started(id, &started.action_execution, name, at);
            }
            ExecutionEvent::ActionSucceeded(succeeded) => {
                let note = match (&succeeded.by, &succeeded.summary) {
                    (Some(by), Some(summary)) => format!("{summary} ({by})"),
                    (Some(by), None) => format!("approved by {by}"),
                    (None, Some(summary)) => first_line(summary),
                    (None, None) => String::new(),
                };
                let verb = if succeeded.mocked { "MOCKED" } else { "succeeded" };
                self.action_ended(id, &succeeded.action_execution, at, "✔", verb, &note);
            }
            ExecutionEvent::ActionFailed(failed) => {
                self.action_ended(
                    id,
                    &failed.action_execution,
                    at,
                    "✘",
                    "FAILED",
                    &first_line(&failed.message),
                );
            }
            ExecutionEvent::ActionAbandoned(abandoned) => {
                self.action_ended(id, &abandoned.action_execution, at, "–", "abandoned", "");
            }
            ExecutionEvent::ResultIgnored(_)
            | ExecutionEvent::RuleResultIgnored(_)
            | ExecutionEvent::JobQueued(_)
            | ExecutionEvent::JobDispatched(_)
            | ExecutionEvent::JobAcknowledged(_)
            | ExecutionEvent::JobContinued(_)
            | ExecutionEvent::ActionProgressed(_)
            | ExecutionEvent::RuleProgressed(_) => {}
            ExecutionEvent::ConditionStarted(_) => {}
            ExecutionEvent::ConditionEnded(ended) => self.condition_ended(id, ended, at),
            ExecutionEvent::ConditionOverridden(overridden) => {
                let (stage, gate) = (&overridden.stage, overridden.condition.member());
                self.line(id, at, &format!("{stage} {gate} overridden by {}", overridden.by));
                self.stages.entry((id.clone(), stage.clone())).or_insert(at);
            }
            ExecutionEvent::RuleStarted(started) => {
                let name = rule_name(&started.stage, started.condition, &started.rule);
                self.action_started(id, &(&started.rule_execution).into(), name, at);
            }
            ExecutionEvent::RuleSucceeded(succeeded) => {
                let note = succeeded.summary.as_deref().map(first_line).unwrap_or_default();
                let verb = if succeeded.mocked { "MOCKED" } else { "met" };
                self.action_ended(id, &(&succeeded.rule_execution).into(), at, "✔", verb, &note);
            }
            ExecutionEvent::RuleFailed(failed) => {
                let verb = if failed.code == FailureCode::JobFailed { "NOT MET" } else { "NOT ASKED" };
                let note = first_line(&failed.message);
                self.action_ended(id, &(&failed.rule_execution).into(), at, "✘", verb, &note);
            }
            ExecutionEvent::RuleAbandoned(abandoned) => {
                self.action_ended(id, &(&abandoned.rule_execution).into(), at, "–", "abandoned", "");
            }
            ExecutionEvent::StageSkipped(ended) => {
                if matches!(self.display, Display::Tree(_)) {
                    self.say(&format!("{}  – skipped", self.tag(id)));
                }
                self.stage_ended(id, &ended.stage, at, "skipped");
            }
            ExecutionEvent::StageSucceeded(ended) => self.stage_ended(id, &ended.stage, at, "succeeded"),
            ExecutionEvent::StageFailed(ended) => self.stage_ended(id, &ended.stage, at, "FAILED"),
            ExecutionEvent::StageStopped(ended) => self.stage_ended(id, &ended.stage, at, "stopped"),
            ExecutionEvent::StageCancelled(ended) => self.stage_ended(id, &ended.stage, at, "cancelled"),
            ExecutionEvent::StopRequested(_) => self.line(id, at, "stop requested"),
            // The summary at the end says how the run ended.
            ExecutionEvent::ExecutionSucceeded(_)
            | ExecutionEvent::ExecutionFailed(_)
            | ExecutionEvent::ExecutionStopped(_)
            | ExecutionEvent::ExecutionCancelled(_) => {}
            ExecutionEvent::ExecutionSuperseded(superseded) => {
                self.line(id, at, &format!("superseded by execution {}", superseded.by));
            }
        }
    }

    /// Shows what is under way in a run that began before this process.
    pub fn catch_up(&mut self, id: &ExecutionId, execution: &Execution) {
        for (stage, attempt) in execution.running() {
            if attempt.status == ActionStatus::InProgress {
                let name = name_of(&stage.stage, &attempt.action);
                self.action_started(id, &attempt.action_execution, name, attempt.started);
            }
        }
        for (stage, condition, rule) in execution.running_rules() {
            let name = rule_name(&stage.stage, condition.condition, &rule.rule);
            self.action_started(id, &(&rule.rule_execution).into(), name, rule.started);
        }
    }

    /// Shows a sentence.
    pub fn say(&self, text: &str) {
        match &self.display {
            Display::Plain => anstream::println!("{text}"),
            // A terminal that went away is no reason to stop.
            Display::Tree(tree) => drop(tree.println(text)),
        }
    }

    /// Takes the moving lines away, so that a question can be asked.
    pub fn pause(&self) {
        if let Display::Tree(tree) = &self.display {
            tree.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
    }

    /// Shows them again.
    pub fn resume(&self) {
        if let Display::Tree(tree) = &self.display {
            tree.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        }
    }

    /// Moves what moves.
    pub fn tick(&self) {
        self.actions.values().filter_map(|running| running.line.as_ref()).for_each(ProgressBar::tick);
    }

    /// Leaves the display as it is.
    pub fn finish(&mut self) {
        for (_, running) in self.actions.drain() {
            if let Some(line) = running.line {
                line.abandon();
            }
        }
    }

    fn stage_started(&mut self, id: &ExecutionId, stage: &StageName, at: Timestamp) {
        self.stages.insert((id.clone(), stage.clone()), at);
        if matches!(self.display, Display::Tree(_)) {
            self.say(&format!("{}{stage}", self.tag(id)));
        }
    }

    fn stage_ended(&mut self, id: &ExecutionId, stage: &StageName, at: Timestamp, verb: &str) {
        let since = self.stages.remove(&(id.clone(), stage.clone()));
        if matches!(self.display, Display::Plain) {
            let took = since.map(|since| duration(since, at)).unwrap_or_default();
            let text = format!("{:<width$} {verb:<9} {took}", stage.as_str(), width = self.width);
            self.line(id, at, &text);
        }
    }

    /// A gate that is open needs no line of its own: its rules said so.
    fn condition_ended(&self, id: &ExecutionId, ended: &ConditionEnded, at: Timestamp) {
        let (stage, gate) = (&ended.stage, ended.condition.member());
        let verb = match ended.verdict {
            ConditionVerdict::Succeeded => return,
            ConditionVerdict::Failed => "NOT MET",
            ConditionVerdict::Errored => "could not be asked",
            ConditionVerdict::Cancelled => "cancelled",
            ConditionVerdict::Abandoned => "abandoned",
        };
        match self.display {
            Display::Plain => {
                let name = format!("{stage} {gate}");
                self.line(id, at, &format!("{name:<width$} {verb}", width = self.width));
            }
            Display::Tree(_) => self.say(&format!("{}  {gate}: {verb}", self.tag(id))),
        }
    }

    fn action_started(&mut self, id: &ExecutionId, attempt: &ActionExecutionId, name: String, at: Timestamp) {
        if self.actions.contains_key(attempt) {
            return;
        }
        let line = match &self.display {
            Display::Plain => None,
            Display::Tree(tree) => {
                let style = ProgressStyle::with_template("{prefix}{spinner} {msg} {elapsed}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner());
                // Named before it is shown: a line without words would flicker.
                let line = ProgressBar::new_spinner()
                    .with_style(style)
                    .with_prefix(format!("{}  ", self.tag(id)))
                    .with_message(action_of(&name).to_owned());
                let line = tree.add(line);
                line.enable_steady_tick(SPIN);
                Some(line)
            }
        };
        if line.is_none() {
            let text = format!("{name:<width$} started", width = self.width);
            self.line(id, at, &text);
        }
        self.actions.insert(attempt.clone(), Running { name, since: at, line });
    }

    fn action_ended(
        &mut self,
        id: &ExecutionId,
        attempt: &ActionExecutionId,
        at: Timestamp,
        mark: &str,
        verb: &str,
        note: &str,
    ) {
        let Some(running) = self.actions.remove(attempt) else { return };
        let took = duration(running.since, at);
        let note = if note.is_empty() { String::new() } else { format!("  {note}") };
        match running.line {
            Some(line) => {
                line.finish_and_clear();
                let name = action_of(&running.name);
                self.say(&format!("{}  {mark} {name} {verb} {took}{note}", self.tag(id)));
            }
            None => {
                let text = format!("{:<width$} {verb:<9} {took}{note}", running.name, width = self.width);
                self.line(id, at, &text);
            }
        }
    }

    fn line(&self, id: &ExecutionId, at: Timestamp, text: &str) {
        let time = jiff::Timestamp::from_millisecond(at.0)
            .map(|at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string())
            .unwrap_or_default();
        self.say(&format!("{time} {}{text}", self.tag(id)));
    }

    fn tag(&self, id: &ExecutionId) -> String {
        if self.several {
            format!("[{}] ", id.as_str().chars().take(8).collect::<String>())
        } else {
            String::new()
        }
    }
}

/// Every action and every rule, as their lines name them.
fn names(definition: &PipelineDeclaration) -> Vec<String> {
    let mut names: Vec<String> =
        definition.actions().map(|(stage, action)| name_of(&stage.name, &action.name)).collect();
    for stage in &definition.stages {
        for gate in [ConditionType::BeforeEntry, ConditionType::OnSuccess, ConditionType::OnFailure] {
            let rules = stage.condition(gate).into_iter().flat_map(|condition| &condition.rules);
            names.extend(rules.map(|rule| rule_name(&stage.name, gate, &rule.name)));
        }
    }
    names
}

fn name_of(stage: &StageName, action: &ActionName) -> String {
    format!("{stage}/{action}")
}

fn rule_name(stage: &StageName, gate: ConditionType, rule: &RuleName) -> String {
    format!("{stage}/{rule} ({})", gate.member())
}

fn action_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, action)| action)
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    // A revision's summary may be JSON: its message is what people know it by.
    let parsed: Option<serde_json::Value> = serde_json::from_str(line).ok();
    let message = parsed.as_ref().and_then(|json| json["CommitMessage"].as_str());
    let line = message.and_then(|message| message.lines().next()).unwrap_or(line);
    line.chars().filter(|c| !c.is_control()).take(160).collect()
}
