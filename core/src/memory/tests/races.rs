//! Many tasks at once.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::ErrorKind::{AlreadyExists, Conflict};
use crate::patch::Patch;
use crate::query::Filter;
use crate::store::{BeginOptions, CountRequest, Effect, Search};

const TASKS: u64 = 16;
const ROUNDS: u64 = 200;

#[derive(serde::Deserialize)]
struct Counter {
    n: u64,
}

async fn counter<S: Load + ?Sized>(store: &S, model: &Arc<Model>) -> (u64, RawDocument) {
    let document = load(store, model, "c").await.unwrap();
    (document.body.decode::<Counter>().unwrap().n, document)
}

/// Runs a task `TASKS` times at once.
async fn at_once<F: Future<Output = ()> + Send + 'static>(task: impl Fn(u64) -> F) {
    let tasks: Vec<_> = (0..TASKS).map(|at| tokio::spawn(task(at))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarded_increments_add_up() {
    let (store, model, _) = store().await;
    put(&store, &model, "c", r#"{"n":0}"#, Expected::Absent)
        .await
        .unwrap();
    at_once(|_| {
        let (store, model) = (store.clone(), model.clone());
        async move {
            let mut done = 0;
            while done < ROUNDS {
                let (n, document) = counter(&store, &model).await;
                let next = format!(r#"{{"n":{}}}"#, n + 1);
                match put(&store, &model, "c", &next, document.version).await {
                    Ok(_) => done += 1,
                    Err(error) => assert_eq!(error.kind(), Conflict),
                }
            }
        }
    })
    .await;
    let (n, document) = counter(&store, &model).await;
    assert_eq!(n, TASKS * ROUNDS);
    assert_eq!(document.version.revision(), Some(TASKS * ROUNDS + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn unguarded_patches_and_transactions_add_up() {
    let (store, model, _) = store().await;
    put(&store, &model, "c", r#"{"n":0}"#, Expected::Absent)
        .await
        .unwrap();
    at_once(|at| {
        let (store, model) = (store.clone(), model.clone());
        async move {
            for round in 0..ROUNDS {
                if at % 2 == 0 {
                    let patch = Patch::new().increment("n".parse().unwrap(), 1);
                    let write = Write::patch(key("c"), patch, Expected::Any);
                    save(&store, &model, write).await.unwrap();
                } else {
                    let options = BeginOptions::new().wait(std::time::Duration::from_secs(60));
                    let tx = store.transact().unwrap().begin(options).await.unwrap();
                    let (n, document) = counter(&*tx, &model).await;
                    let next = format!(r#"{{"n":{}}}"#, n + 1);
                    put(&*tx, &model, "c", &next, document.version)
                        .await
                        .unwrap();
                    // Half of them change their mind, and do it again by a patch.
                    if round % 2 == 0 {
                        tx.commit().await.unwrap();
                    } else {
                        drop(tx);
                        let patch = Patch::new().increment("n".parse().unwrap(), 1);
                        let write = Write::patch(key("c"), patch, Expected::Any);
                        save(&store, &model, write).await.unwrap();
                    }
                }
            }
        }
    })
    .await;
    assert_eq!(counter(&store, &model).await.0, TASKS * ROUNDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_racing_creates_wins() {
    let (store, model, _) = store().await;
    let wins = Arc::new(AtomicU64::new(0));
    at_once(|_| {
        let (store, model, wins) = (store.clone(), model.clone(), wins.clone());
        async move {
            for round in 0..ROUNDS {
                let id = format!("d{round}");
                match put(&store, &model, &id, "{}", Expected::Absent).await {
                    Ok(receipt) => {
                        assert_eq!(receipt.effect, Effect::Created);
                        wins.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => assert_eq!(error.kind(), AlreadyExists),
                }
            }
        }
    })
    .await;
    assert_eq!(wins.load(Ordering::Relaxed), ROUNDS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_never_see_half_a_transaction() {
    let (store, model, _) = store().await;
    let all = CountRequest::new(model.clone(), Filter::all());
    at_once(|at| {
        let (store, model, all) = (store.clone(), model.clone(), all.clone());
        async move {
            for round in 0..ROUNDS / 4 {
                if at == 0 {
                    let transact = store.transact().unwrap();
                    let tx = transact.begin(BeginOptions::new()).await.unwrap();
                    for half in ["a", "b"] {
                        let id = format!("{half}{round}");
                        put(&*tx, &model, &id, "{}", Expected::Absent)
                            .await
                            .unwrap();
                        tokio::task::yield_now().await;
                    }
                    tx.commit().await.unwrap();
                } else {
                    let count = store.count(all.clone()).await.unwrap();
                    assert_eq!(count % 2, 0);
                    tokio::task::yield_now().await;
                }
            }
        }
    })
    .await;
    assert_eq!(store.count(all).await.unwrap(), ROUNDS / 4 * 2);
}
