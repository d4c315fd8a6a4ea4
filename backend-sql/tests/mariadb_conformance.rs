//! The conformance suite on a real MariaDB.

#![cfg(feature = "mariadb")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
#[path = "support/mariadb.rs"]
mod support;

use std::sync::Arc;

use strongroom_conformance::Setup;
use strongroom_core::model::{FieldPath, Scalar};
use strongroom_core::query::Native;
use strongroom_core::store::Store;

/// Functions of this server's do not know of which types their arguments are, so it cannot have
/// the suite's.
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
