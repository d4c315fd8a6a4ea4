//! What is refused, by which words, and what passes.

use std::sync::Arc;

use super::super::testing::{FakeStore, counter, key};
use super::*;
use crate::error::{ErrorKind, Operation};
use crate::layers::Layer;
use crate::model::{FieldDeclaration, Key, Kind};
use crate::patch::Patch;
use crate::query::{Cursor, Filter, Position};
use crate::store::{BeginOptions, CountRequest, SaveRequest, Store};

fn users() -> Arc<Model> {
    Model::builder("users")
        .field(FieldDeclaration::new("email".parse().unwrap(), Kind::Keyword).unique())
        .build()
        .unwrap()
}

fn put(id: &str) -> Write {
    Write::put(key(id), counter(0), Expected::Any)
}

fn computing(write: Write, field: &str) -> Write {
    write.compute(
        field.parse().unwrap(),
        crate::query::Call::new("f").unwrap(),
    )
}

/// Runs a call against a store that refuses to be called, and hands out the refusal.
async fn refused(
    change: impl FnOnce(&mut Capabilities),
    call: impl AsyncFnOnce(Arc<dyn Store>) -> Result<()>,
) -> Error {
    let fake = FakeStore::with(change);
    let error = call(CheckLayer::new().wrap(fake.clone()))
        .await
        .unwrap_err();
    assert_eq!(fake.calls(), [], "{error}");
    assert!(error.operation().is_some(), "{error}");
    error
}

#[track_caller]
fn says(error: &Error, kind: ErrorKind, text: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(text), "{error}");
}

#[tokio::test]
async fn functions_that_the_store_lacks_are_not_called() {
    let error = refused(
        |_| {},
        async |store| {
            let request = SaveRequest::new(users(), computing(put("a"), "email"));
            store.save(request).await.map(drop)
        },
    )
    .await;
    says(&error, ErrorKind::Unsupported, "the function f");
    let error = refused(
        |_| {},
        async |store| {
            let items = vec![put("a").into(), computing(put("b"), "email").into()];
            store.bulk(BulkRequest::new(users(), items)).await.map(drop)
        },
    )
    .await;
    says(&error, ErrorKind::Unsupported, "the function f");
    assert_eq!(error.key(), Some(&key("b")));
}

#[tokio::test]
async fn writes_that_make_no_sense_never_reach_the_adapter() {
    let routed = Key::routed("eu", "ada").unwrap();
    let patch = Patch::new().unset("a".parse().unwrap());
    let writes = [
        (Write::put(routed, counter(0), Expected::Any), "not routed"),
        (
            Write::delete(key("a"), Expected::Absent),
            "nothing to delete",
        ),
        (
            Write::patch(key("a"), patch, Expected::Absent),
            "nothing to patch",
        ),
        (
            Write::patch(key("a"), Patch::new(), Expected::Any),
            "no changes",
        ),
        (
            computing(Write::delete(key("a"), Expected::Any), "email"),
            "a delete cannot compute field email",
        ),
        (computing(put("a"), "z"), "z"),
        (
            computing(computing(put("a"), "email"), "email"),
            "computed twice",
        ),
    ];
    for (write, text) in writes {
        let error = refused(
            |_| {},
            async |store| {
                let request = SaveRequest::new(users(), write.clone());
                store.save(request).await.map(drop)
            },
        )
        .await;
        says(&error, ErrorKind::Invalid, text);
        assert_eq!(error.operation(), Some(Operation::Save));
        assert_eq!(error.collection().unwrap().as_str(), "users");
        assert_eq!(error.key(), Some(&write.key));
        let error = refused(
            |_| {},
            async |store| {
                let items = vec![put("b").into(), write.clone().into()];
                store.bulk(BulkRequest::new(users(), items)).await.map(drop)
            },
        )
        .await;
        says(&error, ErrorKind::Invalid, text);
        assert_eq!(error.key(), Some(&write.key));
    }
}

#[tokio::test]
async fn limits_of_the_store_hold_to_the_last_item() {
    let at = |items: usize, bytes: usize| {
        move |can: &mut Capabilities| {
            can.max_load_keys = items;
            can.max_bulk_items = items;
            can.max_body_bytes = bytes;
        }
    };
    let load = async |store: Arc<dyn Store>| {
        let keys = vec![key("a"), key("b"), key("c")];
        store.load(LoadRequest::new(users(), keys)).await.map(drop)
    };
    let bulk = async |store: Arc<dyn Store>| {
        let items = ["a", "b", "c"].map(|id| put(id).into()).to_vec();
        store.bulk(BulkRequest::new(users(), items)).await.map(drop)
    };
    let bytes = counter(0).len();
    for call in [
        refused(at(2, bytes), load).await,
        refused(at(2, bytes), bulk).await,
    ] {
        says(&call, ErrorKind::Invalid, "allowed are 2");
    }
    let save = async |store: Arc<dyn Store>| {
        store
            .save(SaveRequest::new(users(), put("a")))
            .await
            .map(drop)
    };
    let error = refused(at(3, bytes - 1), save).await;
    says(
        &error,
        ErrorKind::Invalid,
        "body has 7 bytes, allowed are 6",
    );
    let store = CheckLayer::new().wrap(FakeStore::with(at(3, bytes)));
    load(Arc::clone(&store)).await.unwrap();
    bulk(Arc::clone(&store)).await.unwrap();
    save(store).await.unwrap();
}

