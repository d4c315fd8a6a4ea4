//! The typed handle over each engine, and what differs between them.
#![cfg(all(feature = "derive", feature = "sqlite"))]

#[path = "support/stamping.rs"]
mod stamping;
mod support;

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use strongroom::Result;
use strongroom::handle::Limits;
use strongroom::prelude::*;
use strongroom::store::BeginOptions;
use support::{at, watched, watched_with};

#[derive(Document, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[document(collection = "orders")]
struct Order {
    #[document(routing)]
    shop: String,
    #[document(id)]
    number: u32,
    #[document(created)]
    created: Option<Timestamp>,
    #[document(updated)]
    updated: Option<Timestamp>,
    #[document(indexed)]
    state: Option<String>,
    #[document(object)]
    buyer: Option<Buyer>,
    #[serde(default)]
    total: f64,
}

#[derive(Object, Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Buyer {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

fn order(number: u32) -> Order {
    Order {
        shop: "paris".into(),
        number,
        created: None,
        updated: None,
        state: Some("open".into()),
        buyer: Some(Buyer {
            name: "Zoë \u{1F980} \"quoted\"".into(),
            note: None,
        }),
        total: 0.1 + 0.2,
    }
}

#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the body of a test"
)]
async fn everything(db: Database) -> Result<()> {
    let orders = db.collection::<Order>();
    orders.ensure().await?;
    let created = orders.insert_many((0..30).map(order)).await?;
    let created = created.into_iter().collect::<Result<Vec<_>>>()?;
    let key = |number: u32| ("paris", number.to_string());
    assert!(orders.exists(key(7)).await?);
    assert!(!orders.exists(key(77)).await?);
    let mut loaded = orders.get(key(7)).await?.unwrap();
    assert_eq!(*loaded, *created[7]);
    assert!(!loaded.is_changed());
    assert!(matches!(
        orders.save(&mut loaded).await?,
        Saved::Unchanged(_)
    ));

    let f = Order::fields();
    let part = orders.select((f.state(),));
    let mut partly = part.get(key(7)).await?.unwrap();
    assert_eq!(
        (partly.number, &partly.buyer, partly.total),
        (7, &None, 0.0)
    );
    partly.state = Some("paid".into());
    orders.save(&mut partly).await?;
    assert!(!partly.is_changed());
    loaded.total = 1.0;
    let error = orders.save(&mut loaded).await.unwrap_err();
    assert_eq!(error.actual_version(), Some(partly.version()));
    orders.reload(&mut loaded).await?;
    assert_eq!(
        (loaded.state.as_deref(), loaded.total),
        (Some("paid"), 0.1 + 0.2)
    );
    assert_eq!(loaded.updated, partly.updated);

    let patch = f.total().increment(2.0).and(f.buyer().note().set("gift"));
    orders.patch(&loaded, patch, loaded.version()).await?;
    orders.reload(&mut loaded).await?;
    assert_eq!(loaded.buyer.as_ref().unwrap().note.as_deref(), Some("gift"));
    assert!((loaded.total - 2.3).abs() < 1e-9);

    let open = || orders.find(f.state().eq("open")).routing("paris");
    assert_eq!(open().count().await?, 29);
    let all: Vec<_> = open().limit(20).stream().try_collect().await?;
    assert_eq!(all.len(), 20);
    let moved = db.transaction(BeginOptions::new(), async |tx| {
        let orders = tx.collection::<Order>();
        orders.update(key(1), |o| o.total = 5.0).await?;
        orders.delete(key(2), Expected::Present).await
    });
    moved.await?;
    let tx = db.begin(BeginOptions::new()).await?;
    let undone = tx.transaction(async |tx| {
        tx.collection::<Order>()
            .delete(key(3), Expected::Present)
            .await?;
        Result::<()>::Err(strongroom::Error::invalid("no"))
    });
    undone.await.unwrap_err();
    tx.collection::<Order>()
        .update(key(4), |o| o.total = 4.0)
        .await?;
    tx.commit().await?;
    assert_eq!(orders.get(key(4)).await?.unwrap().total, 4.0);
    let tx = db.begin(BeginOptions::new()).await?;
    tx.collection::<Order>()
        .delete(key(4), Expected::Any)
        .await?;
    drop(tx);
    assert_eq!(open().count().await?, 28);
    assert_eq!(orders.get(key(1)).await?.unwrap().total, 5.0);
    let page = open().sort(f.total().desc()).limit(3).page().await?;
    assert_eq!((page[0].number, page.len()), (1, 3));
    assert_eq!(page.next().await?.unwrap().len(), 3);
    db.close().await
}

#[tokio::test]
async fn every_engine_answers_alike() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}/orders.db", folder.path().display());
    for url in ["memory:", "sqlite::memory:", &file] {
        everything(strongroom::connect(url).await?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn stamps_of_the_store_are_taken_over() -> Result<()> {
    let db = Database::new(Arc::new(stamping::StampingStore::new()));
    let orders = db.collection::<Order>();
    orders.ensure().await?;
    let mut one = orders.insert(order(1)).await?;
    let mut more = orders.insert_many([order(2)]).await?;
    let two = more.remove(0)?;
    for order in [&one, &two] {
        assert_eq!((order.created, order.updated), (Some(at(1)), Some(at(2))));
        assert!(!order.is_changed());
    }
    one.created = None;
    one.total = 9.0;
    orders.save(&mut one).await?;
    assert_eq!((one.created, one.is_changed()), (Some(at(1)), false));
    let loaded = orders.get(&one).await?.unwrap();
    assert_eq!(*loaded, *one);
    Ok(())
}

#[tokio::test]
async fn a_save_that_is_cut_off_leaves_the_value_as_it_was() -> Result<()> {
    let w = watched();
    let orders = w.db.collection::<Order>();
    orders.ensure().await?;
    let mut one = orders.insert(order(1)).await?;
    let tx = w.db.begin(BeginOptions::new()).await?;
    tx.collection::<Order>().insert(order(2)).await?;
    w.clock.set(at(2_000));
    one.total = 7.0;
    let version = one.version();
    {
        // The transaction holds the writers' turn, so the save waits and is dropped waiting.
        let save = orders.save(&mut one);
        assert!(futures_util::FutureExt::now_or_never(save).is_none());
    }
    assert_eq!(
        (one.updated, one.total, one.version()),
        (Some(at(1_000)), 7.0, version)
    );
    tx.rollback().await?;
    orders.save(&mut one).await?;
    assert_eq!(one.updated, Some(at(2_000)));
    Ok(())
}

#[tokio::test]
async fn long_lists_of_keys_are_loaded_in_parts() -> Result<()> {
    let w = watched_with(Limits::default().with_load_keys(4), RetryPolicy::default());
    let orders = w.db.collection::<Order>();
    orders.ensure().await?;
    orders.insert_many((0..9).map(order)).await?;
    w.spy.take_loads();
    let keys = (0..10).rev().map(|n| ("paris", n.to_string()));
    let found = orders.get_many(keys).await?;
    let sizes: Vec<_> = w.spy.take_loads().iter().map(|l| l.keys.len()).collect();
    assert_eq!(sizes, [4, 4, 2]);
    assert!(found[0].is_none());
    let numbers = found.iter().flatten().map(|order| order.number);
    assert!(numbers.eq((0..9).rev()));
    Ok(())
}
