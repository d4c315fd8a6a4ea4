//! Pages from a place backwards and from the end, against the forward order and the oracle.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strongroom_core::model::{Expected, Key};
use strongroom_core::query::{Filter, Order, Sort};
use strongroom_core::store::{FindRequest, Page, PageStart};

use super::queries::{Both, both};
use crate::context::{Context, not_granted};
use crate::docs::key;
use crate::failure::{During, Failure, Outcome, check, check_eq};

/// Ten documents with ties, nulls and missing values in the fields that are sorted by.
fn tied() -> Outcome<Vec<(Key, Value)>> {
    let bodies = [
        json!({"n": 1, "k": "a", "tags": ["b", "a"]}),
        json!({"n": 1, "k": "b", "tags": ["a"]}),
        json!({"n": 1, "k": "a"}),
        json!({"n": 2, "tags": []}),
        json!({"n": 2, "k": "a", "tags": ["c"]}),
        json!({"k": "a"}),
        json!({"n": null, "k": "b"}),
        json!({"n": 1}),
        json!({"n": 2, "k": "b"}),
        json!({}),
    ];
    let bodies = bodies.into_iter().enumerate();
    bodies
        .map(|(n, body)| Ok((key(&format!("d{n}"))?, body)))
        .collect()
}

fn keys(page: &Page) -> Vec<Key> {
    page.documents.iter().map(|d| d.key.clone()).collect()
}

/// Asks both stores for one page, each by its own cursor, and compares all that they answer.
async fn same(both: &Both, ours: &FindRequest, theirs: &FindRequest) -> Outcome<(Page, Page)> {
    let what = format!(
        "page of {} by {:?}, backward: {}",
        ours.limit,
        ours.sort,
        ours.start.is_backward()
    );
    let found = both.docs.find(ours.clone()).await.during(&what)?;
    let right = both
        .oracle
        .find(theirs.clone())
        .await
        .during("the oracle")?;
    check_eq!(keys(&found), keys(&right), "{what}: against the oracle");
    check_eq!(
        (found.previous.is_some(), found.next.is_some()),
        (right.previous.is_some(), right.next.is_some()),
        "{what}: whether pages lie before and behind, against the oracle"
    );
    Ok((found, right))
}

/// Walks a query from its end to its beginning and forth again.
pub(super) async fn walk(both: &Both, request: &FindRequest) -> Outcome {
    let mut whole = request.clone();
    whole.limit = 100;
    let whole = keys(&both.oracle.find(whole).await.during("the oracle")?);
    let (mut ours, mut theirs) = (request.clone(), request.clone());
    (ours.start, theirs.start) = (PageStart::Last, PageStart::Last);
    let mut back: Vec<Key> = Vec::new();
    let (mut page, mut right) = same(both, &ours, &theirs).await?;
    check!(page.next.is_none(), "a page lies behind the last one");
    for _ in 0..100 {
        let mut found = keys(&page);
        found.append(&mut back);
        back = found;
        let (Some(before), Some(their_before)) = (page.previous.take(), right.previous.take())
        else {
            break;
        };
        ours.start = PageStart::Before(before);
        theirs.start = PageStart::Before(their_before);
        (page, right) = same(both, &ours, &theirs).await?;
    }
    check_eq!(
        back,
        whole,
        "pages of {} by {:?} from the end backwards, put together",
        request.limit,
        request.sort
    );
    let mut forth = keys(&page);
    for _ in 0..100 {
        let (Some(next), Some(their_next)) = (page.next.take(), right.next.take()) else {
            break;
        };
        ours.start = PageStart::After(next);
        theirs.start = PageStart::After(their_next);
        (page, right) = same(both, &ours, &theirs).await?;
        forth.extend(keys(&page));
    }
    check_eq!(
        forth,
        whole,
        "pages of {} by {:?} forth again from the first, put together",
        request.limit,
        request.sort
    );
    Ok(())
}

