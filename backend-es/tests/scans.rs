//! Points in time on a real server: what is given up, and what is let go.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests end by panicking; outside of a test function the lints do not know one"
)]

#[allow(unreachable_pub, dead_code, reason = "shared by test programs")]
mod support;

use std::sync::Arc;

use strongroom_core::ErrorKind;
use strongroom_core::model::{Body, Expected, Key, Model};
use strongroom_core::query::Filter;
use strongroom_core::store::{Save, SaveRequest, ScanRequest, Schema, Search, Write};
use strongroom_es::EsStore;
use support::{builder, ensure, opensearch_url, store, store_at};

async fn filled(store: &EsStore) -> Arc<Model> {
    let model = builder().build().unwrap();
    ensure(store, &model).await;
    for n in 0..6 {
        let key = Key::new(format!("d{n}")).unwrap();
        let write = Write::put(key, Body::parse("{}").unwrap(), Expected::Absent);
        let save = SaveRequest::new(model.clone(), write);
        store.save(save).await.unwrap();
    }
    store.refresh(model.name().clone()).await.unwrap();
    model
}

async fn a_scan_that_the_engine_gave_up_is_an_error(store: EsStore) {
    let model = filled(&store).await;
    let mut request = ScanRequest::new(model.clone(), Filter::all());
    request.batch = 2;
    let mut scan = store.scan(request).await.unwrap();
    assert_eq!(scan.next().await.unwrap().len(), 2);
    store.drop_collection(model.name().clone()).await.unwrap();
    let error = loop {
        // What the engine still holds for a moment is handed out, but never a short answer.
        match scan.next().await {
            Ok(piece) => assert_eq!(piece.len(), 2),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let error = scan.next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    scan.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn elasticsearch_gives_a_scan_up() {
    a_scan_that_the_engine_gave_up_is_an_error(store().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opensearch_gives_a_scan_up() {
    a_scan_that_the_engine_gave_up_is_an_error(store_at(&opensearch_url()).await).await;
}
