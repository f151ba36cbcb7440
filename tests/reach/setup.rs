//! `towpath aws-setup`: the real `aws` command and boto3, taught to sign for Lambda.

use crate::running::ran;
use std::process::Command;
use tests::{
    folder::{Folder, Ran},
    function_url::{AWS_KEY, AWS_SECRET, AWS_TOKEN, FunctionUrl},
    scenario,
    server::{ACCESS_KEY, SECRET_KEY, Server},
    towpath,
};

/// What stands in `~/.aws/config` before; no line of it may change.
const CONFIG: &str =
    "# mine\n[default]\nregion = us-east-1\n\n[profile local]\nregion = us-east-1\noutput=text ; no\n";

fn home() -> Folder {
    let home = Folder::new();
    home.write(".aws/config", CONFIG);
    home.write(
        ".aws/credentials",
        &format!(
            "[default]\naws_access_key_id = {AWS_KEY}\naws_secret_access_key = {AWS_SECRET}\naws_session_token = \
             {AWS_TOKEN}\n[local]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
        ),
    );
    home
}

fn setup(home: &Folder, arguments: &[&str]) -> Ran {
    let mut command = home.command(&[&["aws-setup"], arguments].concat());
    ran(command.env("HOME", home.path()).env_remove("XDG_CONFIG_HOME"))
}

/// A program with nothing but this home.
fn program(home: &Folder, path: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(path);
    towpath::plain(&mut command);
    command.env("HOME", home.path()).env("AWS_MAX_ATTEMPTS", "1");
    command
}

fn aws(home: &Folder, models: Option<&str>, arguments: &[&str]) -> Ran {
    let mut aws = program(home, scenario::aws());
    models.map(|models| aws.env("AWS_DATA_PATH", home.at(models)));
    ran(aws.args(arguments))
}

fn boto3(home: &Folder, profile: &str, endpoint: Option<&str>) -> Ran {
    let mut python = program(home, scenario::installed("TOWPATH_TEST_PYTHON"));
    let lines = "import boto3, os\nsession = boto3.Session(profile_name=os.environ['PROFILE'])\nclient = \
                 session.client('codepipeline', endpoint_url=os.environ.get('ENDPOINT'))\n\
                 print(client.meta.service_model.signing_name, client.list_pipelines()['pipelines'])\n";
    endpoint.map(|endpoint| python.env("ENDPOINT", endpoint));
    ran(python.args(["-c", lines]).env("PROFILE", profile))
}

const MODELS: &str = ".config/towpath/aws-models";

#[test]
fn aws_and_boto3_sign_for_lambda_through_the_profile_and_nowhere_else() {
    let folder = Folder::new();
    let server = Server::start(&folder);
    let function = FunctionUrl::before(&server);
    let home = home();
    let url = function.url();
    let given = ["--url", &url, "--sign-for", "lambda", "--region", "us-east-1"];

    // Shown, and not done: there is nobody to ask.
    setup(&home, &given)
        .exits(2)
        .says(&["gets:", "+ [profile towpath]", "\"signingName\": \"lambda\""])
        .complains(&["nothing was changed", "`--yes`"]);
    assert_eq!(home.read(".aws/config"), CONFIG);
    assert!(!home.at(MODELS).exists());

    let given = [&given[..], &["--yes"]].concat();
    setup(&home, &given)
        .exits(0)
        .says(&["aws --profile towpath codepipeline list-pipelines", "what was is kept in"]);
    let written = home.read(".aws/config");
    assert!(written.starts_with(CONFIG), "{written}");
    setup(&home, &given).exits(0).says(&["nothing to change"]);
    assert_eq!(home.read(".aws/config"), written);

    let list = ["--profile", "towpath", "--output", "json", "codepipeline", "list-pipelines"];
    let listed = aws(&home, Some(MODELS), &list).exits(0);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&listed.out).unwrap(),
        serde_json::json!({ "pipelines": [] })
    );
    assert_eq!((function.seen().len(), function.refused()), (1, 0));
    // It is the patch that does it.
    assert!(aws(&home, None, &list).err.contains("Forbidden"));
    assert_eq!((function.seen().len(), function.refused()), (1, 1));
    boto3(&home, "towpath", None).exits(0).says(&["lambda []"]);
    let mut own = home.command(&["--profile", "towpath", "pipelines"]);
    ran(own.env("HOME", home.path())).exits(0).says(&[&format!("there are no pipelines at {url}")]);
    assert_eq!((function.seen().len(), function.refused()), (3, 1));
    // Whoever asks by another profile means CodePipeline.
    boto3(&home, "local", Some(&server.url())).exits(0).says(&["codepipeline []"]);

    setup(&home, &["--undo", "--yes"]).exits(0).says(&["no longer leads to a Towpath"]);
    assert_eq!(home.read(".aws/config"), CONFIG);
    assert!(!home.at(MODELS).exists());
    setup(&home, &["--undo", "--yes"]).exits(0).says(&["nothing to change"]);
}

#[test]
fn a_profile_that_is_there_gets_further_lines_and_loses_only_those() {
    let home = home();
    let function = "https://abc.lambda-url.us-east-1.on.aws/";
    setup(&home, &["--profile", "local", "--url", function, "--yes"]).exits(0);
    let written = home.read(".aws/config");
    assert!(written.contains("[profile local]\n# towpath aws-setup local: begin\n"), "{written}");
    assert!(written.contains("\nregion = us-east-1\noutput=text ; no\n"), "{written}");
    assert!(!written.contains("credential_process"), "{written}");
    setup(&home, &["--profile", "local", "--undo", "--yes"]).exits(0);
    assert_eq!(home.read(".aws/config"), CONFIG);
    let kept = std::fs::read_dir(home.at(".aws")).unwrap().flatten();
    let kept = kept.filter(|file| file.file_name().to_string_lossy().starts_with("config.before-towpath-"));
    assert_eq!(kept.count(), 2);

    let elsewhere = "https://abc.lambda-url.eu-west-1.on.aws/";
    setup(&home, &["--profile", "local", "--url", elsewhere, "--yes"])
        .exits(2)
        .complains(&["for the Region us-east-1", "--from local"]);
    setup(&home, &["--from", "gone", "--url", function, "--yes"]).exits(2).complains(&["no profile `gone`"]);
    setup(&home, &["--profile", "a b", "--url", function]).exits(2).complains(&["a profile's name"]);
    setup(&home, &[]).exits(2).complains(&["`--url`"]);
    assert_eq!(home.read(".aws/config"), CONFIG);
}
