//! Marks keep two who tell the same thing apart.

use aws::outward::DynamoMarks;
use engine::outward::{Mark, Marks};
use events::Timestamp;
use tests::{
    emulator,
    faulty::{Fault, Faulty},
};

#[tokio::test]
async fn a_mark_is_written_by_whoever_saw_it_last() {
    let Some(emulator) = emulator::ministack() else { return };
    let client = emulator.client();
    let tables = emulator::tables(&client).await;
    let marks = DynamoMarks::new(&client, &tables.views);
    let put = |seen, note: &'static str| {
        let marks = marks.clone();
        async move { marks.put("told#shop", seen, note, Timestamp(4_000_000_000_000)).await.unwrap() }
    };
    let stands = |version, note: &str| Some(Mark { version, note: note.to_owned() });
    assert_eq!(marks.get("told#shop").await.unwrap(), None);
    assert!(!put(1, "early").await);
    assert!(put(0, "one").await);
    assert!(!put(0, "other").await);
    assert_eq!(marks.get("told#shop").await.unwrap(), stands(1, "one"));
    assert!(put(1, "two").await);
    assert!(!put(1, "late").await);
    assert_eq!(marks.get("told#shop").await.unwrap(), stands(2, "two"));
}

#[tokio::test]
async fn a_mark_whose_answer_was_lost_is_one_s_own() {
    let Some(emulator) = emulator::ministack() else { return };
    let tables = emulator::tables(&emulator.client()).await;
    let faulty = Faulty::before(&emulator.url);
    let marks = DynamoMarks::new(&emulator::client(&faulty.url()), &tables.views);
    let mut first = true;
    faulty.set(move |_| if std::mem::take(&mut first) { Fault::AnswerLost } else { Fault::None });
    assert!(marks.put("told#shop", 0, "one", Timestamp(4_000_000_000_000)).await.unwrap());
    assert_eq!(marks.get("told#shop").await.unwrap().unwrap().version, 1);
}
