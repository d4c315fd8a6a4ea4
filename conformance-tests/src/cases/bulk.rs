//! Many writes in one call: one outcome per item, in order; all or nothing where asked.

use serde_json::json;
use strongroom_core::model::{Body, Expected, Key};
use strongroom_core::patch::Patch;
use strongroom_core::store::{BulkItem, BulkReply, Effect, Receipt, Write};
use strongroom_core::{ErrorKind, Result};

use crate::context::{Context, not_granted};
use crate::docs::{Docs, key, version_of};
use crate::failure::{During, Failure, Outcome, check, check_eq, describe, refused};

fn put(at: &Key, n: i64, expected: impl Into<Expected>) -> Outcome<BulkItem> {
    let body = Body::encode(&json!({"n": n}))?;
    Ok(Write::put(at.clone(), body, expected).into())
}

fn outcomes(reply: Result<BulkReply>, items: usize) -> Outcome<Vec<Result<Receipt>>> {
    let reply = reply.during("the bulk as a whole")?;
    check_eq!(
        reply.outcomes.len(),
        items,
        "outcomes of a bulk of {items} items"
    );
    Ok(reply.outcomes)
}

fn kind_of(outcome: &Result<Receipt>) -> std::result::Result<Effect, ErrorKind> {
    match outcome {
        Ok(receipt) => Ok(receipt.effect),
        Err(error) => Err(error.kind()),
    }
}

pub(crate) async fn mixed_outcomes_in_order(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let [a, b, c, d, e, f] = ["a", "b", "c", "d", "e", "f"].map(key);
    let (a, b, c, d, e, f) = (a?, b?, c?, d?, e?, f?);
    let stale = docs.create(&a, &json!({"n": 0})).await?;
    let at_a = docs.replace(&a, &json!({"n": 1}), stale).await?;
    let at_b = docs.create(&b, &json!({"n": 2})).await?;
    docs.create(&c, &json!({"n": 3})).await?;
    let items = vec![
        put(&a, 10, stale)?,
        put(&b, 20, at_b)?,
        Write::delete(c.clone(), Expected::Present).into(),
        put(&d, 40, Expected::Absent)?,
        put(&a, 50, Expected::Absent)?,
        Write::patch(e.clone(), Patch::new().set("n".parse()?, 1), Expected::Any).into(),
        Write::delete(f.clone(), Expected::Any).into(),
        BulkItem::Check {
            key: a.clone(),
            expected: at_a.into(),
        },
        BulkItem::Check {
            key: f.clone(),
            expected: Expected::Present,
        },
        Write::patch(
            b.clone(),
            Patch::new().append("n".parse()?, [1]),
            Expected::Any,
        )
        .into(),
        Write::patch(
            d.clone(),
            Patch::new().increment("n".parse()?, 2),
            Expected::Any,
        )
        .into(),
    ];
    let keys: Vec<Key> = items.iter().map(|item| item.key().clone()).collect();
    let found = outcomes(docs.bulk(items).await, keys.len())?;
    let expected = [
        Err(ErrorKind::Conflict),
        Ok(Effect::Replaced),
        Ok(Effect::Deleted),
        Ok(Effect::Created),
        Err(ErrorKind::AlreadyExists),
        Err(ErrorKind::NotFound),
        Ok(Effect::Absent),
        Ok(Effect::Checked),
        Err(ErrorKind::NotFound),
        Err(ErrorKind::Invalid),
        Ok(Effect::Patched),
    ];
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        check_eq!(kind_of(found), expected, "the outcome of item {place}");
        if let Err(error) = found {
            check_eq!(
                error.key(),
                keys.get(place),
                "the key that item {place}'s `{}` names",
                describe(error)
            );
        }
    }
    if let Err(error) = &found[0] {
        let detail = error.conflict_detail();
        check_eq!(
            detail.map(|d| d.expected),
            Some(Expected::Exactly(stale)),
            "what the conflict of item 0 says was expected"
        );
    }
    let version = |place: usize| match &found[place] {
        Ok(receipt) => version_of(receipt, format_args!("item {place}")),
        Err(error) => Err(Failure::new(describe(error))),
    };
    docs.expect(&a, &json!({"n": 1}), at_a, None).await?;
    docs.expect(&b, &json!({"n": 20}), version(1)?, None)
        .await?;
    docs.expect_absent(&c).await?;
    docs.expect(&d, &json!({"n": 42}), version(10)?, None)
        .await?;
    docs.expect_absent(&e).await?;
    docs.expect_absent(&f).await?;
    Ok(())
}

