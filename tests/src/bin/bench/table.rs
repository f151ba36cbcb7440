//! The result: what, measured, target, verdict.

use std::{fs, path::Path, time::Duration};

/// Rows in the order they were measured.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<[String; 4]>,
}

impl Table {
    /// A number without a target: a baseline, or context.
    pub(crate) fn note(&mut self, what: impl Into<String>, measured: impl Into<String>) {
        self.push([what.into(), measured.into(), String::new(), String::new()]);
    }

    /// A number that must not be larger than its target.
    pub(crate) fn at_most(&mut self, what: impl Into<String>, measured: f64, target: f64, unit: &str) {
        self.judged(what.into(), measured, format!("≤ {target} {unit}"), measured <= target, unit);
    }

    /// A number that must not be smaller than its target.
    pub(crate) fn at_least(&mut self, what: impl Into<String>, measured: f64, target: f64, unit: &str) {
        self.judged(what.into(), measured, format!("≥ {target} {unit}"), measured >= target, unit);
    }

    /// The size of the program itself.
    pub(crate) fn binary(&mut self, path: &Path) -> anyhow::Result<()> {
        let bytes = fs::metadata(path)?.len();
        self.note("size of the `towpath` binary", format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)));
        Ok(())
    }

    /// Prints it, as Markdown.
    pub(crate) fn print(&self) {
        println!("\n| what | measured | target | |\n|---|---:|---:|---|");
        for [what, measured, target, verdict] in &self.rows {
            println!("| {what} | {measured} | {target} | {verdict} |");
        }
    }

    fn judged(&mut self, what: String, measured: f64, target: String, holds: bool, unit: &str) {
        let verdict = if holds { "ok" } else { "over" };
        self.push([what, format!("{measured:.2} {unit}"), target, verdict.to_owned()]);
    }

    fn push(&mut self, row: [String; 4]) {
        // Shown at once as well: the whole takes minutes.
        eprintln!("  {}", row.join("  ").trim_end());
        self.rows.push(row);
    }
}

/// In milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The fastest of several: what disturbs a measurement only ever adds to it.
pub(crate) fn fastest(times: impl IntoIterator<Item = Duration>) -> Duration {
    times.into_iter().min().unwrap_or_default()
}

/// The one in the middle.
pub(crate) fn median(times: impl IntoIterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.into_iter().collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
