//! How people and programs reach the API: our own commands, the proxy, a profile; and how pipelines move in.

use super::given::{Home, stage};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tests::{
    emulated::{
        emulator::REGION,
        stack::{KEY, SECRET, SOON},
    },
    folder::{Folder, Ran},
    processes::{self, eventually},
    scenario,
    server::{ACCESS_KEY, SECRET_KEY, Server},
    towpath,
};

/// Where `aws-setup` puts what changes the service model.
const MODELS: &str = ".config/towpath/aws-models";

/// A key and its secret.
type Keys<'a> = (&'a str, &'a str);
/// Those of the administrator.
const OWN: Keys<'static> = (KEY, SECRET);

/// A program with somebody's keys and a home of its own.
fn program(mut program: Command, home: &Folder, (key, secret): Keys<'_>) -> Command {
    towpath::plain(&mut program);
    program.current_dir(home.path()).env("HOME", home.path()).env_remove("XDG_CONFIG_HOME");
    program.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret);
    program.env("AWS_REGION", REGION).env("AWS_DEFAULT_REGION", REGION);
    program
}

fn ran(command: &mut Command) -> Ran {
    let done = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: done.status.code(), out: text(&done.stdout), err: text(&done.stderr) }
}

fn towpath_as(desk: &Folder, keys: Keys<'_>, url: &str, arguments: &[&str]) -> Ran {
    let mut command = program(Command::new(towpath::binary()), desk, keys);
    ran(command.env("TOWPATH_URL", url).args(arguments))
}

/// Waits until a command of ours says this.
#[track_caller]
fn says(text: &str, mut call: impl FnMut() -> Ran) {
    let mut seen = String::new();
    let said = eventually(SOON, || {
        seen = call().exits(0).out;
        std::thread::sleep(Duration::from_millis(200));
        seen.contains(text)
    });
    assert!(said, "`{text}` is not in\n{seen}");
}

pub(crate) fn clients(home: &mut Home) {
    let (stack, name) = (&home.stack, "reached");
    let (url, desk) = (stack.url("ApiUrl"), Folder::new());
    let call = |arguments: &[&str]| towpath_as(&desk, OWN, &url, arguments);
    home.create(
        name,
        &[
            stage("Approve", &[home.approval("Release")]),
            stage("Deploy", &[home.deployment("Site", "reached.html")]),
        ],
    );
    call(&["pipelines"]).exits(0).says(&[name]);
    home.push(name, "one");
    says("waits for an answer: `towpath approve reached Approve/Release`", || call(&["state", name]));
    call(&["approve", name, "--summary", "good"]).exits(0).says(&["is approved"]);
    says("Succeeded   Deploy", || call(&["state", name]));
    // Under the ARN that the signature proved, not one that anybody said.
    let by = stack.action(name, "Approve", "Release")["latestExecution"]["lastUpdatedBy"].clone();
    assert_eq!(by, "arn:aws:iam::111122223333:user/test");
    // Somebody whom IAM lets in, and whom the table does not know, may look.
    let (id, secret) = stack.user("visitor", Some(stack.output("CallerPolicyArn")));
    let visitor = |arguments: &[&str]| towpath_as(&desk, (&id, &secret), &url, arguments);
    visitor(&["state", name]).exits(0);
    visitor(&["start", name])
        .exits(2)
        .complains(&[&format!("user/{id} is not authorized"), "docs/reaching-the-api.md"]);
    // Whom IAM does not let in is told where to look.
    let (id, secret) = stack.user("passer-by", None);
    towpath_as(&desk, (&id, &secret), &url, &["state", name])
        .exits(2)
        .complains(&["user/passer-by is not authorized to perform: lambda:InvokeFunctionUrl"]);

    let listed = |ran: Ran| {
        let listed: Value = serde_json::from_str(&ran.exits(0).out).unwrap();
        assert!(listed["pipelines"].as_array().unwrap().iter().any(|one| one["name"] == name), "{listed}");
    };
    let aws = |arguments: &[&str]| {
        let mut aws = program(Command::new(scenario::aws()), &desk, OWN);
        aws.args(["--output", "json"]).args(arguments);
        aws
    };
    let python = |lines: &str| {
        let python = scenario::aws().with_file_name("python");
        let mut python = program(Command::new(python), &desk, OWN);
        python.args(["-c", lines]);
        python
    };
    // By the proxy: whatever takes an endpoint.
    let proxy = Proxy::start(program(Command::new(towpath::binary()), &desk, OWN), &url);
    listed(ran(&mut aws(&["--endpoint-url", &proxy.url, "codepipeline", "list-pipelines"])));
    let missing = ["--endpoint-url", &proxy.url, "codepipeline", "get-pipeline", "--name", "none"];
    ran(&mut aws(&missing)).exits(255).complains(&["(PipelineNotFoundException)"]);
    let lines =
        "import boto3, json\nprint(json.dumps(boto3.client('codepipeline').list_pipelines(), default=str))\n";
    listed(ran(python(lines).env("AWS_ENDPOINT_URL_CODEPIPELINE", &proxy.url)));
    // By a profile: boto3 and `aws` sign for Lambda themselves.
    call(&["aws-setup", "--yes"]).exits(0);
    let own = ["--profile", "towpath", "codepipeline", "list-pipelines"];
    listed(ran(aws(&own).env("AWS_DATA_PATH", desk.at(MODELS))));
    listed(ran(python(lines).env("AWS_PROFILE", "towpath")));
    call(&["aws-setup", "--undo", "--yes"]).exits(0);
}

