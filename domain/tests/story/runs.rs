//! Runs as they are in life, step by step, for whatever is told of them.

use domain::{
    command::{ActionResult, Details, JobWish, RuleResult, Wish},
    testing::*,
};
use events::{
    Compatibility, ConditionType, ExecutionMode, FailureCode, GatePolicy, Newer, Older, SourceRevision,
    StageRetryMode,
};
use std::collections::BTreeMap;

/// A world after a step.
pub(crate) struct Moment<'a> {
    /// What the whole is about.
    pub(crate) title: &'static str,
    /// What happened last.
    pub(crate) step: &'static str,
    /// What came of it.
    pub(crate) world: &'a World,
}

/// Whoever looks on.
pub(crate) type Watch<'w> = dyn FnMut(Moment<'_>) + 'w;

struct Telling<'w, 's> {
    title: &'static str,
    world: World,
    watch: &'s mut Watch<'w>,
}

impl Telling<'_, '_> {
    /// Something happens, a few seconds after what happened before.
    fn step(&mut self, step: &'static str, what: impl FnOnce(&mut World)) {
        self.world.now.0 += 7_042;
        what(&mut self.world);
        (self.watch)(Moment { title: self.title, step, world: &self.world });
    }
}

/// Every run there is, one pipeline after another.
pub(crate) fn all(watch: &mut Watch<'_>) {
    of_workers_people_and_conditions(watch);
    that_fail_and_are_tried_again(watch);
    that_go_back(watch);
    that_stand_in_line(watch);
    that_give_way(watch);
    that_are_stopped(watch);
    that_run_out_of_time(watch);
    that_keep_their_own_definition(watch);
    whose_gate_is_for_the_newest(watch);
    whose_gate_asks_when_they_fail(watch);
}

fn details(summary: &str, id: &str) -> Details {
    Details {
        summary: Some(summary.to_owned()),
        external_execution_id: Some(id.to_owned()),
        external_execution_url: Some(format!("https://ci.example.com/{id}")),
        percent_complete: None,
    }
}

/// The source has a commit with all that is known of one.
fn fetched(world: &mut World, run: &str) {
    let attempt = world.attempt_of(run, "Fetch");
    let revision = SourceRevision {
        action: attempt.action.clone(),
        revision_id: "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d".to_owned(),
        summary: Some(
            r#"{"ProviderType":"GitHub","CommitMessage":"Mend the cart\n\nIt was broken"}"#.to_owned(),
        ),
        url: Some("https://git.example.com/shop/1a2b3c4d".to_owned()),
        change_id: Some("c7".to_owned()),
        created: None,
    };
    let variables = [
        ("Commit", "1a2b3c4d"),
        ("AuthorDisplayName", ""),
        ("AuthorEmail", "ada@example.com"),
        ("TagName", "v7"),
    ];
    let output_variables = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let result = ActionResult::Succeeded {
        output_variables: output_variables.collect(),
        revision: Some(revision),
        mocked: false,
        details: details("v7", "object:7"),
    };
    world.when_reported(run, attempt, result).accepted();
}

fn succeeded(world: &mut World, run: &str, action: &str, details: Details) {
    let attempt = world.attempt_of(run, action);
    let result =
        ActionResult::Succeeded { output_variables: BTreeMap::new(), revision: None, mocked: false, details };
    world.when_reported(run, attempt, result).accepted();
}

fn failed(world: &mut World, run: &str, action: &str, message: &str, details: Details) {
    let attempt = world.attempt_of(run, action);
    let result = ActionResult::Failed { code: FailureCode::JobFailed, message: message.to_owned(), details };
    world.when_reported(run, attempt, result).accepted();
}

/// A worker asks for the job, and takes it on.
fn taken(world: &mut World, run: &str, action: &str, nonce: &str) {
    let job = world.attempt(run, action).job.clone().unwrap().job;
    world.when_job(run, action, JobWish::Dispatch { job, nonce: nonce.to_owned() }).accepted();
}

