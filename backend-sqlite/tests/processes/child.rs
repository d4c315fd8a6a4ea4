//! What a child process does.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model};
use strongroom_core::store::{
    BeginOptions, Bulk, BulkRequest, EnsureRequest, Load, LoadRequest, Save, SaveRequest, Schema,
    Transact, Write,
};
use strongroom_sqlite::{SqliteOptions, SqliteStore};

use crate::{block_on, model};

/// Runs the role that the parent asked for.
pub(crate) fn run(arguments: &[String]) {
    let [role, path, rest @ ..] = arguments else {
        panic!("a child needs a role and a path: {arguments:?}");
    };
    let path = Path::new(path);
    block_on(async {
        match role.as_str() {
            "write" => write_until_killed(path).await,
            "increment" => increment(path, rest[0].parse().unwrap()).await,
            "create" => create(path).await,
            "ensure" => ensure(path, &rest[0]).await,
            "hold" => hold(path).await,
            other => panic!("{other:?} is no role"),
        }
    });
}

async fn open(path: &Path) -> SqliteStore {
    let store = SqliteStore::open(SqliteOptions::file(path)).await.unwrap();
    store.ensure(EnsureRequest::new(model())).await.unwrap();
    store
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

fn body(n: i64) -> Body {
    // Bodies of different sizes, so that pages split and overflow.
    let length = usize::try_from(n.rem_euclid(40)).unwrap() * 100;
    Body::encode(&json!({"n": n, "fill": "x".repeat(length)})).unwrap()
}

/// Counts documents up from several tasks at once, by saves, bulks and transactions, and prints
/// each step after it was acknowledged.
async fn write_until_killed(path: &Path) -> ! {
    let store = open(path).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..6 {
        let store = store.clone();
        tasks.spawn(async move {
            let keys = [0, 1].map(|n| Key::new(format!("t{task}-{n}")).unwrap());
            let loaded = store
                .load(LoadRequest::new(model(), vec![keys[0].clone()]))
                .await;
            let there = loaded.unwrap().pop().unwrap();
            let mut n = there.map_or(0, |d| {
                d.body.decode::<serde_json::Value>().unwrap()["n"]
                    .as_i64()
                    .unwrap()
            });
            loop {
                n += 1;
                let put = |key: &Key| Write::put(key.clone(), body(n), Expected::Any);
                match task % 3 {
                    0 => {
                        let save = SaveRequest::new(model(), put(&keys[0]));
                        store.save(save).await.unwrap();
                    }
                    1 => {
                        let items = keys.iter().map(|key| put(key).into()).collect();
                        let bulk = BulkRequest::new(model(), items).atomic();
                        assert!(store.bulk(bulk).await.unwrap().is_ok());
                    }
                    _ => {
                        let transaction = store.begin(BeginOptions::new()).await.unwrap();
                        for key in &keys {
                            let save = SaveRequest::new(model(), put(key));
                            transaction.save(save).await.unwrap();
                        }
                        transaction.commit().await.unwrap();
                    }
                }
                say(&format!("{task} {n}"));
            }
        });
    }
    // None of them ends, unless something failed.
    let ended = tasks.join_next().await;
    panic!("a writer ended: {ended:?}");
}

/// Counts one document up `times` times from each of four tasks, each time by a guarded save of
/// what was loaded. Anything but a conflict ends the child with an error.
async fn increment(path: &Path, times: u32) {
    let store = open(path).await;
    let key = Key::new("shared").unwrap();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (store, key) = (store.clone(), key.clone());
            tokio::spawn(async move {
                for _ in 0..times {
                    while !try_increment(&store, &key).await {}
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn try_increment(store: &SqliteStore, key: &Key) -> bool {
    let loaded = store
        .load(LoadRequest::new(model(), vec![key.clone()]))
        .await
        .unwrap();
    let write = match &loaded[0] {
        None => Write::put(key.clone(), body(1), Expected::Absent),
        Some(there) => {
            let n = there.body.decode::<serde_json::Value>().unwrap()["n"]
                .as_i64()
                .unwrap();
            Write::put(key.clone(), body(n + 1), there.version)
        }
    };
    match store.save(SaveRequest::new(model(), write)).await {
        Ok(_) => true,
        Err(e) if matches!(e.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists) => false,
        Err(e) => panic!("an increment failed: {e}"),
    }
}

/// Creates one document for each of many keys, as other processes do at the same time, and prints
/// for how many it was the first.
async fn create(path: &Path) {
    let store = open(path).await;
    let mut created = 0;
    for n in 0..100 {
        let key = Key::new(format!("k{n}")).unwrap();
        let write = Write::put(key, body(i64::from(std::process::id())), Expected::Absent);
        match store.save(SaveRequest::new(model(), write)).await {
            Ok(_) => created += 1,
            Err(e) => assert_eq!(e.kind(), ErrorKind::AlreadyExists, "{e}"),
        }
    }
    say(&created.to_string());
}

fn with_field(name: &str) -> Arc<Model> {
    Model::builder("counters")
        .field(FieldDeclaration::new("n".parse().unwrap(), Kind::Integer).indexed())
        .field(FieldDeclaration::new(name.parse().unwrap(), Kind::Keyword).indexed())
        .build()
        .unwrap()
}

/// Adds a field to the collection, and saves a document with it.
async fn ensure(path: &Path, name: &str) {
    let store = SqliteStore::open(SqliteOptions::file(path)).await.unwrap();
    let model = with_field(name);
    store
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .unwrap();
    let body = Body::encode(&json!({"n": 1, name: "x"})).unwrap();
    let write = Write::put(Key::new(name).unwrap(), body, Expected::Absent);
    store.save(SaveRequest::new(model, write)).await.unwrap();
}

/// Holds the lock of the file in an open transaction until the parent closes the pipe.
async fn hold(path: &Path) {
    let store = open(path).await;
    let transaction = store.begin(BeginOptions::new()).await.unwrap();
    say("held");
    tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()))
        .await
        .unwrap()
        .unwrap();
    // The parent is waiting for the lock by now, or will find it free.
    tokio::time::sleep(Duration::from_millis(50)).await;
    transaction.rollback().await.unwrap();
}
