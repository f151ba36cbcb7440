//! Publishing: in order, at least once, and whatever refuses does not stand in the way.

use super::home::House;
use engine::{
    log::{Commit, Log},
    memory::outward::MemoryMarks,
    ports::{BusEvent, Marks, OutwardError},
};
use events::{ExecutionId, StreamName, Version};
use handlers::publish::{
    Courses, Outlets, PublishError, Published, SOURCE_AT_HOME, Telling, TopicRule, publish, publish_fresh,
};
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc};

async fn tell(house: &House, execution: &ExecutionId) -> Published {
    publish(&house.home, &house.outlets, execution, Version(1)).await.expect("everybody answers")
}

fn states(house: &House) -> Vec<String> {
    let line = |event: engine::ports::BusEvent| {
        let level = event.detail_type.split(' ').nth(1).unwrap_or_default().to_owned();
        let detail: Value = serde_json::from_str(&event.detail).unwrap();
        format!("{level} {}", detail["state"].as_str().unwrap_or_default())
    };
    house.outlets.bus.all().into_iter().map(line).collect()
}

#[tokio::test]
async fn what_happened_is_put_on_the_bus_once_and_in_order_however_often_it_is_asked() {
    let house = House::new().await;
    let execution = house.start().await;
    assert_eq!(tell(&house, &execution).await.events, 3);
    assert_eq!(tell(&house, &execution).await, Published::default());
    house.to_the_end(&execution).await;
    tell(&house, &execution).await;
    let states = states(&house);
    assert_eq!(states[..3], ["Pipeline STARTED", "Stage STARTED", "Action STARTED"]);
    assert_eq!(states.last().unwrap(), "Pipeline SUCCEEDED");
    let events = house.outlets.bus.all();
    assert_eq!(events.iter().map(|event| &event.id).collect::<BTreeSet<_>>().len(), events.len());
    assert!(events.iter().all(|event| event.source == SOURCE_AT_HOME));
    assert!(
        events.iter().all(|event| event.resources == ["arn:aws:codepipeline:eu-west-1:111122223333:shop"])
    );
}

#[tokio::test]
async fn what_a_bus_did_not_take_is_put_again_with_the_same_ids() {
    let house = House::new().await;
    let execution = house.start().await;
    house.outlets.bus.fail([OutwardError::Unavailable("throttled".into())]);
    publish(&house.home, &house.outlets, &execution, Version(1)).await.unwrap_err();
    assert!(house.outlets.bus.all().is_empty());
    tell(&house, &execution).await;
    let first = house.outlets.bus.all();
    // As after a crash between the bus and the mark.
    let other = House::new().await;
    let again = other.start().await;
    assert_eq!(again, execution);
    tell(&other, &again).await;
    assert_eq!(other.outlets.bus.all(), first);
}

#[tokio::test]
async fn what_is_refused_for_good_does_not_keep_the_rest_from_being_told() {
    let house = House::new().await;
    let execution = house.start().await;
    house.outlets.bus.fail([OutwardError::Refused("too large".into())]);
    assert_eq!(tell(&house, &execution).await, Published { events: 0, messages: 0, refused: 3 });
    house.succeed(&execution, "Fetch").await;
    tell(&house, &execution).await;
    assert_eq!(states(&house)[..2], ["Action SUCCEEDED", "Stage SUCCEEDED"]);
}

#[tokio::test]
async fn a_reader_that_comes_late_tells_what_is_new_and_knows_what_was_before() {
    let house = House::new().await;
    let execution = house.start().await;
    let since = house.home.engine.execution_at(&execution).await.unwrap().1.next();
    house.succeed(&execution, "Fetch").await;
    publish(&house.home, &house.outlets, &execution, since).await.unwrap();
    let first = &house.outlets.bus.all()[0];
    let detail: Value = serde_json::from_str(&first.detail).unwrap();
    assert_eq!((&detail["state"], &detail["action"]), (&"SUCCEEDED".into(), &"Fetch".into()));
    assert_eq!(detail["output-artifacts"][0]["name"], "Code");
    assert_eq!(detail["version"], 1);
}