/// CodePipeline is another Towpath, on this machine; where the pipeline goes is the real template.
pub(crate) fn moving(home: &mut Home) {
    let (stack, name) = (&home.stack, "moved");
    let (url, desk) = (stack.url("ApiUrl"), Folder::new());
    let machine = Folder::new();
    machine.write("bucket/keep", "");
    machine.write(
        "towpath.toml",
        &format!(
            "[s3]\n\"{}\" = \"bucket\"\n[mock]\n\"Deploy/S3\" = \"succeed\"\n",
            stack.output("SourcesName")
        ),
    );
    let codepipeline = Server::start(&machine);
    let definition = home.pipeline(name, &[stage("Deploy", &[home.deployment("Site", "moved.html")])]);
    codepipeline.client.call("CreatePipeline", &definition);
    desk.write(
        ".aws/credentials",
        &format!("[codepipeline]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"),
    );
    let call = |arguments: &[&str]| towpath_as(&desk, OWN, &url, arguments);
    let from = codepipeline.url();
    call(&["import", "--all", "--endpoint-url", &from, "--profile", "codepipeline"])
        .exits(0)
        .says(&["ready"]);
    call(&["move", "create", "pipelines"]).exits(0).says(&["moved: made, and held"]);
    let sides = ["--from-url", from.as_str(), "--from-profile", "codepipeline"];
    let step = |step: &[&str]| call(&[&["move"], step, &sides].concat());
    step(&["status", name]).exits(0).says(&["moved     runs          held"]);

    // A push is fetched, and waits.
    home.push(name, "one");
    says(" waits here", || call(&["state", name]));
    assert!(stack.aws.object(stack.output("SiteName"), "moved.html").is_none());
    step(&["switch", name, "--wait", "1"]).exits(0).says(&["is newer, and enters", "Towpath runs moved"]);
    says("Succeeded   Deploy", || call(&["state", name]));
    assert!(stack.aws.object(stack.output("SiteName"), "moved.html").is_some());
    step(&["status", name]).exits(0).says(&["moved     held          runs"]);
    step(&["back", name, "--wait", "1"]).exits(0).says(&["CodePipeline runs moved"]);
    step(&["status", name]).exits(0).says(&["moved     runs          held"]);
    let ended = stack.call("ListPipelines", &json!({}));
    assert!(ended["pipelines"].as_array().is_some());
}

/// `towpath proxy`, until this value ends.
struct Proxy {
    child: Child,
    url: String,
}

impl Proxy {
    fn start(mut command: Command, url: &str) -> Self {
        let mut child =
            command.args(["proxy", "--port", "0", "--url", url]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = line.strip_prefix("towpath proxy is ready: ").and_then(|rest| rest.split(' ').next());
        let url = ready.map(str::to_owned);
        let proxy = Self { child, url: url.unwrap_or_default() };
        assert!(!proxy.url.is_empty(), "not ready: {line}");
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        processes::signal(&self.child, rustix::process::Signal::TERM);
        if processes::wait(&mut self.child, SOON).is_none() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
