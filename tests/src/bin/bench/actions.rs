//! `towpath run`: what actions cost, beside plain shells that do the same.

use crate::{
    Place, definitions,
    table::{Table, fastest, median, ms},
};
use anyhow::Context;
use serde_json::Value;
use std::{
    fs,
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Each thing is measured so often, in turns.
const ROUNDS: usize = 7;
const FEW: usize = 10;
const MANY: usize = 50;
const PARALLEL: usize = 20;
const FILES: usize = 200;
const FILES_PER_FOLDER: usize = 10;
const SHELLS: usize = 200;
const DISK_ROUNDS: usize = 50;
const PAGE_BYTES: usize = 4096;

pub(crate) fn measure(place: &Place, table: &mut Table) -> anyhow::Result<()> {
    disk(place, table)?;
    sequential_and_parallel(place, table)?;
    files(place, table)
}

/// What the disk costs at this moment, whoever writes.
fn disk(place: &Place, table: &mut Table) -> anyhow::Result<()> {
    let path = place.folder.join("disk");
    fs::write(&path, vec![0; PAGE_BYTES])?;
    let mut file = fs::OpenOptions::new().write(true).open(&path)?;
    let (mut writes, mut folders) = (Vec::new(), Vec::new());
    for number in 0..DISK_ROUNDS {
        let begun = Instant::now();
        file.rewind()?;
        file.write_all(&[1; PAGE_BYTES])?;
        file.sync_data()?;
        writes.push(begun.elapsed());
        let begun = Instant::now();
        fs::create_dir(place.folder.join(format!("folder{number}")))?;
        folders.push(begun.elapsed());
    }
    let shown = |times| format!("{:.2} ms", ms(median(times)));
    table.note("disk: a durable write of 4 KiB into a file", shown(writes));
    table.note("disk: making a folder", shown(folders));
    Ok(())
}

fn sequential_and_parallel(place: &Place, table: &mut Table) -> anyhow::Result<()> {
    let source = place.folder.join("one-file");
    fs::create_dir_all(&source)?;
    fs::write(source.join("readme.txt"), "one file\n")?;
    let in_a_row = |count: usize| vec![(1..=count).map(|n| definitions::no_op(n, n)).collect::<Vec<_>>()];
    let staged = |count: usize| (1..=count).map(|n| vec![definitions::no_op(n, 1)]).collect::<Vec<_>>();
    let side_by_side = vec![(1..=PARALLEL).map(|n| definitions::no_op(n, 1)).collect::<Vec<_>>()];
    let run = |name: &str, stages: &[Vec<Value>]| Run::prepare(place, name, &source, stages);
    let few = run("few", &in_a_row(FEW))?;
    let many = run("many", &in_a_row(MANY))?;
    let few_staged = run("few-staged", &staged(FEW - 1))?;
    let many_staged = run("many-staged", &staged(MANY - 1))?;
    let parallel = run("parallel", &side_by_side)?;
    let none = run("one", &in_a_row(1))?;
    let mut times: [Vec<Duration>; 7] = Default::default();
    for _ in 0..ROUNDS {
        for (index, run) in [&few, &many, &few_staged, &many_staged, &parallel, &none].into_iter().enumerate()
        {
            times[index].push(run.go()?);
        }
        times[6].push(shells()?);
    }
    let [few, many, few_staged, many_staged, parallel, one, shell] = times;
    let per = |more: Vec<Duration>, less: Vec<Duration>| {
        let more = ms(fastest(more)) - ms(fastest(less));
        more / (MANY - FEW) as f64
    };
    let shell = ms(fastest(shell)) / SHELLS as f64;
    let in_a_row = per(many, few);
    table.note("a shell that runs `/bin/true`, forked plainly", format!("{shell:.2} ms"));
    table.note("a no-op action, one after the other (50 − 10)", format!("{in_a_row:.2} ms"));
    table.at_most("… beyond the same shell", in_a_row - shell, 1.0, "ms");
    let staged = per(many_staged, few_staged);
    table.note("a no-op action in a stage of its own (49 − 9 stages)", format!("{staged:.2} ms"));
    table.at_most("… beyond the same shell", staged - shell, 1.0, "ms");
    table.at_most(
        "`towpath run` with 20 no-op actions in parallel, in all",
        ms(fastest(parallel.clone())),
        60.0,
        "ms",
    );
    table.note("… in the middle of the measurements", format!("{:.2} ms", ms(median(parallel))));
    table.note("`towpath run` with a single no-op action, in all", format!("{:.2} ms", ms(fastest(one))));
    Ok(())
}

/// One pipeline, to be run with `towpath run` any number of times.
struct Run {
    towpath: PathBuf,
    folder: PathBuf,
    source: PathBuf,
}

impl Run {
    fn prepare(place: &Place, name: &str, source: &Path, stages: &[Vec<Value>]) -> anyhow::Result<Self> {
        let folder = place.folder.join(name);
        fs::create_dir_all(&folder)?;
        let definition = definitions::pipeline(name, "SUPERSEDED", stages);
        fs::write(folder.join("pipeline.json"), definition.to_string())?;
        Ok(Self { towpath: place.towpath.clone(), folder, source: source.to_owned() })
    }

    /// Runs it with an empty state folder, and says how long that took. The folders are left where they are: some
    /// file systems take long to make files after many were removed.
    fn go(&self) -> anyhow::Result<Duration> {
        let number = fs::read_dir(&self.folder)?.count();
        let begun = Instant::now();
        let done = Command::new(&self.towpath)
            .args(["run", "pipeline.json", "--plain", "--source"])
            .arg(format!("{}={}", definitions::CHECKOUT, self.source.display()))
            .args(["--state", &format!("state{number}")])
            .current_dir(&self.folder)
            .output()?;
        let time = begun.elapsed();
        let said =
            || String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
        anyhow::ensure!(done.status.success(), "`{}` did not succeed:\n{}", self.folder.display(), said());
        Ok(time)
    }
}

/// Forks the shells of so many no-op actions one after the other, as a runner must: output through a pipe.
fn shells() -> anyhow::Result<Duration> {
    let begun = Instant::now();
    for _ in 0..SHELLS {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", "set -a; /bin/true"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut output = Vec::new();
        shell.stdout.take().context("its output is a pipe")?.read_to_end(&mut output)?;
        anyhow::ensure!(shell.wait()?.success(), "`/bin/true` failed");
    }
    Ok(begun.elapsed())
}

/// The same steps with `zip` and `unzip`. Nothing here waits for the disk.
const SCRIPT: &str = "set -e
rm -rf work site code.zip built.zip
(cd code && zip -qr ../code.zip .)
mkdir work && cd work
unzip -q ../code.zip
sh -c 'cp -R files dist'
zip -qr ../built.zip dist
cd ..
unzip -q built.zip -d site
rm -rf work
";

fn files(place: &Place, table: &mut Table) -> anyhow::Result<()> {
    let what = format!("source of {FILES} files → build → artifact → deploy");
    let by_hand = place.folder.join("by-hand");
    let source = by_hand.join("code");
    for number in 0..FILES {
        let folder = source.join(format!("files/part{}", number / FILES_PER_FOLDER));
        fs::create_dir_all(&folder)?;
        let lines: String =
            (0..100).map(|line| format!("line {line} of file {number}: {}\n", line * number)).collect();
        fs::write(folder.join(format!("file{number}.txt")), lines)?;
    }
    let run = Run::prepare(place, "files", &source, &definitions::build_and_deploy())?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let tools = ["zip", "unzip"].iter().all(|tool| Command::new(tool).arg("-v").output().is_ok());
    for _ in 0..ROUNDS {
        ours.push(run.go()?);
        if tools {
            let begun = Instant::now();
            let done = Command::new("sh").args(["-c", SCRIPT]).current_dir(&by_hand).status()?;
            theirs.push(begun.elapsed());
            anyhow::ensure!(done.success(), "the script failed");
        }
    }
    let ours = ms(median(ours));
    table.note(format!("{what}, `towpath run`"), format!("{ours:.1} ms"));
    if !tools {
        table.note("… the same as a shell script", "not measured: install `zip` and `unzip`");
        return Ok(());
    }
    let theirs = ms(median(theirs));
    table.note("… the same as a shell script with zip and unzip", format!("{theirs:.1} ms"));
    table.at_most("… as a multiple of the script", ours / theirs, 2.0, "×");
    Ok(())
}
