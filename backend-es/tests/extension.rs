//! Adding fields to a collection that holds documents, on a real server.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::Arc;

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model};
use strongroom_core::query::Filter;
use strongroom_core::store::{
    CountRequest, Load, LoadRequest, MatchingAction, MatchingRequest, Save, SaveRequest, Schema,
    Search, Write,
};
use strongroom_es::EsStore;
use support::{ensure, store};

fn declared(name: &str, fields: &[(&str, Kind)]) -> Arc<Model> {
    let mut builder = Model::builder(name);
    for (path, kind) in fields {
        builder = builder.field(FieldDeclaration::new(path.parse().unwrap(), *kind));
    }
    builder.build().unwrap()
}

fn put(id: &str, n: i64, expected: impl Into<Expected>) -> Write {
    let body = json!({"n": n, "w": format!("number {n}")}).to_string();
    let body = Body::parse(body).unwrap();
    Write::put(Key::new(id).unwrap(), body, expected.into())
}

async fn count(store: &EsStore, model: &Arc<Model>, filter: Filter) -> u64 {
    store.refresh(model.name().clone()).await.unwrap();
    let request = CountRequest::new(model.clone(), filter);
    store.count(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_keep_their_versions_and_are_found_by_the_new_fields() {
    let (ours, theirs) = (store().await, store().await);
    let name = support::builder().build().unwrap().name().to_string();
    let old = declared(&name, &[("k", Kind::Keyword)]);
    ensure(&ours, &old).await;
    let mut versions = Vec::new();
    for n in 0..20 {
        let save = SaveRequest::new(old.clone(), put(&format!("d{n}"), n, Expected::Absent));
        versions.push(theirs.save(save).await.unwrap().version.unwrap());
    }
    let new = declared(
        &name,
        &[
            ("k", Kind::Keyword),
            ("n", Kind::Integer),
            ("w", Kind::Text),
        ],
    );
    ensure(&ours, &new).await;
    assert_eq!(count(&ours, &new, Filter::gte("n", 15).unwrap()).await, 5);

    let keys: Vec<Key> = (0..20)
        .map(|n| Key::new(format!("d{n}")).unwrap())
        .collect();
    let loaded = ours
        .load(LoadRequest::new(new.clone(), keys))
        .await
        .unwrap();
    for (document, version) in loaded.iter().zip(&versions) {
        assert_eq!(document.as_ref().unwrap().version, *version);
    }

    // Who wrote by the former model goes on, guarded by what was known before, and is found.
    let next = SaveRequest::new(old.clone(), put("d0", 100, versions[0]));
    let next = theirs.save(next).await.unwrap().version.unwrap();
    assert_ne!(next, versions[0]);
    let stale = SaveRequest::new(old.clone(), put("d0", 101, versions[0]));
    let error = theirs.save(stale).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.actual_version(), Some(next));
    let delete = Write::delete(Key::new("d1").unwrap(), versions[1]);
    theirs
        .save(SaveRequest::new(old.clone(), delete))
        .await
        .unwrap();
    assert_eq!(count(&ours, &new, Filter::eq("n", 100).unwrap()).await, 1);
    assert_eq!(count(&ours, &new, Filter::exists("n").unwrap()).await, 19);

    let filter = Filter::lt("n", 10).unwrap();
    let matching = MatchingRequest::new(new.clone(), filter, MatchingAction::Delete);
    let reply = ours.write_matching(matching).await.unwrap();
    assert!(reply.failures.is_empty(), "{:?}", reply.failures);
    assert_eq!(reply.written, 8);
    assert_eq!(count(&ours, &new, Filter::all()).await, 11);
    ours.drop_collection(new.name().clone()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_slips_through_while_fields_are_added() {
    let (ours, theirs) = (store().await, store().await);
    let name = support::builder().build().unwrap().name().to_string();
    let old = declared(&name, &[("k", Kind::Keyword)]);
    ensure(&ours, &old).await;
    let new = declared(&name, &[("k", Kind::Keyword), ("n", Kind::Integer)]);
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let mut begun = Some(begun);
    let writer = {
        let old = old.clone();
        tokio::spawn(async move {
            for n in 0..200 {
                // The writer knows the former model by now.
                if n == 10 {
                    begun.take().unwrap().send(()).unwrap();
                }
                let write = put(&format!("d{n}"), n, Expected::Absent);
                theirs
                    .save(SaveRequest::new(old.clone(), write))
                    .await
                    .unwrap();
            }
        })
    };
    has_begun.await.unwrap();
    ensure(&ours, &new).await;
    writer.await.unwrap();
    assert_eq!(count(&ours, &new, Filter::gte("n", 0).unwrap()).await, 200);
    ours.drop_collection(new.name().clone()).await.unwrap();
}
