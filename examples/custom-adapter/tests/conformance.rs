//! The whole suite runs on the shelf.

use std::sync::Arc;

use strongroom_conformance::Setup;
use strongroom_core::store::Store;
use strongroom_custom_adapter::ShelfStore;

struct Shelf;

impl Setup for Shelf {
    async fn store(&self) -> Arc<dyn Store> {
        Arc::new(ShelfStore::new())
    }
}

strongroom_conformance::suite!(Shelf);
