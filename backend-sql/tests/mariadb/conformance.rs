//! The conformance suite.

use std::sync::Arc;

use strongroom_conformance::Setup;
use strongroom_core::model::{FieldPath, Scalar};
use strongroom_core::query::Native;
use strongroom_core::store::Store;

use crate::support;

struct MariaDb;

impl Setup for MariaDb {
    async fn store(&self) -> Arc<dyn Store> {
        Arc::new(support::store().await)
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        Some(self.store().await)
    }

    fn native(&self, field: &FieldPath, value: &Scalar) -> Option<Native> {
        let path: Vec<_> = field.segments().map(|name| format!("\"{name}\"")).collect();
        let path = path.join(".").replace('\'', "''");
        Some(Native {
            engine: "mariadb".to_owned(),
            condition: format!("JSON_VALUE(d.body, '$.{path}') = ?"),
            values: vec![value.clone()],
        })
    }
}

strongroom_conformance::suite!(MariaDb);
