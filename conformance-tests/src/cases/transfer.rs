//! Copies to another store and back, and JSON lines.

use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_core::ErrorKind;
use strongroom_core::handle::transfer::{CopyCollection, Difference, Existing, VerifyReport};
use strongroom_core::memory::MemoryStore;
use strongroom_core::model::{Expected, Key};
use strongroom_core::store::Store;

use crate::context::Context;
use crate::docs::Docs;
use crate::failure::{During, Outcome, check, check_eq};

/// Ids in an order that sorts of text by anything but bytes would not give.
const IDS: [&str; 12] = [
    "a", "A", "b", "a b", "a/b", "é", "e\u{301}", "z", "🦀", "\u{ffff}", "..", "ab",
];

fn bodies() -> impl Iterator<Item = Value> {
    [
        json!({}),
        json!({"k": "v", "n": i64::MIN, "unknown": [1, null, {"deep": [true]}]}),
        json!({"k": "\u{2028}\n\"ä", "x": 1e-7, "tags": []}),
        json!({"n": 1, "x": 1.0, "o": {"n": 2}}),
    ]
    .into_iter()
    .cycle()
}

async fn fill(docs: &Docs, routings: &[Option<&str>]) -> Outcome<Vec<Key>> {
    let mut documents = Vec::new();
    for routing in routings {
        for (id, body) in IDS.into_iter().zip(bodies()) {
            let at = match routing {
                Some(routing) => Key::routed(routing, id)?,
                None => Key::new(id)?,
            };
            documents.push((at, body));
        }
    }
    let keys = documents.iter().map(|(at, _)| at.clone()).collect();
    docs.create_all(documents).await?;
    Ok(keys)
}

fn copy(docs: &Docs, from: &Arc<dyn Store>, to: &Arc<dyn Store>) -> CopyCollection {
    CopyCollection::new(from.clone(), to.clone(), docs.model().clone()).batch(5)
}

async fn verify(docs: &Docs, from: &Arc<dyn Store>, to: &Arc<dyn Store>) -> Outcome<VerifyReport> {
    copy(docs, from, to)
        .verify()
        .await
        .during("comparing the stores")
}

pub(crate) async fn copies_there_and_back(cx: &Context) -> Outcome {
    let plain = cx.docs().await?;
    let routed = cx.routed_docs().await?;
    let keys = fill(&plain, &[None]).await?;
    let routed_keys = fill(&routed, &[Some("eu"), Some("us")]).await?;
    for (docs, keys) in [(plain, keys), (routed, routed_keys)] {
        let here = docs.store();
        let there: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let done = copy(&docs, here, &there)
            .send()
            .await
            .during("copying to the store in memory")?;
        check_eq!(
            (done.copied, done.failed),
            (keys.len() as u64, 0),
            "documents copied and refused"
        );
        let report = verify(&docs, here, &there).await?;
        check!(report.is_same(), "after the copy: {report}");

        // One is gone here, one is changed; the copy brings both back and leaves the rest.
        let [gone, changed, untouched, ..] = &keys[..] else {
            return Ok(());
        };
        docs.remove(gone, Expected::Any).await?;
        let version = docs.present(changed).await?.version;
        docs.replace(changed, &json!({"changed": true}), version)
            .await?;
        let version = docs.present(untouched).await?.version;
        let report = verify(&docs, &there, here).await?;
        let mut found = report.differences;
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let mut expected = [
            (gone.clone(), Difference::Missing),
            (changed.clone(), Difference::Body),
        ];
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        check_eq!(found, expected, "the documents that differ");
        let done = copy(&docs, &there, here)
            .existing(Existing::Refuse)
            .send()
            .await
            .during("copying back without replacing")?;
        let failed: Vec<_> = done.failures.iter().map(|(at, e)| (at, e.kind())).collect();
        check_eq!(
            failed,
            [(changed, ErrorKind::AlreadyExists)],
            "the documents that were refused"
        );
        let done = copy(&docs, &there, here)
            .existing(Existing::Replace)
            .send()
            .await
            .during("copying back")?;
        check_eq!(
            (done.copied, done.unchanged),
            (1, keys.len() as u64 - 1),
            "documents copied and left alone"
        );
        let report = verify(&docs, here, &there).await?;
        check!(report.is_same(), "after the copy back: {report}");
        let after = docs.present(untouched).await?.version;
        check_eq!(after, version, "the version of a document left alone");
    }
    Ok(())
}
