//! Routed collections: routing and id together name a document.

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::{Expected, Key};
use strongroom_core::query::Filter;
use strongroom_core::store::CountRequest;

use crate::context::Context;
use crate::docs::key;
use crate::failure::{During, Outcome, check_eq, refused};

fn routed(routing: &str, id: &str) -> Outcome<Key> {
    Key::routed(routing, id).during(format_args!("making the key {routing:?}/{id:?}"))
}

/// Pairs of which two are one text when routing and id are only written one after the other.
const PAIRS: [(&str, &str); 22] = [
    ("eu", "ada"),
    ("us", "ada"),
    ("EU", "ada"),
    ("eu", "Ada"),
    ("eu ", "ada"),
    ("eu", " ada"),
    ("eua", "da"),
    ("e", "uada"),
    ("a/b", "c"),
    ("a", "b/c"),
    ("a|b", "c"),
    ("a", "b|c"),
    ("a:b", "c"),
    ("a", "b:c"),
    ("..", ".."),
    ("1", "1"),
    ("11", "1"),
    ("1", "11"),
    ("a\u{1}b", "c"),
    ("a", "b\u{1}c"),
    ("🦀", "🦀"),
    ("a\\", "b"),
];

pub(crate) async fn one_id_under_two_routings(cx: &Context) -> Outcome {
    let docs = cx.routed_docs().await?;
    let keys = PAIRS
        .iter()
        .map(|(routing, id)| routed(routing, id))
        .collect::<Outcome<Vec<Key>>>()?;
    let mut versions = Vec::new();
    for (n, at) in keys.iter().enumerate() {
        versions.push(docs.create(at, &json!({"n": n})).await?);
    }
    for (n, at) in keys.iter().enumerate() {
        docs.expect(at, &json!({"n": n}), versions[n], None).await?;
        let new = docs
            .replace(at, &json!({"n": n, "k": "new"}), versions[n])
            .await?;
        versions[n] = new;
    }
    for (n, at) in keys.iter().enumerate() {
        docs.expect(at, &json!({"n": n, "k": "new"}), versions[n], None)
            .await?;
        docs.remove(at, versions[n]).await?;
        docs.expect_absent(at).await?;
        for (m, other) in keys.iter().enumerate().skip(n + 1) {
            docs.expect(other, &json!({"n": m, "k": "new"}), versions[m], None)
                .await
                .during(format_args!("after deleting {at}"))?;
        }
    }
    Ok(())
}

pub(crate) async fn found_within_a_routing(cx: &Context) -> Outcome {
    let docs = cx.routed_docs().await?;
    for (n, (routing, id)) in [
        ("eu", "b"),
        ("us", "a"),
        ("eu", "a"),
        ("us", "c"),
        ("as", "a"),
    ]
    .into_iter()
    .enumerate()
    {
        docs.create(&routed(routing, id)?, &json!({"n": n, "k": "x"}))
            .await?;
    }
    docs.refresh().await?;
    let all = docs.find_keys(Filter::eq("k", "x")?).await?;
    let expected = [
        ("as", "a"),
        ("eu", "a"),
        ("us", "a"),
        ("eu", "b"),
        ("us", "c"),
    ]
    .into_iter()
    .map(|(routing, id)| routed(routing, id))
    .collect::<Outcome<Vec<_>>>()?;
    check_eq!(all, expected, "all documents by id, and then by routing");
    for (routing, ids) in [
        ("eu", vec!["a", "b"]),
        ("us", vec!["a", "c"]),
        ("none", vec![]),
    ] {
        let mut request = docs.query(Filter::all());
        request.routing = Some(routing.try_into()?);
        let page = docs
            .find(request)
            .await
            .during("finding within a routing")?;
        let found: Vec<_> = page.documents.iter().map(|d| d.key.id().as_str()).collect();
        check_eq!(found, ids, "the ids within the routing {routing:?}");
        let mut request = CountRequest::new(docs.model().clone(), Filter::all());
        request.routing = Some(routing.try_into()?);
        let count = docs
            .store()
            .count(request)
            .await
            .during("counting within a routing")?;
        check_eq!(
            count,
            ids.len() as u64,
            "the count within the routing {routing:?}"
        );
    }
    // Pages of one go over all, through documents of one id.
    let mut request = docs.query(Filter::all());
    request.limit = 1;
    let mut found = Vec::new();
    loop {
        let page = docs
            .find(request.clone())
            .await
            .during("finding a page of one")?;
        found.extend(page.documents.into_iter().map(|d| d.key));
        match page.next {
            Some(next) if found.len() < 10 => request.start = Some(next).into(),
            _ => break,
        }
    }
    check_eq!(found, expected, "all documents, in pages of one");
    Ok(())
}

pub(crate) async fn keys_must_fit_the_collection(cx: &Context) -> Outcome {
    let (docs, plain) = (
        cx.checked(&cx.routed_docs().await?),
        cx.checked(&cx.docs().await?),
    );
    let with = routed("eu", "ada")?;
    let without = key("ada")?;
    for (docs, at, what) in [
        (
            &docs,
            &without,
            "a key without routing in a routed collection",
        ),
        (
            &plain,
            &with,
            "a key with routing in a collection that is not routed",
        ),
    ] {
        refused(
            docs.put(at, &json!({}), Expected::Any).await,
            ErrorKind::Invalid,
            what,
        )?;
        refused(
            docs.delete(at, Expected::Any).await,
            ErrorKind::Invalid,
            what,
        )?;
        let request =
            strongroom_core::store::LoadRequest::new(docs.model().clone(), vec![at.clone()]);
        refused(docs.store().load(request).await, ErrorKind::Invalid, what)?;
        let write = strongroom_core::store::Write::delete(at.clone(), Expected::Any);
        refused(
            docs.bulk(vec![write.into()]).await.and_then(|reply| {
                // Each item may be refused for itself, or the bulk as a whole.
                reply.outcomes.into_iter().next().unwrap_or_else(|| {
                    Err(strongroom_core::Error::internal("the bulk has no outcome"))
                })
            }),
            ErrorKind::Invalid,
            what,
        )?;
        docs.refresh().await?;
        check_eq!(
            docs.count(Filter::all()).await.during("counting")?,
            0,
            "documents after refusals of {what}"
        );
    }
    Ok(())
}
