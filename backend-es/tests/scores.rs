//! Orders by score, on both products: what the engine's scores are, and that places among them are
//! exact.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use strongroom_core::model::{Body, Expected, Key, Model};
use strongroom_core::query::{Cursor, Filter, Sort, Words};
use strongroom_core::store::{
    Bulk, BulkItem, BulkRequest, FindRequest, Page, PageStart, ScanRequest, Schema, Search, Write,
};
use strongroom_es::EsStore;
use support::{builder, ensure, opensearch_url, store_at, url};

async fn fill(store: &EsStore, model: &Arc<Model>, texts: &[(String, String)]) {
    let item = |(id, text): &(String, String)| -> BulkItem {
        let body = Body::parse(json!({"text": text}).to_string()).unwrap();
        Write::put(Key::new(id).unwrap(), body, Expected::Any).into()
    };
    let items = texts.iter().map(item).collect();
    let reply = store.bulk(BulkRequest::new(model.clone(), items)).await;
    for outcome in reply.unwrap().outcomes {
        outcome.unwrap();
    }
    store.refresh(model.name().clone()).await.unwrap();
}

fn words(text: &str) -> Filter {
    Filter::text("text", text, Words::Any).unwrap()
}

fn by_score(model: &Arc<Model>, filter: Filter) -> FindRequest {
    let mut request = FindRequest::new(model.clone(), filter);
    (request.sort, request.limit) = (vec![Sort::by_score()], 1_000);
    request
}

fn ids(page: &Page) -> Vec<String> {
    let documents = page.documents.iter();
    documents.map(|d| d.key.id().to_string()).collect()
}

/// Texts of many lengths, so that there are many different scores, and level ones on all shards.
fn texts() -> Vec<(String, String)> {
    let text = |n: usize| {
        let others = "hen ".repeat(n * 7 % 41);
        let (red, fox) = ("red ".repeat(n % 5), "fox ".repeat(n / 5 % 4));
        (format!("d{n:03}"), format!("{red}{others}{fox}"))
    };
    (0..400).map(text).collect()
}

async fn places_are_exact(store: EsStore) {
    let model = builder().build().unwrap();
    ensure(&store, &model).await;
    fill(&store, &model, &texts()).await;
    let whole = store
        .find(by_score(&model, words("red fox")))
        .await
        .unwrap();
    let different: BTreeSet<u64> = whole.scores.iter().map(|score| score.to_bits()).collect();
    // Many scores, and many documents that share one.
    assert!(different.len() > 50, "{}", different.len());
    assert!(different.len() < whole.scores.len(), "{}", different.len());
    for backward in [false, true] {
        let mut request = by_score(&model, words("red fox"));
        request.limit = 7;
        if backward {
            request.start = PageStart::Last;
        }
        let (mut found, mut scores) = (Vec::new(), Vec::new());
        loop {
            let page = store.find(request.clone()).await.unwrap();
            let next = if backward { &page.previous } else { &page.next };
            let next = next.as_ref().map(|next| next.to_string().parse().unwrap());
            let at = if backward { 0 } else { found.len() };
            found.splice(at..at, ids(&page));
            scores.splice(at..at, page.scores);
            request.start = match next {
                None => break,
                Some(next) if backward => PageStart::Before(next),
                Some(next) => PageStart::After(next),
            };
        }
        assert_eq!(found, ids(&whole), "backward: {backward}");
        assert_eq!(scores, whole.scores, "backward: {backward}");
    }
    store.drop_collection(model.name().clone()).await.unwrap();
}

async fn rare_words_and_short_texts_weigh_more(store: EsStore) {
    let model = builder().build().unwrap();
    ensure(&store, &model).await;
    let text = |id: &str, text: &str| (id.to_owned(), text.to_owned());
    let mut all = vec![
        text("long", &format!("fox {}", "hen ".repeat(60))),
        text("short", "fox hen"),
        text("twin", "fox hen"),
        text("twice", "fox fox"),
        text("rare", "moth hen"),
    ];
    all.extend((0..30).map(|n| text(&format!("other{n}"), "fox and hen and cow")));
    fill(&store, &model, &all).await;
    let page = store
        .find(by_score(&model, words("fox moth")))
        .await
        .unwrap();
    let score = |id: &str| {
        let place = ids(&page).iter().position(|found| found == id);
        page.scores[place.unwrap()]
    };
    assert!(score("rare") > score("twice"), "{:?}", page.scores);
    assert!(score("twice") > score("short"), "{:?}", page.scores);
    assert!(score("short") > score("other7"), "{:?}", page.scores);
    assert!(score("other7") > score("long"), "{:?}", page.scores);
    // Whichever shards they are on.
    assert_eq!(score("short").to_bits(), score("twin").to_bits());
    store.drop_collection(model.name().clone()).await.unwrap();
}

/// A scan by score shows the documents of its beginning, each once, whatever becomes of the scores.
async fn a_scan_stands_still(store: EsStore) {
    let model = builder().build().unwrap();
    ensure(&store, &model).await;
    let texts = texts();
    fill(&store, &model, &texts).await;
    let expected = store
        .find(by_score(&model, words("red fox")))
        .await
        .unwrap();
    let mut request = ScanRequest::new(model.clone(), words("red fox"));
    (request.sort, request.batch) = (vec![Sort::by_score()], 40);
    let mut scan = store.scan(request).await.unwrap();
    let mut found = Vec::new();
    for round in 0.. {
        let piece = scan.next().await.unwrap();
        if piece.is_empty() {
            break;
        }
        found.extend(piece.into_iter().map(|d| d.key.id().to_string()));
        // Everything weighs something else now.
        let changed = texts.iter().skip(round % 7).step_by(3);
        let changed = changed.map(|(id, text)| (id.clone(), format!("fox {text} {round}")));
        fill(&store, &model, &changed.collect::<Vec<_>>()).await;
    }
    assert_eq!(found, ids(&expected));
    store.drop_collection(model.name().clone()).await.unwrap();
}

/// A cursor from outside may hold any number.
async fn places_from_outside(store: EsStore) {
    let model = builder().build().unwrap();
    ensure(&store, &model).await;
    fill(&store, &model, &texts()[..50]).await;
    let request = by_score(&model, words("red"));
    let all = store.find(request.clone()).await.unwrap().documents.len();
    for (score, left) in [(1e300, all), (-1.0, 0), (f64::MAX, all), (5e-324, 0)] {
        let position = strongroom_core::query::Position {
            values: vec![Some(score.into())],
            key: Key::new("zzz").unwrap(),
        };
        let cursor = Cursor::new(position, model.name(), &request.filter, &request.sort, None);
        let mut request = request.clone();
        request.start = PageStart::After(cursor);
        let page = store.find(request).await.unwrap();
        assert_eq!(page.documents.len(), left, "behind the score {score}");
    }
    store.drop_collection(model.name().clone()).await.unwrap();
}

macro_rules! on_both {
    ($($test:ident)*) => {
        mod on_elasticsearch {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(super::store_at(&super::url()).await).await;
            })*
        }

        mod on_opensearch {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(super::store_at(&super::opensearch_url()).await).await;
            })*
        }
    };
}

on_both! {
    places_are_exact
    rare_words_and_short_texts_weigh_more
    a_scan_stands_still
    places_from_outside
}
