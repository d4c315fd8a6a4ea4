//! Writes of what matches: every document at most once, step by step, and what was not written is
//! told.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use strongroom_core::model::{Expected, FieldDeclaration, Key, Kind, Model, RawDocument, Routing};
use strongroom_core::patch::Patch;
use strongroom_core::query::Filter;
use strongroom_core::store::{MatchingAction, MatchingReply, MatchingRequest, Refresh};
use strongroom_core::{ErrorKind, Result};

use super::transactions::{begin, inside};
use crate::context::{Context, not_granted, usual_fields};
use crate::docs::{Docs, key, value_of};
use crate::failure::{During, Failure, Outcome, check, check_eq, refused};

/// Whether the case has something to check.
pub(super) fn granted(cx: &Context) -> Outcome<bool> {
    if !cx.capabilities().matching_writes {
        not_granted("writes of what matches")?;
    }
    Ok(cx.capabilities().matching_writes)
}

pub(super) fn step(
    docs: &Docs,
    filter: Filter,
    action: MatchingAction,
    limit: usize,
) -> MatchingRequest {
    let mut request = MatchingRequest::new(docs.model().clone(), filter, action);
    (request.limit, request.refresh) = (limit, Refresh::Now);
    request
}

pub(super) async fn write(docs: &Docs, request: &MatchingRequest) -> Result<MatchingReply> {
    docs.store().write_matching(request.clone()).await
}

/// Goes on step by step to the end, and hands out how many were written and what was not.
pub(super) async fn all_steps(
    docs: &Docs,
    request: &MatchingRequest,
) -> Outcome<(u64, Vec<(Key, ErrorKind)>)> {
    let mut request = request.clone();
    let (mut written, mut failures) = (0, Vec::new());
    for _ in 0..10_000 {
        let reply = write(docs, &request)
            .await
            .during("a step of a write of what matches")?;
        let looked_at = reply.written + reply.failures.len() as u64;
        check!(
            looked_at <= request.limit as u64,
            "a step of at most {} documents wrote {} and failed to write {}",
            request.limit,
            reply.written,
            reply.failures.len()
        );
        written += reply.written;
        failures.extend(reply.failures.into_iter().map(|(at, e)| (at, e.kind())));
        match reply.next {
            None => return Ok((written, failures)),
            Some(next) => {
                check!(
                    request.after.as_ref().is_none_or(|after| *after < next),
                    "a step after {:?} goes on after {next}",
                    request.after
                );
                request.after = Some(next);
            }
        }
    }
    Err(Failure::new("10000 steps did not end the write"))
}

/// Documents `d00` and so on, of these bodies.
async fn fill(docs: &Docs, bodies: &[Value]) -> Outcome<BTreeMap<Key, RawDocument>> {
    let bodies = bodies.iter().enumerate();
    let bodies = bodies.map(|(n, body)| Ok((key(&format!("d{n:02}"))?, body.clone())));
    let versions = docs
        .create_all(bodies.collect::<Outcome<Vec<_>>>()?)
        .await?;
    let mut found = BTreeMap::new();
    for at in versions.into_keys() {
        found.insert(at.clone(), docs.present(&at).await?);
    }
    Ok(found)
}

fn set(path: &str, value: impl Into<Value>) -> Outcome<MatchingAction> {
    let patch = Patch::new().set(path.parse()?, value.into());
    Ok(MatchingAction::Patch(patch))
}

fn increment(path: &str) -> Outcome<MatchingAction> {
    let patch = Patch::new().increment(path.parse()?, 1);
    Ok(MatchingAction::Patch(patch))
}

pub(crate) async fn sent_again_writes_what_is_left(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = cx.docs().await?;
    let bodies: Vec<Value> = (0..6).map(|n| json!({"n": n})).collect();
    fill(&docs, &bodies).await?;
    let request = step(&docs, Filter::exists("n")?, increment("n")?, 4);
    let reply = write(&docs, &request).await.during("a step")?;
    check_eq!(reply.written, 4, "documents that the step wrote");
    // As one whose reply was lost: what it wrote carries its id.
    let reply = write(&docs, &request)
        .await
        .during("the same step, sent again")?;
    check_eq!(
        reply.written,
        2,
        "documents that the step wrote when sent again"
    );
    check_eq!(reply.next, None, "where a step behind the last goes on");
    for n in 0..6 {
        let after = value_of(&docs.present(&key(&format!("d{n:02}"))?).await?)?;
        check_eq!(after, json!({"n": n + 1}), "document {n}, written once");
    }
    Ok(())
}

