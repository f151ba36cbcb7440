//! The contract. Each function gets an empty log.

use crate::fixtures::*;
use engine::log::{Appended, Batch, Commit, Log, LogError, Once, StoredEvent};
use events::{CommandId, StreamName, Timestamp, Version};
use std::{collections::BTreeSet, sync::Arc};
use tokio::task::JoinSet;

const FOLD: u32 = 1;

pub(crate) async fn what_is_appended_is_loaded(log: Arc<impl Log>) {
    let commit = Tip::start("shop").commit("start", vec![event("{\"a\":1}"), event("{\"b\":[true,null]}")]);
    written(log.append(batch([commit.clone()])).await);
    let loaded = log.load(&commit.stream, FOLD).await.unwrap();
    assert_eq!((loaded.base, loaded.commits), (None, vec![commit.clone()]));
    let next = Tip::after(&commit).one("next");
    assert_eq!(next.first, Version(3));
    written(log.append(batch([next.clone()])).await);
    assert_eq!(all(&*log, &commit.stream).await, [commit, next]);
}

pub(crate) async fn an_unknown_stream_is_empty(log: Arc<impl Log>) {
    let loaded = log.load(&stream("nobody"), FOLD).await.unwrap();
    assert_eq!((loaded.base, loaded.commits), (None, vec![]));
    assert_eq!(all(&*log, &stream("nobody")).await, []);
}

pub(crate) async fn versions_have_no_gaps(log: Arc<impl Log>) {
    let mut tip = Tip::start("shop");
    let ahead = Tip { last: Version(1), ..tip.clone() };
    conflict(log.append(batch([ahead.one("early")])).await, &tip.stream);
    let grown = grow(&*log, &mut tip, 3).await;
    let ahead = Tip { last: Version(4), ..tip.clone() };
    conflict(log.append(batch([ahead.one("gap")])).await, &tip.stream);
    let behind = Tip::after(&grown[0]);
    conflict(log.append(batch([behind.one("late")])).await, &tip.stream);
    let nowhere = Commit { first: Version(0), ..tip.one("zero") };
    conflict(log.append(batch([nowhere])).await, &tip.stream);
    assert_eq!(all(&*log, &tip.stream).await, grown);
}

pub(crate) async fn a_conflict_leaves_nothing_behind(log: Arc<impl Log>) {
    let mut lane = Tip::start("lane");
    let grown = grow(&*log, &mut lane, 2).await;
    let fresh = Tip::start("fresh");
    let stale = Tip::after(&grown[0]);
    let answer = log.append(batch([fresh.one("both"), stale.one("both")])).await;
    conflict(answer, &lane.stream);
    assert_eq!(all(&*log, &fresh.stream).await, []);
    assert_eq!(all(&*log, &lane.stream).await, grown);
}

pub(crate) async fn commits_of_a_batch_are_written_together(log: Arc<impl Log>) {
    let commits = ["pipeline", "lane", "run"].map(|name| Tip::start(name).one("start"));
    written(log.append(batch(commits.clone())).await);
    for commit in commits {
        assert_eq!(all(&*log, &commit.stream).await, [commit]);
    }
}

pub(crate) async fn a_check_that_fails_stops_the_batch(log: Arc<impl Log>) {
    let mut read = Tip::start("read");
    grow(&*log, &mut read, 2).await;
    let commit = Tip::start("shop").one("start");
    for version in [0, 1, 3] {
        let checks = vec![(read.stream.clone(), Version(version))];
        conflict(log.append(Batch { checks, ..batch([commit.clone()]) }).await, &read.stream);
    }
    assert_eq!(all(&*log, &commit.stream).await, []);
}

pub(crate) async fn a_check_that_holds_lets_the_batch_pass(log: Arc<impl Log>) {
    let mut read = Tip::start("read");
    grow(&*log, &mut read, 2).await;
    let commit = Tip::start("shop").one("start");
    let checks = vec![(read.stream.clone(), Version(2)), (stream("nobody"), Version(0))];
    written(log.append(Batch { checks, ..batch([commit]) }).await);
}

fn once(outcome: &str, expires: i64) -> Option<Once> {
    let (key, outcome) = ("start#shop#token".to_owned(), outcome.to_owned());
    Some(Once { key, outcome, expires: Timestamp(expires) })
}

pub(crate) async fn a_once_key_answers_with_its_first_outcome(log: Arc<impl Log>) {
    let (first, second) = (Tip::start("first").one("a"), Tip::start("second").one("b"));
    written(log.append(Batch { once: once("run 1", i64::MAX), ..batch([first]) }).await);
    let again = log.append(Batch { once: once("run 2", i64::MAX), ..batch([second.clone()]) }).await;
    assert_eq!(again.unwrap(), Appended::Repeated { outcome: "run 1".to_owned() });
    assert_eq!(all(&*log, &second.stream).await, []);
    let bare = log.append(Batch { once: once("run 3", i64::MAX), ..batch([]) }).await;
    assert_eq!(bare.unwrap(), Appended::Repeated { outcome: "run 1".to_owned() });
}

