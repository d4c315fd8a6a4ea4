//! What a service without the adapter would do: a pool of 8 by deadpool-sqlite, each save committed
//! for itself on a thread of the blocking pool. This arm is fixed.

use std::path::Path;

use deadpool_sqlite::{Config, Pool, Runtime};
use strongroom::prelude::Timestamp;

use super::raw::{CACHE_SIZE, Statements};
use crate::documents::Sample;

/// The pool, with the pragmas of the other arms on every connection.
pub async fn open(file: &Path, synchronous: &'static str) -> Pool {
    let config = Config::new(file);
    config
        .builder(Runtime::Tokio1)
        .expect("the configuration is whole")
        .max_size(8)
        .post_create(deadpool_sqlite::Hook::async_fn(move |connection, _| {
            Box::pin(async move {
                connection
                    .interact(move |connection| {
                        connection.pragma_update(None, "journal_mode", "WAL")?;
                        connection.pragma_update(None, "synchronous", synchronous)?;
                        connection.pragma_update(None, "cache_size", CACHE_SIZE)?;
                        connection.busy_timeout(std::time::Duration::from_secs(30))
                    })
                    .await
                    .map_err(|e| deadpool_sqlite::HookError::message(e.to_string()))?
                    .map_err(deadpool_sqlite::HookError::Backend)
            })
        }))
        .build()
        .expect("the pool builds")
}

/// Loads one document.
pub async fn load<T: Sample>(pool: &Pool, statements: &Statements<T>, id: String) -> (T, i64) {
    let connection = pool.get().await.expect("a connection");
    let statements = statements.clone();
    connection
        .interact(move |connection| statements.load(connection, &id))
        .await
        .expect("the closure runs")
        .expect("the statement runs")
        .expect("the document is there")
}

/// Saves one document at its version.
pub async fn save<T: Sample>(
    pool: &Pool,
    statements: &Statements<T>,
    document: T,
    version: i64,
) -> i64 {
    let connection = pool.get().await.expect("a connection");
    let statements = statements.clone();
    connection
        .interact(move |connection| {
            statements.save(connection, &document, version, Timestamp::now())
        })
        .await
        .expect("the closure runs")
        .expect("the statement runs")
        .expect("no other writer")
}
