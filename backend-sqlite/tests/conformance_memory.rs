//! The suite on documents in memory.
#![allow(clippy::expect_used, reason = "a test ends by panicking")]

use std::sync::Arc;

use strongroom_conformance::Setup;
use strongroom_core::store::Store;
use strongroom_sqlite::{SqliteOptions, SqliteStore};

struct Memory;

impl Setup for Memory {
    async fn store(&self) -> Arc<dyn Store> {
        let options = SqliteOptions::memory();
        Arc::new(SqliteStore::open(options).await.expect("memory opens"))
    }
}

strongroom_conformance::suite!(Memory);
