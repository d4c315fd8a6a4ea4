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
use strongroom_sqlx::{PostgresOptions, PostgresStore};

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

/// A store with a collection on a server.
async fn connect(url: &str) -> (PostgresStore, Arc<Model>) {
    let options = PostgresOptions::from_url(url).unwrap().connections(1);
    let store = PostgresStore::connect(options).await.unwrap();
    let model = Model::builder("docs").build().unwrap();
    let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
    assert!(ensured.unwrap().created);
    (store, model)
}

/// A connection beside the store.
async fn beside(server: &OwnServer) -> PgConnection {
    let options: PgConnectOptions = server.url("127.0.0.1").parse().unwrap();
    options.connect().await.unwrap()
}

async fn is_there(store: &PostgresStore, model: &Arc<Model>, key: &Key) -> bool {
    let load = LoadRequest::new(model.clone(), vec![key.clone()]);
    let loaded = store.load(load).await.unwrap();
    loaded.iter().all(Option::is_some)
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
    let proxy = Proxy::start(&server.url("127.0.0.1")).await;
    let (store, model) = connect(&proxy.url()).await;
    let key = Key::new("a").unwrap();
    let transaction = begin(&store, &model, &key).await;
    proxy.cut(Cut::Late, At::Commit);
    let commit = tokio::spawn(async move { transaction.commit().await });
    let mut connection = beside(&server).await;
    let there = || query_scalar::<Postgres, i64>("SELECT count(*) FROM docs");
    let deadline = Instant::now() + Duration::from_secs(60);
    while there().fetch_one(&mut connection).await.unwrap() == 0 {
        assert!(Instant::now() < deadline, "nothing was committed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.stop(Stop::Crash).await;
    server.start().await;
    connection = beside(&server).await;
    for _ in 0..3 {
        next_number(&mut connection).await;
    }
    proxy.cut_now();
    commit.await.unwrap().unwrap();
    assert!(is_there(&store, &model, &key).await);
    connection.close().await.unwrap();
    store.close().await.unwrap();
}

/// The server crashes in the middle of a commit. It is waited for until it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_a_crash_undid_is_told() {
    let mut server = OwnServer::new().await;
    server.start().await;
    let (store, model) = connect(&server.url("127.0.0.1")).await;
    let mut connection = beside(&server).await;
    raw_sql(SLOW).execute(&mut connection).await.unwrap();
    let key = Key::new("a").unwrap();
    let transaction = begin(&store, &model, &key).await;
    let commit = tokio::spawn(async move { transaction.commit().await });
    committing(&mut connection).await;
    let began = Instant::now();
    server.stop(Stop::Crash).await;
    server.start().await;
    // A server that is slow to come back has told nothing in time.
    let was_slow = began.elapsed() > Duration::from_secs(4);
    let told = commit.await.unwrap().unwrap_err().kind();
    let late = was_slow && told == ErrorKind::Indeterminate;
    assert!(told == ErrorKind::Unavailable || late, "{told:?}");
    assert!(!is_there(&store, &model, &key).await);
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
    let proxy = Proxy::start(&server.url("127.0.0.1")).await;
    let (store, model) = connect(&proxy.url()).await;
    let mut connection = beside(&server).await;
    raw_sql(SLOW).execute(&mut connection).await.unwrap();
    let mut given_anew = 0;
    for round in 0..10 {
        let key = Key::new(format!("id{round}")).unwrap();
        let transaction = begin(&store, &model, &key).await;
        proxy.cut(Cut::Late, At::Commit);
        let commit = tokio::spawn(async move { transaction.commit().await });
        let number = committing(&mut connection).await;
        server.stop(Stop::Crash).await;
        server.start().await;
        connection = beside(&server).await;
        let mut later = Vec::new();
        while later.last().is_none_or(|last| *last < number) {
            later.push(next_number(&mut connection).await);
        }
        proxy.cut_now();
        let told = commit.await.unwrap().unwrap_err().kind();
        assert!(!is_there(&store, &model, &key).await);
        if later.contains(&number) {
            assert_eq!(told, ErrorKind::Indeterminate);
            given_anew += 1;
        } else {
            assert_eq!(told, ErrorKind::Unavailable);
        }
        if given_anew == 2 {
            break;
        }
    }
    assert!(given_anew > 0, "every number had got to the disk");
    connection.close().await.unwrap();
    store.close().await.unwrap();
}
