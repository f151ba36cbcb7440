//! Stands between a client and an emulator of AWS, and does to single calls what a network and a busy service do:
//! turns them away, swallows an answer after the deed, puts another in its place. No emulator does these by itself.

use serde_json::Value;
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How long a connection may stand idle.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// A call on its way.
pub struct Call {
    /// What stands behind the dot of `X-Amz-Target`; empty for services that have none.
    pub operation: String,
    /// The body, where it is JSON.
    pub input: Value,
    /// The first line and the headers.
    pub head: String,
}

/// What happens to a call.
pub enum Fault {
    /// Nothing: it is passed on, and so is its answer.
    None,
    /// It is passed on and carried out; the connection ends without its answer.
    AnswerLost,
    /// It is not passed on; this status and JSON is the answer.
    Instead(u16, Value),
    /// It is passed on as this, and the answer is made of what came back.
    Changed(Value, Box<dyn FnOnce(Value) -> Value + Send>),
}

impl Fault {
    /// An error of DynamoDB.
    pub fn error(status: u16, code: &str) -> Self {
        let name = format!("com.amazonaws.dynamodb.v20120810#{code}");
        Self::Instead(status, serde_json::json!({ "__type": name, "message": "a fault to order" }))
    }
}

type Draw = dyn FnMut(&Call) -> Fault + Send;

/// A proxy before an emulator.
pub struct Faulty {
    address: SocketAddr,
    draw: Arc<Mutex<Box<Draw>>>,
}

impl Faulty {
    /// Passes everything on to `http://127.0.0.1:PORT`, until told otherwise.
    pub fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let behind: SocketAddr = url.strip_prefix("http://").unwrap().parse().unwrap();
        let draw: Arc<Mutex<Box<Draw>>> = Arc::new(Mutex::new(Box::new(|_: &Call| Fault::None)));
        let shared = Arc::clone(&draw);
        // Ends with the test's process: nothing tells it to stop.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let draw = Arc::clone(&shared);
                std::thread::spawn(move || drop(pass_on(client, behind, &draw)));
            }
        });
        Self { address, draw }
    }

    /// Draws what happens to each call from now on, in the order in which they come.
    pub fn set(&self, draw: impl FnMut(&Call) -> Fault + Send + 'static) {
        *self.draw.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(draw);
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn pass_on(mut client: TcpStream, behind: SocketAddr, draw: &Mutex<Box<Draw>>) -> io::Result<()> {
    client.set_read_timeout(Some(IDLE_MAX))?;
    client.set_nodelay(true)?;
    while let Some((head, body)) = message(&mut client)? {
        let input = serde_json::from_slice(&body).unwrap_or_default();
        let call = Call { operation: operation(&head), input, head };
        let fault = (draw.lock().unwrap_or_else(PoisonError::into_inner))(&call);
        match fault {
            Fault::None => {
                let (head, body) = answer(behind, &call.head, &body)?;
                client.write_all(head.as_bytes())?;
                client.write_all(&body)?;
            }
            Fault::AnswerLost => {
                answer(behind, &call.head, &body)?;
                return Ok(());
            }
            Fault::Instead(status, with) => say(&mut client, status, &with)?,
            Fault::Changed(input, change) => {
                let (_, body) = answer(behind, &call.head, input.to_string().as_bytes())?;
                say(&mut client, 200, &change(serde_json::from_slice(&body).unwrap_or_default()))?;
            }
        }
    }
    Ok(())
}

fn operation(head: &str) -> String {
    let target = head.lines().find_map(|line| line.strip_prefix("x-amz-target: ")).unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default().to_owned()
}

fn say(client: &mut TcpStream, status: u16, with: &Value) -> io::Result<()> {
    let body = with.to_string();
    write!(client, "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// One exchange over a connection of its own.
fn answer(behind: SocketAddr, head: &str, body: &[u8]) -> io::Result<(String, Vec<u8>)> {
    let mut server = TcpStream::connect(behind)?;
    server.set_read_timeout(Some(IDLE_MAX))?;
    server.set_nodelay(true)?;
    let kept = |line: &&str| !line.starts_with("content-length: ");
    let head: Vec<&str> = head.trim_end().split("\r\n").filter(kept).collect();
    write!(server, "{}\r\ncontent-length: {}\r\n\r\n", head.join("\r\n"), body.len())?;
    server.write_all(body)?;
    message(&mut server)?.ok_or_else(|| io::Error::other("the emulator closed without an answer"))
}

/// A head, with the empty line that ends it, and a body whose length is announced. Nothing at the end of a connection.
fn message(stream: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end + 4]).into_owned();
            let announced = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            let whole = end + 4 + announced.unwrap_or(0);
            while bytes.len() < whole {
                match stream.read(&mut buffer)? {
                    0 => return Err(io::Error::other("half a message")),
                    read => bytes.extend_from_slice(&buffer[..read]),
                }
            }
            return Ok(Some((head, bytes[end + 4..whole].to_vec())));
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}