fn acknowledged(world: &mut World, run: &str, action: &str, nonce: &str) {
    let job = world.attempt(run, action).job.clone().unwrap().job;
    world.when_job(run, action, JobWish::Acknowledge { job, nonce: nonce.to_owned() }).accepted();
}

fn of_workers_people_and_conditions(watch: &mut Watch<'_>) {
    let build = [custom("Make").input("Fetch").output("App"), action("Lint"), function("Call").order(2)];
    let ask = approval("Ask")
        .set("CustomData", "Ship #{Src.Commit}?")
        .set("ExternalEntityLink", "https://example.com/r");
    let definition = pipeline("shop")
        .stage(
            "Source",
            [source("Fetch").set("S3Bucket", "releases").set("S3ObjectKey", "shop.zip").namespace("Src")],
        )
        .stage("Build", build)
        .stage("Gate", [ask])
        .stage("Live", [deploy("Push").input("App")])
        .before_entry(
            "FAIL",
            [rule("Open"), rule("Calm").provider("CloudWatchAlarm").set("AlarmName", "#{Src.TagName}")],
        )
        .on_success("FAIL", [rule("Healthy").provider("CloudWatchAlarm")]);
    let mut all = Telling { title: "Workers, people and conditions", world: given(definition), watch };
    all.step("it is started", |world| world.start("e1"));
    all.step("the source was fetched", |world| fetched(world, "e1"));
    all.step("a job is offered", |world| {
        world.when_job("e1", "Make", JobWish::Queue { query: Some("linux".to_owned()) }).accepted();
    });
    all.step("`Lint` has begun", |world| {
        let attempt = world.attempt_of("e1", "Lint");
        let details = details("under way", "lint:1");
        world.send(Some("e1"), Wish::NoteActionProgress { attempt, details }).accepted();
    });
    all.step("the job is handed out", |world| taken(world, "e1", "Make", "n1"));
    all.step("the job is taken on", |world| acknowledged(world, "e1", "Make", "n1"));
    all.step("`Lint` succeeds", |world| world.succeed("e1", "Lint"));
    all.step("the job goes on in another", |world| {
        let job = world.attempt("e1", "Make").job.clone().unwrap().job;
        let details = Details { percent_complete: Some(40), ..details("half of it", "make:17") };
        let wish = JobWish::Continue { job, continuation_token: "second half".to_owned(), details };
        world.when_job("e1", "Make", wish).accepted();
    });
    all.step("that one is handed out", |world| taken(world, "e1", "Make", "n2"));
    all.step("that one is taken on", |world| acknowledged(world, "e1", "Make", "n2"));
    all.step("that one succeeds", |world| {
        let job = world.attempt("e1", "Make").job.clone().unwrap().job;
        let result = ActionResult::Succeeded {
            output_variables: BTreeMap::from([("Tag".to_owned(), "7".to_owned())]),
            revision: None,
            mocked: true,
            details: Details { percent_complete: Some(100), ..Details::default() },
        };
        world.when_job("e1", "Make", JobWish::End { job, result }).accepted();
    });
    is_asked_on_its_way_in_and_out(&mut all);
}

/// The build's last action is left, then an approval and a deployment between two conditions.
fn is_asked_on_its_way_in_and_out(all: &mut Telling<'_, '_>) {
    all.step("the function answers", |world| succeeded(world, "e1", "Call", details("200", "call:1")));
    all.step("an hour and a half passes", |world| world.pass_minutes(90).accepted());
    all.step("it is approved", |world| world.when_answered("e1", "Ask", true).accepted());
    all.step("a rule has begun", |world| {
        let attempt = world.rule_attempt_of("e1", "Open");
        let details = details("looking", "open:1");
        world.send(Some("e1"), Wish::NoteRuleProgress { attempt, details }).accepted();
    });
    all.step("one rule is met", |world| {
        let attempt = world.rule_attempt_of("e1", "Open");
        let details = Details { summary: Some("open".to_owned()), ..Details::default() };
        world.when_rule_reported("e1", attempt, RuleResult::Succeeded { mocked: true, details }).accepted();
    });
    all.step("the other is not", |world| {
        let attempt = world.rule_attempt_of("e1", "Calm");
        let (code, message) = (FailureCode::JobFailed, "the alarm rings\nsince noon".to_owned());
        let details = details("1 alarm", "calm:1");
        world.when_rule_reported("e1", attempt, RuleResult::Failed { code, message, details }).accepted();
    });
    all.step("the condition is overridden", |world| {
        world.when_overridden("e1", "Live", ConditionType::BeforeEntry).accepted();
    });
    all.step("the deployment succeeds", |world| succeeded(world, "e1", "Push", Details::default()));
    all.step("its health cannot be asked for", |world| {
        world.when_rule_cannot_run("e1", "Healthy").accepted()
    });
    all.step("it is asked for again", |world| world.when_retried("e1", "Live").accepted());
    all.step("it is healthy", |world| world.when_rule_succeeds("e1", "Healthy").accepted());
}

