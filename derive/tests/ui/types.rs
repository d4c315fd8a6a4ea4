//! What only the types can tell.

use serde::{Deserialize, Serialize};
use strongroom_core::handle::{Database, Lazy};
use strongroom_derive::{Document, Object};

#[derive(Serialize, Deserialize)]
struct Plain {
    x: u64,
}

#[derive(Serialize, Deserialize, Object)]
#[document(crate = strongroom_core)]
struct Declared {
    x: u64,
}

#[derive(Serialize, Deserialize, Document)]
#[document(collection = "kinds", crate = strongroom_core)]
struct Kinds {
    #[document(id)]
    id: String,
    no_kind: Plain,
    #[document(object)]
    not_declared: Plain,
    #[document(indexed)]
    object: Declared,
}

#[derive(Serialize, Deserialize, Document)]
#[document(collection = "keys", crate = strongroom_core)]
struct Keys {
    #[document(id)]
    id: f64,
}

#[derive(Serialize, Deserialize, Document)]
#[document(collection = "generated", crate = strongroom_core)]
struct Generated {
    #[document(id(generated))]
    id: u64,
}

#[derive(Serialize, Deserialize, Document)]
#[document(collection = "stamps", crate = strongroom_core)]
struct Stamps {
    #[document(id)]
    id: String,
    #[document(created)]
    created: u64,
}

#[derive(Serialize, Deserialize, Document)]
#[document(collection = "lazy", crate = strongroom_core)]
struct LazyDocument {
    #[document(id)]
    id: String,
    #[document(lazy = wrong)]
    #[serde(default, skip_serializing_if = "Lazy::is_hidden")]
    wrong: Lazy<u64>,
}

async fn wrong(_: &Database, _: &[&LazyDocument]) -> strongroom_core::Result<Vec<String>> {
    Ok(Vec::new())
}

fn main() {}
