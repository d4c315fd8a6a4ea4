//! Connections that are cut under writes, and what the writes are said to have come to: on the way
//! to the server, to a pooler that lends the server's processes, and behind that.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[path = "cases/cuts.rs"]
mod cuts;
#[path = "support/pooler.rs"]
#[allow(unreachable_pub, reason = "shared by test programs")]
mod pooler;
#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use sqlx_core::connection::ConnectOptions;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnectOptions;
use strongroom_core::error::{ErrorKind, Result};
use strongroom_core::model::Key;
use strongroom_core::store::{BeginOptions, Save, Store};
use strongroom_sqlx::{PostgresOptions, PostgresStore};

use pooler::Pooler;
use support::Named;
use support::proxy::{At, Cut, Proxy};

/// How often each commit is cut.
const ROUNDS: usize = 10;

/// A store behind a pooler.
async fn pooled(url: &str) -> PostgresStore {
    let options = PostgresOptions::from_url(url).unwrap();
    let options = options.transaction_pooler().connections(2);
    PostgresStore::connect(options).await.unwrap()
}

/// Writes a document in a transaction whose commit is cut, and tells what that is said to have come
/// to and whether the document is there.
async fn commit(
    named: &Named,
    (store, proxy): (&PostgresStore, &Proxy),
    cut: Cut,
    id: &str,
) -> (Result<()>, bool) {
    let transact = store.transact().unwrap();
    let transaction = transact.begin(BeginOptions::new()).await.unwrap();
    transaction.save(named.put(id, 1)).await.unwrap();
    proxy.cut(cut, At::Commit);
    let told = transaction.commit().await;
    assert!(proxy.was_cut());
    (told, named.version(Key::new(id).unwrap()).await.is_some())
}

/// A commit is told to be done if the server did it, and not to be if it did not.
async fn commits_are_told(named: &Named, store: &PostgresStore, proxy: &Proxy) {
    for round in 0..ROUNDS {
        let before = commit(named, (store, proxy), Cut::Before, &format!("b{round}")).await;
        let (told, is_there) = before;
        let refused = told.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
        assert!(!is_there, "{round}");
        let after = commit(named, (store, proxy), Cut::After, &format!("a{round}")).await;
        assert_eq!((after.0.map_err(|e| e.kind()), after.1), (Ok(()), true));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_told_where_the_way_to_the_pooler_is_cut() {
    let named = Named::connect(1).await;
    let proxy = Proxy::start(&Pooler::start(&named.url()).await).await;
    let store = pooled(&proxy.url()).await;
    commits_are_told(&named, &store, &proxy).await;
    store.close().await.unwrap();
    named.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_told_where_the_way_from_the_pooler_is_cut() {
    let named = Named::connect(1).await;
    let proxy = Proxy::start(&named.url()).await;
    let store = pooled(&Pooler::start(&proxy.url()).await).await;
    commits_are_told(&named, &store, &proxy).await;
    store.close().await.unwrap();
    named.done().await;
}

/// The pooler has handed the commit on and hears no more of its client. The server is still at it
/// when it is asked what became of it: it does it all the same, or refuses it in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_the_server_is_at_is_waited_for() {
    let named = Named::connect(1).await;
    let options: PgConnectOptions = named.url().parse().unwrap();
    let mut admin = options.connect().await.unwrap();
    let name = &named.name;
    let slow = format!(
        "CREATE FUNCTION \"slow-{name}\"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         PERFORM pg_sleep(0.3); \
         IF NEW.id LIKE 'bad%' THEN RAISE EXCEPTION 'refused'; END IF; RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON \"{name}\" DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION \"slow-{name}\"()"
    );
    raw_sql(AssertSqlSafe(slow))
        .execute(&mut admin)
        .await
        .unwrap();
    let proxy = Proxy::start(&Pooler::start(&named.url()).await).await;
    let store = pooled(&proxy.url()).await;
    for round in 0..3 {
        let (told, is_there) = commit(
            &named,
            (&store, &proxy),
            Cut::Between,
            &format!("good{round}"),
        )
        .await;
        assert_eq!((told.map_err(|e| e.kind()), is_there), (Ok(()), true));
        let (told, is_there) = commit(
            &named,
            (&store, &proxy),
            Cut::Between,
            &format!("bad{round}"),
        )
        .await;
        let refused = told.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
        assert!(!is_there, "{round}");
    }
    store.close().await.unwrap();
    let undo = format!("DROP FUNCTION \"slow-{name}\" CASCADE");
    raw_sql(AssertSqlSafe(undo))
        .execute(&mut admin)
        .await
        .unwrap();
    named.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cut_writes_came_to_is_told_truly_behind_a_pooler() {
    let named = Named::connect(2).await;
    let proxy = Proxy::start(&Pooler::start(&named.url()).await).await;
    let options = PostgresOptions::from_url(&proxy.url()).unwrap();
    // Every write begins a transaction, asks for its number and commits it.
    cuts::all_are_told(named, &proxy, options.transaction_pooler(), [7, 12]).await;
}
