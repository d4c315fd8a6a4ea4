//! Filters, sorts, pages and counts agree with the oracle: the in-memory store, asked the same.

use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_core::memory::{MemoryOptions, MemoryStore};
use strongroom_core::model::{Body, Expected, Key, Model};
use strongroom_core::query::{Filter, Order, Sort, SourceFilter};
use strongroom_core::store::{
    BulkItem, CountRequest, EnsureRequest, FindRequest, PageStart, Schema, Search, Store, Total,
    Write,
};

use crate::context::Context;
use crate::docs::{Docs, key, value_of};
use crate::failure::{During, Outcome, check, check_eq};
use crate::functions;

/// The same documents in the store and in the oracle.
pub(super) struct Both {
    pub(super) docs: Docs,
    pub(super) oracle: Docs,
}

/// An oracle of its own for a collection.
pub(super) async fn oracle(model: &Arc<Model>) -> Outcome<Docs> {
    let options = MemoryOptions::new().functions(functions::all());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::with_options(options));
    store
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .during("ensuring the oracle's collection")?;
    Ok(Docs::new(store, model.clone()))
}

pub(super) async fn both(docs: Docs, bodies: &[(Key, Value)]) -> Outcome<Both> {
    let oracle = oracle(docs.model()).await?;
    let mut items: Vec<BulkItem> = Vec::new();
    for (at, body) in bodies {
        items.push(Write::put(at.clone(), Body::encode(body)?, Expected::Any).into());
    }
    for docs in [&docs, &oracle] {
        let reply = docs
            .bulk(items.clone())
            .await
            .during("writing the documents")?;
        for outcome in reply.outcomes {
            outcome.during("writing a document")?;
        }
    }
    docs.refresh().await?;
    Ok(Both { docs, oracle })
}

impl Both {
    /// Asks both the same, page by page, and compares all that they answer.
    pub(super) async fn agree(&self, request: &FindRequest) -> Outcome {
        let what = format!(
            "{:?} sorted by {:?}, pages of {}",
            request.filter, request.sort, request.limit
        );
        let (mut ours, mut theirs) = (request.clone(), request.clone());
        for page in 0..200 {
            let what = format!("page {page} of {what}");
            let found = self.docs.find(ours.clone()).await.during(&what)?;
            let right = self
                .oracle
                .find(theirs.clone())
                .await
                .during("the oracle")?;
            let keys = |page: &strongroom_core::store::Page| -> Vec<Key> {
                page.documents.iter().map(|d| d.key.clone()).collect()
            };
            check_eq!(
                keys(&found),
                keys(&right),
                "{what}: the keys, against the oracle's"
            );
            for (found, right) in found.documents.iter().zip(&right.documents) {
                check_eq!(
                    value_of(found)?,
                    value_of(right)?,
                    "{what}: the body of {}, against the oracle's",
                    found.key
                );
            }
            check_eq!(
                found.total,
                right.total,
                "{what}: the total, against the oracle's"
            );
            check_eq!(
                found.next.is_some(),
                right.next.is_some(),
                "{what}: whether a page follows, against the oracle"
            );
            let (Some(next), Some(right_next)) = (found.next, right.next) else {
                let mut request = CountRequest::new(request.model.clone(), request.filter.clone());
                request.routing = ours.routing.clone();
                let count = self
                    .docs
                    .store()
                    .count(request.clone())
                    .await
                    .during(&what)?;
                let right = self
                    .oracle
                    .store()
                    .count(request)
                    .await
                    .during("the oracle")?;
                check_eq!(count, right, "the count of {what}, against the oracle's");
                return Ok(());
            };
            (ours.start, theirs.start) = (PageStart::After(next), PageStart::After(right_next));
            (ours.offset, theirs.offset) = (0, 0);
        }
        check!(false, "{what}: 200 pages did not end it");
        Ok(())
    }
}

