//! Writes of what matches beside others who write the same documents: nothing is overwritten that
//! changed after it matched, and no patch is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::Key;
use strongroom_core::patch::Patch;
use strongroom_core::query::Filter;
use strongroom_core::store::MatchingAction;

use super::matching::{all_steps, granted, step};
use super::races::at_once;
use crate::context::Context;
use crate::docs::{Docs, key, value_of};
use crate::failure::{Failure, Outcome, check, check_eq};

const DOCUMENTS: usize = 15;

/// What the tasks of a race did.
#[derive(Default)]
struct Done {
    /// How many documents the write of what matches says it wrote.
    matched: u64,
    /// What it says it did not write.
    failed: Vec<(Key, ErrorKind)>,
    /// The documents that others replaced.
    kept: Vec<Key>,
}

/// Some tasks take each document that is open, at its version, while another writes what is open.
/// That one has a head start of so many milliseconds, so that in some race it has looked already.
async fn race(cx: &Context, action: MatchingAction, head_start: u64) -> Outcome<(Docs, Done)> {
    let docs = cx.docs().await?;
    let open = (0..DOCUMENTS).map(|n| Ok((key(&format!("d{n:02}"))?, json!({"k": "open"}))));
    docs.create_all(open.collect::<Outcome<Vec<_>>>()?).await?;
    let found = at_once(4, |task| {
        let (docs, action) = (docs.clone(), action.clone());
        async move {
            let mut done = Done::default();
            if task == 0 {
                let open = Filter::eq("k", "open")?;
                let request = step(&docs, open, action, 4);
                (done.matched, done.failed) = all_steps(&docs, &request).await?;
                return Ok(done);
            }
            tokio::time::sleep(Duration::from_millis(head_start)).await;
            // From the end on, so that some are taken on either side.
            for n in (0..DOCUMENTS).rev().filter(|n| n % 3 == task - 1) {
                let at = key(&format!("d{n:02}"))?;
                let Some(found) = docs.load(&at).await? else {
                    continue;
                };
                if value_of(&found)?["k"] != "open" {
                    continue;
                }
                match docs.put(&at, &json!({"k": "kept"}), found.version).await {
                    Ok(_) => done.kept.push(at),
                    Err(e)
                        if matches!(
                            e.kind(),
                            ErrorKind::Conflict | ErrorKind::NotFound | ErrorKind::Contended
                        ) => {}
                    Err(e) => return Err(Failure::from(e).during("replacing at a version")),
                }
            }
            Ok(done)
        }
    })
    .await?;
    let mut all = Done::default();
    for done in found {
        let done = done?;
        all.matched += done.matched;
        all.failed.extend(done.failed);
        all.kept.extend(done.kept);
    }
    Ok((docs, all))
}

/// Checks what holds of both actions: who was told to have written a document has.
async fn nothing_overwritten(docs: &Docs, done: &Done) -> Outcome {
    let kept: BTreeSet<&Key> = done.kept.iter().collect();
    for at in &kept {
        let found = docs.load(at).await?;
        let body = found.as_ref().map(value_of).transpose()?;
        check_eq!(
            body,
            Some(json!({"k": "kept"})),
            "{at}, which was replaced at its version while others write what matches"
        );
    }
    check_eq!(
        done.matched as usize + kept.len(),
        DOCUMENTS,
        "documents written by either side"
    );
    for (at, kind) in &done.failed {
        check!(
            *kind == ErrorKind::Conflict && kept.contains(at),
            "{at} was not written with `{kind}`, replaced by another: {}",
            kept.contains(at)
        );
    }
    Ok(())
}

pub(crate) async fn changes_are_never_overwritten(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    for head_start in 0..3 {
        let taken = Patch::new().set("k".parse()?, "matched");
        let (docs, done) = race(cx, MatchingAction::Patch(taken), head_start).await?;
        nothing_overwritten(&docs, &done).await?;
        docs.refresh().await?;
        let matched = docs.find_keys(Filter::eq("k", "matched")?).await?;
        check_eq!(
            matched.len() as u64,
            done.matched,
            "documents that were patched where they matched"
        );
    }
    Ok(())
}

pub(crate) async fn changed_documents_are_not_deleted(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    for head_start in 0..3 {
        let (docs, done) = race(cx, MatchingAction::Delete, head_start).await?;
        nothing_overwritten(&docs, &done).await?;
        docs.refresh().await?;
        let left = docs.find_keys(Filter::all()).await?;
        let kept: BTreeSet<Key> = done.kept.into_iter().collect();
        check_eq!(
            left.into_iter().collect::<BTreeSet<_>>(),
            kept,
            "documents that are left: those that changed"
        );
    }
    Ok(())
}

pub(crate) async fn no_patch_is_lost(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = cx.docs().await?;
    for n in 0..6 {
        docs.create(&key(&format!("d{n}"))?, &json!({"n": 0, "o": {"n": 0}}))
            .await?;
    }
    docs.refresh().await?;
    let rounds = cx.scale().increments.min(5);
    let found = at_once(4, |task| {
        let docs = docs.clone();
        async move {
            let mut counted = 0;
            for round in 0..rounds {
                if task % 2 == 0 {
                    let patch = Patch::new().increment("n".parse()?, 1);
                    let all = Filter::gte("n", 0)?;
                    let request = step(&docs, all, MatchingAction::Patch(patch), 4);
                    counted += all_steps(&docs, &request).await?.0;
                    continue;
                }
                for n in 0..6 {
                    let at = key(&format!("d{}", (n + round) % 6))?;
                    let patch = Patch::new().increment("o.n".parse()?, 1);
                    match docs
                        .patch(&at, patch, strongroom_core::model::Expected::Present)
                        .await
                    {
                        Ok(_) => counted += 1,
                        Err(e) if e.kind() == ErrorKind::Contended => {}
                        Err(e) => return Err(Failure::from(e).during("patching")),
                    }
                }
            }
            Ok((task % 2, counted))
        }
    })
    .await?;
    let mut expected = [0, 0];
    for done in found {
        let (side, counted) = done?;
        expected[side] += counted;
    }
    let mut sums = [0, 0];
    for n in 0..6 {
        let body = value_of(&docs.present(&key(&format!("d{n}"))?).await?)?;
        sums[0] += body["n"].as_u64().unwrap_or(0);
        sums[1] += body["o"]["n"].as_u64().unwrap_or(0);
    }
    check_eq!(
        sums,
        expected,
        "the sums that writes of what matches and lone patches counted up to"
    );
    Ok(())
}