pub(crate) async fn patches_each_document_once(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    for limit in [1, 3, 7, 8, 100] {
        let docs = cx.docs().await?;
        let bodies: Vec<Value> = (0..10)
            .map(|n| match n % 5 {
                2 => json!({"k": "v", "tags": ["t"]}),
                _ => json!({"k": "v", "n": n}),
            })
            .collect();
        let before = fill(&docs, &bodies).await?;
        // What was counted up matches as before, and is not counted up again.
        let request = step(&docs, Filter::gte("n", 0)?, increment("n")?, limit);
        let (written, failures) = all_steps(&docs, &request).await?;
        check_eq!(written, 8, "documents written in steps of {limit}");
        check_eq!(failures, [], "documents not written in steps of {limit}");
        for (at, before) in &before {
            let after = docs.present(at).await?;
            let mut body = value_of(before)?;
            if body["n"].is_null() {
                check_eq!(
                    (after.version, after.write_id),
                    (before.version, before.write_id),
                    "version and write id of {at}, which does not match"
                );
                check_eq!(value_of(&after)?, body, "the body of {at}");
                continue;
            }
            body["n"] = json!(body["n"].as_i64().unwrap_or(0) + 1);
            check_eq!(
                value_of(&after)?,
                body,
                "the body of {at}, patched once in steps of {limit}"
            );
            check!(
                after.version != before.version,
                "the version of {at} is the same after it was patched"
            );
            check_eq!(
                after.write_id,
                Some(request.write_id),
                "the write id of {at}"
            );
        }
        let sum = docs.find_keys(Filter::gte("n", 1)?).await?.len();
        check_eq!(sum, 8, "what a search finds of what was patched");
    }
    Ok(())
}

pub(crate) async fn deletes_what_matches(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    for limit in [1, 4, 5, 100] {
        let docs = cx.docs().await?;
        let bodies: Vec<Value> = (0..9).map(|n| json!({"n": n})).collect();
        fill(&docs, &bodies).await?;
        let request = step(&docs, Filter::lt("n", 5)?, MatchingAction::Delete, limit);
        let (written, failures) = all_steps(&docs, &request).await?;
        check_eq!(
            (written, failures.len()),
            (5, 0),
            "documents deleted in steps of {limit}, and not deleted"
        );
        let left = docs.find_keys(Filter::all()).await?;
        let expected = ["d05", "d06", "d07", "d08"].map(key);
        let expected = expected.into_iter().collect::<Outcome<Vec<_>>>()?;
        check_eq!(left, expected, "what is left");
        docs.expect_absent(&key("d00")?).await?;
        let nothing = write(&docs, &request)
            .await
            .during("deleting what is gone")?;
        check!(
            nothing.written == 0 && nothing.failures.is_empty() && nothing.next.is_none(),
            "a step that matches nothing answers {nothing:?}"
        );
    }
    Ok(())
}

pub(crate) async fn routing(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = cx.routed_docs().await?;
    for (routing, id) in [
        ("b", "a"),
        ("a", "a"),
        ("a", "c"),
        ("b", "c"),
        ("c", "b"),
        ("a", "b"),
    ] {
        docs.create(&Key::routed(routing, id)?, &json!({"n": 1}))
            .await?;
    }
    docs.refresh().await?;
    // Without a routing, steps go by id and then by routing.
    let mut request = step(&docs, Filter::all(), increment("n")?, 4);
    request.after = Some(Key::routed("a", "a")?);
    let reply = write(&docs, &request).await.during("a step")?;
    check_eq!(reply.written, 4, "documents written behind a/a");
    check_eq!(
        reply.next,
        Some(Key::routed("a", "c")?),
        "where the next step goes on"
    );
    let mut request = step(&docs, Filter::all(), increment("n")?, 2);
    request.routing = Some(Routing::new("a")?);
    let (written, failures) = all_steps(&docs, &request).await?;
    check_eq!(
        (written, failures.len()),
        (3, 0),
        "documents of one routing, and failures"
    );
    for (routing, id, n) in [
        ("a", "a", 2),
        ("a", "b", 3),
        ("a", "c", 3),
        ("b", "a", 2),
        ("b", "c", 1),
        ("c", "b", 2),
    ] {
        let found = docs.present(&Key::routed(routing, id)?).await?;
        check_eq!(value_of(&found)?, json!({"n": n}), "{routing}/{id}");
    }
    Ok(())
}

pub(crate) async fn refused_patches_are_told(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = cx.docs().await?;
    let bodies = [
        json!({"free": {"n": 1}}),
        json!({"free": {"n": "text"}}),
        json!({"free": {"n": 2}}),
        json!({"free": {"n": i64::MAX}}),
        json!({"free": {}}),
    ];
    let before = fill(&docs, &bodies).await?;
    for limit in [2, 100] {
        let request = step(&docs, Filter::all(), increment("free.n")?, limit);
        let (written, failures) = all_steps(&docs, &request).await?;
        let expected = [
            (key("d01")?, ErrorKind::Invalid),
            (key("d03")?, ErrorKind::Invalid),
        ];
        check_eq!(failures, expected, "the patches that are refused");
        check_eq!(written, 3, "the patches that are not refused");
    }
    for (id, n) in [("d00", 3), ("d02", 4), ("d04", 2)] {
        let found = docs.present(&key(id)?).await?;
        check_eq!(value_of(&found)?, json!({"free": {"n": n}}), "{id}");
    }
    for id in ["d01", "d03"] {
        let (at, found) = (key(id)?, docs.present(&key(id)?).await?);
        let before = before.get(&at).map(|d| d.version);
        check_eq!(
            Some(found.version),
            before,
            "the version of {id}, refused twice"
        );
    }
    Ok(())
}

