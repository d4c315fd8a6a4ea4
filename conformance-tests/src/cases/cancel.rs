//! Calls cut off at every await: each operation is polled 0 times, once, twice and so on until it
//! ends, dropped there, and the store must work on, with the call's effect there entirely or not
//! at all.

use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model, RawDocument};
use strongroom_core::patch::Patch;
use strongroom_core::query::Filter;
use strongroom_core::store::{BeginOptions, BulkItem, EnsureRequest, LoadRequest, Store, Write};
use strongroom_core::{ErrorKind, Result};

use super::transactions::{begin, granted};
use crate::context::{Context, not_granted};
use crate::cut::polled;
use crate::docs::{Docs, key, text_of, value_of};
use crate::failure::{During, Failure, Outcome, check, check_eq, describe, refused};

/// More awaits than any call has.
const MOST_POLLS: usize = 200;

/// Cuts a call off at each await in turn. `call` makes what the `n`th try needs, polls the call
/// `n` times, checks what it left, and says whether the call had ended.
async fn at_every_await(call: impl AsyncFn(usize) -> Outcome<bool>) -> Outcome {
    for n in 0..MOST_POLLS {
        if call(n)
            .await
            .during(format_args!("cut off after {n} polls"))?
        {
            return Ok(());
        }
    }
    Err(Failure::new(format!(
        "the call had not ended after {MOST_POLLS} polls"
    )))
}

/// One document before a write that is cut off, and what the write makes of it.
struct Cut {
    docs: Docs,
    key: Key,
    before: Option<RawDocument>,
    write: Write,
    after: Option<Value>,
}

impl Cut {
    /// Whether the write took effect, found out by replacing the document under a guard: once
    /// that succeeded, a write under an older guard can no longer take effect.
    async fn took_effect(&self) -> Outcome<bool> {
        for _ in 0..2 {
            let found = self.docs.load(&self.key).await?;
            let applied = self.is_applied(found.as_ref())?;
            let guard = found
                .as_ref()
                .map_or(Expected::Absent, |d| d.version.into());
            match self
                .docs
                .put(&self.key, &json!({"final": true}), guard)
                .await
            {
                Ok(receipt) => {
                    let version = crate::docs::version_of(&receipt, "the write afterwards")?;
                    let body = json!({"final": true});
                    self.docs.expect(&self.key, &body, version, None).await?;
                    return Ok(applied);
                }
                // It was still on its way, and arrived between the load and this save.
                Err(error)
                    if !applied
                        && matches!(
                            error.kind(),
                            ErrorKind::Conflict | ErrorKind::NotFound | ErrorKind::AlreadyExists
                        ) => {}
                Err(error) => {
                    return Err(Failure::new(format!(
                        "a guarded save after the cut: expected success, found `{}`",
                        describe(&error)
                    )));
                }
            }
        }
        Err(Failure::new(
            "the document changed twice after the cut, by one write",
        ))
    }

    fn is_applied(&self, found: Option<&RawDocument>) -> Outcome<bool> {
        let body = found.map(value_of).transpose()?;
        let same = |other: &Option<RawDocument>| match (found, other) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                a.version == b.version && a.write_id == b.write_id && a.body.same_value(&b.body)
            }
            _ => false,
        };
        if same(&self.before) {
            return Ok(false);
        }
        let id = found.and_then(|d| d.write_id);
        let own = found.is_none() || id == Some(self.write.write_id);
        check!(
            own && body == self.after,
            "after the cut the document is neither as before nor as the write makes it: {}",
            found.map_or_else(|| "none".to_owned(), text_of)
        );
        Ok(true)
    }
}

async fn cut_write(docs: &Docs, id: &str, kind: &str) -> Outcome<Cut> {
    let key = key(id)?;
    let (action, after): (fn(Key, Expected) -> Result<Write>, _) = match kind {
        "create" | "replace" => (
            |key, expected| Ok(Write::put(key, Body::encode(&json!({"n": 2}))?, expected)),
            Some(json!({"n": 2})),
        ),
        "patch" => (
            |key, expected| {
                Ok(Write::patch(
                    key,
                    Patch::new().increment("n".parse()?, 1),
                    expected,
                ))
            },
            Some(json!({"n": 2, "m": 0})),
        ),
        _ => (|key, expected| Ok(Write::delete(key, expected)), None),
    };
    let mut expected = Expected::Absent;
    if kind != "create" {
        expected = docs.create(&key, &json!({"n": 1, "m": 0})).await?.into();
    }
    let before = docs.load(&key).await?;
    let write = action(key.clone(), expected)?;
    Ok(Cut {
        docs: docs.clone(),
        key,
        before,
        write,
        after,
    })
}

