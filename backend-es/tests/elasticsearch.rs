//! The conformance suite on a real Elasticsearch, with three primary shards.

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_conformance::{Scale, Settings, Setup, suite};
use strongroom_core::model::{FieldPath, Scalar};
use strongroom_core::query::Native;
use strongroom_core::store::Store;

struct Elasticsearch;

impl Setup for Elasticsearch {
    async fn store(&self) -> Arc<dyn Store> {
        Arc::new(support::store().await)
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        Some(self.store().await)
    }

    fn native(&self, field: &FieldPath, value: &Scalar) -> Option<Native> {
        let part = if matches!(value, Scalar::Text(_)) { "f" } else { "x" };
        Some(Native {
            engine: "elasticsearch".to_owned(),
            condition: json!({"term": {format!("{part}.{field}"): Value::from(value)}}).to_string(),
            values: Vec::new(),
        })
    }

    fn settings(&self) -> Settings {
        Settings::default().scale(Scale::small())
    }
}

suite!(Elasticsearch);
