//! Unique fields, where the store grants them, and their refusal where it does not.

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::{Body, Expected, FieldDeclaration, Kind, Model, ModelBuilder};
use strongroom_core::patch::Patch;
use strongroom_core::store::{BulkReply, EnsureRequest, Write};

use crate::context::{Context, not_granted};
use crate::docs::{Docs, key};
use crate::failure::{During, Failure, Outcome, check, check_eq, describe, refused};

fn people(cx: &Context) -> Outcome<ModelBuilder> {
    Ok(Model::builder(cx.name("people"))
        .field(FieldDeclaration::new("email".parse()?, Kind::Keyword).unique())
        .field(FieldDeclaration::new("o.number".parse()?, Kind::Integer).unique()))
}

async fn granted(cx: &Context) -> Outcome<Option<Docs>> {
    if !cx.capabilities().unique_fields {
        not_granted("unique fields")?;
        return Ok(None);
    }
    cx.docs_of(people(cx)?).await.map(Some)
}

pub(crate) async fn one_holder_of_a_value(cx: &Context) -> Outcome {
    let Some(docs) = granted(cx).await? else {
        return Ok(());
    };
    let (a, b) = (key("a")?, key("b")?);
    let first = json!({"email": "ada@example.org", "o": {"number": 1}});
    let at_a = docs.create(&a, &first).await?;
    let thieves = [
        json!({"email": "ada@example.org"}),
        json!({"email": "bob@example.org", "o": {"number": 1}}),
        first.clone(),
    ];
    for thief in &thieves {
        let error = refused(
            docs.put(&b, thief, Expected::Absent).await,
            ErrorKind::UniqueViolation,
            "creating a document with a value that another holds",
        )?;
        check_eq!(
            error.key(),
            Some(&b),
            "the key that `{}` names",
            describe(&error)
        );
        docs.expect_absent(&b).await?;
    }
    let other = json!({"email": "bob@example.org", "o": {"number": 2}});
    let at_b = docs.create(&b, &other).await?;
    for thief in &thieves {
        refused(
            docs.put(&b, thief, at_b).await,
            ErrorKind::UniqueViolation,
            "replacing a document with a value that another holds",
        )?;
    }
    let patch = Patch::new()
        .set("note".parse()?, 1)
        .set("email".parse()?, "ada@example.org");
    refused(
        docs.patch(&b, patch, at_b).await,
        ErrorKind::UniqueViolation,
        "patching a document to a value that another holds",
    )?;
    docs.expect(&a, &first, at_a, None).await?;
    docs.expect(&b, &other, at_b, None).await?;
    Ok(())
}

pub(crate) async fn a_value_given_up_is_free(cx: &Context) -> Outcome {
    let Some(docs) = granted(cx).await? else {
        return Ok(());
    };
    let (a, b) = (key("a")?, key("b")?);
    let at_a = docs.create(&a, &json!({"email": "ada", "n": 1})).await?;
    // Keeping one's own value is no violation.
    let at_a = docs
        .replace(&a, &json!({"email": "ada", "n": 2}), at_a)
        .await?;
    docs.replace(&a, &json!({"email": "eve"}), at_a).await?;
    let at_b = docs.create(&b, &json!({"email": "ada"})).await?;
    docs.remove(&b, at_b).await?;
    docs.replace(&a, &json!({"email": "ada"}), Expected::Any)
        .await?;
    docs.create(&b, &json!({"email": "Ada"})).await?;
    docs.create(&key("c")?, &json!({"email": "ada "})).await?;
    Ok(())
}

pub(crate) async fn no_value_is_no_violation(cx: &Context) -> Outcome {
    let Some(docs) = granted(cx).await? else {
        return Ok(());
    };
    for (id, body) in [
        ("a", json!({})),
        ("b", json!({})),
        ("c", json!({"email": null})),
        ("d", json!({"email": null, "o": {}})),
        ("e", json!({"o": null})),
        ("f", json!({"email": ""})),
    ] {
        docs.create(&key(id)?, &body).await?;
    }
    refused(
        docs.put(&key("g")?, &json!({"email": ""}), Expected::Absent)
            .await,
        ErrorKind::UniqueViolation,
        "creating a second document with the empty text, which is a value",
    )?;
    Ok(())
}

pub(crate) async fn in_bulks(cx: &Context) -> Outcome {
    let Some(docs) = granted(cx).await? else {
        return Ok(());
    };
    let put = |id: &str, email: &str| -> Outcome<strongroom_core::store::BulkItem> {
        let body = Body::encode(&json!({"email": email}))?;
        Ok(Write::put(key(id)?, body, Expected::Absent).into())
    };
    let items = vec![put("a", "ada")?, put("b", "ada")?, put("c", "bob")?];
    let reply = docs.bulk(items).await.during("a bulk with a violation")?;
    let kinds: Vec<_> = reply
        .outcomes
        .iter()
        .map(|outcome| outcome.as_ref().err().map(strongroom_core::Error::kind))
        .collect();
    check_eq!(
        kinds,
        [None, Some(ErrorKind::UniqueViolation), None],
        "the errors of three items of which the second violates"
    );
    docs.expect_absent(&key("b")?).await?;
    docs.present(&key("c")?).await?;
    if cx.capabilities().atomic_bulk {
        let items = vec![put("x", "xyz")?, put("y", "ada")?, put("z", "zoe")?];
        let reply = docs
            .bulk_atomic(items)
            .await
            .during("an atomic bulk with a violation")?;
        let kinds: Vec<_> = reply
            .outcomes
            .iter()
            .map(|outcome| outcome.as_ref().err().map(strongroom_core::Error::kind))
            .collect();
        check_eq!(
            kinds,
            [
                Some(ErrorKind::Cancelled),
                Some(ErrorKind::UniqueViolation),
                Some(ErrorKind::Cancelled)
            ],
            "the errors of an atomic bulk of which the second item violates"
        );
        for id in ["x", "y", "z"] {
            docs.expect_absent(&key(id)?).await?;
        }
    }
    Ok(())
}

