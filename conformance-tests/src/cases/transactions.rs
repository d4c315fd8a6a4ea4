//! Transactions, where the store grants them: all or nothing, kept apart, over when they are over.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model, Version};
use strongroom_core::patch::Patch;
use strongroom_core::query::Filter;
use strongroom_core::store::{
    BeginOptions, Effect, Isolation, Store, Transact, Transaction, Write,
};
use strongroom_core::{ErrorKind, Result};

use super::races::{at_once, back_off};
use crate::context::{Context, not_granted};
use crate::docs::{Docs, key, value_of, version_of};
use crate::failure::{During, Failure, Outcome, check, check_eq, refused};
use crate::random::Seed;

/// The store's transactions, or `None` where it has none.
pub(super) fn granted(cx: &Context) -> Outcome<Option<Arc<dyn Transact>>> {
    let transact = cx.store().transact();
    if !cx.capabilities().transactions {
        not_granted("transactions")?;
        return Ok(None);
    }
    transact
        .map(Some)
        .ok_or_else(|| Failure::new("transactions are granted, and yet the store hands out none"))
}

pub(super) async fn begin(transact: &Arc<dyn Transact>) -> Outcome<Arc<dyn Transaction>> {
    transact
        .begin(BeginOptions::new())
        .await
        .during("beginning a transaction")
}

/// The collection through a transaction. It holds a reference to it.
fn inside(docs: &Docs, transaction: &Arc<dyn Transaction>) -> Docs {
    docs.within(transaction.clone() as Arc<dyn Store>)
}

/// A savepoint within a transaction, or `None` where the store has none.
async fn savepoint(
    cx: &Context,
    transaction: &Arc<dyn Transaction>,
) -> Outcome<Option<Arc<dyn Transaction>>> {
    if !cx.capabilities().savepoints {
        if let Some(transact) = transaction.transact() {
            refused(
                transact.begin(BeginOptions::new()).await,
                ErrorKind::Unsupported,
                "a savepoint on a store without them",
            )?;
        }
        not_granted("savepoints")?;
        return Ok(None);
    }
    let transact = transaction.transact().ok_or_else(|| {
        Failure::new("savepoints are granted, and yet the transaction hands out none")
    })?;
    let savepoint = transact.begin(BeginOptions::new()).await;
    savepoint.during("beginning a savepoint").map(Some)
}

/// Checks that a transaction that ended refuses everything.
async fn over(docs: &Docs, transaction: &Arc<dyn Transaction>, how: &str) -> Outcome {
    let within = inside(docs, transaction);
    let at = key("late")?;
    let what = format!("a save in a transaction after {how}");
    refused(
        within.put(&at, &json!({}), Expected::Any).await,
        ErrorKind::Cancelled,
        &what,
    )?;
    let request = strongroom_core::store::LoadRequest::new(docs.model().clone(), vec![at.clone()]);
    let what = format!("a load in a transaction after {how}");
    refused(
        within.store().load(request).await,
        ErrorKind::Cancelled,
        &what,
    )?;
    let what = format!("a count in a transaction after {how}");
    refused(
        within.count(Filter::all()).await,
        ErrorKind::Cancelled,
        &what,
    )?;
    let what = format!("a commit after {how}");
    refused(transaction.commit().await, ErrorKind::Cancelled, &what)?;
    transaction
        .rollback()
        .await
        .during(format_args!("a rollback after {how}"))?;
    docs.expect_absent(&at).await
}

/// Three documents, of which each kind of write has something to do.
struct Scene {
    docs: Docs,
    kept: Key,
    gone: Key,
    new: Key,
    at_kept: Version,
    at_gone: Version,
}

async fn scene(cx: &Context) -> Outcome<Scene> {
    let docs = cx.docs().await?;
    let (kept, gone, new) = (key("kept")?, key("gone")?, key("new")?);
    let at_kept = docs.create(&kept, &json!({"n": 1})).await?;
    let at_gone = docs.create(&gone, &json!({"n": 2})).await?;
    Ok(Scene {
        docs,
        kept,
        gone,
        new,
        at_kept,
        at_gone,
    })
}