#[tokio::test]
async fn pages_keep_their_limits_and_cursors_their_query() {
    let cursor = Cursor::new(
        Position {
            values: Vec::new(),
            key: key("a"),
        },
        users().name(),
        &Filter::all(),
        &[],
        None,
    );
    let page = |limit, offset, filter, after: Option<Cursor>| {
        let mut request = FindRequest::new(users(), filter);
        (request.limit, request.offset, request.start) = (limit, offset, after.into());
        request
    };
    let email = || Filter::eq("email", "x").unwrap();
    let mut elsewhere = page(1, 0, Filter::all(), None);
    elsewhere.routing = Some(Routing::new("eu").unwrap());
    let mut unsortable = page(1, 0, Filter::all(), None);
    unsortable.sort = vec![Sort::ascending("age".parse().unwrap())];
    let bad = [
        (page(0, 0, Filter::all(), None), "limit of 0"),
        (page(10_001, 0, Filter::all(), None), "limit of 10001"),
        (page(1, 10_000, Filter::all(), None), "ends at 10001"),
        (page(1, usize::MAX, Filter::all(), None), "ends at"),
        (
            page(1, 1, Filter::all(), Some(cursor.clone())),
            "only counts from the beginning",
        ),
        (page(1, 0, email(), Some(cursor.clone())), "another query"),
        (page(1, 0, Filter::eq("age", 1).unwrap(), None), "field age"),
        (elsewhere, "not routed"),
        (unsortable, "field age"),
    ];
    for (request, text) in bad {
        let error = refused(|_| {}, async |store| store.find(request).await.map(drop)).await;
        says(&error, ErrorKind::Invalid, text);
    }
    let error = refused(
        |_| {},
        async |store| {
            let filter = Filter::exists("age").unwrap();
            store
                .count(CountRequest::new(users(), filter))
                .await
                .map(drop)
        },
    )
    .await;
    says(&error, ErrorKind::Invalid, "field age");
    let store = CheckLayer::new().wrap(FakeStore::new());
    for good in [
        page(10_000, 0, Filter::all(), None),
        page(1, 9_999, email(), None),
        page(10_000, 0, Filter::all(), Some(cursor)),
    ] {
        store.find(good).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_granted_is_unsupported_by_name() {
    let bare = |can: &mut Capabilities| *can = Capabilities::new("bare");
    let error = refused(bare, async |store| {
        let request = BulkRequest::new(users(), vec![put("a").into()]).atomic();
        store.bulk(request).await.map(drop)
    })
    .await;
    says(&error, ErrorKind::Unsupported, "atomic bulks");
    let error = refused(bare, async |store| {
        store.ensure(EnsureRequest::new(users())).await.map(drop)
    })
    .await;
    says(&error, ErrorKind::Unsupported, "email");
    let begin = async |store: Arc<dyn Store>| {
        store
            .transact()
            .unwrap()
            .begin(BeginOptions::new())
            .await
            .map(drop)
    };
    says(
        &refused(bare, begin).await,
        ErrorKind::Unsupported,
        "transactions",
    );
    let fake = FakeStore::with(|can| can.savepoints = false);
    let store = CheckLayer::new().wrap(fake);
    let outer = store
        .transact()
        .unwrap()
        .begin(BeginOptions::new())
        .await
        .unwrap();
    let error = outer
        .transact()
        .unwrap()
        .begin(BeginOptions::new())
        .await
        .unwrap_err();
    says(&error, ErrorKind::Unsupported, "savepoints");
}

#[tokio::test]
async fn errors_from_below_learn_what_they_are_about() {
    let store = CheckLayer::new().wrap(FakeStore::new());
    let write = Write::delete(key("a"), Expected::Present);
    let error = store
        .save(SaveRequest::new(users(), write))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"not found: there is no such document (save users "a")"#
    );
    // The same holds inside a transaction.
    let begun = store
        .transact()
        .unwrap()
        .begin(BeginOptions::new())
        .await
        .unwrap();
    let request = LoadRequest::new(users(), vec![Key::routed("eu", "a").unwrap()]);
    let error = begun.load(request).await.unwrap_err();
    assert_eq!(error.operation(), Some(Operation::Load));
}
