//! Messages for topics and events for the bus. `messages.txt` holds what a few runs have to tell, word for word: the
//! answer to read in reviews. `UPDATE_GOLDEN=1 cargo test -p domain --test messages` writes it anew.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]
#![allow(clippy::disallowed_methods, reason = "the messages are a file; the code itself reads none")]

use domain::{
    command::{ActionResult, Details},
    state_change::topic::{self, Asked, Message},
    testing::*,
    trigger::Here,
};
use events::{ActionStarted, FailureCode, PipelineName};
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

const HERE: Here<'static> = Here { region: "eu-west-1", account: "111122223333" };

/// What was told of a run since there were so many changes, each as a topic hears it.
fn heard(world: &World, run: &str, from: usize) -> String {
    let mut text = String::new();
    for change in world.told(run).into_iter().skip(from) {
        let course = world.course(run);
        let definition = world.pipeline().current_definition().map(AsRef::as_ref);
        let message = topic::changed(change, course, world.run(run), definition, HERE);
        let Message { subject: None, body, mail: None, attributes } = &message else {
            panic!("a change has neither subject nor mail: {message:?}");
        };
        assert_eq!(message.text(), body.to_string());
        writeln!(text, "{}", change.detail_type()).unwrap();
        for (member, value) in body.as_object().unwrap() {
            match member.as_str() {
                "account" => assert_eq!(value, HERE.account),
                "region" => assert_eq!(value, HERE.region),
                "source" => assert_eq!(value, "aws.codepipeline"),
                "notificationRuleArn" => assert_eq!(
                    value,
                    "arn:aws:codestar-notifications:eu-west-1:111122223333:notificationrule/towpath"
                ),
                "resources" => assert_eq!(value[0], "arn:aws:codepipeline:eu-west-1:111122223333:p"),
                "towpathMessageVersion" => assert_eq!(value, "1"),
                "detailType" => assert_eq!(value, change.detail_type()),
                _ => writeln!(text, "  {member}: {value}").unwrap(),
            }
        }
        writeln!(text, "  selected by {:?}", topic::event_type_ids(change)).unwrap();
        writeln!(text, "  attributes {attributes:?}").unwrap();
    }
    text
}

fn details(summary: &str) -> Details {
    Details {
        summary: Some(summary.to_owned()),
        external_execution_id: Some("shop:1".to_owned()),
        external_execution_url: Some("https://example.com/1".to_owned()),
        percent_complete: None,
    }
}

fn pipeline_of_all_kinds() -> PipelineBuilder {
    pipeline("p")
        .stage("Source", [source("Src")])
        .stage("Build", [action("A"), action("B")])
        .stage(
            "Gate",
            [approval("Ask").set("CustomData", "Ready?").set("ExternalEntityLink", "https://example.com/r")],
        )
        .stage("Out", [deploy("Push")])
}

/// Runs of one world, and what topics hear of them, step by step.
struct Telling {
    world: World,
    text: String,
    heard: BTreeMap<&'static str, usize>,
}

impl Telling {
    /// Something happens, a few seconds after what happened before; what a run has to tell of it is heard at once.
    fn step(&mut self, run: &'static str, what: impl FnOnce(&mut World)) {
        self.world.now.0 += 7_042;
        what(&mut self.world);
        let from = self.heard.entry(run).or_default();
        self.text.push_str(&heard(&self.world, run, *from));
        *from = self.world.told(run).len();
    }

    fn title(&mut self, words: &str) {
        writeln!(self.text, "\n# {words}").unwrap();
    }
}

#[test]
fn what_topics_hear_of_runs_is_written_down() {
    let world = given(pipeline_of_all_kinds());
    let mut telling = Telling { world, text: String::new(), heard: BTreeMap::new() };
    telling.title("A build fails");
    telling.step("e1", |world| world.start("e1"));
    telling.step("e1", |world| world.succeed("e1", "Src"));
    telling.step("e1", |world| {
        let failed = world.attempt_of("e1", "A");
        let failure = ActionResult::Failed {
            code: FailureCode::JobFailed,
            message: "exit status 1".to_owned(),
            details: details("3 of 12 tests failed"),
        };
        world.when_reported("e1", failed, failure).accepted();
    });
    telling.step("e1", |world| world.succeed("e1", "B"));

    telling.title("It is retried, and waits for an approval");
    telling.step("e1", |world| world.when_retried("e1", "Build").accepted());
    telling.step("e1", |world| {
        let again = world.attempt_of("e1", "A");
        let success = ActionResult::Succeeded {
            output_variables: BTreeMap::from([("Tag".to_owned(), "7".to_owned())]),
            revision: None,
            mocked: false,
            details: details("12 tests"),
        };
        world.when_reported("e1", again, success).accepted();
    });

    telling.title("Which is refused");
    telling.step("e1", |world| world.when_answered("e1", "Ask", false).accepted());

    telling.title("Another is stopped");
    telling.step("e2", |world| world.start("e2"));
    telling.step("e2", |world| world.when_stopped("e2").accepted());
    telling.step("e2", |world| world.succeed("e2", "Src"));

    let text = telling.text.trim_start();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages/messages.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, text).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap();
    let first = written.lines().zip(text.lines()).find(|(written, told)| written != told);
    assert!(written == text, "messages.txt says otherwise, or less, or more; first at {first:?}");
}