impl Scene {
    /// Replaces and patches one document, deletes another, creates a third, and sees it.
    async fn write(&self, transaction: &Arc<dyn Transaction>) -> Outcome<(Version, Version)> {
        let within = inside(&self.docs, transaction);
        let second = within
            .replace(&self.kept, &json!({"n": 10}), self.at_kept)
            .await?;
        let patch = Patch::new().increment("n".parse()?, 1);
        let receipt = within
            .patch(&self.kept, patch, second)
            .await
            .during("patching")?;
        let third = version_of(&receipt, "patching")?;
        within.remove(&self.gone, self.at_gone).await?;
        let body = Body::encode(&json!({"n": 3}))?;
        let write = Write::put(self.new.clone(), body, Expected::Absent);
        let reply = within.bulk(vec![write.into()]).await.during("a bulk")?;
        let mut outcomes = reply.outcomes;
        let receipt = outcomes
            .pop()
            .unwrap_or_else(|| Err(strongroom_core::Error::internal("no outcome")))
            .during("creating in a bulk")?;
        let created = version_of(&receipt, "creating")?;
        self.after(&within, third, created)
            .await
            .during("within the transaction that wrote")?;
        Ok((third, created))
    }

    async fn after(&self, docs: &Docs, kept: Version, created: Version) -> Outcome {
        docs.expect(&self.kept, &json!({"n": 11}), kept, None)
            .await?;
        docs.expect_absent(&self.gone).await?;
        docs.expect(&self.new, &json!({"n": 3}), created, None)
            .await?;
        docs.refresh().await?;
        let found = docs.find_keys(Filter::gte("n", 3)?).await?;
        check_eq!(
            found,
            [self.kept.clone(), self.new.clone()],
            "what a search finds"
        );
        Ok(())
    }

    async fn before(&self) -> Outcome {
        let docs = &self.docs;
        docs.expect(&self.kept, &json!({"n": 1}), self.at_kept, None)
            .await?;
        docs.expect(&self.gone, &json!({"n": 2}), self.at_gone, None)
            .await?;
        docs.expect_absent(&self.new).await?;
        docs.refresh().await?;
        let count = docs.count(Filter::all()).await.during("counting")?;
        check_eq!(count, 2, "the count of documents");
        Ok(())
    }

    /// Checks that the store takes writes, so that no transaction is left open.
    async fn writable(&self) -> Outcome {
        let at = key("afterwards")?;
        let version = self.docs.create(&at, &json!({})).await?;
        self.docs.remove(&at, version).await
    }
}

pub(crate) async fn commit_makes_all_visible(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let scene = scene(cx).await?;
    let open = begin(&transact).await?;
    let (kept, created) = scene.write(&open).await?;
    if cx.capabilities().reads_beside_transactions {
        scene.before().await.during("outside, before the commit")?;
    }
    open.commit().await.during("committing")?;
    scene
        .after(&scene.docs, kept, created)
        .await
        .during("after the commit")?;
    over(&scene.docs, &open, "its commit").await?;
    scene.writable().await
}

pub(crate) async fn rollback_undoes_all(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let scene = scene(cx).await?;
    let open = begin(&transact).await?;
    scene.write(&open).await?;
    open.rollback().await.during("rolling back")?;
    scene.before().await.during("after the rollback")?;
    over(&scene.docs, &open, "its rollback").await?;
    scene.writable().await
}

pub(crate) async fn dropping_undoes_all(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    for _ in 0..3 {
        let scene = scene(cx).await?;
        let open = begin(&transact).await?;
        scene.write(&open).await?;
        drop(open);
        scene
            .writable()
            .await
            .during("after a transaction was dropped")?;
        scene
            .before()
            .await
            .during("after a transaction was dropped")?;
    }
    Ok(())
}

pub(crate) async fn abandoning_undoes_all(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let scene = scene(cx).await?;
    let open = begin(&transact).await?;
    scene.write(&open).await?;
    open.abandon();
    scene
        .writable()
        .await
        .during("after a transaction was abandoned")?;
    scene
        .before()
        .await
        .during("after a transaction was abandoned")?;
    over(&scene.docs, &open, "it was abandoned").await
}

pub(crate) async fn closing_undoes_all(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let scene = scene(cx).await?;
    let open = begin(&transact).await?;
    scene.write(&open).await?;
    open.close().await.during("closing a transaction")?;
    scene
        .before()
        .await
        .during("after a transaction was closed")?;
    scene.writable().await
}

