//! Moving in, between two servers: one is CodePipeline, the other Towpath. Both see the same pushes.

use crate::running::ran;
use serde_json::{Value, json};
use std::{fs, time::Duration};
use tests::{
    client::Client,
    folder::{Folder, Ran},
    pipelines::{approval, commands, foreign, github, pipeline, source, source_action, stage},
    processes::eventually,
    server::{ACCESS_KEY, SECRET_KEY, Server},
};

/// How long a pipeline of quick actions may take.
const SOON: Duration = Duration::from_secs(60);

struct Both {
    /// The repository that both fetch.
    shop: Folder,
    /// A line for each deployment, whichever side made it.
    deployed: Folder,
    codepipeline: Server,
    towpath: Server,
    _states: [Folder; 2],
}

impl Both {
    fn new() -> Self {
        let shop = Folder::repository(&json!({}), &[]);
        let deployed = Folder::new();
        let states = [Folder::new(), Folder::new()];
        let start = |folder: &Folder| {
            folder.write("towpath.toml", &format!("[sources]\n\"shop\" = \"{}\"\n", shop.path().display()));
            Server::start(folder)
        };
        let (codepipeline, towpath) = (start(&states[0]), start(&states[1]));
        Self { shop, deployed, codepipeline, towpath, _states: states }
    }

    /// Source, Live: writes down what was deployed.
    fn definition(&self) -> Value {
        let line = format!("cat rev >> {0} || true; echo >> {0}", self.deployed.at("log").display());
        pipeline("shop", vec![source(), stage("Live", vec![commands("Ship", &[&line])])])
    }

    fn call(&self, folder: &Folder, arguments: &[&str]) -> Ran {
        let mut command = folder.command(arguments);
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        command.env("AWS_REGION", "us-east-1").env("HOME", folder.path());
        ran(&mut command)
    }

    fn step(&self, folder: &Folder, step: &[&str]) -> Ran {
        let (towpath, codepipeline) = (self.towpath.url(), self.codepipeline.url());
        let sides = ["--url", towpath.as_str(), "--from-url", codepipeline.as_str()];
        self.call(folder, &[&["move"], step, &sides].concat())
    }

    /// Commits, and tells both sides, as a push would.
    fn push(&self, words: &str) -> String {
        self.shop.write("rev", words);
        let commit = self.shop.commit(words);
        for side in [&self.codepipeline, &self.towpath] {
            start(&side.client);
        }
        commit
    }

    fn deployments(&self) -> usize {
        self.deployed.read("log").lines().count()
    }
}

fn start(client: &Client) {
    client.call("StartPipelineExecution", &json!({ "name": "shop" }));
}

fn runs(client: &Client) -> Vec<Value> {
    let all = client.call("ListPipelineExecutions", &json!({ "pipelineName": "shop" }));
    all["pipelineExecutionSummaries"].as_array().unwrap().clone()
}

/// Waits until the newest execution has this status.
#[track_caller]
fn newest_is(client: &Client, status: &str) {
    let mut seen = Value::Null;
    let reached = eventually(SOON, || {
        seen = runs(client)[0].clone();
        seen["status"] == status
    });
    assert!(reached, "not {status}: {seen:#}");
}

/// Waits until an execution stands in front of the second stage.
#[track_caller]
fn waits_with(client: &Client, commit: &str) {
    let mut seen = Value::Null;
    let reached = eventually(SOON, || {
        let newest = runs(client)[0].clone();
        let state = client.call("GetPipelineState", &json!({ "name": "shop" }));
        seen = json!([newest, state]);
        newest["sourceRevisions"][0]["revisionId"] == commit
            && state["stageStates"][1]["inboundExecution"]["pipelineExecutionId"]
                == newest["pipelineExecutionId"]
    });
    assert!(reached, "nobody waits with {commit}: {seen:#}");
}

