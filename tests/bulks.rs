//! Many writes in one call.
#![cfg(feature = "derive")]

mod support;

use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use strongroom::handle::{BulkProgress, Limits};
use strongroom::prelude::*;
use strongroom::store::Effect;
use strongroom::{Error, Operation, Result};
use support::{Watched, at, watched, watched_with};

#[derive(Document, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[document(collection = "items")]
struct Item {
    #[document(id)]
    id: String,
    #[document(updated)]
    changed: Option<Timestamp>,
    n: i64,
}

fn item(id: &str, n: i64) -> Item {
    Item {
        id: id.to_owned(),
        changed: None,
        n,
    }
}

async fn items(limits: Limits) -> Result<Watched> {
    let w = watched_with(limits, RetryPolicy::default());
    w.db.collection::<Item>().ensure().await?;
    w.spy.take();
    Ok(w)
}

fn kinds<R>(outcomes: &[Result<R>]) -> Vec<Option<ErrorKind>> {
    outcomes
        .iter()
        .map(|o| o.as_ref().err().map(Error::kind))
        .collect()
}

#[tokio::test]
async fn each_item_has_its_own_outcome() -> Result<()> {
    let w = items(Limits::default()).await?;
    let all = w.db.collection::<Item>();
    let created = all
        .insert_many([item("a", 1), item("b", 2), item("a", 3), item("", 4)])
        .await?;
    assert_eq!(
        kinds(&created),
        [
            None,
            None,
            Some(ErrorKind::AlreadyExists),
            Some(ErrorKind::Invalid)
        ]
    );
    assert_eq!(
        w.spy.take_bulks(),
        [3],
        "what is wrong in itself is not sent"
    );
    let error = created[2].as_ref().unwrap_err();
    assert_eq!(error.key(), Some(&Key::new("a")?));
    assert_eq!(error.collection().unwrap().as_str(), "items");
    let a = created.into_iter().next().unwrap()?;
    assert_eq!((a.changed, a.is_changed()), (Some(at(1_000)), false));

    let f = Item::fields();
    let reply = all
        .bulk()
        .patch("a", f.n().increment(5), a.version())
        .put(item("c", 3), Expected::Any)
        .delete("b", Expected::Present)
        .check("a", a.version())
        .delete("a", a.version())
        .delete("gone", Expected::Any)
        .patch("c", f.id().set("d"), Expected::Any)
        .send()
        .await?;
    let conflict = Some(ErrorKind::Conflict);
    assert_eq!(
        kinds(&reply.outcomes),
        [
            None,
            None,
            None,
            conflict,
            conflict,
            None,
            Some(ErrorKind::Invalid)
        ]
    );
    let effects: Vec<_> = reply.outcomes.iter().flatten().map(|r| r.effect).collect();
    assert_eq!(
        effects,
        [
            Effect::Patched,
            Effect::Created,
            Effect::Deleted,
            Effect::Absent
        ]
    );
    assert_eq!(all.get("a").await?.unwrap().n, 6);
    Ok(())
}

#[tokio::test]
async fn changes_of_many_documents_are_saved_at_once() -> Result<()> {
    let w = items(Limits::default()).await?;
    let all = w.db.collection::<Item>();
    all.insert_many([item("a", 1), item("b", 2), item("c", 3)])
        .await?;
    let loaded = all.get_many(["a", "b", "c"]).await?;
    let mut loaded: Vec<_> = loaded.into_iter().flatten().collect();
    loaded[0].n = 10;
    loaded[2].n = 30;
    all.update("c", |c| c.n = 31).await?;
    w.spy.take_bulks();
    w.clock.set(at(2_000));
    let saved = all.save_many(&mut loaded).await?;
    assert_eq!(kinds(&saved), [None, None, Some(ErrorKind::Conflict)]);
    assert!(matches!(saved[1], Ok(Saved::Unchanged(_))));
    assert_eq!(w.spy.take_bulks(), [2]);
    assert_eq!(loaded[0].changed, Some(at(2_000)));
    assert_eq!(
        loaded[2].changed,
        Some(at(1_000)),
        "a failed save leaves the stamps"
    );
    assert!(loaded[2].is_changed() && !loaded[0].is_changed());
    assert!(matches!(
        all.save(&mut loaded[0]).await?,
        Saved::Unchanged(_)
    ));
    assert!(all.save_many(&mut loaded[1..2]).await?[0].is_ok());
    assert!(w.spy.take_bulks().is_empty(), "nothing to send is no call");
    Ok(())
}

