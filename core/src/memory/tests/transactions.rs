//! Transactions, savepoints, and what the calls beside them see.

use std::time::Duration;

use super::*;
use crate::ErrorKind::{
    Cancelled, Conflict, Contended, Invalid, NotFound, Unavailable, UniqueViolation,
};
use crate::model::Version;
use crate::query::Filter;
use crate::store::{
    BeginOptions, Bulk, BulkRequest, CountRequest, FindRequest, Search, Transaction,
};

async fn begin<S: Store + ?Sized>(store: &S) -> Result<Arc<dyn Transaction>> {
    let options = BeginOptions::new().wait(Duration::ZERO);
    store.transact().unwrap().begin(options).await
}

async fn count<S: Search + ?Sized>(store: &S, model: &Arc<Model>) -> u64 {
    let request = CountRequest::new(model.clone(), Filter::all());
    store.count(request).await.unwrap()
}

/// Polls a future once, and hands out what it answered if it did.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn writes_are_seen_within_and_beside_only_after_the_commit() {
    let (store, model, _) = store().await;
    put(&store, &model, "a", r#"{"n":1}"#, Expected::Any)
        .await
        .unwrap();
    let tx = begin(&store).await.unwrap();
    put(&*tx, &model, "a", r#"{"n":2}"#, Expected::Present)
        .await
        .unwrap();
    put(&*tx, &model, "b", r#"{"n":2}"#, Expected::Absent)
        .await
        .unwrap();
    assert_eq!(text(&*tx, &model, "a").await.unwrap(), r#"{"n":2}"#);
    assert_eq!(count(&*tx, &model).await, 2);
    assert_eq!(text(&store, &model, "a").await.unwrap(), r#"{"n":1}"#);
    assert_eq!(count(&store, &model).await, 1);
    tx.commit().await.unwrap();
    assert_eq!(text(&store, &model, "a").await.unwrap(), r#"{"n":2}"#);
    assert_eq!(count(&store, &model).await, 2);
    // What was committed is found by later writes as any other: versions and unique values.
    let version = load(&store, &model, "a").await.unwrap().version;
    assert_eq!(version.revision(), Some(2));
    put(&store, &model, "a", "{}", version).await.unwrap();
}

#[tokio::test]
async fn every_way_to_end_without_a_commit_undoes_everything() {
    let (store, model, _) = store().await;
    let other = Model::builder("other").build().unwrap();
    for way in 0..4 {
        let tx = begin(&store).await.unwrap();
        put(&*tx, &model, "a", r#"{"email":"x"}"#, Expected::Absent)
            .await
            .unwrap();
        tx.ensure(EnsureRequest::new(other.clone())).await.unwrap();
        put(&*tx, &other, "a", "{}", Expected::Absent)
            .await
            .unwrap();
        match way {
            0 => tx.rollback().await.unwrap(),
            1 => tx.abandon(),
            2 => tx.close().await.unwrap(),
            _ => drop(tx),
        }
        assert_eq!(count(&store, &model).await, 0);
        let described = store.describe(other.name().clone()).await.unwrap();
        assert!(described.is_none());
        // The turn is free again, and so is the unique value.
        put(&store, &model, "b", r#"{"email":"x"}"#, Expected::Absent)
            .await
            .unwrap();
        save(&store, &model, Write::delete(key("b"), Expected::Present))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_transaction_that_is_over_refuses_calls() {
    let (store, model, _) = store().await;
    for commits in [true, false] {
        let tx = begin(&store).await.unwrap();
        if commits {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        let outcome = put(&*tx, &model, "a", "{}", Expected::Any).await;
        assert_eq!(kind(outcome), Cancelled);
        let request = LoadRequest::new(model.clone(), vec![key("a")]);
        assert_eq!(kind(tx.load(request).await), Cancelled);
        let request = FindRequest::new(model.clone(), Filter::all());
        assert_eq!(kind(tx.find(request).await), Cancelled);
        assert_eq!(kind(tx.describe(model.name().clone()).await), Cancelled);
        assert_eq!(kind(begin(&*tx).await), Cancelled);
        assert_eq!(kind(tx.commit().await), Cancelled);
        tx.rollback().await.unwrap();
        tx.abandon();
    }
}

#[tokio::test]
async fn only_a_unique_violation_dooms() {
    let (store, model, _) = store().await;
    put(&store, &model, "a", r#"{"email":"x"}"#, Expected::Any)
        .await
        .unwrap();
    let tx = begin(&store).await.unwrap();
    let stale = Version::first(0);
    let harmless = [
        (put(&*tx, &model, "a", "{}", stale).await, Conflict),
        (
            put(&*tx, &model, "b", "{}", Expected::Present).await,
            NotFound,
        ),
        (
            save(&*tx, &model, Write::delete(key("a"), Expected::Absent)).await,
            Invalid,
        ),
    ];
    for (outcome, wanted) in harmless {
        assert_eq!(kind(outcome), wanted);
    }
    put(&*tx, &model, "c", "{}", Expected::Any).await.unwrap();
    let outcome = put(&*tx, &model, "b", r#"{"email":"x"}"#, Expected::Any).await;
    assert_eq!(kind(outcome), UniqueViolation);
    assert_eq!(
        kind(put(&*tx, &model, "d", "{}", Expected::Any).await),
        Cancelled
    );
    assert_eq!(kind(tx.describe(model.name().clone()).await), Cancelled);
    assert_eq!(kind(begin(&*tx).await), Cancelled);
    assert_eq!(kind(tx.commit().await), Cancelled);
    // The refused commit ended it: nothing is there, and the next writer has its turn.
    assert_eq!(count(&store, &model).await, 1);
    put(&store, &model, "e", "{}", Expected::Any).await.unwrap();
}

#[tokio::test]
async fn a_violation_within_a_bulk_dooms_too() {
    let (store, model, _) = store().await;
    for atomic in [false, true] {
        let tx = begin(&store).await.unwrap();
        let items = ["a", "b"].map(|id| {
            let text = body(r#"{"email":"x"}"#);
            Write::put(key(id), text, Expected::Absent).into()
        });
        let mut request = BulkRequest::new(model.clone(), items.to_vec());
        request.atomic = atomic;
        let reply = tx.bulk(request).await.unwrap();
        assert_eq!(reply.errors().last().unwrap().1.kind(), UniqueViolation);
        assert_eq!(kind(tx.commit().await), Cancelled);
        assert_eq!(count(&store, &model).await, 0);
    }
    // A conflict within an atomic bulk undoes the bulk and not the transaction.
    let tx = begin(&store).await.unwrap();
    put(&*tx, &model, "a", "{}", Expected::Absent)
        .await
        .unwrap();
    let items = [("b", Expected::Absent), ("a", Expected::Absent)]
        .map(|(id, expected)| Write::put(key(id), body("{}"), expected).into());
    let request = BulkRequest::new(model.clone(), items.to_vec()).atomic();
    assert!(!tx.bulk(request).await.unwrap().is_ok());
    tx.commit().await.unwrap();
    assert_eq!(count(&store, &model).await, 1);
}

#[tokio::test]
async fn savepoints_nest() {
    let (store, model, _) = store().await;
    let tx = begin(&store).await.unwrap();
    put(&*tx, &model, "a", "{}", Expected::Absent)
        .await
        .unwrap();
    let outer = begin(&*tx).await.unwrap();
    put(&*outer, &model, "b", "{}", Expected::Absent)
        .await
        .unwrap();
    let inner = begin(&*outer).await.unwrap();
    assert_eq!(count(&*inner, &model).await, 2);
    put(&*inner, &model, "c", "{}", Expected::Absent)
        .await
        .unwrap();
    inner.rollback().await.unwrap();
    assert_eq!(count(&*outer, &model).await, 2);
    let again = begin(&*outer).await.unwrap();
    // One that is over does not open its parent while another is open there.
    drop(inner);
    let outcome = put(&*outer, &model, "d", "{}", Expected::Absent).await;
    assert_eq!(kind(outcome), Invalid);
    put(&*again, &model, "d", "{}", Expected::Absent)
        .await
        .unwrap();
    again.commit().await.unwrap();
    drop(again);
    outer.commit().await.unwrap();
    assert_eq!(count(&*tx, &model).await, 3);
    assert_eq!(count(&store, &model).await, 0);
    tx.commit().await.unwrap();
    assert_eq!(count(&store, &model).await, 3);
}

#[tokio::test]
async fn a_parent_refuses_calls_while_a_savepoint_is_open() {
    let (store, model, _) = store().await;
    let tx = begin(&store).await.unwrap();
    let savepoint = begin(&*tx).await.unwrap();
    assert_eq!(
        kind(put(&*tx, &model, "a", "{}", Expected::Any).await),
        Invalid
    );
    let request = LoadRequest::new(model.clone(), vec![key("a")]);
    assert_eq!(kind(tx.load(request).await), Invalid);
    assert_eq!(kind(tx.describe(model.name().clone()).await), Invalid);
    assert_eq!(kind(begin(&*tx).await), Invalid);
    assert_eq!(kind(tx.commit().await), Invalid);
    assert_eq!(kind(tx.rollback().await), Invalid);
    assert_eq!(kind(tx.close().await), Invalid);
    put(&*savepoint, &model, "a", "{}", Expected::Absent)
        .await
        .unwrap();
    drop(savepoint);
    assert_eq!(count(&*tx, &model).await, 0);
    let savepoint = begin(&*tx).await.unwrap();
    savepoint.abandon();
    put(&*tx, &model, "a", "{}", Expected::Absent)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&store, &model).await, 1);
}

#[tokio::test]
async fn a_doomed_savepoint_leaves_its_parent_sound() {
    let (store, model, _) = store().await;
    let tx = begin(&store).await.unwrap();
    put(&*tx, &model, "a", r#"{"email":"x"}"#, Expected::Any)
        .await
        .unwrap();
    for commits in [true, false] {
        let savepoint = begin(&*tx).await.unwrap();
        put(&*savepoint, &model, "b", "{}", Expected::Any)
            .await
            .unwrap();
        let outcome = put(&*savepoint, &model, "c", r#"{"email":"x"}"#, Expected::Any).await;
        assert_eq!(kind(outcome), UniqueViolation);
        if commits {
            assert_eq!(kind(savepoint.commit().await), Cancelled);
        } else {
            savepoint.rollback().await.unwrap();
        }
        assert_eq!(count(&*tx, &model).await, 1);
    }
    tx.commit().await.unwrap();
    assert_eq!(count(&store, &model).await, 1);
}

#[tokio::test]
async fn a_savepoint_ends_with_its_transaction() {
    let (store, model, _) = store().await;
    for way in 0..2 {
        let tx = begin(&store).await.unwrap();
        let outer = begin(&*tx).await.unwrap();
        let inner = begin(&*outer).await.unwrap();
        if way == 0 {
            tx.abandon();
        } else {
            drop(tx);
        }
        for savepoint in [&inner, &outer] {
            let outcome = put(&**savepoint, &model, "a", "{}", Expected::Any).await;
            assert_eq!(kind(outcome), Cancelled);
            assert_eq!(kind(savepoint.commit().await), Cancelled);
        }
        put(&store, &model, "b", "{}", Expected::Any).await.unwrap();
        assert_eq!(count(&store, &model).await, 1);
    }
}

#[tokio::test]
async fn the_way_to_begin_savepoints_keeps_nothing_open() {
    let (store, model, _) = store().await;
    let tx = begin(&store).await.unwrap();
    let savepoints = tx.transact().unwrap();
    drop(tx);
    put(&store, &model, "a", "{}", Expected::Any).await.unwrap();
    assert_eq!(kind(savepoints.begin(BeginOptions::new()).await), Cancelled);
}

#[tokio::test(start_paused = true)]
async fn writers_wait_up_to_their_deadline() {
    let store = MemoryStore::with_options(MemoryOptions::new().wait(Duration::from_millis(200)));
    let model = users();
    store
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .unwrap();
    let tx = begin(&store).await.unwrap();
    assert_eq!(kind(begin(&store).await), Contended);
    let start = tokio::time::Instant::now();
    let error = put(&store, &model, "a", "{}", Expected::Any)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Contended);
    assert!(error.is_retryable() && error.message().contains("200 ms"));
    assert_eq!(start.elapsed().as_millis() / 10, 20);
    let options = BeginOptions::new().wait(Duration::from_secs(60));
    let transact = store.transact().unwrap();
    let mut waiting = transact.begin(options);
    assert!(poll_once(&mut waiting).is_none());
    let mut saving = Box::pin(put(&store, &model, "a", "{}", Expected::Absent));
    assert!(poll_once(&mut saving).is_none());
    tx.commit().await.unwrap();
    // First come, first served: the save waits for the transaction that was waiting before it.
    let second = waiting.await.unwrap();
    assert!(poll_once(&mut saving).is_none());
    put(&*second, &model, "b", "{}", Expected::Absent)
        .await
        .unwrap();
    second.commit().await.unwrap();
    saving.await.unwrap();
    assert_eq!(count(&store, &model).await, 2);
}

#[tokio::test]
async fn a_writer_that_goes_away_while_it_waits_leaves_nothing() {
    let (store, model, _) = store().await;
    let tx = begin(&store).await.unwrap();
    let transact = store.transact().unwrap();
    let mut waiting = transact.begin(BeginOptions::new());
    assert!(poll_once(&mut waiting).is_none());
    let mut saving = Box::pin(put(&store, &model, "a", "{}", Expected::Any));
    assert!(poll_once(&mut saving).is_none());
    drop(tx);
    // The turn was handed to the one that goes away now, and must not be lost with it.
    drop(waiting);
    drop(saving);
    put(&store, &model, "b", "{}", Expected::Any).await.unwrap();
    assert!(load(&store, &model, "a").await.is_none());
    begin(&store).await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn closing_ends_the_transaction_and_lets_waiting_writers_finish() {
    let (store, model, _) = store().await;
    let tx = begin(&store).await.unwrap();
    put(&*tx, &model, "a", "{}", Expected::Any).await.unwrap();
    let mut saving = Box::pin(put(&store, &model, "b", "{}", Expected::Any));
    assert!(poll_once(&mut saving).is_none());
    let mut closing = Box::pin(store.close());
    assert!(poll_once(&mut closing).is_none());
    saving.await.unwrap();
    closing.await.unwrap();
    assert_eq!(
        kind(put(&*tx, &model, "c", "{}", Expected::Any).await),
        Unavailable
    );
    assert_eq!(kind(tx.commit().await), Unavailable);
    tx.rollback().await.unwrap();
    assert_eq!(kind(begin(&store).await), Unavailable);
}
