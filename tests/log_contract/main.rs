//! What every log promises, stated once and run for each of them; then what only the SQLite log has to prove.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests, not their helpers")]

mod dynamo;
mod faults;
mod fixtures;
mod model;
mod sqlite;
mod suite;
mod views;

/// Runs each function of a suite for DynamoDB, on an emulator with tables of their own.
macro_rules! for_dynamo {
    ($suite:ident, $fresh:ident, [$($test:ident),* $(,)?]) => {
        mod in_dynamo {
            $(
                #[tokio::test]
                async fn $test() {
                    let Some(home) = crate::dynamo::home().await else { return };
                    crate::$suite::$test(std::sync::Arc::new(home.$fresh())).await;
                }
            )*
        }
    };
}

/// Runs each function of a suite for the adapters in memory and in SQLite.
macro_rules! for_each_adapter {
    ($suite:ident, $in_memory:expr, $in_sqlite:ident, [$($test:ident),* $(,)?]) => {
        mod in_memory {
            $(
                #[tokio::test]
                async fn $test() {
                    crate::$suite::$test(std::sync::Arc::new($in_memory)).await;
                }
            )*
        }
        mod in_sqlite {
            $(
                #[tokio::test]
                async fn $test() {
                    let folder = crate::fixtures::Folder::new();
                    let log = folder.open();
                    crate::$suite::$test(crate::fixtures::$in_sqlite(log)).await;
                }
            )*
        }
    };
}

mod logs {
    for_each_adapter!(
        suite,
        engine::memory::MemoryLog::new(),
        whole_log,
        [
            what_is_appended_is_loaded,
            an_unknown_stream_is_empty,
            versions_have_no_gaps,
            a_conflict_leaves_nothing_behind,
            commits_of_a_batch_are_written_together,
            a_check_that_fails_stops_the_batch,
            a_check_that_holds_lets_the_batch_pass,
            a_once_key_answers_with_its_first_outcome,
            a_once_key_is_free_again_when_it_has_expired,
            a_taken_once_key_answers_before_a_conflict,
            a_once_key_of_a_refused_batch_stays_free,
            a_batch_whose_answer_was_lost_counts_as_written,
            another_commit_of_the_same_version_is_a_conflict,
            a_commit_that_breaks_the_chain_is_refused,
            a_batch_that_is_none_is_refused,
            the_newest_snapshot_of_the_fold_is_the_base,
            reading_pages_through_a_stream,
            concurrent_writers_lose_nothing_and_double_nothing,
            pipelined_appends_are_written_in_the_order_of_the_calls,
            what_builds_on_a_refused_commit_conflicts,
            an_append_stands_even_if_nobody_waits_for_it,
            a_barrier_waits_for_every_append_before_it,
            a_barrier_waits_for_a_chain_of_appends,
            large_bodies_come_back,
            unicode_and_odd_json_come_back_byte_for_byte,
        ]
    );

    // Not here: what a log promises that decides on commits still on their way (`Log::PIPELINED`), and bodies larger
    // than an item, which `dynamo.rs` sees refused.
    for_dynamo!(
        suite,
        log,
        [
            what_is_appended_is_loaded,
            an_unknown_stream_is_empty,
            versions_have_no_gaps,
            a_conflict_leaves_nothing_behind,
            commits_of_a_batch_are_written_together,
            a_check_that_fails_stops_the_batch,
            a_check_that_holds_lets_the_batch_pass,
            a_once_key_answers_with_its_first_outcome,
            a_once_key_is_free_again_when_it_has_expired,
            a_taken_once_key_answers_before_a_conflict,
            a_once_key_of_a_refused_batch_stays_free,
            a_batch_whose_answer_was_lost_counts_as_written,
            another_commit_of_the_same_version_is_a_conflict,
            a_commit_that_breaks_the_chain_is_refused,
            a_batch_that_is_none_is_refused,
            the_newest_snapshot_of_the_fold_is_the_base,
            reading_pages_through_a_stream,
            concurrent_writers_lose_nothing_and_double_nothing,
            an_append_stands_even_if_nobody_waits_for_it,
            a_barrier_waits_for_every_append_before_it,
            unicode_and_odd_json_come_back_byte_for_byte,
        ]
    );
}

mod row_views {
    for_each_adapter!(
        views,
        engine::memory::MemoryViews::new(),
        views_of,
        [
            a_row_is_read_back,
            older_rows_change_nothing,
            a_deleted_row_stays_deleted_for_stragglers,
            pages_walk_a_partition_both_ways,
            the_cursor_moves_with_the_rows_and_never_back,
            dropping_everything_starts_afresh,
        ]
    );

    for_dynamo!(
        views,
        views,
        [
            a_row_is_read_back,
            older_rows_change_nothing,
            a_deleted_row_stays_deleted_for_stragglers,
            pages_walk_a_partition_both_ways,
            the_cursor_moves_with_the_rows_and_never_back,
            dropping_everything_starts_afresh,
        ]
    );
}
