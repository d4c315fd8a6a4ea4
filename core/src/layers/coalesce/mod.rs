//! Joining single saves and loads that come at once into requests of many.
//!
//! Where every call is a round trip to a server, hundreds of tasks that save one document each are
//! served many times faster if their saves travel together. While requests are in flight, those
//! that come gather; when one is answered, all that gathered is sent as one. There is no timer: a
//! call that comes alone goes out at once and costs a lock.
//!
//! - Each caller gets the outcome of its own call, as if it had been made alone.
//! - Two writes of one document are never in flight at the same time, and go out in the order in
//!   which they came.
//! - A caller that goes away takes its call back if it was not sent, and harms no other.
//! - A bulk that fails because of one of its items is made again as single saves.
//! - The queue is bounded: callers that find it full wait for room.
//!
//! Transactions, bulks and searches go through as they are.

mod lane;
mod loads;
mod saves;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};

use self::lane::{Job, Lane, LaneLimits};
use super::Layer;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CollectionName, RawDocument};
use crate::store::{
    Bulk, Load, LoadRequest, Receipt, Save, SaveRequest, Schema, Search, Store, pass_on,
};

/// A load of more keys than this is no single load, and goes through as it is.
const MOST_KEYS: usize = 16;
/// How many calls of a request that failed as a whole are made again at a time.
const SINGLES: usize = 8;

/// Whether and how far saves and loads are joined.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoalesceOptions {
    /// How many requests of saves, and how many of loads, to one collection are in flight at once:
    /// 2 by default, at least 1.
    pub in_flight: usize,
    /// How many saves or loads one request has at most: 1,000 by default, and no more than the
    /// store takes.
    pub max_items: usize,
    /// How many bytes the bodies of one request have together at most, unless one body alone has
    /// more: 8 MiB by default.
    pub max_bytes: usize,
    /// How many calls to one collection wait at most before further callers wait for room: 10,000
    /// by default.
    pub max_queued: usize,
}

impl Default for CoalesceOptions {
    fn default() -> Self {
        Self {
            in_flight: 2,
            max_items: 1_000,
            max_bytes: 8 * 1024 * 1024,
            max_queued: 10_000,
        }
    }
}

/// Joins single saves and loads; see the [module](self).
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use strongroom_core::layers::{CoalesceLayer, CoalesceOptions, Layer};
/// use strongroom_core::memory::MemoryStore;
///
/// let mut options = CoalesceOptions::default();
/// options.max_items = 200;
/// let store = CoalesceLayer::new(options).wrap(Arc::new(MemoryStore::new()));
/// # let _ = store;
/// ```
#[derive(Clone, Debug, Default)]
pub struct CoalesceLayer {
    options: CoalesceOptions,
}

impl CoalesceLayer {
    /// The layer with these settings.
    #[must_use]
    pub fn new(options: CoalesceOptions) -> Self {
        Self { options }
    }
}

impl Layer for CoalesceLayer {
    fn wrap(self, inner: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(Coalescing {
            inner,
            options: self.options,
            lanes: RwLock::default(),
        })
    }
}

struct Coalescing {
    inner: Arc<dyn Store>,
    options: CoalesceOptions,
    lanes: RwLock<HashMap<CollectionName, Lanes>>,
}

/// The lanes of one collection.
struct Lanes {
    saves: Arc<Lane<SaveRequest>>,
    loads: Arc<Lane<LoadRequest>>,
}

impl Coalescing {
    /// One of the lanes of a collection.
    fn lane<J: Job>(
        &self,
        collection: &CollectionName,
        of: impl Fn(&Lanes) -> &Arc<Lane<J>>,
    ) -> Arc<Lane<J>> {
        let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(lanes) = lanes.get(collection) {
            return of(lanes).clone();
        }
        drop(lanes);
        let mut lanes = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
        let lanes = lanes.entry(collection.clone());
        of(lanes.or_insert_with(|| self.new_lanes())).clone()
    }

    fn new_lanes(&self) -> Lanes {
        let can = self.inner.capabilities();
        let limits = |most: usize| LaneLimits {
            in_flight: self.options.in_flight.max(1),
            items: self.options.max_items.min(most).max(1),
            bytes: self.options.max_bytes,
            queued: self.options.max_queued.max(1),
        };
        let (saving, loading) = (self.inner.clone(), self.inner.clone());
        Lanes {
            saves: Lane::new(
                limits(can.max_bulk_items),
                Arc::new(move |jobs| saves::run(saving.clone(), jobs)),
            ),
            loads: Lane::new(
                limits(can.max_load_keys),
                Arc::new(move |jobs| loads::run(loading.clone(), jobs)),
            ),
        }
    }
}

impl fmt::Debug for Coalescing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalescing")
            .field("inner", &self.inner)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Whether an error of a request is that of each of its items: the engine did not get to look at
/// them, or nobody knows whether it did.
fn is_of_all(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable
            | ErrorKind::Timeout
            | ErrorKind::Indeterminate
            | ErrorKind::Unauthorized
            | ErrorKind::Cancelled
    )
}

fn told_to_each<T>(error: Error, items: usize) -> Vec<Result<T>> {
    let error = Arc::new(error);
    let copies = std::iter::repeat_with(|| Err(Error::copy_of(&error)));
    copies.take(items).collect()
}

/// Makes calls one by one, some of them at a time.
async fn each<J, T, F>(jobs: Vec<J>, call: impl Fn(J) -> F) -> Vec<Result<T>>
where
    F: Future<Output = Result<T>>,
{
    let calls = jobs.into_iter().map(call);
    stream::iter(calls).buffered(SINGLES).collect().await
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Load for Coalescing {
    async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>> {
        if request.keys.len() > MOST_KEYS {
            return self.inner.load(request).await;
        }
        let lane = self.lane(request.model.name(), |lanes| &lanes.loads);
        if let Some(_place) = lane.enter(None) {
            return self.inner.load(request).await;
        }
        match lane.join(request).await {
            Ok(outcome) => outcome,
            Err(request) => self.inner.load(request).await,
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Save for Coalescing {
    async fn save(&self, request: SaveRequest) -> Result<Receipt> {
        let lane = self.lane(request.model.name(), |lanes| &lanes.saves);
        if let Some(_place) = lane.enter(Some(&request.write.key)) {
            return self.inner.save(request).await;
        }
        match lane.join(request).await {
            Ok(outcome) => outcome,
            Err(request) => self.inner.save(request).await,
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl Bulk for Coalescing {
    pass_on!(|store| store.inner => Bulk);
}

#[deny(clippy::missing_trait_methods)]
impl Search for Coalescing {
    pass_on!(|store| store.inner => Search);
}

#[deny(clippy::missing_trait_methods)]
impl Schema for Coalescing {
    pass_on!(|store| store.inner => Schema);
}

#[deny(clippy::missing_trait_methods)]
impl Store for Coalescing {
    pass_on!(|store| store.inner => Store);
}
