//! Conflict retry and transactions.
#![cfg(feature = "derive")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strongroom::handle::Limits;
use strongroom::prelude::*;
use strongroom::store::BeginOptions;
use strongroom::{Error, Operation, Result};
use support::{watched, watched_with};

#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "counters")]
struct Counter {
    #[document(id)]
    name: String,
    count: i64,
}

fn counter(name: &str) -> Counter {
    Counter {
        name: name.to_owned(),
        count: 0,
    }
}

fn conflict() -> Error {
    Error::new(ErrorKind::Conflict, "someone was faster")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_updates_lose_nothing() -> Result<()> {
    let w = watched();
    let counters = w.db.collection::<Counter>();
    counters.ensure().await?;
    counters.insert(counter("a")).await?;
    let tasks = (0..16).map(|_| {
        let counters = counters.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                counters.update("a", |c| c.count += 1).await?;
            }
            Result::Ok(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap()?;
    }
    let end = counters.get("a").await?.unwrap();
    assert_eq!((end.count, end.version().revision()), (800, Some(801)));
    Ok(())
}

#[tokio::test]
async fn a_change_that_refuses_writes_nothing() -> Result<()> {
    let w = watched();
    let counters = w.db.collection::<Counter>();
    counters.ensure().await?;
    counters.insert(counter("a")).await?;
    w.spy.take();
    let refused = counters
        .try_update("a", |c| {
            c.count = 9;
            Err(Error::invalid("not today"))
        })
        .await
        .unwrap_err();
    assert_eq!(refused.message(), "not today");
    assert_eq!(w.spy.take(), [Operation::Load]);
    let task = tokio::spawn({
        let counters = counters.clone();
        async move {
            let step = String::from("12");
            let step = &step;
            let added = counters.update_async("a", |mut c| async move {
                tokio::task::yield_now().await;
                c.count += step.len() as i64;
                Ok(c)
            });
            added.await
        }
    });
    assert_eq!(task.await.unwrap()?.count, 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn attempts_run_out() -> Result<()> {
    let w = watched_with(Limits::default(), RetryPolicy::default().with_attempts(3));
    let counters = w.db.collection::<Counter>();
    counters.ensure().await?;
    counters.insert(counter("a")).await?;
    for _ in 0..3 {
        w.spy.fail_next(Operation::Save, conflict());
    }
    w.spy.take();
    let mut runs = 0;
    let error = counters
        .update("a", |c| {
            runs += 1;
            c.count += 1;
        })
        .await
        .unwrap_err();
    assert_eq!((error.kind(), runs), (ErrorKind::Contended, 3));
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.downcast_ref::<Error>().unwrap().is_conflict());
    assert_eq!(error.collection().unwrap().as_str(), "counters");
    assert_eq!(w.spy.take(), [Operation::Load, Operation::Save].repeat(3));
    Ok(())
}

#[tokio::test]
async fn a_transaction_is_one_change() -> Result<()> {
    let w = watched();
    let counters = w.db.collection::<Counter>();
    counters.ensure().await?;
    counters.insert(counter("a")).await?;
    let moved =
        w.db.transaction(TransactionOptions::new(), |tx| async move {
            let counters = tx.collection::<Counter>();
            counters.update("a", |c| c.count -= 1).await?;
            counters
                .insert(Counter {
                    name: "b".into(),
                    count: 1,
                })
                .await
        });
    assert_eq!(moved.await?.count, 1);
    assert_eq!(counters.get("a").await?.unwrap().count, -1);

    let failed = w.db.transaction(BeginOptions::new(), |tx| async move {
        tx.collection::<Counter>()
            .update("a", |c| c.count = 99)
            .await?;
        Result::<()>::Err(Error::invalid("changed my mind"))
    });
    assert_eq!(failed.await.unwrap_err().message(), "changed my mind");
    assert_eq!(counters.get("a").await?.unwrap().count, -1);
    Ok(())
}

#[tokio::test]
async fn a_transaction_runs_again_as_a_whole() -> Result<()> {
    let w = watched();
    let counters = w.db.collection::<Counter>();
    counters.ensure().await?;
    counters.insert(counter("a")).await?;
    w.spy.fail_next(Operation::Save, conflict());
    w.spy
        .fail_next(Operation::Commit, Error::new(ErrorKind::Contended, "busy"));
    let runs = AtomicUsize::new(0);
    let runs = &runs;
    w.spy.take();
    let work =
        w.db.transaction(TransactionOptions::new(), |tx| async move {
            runs.fetch_add(1, Ordering::Relaxed);
            tx.collection::<Counter>()
                .update("a", |c| c.count += 1)
                .await
        });
    work.await?;
    assert_eq!(runs.load(Ordering::Relaxed), 3);
    assert_eq!(counters.get("a").await?.unwrap().count, 1);
    let saves = w
        .spy
        .take()
        .into_iter()
        .filter(|o| *o == Operation::Save)
        .count();
    assert_eq!(saves, 3, "nothing is retried inside");
    Ok(())
}

#[tokio::test]
async fn savepoints_undo_alone() -> Result<()> {
    let w = watched();
    let counters = w.db.collection::<Counter>();
    counters.ensure().await?;
    let tx = w.db.begin(BeginOptions::new()).await?;
    let inside = tx.collection::<Counter>();
    inside.insert(counter("kept")).await?;
    let undone: Result<()> = tx
        .transaction(|tx| async move {
            tx.collection::<Counter>().insert(counter("undone")).await?;
            Err(Error::invalid("no"))
        })
        .await;
    undone.unwrap_err();
    let kept =
        tx.transaction(
            |tx| async move { tx.collection::<Counter>().insert(counter("kept too")).await },
        );
    kept.await?;
    assert!(inside.exists("kept").await?);
    tx.commit().await?;
    let error = inside.exists("kept").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let found = counters.get_many(["kept", "undone", "kept too"]).await?;
    assert_eq!(
        found.iter().map(Option::is_some).collect::<Vec<_>>(),
        [true, false, true]
    );
    Ok(())
}

#[tokio::test]
async fn dropping_a_transaction_gives_it_up() -> Result<()> {
    let w = watched();
    let counters = w.db.collection::<Counter>();
    counters.ensure().await?;
    let tx = w.db.begin(BeginOptions::new()).await?;
    let inside = tx.collection::<Counter>();
    inside.insert(counter("a")).await?;
    let other = tx.clone();
    drop(tx);
    assert!(inside.exists("a").await?, "a clone keeps it open");
    drop(other);
    let error = inside.insert(counter("b")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(!counters.exists("a").await?);

    // A transaction whose future is dropped ends, whatever the work left behind.
    let kept = Arc::new(std::sync::Mutex::new(None));
    let work = w.db.transaction(TransactionOptions::new(), |tx| {
        let kept = kept.clone();
        async move {
            tx.collection::<Counter>().insert(counter("c")).await?;
            *kept.lock().unwrap() = Some(tx);
            std::future::pending::<Result<()>>().await
        }
    });
    let cut = tokio::time::timeout(Duration::from_millis(20), work).await;
    assert!(cut.is_err());
    let left = kept.lock().unwrap().take().unwrap();
    let error = left.collection::<Counter>().exists("c").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    counters.insert(counter("free")).await?;
    assert!(!counters.exists("c").await?);
    Ok(())
}

#[tokio::test]
async fn futures_may_be_spawned() -> Result<()> {
    let w = watched();
    let db = w.db.clone();
    let task = tokio::spawn(async move {
        let counters = db.collection::<Counter>();
        counters.ensure().await?;
        counters.insert_many([counter("a"), counter("b")]).await?;
        counters
            .bulk()
            .insert(counter("c"))
            .progress(|_| ())
            .send()
            .await?;
        let policy = RetryPolicy::default();
        let counters = &counters;
        retry_on_conflict(&policy, async || {
            counters.update("a", |c| c.count += 1).await
        })
        .await?;
        db.transaction(TransactionOptions::new(), async |tx| {
            tx.transaction(async |tx| tx.collection::<Counter>().get("a").await)
                .await
        })
        .await?;
        counters.find(Filter::all()).count().await
    });
    assert_eq!(task.await.unwrap()?, 3);
    Ok(())
}
