//! What a source filter means.

use serde_json::{Map, Value};

use super::SourceFilter;
use super::source::name_matches;
use crate::error::Result;
use crate::model::Body;

impl SourceFilter {
    /// The selected part of a body.
    ///
    /// See [`SourceFilter`] for what is kept of objects and arrays on the way.
    ///
    /// # Errors
    ///
    /// `Codec` if a trusted body is not a JSON object.
    ///
    /// # Examples
    ///
    /// ```
    /// use strongroom_core::model::Body;
    /// use strongroom_core::query::SourceFilter;
    ///
    /// let body = Body::parse(r#"{"name":"Ada","home":{"city":"London","zip":"W1"}}"#)?;
    /// let part = SourceFilter::Include(vec!["home.city".parse()?]).apply(&body)?;
    /// assert!(part.same_value(&Body::parse(r#"{"home":{"city":"London"}}"#)?));
    /// # Ok::<(), strongroom_core::Error>(())
    /// ```
    pub fn apply(&self, body: &Body) -> Result<Body> {
        let (Self::Include(patterns) | Self::Exclude(patterns)) = self else {
            return Ok(body.clone());
        };
        let names = patterns.iter().map(|p| p.segments().collect::<Vec<_>>());
        let names: Vec<_> = names.collect();
        let patterns = names.iter().map(Vec::as_slice).collect();
        let object = body.to_object()?;
        let part = match self {
            Self::Exclude(_) => exclude(object, &patterns),
            _ => include(object, &patterns),
        };
        Body::encode(&part)
    }
}

/// What is left of each pattern on the way down; an empty one selects everything from here on.
type Patterns<'a> = Vec<&'a [&'a str]>;

/// What is left of the patterns under a member of this name.
fn below<'a>(patterns: &Patterns<'a>, name: &str) -> Patterns<'a> {
    let patterns = patterns.iter().filter_map(|pattern| {
        let (first, rest) = pattern.split_first()?;
        name_matches(first, name).then_some(rest)
    });
    patterns.collect()
}

fn is_whole(patterns: &Patterns<'_>) -> bool {
    patterns.iter().any(|pattern| pattern.is_empty())
}

fn include(object: Map<String, Value>, patterns: &Patterns<'_>) -> Map<String, Value> {
    let members = object.into_iter().filter_map(|(name, value)| {
        let below = below(patterns, &name);
        include_value(value, &below).map(|value| (name, value))
    });
    members.collect()
}

/// `None` if nothing is selected, or if a longer path leads into something without members.
fn include_value(value: Value, patterns: &Patterns<'_>) -> Option<Value> {
    if is_whole(patterns) {
        return Some(value);
    }
    if patterns.is_empty() {
        return None;
    }
    match value {
        Value::Object(object) => Some(Value::Object(include(object, patterns))),
        Value::Array(items) => {
            let items = items.into_iter();
            let kept = items.filter_map(|item| include_value(item, patterns));
            Some(Value::Array(kept.collect()))
        }
        _ => None,
    }
}

fn exclude(object: Map<String, Value>, patterns: &Patterns<'_>) -> Map<String, Value> {
    let members = object.into_iter().filter_map(|(name, value)| {
        let below = below(patterns, &name);
        if is_whole(&below) {
            return None;
        }
        Some((name, exclude_value(value, &below)))
    });
    members.collect()
}

