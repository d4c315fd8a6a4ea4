//! Which indexes the server looks into.

use std::sync::Arc;

use sqlx_core::connection::ConnectOptions;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_mysql::MySqlConnectOptions;
use strongroom_core::model::{
    Body, Expected, FieldDeclaration, FieldPath, Key, Kind, Model, WriteId,
};
use strongroom_core::query::{Filter, Sort, Words};
use strongroom_core::store::{
    Bulk, BulkRequest, EnsureRequest, ExplainRequest, FindRequest, PageStart, Schema, Search, Write,
};
use strongroom_sql::mariadb::short_name;
use strongroom_sqlx::MariaDbStore;

use crate::support;

async fn plan(store: &MariaDbStore, find: FindRequest) -> String {
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
    // The server counts by itself as well, but later.
    let options: MySqlConnectOptions = support::url().parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    let analyze = format!("ANALYZE TABLE `{}`", short_name(model.name().as_str()));
    raw_sql(AssertSqlSafe(analyze))
        .execute(&mut connection)
        .await
        .unwrap();
    for filter in [
        Filter::eq("k", "k7").unwrap(),
        Filter::is_in("o.n", [7, 8]).unwrap(),
        Filter::eq("x", 7.5).unwrap(),
        Filter::gt("at", 3_990).unwrap(),
        Filter::prefix("k", "k39").unwrap(),
    ] {
        let plan = plan(&store, FindRequest::new(model.clone(), filter.clone())).await;
        assert!(
            plan.contains(":i:") || plan.contains('~'),
            "{filter:?}: {plan}"
        );
        assert!(!plan.contains("type: ALL"), "{filter:?}: {plan}");
    }
    let mut page = FindRequest::new(model.clone(), Filter::all());
    page.sort = vec![Sort::ascending(path("k"))];
    let first = plan(&store, page.clone()).await;
    let found = store.find(page.clone()).await.unwrap();
    page.start = PageStart::After(found.next.unwrap());
    let second = plan(&store, page.clone()).await;
    page.sort = vec![Sort::ascending(path("o.n")).missing_first()];
    page.start = PageStart::First;
    let third = plan(&store, page.clone()).await;
    for plan in [&first, &second] {
        // The keys are read from the index, and the documents by their keys.
        assert!(plan.contains("Using index"), "{plan}");
        assert!(plan.contains("type: eq_ref"), "{plan}");
        assert!(
            !plan.contains("rows: 4000, Extra: Using filesort"),
            "{plan}"
        );
    }
    page.sort = vec![Sort::descending(path("o.n"))];
    let down = plan(&store, page).await;
    assert!(down.contains("ref: v.s0"), "{down}");
    for plan in [first, second, third, down] {
        let scanned = plan
            .lines()
            .filter(|line| line.contains("type: ALL") && !line.contains("table: <"));
        assert_eq!(scanned.count(), 0, "{plan}");
    }
    assert!(store.drop_collection(model.name().clone()).await.unwrap());
}

#[tokio::test]
async fn words_are_looked_up_in_their_index() {
    let store = support::store().await;
    for routed in [false, true] {
        let name = format!("words-{}", WriteId::random());
        let field = |path: &str| FieldDeclaration::new(path.parse().unwrap(), Kind::Text);
        let builder = Model::builder(name.as_str()).field(field("t"));
        let builder = builder.field(field("many").many());
        let builder = if routed { builder.routed() } else { builder };
        let model = builder.build().unwrap();
        let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
        assert!(ensured.unwrap().created);
        let items = (0..2_000).map(|n| {
            let text = format!("common number {n} and {} of many", n % 500);
            let body = format!(r#"{{"t":"{text}","many":["{text}"]}}"#);
            let id = format!("id{n}");
            let key = if routed {
                Key::routed("r", id)
            } else {
                Key::new(id)
            };
            Write::put(key.unwrap(), Body::parse(body).unwrap(), Expected::Absent).into()
        });
        let bulk = BulkRequest::new(model.clone(), items.collect());
        assert!(store.bulk(bulk).await.unwrap().is_ok());
        for field in ["t", "many"] {
            for (text, mode, found) in [
                ("1999", Words::All, 1),
                ("common 1999", Words::All, 1),
                ("number 1999", Words::Phrase, 1),
                ("1998 1999", Words::Any, 2),
                ("common number of many 1999 and 499", Words::All, 1),
                ("nowhere", Words::All, 0),
            ] {
                let filter = Filter::text(field, text, mode).unwrap();
                let find = FindRequest::new(model.clone(), filter);
                let plan = plan(&store, find.clone()).await;
                // The words come first, and the documents by their keys.
                let documents = plan.lines().find(|line| line.contains("table: d,"));
                assert!(
                    documents.is_some_and(|line| line.contains("type: eq_ref")),
                    "{plan}"
                );
                let found_now = store.find(find).await.unwrap().documents.len();
                assert_eq!(found_now, found, "{field}: {text}");
            }
        }
        assert!(store.drop_collection(model.name().clone()).await.unwrap());
    }
}
