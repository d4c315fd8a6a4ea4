//! What several tests begin with.
#![allow(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::sync::Arc;

use serde_json::Value;
use strongroom_core::model::{Body, Expected, Key, Model};
use strongroom_core::store::{BulkRequest, EnsureRequest, Store, Write};

/// Creates the collection with one document for each body.
pub(crate) async fn fill(store: &dyn Store, model: &Arc<Model>, bodies: &[Value]) {
    store
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .unwrap();
    let items = bodies.iter().enumerate().map(|(at, body)| {
        let key = if model.is_routed() {
            Key::routed(format!("r{}", at % 2), format!("k{}", at / 2)).unwrap()
        } else {
            Key::new(format!("k{at}")).unwrap()
        };
        Write::put(key, Body::encode(body).unwrap(), Expected::Absent).into()
    });
    let reply = store
        .bulk(BulkRequest::new(model.clone(), items.collect()))
        .await
        .unwrap();
    assert!(reply.is_ok(), "{reply:?}");
}
