//! Collections: made, extended, described and dropped, by many at once, and never changed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::{Expected, FieldDeclaration, Kind, Model, ModelBuilder};
use strongroom_core::query::Filter;
use strongroom_core::store::EnsureRequest;

use crate::context::Context;
use crate::docs::{Docs, key};
use crate::failure::{During, Failure, Outcome, check, check_eq, describe, refused};

fn field(path: &str, kind: Kind) -> Outcome<FieldDeclaration> {
    let path = path
        .parse()
        .during(format_args!("parsing the path {path:?}"))?;
    Ok(FieldDeclaration::new(path, kind))
}

fn two_fields(name: &str) -> Outcome<ModelBuilder> {
    Ok(Model::builder(name)
        .field(field("k", Kind::Keyword)?.indexed())
        .field(field("n", Kind::Integer)?))
}

pub(crate) async fn ensure_twice_changes_nothing(cx: &Context) -> Outcome {
    let model = two_fields(&cx.name("twice"))?.build()?;
    let ensure = || cx.store().ensure(EnsureRequest::new(model.clone()));
    let report = ensure().await.during("the first ensure")?;
    check!(
        report.created,
        "the first ensure says that it created nothing: {report:?}"
    );
    let docs = Docs::new(cx.store().clone(), model.clone());
    let at = key("a")?;
    let version = docs.create(&at, &json!({"k": "v"})).await?;
    let report = ensure().await.during("the second ensure")?;
    check!(
        !report.created && report.added.is_empty(),
        "the second ensure says that it changed something: {report:?}"
    );
    docs.expect(&at, &json!({"k": "v"}), version, None).await?;
    Ok(())
}

pub(crate) async fn ensure_extends(cx: &Context) -> Outcome {
    let name = cx.name("extended");
    let docs = cx.docs_of(two_fields(&name)?).await?;
    let old = json!({"k": "old", "x": 2.5, "o": {"k": "was there"}});
    let version = docs.create(&key("old")?, &old).await?;
    let more = two_fields(&name)?
        .field(field("x", Kind::Float)?.indexed())
        .field(field("o.k", Kind::Keyword)?)
        .build()?;
    let report = cx
        .store()
        .ensure(EnsureRequest::new(more.clone()))
        .await
        .during("extending the collection")?;
    check!(
        !report.created,
        "extending says that it created: {report:?}"
    );
    let mut added: Vec<&str> = report.added.iter().map(|path| path.as_str()).collect();
    added.sort_unstable();
    check_eq!(added, ["o.k", "x"], "the fields that were added");
    let docs = Docs::new(cx.store().clone(), more);
    docs.expect(&key("old")?, &old, version, None).await?;
    docs.create(&key("new")?, &json!({"x": 3.5})).await?;
    docs.refresh().await?;
    let keys = docs.find_keys(Filter::gt("x", 3.0)?).await?;
    check_eq!(
        keys,
        [key("new")?],
        "what a filter on the added field finds"
    );
    Ok(())
}

pub(crate) async fn ensure_with_less_is_no_change(cx: &Context) -> Outcome {
    let name = cx.name("less");
    let docs = cx.docs_of(two_fields(&name)?).await?;
    let less = Model::builder(&name)
        .field(field("n", Kind::Integer)?)
        .build()?;
    let report = cx
        .store()
        .ensure(EnsureRequest::new(less))
        .await
        .during("ensuring a model that declares less")?;
    check!(
        !report.created && report.added.is_empty(),
        "ensuring a model that declares less says that it changed something: {report:?}"
    );
    docs.create(&key("a")?, &json!({"k": "v"})).await?;
    docs.refresh().await?;
    let keys = docs.find_keys(Filter::eq("k", "v")?).await?;
    check_eq!(keys.len(), 1, "what a filter on the field left out finds");
    Ok(())
}

pub(crate) async fn ensure_refuses_to_change(cx: &Context) -> Outcome {
    let name = cx.name("fixed");
    let docs = cx.docs_of(two_fields(&name)?).await?;
    let at = key("a")?;
    let version = docs.create(&at, &json!({"k": "v", "n": 1})).await?;
    let contradictions = [
        ("k", Model::builder(&name).field(field("k", Kind::Integer)?)),
        ("n", Model::builder(&name).field(field("n", Kind::Float)?)),
        (
            "n",
            Model::builder(&name).field(field("n", Kind::Integer)?.many()),
        ),
        ("routed", two_fields(&name)?.routed()),
    ];
    for (named, builder) in contradictions {
        let error = refused(
            cx.store()
                .ensure(EnsureRequest::new(builder.build()?))
                .await,
            ErrorKind::SchemaMismatch,
            format_args!("ensuring a model that contradicts what is stored about {named}"),
        )?;
        check!(
            error.message().contains(named),
            "the refusal `{}` does not name {named}",
            describe(&error)
        );
    }
    // A refused model adds nothing, not even the part that would have fitted.
    let half = Model::builder(&name)
        .field(field("added", Kind::Keyword)?)
        .field(field("k", Kind::Integer)?)
        .build()?;
    refused(
        cx.store().ensure(EnsureRequest::new(half)).await,
        ErrorKind::SchemaMismatch,
        "ensuring a model of which a part contradicts",
    )?;
    let described = cx
        .store()
        .describe(docs.model().name().clone())
        .await
        .during("describing")?
        .ok_or_else(|| Failure::new("the collection is not described"))?;
    check!(
        described.model.field("added").is_none(),
        "a refused model added the field `added`"
    );
    check_eq!(
        described.model.field("k").map(|f| f.kind),
        Some(Kind::Keyword),
        "the kind of k after refusals"
    );
    docs.expect(&at, &json!({"k": "v", "n": 1}), version, None)
        .await?;
    Ok(())
}

