//! What stands in for a function URL: an address that wants signatures for `lambda`, as AWS does, and has a
//! `towpath up` answer behind it. What it refuses, it refuses in Lambda's words.

use crate::{client::Client, proxy, server::Server};
use api::sigv4;
use std::{
    collections::VecDeque,
    io::{self, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The key pair that AWS knows.
pub const AWS_KEY: &str = "ASIAONAWS";
/// Its secret half.
pub const AWS_SECRET: &str = "secret-on-aws";
/// The session it belongs to, which must come along.
pub const AWS_TOKEN: &str = "token-on-aws";
/// How long a connection may stand idle.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// A function URL. It ends with the test's process.
pub struct FunctionUrl {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its headers, names in lower case.
    pub headers: http::HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// What happens to a request instead of an answer by the API.
#[derive(Debug, Clone)]
pub enum Mishap {
    /// Another answer: status and body.
    Says(u16, &'static str),
    /// An answer that does not end, as large as this.
    Endless(usize),
    /// The connection ends in the middle of the answer.
    BreaksOff,
}

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    refused: usize,
    mishaps: VecDeque<Mishap>,
}

impl FunctionUrl {
    /// In front of a server.
    pub fn before(server: &Server) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, behind) = (Arc::clone(&state), server.client.clone());
        std::thread::spawn(move || {
            for caller in listener.incoming().map_while(Result::ok) {
                let (state, behind) = (Arc::clone(&shared), behind.clone());
                // Who goes away in the middle is not the function's fault.
                std::thread::spawn(move || drop(serve(caller, &behind, &state)));
            }
        });
        Self { address, state }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests whose signature was good, in their order.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.state).seen.clone()
    }

    /// How many requests were refused for their signature.
    pub fn refused(&self) -> usize {
        lock(&self.state).refused
    }

    /// The next request meets with this.
    pub fn next(&self, mishap: Mishap) {
        lock(&self.state).mishaps.push_back(mishap);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(caller: TcpStream, behind: &Client, state: &Mutex<State>) -> io::Result<()> {
    caller.set_read_timeout(Some(IDLE_MAX))?;
    caller.set_nodelay(true)?;
    let mut back = caller.try_clone()?;
    let mut requests = BufReader::new(caller);
    while let Some((_, bytes)) = proxy::request(&mut requests, &mut back)? {
        let request = parsed(&bytes)?;
        if let Err(reason) = verified(&request) {
            lock(state).refused += 1;
            let said = format!("{{\"Message\":\"Forbidden. {reason}\"}}");
            back.write_all(&answer(403, "application/json", said.as_bytes()))?;
            continue;
        }
        let seen = Seen { headers: request.headers().clone(), body: request.body().clone() };
        lock(state).seen.push(seen);
        let mishap = lock(state).mishaps.pop_front();
        match mishap {
            Some(Mishap::Says(status, body)) => {
                back.write_all(&answer(status, "application/json", body.as_bytes()))?;
            }
            Some(Mishap::Endless(length)) => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\ntransfer-encoding: chunked\r\n\r\n";
                back.write_all(head.as_bytes())?;
                let chunk = [b"10000\r\n".to_vec(), vec![b' '; 65_536], b"\r\n".to_vec()].concat();
                (0..length / 65_536).try_for_each(|_| back.write_all(&chunk))?;
                return Ok(());
            }
            Some(Mishap::BreaksOff) => {
                back.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"pipelines\":")?;
                return Ok(());
            }
            None => {
                // The function knows the caller by its role in AWS; `towpath up` knows key pairs.
                let target = request.headers()["x-amz-target"].to_str().map_err(io::Error::other)?.to_owned();
                let operation = target.rsplit('.').next().unwrap_or_default();
                back.write_all(&proxy::kept_open(&behind.post(operation, request.body())?))?;
            }
        }
    }
    Ok(())
}

fn parsed(bytes: &[u8]) -> io::Result<http::Request<Vec<u8>>> {
    let end =
        bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| io::Error::other("no head"))?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(io::Error::other)?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let request = http::Request::builder().method(method).uri(target);
    let headers = lines.filter_map(|line| line.split_once(':'));
    let request = headers.fold(request, |request, (name, value)| request.header(name, value.trim()));
    request.body(bytes[end + 4..].to_vec()).map_err(io::Error::other)
}

fn verified(request: &http::Request<Vec<u8>>) -> Result<(), String> {
    let expected =
        sigv4::Expected { service: "lambda", region: Some("us-east-1"), now: jiff::Timestamp::now() };
    let secret_of = |key: &str| (key == AWS_KEY).then(|| AWS_SECRET.to_owned());
    sigv4::verify(request, &expected, secret_of).map_err(|error| error.message)?;
    let token = request.headers().get("x-amz-security-token").and_then(|token| token.to_str().ok());
    if token == Some(AWS_TOKEN) { Ok(()) } else { Err("The security token is missing".to_owned()) }
}

fn answer(status: u16, media_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} function\r\ncontent-type: {media_type}\r\nx-amzn-requestid: \
         00000000-0000-4000-8000-000000000000\r\nset-cookie: stays=here\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
