//! `towpath proxy`, running; and calls of `towpath` with keys that AWS knows.

use rustix::process::Signal;
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};
use tests::{
    client::Client,
    folder::{Folder, Ran},
    function_url::{AWS_KEY, AWS_SECRET, AWS_TOKEN, FunctionUrl},
    processes, towpath,
};

/// How long the proxy may take to be ready.
const READY_MAX: Duration = Duration::from_secs(20);

/// A proxy that ends with this value.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) lines: Vec<String>,
}

impl Running {
    /// In front of a function URL, with the keys that AWS knows.
    pub(crate) fn before(function: &FunctionUrl, arguments: &[&str]) -> Self {
        let mut command = towpath::command();
        command
            .args(["proxy", "--port", "0", "--sign-for", "lambda", "--url", &function.url()])
            .args(arguments);
        with_keys(&mut command);
        Self::launch(command)
    }

    pub(crate) fn launch(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).for_each(|line| drop(send.send(line))));
        let mut lines: Vec<String> = Vec::new();
        let address = loop {
            let Ok(line) = receive.recv_timeout(READY_MAX) else {
                child.kill().unwrap();
                panic!("not ready: {lines:?}");
            };
            lines.push(line.clone());
            let address = line.strip_prefix("towpath proxy is ready: http://");
            if let Some(address) = address.and_then(|rest| rest.split(' ').next()) {
                break address.parse().unwrap();
            }
        };
        Self { child, address, lines }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client that signs for CodePipeline with the keys that AWS knows.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address).with_key(AWS_KEY, AWS_SECRET)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        processes::signal(&self.child, Signal::TERM);
        if processes::wait(&mut self.child, READY_MAX).is_none() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Gives a program the keys that AWS knows, and no others.
pub(crate) fn with_keys(command: &mut Command) {
    command.env("AWS_ACCESS_KEY_ID", AWS_KEY).env("AWS_SECRET_ACCESS_KEY", AWS_SECRET);
    command.env("AWS_SESSION_TOKEN", AWS_TOKEN);
    command.env("AWS_REGION", "us-east-1").env("AWS_DEFAULT_REGION", "us-east-1");
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
}

/// Calls `towpath` against a function URL.
pub(crate) fn call(folder: &Folder, function: &FunctionUrl, arguments: &[&str]) -> Ran {
    let url = function.url();
    let mut command = folder.command(&[&["--url", &url, "--sign-for", "lambda"], arguments].concat());
    with_keys(&mut command);
    ran(&mut command)
}

pub(crate) fn ran(command: &mut Command) -> Ran {
    let done = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: done.status.code(), out: text(&done.stdout), err: text(&done.stderr) }
}
