//! Stands between the functions and the emulator: counts what they call, and spoils calls on order. A function is spoilt
//! from outside, by its answers or by its end, so nothing of this is in the product.

use super::{
    emulator::function,
    units::{self, Units},
};
use crate::{client::parse, processes};
use serde_json::Value;
use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a connection may stand idle.
const IDLE_MAX: Duration = Duration::from_secs(120);
/// Largest body passed on, in bytes.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Bytes of bodies that are kept to look into.
const KEPT_BYTES: usize = 256 << 10;

/// A meter in front of an emulator.
#[derive(Clone)]
pub struct Meter {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    behind: SocketAddr,
    calls: Mutex<Vec<Call>>,
    faults: Mutex<Vec<Arc<Fault>>>,
}

/// One call that was seen.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it came.
    pub at: Instant,
    /// The service it was signed for, such as `dynamodb`.
    pub service: String,
    /// The operation; for S3, the method and the first word of the query.
    pub operation: String,
    /// Method and path.
    pub target: String,
    /// The body, if it is text and not too long.
    pub body: String,
    /// The answer's status.
    pub status: u16,
    /// What it took of DynamoDB.
    pub units: Units,
    /// Bytes of the request's body.
    pub sent: usize,
    /// Bytes of the answer's body.
    pub received: usize,
    caller: SocketAddr,
}

impl Call {
    /// The function that calls, such as `trigger`. It can be told as long as the call is under way.
    pub fn function(&self) -> Option<String> {
        let environment = fs::read(format!("/proc/{}/environ", at_port(self.caller.port())?)).ok()?;
        let mut variables = environment.split(|byte| *byte == 0);
        let name = variables.find_map(|one| one.strip_prefix(b"AWS_LAMBDA_FUNCTION_NAME="))?;
        Some(function(&String::from_utf8_lossy(name)))
    }
}

/// What becomes of a call that is spoilt.
#[derive(Debug, Clone)]
pub enum What {
    /// It is turned away with this error of the JSON protocols, and never arrives.
    Refuse(u16, &'static str),
    /// It arrives, and its answer is lost.
    LoseAnswer,
    /// It waits so long, and then goes on.
    Delay(Duration),
    /// Whoever called is killed before it arrives.
    KillBefore,
    /// It arrives; whoever called is killed in place of an answer.
    KillAfter,
    /// It arrives; whoever called stands still from then on, until its time is over.
    FreezeAfter,
}

type Matches = Box<dyn Fn(&Call) -> bool + Send + Sync>;

/// An order to spoil calls.
pub struct Fault {
    what: What,
    matches: Matches,
    left: AtomicUsize,
    hits: AtomicUsize,
}

impl Fault {
    /// How many calls it has spoilt.
    pub fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    fn takes(&self, call: &Call) -> bool {
        if !(self.matches)(call) {
            return false;
        }
        let one_less = |left: usize| left.checked_sub(1);
        let taken = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok();
        if taken {
            self.hits.fetch_add(1, Ordering::SeqCst);
        }
        taken
    }
}

impl Meter {
    /// Listens on a port of its own, until the test's process ends.
    pub fn before(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { behind, calls: Mutex::default(), faults: Mutex::default() });
        let passing = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&passing);
                // A function may go away in the middle of a call; some are made to.
                std::thread::spawn(move || drop(serve(client, &shared)));
            }
        });
        Self { address, shared }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was called so far.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.calls).clone()
    }

    /// Forgets what was called so far.
    pub fn clear(&self) {
        lock(&self.shared.calls).clear();
    }

    /// Spoils the next calls like this, so many of them.
    pub fn spoil(
        &self,
        times: usize,
        what: What,
        matches: impl Fn(&Call) -> bool + Send + Sync + 'static,
    ) -> Arc<Fault> {
        let fault = Arc::new(Fault {
            what,
            matches: Box::new(matches),
            left: AtomicUsize::new(times),
            hits: AtomicUsize::new(0),
        });
        lock(&self.shared.faults).push(Arc::clone(&fault));
        fault
    }

    /// Spoils nothing any more.
    pub fn heal(&self) {
        lock(&self.shared.faults).clear();
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request, and what can be told of it before it is passed on.
struct Request {
    bytes: Vec<u8>,
    call: Call,
}

fn serve(client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_read_timeout(Some(IDLE_MAX))?;
    client.set_nodelay(true)?;
    let caller = client.peer_addr()?;
    let mut back = client.try_clone()?;
    let mut requests = BufReader::new(client);
    while let Some(Request { bytes, mut call }) = read(&mut requests, &mut back, caller)? {
        let fault = lock(&shared.faults).iter().find(|fault| fault.takes(&call)).cloned();
        let what = fault.as_ref().map(|fault| &fault.what);
        match what {
            Some(What::Refuse(status, code)) => {
                let body =
                    format!("{{\"__type\":\"com.amazonaws#{code}\",\"message\":\"by order of a test\"}}");
                let head = "content-type: application/x-amz-json-1.0";
                write!(
                    back,
                    "HTTP/1.1 {status} spoilt\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )?;
                call.status = *status;
                lock(&shared.calls).push(call);
                continue;
            }
            Some(What::KillBefore) => {
                end(caller, processes::kill);
                return Ok(());
            }
            Some(What::Delay(time)) => std::thread::sleep(*time),
            Some(What::LoseAnswer | What::KillAfter | What::FreezeAfter) | None => {}
        }
        let answer = exchange(shared.behind, &bytes)?;
        let parsed = parse(&answer)?;
        call.status = parsed.status;
        call.received = parsed.body.len();
        if call.service == "dynamodb" {
            let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
            let (request, answer) =
                (serde_json::from_str(&call.body).unwrap_or_default(), json(&parsed.body));
            call.units = units::of(&call.operation, &request, &answer);
        }
        lock(&shared.calls).push(call);
        match what {
            Some(What::LoseAnswer) => return Ok(()),
            Some(What::KillAfter) => {
                end(caller, processes::kill);
                return Ok(());
            }
            Some(What::FreezeAfter) => {
                end(caller, processes::freeze);
                return Ok(());
            }
            _ => back.write_all(&kept_open(&answer))?,
        }
    }
    Ok(())
}

/// Reads a request, and gives its bytes with `connection: close`, which no client signs.
fn read(from: &mut impl BufRead, back: &mut impl Write, caller: SocketAddr) -> io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let (mut target, mut operation, mut service, mut length) =
        (String::new(), String::new(), String::new(), 0);
    loop {
        let mut line = Vec::new();
        from.read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if line.is_empty() {
            return Ok(None);
        }
        if text.is_empty() {
            break;
        }
        if bytes.is_empty() {
            target = text.rsplit_once(' ').map_or(text.as_str(), |(target, _)| target).to_owned();
        }
        match text.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim())) {
            Some((name, _)) if name == "connection" => continue,
            Some((name, _)) if name == "expect" => {
                back.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                continue;
            }
            Some((name, value)) if name == "x-amz-target" => {
                operation = value.rsplit('.').next().unwrap_or_default().to_owned();
            }
            Some((name, value)) if name == "authorization" => {
                // `… Credential=<key>/<date>/<Region>/<service>/aws4_request, …`
                service = value.split('/').nth(3).unwrap_or_default().to_owned();
            }
            Some((name, value)) if name == "content-length" => {
                length = value.parse().map_err(io::Error::other)?
            }
            _ => {}
        }
        bytes.extend(line);
    }
    if length > BODY_BYTES_MAX {
        return Err(io::Error::other("a body too large to pass on"));
    }
    bytes.extend(b"connection: close\r\n\r\n");
    let head = bytes.len();
    bytes.resize(head + length, 0);
    from.read_exact(&mut bytes[head..])?;
    let body = if length <= KEPT_BYTES {
        String::from_utf8_lossy(&bytes[head..]).into_owned()
    } else {
        String::new()
    };
    if operation.is_empty() {
        operation = unnamed(&target, &body);
    }
    let call = Call {
        at: Instant::now(),
        service,
        operation,
        target,
        body,
        status: 0,
        units: Units::default(),
        sent: length,
        received: 0,
        caller,
    };
    Ok(Some(Request { bytes, call }))
}

