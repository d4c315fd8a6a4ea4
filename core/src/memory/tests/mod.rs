//! What the in-memory store does, call by call.

mod aggregates;
mod bulk;
mod computed;
mod functions;
mod groups;
mod matching;
mod questions;
mod races;
mod scans;
mod schema;
mod search;
mod transactions;
mod writes;

use std::sync::Arc;

use super::{MemoryOptions, MemoryStore};
use crate::clock::ManualClock;
use crate::error::{Error, Result};
use crate::model::{Body, Expected, FieldDeclaration, Key, Kind, Model, RawDocument, Timestamp};
use crate::store::{
    EnsureRequest, Load, LoadRequest, Receipt, Save, SaveRequest, Schema, Store, Write,
};

fn declared(path: &str, kind: Kind) -> FieldDeclaration {
    FieldDeclaration::new(path.parse().unwrap(), kind)
}

/// A collection with a unique field and some to search by.
fn users() -> Arc<Model> {
    Model::builder("users")
        .field(declared("email", Kind::Keyword).unique())
        .field(declared("n", Kind::Integer))
        .field(declared("tags", Kind::Keyword).many())
        .build()
        .unwrap()
}

/// A store with an ensured collection, on a clock that stands still.
async fn store() -> (MemoryStore, Arc<Model>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000).unwrap()));
    let store = MemoryStore::with_options(MemoryOptions::new().clock(clock.clone()));
    let model = users();
    store
        .ensure(EnsureRequest::new(model.clone()))
        .await
        .unwrap();
    (store, model, clock)
}

fn key(id: &str) -> Key {
    Key::new(id).unwrap()
}

fn body(text: &str) -> Body {
    Body::parse(text.to_owned()).unwrap()
}

async fn save<S: Save + ?Sized>(store: &S, model: &Arc<Model>, write: Write) -> Result<Receipt> {
    store.save(SaveRequest::new(model.clone(), write)).await
}

async fn put<S: Save + ?Sized>(
    store: &S,
    model: &Arc<Model>,
    id: &str,
    text: &str,
    expected: impl Into<Expected>,
) -> Result<Receipt> {
    save(store, model, Write::put(key(id), body(text), expected)).await
}

async fn load<S: Load + ?Sized>(store: &S, model: &Arc<Model>, id: &str) -> Option<RawDocument> {
    let request = LoadRequest::new(model.clone(), vec![key(id)]);
    let mut documents = store.load(request).await.unwrap();
    assert_eq!(documents.len(), 1);
    documents.pop().unwrap()
}

async fn text<S: Load + ?Sized>(store: &S, model: &Arc<Model>, id: &str) -> Option<String> {
    let document = load(store, model, id).await?;
    Some(document.body.as_str().unwrap().to_owned())
}

fn kind<T: std::fmt::Debug>(outcome: Result<T>) -> crate::ErrorKind {
    outcome.unwrap_err().kind()
}
