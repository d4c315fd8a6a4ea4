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
    let (steps, rest) = text.as_chunks::<16>();
    // Sixteen bytes fit into a `u16`, and summing them up so is one instruction of many processors.
    let of_step = |step: &[u8; 16]| step.iter().map(|byte| u16::from(*byte)).sum::<u16>();
    let of_steps = steps.iter().map(|step| u32::from(of_step(step)));
    let of_rest = rest.iter().map(|byte| u32::from(*byte));
    of_steps.chain(of_rest).fold(0, u32::wrapping_add)
}

/// Both texts without the beginning and the end that they have in common, in steps of some bytes.
pub(crate) fn without_common_ends<'t>(a: &'t [u8], b: &'t [u8]) -> (&'t [u8], &'t [u8]) {
    let begin = common(a.as_chunks().0.iter(), b.as_chunks().0.iter());
    let (a, b) = (a.get(begin..), b.get(begin..));
    let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
    let (from_end_of_a, from_end_of_b) = (a.as_rchunks().1.iter().rev(), b.as_rchunks().1);
    let end = common(from_end_of_a, from_end_of_b.iter().rev());
    let until = |text: &'t [u8]| text.get(..text.len() - end).unwrap_or_default();
    (until(a), until(b))
}

/// How many bytes are the same before the first step that is not.
fn common<'t>(
    a: impl Iterator<Item = &'t [u8; 16]>,
    b: impl Iterator<Item = &'t [u8; 16]>,
) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).count() * 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Body {
        Body::parse(text.to_owned()).unwrap()
    }

    #[test]
    fn ends_in_common_are_left_out() {
        let (a, b) = ([b'a'; 50], [b'b'; 40]);
        assert_eq!(without_common_ends(&a, &b), (&a[..], &b[..]));
        // The same text is all beginning, but for what is no whole word.
        assert_eq!(without_common_ends(&a, &a), (&a[..2], &a[..2]));
        assert_eq!(without_common_ends(&[], &a), (&a[..0], &a[..]));
        let (c, d) = ([&a[..20], b"1", &a[..40]], [&a[..20], b"23", &a[..40]]);
        let (c, d) = (c.concat(), d.concat());
        assert_eq!(without_common_ends(&c, &d), (&c[16..29], &d[16..30]));
        // What is in common is told once, though it be the beginning and the end.
        let (long, short) = ([b'x'; 64], [b'x'; 48]);
        assert_eq!(
            without_common_ends(&long, &short),
            (&long[48..], &short[48..])
        );
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