pub(crate) async fn ensure_raced(cx: &Context) -> Outcome {
    for round in 0..3 {
        let name = cx.name("raced");
        let model = two_fields(&name)?.build()?;
        let mut running = Vec::new();
        for task in 0..16 {
            let store = cx.store().clone();
            // Half of them bring one more field, each of four another one.
            let model = if task % 2 == 0 {
                model.clone()
            } else {
                two_fields(&name)?
                    .field(field(&format!("f{}", task % 8), Kind::Keyword)?)
                    .build()?
            };
            running.push(tokio::spawn(async move {
                let report = store.ensure(EnsureRequest::new(model.clone())).await?;
                let docs = Docs::new(store, model);
                let at = strongroom_core::model::Key::new(format!("by-{task}"))?;
                docs.put(&at, &json!({"n": task}), Expected::Absent).await?;
                Ok::<_, strongroom_core::Error>(report)
            }));
        }
        let mut created = 0;
        for task in running {
            let report = task
                .await
                .map_err(|e| Failure::new(format!("a task ended: {e}")))?
                .during(format_args!(
                    "round {round}: ensuring at once with 15 others"
                ))?;
            created += usize::from(report.created);
        }
        check_eq!(
            created,
            1,
            "how many of 16 say that they created the collection"
        );
        let described = describe_model(cx, &model).await?;
        for path in ["k", "n", "f1", "f3", "f5", "f7"] {
            check!(
                described.field(path).is_some(),
                "after 16 ensured at once, the field {path} is not described"
            );
        }
        let docs = Docs::new(cx.store().clone(), model);
        for task in 0..16 {
            docs.present(&key(&format!("by-{task}"))?).await?;
        }
    }
    Ok(())
}

async fn describe_model(cx: &Context, model: &Model) -> Outcome<Arc<Model>> {
    Ok(cx
        .store()
        .describe(model.name().clone())
        .await
        .during("describing")?
        .ok_or_else(|| Failure::new(format!("{} is not described", model.name())))?
        .model)
}

pub(crate) async fn describe_tells_what_is_kept(cx: &Context) -> Outcome {
    let name = cx.name("described");
    let mut builder = two_fields(&name)?
        .field(field("tags", Kind::Keyword)?.many())
        .field(field("o.at", Kind::Timestamp)?)
        .routed();
    if cx.capabilities().unique_fields {
        builder = builder.field(field("email", Kind::Keyword)?.unique());
    }
    let model = builder.build()?;
    let nothing = cx.store().describe(model.name().clone()).await;
    check!(
        nothing.during("describing what is not there")?.is_none(),
        "a collection is described that was never ensured"
    );
    cx.store()
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .during("ensuring")?;
    let docs = Docs::new(cx.store().clone(), model.clone());
    for n in 0..3 {
        let at = strongroom_core::model::Key::routed("r", format!("d{n}"))?;
        docs.create(&at, &json!({"n": n})).await?;
    }
    docs.refresh().await?;
    let described = cx
        .store()
        .describe(model.name().clone())
        .await
        .during("describing")?
        .ok_or_else(|| Failure::new("the collection is not described"))?;
    check_eq!(described.documents, 3, "how many documents are described");
    check_eq!(
        described.model.name(),
        model.name(),
        "the name that is described"
    );
    check_eq!(
        described.model.is_routed(),
        true,
        "whether it is described as routed"
    );
    for wanted in model.fields() {
        let found = described
            .model
            .field(wanted.path.as_str())
            .ok_or_else(|| Failure::new(format!("the field {} is not described", wanted.path)))?;
        check_eq!(found.kind, wanted.kind, "the kind of {}", wanted.path);
        check_eq!(
            found.many,
            wanted.many,
            "whether {} has many values",
            wanted.path
        );
        check_eq!(
            found.unique,
            wanted.unique,
            "whether {} is unique",
            wanted.path
        );
    }
    Ok(())
}

pub(crate) async fn drop_takes_all(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let beside = cx.docs().await?;
    let at = key("a")?;
    docs.create(&at, &json!({"n": 1})).await?;
    let kept = beside.create(&at, &json!({"n": 2})).await?;
    let name = docs.model().name().clone();
    let dropped = cx
        .store()
        .drop_collection(name.clone())
        .await
        .during("dropping")?;
    check!(
        dropped,
        "dropping a collection that is there says it was not"
    );
    let dropped = cx.store().drop_collection(name.clone()).await;
    check!(
        !dropped.during("dropping again")?,
        "dropping a collection twice says both times that it was there"
    );
    let described = cx.store().describe(name).await.during("describing")?;
    check!(described.is_none(), "a dropped collection is described");
    cx.store()
        .ensure(EnsureRequest::new(docs.model().clone()))
        .await
        .during("ensuring again")?;
    docs.expect_absent(&at).await?;
    docs.refresh().await?;
    check_eq!(
        docs.count(Filter::all()).await.during("counting")?,
        0,
        "documents of a collection dropped and made again"
    );
    beside.expect(&at, &json!({"n": 2}), kept, None).await?;
    Ok(())
}

pub(crate) async fn answers_at_the_other_end(cx: &Context) -> Outcome {
    cx.store()
        .ready(Duration::from_secs(30))
        .await
        .during("waiting until it is ready")?;
    let info = cx.store().server_info().await.during("asking what it is")?;
    check!(
        !info.product.is_empty(),
        "the product has no name: {info:?}"
    );
    check_eq!(
        info.product,
        info.product.to_lowercase(),
        "the product's name in lower case"
    );
    check!(!info.version.is_empty(), "the version is empty: {info:?}");
    Ok(())
}
