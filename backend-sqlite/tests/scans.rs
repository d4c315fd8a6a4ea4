//! Scans, writes of what matches, and explanations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use strongroom_core::model::{
    Body, Expected, FieldDeclaration, FieldPath, Key, Kind, Model, RawDocument, Scalar,
};
use strongroom_core::patch::Patch;
use strongroom_core::query::{Filter, Sort, SourceFilter};
use strongroom_core::store::{
    BeginOptions, BulkItem, BulkRequest, CountRequest, EnsureRequest, ExplainRequest, FindRequest,
    Load, LoadRequest, MatchingAction, MatchingRequest, Save, SaveRequest, Scan, ScanRequest,
    Search, Store, Total, Transact, Write,
};
use strongroom_core::{Error, ErrorKind};
use strongroom_sqlite::{SqliteOptions, SqliteStore, Synchronous};

fn model() -> Arc<Model> {
    Model::builder("numbers")
        .field(FieldDeclaration::new("n".parse().unwrap(), Kind::Integer).indexed())
        .field(FieldDeclaration::new("name".parse().unwrap(), Kind::Keyword).unique())
        .build()
        .unwrap()
}

fn put(id: &str, n: i64) -> Write {
    let body = Body::encode(&json!({"n": n, "rest": "x".repeat(100)})).unwrap();
    Write::put(Key::new(id).unwrap(), body, Expected::Any)
}

async fn fill(store: &dyn Store, count: i64) {
    store.ensure(EnsureRequest::new(model())).await.unwrap();
    let writes = (0..count).map(|n| BulkItem::Write(put(&format!("k{n:06}"), n)));
    let reply = store
        .bulk(BulkRequest::new(model(), writes.collect()))
        .await;
    assert!(reply.unwrap().is_ok());
}

async fn in_file(count: i64) -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::file(folder.path().join("a.db")).synchronous(Synchronous::Normal);
    let store = SqliteStore::open(options).await.unwrap();
    fill(&store, count).await;
    (folder, store)
}

async fn in_memory(count: i64) -> SqliteStore {
    let store = SqliteStore::open(SqliteOptions::memory()).await.unwrap();
    fill(&store, count).await;
    store
}

fn scan_of(batch: usize) -> ScanRequest {
    let mut request = ScanRequest::new(model(), Filter::all());
    request.batch = batch;
    request
}

async fn all(scan: &mut dyn Scan) -> Vec<RawDocument> {
    let mut documents = Vec::new();
    loop {
        let piece = scan.next().await.unwrap();
        if piece.is_empty() {
            assert!(scan.next().await.unwrap().is_empty());
            return documents;
        }
        documents.extend(piece);
    }
}

fn ids(documents: &[RawDocument]) -> Vec<&str> {
    documents.iter().map(|d| d.key.id().as_str()).collect()
}

fn kind<T>(outcome: Result<T, Error>) -> Option<ErrorKind> {
    outcome.err().map(|error| error.kind())
}

/// Tries until the scan opens: a scan that was dropped lets go a moment later.
async fn open_soon(store: &SqliteStore) -> Box<dyn Scan> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match store.scan(scan_of(10)).await {
            Ok(scan) => return scan,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Contended),
        }
        assert!(Instant::now() < deadline, "no scan was let go of");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn all_pieces_show_the_state_of_the_opening() {
    let (_folder, store) = in_file(1_000).await;
    let mut scan = store.scan(scan_of(7)).await.unwrap();
    let first = scan.next().await.unwrap();
    assert_eq!(first.len(), 7);
    // Others write before, between and behind what was read.
    for id in ["a", "k000500x", "z"] {
        store
            .save(SaveRequest::new(model(), put(id, 0)))
            .await
            .unwrap();
    }
    let gone = Write::delete(Key::new("k000900").unwrap(), Expected::Any);
    store.save(SaveRequest::new(model(), gone)).await.unwrap();
    let rest = all(&mut *scan).await;
    let wanted: Vec<String> = (0..1_000).map(|n| format!("k{n:06}")).collect();
    let mut found = ids(&first);
    found.extend(ids(&rest));
    assert_eq!(found, wanted);
    let count = CountRequest::new(model(), Filter::all());
    assert_eq!(store.count(count).await.unwrap(), 1_002);
}

#[tokio::test]
async fn filter_sort_and_source_apply_in_file_memory_and_transaction() {
    let (_folder, file) = in_file(100).await;
    let memory = in_memory(100).await;
    let mut request = scan_of(9);
    request.filter = Filter::gte("n", 50).unwrap();
    request.sort = vec![Sort::descending("n".parse().unwrap())];
    request.source = SourceFilter::include(["n".parse::<FieldPath>().unwrap()]);
    let wanted: Vec<String> = (50..100).rev().map(|n| format!("k{n:06}")).collect();
    for store in [&file, &memory] {
        let transaction = store.begin(BeginOptions::new()).await.unwrap();
        let mut within = transaction.scan(request.clone()).await.unwrap();
        let found = all(&mut *within).await;
        assert_eq!(ids(&found), wanted);
        transaction.rollback().await.unwrap();
        let mut scan = store.scan(request.clone()).await.unwrap();
        let found = all(&mut *scan).await;
        assert_eq!(ids(&found), wanted);
        let body: serde_json::Value = found[0].body.decode().unwrap();
        assert_eq!(body, json!({"n": 99}));
        scan.close().await.unwrap();
        scan.close().await.unwrap();
        assert_eq!(kind(scan.next().await), Some(ErrorKind::Cancelled));
    }
}

