//! Putting layers together.

use std::sync::Arc;

use super::{CheckLayer, Layer, RetryLayer, RetryOptions, TimeoutLayer, TimeoutOptions};
use crate::store::Store;

/// A store with layers around it, built from the inside out.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use strongroom_core::layers::{CheckLayer, Stack, TimeoutLayer};
/// use strongroom_core::store::Store;
///
/// fn wrap(adapter: Arc<dyn Store>) -> Arc<dyn Store> {
///     Stack::new(adapter)
///         .layer(CheckLayer::new())
///         .layer(TimeoutLayer::default())
///         .into_store()
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Stack {
    store: Arc<dyn Store>,
}

impl Stack {
    /// Begins with the innermost store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Puts a layer around what is there.
    pub fn layer(self, layer: impl Layer) -> Self {
        Self {
            store: layer.wrap(self.store),
        }
    }

    /// The store with its layers.
    #[must_use]
    pub fn into_store(self) -> Arc<dyn Store> {
        self.store
    }
}

/// The settings of the layers that a handle puts around its store.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LayerOptions {
    /// How long calls may take.
    pub timeout: TimeoutOptions,
    /// How often calls are tried again, and how unknown outcomes are resolved.
    pub retry: RetryOptions,
}

impl LayerOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// Puts the layers of a handle around an adapter.
///
/// From the outside in: retry, timeout, check, adapter.
///
/// - The check is innermost, so that nothing unchecked reaches an adapter, whatever other layers
///   send; it also tells errors what they are about.
/// - The timeout is around each single attempt, so that a hanging attempt is retried or resolved
///   like any other that failed.
#[must_use]
pub fn default_stack(store: Arc<dyn Store>, options: &LayerOptions) -> Arc<dyn Store> {
    Stack::new(store)
        .layer(CheckLayer::new())
        .layer(TimeoutLayer::new(options.timeout.clone()))
        .layer(RetryLayer::new(options.retry.clone()))
        .into_store()
}
