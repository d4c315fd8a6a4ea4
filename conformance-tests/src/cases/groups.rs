//! The first documents of each group, with literal expectations and against the oracle.

use serde_json::{Value, json};
use strongroom_core::ErrorKind;
use strongroom_core::model::{Key, Routing, Scalar};
use strongroom_core::query::{Filter, Order, Sort, SourceFilter};
use strongroom_core::store::{GroupRequest, Groups, Ranking};

use super::filters::named;
use super::queries::{Both, both, sample};
use crate::answers;
use crate::context::{Context, not_granted};
use crate::docs::Docs;
use crate::failure::{During, Failure, Outcome, check, check_eq, refused};

/// Whether the case has something to check.
fn granted(cx: &Context) -> Outcome<bool> {
    if !cx.capabilities().groups {
        not_granted("groups")?;
    }
    Ok(cx.capabilities().groups)
}

fn request(docs: &Docs, by: &str) -> Outcome<GroupRequest> {
    Ok(GroupRequest::new(
        docs.model().clone(),
        Filter::all(),
        by.parse()?,
    ))
}

async fn ask(docs: &Docs, request: &GroupRequest) -> Outcome<Groups> {
    docs.store()
        .group(request.clone())
        .await
        .during(format_args!("asking for {request:?}"))
}

/// The groups by their keys, each with ranks and ids.
fn ranks(groups: &Groups) -> Value {
    let groups = groups.groups.iter().map(|group| {
        let documents = group.documents.iter();
        let ranked = documents.map(|d| json!([d.rank, d.document.key.id().as_str()]));
        json!([answers::scalar(&group.key), ranked.collect::<Vec<_>>()])
    });
    groups.collect()
}

/// Asks both stores the same, and goes on group after group to the end.
pub(super) async fn agree(both: &Both, request: &GroupRequest) -> Outcome {
    let mut request = request.clone();
    for _ in 0..1_000 {
        let found = ask(&both.docs, &request).await?;
        let right = ask(&both.oracle, &request).await.during("the oracle")?;
        let (shown, expected) = (answers::groups(&found)?, answers::groups(&right)?);
        check!(
            answers::same(&shown, &expected, 0.0),
            "{request:?}, against the oracle: expected {expected}, found {shown}"
        );
        if right.next.is_none() {
            return Ok(());
        }
        request.after = right.next;
    }
    Err(Failure::new("1000 answers did not end the groups"))
}

/// Documents with ties in `n`, in two groups, and one in none.
async fn tied(cx: &Context) -> Outcome<Both> {
    let documents = named(&[
        ("a", json!({"k": "x", "n": 2, "o": {"n": 1}})),
        ("b", json!({"k": "x", "n": 1, "o": {"n": 1}})),
        ("c", json!({"k": "y", "n": 7})),
        ("d", json!({"k": "x", "n": 1})),
        ("e", json!({"n": 0})),
        ("f", json!({"k": "x", "n": 3})),
        ("g", json!({"k": "x"})),
        ("h", json!({"k": null, "n": 1})),
        ("i", json!({"k": "x", "n": 2, "o": {"n": 0}})),
        ("j", json!({"k": "x", "n": null})),
    ])?;
    both(cx.docs().await?, &documents).await
}

pub(crate) async fn first_of_each(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let both = tied(cx).await?;
    let n = || "n".parse();
    let rows: Vec<(Vec<Sort>, usize, Value)> = vec![
        (vec![], 1, json!([["x", [[1, "a"]]], ["y", [[1, "c"]]]])),
        (
            vec![Sort::ascending(n()?)],
            1,
            json!([["x", [[1, "b"]]], ["y", [[1, "c"]]]]),
        ),
        (
            vec![Sort::descending(n()?)],
            2,
            json!([["x", [[1, "f"], [2, "a"]]], ["y", [[1, "c"]]]]),
        ),
        (
            vec![Sort::descending(n()?).missing_first()],
            3,
            json!([["x", [[1, "g"], [2, "j"], [3, "f"]]], ["y", [[1, "c"]]]]),
        ),
        (
            vec![Sort::ascending(n()?), Sort::by_id(Order::Descending)],
            3,
            json!([["x", [[1, "d"], [2, "b"], [3, "i"]]], ["y", [[1, "c"]]]]),
        ),
    ];
    for (sort, size, expected) in rows {
        let mut request = request(&both.docs, "k")?;
        (request.sort, request.size) = (sort, size);
        let found = ranks(&ask(&both.docs, &request).await?);
        check_eq!(found, expected, "the first {size} by {:?}", request.sort);
        agree(&both, &request).await?;
    }
    let mut narrowed = request(&both.docs, "k")?;
    narrowed.filter = Filter::gte("n", 2)?.and(Filter::lt("n", 7)?);
    let found = ranks(&ask(&both.docs, &narrowed).await?);
    check_eq!(
        found,
        json!([["x", [[1, "a"]]]]),
        "groups of what matches only"
    );
    narrowed.filter = Filter::Or(vec![]);
    let found = ask(&both.docs, &narrowed).await?;
    check!(
        found.groups.is_empty() && found.next.is_none(),
        "groups of nothing: {found:?}"
    );
    Ok(())
}

