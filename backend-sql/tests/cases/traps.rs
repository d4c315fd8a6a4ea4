//! What SQL servers do otherwise than one would think, and what the store makes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use strongroom_core::error::{ErrorKind, Result};
use strongroom_core::handle::{Database, TransactionOptions, Tx};
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model, WriteId};
use strongroom_core::patch::Patch;
use strongroom_core::query::Filter;
use strongroom_core::store::{
    Bulk, BulkRequest, CountRequest, EnsureRequest, Isolation, Load, LoadRequest, Save,
    SaveRequest, Schema, Search, Write,
};
use tokio::sync::Barrier;

use crate::support::Named;

fn key(id: &str) -> Key {
    Key::new(id).unwrap()
}

async fn number(tx: &Tx, model: &Arc<Model>, id: &str) -> Result<i64> {
    let loaded = tx
        .store()
        .load(LoadRequest::new(model.clone(), vec![key(id)]));
    let loaded = loaded.await?;
    let body = loaded.first().unwrap().as_ref().unwrap().body.to_object()?;
    Ok(body.get("n").unwrap().as_i64().unwrap())
}

/// Runs two transactions beside each other, whose first runs meet in the middle, and tells how
/// often the two ran in all.
async fn beside<F>(
    named: &Named,
    isolation: Isolation,
    work: impl Fn(Tx, usize, Middle) -> F + Clone + Send + Sync + 'static,
) -> usize
where
    F: Future<Output = Result<()>> + Send,
{
    for id in ["a", "b"] {
        named.store.save(named.put(id, 1)).await.unwrap();
    }
    let db = Database::new(Arc::new(named.store.clone()));
    let runs = Arc::new(AtomicUsize::new(0));
    let meet = Arc::new(Barrier::new(2));
    let tasks = [0, 1].map(|which| {
        let (db, runs, meet, work) = (db.clone(), runs.clone(), meet.clone(), work.clone());
        tokio::spawn(async move {
            let first = AtomicUsize::new(0);
            let options = TransactionOptions::new().with_isolation(isolation);
            db.transaction(options, |tx| {
                runs.fetch_add(1, Ordering::SeqCst);
                let is_first = first.fetch_add(1, Ordering::SeqCst) == 0;
                work(tx, which, Middle(is_first.then(|| meet.clone())))
            })
            .await
        })
    });
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    runs.load(Ordering::SeqCst)
}

/// Where two first runs meet.
struct Middle(Option<Arc<Barrier>>);

impl Middle {
    async fn meet(&self) {
        if let Some(barrier) = &self.0 {
            barrier.wait().await;
        }
    }
}

/// Each holds what the other waits for. The server refuses one, whose work is done again as a
/// whole: nothing of its first run is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_runs_the_whole_work_again() {
    let named = Named::connect(4).await;
    let model = named.model.clone();
    let runs = beside(&named, Isolation::Default, move |tx, which, middle| {
        let model = model.clone();
        async move {
            let count_up = |id: &str| {
                let patch = Patch::new().increment("n".parse().unwrap(), 1);
                SaveRequest::new(
                    model.clone(),
                    Write::patch(key(id), patch, Expected::Present),
                )
            };
            let (mine, other) = if which == 0 { ("a", "b") } else { ("b", "a") };
            tx.store().save(count_up(mine)).await?;
            middle.meet().await;
            tx.store().save(count_up(other)).await?;
            Ok(())
        }
    });
    assert!(runs.await > 2, "there was no deadlock");
    assert_eq!((named.number("a").await, named.number("b").await), (3, 3));
    named.done().await;
}

/// Each goes off duty if both are on. The server refuses one of two that it cannot put into an
/// order, at a statement or at its commit, and the second run sees what the other did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_put_into_an_order_runs_again() {
    let named = Named::connect(4).await;
    for (isolation, left) in [(Isolation::Serializable, 1), (Isolation::Snapshot, 0)] {
        let model = named.model.clone();
        let runs = beside(&named, isolation, move |tx, which, middle| {
            let model = model.clone();
            async move {
                let on = number(&tx, &model, "a").await? + number(&tx, &model, "b").await?;
                middle.meet().await;
                if on == 2 {
                    let mine = ["a", "b"].get(which).copied().unwrap();
                    let off = Body::parse(r#"{"n":0}"#)?;
                    let write = Write::put(key(mine), off, Expected::Present);
                    tx.store().save(SaveRequest::new(model, write)).await?;
                }
                Ok(())
            }
        });
        // The weaker isolation shows that the two did meet.
        assert_eq!(runs.await > 2, isolation == Isolation::Serializable);
        assert_eq!(named.number("a").await + named.number("b").await, left);
    }
    named.done().await;
}

