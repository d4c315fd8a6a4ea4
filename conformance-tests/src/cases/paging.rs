//! Pages while others write, the cursors of other queries, and pages within a routing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use strongroom_core::ErrorKind;
use strongroom_core::model::{Expected, Key, Routing};
use strongroom_core::query::{Filter, Order, Sort};
use strongroom_core::store::{CountRequest, FindRequest, PageStart, Total};

use super::queries::both;
use crate::context::Context;
use crate::docs::{Docs, key};
use crate::failure::{During, Failure, Outcome, check, check_eq, refused};

/// Makes documents come and go, all with values that others have too, until told to stop.
async fn come_and_go(docs: Docs, task: usize, done: Arc<AtomicBool>) -> Outcome {
    for round in 0..100_000_usize {
        for n in 0..4_i64 {
            if done.load(Ordering::SeqCst) {
                return Ok(());
            }
            let at = key(&format!("s{:02}-{task}", (round * 7 + n as usize * 5) % 24))?;
            let outcome = if round % 2 == 0 {
                let body = if n == 3 { json!({}) } else { json!({"n": n}) };
                docs.put(&at, &body, Expected::Any).await
            } else {
                docs.delete(&at, Expected::Any).await
            };
            match outcome {
                Err(e) if e.kind() != ErrorKind::Contended => {
                    return Err(Failure::from(e).during("writing beside pages"));
                }
                _ => tokio::task::yield_now().await,
            }
        }
    }
    Ok(())
}

/// Walks a query from one end to the other and hands out the keys in the order in which they came.
async fn walk(docs: &Docs, mut request: FindRequest, backward: bool) -> Outcome<Vec<Key>> {
    let mut seen = Vec::new();
    if backward {
        request.start = PageStart::Last;
    }
    for _ in 0..1_000 {
        let page = docs.find(request.clone()).await.during("a page")?;
        check!(
            page.documents.len() <= request.limit,
            "a page of at most {} documents has {}",
            request.limit,
            page.documents.len()
        );
        let on = if backward {
            seen.extend(page.documents.iter().rev().map(|d| d.key.clone()));
            page.previous.map(PageStart::Before)
        } else {
            seen.extend(page.documents.iter().map(|d| d.key.clone()));
            page.next.map(PageStart::After)
        };
        match on {
            Some(on) => request.start = on,
            None => return Ok(seen),
        }
    }
    Err(Failure::new("1000 pages did not end the query"))
}

pub(crate) async fn no_document_twice_or_missing(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let bodies = (0..24).map(|n| {
        let body = if n % 4 == 3 {
            json!({})
        } else {
            json!({"n": n % 4})
        };
        Ok((key(&format!("s{n:02}"))?, body))
    });
    let stable = docs
        .create_all(bodies.collect::<Outcome<Vec<_>>>()?)
        .await?;
    let stable: BTreeSet<Key> = stable.into_keys().collect();
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..2)
        .map(|task| tokio::spawn(come_and_go(docs.clone(), task, done.clone())))
        .collect();
    let mut outcome = Ok(());
    let sort = |ascending: bool, first: bool| -> Outcome<Sort> {
        let path = "n".parse()?;
        let sort = if ascending {
            Sort::ascending(path)
        } else {
            Sort::descending(path)
        };
        Ok(if first { sort.missing_first() } else { sort })
    };
    'all: for sorts in [
        vec![],
        vec![sort(true, false)?],
        vec![sort(false, false)?],
        vec![sort(true, true)?],
        vec![sort(false, true)?, Sort::by_id(Order::Descending)],
    ] {
        for limit in [1, 3, 7] {
            for backward in [false, true] {
                if backward && !cx.capabilities().backward_pages {
                    continue;
                }
                let mut request = docs.query(Filter::all());
                (request.sort, request.limit) = (sorts.clone(), limit);
                outcome = walk(&docs, request, backward).await.and_then(|mut seen| {
                    let what = format!(
                        "pages of {limit} by {sorts:?} while others write, backward: {backward}"
                    );
                    seen.retain(|at| stable.contains(at));
                    let distinct: BTreeSet<_> = seen.iter().cloned().collect();
                    check_eq!(seen.len(), distinct.len(), "{what}: documents seen twice");
                    check_eq!(distinct, stable, "{what}: the documents that stayed");
                    Ok(())
                });
                if outcome.is_err() {
                    break 'all;
                }
            }
        }
    }
    done.store(true, Ordering::SeqCst);
    for writer in writers {
        writer
            .await
            .map_err(|e| Failure::new(format!("a task ended: {e}")))??;
    }
    outcome
}