fn started() -> ActionStarted {
    let golden = include_str!("../../../events/golden/execution/ActionStarted.1.json");
    let mut started: Value = serde_json::from_str(golden).unwrap();
    started["action_type"]["category"] = "Approval".into();
    started["resolved"] = serde_json::json!({ "CustomData": "Release 4f2c1d9e?" });
    serde_json::from_value(started).unwrap()
}

#[test]
fn an_approval_asks_in_json_and_by_mail() {
    let pipeline = PipelineName::parse("shop").unwrap();
    let configuration = BTreeMap::from([
        ("CustomData".to_owned(), "Release #{Src.CommitId}?".to_owned()),
        ("ExternalEntityLink".to_owned(), "https://example.com/r".to_owned()),
        ("NotificationArn".to_owned(), "arn:aws:sns:eu-west-1:111122223333:asked".to_owned()),
    ]);
    let started = started();
    let console = Some("https://deploy.example.com");
    let asked = Asked { pipeline: &pipeline, started: &started, configuration: &configuration, console };
    assert_eq!(asked.topic(), Some("arn:aws:sns:eu-west-1:111122223333:asked"));
    let message = topic::approval(asked, "eu-west-1");
    let review =
        "https://deploy.example.com/#/view/shop/Build/Compile/approve/7e6d5c4b-3a29-8817-b605-f4e3d2c1b0a9";
    let subject = "APPROVAL NEEDED: AWS CodePipeline shop for action Compile";
    assert_eq!(message.subject.as_deref(), Some(subject));
    let body = serde_json::json!({
        "region": "eu-west-1",
        "consoleLink": "https://deploy.example.com/#/view/shop",
        "approval": {
            "pipelineName": "shop", "stageName": "Build", "actionName": "Compile",
            "token": "7e6d5c4b-3a29-8817-b605-f4e3d2c1b0a9", "expires": "2026-01-01T00:00Z",
            "externalEntityLink": "https://example.com/r", "approvalReviewLink": review,
            "customData": "Release 4f2c1d9e?",
        },
    });
    assert_eq!(message.body, body);
    let mail = format!(
        "Pipeline shop waits for an approval in stage Build, action Compile.\n\
         It must be answered before 2026-01-01T00:00Z.\nComments: Release 4f2c1d9e?\n\
         To be reviewed: https://example.com/r\nApprove or reject: {review}"
    );
    assert_eq!(message.mail.as_deref(), Some(mail.as_str()));
    let published: Value = serde_json::from_str(&message.text()).unwrap();
    assert_eq!(published["email"], mail);
    assert_eq!(published["default"], body.to_string());
    let attributes: Vec<_> = message.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        attributes,
        ["eventTypeId=codepipeline-pipeline-manual-approval-needed", "pipeline=shop", "state=STARTED"]
    );
}

#[test]
fn who_is_no_approval_asks_no_topic_and_without_a_console_there_is_no_link() {
    let pipeline = PipelineName::parse("shop").unwrap();
    let configuration = BTreeMap::from([("NotificationArn".to_owned(), "arn:aws:sns:1".to_owned())]);
    let mut started = started();
    started.resolved.clear();
    let asked =
        Asked { pipeline: &pipeline, started: &started, configuration: &configuration, console: None };
    let message = topic::approval(asked, "eu-west-1");
    assert!(
        message.body["consoleLink"].is_null() && message.body["approval"]["approvalReviewLink"].is_null()
    );
    assert_eq!(message.mail.unwrap().lines().count(), 2);
    started.action_type.category = events::ActionCategory::Build;
    let build =
        Asked { pipeline: &pipeline, started: &started, configuration: &configuration, console: None };
    assert_eq!(build.topic(), None);
}

