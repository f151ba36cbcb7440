//! What an execution costs: counted calls times list prices.

use super::{emulator::Invocation, meter::Call};
use std::fmt::Write as _;

/// Where and when the prices were read: the public price lists of on-demand use in us-east-1, without any free tier, on
/// 2026-11-29 (<https://aws.amazon.com/dynamodb/pricing/on-demand/>, `/lambda/pricing/`, `/eventbridge/pricing/`,
/// `/s3/pricing/`, `/cloudwatch/pricing/`, `/sns/pricing/`).
pub const PRICES_OF: &str = "us-east-1, on demand, no free tier, read 2026-11-29";

/// The row that is not added up.
const TIME: &str = "Lambda GB-seconds (of debug builds, on the emulator)";

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
    pub transitions: f64,
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
struct Row {
    what: &'static str,
    count: f64,
    dollars_of_one: f64,
}

impl Bill {
    /// Adds up what was called and invoked.
    pub fn of(calls: &[Call], invocations: &[Invocation]) -> Self {
        let million = 1e6;
        let sum = |of: &dyn Fn(&Call) -> f64| calls.iter().map(of).sum::<f64>();
        let table = |call: &Call, kind: Kind| if kind_of(call) == kind { call.units.write } else { 0.0 };
        let count = |service: &str, of: &dyn Fn(&Call) -> f64| {
            calls.iter().filter(|call| call.service == service).map(of).sum::<f64>()
        };
        let writes_object = |call: &Call| f64::from(u8::from(!is_read(call)));
        let rows = vec![
            row("write units, log", sum(&|call| table(call, Kind::Log)), WRITE_UNITS / million),
            row(
                "write units, claims and external ids",
                sum(&|call| table(call, Kind::Effects)),
                WRITE_UNITS / million,
            ),
            row("write units, views", sum(&|call| table(call, Kind::Views)), WRITE_UNITS / million),
            row("read units", sum(&|call| call.units.read), READ_UNITS / million),
            row("Lambda invocations", invocations.len() as f64, INVOCATIONS / million),
            row(TIME, invocations.iter().map(gb_seconds).sum(), GB_SECOND),
            row("events on the bus", count("events", &entries), EVENTS / million),
            row("S3 PUT and LIST", count("s3", &writes_object), S3_WRITES / million),
            row("S3 GET", count("s3", &|call| 1.0 - writes_object(call)), S3_READS / million),
            row("SNS publications", count("sns", &|_| 1.0), PUBLICATIONS / million),
            row("SQS requests", count("sqs", &|_| 1.0), MESSAGES / million),
            row(
                "GB of log lines",
                invocations.iter().map(|invocation| invocation.log_bytes).sum::<f64>() / 1e9,
                LOG_GB,
            ),
        ];
        Self { transitions: count("events", &entries), rows }
    }

    /// Dollars for a million transitions, without the time of the functions: that is the emulator's, with functions built
    /// for debugging, and says nothing of AWS.
    pub fn per_million(&self) -> f64 {
        let rows = self.rows.iter().filter(|row| row.what != TIME);
        rows.map(|row| row.count * row.dollars_of_one).sum::<f64>() / self.transitions * 1e6
    }

    /// How many of something there were for each transition.
    #[track_caller]
    pub fn per_transition(&self, what: &str) -> f64 {
        let row = self.rows.iter().find(|row| row.what == what).expect("a row of this name");
        row.count / self.transitions
    }

    /// A table for people.
    pub fn markdown(&self, title: &str) -> String {
        let mut table = format!("### {title}\n\nPrices: {PRICES_OF}.\n\n");
        table += "| what | for the execution | for a transition | $ per million transitions |\n|---|--:|--:|--:|\n";
        for row in &self.rows {
            let each = row.count / self.transitions;
            let dollars = each * row.dollars_of_one * 1e6;
            let _ =
                writeln!(table, "| {} | {} | {} | {dollars:.3} |", row.what, number(row.count), number(each));
        }
        let _ = writeln!(
            table,
            "| **all**, {} transitions | | | **{:.2}** |",
            self.transitions,
            self.per_million()
        );
        table
    }
}

fn number(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value.fract() == 0.0 => format!("{value:.0}"),
        value if value < 0.01 => format!("{value:.6}"),
        value => format!("{value:.2}"),
    }
}

fn row(what: &'static str, count: f64, dollars_of_one: f64) -> Row {
    Row { what, count, dollars_of_one }
}

fn gb_seconds(invocation: &Invocation) -> f64 {
    invocation.memory / 1024.0 * invocation.milliseconds / 1000.0
}

/// What a write to DynamoDB is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Commits.
    Log,
    /// Rows that say who carries out what, and where it runs.
    Effects,
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
        true => Kind::Log,
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
