//! Lazy properties.

use serde::{Deserialize, Serialize};
use strongroom_core::handle::Lazy;
use strongroom_derive::{Document, Object};

#[derive(Document, Serialize, Deserialize)]
#[document(collection = "users", crate = strongroom_core)]
struct User {
    #[document(id)]
    id: String,
    nobody_computes: Lazy<u64>,
    #[document(lazy = compute)]
    would_be_stored: Lazy<u64>,
    #[document(lazy = compute)]
    not_lazy: u64,
    #[document(lazy = compute, indexed)]
    #[serde(default, skip_serializing_if = "Lazy::is_hidden")]
    indexed: Lazy<u64>,
}

#[derive(Object, Serialize, Deserialize)]
#[document(crate = strongroom_core)]
struct Address {
    #[document(lazy = compute)]
    #[serde(default, skip_serializing_if = "Lazy::is_hidden")]
    distance: Lazy<u64>,
}

fn main() {}