async fn saves(cx: &Context, kind: &str) -> Outcome {
    let docs = cx.docs().await?;
    at_every_await(async |n| {
        let cut = cut_write(&docs, &format!("{kind}-{n}"), kind).await?;
        let ended = polled(docs.save(cut.write.clone()), n).await;
        settle(cx).await;
        let applied = cut.took_effect().await?;
        if let Some(result) = &ended {
            let receipt = result.as_ref().map_err(|e| Failure::new(describe(e)))?;
            check!(applied, "it answered {receipt:?}, and yet took no effect");
        }
        check!(
            n > 0 || !applied,
            "it took effect without having been polled"
        );
        Ok(ended.is_some())
    })
    .await
}

async fn settle(cx: &Context) {
    let settle = cx.settings().settle;
    if !settle.is_zero() {
        tokio::time::sleep(settle).await;
    }
}

pub(crate) async fn creates(cx: &Context) -> Outcome {
    saves(cx, "create").await
}

pub(crate) async fn replacements(cx: &Context) -> Outcome {
    saves(cx, "replace").await
}

pub(crate) async fn patches(cx: &Context) -> Outcome {
    saves(cx, "patch").await
}

pub(crate) async fn deletes(cx: &Context) -> Outcome {
    saves(cx, "delete").await
}

pub(crate) async fn bulks(cx: &Context) -> Outcome {
    bulk(cx, false).await
}

pub(crate) async fn atomic_bulks(cx: &Context) -> Outcome {
    if !cx.capabilities().atomic_bulk {
        return not_granted("atomic bulks");
    }
    bulk(cx, true).await
}

async fn bulk(cx: &Context, atomic: bool) -> Outcome {
    let docs = cx.docs().await?;
    at_every_await(async |n| {
        let mut cuts = Vec::new();
        for kind in ["create", "replace", "patch", "delete"] {
            cuts.push(cut_write(&docs, &format!("{kind}-{n}"), kind).await?);
        }
        let items: Vec<BulkItem> = cuts.iter().map(|cut| cut.write.clone().into()).collect();
        let ended = if atomic {
            polled(docs.bulk_atomic(items), n).await
        } else {
            polled(docs.bulk(items), n).await
        };
        settle(cx).await;
        let mut applied = Vec::new();
        for cut in &cuts {
            applied.push(cut.took_effect().await.during(&cut.key)?);
        }
        if let Some(result) = &ended {
            let reply = result.as_ref().map_err(|e| Failure::new(describe(e)))?;
            check!(reply.is_ok(), "an item of the bulk failed: {reply:?}");
            check_eq!(
                applied,
                [true; 4],
                "which items of a bulk that answered took effect"
            );
        }
        if atomic {
            let first = applied[0];
            check!(
                applied.iter().all(|a| *a == first),
                "an atomic bulk took effect in part: {applied:?}"
            );
        }
        check!(
            n > 0 || !applied.contains(&true),
            "it took effect without having been polled"
        );
        Ok(ended.is_some())
    })
    .await
}

pub(crate) async fn saves_among_others(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let rounds = cx.scale().rounds.max(2) * 4;
    for round in 0..rounds {
        // Stores join saves that come at once; one that is cut off takes no other with it.
        let results = super::races::at_once(8, |task| {
            let docs = docs.clone();
            async move {
                let at = key(&format!("r{round}-t{task}"))?;
                let polls = if task % 2 == 0 {
                    usize::MAX
                } else {
                    1 + (round + task) % 4
                };
                let body = json!({"n": task});
                let ended = polled(docs.put(&at, &body, Expected::Absent), polls).await;
                Outcome::Ok((at, ended))
            }
        })
        .await?;
        for (task, result) in results.into_iter().enumerate() {
            let (at, ended) = result?;
            match ended {
                Some(Ok(receipt)) => {
                    let version = crate::docs::version_of(&receipt, "a save")?;
                    docs.expect(&at, &json!({"n": task}), version, None).await?;
                }
                Some(Err(error)) => {
                    return Err(Failure::from(error).during("saving beside saves that are cut off"));
                }
                None => {
                    // Either way the document can be created or replaced now.
                    let receipt = docs.put(&at, &json!({"n": -1}), Expected::Any).await;
                    receipt.during("saving over a save that was cut off")?;
                }
            }
        }
    }
    Ok(())
}

