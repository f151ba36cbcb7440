//! What only the log and the views in DynamoDB have to prove: answers that get lost, a service that is busy, items that
//! are too large, and what it all costs.

use crate::fixtures::*;
use aws::{
    claims::{Claimed, Claims},
    client::{Client, Count, Limits, Service},
    external::External,
    log::{DynamoLog, Tables},
    views::DynamoViews,
};
use engine::{
    action::Work,
    log::{Appended, Batch, Log, LogError, Once},
    views::{ViewRow, Views},
};
use events::{ActionExecutionId, ExecutionId, PipelineName, StreamName, Timestamp, Version};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tests::{
    emulator,
    faulty::{Call, Fault, Faulty},
};

/// Tables of their own on an emulator, with something before it that can go wrong.
pub(crate) struct Home {
    client: Client,
    tables: Tables,
    faulty: Faulty,
}

/// `None`, with a word about why, where no emulator is installed.
pub(crate) async fn home() -> Option<Home> {
    let emulator = emulator::ministack()?;
    let tables = emulator::tables(&emulator.client()).await;
    let faulty = Faulty::before(&emulator.url);
    Some(Home { client: emulator.client(), tables, faulty })
}

impl Home {
    pub(crate) fn log(&self) -> DynamoLog {
        DynamoLog::new(&self.client, self.tables.clone())
    }

    pub(crate) fn views(&self) -> DynamoViews {
        DynamoViews::new(&self.client, &self.tables.views)
    }

    /// A client that things happen to.
    fn unlucky(&self) -> Client {
        emulator::client(&self.faulty.url())
    }

    fn unlucky_log(&self) -> DynamoLog {
        DynamoLog::new(&self.unlucky(), self.tables.clone())
    }

    /// The first calls of an operation meet these faults, one each.
    fn meet(&self, operation: &'static str, mut faults: Vec<Fault>) {
        faults.reverse();
        self.faulty.set(move |call| match call.operation == operation {
            true => faults.pop().unwrap_or(Fault::None),
            false => Fault::None,
        });
    }

    fn count(&self, operation: &str) -> Count {
        let counts = self.client.meter().unwrap().counts();
        counts.get(&(Service::DynamoDb, operation.to_owned())).copied().unwrap_or_default()
    }
}

fn once(key: &str) -> Option<Once> {
    Some(Once { key: key.to_owned(), outcome: "run 1".to_owned(), expires: Timestamp(i64::MAX) })
}

