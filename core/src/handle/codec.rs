//! Between values and JSON text: the only place where a handle touches the user's type.
//!
//! Bodies are decoded straight from their bytes and encoded straight to them; a tree of JSON values
//! is built only where two texts differ in a way that bytes cannot tell.

use serde::de::DeserializeOwned;

use super::document::Document;
use super::unknown;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Body, Model, UnknownFields};
use crate::query::SourceFilter;

/// Decodes a document, and refuses unknown fields where the model says so.
pub(crate) fn decode<T: Document>(
    model: &Model,
    body: &Body,
    selection: Option<&SourceFilter>,
) -> Result<T> {
    let decoded = decode_view(body, selection);
    if model.unknown_fields() == UnknownFields::Deny
        && let Ok(value) = &decoded
    {
        unknown::deny(body, value)?;
    }
    // As it came: taking the value out and putting it back would copy it.
    decoded
}

/// Decodes a body, or a part of one, into any type.
pub(crate) fn decode_view<V: DeserializeOwned>(
    body: &Body,
    selection: Option<&SourceFilter>,
) -> Result<V> {
    match body.decode() {
        Err(error) if selection.is_some() && error.message().contains("missing field") => {
            Err(missing_in_selection(error))
        }
        decoded => decoded,
    }
}

/// Says what to do about a field that a selection left out and the type demands.
#[cold]
fn missing_in_selection(error: Error) -> Error {
    Error::new(
        ErrorKind::Codec,
        format!(
            "{}; it was not selected: select it, or make it an Option or #[serde(default)]",
            error.message()
        ),
    )
    .with_source(error)
}

/// Whether two texts that the same type encoded are the same value.
///
/// Maps and sets without an order may encode in another order each time, and then the texts are
/// permutations of each other: only then, when length and sum of bytes agree, are they parsed.
pub(crate) fn same_encoding(a: &Body, b: &Body) -> bool {
    a.as_bytes() == b.as_bytes()
        || (a.len() == b.len()
            && byte_sum(a.as_bytes()) == byte_sum(b.as_bytes())
            && a.same_value(b))
}

/// The sum of the bytes, modulo 2^32.
pub(crate) fn byte_sum(text: &[u8]) -> u32 {
    text.iter()
        .fold(0, |sum, b| sum.wrapping_add(u32::from(*b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Body {
        Body::parse(text.to_owned()).unwrap()
    }

    #[test]
    fn order_of_members_is_no_change() {
        assert!(same_encoding(&body(r#"{"a":1}"#), &body(r#"{"a":1}"#)));
        assert!(same_encoding(
            &body(r#"{"a":1,"b":2}"#),
            &body(r#"{"b":2,"a":1}"#)
        ));
        assert!(!same_encoding(
            &body(r#"{"a":1,"b":2}"#),
            &body(r#"{"a":2,"b":1}"#)
        ));
        assert!(!same_encoding(&body(r#"{"a":1}"#), &body(r#"{"a":12}"#)));
    }
}