pub(crate) async fn reads(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let keys = (0..50)
        .map(|n| key(&format!("d{n:02}")))
        .collect::<Outcome<Vec<Key>>>()?;
    for at in &keys {
        docs.create(at, &json!({"n": 1, "k": at.id().as_str()}))
            .await?;
    }
    docs.refresh().await?;
    let whole = async || -> Outcome {
        check_eq!(
            docs.load_many(&keys).await?.len(),
            keys.len(),
            "documents loaded after a cut"
        );
        let found = docs.find_keys(Filter::eq("n", 1)?).await?;
        check_eq!(found, keys, "documents found after a cut");
        let at = key("written")?;
        docs.put(&at, &json!({}), Expected::Any)
            .await
            .during("saving after a cut")?;
        docs.remove(&at, Expected::Present).await
    };
    let model = docs.model().clone();
    at_every_await(async |n| {
        let request = LoadRequest::new(model.clone(), keys.clone());
        let ended = polled(docs.store().load(request), n).await;
        whole().await?;
        ended.map_or(Ok(false), |r| r.during("loading").map(|_| true))
    })
    .await
    .during("load")?;
    at_every_await(async |n| {
        let ended = polled(docs.find(docs.query(Filter::eq("n", 1)?)), n).await;
        whole().await?;
        ended.map_or(Ok(false), |r| r.during("finding").map(|_| true))
    })
    .await
    .during("find")?;
    at_every_await(async |n| {
        let ended = polled(docs.count(Filter::eq("n", 1)?), n).await;
        whole().await?;
        ended.map_or(Ok(false), |r| r.during("counting").map(|_| true))
    })
    .await
    .during("count")?;
    at_every_await(async |n| {
        let ended = polled(docs.store().describe(model.name().clone()), n).await;
        whole().await?;
        ended.map_or(Ok(false), |r| r.during("describing").map(|_| true))
    })
    .await
    .during("describe")
}

pub(crate) async fn schema_changes(cx: &Context) -> Outcome {
    at_every_await(async |n| {
        let model = Model::builder(cx.name("cut"))
            .field(FieldDeclaration::new("k".parse()?, Kind::Keyword).indexed())
            .field(FieldDeclaration::new("n".parse()?, Kind::Integer))
            .build()?;
        let ensure = || cx.store().ensure(EnsureRequest::new(model.clone()));
        let ended = polled(ensure(), n).await;
        settle(cx).await;
        ensure().await.during("ensuring after a cut")?;
        let docs = Docs::new(cx.store().clone(), model.clone());
        docs.create(&key("a")?, &json!({"k": "v", "n": 1})).await?;
        docs.refresh().await?;
        check_eq!(
            docs.find_keys(Filter::eq("k", "v")?).await?.len(),
            1,
            "documents found"
        );
        ended.map_or(Ok(false), |r| r.during("ensuring").map(|_| true))
    })
    .await
    .during("ensure")?;
    at_every_await(async |n| {
        let docs = cx.docs().await?;
        let at = key("a")?;
        docs.create(&at, &json!({})).await?;
        let name = docs.model().name().clone();
        let ended = polled(docs.store().drop_collection(name.clone()), n).await;
        settle(cx).await;
        docs.store()
            .drop_collection(name.clone())
            .await
            .during("dropping after a cut")?;
        let described = docs.store().describe(name).await.during("describing")?;
        check!(described.is_none(), "a dropped collection is described");
        docs.store()
            .ensure(EnsureRequest::new(docs.model().clone()))
            .await
            .during("ensuring after a drop")?;
        docs.expect_absent(&at).await?;
        ended.map_or(Ok(false), |r| r.during("dropping").map(|_| true))
    })
    .await
    .during("drop_collection")
}

