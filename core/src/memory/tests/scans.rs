//! All that matches, piece by piece.

use super::*;
use crate::ErrorKind::{Cancelled, Invalid, NotFound, Unavailable};
use crate::model::FieldPath;
use crate::query::{Filter, Sort, SourceFilter};
use crate::store::{BeginOptions, MAX_PAGE, Scan, ScanRequest, Search, Transact};

async fn ids(scan: &mut dyn Scan) -> Vec<String> {
    let piece = scan.next().await.unwrap();
    piece.iter().map(|d| d.key.id().to_string()).collect()
}

async fn five() -> (MemoryStore, Arc<Model>) {
    let (store, model, _) = store().await;
    for (id, n) in [
        ("a", "3"),
        ("b", "1"),
        ("c", "null"),
        ("d", "1.0"),
        ("e", "[]"),
    ] {
        let text = format!(r#"{{"n":{n},"tags":["{id}"]}}"#);
        put(&store, &model, id, &text, Expected::Absent)
            .await
            .unwrap();
    }
    (store, model)
}

fn scan(model: &Arc<Model>, batch: usize) -> ScanRequest {
    let mut request = ScanRequest::new(model.clone(), Filter::all());
    request.batch = batch;
    request
}

#[tokio::test]
async fn pieces_make_up_the_whole_in_order() {
    let (store, model) = five().await;
    let mut by_id = store.scan(scan(&model, 2)).await.unwrap();
    for piece in [&["a", "b"][..], &["c", "d"], &["e"], &[], &[]] {
        assert_eq!(ids(&mut *by_id).await, piece);
    }
    let mut request = scan(&model, 3);
    request.sort = vec![Sort::ascending("n".parse().unwrap())];
    request.filter = Filter::gt("tags", "a").unwrap();
    request.source = SourceFilter::include(["n".parse::<FieldPath>().unwrap()]);
    let mut sorted = store.scan(request).await.unwrap();
    let piece = sorted.next().await.unwrap();
    let bodies: Vec<_> = piece.iter().map(|d| d.body.as_str().unwrap()).collect();
    assert_eq!(bodies, [r#"{"n":1}"#, r#"{"n":1.0}"#, r#"{"n":null}"#]);
    assert!(piece.iter().all(|d| d.write_id.is_some()));
    assert_eq!(ids(&mut *sorted).await, ["e"]);
    assert!(ids(&mut *sorted).await.is_empty());
    for batch in [4, 5, 6, MAX_PAGE] {
        let mut all = store.scan(scan(&model, batch)).await.unwrap();
        assert_eq!(ids(&mut *all).await.len(), batch.min(5));
        assert_eq!(ids(&mut *all).await.len(), 5 - batch.min(5));
    }
}

#[tokio::test]
async fn what_is_written_meanwhile_is_not_seen() {
    let (store, model) = five().await;
    let mut open = store.scan(scan(&model, 2)).await.unwrap();
    assert_eq!(ids(&mut *open).await, ["a", "b"]);
    save(&store, &model, Write::delete(key("d"), Expected::Any))
        .await
        .unwrap();
    put(&store, &model, "c", r#"{"n":8}"#, Expected::Present)
        .await
        .unwrap();
    put(&store, &model, "bb", "{}", Expected::Absent)
        .await
        .unwrap();
    let piece = open.next().await.unwrap();
    assert_eq!(
        piece[0].body.as_str().unwrap(),
        r#"{"n":null,"tags":["c"]}"#
    );
    assert_eq!(piece[1].key, key("d"));
    assert_eq!(ids(&mut *open).await, ["e"]);
    store
        .drop_collection("users".parse().unwrap())
        .await
        .unwrap();
    assert!(ids(&mut *open).await.is_empty());
    assert_eq!(kind(store.scan(scan(&model, 2)).await), NotFound);
}

#[tokio::test]
async fn a_closed_scan_is_over() {
    let (store, model) = five().await;
    let mut open = store.scan(scan(&model, 2)).await.unwrap();
    open.next().await.unwrap();
    open.close().await.unwrap();
    assert_eq!(kind(open.next().await), Cancelled);
    open.close().await.unwrap();
    assert_eq!(kind(open.next().await), Cancelled);
    let mut at_end = store.scan(scan(&model, 9)).await.unwrap();
    at_end.next().await.unwrap();
    at_end.next().await.unwrap();
    at_end.close().await.unwrap();
    assert_eq!(kind(at_end.next().await), Cancelled);
    let mut cut_short = store.scan(scan(&model, 2)).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(kind(cut_short.next().await), Unavailable);
    assert_eq!(kind(cut_short.next().await), Cancelled);
    cut_short.close().await.unwrap();
}

#[tokio::test]
async fn a_scan_on_a_transaction_ends_with_it() {
    let (store, model) = five().await;
    let tx = store.begin(BeginOptions::new()).await.unwrap();
    put(&*tx, &model, "bb", "{}", Expected::Absent)
        .await
        .unwrap();
    let mut own = tx.scan(scan(&model, 4)).await.unwrap();
    let mut beside = store.scan(scan(&model, 9)).await.unwrap();
    assert_eq!(ids(&mut *own).await, ["a", "b", "bb", "c"]);
    tx.rollback().await.unwrap();
    assert_eq!(kind(own.next().await), Cancelled);
    assert_eq!(ids(&mut *beside).await.len(), 5);
    // An open scan does not keep a transaction open.
    let tx = store.begin(BeginOptions::new()).await.unwrap();
    let mut open = tx.scan(scan(&model, 4)).await.unwrap();
    drop(tx);
    put(&store, &model, "f", "{}", Expected::Absent)
        .await
        .unwrap();
    assert_eq!(kind(open.next().await), Cancelled);
}

#[tokio::test]
async fn requests_that_are_wrong() {
    let (store, model) = five().await;
    assert_eq!(kind(store.scan(scan(&model, 0)).await), Invalid);
    assert_eq!(kind(store.scan(scan(&model, MAX_PAGE + 1)).await), Invalid);
    let mut request = scan(&model, 1);
    request.sort = vec![Sort::ascending("z".parse().unwrap())];
    assert_eq!(kind(store.scan(request).await), Invalid);
    let mut request = scan(&model, 1);
    request.filter = Filter::eq("z", 1).unwrap();
    assert_eq!(kind(store.scan(request).await), Invalid);
}
