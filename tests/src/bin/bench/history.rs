//! A long log: how fast a server is ready on it, how fast it is folded and loaded.

use crate::{
    Place,
    client::Server,
    definitions, server,
    table::{Table, fastest, ms},
};
use domain::{execution::Execution, lane::Lane};
use engine::{
    log::{Batch, Commit, Log, Position},
    streams::{self, Folded},
};
use events::{
    ExecutionEvent, LaneEvent, PipelineName, StreamKind, StreamName, Timestamp, Version, codec::Stored,
};
use local::{lock::FolderLock, log::SqliteLog};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// Events the log must have; an execution of the pipeline below makes 16 or more.
const EVENTS: usize = 100_000;
const EXECUTIONS: usize = EVENTS / 16 + 1;
const AT_ONCE: usize = 50;
const STREAM_EVENTS: u64 = 10_000;
const PIPELINE: &str = "history";
const ROUNDS: usize = 5;
/// No fold has this number, so no snapshot is used.
const NO_FOLD: u32 = u32::MAX;
const READ_COMMITS: usize = 10_000;
const LOADS: usize = 20;

type Streams<E> = BTreeMap<StreamName, Vec<(E, Timestamp)>>;

/// Events as they are folded: one stream after the other.
#[derive(Default)]
struct Typed {
    executions: Streams<ExecutionEvent>,
    lanes: Streams<LaneEvent>,
}

pub(crate) fn measure(place: &Place, table: &mut Table) -> anyhow::Result<()> {
    let folder = place.folder.join("history");
    fs::create_dir_all(&folder)?;
    fs::write(
        folder.join("towpath.toml"),
        "[mock]\n\"Source/CodeStarSourceConnection\" = \"succeed\"\n\"Compute/Commands\" = \"succeed\"\n",
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    fill(place, &folder, table)?;

    let mut ready = Vec::new();
    let mut resident = 0.0;
    for _ in 0..ROUNDS {
        let server = Server::start(place, &folder)?;
        ready.push(server.ready);
        thread::sleep(Duration::from_millis(300));
        resident = server.resident_mib()?;
        server.stop()?;
    }
    table.at_most("server: ready on that log", ms(fastest(ready)), 100.0, "ms");
    table.at_most("server: resident and idle on that log", resident, 30.0, "MiB");

    let typed = runtime.block_on(read(&folder.join(".towpath"), table))?;
    fold(&typed, table);
    runtime.block_on(load(&folder.join(".towpath"), &place.folder.join("load"), table))
}

/// Runs mocked executions until the log is long enough.
fn fill(place: &Place, folder: &Path, table: &mut Table) -> anyhow::Result<()> {
    let server = Server::start(place, folder)?;
    let mut client = server.client()?;
    let stage = vec![definitions::no_op(1, 1), definitions::no_op(2, 2)];
    client.call("CreatePipeline", &definitions::pipeline(PIPELINE, "PARALLEL", &[stage]))?;
    let begun = Instant::now();
    server::executions(&mut client, PIPELINE, EXECUTIONS, AT_ONCE)?;
    let rate = EXECUTIONS as f64 / begun.elapsed().as_secs_f64();
    table.note("server: executions with mocked actions (nothing forked)", format!("{rate:.0} a second"));
    thread::sleep(Duration::from_millis(300));
    let resident = server.resident_mib()?;
    table.note(format!("server: resident after {EXECUTIONS} of them"), format!("{resident:.1} MiB"));
    server.stop()
}

async fn read(state: &Path, table: &mut Table) -> anyhow::Result<Typed> {
    let lock = FolderLock::acquire(state, "bench")?;
    let log = SqliteLog::open(&lock)?;
    let (mut typed, mut at, mut count) = (Typed::default(), Position::default(), 0);
    loop {
        let commits = log.follow(at, READ_COMMITS).await?;
        let Some((last, _)) = commits.last() else { break };
        at = *last;
        for (_, commit) in &commits {
            count += commit.events.len();
            match commit.stream.kind()? {
                StreamKind::Execution(_) => decode(commit, &mut typed.executions)?,
                StreamKind::Lane(_) => decode(commit, &mut typed.lanes)?,
                StreamKind::Pipeline(_)
                | StreamKind::Webhook(_)
                | StreamKind::ActionTypes(_)
                | StreamKind::Triggers(_) => {}
            }
        }
    }
    log.close().await;
    anyhow::ensure!(count >= EVENTS, "the log has {count} events only");
    let bytes = fs::metadata(state.join(local::log::LOG_FILE))?.len();
    let size = bytes as f64 / f64::from(1 << 20);
    table.note(format!("a log of {count} events, with its listings, on disk"), format!("{size:.0} MiB"));
    Ok(typed)
}

fn decode<E: Stored>(commit: &Commit, into: &mut Streams<E>) -> anyhow::Result<()> {
    let stream = into.entry(commit.stream.clone()).or_default();
    for stored in commit.events.iter() {
        stream.push((stored.parse()?, commit.time));
    }
    Ok(())
}

/// Typed events in memory into states, as the engine does after loading.
fn fold(typed: &Typed, table: &mut Table) {
    let executions = folded::<Execution>(&typed.executions);
    table.at_least("folding events of executions, from memory", executions, 1.0, "million a second");
    let lanes = folded::<Lane>(&typed.lanes);
    table.at_least("folding events of a lane, from memory", lanes, 1.0, "million a second");
}

/// Millions of events a second.
fn folded<S: Folded>(streams: &Streams<S::Event>) -> f64 {
    let count: usize = streams.values().map(Vec::len).sum();
    let times = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        for events in streams.values() {
            let mut state = S::default();
            events.iter().for_each(|(event, time)| state.fold(event, *time));
            std::hint::black_box(&state);
        }
        begun.elapsed()
    });
    count as f64 / fastest(times).as_secs_f64() / 1e6
}

/// A stream of 10,000 events from the file to its state: read, chain checked, decoded, folded.
async fn load(from: &Path, folder: &Path, table: &mut Table) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let stream = StreamName::lane(&PipelineName::parse(PIPELINE)?);
    let lock = FolderLock::acquire(from, "bench")?;
    let log = SqliteLog::open(&lock)?;
    let commits = log.read(&stream, Version(0), READ_COMMITS).await?;
    log.close().await;
    let commits: Vec<Commit> =
        commits.into_iter().filter(|commit| commit.last().0 <= STREAM_EVENTS).collect();
    let last = commits.last().map(Commit::last).unwrap_or_default();
    anyhow::ensure!(last.0 > STREAM_EVENTS - 10, "the lane has {} events only", last.0);

    let lock = FolderLock::acquire(folder, "bench")?;
    let log = SqliteLog::open(&lock)?;
    let appends = commits
        .into_iter()
        .map(|commit| log.append(Batch { commits: vec![commit], checks: Vec::new(), once: None }));
    for append in appends.collect::<Vec<_>>() {
        append.await?;
    }
    for (how, fold) in [("from its last snapshot", Lane::FOLD), ("without any snapshot", NO_FOLD)] {
        let mut times = Vec::new();
        for _ in 0..LOADS {
            let begun = Instant::now();
            let loaded = log.load(&stream, fold).await?;
            let (_, head) = streams::fold::<Lane>(&stream, &loaded)?;
            times.push(begun.elapsed());
            anyhow::ensure!(head.version == last, "not everything was loaded");
        }
        let what = format!("loading a stream of {} events from SQLite, {how}", last.0);
        table.at_most(what, ms(fastest(times)), 20.0, "ms");
    }
    log.close().await;
    Ok(())
}
