//! Saves that wait for each other and for transactions: combined, withdrawn, cancelled, timed out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use serde_json::json;
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model};
use strongroom_core::query::Filter;
use strongroom_core::store::{
    BeginOptions, Bulk, BulkRequest, CountRequest, EnsureRequest, Load, LoadRequest, Save,
    SaveRequest, Schema, Search, Store, Transact, Write,
};
use strongroom_core::{Error, ErrorKind};
use strongroom_sqlite::{SqliteOptions, SqliteStore, Synchronous, WriteMode};
use tokio::runtime::{Builder, Runtime};

fn model() -> Arc<Model> {
    Model::builder("counters")
        .field(FieldDeclaration::new("n".parse().unwrap(), Kind::Integer))
        .field(FieldDeclaration::new("name".parse().unwrap(), Kind::Keyword).unique())
        .build()
        .unwrap()
}

fn put(key: &str, n: i64) -> SaveRequest {
    let body = Body::encode(&json!({"n": n})).unwrap();
    SaveRequest::new(
        model(),
        Write::put(Key::new(key).unwrap(), body, Expected::Any),
    )
}

struct Fixture {
    folder: tempfile::TempDir,
    store: SqliteStore,
}

impl Fixture {
    async fn new(set: impl FnOnce(SqliteOptions) -> SqliteOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // What is tested here is no matter of the disk.
        let options = SqliteOptions::file(folder.path().join("a.db"));
        let store = SqliteStore::open(set(options.synchronous(Synchronous::Normal)))
            .await
            .unwrap();
        store.ensure(EnsureRequest::new(model())).await.unwrap();
        Self { folder, store }
    }

    /// The value of a document, and how often it was written.
    async fn state(&self, key: &str) -> Option<(i64, u64)> {
        let keys = vec![Key::new(key).unwrap()];
        let loaded = self.store.load(LoadRequest::new(model(), keys)).await;
        let document = loaded.unwrap().pop().unwrap()?;
        let body: serde_json::Value = document.body.decode().unwrap();
        Some((
            body["n"].as_i64().unwrap(),
            document.version.revision().unwrap(),
        ))
    }
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn two_threads() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Fails instead of hanging.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(20), future).await {
        Ok(done) => done,
        Err(_) => panic!("{what} hangs"),
    }
}

/// Polls a future so many times at most.
async fn poll_times<T>(mut times: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        if times == 0 {
            return Poll::Ready(None);
        }
        times -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}

#[test]
fn saves_wait_for_a_transaction_and_those_given_up_are_withdrawn() {
    one_thread().block_on(async {
        let fixture = Fixture::new(|o| o).await;
        let store = &fixture.store;
        let transaction = store.begin(BeginOptions::new()).await.unwrap();
        let mut dropped = Box::pin(store.save(put("dropped", 1)));
        let mut kept = Box::pin(store.save(put("kept", 1)));
        let mut late = Box::pin(store.save(put("late", 1)));
        let mut context = Context::from_waker(Waker::noop());
        for save in [&mut dropped, &mut kept, &mut late] {
            assert!(save.as_mut().poll(&mut context).is_pending());
        }
        drop(dropped);
        // Reads go on beside the transaction, and do not see it.
        transaction.save(put("inside", 1)).await.unwrap();
        assert_eq!(fixture.state("inside").await, None);
        drop(transaction);
        soon("a kept save", kept).await.unwrap();
        soon("a late save", late).await.unwrap();
        assert_eq!(fixture.state("inside").await, None);
        assert_eq!(fixture.state("dropped").await, None);
        assert_eq!(fixture.state("kept").await, Some((1, 1)));
        assert_eq!(fixture.state("late").await, Some((1, 1)));
    });
}

