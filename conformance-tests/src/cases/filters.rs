//! The richer filters: patterns, ids, words of text, nested objects, calls and native conditions.
//!
//! Each question is asked with a literal expectation, and again of the oracle, with its
//! complement.

use serde_json::{Value, json};
use strongroom_core::ErrorKind;
use strongroom_core::model::{FieldDeclaration, Key, Kind, Model, Routing};
use strongroom_core::query::{Call, Filter, Words};
use strongroom_core::store::{FunctionSupport, Total};

use super::queries::{Both, both};
use crate::context::{Context, not_granted};
use crate::docs::key;
use crate::failure::{During, Failure, Outcome, check, check_eq, refused};

/// Documents by the names that the expectations go by.
pub(super) fn named(bodies: &[(&str, Value)]) -> Outcome<Vec<(Key, Value)>> {
    bodies
        .iter()
        .map(|(id, body)| Ok((key(id)?, body.clone())))
        .collect()
}

/// Checks what a filter finds by name, against the oracle, and the complement of both.
pub(super) async fn finds(both: &Both, filter: Filter, expected: &[&str]) -> Outcome {
    let found = both.docs.find_keys(filter.clone()).await?;
    let found: Vec<&str> = found.iter().map(|key| key.id().as_str()).collect();
    check_eq!(found, expected, "what {filter:?} finds");
    let all = both.oracle.find_keys(Filter::all()).await?;
    let others: Vec<&str> = all
        .iter()
        .map(|key| key.id().as_str())
        .filter(|id| !expected.contains(id))
        .collect();
    let complement = Filter::Not(Box::new(filter.clone()));
    let found = both.docs.find_keys(complement.clone()).await?;
    let found: Vec<&str> = found.iter().map(|key| key.id().as_str()).collect();
    check_eq!(found, others, "what {complement:?} finds");
    for filter in [filter, complement] {
        let mut request = both.docs.query(filter);
        (request.total, request.limit) = (Total::Exact, 3);
        both.agree(&request).await?;
    }
    Ok(())
}

pub(crate) async fn wildcards(cx: &Context) -> Outcome {
    let documents = named(&[
        ("a", json!({"k": "abc", "tags": ["x", "abc"]})),
        ("b", json!({"k": "aäc", "tags": []})),
        ("c", json!({"k": "a🦀c", "tags": [null, "a*c"]})),
        ("d", json!({"k": "ac", "tags": null})),
        ("e", json!({"k": "a%c", "o": {"k": "a_c"}})),
        ("f", json!({"k": "a*c", "o": {"k": "[a]"}})),
        ("g", json!({"k": "a?c", "o": {"k": null}})),
        ("h", json!({"k": "a\\c", "o": null})),
        ("i", json!({"k": "", "tags": [""]})),
        ("j", json!({"k": null})),
        ("k", json!({})),
        ("l", json!({"k": "[a]", "tags": ["b", "b"]})),
        ("m", json!({"k": "ABC"})),
        ("n", json!({"k": "a_c^-]", "tags": ["ä", "aa"]})),
        ("o", json!({"k": "a\nc"})),
        ("p", json!({"k": "x\u{0}y"})),
        ("q", json!({"k": "x\u{1}y", "tags": ["\u{0}"]})),
    ])?;
    let both = both(cx.docs().await?, &documents).await?;
    let rows: [(&str, &str, &[&str]); 30] = [
        ("k", "abc", &["a"]),
        ("k", "a?c", &["a", "b", "c", "e", "f", "g", "h", "o"]),
        ("k", "a*c", &["a", "b", "c", "d", "e", "f", "g", "h", "o"]),
        ("k", "a\\*c", &["f"]),
        ("k", "a\\?c", &["g"]),
        ("k", "a\\\\c", &["h"]),
        ("k", "\\a\\b\\c", &["a"]),
        ("k", "a%c", &["e"]),
        ("k", "a_c", &[]),
        ("k", "a_c*", &["n"]),
        ("k", "%", &[]),
        ("k", "_", &[]),
        ("k", "[a]", &["l"]),
        ("k", "[a-z]*", &[]),
        ("k", "*^-]", &["n"]),
        ("k", "", &["i"]),
        ("k", "?", &[]),
        (
            "k",
            "**",
            &[
                "a", "b", "c", "d", "e", "f", "g", "h", "i", "l", "m", "n", "o", "p", "q",
            ],
        ),
        ("k", "*b*", &["a"]),
        ("k", "?🦀?", &["c"]),
        ("tags", "a*", &["a", "c", "n"]),
        ("k", "x?y", &["p", "q"]),
        ("k", "x??y", &[]),
        ("k", "x*y", &["p", "q"]),
        ("k", "x\u{0}*", &["p"]),
        ("k", "x*\u{2}y", &[]),
        ("k", "*\u{1}y", &["q"]),
        ("tags", "?", &["a", "l", "n", "q"]),
        ("tags", "*", &["a", "c", "i", "l", "n", "q"]),
        ("o.k", "?a?", &["f"]),
    ];
    for (field, pattern, expected) in rows {
        finds(&both, Filter::wildcard(field, pattern)?, expected).await?;
    }
    let both_sides = Filter::wildcard("k", "a*")?.and(Filter::wildcard("o.k", "*_*")?);
    finds(&both, both_sides, &["e"]).await
}

