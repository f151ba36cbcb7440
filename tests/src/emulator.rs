//! AWS on this machine: an emulator that ends with the test's process, and clients for it.

use aws::{
    client::{Client, Credentials, Limits, Meter, Service, Settings},
    log::Tables,
};
use serde_json::{Value, json};
use std::{
    env,
    ffi::OsString,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::processes::eventually;

/// Names the program `ministack`, of the package of that name. `cargo xtask test` sets it.
pub const MINISTACK: &str = "TOWPATH_TEST_MINISTACK";
/// Names the Python of an environment with `localstack-core[runtime]`.
pub const LOCALSTACK: &str = "TOWPATH_TEST_LOCALSTACK";
/// How long an emulator may take to be ready: it is Python, and several may start at once.
const READY_MAX: Duration = Duration::from_secs(60);
/// The account and Region that emulators take for granted.
pub const ACCOUNT: &str = "000000000000";
/// The Region.
pub const REGION: &str = "us-east-1";

/// An emulator, running.
pub struct Emulator {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// A shell that ends the emulator when its standard input ends: with this process, however that comes about.
    _guard: Child,
    _folder: tempfile::TempDir,
}

/// Ministack, started with the first test of this process that asks for it. `None`, with a word about why, where it is
/// not installed.
pub fn ministack() -> Option<&'static Emulator> {
    static RUNNING: LazyLock<Option<Emulator>> = LazyLock::new(|| {
        let program = named(MINISTACK)?;
        Some(Emulator::start("/_ministack/health", |command, port, folder| {
            command.arg(&program).env("GATEWAY_PORT", port.to_string()).env("TMPDIR", folder);
            // For the functions it starts: without it they would call the real AWS.
            command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")).env("BIND_HOST", "127.0.0.1");
            command.env("MINISTACK_HOST", "127.0.0.1");
        }))
    });
    RUNNING.as_ref()
}

/// LocalStack in host mode, likewise.
pub fn localstack() -> Option<&'static Emulator> {
    static RUNNING: LazyLock<Option<Emulator>> = LazyLock::new(|| {
        let python = named(LOCALSTACK)?;
        Some(Emulator::start("/_localstack/health", |command, port, folder| {
            command.arg(&python).args(["-m", "localstack.runtime.main"]);
            command.env("GATEWAY_LISTEN", format!("127.0.0.1:{port}")).env("GATEWAY_SERVER", "hypercorn");
            command.env("FILESYSTEM_ROOT", folder).env("XDG_CACHE_HOME", folder).env("TMPDIR", folder);
            command.env("DNS_ADDRESS", "0").env("DISABLE_EVENTS", "1").env("SKIP_SSL_CERT_DOWNLOAD", "1");
        }))
    });
    RUNNING.as_ref()
}

#[allow(clippy::print_stderr, reason = "whoever runs a test by hand is told what did not run")]
fn named(variable: &str) -> Option<OsString> {
    let named = env::var_os(variable);
    if named.is_none() {
        eprintln!("not run: {variable} names no emulator; `cargo xtask test` installs one and names it");
    }
    named
}

impl Emulator {
    fn start(health: &str, arrange: impl Fn(&mut Command, u16, &std::path::Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("sh");
        // LocalStack may hang as it ends.
        command.args([
            "-c",
            "\"$0\" \"$@\" </dev/null & child=$!; read -r _; kill $child; \
             (sleep 5; kill -9 $child) 2>/dev/null & wait $child",
        ]);
        arrange(&mut command, port, folder.path());
        let errors = std::fs::File::create(folder.path().join("emulator.err")).unwrap();
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("AWS_DEFAULT_REGION", REGION);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(errors);
        let mut guard = command.spawn().unwrap();
        let ready = eventually(READY_MAX, || answers(port, health) || guard.try_wait().unwrap().is_some());
        let alive = guard.try_wait().unwrap().is_none();
        let said = || std::fs::read_to_string(folder.path().join("emulator.err")).unwrap_or_default();
        assert!(ready && alive, "the emulator did not start: {}", said());
        Self { url: format!("http://127.0.0.1:{port}"), _guard: guard, _folder: folder }
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        client(&self.url)
    }
}

/// A client of an emulator at this address, or of what stands before one; it counts.
pub fn client(url: &str) -> Client {
    Client::new(settings(url))
}

/// The same, as settings.
pub fn settings(url: &str) -> Settings {
    Settings {
        region: REGION.to_owned(),
        account: ACCOUNT.to_owned(),
        endpoint: Some(url.to_owned()),
        endpoints: std::collections::BTreeMap::new(),
        credentials: Credentials {
            access_key: "test".to_owned(),
            secret_key: "test".to_owned(),
            session_token: None,
            expires: None,
        },
        limits: Limits {
            attempt: Duration::from_secs(30),
            total: Duration::from_secs(60),
            ..Limits::default()
        },
        meter: Some(Meter::new()),
    }
}

/// Tables of an installation of their own, as `template.yaml` makes them.
pub async fn tables(client: &Client) -> Tables {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = |what: &str| format!("{what}-{}-{number}", std::process::id());
    let tables = Tables { log: name("log"), views: name("views") };
    for (table, keys) in [(&tables.log, [("s", "S"), ("n", "N")]), (&tables.views, [("p", "S"), ("q", "S")])]
    {
        let [(hash, of_hash), (range, of_range)] = keys;
        let input = json!({
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                { "AttributeName": hash, "AttributeType": of_hash },
                { "AttributeName": range, "AttributeType": of_range },
            ],
            "KeySchema": [
                { "AttributeName": hash, "KeyType": "HASH" },
                { "AttributeName": range, "KeyType": "RANGE" },
            ],
        });
        let made: Value = client.json(Service::DynamoDb, "CreateTable", &input).await.unwrap();
        assert_eq!(made["TableDescription"]["TableStatus"], "ACTIVE", "{made}");
    }
    tables
}

fn answers(port: u16, path: &str) -> bool {
    let asked = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    asked().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