pub(crate) async fn one_key_twice_first_wins(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let a = key("a")?;
    let at = docs.create(&a, &json!({"n": 0})).await?;
    let found = outcomes(docs.bulk(vec![put(&a, 1, at)?, put(&a, 2, at)?]).await, 2)?;
    check_eq!(
        kind_of(&found[0]),
        Ok(Effect::Replaced),
        "the first save at one version"
    );
    check_eq!(
        kind_of(&found[1]),
        Err(ErrorKind::Conflict),
        "the second save at one version"
    );
    let Ok(receipt) = &found[0] else {
        return Ok(());
    };
    let new = version_of(receipt, "the first save")?;
    let actual = found[1].as_ref().err().and_then(|e| e.actual_version());
    if let Some(actual) = actual {
        check_eq!(actual, new, "the version that the second save met");
    }
    docs.expect(&a, &json!({"n": 1}), new, None).await?;

    let b = key("b")?;
    let items = vec![put(&b, 1, Expected::Absent)?, put(&b, 2, Expected::Absent)?];
    let found = outcomes(docs.bulk(items).await, 2)?;
    check_eq!(
        kind_of(&found[0]),
        Ok(Effect::Created),
        "the first of two creates"
    );
    check_eq!(
        kind_of(&found[1]),
        Err(ErrorKind::AlreadyExists),
        "the second of two creates"
    );
    Ok(())
}

pub(crate) async fn one_key_in_order(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let (a, b) = (key("a")?, key("b")?);
    let add = |n: i64| -> Outcome<BulkItem> {
        let patch = Patch::new().append("list".parse()?, [n]);
        Ok(Write::patch(a.clone(), patch, Expected::Present).into())
    };
    let items = vec![
        put(&a, 0, Expected::Absent)?,
        add(1)?,
        put(&b, 0, Expected::Any)?,
        add(2)?,
        Write::delete(a.clone(), Expected::Present).into(),
        BulkItem::Check {
            key: a.clone(),
            expected: Expected::Absent,
        },
        add(3)?,
        put(&a, 7, Expected::Absent)?,
        Write::delete(b.clone(), Expected::Present).into(),
        add(4)?,
        add(5)?,
    ];
    let n = items.len();
    let found = outcomes(docs.bulk(items).await, n)?;
    let kinds: Vec<_> = found.iter().map(kind_of).collect();
    let expected = vec![
        Ok(Effect::Created),
        Ok(Effect::Patched),
        Ok(Effect::Created),
        Ok(Effect::Patched),
        Ok(Effect::Deleted),
        Ok(Effect::Checked),
        Err(ErrorKind::NotFound),
        Ok(Effect::Created),
        Ok(Effect::Deleted),
        Ok(Effect::Patched),
        Ok(Effect::Patched),
    ];
    check_eq!(
        kinds,
        expected,
        "the outcomes of items that build on each other"
    );
    let Ok(last) = &found[n - 1] else {
        return Ok(());
    };
    let version = version_of(last, "the last item")?;
    docs.expect(&a, &json!({"n": 7, "list": [4, 5]}), version, None)
        .await?;
    docs.expect_absent(&b).await?;
    Ok(())
}