pub(crate) async fn ids(cx: &Context) -> Outcome {
    let documents = named(&[
        ("A", json!({})),
        ("a", json!({"n": 1})),
        ("a%", json!({"n": null})),
        ("b", json!({"n": 2})),
        ("ä", json!({"n": 3})),
    ])?;
    let both = both(cx.docs().await?, &documents).await?;
    let rows: [(&[&str], &[&str]); 6] = [
        (&[], &[]),
        (&["a"], &["a"]),
        (&["b", "a", "b", "none"], &["a", "b"]),
        (&["none", "a_"], &[]),
        (&["ä", "A", "a%"], &["A", "a%", "ä"]),
        (&["a' or '1'='1", "a\"", "B"], &[]),
    ];
    for (asked, expected) in rows {
        finds(&both, Filter::ids(asked)?, expected).await?;
    }
    let narrowed = Filter::ids(["a", "b"])?.and(Filter::gt("n", 1)?);
    finds(&both, narrowed, &["b"]).await
}

pub(crate) async fn ids_with_routing(cx: &Context) -> Outcome {
    let documents = [("eu", "a"), ("us", "a"), ("eu", "b"), ("us", "c")]
        .into_iter()
        .map(|(routing, id)| Ok((Key::routed(routing, id)?, json!({"k": routing}))))
        .collect::<Outcome<Vec<_>>>()?;
    let both = both(cx.routed_docs().await?, &documents).await?;
    let asked = Filter::ids(["a", "c", "none"])?;
    let found = both.docs.find_keys(asked.clone()).await?;
    let expected = [
        Key::routed("eu", "a")?,
        Key::routed("us", "a")?,
        Key::routed("us", "c")?,
    ];
    check_eq!(found, expected, "what ids find under every routing");
    for (routing, expected) in [("eu", 1), ("us", 2), ("none", 0)] {
        for (filter, expected) in [
            (asked.clone(), expected),
            (
                Filter::Not(Box::new(asked.clone())),
                usize::from(routing == "eu"),
            ),
        ] {
            let mut request = both.docs.query(filter);
            request.routing = Some(Routing::new(routing)?);
            let page = both.docs.find(request.clone()).await.during("finding")?;
            check_eq!(
                page.documents.len(),
                expected,
                "how many {:?} finds under the routing {routing}",
                request.filter
            );
            both.agree(&request).await?;
        }
    }
    Ok(())
}

