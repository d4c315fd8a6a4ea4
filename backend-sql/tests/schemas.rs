//! Stores that keep to a schema of their own.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::Arc;

use sqlx_core::connection::ConnectOptions;
use sqlx_core::query_scalar::query_scalar;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::{PgConnectOptions, PgConnection, Postgres};
use strongroom_core::error::ErrorKind;
use strongroom_core::model::{
    Body, Expected, FieldDeclaration, Key, Kind, Model, Version, WriteId,
};
use strongroom_core::query::Filter;
use strongroom_core::store::{
    BeginOptions, CountRequest, EnsureRequest, Save, SaveRequest, ScanRequest, Schema, Search,
    Store, Write,
};
use strongroom_sqlx::{PostgresOptions, PostgresStore};

const URL: &str = "postgres://ada@127.0.0.1/app";

async fn admin() -> PgConnection {
    let options: PgConnectOptions = support::url().parse().unwrap();
    options.connect().await.unwrap()
}

async fn drop_schema(name: &str) {
    let name = name.replace('"', "\"\"");
    let sql = format!("SET client_min_messages = warning; DROP SCHEMA \"{name}\" CASCADE");
    let mut connection = admin().await;
    let dropped = raw_sql(AssertSqlSafe(sql)).execute(&mut connection);
    dropped.await.unwrap();
}

async fn put(store: &dyn Store, model: &Arc<Model>, id: &str) -> Version {
    let body = Body::parse(r#"{"k":"same"}"#).unwrap();
    let write = Write::put(Key::new(id).unwrap(), body, Expected::Absent);
    let saved = store.save(SaveRequest::new(model.clone(), write)).await;
    saved.unwrap().version.unwrap()
}

async fn count(store: &dyn Store, model: &Arc<Model>) -> u64 {
    let request = CountRequest::new(model.clone(), Filter::eq("k", "same").unwrap());
    store.count(request).await.unwrap()
}

/// Two stores of different schemas, which have a collection of one name.
async fn apart(options: impl Fn() -> PostgresOptions, names: [&str; 2]) {
    let field = FieldDeclaration::new("k".parse().unwrap(), Kind::Keyword);
    let model = Model::builder("docs")
        .field(field.unique())
        .build()
        .unwrap();
    let mut stores = Vec::new();
    for name in names {
        let store = PostgresStore::connect(options().schema(name).unwrap()).await;
        let store = store.unwrap();
        let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
        assert!(ensured.unwrap().created, "{name}");
        stores.push(store);
    }
    let [a, b] = &stores[..] else { return };
    put(a, &model, "one").await;
    assert_eq!((count(a, &model).await, count(b, &model).await), (1, 0));
    // A transaction and a scan, on connections of their own, look there too.
    let transaction = b.transact().unwrap().begin(BeginOptions::new()).await;
    let transaction = transaction.unwrap();
    put(&*transaction, &model, "one").await;
    transaction.commit().await.unwrap();
    assert!(b.drop_collection(model.name().clone()).await.unwrap());
    let request = ScanRequest::new(model.clone(), Filter::all());
    let mut scan = a.scan(request).await.unwrap();
    assert_eq!(scan.next().await.unwrap().len(), 1);
    // Another process finds all of it.
    let again = PostgresStore::connect(options().schema(names[0]).unwrap()).await;
    assert_eq!(count(&again.unwrap(), &model).await, 1);
    let asked = query_scalar::<Postgres, i64>(
        "SELECT count(*) FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace \
         WHERE relname = 'docs' AND nspname = $1",
    );
    let mut connection = admin().await;
    let tables = asked.bind(names[0]).fetch_one(&mut connection).await;
    assert_eq!(tables.unwrap(), 1);
    for name in names {
        drop_schema(name).await;
    }
}

#[tokio::test]
async fn schemas_do_not_see_each_other() {
    let id = WriteId::random();
    let names = [format!("one-{id}"), format!("two-{id}")];
    apart(support::options, [&names[0], &names[1]]).await;
}

#[tokio::test]
async fn nor_where_each_transaction_is_told_its_schema() {
    let id = WriteId::random();
    let names = [format!("one-{id}"), format!("two-{id}")];
    let pooled = || support::options().transaction_pooler();
    apart(pooled, [&names[0], &names[1]]).await;
}

#[tokio::test]
async fn names_are_names_whatever_they_hold() {
    let id = WriteId::random().to_string();
    let end = &id[..8];
    for hostile in [
        r#"a"b, public; DROP SCHEMA public; --"#,
        r"a\ 'b' -c work_mem=1 \",
        "größe 🦀, $user",
    ] {
        for options in [support::options(), support::options().transaction_pooler()] {
            let (one, two) = (format!("{hostile}{end}"), format!("{end}{hostile}"));
            apart(|| options.clone(), [&one, &two]).await;
        }
    }
}

#[test]
fn names_with_another_meaning_are_refused() {
    let long = "x".repeat(64);
    for name in [
        "",
        "$user",
        "pg_catalog",
        "pg_temp",
        "information_schema",
        "a\0b",
        "a\nb",
        &long,
    ] {
        let refused = PostgresOptions::from_url(URL).unwrap().schema(name);
        let kind = refused.map_err(|error| error.kind()).err();
        assert_eq!(kind, Some(ErrorKind::Config), "{name:?}");
    }
    let longest = "x".repeat(63);
    let options = PostgresOptions::from_url(URL).unwrap();
    assert!(options.schema(longest).is_ok());
}

/// A database that cannot hold every text.
#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    let name = format!("ascii-{}", WriteId::random());
    let mut admin = admin().await;
    let made = format!(
        "CREATE DATABASE \"{name}\" ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' \
         TEMPLATE template0"
    );
    let made = raw_sql(AssertSqlSafe(made)).execute(&mut admin).await;
    made.unwrap();
    let url = support::url();
    let (server, _) = url.rsplit_once('/').unwrap();
    let options = PostgresOptions::from_url(&format!("{server}/{name}")).unwrap();
    let refused = PostgresStore::connect(options).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config, "{refused:?}");
    assert!(refused.message().contains("SQL_ASCII"), "{refused}");
    let dropped = format!("DROP DATABASE \"{name}\" WITH (FORCE)");
    let dropped = raw_sql(AssertSqlSafe(dropped)).execute(&mut admin).await;
    dropped.unwrap();
}