pub(crate) async fn a_once_key_is_free_again_when_it_has_expired(log: Arc<impl Log>) {
    let at = |name: &str, time| {
        let tip = Tip::start(name);
        sealed(Commit { time: Timestamp(time), ..tip.one("start") }, tip.hash)
    };
    written(log.append(Batch { once: once("run 1", 2000), ..batch([at("first", 1000)]) }).await);
    let early = log.append(Batch { once: once("run 2", 9000), ..batch([at("second", 1999)]) }).await;
    assert_eq!(early.unwrap(), Appended::Repeated { outcome: "run 1".to_owned() });
    written(log.append(Batch { once: once("run 3", 9000), ..batch([at("third", 2000)]) }).await);
    let late = log.append(Batch { once: once("run 4", 9000), ..batch([at("fourth", 3000)]) }).await;
    assert_eq!(late.unwrap(), Appended::Repeated { outcome: "run 3".to_owned() });
}

pub(crate) async fn a_taken_once_key_answers_before_a_conflict(log: Arc<impl Log>) {
    let commit = Tip::start("shop").one("a");
    written(log.append(Batch { once: once("run 1", i64::MAX), ..batch([commit]) }).await);
    let stale = Tip::start("shop").one("b");
    let answer = log.append(Batch { once: once("run 2", i64::MAX), ..batch([stale]) }).await;
    assert_eq!(answer.unwrap(), Appended::Repeated { outcome: "run 1".to_owned() });
}

pub(crate) async fn a_once_key_of_a_refused_batch_stays_free(log: Arc<impl Log>) {
    let mut tip = Tip::start("shop");
    grow(&*log, &mut tip, 1).await;
    let stale = Tip::start("shop").one("stale");
    conflict(log.append(Batch { once: once("run 1", i64::MAX), ..batch([stale]) }).await, &tip.stream);
    written(log.append(Batch { once: once("run 2", i64::MAX), ..batch([tip.one("next")]) }).await);
}

pub(crate) async fn a_batch_whose_answer_was_lost_counts_as_written(log: Arc<impl Log>) {
    let commits = [Tip::start("lane").one("start"), Tip::start("run").one("start")];
    let whole = Batch { once: once("run 1", i64::MAX), ..batch(commits.clone()) };
    written(log.append(whole.clone()).await);
    written(log.append(whole.clone()).await);
    let mut tip = Tip::after(&commits[0]);
    grow(&*log, &mut tip, 2).await;
    written(log.append(whole).await);
    assert_eq!(all(&*log, &tip.stream).await.len(), 3);
    assert_eq!(all(&*log, &commits[1].stream).await, [commits[1].clone()]);
}

pub(crate) async fn another_commit_of_the_same_version_is_a_conflict(log: Arc<impl Log>) {
    let tip = Tip::start("shop");
    written(log.append(batch([tip.one("a")])).await);
    conflict(log.append(batch([tip.one("b")])).await, &tip.stream);
    // One that stands beside one that does not is no repetition: a decision is written as a whole.
    let half = batch([tip.one("a"), Tip::start("other").one("a")]);
    conflict(log.append(half).await, &tip.stream);
    assert_eq!(all(&*log, &stream("other")).await, []);
}

pub(crate) async fn a_commit_that_breaks_the_chain_is_refused(log: Arc<impl Log>) {
    let mut tip = Tip::start("shop");
    let grown = grow(&*log, &mut tip, 2).await;
    let right = tip.one("next");
    let forged = [
        Commit { hash: tip.hash, ..right.clone() },
        sealed(right.clone(), grown[0].hash),
        Commit { actor: "somebody else".into(), ..right.clone() },
    ];
    for commit in forged {
        let answer = log.append(batch([commit])).await;
        assert!(
            matches!(&answer, Err(LogError::Broken(broken)) if broken.version == Version(3)),
            "{answer:?}"
        );
    }
    written(log.append(batch([right])).await);
}

pub(crate) async fn a_batch_that_is_none_is_refused(log: Arc<impl Log>) {
    let tip = Tip::start("shop");
    let empty = tip.commit("empty", vec![]);
    let twice = [tip.one("a"), tip.one("a")];
    let long = Once { key: "k".repeat(301), outcome: String::new(), expires: Timestamp(0) };
    let long = Batch { once: Some(long), ..batch([tip.one("a")]) };
    for batch in [batch([empty]), batch(twice), long] {
        let answer = log.append(batch).await;
        assert!(matches!(answer, Err(LogError::Broken(_))), "{answer:?}");
    }
    assert_eq!(all(&*log, &tip.stream).await, []);
}

