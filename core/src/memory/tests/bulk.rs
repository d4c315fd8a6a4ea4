//! Many writes in one call.

use super::*;
use crate::ErrorKind::{self, AlreadyExists, Cancelled, Conflict, NotFound, UniqueViolation};
use crate::model::Version;
use crate::patch::Patch;
use crate::store::{Bulk, BulkItem, BulkRequest, Effect};

async fn bulk(
    store: &MemoryStore,
    model: &Arc<Model>,
    items: Vec<BulkItem>,
    atomic: bool,
) -> Vec<Result<Effect, ErrorKind>> {
    let mut request = BulkRequest::new(model.clone(), items);
    if atomic {
        request = request.atomic();
    }
    let reply = store.bulk(request).await.unwrap();
    reply
        .outcomes
        .into_iter()
        .map(|o| o.map(|r| r.effect).map_err(|e| e.kind()))
        .collect()
}

fn item(id: &str, text: &str, expected: impl Into<Expected>) -> BulkItem {
    Write::put(key(id), body(text), expected).into()
}

fn check(id: &str, expected: impl Into<Expected>) -> BulkItem {
    BulkItem::Check {
        key: key(id),
        expected: expected.into(),
    }
}

/// Everything that the collection holds, with its versions.
async fn contents(store: &MemoryStore, model: &Arc<Model>) -> Vec<(Key, Version, String)> {
    let request = crate::store::FindRequest::new(model.clone(), crate::query::Filter::all());
    let page = crate::store::Search::find(store, request).await.unwrap();
    assert!(page.next.is_none());
    let documents = page.documents.into_iter();
    let text = |d: &RawDocument| d.body.as_str().unwrap().to_owned();
    documents
        .map(|d| (d.key.clone(), d.version, text(&d)))
        .collect()
}

#[tokio::test]
async fn each_item_for_itself_in_order() {
    let (store, model, _) = store().await;
    let version = put(&store, &model, "a", "{}", Expected::Any).await;
    let version = version.unwrap().version.unwrap();
    let patch = Patch::new().increment("n".parse().unwrap(), 1);
    let items = vec![
        item("a", r#"{"n":1}"#, version),
        item("a", r#"{"n":2}"#, version),
        Write::patch(key("a"), patch.clone(), Expected::Present).into(),
        check("a", version),
        check("a", version.next().unwrap().next().unwrap()),
        item("b", "{}", Expected::Absent),
        item("b", "{}", Expected::Absent),
        Write::delete(key("b"), Expected::Any).into(),
        check("b", Expected::Absent),
        check("b", Expected::Present),
        item("b", r#"{"email":"x"}"#, Expected::Absent),
        item("c", r#"{"email":"x"}"#, Expected::Absent),
    ];
    let outcomes = bulk(&store, &model, items, false).await;
    assert_eq!(
        outcomes,
        [
            Ok(Effect::Replaced),
            Err(Conflict),
            Ok(Effect::Patched),
            Err(Conflict),
            Ok(Effect::Checked),
            Ok(Effect::Created),
            Err(AlreadyExists),
            Ok(Effect::Deleted),
            Ok(Effect::Checked),
            Err(NotFound),
            Ok(Effect::Created),
            Err(UniqueViolation),
        ]
    );
    assert_eq!(
        text(&store, &model, "a").await.as_deref(),
        Some(r#"{"n":2}"#)
    );
    assert!(load(&store, &model, "c").await.is_none());
}

#[tokio::test]
async fn an_atomic_bulk_that_fails_leaves_nothing() {
    let (store, model, _) = store().await;
    for (id, text) in [("a", r#"{"email":"a"}"#), ("b", r#"{"email":"b"}"#)] {
        put(&store, &model, id, text, Expected::Any).await.unwrap();
    }
    let before = contents(&store, &model).await;
    let items = vec![
        item("a", r#"{"email":"moved"}"#, Expected::Present),
        item("a", "{}", Version::first(0)),
        item("c", r#"{"email":"a"}"#, Expected::Absent),
        Write::delete(key("b"), Expected::Present).into(),
        item("d", r#"{"email":"b"}"#, Expected::Absent),
        check("x", Expected::Present),
        check("x", Expected::Absent),
        item("e", r#"{"email":"moved"}"#, Expected::Absent),
    ];
    let outcomes = bulk(&store, &model, items, true).await;
    assert_eq!(
        outcomes,
        [
            Err(Cancelled),
            Err(Conflict),
            Err(Cancelled),
            Err(Cancelled),
            Err(Cancelled),
            Err(NotFound),
            Err(Cancelled),
            Err(UniqueViolation),
        ]
    );
    assert_eq!(contents(&store, &model).await, before);
    // The unique values are back with their holders, too.
    for (email, wanted) in [
        ("a", Some(UniqueViolation)),
        ("b", Some(UniqueViolation)),
        ("moved", None),
    ] {
        let text = format!(r#"{{"email":"{email}"}}"#);
        let outcome = put(&store, &model, "new", &text, Expected::Any).await;
        assert_eq!(outcome.err().map(|e| e.kind()), wanted, "{email}");
    }
}

#[tokio::test]
async fn an_atomic_bulk_that_succeeds_takes_effect() {
    let (store, model, _) = store().await;
    let items = vec![
        item("a", r#"{"email":"a"}"#, Expected::Absent),
        Write::delete(key("a"), Expected::Present).into(),
        item("b", r#"{"email":"a"}"#, Expected::Absent),
        check("a", Expected::Absent),
    ];
    let outcomes = bulk(&store, &model, items, true).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let there = contents(&store, &model).await;
    assert_eq!(there.len(), 1);
    assert_eq!(there[0].0, key("b"));
    assert!(bulk(&store, &model, Vec::new(), true).await.is_empty());
}

#[tokio::test]
async fn errors_of_items_say_where() {
    let (store, model, _) = store().await;
    let request = BulkRequest::new(model.clone(), vec![check("x", Expected::Present)]);
    let reply = store.bulk(request).await.unwrap();
    let (at, error) = reply.errors().next().unwrap();
    assert_eq!((at, error.key()), (0, Some(&key("x"))));
    assert_eq!(error.collection(), Some(model.name()));
    let other = Model::builder("other").build().unwrap();
    let outcome = store.bulk(BulkRequest::new(other, Vec::new())).await;
    assert_eq!(kind(outcome), NotFound);
}
