//! `towpath up`, running.

use crate::{client::Client, folder::Folder, processes};
use rustix::process::Signal;
use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, ExitStatus, Stdio},
    sync::mpsc,
    time::Duration,
};

/// The key pair that the server is given.
pub const ACCESS_KEY: &str = "AKIATESTTOWPATH";
/// Its secret half.
pub const SECRET_KEY: &str = "not-a-secret";
/// How long the server may take to be ready.
const READY_MAX: Duration = Duration::from_secs(20);

/// A server that ends with this value.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// A client with the right key pair.
    pub client: Client,
    /// What it printed before it was ready, and the line that said so.
    pub lines: Vec<String>,
}

impl Server {
    /// Starts it over the folder's `.towpath`; what it complains of goes to `server.err` there.
    pub fn start(folder: &Folder) -> Self {
        Self::start_with(folder, &[])
    }

    /// The same with further arguments.
    pub fn start_with(folder: &Folder, arguments: &[&str]) -> Self {
        let pair = format!("{ACCESS_KEY}:{SECRET_KEY}");
        Self::launch(folder, &[arguments, &["--credentials", &pair]].concat())
    }

    /// Without a key pair given: it makes its own.
    pub fn start_with_own_key(folder: &Folder) -> Self {
        Self::launch(folder, &[])
    }

    fn launch(folder: &Folder, arguments: &[&str]) -> Self {
        let all = [&["up", "--port", "0", "--dir", ".towpath"], arguments].concat();
        let errors = File::options().create(true).append(true).open(folder.at("server.err")).unwrap();
        let mut child = folder.command(&all).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, receive) = mpsc::channel();
        // Reads to the end, so that the server never waits for a reader.
        std::thread::spawn(move || out.lines().map_while(Result::ok).for_each(|line| drop(send.send(line))));
        let mut lines: Vec<String> = Vec::new();
        let address = loop {
            let Ok(line) = receive.recv_timeout(READY_MAX) else {
                child.kill().unwrap();
                panic!("not ready: {lines:?}\n{}", folder.read("server.err"));
            };
            lines.push(line.clone());
            let address = line.strip_prefix("towpath is ready: http://");
            if let Some(address) = address.and_then(|rest| rest.split(' ').next()) {
                break address.parse().unwrap();
            }
        };
        Self { child, address, client: Client::new(address), lines }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// As `kill -9` does: no chance to clean up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits for it.
    pub fn stop(mut self) -> ExitStatus {
        processes::signal(&self.child, Signal::TERM);
        processes::wait(&mut self.child, READY_MAX).expect("the server stops when it is told to")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            processes::signal(&self.child, Signal::TERM);
            if processes::wait(&mut self.child, READY_MAX).is_none() {
                drop(self.child.kill());
                drop(self.child.wait());
            }
        }
    }
}