pub(crate) async fn rankings(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let both = tied(cx).await?;
    // In order: b and d at 1, a and i at 2, f at 3, g and j without a value.
    let rows: [(Ranking, usize, Value); 9] = [
        (
            Ranking::RowNumber,
            4,
            json!([[1, "b"], [2, "d"], [3, "a"], [4, "i"]]),
        ),
        (Ranking::Rank, 1, json!([[1, "b"], [1, "d"]])),
        (Ranking::Rank, 2, json!([[1, "b"], [1, "d"]])),
        (
            Ranking::Rank,
            3,
            json!([[1, "b"], [1, "d"], [3, "a"], [3, "i"]]),
        ),
        (
            Ranking::Rank,
            5,
            json!([[1, "b"], [1, "d"], [3, "a"], [3, "i"], [5, "f"]]),
        ),
        (
            Ranking::Rank,
            6,
            json!([
                [1, "b"],
                [1, "d"],
                [3, "a"],
                [3, "i"],
                [5, "f"],
                [6, "g"],
                [6, "j"]
            ]),
        ),
        (Ranking::DenseRank, 1, json!([[1, "b"], [1, "d"]])),
        (
            Ranking::DenseRank,
            2,
            json!([[1, "b"], [1, "d"], [2, "a"], [2, "i"]]),
        ),
        (
            Ranking::DenseRank,
            4,
            json!([
                [1, "b"],
                [1, "d"],
                [2, "a"],
                [2, "i"],
                [3, "f"],
                [4, "g"],
                [4, "j"]
            ]),
        ),
    ];
    for (ranking, size, expected) in rows {
        let mut request = request(&both.docs, "k")?;
        request.sort = vec![Sort::ascending("n".parse()?)];
        (request.ranking, request.size) = (ranking, size);
        let found = ranks(&ask(&both.docs, &request).await?);
        check_eq!(
            found[0],
            json!(["x", expected]),
            "the documents up to {size} by {ranking:?}"
        );
        agree(&both, &request).await?;
    }
    // Without a sort key all documents tie; by id none do.
    for ranking in [Ranking::RowNumber, Ranking::Rank, Ranking::DenseRank] {
        for sort in [
            vec![],
            vec![Sort::by_id(Order::Descending)],
            vec![
                Sort::descending("n".parse()?).missing_first(),
                Sort::ascending("o.n".parse()?),
            ],
            vec![Sort::ascending("tags".parse()?)],
        ] {
            for size in [1, 2, 3, 9] {
                let mut request = request(&both.docs, "k")?;
                (request.sort, request.ranking, request.size) = (sort.clone(), ranking, size);
                agree(&both, &request).await?;
            }
        }
    }
    Ok(())
}

