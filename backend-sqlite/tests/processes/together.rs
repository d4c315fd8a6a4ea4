//! Several processes on one file: only right outcomes.

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::{Body, Expected, Key};
use strongroom_core::query::Filter;
use strongroom_core::store::{
    CountRequest, EnsureRequest, Load, LoadRequest, Save, SaveRequest, Schema, Search, Store,
    Transact, Write,
};
use strongroom_sqlite::{SqliteOptions, SqliteStore};

use crate::{block_on, is_full, model, output, start};

/// Four processes of four tasks count one document up: none is lost, and no lock shows.
pub(crate) fn increments_add_up() {
    let times = if is_full() { 200 } else { 15 };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let children: Vec<_> = (0..4)
        .map(|_| start("increment", &path, &[&times.to_string()]))
        .collect();
    children.into_iter().for_each(|child| drop(output(child)));
    block_on(async {
        let store = SqliteStore::open(SqliteOptions::file(&path)).await.unwrap();
        let key = Key::new("shared").unwrap();
        let loaded = store
            .load(LoadRequest::new(model(), vec![key]))
            .await
            .unwrap();
        let document = loaded[0].as_ref().unwrap();
        let n = document.body.decode::<serde_json::Value>().unwrap()["n"].as_i64();
        assert_eq!(n, Some(4 * 4 * times));
        assert_eq!(
            document.version.revision(),
            n.and_then(|n| n.try_into().ok())
        );
    });
}

/// Of several processes that create the same documents each document has one creator.
pub(crate) fn one_process_creates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let children: Vec<_> = (0..4).map(|_| start("create", &path, &[])).collect();
    let created: Vec<u32> = children
        .into_iter()
        .map(|child| output(child).trim().parse().unwrap())
        .collect();
    assert_eq!(created.iter().sum::<u32>(), 100, "{created:?}");
}

/// Processes that open a file which is not there, and add different fields to one collection.
pub(crate) fn a_fresh_file_is_opened_by_all() {
    for round in 0..if is_full() { 20 } else { 3 } {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let names = ["a", "b", "c", "d", "e", "f"];
        let children: Vec<_> = names.map(|name| start("ensure", &path, &[name])).into();
        children.into_iter().for_each(|child| drop(output(child)));
        block_on(async {
            let store = SqliteStore::open(SqliteOptions::file(&path)).await.unwrap();
            let described = store
                .describe("counters".parse().unwrap())
                .await
                .unwrap()
                .unwrap();
            assert_eq!(described.documents, 6, "round {round}");
            for name in names {
                assert!(
                    described.model.field(name).is_some(),
                    "round {round}: {name}"
                );
                let filter = Filter::eq(name, "x").unwrap();
                let count = CountRequest::new(described.model.clone(), filter);
                assert_eq!(store.count(count).await.unwrap(), 1);
            }
        });
    }
}

/// While another process holds the lock, writes wait without holding up their runtime, and give up
/// in time with `Contended`, having written nothing.
pub(crate) fn a_lock_is_waited_for_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut holder = start("hold", &path, &[]);
    let mut said = String::new();
    let mut output_of_holder = BufReader::new(holder.stdout.take().unwrap());
    output_of_holder.read_line(&mut said).unwrap();
    assert_eq!(said.trim(), "held");
    // One thread: a write that blocked would stop the clock below.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let open = |timeout: u64| {
            let options = SqliteOptions::file(&path).busy_timeout(Duration::from_millis(timeout));
            SqliteStore::open(options)
        };
        let put = |key: &str| {
            let body = Body::encode(&json!({"n": 1})).unwrap();
            let write = Write::put(Key::new(key).unwrap(), body, Expected::Absent);
            SaveRequest::new(model(), write)
        };
        let hasty = open(200).await.unwrap();
        let ticks = Arc::new(AtomicU64::new(0));
        let done = Arc::new(AtomicBool::new(false));
        let clock = {
            let (ticks, done) = (ticks.clone(), done.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    ticks.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        let started = Instant::now();
        // Two at once, so that a round meets the lock as well as a save that is alone.
        let saves = tokio::join!(hasty.save(put("a")), hasty.save(put("b")));
        for saved in [saves.0, saves.1] {
            let error = saved.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Contended, "{error}");
        }
        let begun = hasty
            .begin(strongroom_core::store::BeginOptions::new())
            .await;
        assert_eq!(begun.unwrap_err().kind(), ErrorKind::Contended);
        let waited = started.elapsed();
        assert!(waited >= Duration::from_millis(200), "{waited:?}");
        assert!(
            ticks.load(Ordering::SeqCst) >= 10,
            "the runtime stood still: {} ticks in {waited:?}",
            ticks.load(Ordering::SeqCst)
        );
        // Reads go on beside the lock.
        let keys = vec![Key::new("a").unwrap(), Key::new("b").unwrap()];
        let loaded = hasty.load(LoadRequest::new(model(), keys)).await.unwrap();
        assert!(loaded.iter().all(Option::is_none));
        // One who waits longer gets through when the lock is let go.
        let patient = open(10_000).await.unwrap();
        let waiting = tokio::spawn({
            let (patient, request) = (patient.clone(), put("c"));
            async move { patient.save(request).await }
        });
        tokio::task::yield_now().await;
        drop(holder.stdin.take());
        waiting.await.unwrap().unwrap();
        hasty.save(put("a")).await.unwrap();
        done.store(true, Ordering::SeqCst);
        clock.await.unwrap();
        patient.close().await.unwrap();
        hasty.close().await.unwrap();
    });
    assert!(holder.wait().unwrap().success());
}

/// Another process extends the collection while this one has its statements prepared.
pub(crate) fn statements_survive_a_new_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    block_on(async {
        let store = SqliteStore::open(SqliteOptions::file(&path)).await.unwrap();
        store.ensure(EnsureRequest::new(model())).await.unwrap();
        let key = Key::new("mine").unwrap();
        let body = |n: i64| Body::encode(&json!({"n": n, "a": "x"})).unwrap();
        let save = |n| {
            let write = Write::put(key.clone(), body(n), Expected::Any);
            store.save(SaveRequest::new(model(), write))
        };
        let find = || {
            let filter = Filter::gte("n", 1).unwrap();
            store.count(CountRequest::new(model(), filter))
        };
        save(1).await.unwrap();
        for (n, name) in ["a", "b", "c"].into_iter().enumerate() {
            assert_eq!(find().await.unwrap(), n as u64 + 1);
            output(start("ensure", &path, &[name]));
            save(2).await.unwrap();
            let loaded = store
                .load(LoadRequest::new(model(), vec![key.clone()]))
                .await;
            assert!(loaded.unwrap()[0].is_some());
        }
        assert_eq!(find().await.unwrap(), 4);
        // What this process saved without knowing the field is indexed by it all the same.
        let wider = store
            .describe("counters".parse().unwrap())
            .await
            .unwrap()
            .unwrap();
        let filter = Filter::eq("a", "x").unwrap();
        let count = CountRequest::new(wider.model, filter);
        assert_eq!(store.count(count).await.unwrap(), 2);
        store.close().await.unwrap();
    });
}
