//! The emulator's process.

use super::{installed, meter::Meter};
use crate::processes::{self, eventually};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The Region everything is in.
pub const REGION: &str = "us-east-1";
/// The account.
pub const ACCOUNT: &str = "111122223333";
/// How long it may take until it answers: it imports a hundred services.
const READY_MAX: Duration = Duration::from_secs(60);
/// How long it may take to write its state and end.
const END_MAX: Duration = Duration::from_secs(30);

/// An emulator that ends with this value, and with it every function it started.
pub struct Emulator {
    child: Child,
    folder: PathBuf,
    /// What functions call.
    endpoint: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// What stands between the functions and it.
    pub meter: Meter,
}

/// One invocation, as AWS would bill it.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The function's binary, such as `relay`.
    pub function: String,
    /// What invoked it: a detail type, a number of records, `$default` for a URL.
    pub source: String,
    /// How long it took here.
    pub milliseconds: f64,
    /// Memory it was given, in MB.
    pub memory: f64,
    /// Bytes it wrote to its log.
    pub log_bytes: f64,
    /// True when it failed.
    pub failed: bool,
    /// What it said then, or what was said of it.
    pub error: String,
}

impl Emulator {
    /// Starts one that keeps everything below a folder, with the meter in front of it.
    pub fn start(folder: &Path) -> Self {
        Self::launch(folder, free_port(), true)
    }

    /// Starts one at this port of 127.0.0.1 that functions call directly, so that it may outlive this process.
    pub fn direct(folder: &Path, port: u16) -> Self {
        Self::launch(folder, port, false)
    }

    fn launch(folder: &Path, port: u16, metered: bool) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let meter = Meter::before(address);
        let endpoint = if metered { meter.url() } else { format!("http://{address}") };
        let folder = folder.to_owned();
        fs::create_dir_all(folder.join("tmp")).unwrap();
        let child = launch(&folder, address, &endpoint);
        Self { child, folder, endpoint, address, meter }
    }

    /// Ends it, as power does but for what it writes at its end, and starts it again with what it had.
    pub fn restart(&mut self) {
        self.end();
        self.child = launch(&self.folder, self.address, &self.endpoint);
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that was invoked, in the order of its end.
    pub fn invocations(&self) -> Vec<Invocation> {
        let lines = fs::read_to_string(self.folder.join("invocations.jsonl")).unwrap_or_default();
        lines.lines().map(|line| invocation(&serde_json::from_str(line).unwrap())).collect()
    }

    /// What it wrote about itself.
    pub fn log(&self) -> PathBuf {
        self.folder.join("emulator.log")
    }

    /// Leaves it running when this process ends; its process id.
    pub fn leave(self) -> u32 {
        let id = self.child.id();
        std::mem::forget(self);
        id
    }

    fn end(&mut self) {
        processes::signal(&self.child, Signal::TERM);
        if processes::wait(&mut self.child, END_MAX).is_none() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
        // A function whose emulator is gone asks for its next event for ever.
        for (id, _) in processes::with(&mark(&self.folder)) {
            processes::kill(id);
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the environment of everything the emulator started holds.
pub fn mark(folder: &Path) -> String {
    format!("TMPDIR={}", folder.join("tmp").display())
}

fn launch(folder: &Path, address: SocketAddr, endpoint: &str) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("emulator.log")).unwrap();
    let mut python = Command::new(installed("TOWPATH_TEST_EMULATOR"));
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/aws/emulator.py")).env_clear().stdin(Stdio::null());
    python.stdout(log.try_clone().unwrap()).stderr(log);
    python.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder);
    python.env("TMPDIR", folder.join("tmp")).env("PYTHONDONTWRITEBYTECODE", "1");
    python.env("BIND_HOST", "127.0.0.1").env("MINISTACK_HOST", "127.0.0.1");
    python.env("GATEWAY_PORT", address.port().to_string());
    // Functions inherit it.
    python.env("AWS_ENDPOINT_URL", endpoint);
    python.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    python
        .env("AWS_DEFAULT_REGION", REGION)
        .env("MINISTACK_REGION", REGION)
        .env("MINISTACK_ACCOUNT_ID", ACCOUNT);
    // Functions get the keys of their roles, and what those may not do is refused.
    python.env("AUTH", "true");
    // The stand-in for Slack has no TLS.
    python.env("TOWPATH_PLAIN_WEB", "true");
    python.env("PERSIST_STATE", "1").env("STATE_DIR", folder.join("state"));
    python.env("S3_PERSIST", "1").env("S3_DATA_DIR", folder.join("state/s3"));
    python.env("TOWPATH_TEST_INVOCATIONS", folder.join("invocations.jsonl"));
    let mut child = python.spawn().unwrap();
    let ready = eventually(READY_MAX, || {
        assert!(child.try_wait().unwrap().is_none(), "the emulator ended: see {}", folder.display());
        TcpStream::connect(address).is_ok()
    });
    assert!(ready, "the emulator is not ready: see {}", folder.join("emulator.log").display());
    child
}

fn invocation(line: &Value) -> Invocation {
    Invocation {
        function: function(line["function"].as_str().unwrap()),
        source: line["source"].as_str().unwrap_or_default().to_owned(),
        milliseconds: line["milliseconds"].as_f64().unwrap(),
        memory: line["memory"].as_f64().unwrap(),
        log_bytes: line["log_bytes"].as_f64().unwrap(),
        failed: line["failed"].as_bool().unwrap(),
        error: line["error"].as_str().unwrap_or_default().to_owned(),
    }
}

/// `relay` for a function called `towpath-RelayFunction-4243DFD0FCB58`.
pub(crate) fn function(name: &str) -> String {
    name.split('-').find_map(|part| part.strip_suffix("Function")).unwrap_or(name).to_lowercase()
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
