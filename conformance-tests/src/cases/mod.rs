//! The cases, one family a file, and the one list of them.

mod aggregations;
mod backward;
mod bodies;
mod buckets;
mod bulk;
mod calls;
mod cancel;
mod capabilities;
mod computed;
mod explain;
mod faults;
mod filters;
mod grants;
mod groups;
mod highlights;
mod histories;
mod ids;
mod isolation;
mod limits;
mod linear;
mod loads;
mod matching;
mod matching_races;
mod names;
mod paging;
mod patches;
mod queries;
mod questions;
mod races;
mod routing;
mod savepoints;
mod scans;
mod schema;
mod score;
mod stamps;
mod terms;
mod transactions;
mod transfer;
mod typed;
mod unique;
mod versions;
mod writes;

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use crate::context::Context;
use crate::failure::Outcome;

/// One case.
pub(crate) struct Case {
    /// Its name, `family::case`.
    pub(crate) name: &'static str,
    /// Runs it.
    pub(crate) run: fn(Arc<Context>) -> LocalBoxFuture<'static, Outcome>,
}

/// Hands the list of all cases to another macro of this crate. A case that is written and not
/// listed here is dead code, which the compiler tells.
#[doc(hidden)]
#[macro_export]
macro_rules! __with_cases {
    ($then:ident $($arguments:tt)*) => {
        $crate::$then! {
            $($arguments)*
            writes {
                put_absent_any put_absent_absent put_absent_present put_absent_exactly
                put_deleted_exactly
                put_at_any put_at_absent put_at_present put_at_exactly put_at_stale
                put_at_predecessor
                patch_absent_any patch_absent_absent patch_absent_present patch_absent_exactly
                patch_deleted_exactly
                patch_at_any patch_at_absent patch_at_present patch_at_exactly patch_at_stale
                patch_at_predecessor
                delete_absent_any delete_absent_absent delete_absent_present
                delete_absent_exactly delete_deleted_exactly
                delete_at_any delete_at_absent delete_at_present delete_at_exactly
                delete_at_stale delete_at_predecessor
                check_absent_any check_absent_absent check_absent_present check_absent_exactly
                check_deleted_exactly
                check_at_any check_at_absent check_at_present check_at_exactly check_at_stale
                check_at_predecessor
            }
            versions {
                differ_after_each_write
                have_one_text_form
                count_writes_where_counted
                do_not_return_after_delete
                do_not_return_after_drop
            }
            races {
                increments
                creates_have_one_winner
                savers_at_one_version_have_one_winner
                deleters_at_one_version_have_one_winner
                delete_and_create_again
                atomic_bulks_keep_a_sum
            }
            limits {
                keys
                bodies
                loads_and_bulks
                pages
                filters_and_sorts
                undeclared_fields_are_refused
            }
            capabilities {
                name_the_engine
                searches_lag_only_where_said
                stamps_come_from_who_is_said
                closed_stores_say_so
                durable_means_it_is_there_again
                two_stores_on_the_same_data
                refused_before_any_call
            }
            computed {
                see_the_document_as_it_is_written
                keep_the_guard
                that_fail_write_nothing
                belong_to_their_transaction
                without_the_function_are_refused
            }
            transfer {
                copies_there_and_back
            }
            stamps {
                are_told_as_they_are_stored
                are_told_of_bulks
                are_set_whatever_the_body_says
                stay_where_the_write_keeps_them
                stay_in_copies
                are_in_the_values_in_hand
            }
            grants {
                nothing_else_is_carried_out
                what_is_missing_is_refused
                explanations_are_of_what_is_granted
            }
            transactions {
                commit_makes_all_visible
                rollback_undoes_all
                dropping_undoes_all
                abandoning_undoes_all
                closing_undoes_all
                refusals_doom_nothing
                unique_violations_doom
                span_collections
            }
            savepoints {
                nest
                go_with_their_transaction
                are_doomed_alone
            }
            isolation {
                lose_no_update
                writers_outside_wait_their_turn
                readers_outside_see_what_is_committed
                snapshots_stand_still
            }
            cancel {
                creates
                replacements
                patches
                deletes
                bulks
                atomic_bulks
                saves_among_others
                reads
                schema_changes
                begins
                calls_within_transactions
                commits
                rollbacks
            }
            queries {
                filters_agree
                sorts_agree
                pages_agree
                pages_hold_while_documents_change
                at_most_totals
            }
            filters {
                wildcards
                ids
                ids_with_routing
                text
                nested
                native_of_another_engine
                functions_that_are_not_there
            }
            calls {
                compare_what_functions_make
                functions_that_fail
                native_conditions
            }
            paging {
                no_document_twice_or_missing
                cursors_of_other_queries
                routing
            }
            scans {
                pieces_make_up_the_whole
                routing
                one_state_while_documents_change
                one_state_among_writers
                several_at_once
                dropped_ones_leave_the_store_working
                closed_ones_are_over
                end_with_the_store
                within_transactions
            }
            matching {
                sent_again_writes_what_is_left
                patches_each_document_once
                deletes_what_matches
                routing
                refused_patches_are_told
                unique_values_are_kept
                within_transactions
                bad_requests_write_nothing
            }
            matching_races {
                changes_are_never_overwritten
                changed_documents_are_not_deleted
                no_patch_is_lost
            }
            groups {
                first_of_each
                rankings
                pages
                keys_of_every_kind
                source_and_routing
                bad_requests
            }
            aggregations {
                metrics
                of_nothing
                mixed_values
                filters_and_routing
                bad_requests
            }
            terms { counts orders_and_sizes of_every_kind }
            buckets {
                histograms
                date_histograms
                filters
                nested
                top_hits
                within_buckets
            }
            explain { every_question writes_nothing }
            questions {
                random_pages
                random_aggregations
                random_groups
                random_scans
                random_matching_writes
            }
            score {
                descends
                tells_what_fits
                pages_visit_each_once
                scans_and_groups
            }
            highlights { show_what_was_asked_for refuse_what_they_cannot_show }
            backward { there_and_back last_page holds_while_documents_change }
            histories {
                agree_with_the_oracle
                with_unique_values_agree
            }
            faults {
                lost_requests_of_saves
                lost_replies_of_saves
                saves_that_hang
                a_rejection_stays_one
                failures_before_the_call_write_nothing
                reads_are_tried_again
                bulks_are_resolved
                atomic_bulks_are_resolved
                competing_writers_on_a_bad_wire
                commits_on_a_bad_wire
                writes_within_transactions_are_not_sent_again
            }
            typed {
                updates_are_retried
                blocks_are_retried_on_conflict
                an_unchanged_save_is_no_write
                conflicts_let_a_caller_merge
                unknown_fields_survive
                a_partial_load_cannot_clobber
                references_load_a_level_at_once
                what_is_resolved_is_never_stored
                pages_and_streams
                stamps_are_filled
                transactions_are_run_again
            }
            linear { saves_loads_and_deletes with_calls_cut_off }
            loads {
                realtime_after_each_write
                order_duplicates_and_missing
                many_keys
                write_ids_and_ages
                never_ensured
                source_include
                source_exclude
                source_patterns
            }
            bulk {
                mixed_outcomes_in_order
                one_key_twice_first_wins
                one_key_in_order
                checks_write_nothing
                many_items
                atomic_takes_effect_as_a_whole
                atomic_fails_as_a_whole
                atomic_names_every_failure
                atomic_is_refused_where_not_granted
            }
            patches {
                set_and_unset
                increment
                overflow_is_invalid
                min_and_max
                append_and_remove
                merge
                rename
                several_in_order_or_none
                unguarded_patches_all_count
            }
            schema {
                ensure_twice_changes_nothing
                ensure_extends
                ensure_with_less_is_no_change
                ensure_refuses_to_change
                ensure_raced
                describe_tells_what_is_kept
                drop_takes_all
                answers_at_the_other_end
            }
            unique {
                one_holder_of_a_value
                a_value_given_up_is_free
                no_value_is_no_violation
                in_bulks
                in_the_order_of_a_bulk
                one_winner_of_a_race
                duplicates_keep_a_field_from_becoming_unique
                refused_where_not_granted
            }
            ids {
                are_stored_apart
                are_changed_and_deleted_apart
                are_found_in_order_of_bytes
            }
            names {
                fields_are_filtered_and_sorted
                fields_are_patched
                values_are_compared_as_bytes
            }
            bodies {
                text_of_any_script
                numbers_at_their_edges
                shapes
            }
            routing {
                one_id_under_two_routings
                found_within_a_routing
                keys_must_fit_the_collection
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __all_cases {
    ($($family:ident { $($case:ident)* })*) => {
        /// Every case.
        pub(crate) static ALL: &[Case] = &[$($(
            Case {
                name: concat!(stringify!($family), "::", stringify!($case)),
                run: |context| Box::pin(async move { $family::$case(&context).await }),
            },
        )*)*];
    };
}

__with_cases! { __all_cases }
