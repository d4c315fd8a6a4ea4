//! Writing what matches.

use super::*;
use crate::ErrorKind::{Cancelled, Invalid, UniqueViolation};
use crate::error::Operation;
use crate::model::Routing;
use crate::patch::Patch;
use crate::query::Filter;
use crate::store::{
    BeginOptions, CountRequest, MAX_PAGE, MatchingAction, MatchingRequest, Search, Transact,
};

/// Documents `a` to `e`, of which all but `c` have `n` at 1.
async fn five() -> (MemoryStore, Arc<Model>) {
    let (store, model, _) = store().await;
    for (id, n) in [
        ("a", "1"),
        ("b", "[1,5]"),
        ("c", "null"),
        ("d", "1.0"),
        ("e", "1"),
    ] {
        let text = format!(r#"{{"n":{n}}}"#);
        put(&store, &model, id, &text, Expected::Absent)
            .await
            .unwrap();
    }
    (store, model)
}

fn ones(model: &Arc<Model>, action: MatchingAction) -> MatchingRequest {
    MatchingRequest::new(model.clone(), Filter::eq("n", 1).unwrap(), action)
}

fn set(path: &str, value: impl Into<serde_json::Value>) -> MatchingAction {
    MatchingAction::Patch(Patch::new().set(path.parse().unwrap(), value.into()))
}

async fn count(store: &impl Search, model: &Arc<Model>, filter: Filter) -> u64 {
    let request = CountRequest::new(model.clone(), filter);
    store.count(request).await.unwrap()
}

#[tokio::test]
async fn steps_write_each_document_once() {
    let (store, model) = five().await;
    let before = load(&store, &model, "c").await.unwrap();
    // The patched documents match again, and are not written again.
    let mut request = ones(&model, set("seen", true));
    request.limit = 2;
    let first = store.write_matching(request.clone()).await.unwrap();
    assert_eq!((first.written, first.failures.len()), (2, 0));
    assert_eq!(first.next, Some(key("b")));
    request.after = first.next;
    let second = store.write_matching(request.clone()).await.unwrap();
    // Nothing matches behind it, so no further step is asked for.
    assert_eq!((second.written, second.next), (2, None));
    for id in ["a", "b", "d", "e"] {
        let document = load(&store, &model, id).await.unwrap();
        assert_eq!(document.version.revision(), Some(2), "{id}");
        assert_eq!(document.write_id, Some(request.write_id), "{id}");
        assert!(document.body.as_str().unwrap().contains(r#""seen":true"#));
    }
    let after = load(&store, &model, "c").await.unwrap();
    assert_eq!(after.version, before.version);
    request.after = Some(key("e"));
    let nothing = store.write_matching(request).await.unwrap();
    assert_eq!((nothing.written, nothing.next), (0, None));
}

#[tokio::test]
async fn deletes_what_matches() {
    let (store, model) = five().await;
    let mut request = ones(&model, MatchingAction::Delete);
    request.limit = 4;
    let reply = store.write_matching(request).await.unwrap();
    assert_eq!((reply.written, reply.next), (4, None));
    assert_eq!(count(&store, &model, Filter::all()).await, 1);
    assert!(load(&store, &model, "c").await.is_some());
}

#[tokio::test]
async fn what_cannot_be_written_is_told() {
    let (store, model) = five().await;
    let filter = Filter::ids(["a", "b", "c", "d"]).unwrap();
    let increment = Patch::new().increment("n".parse().unwrap(), 1);
    let mut request = MatchingRequest::new(model.clone(), filter, MatchingAction::Patch(increment));
    request.limit = 3;
    let reply = store.write_matching(request).await.unwrap();
    let failed: Vec<_> = reply.failures.iter().map(|(k, e)| (k, e.kind())).collect();
    assert_eq!(failed[0], (&key("b"), Invalid));
    assert_eq!(reply.written + failed.len() as u64, 3);
    assert_eq!(reply.next, Some(key("c")));
    assert_eq!(reply.failures[0].1.key(), Some(&key("b")));
    assert_eq!(text(&store, &model, "a").await.unwrap(), r#"{"n":2}"#);
    assert_eq!(text(&store, &model, "b").await.unwrap(), r#"{"n":[1,5]}"#);
    // One document can hold the unique value, and the others cannot.
    let reply = store
        .write_matching(MatchingRequest::new(
            model.clone(),
            Filter::all(),
            set("email", "x"),
        ))
        .await
        .unwrap();
    assert_eq!(reply.written, 1);
    assert_eq!(reply.failures.len(), 4);
    assert!(
        reply
            .failures
            .iter()
            .all(|(_, e)| e.kind() == UniqueViolation)
    );
}

#[tokio::test]
async fn transactions_are_doomed_by_violations_only() {
    let (store, model) = five().await;
    let tx = store.begin(BeginOptions::new()).await.unwrap();
    let reply = tx.write_matching(ones(&model, set("n", 7))).await.unwrap();
    assert_eq!(reply.written, 4);
    let sevens = Filter::eq("n", 7).unwrap();
    assert_eq!(count(&store, &model, sevens.clone()).await, 0);
    tx.commit().await.unwrap();
    assert_eq!(count(&store, &model, sevens).await, 4);
    let tx = store.begin(BeginOptions::new()).await.unwrap();
    let every = |action| MatchingRequest::new(model.clone(), Filter::all(), action);
    tx.write_matching(every(set("email", "x"))).await.unwrap();
    assert_eq!(kind(tx.commit().await), Cancelled);
    let held = Filter::exists("email").unwrap();
    assert_eq!(count(&store, &model, held).await, 0);
    let error = tx.write_matching(every(MatchingAction::Delete)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), Cancelled);
    assert_eq!(error.operation(), Some(Operation::DeleteMatching));
}

#[tokio::test]
async fn routing_and_keys_of_routed_collections() {
    let (store, _, _) = store().await;
    let model = Model::builder("routed").routed().build().unwrap();
    let ensure = EnsureRequest::new(model.clone());
    store.ensure(ensure).await.unwrap();
    for (routing, id) in [("eu", "a"), ("us", "a"), ("eu", "b"), ("us", "b")] {
        let key = Key::routed(routing, id).unwrap();
        let write = Write::put(key, body("{}"), Expected::Any);
        save(&store, &model, write).await.unwrap();
    }
    let all = MatchingRequest::new(model.clone(), Filter::all(), MatchingAction::Delete);
    let mut request = all.clone();
    request.limit = 1;
    request.after = Some(Key::routed("eu", "a").unwrap());
    let reply = store.write_matching(request).await.unwrap();
    assert_eq!(reply.next, Some(Key::routed("us", "a").unwrap()));
    let mut request = all;
    request.routing = Some(Routing::new("eu").unwrap());
    assert_eq!(
        store.write_matching(request.clone()).await.unwrap().written,
        2
    );
    assert_eq!(count(&store, &model, Filter::all()).await, 1);
    request.after = Some(key("a"));
    assert_eq!(kind(store.write_matching(request).await), Invalid);
}

#[tokio::test]
async fn requests_that_are_wrong_write_nothing() {
    let (store, model) = five().await;
    let good = ones(&model, MatchingAction::Delete);
    let broken: [fn(&mut MatchingRequest); 4] = [
        |r| r.limit = 0,
        |r| r.limit = MAX_PAGE + 1,
        |r| r.filter = Filter::eq("z", 1).unwrap(),
        |r| r.action = MatchingAction::Patch(Patch::new()),
    ];
    for (at, break_it) in broken.into_iter().enumerate() {
        let mut request = good.clone();
        break_it(&mut request);
        assert_eq!(kind(store.write_matching(request).await), Invalid, "{at}");
    }
    assert_eq!(count(&store, &model, Filter::all()).await, 5);
}