pub(crate) async fn text(cx: &Context) -> Outcome {
    if !cx.capabilities().text_search {
        return not_granted("filters by the words of text");
    }
    let declare = |path: &str, kind| Ok::<_, Failure>(FieldDeclaration::new(path.parse()?, kind));
    let model = Model::builder(cx.name("texts"))
        .field(declare("w", Kind::Text)?)
        .field(declare("ws", Kind::Text)?.many())
        .field(declare("o.w", Kind::Text)?)
        .field(declare("n", Kind::Integer)?);
    let documents = named(&[
        ("a", json!({"w": "quick red fox", "n": 1})),
        (
            "b",
            json!({"w": "red quick dog", "ws": ["quick", "red fox"]}),
        ),
        (
            "c",
            json!({"w": "foxes redden quickly", "ws": ["quick fox"]}),
        ),
        ("d", json!({"w": "", "ws": []})),
        ("e", json!({"w": null, "ws": null, "o": null})),
        ("f", json!({})),
        ("g", json!({"w": "fox", "ws": [null, "quick red", "fox"]})),
        ("h", json!({"o": {"w": "quick red fox"}, "n": 2})),
        ("i", json!({"w": "red fox red quick fox", "o": {}})),
    ])?;
    let both = both(cx.docs_of(model).await?, &documents).await?;
    let rows: [(&str, &str, Words, &[&str]); 14] = [
        ("w", "fox", Words::Any, &["a", "g", "i"]),
        ("w", "fox dog", Words::Any, &["a", "b", "g", "i"]),
        ("w", "fox quick", Words::All, &["a", "i"]),
        ("w", "quick red", Words::All, &["a", "b", "i"]),
        ("w", "quick red", Words::Phrase, &["a"]),
        ("w", "red fox", Words::Phrase, &["a", "i"]),
        ("w", "red quick fox", Words::Phrase, &["i"]),
        ("w", "unheard", Words::Any, &[]),
        ("w", "fox unheard", Words::All, &[]),
        ("ws", "quick fox", Words::All, &["b", "c", "g"]),
        ("ws", "red fox", Words::Phrase, &["b"]),
        ("ws", "quick red", Words::Phrase, &["g"]),
        ("ws", "red", Words::Any, &["b", "g"]),
        ("o.w", "red fox", Words::Phrase, &["h"]),
    ];
    for (field, words, mode, expected) in rows {
        finds(&both, Filter::text(field, words, mode)?, expected).await?;
    }
    let either = Filter::text("w", "dog", Words::Any)?.or(Filter::eq("n", 2)?);
    finds(&both, either, &["b", "h"]).await?;
    // A changed text is found by its new words, and by the old ones no more.
    both.docs
        .replace(
            &key("a")?,
            &json!({"w": "blue whale"}),
            strongroom_core::model::Expected::Any,
        )
        .await?;
    both.docs
        .remove(&key("g")?, strongroom_core::model::Expected::Any)
        .await?;
    both.docs.refresh().await?;
    let fox = both.docs.find_keys(Filter::text("w", "fox", Words::Any)?);
    check_eq!(fox.await?, [key("i")?], "what the old words find");
    let whale = Filter::text("w", "blue whale", Words::Phrase)?;
    let found = both.docs.find_keys(whale).await?;
    check_eq!(found, [key("a")?], "what the new words find");
    Ok(())
}