pub(crate) async fn refusals_doom_nothing(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let scene = scene(cx).await?;
    let open = begin(&transact).await?;
    let within = inside(&scene.docs, &open);
    let second = within
        .replace(&scene.kept, &json!({"n": 5}), scene.at_kept)
        .await?;
    let error = refused(
        within
            .put(&scene.kept, &json!({"n": 6}), scene.at_kept)
            .await,
        ErrorKind::Conflict,
        "a stale save within a transaction",
    )?;
    if let Some(actual) = error.actual_version() {
        check_eq!(actual, second, "the version that the conflict tells");
    }
    refused(
        within.put(&scene.kept, &json!({}), Expected::Absent).await,
        ErrorKind::AlreadyExists,
        "creating within a transaction what is there",
    )?;
    refused(
        within.put(&scene.new, &json!({}), Expected::Present).await,
        ErrorKind::NotFound,
        "replacing within a transaction what is not there",
    )?;
    let patch = Patch::new().append("n".parse()?, [1]);
    refused(
        within.patch(&scene.kept, patch, Expected::Any).await,
        ErrorKind::Invalid,
        "a patch within a transaction that does not apply",
    )?;
    let receipt = within
        .delete(&scene.new, Expected::Any)
        .await
        .during("deleting nothing")?;
    check_eq!(
        receipt.effect,
        Effect::Absent,
        "the effect of deleting nothing"
    );
    let third = within
        .replace(&scene.kept, &json!({"n": 7}), second)
        .await?;
    open.commit().await.during("committing after refusals")?;
    scene
        .docs
        .expect(&scene.kept, &json!({"n": 7}), third, None)
        .await?;
    Ok(())
}

pub(crate) async fn unique_violations_doom(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    if !cx.capabilities().unique_fields {
        return not_granted("unique fields");
    }
    let model = Model::builder(cx.name("people"))
        .field(FieldDeclaration::new("email".parse()?, Kind::Keyword).unique());
    let docs = cx.docs_of(model).await?;
    let (a, b) = (key("a")?, key("b")?);
    docs.create(&key("ada")?, &json!({"email": "ada"})).await?;
    let open = begin(&transact).await?;
    let within = inside(&docs, &open);
    within.create(&a, &json!({"email": "bob"})).await?;
    refused(
        within
            .put(&b, &json!({"email": "ada"}), Expected::Any)
            .await,
        ErrorKind::UniqueViolation,
        "a violation within a transaction",
    )?;
    over(&docs, &open, "a unique violation").await?;
    docs.expect_absent(&a).await?;
    docs.expect_absent(&b).await?;
    docs.create(&a, &json!({"email": "bob"})).await?;

    let open = begin(&transact).await?;
    let within = inside(&docs, &open);
    let kept = within.create(&b, &json!({"email": "eve"})).await?;
    let Some(point) = savepoint(cx, &open).await? else {
        return Ok(());
    };
    refused(
        inside(&docs, &point)
            .put(&key("c")?, &json!({"email": "eve"}), Expected::Any)
            .await,
        ErrorKind::UniqueViolation,
        "a violation within a savepoint",
    )?;
    refused(
        point.commit().await,
        ErrorKind::Cancelled,
        "the commit of a doomed savepoint",
    )?;
    within
        .create(&key("d")?, &json!({"email": "dan"}))
        .await
        .during("after a doomed savepoint")?;
    open.commit()
        .await
        .during("committing after a doomed savepoint")?;
    docs.expect(&b, &json!({"email": "eve"}), kept, None)
        .await?;
    docs.present(&key("d")?).await?;
    docs.expect_absent(&key("c")?).await
}

