//! `cargo xtask bench`: how fast, how small. Measures the release binary from outside, and the core from inside;
//! prints a table. Never a test: a number says how a machine was that minute.
//!
//! Everything lies in a temporary folder, on a real disk: on one in memory a durable write costs nothing, and the
//! numbers mean nothing.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it reports to a terminal")]

mod actions;
mod client;
mod definitions;
mod full;
mod history;
mod moto;
mod requests;
mod server;
mod table;

use anyhow::Context;
use std::path::PathBuf;
use table::Table;

/// Where everything happens.
pub(crate) struct Place {
    /// The release binary.
    pub(crate) towpath: PathBuf,
    /// A folder on a real disk.
    pub(crate) folder: PathBuf,
}

const USAGE: &str = "usage: bench TOWPATH-BINARY [actions] [server] [history] [requests] [moto]";

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let towpath = std::path::absolute(arguments.next().context(USAGE)?)?;
    let only: Vec<String> = arguments.collect();
    let wanted = |part: &str| only.is_empty() || only.iter().any(|name| name == part);
    let temporary = tempfile::Builder::new().prefix("towpath-bench-").tempdir()?;
    let place = Place { towpath, folder: temporary.path().to_owned() };
    let mut table = Table::default();
    table.binary(&place.towpath)?;
    if wanted("actions") {
        actions::measure(&place, &mut table)?;
    }
    if wanted("server") {
        server::measure(&place, &mut table)?;
    }
    if wanted("history") {
        history::measure(&place, &mut table)?;
    }
    if wanted("requests") {
        requests::measure(&place, &mut table)?;
    }
    if wanted("moto") {
        moto::measure(&place, &mut table)?;
    }
    table.print();
    Ok(())
}
