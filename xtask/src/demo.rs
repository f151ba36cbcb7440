//! `cargo xtask demo`: Towpath brings the example `shop-api` to production, then keeps a bad change out of it.
//!
//! Everything happens in a copy of the example below the cache folder; the services listen on 127.0.0.1 alone.

use crate::tools;
use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

const EXAMPLE: &str = "examples/shop-api";

/// The approvals of the example's pipeline, given in advance: nobody sits at the keyboard here.
const APPROVALS: [&str; 2] = ["Approve/Release", "ApproveProd/Production"];

/// Every address of the example that must answer once a run has succeeded; see its `towpath.toml`.
const SERVED: [(&str, u16); 8] = [
    ("dev (router)", 4610),
    ("staging-1", 4621),
    ("staging-2", 4622),
    ("staging-3", 4623),
    ("staging-4", 4624),
    ("prod-1", 4631),
    ("prod-2", 4632),
    ("prod-3", 4633),
];

/// The two hosts behind the router: one of them answers, or both.
const BEHIND_ROUTER: [u16; 2] = [4611, 4612];

/// How long a service may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// How to run the demo.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave the services running at the end, to look at them
    #[arg(long)]
    keep: bool,
    /// Build with optimisations: takes longer, runs a little faster
    #[arg(long)]
    release: bool,
}

/// Runs the demo.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    tools::need_git_and_node()?;
    println!("Towpath takes a small shop from a commit to production, on this machine and without Docker.");
    let towpath = build(options.release)?;

    let folder = tools::cache()?.join("demo");
    let shop = folder.join("shop-api");
    clear_away(&folder, &shop)?;
    ensure_ports_are_free()?;

    let begun = Instant::now();
    let played = play(&towpath, &shop);
    let took = tools::readable(begun.elapsed());
    let stopped = match options.keep {
        true => {
            println!("\nThe services go on. Look at http://127.0.0.1:4610/health, and stop them with");
            println!("  {}/stop-all.sh", shop.display());
            Ok(())
        }
        false => {
            tools::step("Stopping every service");
            stop(&shop)
        }
    };
    // What went wrong first says more.
    played.and(stopped)?;
    println!("\nThat was the demo ({took}). The project, its history and the logs of every action stay in");
    println!("  {}", shop.display());
    println!("Run `{} run pipeline.json` there for another round.", towpath.display());
    Ok(())
}

fn build(release: bool) -> anyhow::Result<PathBuf> {
    tools::step("Building `towpath` (a few minutes the first time)");
    let mut arguments = vec!["build", "--locked", "--package", "cli"];
    arguments.extend(release.then_some("--release"));
    ensure!(tools::shown(&mut tools::cargo(&arguments)?)?, "`towpath` could not be built");
    Ok(tools::target()?.join(if release { "release" } else { "debug" }).join("towpath"))
}

/// Removes what an earlier demo left behind, running services first.
fn clear_away(folder: &Path, shop: &Path) -> anyhow::Result<()> {
    if shop.join("stop-all.sh").exists() {
        stop(shop)?;
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove `{}`", folder.display()))?;
    }
    Ok(())
}

fn ensure_ports_are_free() -> anyhow::Result<()> {
    let ports = SERVED.iter().map(|(_, port)| *port).chain(BEHIND_ROUTER);
    let taken: Vec<String> =
        ports.filter(|port| connect(*port).is_ok()).map(|port| port.to_string()).collect();
    ensure!(
        taken.is_empty(),
        "something listens on port {} already, which the example needs: stop that first (`stop-all.sh`, if it is \
         another copy of the example)",
        taken.join(", ")
    );
    Ok(())
}

fn play(towpath: &Path, shop: &Path) -> anyhow::Result<()> {
    tools::step("A repository of its own for the example");
    let commit = found_repository(shop)?;
    println!("{} on branch main, in {}", short(&commit), shop.display());

    tools::step("Run 1: test, build, deploy to dev, staging and production");
    ensure!(
        run_pipeline(towpath, shop)?,
        "the first run did not succeed; the lines above say where the log lies"
    );
    println!("\nWho answers now:");
    show_and_check(&commit)?;

    tools::step("A change that passes every test and cannot work on a host");
    println!(
        "The new file `config/shipping.json` is tested and built, but `appspec.yml` does not install it."
    );
    tools::quiet(Command::new("sh").arg("make-failing-twin.sh").current_dir(shop))?;
    let bad = head(shop)?;
    println!("{} Read the shipping rates from a file", short(&bad));

    tools::step("Run 2: the deployment to dev must fail, and be rolled back before anybody is served by it");
    ensure!(
        !run_pipeline(towpath, shop)?,
        "the second run succeeded, but its change should have been refused"
    );
    let (dev, staging) = (attempts(shop, "DeployDev.Dev.")?, attempts(shop, "DeployStaging.Staging.")?);
    ensure!(dev == 2 && staging == 1, "the second run failed, but not in the deployment to dev");
    println!("\nAs it should: the probe on the new host failed, and traffic stays on the old one.");
    println!("Who answers now:");
    show_and_check(&commit)?;
    println!("Still the release of {}; nobody was served by {}.", short(&commit), short(&bad));
    Ok(())
}

