//! Requests a second beside those of moto's server, a mock of the same API in Python: the same client, the same
//! requests, in turns.

use crate::{
    Place,
    client::{Client, Server, moto_role},
    definitions,
    table::Table,
};
use anyhow::Context;
use serde_json::{Value, json};
use std::{
    env,
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Names moto's server program; `cargo xtask bench` installs it.
const MOTO: &str = "TOWPATH_BENCH_MOTO";
const PIPELINES: usize = 20;
const CONNECTIONS: usize = 4;
const SLICE: Duration = Duration::from_millis(700);
const TURNS: usize = 3;
const START_MAX: Duration = Duration::from_secs(30);

pub(crate) fn measure(place: &Place, table: &mut Table) -> anyhow::Result<()> {
    let Some(program) = env::var_os(MOTO) else {
        table.note("beside moto's server", format!("not measured: {MOTO} is not set"));
        return Ok(());
    };
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let mut mock = Command::new(program);
    mock.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    let _mock = Mock(mock.spawn()?);
    let theirs = format!("127.0.0.1:{port}");
    moto_role(&theirs, "bench", START_MAX)?;
    let server = Server::start(place, &place.folder.join("beside-moto"))?;
    for number in 0..PIPELINES {
        let stages = [vec![definitions::no_op(1, 1), definitions::no_op(2, 2)]];
        let definition = definitions::pipeline(&format!("shop-{number}"), "SUPERSEDED", &stages);
        for address in [server.address(), &theirs] {
            Client::to(address)?.call("CreatePipeline", &definition)?;
        }
    }
    let update = definitions::pipeline("shop-1", "SUPERSEDED", &[vec![definitions::no_op(1, 1)]]);
    let update = json!({ "pipeline": update["pipeline"] });
    for (operation, input) in [
        ("GetPipeline", json!({ "name": "shop-7" })),
        ("ListPipelines", json!({})),
        ("UpdatePipeline", update),
    ] {
        let (mut ours_best, mut theirs_best) = (0.0_f64, 0.0_f64);
        for _ in 0..TURNS {
            ours_best = ours_best.max(rate(server.address(), operation, &input)?);
            theirs_best = theirs_best.max(rate(&theirs, operation, &input)?);
        }
        let what = format!("{operation}, {CONNECTIONS} connections: Towpath; moto's server");
        table.note(what, format!("{ours_best:.0}; {theirs_best:.0} a second"));
        table.at_least("… as a multiple", ours_best / theirs_best, 10.0, "×");
    }
    server.stop()
}

fn rate(address: &str, operation: &str, input: &Value) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let connection = || -> anyhow::Result<usize> {
        let mut client = Client::to(address)?;
        let mut count = 0;
        while begun.elapsed() < SLICE {
            client.call(operation, input)?;
            count += 1;
        }
        Ok(count)
    };
    let counts: anyhow::Result<Vec<usize>> = thread::scope(|scope| {
        let running: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(connection)).collect();
        running.into_iter().map(|one| one.join().ok().context("a client broke off")?).collect()
    });
    Ok(counts?.iter().sum::<usize>() as f64 / begun.elapsed().as_secs_f64())
}

/// Ended when dropped.
struct Mock(Child);

impl Drop for Mock {
    fn drop(&mut self) {
        // Gone already, perhaps.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
