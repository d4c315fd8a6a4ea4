//! What a version promises: a new one for each write, one text form, no return of an old one.

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::{Expected, Version};
use strongroom_core::patch::Patch;

use crate::context::Context;
use crate::docs::{key, version_of};
use crate::failure::{During, Outcome, check, check_eq, refused};

pub(crate) async fn differ_after_each_write(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let at = key("a")?;
    let mut seen = Vec::new();
    for round in 0..3 {
        seen.push(docs.create(&at, &json!({"n": round})).await?);
        for n in 0..3 {
            // The same body again is a write like any other.
            seen.push(
                docs.replace(&at, &json!({"n": n / 2}), Expected::Any)
                    .await?,
            );
            let patch = Patch::new().increment("n".parse()?, 0);
            let receipt = docs
                .patch(&at, patch, Expected::Present)
                .await
                .during("patching")?;
            seen.push(version_of(&receipt, "patching")?);
            check_eq!(
                Some(&docs.present(&at).await?.version),
                seen.last(),
                "the loaded version after a patch"
            );
        }
        docs.remove(&at, Expected::Any).await?;
    }
    for (i, a) in seen.iter().enumerate() {
        check!(
            !seen[i + 1..].contains(a),
            "version {a} was given out twice among {seen:?}"
        );
    }
    Ok(())
}

pub(crate) async fn have_one_text_form(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let at = key("a")?;
    let version = docs.create(&at, &json!({})).await?;
    let text = version.to_string();
    let back: Version = text
        .parse::<Version>()
        .during(format_args!("parsing the version {text}"))?;
    check_eq!(back, version, "the version read from its text {text}");
    // A version that went through text guards a write as well as the one handed out.
    let next = docs.replace(&at, &json!({"n": 1}), back).await?;
    refused(
        docs.put(&at, &json!({"n": 2}), back).await,
        ErrorKind::Conflict,
        "replacing at a version read from text that is stale",
    )?;
    docs.expect(&at, &json!({"n": 1}), next, None).await?;
    Ok(())
}

pub(crate) async fn count_writes_where_counted(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let at = key("a")?;
    let first = docs.create(&at, &json!({})).await?;
    if first.revision().is_none() {
        return crate::context::not_granted("versions that count");
    }
    check_eq!(first.revision(), Some(1), "the revision of a new document");
    let second = docs.replace(&at, &json!({}), first).await?;
    check_eq!(
        second.revision(),
        Some(2),
        "the revision after a replacement"
    );
    let receipt = docs
        .patch(&at, Patch::new().set("n".parse()?, 1), second)
        .await
        .during("patching")?;
    let third = version_of(&receipt, "patching")?;
    check_eq!(third.revision(), Some(3), "the revision after a patch");
    docs.put(&at, &json!({}), second).await.err();
    docs.remove(&at, third).await?;
    let again = docs.create(&at, &json!({})).await?;
    check_eq!(
        again.revision(),
        Some(1),
        "the revision of a document created again"
    );
    Ok(())
}

pub(crate) async fn do_not_return_after_delete(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let at = key("a")?;
    let mut old: Vec<Version> = Vec::new();
    for round in 0..6 {
        let version = docs.create(&at, &json!({"round": round})).await?;
        for stale in &old {
            let error = refused(
                docs.put(&at, &json!({"thief": true}), *stale).await,
                ErrorKind::Conflict,
                format_args!("replacing at {stale}, of a document deleted before"),
            )?;
            if let Some(actual) = error.actual_version() {
                check_eq!(actual, version, "the version that the conflict tells");
            }
            refused(
                docs.delete(&at, *stale).await,
                ErrorKind::Conflict,
                format_args!("deleting at {stale}, of a document deleted before"),
            )?;
        }
        docs.expect(&at, &json!({"round": round}), version, None)
            .await?;
        docs.remove(&at, version).await?;
        old.push(version);
        for stale in &old {
            refused(
                docs.put(&at, &json!({"thief": true}), *stale).await,
                ErrorKind::NotFound,
                format_args!("replacing at {stale} what is deleted"),
            )?;
        }
        docs.expect_absent(&at).await?;
    }
    Ok(())
}

pub(crate) async fn do_not_return_after_drop(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let at = key("a")?;
    let old = docs.create(&at, &json!({"n": 1})).await?;
    let dropped = cx
        .store()
        .drop_collection(docs.model().name().clone())
        .await
        .during("dropping the collection")?;
    check!(
        dropped,
        "dropping a collection that is there says it was not"
    );
    let request = strongroom_core::store::EnsureRequest::new(docs.model().clone());
    cx.store()
        .ensure(request)
        .await
        .during("ensuring the collection again")?;
    docs.expect_absent(&at).await?;
    let new = docs.create(&at, &json!({"n": 2})).await?;
    check!(old != new, "version {new} was given out before the drop");
    refused(
        docs.put(&at, &json!({"n": 3}), old).await,
        ErrorKind::Conflict,
        "replacing at a version from before the collection was dropped",
    )?;
    docs.expect(&at, &json!({"n": 2}), new, None).await?;
    Ok(())
}