pub(crate) async fn savepoints(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let docs = cx.docs().await?;
    let at = |id: &str| key(id);
    let open = begin(&transact).await?;
    let outer = inside(&docs, &open);
    outer.create(&at("outer")?, &json!({})).await?;

    let Some(point) = savepoint(cx, &open).await? else {
        return Ok(());
    };
    let within = inside(&docs, &point);
    within.present(&at("outer")?).await?;
    within.create(&at("committed")?, &json!({})).await?;
    parent_refuses(&outer, &open).await?;
    point.commit().await.during("committing a savepoint")?;
    over(&outer, &point, "the commit of a savepoint").await?;
    outer.present(&at("committed")?).await?;

    let Some(point) = savepoint(cx, &open).await? else {
        return Ok(());
    };
    let within = inside(&docs, &point);
    within.create(&at("rolled back")?, &json!({})).await?;
    within.remove(&at("outer")?, Expected::Present).await?;
    point.rollback().await.during("rolling a savepoint back")?;
    outer.expect_absent(&at("rolled back")?).await?;
    outer.present(&at("outer")?).await?;

    let Some(point) = savepoint(cx, &open).await? else {
        return Ok(());
    };
    inside(&docs, &point)
        .create(&at("dropped")?, &json!({}))
        .await?;
    drop(point);
    outer
        .expect_absent(&at("dropped")?)
        .await
        .during("after a savepoint was dropped")?;
    outer
        .create(&at("last")?, &json!({}))
        .await
        .during("after a savepoint was dropped")?;

    // Three deep: what the middle one takes back, it takes back of the innermost too.
    let Some(middle) = savepoint(cx, &open).await? else {
        return Ok(());
    };
    inside(&docs, &middle)
        .create(&at("middle")?, &json!({}))
        .await?;
    let Some(inner) = savepoint(cx, &middle).await? else {
        return Ok(());
    };
    inside(&docs, &inner)
        .create(&at("inner")?, &json!({}))
        .await?;
    parent_refuses(&inside(&docs, &middle), &middle).await?;
    inner
        .commit()
        .await
        .during("committing the innermost savepoint")?;
    inside(&docs, &middle).present(&at("inner")?).await?;
    middle
        .rollback()
        .await
        .during("rolling the middle savepoint back")?;

    open.commit().await.during("committing the transaction")?;
    for there in ["outer", "committed", "last"] {
        docs.present(&at(there)?).await?;
    }
    for gone in ["rolled back", "dropped", "middle", "inner"] {
        docs.expect_absent(&at(gone)?).await?;
    }
    Ok(())
}

async fn parent_refuses(parent: &Docs, open: &Arc<dyn Transaction>) -> Outcome {
    let (at, what) = (key("parent")?, "while its savepoint is open");
    let save = parent.put(&at, &json!({}), Expected::Any).await;
    refused(
        save,
        ErrorKind::Invalid,
        format_args!("a save on the parent {what}"),
    )?;
    let request = strongroom_core::store::LoadRequest::new(parent.model().clone(), vec![at]);
    let load = parent.store().load(request).await;
    refused(
        load,
        ErrorKind::Invalid,
        format_args!("a load on the parent {what}"),
    )?;
    let count = parent.count(Filter::all()).await;
    refused(
        count,
        ErrorKind::Invalid,
        format_args!("a count on the parent {what}"),
    )?;
    refused(
        open.commit().await,
        ErrorKind::Invalid,
        format_args!("a commit of the parent {what}"),
    )?;
    if let Some(transact) = open.transact() {
        let second = transact.begin(BeginOptions::new()).await;
        refused(
            second,
            ErrorKind::Invalid,
            format_args!("a second savepoint {what}"),
        )?;
    }
    Ok(())
}

pub(crate) async fn rollback_with_an_open_savepoint(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let scene = scene(cx).await?;
    let open = begin(&transact).await?;
    scene.write(&open).await?;
    let Some(point) = savepoint(cx, &open).await? else {
        return Ok(());
    };
    inside(&scene.docs, &point)
        .create(&key("deep")?, &json!({}))
        .await?;
    open.abandon();
    drop(open);
    refused(
        inside(&scene.docs, &point)
            .put(&key("late")?, &json!({}), Expected::Any)
            .await,
        ErrorKind::Cancelled,
        "a save in a savepoint whose transaction was abandoned",
    )?;
    refused(
        point.commit().await,
        ErrorKind::Cancelled,
        "the commit of a savepoint whose transaction was abandoned",
    )?;
    drop(point);
    scene.writable().await?;
    scene.docs.expect_absent(&key("deep")?).await?;
    scene.before().await
}

