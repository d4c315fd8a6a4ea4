//! The in-memory store passes the suite with its saves and loads joined, as far as possible and
//! with next to no room in the queue.

use std::sync::Arc;

use strongroom_conformance::{Setup, functions};
use strongroom_core::layers::{CoalesceLayer, CoalesceOptions, Layer as _};
use strongroom_core::memory::{MemoryOptions, MemoryStore};
use strongroom_core::store::Store;

struct Joined;

impl Setup for Joined {
    async fn store(&self) -> Arc<dyn Store> {
        let options = MemoryOptions::new().functions(functions());
        let mut coalesce = CoalesceOptions::default();
        coalesce.in_flight = 1;
        coalesce.max_queued = 8;
        CoalesceLayer::new(coalesce).wrap(Arc::new(MemoryStore::with_options(options)))
    }
}

strongroom_conformance::suite!(Joined);
