//! Orders by score. What a score is, is the engine's; that it is an order is not.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use strongroom_core::model::{FieldDeclaration, Key, Kind, Model, Routing};
use strongroom_core::query::{Filter, Order, Sort, SourceFilter, Words};
use strongroom_core::store::{FindRequest, GroupRequest, Page, PageStart, Ranking, ScanRequest};

use super::filters::named;
use crate::context::{Context, not_granted};
use crate::docs::{Docs, value_of};
use crate::failure::{During, Failure, Outcome, check, check_eq};

/// Whether the case has something to check.
fn granted(cx: &Context) -> Outcome<bool> {
    let can = cx.capabilities();
    if !can.score {
        not_granted("an order by score")?;
    }
    check!(
        can.text_search || !can.score,
        "an order by score is granted without filters by the words of text"
    );
    Ok(can.score)
}

/// Texts that fit some questions well, some a little and some not, with ties among them.
async fn texts(cx: &Context) -> Outcome<Docs> {
    let field = |path: &str, kind| Ok::<_, Failure>(FieldDeclaration::new(path.parse()?, kind));
    let mut model = Model::builder(cx.name("scored"))
        .field(field("w", Kind::Text)?.many())
        .field(field("k", Kind::Keyword)?)
        .field(field("n", Kind::Integer)?);
    if cx.capabilities().nested_filters {
        model = model
            .field(field("e", Kind::Nested)?.many())
            .field(field("e.w", Kind::Text)?.many());
    }
    let docs = cx.docs_of(model).await?;
    let long = "hen cow dog pig ewe ".repeat(20);
    docs.create_all(named(&[
        ("a", json!({"w": "red hen", "k": "x"})),
        ("b", json!({"w": "red fox", "k": "x", "n": 1})),
        ("c", json!({"w": "hen cow", "k": "x", "n": 1})),
        ("d", json!({"w": "fox fox", "k": "y"})),
        ("e", json!({"w": "red hen", "k": "y", "n": 1})),
        ("f", json!({"w": "red hen"})),
        ("g", json!({"w": format!("{long} red"), "k": "x"})),
        (
            "h",
            json!({"w": ["fox", "red", "red red"], "k": "y", "n": 2}),
        ),
        ("i", json!({"k": "y", "n": 1})),
        (
            "j",
            json!({"w": null, "e": [{"w": "red fox"}, {"w": "cow"}]}),
        ),
        (
            "k",
            json!({"w": "fox", "k": "x", "e": [{"w": "red"}, {"w": "red red"}]}),
        ),
        ("l", json!({"w": "red hen", "k": "x", "n": 1})),
    ])?)
    .await?;
    Ok(docs)
}

fn text(words: &str, mode: Words) -> Outcome<Filter> {
    Ok(Filter::text("w", words, mode)?)
}

fn ids(page: &Page) -> Vec<String> {
    let documents = page.documents.iter();
    documents.map(|d| d.key.id().as_str().to_owned()).collect()
}

/// All that matches on one page, by score, with a score for each document.
async fn whole(docs: &Docs, filter: &Filter, sort: Vec<Sort>) -> Outcome<Page> {
    let mut request = docs.query(filter.clone());
    (request.limit, request.sort) = (100, sort);
    let page = docs.find(request).await.during("a page by score")?;
    let mut found: Vec<&Key> = page.documents.iter().map(|d| &d.key).collect();
    found.sort();
    let expected = docs.find_keys(filter.clone()).await?;
    let expected: Vec<&Key> = expected.iter().collect();
    check_eq!(found, expected, "what {filter:?} finds by score, sorted");
    check_eq!(
        page.scores.len(),
        page.documents.len(),
        "the number of scores of {filter:?}"
    );
    for score in &page.scores {
        check!(
            score.is_finite() && *score >= 0.0,
            "{filter:?} makes the score {score}"
        );
    }
    Ok(page)
}

