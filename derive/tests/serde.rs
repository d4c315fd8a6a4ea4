//! The names that the derive declares are those that serde writes.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "these are tests, and fields are there to be declared"
)]

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use strongroom_core::handle::Document;
use strongroom_derive::{Document, Object};

/// Declares one document for each rule, so that serde itself is asked.
macro_rules! renamed {
    ($($module:ident: $rule:literal,)*) => {
        $(mod $module {
            use super::*;

            #[derive(Document, Serialize, Deserialize, Default)]
            #[document(collection = "renamed", crate = strongroom_core)]
            #[serde(rename_all = $rule)]
            struct Renamed {
                #[document(id)]
                id: String,
                first_name: String,
                a: u8,
                x_y_z9: u8,
                r#type: bool,
                größe: f64,
                #[serde(rename = "given Name")]
                given: String,
                inner: Inner,
                #[serde(skip)]
                skipped: Option<std::time::Instant>,
                #[serde(skip_serializing)]
                unwritten: u8,
                #[serde(default, alias = "older")]
                newer: u8,
            }

            #[derive(Object, Serialize, Deserialize, Default)]
            #[document(crate = strongroom_core)]
            #[serde(rename_all(serialize = $rule, deserialize = $rule))]
            struct Inner {
                second_name: String,
            }

            #[test]
            fn declares_what_serde_writes() {
                check(&Renamed::default());
                assert_eq!(
                    Renamed::fields().given().path().as_str(),
                    "given Name"
                );
            }
        })*
    };
}

renamed! {
    lower: "lowercase",
    upper: "UPPERCASE",
    pascal: "PascalCase",
    camel: "camelCase",
    snake: "snake_case",
    screaming_snake: "SCREAMING_SNAKE_CASE",
    kebab: "kebab-case",
    screaming_kebab: "SCREAMING-KEBAB-CASE",
}

fn check<T: Document>(document: &T) {
    let json = serde_json::to_value(document).unwrap();
    let mut written = BTreeSet::new();
    for (name, value) in json.as_object().unwrap() {
        written.insert(name.clone());
        for inner in value.as_object().into_iter().flatten() {
            written.insert(format!("{name}.{}", inner.0));
        }
    }
    let model = T::model().unwrap();
    let declared: BTreeSet<_> = model.fields().map(|f| f.path.to_string()).collect();
    assert_eq!(declared, written);
}
