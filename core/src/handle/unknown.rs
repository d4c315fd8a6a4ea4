//! Members of a stored body that the Rust type does not know.
//!
//! A member is unknown when the body has it, the value decoded from the body does not encode it,
//! and its presence makes no difference to what decodes. The last condition tells a member that
//! the type ignores from one that it reads under another name, which must not be written back
//! beside the name that it writes.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::codec::same_encoding;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Body;

/// Adds to `encoded` what `stored` holds and the type does not know.
///
/// `known` is what the value decoded from `stored` encodes to. Members within objects at any depth
/// are carried over; within arrays an element keeps its own when it is unchanged, wherever it went,
/// and otherwise when one is at its place.
pub(crate) fn carry_over<T>(stored: &Body, known: &Body, encoded: Body) -> Result<Body>
where
    T: Serialize + DeserializeOwned,
{
    if stored.as_bytes() == known.as_bytes() {
        return Ok(encoded);
    }
    let stored = Value::Object(stored.to_object()?);
    let known = Value::Object(known.to_object()?);
    let plain = Value::Object(encoded.to_object()?);
    let graft = Graft {
        stored: &stored,
        known: &known,
        plain: &plain,
    };
    let all = graft.count();
    if all == 0 {
        return Ok(encoded);
    }
    // A type that does not decode what it encodes cannot tell; then everything is carried over.
    let Ok(reference) = encoded.decode::<T>().and_then(|value| Body::encode(&value)) else {
        return Body::encode(&graft.with(|_| true));
    };
    let mut harmless = vec![false; all];
    graft.settle::<T>(&reference, 0..all, &mut harmless)?;
    Body::encode(&graft.with(|at| harmless.get(at).copied().unwrap_or(false)))
}

struct Graft<'a> {
    stored: &'a Value,
    known: &'a Value,
    plain: &'a Value,
}

impl Graft<'_> {
    fn count(&self) -> usize {
        let mut count = 0;
        self.with(|at| {
            count = count.max(at + 1);
            false
        });
        count
    }

    /// The plain encoding with those candidates that `keep` wants, numbered in the order of the
    /// walk.
    fn with(&self, keep: impl FnMut(usize) -> bool) -> Value {
        let mut walk = Walk { at: 0, keep };
        let mut target = self.plain.clone();
        walk.value(self.stored, self.known, &mut target);
        target
    }

    /// Finds the candidates whose presence does not change what decodes, by halving.
    fn settle<T>(&self, reference: &Body, range: Range<usize>, harmless: &mut [bool]) -> Result<()>
    where
        T: Serialize + DeserializeOwned,
    {
        if range.is_empty() {
            return Ok(());
        }
        let body = Body::encode(&self.with(|at| range.contains(&at)))?;
        let unchanged = body
            .decode::<T>()
            .and_then(|value| Body::encode(&value))
            .is_ok_and(|again| same_encoding(&again, reference));
        if unchanged {
            if let Some(part) = harmless.get_mut(range) {
                part.fill(true);
            }
            return Ok(());
        }
        if range.len() == 1 {
            return Ok(());
        }
        let middle = range.start + range.len() / 2;
        self.settle::<T>(reference, range.start..middle, harmless)?;
        self.settle::<T>(reference, middle..range.end, harmless)
    }
}

struct Walk<K> {
    at: usize,
    keep: K,
}

impl<K: FnMut(usize) -> bool> Walk<K> {
    fn value(&mut self, stored: &Value, known: &Value, target: &mut Value) {
        match (stored, known, target) {
            (Value::Object(stored), Value::Object(known), Value::Object(target)) => {
                self.object(stored, known, target);
            }
            (Value::Array(stored), Value::Array(known), Value::Array(target)) => {
                self.array(stored, known, target);
            }
            _ => {}
        }
    }