fn exclude_value(value: Value, patterns: &Patterns<'_>) -> Value {
    if patterns.is_empty() {
        return value;
    }
    match value {
        Value::Object(object) => Value::Object(exclude(object, patterns)),
        Value::Array(items) => {
            let items = items.into_iter();
            Value::Array(items.map(|item| exclude_value(item, patterns)).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    use crate::model::FieldPath;
    use crate::query::FieldPattern;

    fn paths(paths: &[&str]) -> Vec<FieldPattern> {
        paths.iter().map(|p| p.parse().unwrap()).collect()
    }

    #[track_caller]
    fn check(filter: &SourceFilter, body: &Value, wanted: &Value) {
        let part = filter.apply(&Body::encode(body).unwrap()).unwrap();
        assert_eq!(&part.decode::<Value>().unwrap(), wanted);
    }

    #[test]
    fn included() {
        let body = json!({
            "a": 1, "b": {"c": 2, "d": {"e": 3}},
            "l": [{"x": 1, "y": 2}, {"y": 3}, 7, null, [{"x": 4}, 5]], "n": null
        });
        for (include, wanted) in [
            (vec!["a"], json!({"a":1})),
            (vec!["n"], json!({"n":null})),
            (vec!["b.d.e"], json!({"b":{"d":{"e":3}}})),
            (vec!["b.z"], json!({"b":{}})),
            (vec!["b", "b.c"], json!({"b":{"c":2,"d":{"e":3}}})),
            (vec!["b.c", "b"], json!({"b":{"c":2,"d":{"e":3}}})),
            (vec!["l.x"], json!({"l":[{"x":1},{},[{"x":4}]]})),
            (vec!["a.z", "n.z", "z"], json!({})),
            (vec![], json!({})),
            (vec!["*"], body.clone()),
            (vec!["b.*.e", "a*"], json!({"a":1,"b":{"d":{"e":3}}})),
            (vec!["*.y"], json!({"b":{},"l":[{"y":2},{"y":3},[{}]]})),
        ] {
            check(&SourceFilter::Include(paths(&include)), &body, &wanted);
        }
    }

    #[test]
    fn excluded() {
        let body = json!({"a": 1, "b": {"c": 2, "d": 3}, "l": [{"x": 1, "y": 2}, 7, [{"x": 4}]]});
        for (exclude, wanted) in [
            (vec![], body.clone()),
            (vec!["z", "a.z"], body.clone()),
            (
                vec!["a", "b.c"],
                json!({"b":{"d":3},"l":[{"x":1,"y":2},7,[{"x":4}]]}),
            ),
            (vec!["b.c", "b.d", "l"], json!({"a":1,"b":{}})),
            (vec!["l.x", "b"], json!({"a":1,"l":[{"y":2},7,[{}]]})),
            (
                vec!["*.x", "b.*"],
                json!({"a":1,"b":{},"l":[{"y":2},7,[{}]]}),
            ),
        ] {
            check(&SourceFilter::Exclude(paths(&exclude)), &body, &wanted);
        }
        let body = Body::parse(" {} ").unwrap();
        assert_eq!(SourceFilter::All.apply(&body).unwrap().as_bytes(), b" {} ");
    }

    proptest! {
        /// What a filter says it covers is there whole, or nowhere in the body.
        #[test]
        fn covered_fields_are_whole(
            picked in proptest::collection::vec("[ab*](\\.[ab*]){0,2}", 0..4),
            asked in "[ab](\\.[ab]){0,2}",
            leaves in proptest::collection::vec(("[ab](\\.[ab]){0,2}", 0..9), 0..6),
        ) {
            let mut body = Map::new();
            for (path, value) in leaves {
                let mut at = &mut body;
                let (on_the_way, last) = path.rsplit_once('.').unwrap_or(("", &path));
                for name in on_the_way.split('.').filter(|name| !name.is_empty()) {
                    let inner = at.entry(name).or_insert_with(|| json!({}));
                    if !inner.is_object() { *inner = json!({}); }
                    at = inner.as_object_mut().unwrap();
                }
                at.insert(last.to_owned(), json!(value));
            }
            let whole = Value::Object(body);
            let asked: FieldPath = asked.parse().unwrap();
            let pointer = format!("/{}", asked.as_str().replace('.', "/"));
            let picked: Vec<FieldPattern> = picked.iter().map(|p| p.parse().unwrap()).collect();
            for filter in [SourceFilter::Include(picked.clone()), SourceFilter::Exclude(picked)] {
                let part = filter.apply(&Body::encode(&whole).unwrap()).unwrap();
                let part: Value = part.decode().unwrap();
                if filter.covers(&asked) {
                    prop_assert_eq!(part.pointer(&pointer), whole.pointer(&pointer));
                }
            }
        }
    }
}
