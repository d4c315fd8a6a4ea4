//! Wrappers around any store: what every call passes on its way to an adapter and back.
//!
//! A layer takes an `Arc<dyn Store>` and gives one back. It also wraps the store's transactions,
//! and the savepoints within them, so that a call is seen alike inside and outside of one. Two
//! kinds of layers are built here:
//!
//! - *Around* layers look at a [`Call`] before it goes down and at its outcome when it comes back.
//!   They implement [`Intercept`] once for all operations, and [`Layered`] implements the family
//!   for them: [`TraceLayer`], [`MetricsLayer`], [`TimeoutLayer`], [`CheckLayer`], and for tests
//!   [`RecordLayer`] and [`FaultLayer`]. A layer that has nothing to do with a call costs no box
//!   and no poll.
//! - [`RetryLayer`] makes calls again and finds out what became of writes, and [`CoalesceLayer`]
//!   joins calls, so these implement the family by hand.
//!
//! [`default_stack`] puts the layers of a handle together and tells why they come in that order.
//! Layers for tests go directly around the adapter, below the stack.

mod call;
pub mod check;
pub mod coalesce;
pub mod fault;
mod intercept;
pub mod metrics;
pub mod record;
pub mod retry;
mod stack;
pub mod timeout;
pub mod trace;

use std::fmt::Debug;
use std::sync::Arc;

pub use call::{Call, Reply, Request};
pub use check::CheckLayer;
pub use coalesce::{CoalesceLayer, CoalesceOptions};
pub use fault::{Fault, FaultLayer, FaultPlan, FaultRule};
pub use intercept::{Enter, Intercept, Layered};
#[cfg(feature = "metrics")]
pub use metrics::MetricsMeter;
pub use metrics::{Measured, Meter, MetricsLayer, Retried};
pub use record::{
    REDACTED, RecordBodies, RecordLayer, RecordedCall, RecordedOutcome, RecordedWrite, Recorder,
};
pub use retry::{RetryLayer, RetryOptions};
pub use stack::{Coalesce, LayerOptions, Stack, default_stack};
pub use timeout::{TimeoutLayer, TimeoutOptions};
pub use trace::{TraceIds, TraceLayer};

use crate::store::Store;

/// Something that wraps a store.
///
/// Every [`Intercept`] is one; a layer that needs more than to look at calls implements the family
/// by hand.
pub trait Layer: Debug {
    /// Wraps a store. What comes back MUST hand every call that it does not deal with to `inner`
    /// unchanged, and MUST wrap the store's transactions likewise.
    fn wrap(self, inner: Arc<dyn Store>) -> Arc<dyn Store>;
}

#[cfg(test)]
#[allow(dead_code, reason = "each layer's tests use a part of it")]
mod testing;