async fn with_fields() -> (Named, Arc<Model>) {
    let named = Named::connect(1).await;
    let mut builder = Model::builder(format!("traps-{}", WriteId::random()));
    for (name, kind) in [("k", Kind::Keyword), ("n", Kind::Integer)] {
        builder = builder.field(FieldDeclaration::new(name.parse().unwrap(), kind));
    }
    let model = builder.build().unwrap();
    let ensured = named.store.ensure(EnsureRequest::new(model.clone())).await;
    assert!(ensured.unwrap().created);
    (named, model)
}

/// A statement binds 65,535 values at most.
#[tokio::test]
async fn more_values_than_a_statement_binds() {
    let (named, model) = with_fields().await;
    let items = (0..10_000).map(|n| {
        let body = Body::parse(format!(r#"{{"n":{n}}}"#)).unwrap();
        Write::put(key(&n.to_string()), body, Expected::Absent).into()
    });
    let bulk = BulkRequest::new(model.clone(), items.collect());
    assert!(named.store.bulk(bulk).await.unwrap().is_ok());
    let keys = (0..10_000).map(|n| key(&n.to_string())).collect();
    let loaded = named
        .store
        .load(LoadRequest::new(model.clone(), keys))
        .await;
    assert!(loaded.unwrap().iter().all(Option::is_some));
    let any_of = |values: i64| {
        let parts = (0..values).collect::<Vec<_>>();
        let parts = parts
            .chunks(1_000)
            .map(|part| Filter::is_in("n", part.to_vec()).unwrap());
        CountRequest::new(model.clone(), parts.reduce(Filter::or).unwrap())
    };
    let counted = named.store.count(any_of(65_535)).await;
    assert_eq!(counted.unwrap(), 10_000);
    let refused = named.store.count(any_of(65_536)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused:?}");
    assert!(refused.message().contains("65536"), "{refused}");
    named
        .store
        .drop_collection(model.name().clone())
        .await
        .unwrap();
    named.done().await;
}

/// `jsonb` takes no U+0000, and makes whole numbers of what had a fraction.
#[tokio::test]
async fn what_the_server_cannot_hold_comes_back_all_the_same() {
    let (named, model) = with_fields().await;
    let texts = [
        "a\0b",
        "a\u{1}b",
        "a\u{1}\u{1}b",
        "a\0\u{1}b",
        "ab",
        "a\\u0000b",
    ];
    for (n, text) in texts.iter().enumerate() {
        let k = serde_json::to_string(text).unwrap();
        let body = format!(r#"{{"k":{k},"\u0000":[-0.0,1e16,1.50],"n":{n}}}"#);
        let body = Body::parse(body).unwrap();
        let write = Write::put(key(&format!("{n}")), body.clone(), Expected::Absent);
        named
            .store
            .save(SaveRequest::new(model.clone(), write))
            .await
            .unwrap();
        let load = LoadRequest::new(model.clone(), vec![key(&format!("{n}"))]);
        let loaded = named.store.load(load).await.unwrap();
        let loaded = loaded.first().unwrap().as_ref().unwrap();
        assert!(
            loaded.body.same_value(&body),
            "{:?} {body:?}",
            loaded.body.as_str()
        );
        assert!(!loaded.body.as_str().unwrap().contains("-0,"));
    }
    let count = async |filter| {
        let counted = named.store.count(CountRequest::new(model.clone(), filter));
        counted.await.unwrap()
    };
    for text in texts {
        assert_eq!(count(Filter::eq("k", text).unwrap()).await, 1, "{text:?}");
    }
    assert_eq!(count(Filter::prefix("k", "a\0").unwrap()).await, 2);
    assert_eq!(count(Filter::lt("k", "a\u{1}").unwrap()).await, 2);
    named
        .store
        .drop_collection(model.name().clone())
        .await
        .unwrap();
    named.done().await;
}