fn found_repository(shop: &Path) -> anyhow::Result<String> {
    tools::copy_folder(
        &tools::root().join(EXAMPLE),
        shop,
        &[".git", ".towpath", "dist", "reports", "data", "node_modules"],
    )?;
    let git = |arguments: &[&str]| tools::quiet(Command::new("git").args(arguments).current_dir(shop));
    git(&["init", "--quiet", "--initial-branch", "main"])?;
    // The demo's commits must not depend on who runs it, nor wait for a signing key.
    for (key, value) in [
        ("user.name", "Towpath demo"),
        ("user.email", "demo@example.com"),
        ("commit.gpgsign", "false"),
        ("core.hooksPath", "/dev/null"),
    ] {
        git(&["config", key, value])?;
    }
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "--message", "Open the shop"])?;
    head(shop)
}

fn head(shop: &Path) -> anyhow::Result<String> {
    tools::quiet(Command::new("git").args(["rev-parse", "HEAD"]).current_dir(shop))
}

/// True when the run succeeded.
fn run_pipeline(towpath: &Path, shop: &Path) -> anyhow::Result<bool> {
    let mut command = Command::new(towpath);
    command.args(["run", "pipeline.json"]).current_dir(shop);
    for approval in APPROVALS {
        command.args(["--approve", approval]);
    }
    let approvals = APPROVALS.map(|approval| format!(" --approve {approval}")).concat();
    println!("$ towpath run pipeline.json{approvals}");
    tools::shown(&mut command)
}

/// How often an action was tried: each attempt has a log file of its own.
fn attempts(shop: &Path, action: &str) -> anyhow::Result<usize> {
    let mut found = 0;
    for execution in fs::read_dir(shop.join(".towpath/logs"))? {
        for log in fs::read_dir(execution?.path())? {
            found += usize::from(log?.file_name().to_string_lossy().starts_with(action));
        }
    }
    Ok(found)
}

fn stop(shop: &Path) -> anyhow::Result<()> {
    if shop.join("stop-all.sh").exists() {
        println!("{}", tools::quiet(Command::new("sh").arg("stop-all.sh").current_dir(shop))?);
    }
    Ok(())
}

/// Asks every host for its health, shows the answers as a table, and fails unless all are well and run this commit.
fn show_and_check(commit: &str) -> anyhow::Result<()> {
    println!("  {:<14}{:<7}{:<12}{:<20}commit", "host", "port", "health", "release");
    let mut wrong = Vec::new();
    for (host, port) in SERVED {
        match health(port) {
            Ok(health) => {
                let text = |key: &str| health[key].as_str().unwrap_or("-");
                let (status, runs) = (text("status"), text("commit"));
                println!("  {host:<14}{port:<7}{status:<12}{:<20}{}", text("version"), short(runs));
                if status != "ok" || runs != commit {
                    wrong.push(host);
                }
            }
            Err(error) => {
                println!("  {host:<14}{port:<7}no answer: {error:#}");
                wrong.push(host);
            }
        }
    }
    if !wrong.is_empty() {
        bail!("expected every host to be well and run {}; not so: {}", short(commit), wrong.join(", "));
    }
    Ok(())
}

/// One `GET /health`. Few lines of HTTP, so that this program needs no client.
fn health(port: u16) -> anyhow::Result<Value> {
    let mut stream = connect(port)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    write!(stream, "GET /health HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    // Whatever the framing of the body, the one JSON object in it begins and ends with a brace.
    let (_, body) = answer.split_once("\r\n\r\n").context("the answer has no body")?;
    let json = body.find('{').zip(body.rfind('}')).map(|(first, last)| &body[first..=last]);
    serde_json::from_str(json.context("the answer is not JSON")?).context("the answer is not JSON")
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), ANSWER_MAX)
}

fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}