/// Documents with every kind of value, and none.
pub(super) fn sample() -> Outcome<Vec<(Key, Value)>> {
    let bodies = [
        json!({}),
        json!({"k": "a", "n": 1, "x": 1.0, "b": true, "at": 0, "tags": ["a"], "o": {"k": "a", "n": 1}}),
        json!({"k": "b", "n": 2, "x": 1.5, "b": false, "at": -1, "tags": ["a", "b"], "o": {"k": "b"}}),
        json!({"k": "ab", "n": -1, "x": -0.0, "at": 1_517_966_773_840_i64, "tags": []}),
        json!({"k": "", "n": 0, "x": 0, "tags": [""], "o": {}}),
        json!({"k": null, "n": null, "x": null, "b": null, "tags": null, "o": null}),
        json!({"k": "ä", "n": i64::MAX, "x": 1e300, "tags": ["z", "a"], "o": {"n": i64::MIN}}),
        json!({"k": "A", "n": 9_007_199_254_740_993_i64, "x": 5e-324, "tags": ["b", "b"]}),
        json!({"k": "a", "n": 9_007_199_254_740_992_i64, "x": 3, "b": true, "tags": ["c", null]}),
        json!({"k": "a\u{308}", "n": 2, "x": -1e300, "b": false, "o": {"k": "", "n": 0}}),
        json!({"k": "🦀", "n": 3, "x": 2, "at": 1, "o": {"k": null, "n": 3}}),
        json!({"k": "a", "n": 1, "x": 1, "b": true, "at": 0, "tags": ["a"], "o": {"k": "a", "n": 1}}),
    ];
    bodies
        .into_iter()
        .enumerate()
        .map(|(n, body)| Ok((key(&format!("d{n:02}"))?, body)))
        .collect()
}

pub(crate) async fn filters_agree(cx: &Context) -> Outcome {
    let both = both(cx.docs().await?, &sample()?).await?;
    let mut filters = vec![
        Filter::all(),
        Filter::Or(vec![]),
        Filter::is_in("k", Vec::<&str>::new())?,
        Filter::is_in("k", ["a", "b", ""])?,
        Filter::is_in("n", [1_i64, i64::MAX, 7])?,
        Filter::is_in("tags", ["a", "z"])?,
        Filter::eq("b", true)?,
        Filter::eq("b", false)?,
        Filter::eq("n", 1.0)?,
        Filter::eq("n", 1.5)?,
        Filter::eq("x", 1)?,
        Filter::eq("x", 0.0)?,
        Filter::eq("n", 9_007_199_254_740_993_i64)?,
        Filter::gt("n", 9_007_199_254_740_992_i64)?,
        Filter::gt("n", 9_007_199_254_740_992.0)?,
        Filter::lt("at", 0)?,
        Filter::gte("at", 0)?.and(Filter::lte("at", 1)?),
        Filter::gt("k", "a")?.and(Filter::lt("k", "b")?),
        Filter::gt("tags", "b")?,
        Filter::gt("tags", "a")?.and(Filter::lt("tags", "b")?),
        Filter::range(
            "tags",
            std::ops::Bound::Excluded("a".into()),
            std::ops::Bound::Excluded("b".into()),
        )?,
        Filter::range("n", std::ops::Bound::Unbounded, std::ops::Bound::Unbounded)?,
        Filter::gt("n", 2)?.and(Filter::lt("n", 1)?),
        Filter::prefix("k", "a")?,
        Filter::prefix("k", "")?,
        Filter::prefix("tags", "b")?,
        Filter::prefix("o.k", "")?,
        Filter::eq("k", "a")?.or(Filter::eq("n", 3)?),
        Filter::eq("o.k", "a")?.and(Filter::eq("o.n", 1)?),
    ];
    for field in ["k", "n", "x", "b", "at", "tags", "o.k", "o.n"] {
        filters.push(Filter::exists(field)?);
    }
    for filter in filters {
        for filter in [filter.clone(), Filter::Not(Box::new(filter))] {
            let mut request = both.docs.query(filter);
            request.total = Total::Exact;
            both.agree(&request).await?;
        }
    }
    Ok(())
}

