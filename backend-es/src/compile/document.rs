//! From a key and a body to what is stored.

use std::borrow::Cow;
use std::cmp::Ordering::{Greater, Less};
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use strongroom_core::model::{Body, FieldPath, Key, Kind, Model, RawDocument, Scalar, WriteId};
use strongroom_core::query::{self, FieldReader};
use strongroom_core::{Error, ErrorKind, Result};

use super::key;
use super::number;
use super::path::{Part, Place, is_direct};
use super::plain;

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

/// What is stored of a document but its body, whose text follows as it is.
#[derive(Serialize)]
struct Source<'a> {
    k: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    r: Option<&'a str>,
    w: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<[u64; 2]>,
    #[serde(flatten)]
    beside: Map<String, Value>,
    /// The values that the engine reads, where it does not read them from the body itself.
    #[serde(skip_serializing_if = "Option::is_none", rename = "body")]
    values: Option<Map<String, Value>>,
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
    let model = place.model;
    let is_plain = plain::is_plain(model, body)?;
    let (beside, values) = if is_plain && model.fields().all(plain::is_read) {
        (Map::new(), None)
    } else {
        let object = body.to_object()?;
        let values = (!is_plain).then(|| direct_values(model, &object));
        (beside(place, &object, is_plain)?, values)
    };
    let member = if values.is_none() { "body" } else { "raw" };
    let source = Source {
        k: key.id().as_str(),
        r: key.routing().map(|routing| routing.as_str()),
        w: write_id.to_string(),
        v: version,
        beside,
        values,
    };
    let mut line = Vec::with_capacity(body.len() + 256);
    serde_json::to_writer(&mut line, &source).map_err(|e| {
        Error::new(ErrorKind::Codec, format!("document does not encode: {e}")).with_source(e)
    })?;
    // The body was read above, so it is JSON, and becomes the object's last member.
    line.pop();
    line.extend_from_slice(b",\"");
    line.extend_from_slice(member.as_bytes());
    line.extend_from_slice(b"\":");
    let text = body.as_bytes();
    if text.contains(&b'\n') || text.contains(&b'\r') {
        // In JSON a line break can only be white space between tokens, and in a bulk it ends the line.
        let is_break = |byte| matches!(byte, b'\n' | b'\r');
        line.extend(text.iter().map(|&b| if is_break(b) { b' ' } else { b }));
    } else {
        line.extend_from_slice(text);
    }
    line.push(b'}');
    Ok(line)
}

/// What a body that the engine cannot read has in the fields that it would read from there.
fn direct_values(model: &Model, object: &Map<String, Value>) -> Map<String, Value> {
    let fields = plain::direct(model).filter_map(|field| {
        let values = FieldReader::of(&field.path, field.kind).values(object);
        let values = values.iter().filter_map(|value| held(field.kind, value));
        let values = one_or_many(values)?;
        Some((field.path.to_string(), values))
    });
    fields.collect()
}

/// What stands beside a body, which is plain or not, or beside one object of a nested field.
fn beside(
    place: Place<'_>,
    object: &Map<String, Value>,
    is_plain: bool,
) -> Result<Map<String, Value>> {
    let mut parts: BTreeMap<&'static str, Map<String, Value>> = BTreeMap::new();
    let (mut existing, mut inexact) = (Vec::new(), Vec::new());
    for field in place.fields() {
        let is_direct = is_direct(&field.path);
        if is_direct && field.kind.is_comparable() && is_plain {
            continue;
        }
        let reader = reader(place, &field.path, field.kind)?;
        let mut keep = |part: Part, value: Option<Value>| {
            let part = parts.entry(part.name()).or_default();
            part.extend(value.map(|value| (place.name(&field.path), value)));
        };
        let texts = match field.kind {
            Kind::Text => reader.texts(object),
            _ => Vec::new(),
        };
        if !texts.is_empty() && place.analyser(&field.path).is_some() {
            keep(Part::Texts, one_or_many(texts.into_iter().map(Value::from)));
        } else if !texts.is_empty() {
            keep(Part::Words, one_or_many(texts.into_iter().map(words)));
        }
        let values = if field.kind.is_comparable() {
            reader.values(object)
        } else {
            Vec::new()
        };
        if values.is_empty() {
            if reader.exists(object) {
                existing.push(field.path.as_str());
            }
            continue;
        }
        if !is_direct {
            let values = values.iter().filter_map(|value| held(field.kind, value));
            keep(Part::Values, one_or_many(values));
        }
        let is_inexact = |value: &Scalar| {
            number::floor(field.kind, value).is_some_and(|number| !number.is_exact)
        };
        if !values.iter().any(is_inexact) {
            continue;
        }
        inexact.push(field.path.as_str());
        let keys = values.iter().map(|value| key::encode(value).into());
        keep(Part::Keys, one_or_many(keys));
        for (end, wanted) in [(Part::Least, Less), (Part::Greatest, Greater)] {
            let extreme = reader.extreme(object, wanted).filter(is_inexact);
            if let Some(extreme) = extreme {
                keep(end, Some(key::encode(&extreme).into()));
            }
        }
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
            .map(|object| beside(place.objects(child), object, is_plain).map(Value::from))
            .collect::<Result<_>>()?;
        if !objects.is_empty() {
            nested.insert(place.name(child), objects.into());
        }
    }
    if !nested.is_empty() {
        kept.insert("n".to_owned(), nested.into());
    }
    for (name, paths) in [("e", existing), ("i", inexact)] {
        if !paths.is_empty() {
            kept.insert(name.to_owned(), paths.into());
        }
    }
    Ok(kept)
}