#[tokio::test]
async fn a_mark_of_another_fold_is_made_anew_without_telling_twice() {
    let house = House::new().await;
    let execution = house.start().await;
    tell(&house, &execution).await;
    let key = format!("once#publish#{execution}");
    let mark = house.outlets.marks.get(&key).await.unwrap().unwrap();
    let mut note: Value = serde_json::from_str(&mark.note).unwrap();
    note["fold"] = 0.into();
    let forever = events::Timestamp(i64::MAX);
    assert!(house.outlets.marks.put(&key, mark.version, &note.to_string(), forever).await.unwrap());
    let told = house.outlets.bus.all().len();
    assert_eq!(tell(&house, &execution).await, Published::default());
    house.succeed(&execution, "Fetch").await;
    tell(&house, &execution).await;
    let next: Value = serde_json::from_str(&house.outlets.bus.all()[told].detail).unwrap();
    assert_eq!((&next["state"], &next["action"]), (&"SUCCEEDED".into(), &"Fetch".into()));
}

#[tokio::test]
async fn an_approval_asks_its_topic_once() {
    let console = Some("https://towpath.example.org".to_owned());
    let house = House::with(Telling { source: SOURCE_AT_HOME.into(), console, topic: None }).await;
    let execution = house.start().await;
    house.to_the_gate(&execution).await;
    house.outlets.topics.fail([OutwardError::Unavailable("throttled".into())]);
    publish(&house.home, &house.outlets, &execution, Version(1)).await.unwrap_err();
    tell(&house, &execution).await;
    tell(&house, &execution).await;
    let messages = house.outlets.topics.all();
    let [message] = &messages[..] else { panic!("one message: {messages:?}") };
    assert_eq!(message.topic, "arn:aws:sns:eu-west-1:111122223333:approvals");
    assert_eq!(message.subject.as_deref(), Some("APPROVAL NEEDED: AWS CodePipeline shop for action Approve"));
    assert!(message.by_protocol);
    let by_protocol: Value = serde_json::from_str(&message.message).unwrap();
    let body: Value = serde_json::from_str(by_protocol["default"].as_str().unwrap()).unwrap();
    let approval = &body["approval"];
    let token = approval["token"].as_str().unwrap();
    assert_eq!(body["consoleLink"], "https://towpath.example.org/#/view/shop");
    let review = format!("https://towpath.example.org/#/view/shop/Gate/Approve/approve/{token}");
    assert_eq!(approval["approvalReviewLink"], review.as_str());
    assert_eq!(approval["expires"], "2024-05-08T10:00Z");
    assert_eq!(approval["customData"], "Check the notes");
    assert_eq!(approval["externalEntityLink"], "https://staging.example.org");
    assert!(by_protocol["email"].as_str().unwrap().contains("waits for an approval in stage Gate"));
    assert_eq!(message.attributes["eventTypeId"], "codepipeline-pipeline-manual-approval-needed");
}

#[tokio::test]
async fn the_installations_topic_hears_of_failures_and_of_nothing_else_it_was_not_asked_for() {
    let topic = Some(TopicRule::of("arn:aws:sns:eu-west-1:111122223333:towpath"));
    let house = House::with(Telling { source: "codepipeline.selfhosted".into(), console: None, topic }).await;
    let execution = house.start().await;
    house.to_the_gate(&execution).await;
    house.answer(&execution, true).await;
    house.fail(&execution, "Web", "Deployment d-ABC failed").await;
    tell(&house, &execution).await;
    let messages = house.outlets.topics.all();
    let own: Vec<_> = messages.iter().filter(|message| message.topic.ends_with(":towpath")).collect();
    let ids: Vec<&str> = own.iter().map(|message| message.attributes["eventTypeId"].as_str()).collect();
    assert_eq!(
        ids,
        ["codepipeline-pipeline-manual-approval-needed", "codepipeline-pipeline-pipeline-execution-failed"]
    );
    let needed: Value = serde_json::from_str(&own[0].message).unwrap();
    assert_eq!(needed["additionalAttributes"]["customData"], "Check the notes");
    assert!(!own[0].message.contains("token"), "{}", own[0].message);
    let failed: Value = serde_json::from_str(&own[1].message).unwrap();
    assert_eq!(failed["source"], "aws.codepipeline");
    assert_eq!(failed["detailType"], "CodePipeline Pipeline Execution State Change");
    assert_eq!(failed["detail"]["state"], "FAILED");
    let more = &failed["additionalAttributes"];
    assert_eq!((&more["failedStage"], &more["failedActionCount"]), (&"Deploy".into(), &1.into()));
    assert_eq!(more["failedActions"][0]["additionalInformation"], "Deployment d-ABC failed");
    assert!(failed.get("id").is_none() && failed.get("version").is_none());
}

