//! The suite on documents in memory.
#![allow(clippy::expect_used, reason = "a test ends by panicking")]

use std::sync::Arc;

use strongroom_conformance::{Setup, functions};
use strongroom_core::model::{FieldPath, Scalar};
use strongroom_core::query::Native;
use strongroom_core::store::Store;
use strongroom_sqlite::{SqliteOptions, SqliteStore};

struct Memory;

impl Setup for Memory {
    async fn store(&self) -> Arc<dyn Store> {
        let options = SqliteOptions::memory().functions(functions());
        Arc::new(SqliteStore::open(options).await.expect("memory opens"))
    }

    fn native(&self, field: &FieldPath, value: &Scalar) -> Option<Native> {
        let condition = format!("json_extract(d.body, '$.{field}') = ?");
        Some(Native {
            engine: "sqlite".to_owned(),
            condition,
            values: vec![value.clone()],
        })
    }
}

strongroom_conformance::suite!(Memory);
