//! What PostgreSQL does otherwise than one would think, and what the store makes of it.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lint does not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;
#[path = "cases/traps.rs"]
mod traps;

use std::time::Duration;

use sqlx_core::connection::ConnectOptions;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnectOptions;
use strongroom_core::error::ErrorKind;
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model};
use strongroom_core::query::{Filter, Native};
use strongroom_core::store::{
    BeginOptions, CountRequest, EnsureRequest, Load, LoadRequest, Save, SaveRequest, Schema,
    Search, Store, Write,
};
use strongroom_sqlx::{PostgresOptions, PostgresStore};

use support::Named;
use support::own::OwnServer;

fn native(condition: &str) -> Filter {
    Filter::Native(Native {
        engine: support::ENGINE.to_owned(),
        condition: condition.to_owned(),
        values: Vec::new(),
    })
}

/// A server may have other defaults than ours, which would change what statements do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defaults_of_the_server_change_nothing() {
    let mut server = OwnServer::new().await;
    let mut settings = support::without_tls();
    settings.extend(
        [
            "default_transaction_isolation=serializable",
            "default_transaction_deferrable=on",
            "standard_conforming_strings=off",
            "backslash_quote=on",
            "bytea_output=escape",
            "datestyle=SQL, DMY",
            "timezone=Asia/Kathmandu",
            "extra_float_digits=-15",
        ]
        .map(str::to_owned),
    );
    server.set(&settings);
    server.start().await;
    let url = server.url("127.0.0.1");
    let open = || PostgresStore::connect(PostgresOptions::from_url(&url).unwrap());
    let (store, other) = (open().await.unwrap(), open().await.unwrap());
    let name = FieldDeclaration::new("name".parse().unwrap(), Kind::Keyword).unique();
    let model = Model::builder("docs").field(name).build().unwrap();
    let ensure = |store: PostgresStore| {
        let request = EnsureRequest::new(model.clone());
        async move { store.ensure(request).await.unwrap().created }
    };
    let made = tokio::join!(ensure(store.clone()), ensure(other.clone()));
    assert_ne!(made.0, made.1);
    let put = |id: &str, expected| {
        let body = Body::parse(format!(r#"{{"name":"{id}\\'"}}"#)).unwrap();
        SaveRequest::new(
            model.clone(),
            Write::put(Key::new(id).unwrap(), body, expected),
        )
    };
    store.save(put("a", Expected::Absent)).await.unwrap();
    let named = Filter::eq("name", "a\\'").unwrap();
    let count = CountRequest::new(model.clone(), named);
    assert_eq!(other.count(count).await.unwrap(), 1);
    // At read committed both see what the other has committed, and neither is refused.
    let one = store.transact().unwrap().begin(BeginOptions::new()).await;
    let two = other.transact().unwrap().begin(BeginOptions::new()).await;
    let (one, two) = (one.unwrap(), two.unwrap());
    let all = || CountRequest::new(model.clone(), Filter::all());
    assert_eq!(one.count(all()).await.unwrap(), 1);
    assert_eq!(two.count(all()).await.unwrap(), 1);
    one.save(put("b", Expected::Absent)).await.unwrap();
    two.save(put("c", Expected::Absent)).await.unwrap();
    one.commit().await.unwrap();
    assert_eq!(two.count(all()).await.unwrap(), 3);
    two.commit().await.unwrap();
    other.close().await.unwrap();
    store.close().await.unwrap();
}

/// With its last words the server says why it ends a connection.
#[tokio::test]
async fn a_connection_that_the_server_ends_is_not_used_again() {
    let named = Named::connect(1).await;
    let url = support::url();
    let sign = if url.contains('?') { '&' } else { '?' };
    let short = format!("{url}{sign}options=-c%20transaction_timeout%3D300");
    let options = PostgresOptions::from_url(&short).unwrap().connections(1);
    let store = PostgresStore::connect(options).await.unwrap();
    store.save(named.put("a", 1)).await.unwrap();
    let slow = CountRequest::new(named.model.clone(), native("pg_sleep(2) IS NULL"));
    let ended = store.count(slow).await.unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::Timeout, "{ended:?}");
    store.save(named.put("a", 2)).await.unwrap();
    let transaction = store.transact().unwrap().begin(BeginOptions::new()).await;
    let transaction = transaction.unwrap();
    tokio::time::sleep(Duration::from_millis(900)).await;
    let ended = transaction.save(named.put("a", 3)).await.unwrap_err();
    let fair = [ErrorKind::Timeout, ErrorKind::Unavailable];
    assert!(fair.contains(&ended.kind()), "{ended:?}");
    drop(transaction);
    store.save(named.put("a", 4)).await.unwrap();
    assert_eq!(named.number("a").await, 4);
    store.close().await.unwrap();
    named.done().await;
}

/// What the server adds to its refusal may hold a whole document.
#[tokio::test]
async fn a_refused_row_is_told_to_nobody() {
    let named = Named::connect(1).await;
    let options: PgConnectOptions = support::url().parse().unwrap();
    let mut admin = options.connect().await.unwrap();
    let check = format!(
        "ALTER TABLE \"{}\" ADD CHECK (body->>'n' <> '4711')",
        named.name
    );
    let checked = raw_sql(AssertSqlSafe(check)).execute(&mut admin).await;
    checked.unwrap();
    let refused = named.store.save(named.put("a", 4711)).await.unwrap_err();
    let told = format!("{refused} {refused:?} {refused:#?}");
    assert!(told.contains("23514") && !told.contains("4711"), "{told}");
    let load = LoadRequest::new(named.model.clone(), vec![Key::new("a").unwrap()]);
    assert!(named.store.load(load).await.unwrap()[0].is_none());
    named.done().await;
}
