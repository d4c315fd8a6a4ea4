//! What serde says that cannot work.

use serde::{Deserialize, Serialize};
use strongroom_derive::Document;

type Address = String;
type Duration = String;

#[derive(Document, Serialize, Deserialize)]
#[document(collection = "users", crate = strongroom_core)]
#[serde(rename_all(serialize = "camelCase", deserialize = "snake_case"))]
struct RenamedApart {
    #[document(id)]
    id: String,
    #[serde(rename(serialize = "a", deserialize = "b"))]
    apart: String,
    #[serde(rename = "a.b")]
    dotted: String,
    #[serde(rename = "x")]
    first: String,
    #[serde(rename = "x")]
    second: String,
    #[serde(rename = "a*")]
    star: String,
    #[serde(flatten)]
    flat: Address,
    #[serde(with = "serde_str")]
    custom: Duration,
    #[serde(skip)]
    #[document(indexed)]
    skipped: String,
}

#[derive(Document, Serialize, Deserialize)]
#[document(collection = "users", crate = strongroom_core)]
#[serde(transparent)]
struct Transparent {
    #[document(id)]
    id: String,
}

#[derive(Document, Serialize, Deserialize)]
#[document(collection = "users", crate = strongroom_core)]
#[serde(deny_unknown_fields)]
struct Denied {
    #[document(id)]
    id: String,
}

mod serde_str {
    pub fn serialize<S: serde::Serializer>(_: &str, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_unit()
    }
    pub fn deserialize<'de, D: serde::Deserializer<'de>>(_: D) -> Result<String, D::Error> {
        Ok(String::new())
    }
}

fn main() {}