/// What an operation is called whose name is in no header.
fn unnamed(target: &str, body: &str) -> String {
    let of_form = body.split('&').find_map(|pair| pair.strip_prefix("Action="));
    of_form.map(str::to_owned).unwrap_or_else(|| {
        let (method, path) = target.split_once(' ').unwrap_or((target, ""));
        let word = path.split_once('?').map(|(_, query)| query.split(['=', '&']).next().unwrap_or_default());
        word.map_or_else(|| method.to_owned(), |word| format!("{method} {word}"))
    })
}

fn exchange(behind: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(behind)?;
    server.set_nodelay(true)?;
    server.set_read_timeout(Some(IDLE_MAX))?;
    server.write_all(request)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(answer)
}

/// The same answer on a connection that stays open.
fn kept_open(answer: &[u8]) -> Vec<u8> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(answer.len());
    let (head, body) = (String::from_utf8_lossy(&answer[..end]), answer.get(end + 4..).unwrap_or_default());
    let named = |line: &str, name: &str| line.to_ascii_lowercase().starts_with(name);
    let chunked = head.lines().any(|line| named(line, "transfer-encoding"));
    let has_length = head.lines().any(|line| named(line, "content-length"));
    let mut bytes = Vec::new();
    for line in head.lines().filter(|line| !named(line, "connection:")) {
        bytes.extend(line.as_bytes());
        bytes.extend(b"\r\n");
    }
    if !chunked && !has_length {
        bytes.extend(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

/// Does something to the process at the other end of a connection: a function that the emulator started.
fn end(caller: SocketAddr, by: fn(u32)) {
    if let Some(id) = at_port(caller.port()) {
        assert_ne!(id, std::process::id(), "a test's own call was to be spoilt");
        by(id);
    }
}

/// The process whose socket has this port of 127.0.0.1.
fn at_port(port: u16) -> Option<u32> {
    let local = format!("0100007F:{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let inode = table.lines().find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        (columns.get(1) == Some(&local.as_str())).then(|| columns.get(9).map(|inode| (*inode).to_owned()))?
    })?;
    let socket = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find(|id| {
        let files = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|link| link.to_string_lossy() == socket)
    })
}
