//! The store behind a pooler that lends a server's process for each transaction.
//!
//! The pooler is played by the test.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[path = "support/pooler.rs"]
#[allow(unreachable_pub, reason = "shared by test programs")]
mod pooler;
#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::{Arc, OnceLock};

use sqlx_core::connection::ConnectOptions;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::row::Row;
use sqlx_postgres::PgConnectOptions;
use strongroom_conformance::{Form, Setup, case_names, outcome};
use strongroom_core::model::{FieldPath, Scalar};
use strongroom_core::query::Native;
use strongroom_core::store::{Schema, Store};
use strongroom_sqlx::{PostgresOptions, PostgresStore};

use pooler::Pooler;

/// The server's URL by way of the pooler of this program.
fn url() -> String {
    static URL: OnceLock<String> = OnceLock::new();
    let url = URL.get_or_init(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        // The tests have runtimes of their own, which end before this one.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async move {
                let url = Pooler::start(&support::url()).await;
                sender.send(url).unwrap();
                std::future::pending::<()>().await;
            });
        });
        receiver.recv().unwrap()
    });
    url.clone()
}

struct Pooled;

impl Setup for Pooled {
    async fn store(&self) -> Arc<dyn Store> {
        let options = PostgresOptions::from_url(&url()).unwrap();
        let options = options.transaction_pooler();
        Arc::new(PostgresStore::connect(options).await.unwrap())
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        Some(self.store().await)
    }

    fn native(&self, _field: &FieldPath, _value: &Scalar) -> Option<Native> {
        None
    }
}

/// Runs the cases of these families.
#[track_caller]
fn check(families: &[&str]) {
    let of_these = |name: &&str| {
        let family = name.split("::").next().unwrap();
        families.contains(&family)
    };
    let names: Vec<_> = case_names().filter(of_these).collect();
    assert!(names.len() >= families.len());
    let failed: Vec<_> = names
        .iter()
        .filter_map(|name| Some((name, outcome(Pooled, Form::Dynamic, name).err()?)))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn writes_are_the_same() {
    check(&["writes", "versions", "patches", "stamps"]);
}

#[test]
fn races_and_cuts_are_the_same() {
    check(&["races", "cancel", "unique"]);
}

#[test]
fn bulks_are_the_same() {
    check(&["bulk", "matching"]);
}

#[test]
fn transactions_are_the_same() {
    check(&["transactions", "savepoints", "isolation"]);
}

#[test]
fn questions_are_the_same() {
    check(&["loads", "queries", "scans", "schema", "aggregations"]);
}

#[tokio::test]
async fn the_pooler_is_one_and_is_told_apart() {
    // Of its own: where others borrow all processes but one, that one is lent twice.
    let url = Pooler::start(&support::url()).await;
    let options: PgConnectOptions = url.parse().unwrap();
    let options = options.extra_float_digits(None);
    let mut connection = options.connect().await.unwrap();
    let mut processes = Vec::new();
    for _ in 0..2 {
        let asked = raw_sql("SELECT pg_backend_pid()").fetch_one(&mut connection);
        processes.push(asked.await.unwrap().get::<i32, _>(0));
    }
    assert_ne!(processes[0], processes[1]);
    let plain = PostgresOptions::from_url(&url).unwrap();
    PostgresStore::connect(plain).await.unwrap_err();
    let pooled = PostgresOptions::from_url(&url).unwrap();
    let store = PostgresStore::connect(pooled.transaction_pooler()).await;
    store.unwrap().server_info().await.unwrap();
}
