//! Which indexes the server looks into.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lint does not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::Arc;

use sqlx_core::connection::ConnectOptions;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::PgConnectOptions;
use strongroom_core::model::{
    Body, Expected, FieldDeclaration, FieldPath, Key, Kind, Model, WriteId,
};
use strongroom_core::query::{Filter, Sort, Words};
use strongroom_core::store::{
    Bulk, BulkRequest, EnsureRequest, ExplainRequest, FindRequest, Schema, Search, Write,
};
use strongroom_sql::{Dialect, Postgres};
use strongroom_sqlx::PostgresStore;

async fn plan(store: &PostgresStore, find: FindRequest) -> String {
    let explained = store.explain(ExplainRequest::Find(find)).await.unwrap();
    explained.to_string()
}

#[tokio::test]
async fn indexed_fields_are_looked_up_in_their_indexes() {
    let store = support::store().await;
    // So long that the server knows the indexes by shorter names.
    let name = format!("plans-{}-{}", WriteId::random(), "x".repeat(40));
    let path = |text: &str| text.parse::<FieldPath>().unwrap();
    let mut builder = Model::builder(name);
    for (name, kind) in [
        ("k", Kind::Keyword),
        ("o.n", Kind::Integer),
        ("x", Kind::Float),
        ("at", Kind::Timestamp),
    ] {
        builder = builder.field(FieldDeclaration::new(path(name), kind).indexed());
    }
    let model: Arc<Model> = builder.build().unwrap();
    store
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .unwrap();
    let items = (0..4_000).map(|n| {
        let body = format!(r#"{{"k":"k{n}","o":{{"n":{n}}},"x":{n}.5,"at":{n}}}"#);
        let key = Key::new(format!("id{n}")).unwrap();
        Write::put(key, Body::parse(body).unwrap(), Expected::Absent).into()
    });
    let bulk = BulkRequest::new(model.clone(), items.collect());
    assert!(store.bulk(bulk).await.unwrap().is_ok());
    for filter in [
        Filter::eq("k", "k7").unwrap(),
        Filter::eq("o.n", 7).unwrap(),
        Filter::eq("x", 7.5).unwrap(),
        Filter::eq("at", 7).unwrap(),
    ] {
        let plan = plan(&store, FindRequest::new(model.clone(), filter.clone())).await;
        assert!(plan.contains("Index Cond"), "{filter:?}: {plan}");
    }
    let mut page = FindRequest::new(model.clone(), Filter::all());
    page.sort = vec![Sort::ascending(path("k"))];
    let plan = plan(&store, page).await;
    assert!(
        plan.contains("Index Scan") && !plan.contains("Sort Key"),
        "{plan}"
    );
    assert!(store.drop_collection(model.name().clone()).await.unwrap());
}

/// A collection in which no value comes often, whose fields of several values are indexed or not.
fn several(name: &str, indexed: bool) -> Arc<Model> {
    let mut builder = Model::builder(name);
    for (path, kind) in [
        ("tags", Kind::Keyword),
        ("counts", Kind::Integer),
        ("times", Kind::Timestamp),
        ("flags", Kind::Boolean),
        ("items", Kind::Nested),
        ("items.price", Kind::Float),
    ] {
        let field = FieldDeclaration::new(path.parse().unwrap(), kind).many();
        let is_compared = indexed && kind != Kind::Nested;
        builder = builder.field(if is_compared { field.indexed() } else { field });
    }
    builder.build().unwrap()
}

async fn fill_several(store: &PostgresStore, model: &Arc<Model>, documents: usize) {
    let items: Vec<_> = (0..documents)
        .map(|n| {
            let flag = if n == 7 { "[[true]]" } else { "false" };
            let body = format!(
                r#"{{"tags":["t{n}","u{n}",["v{n}"]],"counts":[{n},-{n}.0],"times":[{n},{n}.5],
                "flags":{flag},"items":[{{"price":{n}}},{{"price":{n}.25}}]}}"#
            );
            let key = Key::new(format!("id{n}")).unwrap();
            Write::put(key, Body::parse(body).unwrap(), Expected::Absent).into()
        })
        .collect();
    for items in items.chunks(5_000) {
        let bulk = BulkRequest::new(model.clone(), items.to_vec());
        assert!(store.bulk(bulk).await.unwrap().is_ok());
    }
}

/// Has the server count what is in a table, as it does by itself, but later. Without that it takes
/// a value to be in every hundredth document.
async fn analyze(table: &str) {
    let options: PgConnectOptions = support::url().parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    let analyze = format!("ANALYZE {table}");
    raw_sql(AssertSqlSafe(analyze))
        .execute(&mut connection)
        .await
        .unwrap();
}

/// Questions of a few documents, which are the answer.
fn questions() -> Vec<(Filter, &'static [&'static str])> {
    let price = Filter::eq("items.price", 7.25).unwrap();
    vec![
        (Filter::eq("tags", "v7").unwrap(), &["id7"]),
        (
            Filter::is_in("tags", ["v7", "t8", "none"]).unwrap(),
            &["id7", "id8"],
        ),
        (Filter::eq("counts", -7).unwrap(), &["id7"]),
        (Filter::eq("times", 7).unwrap(), &["id7"]),
        (Filter::eq("flags", true).unwrap(), &["id7"]),
        (price.clone(), &["id7"]),
        (Filter::nested("items", price).unwrap(), &["id7"]),
    ]
}

