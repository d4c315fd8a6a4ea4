//! The test suite that every Strongroom adapter runs.
//!
//! The author of an adapter writes a [`Setup`] of about ten lines and one macro line,
//! [`suite!`]; each case becomes a `#[test]` of its own, in three forms: on the store itself
//! (`bare`), behind `Arc<dyn Store>` used as a store (`dynamic`), and under all layers
//! (`layered`). What the store must do is said in the docs of `strongroom_core::store`; a case
//! that fails says what was done, what was expected and what was found.
//!
//! Capabilities are checked both ways: what is granted has to work, and what is not has to be
//! refused as `Unsupported`. A case about something that is not granted passes, and says so in
//! its output.
//!
//! `STRONGROOM_FULL=1` in the environment runs the heavy cases at full scale;
//! `STRONGROOM_SEED=<number>` repeats the random cases of a run that failed, which prints it.
#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "this is test code: a case ends by panicking, and says what it did not have to check"
)]
#![allow(
    clippy::cloned_ref_to_slice_refs,
    reason = "expected lists read alike, whether they hold one element or several"
)]

mod alter;
mod answers;
mod cases;
mod context;
mod cut;
mod docs;
mod failure;
mod form;
mod functions;
mod linear;
mod random;
mod renamed;
mod run;
mod setup;
mod strategies;
mod suite;

pub use alter::{Alter, altered};
pub use failure::{Failure, Outcome};
pub use form::Form;
pub use functions::all as functions;
pub use run::{check, outcome};
pub use setup::{Scale, Settings, Setup};
pub use suite::case_names;
