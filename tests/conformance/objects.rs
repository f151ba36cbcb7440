//! The artifact store over S3: boto3 and the `aws` command as job workers have them, and paths that no client sends.

use engine::{
    action::ArtifactLocation,
    ports::{ARTIFACT_CREDENTIALS_MS, ArtifactAccess as _, ArtifactCredentials, ArtifactLoan, Clock as _},
};
use events::Timestamp;
use local::{artifact_access::LocalArtifactAccess, artifacts::ArtifactStore, world::SystemClock};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Output},
};
use tests::{
    folder::Folder,
    server::{ACCESS_KEY, SECRET_KEY, Server},
    towpath,
};

/// A server with one artifact that a runner made.
struct Stage {
    folder: Folder,
    server: Server,
}

impl Stage {
    fn new() -> Self {
        let folder = Folder::repository(&json!({}), &[]);
        let server = Server::start(&folder);
        let stage = Self { folder, server };
        let store = stage.store();
        let file = store.scratch().unwrap();
        fs::write(&file, "made by a runner").unwrap();
        store.put(&at("shop/Source/1"), &file).unwrap();
        stage
    }

    fn store(&self) -> ArtifactStore {
        ArtifactStore::new(self.folder.state().join("artifacts"))
    }

    /// As the server itself lends, with the key that it keeps.
    fn lend(&self, inputs: &[&str], outputs: &[&str], now: Timestamp) -> ArtifactCredentials {
        let access = LocalArtifactAccess::of(&self.folder.state()).unwrap();
        let places = |keys: &[&str]| keys.iter().map(|key| at(key)).collect();
        let loan = ArtifactLoan { inputs: places(inputs), outputs: places(outputs) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(access.lend(&loan, now)).unwrap()
    }
}

fn at(key: &str) -> ArtifactLocation {
    ArtifactLocation { bucket: "artifacts".into(), key: key.into() }
}

/// A program of the Python environment that `cargo xtask test` makes, or of the path.
pub(crate) fn program(variable: &str, name: &str) -> PathBuf {
    if let Some(named) = env::var_os(variable) {
        return named.into();
    }
    let folders = env::split_paths(&env::var_os("PATH").unwrap()).collect::<Vec<_>>();
    let found = folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("there is no `{name}`: run `cargo xtask test`, which installs it, or set {variable} to one")
    })
}

fn plain(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    towpath::plain(&mut command);
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn keys(lent: &ArtifactCredentials) -> Value {
    json!({ "id": lent.access_key_id, "secret": lent.secret_access_key, "token": lent.session_token })
}

const OUTPUTS: [&str; 10] = [
    "shop/Small/CRC32",
    "shop/Small/SHA1",
    "shop/Small/SHA256",
    "shop/Small/None",
    "shop/Small/ü +&=~",
    "shop/Small/never",
    "shop/Small/link",
    "shop/Big/1",
    "shop/Big/2",
    "shop/Big/3",
];

#[test]
fn a_worker_on_boto3_fetches_and_stores_what_it_was_lent_and_nothing_else() {
    let stage = Stage::new();
    let now = SystemClock.now();
    let before = Timestamp(now.0 - ARTIFACT_CREDENTIALS_MS - 1);
    let lent = json!({
        "owner": { "id": ACCESS_KEY, "secret": SECRET_KEY },
        "job": keys(&stage.lend(&["shop/Source/1"], &OUTPUTS, now)),
        "other": keys(&stage.lend(&["other/Source/1"], &["other/Out/1"], now)),
        "expired": keys(&stage.lend(&["shop/Source/1"], &OUTPUTS, before)),
    });
    let mut python = plain(program("TOWPATH_TEST_PYTHON", "python3"));
    python.args(["-c", include_str!("objects.py"), &stage.server.url()]);
    let done = python.arg(stage.folder.path()).arg(lent.to_string()).output().unwrap();
    assert!(
        done.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&done.stderr),
        stage.folder.read("server.err")
    );
    // Exactly where a runner looks for it.
    let store = stage.store();
    assert_eq!(fs::read(store.get(&at("shop/Small/SHA1")).unwrap()).unwrap(), b"small");
    assert_eq!(fs::metadata(store.get(&at("shop/Big/1")).unwrap()).unwrap().len(), (17 << 20) + 3);
    assert!(!store.exists(&at("shop/Small/never")) && !store.exists(&at("shop/Big/3")));
    let left = fs::read_dir(store.root().join(".incoming")).unwrap().count();
    assert_eq!(left, 0, "nothing is left of refused and broken uploads");
    assert_eq!(stage.folder.read("server.err"), "", "nothing was worth an error");
}