pub(crate) async fn the_newest_snapshot_of_the_fold_is_the_base(log: Arc<impl Log>) {
    let mut tip = Tip::start("shop");
    let mut commits = Vec::new();
    for index in 0..8_u32 {
        let mut commit = tip.one(&format!("step-{index}"));
        match index {
            1 | 4 => commit = with_snapshot(commit, FOLD, &format!("{{\"at\":{index}}}")),
            6 => commit = with_snapshot(commit, FOLD + 1, "{}"),
            _ => {}
        }
        written(log.append(batch([commit.clone()])).await);
        tip = Tip::after(&commit);
        commits.push(commit);
    }
    let loaded = log.load(&tip.stream, FOLD).await.unwrap();
    let base = commits[4].clone();
    assert_eq!(loaded.base, base.snapshot.clone().map(|state| (base.last(), base.hash, base.time, state)));
    assert_eq!(loaded.commits, commits[5..]);
    let other = log.load(&tip.stream, FOLD + 1).await.unwrap();
    assert_eq!((other.base.unwrap().0, other.commits), (Version(7), commits[7..].to_vec()));
    let unknown = log.load(&tip.stream, FOLD + 2).await.unwrap();
    assert_eq!((unknown.base, unknown.commits), (None, commits));
}

pub(crate) async fn reading_pages_through_a_stream(log: Arc<impl Log>) {
    let mut tip = Tip::start("shop");
    let mut commits = Vec::new();
    for index in 0..7 {
        let commit = tip.commit(&format!("step-{index}"), vec![event("{}"); 1 + index % 3]);
        written(log.append(batch([commit.clone()])).await);
        tip = Tip::after(&commit);
        commits.push(commit);
    }
    let (mut paged, mut after) = (Vec::new(), Version(0));
    loop {
        let page = log.read(&tip.stream, after, 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = last.last();
        paged.extend(page);
    }
    assert_eq!(paged, commits);
    // The second commit holds versions 2 and 3.
    assert_eq!(log.read(&tip.stream, Version(2), 1).await.unwrap(), [commits[2].clone()]);
    assert_eq!(log.read(&tip.stream, tip.last, 1).await.unwrap(), []);
}

pub(crate) async fn concurrent_writers_lose_nothing_and_double_nothing(log: Arc<impl Log>) {
    const WRITERS: usize = 50;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let log = log.clone();
        writers.spawn(async move {
            let command = format!("writer-{writer}");
            loop {
                let loaded = log.load(&stream("busy"), FOLD).await.unwrap();
                let tip = loaded.commits.last().map_or(Tip::start("busy"), Tip::after);
                match log.append(batch([tip.one(&command)])).await.unwrap() {
                    Appended::Written => break,
                    Appended::Conflict { .. } => tokio::task::yield_now().await,
                    Appended::Repeated { outcome } => panic!("nothing was taken: {outcome}"),
                }
            }
        });
    }
    writers.join_all().await;
    let commits = all(&*log, &stream("busy")).await;
    engine::log::verify(&commits).unwrap();
    let commands: BTreeSet<_> = commits.iter().map(|commit| commit.command.as_str()).collect();
    assert_eq!((commits.len(), commands.len()), (WRITERS, WRITERS));
}

pub(crate) async fn pipelined_appends_are_written_in_the_order_of_the_calls<L: Log>(log: Arc<L>) {
    assert!(L::PIPELINED);
    let mut tip = Tip::start("shop");
    let mut answers = Vec::new();
    for index in 0..1000 {
        let commit = tip.one(&format!("step-{index}"));
        tip = Tip::after(&commit);
        answers.push(log.append(batch([commit])));
    }
    // Awaited last to first: the order of the calls counts, not that of the waiting.
    for answer in answers.into_iter().rev() {
        written(answer.await);
    }
    let commits = all(&*log, &tip.stream).await;
    assert_eq!(commits.len(), 1000);
    engine::log::verify(&commits).unwrap();
}

