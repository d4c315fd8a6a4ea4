//! The conformance suite on a real OpenSearch, with three primary shards.

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::Arc;

use strongroom_conformance::{Scale, Settings, Setup, suite};
use strongroom_core::model::{FieldPath, Scalar};
use strongroom_core::query::Native;
use strongroom_core::store::Store;

struct OpenSearch;

impl Setup for OpenSearch {
    async fn store(&self) -> Arc<dyn Store> {
        Arc::new(support::store_at(&support::opensearch_url()).await)
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        Some(self.store().await)
    }

    fn native(&self, field: &FieldPath, value: &Scalar) -> Option<Native> {
        Some(support::native("opensearch", field, value))
    }

    fn settings(&self) -> Settings {
        Settings::default()
            .scale(Scale::small())
            .full_scale(Scale::thorough())
    }
}

// The store is handed out behind `Arc<dyn Store>` anyway.
suite!(OpenSearch, bare layered);
