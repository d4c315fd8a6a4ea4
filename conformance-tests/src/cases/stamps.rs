//! Created and updated stamps: what is told of them is what is stored, whoever writes them.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strongroom_core::handle::transfer::CopyCollection;
use strongroom_core::handle::{Database, Document as _};
use strongroom_core::memory::MemoryStore;
use strongroom_core::model::{Body, Expected, Key, Model, Timestamp};
use strongroom_core::patch::Patch;
use strongroom_core::store::{BulkItem, Receipt, Stamping, Stamps, Store, Write};
use strongroom_derive::Document;

use super::races::at_once;
use super::transactions::{begin, granted, inside};
use crate::alter::altered;
use crate::context::Context;
use crate::docs::{Docs, key, value_of};
use crate::failure::{During, Outcome, check, check_eq};
use crate::renamed::Renamed;

async fn docs(cx: &Context) -> Outcome<Docs> {
    let model = Model::builder(cx.name("stamped"));
    cx.docs_of(model.created("born").updated("changed")).await
}

/// A body with stamps that no clock tells.
fn body(n: u64) -> Value {
    json!({"born": 1, "changed": 2, "n": n})
}

fn put(at: &Key, n: u64, expected: impl Into<Expected>) -> Outcome<Write> {
    Ok(Write::put(at.clone(), Body::encode(&body(n))?, expected))
}

fn patch(at: &Key) -> Outcome<Write> {
    let patch = Patch::new().increment("n".parse()?, 1);
    Ok(Write::patch(at.clone(), patch, Expected::Present))
}

/// Checks that the receipt tells the stamps of the document, and hands them out.
async fn told(docs: &Docs, at: &Key, receipt: &Receipt, what: &str) -> Outcome<Stamps> {
    let found = docs.present(at).await?;
    check_eq!(
        receipt.version,
        Some(found.version),
        "the version after {what}"
    );
    let object = found.body.to_object().during("decoding")?;
    let held = Stamps::of(&object, docs.model());
    match docs.store().capabilities().stamping {
        Stamping::Handle => {
            check_eq!(
                receipt.stamps,
                Stamps::default(),
                "the stamps told of {what}"
            );
        }
        _ => {
            check_eq!(receipt.stamps, held, "the stamps told of {what}");
            check!(
                held.updated > Timestamp::from_millis(2).ok(),
                "{what} was not stamped: {held:?}"
            );
        }
    }
    Ok(held)
}

/// Every kind of single write of one document, which is not there before.
async fn each_write(docs: &Docs, at: &Key) -> Outcome {
    let receipt = docs.save(put(at, 1, Expected::Absent)?).await;
    let receipt = receipt.during("creating")?;
    let born = told(docs, at, &receipt, "creating").await?.created;
    let version = receipt.version.map_or(Expected::Present, Expected::from);
    for (what, write) in [
        ("replacing at a version", put(at, 2, version)?),
        ("replacing", put(at, 3, Expected::Present)?),
        ("putting", put(at, 4, Expected::Any)?),
        ("patching", patch(at)?),
    ] {
        let receipt = docs.save(write).await.during(what)?;
        let stamps = told(docs, at, &receipt, what).await?;
        check_eq!(stamps.created, born, "the time of creation after {what}");
        check!(
            stamps.updated >= stamps.created,
            "after {what}: changed before it was created: {stamps:?}"
        );
    }
    Ok(())
}

pub(crate) async fn are_told_as_they_are_stored(cx: &Context) -> Outcome {
    let docs = docs(cx).await?;
    each_write(&docs, &key("alone")?).await?;
    let created = docs.save(put(&key("any")?, 1, Expected::Any)?).await;
    let created = created.during("putting a new one")?;
    told(&docs, &key("any")?, &created, "putting a new one").await?;
    if let Some(transact) = granted(cx)? {
        let transaction = begin(&transact).await?;
        each_write(&inside(&docs, &transaction), &key("within")?).await?;
        transaction.commit().await.during("committing")?;
    }
    Ok(())
}