pub(crate) async fn pages(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let documents: Vec<_> = (0..20)
        .map(|n| (format!("d{n:02}"), json!({"n": n % 7, "k": "v", "x": n})))
        .collect();
    let documents: Vec<_> = documents
        .iter()
        .map(|(id, body)| (id.as_str(), body.clone()))
        .collect();
    let both = both(cx.docs().await?, &named(&documents)?).await?;
    for groups in [1, 2, 6, 7, 8] {
        let mut request = request(&both.docs, "n")?;
        (request.groups, request.sort) = (groups, vec![Sort::descending("x".parse()?)]);
        let mut keys = Vec::new();
        for _ in 0..20 {
            let found = ask(&both.docs, &request).await?;
            check!(
                found.groups.len() <= groups,
                "{} groups, {groups} were asked for",
                found.groups.len()
            );
            keys.extend(found.groups.iter().map(|g| answers::scalar(&g.key)));
            request.after = found.next;
            if request.after.is_none() {
                break;
            }
        }
        check_eq!(
            json!(keys),
            json!([0, 1, 2, 3, 4, 5, 6]),
            "the groups, {groups} at a time"
        );
        request.after = None;
        agree(&both, &request).await?;
    }
    // A value between two groups, and numbers of either type, are places as well.
    for (after, first) in [
        (Scalar::from(2.5), json!(3)),
        (Scalar::from(4.0), json!(5)),
        (Scalar::from(-9), json!(0)),
        (Scalar::from(6), Value::Null),
    ] {
        let mut request = request(&both.docs, "n")?;
        request.after = Some(after.clone());
        let found = ask(&both.docs, &request).await?;
        let key = found.groups.first().map(|g| answers::scalar(&g.key));
        check_eq!(json!(key), first, "the first group after {after:?}");
    }
    Ok(())
}

pub(crate) async fn keys_of_every_kind(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let both = both(cx.docs().await?, &sample()?).await?;
    for by in ["k", "n", "x", "b", "at", "o.k", "o.n"] {
        for ranking in [Ranking::RowNumber, Ranking::Rank, Ranking::DenseRank] {
            for groups in [1, 3, 100] {
                let mut request = request(&both.docs, by)?;
                (request.ranking, request.groups, request.size) = (ranking, groups, 2);
                request.sort = vec![
                    Sort::descending("x".parse()?),
                    Sort::ascending("k".parse()?),
                ];
                agree(&both, &request).await?;
            }
        }
    }
    Ok(())
}

pub(crate) async fn source_and_routing(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let in_turn = |n: usize| ["v", "w", "z"][n % 3];
    let mut documents = Vec::new();
    for n in 0..12_usize {
        let at = Key::routed(["eu", "us"][n % 2], format!("d{}", n / 2))?;
        documents.push((at, json!({"k": in_turn(n), "n": n / 4, "x": n})));
    }
    let both = both(cx.routed_docs().await?, &documents).await?;
    for routing in [None, Some("eu"), Some("none")] {
        for ranking in [Ranking::RowNumber, Ranking::Rank] {
            let mut request = request(&both.docs, "k")?;
            (request.ranking, request.size) = (ranking, 2);
            request.sort = vec![Sort::ascending("n".parse()?)];
            request.routing = routing.map(Routing::new).transpose()?;
            request.source = SourceFilter::Include(vec!["x".parse()?]);
            let found = ask(&both.docs, &request).await?;
            let all = found.groups.iter().flat_map(|g| &g.documents);
            for document in all.clone() {
                check!(
                    routing.is_none_or(|wanted| document
                        .document
                        .key
                        .routing()
                        .is_some_and(|r| r.as_str() == wanted)),
                    "{} in groups of the routing {routing:?}",
                    document.document.key
                );
            }
            check_eq!(
                all.count() == 0,
                routing == Some("none"),
                "whether there are no documents of the routing {routing:?}"
            );
            agree(&both, &request).await?;
        }
    }
    Ok(())
}

pub(crate) async fn bad_requests(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = cx.docs().await?;
    let good = request(&docs, "k")?;
    let with = |change: &dyn Fn(&mut GroupRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let bad = [
        ("a field of many values", request(&docs, "tags")?),
        ("a field that is not declared", request(&docs, "none")?),
        ("no documents", with(&|r| r.size = 0)),
        ("no groups", with(&|r| r.groups = 0)),
        ("too many groups", with(&|r| r.groups = 1_001)),
        (
            "too many documents",
            with(&|r| (r.groups, r.size) = (101, 100)),
        ),
        (
            "a place of another type",
            with(&|r| r.after = Some(Scalar::from(1))),
        ),
    ];
    let checked = super::grants::never_asked(&docs);
    for (what, request) in bad {
        let answer = checked.store().group(request).await;
        refused(
            answer,
            ErrorKind::Invalid,
            format_args!("groups by or of {what}"),
        )?;
    }
    Ok(())
}
