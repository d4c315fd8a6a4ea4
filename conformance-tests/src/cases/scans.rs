//! Scans: all that matches, in order, piece by piece, as it was when the scan was opened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom_core::ErrorKind;
use strongroom_core::model::{Expected, Key, RawDocument, Routing, Version};
use strongroom_core::query::{Filter, Order, Sort, SourceFilter};
use strongroom_core::store::{Scan, ScanRequest};

use super::queries::{both, sample};
use super::transactions::{begin, inside};
use crate::context::{Context, not_granted};
use crate::docs::{Docs, key, value_of};
use crate::failure::{During, Failure, Outcome, check, check_eq, refused};

/// Whether the case has something to check.
fn granted(cx: &Context) -> Outcome<bool> {
    if !cx.capabilities().scans {
        not_granted("scans")?;
    }
    Ok(cx.capabilities().scans)
}

fn request(docs: &Docs, filter: Filter, batch: usize) -> ScanRequest {
    let mut request = ScanRequest::new(docs.model().clone(), filter);
    request.batch = batch;
    request
}

/// Opens a scan. A store may need a moment to let go of scans that were dropped.
async fn open(docs: &Docs, request: &ScanRequest) -> Outcome<Box<dyn Scan>> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match docs.store().scan(request.clone()).await {
            Err(error) if error.kind() == ErrorKind::Contended && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            opened => return opened.during("opening a scan"),
        }
    }
}

/// What is left of a scan; checks that no piece is larger than asked for, and that it ends.
async fn rest(scan: &mut Box<dyn Scan>, batch: usize) -> Outcome<Vec<RawDocument>> {
    let mut all = Vec::new();
    for _ in 0..10_000 {
        let piece = scan.next().await.during("the next piece of a scan")?;
        if piece.is_empty() {
            let after = scan.next().await.during("a piece after the last")?;
            check_eq!(after.len(), 0, "documents after the last piece");
            return Ok(all);
        }
        check!(
            piece.len() <= batch,
            "a piece of at most {batch} documents has {}",
            piece.len()
        );
        all.extend(piece);
    }
    Err(Failure::new("10000 pieces did not end the scan"))
}

/// The whole of a scan.
pub(super) async fn whole(docs: &Docs, request: &ScanRequest) -> Outcome<Vec<RawDocument>> {
    let mut scan = open(docs, request).await?;
    rest(&mut scan, request.batch).await
}

/// Keys and bodies, in order.
pub(super) fn contents(documents: &[RawDocument]) -> Outcome<Vec<(Key, Value)>> {
    documents
        .iter()
        .map(|d| Ok((d.key.clone(), value_of(d)?)))
        .collect()
}

/// Creates so many documents, of `n` from 0 on.
async fn fill(docs: &Docs, count: i64) -> Outcome<BTreeMap<Key, Version>> {
    let bodies = (0..count).map(|n| Ok((key(&format!("d{n:03}"))?, json!({"n": n}))));
    docs.create_all(bodies.collect::<Outcome<Vec<_>>>()?).await
}

fn numbers(documents: &[RawDocument]) -> Outcome<Vec<i64>> {
    let number = |d: &RawDocument| Ok(value_of(d)?["n"].as_i64().unwrap_or(i64::MIN));
    documents.iter().map(number).collect()
}

pub(crate) async fn pieces_make_up_the_whole(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let both = both(cx.docs().await?, &sample()?).await?;
    let filters = [
        Filter::all(),
        Filter::Or(vec![]),
        Filter::exists("n")?,
        !Filter::eq("k", "a")?,
    ];
    let sorts = [
        vec![],
        vec![Sort::by_id(Order::Descending)],
        vec![Sort::descending("n".parse()?)],
        vec![
            Sort::ascending("k".parse()?).missing_first(),
            Sort::descending("x".parse()?),
        ],
        vec![Sort::ascending("tags".parse()?)],
    ];
    let sources = [
        SourceFilter::All,
        SourceFilter::Include(vec!["o.*".parse()?, "k".parse()?]),
        SourceFilter::Exclude(vec!["n".parse()?, "o.k".parse()?]),
    ];
    for filter in filters {
        for sort in &sorts {
            for (source, batch) in sources.iter().zip([1, 5, 100]) {
                let mut request = request(&both.docs, filter.clone(), batch);
                (request.sort, request.source) = (sort.clone(), source.clone());
                let found = contents(&whole(&both.docs, &request).await?)?;
                let right = contents(&whole(&both.oracle, &request).await?)?;
                check_eq!(
                    found,
                    right,
                    "a scan of {filter:?} by {sort:?} in pieces of {batch}, against the oracle"
                );
            }
        }
    }
    Ok(())
}