#[test]
fn the_aws_command_copies_and_lists() {
    let stage = Stage::new();
    let url = stage.server.url();
    let aws = |credentials: &[(&str, &str)], arguments: &[&str]| -> Output {
        let mut aws = plain(program("TOWPATH_TEST_AWS", "aws"));
        aws.envs(credentials.iter().copied()).current_dir(stage.folder.path());
        aws.args(["--region", "us-east-1", "--endpoint-url", &url]).args(arguments).output().unwrap()
    };
    let good = |credentials: &[(&str, &str)], arguments: &[&str]| -> String {
        let done = aws(credentials, arguments);
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let lent = stage.lend(&["shop/Source/1"], &["shop/Out/1"], SystemClock.now());
    let worker = [
        ("AWS_ACCESS_KEY_ID", lent.access_key_id.as_str()),
        ("AWS_SECRET_ACCESS_KEY", &lent.secret_access_key),
        ("AWS_SESSION_TOKEN", &lent.session_token),
    ];
    let owner = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];

    let big = "0123456789abcdef".repeat(600_000);
    fs::write(stage.folder.at("big"), &big).unwrap();
    good(&worker, &["s3", "cp", "big", "s3://artifacts/shop/Out/1"]);
    good(&owner, &["s3", "cp", "s3://artifacts/shop/Out/1", "back"]);
    assert_eq!(stage.folder.read("back"), big);
    let get = ["s3api", "get-object", "--bucket", "artifacts", "--key", "shop/Source/1"];
    let told = good(&worker, &[&get[..], &["--range", "bytes=0-3", "part"]].concat());
    assert!(told.contains("bytes 0-3/16"), "{told}");
    assert_eq!(stage.folder.read("part"), "made");
    let listed = good(&owner, &["s3", "ls", "--recursive", "s3://artifacts/shop/"]);
    assert!(listed.contains("9600000 shop/Out/1") && listed.contains("16 shop/Source/1"), "{listed}");
    let buckets = good(&owner, &["s3", "ls"]);
    assert!(buckets.contains("artifacts"), "{buckets}");
    let foreign = aws(&worker, &["s3", "cp", "big", "s3://artifacts/other/Out/1"]);
    assert!(String::from_utf8_lossy(&foreign.stderr).contains("(AccessDenied)"), "{foreign:?}");
}

#[test]
fn refusals_are_documents_with_a_code_and_nobody_is_let_in_without_a_signature() {
    let stage = Stage::new();
    let client = &stage.server.client;
    let text = |body: Vec<u8>| String::from_utf8(body).unwrap();
    let unsigned = client.get("/artifacts/shop/Source/1").unwrap();
    assert_eq!(unsigned.status, 403);
    assert_eq!(unsigned.header("content-type"), Some("application/xml"));
    assert!(unsigned.header("x-amz-request-id").is_some());
    assert!(text(unsigned.body).contains("<Code>AccessDenied</Code>"));
    let missing = client.object("GET", "/artifacts/shop/%3Cb%3E", b"").unwrap();
    let told = text(missing.body);
    assert!(missing.status == 404 && told.contains("<Code>NoSuchKey</Code>"), "{told}");
    assert!(told.contains("&lt;b&gt;") && !told.contains("<b>"), "{told}");
    let none = client.object("HEAD", "/artifacts/none", b"").unwrap();
    assert_eq!((none.status, none.body.len()), (404, 0));
    let strange = client.with_key("AKIASOMEBODYELSE", SECRET_KEY).object("GET", "/artifacts/k", b"").unwrap();
    assert!(text(strange.body).contains("<Code>InvalidAccessKeyId</Code>"));
    let cut = client.raw(b"PUT /artifacts/k HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999\r\n\r\n");
    assert!(cut.is_ok_and(|answer| answer.status == 403), "nobody waits for a body from nobody");
}