fn that_fail_and_are_tried_again(watch: &mut Watch<'_>) {
    let definition = pipeline("shop")
        .stage("Source", [source("Fetch")])
        .stage("Build", [action("A"), action("B"), action("C").order(2)])
        .stage("Live", [deploy("Push")])
        .on_failure("RETRY", Some("ALL_ACTIONS"));
    let mut all = Telling { title: "Failures, and more attempts", world: given(definition), watch };
    all.step("it is started", |world| world.start("e1"));
    all.step("the source is fetched", |world| world.succeed("e1", "Fetch"));
    all.step("`A` fails", |world| {
        let message = "3 of 12 tests failed\n\n  cart::empty \n  cart::full\u{7}\n";
        failed(world, "e1", "A", message, details("12 tests", "a:1"));
    });
    all.step("`B` fails too", |world| failed(world, "e1", "B", "exit status 2", Details::default()));
    all.step("both are tried again", |world| world.when_retried("e1", "Build").accepted());
    all.step("`A` succeeds", |world| world.succeed("e1", "A"));
    all.step("`B` fails again", |world| world.fail("e1", "B"));
    all.step("the whole stage is tried again", |world| world.when_retried_all("e1", "Build").accepted());
    all.step("`A` fails", |world| world.fail("e1", "A"));
    all.step("`B` succeeds", |world| world.succeed("e1", "B"));
    all.step("what failed is tried again", |world| world.when_retried("e1", "Build").accepted());
    all.step("`A` succeeds", |world| world.succeed("e1", "A"));
    all.step("`C` succeeds", |world| world.succeed("e1", "C"));
    all.step("the deployment fails, and begins anew by itself", |world| world.fail("e1", "Push"));
    all.step("it fails again", |world| world.fail("e1", "Push"));
    all.step("it is tried again", |world| world.when_retried("e1", "Live").accepted());
    all.step("it succeeds", |world| world.succeed("e1", "Push"));
    all.step("another is started", |world| world.start("e2"));
    all.step("its source fails", |world| {
        let attempt = world.attempt_of("e2", "Fetch");
        let code = FailureCode::PermissionError;
        let result = ActionResult::Failed { code, message: "denied".to_owned(), details: Details::default() };
        world.when_reported("e2", attempt, result).accepted();
    });
}

fn that_go_back(watch: &mut Watch<'_>) {
    let definition = pipeline("shop")
        .stage("Source", [source("Fetch").namespace("Src")])
        .stage("Live", [deploy("Push").input("Fetch").set("ObjectKey", "#{Src.Commit}")])
        .on_failure("ROLLBACK", None)
        .stage("After", [action("Tell")]);
    let mut all = Telling { title: "A stage goes back", world: given(definition), watch };
    all.step("one is started", |world| world.start("e1"));
    all.step("it is fetched", |world| fetched(world, "e1"));
    all.step("it is live", |world| world.succeed("e1", "Push"));
    all.step("all is told", |world| world.succeed("e1", "Tell"));
    all.step("another is started", |world| world.start("e2"));
    all.step("it is fetched", |world| fetched(world, "e2"));
    all.step("it fails, and nobody has heard yet", |world| {
        world.messages_wait = true;
        world.fail("e2", "Push");
    });
    all.step("the first is to be live again", |world| {
        world.messages_wait = false;
        world.deliver();
    });
    all.step("it is", |world| {
        let back = world.rollback_of("e2").unwrap();
        world.succeed(&back, "Push");
    });
    all.step("a third is started", |world| world.start("e3"));
    all.step("it is fetched", |world| fetched(world, "e3"));
    all.step("it is live", |world| world.succeed("e3", "Push"));
    all.step("somebody goes back to the first", |world| {
        world.when_rolled_back("e4", "Live", "e1").accepted()
    });
    all.step("that fails", |world| world.fail("e4", "Push"));
}