pub(crate) async fn routing(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let documents = [("eu", "b"), ("us", "a"), ("eu", "a"), ("us", "c")]
        .into_iter()
        .map(|(routing, id)| Ok((Key::routed(routing, id)?, json!({"k": routing}))))
        .collect::<Outcome<Vec<_>>>()?;
    let both = both(cx.routed_docs().await?, &documents).await?;
    let mut request = request(&both.docs, Filter::all(), 3);
    let right = contents(&whole(&both.oracle, &request).await?)?;
    let found = contents(&whole(&both.docs, &request).await?)?;
    check_eq!(found, right, "a scan of every routing");
    for (routing, expected) in [("eu", 2), ("us", 2), ("none", 0)] {
        request.routing = Some(Routing::new(routing)?);
        let found = whole(&both.docs, &request).await?;
        check_eq!(
            found.len(),
            expected,
            "what a scan finds under the routing {routing}"
        );
        let right = contents(&whole(&both.oracle, &request).await?)?;
        check_eq!(contents(&found)?, right, "a scan of the routing {routing}");
    }
    Ok(())
}

pub(crate) async fn one_state_while_documents_change(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    for sorted in [false, true] {
        let docs = cx.docs().await?;
        let versions = fill(&docs, 18).await?;
        let mut request = request(&docs, Filter::gte("n", 0)?, 4);
        if sorted {
            request.sort = vec![Sort::ascending("n".parse()?)];
        }
        let mut scan = open(&docs, &request).await?;
        let mut found = scan.next().await.during("the first piece")?;
        check!(!found.is_empty(), "the first piece is empty");
        for (n, at) in versions.keys().enumerate() {
            match n % 3 {
                0 => docs.remove(at, Expected::Any).await?,
                1 => docs
                    .replace(at, &json!({"n": -1, "k": "changed"}), Expected::Present)
                    .await
                    .map(drop)?,
                _ => {
                    let beside = key(&format!("{}-new", at.id().as_str()))?;
                    docs.create(&beside, &json!({"n": 5})).await?;
                }
            }
        }
        docs.refresh().await?;
        found.extend(rest(&mut scan, request.batch).await?);
        check_eq!(
            numbers(&found)?,
            (0..18).collect::<Vec<_>>(),
            "a scan while all changes, sorted: {sorted}"
        );
        for document in &found {
            check_eq!(
                Some(&document.version),
                versions.get(&document.key),
                "the version of {} in a scan that was opened before it changed",
                document.key
            );
        }
        let after = whole(&docs, &request).await?;
        check_eq!(after.len(), 12, "what a scan finds that is opened after");
    }
    Ok(())
}

/// A scan that leaves others the time to write between its pieces.
async fn slowly(docs: &Docs) -> Outcome<Vec<RawDocument>> {
    let mut scan = open(docs, &request(docs, Filter::all(), 1)).await?;
    let mut found = Vec::new();
    loop {
        let piece = scan.next().await.during("a piece among writers")?;
        if piece.is_empty() {
            return Ok(found);
        }
        found.extend(piece);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) async fn one_state_among_writers(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    // A writer counts each document up in turn: in every state, those before its place are one
    // ahead of those behind it.
    let docs = cx.docs().await?;
    let keys: Vec<Key> = fill(&docs, 8).await?.into_keys().collect();
    for at in &keys {
        docs.replace(at, &json!({"n": 0}), Expected::Present)
            .await?;
    }
    docs.refresh().await?;
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (docs, keys, done) = (docs.clone(), keys.clone(), done.clone());
        tokio::spawn(async move {
            for n in 1..10_000_i64 {
                for at in &keys {
                    if done.load(Ordering::SeqCst) {
                        return Ok(());
                    }
                    docs.replace(at, &json!({"n": n}), Expected::Present)
                        .await?;
                }
            }
            Ok::<(), Failure>(())
        })
    };
    let mut outcome = Ok(());
    for _ in 0..6 {
        let found = slowly(&docs).await;
        outcome = found.and_then(|found| {
            let found = numbers(&found)?;
            check_eq!(
                found.len(),
                keys.len(),
                "documents of a scan among writers: {found:?}"
            );
            if cx.capabilities().search_lags {
                // Each shard shows its writes at a moment of its own, and a scan keeps these.
                return Ok(());
            }
            let falls = found.is_sorted_by(|a, b| a >= b);
            let spread = found.first().zip(found.last()).map_or(0, |(a, b)| a - b);
            check!(
                falls && spread <= 1,
                "a scan shows {found:?}, which is no state that ever was"
            );
            Ok(())
        });
        if outcome.is_err() {
            break;
        }
    }
    done.store(true, Ordering::SeqCst);
    writer
        .await
        .map_err(|e| Failure::new(format!("a task ended: {e}")))?
        .during("writing beside scans")?;
    outcome
}

pub(crate) async fn several_at_once(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = cx.docs().await?;
    fill(&docs, 10).await?;
    let mut scans = Vec::new();
    for batch in 1..5_usize {
        // Each is opened in another state.
        docs.create(&key(&format!("e{batch}"))?, &json!({"n": 9 + batch}))
            .await?;
        docs.refresh().await?;
        let scan = open(&docs, &request(&docs, Filter::all(), batch)).await?;
        scans.push((batch, scan, Vec::new()));
    }
    for _ in 0..20 {
        for (_, scan, found) in &mut scans {
            found.extend(
                scan.next()
                    .await
                    .during("a piece of one of several scans")?,
            );
        }
        let count = docs
            .count(Filter::all())
            .await
            .during("counting beside scans")?;
        check_eq!(count, 14, "the count beside open scans");
    }
    for (batch, _, found) in &scans {
        let expected: Vec<i64> = (0..10 + *batch as i64).collect();
        check_eq!(numbers(found)?, expected, "the scan in pieces of {batch}");
    }
    Ok(())
}