pub(crate) async fn unique_values_are_kept(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    if !cx.capabilities().unique_fields {
        return not_granted("unique fields");
    }
    let email = FieldDeclaration::new("email".parse()?, Kind::Keyword).unique();
    let model = usual_fields(Model::builder(cx.name("unique"))).field(email);
    let docs = cx.docs_of(model).await?;
    let bodies: Vec<Value> = (0..5).map(|n| json!({"n": n})).collect();
    fill(&docs, &bodies).await?;
    let request = step(&docs, Filter::all(), set("email", "x@y")?, 2);
    let (written, failures) = all_steps(&docs, &request).await?;
    check_eq!(written, 1, "holders of one unique value");
    let kinds: Vec<ErrorKind> = failures.iter().map(|(_, kind)| *kind).collect();
    check_eq!(kinds, [ErrorKind::UniqueViolation; 4], "the others");
    let held = docs.find_keys(Filter::eq("email", "x@y")?).await?;
    check_eq!(
        held,
        [key("d00")?],
        "the holder: the first in the order of keys"
    );
    // A value that is given up by a delete is free.
    let request = step(&docs, Filter::exists("email")?, MatchingAction::Delete, 9);
    check_eq!(all_steps(&docs, &request).await?.0, 1, "deleted holders");
    docs.create(&key("new")?, &json!({"email": "x@y"})).await?;
    Ok(())
}

pub(crate) async fn within_transactions(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let Some(transact) = super::transactions::granted(cx)? else {
        return Ok(());
    };
    let docs = cx.docs().await?;
    let bodies: Vec<Value> = (0..4).map(|n| json!({"n": n})).collect();
    let before = fill(&docs, &bodies).await?;
    for commits in [false, true] {
        let transaction = begin(&transact).await?;
        let within = inside(&docs, &transaction);
        let tagged = Filter::eq("k", "seen")?;
        let request = step(&within, Filter::gte("n", 2)?, set("k", "seen")?, 1);
        check_eq!(all_steps(&within, &request).await?.0, 2, "patched within");
        let request = step(&within, Filter::lt("n", 1)?, MatchingAction::Delete, 5);
        check_eq!(all_steps(&within, &request).await?.0, 1, "deleted within");
        check_eq!(
            within.count(tagged.clone()).await.during("counting")?,
            2,
            "what the transaction sees of its own"
        );
        drop(within);
        if commits {
            transaction.commit().await.during("committing")?;
        } else {
            transaction.rollback().await.during("rolling back")?;
            for (at, before) in &before {
                let found = docs.present(at).await?;
                check_eq!(
                    found.version,
                    before.version,
                    "the version of {at}, whose patch was rolled back"
                );
            }
        }
        docs.refresh().await?;
        check_eq!(
            docs.count(tagged).await.during("counting")?,
            if commits { 2 } else { 0 },
            "what others see after the end, committed: {commits}"
        );
    }
    docs.expect_absent(&key("d00")?).await
}

pub(crate) async fn bad_requests_write_nothing(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = cx.docs().await?;
    let before = fill(&docs, &[json!({"n": 1})]).await?;
    let checked = super::grants::never_asked(&docs);
    let good = step(&docs, Filter::all(), set("k", "bad")?, 10);
    let mut bad = Vec::new();
    for limit in [0, 10_001] {
        let mut request = good.clone();
        request.limit = limit;
        bad.push(request);
    }
    let mut request = good.clone();
    request.action = MatchingAction::Patch(Patch::new());
    bad.push(request);
    let mut request = good.clone();
    request.after = Some(Key::routed("a", "a")?);
    bad.push(request);
    let mut request = good.clone();
    request.routing = Some(Routing::new("a")?);
    bad.push(request);
    let mut request = good.clone();
    request.filter = Filter::eq("undeclared", 1)?;
    bad.push(request);
    for request in bad {
        let what = format!("a write of what matches: {request:?}");
        refused(write(&checked, &request).await, ErrorKind::Invalid, what)?;
    }
    for (at, before) in before {
        let found = docs.present(&at).await?;
        check_eq!(found.version, before.version, "the version of {at}");
        docs.remove(&at, Expected::Exactly(before.version)).await?;
    }
    Ok(())
}