pub(crate) async fn there_and_back(cx: &Context) -> Outcome {
    if !cx.capabilities().backward_pages {
        return not_granted("pages backwards");
    }
    let both = both(cx.docs().await?, &tied()?).await?;
    let mut sorts = vec![
        vec![],
        vec![Sort::by_id(Order::Ascending)],
        vec![Sort::by_id(Order::Descending)],
    ];
    for first in ["n", "k", "tags"] {
        for sort in [
            Sort::ascending(first.parse()?),
            Sort::descending(first.parse()?),
        ] {
            for sort in [sort.clone(), sort.missing_first()] {
                sorts.push(vec![sort.clone()]);
                sorts.push(vec![sort.clone(), Sort::descending("k".parse()?)]);
                sorts.push(vec![
                    sort,
                    Sort::ascending("k".parse()?).missing_first(),
                    Sort::by_id(Order::Descending),
                ]);
            }
        }
    }
    for sort in sorts {
        for limit in [1, 2, 3, 4, 9, 10, 11] {
            for filter in [Filter::all(), Filter::exists("n")?] {
                let mut request = both.docs.query(filter);
                (request.sort, request.limit) = (sort.clone(), limit);
                walk(&both, &request).await?;
            }
        }
    }
    Ok(())
}

pub(crate) async fn last_page(cx: &Context) -> Outcome {
    if !cx.capabilities().backward_pages {
        return not_granted("pages backwards");
    }
    let both = both(cx.docs().await?, &tied()?).await?;
    let docs = &both.docs;
    let mut request = docs.query(Filter::all());
    request.start = PageStart::Last;
    (request.limit, request.sort) = (4, vec![Sort::ascending("n".parse()?)]);
    let page = docs.find(request.clone()).await.during("the last page")?;
    let expected = ["d8", "d5", "d6", "d9"].map(key);
    let expected = expected.into_iter().collect::<Outcome<Vec<_>>>()?;
    check_eq!(keys(&page), expected, "the last page");
    check!(
        page.previous.is_some() && page.next.is_none(),
        "the last page has {:?} before and {:?} behind it",
        page.previous,
        page.next
    );
    request.filter = Filter::Or(vec![]);
    let page = docs
        .find(request)
        .await
        .during("the last page of nothing")?;
    check!(
        page.documents.is_empty() && page.previous.is_none() && page.next.is_none(),
        "the last page of nothing: {page:?}"
    );
    Ok(())
}

pub(crate) async fn holds_while_documents_change(cx: &Context) -> Outcome {
    if !cx.capabilities().backward_pages {
        return not_granted("pages backwards");
    }
    let docs = cx.docs().await?;
    let mut stable = BTreeSet::new();
    for n in 0..20 {
        let at = key(&format!("s{n:02}"))?;
        docs.create(&at, &json!({"n": n / 5})).await?;
        stable.insert(at);
    }
    docs.refresh().await?;
    let mut request = docs.query(Filter::all());
    (request.limit, request.sort) = (3, vec![Sort::descending("n".parse()?)]);
    for backward in [true, false] {
        request.start = if backward {
            PageStart::Last
        } else {
            PageStart::First
        };
        let mut seen: Vec<Key> = Vec::new();
        for step in 0..100 {
            let mut page = docs.find(request.clone()).await.during("a page")?;
            seen.extend(keys(&page));
            // Some come and some go, before the place and behind it, and among its ties.
            for n in 0..4 {
                let passing = key(&format!("p{n}-{}", step % 2))?;
                let gone = key(&format!("p{n}-{}", (step + 1) % 2))?;
                docs.put(&passing, &json!({"n": n}), Expected::Any)
                    .await
                    .during("inserting")?;
                docs.delete(&gone, Expected::Any).await.during("deleting")?;
            }
            docs.refresh().await?;
            let on = if backward {
                page.previous.take().map(PageStart::Before)
            } else {
                page.next.take().map(PageStart::After)
            };
            match on {
                Some(on) => request.start = on,
                None => break,
            }
            if step == 99 {
                return Err(Failure::new("100 pages did not end the query"));
            }
        }
        seen.retain(|at| stable.contains(at));
        check_eq!(
            seen.len(),
            stable.len(),
            "stable documents seen while others came and went, backward: {backward}"
        );
        let distinct: BTreeSet<_> = seen.into_iter().collect();
        check_eq!(
            distinct,
            stable,
            "the stable documents, backward: {backward}"
        );
    }
    Ok(())
}
