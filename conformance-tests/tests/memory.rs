//! The in-memory store, which is the suite's oracle, passes the suite.

use std::sync::Arc;

use strongroom_conformance::{Setup, functions};
use strongroom_core::memory::{MemoryOptions, MemoryStore};
use strongroom_core::store::Store;

struct Memory;

impl Setup for Memory {
    async fn store(&self) -> Arc<dyn Store> {
        let options = MemoryOptions::new().functions(functions());
        Arc::new(MemoryStore::with_options(options))
    }
}

strongroom_conformance::suite!(Memory);