pub(crate) async fn cursors_of_other_queries(cx: &Context) -> Outcome {
    let docs = cx.docs().await?;
    let others = cx.docs().await?;
    for n in 0..6 {
        for docs in [&docs, &others] {
            docs.create(&key(&format!("d{n}"))?, &json!({"n": n, "k": "v"}))
                .await?;
        }
    }
    docs.refresh().await?;
    others.refresh().await?;
    let mut request = docs.query(Filter::gte("n", 0)?);
    (request.limit, request.sort) = (2, vec![Sort::ascending("n".parse()?)]);
    let page = docs.find(request.clone()).await.during("a page")?;
    let Some(cursor) = page.next else {
        return Err(Failure::new("a page of 2 of 6 documents has no next one"));
    };
    request.start = PageStart::After(cursor.clone());
    // A cursor survives its text form, as one that went to a client and back.
    let again = cursor.to_string().parse()?;
    request.start = PageStart::After(again);
    let page = docs.find(request.clone()).await.during("the next page")?;
    check_eq!(page.documents.len(), 2, "the page behind a cursor's text");
    let mut foreign = Vec::new();
    let mut other = request.clone();
    other.filter = Filter::gte("n", 1)?;
    foreign.push(("filter", other));
    let mut other = request.clone();
    other.sort = vec![Sort::descending("n".parse()?)];
    foreign.push(("order", other));
    let mut other = request.clone();
    other.sort = vec![Sort::ascending("n".parse()?).missing_first()];
    foreign.push(("place of missing values", other));
    let mut other = request.clone();
    other.sort = vec![Sort::ascending("k".parse()?)];
    foreign.push(("sort key", other));
    let mut other = request.clone();
    other.sort = vec![];
    foreign.push(("number of sort keys", other));
    let mut other = request.clone();
    other.model = others.model().clone();
    foreign.push(("collection", other));
    for (what, request) in foreign {
        let mut starts = vec![request.start.clone()];
        if cx.capabilities().backward_pages {
            starts.push(PageStart::Before(cursor.clone()));
        }
        for start in starts {
            let mut request = request.clone();
            request.start = start;
            refused(
                docs.find(request).await,
                ErrorKind::Invalid,
                format_args!("the cursor of a query with another {what}"),
            )?;
        }
    }
    Ok(())
}

pub(crate) async fn routing(cx: &Context) -> Outcome {
    let mut documents = Vec::new();
    for n in 0..12 {
        let routing = ["eu", "us", "ap"][n % 3];
        let id = format!("d{}", n / 2);
        documents.push((Key::routed(routing, id)?, json!({"n": n % 2, "k": routing})));
    }
    let both = both(cx.routed_docs().await?, &documents).await?;
    for wanted in [Some("eu"), Some("us"), Some("none"), None] {
        let wanted = wanted.map(Routing::new).transpose()?;
        for sort in [vec![], vec![Sort::descending("n".parse()?)]] {
            let mut request = both.docs.query(Filter::exists("n")?);
            (request.sort, request.limit, request.total) = (sort, 3, Total::Exact);
            request.routing = wanted.clone();
            both.agree(&request).await?;
        }
        let mut request = CountRequest::new(both.docs.model().clone(), Filter::all());
        request.routing = wanted.clone();
        let count = both.docs.store().count(request).await.during("counting")?;
        let expected = match wanted.as_ref().map(Routing::as_str) {
            None => 12,
            Some("none") => 0,
            Some(_) => 4,
        };
        check_eq!(count, expected, "the count of the routing {wanted:?}");
    }
    let mut request = both.docs.query(Filter::all());
    (request.limit, request.routing) = (2, Some(Routing::new("eu")?));
    let page = both.docs.find(request.clone()).await.during("a page")?;
    request.start = page.next.into();
    request.routing = Some(Routing::new("us")?);
    refused(
        both.docs.find(request).await,
        ErrorKind::Invalid,
        "the cursor of a query of another routing",
    )
    .map(drop)
}