pub(crate) async fn in_the_order_of_a_bulk(cx: &Context) -> Outcome {
    let Some(docs) = granted(cx).await? else {
        return Ok(());
    };
    let put = |id: &str, email: &str| -> Outcome<strongroom_core::store::BulkItem> {
        let body = Body::encode(&json!({"email": email}))?;
        Ok(Write::put(key(id)?, body, Expected::Any).into())
    };
    // Who gives the value up comes before who takes it by its key, and after by its place.
    docs.create(&key("a")?, &json!({"email": "ada"})).await?;
    let early = vec![put("b", "ada")?, put("a", "eve")?];
    let kinds = |reply: BulkReply| -> Vec<_> {
        let errors = reply.outcomes.into_iter();
        errors
            .map(|outcome| outcome.err().map(|error| error.kind()))
            .collect()
    };
    if cx.capabilities().atomic_bulk {
        let reply = docs.bulk_atomic(early.clone()).await;
        check_eq!(
            kinds(reply.during("an atomic bulk that takes a value too early")?),
            [Some(ErrorKind::UniqueViolation), Some(ErrorKind::Cancelled)],
            "the errors of an atomic bulk that takes a value before it gives it up"
        );
    }
    let reply = docs.bulk(early).await;
    check_eq!(
        kinds(reply.during("a bulk that takes a value too early")?),
        [Some(ErrorKind::UniqueViolation), None],
        "the errors of a bulk that takes a value before it gives it up"
    );
    let late = vec![put("a", "zoe")?, put("c", "eve")?];
    let reply = docs.bulk(late).await;
    check_eq!(
        kinds(reply.during("a bulk that takes a value in time")?),
        [None, None],
        "the errors of a bulk that gives a value up before it takes it"
    );
    Ok(())
}

pub(crate) async fn one_winner_of_a_race(cx: &Context) -> Outcome {
    let Some(docs) = granted(cx).await? else {
        return Ok(());
    };
    let mut running = Vec::new();
    for n in 0..cx.scale().racers {
        let (docs, at) = (docs.clone(), key(&format!("racer-{n}"))?);
        running.push(tokio::spawn(async move {
            docs.put(&at, &json!({"email": "one@example.org"}), Expected::Absent)
                .await
        }));
    }
    let mut winners = 0;
    for task in running {
        match task
            .await
            .map_err(|e| Failure::new(format!("a task ended: {e}")))?
        {
            Ok(_) => winners += 1,
            Err(error) if error.kind() == ErrorKind::UniqueViolation => {}
            Err(error) => return Err(Failure::from(error).during("racing for a unique value")),
        }
    }
    check_eq!(winners, 1, "how many documents got one unique value");
    Ok(())
}

pub(crate) async fn duplicates_keep_a_field_from_becoming_unique(cx: &Context) -> Outcome {
    if !cx.capabilities().unique_fields {
        return not_granted("unique fields");
    }
    let name = cx.name("late");
    let docs = cx.docs_of(Model::builder(&name)).await?;
    docs.create(&key("a")?, &json!({"email": "same"})).await?;
    docs.create(&key("b")?, &json!({"email": "same"})).await?;
    let unique = Model::builder(&name)
        .field(FieldDeclaration::new("email".parse()?, Kind::Keyword).unique())
        .build()?;
    refused(
        cx.store().ensure(EnsureRequest::new(unique.clone())).await,
        ErrorKind::UniqueViolation,
        "making a field unique of which two documents hold the same value",
    )?;
    docs.remove(&key("b")?, Expected::Any).await?;
    cx.store()
        .ensure(EnsureRequest::new(unique.clone()))
        .await
        .during("making the field unique once its values are")?;
    let docs = Docs::new(cx.store().clone(), unique);
    refused(
        docs.put(&key("b")?, &json!({"email": "same"}), Expected::Any)
            .await,
        ErrorKind::UniqueViolation,
        "a second holder after the field became unique",
    )?;
    Ok(())
}

pub(crate) async fn refused_where_not_granted(cx: &Context) -> Outcome {
    if cx.capabilities().unique_fields {
        return Ok(());
    }
    let model = people(cx)?.build()?;
    let error = refused(
        cx.store().ensure(EnsureRequest::new(model.clone())).await,
        ErrorKind::Unsupported,
        "ensuring a unique field on a store without them",
    )?;
    check!(
        error.message().contains("unique"),
        "the refusal `{}` does not name the feature",
        describe(&error)
    );
    let described = cx.store().describe(model.name().clone()).await?;
    check!(
        described.is_none(),
        "the refused collection was made all the same"
    );
    Ok(())
}
