//! What is wrong from the start, and disks that fill up: clear errors, nothing half-done.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model};
use strongroom_core::query::Filter;
use strongroom_core::store::{
    BulkRequest, CountRequest, EnsureRequest, Load, LoadRequest, Save, SaveRequest, Schema, Search,
    Store, Write,
};
use strongroom_core::{Error, ErrorKind};
use strongroom_sqlite::{MissingFile, SqliteOptions, SqliteStore};

async fn refused(options: SqliteOptions) -> Error {
    match SqliteStore::open(options).await {
        Ok(store) => panic!("{store:?} was opened"),
        Err(error) => error,
    }
}

#[track_caller]
fn tells(error: &Error, path: &Path, what: &str) {
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()), "{text}");
    assert!(text.contains(what), "{text}");
}

fn model(name: &str) -> Arc<Model> {
    Model::builder(name).build().unwrap()
}

fn put(key: &str, body: &serde_json::Value, expected: impl Into<Expected>) -> Write {
    Write::put(
        Key::new(key).unwrap(),
        Body::encode(body).unwrap(),
        expected,
    )
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("letter.txt");
    std::fs::write(&text, "Dear Ada, this is not a database. ".repeat(100)).unwrap();
    tells(
        &refused(SqliteOptions::file(&text)).await,
        &text,
        "not an SQLite database",
    );
    assert!(std::fs::read_to_string(&text).unwrap().starts_with("Dear"));
    tells(
        &refused(SqliteOptions::file(folder.path())).await,
        folder.path(),
        "folder",
    );
    let nowhere = folder.path().join("no/such/folder/a.db");
    tells(
        &refused(SqliteOptions::file(&nowhere)).await,
        &nowhere,
        "folder does not exist",
    );
    let missing = folder.path().join("missing.db");
    let options = SqliteOptions::file(&missing).missing_file(MissingFile::Refuse);
    tells(&refused(options).await, &missing, "no such file");
    assert!(!missing.exists());
}

/// A folder in which no file can be made, even by the superuser.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_unwritable_folder_is_refused() {
    let path = Path::new("/proc/self/a.db");
    let error = refused(SqliteOptions::file(path)).await;
    tells(&error, path, "cannot be opened");
}

#[tokio::test]
async fn a_file_of_a_later_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = SqliteStore::open_file(&path).await.unwrap();
    store.close().await.unwrap();
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute("UPDATE strongroom_format SET version = 2", [])
        .unwrap();
    drop(file);
    tells(
        &refused(SqliteOptions::file(&path)).await,
        &path,
        "format 2",
    );
}

#[tokio::test]
async fn a_damaged_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = SqliteStore::open_file(&path).await.unwrap();
    let model = model("users");
    store
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .unwrap();
    let body = json!({"text": "x".repeat(3000)});
    for n in 0..50 {
        let write = put(&format!("k{n}"), &body, Expected::Absent);
        store
            .save(SaveRequest::new(model.clone(), write))
            .await
            .unwrap();
    }
    store.close().await.unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    let store = match SqliteStore::open_file(&path).await {
        Ok(store) => store,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Config, "{error}"),
    };
    let keys = (0..50).map(|n| Key::new(format!("k{n}")).unwrap());
    let loaded = store
        .load(LoadRequest::new(model.clone(), keys.collect()))
        .await;
    let error = loaded.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[tokio::test]