pub(crate) async fn nested(cx: &Context) -> Outcome {
    if !cx.capabilities().nested_filters {
        return not_granted("filters by the objects of nested fields");
    }
    let declare = |path: &str, kind| Ok::<_, Failure>(FieldDeclaration::new(path.parse()?, kind));
    let model = Model::builder(cx.name("nested"))
        .field(declare("n", Kind::Integer)?)
        .field(declare("e", Kind::Nested)?)
        .field(declare("e.k", Kind::Keyword)?)
        .field(declare("e.n", Kind::Integer)?)
        .field(declare("e.p", Kind::Nested)?)
        .field(declare("e.p.k", Kind::Keyword)?)
        .field(declare("e.p.n", Kind::Integer)?);
    let documents = named(&[
        (
            "a",
            json!({"n": 1, "e": [{"k": "x", "n": 1}, {"k": "y", "n": 2}]}),
        ),
        (
            "b",
            json!({"n": 2, "e": [{"k": "x", "n": 2}, {"k": "y", "n": 1}]}),
        ),
        ("c", json!({"e": [{"k": "x"}, {"n": 1}]})),
        ("d", json!({"e": []})),
        ("e", json!({"e": null})),
        ("f", json!({})),
        ("g", json!({"e": [{}, {"k": null, "n": null}]})),
        (
            "h",
            json!({"e": [{"k": "x", "n": 3, "p": [{"k": "u", "n": 1}, {"k": "v", "n": 2}]}]}),
        ),
        (
            "i",
            json!({"e": [{"k": "x", "p": [{"k": "u", "n": 2}]}, {"k": "z", "p": [{"k": "v", "n": 1}]}]}),
        ),
        ("j", json!({"e": [{"k": "x", "p": []}, {"p": null}]})),
    ])?;
    let both = both(cx.docs_of(model).await?, &documents).await?;
    let (x, one) = (Filter::eq("e.k", "x")?, Filter::eq("e.n", 1)?);
    let of = |filter: Filter| Filter::nested("e", filter);
    finds(&both, of(x.clone().and(one.clone()))?, &["a"]).await?;
    // Outside of a nested filter the two values may come from two objects.
    let across = x.clone().and(one.clone());
    finds(&both, across, &["a", "b", "c"]).await?;
    finds(
        &both,
        of(x.clone().or(one.clone()))?,
        &["a", "b", "c", "h", "i", "j"],
    )
    .await?;
    let not_x = of(Filter::Not(Box::new(x.clone())))?;
    finds(&both, not_x, &["a", "b", "c", "g", "i", "j"]).await?;
    finds(
        &both,
        of(Filter::all())?,
        &["a", "b", "c", "g", "h", "i", "j"],
    )
    .await?;
    finds(&both, of(Filter::Or(vec![]))?, &[]).await?;
    finds(&both, of(Filter::exists("e.n")?)?, &["a", "b", "c", "h"]).await?;
    let without_n = of(x.clone().and(!Filter::exists("e.n")?))?;
    finds(&both, without_n, &["c", "i", "j"]).await?;
    finds(&both, of(Filter::is_in("e.n", [3, 7])?)?, &["h"]).await?;
    finds(
        &both,
        of(Filter::gt("e.n", 1)?.and(Filter::prefix("e.k", "x")?))?,
        &["b", "h"],
    )
    .await?;
    let parts = |k: &str, n: i64| -> Outcome<Filter> {
        let both = Filter::eq("e.p.k", k)?.and(Filter::eq("e.p.n", n)?);
        Filter::nested("e.p", both).during("nesting")
    };
    finds(&both, parts("u", 1)?, &["h"]).await?;
    finds(&both, of(parts("v", 2)?)?, &["h"]).await?;
    finds(&both, of(x.clone().and(parts("u", 2)?))?, &["i"]).await?;
    finds(&both, of(x.clone().and(parts("v", 1)?))?, &[]).await?;
    let no_parts = of(x.and(!Filter::nested("e.p", Filter::all())?))?;
    finds(&both, no_parts, &["a", "b", "c", "j"]).await?;
    let with_the_rest = of(one)?.and(Filter::eq("n", 2)?);
    finds(&both, with_the_rest, &["b"]).await
}

pub(crate) async fn native_of_another_engine(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    docs.create(&key("a")?, &json!({})).await?;
    let docs = cx.checked(&docs);
    let native = Filter::native("no-such-engine", "1 = 1", Vec::<i64>::new());
    for filter in [
        native.clone(),
        Filter::Not(Box::new(native.clone())),
        Filter::all().or(native),
    ] {
        let found = docs.find(docs.query(filter.clone())).await;
        let error = refused(found, ErrorKind::Unsupported, "another engine's condition")?;
        check!(
            error.message().contains("no-such-engine"),
            "the refusal does not name the engine: {error}"
        );
        let counted = docs.count(filter).await;
        refused(
            counted,
            ErrorKind::Unsupported,
            "counting by another engine's condition",
        )?;
    }
    Ok(())
}

pub(crate) async fn functions_that_are_not_there(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    docs.create(&key("a")?, &json!({"k": "v"})).await?;
    if cx.capabilities().functions == FunctionSupport::Server {
        return not_granted("telling which functions there are");
    }
    let docs = cx.checked(&docs);
    let call = Call::new("never_registered")?.field("k".parse()?).value(1);
    for filter in [
        Filter::call(call.clone()),
        Filter::Not(Box::new(Filter::call_eq(call, "v"))),
    ] {
        let found = docs.find(docs.query(filter)).await;
        let error = refused(
            found,
            ErrorKind::Unsupported,
            "a function that is not there",
        )?;
        check!(
            error.message().contains("never_registered"),
            "the refusal does not name the function: {error}"
        );
    }
    Ok(())
}