#[tokio::test]
async fn a_full_last_piece_is_followed_by_an_empty_one() {
    let (_folder, file) = in_file(20).await;
    for store in [file, in_memory(20).await] {
        let mut scan = store.scan(scan_of(10)).await.unwrap();
        assert_eq!(all(&mut *scan).await.len(), 20);
        let mut none = scan_of(10);
        none.filter = Filter::eq("n", -1).unwrap();
        let mut scan = store.scan(none).await.unwrap();
        assert!(all(&mut *scan).await.is_empty());
    }
}

#[tokio::test]
async fn eight_scans_are_open_at_once_and_other_calls_go_on() {
    let (_folder, store) = in_file(1_000).await;
    let mut scans = Vec::new();
    for _ in 0..8 {
        scans.push(store.scan(scan_of(10)).await.unwrap());
    }
    assert_eq!(
        kind(store.scan(scan_of(10)).await),
        Some(ErrorKind::Contended)
    );
    store
        .save(SaveRequest::new(model(), put("more", 1)))
        .await
        .unwrap();
    let count = CountRequest::new(model(), Filter::all());
    assert_eq!(store.count(count).await.unwrap(), 1_001);
    // Closing has let go when it returns; dropping lets go soon.
    scans.pop().unwrap().close().await.unwrap();
    scans.push(store.scan(scan_of(10)).await.unwrap());
    scans.pop();
    let mut again = open_soon(&store).await;
    assert_eq!(again.next().await.unwrap().len(), 10);
}

#[tokio::test]
async fn as_many_scans_are_open_as_the_options_say() {
    for (asked, most) in [(2, 2), (0, 1), (12, 12)] {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::file(folder.path().join("a.db")).scans(asked);
        let store = SqliteStore::open(options).await.unwrap();
        fill(&store, 10).await;
        let mut open = Vec::new();
        for _ in 0..most {
            open.push(store.scan(scan_of(1)).await.unwrap());
        }
        let error = store.scan(scan_of(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Contended);
        assert!(
            error.message().contains(&format!("{most} scans")),
            "{error}"
        );
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_dropped_call_closes_the_scan_at_once() {
    let (_folder, store) = in_file(20_000).await;
    let mut slow = scan_of(10_000);
    // Every row is sorted before the first piece is there.
    slow.sort = vec![Sort::descending("n".parse().unwrap())];
    slow.filter = Filter::Not(Box::new(Filter::eq("n", -1).unwrap()));
    let mut scan = store.scan(slow).await.unwrap();
    // A future that was polled once and dropped.
    let polled = futures_poll_once(scan.next());
    if polled.is_none() {
        assert_eq!(kind(scan.next().await), Some(ErrorKind::Cancelled));
    }
    drop(scan);
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(open_soon(&store).await);
    }
}

fn futures_poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(done) => Some(done),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn the_end_of_the_store_ends_its_scans() {
    let (_folder, store) = in_file(1_000).await;
    let mut scan = store.scan(scan_of(10)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), store.close())
        .await
        .expect("closing waits for a scan that nobody reads")
        .unwrap();
    let mut pieces = 0;
    let error = loop {
        match scan.next().await {
            Ok(piece) => assert!(!piece.is_empty(), "a scan that was cut off looks whole"),
            Err(error) => break error,
        }
        pieces += 1;
        assert!(pieces < 3);
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        kind(store.scan(scan_of(10)).await),
        Some(ErrorKind::Unavailable)
    );
}

#[test]
fn a_scan_outlives_no_runtime_that_waits_for_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_folder, store) = runtime.block_on(in_file(1_000));
    let scan = runtime.block_on(store.scan(scan_of(10))).unwrap();
    // This would hang if the runtime waited for the scan's thread.
    drop(runtime);
    drop(scan);
}

#[tokio::test]
async fn a_scan_of_no_collection_is_refused_at_the_opening() {
    let (_folder, file) = in_file(1).await;
    let missing = Model::builder("missing").build().unwrap();
    for store in [file, in_memory(1).await] {
        let request = ScanRequest::new(missing.clone(), Filter::all());
        assert_eq!(kind(store.scan(request).await), Some(ErrorKind::NotFound));
    }
}

fn step(filter: Filter, action: MatchingAction, limit: usize) -> MatchingRequest {
    let mut request = MatchingRequest::new(model(), filter, action);
    request.limit = limit;
    request
}