pub(crate) async fn lose_no_update(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let docs = cx.docs().await?;
    let (a, b) = (key("a")?, key("b")?);
    docs.create(&a, &json!({"n": 0})).await?;
    docs.create(&b, &json!({"n": 0})).await?;
    let scale = cx.scale();
    let rounds = scale.increments.min(25);
    let (seed, backoff) = (Seed::draw(), cx.settings().backoff);
    let tasks = scale.tasks.min(16);
    let found = at_once(tasks, |task| {
        let (docs, transact, keys) = (docs.clone(), transact.clone(), [a.clone(), b.clone()]);
        let mut random = seed.of(task).random();
        async move {
            for _ in 0..rounds {
                let mut lost = 0;
                while let Err(error) = count_both(&docs, &transact, &keys).await {
                    let again = matches!(
                        error.kind(),
                        ErrorKind::Conflict | ErrorKind::Contended | ErrorKind::Cancelled
                    );
                    if !again {
                        return Err(Failure::from(error).during("counting up in a transaction"));
                    }
                    lost += 1;
                    back_off(backoff, lost, &mut random).await;
                }
            }
            Ok(())
        }
    })
    .await?;
    found.into_iter().collect::<Outcome>()?;
    for at in [&a, &b] {
        check_eq!(
            value_of(&docs.present(at).await?)?,
            json!({"n": tasks * rounds}),
            "the counter {at} after {tasks} tasks ran {rounds} transactions each"
        );
    }
    Ok(())
}

/// Reads two counters and writes both back by their versions, in one transaction.
async fn count_both(docs: &Docs, transact: &Arc<dyn Transact>, keys: &[Key; 2]) -> Result<()> {
    let open = transact
        .begin(BeginOptions::new().wait(Duration::from_secs(30)))
        .await?;
    let within = inside(docs, &open);
    for at in keys {
        let request =
            strongroom_core::store::LoadRequest::new(docs.model().clone(), vec![at.clone()]);
        let found = open.load(request).await?.pop().flatten();
        let found = found.ok_or_else(|| strongroom_core::Error::not_found(at.clone()))?;
        let n = found.body.decode::<serde_json::Value>()?["n"].as_i64();
        within
            .put(at, &json!({"n": n.unwrap_or(-1) + 1}), found.version)
            .await?;
    }
    open.commit().await
}

pub(crate) async fn writers_outside_wait_their_turn(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let docs = cx.docs().await?;
    let at = key("a")?;
    docs.create(&at, &json!({"n": 0})).await?;
    for commits in [true, false] {
        let open = begin(&transact).await?;
        let add = |n: i64| -> Outcome<Patch> { Ok(Patch::new().increment("n".parse()?, n)) };
        inside(&docs, &open)
            .patch(&at, add(1)?, Expected::Present)
            .await
            .during("patching within")?;
        let outside = tokio::spawn({
            let (docs, at, patch) = (docs.clone(), at.clone(), add(10)?);
            async move { docs.patch(&at, patch, Expected::Present).await }
        });
        let ended = if commits {
            open.commit().await
        } else {
            open.rollback().await
        };
        ended.during("ending the transaction")?;
        outside
            .await
            .map_err(|e| Failure::new(format!("a task ended: {e}")))?
            .during("patching outside while a transaction ends")?;
    }
    check_eq!(
        value_of(&docs.present(&at).await?)?,
        json!({"n": 21}),
        "the sum of one commit and two patches outside"
    );
    Ok(())
}

pub(crate) async fn readers_outside_see_what_is_committed(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let docs = cx.docs().await?;
    let (a, b) = (key("a")?, key("b")?);
    docs.create(&a, &json!({"n": 0})).await?;
    docs.create(&b, &json!({"n": 0})).await?;
    for round in 1..4 {
        let open = begin(&transact).await?;
        let within = inside(&docs, &open);
        for at in [&a, &b] {
            within
                .replace(at, &json!({"n": round}), Expected::Any)
                .await?;
        }
        let reading = tokio::spawn({
            let (docs, keys) = (docs.clone(), [a.clone(), b.clone()]);
            async move {
                let mut seen = Vec::new();
                for found in docs.load_many(&keys).await? {
                    seen.push(found.map(|d| value_of(&d)).transpose()?);
                }
                Outcome::Ok(seen)
            }
        });
        let mut seen = None;
        if cx.capabilities().reads_beside_transactions {
            let read = reading
                .await
                .map_err(|e| Failure::new(format!("a task ended: {e}")))??;
            seen = Some(read);
            open.commit().await.during("committing")?;
        } else {
            open.commit().await.during("committing")?;
            let read = reading
                .await
                .map_err(|e| Failure::new(format!("a task ended: {e}")))??;
            let n = |n: i32| Some(json!({"n": n}));
            check!(
                read == [n(round), n(round)] || read == [n(round - 1), n(round - 1)],
                "a reader saw half a transaction: {read:?}"
            );
        }
        if let Some(read) = seen {
            let before = Some(json!({"n": round - 1}));
            check_eq!(
                read,
                [before.clone(), before],
                "what a reader sees before the commit"
            );
        }
        for at in [&a, &b] {
            check_eq!(
                value_of(&docs.present(at).await?)?,
                json!({"n": round}),
                "what a reader sees after the commit"
            );
        }
    }
    Ok(())
}

