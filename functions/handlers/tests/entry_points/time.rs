//! `sweep`: what is due, and what time is over.

use super::home::{Account, Does, create, is, run, start};
use domain::{
    execution::ExecutionStatus,
    testing::{approval, deploy, pipeline, source},
};
use events::{StreamName, Timestamp};
use handlers::sweep::{Bounds, Swept, sweep};

const ALL: Bounds = Bounds { rows: 1_000, until: Timestamp(i64::MAX) };

#[tokio::test]
async fn begun_work_is_asked_for_once_a_minute_until_it_ends() {
    let account = Account::new();
    account.providers.set("Src", Does::Begins("b-1"));
    let home = account.process();
    let shop = pipeline("shop").stage("Source", [source("Src")]).stage("Live", [deploy("Push").input("Src")]);
    let name = create(&home, shop.build()).await;
    let id = start(&home, &name).await;
    account.projected().await;
    account.providers.calls();

    account.pass(59);
    assert_eq!(sweep(&account.process(), ALL).await.unwrap(), Swept { open: 1, ..Swept::default() });
    assert_eq!(account.providers.calls(), [], "whoever began it is left alone for a minute");
    for _ in 0..3 {
        account.pass(60);
        let swept = sweep(&account.process(), ALL).await.unwrap();
        assert_eq!(swept, Swept { open: 1, taken: 1, ..Swept::default() });
        assert_eq!(account.providers.calls(), [("Src".to_owned(), Some("b-1".to_owned()))]);
    }
    account.providers.set("Src", Does::Succeeds);
    account.pass(60);
    sweep(&account.process(), ALL).await.unwrap();
    is(&*run(&home, &id).await, ExecutionStatus::Succeeded);
    account.projected().await;
    assert_eq!(sweep(&account.process(), ALL).await.unwrap(), Swept::default(), "idle costs one look");
}

#[tokio::test]
async fn what_nobody_did_is_done_a_minute_later() {
    let account = Account::new();
    account.providers.set("Src", Does::Nothing);
    let home = account.process();
    let name = create(
        &home,
        pipeline("shop").stage("Source", [source("Src")]).stage("Live", [deploy("Push")]).build(),
    )
    .await;
    let id = start(&home, &name).await;
    account.projected().await;
    account.providers.set("Src", Does::Succeeds);
    account.pass(60);
    sweep(&account.process(), ALL).await.unwrap();
    is(&*run(&home, &id).await, ExecutionStatus::Succeeded);
}

#[tokio::test]
async fn an_approval_that_nobody_answers_ends_at_its_deadline_and_is_not_looked_after_before() {
    let account = Account::new();
    let home = account.process();
    let gated =
        pipeline("shop").stage("Source", [source("Src")]).stage("Gate", [approval("Ask").timeout(600)]);
    let name = create(&home, gated.build()).await;
    let id = start(&home, &name).await;
    account.projected().await;
    let mut taken = 0;
    for _ in 0..599 {
        account.pass(60);
        taken += sweep(&account.process(), ALL).await.unwrap().taken;
    }
    assert!(taken < 30, "in ten hours it was looked after {taken} times");
    is(&*run(&home, &id).await, ExecutionStatus::InProgress);
    account.pass(60);
    let swept = sweep(&account.process(), ALL).await.unwrap();
    assert_eq!((swept.taken, swept.expired), (1, 1));
    is(&*run(&home, &id).await, ExecutionStatus::Failed);
}

#[tokio::test]
async fn an_action_that_takes_too_long_ends_and_is_not_asked_for_again() {
    let account = Account::new();
    account.providers.set("Src", Does::Begins("b-1"));
    let home = account.process();
    let name = create(
        &home,
        pipeline("shop").stage("Source", [source("Src").timeout(5)]).stage("Live", [deploy("Push")]).build(),
    )
    .await;
    let id = start(&home, &name).await;
    account.projected().await;
    account.providers.calls();
    account.pass(5 * 60);
    let swept = sweep(&account.process(), ALL).await.unwrap();
    assert_eq!(swept.expired, 1);
    is(&*run(&home, &id).await, ExecutionStatus::Failed);
    assert_eq!(account.providers.calls(), []);
}

#[tokio::test]
async fn one_that_cannot_be_read_keeps_nobody_waiting() {
    let account = Account::new();
    account.providers.set("Src", Does::Nothing);
    let home = account.process();
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        let name = create(
            &home,
            pipeline(name).stage("Source", [source("Src")]).stage("Live", [deploy("Push")]).build(),
        )
        .await;
        ids.push(start(&home, &name).await);
    }
    account.projected().await;
    account.providers.set("Src", Does::Succeeds);
    account.silence(&StreamName::execution(&ids[1]), true);
    account.pass(60);
    let swept = sweep(&account.process(), ALL).await.unwrap();
    assert_eq!((swept.open, swept.taken, swept.failed), (3, 2, 1));
    account.silence(&StreamName::execution(&ids[1]), false);
    is(&*run(&home, &ids[0]).await, ExecutionStatus::Succeeded);
    is(&*run(&home, &ids[1]).await, ExecutionStatus::InProgress);
    is(&*run(&home, &ids[2]).await, ExecutionStatus::Succeeded);
}

#[tokio::test]
async fn a_sweep_that_is_cut_short_gets_to_everybody_in_the_end() {
    let account = Account::new();
    account.providers.set("Src", Does::Begins("b-1"));
    let home = account.process();
    for number in 0..12 {
        let name = format!("p{number}");
        let name = create(
            &home,
            pipeline(&name).stage("Source", [source("Src")]).stage("Live", [deploy("Push")]).build(),
        )
        .await;
        start(&home, &name).await;
    }
    account.projected().await;
    account.providers.calls();
    let few = Bounds { rows: 5, ..ALL };
    let swept = {
        account.pass(60);
        sweep(&account.process(), few).await.unwrap()
    };
    assert_eq!((swept.open, swept.is_cut), (5, true));
    let none = Bounds { until: Timestamp(0), ..ALL };
    let swept = sweep(&account.process(), none).await.unwrap();
    assert_eq!((swept.open, swept.is_cut), (0, true));
    let swept = sweep(&account.process(), Bounds { rows: 12, ..ALL }).await.unwrap();
    assert_eq!((swept.open, swept.taken), (12, 12), "each once, wherever it began");
}
