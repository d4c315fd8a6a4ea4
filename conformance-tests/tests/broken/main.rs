//! The suite tests itself: stores that each break one promise are rejected, by the case that is
//! there for it, while the store below them passes every case.
//!
//! Each broken store is the in-memory store with one method altered.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this is test code, outside of the functions that clippy knows as tests"
)]

mod aggregates;
mod bulks;
mod computed;
mod loads;
mod others;
mod pages;
mod transactions;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use strongroom_conformance::{Alter, Form, Setup, altered, case_names, functions, outcome};
use strongroom_core::memory::{MemoryOptions, MemoryStore};
use strongroom_core::store::Store;

/// A setup whose stores are the in-memory store, altered.
struct Broken<F>(F);

impl<A: Alter, F: Fn() -> A + Send + Sync + 'static> Setup for Broken<F> {
    async fn store(&self) -> Arc<dyn Store> {
        let wait = Duration::from_millis(500);
        let options = MemoryOptions::new().wait(wait).functions(functions());
        altered(Arc::new(MemoryStore::with_options(options)), (self.0)())
    }
}

/// Checks that a broken store is rejected by this case, on its own and under all layers, and that
/// what rejects it says something of this.
#[track_caller]
fn rejected<A: Alter>(broken: fn() -> A, case: &str, says: &str) {
    rejected_in(Form::Bare, broken, case, says);
    rejected_in(Form::Layered, broken, case, says);
}

/// Checks the same of one form only: for cases that do less on the other forms, and for stores
/// whose defect the layers make good.
#[track_caller]
fn rejected_in<A: Alter>(form: Form, broken: fn() -> A, case: &str, says: &str) {
    match outcome(Broken(broken), form, case) {
        Ok(()) => panic!("{case} passes a broken store, {form:?}"),
        Err(failure) => {
            let text = failure.to_string();
            assert!(
                text.contains(says),
                "{case} rejects a broken store, {form:?}, without saying {says:?}: {text}"
            );
        }
    }
}

/// An alteration of nothing: the wrapper itself breaks no promise.
#[derive(Debug)]
struct Unbroken;

impl Alter for Unbroken {}

#[test]
fn the_wrapper_itself_passes_every_case() {
    for case in case_names() {
        if let Err(failure) = outcome(Broken(|| Unbroken), Form::Bare, case) {
            panic!("{case}: {failure}");
        }
    }
}

#[test]
fn a_case_that_is_not_there_is_an_error() {
    let failure = outcome(Broken(|| Unbroken), Form::Bare, "writes::none").unwrap_err();
    assert!(failure.to_string().contains("no case"), "{failure}");
}