pub(crate) async fn sorts_agree(cx: &Context) -> Outcome {
    let both = both(cx.docs().await?, &sample()?).await?;
    let mut sorts = vec![
        vec![Sort::by_id(Order::Ascending)],
        vec![Sort::by_id(Order::Descending)],
    ];
    for field in ["k", "n", "x", "b", "at", "tags", "o.k", "o.n"] {
        for sort in [
            Sort::ascending(field.parse()?),
            Sort::descending(field.parse()?),
        ] {
            sorts.push(vec![sort.clone()]);
            sorts.push(vec![sort.clone().missing_first()]);
            sorts.push(vec![sort.clone(), Sort::descending("n".parse()?)]);
            sorts.push(vec![sort, Sort::by_id(Order::Descending)]);
        }
    }
    for sort in sorts {
        for limit in [1, 5, 100] {
            let mut request = both.docs.query(Filter::all());
            (request.sort, request.limit) = (sort.clone(), limit);
            both.agree(&request).await?;
        }
    }
    Ok(())
}

pub(crate) async fn pages_agree(cx: &Context) -> Outcome {
    let both = both(cx.docs().await?, &sample()?).await?;
    for limit in [1, 2, 3, 4, 6, 11, 12, 13] {
        for offset in [0, 1, 11, 12, 13] {
            for total in [Total::None, Total::Exact] {
                let mut request = both.docs.query(Filter::all());
                (request.limit, request.offset, request.total) = (limit, offset, total);
                both.agree(&request).await?;
                request.filter = Filter::exists("n")?;
                request.sort = vec![Sort::descending("n".parse()?)];
                both.agree(&request).await?;
            }
        }
    }
    // A page that selects a part of the bodies pages on all the same.
    let mut request = both.docs.query(Filter::all());
    request.source = SourceFilter::Include(vec!["k".parse()?]);
    request.sort = vec![Sort::ascending("n".parse()?)];
    request.limit = 5;
    both.agree(&request).await
}

pub(crate) async fn pages_hold_while_documents_change(cx: &Context) -> Outcome {
    let both = both(cx.docs().await?, &sample()?).await?;
    let docs = &both.docs;
    let mut request = docs.query(Filter::all());
    request.limit = 5;
    let first = docs.find(request.clone()).await.during("the first page")?;
    // What the first page showed goes; the second begins where it ended all the same.
    for document in &first.documents {
        docs.remove(&document.key, Expected::Any).await?;
    }
    docs.create(&key("d02")?, &json!({"n": 5})).await?;
    docs.refresh().await?;
    request.start = first.next.into();
    let second = docs.find(request).await.during("the second page")?;
    let found: Vec<&str> = second
        .documents
        .iter()
        .map(|d| d.key.id().as_str())
        .collect();
    check_eq!(
        found,
        ["d05", "d06", "d07", "d08", "d09"],
        "the second page"
    );
    Ok(())
}

pub(crate) async fn at_most_totals(cx: &Context) -> Outcome {
    let both = both(cx.docs().await?, &sample()?).await?;
    for (most, at_least) in [(5, 5), (12, 12), (100, 12)] {
        let mut request = both.docs.query(Filter::all());
        (request.limit, request.total) = (1, Total::AtMost(most));
        let page = both
            .docs
            .find(request)
            .await
            .during("counting up to a bound")?;
        let Some(total) = page.total else {
            check!(false, "a total up to {most} was asked for, and none came");
            return Ok(());
        };
        check!(
            total.value >= at_least && total.value <= 12 && (!total.exact || total.value == 12),
            "of 12 documents, counted up to {most}: found {total:?}"
        );
    }
    Ok(())
}