/// Filters of each shape that can make a score, and some that make none.
fn filters(cx: &Context) -> Outcome<Vec<Filter>> {
    let n = Filter::eq("n", 1)?;
    let red = text("red", Words::Any)?;
    let mut filters = vec![
        red.clone(),
        text("fox red", Words::Any)?,
        text("fox red", Words::All)?,
        text("red fox", Words::Phrase)?,
        red.clone().and(text("hen", Words::Any)?),
        red.clone().and(!text("fox", Words::Any)?),
        red.clone().and(n.clone()),
        red.clone().or(n.clone()),
        text("fox", Words::Any)?.or(!red.clone()),
        Filter::Not(Box::new(Filter::Not(Box::new(red)))),
        n,
        text("unheard", Words::Any)?,
        Filter::all(),
    ];
    if cx.capabilities().nested_filters {
        let inner = Filter::text("e.w", "red", Words::Any)?;
        let nested = Filter::nested("e", inner)?;
        filters.push(nested.clone());
        filters.push(nested.or(text("fox", Words::Any)?));
    }
    Ok(filters)
}

pub(crate) async fn descends(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = texts(cx).await?;
    for filter in filters(cx)? {
        let page = whole(&docs, &filter, vec![Sort::by_score()]).await?;
        let mut right: Vec<(f64, String)> = page.scores.iter().copied().zip(ids(&page)).collect();
        right.sort_by(|(a, one), (b, other)| b.total_cmp(a).then(one.cmp(other)));
        let right: Vec<String> = right.into_iter().map(|(_, id)| id).collect();
        check_eq!(
            ids(&page),
            right,
            "what {filter:?} finds by the scores {:?}, and by id where these are level",
            page.scores
        );
        let mut ascending = Sort::by_score();
        ascending.order = Order::Ascending;
        let page = whole(&docs, &filter, vec![ascending]).await?;
        check!(
            page.scores.is_sorted(),
            "scores of {filter:?}, ascending: {:?}",
            page.scores
        );
    }
    let mut request = docs.query(text("red", Words::Any)?);
    request.source = SourceFilter::include(["k".parse::<strongroom_core::model::FieldPath>()?]);
    let page = docs.find(request).await.during("a page by id")?;
    check!(
        page.scores.is_empty(),
        "scores that nobody asked for: {:?}",
        page.scores
    );
    Ok(())
}

pub(crate) async fn tells_what_fits(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = texts(cx).await?;
    let either = text("red fox", Words::Any)?.or(Filter::eq("n", 1)?);
    let page = whole(&docs, &either, vec![Sort::by_score()]).await?;
    let scores: BTreeMap<String, f64> = ids(&page).into_iter().zip(page.scores).collect();
    let of = |id: &str| scores.get(id).copied().unwrap_or(f64::NAN);
    for (id, score) in &scores {
        // These are found by their number alone.
        let is_level = matches!(id.as_str(), "c" | "i");
        check_eq!(
            *score == 0.0,
            is_level,
            "whether the score of {id}, {score}, is 0"
        );
    }
    check!(
        of("b").partial_cmp(&of("a")) == Some(std::cmp::Ordering::Greater),
        "of texts of one length, that with both words has the score {}, that with one {}",
        of("b"),
        of("a")
    );
    check_eq!(
        [of("e"), of("l")],
        [of("a"); 2],
        "scores of documents of the same text"
    );
    // Within a routing words count as well.
    let field = FieldDeclaration::new("w".parse()?, Kind::Text);
    let model = Model::builder(cx.name("scored")).routed().field(field);
    let docs = cx.docs_of(model).await?;
    let mut documents = Vec::new();
    for (routing, id, w) in [
        ("eu", "a", "red"),
        ("eu", "b", "red red"),
        ("us", "c", "red"),
    ] {
        documents.push((Key::routed(routing, id)?, json!({"w": w})));
    }
    docs.create_all(documents).await?;
    let mut request = docs.query(text("red", Words::Any)?);
    (request.sort, request.routing) = (vec![Sort::by_score()], Some(Routing::new("eu")?));
    let page = docs.find(request).await.during("a page of a routing")?;
    check_eq!(page.documents.len(), 2, "documents of a routing");
    check!(
        page.scores.iter().all(|score| *score > 0.0),
        "scores within a routing: {:?}",
        page.scores
    );
    Ok(())
}

