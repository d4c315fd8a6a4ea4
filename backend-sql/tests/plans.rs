//! Which indexes the server looks into.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lint does not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::Arc;

use strongroom_core::model::{
    Body, Expected, FieldDeclaration, FieldPath, Key, Kind, Model, WriteId,
};
use strongroom_core::query::{Filter, Sort};
use strongroom_core::store::{
    Bulk, BulkRequest, EnsureRequest, ExplainRequest, FindRequest, Schema, Search, Write,
};
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