pub(crate) async fn begins(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let docs = cx.docs().await?;
    at_every_await(async |n| {
        let ended = polled(transact.begin(BeginOptions::new()), n).await;
        let done = ended.is_some();
        drop(ended.transpose().during("beginning")?);
        docs.put(&key("a")?, &json!({"n": n}), Expected::Any)
            .await
            .during("a save after a begin was cut off")?;
        Ok(done)
    })
    .await?;
    // And while it waits for another transaction.
    at_every_await(async |n| {
        let open = begin(&transact).await?;
        let n = n.min(8);
        let ended = polled(transact.begin(BeginOptions::new()), n.min(1)).await;
        drop(ended);
        open.commit()
            .await
            .during("committing beside a begin that was cut off")?;
        docs.put(&key("a")?, &json!({"n": n}), Expected::Any)
            .await
            .during("a save after a waiting begin was cut off")?;
        Ok(n == 8)
    })
    .await
}

pub(crate) async fn calls_within_transactions(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let docs = cx.docs().await?;
    at_every_await(async |n| {
        let (first, second) = (key(&format!("a{n}"))?, key(&format!("b{n}"))?);
        let open = begin(&transact).await?;
        let within = docs.within(open.clone() as Arc<dyn Store>);
        within.create(&first, &json!({})).await?;
        let ended = polled(within.put(&second, &json!({}), Expected::Absent), n).await;
        if n == 0 {
            open.rollback().await.during("rolling back")?;
            return Ok(false);
        }
        if let Some(result) = ended {
            result.during("saving within a transaction")?;
            open.commit().await.during("committing")?;
            docs.present(&first).await?;
            docs.present(&second).await?;
            return Ok(true);
        }
        refused(
            within.put(&first, &json!({}), Expected::Any).await,
            ErrorKind::Cancelled,
            "a save in a transaction of which a call was cut off",
        )?;
        refused(
            open.commit().await,
            ErrorKind::Cancelled,
            "the commit of a transaction of which a call was cut off",
        )?;
        drop((within, open));
        docs.put(&key("outside")?, &json!({}), Expected::Any)
            .await
            .during("a save after a doomed transaction")?;
        docs.expect_absent(&first).await?;
        docs.expect_absent(&second).await?;
        Ok(false)
    })
    .await
}

pub(crate) async fn commits(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let docs = cx.docs().await?;
    at_every_await(async |n| {
        let mut cuts = Vec::new();
        for kind in ["create", "replace", "patch", "delete"] {
            cuts.push(cut_write(&docs, &format!("{kind}-{n}"), kind).await?);
        }
        let open = begin(&transact).await?;
        let within = docs.within(open.clone() as Arc<dyn Store>);
        for cut in &cuts {
            within.save(cut.write.clone()).await.during("writing")?;
        }
        let ended = polled(open.commit(), n).await;
        drop((within, open));
        settle(cx).await;
        let mut applied = Vec::new();
        for cut in &cuts {
            applied.push(cut.took_effect().await.during(&cut.key)?);
        }
        let first = applied[0];
        check!(
            applied.iter().all(|a| *a == first),
            "a transaction took effect in part: {applied:?}"
        );
        let done = ended.is_some();
        if let Some(result) = ended {
            result.during("committing")?;
            check!(first, "the commit answered, and yet took no effect");
        }
        check!(n > 0 || !first, "it took effect without having been polled");
        Ok(done)
    })
    .await
}

pub(crate) async fn rollbacks(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let docs = cx.docs().await?;
    at_every_await(async |n| {
        let at = key(&format!("a{n}"))?;
        let open = begin(&transact).await?;
        docs.within(open.clone() as Arc<dyn Store>)
            .create(&at, &json!({}))
            .await?;
        let ended = polled(open.rollback(), n).await;
        drop(open);
        docs.put(&key("outside")?, &json!({}), Expected::Any)
            .await
            .during("a save after a rollback was cut off")?;
        docs.expect_absent(&at).await?;
        ended.map_or(Ok(false), |r| r.during("rolling back").map(|()| true))
    })
    .await
}
