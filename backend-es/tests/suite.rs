//! The conformance cases that the spike is held to, on a real server.
//!
//! Left out are the cases about adding fields to a collection that holds documents, and about
//! fractions in fields declared as integers: both are `Unsupported`, as the crate's docs say.

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::Arc;

use strongroom_conformance::{Form, Scale, Settings, Setup, check};
use strongroom_core::store::Store;

struct Elasticsearch;

impl Setup for Elasticsearch {
    async fn store(&self) -> Arc<dyn Store> {
        Arc::new(support::store().await)
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        Some(self.store().await)
    }

    fn settings(&self) -> Settings {
        Settings::default().scale(Scale::small())
    }
}

macro_rules! cases {
    ($form:ident $($family:ident { $($case:ident)* })*) => {$(
        mod $family {
            use super::*;
            $(
                #[test]
                fn $case() {
                    let name = concat!(stringify!($family), "::", stringify!($case));
                    check(Elasticsearch, Form::$form, name);
                }
            )*
        }
    )*};
}

cases! { Bare
    writes {
        put_absent_any put_absent_absent put_absent_present put_absent_exactly
        put_deleted_exactly
        put_at_any put_at_absent put_at_present put_at_exactly put_at_stale put_at_predecessor
        patch_absent_any patch_absent_absent patch_absent_present patch_absent_exactly
        patch_deleted_exactly
        patch_at_any patch_at_absent patch_at_present patch_at_exactly patch_at_stale
        patch_at_predecessor
        delete_absent_any delete_absent_absent delete_absent_present delete_absent_exactly
        delete_deleted_exactly
        delete_at_any delete_at_absent delete_at_present delete_at_exactly delete_at_stale
        delete_at_predecessor
        check_absent_any check_absent_absent check_absent_present check_absent_exactly
        check_deleted_exactly
        check_at_any check_at_absent check_at_present check_at_exactly check_at_stale
        check_at_predecessor
    }
    loads {
        never_ensured many_keys order_duplicates_and_missing realtime_after_each_write
        write_ids_and_ages source_exclude source_include
    }
    versions {
        differ_after_each_write do_not_return_after_delete do_not_return_after_drop
        have_one_text_form
    }
    bodies { numbers_at_their_edges shapes text_of_any_script }
    names { fields_are_filtered_and_sorted fields_are_patched values_are_compared_as_bytes }
    ids { are_stored_apart are_changed_and_deleted_apart are_found_in_order_of_bytes }
    routing { found_within_a_routing keys_must_fit_the_collection one_id_under_two_routings }
    bulk {
        many_items mixed_outcomes_in_order checks_write_nothing one_key_twice_first_wins
        one_key_in_order atomic_is_refused_where_not_granted
    }
    patches {
        append_and_remove merge overflow_is_invalid rename set_and_unset
        several_in_order_or_none unguarded_patches_all_count
    }
    schema {
        answers_at_the_other_end describe_tells_what_is_kept drop_takes_all
        ensure_refuses_to_change ensure_twice_changes_nothing ensure_with_less_is_no_change
    }
    unique { refused_where_not_granted }
    linear { saves_loads_and_deletes with_calls_cut_off }
}
