//! What people hear in Slack, when, and how often.

use super::{
    home::House,
    slack::{Fault, Slack, TOKEN, WEBHOOK, bot, channel, webhook},
};
use engine::ports::Marks;
use events::{ExecutionId, Timestamp};
use handlers::notify::{Channel, Desk, Notified, NotifyError, notify, notify_of};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

type Table = Desk<Slack, engine::memory::outward::MemoryMarks>;

fn desk(house: &House, channel: Channel) -> Table {
    Desk {
        web: Arc::new(Slack::default()),
        marks: Arc::clone(&house.outlets.marks),
        channels: Arc::new(vec![channel]),
        console: Some("https://towpath.example.org".into()),
        patience: Duration::from_secs(60),
        alone: false,
    }
}

async fn tell(house: &House, desk: &Table, execution: &ExecutionId) -> Notified {
    notify_of(&house.home, desk, execution).await.expect("everybody answers")
}

async fn failed(house: &House) -> ExecutionId {
    let execution = house.start().await;
    house.to_the_gate(&execution).await;
    house.answer(&execution, true).await;
    house.fail(&execution, "Web", "Deployment d-ABC failed\nstarting web\npanic: no route <prod>").await;
    execution
}

#[tokio::test]
async fn by_default_a_channel_hears_of_failures_and_of_recoveries_and_of_nothing_else() {
    let house = House::new().await;
    let desk = desk(&house, webhook(&[]));
    for _ in 0..2 {
        let execution = house.start().await;
        house.to_the_end(&execution).await;
        tell(&house, &desk, &execution).await;
    }
    assert_eq!(desk.web.lines(), Vec::<String>::new());
    let execution = failed(&house).await;
    tell(&house, &desk, &execution).await;
    let next = house.start().await;
    house.to_the_end(&next).await;
    tell(&house, &desk, &next).await;
    let after = house.start().await;
    house.to_the_end(&after).await;
    tell(&house, &desk, &after).await;
    assert_eq!(
        desk.web.lines(),
        ["webhook: ❌ shop failed in Deploy/Web: Deployment d-ABC failed", "webhook: ✅ shop fixed"]
    );
}

#[tokio::test]
async fn a_run_that_succeeds_when_it_is_tried_again_is_fixed_too() {
    let house = House::new().await;
    let desk = desk(&house, webhook(&["failed", "fixed", "resumed"]));
    let execution = failed(&house).await;
    house.retry(&execution, "Deploy").await;
    house.succeed(&execution, "Web").await;
    assert_eq!(tell(&house, &desk, &execution).await.posted, 3);
    let lines = desk.web.lines();
    // Each as it was then, although all is over by now.
    assert!(lines[0].contains("❌ shop failed in Deploy/Web"), "{lines:?}");
    assert!(lines[1].contains("▶️ shop in progress"), "{lines:?}");
    assert!(lines[2].contains("✅ shop fixed"), "{lines:?}");
}

#[tokio::test]
async fn a_run_that_was_stopped_in_between_does_not_hide_the_failure_before_it() {
    let house = House::new().await;
    let desk = desk(&house, webhook(&[]));
    failed(&house).await;
    let stopped = house.start().await;
    let stop = domain::command::Wish::StopExecution { abandon: true, reason: None };
    house.send(Some(&stopped), stop).await;
    let execution = house.start().await;
    house.to_the_end(&execution).await;
    tell(&house, &desk, &execution).await;
    assert_eq!(desk.web.lines(), ["webhook: ✅ shop fixed"]);
}

#[tokio::test]
async fn a_hint_that_comes_twice_says_nothing_twice() {
    let house = House::new().await;
    let desk = desk(&house, bot(&["started"]));
    let execution = house.start().await;
    assert_eq!(tell(&house, &desk, &execution).await.posted, 1);
    assert_eq!(tell(&house, &desk, &execution).await, Notified::default());
    house.succeed(&execution, "Fetch").await;
    tell(&house, &desk, &execution).await;
    assert_eq!(tell(&house, &desk, &execution).await, Notified::default());
}

