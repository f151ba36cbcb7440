//! The adapters of the home on AWS against emulators: what is put on a bus or a topic arrives, secrets come back, marks
//! keep writers apart. The log and the views have a suite of their own (`log_contract`).
//!
//! Everything runs on Ministack (`TOWPATH_TEST_MINISTACK`) and, where it is installed, on LocalStack
//! (`TOWPATH_TEST_LOCALSTACK`), which knows the services of AWS better and has no DynamoDB without Java.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

mod faults;
mod marks;
mod suite;

macro_rules! on_each_emulator {
    ([$($test:ident),* $(,)?]) => {
        mod on_ministack {
            $(
                #[tokio::test]
                async fn $test() {
                    let Some(emulator) = tests::emulator::ministack() else { return };
                    crate::suite::$test(&emulator.client()).await;
                }
            )*
        }
        mod on_localstack {
            $(
                #[tokio::test]
                async fn $test() {
                    let Some(emulator) = tests::emulator::localstack() else { return };
                    crate::suite::$test(&emulator.client()).await;
                }
            )*
        }
    };
}

on_each_emulator!([
    events_arrive_on_the_bus_as_they_were_put,
    a_topic_passes_messages_on,
    a_topic_that_is_not_there_is_a_refusal,
    secrets_come_back_and_go,
    a_secret_that_is_too_long_is_refused_with_its_size,
    a_role_lends_credentials_for_an_hour,
    objects_come_back_byte_for_byte,
]);
