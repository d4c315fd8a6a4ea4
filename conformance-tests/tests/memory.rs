//! The in-memory store, which is the suite's oracle, passes the suite.

use std::sync::Arc;

use strongroom_conformance::Setup;
use strongroom_core::memory::MemoryStore;
use strongroom_core::store::Store;

struct Memory;

impl Setup for Memory {
    async fn store(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }
}

strongroom_conformance::suite!(Memory);