pub(crate) async fn checks_write_nothing(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let (a, b) = (key("a")?, key("b")?);
    let write = Write::put(a.clone(), Body::encode(&json!({"n": 1}))?, Expected::Absent);
    let id = write.write_id;
    let at = version_of(&docs.save(write).await.during("creating")?, "creating")?;
    let checks = || {
        vec![
            BulkItem::Check {
                key: a.clone(),
                expected: at.into(),
            },
            BulkItem::Check {
                key: a.clone(),
                expected: Expected::Present,
            },
            BulkItem::Check {
                key: b.clone(),
                expected: Expected::Absent,
            },
        ]
    };
    let mut replies = vec![docs.bulk(checks()).await];
    if cx.capabilities().atomic_bulk {
        replies.push(docs.bulk_atomic(checks()).await);
    }
    for reply in replies {
        for (place, outcome) in outcomes(reply, 3)?.iter().enumerate() {
            check_eq!(
                kind_of(outcome),
                Ok(Effect::Checked),
                "the outcome of check {place}"
            );
        }
        docs.expect(&a, &json!({"n": 1}), at, Some(id)).await?;
        docs.expect_absent(&b).await?;
    }
    Ok(())
}

pub(crate) async fn many_items(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let n = 500.min(cx.capabilities().max_bulk_items);
    let keys = (0..n)
        .map(|i| key(&format!("doc-{i}")))
        .collect::<Outcome<Vec<Key>>>()?;
    for at in keys.iter().step_by(50) {
        docs.create(at, &json!({"old": true})).await?;
    }
    let items = keys
        .iter()
        .zip(0..)
        .map(|(at, i)| put(at, i, Expected::Absent))
        .collect::<Outcome<Vec<_>>>()?;
    let found = outcomes(docs.bulk(items).await, n)?;
    let loaded = docs.load_many(&keys).await?;
    for (i, (outcome, document)) in found.iter().zip(&loaded).enumerate() {
        let document = document
            .as_ref()
            .ok_or_else(|| Failure::new(format!("after the bulk, {} is not there", keys[i])))?;
        let value = crate::docs::value_of(document)?;
        if i % 50 == 0 {
            check_eq!(
                kind_of(outcome),
                Err(ErrorKind::AlreadyExists),
                "the outcome of item {i}, which was there"
            );
            check_eq!(value, json!({"old": true}), "the body of {}", keys[i]);
        } else {
            let receipt = match outcome {
                Ok(receipt) => receipt,
                Err(error) => {
                    return Err(Failure::new(format!("item {i}: {}", describe(error))));
                }
            };
            check_eq!(
                Some(document.version),
                receipt.version,
                "the version of {}",
                keys[i]
            );
            check_eq!(value, json!({"n": i}), "the body of {}", keys[i]);
        }
    }
    Ok(())
}

pub(crate) async fn atomic_takes_effect_as_a_whole(cx: &Context) -> Outcome {
    if !cx.capabilities().atomic_bulk {
        return not_granted("atomic bulks");
    }
    let docs = cx.docs().await?;
    let (a, b, c) = (key("a")?, key("b")?, key("c")?);
    let at = docs.create(&a, &json!({"n": 0})).await?;
    docs.create(&c, &json!({"n": 0})).await?;
    let items = vec![
        put(&a, 1, at)?,
        put(&b, 2, Expected::Absent)?,
        Write::delete(c.clone(), Expected::Present).into(),
        Write::patch(
            a.clone(),
            Patch::new().increment("n".parse()?, 10),
            Expected::Any,
        )
        .into(),
    ];
    let found = outcomes(docs.bulk_atomic(items).await, 4)?;
    for (place, outcome) in found.iter().enumerate() {
        check!(
            outcome.is_ok(),
            "item {place} of an atomic bulk that fits: {outcome:?}"
        );
    }
    check_eq!(
        crate::docs::value_of(&docs.present(&a).await?)?,
        json!({"n": 11}),
        "the body of {a}"
    );
    docs.present(&b).await?;
    docs.expect_absent(&c).await
}

