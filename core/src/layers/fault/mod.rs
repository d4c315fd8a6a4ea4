//! Faults on demand, before and after the inner call of every operation of the family.
//!
//! The layer goes directly around the adapter, below the layers of a handle, so that these deal
//! with its faults as with those of an engine. What happens when is the matter of a [`FaultPlan`];
//! what can happen is told at [`Fault`].
//!
//! Dropping a call that a fault holds up leaves what the fault says: nothing was done, or the
//! inner call took effect.

mod plan;

use futures_util::future::BoxFuture;

pub use plan::{Fault, FaultPlan, FaultRule};

use super::call::Subject;
use super::{Call, Enter, Intercept, Reply};
use crate::error::{Error, ErrorKind, Result};

/// Makes calls fail as a plan says.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use strongroom_core::layers::{
///     Fault, FaultLayer, FaultPlan, FaultRule, LayerOptions, Layer, default_stack,
/// };
/// use strongroom_core::memory::MemoryStore;
/// use strongroom_core::Operation;
///
/// let plan = FaultPlan::new();
/// plan.add(FaultRule::new(Fault::ReplyLost).on(Operation::Save).nth(2));
/// let broken = FaultLayer::new(plan.clone()).wrap(Arc::new(MemoryStore::new()));
/// let store = default_stack(broken, &LayerOptions::new());
/// # let _ = store;
/// assert_eq!(plan.faults(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct FaultLayer {
    plan: FaultPlan,
}

impl FaultLayer {
    /// A layer that follows the plan, also as it is changed later.
    #[must_use]
    pub fn new(plan: FaultPlan) -> Self {
        Self { plan }
    }
}

/// What happens to a call under way.
#[derive(Debug)]
pub struct Faulty {
    fault: Fault,
    /// What a lost message means for the call: unknown for a write, a passing failure otherwise.
    lost: ErrorKind,
    subject: Subject,
}

impl Faulty {
    fn error(&self, kind: ErrorKind, what: &str) -> Error {
        self.subject
            .clone()
            .annotate(Error::new(kind, format!("injected fault: {what}")))
    }
}

impl Intercept for FaultLayer {
    type Scope = Faulty;

    fn enter(&self, call: &Call<'_>) -> Enter<Faulty> {
        match self.plan.decide(call) {
            None => Enter::Pass,
            Some(fault) => Enter::Around(Faulty {
                fault,
                lost: if call.is_write() {
                    ErrorKind::Indeterminate
                } else {
                    ErrorKind::Unavailable
                },
                subject: call.subject(),
            }),
        }
    }

    async fn around<T: Reply>(&self, faulty: Faulty, inner: BoxFuture<'_, Result<T>>) -> Result<T> {
        match &faulty.fault {
            Fault::Before(kind) => Err(faulty.error(*kind, "before the call")),
            Fault::RequestLost => Err(faulty.error(faulty.lost, "the request was lost")),
            Fault::After(kind) => {
                drop(inner.await);
                Err(faulty.error(*kind, "after the call"))
            }
            Fault::ReplyLost => {
                drop(inner.await);
                Err(faulty.error(faulty.lost, "the reply was lost"))
            }
            Fault::Delay(delay) => {
                tokio::time::sleep(*delay).await;
                inner.await
            }
            Fault::HangBefore => std::future::pending().await,
            Fault::HangAfter => {
                drop(inner.await);
                std::future::pending().await
            }
            Fault::ItemsLost(items) => {
                let mut reply = inner.await?;
                let outcomes = reply.outcomes().unwrap_or_default();
                for at in items {
                    if let Some(outcome) = outcomes.get_mut(*at) {
                        let what = "the outcome of the item was lost";
                        *outcome = Err(faulty.error(ErrorKind::Indeterminate, what));
                    }
                }
                Ok(reply)
            }
        }
    }
}

#[cfg(test)]
mod tests;
