//! The whole life of a pipeline as the SDKs of three languages lead it. The scenarios lie in `tests/clients`;
//! `cargo xtask test` installs and builds what they need.

use crate::{
    folder::Folder,
    pipelines::{approval, commands, pipeline, source, stage},
    server::Server,
    towpath,
};
use serde_json::json;
use std::{env, ffi::OsString, path::PathBuf, process::Command};

/// What a client is led through: a server, and the files it is told of.
pub struct Scenario {
    marks: Folder,
    folder: Folder,
    /// The server, for whoever goes between.
    pub server: Server,
}

impl Default for Scenario {
    fn default() -> Self {
        Self::new()
    }
}

impl Scenario {
    /// Starts a server.
    pub fn new() -> Self {
        let marks = Folder::new();
        let ship = commands("Ship", &[&format!("test -e {}", marks.at("go").display())]);
        let mut definition = pipeline(
            "shop",
            vec![source(), stage("Gate", vec![approval("Sign")]), stage("Live", vec![ship])],
        );
        definition["pipeline"]["variables"] = json!([{ "name": "COLOUR", "defaultValue": "red" }]);
        definition["tags"] = json!([{ "key": "team", "value": "shop" }, { "key": "cost", "value": "" }]);
        let folder = Folder::repository(&definition, &[]);
        let server = Server::start(&folder);
        Self { marks, folder, server }
    }

    /// Runs a client to its end; it finds in its environment:
    ///
    /// - `CLIENT_ENDPOINT`: where the API is
    /// - `CLIENT_DEFINITION`: a file with the input of CreatePipeline: stages Source (Checkout), Gate (approval Sign)
    ///   and Live (Ship, fails until the mark is there), variable COLOUR, two tags
    /// - `CLIENT_MARK`: a file to make, so that Ship succeeds
    /// - a key pair, as every SDK reads it
    #[track_caller]
    pub fn play(&self, mut client: Command, endpoint: &str, (access_key, secret_key): (&str, &str)) {
        towpath::plain(&mut client);
        client.env("CLIENT_ENDPOINT", endpoint).env("CLIENT_DEFINITION", self.folder.at("pipeline.json"));
        client.env("CLIENT_MARK", self.marks.at("go"));
        client.env("AWS_ACCESS_KEY_ID", access_key).env("AWS_SECRET_ACCESS_KEY", secret_key);
        client.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        let done = client.output().unwrap_or_else(|error| panic!("{client:?}: {error}"));
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        assert!(done.status.success(), "{}\n{}", said(&done.stdout), said(&done.stderr));
        assert_eq!(said(&done.stdout), "done", "{}", said(&done.stderr));
    }
}

/// boto3.
pub fn python() -> Command {
    let mut python = Command::new(installed("TOWPATH_TEST_PYTHON"));
    python.arg(script("python/scenario.py"));
    python
}

/// The SDK for JavaScript.
pub fn javascript() -> Command {
    let mut node = Command::new("node");
    node.env("NODE_PATH", installed("TOWPATH_TEST_NODE_MODULES"));
    node.arg(script("javascript/scenario.cjs"));
    node
}

/// The SDK for Rust.
pub fn rust() -> Command {
    Command::new(installed("TOWPATH_TEST_RUST_CLIENT"))
}

/// The `aws` command: named by the environment, or in the path.
pub fn aws() -> PathBuf {
    if let Some(named) = env::var_os("TOWPATH_TEST_AWS") {
        return named.into();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join("aws")).find(|file| file.is_file()).expect(
        "there is no `aws` command: run `cargo xtask test`, which installs it, or set TOWPATH_TEST_AWS to one",
    )
}

/// What the environment says, or what to do about it.
pub fn installed(variable: &str) -> OsString {
    env::var_os(variable).unwrap_or_else(|| {
        panic!("{variable} is not set: run `cargo xtask test`, which installs the clients")
    })
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/clients")).join(name)
}