pub(crate) async fn atomic_fails_as_a_whole(cx: &Context) -> Outcome {
    if !cx.capabilities().atomic_bulk {
        return not_granted("atomic bulks");
    }
    let docs = cx.docs().await?;
    let (a, b, c) = (key("a")?, key("b")?, key("c")?);
    let stale = docs.create(&a, &json!({"n": 0})).await?;
    let at = docs.replace(&a, &json!({"n": 1}), stale).await?;
    let at_c = docs.create(&c, &json!({"n": 3})).await?;
    let failing: [(&str, BulkItem, ErrorKind); 6] = [
        ("a stale put", put(&a, 9, stale)?, ErrorKind::Conflict),
        (
            "a create of what is there",
            put(&a, 9, Expected::Absent)?,
            ErrorKind::AlreadyExists,
        ),
        (
            "a patch of what is not there",
            Write::patch(key("z")?, Patch::new().set("n".parse()?, 1), Expected::Any).into(),
            ErrorKind::NotFound,
        ),
        (
            "a patch that does not apply",
            Write::patch(
                a.clone(),
                Patch::new().append("n".parse()?, [1]),
                Expected::Any,
            )
            .into(),
            ErrorKind::Invalid,
        ),
        (
            "a stale delete",
            Write::delete(a.clone(), stale).into(),
            ErrorKind::Conflict,
        ),
        (
            "a check that fails",
            BulkItem::Check {
                key: a.clone(),
                expected: stale.into(),
            },
            ErrorKind::Conflict,
        ),
    ];
    for (what, item, kind) in failing {
        let items = vec![
            put(&b, 2, Expected::Absent)?,
            Write::delete(c.clone(), at_c).into(),
            item,
            put(&key("d")?, 4, Expected::Any)?,
        ];
        let found = outcomes(docs.bulk_atomic(items).await, 4)?;
        for (place, outcome) in found.iter().enumerate() {
            let wanted = if place == 2 {
                kind
            } else {
                ErrorKind::Cancelled
            };
            check_eq!(
                kind_of(outcome),
                Err(wanted),
                "item {place} of an atomic bulk with {what} at place 2"
            );
        }
        docs.expect(&a, &json!({"n": 1}), at, None).await?;
        docs.expect_absent(&b).await.during(what)?;
        docs.expect(&c, &json!({"n": 3}), at_c, None).await?;
        docs.expect_absent(&key("d")?).await.during(what)?;
    }
    Ok(())
}

pub(crate) async fn atomic_names_every_failure(cx: &Context) -> Outcome {
    if !cx.capabilities().atomic_bulk {
        return not_granted("atomic bulks");
    }
    let docs = cx.docs().await?;
    let (a, b) = (key("a")?, key("b")?);
    docs.create(&a, &json!({"n": 0})).await?;
    let items = vec![
        put(&a, 1, Expected::Absent)?,
        put(&b, 2, Expected::Absent)?,
        put(&key("c")?, 2, Expected::Present)?,
    ];
    let found = outcomes(docs.bulk_atomic(items).await, 3)?;
    check_eq!(kind_of(&found[0]), Err(ErrorKind::AlreadyExists), "item 0");
    check_eq!(kind_of(&found[1]), Err(ErrorKind::Cancelled), "item 1");
    check!(
        matches!(
            kind_of(&found[2]),
            Err(ErrorKind::NotFound | ErrorKind::Cancelled)
        ),
        "item 2 fails by itself or with the others, found {:?}",
        found[2]
    );
    docs.expect_absent(&b).await
}

pub(crate) async fn atomic_is_refused_where_not_granted(cx: &Context) -> Outcome {
    if cx.capabilities().atomic_bulk {
        return Ok(());
    }
    let docs: Docs = cx.docs().await?;
    let a = key("a")?;
    let error = refused(
        docs.bulk_atomic(vec![put(&a, 1, Expected::Any)?]).await,
        ErrorKind::Unsupported,
        "an atomic bulk on a store without them",
    )?;
    check!(
        error.message().contains("atomic"),
        "the refusal `{}` does not name the feature",
        describe(&error)
    );
    docs.expect_absent(&a).await
}
