//! What the key is made of.

use strongroom_derive::Document;

#[derive(Document)]
#[document(collection = "users", crate = strongroom_core)]
struct NoId {
    name: String,
}

#[derive(Document)]
#[document(collection = "users", crate = strongroom_core)]
struct TwoIds {
    #[document(id)]
    first: String,
    #[document(id)]
    second: String,
}

#[derive(Document)]
#[document(collection = "users", id = make_id, crate = strongroom_core)]
struct HeldAndComputed {
    #[document(id)]
    id: String,
}

#[derive(Document)]
#[document(collection = "users", routing = region, crate = strongroom_core)]
struct RoutedTwice {
    #[document(id)]
    id: String,
    #[document(routing)]
    region: String,
}

#[derive(Document)]
#[document(collection = "users", crate = strongroom_core)]
struct IdIsRouting {
    #[document(id, routing)]
    id: String,
}

#[derive(Document)]
#[document(collection = "users", crate = strongroom_core)]
struct OtherSource {
    #[document(id(drawn))]
    id: String,
}

#[derive(Document)]
#[document(collection = "users", crate = strongroom_core)]
struct SecretId {
    #[document(id, secret)]
    id: String,
}

fn main() {}
