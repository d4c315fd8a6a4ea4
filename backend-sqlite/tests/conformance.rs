//! The suite on a file at the default settings.
#![allow(clippy::expect_used, reason = "a test ends by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use strongroom_conformance::{Setup, functions};
use strongroom_core::model::{FieldPath, Scalar};
use strongroom_core::query::Native;
use strongroom_core::store::Store;
use strongroom_sqlite::{SqliteOptions, SqliteStore};

struct File {
    folder: tempfile::TempDir,
}

impl Default for File {
    fn default() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder for the test"),
        }
    }
}

impl File {
    fn path(&self) -> PathBuf {
        self.folder.path().join("test.db")
    }
}

impl Setup for File {
    async fn store(&self) -> Arc<dyn Store> {
        let options = SqliteOptions::file(self.path()).functions(functions());
        Arc::new(SqliteStore::open(options).await.expect("the file opens"))
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        Some(self.store().await)
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

strongroom_conformance::suite!(File::default());
