//! From a key and a body to what is stored.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use strongroom_core::model::{Body, FieldPath, Key, Kind, RawDocument, Scalar, Timestamp, WriteId};
use strongroom_core::query::{self, FieldReader};
use strongroom_core::{Error, ErrorKind, Result};

use super::key;
use super::path::{Part, Place};

/// Longest word that is searched for: the engine tears words of more than 255 characters.
pub(super) const MAX_WORD_BYTES: usize = 240;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<[u64; 2]>,
    #[serde(flatten)]
    values: Map<String, Value>,
    body: &'a RawValue,
}

/// The stored form of a document, as one line.
///
/// # Errors
///
/// `Codec` if the body is not a JSON object.
pub(crate) fn source(
    place: Place<'_>,
    key: &Key,
    body: &Body,
    write_id: WriteId,
) -> Result<Vec<u8>> {
    line(place, key, body, write_id, None)
}

/// As [`source`], of a document that is written anew for the engine's sake alone: for everybody
/// else it stays at its version.
///
/// # Errors
///
/// As for [`source`].
pub(crate) fn rewritten(place: Place<'_>, document: &RawDocument) -> Result<Vec<u8>> {
    let write_id = document
        .write_id
        .ok_or_else(|| Error::internal("a document that was found has no write id"))?;
    let version = document.version.sequence();
    let version = version.map(|(seq_no, primary_term, _)| [seq_no, primary_term]);
    line(place, &document.key, &document.body, write_id, version)
}

