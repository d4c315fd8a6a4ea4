//! Savepoints within transactions, where the store grants them.

use std::sync::Arc;

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::{Expected, FieldDeclaration, Kind, Model};
use strongroom_core::query::Filter;
use strongroom_core::store::{BeginOptions, LoadRequest, Transaction};

use super::transactions::{begin, granted, inside, over, scene};
use crate::context::{Context, not_granted};
use crate::docs::{Docs, key};
use crate::failure::{During, Failure, Outcome, refused};

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

pub(crate) async fn nest(cx: &Context) -> Outcome {
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
    let request = LoadRequest::new(parent.model().clone(), vec![at]);
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

pub(crate) async fn go_with_their_transaction(cx: &Context) -> Outcome {
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

pub(crate) async fn are_doomed_alone(cx: &Context) -> Outcome {
    let Some(transact) = granted(cx)? else {
        return Ok(());
    };
    if !cx.capabilities().unique_fields {
        return not_granted("unique fields");
    }
    let model = Model::builder(cx.name("people"))
        .field(FieldDeclaration::new("email".parse()?, Kind::Keyword).unique());
    let docs = cx.docs_of(model).await?;
    let b = key("b")?;
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
