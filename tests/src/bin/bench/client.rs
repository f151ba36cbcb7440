//! `towpath up` as a process, and a client that signs.

use crate::Place;
use anyhow::Context;
use api::sigv4::{self, Credentials};
use http::Request;
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const KEY: &str = "BENCHKEY";
const SECRET: &str = "bench-secret-that-opens-nothing";
const REGION: &str = "us-east-1";
/// Any one answer.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// A running server; killed when dropped.
pub(crate) struct Server {
    process: Child,
    address: String,
    /// From its start to the answer of `/healthz`.
    pub(crate) ready: Duration,
}

impl Server {
    /// Starts one on a folder that holds `.towpath` and perhaps a `towpath.toml`.
    pub(crate) fn start(place: &Place, folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let begun = Instant::now();
        let mut process = Command::new(&place.towpath)
            .args(["up", "--dir", ".towpath", "--port", "0", "--credentials", &format!("{KEY}:{SECRET}")])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().context("its output is a pipe")?;
        let mut server = Self { process, address: String::new(), ready: Duration::ZERO };
        let mut lines = BufReader::new(output).lines();
        for line in &mut lines {
            if let Some((_, rest)) = line?.split_once("ready: http://") {
                server.address = rest.split(' ').next().unwrap_or_default().to_owned();
                break;
            }
        }
        anyhow::ensure!(!server.address.is_empty(), "the server ended before it was ready");
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let health = server.client()?.exchange(b"GET /healthz HTTP/1.1\r\nhost: bench\r\n\r\n")?;
        anyhow::ensure!(health.0 == 200, "the server is not healthy");
        server.ready = begun.elapsed();
        Ok(server)
    }

    /// A connection of its own.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::to(&self.address)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Resident memory in MiB, as the system counts it.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    /// Time on the processor so far, its children included.
    pub(crate) fn processor_ms(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields = stat.rsplit_once(')').context("no name in stat")?.1.split_whitespace();
        let ticks: Vec<f64> = fields.skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
        // A tick is 10 ms on every Linux there is.
        Ok(ticks.iter().sum::<f64>() * 10.0)
    }

    /// Stops it in good order.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let told = Command::new("kill").arg(self.process.id().to_string()).status()?;
        anyhow::ensure!(told.success() && self.process.wait()?.success(), "the server did not stop well");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already when it was stopped.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One connection that is kept open.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    /// Whether the server said that it closes the connection, which then takes no further request.
    is_closing: bool,
    address: String,
    credentials: Credentials,
}

impl Client {
    /// A connection to an address.
    pub(crate) fn to(address: &str) -> anyhow::Result<Self> {
        let credentials =
            Credentials { access_key: KEY.into(), secret_key: SECRET.into(), session_token: None };
        Ok(Self { stream: connect(address)?, is_closing: false, address: address.to_owned(), credentials })
    }

    /// Calls an operation with a signed request.
    pub(crate) fn call(&mut self, operation: &str, input: &Value) -> anyhow::Result<Value> {
        let request = self.request(operation, input)?;
        let body = self.send(operation, &request)?;
        if body.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&body)?) }
    }

    /// A signed request, byte for byte.
    pub(crate) fn request(&self, operation: &str, input: &Value) -> anyhow::Result<Vec<u8>> {
        let target = format!("{}.{operation}", api::codec::TARGET_PREFIX);
        let request = Request::post("/")
            .header("host", &self.address)
            .header("content-type", api::codec::MEDIA_TYPE)
            .header("x-amz-target", target)
            .body(input.to_string())?;
        signed(request, &self.credentials, sigv4::SERVICE)
    }

    /// Sends a request that must succeed. On a new connection when the server closes this one.
    pub(crate) fn send(&mut self, operation: &str, request: &[u8]) -> anyhow::Result<Vec<u8>> {
        if self.is_closing {
            self.stream = connect(&self.address)?;
            self.is_closing = false;
        }
        let (status, body) = self.exchange(request)?;
        anyhow::ensure!(status == 200, "{operation}: {status} {}", String::from_utf8_lossy(&body));
        Ok(body)
    }

    fn exchange(&mut self, request: &[u8]) -> anyhow::Result<(u16, Vec<u8>)> {
        self.stream.get_mut().write_all(request)?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).context("no status line")?.parse()?;
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
            if name.eq_ignore_ascii_case("connection") && value.trim().eq_ignore_ascii_case("close") {
                self.is_closing = true;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, body))
    }
}

fn connect(address: &str) -> anyhow::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    Ok(BufReader::new(stream))
}

fn signed(mut request: Request<String>, credentials: &Credentials, service: &str) -> anyhow::Result<Vec<u8>> {
    sigv4::sign(&mut request, credentials, REGION, service, jiff::Timestamp::now())
        .map_err(|error| anyhow::anyhow!("{}", error.message))?;
    let mut bytes = b"POST / HTTP/1.1\r\n".to_vec();
    for (name, value) in request.headers() {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend(format!("content-length: {}\r\n\r\n{}", request.body().len(), request.body()).as_bytes());
    Ok(bytes)
}

/// Waits for moto's server, and makes the role that its pipelines must name.
pub(crate) fn moto_role(address: &str, role: &str, at_most: Duration) -> anyhow::Result<()> {
    let trust = "%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22\
                 codepipeline.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";
    let form =
        format!("Action=CreateRole&Version=2010-05-08&RoleName={role}&AssumeRolePolicyDocument={trust}");
    let begun = Instant::now();
    let mut client = loop {
        match Client::to(address) {
            Ok(client) => break client,
            Err(error) if begun.elapsed() > at_most => {
                return Err(error.context("moto's server does not start"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    };
    let request = Request::post("/")
        .header("host", address)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)?;
    let request = signed(request, &client.credentials, "iam")?;
    client.send("CreateRole", &request).map(drop)
}