fn line(
    place: Place<'_>,
    key: &Key,
    body: &Body,
    write_id: WriteId,
    version: Option<[u64; 2]>,
) -> Result<Vec<u8>> {
    let object = body.to_object()?;
    let values = values(place, &object)?;
    let codec = |e: serde_json::Error| {
        Error::new(ErrorKind::Codec, format!("document does not encode: {e}")).with_source(e)
    };
    let body: &RawValue = serde_json::from_slice(body.as_bytes()).map_err(codec)?;
    let mut line = serde_json::to_vec(&Source {
        k: key.id().as_str(),
        r: key.routing().map(|routing| routing.as_str()),
        w: write_id.to_string(),
        v: version,
        values,
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

/// What stands beside a body, or beside one object of a nested field.
fn values(place: Place<'_>, object: &Map<String, Value>) -> Result<Map<String, Value>> {
    let mut parts: BTreeMap<&'static str, Map<String, Value>> = BTreeMap::new();
    let mut existing = Vec::new();
    for field in place.fields() {
        let reader = reader(place, &field.path, field.kind)?;
        let exists = reader.exists(object);
        let name = place.name(&field.path);
        let mut keep = |part: Part, value: Value| {
            let part = parts.entry(part.name()).or_default();
            part.insert(name.clone(), value);
        };
        if field.kind == Kind::Text {
            let texts = reader.texts(object);
            if !texts.is_empty() && place.analyser(&field.path).is_some() {
                keep(Part::Texts, one_or_many(texts.into_iter().map(Value::from)));
            } else if !texts.is_empty() {
                keep(Part::Words, one_or_many(texts.into_iter().map(words)));
            }
        }
        let values = if field.kind.is_comparable() {
            reader.values(object)
        } else {
            Vec::new()
        };
        if values.is_empty() {
            if exists {
                existing.push(field.path.as_str());
            }
            continue;
        }
        if !matches!(field.kind, Kind::Keyword | Kind::Boolean) {
            keep(Part::Numbers, one_or_many(values.iter().filter_map(number)));
        }
        if field.kind == Kind::Timestamp {
            let times = values.iter().filter_map(time).map(Value::from);
            keep(Part::Times, one_or_many(times));
        }
        let keys = values.iter().map(key::encode).map(Value::from);
        keep(Part::Keys, one_or_many(keys));
    }
    let mut kept: Map<String, Value> = parts
        .into_iter()
        .map(|(name, values)| (name.to_owned(), values.into()))
        .collect();
    let mut nested = Map::new();
    for child in place.children() {
        let objects = reader(place, child, Kind::Nested)?;
        let objects = objects.objects(object).into_iter();
        let objects: Vec<Value> = objects
            .map(|object| values(place.objects(child), object).map(Value::from))
            .collect::<Result<_>>()?;
        if !objects.is_empty() {
            nested.insert(place.name(child), objects.into());
        }
    }
    if !nested.is_empty() {
        kept.insert("n".to_owned(), nested.into());
    }
    if !existing.is_empty() {
        kept.insert("e".to_owned(), existing.into());
    }
    Ok(kept)
}

/// A lone value by itself: the engine reads it faster than a list of one.
fn one_or_many(mut values: impl Iterator<Item = Value>) -> Value {
    match (values.next(), values.next()) {
        (Some(one), None) => one,
        (first, second) => first.into_iter().chain(second).chain(values).collect(),
    }
}

/// A reader of a field in the objects that are looked at.
fn reader(place: Place<'_>, field: &FieldPath, kind: Kind) -> Result<FieldReader> {
    Ok(match place.nested {
        None => FieldReader::of(field, kind),
        Some(nested) => FieldReader::of(&field.relative_to(nested)?, kind),
    })
}

/// The words of a text, by the meaning of the core, so that the engine has nothing to analyse but
/// the spaces between them.
fn words(text: &str) -> Value {
    let mut all = String::new();
    for word in query::words(text) {
        if !all.is_empty() {
            all.push(' ');
        }
        all.push_str(key::cut(&word, MAX_WORD_BYTES + 8));
    }
    all.into()
}

#[allow(clippy::cast_precision_loss, reason = "sums are computed in f64")]
fn number(value: &Scalar) -> Option<Value> {
    match value {
        Scalar::Integer(i) => Some((*i as f64).into()),
        // The engine tells -0.0 from 0.0, a query does not.
        Scalar::Float(x) => Some((x + 0.0).into()),
        _ => None,
    }
}

/// A time that has a place in the calendar.
fn time(value: &Scalar) -> Option<i64> {
    let millis = match value {
        Scalar::Integer(i) => *i,
        Scalar::Float(x) => match key::decode(Kind::Timestamp, &key::encode(&Scalar::Float(*x))) {
            Some(Scalar::Integer(i)) => i,
            _ => return None,
        },
        _ => return None,
    };
    Timestamp::from_millis(millis).ok().map(|_| millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strongroom_core::model::{FieldDeclaration, Model};

    use crate::analysis::TextAnalysis;

    fn model() -> std::sync::Arc<Model> {
        Model::builder("a")
            .field(FieldDeclaration::new("k".parse().unwrap(), Kind::Keyword))
            .field(FieldDeclaration::new("o.n".parse().unwrap(), Kind::Integer).many())
            .field(FieldDeclaration::new("t".parse().unwrap(), Kind::Text).many())
            .field(FieldDeclaration::new("i".parse().unwrap(), Kind::Nested).many())
            .field(FieldDeclaration::new("i.s".parse().unwrap(), Kind::Keyword).many())
            .build()
            .unwrap()
    }

    #[track_caller]
    fn check(body: &str, values: &Value) {
        let key = Key::routed("eu", "x").unwrap();
        let body = Body::parse(body.to_owned()).unwrap();
        let model = model();
        let place = Place::documents(&model);
        let line = source(place, &key, &body, WriteId::from_bytes([1; 16])).unwrap();
        let mut line: Map<String, Value> = serde_json::from_slice(&line).unwrap();
        assert_eq!(line.remove("k").unwrap(), "x");
        assert_eq!(line.remove("r").unwrap(), "eu");
        assert_eq!(line.remove("w").unwrap(), "01".repeat(16));
        let stored = line.remove("body").unwrap();
        assert_eq!(stored, body.decode::<Value>().unwrap());
        assert_eq!(&Value::from(line), values);
    }

    #[test]
    fn values_stand_beside_the_body() {
        check("{}", &json!({}));
        check(
            r#"{"k":"a","o":[{"n":1},{"n":[2.5,"x",1]}]}"#,
            &json!({
                "f": {"k": "a",
                      "o%2en": ["bff0000000000000", "c004000000000000", "bff0000000000000"]},
                "x": {"o%2en": [1.0, 2.5, 1.0]},
            }),
        );
        check(r#"{"k":7}"#, &json!({"e": ["k"]}));
    }

    #[test]
    fn words_are_kept_as_the_core_reads_them() {
        check(
            r#"{"t":["Red, FOX!",5,"x\ty"]}"#,
            &json!({"e": ["t"], "t": {"t": ["red fox", "x y"]}}),
        );
        // The engine itself reads texts that have an analyser.
        let model = model();
        let texts = TextAnalysis::new().field("t".parse().unwrap(), "simple".parse().unwrap());
        let body = json!({"t": ["Red, FOX!", 5]});
        let place = Place::documents(&model).read_by(&texts);
        let kept = values(place, body.as_object().unwrap()).unwrap();
        let wanted = json!({"e": ["t"], "a": {"t": "Red, FOX!"}});
        assert_eq!(Value::from(kept), wanted);
        let long = "y".repeat(1_000);
        assert_eq!(words(&long).as_str().unwrap().len(), MAX_WORD_BYTES + 8);
    }

    #[test]
    fn objects_of_nested_fields_stand_by_themselves() {
        check(
            r#"{"i":[{"s":"a"},7,{},[{"s":["b"]}]]}"#,
            &json!({
                "e": ["i"],
                "f": {"i%2es": ["a", "b"]},
                "n": {"i": [
                    {"f": {"i%2es": "a"}},
                    {},
                    {"f": {"i%2es": "b"}},
                ]},
            }),
        );
    }

    #[test]
    fn a_line_stays_a_line() {
        let body = Body::parse("{\r\n\"k\": \"a\"\n}").unwrap();
        let key = Key::new("x").unwrap();
        let model = model();
        let place = Place::documents(&model);
        let line = source(place, &key, &body, WriteId::random()).unwrap();
        assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
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
}
