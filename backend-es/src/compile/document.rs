//! From a key and a body to what is stored.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use strongroom_core::model::{Body, Key, Kind, Model, Scalar, WriteId};
use strongroom_core::query::FieldReader;
use strongroom_core::{Error, ErrorKind, Result};

use super::path::field_name;
use super::sort_key;

/// Longest beginning of a keyword that is indexed; the engine refuses terms over 32,766 bytes.
///
/// Filters compare with at most 1,024 bytes, so they answer alike for what is cut off here.
const MAX_TERM_BYTES: usize = 32_000;

/// The id under which the engine keeps a document: the id itself, or for a routed key the length
/// of the routing, a colon, the routing and the id. No two keys share one.
pub(crate) fn document_id(key: &Key) -> Cow<'_, str> {
    let id = key.id().as_str();
    match key.routing() {
        None => Cow::Borrowed(id),
        Some(routing) => {
            let routing = routing.as_str();
            Cow::Owned(format!("{}:{routing}{id}", routing.len()))
        }
    }
}

#[derive(Serialize)]
struct Source<'a> {
    k: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    r: Option<&'a str>,
    w: String,
    f: Map<String, Value>,
    lo: Map<String, Value>,
    hi: Map<String, Value>,
    e: Vec<&'a str>,
    body: &'a RawValue,
}

/// The stored form of a document, as one line.
///
/// # Errors
///
/// `Unsupported`, naming the field, if one declared as an integer holds a number that is none: the
/// engine could not find it by its value.
pub(crate) fn source(model: &Model, key: &Key, body: &Body, write_id: WriteId) -> Result<Vec<u8>> {
    let object = body.to_object()?;
    let (mut f, mut lo, mut hi) = (Map::new(), Map::new(), Map::new());
    let mut e = Vec::new();
    for field in model.fields() {
        let reader = FieldReader::of(&field.path, field.kind);
        if reader.exists(&object) {
            e.push(field.path.as_str());
        }
        if !field.kind.is_comparable() {
            continue;
        }
        let values: Vec<Value> = reader
            .values(&object)
            .into_iter()
            .map(|value| {
                indexed(field.kind, value).ok_or_else(|| {
                    Error::unsupported(format_args!(
                        "a number with a fraction or beyond i64 in field {}, which is declared as {}",
                        field.path,
                        field.kind.as_str()
                    ))
                })
            })
            .collect::<Result<_>>()?;
        if values.is_empty() {
            continue;
        }
        let name = field_name(&field.path);
        for (keys, extreme) in [(&mut lo, Ordering::Less), (&mut hi, Ordering::Greater)] {
            let key = reader.extreme(&object, extreme);
            if let Some(key) = key.and_then(|value| sort_key::encode(field.kind, &value)) {
                keys.insert(name.clone(), key.into());
            }
        }
        f.insert(name, Value::Array(values));
    }
    let codec = |e: serde_json::Error| {
        Error::new(ErrorKind::Codec, format!("document does not encode: {e}")).with_source(e)
    };
    let body: &RawValue = serde_json::from_slice(body.as_bytes()).map_err(codec)?;
    let mut line = serde_json::to_vec(&Source {
        k: key.id().as_str(),
        r: key.routing().map(|routing| routing.as_str()),
        w: write_id.to_string(),
        f,
        lo,
        hi,
        e,
        body,
    })
    .map_err(codec)?;
    // In JSON a line break can only be white space between tokens, and in a bulk it ends the line.
    for byte in &mut line {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    Ok(line)
}

/// A value as the engine indexes it, or `None` if the kind's type in the index cannot hold it.
fn indexed(kind: Kind, value: Scalar) -> Option<Value> {
    match (kind, value) {
        (Kind::Integer | Kind::Timestamp, Scalar::Float(x)) => whole(x).map(Value::from),
        // The engine tells -0.0 from 0.0, a query does not.
        (_, Scalar::Float(x)) => Some(Value::from(if x == 0.0 { 0.0 } else { x })),
        (_, Scalar::Text(text)) => Some(Value::from(cut(&text))),
        (_, Scalar::Integer(i)) => Some(Value::from(i)),
        (_, Scalar::Boolean(b)) => Some(Value::from(b)),
    }
}

/// The integer that a float equals.
pub(super) fn whole(x: f64) -> Option<i64> {
    let in_range = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&x);
    #[allow(
        clippy::cast_possible_truncation,
        reason = "in range and without a fraction"
    )]
    (in_range && x.fract() == 0.0).then_some(x as i64)
}

