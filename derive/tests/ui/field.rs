//! What is said of a field.

use strongroom_derive::Document;

#[derive(Document)]
#[document(collection = "users", crate = strongroom_core)]
struct User {
    #[document(id)]
    id: String,
    #[document(keyword, text)]
    two_kinds: String,
    #[document(index)]
    unknown: String,
    #[document(text, indexed)]
    indexed_text: String,
    #[document(unmapped, indexed)]
    indexed_unmapped: String,
    #[document(unmapped, secret)]
    secret_unmapped: String,
    #[document(unique)]
    unique_tags: Vec<String>,
    #[document(integer)]
    number: String,
    #[document(keyword)]
    word: u64,
    #[document(bytes)]
    picture: Vec<u8>,
    #[document(scaled_float)]
    price: f64,
    #[document(scaled_float(factor = 0))]
    cost: f64,
    #[document(object(closed))]
    object: Object,
    #[document(created, updated)]
    both: Option<Timestamp>,
    #[document(created)]
    other: Option<Timestamp>,
    #[document(updated, keyword)]
    stamp: Option<Timestamp>,
}

fn main() {}