/// A standby, or the former primary after a fail-over, only reads.
#[tokio::test]
async fn a_server_that_only_reads_is_no_defect() {
    let url = support::url();
    let sign = if url.contains('?') { '&' } else { '?' };
    let reads = format!("{url}{sign}options=-c%20default_transaction_read_only%3Don");
    let name = format!("reads-{}", WriteId::random());
    let model = Model::builder("docs").build().unwrap();
    let store = |url: &str| {
        let options = PostgresOptions::from_url(url).unwrap();
        PostgresStore::connect(options.schema(&name).unwrap())
    };
    let writing = store(&url).await.unwrap();
    let ensured = writing.ensure(EnsureRequest::new(model.clone())).await;
    assert!(ensured.unwrap().created);
    let reading = store(&reads).await.unwrap();
    let ensured = reading.ensure(EnsureRequest::new(model.clone())).await;
    assert!(!ensured.unwrap().created);
    assert_eq!(count_all(&reading, &model).await, 0);
    let body = Body::parse("{}").unwrap();
    let write = Write::put(Key::new("a").unwrap(), body, Expected::Absent);
    let refused = reading.save(SaveRequest::new(model.clone(), write)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
    drop((writing, reading));
    drop_schema(&name).await;
}

async fn count_all(store: &dyn Store, model: &Arc<Model>) -> u64 {
    let request = CountRequest::new(model.clone(), Filter::all());
    store.count(request).await.unwrap()
}
