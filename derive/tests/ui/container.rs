//! What is said of a struct.

use strongroom_derive::Document;

#[derive(Document)]
struct NoCollection {
    #[document(id)]
    id: String,
}

#[derive(Document)]
#[document(collection = "Users", crate = strongroom_core)]
struct UpperCase {
    #[document(id)]
    id: String,
}

#[derive(Document)]
#[document(collection = "strongroom_users", crate = strongroom_core)]
struct Reserved {
    #[document(id)]
    id: String,
}

#[derive(Document)]
#[document(collection = "", crate = strongroom_core)]
struct Empty {
    #[document(id)]
    id: String,
}

#[derive(Document)]
#[document(collection = "users", table = "users", crate = strongroom_core)]
struct UnknownAttribute {
    #[document(id)]
    id: String,
}

#[derive(Document)]
#[document(collection = "users", collection = "people", crate = strongroom_core)]
struct Twice {
    #[document(id)]
    id: String,
}

#[derive(Document)]
#[document(collection = "users", unknown = "ignore", crate = strongroom_core)]
struct UnknownFields {
    #[document(id)]
    id: String,
}

#[derive(Document)]
#[document(collection = "users", id = "make_id", crate = strongroom_core)]
struct Quoted {
    name: String,
}

fn main() {}