#[test]
fn who_waited_too_long_wrote_nothing() {
    for memory in [false, true] {
        one_thread().block_on(async {
            let wait = Duration::from_millis(30);
            let fixture =
                Fixture::new(|o| if memory { SqliteOptions::memory() } else { o }.write_wait(wait))
                    .await;
            let store = &fixture.store;
            let transaction = store.begin(BeginOptions::new()).await.unwrap();
            let contended =
                |error: Error| assert_eq!(error.kind(), ErrorKind::Contended, "{error}");
            let (saved, bulk, begun) = tokio::join!(
                store.save(put("a", 1)),
                store.bulk(BulkRequest::new(model(), vec![put("b", 1).write.into()])),
                store.begin(BeginOptions::new().wait(wait * 2)),
            );
            contended(saved.unwrap_err());
            contended(bulk.unwrap_err());
            contended(begun.unwrap_err());
            let beside = LoadRequest::new(model(), vec![Key::new("a").unwrap()]);
            let loaded = store.load(beside).await;
            if store.capabilities().reads_beside_transactions {
                assert!(loaded.unwrap()[0].is_none());
            } else {
                contended(loaded.unwrap_err());
            }
            transaction.commit().await.unwrap();
            assert_eq!(fixture.state("a").await, None);
            assert_eq!(fixture.state("b").await, None);
            store.save(put("a", 2)).await.unwrap();
        });
    }
}

/// Tasks save, bulk and begin, and give up at random places. What was acknowledged took place,
/// what was not took place entirely or not at all, and nobody is left waiting.
fn cancel_at_random(runtime: &Runtime, mode: WriteMode) {
    runtime.block_on(async {
        let fixture = Arc::new(Fixture::new(|o| o.write_mode(mode)).await);
        let tasks: Vec<_> = (0..12u32)
            .map(|task| {
                let fixture = fixture.clone();
                tokio::spawn(async move {
                    let store = &fixture.store;
                    let mut state = task + 1;
                    let mut random = |limit: u32| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (state >> 16) % limit
                    };
                    let own = format!("t{task}");
                    let pair = [format!("p{task}a"), format!("p{task}b")];
                    let (mut tried, mut acknowledged) = (0, 0);
                    for n in 0..60 {
                        let polls = if random(3) == 0 { u32::MAX } else { random(6) };
                        match random(4) {
                            0 => {
                                let items = pair.iter().map(|key| put(key, n).write.into());
                                let bulk = BulkRequest::new(model(), items.collect()).atomic();
                                poll_times(polls, store.bulk(bulk)).await;
                            }
                            1 => {
                                let whole = async {
                                    let transaction = store.begin(BeginOptions::new()).await?;
                                    for key in &pair {
                                        transaction.save(put(key, n)).await?;
                                    }
                                    transaction.commit().await
                                };
                                poll_times(polls, whole).await;
                            }
                            _ => {
                                tried += 1;
                                match poll_times(polls, store.save(put(&own, n))).await {
                                    Some(Ok(_)) => acknowledged += 1,
                                    Some(Err(error)) => panic!("a save failed: {error}"),
                                    None => {}
                                }
                            }
                        }
                    }
                    (own, pair, tried, acknowledged)
                })
            })
            .collect();
        for task in tasks {
            let (own, pair, tried, acknowledged) = soon("a task", task).await.unwrap();
            let written = fixture
                .state(&own)
                .await
                .map_or(0, |(_, revision)| revision);
            assert!(
                (acknowledged..=tried).contains(&written),
                "{own}: {acknowledged} acknowledged, {written} written, {tried} tried"
            );
            let values = [fixture.state(&pair[0]).await, fixture.state(&pair[1]).await];
            assert_eq!(values[0], values[1], "half of a bulk or transaction");
        }
        soon("a save afterwards", fixture.store.save(put("after", 1)))
            .await
            .unwrap();
        soon("closing", fixture.store.close()).await.unwrap();
        assert_sound(&fixture);
    });
}

