//! What the store says of itself, checked both ways, and what ends with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use serde_json::json;
use strongroom_core::layers::{CheckLayer, Layer};
use strongroom_core::model::{Body, Expected, FieldDeclaration, Kind, Model};
use strongroom_core::query::Filter;
use strongroom_core::store::{
    BeginOptions, BulkReply, BulkRequest, Capabilities, EnsureReport, EnsureRequest, Refresh,
    SaveRequest, Stamping, Store, Transact, Transaction, Write,
};
use strongroom_core::{ErrorKind, Result};

use crate::alter::{Alter, altered};
use crate::context::{Context, not_granted};
use crate::docs::{Docs, key, version_of};
use crate::failure::{During, Failure, Outcome, check, check_eq, describe, refused};

pub(crate) async fn name_the_engine(cx: &Context) -> Outcome {
    let can = cx.capabilities();
    check!(!can.engine.is_empty(), "the engine has no name");
    check_eq!(
        can.engine.to_lowercase(),
        can.engine,
        "the engine's name in lower case"
    );
    check!(
        can.transactions || !can.savepoints,
        "savepoints are granted without transactions"
    );
    check_eq!(
        cx.store().transact().is_some(),
        can.transactions,
        "whether the store hands out transactions, which it says it {}",
        if can.transactions {
            "has"
        } else {
            "does not have"
        }
    );
    Ok(())
}

pub(crate) async fn searches_lag_only_where_said(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let lags = cx.capabilities().search_lags;
    for n in 0..10_i64 {
        let at = key(&format!("d{n}"))?;
        let write = Write::put(
            at.clone(),
            Body::encode(&json!({"n": n}))?,
            Expected::Absent,
        );
        let mut request = SaveRequest::new(docs.model().clone(), write);
        request.refresh = match n % 3 {
            0 => Refresh::None,
            1 => Refresh::WaitFor,
            _ => Refresh::Now,
        };
        let asked = request.refresh != Refresh::None;
        docs.store().save(request).await.during("saving")?;
        if lags && !asked {
            docs.store()
                .refresh(docs.model().name().clone())
                .await
                .during("refreshing")?;
        }
        check_eq!(
            docs.find_keys(Filter::eq("n", n)?).await?,
            [at],
            "what a search finds right after a save with {}",
            if asked {
                "a refresh"
            } else {
                "no refresh, or a refresh after it"
            }
        );
        check_eq!(
            docs.count(Filter::all()).await.during("counting")?,
            n as u64 + 1,
            "the count right after a save"
        );
    }
    Ok(())
}

pub(crate) async fn stamps_come_from_who_is_said(cx: &Context) -> Outcome {
    let model = Model::builder(cx.name("stamped"))
        .created("born")
        .updated("changed");
    let docs = cx.docs_of(model).await?;
    let at = key("a")?;
    let body = json!({"born": 1, "changed": 2, "n": 1});
    let receipt = docs
        .put(&at, &body, Expected::Absent)
        .await
        .during("creating")?;
    let version = version_of(&receipt, "creating")?;
    if cx.capabilities().stamping == Stamping::Handle {
        check!(
            receipt.stamps.created.is_none() && receipt.stamps.updated.is_none(),
            "the handle stamps, and yet the receipt has {:?}",
            receipt.stamps
        );
        docs.expect(&at, &body, version, None).await?;
        return Ok(());
    }
    let stamps = receipt.stamps;
    let (Some(created), Some(updated)) = (stamps.created, stamps.updated) else {
        return Err(Failure::new(format!(
            "the store stamps, and yet the receipt has {stamps:?}"
        )));
    };
    let expected = json!({"born": created.as_millis(), "changed": updated.as_millis(), "n": 1});
    docs.expect(&at, &expected, version, None).await?;
    let receipt = docs.put(&at, &body, version).await.during("replacing")?;
    let version = version_of(&receipt, "replacing")?;
    let changed = receipt
        .stamps
        .updated
        .ok_or_else(|| Failure::new("the receipt of a replacement has no time of change"))?;
    let expected = json!({"born": created.as_millis(), "changed": changed.as_millis(), "n": 1});
    docs.expect(&at, &expected, version, None).await?;
    Ok(())
}

pub(crate) async fn closed_stores_say_so(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let at = key("a")?;
    docs.create(&at, &json!({})).await?;
    // A close that is cut off can be made again.
    let _cut = crate::cut::polled(cx.store().close(), 1).await;
    cx.store().close().await.during("closing")?;
    cx.store().close().await.during("closing twice")?;
    refused(
        docs.put(&at, &json!({}), Expected::Any).await,
        ErrorKind::Unavailable,
        "saving after the store was closed",
    )?;
    let request = strongroom_core::store::LoadRequest::new(docs.model().clone(), vec![at]);
    refused(
        docs.store().load(request).await,
        ErrorKind::Unavailable,
        "loading after the store was closed",
    )?;
    refused(
        docs.count(Filter::all()).await,
        ErrorKind::Unavailable,
        "counting after the store was closed",
    )?;
    if let Some(transact) = cx.store().transact() {
        refused(
            transact.begin(BeginOptions::new()).await,
            ErrorKind::Unavailable,
            "beginning a transaction after the store was closed",
        )?;
    }
    Ok(())
}

