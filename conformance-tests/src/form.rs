//! The forms in which the cases run on a store.

use std::sync::Arc;

use strongroom_core::layers::{
    FaultLayer, FaultPlan, Layer, LayerOptions, Measured, Meter, RecordLayer, Recorder, Retried,
    default_stack,
};
use strongroom_core::store::Store;

/// One of the forms in which the cases run on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The store itself, as the setup makes it.
    Bare,
    /// The store behind `Arc<dyn Store>` that is itself used as a store: every call goes through
    /// the family's forwarding on shared pointers.
    Dynamic,
    /// The store under all layers there are: those that every handle has, metrics, a recorder, and
    /// faults of which none happens.
    Layered,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Bare, Self::Dynamic, Self::Layered];

    pub(crate) fn of(self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        match self {
            Self::Bare => store,
            Self::Dynamic => Arc::new(store),
            Self::Layered => {
                // Those of tests and tools right around the store, then those of every handle.
                let quiet = FaultLayer::new(FaultPlan::new()).wrap(store);
                let recorded = RecordLayer::new(Recorder::with_capacity(100)).wrap(quiet);
                let mut options = LayerOptions::new();
                options.meter = Some(Arc::new(Unread));
                default_stack(recorded, &options)
            }
        }
    }
}

/// Takes figures and forgets them, so that the layer that measures is there.
#[derive(Debug)]
struct Unread;

impl Meter for Unread {
    fn called(&self, _: &Measured<'_>) {}

    fn retried(&self, _: &Retried<'_>) {}
}