/// A run to its end, and its commits.
async fn commits(house: &House) -> (ExecutionId, Vec<Commit>) {
    let execution = house.start().await;
    house.to_the_end(&execution).await;
    let commits = house.log.read(&StreamName::execution(&execution), Version(0), 1_000).await.unwrap();
    assert!(commits.len() >= 5, "{}", commits.len());
    (execution, commits)
}

/// What the bus hears of a run.
async fn whole() -> Vec<BusEvent> {
    let house = House::new().await;
    let (execution, _) = commits(&house).await;
    tell(&house, &execution).await;
    house.outlets.bus.all()
}

async fn fresh(
    house: &House,
    courses: &Courses,
    execution: &ExecutionId,
    commits: &[Commit],
) -> Result<Published, PublishError> {
    let commits: Vec<&Commit> = commits.iter().collect();
    publish_fresh(&house.home, &house.outlets, courses, execution, &commits).await
}

async fn is_marked(house: &House, execution: &ExecutionId) -> bool {
    house.outlets.marks.get(&format!("once#publish#{execution}")).await.unwrap().is_some()
}

#[tokio::test]
async fn commits_in_hand_are_told_one_after_another_without_a_mark_by_whoever_has_them() {
    for processes in [1, 2, 3] {
        let house = House::new().await;
        let (execution, commits) = commits(&house).await;
        let courses: Vec<Courses> = (0..processes).map(|_| Courses::default()).collect();
        for (index, commit) in commits.iter().enumerate() {
            let courses = &courses[index % processes];
            fresh(&house, courses, &execution, std::slice::from_ref(commit)).await.unwrap();
            // The same process is not taken in by records that come again.
            let again = fresh(&house, courses, &execution, std::slice::from_ref(commit)).await.unwrap();
            assert_eq!(again, Published::default());
        }
        assert_eq!(house.outlets.bus.all(), whole().await);
        assert!(!is_marked(&house, &execution).await);
    }
}

#[tokio::test]
async fn commits_in_hand_that_were_not_told_are_told_first_by_whoever_comes_next() {
    for failing in [0, 2, 3] {
        let house = House::new().await;
        let (execution, commits) = commits(&house).await;
        let (before, after) = commits.split_at(failing);
        let courses = Courses::default();
        if failing > 0 {
            fresh(&house, &courses, &execution, before).await.unwrap();
        }
        house.outlets.bus.fail([OutwardError::Unavailable("throttled".into())]);
        let failed = fresh(&house, &courses, &execution, &after[..1]).await.unwrap_err();
        assert!(failed.to_string().contains("throttled"), "{failed}");
        assert!(is_marked(&house, &execution).await);
        // Another process, and the record that failed was given up.
        fresh(&house, &Courses::default(), &execution, &after[1..]).await.unwrap();
        assert_eq!(house.outlets.bus.all(), whole().await);
    }
}

#[tokio::test]
async fn whoever_could_not_even_leave_a_mark_still_knows_what_it_owes() {
    let house = House::new().await;
    let (execution, commits) = commits(&house).await;
    let courses = Courses::default();
    fresh(&house, &courses, &execution, &commits[..2]).await.unwrap();
    house.outlets.bus.fail([OutwardError::Unavailable("throttled".into())]);
    // Its mark is lost, and the records are given up.
    let elsewhere = Outlets {
        bus: Arc::clone(&house.outlets.bus),
        topics: Arc::clone(&house.outlets.topics),
        marks: Arc::new(MemoryMarks::default()),
        telling: Arc::clone(&house.outlets.telling),
    };
    publish_fresh(&house.home, &elsewhere, &courses, &execution, &[&commits[2]]).await.unwrap_err();
    fresh(&house, &courses, &execution, &commits[3..]).await.unwrap();
    assert_eq!(house.outlets.bus.all(), whole().await);
}

#[tokio::test]
async fn commits_that_come_again_to_another_process_are_told_again_with_the_same_ids() {
    let house = House::new().await;
    let (execution, commits) = commits(&house).await;
    fresh(&house, &Courses::default(), &execution, &commits).await.unwrap();
    fresh(&house, &Courses::default(), &execution, &commits).await.unwrap();
    let all = house.outlets.bus.all();
    let (first, second) = all.split_at(all.len() / 2);
    assert_eq!(first, second);
}
