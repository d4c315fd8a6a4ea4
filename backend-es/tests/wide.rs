//! As many fields as a model may declare, and as deep as they may lie.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use serde_json::{Map, Value, json};
use strongroom_core::model::{
    Body, Expected, FieldDeclaration, Key, Kind, MAX_DEPTH, MAX_FIELDS, Model, ModelBuilder,
    WriteId,
};
use strongroom_core::query::Filter;
use strongroom_core::store::{CountRequest, Save, SaveRequest, Schema, Search, Write};
use strongroom_es::EsStore;
use support::{ensure, opensearch_url, store, store_at};

/// A model with a name of its own.
fn named(name: &str) -> ModelBuilder {
    Model::builder(format!("{name}-{}", WriteId::random()))
}

/// A collection with a document that has a value in each field; the filters find it.
async fn keeps(store: &EsStore, model: &std::sync::Arc<Model>, body: Value, filters: Vec<Filter>) {
    ensure(store, model).await;
    let body = Body::parse(body.to_string()).unwrap();
    let write = Write::put(Key::new("a").unwrap(), body, Expected::Absent);
    let save = SaveRequest::new(model.clone(), write);
    store.save(save).await.unwrap();
    store.refresh(model.name().clone()).await.unwrap();
    for filter in filters {
        let count = CountRequest::new(model.clone(), filter);
        assert_eq!(store.count(count).await.unwrap(), 1);
    }
    store.drop_collection(model.name().clone()).await.unwrap();
}

async fn widest(store: EsStore) {
    let path = |n: usize| format!("at{n}");
    let mut builder = named("wide");
    let mut body = Map::new();
    for n in 0..MAX_FIELDS {
        // Of all kinds this one is kept in the most ways.
        let field = FieldDeclaration::new(path(n).parse().unwrap(), Kind::Timestamp);
        builder = builder.field(field);
        body.insert(path(n), n.into());
    }
    let last = Filter::eq(&path(MAX_FIELDS - 1), 999).unwrap();
    let model = builder.build().unwrap();
    keeps(&store, &model, body.into(), vec![last]).await;
}

async fn deepest(store: EsStore) {
    let mut builder = named("deep");
    let mut path = "o".to_owned();
    let mut body = json!("here");
    for depth in 1..MAX_DEPTH {
        let field = FieldDeclaration::new(path.parse().unwrap(), Kind::Nested).many();
        builder = builder.field(field);
        path += ".o";
        // A body may be as deep as a path, where each array counts as well.
        if depth < MAX_DEPTH / 2 {
            body = json!([{"o": body}]);
        }
    }
    builder = builder.field(FieldDeclaration::new(path.parse().unwrap(), Kind::Keyword));
    let model = builder.build().unwrap();
    keeps(&store, &model, json!({"o": body}), Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn elasticsearch_keeps_them() {
    widest(store().await).await;
    deepest(store().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opensearch_keeps_them() {
    widest(store_at(&opensearch_url()).await).await;
    deepest(store_at(&opensearch_url()).await).await;
}