    fn object(
        &mut self,
        stored: &Map<String, Value>,
        known: &Map<String, Value>,
        target: &mut Map<String, Value>,
    ) {
        for (name, value) in stored {
            match (known.get(name), target.get_mut(name)) {
                (Some(known), Some(target)) => self.value(value, known, target),
                (None, None) => {
                    let at = self.at;
                    self.at += 1;
                    if (self.keep)(at) {
                        target.insert(name.clone(), value.clone());
                    }
                }
                // Taken away by the caller, or set by it now.
                (Some(_), None) | (None, Some(_)) => {}
            }
        }
    }

    fn array(&mut self, stored: &[Value], known: &[Value], target: &mut [Value]) {
        let nothing_to_carry = stored == known;
        let reordered =
            stored.len() != known.len() || stored.iter().zip(known).any(|(s, k)| contradicts(s, k));
        if nothing_to_carry || reordered {
            return;
        }
        let mut places: HashMap<String, VecDeque<usize>> = HashMap::new();
        for (at, known) in known.iter().enumerate() {
            places.entry(known.to_string()).or_default().push_back(at);
        }
        let mut from: Vec<Option<usize>> = target
            .iter()
            .map(|element| places.get_mut(&element.to_string())?.pop_front())
            .collect();
        let mut taken = vec![false; known.len()];
        for at in from.iter().flatten() {
            if let Some(taken) = taken.get_mut(*at) {
                *taken = true;
            }
        }
        for (at, from) in from.iter_mut().enumerate() {
            if from.is_none() && taken.get(at) == Some(&false) {
                *from = Some(at);
            }
        }
        for (target, from) in target.iter_mut().zip(from) {
            if let Some((stored, known)) =
                from.and_then(|at| Some((stored.get(at)?, known.get(at)?)))
            {
                self.value(stored, known, target);
            }
        }
    }
}

/// Whether the two cannot be the same element: the type put its array into another order.
fn contradicts(stored: &Value, known: &Value) -> bool {
    match (stored, known) {
        (Value::Object(stored), Value::Object(known)) => known.iter().any(|(name, known)| {
            stored
                .get(name)
                .is_some_and(|stored| contradicts(stored, known))
        }),
        (Value::Array(_), Value::Array(_)) => false,
        (Value::Number(a), Value::Number(b)) => a.as_f64() != b.as_f64(),
        (a, b) => a != b,
    }
}

/// Refuses a body that holds a member which the type does not know.
///
/// # Errors
///
/// `Codec`, naming the member.
pub(crate) fn deny<T>(stored: &Body, value: &T) -> Result<()>
where
    T: Serialize + DeserializeOwned,
{
    let known = Body::encode(value)?;
    if stored.as_bytes() == known.as_bytes() {
        return Ok(());
    }
    let mut object = Value::Object(stored.to_object()?);
    let known_object = Value::Object(known.to_object()?);
    let mut candidates = Vec::new();
    members_without(&object, &known_object, &mut Vec::new(), &mut candidates);
    for path in candidates {
        let Some(place) = find(&mut object, &path) else {
            continue;
        };
        let original = place.clone();
        // A member that is read at all does not take both of these and decode to the same value.
        let mut ignored = true;
        for probe in [Value::Bool(true), serde_json::json!({"": [[0]]})] {
            if let Some(place) = find(&mut object, &path) {
                *place = probe;
            }
            ignored &= Body::encode(&object)
                .and_then(|body| body.decode::<T>())
                .and_then(|value| Body::encode(&value))
                .is_ok_and(|again| same_encoding(&again, &known));
        }
        if ignored {
            return Err(Error::new(
                ErrorKind::Codec,
                format!(
                    "body does not decode: unknown field {}, and the model denies unknown fields",
                    path.join(".")
                ),
            ));
        }
        if let Some(place) = find(&mut object, &path) {
            *place = original;
        }
    }
    Ok(())
}

