//! A server that is stopped and started again under writers.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[path = "cases/restarts.rs"]
mod restarts;
#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx_core::connection::{ConnectOptions, Connection};
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::raw_sql::raw_sql;
use sqlx_postgres::{PgConnectOptions, PgConnection, Postgres};
use strongroom_core::error::ErrorKind;
use strongroom_core::model::{Body, Expected, Key, Model};
use strongroom_core::store::{
    BeginOptions, EnsureRequest, Load, LoadRequest, SaveRequest, Schema, Store, Transaction, Write,
};
use strongroom_sqlx::{PostgresLogin, PostgresOptions, PostgresStore};
use tokio::sync::RwLock;

use support::own::{OwnServer, Stop};
use support::proxy::{At, Cut, Proxy};

/// Has the server take its time with each commit that made a document.
const SLOW: &str = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     PERFORM pg_sleep(600); RETURN NULL; END $$; \
     CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON docs DEFERRABLE INITIALLY DEFERRED \
     FOR EACH ROW EXECUTE FUNCTION slow()";

/// The number of the transaction that the server is committing.
async fn committing(connection: &mut PgConnection) -> i64 {
    let asked = "SELECT backend_xid::text::bigint FROM pg_stat_activity \
         WHERE wait_event = 'PgSleep' AND backend_xid IS NOT NULL";
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found = query_scalar::<Postgres, i64>(asked);
        if let Some(number) = found.fetch_optional(&mut *connection).await.unwrap() {
            return number;
        }
        assert!(Instant::now() < deadline, "no commit is under way");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A store that opens connections only while nobody writes to the gate.
async fn gated(url: &str) -> (PostgresStore, Arc<RwLock<()>>, Arc<Model>) {
    let gate = Arc::new(RwLock::new(()));
    let asked = gate.clone();
    let options = PostgresOptions::from_url(url).unwrap().connections(1);
    let options = options.log_in(move || {
        let asked = asked.clone();
        async move {
            drop(asked.read().await);
            Ok(PostgresLogin::new())
        }
    });
    let store = PostgresStore::connect(options).await.unwrap();
    let model = Model::builder("docs").build().unwrap();
    let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
    assert!(ensured.unwrap().created);
    (store, gate, model)
}

/// Begins a transaction and creates a document in it.
async fn begin(store: &PostgresStore, model: &Arc<Model>, key: &Key) -> Arc<dyn Transaction> {
    let transact = store.transact().unwrap();
    let transaction = transact.begin(BeginOptions::new()).await.unwrap();
    let write = Write::put(key.clone(), Body::from_trusted("{}"), Expected::Absent);
    let saved = transaction.save(SaveRequest::new(model.clone(), write));
    saved.await.unwrap();
    transaction
}

/// Commits a transaction that does nothing else, and tells its number.
async fn next_number(connection: &mut PgConnection) -> i64 {
    let next = query_scalar::<Postgres, i64>("SELECT pg_current_xact_id()::text::bigint");
    next.fetch_one(connection).await.unwrap()
}

/// The answer of a commit is lost, and the server crashes before it is asked what became of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_before_a_crash_is_told() {
    let mut server = OwnServer::new().await;
    server.start().await;
    let url = server.url("127.0.0.1");
    let beside: PgConnectOptions = url.parse().unwrap();
    let proxy = Proxy::start(&url).await;
    let (store, gate, model) = gated(&proxy.url()).await;
    let key = Key::new("a").unwrap();
    let transaction = begin(&store, &model, &key).await;
    proxy.cut(Cut::After, At::Commit);
    let closed = gate.write().await;
    let commit = tokio::spawn(async move { transaction.commit().await });
    let mut connection = beside.connect().await.unwrap();
    let there = || query_scalar::<Postgres, i64>("SELECT count(*) FROM docs");
    let deadline = Instant::now() + Duration::from_secs(60);
    while there().fetch_one(&mut connection).await.unwrap() == 0 {
        assert!(Instant::now() < deadline, "nothing was committed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.stop(Stop::Crash).await;
    server.start().await;
    connection = beside.connect().await.unwrap();
    for _ in 0..3 {
        next_number(&mut connection).await;
    }
    drop(closed);
    commit.await.unwrap().unwrap();
    connection.close().await.unwrap();
    store.close().await.unwrap();
}

/// A transaction is lost in a crash, and its number with it. The server gives that to another one,
/// which it commits: nobody takes that for the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commit_of_another_under_the_same_number_proves_nothing() {
    let mut server = OwnServer::new().await;
    // Nothing gets to the disk until something is committed.
    server.set(&["wal_writer_delay=10s", "autovacuum=off"].map(str::to_owned));
    server.start().await;
    let url = server.url("127.0.0.1");
    let beside: PgConnectOptions = url.parse().unwrap();
    let (store, gate, model) = gated(&url).await;
    let mut connection = beside.connect().await.unwrap();
    raw_sql(SLOW).execute(&mut connection).await.unwrap();
    let mut given_anew = 0;
    for round in 0..10 {
        let key = Key::new(format!("id{round}")).unwrap();
        let transaction = begin(&store, &model, &key).await;
        let commit = tokio::spawn(async move { transaction.commit().await });
        let number = committing(&mut connection).await;
        let closed = gate.write().await;
        server.stop(Stop::Crash).await;
        server.start().await;
        connection = beside.connect().await.unwrap();
        let mut later = Vec::new();
        while later.last().is_none_or(|last| *last < number) {
            later.push(next_number(&mut connection).await);
        }
        drop(closed);
        let told = commit.await.unwrap().unwrap_err();
        let load = LoadRequest::new(model.clone(), vec![key]);
        assert!(store.load(load).await.unwrap().iter().all(Option::is_none));
        if later.contains(&number) {
            assert_eq!(told.kind(), ErrorKind::Indeterminate, "{told:?}");
            given_anew += 1;
        } else {
            // A server that is slow to come back has told nothing in time.
            let fair = [ErrorKind::Unavailable, ErrorKind::Indeterminate];
            assert!(fair.contains(&told.kind()), "{told:?}");
        }
        if given_anew == 2 {
            break;
        }
    }
    assert!(given_anew > 0, "every number had got to the disk");
    connection.close().await.unwrap();
    store.close().await.unwrap();
}