fn cancelled(codes: &[&str]) -> Fault {
    let reasons: Vec<Value> = codes.iter().map(|code| json!({ "Code": code })).collect();
    let name = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    Fault::Instead(400, json!({ "__type": name, "message": "cancelled", "CancellationReasons": reasons }))
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_stands_once() {
    let Some(home) = home().await else { return };
    let log = home.unlucky_log();
    let single = Tip::start("single").one("start");
    home.meet("PutItem", vec![Fault::AnswerLost]);
    written(log.append(batch([single.clone()])).await);
    let both = [Tip::start("lane").one("start"), Tip::start("run").one("start")];
    home.meet("TransactWriteItems", vec![Fault::AnswerLost, Fault::AnswerLost]);
    written(log.append(Batch { once: once("start#1"), ..batch(both.clone()) }).await);
    for commit in [single].into_iter().chain(both) {
        assert_eq!(all(&log, &commit.stream).await, std::slice::from_ref(&commit));
    }
}

#[tokio::test]
async fn a_busy_table_is_asked_again_and_given_up_in_the_end() {
    let Some(home) = home().await else { return };
    let log = home.unlucky_log();
    let throttled = || Fault::error(400, "ProvisionedThroughputExceededException");
    let commit = Tip::start("shop").one("start");
    home.meet("PutItem", vec![throttled(), Fault::error(500, "InternalServerError"), throttled()]);
    written(log.append(batch([commit.clone()])).await);
    home.meet("Query", vec![throttled(), Fault::AnswerLost]);
    assert_eq!(log.load(&commit.stream, 1).await.unwrap().commits, std::slice::from_ref(&commit));
    let limits = Limits { attempts: 2, ..Limits::default() };
    let tables = home.tables.clone();
    home.faulty.set(move |_| throttled());
    let input = json!({ "TableName": tables.log, "Key": { "s": { "S": "x" }, "n": { "N": "1" } } });
    let error =
        home.unlucky().with_limits(limits).json(Service::DynamoDb, "GetItem", &input).await.unwrap_err();
    assert!(error.is_passing(), "{error}");
}

#[tokio::test]
async fn writers_that_meet_in_a_transaction_come_again() {
    let Some(home) = home().await else { return };
    let log = home.unlucky_log();
    let both = [Tip::start("lane").one("start"), Tip::start("run").one("start")];
    let conflict = || cancelled(&["TransactionConflict", "None"]);
    home.meet("TransactWriteItems", vec![conflict(), cancelled(&["None", "ThrottlingError"]), conflict()]);
    written(log.append(batch(both.clone())).await);
    let next = Tip::after(&both[0]).one("next");
    home.meet("PutItem", vec![Fault::error(400, "TransactionConflictException")]);
    written(log.append(batch([next.clone()])).await);
    // For ever is too long.
    let further = Tip::after(&next).one("further");
    home.faulty.set(|call| match call.operation.as_str() {
        "PutItem" => Fault::error(400, "TransactionConflictException"),
        _ => Fault::None,
    });
    let answer = log.append(batch([further])).await;
    assert!(
        matches!(&answer, Err(LogError::Unavailable { subject, .. }) if subject == "lane#lane"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn what_a_cancelled_transaction_does_not_say_is_looked_up() {
    let Some(home) = home().await else { return };
    let (log, other) = (home.unlucky_log(), home.log());
    // Written by the lost first attempt; the second is told of one failed condition only.
    let both = [Tip::start("lane").one("start"), Tip::start("run").one("start")];
    written(other.append(batch(both.clone())).await);
    let silent = || cancelled(&["ConditionalCheckFailed", "None"]);
    home.meet(
        "TransactWriteItems",
        vec![cancelled(&["TransactionConflict", "ConditionalCheckFailed"]), silent()],
    );
    written(log.append(batch(both.clone())).await);
    // Somebody else's commits in their place.
    let stale = [Tip::start("new").one("late"), Tip::start("run").one("late")];
    home.meet("TransactWriteItems", vec![cancelled(&["TransactionConflict", "ConditionalCheckFailed"])]);
    conflict(log.append(batch(stale)).await, &both[1].stream);
    // No reasons at all, and nothing in the way.
    let fine = [Tip::after(&both[0]).one("next"), Tip::after(&both[1]).one("next")];
    home.meet("TransactWriteItems", vec![cancelled(&[])]);
    written(log.append(batch(fine)).await);
    // A reason nobody knows is not mistaken for one of these.
    let further = [Tip::start("a").one("a"), Tip::start("b").one("b")];
    home.meet("TransactWriteItems", vec![cancelled(&["ItemCollectionSizeLimitExceeded", "None"])]);
    assert!(matches!(log.append(batch(further)).await, Err(LogError::Unavailable { .. })));
}

#[tokio::test]
async fn bodies_up_to_the_size_of_an_item_come_back_and_no_larger_ones() {
    let Some(home) = home().await else { return };
    let log = home.log();
    let body = |bytes: usize| format!("{{\"definition\":\"{}\"}}", "x".repeat(bytes));
    let fits = Tip::start("shop").commit("declare", vec![event(&body(397 << 10))]);
    // The snapshot gives way.
    written(log.append(batch([with_snapshot(fits.clone(), 1, &body(4000))])).await);
    let loaded = log.load(&fits.stream, 1).await.unwrap();
    assert_eq!(loaded.base.map(|base| base.0), None);
    assert!(loaded.commits == [fits.clone()]);
    let tip = Tip::after(&fits);
    let large = tip.commit("declare", vec![event(&body(400 << 10))]);
    let beside = Tip::start("other").one("start");
    let answer = log.append(batch([beside.clone(), large])).await;
    let Err(LogError::TooLarge { stream, bytes, bytes_max }) = answer else { panic!("{answer:?}") };
    assert!(stream == tip.stream && bytes > bytes_max && bytes_max == 409_600);
    assert_eq!(all(&log, &beside.stream).await, []);
}

#[tokio::test]
async fn twenty_processes_write_one_stream_and_a_lane_beside_it() {
    let Some(home) = home().await else { return };
    const WRITERS: usize = 20;
    let mut writers = tokio::task::JoinSet::new();
    let conflicts = Arc::new(AtomicUsize::new(0));
    for writer in 0..WRITERS {
        // A log of its own to each, which knows nothing of the others.
        let (log, conflicts) = (home.log(), Arc::clone(&conflicts));
        writers.spawn(async move {
            let command = format!("writer-{writer}");
            loop {
                let mut both = Vec::new();
                for name in ["lane", "run"] {
                    let loaded = log.load(&stream(name), 1).await.unwrap();
                    both.push(loaded.commits.last().map_or(Tip::start(name), Tip::after).one(&command));
                }
                match log.append(batch(both)).await.unwrap() {
                    Appended::Written => break,
                    Appended::Conflict { .. } => drop(conflicts.fetch_add(1, Ordering::Relaxed)),
                    Appended::Repeated { outcome } => panic!("nothing was taken: {outcome}"),
                }
            }
        });
    }
    writers.join_all().await;
    let log = home.log();
    let (lane, run) = (all(&log, &stream("lane")).await, all(&log, &stream("run")).await);
    engine::log::verify(&lane).unwrap();
    engine::log::verify(&run).unwrap();
    let commands = |commits: &[engine::log::Commit]| -> Vec<String> {
        commits.iter().map(|commit| commit.command.to_string()).collect()
    };
    assert_eq!((lane.len(), commands(&lane)), (WRITERS, commands(&run)));
    // Whoever lost read again and came again; how often is a matter of chance, but never more than everybody each time.
    assert!(conflicts.load(Ordering::Relaxed) < WRITERS * WRITERS);
}

#[tokio::test]
async fn an_append_is_one_request_and_nothing_is_read_for_it() {
    let Some(home) = home().await else { return };
    let log = home.log();
    let mut tip = Tip::start("shop");
    grow(&log, &mut tip, 10).await;
    let put = home.count("PutItem");
    assert_eq!((put.requests, put.write_units), (10, 10.0));
    // A stream read once is known from then on, in another process too.
    let other = home.log();
    other.load(&tip.stream, 1).await.unwrap();
    let run = Tip::start("run").one("start");
    written(other.append(Batch { once: once("start#2"), ..batch([tip.one("next"), run]) }).await);
    let (transaction, query) = (home.count("TransactWriteItems"), home.count("Query"));
    assert_eq!((transaction.requests, transaction.write_units), (1, 6.0));
    assert_eq!((query.requests, home.count("GetItem").requests), (1, 0));
}

#[tokio::test]
async fn a_table_that_is_not_there_is_named() {
    let Some(home) = home().await else { return };
    let nowhere = Tables { log: "nowhere".to_owned(), views: home.tables.views.clone() };
    let log = DynamoLog::new(&home.client, nowhere);
    for error in [
        log.append(batch([Tip::start("shop").one("start")])).await.unwrap_err(),
        log.load(&stream("shop"), 1).await.unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(text.contains("`nowhere`") && text.contains("deploy"), "{text}");
    }
    let denied = Fault::Instead(
        400,
        json!({ "__type": "x#AccessDeniedException", "message": "not authorized to perform: dynamodb:PutItem" }),
    );
    home.meet("PutItem", vec![denied]);
    let error = home.unlucky_log().append(batch([Tip::start("shop").one("start")])).await.unwrap_err();
    assert!(error.to_string().contains("dynamodb:PutItem"), "{error}");
}

#[tokio::test]
async fn deletes_left_undone_are_asked_for_again() {
    let Some(home) = home().await else { return };
    let views = DynamoViews::new(&home.unlucky(), &home.tables.views);
    let row =
        |q: usize| ViewRow { p: "list".into(), q: format!("{q:03}"), v: Version(1), body: Some("{}".into()) };
    views.put((0..60).map(row).collect(), None).await.unwrap();
    home.faulty.set(|call: &Call| {
        if call.operation != "BatchWriteItem" {
            return Fault::None;
        }
        // Half of it is done.
        let mut done = call.input.clone();
        let table = done["RequestItems"].as_object().unwrap().keys().next().unwrap().clone();
        let all = done["RequestItems"][&table].as_array_mut().unwrap();
        let left = all.split_off(all.len().div_ceil(2));
        let unprocessed = if left.is_empty() { json!({}) } else { json!({ table: left }) };
        Fault::Changed(done, Box::new(move |_| json!({ "UnprocessedItems": unprocessed })))
    });
    views.drop_all("project").await.unwrap();
    home.faulty.set(|_| Fault::None);
    assert_eq!(views.page("list", None, 100, false).await.unwrap(), []);
}

#[tokio::test]
async fn views_leave_what_is_no_view_alone() {
    let Some(home) = home().await else { return };
    let (log, views) = (home.log(), home.views());
    written(log.append(Batch { once: once("start#3"), ..batch([Tip::start("shop").one("start")]) }).await);
    views.drop_all("project").await.unwrap();
    let again =
        log.append(Batch { once: once("start#3"), ..batch([Tip::start("other").one("start")]) }).await;
    assert_eq!(again.unwrap(), Appended::Repeated { outcome: "run 1".to_owned() });
}

fn attempt() -> ActionExecutionId {
    ActionExecutionId::parse("11111111-2222-3333-4444-555555555555").unwrap()
}

#[tokio::test]
async fn an_attempt_is_claimed_by_one_at_a_time() {
    let Some(home) = home().await else { return };
    let claims = Claims::new(&home.client, &home.tables.views);
    let take = |holder: &'static str, now, until| {
        let claims = claims.clone();
        async move { claims.take(&attempt(), holder, Timestamp(now), Timestamp(until)).await.unwrap() }
    };
    assert_eq!(take("one", 1000, 5000).await, Claimed::Ours);
    assert_eq!(take("two", 2000, 9000).await, Claimed::Theirs { until: Timestamp(5000) });
    assert_eq!(take("one", 3000, 6000).await, Claimed::Ours);
    assert_eq!(take("two", 5999, 9000).await, Claimed::Theirs { until: Timestamp(6000) });
    // Run out: whoever comes takes it over, and the first no longer has it.
    assert_eq!(take("two", 6000, 9000).await, Claimed::Ours);
    claims.release(&attempt(), "one").await.unwrap();
    assert_eq!(take("one", 6001, 9000).await, Claimed::Theirs { until: Timestamp(9000) });
    claims.release(&attempt(), "two").await.unwrap();
    claims.release(&attempt(), "two").await.unwrap();
    assert_eq!(take("one", 6002, 9000).await, Claimed::Ours);
    let mut at_once = tokio::task::JoinSet::new();
    (0..20).for_each(|holder| {
        let claims = claims.clone();
        at_once.spawn(async move {
            claims
                .take(&attempt(), &format!("h{holder}"), Timestamp(10_000), Timestamp(20_000))
                .await
                .unwrap()
        });
    });
    let answers = at_once.join_all().await;
    assert_eq!(answers.iter().filter(|answer| **answer == Claimed::Ours).count(), 1);
}

#[tokio::test]
async fn a_provider_s_id_leads_back_to_its_attempt() {
    let Some(home) = home().await else { return };
    let external = External::new(&home.client, &home.tables.views);
    let work = Work {
        pipeline: PipelineName::parse("shop").unwrap(),
        execution: ExecutionId::parse("aaaaaaaa-2222-3333-4444-555555555555").unwrap(),
        attempt: attempt(),
    };
    let id = "shop:8f0c";
    external.put("CodeBuild", id, &work).await.unwrap();
    external.put("CodeBuild", id, &work).await.unwrap();
    assert_eq!(external.find("CodeBuild", id).await.unwrap(), Some(work));
    assert_eq!(external.find("CodeDeploy", id).await.unwrap(), None);
    assert_eq!(external.find("CodeBuild", "").await.unwrap(), None);
    assert_eq!(external.find("CodeBuild", &"x".repeat(3000)).await.unwrap(), None);
}

#[tokio::test]
async fn a_page_reaches_over_rows_that_were_deleted() {
    let Some(home) = home().await else { return };
    let views = home.views();
    let row = |q: usize, v, body: Option<&str>| ViewRow {
        p: "open".into(),
        q: format!("{q:04}"),
        v: Version(v),
        body: body.map(str::to_owned),
    };
    views.put((0..150).map(|q| row(q, 1, Some("{}"))).collect(), None).await.unwrap();
    views.put((0..140).map(|q| row(q, 2, None)).collect(), None).await.unwrap();
    let page = views.page("open", None, 3, false).await.unwrap();
    assert_eq!(page.iter().map(|row| row.q.as_str()).collect::<Vec<_>>(), ["0140", "0141", "0142"]);
    let page = views.page("open", Some("0141"), 9, true).await.unwrap();
    assert_eq!(page.iter().map(|row| row.q.as_str()).collect::<Vec<_>>(), ["0140"]);
}

#[tokio::test]
async fn a_barrier_does_not_wait_for_what_began_after_it() {
    let Some(home) = home().await else { return };
    let log = home.unlucky_log();
    written(log.append(batch([Tip::start("first").one("start")])).await);
    home.faulty.set(|_| {
        std::thread::sleep(Duration::from_millis(300));
        Fault::None
    });
    let under_way = log.append(batch([Tip::start("second").one("start")]));
    let begun = std::time::Instant::now();
    log.barrier().await;
    assert!(begun.elapsed() >= Duration::from_millis(250));
    written(under_way.await);
}

#[tokio::test]
async fn tables_that_are_not_there_are_named_with_what_to_do() {
    let Some(home) = home().await else { return };
    let nowhere = Tables { log: "no-log".into(), views: "no-views".into() };
    let stream = StreamName::lane(&PipelineName::parse("shop").unwrap());
    let log = DynamoLog::new(&home.client, nowhere);
    let reading = log.load(&stream, 1).await.unwrap_err();
    let listing =
        DynamoViews::new(&home.client, "no-views").page("pipelines", None, 10, false).await.unwrap_err();
    for (error, table) in [(&reading as &dyn std::error::Error, "`no-log`"), (&listing, "`no-views`")] {
        let words = all_words(error);
        assert!(words.contains(table) && words.contains("deploy the template first"), "{words}");
    }
}

/// What an error and those behind it say.
fn all_words(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