pub(crate) async fn are_told_of_bulks(cx: &Context) -> Outcome {
    let docs = docs(cx).await?;
    let keys = ["a", "b", "c", "d"].map(key);
    let [a, b, c, d] = keys;
    let (a, b, c, d) = (a?, b?, c?, d?);
    for atomic in [false, true] {
        if atomic && !cx.capabilities().atomic_bulk {
            continue;
        }
        // All puts, and then puts among patches, which engines may write in another way.
        let puts = [put(&a, 1, Expected::Any)?, put(&b, 1, Expected::Any)?];
        let mixed = [
            put(&a, 2, Expected::Present)?,
            patch(&b)?,
            put(&c, 1, Expected::Any)?,
            put(&d, 1, Expected::Any)?,
        ];
        for writes in [&puts[..], &mixed[..]] {
            let mut before = Vec::new();
            for write in writes {
                before.push(match docs.load(&write.key).await? {
                    Some(found) => value_of(&found)?["born"].as_i64(),
                    None => None,
                });
            }
            let items = writes.iter().cloned().map(BulkItem::Write).collect();
            let reply = match atomic {
                true => docs.bulk_atomic(items).await,
                false => docs.bulk(items).await,
            };
            let outcomes = reply.during("a bulk")?.outcomes;
            for ((write, outcome), before) in writes.iter().zip(outcomes).zip(before) {
                let what = format!("an item of a bulk, atomic {atomic}: {write:?}");
                let stamps = told(&docs, &write.key, &outcome.during(&what)?, &what).await?;
                if let Some(before) = before {
                    let created = stamps.created.map(|at| at.as_millis());
                    check_eq!(created, Some(before), "the time of creation after {what}");
                }
            }
        }
    }
    Ok(())
}

/// Bodies as programs send them: with the stamps that they loaded, with others, with none.
fn bodies(loaded: i64) -> Vec<Value> {
    vec![
        json!({}),
        json!({"n": 1, "born": loaded, "changed": loaded}),
        json!({"born": loaded, "a name \"\\": "\u{1f600}\n\\", "zusätze": [{"born": 1}]}),
        json!({"changed": null, "born": null, "n": {"born": 5, "changed": "x"}}),
        json!({"born": loaded + 1, "n": 1.5}),
        json!({"born": loaded.to_string(), "changed": []}),
        json!({"born": -1, "n": loaded}),
    ]
}

/// What a body holds but stamps.
fn but_stamps(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(object) = body.as_object_mut() {
        object.remove("born");
        object.remove("changed");
    }
    body
}

pub(crate) async fn are_set_whatever_the_body_says(cx: &Context) -> Outcome {
    let docs = docs(cx).await?;
    let stamps_itself = !matches!(docs.store().capabilities().stamping, Stamping::Handle);
    let number = bodies(0).len();
    let mut keys = (0..number)
        .map(|n| key(&format!("{n}")))
        .collect::<Outcome<Vec<_>>>()?;
    // One whose time of creation is none.
    keys.push(key("kept")?);
    let born = json!({"born": "once", "changed": 3});
    let kept = Write::put(key("kept")?, Body::encode(&born)?, Expected::Absent).keep_stamps();
    docs.save(kept)
        .await
        .during("creating with its own stamps")?;
    let loaded = 1_700_000_000_001;
    for round in 0..=number {
        let mut before = Vec::new();
        let mut writes = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            let found = docs.load(key).await?;
            let stamps = found.as_ref().map(value_of).transpose()?;
            let created = stamps.as_ref().and_then(|stamps| stamps["born"].as_i64());
            let expected = found.map_or(Expected::Absent, |found| Expected::from(found.version));
            let bodies = bodies(created.unwrap_or(loaded));
            let body = bodies
                .into_iter()
                .cycle()
                .nth(at + round)
                .unwrap_or_default();
            writes.push(Write::put(key.clone(), Body::encode(&body)?, expected));
            before.push((created, stamps.is_some(), body));
        }
        let mut receipts = Vec::new();
        if round % 2 == 1 {
            for write in &writes {
                receipts.push(docs.save(write.clone()).await.during("saving")?);
            }
        } else {
            let items = writes.iter().cloned().map(BulkItem::Write).collect();
            for outcome in docs.bulk(items).await.during("a bulk")?.outcomes {
                receipts.push(outcome.during("an item of a bulk")?);
            }
        }
        for ((key, receipt), (created, was_there, body)) in keys.iter().zip(receipts).zip(before) {
            let what = format!("round {round} of {key}: {body}");
            let found = value_of(&docs.present(key).await?)?;
            check_eq!(
                but_stamps(&found),
                but_stamps(&body),
                "the members after {what}"
            );
            let stamps = told(&docs, key, &receipt, &what).await;
            if !stamps_itself {
                continue;
            }
            let held = found["born"].clone();
            match created {
                Some(created) => check_eq!(held, json!(created), "the creation after {what}"),
                // What was there tells none, so it is what the body says.
                None if was_there => {
                    check_eq!(held, body["born"], "the creation after {what}");
                    continue;
                }
                None => {}
            }
            stamps?;
        }
    }
    Ok(())
}