/// Walks from one end to the other, by cursors in their text form.
async fn walk(docs: &Docs, mut request: FindRequest, backward: bool) -> Outcome<Page> {
    let mut all = Page::new(Vec::new(), None);
    if backward {
        request.start = PageStart::Last;
    }
    for _ in 0..100 {
        let page = docs.find(request.clone()).await.during("a page by score")?;
        let on = if backward { &page.previous } else { &page.next };
        let on = on.as_ref().map(|cursor| cursor.to_string().parse());
        let on = on.transpose()?;
        if backward {
            all.documents.splice(0..0, page.documents);
            all.scores.splice(0..0, page.scores);
            request.start = on.clone().map(PageStart::Before).unwrap_or_default();
        } else {
            all.documents.extend(page.documents);
            all.scores.extend(page.scores);
            request.start = on.clone().map(PageStart::After).unwrap_or_default();
        }
        if on.is_none() {
            return Ok(all);
        }
    }
    Err(Failure::new("100 pages did not end the query"))
}

pub(crate) async fn pages_visit_each_once(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = texts(cx).await?;
    let k = || -> Outcome<_> { Ok("k".parse()?) };
    for filter in filters(cx)? {
        for sort in [
            vec![Sort::by_score()],
            vec![Sort::by_score(), Sort::descending(k()?)],
            vec![Sort::ascending(k()?), Sort::by_score()],
            vec![Sort::descending("n".parse()?), Sort::by_score()],
        ] {
            let right = whole(&docs, &filter, sort.clone()).await?;
            for limit in [1, 3] {
                for backward in [false, true] {
                    if backward && !cx.capabilities().backward_pages {
                        continue;
                    }
                    let mut request = docs.query(filter.clone());
                    (request.limit, request.sort) = (limit, sort.clone());
                    let found = walk(&docs, request, backward).await?;
                    let what =
                        format!("pages of {limit} of {filter:?} by {sort:?}, backward: {backward}");
                    check_eq!(ids(&found), ids(&right), "{what}");
                    check_eq!(found.scores, right.scores, "{what}: the scores");
                }
            }
        }
    }
    Ok(())
}

pub(crate) async fn scans_and_groups(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = texts(cx).await?;
    for filter in filters(cx)? {
        let right = whole(&docs, &filter, vec![Sort::by_score()]).await?;
        if cx.capabilities().scans {
            let mut request = ScanRequest::new(docs.model().clone(), filter.clone());
            (request.sort, request.batch) = (vec![Sort::by_score()], 3);
            let mut scan = docs.store().scan(request).await.during("a scan by score")?;
            let mut found = Vec::new();
            loop {
                let piece = scan.next().await.during("a piece of a scan by score")?;
                if piece.is_empty() {
                    break;
                }
                found.extend(piece);
            }
            let found = Page::new(found, None);
            check_eq!(ids(&found), ids(&right), "a scan of {filter:?} by score");
        }
        if cx.capabilities().groups {
            let mut request = GroupRequest::new(docs.model().clone(), filter.clone(), "k".parse()?);
            (request.sort, request.size) = (vec![Sort::by_score()], 50);
            let groups = docs.store().group(request.clone()).await;
            let groups = groups.during("groups by score")?;
            let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for document in &right.documents {
                if let Value::String(k) = &value_of(document)?["k"] {
                    let group = expected.entry(k.clone()).or_default();
                    group.push(document.key.id().as_str().to_owned());
                }
            }
            let found = groups.groups.iter().map(|group| {
                let documents = group.documents.iter();
                documents
                    .map(|one| one.document.key.id().as_str().to_owned())
                    .collect::<Vec<_>>()
            });
            let expected: Vec<Vec<String>> = expected.into_values().collect();
            check_eq!(
                found.collect::<Vec<_>>(),
                expected,
                "groups of {filter:?} by score"
            );
            // Documents of one score tie.
            (request.ranking, request.size) = (Ranking::DenseRank, 1);
            let groups = docs.store().group(request).await;
            let groups = groups.during("groups by the rank of the score")?;
            let scores: BTreeMap<String, f64> =
                ids(&right).into_iter().zip(right.scores.clone()).collect();
            for (group, all) in groups.groups.iter().zip(expected) {
                let best = all.first().and_then(|id| scores.get(id));
                let best = all.iter().filter(|id| scores.get(*id) == best).count();
                check_eq!(
                    group.documents.len(),
                    best,
                    "documents of {filter:?} that share the best score of a group"
                );
            }
        }
    }
    Ok(())
}