fn that_stand_in_line(watch: &mut Watch<'_>) {
    let definition = pipeline("shop")
        .mode(ExecutionMode::Queued)
        .stage("Source", [source("Fetch")])
        .stage("Build", [action("A")])
        .stage("Gate", [approval("Ask")]);
    let mut all = Telling { title: "A queue and a closed door", world: given(definition), watch };
    all.step("the door of `Build` is closed", |world| world.when_disabled("Build").accepted());
    all.step("one is started", |world| world.start("e1"));
    all.step("another waits for the source", |world| world.start("e2"));
    all.step("the first stands at the door", |world| world.succeed("e1", "Fetch"));
    all.step("the second too", |world| world.succeed("e2", "Fetch"));
    all.step("the door is opened", |world| world.when_enabled("Build").accepted());
    all.step("the first comes to the gate", |world| world.succeed("e1", "A"));
    all.step("the second stands in front of it", |world| world.succeed("e2", "A"));
    all.step("a third is started", |world| world.start("e3"));
    all.step("it is fetched", |world| world.succeed("e3", "Fetch"));
    all.step("it stands behind the second", |world| world.succeed("e3", "A"));
    all.step("the door of `Gate` is closed for days", |world| {
        world.when_disabled("Gate").accepted();
        world.now = world.now.plus_minutes(3 * 24 * 60);
    });
    all.step("the first is refused", |world| world.when_answered("e1", "Ask", false).accepted());
    all.step("two more are started", |world| ["e4", "e5"].iter().for_each(|run| world.start(run)));
    all.step("the last of them is stopped", |world| world.when_stopped("e5").accepted());
    all.step("the door of `Gate` is opened", |world| world.when_enabled("Gate").accepted());
}

fn that_give_way(watch: &mut Watch<'_>) {
    let definition = || {
        let bare = pipeline("shop")
            .stage("Source", [source("Fetch")])
            .stage("Build", [action("A"), action("B").order(2)]);
        bare.stage("Live", [deploy("Push")])
    };
    let mut all = Telling { title: "Newer ones, an update and the end", world: given(definition()), watch };
    all.step("one is at work", |world| {
        world.start("e1");
        world.succeed("e1", "Fetch");
    });
    all.step("another waits behind it", |world| {
        world.start("e2");
        world.succeed("e2", "Fetch");
    });
    all.step("a third takes its place", |world| {
        world.start("e3");
        world.succeed("e3", "Fetch");
    });
    all.step("the pipeline is updated", |world| {
        world.when_updated(definition().stage("Last", [action("Z")])).accepted();
    });
    all.step("what the first was at succeeds", |world| world.succeed("e1", "A"));
    all.step("a fourth is started", |world| world.start("e4"));
    all.step("it is at work", |world| world.succeed("e4", "Fetch"));
    all.step("the pipeline is deleted", |world| world.when_deleted().accepted());
}