pub(crate) async fn stay_where_the_write_keeps_them(cx: &Context) -> Outcome {
    let docs = docs(cx).await?;
    let (a, b) = (key("a")?, key("b")?);
    for write in [
        put(&a, 1, Expected::Absent)?,
        put(&a, 2, Expected::Present)?,
        put(&a, 3, Expected::Any)?,
    ] {
        let write = write.keep_stamps();
        let what = format!("keeping the stamps of {:?}", write.expected);
        let receipt = docs.save(write).await.during(&what)?;
        check_eq!(receipt.stamps, Stamps::default(), "what is told of {what}");
        let held = value_of(&docs.present(&a).await?)?;
        check_eq!(
            (&held["born"], &held["changed"]),
            (&json!(1), &json!(2)),
            "after {what}"
        );
    }
    // One item keeps its stamps and one does not.
    let items = vec![
        put(&a, 5, Expected::Present)?.keep_stamps().into(),
        put(&b, 5, Expected::Absent)?.into(),
        patch(&a)?.keep_stamps().into(),
    ];
    let outcomes = docs.bulk(items).await.during("a bulk")?.outcomes;
    for outcome in &outcomes {
        check!(outcome.is_ok(), "an item of the bulk: {outcome:?}");
    }
    let held = value_of(&docs.present(&a).await?)?;
    check_eq!(held, body(6), "what keeps its stamps in a bulk");
    if let Some(Ok(receipt)) = outcomes.get(1) {
        told(&docs, &b, receipt, "an item beside one that keeps").await?;
    }
    Ok(())
}

pub(crate) async fn stay_in_copies(cx: &Context) -> Outcome {
    let docs = docs(cx).await?;
    let elsewhere: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let there = docs.within(elsewhere.clone());
    let ensured = strongroom_core::store::EnsureRequest::new(docs.model().clone());
    elsewhere.ensure(ensured).await.during("ensuring")?;
    there
        .create_all([(key("a")?, body(1)), (key("b")?, json!({"n": 2}))])
        .await?;
    let copy = || {
        CopyCollection::new(
            elsewhere.clone(),
            docs.store().clone(),
            docs.model().clone(),
        )
    };
    copy().send().await.during("copying")?;
    let report = copy().verify().await.during("comparing")?;
    check!(report.is_same(), "after the copy: {report}");
    Ok(())
}

#[derive(Document, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[document(collection = "notes", crate = strongroom_core)]
struct Note {
    #[document(id)]
    id: String,
    n: u64,
    #[document(created)]
    born: Option<Timestamp>,
    #[document(updated)]
    changed: Option<Timestamp>,
}

/// Calls at once, which the default layers join where the store gains by that.
pub(crate) async fn are_in_the_values_in_hand(cx: &Context) -> Outcome {
    let model = Note::model().during("the model of notes")?;
    let renamed = Renamed::new([(model, cx.name("notes"))], Arc::new(AtomicUsize::new(0)))?;
    let store = altered(cx.store().clone(), renamed);
    let notes = Database::new(store).collection::<Note>();
    notes.ensure().await.during("ensuring notes")?;
    let results = at_once(16, |n| {
        let notes = notes.clone();
        async move {
            let note = Note {
                id: format!("note{n}"),
                n: 0,
                born: None,
                changed: None,
            };
            let mut note = notes.insert(note).await?;
            let first = notes.get(note.id.as_str()).await?;
            let inserted = first.is_some_and(|found| *found == *note) && !note.is_changed();
            note.n += 1;
            notes.save(&mut note).await?;
            let second = notes.get(note.id.as_str()).await?;
            let saved = second.is_some_and(|found| *found == *note) && !note.is_changed();
            Ok::<_, strongroom_core::Error>((inserted, saved, note.into_inner()))
        }
    })
    .await?;
    for result in results {
        let (inserted, saved, note) = result.during("writing a note")?;
        check!(inserted && saved, "{note:?} differs from what is stored");
        check!(
            note.born.is_some() && note.changed >= note.born,
            "the stamps of {note:?}"
        );
    }
    Ok(())
}
