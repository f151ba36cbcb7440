//! What an execution costs: counted calls times list prices.

use super::{emulator::Invocation, meter::Call};
use std::fmt::Write as _;

/// Which prices these are. Those that make up the sum were held against public pages, those of S3, SNS and SQS were not.
pub const PRICES_OF: &str = "us-east-1, on demand, no free tier, as of November 2026";

/// Dollars for a million write units of DynamoDB.
const WRITE_UNITS: f64 = 0.625;
/// Dollars for a million read units of DynamoDB.
const READ_UNITS: f64 = 0.125;
/// Dollars for a million invocations.
const INVOCATIONS: f64 = 0.20;
/// Dollars for a GB-second on arm64.
const GB_SECOND: f64 = 0.000_013_333_4;
/// Dollars for a million custom events, each up to 64 KB.
const EVENTS: f64 = 1.00;
/// Dollars for a million of PUT, COPY, POST and LIST.
const S3_WRITES: f64 = 5.00;
/// Dollars for a million of everything else of S3.
const S3_READS: f64 = 0.40;
/// Dollars for a million publications of SNS.
const PUBLICATIONS: f64 = 0.50;
/// Dollars for a million requests of SQS.
const MESSAGES: f64 = 0.40;
/// Dollars for a GB of log lines taken in.
const LOG_GB: f64 = 0.50;

/// What was counted for one or several executions.
#[derive(Debug, Default, Clone)]
pub struct Bill {
    /// Changes of state of actions, stages and executions: what was told on the bus.
    pub changes: f64,
    /// Starts and ends of actions, which are among them.
    pub of_actions: f64,
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
struct Row {
    what: &'static str,
    count: f64,
    dollars_of_one: f64,
    whose: Whose,
}

/// What a row is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// What Towpath costs, with views and events.
    Towpath,
    /// What actions do to the world: objects that are fetched, kept and deployed.
    Actions,
    /// Neither: shown, and not added up.
    Nobody,
}

impl Bill {
    /// Adds up what was called and invoked.
    pub fn of(calls: &[Call], invocations: &[Invocation]) -> Self {
        let million = 1e6;
        let sum = |of: &dyn Fn(&Call) -> f64| calls.iter().map(of).sum::<f64>();
        let writes = |kind: Kind| sum(&|call| if kind_of(call) == kind { call.units.write } else { 0.0 });
        let count = |service: &str, of: &dyn Fn(&Call) -> f64| {
            calls.iter().filter(|call| call.service == service).map(of).sum::<f64>()
        };
        let writes_object = |call: &Call| f64::from(u8::from(!is_read(call)));
        let (slack, invoked): (Vec<_>, Vec<_>) =
            invocations.iter().partition(|invocation| invocation.function == "notify");
        let row = |what, count, dollars| Row { what, count, dollars_of_one: dollars, whose: Whose::Towpath };
        let aside = |what, count, dollars, whose| Row { what, count, dollars_of_one: dollars, whose };
        let rows = vec![
            row("write units, log", writes(Kind::Log), WRITE_UNITS / million),
            row("write units, claims and external ids", writes(Kind::Effects), WRITE_UNITS / million),
            row("write units, journal of triggers", writes(Kind::Journal), WRITE_UNITS / million),
            row("write units, marks of what was told", writes(Kind::Marks), WRITE_UNITS / million),
            row("write units, views", writes(Kind::Views), WRITE_UNITS / million),
            row("read units", sum(&|call| call.units.read), READ_UNITS / million),
            row("Lambda invocations", invoked.len() as f64, INVOCATIONS / million),
            row("events on the bus", count("events", &entries), EVENTS / million),
            row("SNS publications", count("sns", &|_| 1.0), PUBLICATIONS / million),
            row("SQS requests", count("sqs", &|_| 1.0), MESSAGES / million),
            row("GB of log lines", invoked.iter().map(|one| one.log_bytes).sum::<f64>() / 1e9, LOG_GB),
            aside(
                "S3 PUT and LIST, by actions",
                count("s3", &writes_object),
                S3_WRITES / million,
                Whose::Actions,
            ),
            aside(
                "S3 GET and HEAD, by actions",
                count("s3", &|call| 1.0 - writes_object(call)),
                S3_READS / million,
                Whose::Actions,
            ),
            aside(
                "Lambda invocations for Slack, if wanted",
                slack.len() as f64,
                INVOCATIONS / million,
                Whose::Nobody,
            ),
            aside(
                "Lambda GB-seconds, of debug builds on the emulator",
                invoked.iter().map(|one| gb_seconds(one)).sum(),
                GB_SECOND,
                Whose::Nobody,
            ),
        ];
        let of_actions =
            |call: &Call| call.body.matches("CodePipeline Action Execution State Change").count() as f64;
        Self { changes: count("events", &entries), of_actions: count("events", &of_actions), rows }
    }