#[tokio::test]
async fn with_a_token_a_run_has_one_message_which_is_edited_and_a_thread_with_the_details() {
    let house = House::new().await;
    let desk = desk(&house, bot(&["started", "failed", "fixed", "approval"]));
    let execution = house.start().await;
    tell(&house, &desk, &execution).await;
    house.to_the_gate(&execution).await;
    tell(&house, &desk, &execution).await;
    house.answer(&execution, true).await;
    house.fail(&execution, "Web", "Deployment d-ABC failed").await;
    tell(&house, &desk, &execution).await;
    house.retry(&execution, "Deploy").await;
    house.succeed(&execution, "Web").await;
    tell(&house, &desk, &execution).await;
    assert_eq!(
        desk.web.lines(),
        [
            "chat.postMessage: ▶️ shop in progress",
            "chat.postMessage in 1.0: ✅ *Source* succeeded after 1 s",
            "chat.postMessage in 1.0: ✅ *Build* succeeded after 1 s",
            "chat.postMessage in 1.0 aloud: ⏸️ *Gate/Approve* waits for an approval until \
             <!date^1715162404^{date_short_pretty} {time}|2024-05-08T10:00:04Z>",
            "chat.update 1.0: ⏸️ shop approval needed in Gate/Approve",
            "chat.postMessage in 1.0: 👍 *Gate/Approve* was approved by ana: looks good",
            "chat.postMessage in 1.0: ✅ *Gate* succeeded after 1 s",
            "chat.postMessage in 1.0 aloud: ❌ *Deploy/Web* failed (JobFailed) · <https://console.example.org/d-ABC|Details>",
            "chat.update 1.0: ❌ shop failed in Deploy/Web: Deployment d-ABC failed",
            "chat.postMessage in 1.0: 🔁 *Deploy* is tried again",
            "chat.postMessage in 1.0: ✅ *Deploy* succeeded after 3 s",
            "chat.postMessage in 1.0 aloud: ✅ shop fixed",
            "chat.update 1.0: ✅ shop fixed",
        ]
    );
    assert!(desk.web.bearers().iter().all(|bearer| bearer.as_deref() == Some(TOKEN)));
    assert!(desk.web.bodies().iter().all(|body| body["channel"] == "C01"));
}

#[tokio::test]
async fn a_run_nobody_wanted_to_hear_of_gets_its_message_when_it_fails() {
    let house = House::new().await;
    let desk = desk(&house, bot(&[]));
    let execution = house.start().await;
    tell(&house, &desk, &execution).await;
    house.to_the_gate(&execution).await;
    tell(&house, &desk, &execution).await;
    house.answer(&execution, false).await;
    tell(&house, &desk, &execution).await;
    let lines = desk.web.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].starts_with("chat.postMessage: ❌ shop failed in Gate/Approve: Rejected by"),
        "{lines:?}"
    );
    assert!(lines[1].starts_with("chat.postMessage in 1.0: ❌ *Gate/Approve* failed"), "{lines:?}");
}

#[tokio::test]
async fn rules_choose_stages() {
    let house = House::new().await;
    let way = webhook(&[]).way;
    let desk = desk(&house, channel(way, &["Deploy"], &["succeeded", "failed"]));
    let execution = house.start().await;
    house.succeed(&execution, "Fetch").await;
    house.fail(&execution, "Compile", "tests failed").await;
    tell(&house, &desk, &execution).await;
    let next = house.start().await;
    house.to_the_end(&next).await;
    tell(&house, &desk, &next).await;
    assert_eq!(desk.web.lines().len(), 1, "{:?}", desk.web.lines());
}

