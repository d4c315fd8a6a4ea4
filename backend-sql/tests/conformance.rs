//! The conformance suite on a real server.

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::Arc;

use strongroom_conformance::Setup;
use strongroom_core::model::{FieldPath, Scalar};
use strongroom_core::query::Native;
use strongroom_core::store::Store;

struct Postgres;

impl Setup for Postgres {
    async fn store(&self) -> Arc<dyn Store> {
        Arc::new(support::store().await)
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        Some(self.store().await)
    }

    fn native(&self, field: &FieldPath, value: &Scalar) -> Option<Native> {
        let path: Vec<_> = field.segments().map(|name| format!("\"{name}\"")).collect();
        let path = path.join(",").replace('\'', "''");
        let condition = format!("d.body #> '{{{path}}}' = to_jsonb(?)");
        Some(Native {
            engine: "postgresql".to_owned(),
            condition,
            values: vec![value.clone()],
        })
    }
}

strongroom_conformance::suite!(Postgres);