    /// Dollars for the execution: of Towpath, and of what its actions do. Without the time of the functions: that is the
    /// emulator's, with functions built for debugging, and says nothing of AWS.
    pub fn dollars(&self) -> (f64, f64) {
        let sum = |whose| {
            let rows = self.rows.iter().filter(|row| row.whose == whose);
            rows.map(|row| row.count * row.dollars_of_one).sum::<f64>()
        };
        (sum(Whose::Towpath), sum(Whose::Actions))
    }

    /// How many of something there were.
    #[track_caller]
    pub fn count(&self, what: &str) -> f64 {
        self.rows.iter().find(|row| row.what == what).expect("a row of this name").count
    }

    /// A table for people.
    pub fn markdown(&self, title: &str) -> String {
        let Self { changes, of_actions, rows } = self;
        let mut table = format!("### {title}\n\nPrices: {PRICES_OF}.\n\n");
        table += "| what | for the execution | for a change of state | for a start or end of an action | $ per million changes | $ per million starts and ends |\n";
        table += "|---|--:|--:|--:|--:|--:|\n";
        // No `-0`, which is what an empty sum begins with.
        let million = |dollars: f64, by: &f64| dollars / by * 1e6 + 0.0;
        for Row { what, count, dollars_of_one, .. } in rows {
            let (each, of_action, dollars) = (count / changes, count / of_actions, count * dollars_of_one);
            let (by_change, by_action) = (million(dollars, changes), million(dollars, of_actions));
            let (count, each, of_action) = (number(*count), number(each), number(of_action));
            let _ = writeln!(
                table,
                "| {what} | {count} | {each} | {of_action} | {by_change:.2} | {by_action:.2} |"
            );
        }
        let (own, work) = self.dollars();
        for (what, dollars) in
            [("Towpath, with views and events", own), ("with what the actions do", own + work)]
        {
            let (by_change, by_action) = (million(dollars, changes), million(dollars, of_actions));
            let _ = writeln!(
                table,
                "| **{what}** | | of {changes} | of {of_actions} | **{by_change:.2}** | **{by_action:.2}** |"
            );
        }
        table
    }
}

fn number(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value < 0.000_001 => format!("{value:.1e}"),
        value if value.fract() == 0.0 => format!("{value:.0}"),
        value if value < 0.01 => format!("{value:.6}"),
        value => format!("{value:.2}"),
    }
}

fn gb_seconds(invocation: &Invocation) -> f64 {
    invocation.memory / 1024.0 * invocation.milliseconds / 1000.0
}

/// What a write to DynamoDB is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Commits.
    Log,
    /// Commits that say what came from outside and what became of it: no execution waits for them.
    Journal,
    /// Rows that say who carries out what, and where it runs.
    Effects,
    /// Rows that say how far the world was told.
    Marks,
    /// Rows for listings.
    Views,
    /// No write of DynamoDB.
    Else,
}

/// What a call writes. A transaction on the log has nothing else in it.
pub fn kind_of(call: &Call) -> Kind {
    if call.service != "dynamodb" || call.units.write == 0.0 {
        return Kind::Else;
    }
    match call.body.contains("-LogTable-") {
        true if call.operation == "PutItem" && call.body.contains("\"triggers#") => Kind::Journal,
        true => Kind::Log,
        false if call.body.contains("once#publish#") || call.body.contains("once#notify#") => Kind::Marks,
        false if ["claim#", "external#", "once#"].iter().any(|row| call.body.contains(row)) => Kind::Effects,
        false => Kind::Views,
    }
}

fn is_read(call: &Call) -> bool {
    call.operation == "GET" && !call.target.contains("list-type") || call.operation == "HEAD"
}

/// Entries of a PutEvents.
fn entries(call: &Call) -> f64 {
    let body: serde_json::Value = serde_json::from_str(&call.body).unwrap_or_default();
    body["Entries"].as_array().map_or(0.0, |entries| entries.len() as f64)
}