pub(crate) async fn dropped_ones_leave_the_store_working(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = cx.docs().await?;
    fill(&docs, 10).await?;
    let request = request(&docs, Filter::all(), 2);
    for n in 0..24 {
        let mut scan = open(&docs, &request).await?;
        if n % 2 == 0 {
            scan.next().await.during("a piece of a scan")?;
        }
        drop(scan);
        // An opening that is cut off leaves nothing either.
        let _opened = crate::cut::polled(docs.store().scan(request.clone()), 1).await;
        docs.replace(&key("d000")?, &json!({"n": 0, "x": n}), Expected::Present)
            .await?;
    }
    check_eq!(
        whole(&docs, &request).await?.len(),
        10,
        "a scan after many that were dropped"
    );
    let mut scan = open(&docs, &request).await?;
    let cut = crate::cut::polled(scan.next(), 1).await;
    if cut.is_none() {
        refused(
            scan.next().await,
            ErrorKind::Cancelled,
            "a piece after a call that was cut off",
        )?;
    }
    Ok(())
}

pub(crate) async fn closed_ones_are_over(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = cx.docs().await?;
    fill(&docs, 5).await?;
    for pieces in [0, 1, 3, 4] {
        let mut scan = open(&docs, &request(&docs, Filter::all(), 2)).await?;
        for _ in 0..pieces {
            scan.next().await.during("a piece")?;
        }
        scan.close().await.during("closing a scan")?;
        let what = format!("a piece after {pieces} of them and the close");
        refused(scan.next().await, ErrorKind::Cancelled, &what)?;
        scan.close().await.during("closing a scan twice")?;
        refused(scan.next().await, ErrorKind::Cancelled, &what)?;
    }
    for batch in [0, 10_001] {
        let checked = super::grants::never_asked(&docs);
        let opened = checked.store().scan(request(&docs, Filter::all(), batch));
        refused(
            opened.await,
            ErrorKind::Invalid,
            format_args!("a scan in pieces of {batch}"),
        )?;
    }
    Ok(())
}

pub(crate) async fn end_with_the_store(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let docs = cx.docs().await?;
    fill(&docs, 9).await?;
    let request = request(&docs, Filter::all(), 1);
    let mut scan = open(&docs, &request).await?;
    scan.next().await.during("a piece")?;
    cx.store().close().await.during("closing the store")?;
    // What was read ahead may still come; an end before the last document may not.
    let mut found = 1;
    loop {
        match scan.next().await {
            Ok(piece) if piece.is_empty() => {
                check_eq!(
                    found,
                    9,
                    "documents of a scan that ended, though the store was closed on its way"
                );
                break;
            }
            Ok(piece) => found += piece.len(),
            Err(_) => {
                refused(
                    scan.next().await,
                    ErrorKind::Cancelled,
                    "a piece after an error",
                )?;
                break;
            }
        }
    }
    refused(
        docs.store().scan(request).await,
        ErrorKind::Unavailable,
        "opening a scan after the store was closed",
    )
    .map(drop)
}

pub(crate) async fn within_transactions(cx: &Context) -> Outcome {
    if !granted(cx)? {
        return Ok(());
    }
    let Some(transact) = super::transactions::granted(cx)? else {
        return Ok(());
    };
    let docs = cx.docs().await?;
    fill(&docs, 4).await?;
    let all = request(&docs, Filter::all(), 2);
    for commits in [false, true] {
        let transaction = begin(&transact).await?;
        let within = inside(&docs, &transaction);
        within.create(&key("e")?, &json!({"n": 4})).await?;
        let mut scan = open(&within, &all).await?;
        let mut found = scan.next().await.during("a piece in a transaction")?;
        // The transaction's other calls go on beside its scan.
        within.present(&key("d000")?).await?;
        found.extend(rest(&mut scan, all.batch).await?);
        check_eq!(
            numbers(&found)?,
            [0, 1, 2, 3, 4],
            "a scan that sees what its transaction wrote"
        );
        let mut late = open(&within, &all).await?;
        late.next().await.during("a piece in a transaction")?;
        drop(within);
        if commits {
            transaction.commit().await.during("committing")?;
        } else {
            transaction.rollback().await.during("rolling back")?;
        }
        refused(
            late.next().await,
            ErrorKind::Cancelled,
            "a piece after the transaction's end",
        )?;
        docs.refresh().await?;
        check_eq!(
            whole(&docs, &all).await?.len(),
            if commits { 5 } else { 4 },
            "a scan after the transaction, committed: {commits}"
        );
    }
    Ok(())
}