pub(crate) async fn durable_means_it_is_there_again(cx: &Context) -> Outcome {
    if !cx.capabilities().durable {
        return not_granted("acknowledged writes that survive the process");
    }
    let docs = cx.docs().await?;
    let (a, b) = (key("a")?, key("b")?);
    let stale = docs.create(&a, &json!({"n": 1})).await?;
    let write = Write::put(a.clone(), Body::encode(&json!({"n": 2, "k": "ä"}))?, stale);
    let id = write.write_id;
    let version = version_of(&docs.save(write).await.during("replacing")?, "replacing")?;
    docs.create(&b, &json!({})).await?;
    docs.remove(&b, Expected::Any).await?;
    cx.store().close().await.during("closing")?;
    let again = cx.reopen().await.ok_or_else(|| {
        Failure::new("the capabilities say `durable`, so Setup::reopen has to make a second store")
    })?;
    let docs = docs.within(again.clone());
    docs.expect(&a, &json!({"n": 2, "k": "ä"}), version, Some(id))
        .await
        .during("after reopening")?;
    docs.expect_absent(&b).await?;
    refused(
        docs.put(&a, &json!({}), stale).await,
        ErrorKind::Conflict,
        "replacing at a stale version after reopening",
    )?;
    docs.replace(&a, &json!({"n": 3}), version).await?;
    docs.refresh().await?;
    check_eq!(
        docs.find_keys(Filter::eq("n", 3)?).await?,
        [a],
        "what a search finds after reopening"
    );
    again
        .drop_collection(docs.model().name().clone())
        .await
        .during("dropping the collection")?;
    again.close().await.during("closing the second store")
}

pub(crate) async fn two_stores_on_the_same_data(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let Some(second) = cx.reopen().await else {
        return not_granted("a second store on the same data");
    };
    let other = docs.within(second.clone());
    let at = key("a")?;
    let mut version = docs.create(&at, &json!({"n": 0})).await?;
    for n in 1..6 {
        let (writer, reader) = if n % 2 == 0 {
            (&docs, &other)
        } else {
            (&other, &docs)
        };
        let new = writer.replace(&at, &json!({"n": n}), version).await?;
        reader.expect(&at, &json!({"n": n}), new, None).await?;
        refused(
            reader.put(&at, &json!({"n": -1}), version).await,
            ErrorKind::Conflict,
            "replacing through one store at a version that the other has replaced",
        )?;
        version = new;
    }
    let counted = super::races::at_once(cx.scale().tasks, |task| {
        let docs = if task % 2 == 0 {
            docs.clone()
        } else {
            other.clone()
        };
        let at = at.clone();
        async move {
            let patch = strongroom_core::patch::Patch::new().increment("n".parse()?, 1);
            docs.patch(&at, patch, Expected::Present).await
        }
    })
    .await?;
    let mut done = 5;
    for outcome in counted {
        match outcome {
            Ok(_) => done += 1,
            Err(error) if error.kind() == ErrorKind::Contended => {}
            Err(error) => return Err(Failure::from(error).during("patching through two stores")),
        }
    }
    let found = crate::docs::value_of(&docs.present(&at).await?)?;
    check_eq!(
        found,
        json!({"n": done}),
        "the sum of patches through two stores"
    );
    second.close().await.during("closing the second store")?;
    docs.create(&key("b")?, &json!({})).await?;
    Ok(())
}

/// A store that grants nothing optional and counts what reaches it.
#[derive(Debug, Default)]
struct GrantsNothing(Arc<AtomicUsize>);

#[async_trait]
impl Alter for GrantsNothing {
    fn capabilities(&self, inner: &Capabilities) -> Capabilities {
        Capabilities::new(inner.engine)
    }

    async fn bulk(&self, inner: &Arc<dyn Store>, request: BulkRequest) -> Result<BulkReply> {
        self.0.fetch_add(1, Ordering::SeqCst);
        inner.bulk(request).await
    }

    async fn ensure(&self, inner: &Arc<dyn Store>, request: EnsureRequest) -> Result<EnsureReport> {
        self.0.fetch_add(1, Ordering::SeqCst);
        inner.ensure(request).await
    }

    async fn begin(
        &self,
        inner: &Arc<dyn Transact>,
        options: BeginOptions,
    ) -> Result<Arc<dyn Transaction>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        inner.begin(options).await
    }
}

pub(crate) async fn refused_before_any_call(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let calls = Arc::new(AtomicUsize::new(0));
    let store = altered(cx.store().clone(), GrantsNothing(calls.clone()));
    let docs = Docs::new(CheckLayer::new().wrap(store), docs.model().clone());
    let mut refusals = Vec::new();
    let write = Write::put(key("a")?, Body::encode(&json!({}))?, Expected::Any);
    refusals.push((
        "atomic",
        refused(
            docs.bulk_atomic(vec![write.into()]).await,
            ErrorKind::Unsupported,
            "an atomic bulk that is not granted",
        )?,
    ));
    let unique = Model::builder(cx.name("unique"))
        .field(FieldDeclaration::new("email".parse()?, Kind::Keyword).unique())
        .build()?;
    refusals.push((
        "unique",
        refused(
            docs.store().ensure(EnsureRequest::new(unique)).await,
            ErrorKind::Unsupported,
            "a unique field that is not granted",
        )?,
    ));
    if let Some(transact) = docs.store().transact() {
        refusals.push((
            "transaction",
            refused(
                transact.begin(BeginOptions::new()).await,
                ErrorKind::Unsupported,
                "a transaction that is not granted",
            )?,
        ));
    }
    for (feature, error) in refusals {
        check!(
            error.message().contains(feature),
            "the refusal `{}` does not name the feature {feature}",
            describe(&error)
        );
    }
    check_eq!(
        calls.load(Ordering::SeqCst),
        0,
        "calls that reached the store"
    );
    docs.expect_absent(&key("a")?).await
}