pub(super) fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_TERM_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_core::model::FieldDeclaration;

    fn model() -> std::sync::Arc<Model> {
        Model::builder("a")
            .field(FieldDeclaration::new("k".parse().unwrap(), Kind::Keyword))
            .field(FieldDeclaration::new("o.n".parse().unwrap(), Kind::Integer).many())
            .build()
            .unwrap()
    }

    fn check(body: &str, f: &str, e: &str) {
        let key = Key::routed("eu", "x").unwrap();
        let body = Body::parse(body.to_owned()).unwrap();
        let line = source(&model(), &key, &body, WriteId::from_bytes([1; 16])).unwrap();
        let line: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(line["f"].to_string(), f);
        assert_eq!(line["e"].to_string(), e);
        assert_eq!(line["r"], "eu");
        assert_eq!(line["w"], "01".repeat(16));
        assert_eq!(line["body"], body.decode::<Value>().unwrap());
    }

    #[test]
    fn values_stand_beside_the_body() {
        check("{}", "{}", "[]");
        check(
            r#"{"k":"a","o":[{"n":1},{"n":[2.0,"x"]}]}"#,
            r#"{"k":["a"],"o.n":[1,2]}"#,
            r#"["k","o.n"]"#,
        );
        check(r#"{"k":7}"#, "{}", r#"["k"]"#);
        check("{\n\"k\":\n\"a\\nb\"}", r#"{"k":["a\nb"]}"#, r#"["k"]"#);
    }

    #[test]
    fn sort_keys_are_the_least_and_the_greatest() {
        let body = Body::parse(r#"{"o":{"n":[3,-1,2]}}"#).unwrap();
        let key = Key::new("x").unwrap();
        let line = source(&model(), &key, &body, WriteId::random()).unwrap();
        let line: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(line["lo"]["o.n"], "7fffffffffffffff");
        assert_eq!(line["hi"]["o.n"], "8000000000000003");
    }

    #[test]
    fn a_line_stays_a_line() {
        let body = Body::parse("{\r\n\"k\": \"a\"\n}").unwrap();
        let key = Key::new("x").unwrap();
        let line = source(&model(), &key, &body, WriteId::random()).unwrap();
        assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
    }

    #[test]
    fn what_cannot_be_found_is_refused() {
        let body = Body::parse(r#"{"o":{"n":1.5}}"#).unwrap();
        let error = source(&model(), &Key::new("x").unwrap(), &body, WriteId::random());
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("field o.n"), "{error}");
    }

    #[test]
    fn ids_of_routed_keys_are_their_own() {
        let id = |routing: &str, id: &str| {
            let key = Key::routed(routing, id).unwrap();
            document_id(&key).into_owned()
        };
        assert_ne!(id("a", "bc"), id("ab", "c"));
        assert_ne!(id("1:a", "b"), id("1", ":ab"));
        assert_eq!(id(&"r".repeat(500), &"x".repeat(8)).len(), 512);
        assert_eq!(document_id(&Key::new("..").unwrap()), "..");
    }

    #[test]
    fn long_keywords_are_cut_between_characters() {
        assert_eq!(cut(&"é".repeat(20_000)).len(), 32_000);
        assert_eq!(cut(&format!("x{}", "é".repeat(20_000))).len(), 31_999);
        assert_eq!(cut("ab"), "ab");
    }
}
