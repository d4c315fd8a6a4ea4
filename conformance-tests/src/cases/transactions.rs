//! Transactions, where the store grants them: all or nothing, kept apart, over when they are over.

use std::sync::Arc;

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model, Version};
use strongroom_core::patch::Patch;
use strongroom_core::query::Filter;
use strongroom_core::store::{BeginOptions, Effect, Store, Transact, Transaction, Write};

use crate::context::{Context, not_granted};
use crate::docs::{Docs, key, version_of};
use crate::failure::{During, Failure, Outcome, check_eq, refused};

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
pub(super) fn inside(docs: &Docs, transaction: &Arc<dyn Transaction>) -> Docs {
    docs.within(transaction.clone() as Arc<dyn Store>)
}

/// Checks that a transaction that ended refuses everything.
pub(super) async fn over(docs: &Docs, transaction: &Arc<dyn Transaction>, how: &str) -> Outcome {
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
pub(super) struct Scene {
    pub(super) docs: Docs,
    kept: Key,
    gone: Key,
    new: Key,
    at_kept: Version,
    at_gone: Version,
}

pub(super) async fn scene(cx: &Context) -> Outcome<Scene> {
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
    pub(super) async fn write(
        &self,
        transaction: &Arc<dyn Transaction>,
    ) -> Outcome<(Version, Version)> {
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

    pub(super) async fn before(&self) -> Outcome {
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
    pub(super) async fn writable(&self) -> Outcome {
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
    Ok(())
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