#[tokio::test]
async fn long_bulks_are_sent_in_parts_and_tell_progress() -> Result<()> {
    let w = items(Limits::default().with_bulk_items(4)).await?;
    let all = w.db.collection::<Item>();
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut bulk = all.bulk().progress({
        let told = told.clone();
        move |progress: BulkProgress| {
            told.lock()
                .unwrap()
                .push((progress.done, progress.failed, progress.total));
        }
    });
    for n in 0..10 {
        let id = if n == 5 {
            String::new()
        } else {
            format!("i{n}")
        };
        bulk = bulk.insert(item(&id, n));
    }
    let reply = bulk.send().await?;
    assert_eq!(
        reply
            .errors()
            .map(|(at, e)| (at, e.kind()))
            .collect::<Vec<_>>(),
        [(5, ErrorKind::Invalid)]
    );
    assert_eq!(w.spy.take_bulks(), [4, 4, 1]);
    assert_eq!(*told.lock().unwrap(), [(4, 0, 10), (9, 1, 10), (10, 1, 10)]);

    let w = items(Limits::default().with_bulk_bytes(60)).await?;
    let all = w.db.collection::<Item>();
    let big = item(&"x".repeat(100), 0);
    let created = all
        .insert_many([item("a", 1), item("b", 2), big, item("c", 3)])
        .await?;
    assert!(created.iter().all(Result::is_ok));
    assert_eq!(w.spy.take_bulks(), [1, 1, 1, 1]);
    Ok(())
}

#[tokio::test]
async fn a_part_that_fails_does_not_hide_the_parts_before() -> Result<()> {
    let w = items(Limits::default().with_bulk_items(2)).await?;
    let all = w.db.collection::<Item>();
    let down = || Error::new(ErrorKind::Unsupported, "down");
    w.spy.fail_next(Operation::Bulk, down());
    let error = all.insert_many([item("a", 1)]).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Unsupported,
        "nothing was written: the call fails"
    );

    let fail_second = {
        let spy = w.spy.clone();
        move |progress: BulkProgress| {
            if progress.done == 2 {
                spy.fail_next(Operation::Bulk, down());
            }
        }
    };
    let mut bulk = all.bulk().progress(fail_second);
    for id in ["a", "b", "c", "d", "e"] {
        bulk = bulk.insert(item(id, 0));
    }
    w.spy.take_bulks();
    let reply = bulk.send().await?;
    let (down, cancelled) = (Some(ErrorKind::Unsupported), Some(ErrorKind::Cancelled));
    assert_eq!(kinds(&reply.outcomes), [None, None, down, down, cancelled]);
    assert_eq!(
        reply.outcomes[2].as_ref().unwrap_err().key(),
        Some(&Key::new("c")?)
    );
    assert_eq!(w.spy.take_bulks(), [2, 2], "what comes after is not sent");
    Ok(())
}

#[tokio::test]
async fn an_atomic_bulk_is_all_or_nothing() -> Result<()> {
    let w = items(Limits::default().with_bulk_items(1)).await?;
    let all = w.db.collection::<Item>();
    let a = all.insert(item("a", 1)).await?;
    let reply = all
        .bulk()
        .atomic()
        .insert(item("b", 1))
        .insert(item("a", 2))
        .send()
        .await?;
    assert_eq!(
        kinds(&reply.outcomes),
        [Some(ErrorKind::Cancelled), Some(ErrorKind::AlreadyExists)]
    );
    assert_eq!(w.spy.take_bulks(), [2], "sent as one");
    let wrong = all
        .bulk()
        .atomic()
        .insert(item("b", 1))
        .insert(item("", 2))
        .send()
        .await?;
    assert_eq!(
        kinds(&wrong.outcomes),
        [Some(ErrorKind::Cancelled), Some(ErrorKind::Invalid)]
    );
    assert!(w.spy.take_bulks().is_empty());
    assert!(!all.exists("b").await?);
    let good = all
        .bulk()
        .atomic()
        .check("a", a.version())
        .insert(item("b", 1))
        .send()
        .await?;
    assert!(good.is_ok());
    Ok(())
}

#[tokio::test]
async fn no_items_are_no_call() -> Result<()> {
    let w = watched();
    let all = w.db.collection::<Item>();
    assert!(all.bulk().send().await?.outcomes.is_empty());
    assert!(all.insert_many([]).await?.is_empty());
    assert!(all.get_many(Vec::<String>::new()).await?.is_empty());
    assert_eq!(w.spy.take(), []);
    Ok(())
}