fn that_are_stopped(watch: &mut Watch<'_>) {
    let definition = pipeline("shop")
        .mode(ExecutionMode::Parallel)
        .stage("Source", [source("Fetch")])
        .stage("Build", [action("A"), action("B")])
        .before_entry("SKIP", [rule("Open"), rule("Calm")])
        .stage("Live", [deploy("Push")]);
    let mut all = Telling { title: "Stops", world: given(definition), watch };
    all.step("one is started", |world| world.start("e1"));
    all.step("it is stopped, and waits", |world| world.when_stopped("e1").accepted());
    all.step("its source was fetched", |world| world.succeed("e1", "Fetch"));
    all.step("another is asked on its way in", |world| {
        world.start("e2");
        world.succeed("e2", "Fetch");
    });
    all.step("it is stopped, and waits for the answers", |world| world.when_stopped("e2").accepted());
    all.step("one answer comes", |world| world.when_rule_succeeds("e2", "Open").accepted());
    all.step("what is left is given up", |world| world.when_abandoned("e2").accepted());
    all.step("a third is asked too", |world| {
        world.start("e3");
        world.succeed("e3", "Fetch");
    });
    all.step("it is not to enter", |world| {
        world.when_rule_fails("e3", "Open").accepted();
        world.when_rule_succeeds("e3", "Calm").accepted();
    });
    all.step("it goes past", |world| world.succeed("e3", "Push"));
    all.step("a fourth is at work", |world| {
        world.start("e4");
        world.succeed("e4", "Fetch");
        world.when_rule_succeeds("e4", "Open").accepted();
        world.when_rule_succeeds("e4", "Calm").accepted();
    });
    all.step("it is given up", |world| {
        let wish = Wish::StopExecution { abandon: true, reason: Some("\n wrong branch\nsorry".to_owned()) };
        world.actor = "arn:aws:sts::000000000000:assumed-role/admin/bob".to_owned();
        world.send(Some("e4"), wish).accepted();
    });
    all.step("its stage is tried again", |world| world.when_retried("e4", "Build").accepted());
    all.step("one of it fails", |world| world.fail("e4", "A"));
    all.step("the other is given up", |world| world.when_abandoned("e4").accepted());
}

fn that_run_out_of_time(watch: &mut Watch<'_>) {
    let definition = pipeline("shop")
        .mode(ExecutionMode::Parallel)
        .stage("Source", [source("Fetch")])
        .stage("Build", [custom("Make").timeout(30)])
        .before_entry("", [rule("Open").timeout(10)])
        .stage("Gate", [approval("Ask").timeout(600)]);
    let mut all = Telling { title: "No answer in time", world: given(definition), watch };
    let late = |world: &mut World, run: &str| {
        let attempt = world.attempt_of(run, "Make");
        let success = ActionResult::Succeeded {
            output_variables: BTreeMap::new(),
            revision: None,
            mocked: false,
            details: Details::default(),
        };
        world.when_reported(run, attempt, success).accepted();
    };
    all.step("one is asked on its way in", |world| {
        world.start("e1");
        world.succeed("e1", "Fetch");
    });
    all.step("nobody answers", |world| world.pass_minutes(10).accepted());
    all.step("it is asked again, and let in", |world| {
        world.when_retried("e1", "Build").accepted();
        world.when_rule_succeeds("e1", "Open").accepted();
    });
    all.step("a job is offered and taken on", |world| {
        world.when_job("e1", "Make", JobWish::Queue { query: None }).accepted();
        taken(world, "e1", "Make", "n1");
        acknowledged(world, "e1", "Make", "n1");
    });
    all.step("it takes too long", |world| world.pass_minutes(30).accepted());
    all.step("it is tried again and abandoned", |world| {
        world.when_retried_all("e1", "Build").accepted();
        world.when_rule_succeeds("e1", "Open").accepted();
        world.when_abandoned("e1").accepted();
    });
    all.step("its result comes too late", |world| late(world, "e1"));
    all.step("it is done at last", |world| {
        world.when_retried("e1", "Build").accepted();
        world.succeed("e1", "Make");
    });
    all.step("nobody answers the approval", |world| world.pass_minutes(600).accepted());
}

