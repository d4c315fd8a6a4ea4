//! Ensuring, extending, describing and dropping collections.

use super::*;
use crate::ErrorKind::{NotFound, SchemaMismatch, UniqueViolation};
use crate::store::{EnsureReport, Health};

async fn ensure(store: &MemoryStore, model: &Arc<Model>) -> Result<EnsureReport> {
    store.ensure(EnsureRequest::new(model.clone())).await
}

fn with(fields: Vec<FieldDeclaration>) -> Arc<Model> {
    let builder = Model::builder("users");
    let builder = fields.into_iter().fold(builder, |b, f| b.field(f));
    builder.build().unwrap()
}

#[tokio::test]
async fn created_extended_and_left_alone() {
    let store = MemoryStore::new();
    let a = || declared("a", Kind::Keyword);
    let b = || declared("b.c", Kind::Integer);
    let first = with(vec![a()]);
    assert!(
        store
            .describe(first.name().clone())
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(
        ensure(&store, &first).await.unwrap(),
        EnsureReport::created()
    );
    let nothing = EnsureReport::extended(Vec::new());
    assert_eq!(ensure(&store, &first).await.unwrap(), nothing.clone());
    let wider = with(vec![a().indexed(), b()]);
    let added = EnsureReport::extended(vec!["b.c".parse().unwrap()]);
    assert_eq!(ensure(&store, &wider).await.unwrap(), added);
    // The narrower model still fits, and takes nothing away.
    assert_eq!(ensure(&store, &first).await.unwrap(), nothing);
    put(&store, &first, "x", "{}", Expected::Any).await.unwrap();
    let described = store.describe(first.name().clone()).await.unwrap().unwrap();
    assert_eq!(described.documents, 1);
    assert_eq!(*described.model, *wider);
}

#[tokio::test]
async fn contradictions_change_nothing() {
    let (store, model, _) = store().await;
    let fine = declared("fresh", Kind::Boolean);
    for (clash, named) in [
        (declared("n", Kind::Keyword), "field n"),
        (declared("tags", Kind::Keyword), "field tags"),
        (declared("email.host", Kind::Keyword), "email"),
    ] {
        let clash = with(vec![fine.clone(), clash]);
        let error = ensure(&store, &clash).await.unwrap_err();
        assert_eq!(error.kind(), SchemaMismatch);
        assert!(error.to_string().contains(named), "{error}");
        assert_eq!(error.collection(), Some(model.name()));
    }
    let routed = Model::builder("users").routed().build().unwrap();
    assert_eq!(kind(ensure(&store, &routed).await), SchemaMismatch);
    let described = store.describe(model.name().clone()).await.unwrap().unwrap();
    assert_eq!(*described.model, *model);
}

#[tokio::test]
async fn a_field_becomes_unique_if_its_values_are() {
    let store = MemoryStore::new();
    let plain = with(vec![declared("a", Kind::Integer)]);
    let unique = with(vec![declared("a", Kind::Integer).unique()]);
    ensure(&store, &plain).await.unwrap();
    for (id, text) in [
        ("x", r#"{"a":1}"#),
        ("y", r#"{"a":1.0}"#),
        ("z", r#"{"a":null}"#),
        ("zz", r#"{}"#),
    ] {
        put(&store, &plain, id, text, Expected::Any).await.unwrap();
    }
    let error = ensure(&store, &unique).await.unwrap_err();
    assert_eq!(error.kind(), UniqueViolation);
    assert!(error.message().contains("field a"), "{error}");
    // Nothing became unique.
    put(&store, &plain, "w", r#"{"a":1}"#, Expected::Any)
        .await
        .unwrap();
    for id in ["w", "y"] {
        save(&store, &plain, Write::delete(key(id), Expected::Any))
            .await
            .unwrap();
    }
    ensure(&store, &unique).await.unwrap();
    // It is unique for whoever writes, even by a model that does not say so.
    ensure(&store, &plain).await.unwrap();
    let outcome = put(&store, &plain, "y", r#"{"a":1.0}"#, Expected::Any).await;
    assert_eq!(kind(outcome), UniqueViolation);
}

#[tokio::test]
async fn dropped_and_made_again() {
    let (store, model, _) = store().await;
    let receipt = put(&store, &model, "a", r#"{"email":"a"}"#, Expected::Any).await;
    let old = receipt.unwrap().version.unwrap();
    assert!(store.drop_collection(model.name().clone()).await.unwrap());
    assert!(!store.drop_collection(model.name().clone()).await.unwrap());
    let outcome = put(&store, &model, "a", "{}", Expected::Any).await;
    assert_eq!(kind(outcome), NotFound);
    assert_eq!(kind(store.refresh(model.name().clone()).await), NotFound);
    ensure(&store, &model).await.unwrap();
    assert!(load(&store, &model, "a").await.is_none());
    let receipt = put(&store, &model, "b", r#"{"email":"a"}"#, Expected::Any).await;
    assert_ne!(receipt.unwrap().version, Some(old));
    let receipt = put(&store, &model, "a", "{}", Expected::Any).await;
    assert_ne!(receipt.unwrap().version, Some(old));
}

#[tokio::test]
async fn what_the_store_says_of_itself() {
    let (store, model, _) = store().await;
    let wait = std::time::Duration::ZERO;
    assert_eq!(store.ready(wait).await.unwrap(), Health::Ready);
    assert_eq!(store.server_info().await.unwrap().product, "memory");
    store.refresh(model.name().clone()).await.unwrap();
    let capabilities = store.capabilities();
    assert_eq!(capabilities.engine, "memory");
    assert!(capabilities.transactions && capabilities.savepoints);
    assert!(capabilities.atomic_bulk && capabilities.unique_fields);
    assert!(!capabilities.durable && !capabilities.provable_deletes);
    assert!(!capabilities.search_lags && capabilities.reads_beside_transactions);
}