#[tokio::test]
async fn values_of_several_are_looked_up_in_their_index() {
    let store = support::store().await;
    let name = format!("several-{}-{}", WriteId::random(), "x".repeat(40));
    let model = several(&name, true);
    let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
    assert!(ensured.unwrap().created);
    fill_several(&store, &model, 20_000).await;
    // One value is looked up even where the server has not counted yet.
    let one = Filter::eq("tags", "v7").unwrap();
    assert_eq!(by_index(&store, &model, one).await, ["id7"]);
    analyze(&Postgres.identifier(&name)).await;
    for (filter, found) in questions() {
        assert_eq!(by_index(&store, &model, filter).await, found);
    }
    assert!(store.drop_collection(model.name().clone()).await.unwrap());
}

#[tokio::test]
async fn a_collection_without_such_an_index_gets_it() {
    let store = support::store().await;
    let name = format!("several-{}", WriteId::random());
    let without = several(&name, false);
    let ensured = store.ensure(EnsureRequest::new(without.clone())).await;
    assert!(ensured.unwrap().created);
    fill_several(&store, &without, 3_000).await;
    let find = FindRequest::new(without.clone(), Filter::eq("tags", "v7").unwrap());
    let scanned = plan(&store, find).await;
    assert!(!scanned.contains("Bitmap Index Scan"), "{scanned}");
    let model = several(&name, true);
    let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
    let report = ensured.unwrap();
    assert!(!report.created && report.added.is_empty(), "{report:?}");
    analyze(&Postgres.identifier(&name)).await;
    for (filter, found) in questions() {
        assert_eq!(by_index(&store, &model, filter).await, found);
    }
    assert!(store.drop_collection(model.name().clone()).await.unwrap());
}

/// A collection of texts, in which one word is rare, one is long, and none is everywhere.
async fn texts(store: &PostgresStore, name: &str) -> Arc<Model> {
    let field = FieldDeclaration::new("t".parse().unwrap(), Kind::Text);
    let model = Model::builder(name).field(field.many()).build().unwrap();
    let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
    assert!(ensured.unwrap().created);
    let long = "x".repeat(5_000);
    let items = (0..2_000).map(|n| {
        let text = match n {
            7 => format!(r#"["The quick, brown FOX", "jumps {long}y"]"#),
            8 => r#"["quick the brown", "Fox"]"#.to_owned(),
            9 => format!(r#""{long}z""#),
            n => format!(r#""number {n} of many""#),
        };
        let body = Body::parse(format!(r#"{{"t":{text}}}"#)).unwrap();
        let key = Key::new(format!("id{n}")).unwrap();
        Write::put(key, body, Expected::Absent).into()
    });
    let bulk = BulkRequest::new(model.clone(), items.collect());
    assert!(store.bulk(bulk).await.unwrap().is_ok());
    model
}

/// The ids of what matches, by an index of words or of several values.
async fn by_index(store: &PostgresStore, model: &Arc<Model>, filter: Filter) -> Vec<String> {
    let find = FindRequest::new(model.clone(), filter);
    let plan = plan(store, find.clone()).await;
    assert!(plan.contains("Bitmap Index Scan"), "{plan}");
    let found = store.find(find).await.unwrap().documents;
    found.iter().map(|d| d.key.id().to_string()).collect()
}

fn words(text: &str, mode: Words) -> Filter {
    Filter::text("t", text, mode).unwrap()
}

#[tokio::test]
async fn words_are_looked_up_in_their_index_and_none_is_missed() {
    let store = support::store().await;
    let model = texts(&store, &format!("words-{}", WriteId::random())).await;
    let long = "x".repeat(4_000);
    for (text, mode, found) in [
        ("quick fox", Words::All, &["id7", "id8"][..]),
        ("brown fox", Words::Phrase, &["id7"]),
        ("quick nowhere", Words::Any, &["id7", "id8"]),
        ("quick nowhere", Words::All, &[]),
        // The index has no more than its beginning, which two words share.
        (&long, Words::All, &[]),
        ("1234", Words::All, &["id1234"]),
    ] {
        assert_eq!(by_index(&store, &model, words(text, mode)).await, found);
    }
    assert!(store.drop_collection(model.name().clone()).await.unwrap());
}

#[tokio::test]
async fn a_database_without_the_indexes_gets_them() {
    let schema = format!("former-{}", WriteId::random());
    let options = || support::options().schema(&*schema).unwrap();
    let store = PostgresStore::connect(options()).await.unwrap();
    let model = texts(&store, "docs").await;
    let of_several = several("several", true);
    let ensured = store.ensure(EnsureRequest::new(of_several.clone())).await;
    assert!(ensured.unwrap().created);
    fill_several(&store, &of_several, 3_000).await;
    let options_of_admin: PgConnectOptions = support::url().parse().unwrap();
    let mut admin = options_of_admin.connect().await.unwrap();
    for (version, without) in [
        (1, "FUNCTION strongroom_terms, strongroom_values"),
        (2, "FUNCTION strongroom_values"),
    ] {
        let undo = format!(
            "SET client_min_messages = warning; SET search_path = \"{schema}\"; \
             DROP {without} CASCADE; UPDATE strongroom_format SET version = {version}"
        );
        raw_sql(AssertSqlSafe(undo))
            .execute(&mut admin)
            .await
            .unwrap();
        let again = PostgresStore::connect(options()).await.unwrap();
        let found = by_index(&again, &model, words("brown fox", Words::Phrase)).await;
        assert_eq!(found, ["id7"]);
        analyze(&format!("\"{schema}\".several")).await;
        for (filter, found) in questions() {
            assert_eq!(by_index(&again, &of_several, filter).await, found);
        }
    }
    // Commands that mend indexes look for functions in no schema but the server's own.
    let mend = format!("REINDEX SCHEMA \"{schema}\"");
    raw_sql(AssertSqlSafe(mend))
        .execute(&mut admin)
        .await
        .unwrap();
    let end = format!("DROP SCHEMA \"{schema}\" CASCADE");
    raw_sql(AssertSqlSafe(end))
        .execute(&mut admin)
        .await
        .unwrap();
}