/// A value as the engine's type for the kind holds it.
fn held(kind: Kind, value: &Scalar) -> Option<Value> {
    match value {
        Scalar::Boolean(b) => Some((*b).into()),
        Scalar::Text(_) => Some(key::encode(value).into()),
        number => Some(number::floor(kind, number)?.held.into()),
    }
}

/// A lone value by itself: the engine reads it faster than a list of one.
fn one_or_many(mut values: impl Iterator<Item = Value>) -> Option<Value> {
    Some(match (values.next()?, values.next()) {
        (one, None) => one,
        (first, second) => [first].into_iter().chain(second).chain(values).collect(),
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use strongroom_core::model::FieldDeclaration;

    use crate::analysis::TextAnalysis;

    fn model() -> std::sync::Arc<Model> {
        Model::builder("a")
            .field(FieldDeclaration::new("k".parse().unwrap(), Kind::Keyword))
            .field(FieldDeclaration::new("z".parse().unwrap(), Kind::Integer))
            .field(FieldDeclaration::new("o.n".parse().unwrap(), Kind::Integer).many())
            .field(FieldDeclaration::new("t".parse().unwrap(), Kind::Text).many())
            .field(FieldDeclaration::new("i".parse().unwrap(), Kind::Nested).many())
            .field(FieldDeclaration::new("i.s".parse().unwrap(), Kind::Keyword).many())
            .build()
            .unwrap()
    }

    #[track_caller]
    fn check(body: &str, beside: &Value) {
        check_as(body, beside, None);
    }

    /// Checks what is stored of a body: what the engine reads instead of it, if it does not read
    /// the body itself.
    #[track_caller]
    fn check_as(body: &str, beside: &Value, values: Option<&Value>) {
        let key = Key::routed("eu", "x").unwrap();
        let body = Body::parse(body.to_owned()).unwrap();
        let model = model();
        let place = Place::documents(&model);
        let line = source(place, &key, &body, WriteId::from_bytes([1; 16])).unwrap();
        let mut line: Map<String, Value> = serde_json::from_slice(&line).unwrap();
        assert_eq!(line.remove("k").unwrap(), "x");
        assert_eq!(line.remove("r").unwrap(), "eu");
        assert_eq!(line.remove("w").unwrap(), "01".repeat(16));
        let read = line.remove("body").unwrap();
        let raw = line.remove("raw");
        assert_eq!(raw.is_some(), values.is_some());
        assert_eq!(
            raw.as_ref().unwrap_or(&read),
            &body.decode::<Value>().unwrap()
        );
        if let Some(values) = values {
            assert_eq!(&read, values);
        }
        assert_eq!(&Value::from(line), beside);
    }

    #[test]
    fn values_that_the_engine_does_not_read_stand_beside_the_body() {
        check("{}", &json!({}));
        check(
            r#"{"k":["a",null],"z":5,"o":[{"n":1},{"n":["x",1]}]}"#,
            &json!({"f": {"o%2en": [1, 1]}}),
        );
        check(
            r#"{"o":{"n":[3,2.5]}}"#,
            &json!({
                "f": {"o%2en": [3, 2]},
                "i": ["o.n"],
                "x": {"o%2en": ["c008000000000000", "c004000000000000"]},
                "lo": {"o%2en": "c004000000000000"},
            }),
        );
    }

    #[test]
    fn bodies_that_the_engine_would_misread_are_kept_unread() {
        check_as(
            r#"{"k":7,"z":1}"#,
            &json!({"e": ["k"]}),
            Some(&json!({"z": 1})),
        );
        check_as(r#"{"k":{"a":1}}"#, &json!({}), Some(&json!({})));
        check_as(r#"{"k":"a","k.x":1}"#, &json!({}), Some(&json!({"k": "a"})));
        check_as(r#"{"u":[{"":1}]}"#, &json!({}), Some(&json!({})));
        check_as(
            r#"{"z":2.5}"#,
            &json!({
                "i": ["z"],
                "x": {"z": "c004000000000000"},
                "lo": {"z": "c004000000000000"},
                "hi": {"z": "c004000000000000"},
            }),
            Some(&json!({"z": 2})),
        );
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
        let kept = beside(place, body.as_object().unwrap(), true).unwrap();
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