pub(crate) async fn what_builds_on_a_refused_commit_conflicts(log: Arc<impl Log>) {
    let mut tip = Tip::start("shop");
    grow(&*log, &mut tip, 1).await;
    let refused = Tip::start("shop").commit("refused", vec![event("{}"), event("{}")]);
    let upon = Tip::after(&refused).one("upon");
    let upon_that = Tip::after(&upon).one("upon-that");
    // Takes the place of the refused commit: the versions of what builds on it then look right.
    let instead = tip.one("instead");
    let further = Tip::after(&instead).one("further");
    let answers = [refused, instead.clone(), upon, further.clone(), upon_that];
    let answers = answers.map(|commit| log.append(batch([commit])));
    let [refused, instead_answer, upon, further_answer, upon_that] = answers;
    conflict(refused.await, &tip.stream);
    written(instead_answer.await);
    conflict(upon.await, &tip.stream);
    written(further_answer.await);
    conflict(upon_that.await, &tip.stream);
    let commits = all(&*log, &tip.stream).await;
    assert_eq!(commits[1..], [instead, further]);
}

pub(crate) async fn an_append_stands_even_if_nobody_waits_for_it<L: Log>(log: Arc<L>) {
    let commit = Tip::start("shop").one("start");
    drop(log.append(batch([commit.clone()])));
    if !L::PIPELINED {
        // What builds on it is appended once it has its answer.
        log.barrier().await;
    }
    let next = Tip::after(&commit).one("next");
    written(log.append(batch([next.clone()])).await);
    assert_eq!(all(&*log, &commit.stream).await, [commit, next]);
}

pub(crate) async fn a_barrier_waits_for_every_append_before_it(log: Arc<impl Log>) {
    log.barrier().await;
    let starts = (0..100).map(|index| Tip::start(&format!("shop{index}")));
    let commits: Vec<_> = starts.map(|start| start.one("start")).collect();
    for commit in &commits {
        drop(log.append(batch([commit.clone()])));
    }
    drop(log.append(batch([Tip { last: Version(7), ..Tip::start("shop0") }.one("stray")])));
    log.barrier().await;
    for commit in commits {
        let stream = commit.stream.clone();
        assert_eq!(all(&*log, &stream).await, [commit]);
    }
}

pub(crate) async fn a_barrier_waits_for_a_chain_of_appends<L: Log>(log: Arc<L>) {
    assert!(L::PIPELINED);
    let mut tip = Tip::start("shop");
    for index in 0..100 {
        let commit = tip.one(&format!("step-{index}"));
        tip = Tip::after(&commit);
        drop(log.append(batch([commit])));
    }
    drop(log.append(batch([Tip::start("shop").one("stale")])));
    log.barrier().await;
    assert_eq!(all(&*log, &tip.stream).await.len(), 100);
}

pub(crate) async fn large_bodies_come_back(log: Arc<impl Log>) {
    const MIB: usize = 1 << 20;
    let mut tip = Tip::start("shop");
    let mut commits = Vec::new();
    for index in 0..6 {
        let body = format!("{{\"definition\":\"{}\"}}", "x".repeat(MIB + index));
        let commit = tip.commit(&format!("step-{index}"), vec![event(&body)]);
        tip = Tip::after(&commit);
        commits.push(with_snapshot(commit, FOLD + 1, &body));
    }
    let answers: Vec<_> = commits.iter().map(|commit| log.append(batch([commit.clone()]))).collect();
    for answer in answers {
        written(answer.await);
    }
    assert!(log.load(&tip.stream, FOLD).await.unwrap().commits == commits);
}

pub(crate) async fn unicode_and_odd_json_come_back_byte_for_byte(log: Arc<impl Log>) {
    let kind = |kind: &str, body: &str| StoredEvent::new(kind, u16::MAX, body);
    let commit = Commit {
        actor: "Grüße, 世界 \"🚢\" \\ '; DROP TABLE commits; --".into(),
        command: CommandId::parse("a/b#c:d.e-f_g").unwrap(),
        time: Timestamp(-1),
        ..Tip::start("shop").commit(
            "x",
            vec![
                kind(
                    "Käse\"\\\n",
                    "{ \"π\" : \"\\u03c0 π\",\n\t\"n\": 1.0e+10, \"big\": 123456789012345678901 }",
                ),
                kind("", "{\"dup\":1,\"dup\":2,\"nul\":\"\\u0000\",\"lone\":\"\\ud800\"}"),
                kind("Deep", &format!("{}{}", "[".repeat(500), "]".repeat(500))),
            ],
        )
    };
    let commit = with_snapshot(sealed(commit, Tip::start("shop").hash), FOLD, "{\"☃\":\"\\n\"}");
    written(log.append(batch([commit.clone()])).await);
    assert_eq!(all(&*log, &commit.stream).await, std::slice::from_ref(&commit));
    let (.., snapshot) = log.load(&commit.stream, FOLD).await.unwrap().base.unwrap();
    assert_eq!(Some(snapshot), commit.snapshot);
    let names: [StreamName; 2] = [stream("a"), stream("a.b@c-d_e")];
    for name in names {
        assert_eq!(all(&*log, &name).await, []);
    }
}