fn members_without(
    stored: &Value,
    known: &Value,
    path: &mut Vec<String>,
    out: &mut Vec<Vec<String>>,
) {
    let mut step = |name: String, stored: &Value, known: Option<&Value>| {
        path.push(name);
        match known {
            Some(known) => members_without(stored, known, path, out),
            None => out.push(path.clone()),
        }
        path.pop();
    };
    match (stored, known) {
        (Value::Object(stored), Value::Object(known)) => {
            for (name, value) in stored {
                step(name.clone(), value, known.get(name));
            }
        }
        (Value::Array(stored), Value::Array(known)) => {
            for (at, (value, known)) in stored.iter().zip(known).enumerate() {
                step(at.to_string(), value, Some(known));
            }
        }
        _ => {}
    }
}

fn find<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Object(object) => object.get_mut(step),
        Value::Array(array) => array.get_mut(step.parse::<usize>().ok()?),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Serialize, Deserialize, Clone)]
    struct Part {
        n: i64,
    }

    #[derive(Serialize, Deserialize, Clone)]
    #[allow(dead_code, reason = "read from bodies and never written")]
    struct Doc {
        #[serde(alias = "old", default)]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        parts: Vec<Part>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inner: Option<Part>,
        #[serde(default, skip_serializing)]
        quiet: i64,
    }

    fn after(stored: &Value, change: impl FnOnce(&mut Doc)) -> Value {
        let stored = Body::encode(stored).unwrap();
        let mut doc: Doc = stored.decode().unwrap();
        let known = Body::encode(&doc).unwrap();
        change(&mut doc);
        let encoded = Body::encode(&doc).unwrap();
        let body = carry_over::<Doc>(&stored, &known, encoded).unwrap();
        body.decode().unwrap()
    }

    #[test]
    fn unknown_members_survive_at_any_depth() {
        let stored = json!({
            "name": "a", "x": 1, "inner": {"n": 1, "y": [2]},
            "parts": [{"n": 1, "z": "one"}, {"n": 2, "z": "two"}, {"n": 3}],
        });
        let changed = after(&stored, |doc| {
            doc.name = Some("b".to_owned());
            doc.inner = Some(Part { n: 7 });
            doc.parts.remove(0);
            doc.parts.push(Part { n: 9 });
        });
        assert_eq!(
            changed,
            json!({
                "name": "b", "x": 1, "inner": {"n": 7, "y": [2]},
                "parts": [{"n": 2, "z": "two"}, {"n": 3}, {"n": 9}],
            })
        );
        let changed = after(&stored, |doc| doc.parts[1].n = 20);
        assert_eq!(changed["parts"][1], json!({"n": 20, "z": "two"}));
        let changed = after(&stored, |doc| doc.inner = None);
        assert_eq!(changed.get("inner"), None);
    }

    #[test]
    fn a_member_read_under_another_name_is_known() {
        let stored = json!({"old": "a", "x": 1, "y": 2, "quiet": 5});
        let changed = after(&stored, |doc| doc.name = Some("b".to_owned()));
        assert_eq!(changed, json!({"name": "b", "x": 1, "y": 2, "quiet": 5}));
        let changed = after(&stored, |doc| doc.name = None);
        assert_eq!(changed, json!({"name": null, "x": 1, "y": 2, "quiet": 5}));
    }

    #[test]
    fn denied_members_are_named() {
        let check = |stored: Value| {
            let stored = Body::encode(&stored).unwrap();
            deny(&stored, &stored.decode::<Doc>().unwrap())
        };
        check(json!({"old": "a", "parts": [], "inner": null, "quiet": 3})).unwrap();
        check(json!({"name": null})).unwrap();
        for (stored, name) in [
            (json!({"name": "a", "x": 1}), "x"),
            (json!({"name": "a", "x": null}), "x"),
            (json!({"inner": {"n": 1, "y": []}}), "inner.y"),
            (
                json!({"old": "a", "parts": [{"n": 1, "z": 0}]}),
                "parts.0.z",
            ),
        ] {
            let error = check(stored).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Codec);
            assert!(
                error.message().contains(&format!("unknown field {name},")),
                "{error}"
            );
        }
    }
}