#[test]
fn a_rule_selects_a_change_by_its_level_and_state_and_an_approval_by_what_it_asks_or_got() {
    let [asked, first] = [approval("Ask"), source("Src")];
    let definition = || pipeline("p").stage("Source", [first.clone()]).stage("Gate", [asked.clone()]);
    let ids = |world: &World| {
        let told = world.told("e1").into_iter();
        told.map(|change| topic::event_type_ids(change).join(" ")).collect::<Vec<_>>()
    };
    let mut world = given(definition());
    world.start("e1");
    world.succeed("e1", "Src");
    let mut refused = world.clone();
    let mut stopped = world.clone();
    let mut deleted = world.clone();
    world.when_answered("e1", "Ask", true).accepted();
    refused.when_answered("e1", "Ask", false).accepted();
    refused.when_retried("e1", "Gate").accepted();
    stopped.when_abandoned("e1").accepted();
    deleted.when_deleted().accepted();
    let short =
        |all: &[String]| all.iter().map(|ids| ids.replace("codepipeline-pipeline-", "")).collect::<Vec<_>>();
    assert_eq!(
        short(&ids(&world)),
        [
            "pipeline-execution-started",
            "stage-execution-started",
            "action-execution-started",
            "action-execution-succeeded",
            "stage-execution-succeeded",
            "stage-execution-started",
            "manual-approval-needed action-execution-started",
            "manual-approval-succeeded action-execution-succeeded",
            "stage-execution-succeeded",
            "pipeline-execution-succeeded",
        ]
    );
    assert_eq!(
        short(&ids(&refused)[7..]),
        [
            "manual-approval-failed action-execution-failed",
            "stage-execution-failed",
            "pipeline-execution-failed",
            "pipeline-execution-resumed",
            "stage-execution-resumed",
            "manual-approval-needed action-execution-started",
        ]
    );
    assert_eq!(ids(&stopped)[7..], ["", "", "", "", ""], "CodePipeline has no ids for stops");
    let canceled = ["action-execution-canceled", "stage-execution-canceled", "pipeline-execution-canceled"];
    assert_eq!(short(&ids(&deleted)[7..]), canceled);
}

#[test]
fn a_change_that_failed_in_many_ways_names_fifty_and_cuts_what_they_say() {
    let build = (0..51).map(|number| action(&format!("A{number}")));
    let mut world = given(pipeline("p").stage("Source", [source("Src")]).stage("Build", build));
    world.start("e1");
    world.succeed("e1", "Src");
    for number in 0..51 {
        let attempt = world.attempt_of("e1", &format!("A{number}"));
        let (code, details) = (FailureCode::JobFailed, Details::default());
        let failed = ActionResult::Failed { code, message: "ü".repeat(5_000), details };
        world.when_reported("e1", attempt, failed).accepted();
    }
    let mut run = world.run("e1").clone();
    let tell = |run: &domain::execution::Execution| {
        let told = world.told("e1").pop().unwrap();
        topic::changed(told, world.course("e1"), run, None, HERE).body["additionalAttributes"].clone()
    };
    let told = tell(&run);
    assert_eq!((&told["failedActionCount"], &told["failedStage"]), (&Value::from(51), &Value::from("Build")));
    let named = told["failedActions"].as_array().unwrap();
    assert_eq!((named.len(), &named[49]["action"]), (50, &Value::from("A49")));
    let error = &mut run.stages[1].attempts[0].error;
    *error = Some((FailureCode::JobFailed, "ü".repeat(5_001)));
    assert_eq!(tell(&run)["failedActions"][0]["additionalInformation"], "ü".repeat(5_000));
    run.stages[1].attempts[0].error = None;
    run.stages[1].attempts[0].summary = Some("3 of 12".into());
    assert_eq!(tell(&run)["failedActions"][0]["additionalInformation"], "3 of 12");
}

#[test]
fn a_subject_is_cut_to_what_the_service_takes() {
    let pipeline = PipelineName::parse("p".repeat(100)).unwrap();
    let (started, configuration) = (started(), BTreeMap::new());
    let asked =
        Asked { pipeline: &pipeline, started: &started, configuration: &configuration, console: None };
    let subject = topic::approval(asked, "eu-west-1").subject.unwrap();
    assert_eq!(subject, format!("APPROVAL NEEDED: AWS CodePipeline {}", "p".repeat(66)));
}
