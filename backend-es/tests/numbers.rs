//! Numbers that the engine's types do not tell from their neighbours, on real servers: they sort,
//! compare and make buckets as they do in memory.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_core::memory::MemoryStore;
use strongroom_core::model::{Body, Expected, FieldDeclaration, Key, Kind, Model};
use strongroom_core::query::{Aggregation, Aggregations, Filter, MissingValues, Sort, TermsOrder};
use strongroom_core::store::{
    AggregateRequest, BulkItem, BulkRequest, EnsureRequest, FindRequest, GroupRequest, PageStart,
    Refresh, Search, Store, Write,
};
use strongroom_es::EsStore;
use support::{builder, opensearch_url, store, store_at};

const P53: i64 = 1 << 53;

/// Bodies with numbers next to one another, of which some are held alike by the engine.
fn bodies() -> Vec<Value> {
    let mut bodies = Vec::new();
    for n in [
        json!(2),
        json!(2.5),
        json!(2.25),
        json!(3),
        json!(3.0),
        json!(-2.5),
        json!(-3),
        json!(P53),
        json!(P53 + 1),
        json!(i64::MAX),
        json!(i64::MAX - 1),
        json!(i64::MAX - 2),
        json!(i64::MAX - 3),
        json!(1e300),
        json!(i64::MIN),
        json!(i64::MIN + 1),
        json!(i64::MIN + 2),
        json!(-1e300),
        json!(null),
        json!("2"),
        json!([3, 2.5]),
        json!([2]),
        json!([2, 2.5]),
    ] {
        bodies.push(json!({"n": n, "o": {"n": n}}));
    }
    for x in [
        json!(P53 - 1),
        json!(P53),
        json!(P53 + 1),
        json!(P53 + 2),
        json!(P53 + 3),
        json!(9_007_199_254_740_992.0),
        json!(-P53 - 1),
        json!(-P53 - 2),
        json!(-0.0),
        json!(0),
        json!(f64::MAX),
        json!(i64::MAX),
        json!(9_223_372_036_854_775_808.0),
    ] {
        bodies.push(json!({"x": x, "z.z": 1}));
    }
    bodies
}

fn values() -> Vec<strongroom_core::model::Scalar> {
    let bodies = bodies();
    let values = bodies.iter().flat_map(|body| [&body["n"], &body["x"]]);
    values
        .filter(|value| value.is_number())
        .filter_map(strongroom_core::model::Scalar::from_json)
        .collect()
}

async fn fill(store: &dyn Store, model: &Arc<Model>) {
    store
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .unwrap();
    let items = bodies().into_iter().enumerate().map(|(n, body)| {
        // Ids that are in no order of the numbers.
        let key = Key::new(format!("d{:02}", n * 17 % 41)).unwrap();
        let body = Body::parse(body.to_string()).unwrap();
        BulkItem::Write(Write::put(key, body, Expected::Absent))
    });
    let mut request = BulkRequest::new(model.clone(), items.collect());
    request.refresh = Refresh::Now;
    for outcome in store.bulk(request).await.unwrap().outcomes {
        outcome.unwrap();
    }
}

async fn ids(store: &dyn Store, request: &FindRequest) -> Vec<String> {
    let page = store.find(request.clone()).await.unwrap();
    let ids = page
        .documents
        .iter()
        .map(|d| d.key.id().as_str().to_owned());
    ids.collect()
}

/// All ids in the order of a sort, in pages of three, and backwards again.
async fn all_ids(store: &dyn Store, model: &Arc<Model>, sort: &Sort) -> Vec<String> {
    let mut request = FindRequest::new(model.clone(), Filter::all());
    request.sort = vec![sort.clone()];
    request.limit = 3;
    let mut pages = Vec::new();
    loop {
        let page = store.find(request.clone()).await.unwrap();
        pages.push(page.documents);
        match page.next {
            Some(next) => request.start = PageStart::After(next),
            None => break,
        }
    }
    let id = |d: &strongroom_core::model::RawDocument| d.key.id().as_str().to_owned();
    let forwards: Vec<String> = pages.iter().flatten().map(id).collect();
    request.start = PageStart::Last;
    let mut backwards: Vec<String> = Vec::new();
    loop {
        let page = store.find(request.clone()).await.unwrap();
        backwards.splice(0..0, page.documents.iter().map(id));
        match page.previous {
            Some(previous) => request.start = PageStart::Before(previous),
            None => break,
        }
    }
    assert_eq!(forwards, backwards, "{sort:?}");
    forwards
}

async fn as_in_memory(store: EsStore) {
    let model = builder()
        .field(FieldDeclaration::new("o.n".parse().unwrap(), Kind::Integer))
        .build()
        .unwrap();
    let memory = MemoryStore::new();
    fill(&store, &model).await;
    fill(&memory, &model).await;

    for field in ["n", "x", "o.n"] {
        let path = || field.parse().unwrap();
        for sort in [Sort::ascending(path()), Sort::descending(path())] {
            for missing in [MissingValues::First, MissingValues::Last] {
                let mut sort = sort.clone();
                sort.missing = missing;
                let there = all_ids(&store, &model, &sort).await;
                assert_eq!(there, all_ids(&memory, &model, &sort).await, "{sort:?}");
            }
        }
        let values = values();
        for value in &values {
            for filter in [
                Filter::eq(field, value.clone()),
                Filter::gt(field, value.clone()),
                Filter::gte(field, value.clone()),
                Filter::lt(field, value.clone()),
                Filter::lte(field, value.clone()),
            ] {
                let request = FindRequest::new(model.clone(), filter.unwrap());
                let there = ids(&store, &request).await;
                assert_eq!(there, ids(&memory, &request).await, "{:?}", request.filter);
            }
        }
        let filter = Filter::is_in(field, values).unwrap();
        let request = FindRequest::new(model.clone(), filter);
        assert_eq!(ids(&store, &request).await, ids(&memory, &request).await);

        let all = Aggregations::from([
            ("min".to_owned(), Aggregation::Min { field: path() }),
            ("max".to_owned(), Aggregation::Max { field: path() }),
            (
                "count".to_owned(),
                Aggregation::Cardinality { field: path() },
            ),
            (
                "terms".to_owned(),
                Aggregation::Terms {
                    field: path(),
                    size: 50,
                    order: TermsOrder::KeyAscending,
                    within: Aggregations::new(),
                },
            ),
        ]);
        let request = AggregateRequest::new(model.clone(), Filter::all(), all);
        let there = store.aggregate(request.clone()).await.unwrap();
        let here = memory.aggregate(request).await.unwrap();
        assert_eq!(format!("{there:?}"), format!("{here:?}"));
        let groups = async |store: &dyn Store| {
            let request = GroupRequest::new(model.clone(), Filter::all(), path());
            let groups = store.group(request).await.unwrap().groups;
            let groups = groups.into_iter().map(|group| {
                let first = group.documents[0].document.key.to_string();
                (format!("{:?}", group.key), first)
            });
            groups.collect::<Vec<_>>()
        };
        assert_eq!(groups(&store).await, groups(&memory).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_in_memory_on_elasticsearch() {
    as_in_memory(store().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_in_memory_on_opensearch() {
    as_in_memory(store_at(&opensearch_url()).await).await;
}