#[test]
fn a_body_in_chunks_counts_only_if_it_is_what_was_announced() {
    let stage = Stage::new();
    let client = stage.server.client.with_lent(&stage.lend(&[], &["shop/Out/1"], SystemClock.now()));
    let chunks = |length: &str, body: &str| {
        let headers = [
            ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("x-amz-decoded-content-length", length),
        ];
        let kept = headers.iter().copied().filter(|(_, value)| !value.is_empty()).collect::<Vec<_>>();
        client.object_with("PUT", "/artifacts/shop/Out/1", &kept, body.as_bytes()).unwrap()
    };
    let refused = |length: &str, body: &str, code: &str| {
        let told = String::from_utf8(chunks(length, body).body).unwrap();
        assert!(told.contains(&format!("<Code>{code}</Code>")), "{length} {body:?}: {told}");
        assert!(!stage.store().exists(&at("shop/Out/1")));
    };
    let good = "9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n";
    refused("99999999999999", good, "EntityTooLarge");
    refused("", good, "MissingContentLength");
    refused("8", good, "IncompleteBody");
    refused("9", &good[..20], "IncompleteBody");
    refused("9", &good.replace("y/Q", "z/Q"), "BadDigest");
    refused("9", "9\r\n123456789\r\n0\r\n\r\n", "InvalidRequest");
    refused("9", "123456789", "IncompleteBody");
    assert_eq!(chunks("9", good).status, 200);
    let kept = client.object("GET", "/artifacts/shop/Out/1", b"").unwrap();
    assert_eq!(kept.body, b"123456789");
}

#[test]
fn no_path_leads_out_of_the_store_or_breaks_the_server() {
    let stage = Stage::new();
    let long = "k".repeat(300);
    let deep = "a/".repeat(600);
    let keys = [
        "..",
        "../x",
        "../../log.sqlite",
        "a/../../x",
        "a/..",
        "./a",
        "a//b",
        "a/",
        "/etc/passwd",
        "a\0b",
        ".incoming/x",
        ".incoming",
        &long,
        &deep,
        "shop/Source/1/below",
        "shop/Source",
        "\u{202e}x\u{0}",
    ];
    let before = files(&stage.folder);
    for key in keys {
        let lent = stage.lend(&[], &[key], SystemClock.now());
        let client = stage.server.client.with_lent(&lent);
        let encoded: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let spelt =
            [encoded.clone(), encoded.replace("%2F", "/"), encoded.replace("%2E", ".").replace("%2F", "/")];
        for spelt in &spelt {
            for (method, query) in [("PUT", ""), ("GET", ""), ("HEAD", ""), ("POST", "?uploads")] {
                let answer =
                    client.object(method, &format!("/artifacts/{spelt}{query}"), b"escaped").unwrap();
                let told = String::from_utf8_lossy(&answer.body).into_owned();
                assert!(
                    (400..500).contains(&answer.status) || query == "?uploads",
                    "{method} {spelt}: {told}"
                );
                assert!(answer.status < 500, "{method} {spelt}: {told}");
            }
        }
    }
    for bucket in ["%2E%2E", "..", ".", "%2E%2E%2F%2E%2E", ".incoming", "a%2Fb", "%00"] {
        for target in
            [format!("/{bucket}/log.sqlite"), format!("/{bucket}"), format!("/{bucket}?list-type=2")]
        {
            let answer = stage.server.client.object("GET", &target, b"").unwrap();
            assert!((400..500).contains(&answer.status), "{target}: {}", answer.status);
        }
    }
    let escaped = |path: &String| !path.contains(".towpath/artifacts/.incoming/");
    let after: Vec<String> = files(&stage.folder).into_iter().filter(escaped).collect();
    assert_eq!(after, before);
    assert_eq!(stage.server.client.get("/healthz").unwrap().status, 200);
}

/// Every file but those that come and go with the log, and the server's own output.
fn files(folder: &Folder) -> Vec<String> {
    let walk = walkdir::WalkDir::new(folder.path()).sort_by_file_name().into_iter().map(Result::unwrap);
    let names = walk.filter(|entry| entry.file_type().is_file());
    let names = names.map(|entry| entry.path().to_str().unwrap().to_owned());
    names.filter(|name| !name.contains("log.sqlite") && !name.contains("/.git/")).collect()
}

#[test]
fn whatever_the_path_and_the_query_the_server_answers_and_goes_on() {
    let stage = Stage::new();
    let client = &stage.server.client;
    let target =
        "(/[a-z.%0-9/]{0,40}|/artifacts/[ -~&&[^ #?\"<>\\^`{}|\\\\]]{0,40})(\\?[a-zA-Z0-9%=&.-]{0,40})?";
    let method = prop::sample::select(vec!["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"]);
    let mut runner = prop::test_runner::TestRunner::deterministic();
    runner
        .run(&(method, target), |(method, target)| {
            if let Ok(answer) = client.object(method, &target, b"x") {
                prop_assert!(answer.status != 500, "{method} {target}");
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(client.get("/healthz").unwrap().status, 200);
}
