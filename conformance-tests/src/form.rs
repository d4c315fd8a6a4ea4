//! The forms in which the cases run on a store.

use std::sync::Arc;

use strongroom_core::layers::{LayerOptions, default_stack};
use strongroom_core::store::Store;

/// One of the forms in which the cases run on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The store itself, as the setup makes it.
    Bare,
    /// The store behind `Arc<dyn Store>` that is itself used as a store: every call goes through
    /// the family's forwarding on shared pointers.
    Dynamic,
    /// The store under all layers that users run it under.
    Layered,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Bare, Self::Dynamic, Self::Layered];

    pub(crate) fn of(self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        match self {
            Self::Bare => store,
            Self::Dynamic => Arc::new(store),
            Self::Layered => default_stack(store, &LayerOptions::new()),
        }
    }
}