async fn names_and_tables_of_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch("CREATE TABLE taken (x); INSERT INTO taken VALUES (1)")
        .unwrap();
    drop(file);
    let store = SqliteStore::open_file(&path).await.unwrap();
    let ensured = store
        .ensure(EnsureRequest::new(model("sqlite_things")))
        .await;
    assert_eq!(ensured.unwrap_err().kind(), ErrorKind::Invalid);
    let ensured = store.ensure(EnsureRequest::new(model("taken"))).await;
    assert_eq!(ensured.unwrap_err().kind(), ErrorKind::SchemaMismatch);
    assert!(
        !store
            .drop_collection("taken".parse().unwrap())
            .await
            .unwrap()
    );
    let loaded = store
        .load(LoadRequest::new(
            model("nowhere"),
            vec![Key::new("a").unwrap()],
        ))
        .await;
    let error = loaded.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.collection().map(|c| c.as_str()), Some("nowhere"));
    let saved = store
        .save(SaveRequest::new(
            model("nowhere"),
            put("a", &json!({}), Expected::Any),
        ))
        .await;
    assert_eq!(saved.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_model_that_was_not_ensured_is_told() {
    let store = SqliteStore::open(SqliteOptions::memory()).await.unwrap();
    store
        .ensure(EnsureRequest::new(model("users")))
        .await
        .unwrap();
    let field = FieldDeclaration::new("name".parse().unwrap(), Kind::Keyword).indexed();
    let wider = Model::builder("users").field(field).build().unwrap();
    let filter = Filter::eq("name", "x").unwrap();
    let counted = store
        .count(CountRequest::new(wider.clone(), filter.clone()))
        .await;
    let error = counted.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{error}");
    let report = store
        .ensure(EnsureRequest::new(wider.clone()))
        .await
        .unwrap();
    assert_eq!(report.added, ["name".parse().unwrap()]);
    let counted = store.count(CountRequest::new(wider, filter)).await;
    assert_eq!(counted.unwrap(), 0);
}

#[tokio::test]
async fn a_query_too_large_for_the_engine_is_refused() {
    let field = FieldDeclaration::new("name".parse().unwrap(), Kind::Keyword);
    let model = Model::builder("users").field(field).build().unwrap();
    let store = SqliteStore::open(SqliteOptions::memory()).await.unwrap();
    store
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .unwrap();
    let list = |n: usize| {
        let values = (0..n).map(|v| v.to_string());
        Filter::is_in("name", values).unwrap()
    };
    // 32 lists of 1,000 and one of 766 are as many values as SQLite binds.
    for (last, fits) in [(766, true), (767, false)] {
        let mut lists = vec![list(1000); 32];
        lists.push(list(last));
        let counted = store
            .count(CountRequest::new(model.clone(), Filter::Or(lists)))
            .await;
        assert_eq!(
            counted.map_err(|e| e.kind()),
            if fits { Ok(0) } else { Err(ErrorKind::Invalid) }
        );
    }
    // The widest and deepest filters that are allowed.
    let wide = Filter::Or(
        (0..999)
            .map(|n| Filter::eq("name", n.to_string()).unwrap())
            .collect(),
    );
    let mut deep = Filter::eq("name", "x").unwrap();
    for _ in 0..31 {
        deep = Filter::Not(Box::new(deep));
    }
    for filter in [wide, deep] {
        filter.check(&model).unwrap();
        let counted = store.count(CountRequest::new(model.clone(), filter)).await;
        assert_eq!(counted.unwrap(), 0);
    }
}

/// A full disk, as far as SQLite is concerned: the file may have no more pages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_fails_writes_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let pages = Arc::new(AtomicI64::new(60));
    let allowed = pages.clone();
    let options = || {
        let allowed = allowed.clone();
        SqliteOptions::file(&path).on_connect(move |connection| {
            let pages = allowed.load(Ordering::SeqCst);
            connection.execute(&format!("PRAGMA max_page_count = {pages}"))
        })
    };
    let store = SqliteStore::open(options()).await.unwrap();
    let model = model("users");
    store
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .unwrap();
    let body = json!({"text": "x".repeat(2000)});
    let small = put("small", &json!({"n": 1}), Expected::Absent);
    let small = store
        .save(SaveRequest::new(model.clone(), small))
        .await
        .unwrap();
    let mut kept = Vec::new();
    let error = loop {
        let key = format!("k{}", kept.len());
        let write = put(&key, &body, Expected::Absent);
        match store.save(SaveRequest::new(model.clone(), write)).await {
            Ok(_) => kept.push(Key::new(key).unwrap()),
            Err(error) => break error,
        }
        assert!(kept.len() < 1000, "the disk never filled up");
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("no room"), "{error}");

    // A bulk is not half-done, atomic or not.
    for atomic in [false, true] {
        let items = (0..50).map(|n| put(&format!("b{n}"), &body, Expected::Absent).into());
        let mut bulk = BulkRequest::new(model.clone(), items.collect());
        bulk.atomic = atomic;
        let error = strongroom_core::store::Bulk::bulk(&store, bulk)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    // Concurrent saves each meet their own fate: a small change fits where a new page does not.
    let mut saves = Vec::new();
    for n in 0..20 {
        let (store, model, body) = (store.clone(), model.clone(), body.clone());
        saves.push(tokio::spawn(async move {
            let write = put(&format!("c{n}"), &body, Expected::Absent);
            store.save(SaveRequest::new(model, write)).await
        }));
    }
    let change = put("small", &json!({"n": 2}), small.version.unwrap());
    let changed = store
        .save(SaveRequest::new(model.clone(), change))
        .await
        .unwrap();
    let mut acknowledged = Vec::new();
    for (n, save) in saves.into_iter().enumerate() {
        match save.await.unwrap() {
            Ok(_) => acknowledged.push(Key::new(format!("c{n}")).unwrap()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
    }
    assert!(acknowledged.len() < 20);
    kept.extend(acknowledged);
    let count = CountRequest::new(model.clone(), Filter::all());
    let there = store.count(count).await.unwrap();
    assert_eq!(there, kept.len() as u64 + 1);
    let loaded = store.load(LoadRequest::new(model.clone(), kept)).await;
    assert!(loaded.unwrap().iter().all(Option::is_some));
    store.close().await.unwrap();

    // There is room again.
    pages.store(10_000, Ordering::SeqCst);
    let store = SqliteStore::open(options()).await.unwrap();
    let write = put("small", &body, changed.version.unwrap());
    store
        .save(SaveRequest::new(model.clone(), write))
        .await
        .unwrap();
    store.close().await.unwrap();
    let file = rusqlite::Connection::open(&path).unwrap();
    let check: String = file
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test]
async fn a_hook_cannot_take_away_what_the_store_relies_on() {
    let folder = tempfile::tempdir().unwrap();
    for (sql, setting) in [
        ("PRAGMA synchronous = OFF", "synchronous"),
        ("PRAGMA journal_mode = DELETE", "journal_mode"),
        ("PRAGMA foreign_keys = OFF", "foreign_keys"),
    ] {
        let path = folder.path().join(format!("{setting}.db"));
        let options = SqliteOptions::file(&path).on_connect(move |c| c.execute(sql));
        let error = refused(options).await;
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(setting), "{error}");
    }
    let wrong = SqliteOptions::memory().on_connect(|c| c.execute("no such statement"));
    refused(wrong).await;
}

/// Readers are opened when they are needed, and checked as the writer is.
#[tokio::test]
async fn every_connection_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    for (sql, setting) in [
        ("PRAGMA synchronous = OFF", "synchronous"),
        ("PRAGMA query_only = OFF", "query_only"),
    ] {
        let path = folder.path().join(format!("{setting}.db"));
        let options = SqliteOptions::file(&path).on_connect(move |connection| {
            if connection.is_writer() {
                Ok(())
            } else {
                connection.execute(sql)
            }
        });
        let store = SqliteStore::open(options).await.unwrap();
        let key = Key::new("a").unwrap();
        let loaded = store
            .load(LoadRequest::new(model("users"), vec![key]))
            .await;
        let error = loaded.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(setting), "{error}");
    }
}

/// A lock of another process that keeps readers out is waited for, not told.
#[tokio::test]
async fn readers_wait_for_an_exclusive_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let options = |timeout| {
        SqliteOptions::file(&path).busy_timeout(std::time::Duration::from_millis(timeout))
    };
    let store = SqliteStore::open(options(10_000)).await.unwrap();
    let users = model("users");
    store
        .ensure(EnsureRequest::new(users.clone()))
        .await
        .unwrap();
    store.close().await.unwrap();
    // In this mode a connection locks everyone out for as long as it is open.
    let lock = || {
        let file = rusqlite::Connection::open(&path).unwrap();
        file.execute_batch(
            "PRAGMA journal_mode = wal; PRAGMA locking_mode = exclusive; BEGIN IMMEDIATE; COMMIT",
        )
        .unwrap();
        file
    };
    let locked = lock();
    let error = refused(options(50)).await;
    assert_eq!(error.kind(), ErrorKind::Contended, "{error}");
    let waiting = tokio::spawn(SqliteStore::open(options(10_000)));
    tokio::task::yield_now().await;
    drop(locked);
    let store = waiting.await.unwrap().unwrap();
    let count = CountRequest::new(users, Filter::all());
    assert_eq!(store.count(count).await.unwrap(), 0);
}