fn assert_sound(fixture: &Fixture) {
    let file = rusqlite::Connection::open(fixture.folder.path().join("a.db")).unwrap();
    let check: String = file
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn calls_given_up_at_random_inline() {
    cancel_at_random(&one_thread(), WriteMode::Inline);
    cancel_at_random(&two_threads(), WriteMode::Inline);
}

#[test]
fn calls_given_up_at_random_in_place() {
    cancel_at_random(&one_thread(), WriteMode::BlockInPlace);
    cancel_at_random(&two_threads(), WriteMode::BlockInPlace);
}

#[test]
fn calls_given_up_at_random_on_threads() {
    cancel_at_random(&one_thread(), WriteMode::Thread);
    cancel_at_random(&two_threads(), WriteMode::Thread);
}

/// On one thread too, saves of many tasks share commits: the log grows by far less than a page for
/// each save.
#[test]
fn saves_of_many_tasks_share_commits() {
    for runtime in [one_thread(), two_threads()] {
        runtime.block_on(async {
            let fixture = Fixture::new(|o| o).await;
            for task in 0..64 {
                fixture
                    .store
                    .save(put(&format!("t{task}"), 0))
                    .await
                    .unwrap();
            }
            let log = fixture.folder.path().join("a.db-wal");
            let before = std::fs::metadata(&log).unwrap().len();
            let tasks: Vec<_> = (0..64)
                .map(|task| {
                    let store = fixture.store.clone();
                    tokio::spawn(async move {
                        for n in 0..10 {
                            store.save(put(&format!("t{task}"), n)).await.unwrap();
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            let pages = (std::fs::metadata(&log).unwrap().len() - before) / 4096;
            assert!(pages < 640 / 2, "{pages} pages were logged for 640 saves");
            assert_eq!(fixture.state("t63").await, Some((9, 11)));
        });
    }
}

/// Of concurrent creates with one unique value one wins; those beside them are untouched.
#[test]
fn a_violation_in_a_round_fails_alone() {
    two_threads().block_on(async {
        let fixture = Fixture::new(|o| o).await;
        for round in 0..20 {
            let tasks: Vec<_> = (0..16)
                .map(|task| {
                    let store = fixture.store.clone();
                    tokio::spawn(async move {
                        let name = if task % 2 == 0 {
                            json!({"n": 1, "name": format!("same {round}")})
                        } else {
                            json!({"n": 1, "name": format!("own {round} {task}")})
                        };
                        let key = Key::new(format!("r{round}t{task}")).unwrap();
                        let body = Body::encode(&name).unwrap();
                        let write = Write::put(key, body, Expected::Absent);
                        (task, store.save(SaveRequest::new(model(), write)).await)
                    })
                })
                .collect();
            let mut winners = 0;
            for task in tasks {
                match task.await.unwrap() {
                    (task, Ok(_)) if task % 2 == 0 => winners += 1,
                    (_, Ok(_)) => {}
                    (task, Err(error)) => {
                        assert_eq!(error.kind(), ErrorKind::UniqueViolation, "{error}");
                        assert!(error.to_string().contains("field name"), "{error}");
                        assert_eq!(task % 2, 0, "{error}");
                    }
                }
            }
            assert_eq!(winners, 1);
        }
    });
}

/// A filter that takes long: as many comparisons as are allowed for each document.
fn slow_filter() -> Filter {
    let filters = (0..990).map(|n| Filter::eq("n", -1 - n).unwrap());
    Filter::Or(filters.collect())
}

#[test]
fn a_search_that_is_given_up_stops() {
    two_threads().block_on(async {
        let fixture = Fixture::new(|o| o.readers(2)).await;
        let store = fixture.store.clone();
        let items = (0..4_000).map(|n| put(&format!("k{n}"), n).write.into());
        let bulk = BulkRequest::new(model(), items.collect());
        assert!(store.bulk(bulk).await.unwrap().is_ok());
        let count = {
            let store = store.clone();
            move || {
                let store = store.clone();
                async move {
                    let request = CountRequest::new(model(), slow_filter());
                    store.count(request).await.unwrap()
                }
            }
        };
        let started = Instant::now();
        let whole = tokio::spawn(count());
        // Meanwhile loads find the connection that is kept for them.
        let mut loads = 0;
        while !whole.is_finished() {
            assert_eq!(fixture.state("k7").await, Some((7, 1)));
            loads += 1;
        }
        assert_eq!(whole.await.unwrap(), 0);
        let whole = started.elapsed();
        assert!(loads > 10, "{loads} loads in {whole:?}");

        let given_up = tokio::spawn(count());
        while tokio::time::timeout(whole / 8, async { given_up.is_finished() })
            .await
            .is_err()
        {}
        tokio::time::sleep(whole / 8).await;
        assert!(!given_up.is_finished());
        given_up.abort();
        // Closing waits for the reads under way, of which this is none any more.
        let started = Instant::now();
        soon("closing", store.close()).await.unwrap();
        let rest = started.elapsed();
        assert!(
            rest < whole / 2,
            "closing took {rest:?}, the search {whole:?}"
        );
    });
}

#[test]
fn closing_ends_a_transaction_and_lets_waiting_saves_through() {
    for memory in [false, true] {
        two_threads().block_on(async {
            let fixture = Fixture::new(|o| if memory { SqliteOptions::memory() } else { o }).await;
            let store = fixture.store.clone();
            let transaction = store.begin(BeginOptions::new()).await.unwrap();
            transaction.save(put("inside", 1)).await.unwrap();
            let mut waiting = Box::pin(store.save(put("waiting", 1)));
            let mut context = Context::from_waker(Waker::noop());
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            let waiting = tokio::spawn({
                let store = store.clone();
                async move { store.save(put("other", 1)).await }
            });
            let saved = soon("closing", async {
                let (closed, saved) = tokio::join!(store.close(), waiting);
                closed.unwrap();
                saved.unwrap()
            })
            .await;
            // It came before closing or after, and is told so.
            if let Err(error) = saved {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            }
            let unavailable = |kind: Option<ErrorKind>| {
                assert_eq!(kind, Some(ErrorKind::Unavailable));
            };
            unavailable(transaction.commit().await.err().map(|e| e.kind()));
            unavailable(store.save(put("a", 1)).await.err().map(|e| e.kind()));
            let load = LoadRequest::new(model(), vec![Key::new("a").unwrap()]);
            unavailable(store.load(load).await.err().map(|e| e.kind()));
            let begun = store.begin(BeginOptions::new()).await;
            unavailable(begun.err().map(|e| e.kind()));
            store.close().await.unwrap();
            if !memory {
                let log = fixture.folder.path().join("a.db-wal");
                assert!(!log.exists(), "closing leaves no log");
                assert_sound(&fixture);
            }
        });
    }
}

/// A read in a transaction that is given up stops, and the transaction can only be rolled back.
#[test]
fn a_search_given_up_in_a_transaction_dooms_it() {
    two_threads().block_on(async {
        let fixture = Fixture::new(|o| o).await;
        let store = &fixture.store;
        let items = (0..2_000).map(|n| put(&format!("k{n}"), n).write.into());
        let bulk = BulkRequest::new(model(), items.collect());
        assert!(store.bulk(bulk).await.unwrap().is_ok());
        let transaction = store.begin(BeginOptions::new()).await.unwrap();
        transaction.save(put("inside", 1)).await.unwrap();
        let slow = CountRequest::new(model(), slow_filter());
        assert!(
            poll_times(3, transaction.count(slow.clone()))
                .await
                .is_none()
        );
        let load = LoadRequest::new(model(), vec![Key::new("k1").unwrap()]);
        let refused = soon("a call afterwards", transaction.load(load)).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Cancelled);
        let refused = transaction.commit().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Cancelled);
        soon("a save afterwards", store.save(put("after", 1)))
            .await
            .unwrap();
        assert_eq!(fixture.state("inside").await, None);

        // The same when its last holder goes away while the read is still under way.
        let transaction = store.begin(BeginOptions::new()).await.unwrap();
        transaction.save(put("inside", 1)).await.unwrap();
        let reading = tokio::spawn(async move { transaction.count(slow).await });
        while !reading.is_finished() {
            reading.abort();
            tokio::task::yield_now().await;
        }
        soon("a save afterwards", store.save(put("after", 2)))
            .await
            .unwrap();
        assert_eq!(fixture.state("inside").await, None);
        assert_eq!(fixture.state("after").await, Some((2, 2)));
    });
}

/// The runtime on which a store was opened, and on which calls were under way, may end first.
#[test]
fn a_store_outlives_the_runtimes_it_was_used_on() {
    for mode in [WriteMode::Inline, WriteMode::Thread] {
        let first = two_threads();
        let fixture = first.block_on(Fixture::new(|o| o.write_mode(mode)));
        first.block_on(async {
            let transaction = fixture.store.begin(BeginOptions::new()).await.unwrap();
            transaction.save(put("inside", 1)).await.unwrap();
            for task in 0..50 {
                let store = fixture.store.clone();
                tokio::spawn(async move { store.save(put(&format!("t{task}"), 1)).await });
            }
            tokio::task::yield_now().await;
            tokio::spawn(async move {
                tokio::task::yield_now().await;
                drop(transaction);
            });
        });
        drop(first);
        one_thread().block_on(async {
            soon("a save", fixture.store.save(put("after", 1)))
                .await
                .unwrap();
            assert_eq!(fixture.state("inside").await, None);
            assert_eq!(fixture.state("after").await, Some((1, 1)));
            soon("closing", fixture.store.close()).await.unwrap();
        });
        assert_sound(&fixture);
    }
}
