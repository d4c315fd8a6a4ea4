//! Cursors on the move: a place in the order of a question is the same place on every engine.

#![allow(
    clippy::unwrap_used,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use serde_json::json;
use strongroom_core::memory::MemoryStore;
use strongroom_core::model::{Body, Expected, Key, RawDocument};
use strongroom_core::query::{Cursor, Filter, Order, Sort};
use strongroom_core::store::{
    EnsureRequest, FindRequest, Page, PageStart, SaveRequest, Schema, Store, Write,
};
use strongroom_es::EsStore;
use support::{builder, opensearch_url, store, store_at};

/// Goes through all pages with the stores taking turns, each on from where the other was.
async fn walk(stores: [&dyn Store; 2], request: &FindRequest) -> Vec<Key> {
    let mut request = request.clone();
    let mut keys = Vec::new();
    for store in stores.into_iter().cycle() {
        let page: Page = store.find(request.clone()).await.unwrap();
        let documents = page.documents.iter();
        keys.extend(documents.map(|document: &RawDocument| document.key.clone()));
        let Some(next) = page.next else { break };
        // As a client holds it.
        let next: Cursor = next.to_string().parse().unwrap();
        request.start = PageStart::After(next);
    }
    keys
}

async fn cursors_of_each_other(store: EsStore) {
    let memory = MemoryStore::new();
    let model = builder().build().unwrap();
    for store in [&memory as &dyn Store, &store] {
        store
            .ensure(EnsureRequest::new(model.clone()))
            .await
            .unwrap();
        for (id, body) in [
            (
                "a",
                json!({"k": "é", "n": i64::MAX, "x": -0.5, "at": 5, "tags": ["q", "b"]}),
            ),
            (
                "b/..",
                json!({"k": "z", "n": i64::MAX - 1, "x": 1e300, "at": -5}),
            ),
            ("c,*", json!({"n": 3, "x": 0.1, "b": true, "tags": []})),
            ("d", json!({"k": "", "n": null, "x": 0.1, "b": false})),
            ("Ω", json!({"k": "é", "n": -7, "at": 0, "tags": ["a", "z"]})),
            ("f", json!({})),
            ("g", json!({"k": 7, "n": "seven"})),
        ] {
            let body = Body::parse(body.to_string()).unwrap();
            let write = Write::put(Key::new(id).unwrap(), body, Expected::Absent);
            let save = SaveRequest::new(model.clone(), write);
            store.save(save).await.unwrap();
        }
        store.refresh(model.name().clone()).await.unwrap();
    }
    let ascending = |field: &str| Sort::ascending(field.parse().unwrap());
    let mut sorts = vec![Vec::new(), vec![Sort::by_id(Order::Descending)]];
    for field in ["k", "n", "x", "b", "at", "tags"] {
        sorts.push(vec![ascending(field).missing_first()]);
        sorts.push(vec![
            Sort::descending(field.parse().unwrap()),
            ascending("k"),
        ]);
    }
    for sort in sorts {
        let mut request = FindRequest::new(model.clone(), Filter::all());
        request.sort = sort;
        let all = walk([&memory, &memory], &request).await;
        assert_eq!(all.len(), 7);
        request.limit = 2;
        let told = format!("{:?}", request.sort);
        assert_eq!(walk([&memory, &store], &request).await, all, "{told}");
        assert_eq!(walk([&store, &memory], &request).await, all, "{told}");
    }
    store.drop_collection(model.name().clone()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_move_to_and_from_elasticsearch() {
    cursors_of_each_other(store().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_move_to_and_from_opensearch() {
    cursors_of_each_other(store_at(&opensearch_url()).await).await;
}
