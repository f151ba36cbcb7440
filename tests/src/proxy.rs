//! Stands between any client and the server, passes everything on, and holds every answer against the service model.
//! A client cannot tell: what it signed arrives byte for byte.

use crate::{
    client::{Answer, parse},
    conforming,
    server::Server,
};
use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long a connection may stand idle.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Largest body passed on, in bytes: more than the server takes, so that its own refusal is seen.
const BODY_BYTES_MAX: usize = 16 << 20;

/// A proxy in front of a server. Fails when it is dropped after it saw an answer that the model does not allow.
pub struct Proxy {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// Answers by operation and outcome (`200` or the exception's name).
    answers: BTreeMap<(String, String), usize>,
    problems: Vec<String>,
}

impl Proxy {
    /// Listens on a port of its own.
    pub fn before(server: &Server) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (behind, shared) = (server.address, Arc::clone(&seen));
        // Ends with the test's process: nothing tells it to stop.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let seen = Arc::clone(&shared);
                // A client that goes away in the middle is not the server's fault.
                std::thread::spawn(move || drop(pass_on(client, behind, &seen)));
            }
        });
        Self { address, seen }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many answers of this outcome (`200` or an exception's name) an operation has got.
    pub fn count(&self, operation: &str, outcome: &str) -> usize {
        let key = (operation.to_owned(), outcome.to_owned());
        lock(&self.seen).answers.get(&key).copied().unwrap_or(0)
    }

    /// How many answers were checked.
    pub fn checked(&self) -> usize {
        lock(&self.seen).answers.values().sum()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let problems = std::mem::take(&mut lock(&self.seen).problems);
        // A second panic would hide the first.
        if !std::thread::panicking() {
            assert!(
                problems.is_empty(),
                "{} answers are not as the model has them:\n{}",
                problems.len(),
                problems.join("\n")
            );
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves one connection of a client, request after request.
fn pass_on(client: TcpStream, behind: SocketAddr, seen: &Mutex<Seen>) -> io::Result<()> {
    client.set_read_timeout(Some(IDLE_MAX))?;
    client.set_nodelay(true)?;
    let mut back = client.try_clone()?;
    let mut requests = BufReader::new(client);
    while let Some((operation, bytes)) = request(&mut requests, &mut back)? {
        let answer = exchange(behind, &bytes)?;
        let Ok(parsed) = parse(&answer) else {
            lock(seen).problems.push(format!("{operation}: no HTTP answer"));
            return Ok(());
        };
        note(&operation, &parsed, seen);
        back.write_all(&kept_open(&parsed))?;
    }
    Ok(())
}

fn note(operation: &str, answer: &Answer, seen: &Mutex<Seen>) {
    let outcome = match answer.status {
        200 => "200".to_owned(),
        _ => answer.refusal().code,
    };
    let problems = conforming::problems(operation, answer);
    let mut seen = lock(seen);
    *seen.answers.entry((operation.to_owned(), outcome)).or_default() += 1;
    let body = String::from_utf8_lossy(&answer.body);
    seen.problems.extend(problems.into_iter().map(|problem| format!("{operation}: {problem}: {body}")));
}

/// Reads a request; its operation, and its bytes with `connection: close`, which no client signs.
pub(crate) fn request(
    from: &mut impl BufRead,
    back: &mut impl Write,
) -> io::Result<Option<(String, Vec<u8>)>> {
    let (mut bytes, mut operation, mut length) = (Vec::new(), String::new(), 0);
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
        match text.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim())) {
            Some((name, _)) if name == "connection" => continue,
            Some((name, _)) if name == "expect" => {
                back.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                continue;
            }
            Some((name, value)) if name == "x-amz-target" => {
                operation = value.rsplit('.').next().unwrap_or_default().to_owned();
            }
            Some((name, value)) if name == "content-length" => {
                length = value.parse().map_err(io::Error::other)?;
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
    Ok(Some((operation, bytes)))
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
pub(crate) fn kept_open(answer: &Answer) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {} towpath\r\n", answer.status).into_bytes();
    for (name, value) in
        answer.headers.iter().filter(|(name, _)| name != "connection" && name != "content-length")
    {
        bytes.extend(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend(format!("content-length: {}\r\n\r\n", answer.body.len()).as_bytes());
    bytes.extend(&answer.body);
    bytes
}