pub(crate) async fn snapshots_stand_still(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let docs = cx.docs().await?;
    let (a, b) = (key("a")?, key("b")?);
    docs.create(&a, &json!({"n": 0})).await?;
    let at_b = docs.create(&b, &json!({"n": 0})).await?;
    for isolation in [Isolation::Snapshot, Isolation::Serializable] {
        let open = match transact
            .begin(BeginOptions::new().isolation(isolation))
            .await
        {
            Ok(open) => open,
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                not_granted(&format!("the isolation {isolation:?}"))?;
                continue;
            }
            Err(error) => return Err(Failure::from(error).during("beginning")),
        };
        let within = inside(&docs, &open);
        let first = value_of(&within.present(&b).await?)?;
        within.present(&a).await?;
        let outside = tokio::spawn({
            let (docs, b) = (docs.clone(), b.clone());
            async move { docs.put(&b, &json!({"n": "outside"}), at_b).await }
        });
        // Where writers wait for each other the one outside cannot be awaited; it is given a
        // moment to be in the way where they do not.
        let mut outside = outside;
        let early = tokio::time::timeout(Duration::from_millis(50), &mut outside).await;
        let second = value_of(&within.present(&b).await?)?;
        check_eq!(
            second,
            first,
            "a second read within a transaction of isolation {isolation:?}"
        );
        let count = within.count(Filter::eq("n", 0)?).await.during("counting")?;
        check_eq!(
            count,
            2,
            "a count within a transaction of isolation {isolation:?}"
        );
        open.rollback().await.during("rolling back")?;
        let written = match early {
            Ok(ended) => ended,
            Err(_) => outside.await,
        };
        let receipt = written
            .map_err(|e| Failure::new(format!("a task ended: {e}")))?
            .during("saving outside of a snapshot")?;
        docs.remove(&b, version_of(&receipt, "saving")?).await?;
        let again = docs.create(&b, &json!({"n": 0})).await?;
        if isolation == Isolation::Snapshot {
            // The next round's writer needs the version that is there now.
            docs.remove(&b, again).await?;
            return snapshots_of(&docs, &transact, &b).await;
        }
    }
    Ok(())
}

/// A second round, at serializable isolation, with its own version.
async fn snapshots_of(docs: &Docs, transact: &Arc<dyn Transact>, b: &Key) -> Outcome {
    docs.create(b, &json!({"n": 1})).await?;
    let options = BeginOptions::new().isolation(Isolation::Serializable);
    match transact.begin(options).await {
        Ok(open) => {
            inside(docs, &open).expect_absent(&key("none")?).await?;
            open.commit().await.during("committing what only read")
        }
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            not_granted("serializable transactions")
        }
        Err(error) => Err(Failure::from(error).during("beginning")),
    }
}

pub(crate) async fn span_collections(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    let (one, two) = (cx.docs().await?, cx.routed_docs().await?);
    let (a, b) = (key("a")?, Key::routed("r", "b")?);
    for commits in [false, true] {
        let open = begin(&transact).await?;
        inside(&one, &open).create(&a, &json!({"n": 1})).await?;
        inside(&two, &open).create(&b, &json!({"n": 1})).await?;
        let ended = if commits {
            open.commit().await
        } else {
            open.rollback().await
        };
        ended.during("ending the transaction")?;
        check_eq!(
            one.load(&a).await?.is_some(),
            commits,
            "whether the first is there"
        );
        check_eq!(
            two.load(&b).await?.is_some(),
            commits,
            "whether the second is there"
        );
    }
    Ok(())
}
