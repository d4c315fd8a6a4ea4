//! Bulks on the real server: one statement for many documents, and what it leaves.

use strongroom_core::error::ErrorKind;
use strongroom_core::model::{Body, Expected, Key, Version};
use strongroom_core::patch::Patch;
use strongroom_core::store::{
    BeginOptions, Bulk, BulkItem, BulkRequest, Effect, Receipt, Save, Store, Write,
};

use crate::support::{self, Named};

fn key(n: usize) -> Key {
    Key::new(format!("id{n:05}")).unwrap()
}

fn write(n: usize, expected: impl Into<Expected>) -> Write {
    let body = Body::parse(format!(r#"{{"n":{n}}}"#)).unwrap();
    Write::put(key(n), body, expected)
}

fn put(n: usize, expected: impl Into<Expected>) -> BulkItem {
    write(n, expected).into()
}

/// An item whose body cannot be stored.
fn refused(n: usize) -> BulkItem {
    Write::put(key(n), support::refused_body(), Expected::Any).into()
}

fn version(outcome: &Result<Receipt, strongroom_core::Error>) -> Version {
    outcome.as_ref().unwrap().version.unwrap()
}

/// A number below the limit, by a generator that needs no seed from outside.
fn drawn(state: &mut u64, below: usize) -> usize {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap() % below
}

fn shuffle<T>(items: &mut [T], state: &mut u64) {
    for at in (1..items.len()).rev() {
        items.swap(at, drawn(state, at + 1));
    }
}

/// Without one order of locking, nearly every round of these ends in a deadlock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulks_of_the_same_documents_do_not_wait_in_a_circle() {
    let named = Named::connect(8).await;
    let all = (0..300).map(|n| put(n, Expected::Absent)).collect();
    let made = named.store.bulk(named.bulk(all)).await.unwrap();
    assert!(made.is_ok());
    let before = named.deadlocks().await;
    let tasks = (0..8_u64).map(|task| {
        let (store, model) = (named.store.clone(), named.model.clone());
        tokio::spawn(async move {
            let mut state = task;
            for round in 0..12 {
                let mut items: Vec<_> = (0..300)
                    .map(|n| match (round % 3, n % 3) {
                        (0, _) | (1, 0) => put(n, Expected::Any),
                        (1, _) => put(n, Expected::Present),
                        // These are locked by a statement of its own.
                        _ => Write::patch(key(n), Patch::new(), Expected::Present).into(),
                    })
                    .collect();
                shuffle(&mut items, &mut state);
                let mut request = BulkRequest::new(model.clone(), items);
                request.atomic = round % 2 == 1;
                let reply = store.bulk(request).await.unwrap();
                assert!(reply.is_ok(), "{reply:?}");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(named.deadlocks().await, before);
    named.done().await;
}

#[tokio::test]
async fn items_of_every_kind_go_together() {
    let named = Named::connect(1).await;
    let delete = |n, expected| BulkItem::from(Write::delete(key(n), expected));
    let stale = Version::created();
    for (base, atomic) in [(0, false), (100, true)] {
        let made = (base..base + 6).map(|n| put(n, Expected::Absent));
        let made = named.store.bulk(named.bulk(made.collect())).await.unwrap();
        let at = |n: usize| version(made.outcomes.get(n - base).unwrap());
        let good = [
            (put(base, at(base)), Effect::Replaced),
            (put(base + 1, Expected::Present), Effect::Replaced),
            (put(base + 2, Expected::Any), Effect::Replaced),
            (put(base + 10, Expected::Any), Effect::Created),
            (put(base + 11, Expected::Absent), Effect::Created),
            (
                delete(base + 3, Expected::Exactly(at(base + 3))),
                Effect::Deleted,
            ),
            (delete(base + 4, Expected::Any), Effect::Deleted),
            (delete(base + 12, Expected::Any), Effect::Absent),
        ];
        let bad = [
            (put(base + 5, stale), ErrorKind::Conflict),
            (put(base + 13, stale), ErrorKind::NotFound),
            (put(base + 14, Expected::Present), ErrorKind::NotFound),
            (delete(base + 15, Expected::Present), ErrorKind::NotFound),
            (delete(base + 16, Expected::Absent), ErrorKind::Invalid),
        ];
        let bad = bad.into_iter().filter(|_| !atomic);
        let good = good.into_iter().map(|(item, effect)| (item, Ok(effect)));
        let bad = bad.map(|(item, kind)| (item, Err(kind)));
        let (items, wanted): (Vec<_>, Vec<_>) = good.chain(bad).unzip();
        let mut request = named.bulk(items);
        request.atomic = atomic;
        let reply = named.store.bulk(request).await.unwrap();
        let told = reply.outcomes.iter();
        let told = told.map(|o| o.as_ref().map(|r| r.effect).map_err(|e| e.kind()));
        assert_eq!(told.collect::<Vec<_>>(), wanted, "atomic: {atomic}");
        for (n, outcome) in [0, 1, 2, 10, 11].into_iter().zip(&reply.outcomes) {
            let there = named.version(key(base + n)).await;
            assert_eq!(there, Some(version(outcome)), "{n}");
        }
        for n in [3, 4, 12, 13, 14, 15] {
            assert_eq!(named.version(key(base + n)).await, None, "{n}");
        }
        if let Some(Err(conflict)) = reply.outcomes.get(8) {
            assert_eq!(conflict.actual_version(), Some(at(5)));
            assert_eq!(conflict.key(), Some(&key(5)));
        }
    }
    named.done().await;
}

/// Each part of a large bulk that holds a bad item is written item by item.
#[tokio::test]
async fn what_cannot_be_stored_spoils_nothing_else() {
    let named = Named::connect(1).await;
    for (round, atomic) in [(0, false), (1, true), (2, false)] {
        let (count, bad) = if round == 2 { (20, 7) } else { (2_300, 1_500) };
        let items = (0..count).map(|n| match n == bad {
            true => refused(n),
            false => put(n, Expected::Any),
        });
        let mut request = named.bulk(items.collect());
        request.atomic = atomic;
        let reply = named.store.bulk(request).await.unwrap();
        assert_eq!(reply.outcomes.len(), count);
        for (n, outcome) in reply.outcomes.iter().enumerate() {
            let kind = outcome.as_ref().err().map(|e| e.kind());
            let wanted = match (n == bad, atomic) {
                (true, _) => Some(ErrorKind::Invalid),
                (false, true) => Some(ErrorKind::Cancelled),
                (false, false) => None,
            };
            assert_eq!(kind, wanted, "round {round}, item {n}: {outcome:?}");
        }
        let revision = |v: Option<Version>| v.and_then(Version::revision);
        for n in [0, 6, 8, 1_001, 1_499, 1_501, 2_299] {
            let is = revision(named.version(key(n)).await);
            // The second round was undone.
            let rounds = if round == 2 && n < 20 { 2 } else { 1 };
            assert_eq!(is, Some(rounds), "round {round}, document {n}");
        }
        assert_eq!(named.version(key(1_500)).await, None);
    }
    named.done().await;
}

/// The statement sees the state from before it waited. What it then tells of a document that
/// was changed meanwhile is what the item expects, which is no conflict to tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_is_told_by_the_version_that_won() {
    let named = Named::connect(4).await;
    for alone in [false, true] {
        let first = named.save(write(0, Expected::Any));
        let made = named.store.save(first).await.unwrap();
        let before = made.version.unwrap();
        let transact = named.store.transact().unwrap();
        let winner = transact.begin(BeginOptions::new()).await.unwrap();
        let won = winner.save(named.save(write(0, before))).await.unwrap();
        let (store, request) = (
            named.store.clone(),
            named.bulk(vec![put(0, before), put(1, Expected::Any)]),
        );
        let single = named.save(Write::put(key(0), Body::from_trusted("{}"), before));
        let loser = tokio::spawn(async move {
            match alone {
                true => vec![store.save(single).await],
                false => store.bulk(request).await.unwrap().outcomes,
            }
        });
        named.until_someone_waits().await;
        winner.commit().await.unwrap();
        let outcomes = loser.await.unwrap();
        let lost = outcomes.first().unwrap().as_ref().unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Conflict, "{lost:?}");
        assert_eq!(lost.actual_version(), won.version);
        assert!(outcomes.iter().skip(1).all(Result::is_ok), "{outcomes:?}");
    }
    named.done().await;
}
