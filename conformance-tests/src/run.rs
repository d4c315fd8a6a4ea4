//! Runs one case: a runtime of its own, a store in one form, a deadline.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::runtime::Builder;

use crate::cases;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::form::Form;
use crate::setup::Setup;

/// Runs one case, named as `family::case`, and panics with its failure. The tests that
/// [`suite!`](crate::suite) makes call it.
///
/// # Panics
///
/// If the store does not do what it must, with what was done, expected and found.
#[track_caller]
pub fn check<S: Setup>(setup: S, form: Form, case: &str) {
    if let Err(failure) = outcome(setup, form, case) {
        panic!("{case} on the {form:?} store\n  {failure}");
    }
}

/// Runs one case, named as `family::case`, and hands its outcome out. Tests of the suite itself
/// use it to see that a broken store is rejected.
///
/// # Errors
///
/// The failure of a store that does not do what it must, panics within the case included.
pub fn outcome<S: Setup>(setup: S, form: Form, case: &str) -> Outcome {
    let Some(found) = cases::ALL.iter().find(|c| c.name == case) else {
        return Err(Failure::new(format!("there is no case {case:?}")));
    };
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format!("no runtime could be made: {e}")))?;
    let outcome = runtime.block_on(async {
        let context = Arc::new(Context::new(Arc::new(setup), form).await);
        let patience = context.settings().patience;
        let case = AssertUnwindSafe((found.run)(context.clone())).catch_unwind();
        match tokio::time::timeout(patience, case).await {
            Ok(Ok(outcome)) => {
                context.finish().await;
                outcome
            }
            Ok(Err(panic)) => Err(Failure::new(format!(
                "it panicked: {}",
                panic_text(&*panic)
            ))),
            Err(_) => Err(Failure::new(format!(
                "it did not end within {patience:?}: a call hangs, or the store is too slow for these settings"
            ))),
        }
    });
    // A call that hangs in a thread must not keep the test from ending.
    runtime.shutdown_background();
    outcome
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("with a value that is no text")
}
