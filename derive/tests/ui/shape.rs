//! What the derives are for, and what they are not for.

use strongroom_derive::{Document, Object};

#[derive(Document)]
#[document(collection = "states", crate = strongroom_core)]
enum State {
    Open,
}

#[derive(Document)]
#[document(collection = "pairs", crate = strongroom_core)]
struct Pair(String, u64);

#[derive(Document)]
#[document(collection = "units", crate = strongroom_core)]
struct Unit;

#[derive(Document)]
#[document(collection = "boxed", crate = strongroom_core)]
struct Boxed<T> {
    #[document(id)]
    id: String,
    value: T,
}

#[derive(Document)]
#[document(collection = "borrowed", crate = strongroom_core)]
struct Borrowed<'a> {
    #[document(id)]
    id: &'a str,
}

#[derive(Document)]
union Bits {
    a: u32,
}

#[derive(Object)]
enum Shape {
    Round,
}

#[derive(Object)]
#[document(collection = "addresses", crate = strongroom_core)]
struct Address {
    #[document(id)]
    city: String,
    #[document(created)]
    since: u64,
}

fn main() {}