#[tokio::test]
async fn steps_write_each_match_once_even_if_it_matches_again() {
    let (_folder, file) = in_file(25).await;
    for store in [file, in_memory(25).await] {
        let increment = Patch::new().increment("n".parse().unwrap(), 1);
        let filter = Filter::gte("n", 5).unwrap();
        let mut request = step(filter, MatchingAction::Patch(increment), 10);
        let write_id = request.write_id;
        let mut steps = Vec::new();
        loop {
            let reply = store.write_matching(request.clone()).await.unwrap();
            assert!(reply.failures.is_empty());
            steps.push(reply.written);
            match reply.next {
                Some(next) => request.after = Some(next),
                None => break,
            }
        }
        // Two full steps, and nothing behind the second.
        assert_eq!(steps, [10, 10]);
        let mut scan = store.scan(scan_of(100)).await.unwrap();
        for (at, document) in all(&mut *scan).await.iter().enumerate() {
            let body: serde_json::Value = document.body.decode().unwrap();
            let wanted = if at < 5 { at } else { at + 1 };
            assert_eq!(body["n"], json!(wanted));
            let load = LoadRequest::new(model(), vec![document.key.clone()]);
            let loaded = store.load(load).await.unwrap().pop().flatten().unwrap();
            assert_eq!(loaded.write_id == Some(write_id), at >= 5);
        }
        let delete = step(Filter::lt("n", 100).unwrap(), MatchingAction::Delete, 100);
        let reply = store.write_matching(delete).await.unwrap();
        assert_eq!((reply.written, reply.next), (25, None));
        let count = CountRequest::new(model(), Filter::all());
        assert_eq!(store.count(count).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn what_refuses_one_document_leaves_the_others() {
    let (_folder, store) = in_file(3).await;
    let name = Patch::new().set("name".parse().unwrap(), "one");
    let request = step(Filter::all(), MatchingAction::Patch(name), 10);
    let reply = store.write_matching(request.clone()).await.unwrap();
    assert_eq!(reply.written, 1);
    let failed: Vec<_> = reply
        .failures
        .iter()
        .map(|(key, error)| (key.id().as_str(), error.kind()))
        .collect();
    let unique = ErrorKind::UniqueViolation;
    assert_eq!(failed, [("k000001", unique), ("k000002", unique)]);
    // Within a transaction such a violation leaves nothing but the rollback.
    let transaction = store.begin(BeginOptions::new()).await.unwrap();
    let reply = transaction.write_matching(request).await.unwrap();
    assert_eq!(reply.failures.len(), 2);
    assert_eq!(kind(transaction.commit().await), Some(ErrorKind::Cancelled));
}

#[tokio::test]
async fn a_transaction_undoes_what_it_wrote_to_matches() {
    let (_folder, store) = in_file(10).await;
    let transaction = store.begin(BeginOptions::new()).await.unwrap();
    let request = step(Filter::gte("n", 4).unwrap(), MatchingAction::Delete, 5);
    let reply = transaction.write_matching(request).await.unwrap();
    assert_eq!(reply.written, 5);
    assert_eq!(reply.next, Some(Key::new("k000008").unwrap()));
    let count = CountRequest::new(model(), Filter::all());
    assert_eq!(transaction.count(count.clone()).await.unwrap(), 5);
    transaction.rollback().await.unwrap();
    assert_eq!(store.count(count).await.unwrap(), 10);
}

#[tokio::test]
async fn explanations_show_statements_values_and_plans() {
    let (_folder, store) = in_file(3).await;
    let mut find = FindRequest::new(model(), Filter::eq("n", 2).unwrap());
    find.total = Total::Exact;
    let explained = store
        .explain(ExplainRequest::Find(find.clone()))
        .await
        .unwrap();
    let [page, count] = &explained.statements[..] else {
        panic!("{explained}");
    };
    assert!(page.text.starts_with("SELECT d.id, "), "{explained}");
    assert!(page.text.ends_with(" LIMIT 51"), "{explained}");
    assert_eq!(page.values, [Scalar::from(2)]);
    assert!(page.plan[0].contains("numbers:i:n"), "{explained}");
    assert!(count.text.starts_with("SELECT count(*)"), "{explained}");
    let delete = step(Filter::all(), MatchingAction::Delete, 5);
    let requests = [
        ExplainRequest::Scan(scan_of(5)),
        ExplainRequest::Matching(delete),
        ExplainRequest::Count(CountRequest::new(model(), Filter::all())),
    ];
    for request in requests {
        let explained = store.explain(request).await.unwrap();
        assert_eq!(explained.statements.len(), 1);
        assert!(!explained.statements[0].plan.is_empty(), "{explained}");
    }
    // Nothing was deleted.
    let all = CountRequest::new(model(), Filter::all());
    assert_eq!(store.count(all).await.unwrap(), 3);
    let transaction = store.begin(BeginOptions::new()).await.unwrap();
    assert!(
        transaction
            .explain(ExplainRequest::Find(find))
            .await
            .is_ok()
    );
}
