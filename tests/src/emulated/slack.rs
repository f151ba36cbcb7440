//! A stand-in for Slack: takes posts, and can be too busy for them.

use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Slack, for a test.
pub struct Slack {
    address: SocketAddr,
    posts: Arc<Mutex<Vec<(String, Value)>>>,
    turned_away: Arc<AtomicUsize>,
}

impl Slack {
    /// Listens on a port of its own; turns the first posts away with 429.
    pub fn start(busy_for: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let posts = Arc::new(Mutex::new(Vec::new()));
        let turned_away = Arc::new(AtomicUsize::new(0));
        let (kept, away) = (Arc::clone(&posts), Arc::clone(&turned_away));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A caller that goes away is its own business.
                let _ = serve(client, busy_for, &kept, &away);
            }
        });
        Self { address, posts, turned_away }
    }

    /// The address of an incoming webhook.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was posted, with the path.
    pub fn posts(&self) -> Vec<(String, Value)> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many posts it was too busy for.
    pub fn turned_away(&self) -> usize {
        self.turned_away.load(Ordering::SeqCst)
    }
}

fn serve(
    client: TcpStream,
    busy_for: usize,
    posts: &Mutex<Vec<(String, Value)>>,
    turned_away: &AtomicUsize,
) -> std::io::Result<()> {
    let mut back = client.try_clone()?;
    let mut from = BufReader::new(client);
    let (mut path, mut length) = (String::new(), 0_usize);
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    if turned_away.load(Ordering::SeqCst) < busy_for {
        turned_away.fetch_add(1, Ordering::SeqCst);
        return back.write_all(
            b"HTTP/1.1 429 busy\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        );
    }
    let count = {
        let mut posts = posts.lock().unwrap_or_else(PoisonError::into_inner);
        posts.push((path.clone(), serde_json::from_slice(&body).unwrap_or(Value::Null)));
        posts.len()
    };
    let answer = match path.contains("/api/") {
        true => format!("{{\"ok\":true,\"channel\":\"C1\",\"ts\":\"1700000000.{count:06}\"}}"),
        false => "ok".to_owned(),
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    write!(back, "{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len())
}