#[tokio::test]
async fn whoever_asks_for_time_gets_it_and_nothing_is_doubled() {
    let house = House::new().await;
    let desk = desk(&house, bot(&[]));
    let execution = failed(&house).await;
    desk.web.fail([
        Fault::Status(429, "", Some(7)),
        Fault::Status(500, "rollup_error", None),
        Fault::Error("ratelimited"),
        Fault::Silence,
        Fault::Error("internal_error"),
    ]);
    assert_eq!(tell(&house, &desk, &execution).await.posted, 2);
    assert_eq!(desk.web.waited(), [7, 1, 1, 2, 4]);
    assert_eq!(desk.web.lines().len(), 2, "{:?}", desk.web.lines());
}

#[tokio::test]
async fn an_outage_ends_the_call_and_the_next_one_goes_on_in_order() {
    let house = House::new().await;
    let desk = desk(&house, bot(&["started", "failed"]));
    let execution = failed(&house).await;
    desk.web.fail([Fault::Status(429, "", Some(3600))]);
    let error = notify_of(&house.home, &desk, &execution).await.unwrap_err().to_string();
    assert_eq!(error, "channel `team` could not be told: it asks for 3600 seconds");
    assert_eq!(desk.web.waited(), Vec::<u64>::new());
    // It begins, and is out again in the middle of the thread.
    let silent = std::iter::repeat_n(Fault::Silence, 7);
    desk.web.fail([Fault::Status(200, r#"{"ok":true,"ts":"1.0"}"#, None)].into_iter().chain(silent));
    notify_of(&house.home, &desk, &execution).await.unwrap_err();
    tell(&house, &desk, &execution).await;
    let lines = desk.web.lines();
    assert!(lines[0].starts_with("chat.postMessage in 1.0: ✅ *Source*"), "{lines:?}");
    // The message was posted when all was over, and shows it.
    assert!(lines.last().unwrap().starts_with("chat.postMessage in 1.0 aloud: ❌ *Deploy/Web*"), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("*Source*")).count(), 1, "{lines:?}");
}

#[tokio::test]
async fn what_slack_refuses_for_good_is_passed_over() {
    let house = House::new().await;
    let desk = desk(&house, webhook(&["started", "failed"]));
    let execution = failed(&house).await;
    desk.web.fail([Fault::Status(403, "action_prohibited", None)]);
    let told = tell(&house, &desk, &execution).await;
    assert_eq!((told.posted, told.refused), (1, 1));
    assert!(desk.web.lines()[0].contains("failed"), "{:?}", desk.web.lines());
    assert_eq!(tell(&house, &desk, &execution).await, Notified::default());
}

#[tokio::test]
async fn a_message_that_somebody_deleted_is_replaced_by_the_next() {
    let house = House::new().await;
    let desk = desk(&house, bot(&["started", "failed"]));
    let execution = house.start().await;
    tell(&house, &desk, &execution).await;
    house.succeed(&execution, "Fetch").await;
    desk.web.fail([Fault::Error("thread_not_found")]);
    tell(&house, &desk, &execution).await;
    house.fail(&execution, "Compile", "tests failed").await;
    tell(&house, &desk, &execution).await;
    let lines = desk.web.lines();
    assert!(lines[1].starts_with("chat.postMessage: ❌ shop failed"), "{lines:?}");
    assert!(lines[2].starts_with("chat.postMessage in 2.0: ❌ *Build/Compile*"), "{lines:?}");
}

#[tokio::test]
async fn an_answer_that_was_lost_leads_to_a_second_message_rather_than_to_none() {
    let house = House::new().await;
    let desk = desk(&house, webhook(&[]));
    let execution = failed(&house).await;
    desk.web.fail([Fault::Lost]);
    tell(&house, &desk, &execution).await;
    assert_eq!(desk.web.lines().len(), 2);
}

#[tokio::test]
async fn what_is_older_than_a_day_is_told_to_nobody() {
    let house = House::new().await;
    let desk = desk(&house, webhook(&[]));
    let execution = failed(&house).await;
    house.pass(25 * 60 * 60 * 1000);
    assert_eq!(tell(&house, &desk, &execution).await, Notified::default());
    let next = house.start().await;
    house.to_the_end(&next).await;
    assert_eq!(tell(&house, &desk, &next).await.posted, 1);
}

#[tokio::test]
async fn while_one_tells_another_leaves_word_and_what_it_knew_of_is_told() {
    let house = House::new().await;
    let desk = desk(&house, webhook(&["started", "failed"]));
    let execution = house.start().await;
    let key = format!("once#notice#{execution}#team");
    let until = 1_714_557_600_000_i64 + 3_600_000;
    let held = json!({ "version": 0, "held": { "by": "somebody", "until": until } });
    assert!(house.outlets.marks.put(&key, 0, &held.to_string(), Timestamp(0)).await.unwrap());
    let told = tell(&house, &desk, &execution).await;
    assert_eq!((told.left, told.posted), (1, 0));
    let note: Value =
        serde_json::from_str(&house.outlets.marks.get(&key).await.unwrap().unwrap().note).unwrap();
    assert_eq!((&note["word"], &note["held"]["by"]), (&1.into(), &"somebody".into()));
    // Whoever it was is gone: when its time has run out, the next one tells.
    house.pass(2 * 3_600_000);
    assert_eq!(tell(&house, &desk, &execution).await.posted, 1);
}

#[tokio::test]
async fn where_nobody_else_tells_whoever_is_noted_is_gone() {
    let house = House::new().await;
    let desk = Desk { alone: true, ..desk(&house, webhook(&["started"])) };
    let execution = house.start().await;
    let key = format!("once#notice#{execution}#team");
    let held = json!({ "version": 0, "held": { "by": "somebody", "until": i64::MAX } });
    assert!(house.outlets.marks.put(&key, 0, &held.to_string(), Timestamp(0)).await.unwrap());
    assert_eq!(tell(&house, &desk, &execution).await.posted, 1);
}

#[tokio::test]
async fn nothing_of_a_message_is_a_secret_or_calls_people() {
    let house = House::new().await;
    let desk = desk(&house, bot(&["started", "approval", "failed"]));
    let execution = house.start().await;
    house.to_the_gate(&execution).await;
    let token = house.run(&execution).await.stages[2].attempts[0].token.clone().unwrap();
    tell(&house, &desk, &execution).await;
    house.answer(&execution, false).await;
    tell(&house, &desk, &execution).await;
    let all = serde_json::to_string(&desk.web.bodies()).unwrap();
    assert!(!all.contains(&token) && !all.contains("geheim"), "{all}");
    assert!(!all.contains("<!channel>") && all.contains("&lt;!channel&gt;"), "{all}");
    let shown = format!("{:?} {:?}", desk.channels, webhook(&[]));
    assert!(!shown.contains("geheim") && !shown.contains(WEBHOOK), "{shown}");
}

#[tokio::test]
async fn an_event_of_another_kind_is_refused_with_the_reason() {
    let house = House::new().await;
    let desk = desk(&house, webhook(&["started"]));
    let execution = house.start().await;
    let kind = "CodePipeline Pipeline Execution State Change";
    let event = json!({ "detail-type": kind, "detail": { "execution-id": execution } });
    assert_eq!(notify(&house.home, &desk, &event).await.unwrap().posted, 1);
    let wrong = [
        (json!({}), "its `detail-type` is ``"),
        (json!({ "detail-type": "Object Created", "detail": {} }), "its `detail-type` is `Object Created`"),
        (json!({ "detail-type": kind, "detail": {} }), "`detail.execution-id` is missing"),
        (
            json!({ "detail-type": kind, "detail": { "execution-id": "X/../" } }),
            "`detail.execution-id`: `X/../`",
        ),
    ];
    for (event, reason) in wrong {
        let error = notify(&house.home, &desk, &event).await.unwrap_err();
        assert!(matches!(error, NotifyError::NotMeant(_)) && error.to_string().contains(reason), "{error}");
    }
    // An execution that does not exist, or not yet, has nothing to tell.
    let unknown = json!({ "detail-type": kind, "detail": { "execution-id": "0a1b" } });
    assert_eq!(notify(&house.home, &desk, &unknown).await.unwrap(), Notified::default());
}