#[test]
fn a_pipeline_moves_in_runs_and_goes_back_and_nothing_is_deployed_twice_or_lost() {
    let both = Both::new();
    let (old, new) = (&both.codepipeline.client, &both.towpath.client);
    old.call("CreatePipeline", &both.definition());
    newest_is(old, "Succeeded");
    assert_eq!(both.deployments(), 1);

    // Taken as files, made in Towpath, held there.
    let desk = Folder::new();
    both.call(&desk, &["import", "--all", "--endpoint-url", &both.codepipeline.url()]).exits(0).says(&[
        "shop",
        "ready",
        "1 pipelines are in `pipelines`",
        "towpath move create pipelines",
    ]);
    let url = both.towpath.url();
    both.call(&desk, &["move", "create", "pipelines", "--url", &url])
        .exits(0)
        .says(&["shop: made, and held"]);
    both.call(&desk, &["move", "create", "pipelines", "--url", &url])
        .exits(0)
        .says(&["shop: is there already, and is held; nothing was changed"]);
    let known = |client: &Client| {
        let mut pipeline = client.call("GetPipeline", &json!({ "name": "shop" }))["pipeline"].clone();
        pipeline["version"].take();
        pipeline
    };
    assert_eq!(known(new), known(old));
    both.step(&desk, &["status"]).exits(0).says(&["shop      runs          held"]);

    // Side by side: a push runs on the one, and waits on the other.
    let second = both.push("second");
    newest_is(old, "Succeeded");
    waits_with(new, &second);
    assert_eq!(both.deployments(), 2);

    // What CodePipeline has deployed is not deployed again.
    both.step(&desk, &["switch", "shop"]).exits(0).says(&[
        "CodePipeline: the transition into Live is closed",
        "is stopped: CodePipeline has done the same",
        "Towpath: the transition into Live is open",
        "Towpath runs shop; CodePipeline holds it",
    ]);
    newest_is(new, "Stopped");
    both.step(&desk, &["status"]).exits(0).says(&["shop      held          runs"]);
    let third = both.push("third");
    newest_is(new, "Succeeded");
    waits_with(old, &third);
    assert_eq!(both.deployments(), 3);
    both.step(&desk, &["switch", "shop"]).exits(0).says(&["waited, and is stopped: Towpath does it"]);
    assert_eq!(both.deployments(), 3);

    // And back, with a push that arrives while neither runs.
    new.call(
        "DisableStageTransition",
        &json!({ "pipelineName": "shop", "stageName": "Live", "transitionType": "Inbound",
            "reason": "towpath move - CodePipeline runs this pipeline" }),
    );
    both.step(&desk, &["status", "shop"]).exits(0).says(&["a switch stopped half way"]);
    let fourth = both.push("fourth");
    waits_with(old, &fourth);
    waits_with(new, &fourth);
    both.step(&desk, &["back", "shop"])
        .exits(0)
        .says(&["waits, is newer, and enters", "waited, and is stopped: CodePipeline does it"]);
    newest_is(old, "Succeeded");
    newest_is(new, "Stopped");
    assert_eq!(both.deployments(), 4);
    both.step(&desk, &["status", "shop"]).exits(0).says(&["shop      runs          held"]);
}

#[test]
fn nothing_is_opened_while_the_other_side_is_at_work_or_closed_for_reasons_of_its_own() {
    let both = Both::new();
    let (old, new) = (&both.codepipeline.client, &both.towpath.client);
    let definition = pipeline("shop", vec![source(), stage("Live", vec![approval("Sign")])]);
    old.call("CreatePipeline", &definition);
    let desk = Folder::new();
    desk.write("shop.json", &definition.to_string());
    both.step(&desk, &["switch", "shop"])
        .exits(2)
        .complains(&["Towpath has no pipeline `shop`", "`towpath move create`"]);
    let url = both.towpath.url();
    both.call(&desk, &["move", "create", "shop.json", "--url", &url]).exits(0);
    assert!(eventually(SOON, || {
        let state = old.call("GetPipelineState", &json!({ "name": "shop" }));
        state["stageStates"][1]["latestExecution"]["status"] == "InProgress"
    }));
    both.step(&desk, &["switch", "shop"]).exits(2).complains(&["still at work in Live", "`--wait MINUTES`"]);
    let door = |client: &Client| {
        let state = client.call("GetPipelineState", &json!({ "name": "shop" }));
        state["stageStates"][1]["inboundTransitionState"]["enabled"] == true
    };
    assert!(!door(old) && !door(new), "neither runs it");
    let state = old.call("GetPipelineState", &json!({ "name": "shop" }));
    let answer = json!({ "pipelineName": "shop", "stageName": "Live", "actionName": "Sign",
        "token": state["stageStates"][1]["actionStates"][0]["latestExecution"]["token"],
        "result": { "summary": "", "status": "Approved" } });
    old.call("PutApprovalResult", &answer);
    both.step(&desk, &["switch", "shop", "--wait", "1"]).exits(0);
    assert!(!door(old) && door(new));

    let freeze = json!({ "pipelineName": "shop", "stageName": "Live", "transitionType": "Inbound", "reason": "freeze" });
    old.call("DisableStageTransition", &freeze);
    both.step(&desk, &["back", "shop"]).exits(2).complains(&["for a reason of its own", "freeze"]);
    assert!(!door(old) && door(new), "nothing was changed");
    let mut other = definition.clone();
    other["pipeline"]["stages"][1]["name"] = json!("Other");
    new.call("UpdatePipeline", &json!({ "pipeline": other["pipeline"] }));
    both.step(&desk, &["back", "shop"]).exits(2).complains(&["have come apart"]);
    both.step(&desk, &["switch", "shop", "--from-url", &url]).exits(2);
}