/// In line with order: what deploys lets no older run pass a newer one.
fn that_keep_their_own_definition(watch: &mut Watch<'_>) {
    let definition = || {
        let bare = pipeline("shop").mode(ExecutionMode::Parallel).stage("Source", [source("Fetch")]);
        bare.stage("Live", [deploy("Push")])
    };
    let mut world = given(definition());
    world.policy.compatibility = Compatibility::Extended;
    let gate = GatePolicy { newer: Newer::Hold, older: Some(Older::Refuse) };
    world.policy.gates.insert(stage_name("Live"), gate);
    let mut all = Telling { title: "Order, extended", world, watch };
    all.step("two are started", |world| ["e1", "e2"].iter().for_each(|run| world.start(run)));
    all.step("the newer is faster", |world| world.succeed("e2", "Fetch"));
    all.step("the older comes too late", |world| world.succeed("e1", "Fetch"));
    all.step("the pipeline is updated", |world| {
        world.when_updated(definition().stage("Last", [action("Z")])).accepted();
    });
    all.step("the second is live", |world| world.succeed("e2", "Push"));
    all.step("a third fails", |world| {
        world.start("e3");
        world.succeed("e3", "Fetch");
        world.fail("e3", "Push");
    });
}

fn whose_gate_is_for_the_newest(watch: &mut Watch<'_>) {
    let definition = pipeline("shop").mode(ExecutionMode::Queued).stage("Source", [source("Fetch")]);
    let gates = [("Test", Newer::Supersede), ("Gate", Newer::Newest)];
    let definition = definition.stage("Test", [approval("Try")]).stage("Gate", [approval("Ask")]);
    let mut world = given(definition);
    for (stage, newer) in gates {
        world.policy.gates.insert(stage_name(stage), GatePolicy { newer, older: Some(Older::Allow) });
    }
    let mut all = Telling { title: "Gates for the newest", world, watch };
    all.step("one is asked for", |world| {
        world.start("e1");
        world.succeed("e1", "Fetch");
    });
    all.step("a newer one takes its place", |world| {
        world.start("e2");
        world.succeed("e2", "Fetch");
    });
    all.step("it comes to the next gate", |world| world.when_answered("e2", "Try", true).accepted());
    all.step("a third comes behind it", |world| {
        world.start("e3");
        world.succeed("e3", "Fetch");
        world.when_answered("e3", "Try", true).accepted();
    });
    all.step("a fourth too", |world| {
        world.start("e4");
        world.succeed("e4", "Fetch");
        world.when_answered("e4", "Try", true).accepted();
    });
    all.step("the first of them is refused", |world| world.when_answered("e2", "Ask", false).accepted());
}

fn whose_gate_asks_when_they_fail(watch: &mut Watch<'_>) {
    let definition = pipeline("shop")
        .stage("Source", [source("Fetch")])
        .stage("Live", [deploy("Push"), deploy("Probe")])
        .on_success("ROLLBACK", [rule("Healthy")])
        .on_failure_when("ROLLBACK", [rule("Worse"), rule("Sure")]);
    let mut all = Telling { title: "Failure conditions", world: given(definition), watch };
    let live = |world: &mut World, run: &str| {
        world.start(run);
        world.succeed(run, "Fetch");
        world.succeed(run, "Push");
    };
    all.step("one is live", |world| {
        live(world, "e1");
        world.succeed("e1", "Probe");
        world.when_rule_succeeds("e1", "Healthy").accepted();
    });
    all.step("another fails, and it is asked whether to go back", |world| {
        live(world, "e2");
        world.fail("e2", "Probe");
    });
    all.step("one rule says no", |world| world.when_rule_fails("e2", "Worse").accepted());
    all.step("the other does not matter any more", |world| world.when_rule_succeeds("e2", "Sure").accepted());
    all.step("it is tried again with all", |world| {
        let wish = Wish::RetryStage { stage: stage_name("Live"), mode: StageRetryMode::AllActions };
        world.send(Some("e2"), wish).accepted();
    });
    all.step("it fails again", |world| {
        world.succeed("e2", "Push");
        world.fail("e2", "Probe");
    });
    all.step("it is to go back", |world| {
        world.when_rule_succeeds("e2", "Worse").accepted();
        world.when_rule_succeeds("e2", "Sure").accepted();
    });
    all.step("it went back", |world| {
        let back = world.rollback_of("e2").unwrap();
        world.succeed(&back, "Push");
        world.succeed(&back, "Probe");
    });
    all.step("a third is not healthy", |world| {
        live(world, "e3");
        world.succeed("e3", "Probe");
        world.when_rule_fails("e3", "Healthy").accepted();
    });
}
