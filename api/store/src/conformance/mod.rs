//! The one suite that every store passes: what [`Store`](crate::Store) promises, case by case.
//!
//! A case gets a fresh, empty store. The list below is a table: a new case is one function in
//! one of the files and its name in [`for_each_case`].

#![expect(clippy::unwrap_used, reason = "these are tests; a panic is how a case fails")]

mod compaction;
mod fixture;
mod history;
mod leases;
mod ranges;
mod transactions;
mod values;
mod watches;

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::store::Store;

/// One promise, by name.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    pub run: fn(Arc<dyn Store>) -> BoxFuture<'static, ()>,
}

/// Hands the table of cases to a macro: `file: case, case, …;` and so on.
macro_rules! for_each_case {
    ($do:ident) => {
        $do! {
            values:
                a_new_store_is_empty_and_above_zero,
                a_put_is_read_back,
                a_get_of_nothing_is_nothing,
                an_empty_value_is_a_value,
                a_value_may_hold_any_bytes,
                a_large_value_is_kept_whole,
                a_key_may_hold_any_text,
                versions_count_the_writes_of_a_life,
                a_second_life_begins_anew,
                a_deleted_key_is_gone,
                the_revision_goes_up_by_one_a_write,
                reads_and_failed_deletes_take_no_revision,
                a_small_slice_of_a_large_buffer_is_a_value,
                the_status_counts_keys_and_bytes;
            ranges:
                a_range_is_ordered_by_bytes,
                a_prefix_does_not_reach_its_neighbours,
                an_upside_down_range_is_empty,
                a_limit_cuts_and_says_that_there_is_more,
                a_count_needs_no_values,
                pages_at_one_revision_are_one_picture,
                an_open_range_reaches_the_end;
            transactions:
                a_create_of_an_existing_key_answers_with_it,
                an_update_of_a_stale_version_answers_with_the_live_one,
                a_delete_of_a_stale_version_does_nothing,
                all_compares_must_hold,
                every_target_and_operator_compares,
                a_transaction_takes_one_revision,
                a_transaction_reads_its_own_writes,
                a_range_in_a_transaction_sees_its_writes,
                a_range_is_deleted_in_one_revision,
                the_answer_of_a_put_holds_both_versions,
                a_key_written_twice_is_refused,
                a_put_inside_a_deleted_range_is_refused,
                an_empty_transaction_is_fine,
                too_many_operations_are_refused,
                too_many_bytes_are_refused,
                bad_keys_are_refused,
                a_read_in_the_past_inside_a_transaction_is_refused,
                only_one_of_many_creates_wins,
                concurrent_increments_lose_nothing,
                a_refused_transaction_changes_nothing;
            history:
                a_get_at_a_revision_is_the_past,
                a_get_at_zero_is_now,
                a_deleted_key_is_there_in_the_past,
                earlier_lives_are_told_apart,
                a_range_at_a_revision_is_the_past,
                the_future_is_refused,
                any_revision_equals_the_replay_of_its_events;
            compaction:
                the_past_before_a_compaction_is_refused,
                the_compacted_revision_itself_can_be_read,
                a_watch_from_before_a_compaction_is_refused,
                a_watch_right_after_a_compaction_goes_on,
                compaction_goes_forward_only,
                the_present_survives_its_compaction,
                a_slow_watch_is_told_of_the_compaction,
                a_watch_that_is_up_to_date_survives_compaction;
            watches:
                a_watch_from_now_sees_what_comes,
                a_watch_from_the_past_replays_it,
                a_watch_carries_the_version_before,
                a_deletion_carries_the_last_version,
                a_watch_sees_its_prefix_only,
                a_watch_of_one_key_sees_that_key,
                events_come_exactly_once_in_order,
                the_changes_of_a_revision_come_together,
                two_watches_see_the_same,
                a_watch_from_the_future_waits_for_it,
                a_batch_says_how_far_it_reaches,
                a_quiet_watch_keeps_up,
                progress_is_told_when_asked_for,
                progress_in_the_future_waits_for_it,
                what_is_with_the_reader_is_not_handled,
                a_list_and_a_watch_meet_without_a_gap,
                a_dropped_watch_is_not_counted;
            leases:
                a_lease_ends_and_takes_its_keys,
                a_revoked_lease_takes_its_keys_in_one_revision,
                a_lease_kept_alive_lives_on,
                an_unknown_lease_is_refused,
                a_put_with_an_unknown_lease_changes_nothing,
                a_put_without_a_lease_frees_the_key,
                a_put_with_another_lease_moves_the_key,
                lease_ids_are_not_used_twice,
                a_lease_of_no_time_is_refused,
                short_lived_objects_share_leases;
        }
    };
}

macro_rules! table {
    ($($file:ident: $($case:ident),+;)+) => {
        /// Every case.
        pub const CASES: &[Case] = &[
            $($(Case { name: stringify!($case), run: |store| Box::pin($file::$case(store)) },)+)+
        ];
    };
}
for_each_case!(table);

#[cfg(test)]
mod on_our_engines {
    use std::any::Any;

    use super::*;
    use crate::{EmbeddedConfig, EmbeddedStore, MemoryStore};

    type Guarded = (Arc<dyn Store>, Box<dyn Any>);

    fn memory() -> Guarded {
        (Arc::new(MemoryStore::new().unwrap()), Box::new(()))
    }

    fn embedded() -> Guarded {
        let dir = tempfile::tempdir().unwrap();
        (Arc::new(EmbeddedStore::open(EmbeddedConfig::new(dir.path())).unwrap()), Box::new(dir))
    }

    macro_rules! tests_on {
        ($($file:ident: $($case:ident),+;)+) => {
            mod memory_engine {
                $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $case() {
                    let (store, _guard) = super::memory();
                    super::super::$file::$case(store).await;
                })+)+
            }
            mod embedded_engine {
                $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $case() {
                    let (store, _guard) = super::embedded();
                    super::super::$file::$case(store).await;
                })+)+
            }
        };
    }
    for_each_case!(tests_on);

    #[test]
    fn the_table_of_cases_is_long_and_names_each_once() {
        let names: std::collections::BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), CASES.len());
        assert!(CASES.len() >= 50, "{} cases", CASES.len());
    }
}