#[test]
fn a_pipeline_is_made_without_a_moment_in_which_it_could_deploy() {
    let both = Both::new();
    let definition = both.definition();
    let desk = Folder::new();
    desk.write("shop.json", &definition.to_string());
    desk.write("moving-in.json", r#"{"from":"x","closed":{"shop":{"Live":"freeze"},"other":{"A":"b"}}}"#);
    let url = both.towpath.url();
    both.call(&desk, &["move", "create", "shop.json", "--url", &url])
        .exits(0)
        .says(&["must be closed again"]);
    let new = &both.towpath.client;
    assert_eq!(both.deployments(), 0);
    let versions: Vec<Value> = (1..=2)
        .map(|version| {
            new.call("GetPipeline", &json!({ "name": "shop", "version": version }))["pipeline"].clone()
        })
        .collect();
    assert_eq!(versions[0]["stages"][1]["actions"][0]["name"], "towpath-move-in");
    assert_eq!(versions[1]["stages"][1]["actions"][0]["name"], "Ship");

    // A making that broke off before its end goes on.
    new.call("UpdatePipeline", &json!({ "pipeline": versions[0] }));
    new.call(
        "EnableStageTransition",
        &json!({ "pipelineName": "shop", "stageName": "Live", "transitionType": "Inbound" }),
    );
    both.call(&desk, &["move", "create", "shop.json", "--url", &url]).exits(0).says(&["made, and held"]);
    let stages = new.call("GetPipeline", &json!({ "name": "shop" }))["pipeline"]["stages"].clone();
    assert_eq!(stages, versions[1]["stages"]);
    assert_eq!(both.deployments(), 0);
    desk.write("broken.json", "{}");
    both.call(&desk, &["move", "create", ".", "--url", &url]).exits(2).complains(&["broken.json"]);
    let parallel = {
        let mut definition = definition.clone();
        definition["pipeline"]["executionMode"] = json!("PARALLEL");
        definition
    };
    new.call("UpdatePipeline", &json!({ "pipeline": parallel["pipeline"] }));
    both.codepipeline.client.call("CreatePipeline", &definition);
    both.step(&desk, &["switch", "shop"]).exits(2).complains(&["PARALLEL"]);
}

#[test]
fn the_report_says_what_each_pipeline_needs() {
    let both = Both::new();
    let old = &both.codepipeline.client;
    let hooked = pipeline(
        "hooked",
        vec![stage("Source", vec![github()]), stage("Say", vec![commands("Say", &["true"])])],
    );
    let polled = stage("Source", vec![source_action("main", true)]);
    let mut beanstalk = foreign("Ship");
    beanstalk["actionTypeId"]["provider"] = json!("ElasticBeanstalk");
    beanstalk["configuration"] = json!({ "ApplicationName": "shop", "EnvironmentName": "live" });
    let ships = pipeline("ships", vec![polled, stage("Live", vec![beanstalk])]);
    for definition in [&hooked, &ships] {
        old.call("CreatePipeline", definition);
    }
    old.call(
        "DisableStageTransition",
        &json!({ "pipelineName": "ships", "stageName": "Live", "transitionType": "Inbound", "reason": "freeze" }),
    );
    old.call(
        "PutWebhook",
        &json!({ "webhook": { "name": "hook", "targetPipeline": "hooked", "targetAction": "Checkout",
            "filters": [{ "jsonPath": "$.ref", "matchEquals": "refs/heads/main" }],
            "authentication": "GITHUB_HMAC", "authenticationConfiguration": { "SecretToken": "hush" } } }),
    );
    let desk = Folder::new();
    let url = both.codepipeline.url();
    let import = |arguments: &[&str]| {
        both.call(&desk, &[&["import", "--all", "--endpoint-url", &url], arguments].concat())
    };
    import(&["--out", "all"]).exits(0).says(&["hooked", "ships", "1 in the way, 0 to do", "`all/REPORT.md`"]);
    let report = desk.read("all/REPORT.md");
    for text in [
        "`Live/Ship`: a Towpath on AWS cannot do `Deploy/ElasticBeanstalk` yet",
        "its webhook `hook`",
        "`OAuthToken` is a secret",
        "the transition into `Live` is closed, and is closed in Towpath too: freeze",
        "- arn:aws:iam::123456789012:role/pipeline-role",
        "\"aws:PrincipalArn\": \"arn:aws:iam::123456789012:role/towpath/*\"",
    ] {
        assert!(report.contains(text), "`{text}` is not in\n{report}");
    }
    assert!(!report.contains("hush") && !report.contains("ghp_hidden"));
    let notes: Value = serde_json::from_slice(&fs::read(desk.at("all/moving-in.json")).unwrap()).unwrap();
    assert_eq!(notes["closed"], json!({ "ships": { "Live": "freeze" } }));
    import(&["--out", "all"]).exits(2).complains(&["there already", "`--force`"]);
    import(&["--out", "all", "--force"]).exits(0);
    both.call(&desk, &["import", "hooked", "--all", "--endpoint-url", &url]).exits(2);
}
