//! Putting layers together.

use std::sync::Arc;

use super::{
    CheckLayer, CoalesceLayer, CoalesceOptions, Layer, Meter, MetricsLayer, RetryLayer,
    RetryOptions, TimeoutLayer, TimeoutOptions, TraceIds, TraceLayer,
};
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

    /// Puts a layer around what is there, if there is one.
    pub fn layer_if(self, layer: Option<impl Layer>) -> Self {
        match layer {
            Some(layer) => self.layer(layer),
            None => self,
        }
    }

    /// The store with its layers.
    #[must_use]
    pub fn into_store(self) -> Arc<dyn Store> {
        self.store
    }
}

/// Whether single saves and loads that come at once are joined into requests of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Coalesce {
    /// Where the store gains by it, as its
    /// [capabilities](crate::store::Capabilities::gains_by_coalescing) say, with default settings.
    #[default]
    Auto,
    /// Never.
    Off,
    /// With these settings, whatever the store.
    On(CoalesceOptions),
}

impl Coalesce {
    fn layer(&self, store: &Arc<dyn Store>) -> Option<CoalesceLayer> {
        match self {
            Self::Auto if store.capabilities().gains_by_coalescing => {
                Some(CoalesceLayer::default())
            }
            Self::Auto | Self::Off => None,
            Self::On(options) => Some(CoalesceLayer::new(options.clone())),
        }
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
    /// Whether spans name documents.
    pub trace_ids: TraceIds,
    /// What takes the figures of calls; nothing by default.
    pub meter: Option<Arc<dyn Meter>>,
    /// Whether single saves and loads that come at once are joined.
    pub coalesce: Coalesce,
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
/// From the outside in: trace, metrics (if there is a meter), retry, timeout, check, coalescing
/// (where the store gains by it), adapter.
///
/// - Coalescing is innermost: each call that it joins was checked for itself, and its timeout,
///   retries and the resolution of its outcome are its own.
/// - The check is within all others, so that nothing unchecked reaches an adapter, whatever other layers
///   send; it also tells errors what they are about.
/// - The timeout is around each single attempt, so that a hanging attempt is retried or resolved
///   like any other that failed.
/// - The retry layer is outside both, and sees one call of the handle as many attempts.
/// - Spans and figures are outermost: they tell of what a handle asked for and how long that took
///   in all. Retries are counted apart.
///
/// Layers for tests, that record or break calls, go around `store` before it is given here.
#[must_use]
pub fn default_stack(store: Arc<dyn Store>, options: &LayerOptions) -> Arc<dyn Store> {
    let coalesce = options.coalesce.layer(&store);
    Stack::new(store)
        .layer_if(coalesce)
        .layer(CheckLayer::new())
        .layer(TimeoutLayer::new(options.timeout.clone()))
        .layer(RetryLayer::new(options.retry.clone()).meter(options.meter.clone()))
        .layer_if(options.meter.clone().map(MetricsLayer::new))
        .layer(TraceLayer::new(options.trace_ids))
        .into_store()
}
