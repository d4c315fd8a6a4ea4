//! From a filter to query DSL.

use std::ops::Bound;

use serde_json::{Value, json};
use strongroom_core::model::{DocumentId, FieldPath, Kind, Model, Routing, Scalar};
use strongroom_core::query::Filter;
use strongroom_core::{Error, Result};

use super::document::whole;
use super::path::indexed_path;

/// Deepest nesting of the query, below the engine's `indices.query.bool.max_nested_depth` of 30
/// and the one level that [`routed`] adds.
const MAX_QUERY_DEPTH: usize = 28;

/// The query that finds what a checked filter means.
///
/// # Errors
///
/// `Unsupported`, naming the node, for a filter that the engine does not have; `Invalid`, naming
/// the field, if the model does not declare it.
pub(crate) fn query(filter: &Filter, model: &Model) -> Result<Value> {
    compile(filter, model, 1)
}

/// Restricts a query to the documents of one routing.
pub(crate) fn routed(query: Value, routing: Option<&Routing>) -> Value {
    match routing {
        None => query,
        Some(routing) => json!({"bool": {"filter": [{"term": {"r": routing.as_str()}}, query]}}),
    }
}

fn compile(filter: &Filter, model: &Model, depth: usize) -> Result<Value> {
    if depth > MAX_QUERY_DEPTH {
        return Err(Error::unsupported(format_args!(
            "filters nested deeper than {MAX_QUERY_DEPTH} levels"
        )));
    }
    let all = |filters: &[Filter]| -> Result<Vec<Value>> {
        filters
            .iter()
            .map(|f| compile(f, model, depth + 1))
            .collect()
    };
    Ok(match filter {
        Filter::Eq { field, value } => terms(field, model, std::slice::from_ref(value))?,
        Filter::In { field, values } => terms(field, model, values)?,
        Filter::Range {
            field,
            lower,
            upper,
        } => range(field, model, lower, upper)?,
        Filter::Prefix { field, prefix } => {
            json!({"prefix": {indexed_path(field): {"value": prefix}}})
        }
        Filter::Wildcard { field, pattern } => {
            json!({"wildcard": {indexed_path(field): {"value": pattern}}})
        }
        Filter::Ids(ids) => {
            let ids: Vec<_> = ids.iter().map(DocumentId::as_str).collect();
            json!({"terms": {"k": ids}})
        }
        Filter::Exists { field } => json!({"term": {"e": field.as_str()}}),
        Filter::And(filters) => match filters.as_slice() {
            [] => json!({"match_all": {}}),
            [one] => compile(one, model, depth)?,
            many => json!({"bool": {"filter": all(many)?}}),
        },
        Filter::Or(filters) => match filters.as_slice() {
            [] => nothing(),
            [one] => compile(one, model, depth)?,
            many => json!({"bool": {"should": all(many)?, "minimum_should_match": 1}}),
        },
        Filter::Not(inner) => match &**inner {
            Filter::Not(twice) => compile(twice, model, depth)?,
            other => json!({"bool": {"must_not": [compile(other, model, depth + 1)?]}}),
        },
        other => {
            return Err(Error::unsupported(format_args!(
                "the filter {}",
                node_name(other)
            )));
        }
    })
}

/// The name of a node that came with a later version of the family.
fn node_name(filter: &Filter) -> String {
    let text = format!("{filter:?}");
    let end = text.find(|c: char| !c.is_alphanumeric());
    text.get(..end.unwrap_or(text.len()))
        .unwrap_or_default()
        .to_lowercase()
}

fn nothing() -> Value {
    json!({"match_none": {}})
}

fn terms(field: &FieldPath, model: &Model, values: &[Scalar]) -> Result<Value> {
    let kind = model.require(field)?.kind;
    let values: Vec<Value> = values.iter().filter_map(|v| term(kind, v)).collect();
    Ok(if values.is_empty() {
        nothing()
    } else {
        json!({"terms": {indexed_path(field): values}})
    })
}

/// A value to compare with, or `None` if no value of the field can equal it.
fn term(kind: Kind, value: &Scalar) -> Option<Value> {
    match (kind, value) {
        (Kind::Integer | Kind::Timestamp, Scalar::Float(x)) => whole(*x).map(Value::from),
        (_, value) => Some(bound_value(value)),
    }
}

fn bound_value(value: &Scalar) -> Value {
    match value {
        Scalar::Float(x) if *x == 0.0 => Value::from(0.0),
        other => Value::from(other),
    }
}

fn range(
    field: &FieldPath,
    model: &Model,
    lower: &Bound<Scalar>,
    upper: &Bound<Scalar>,
) -> Result<Value> {
    let name = indexed_path(field);
    let compare = match model.require(field)?.kind {
        Kind::Boolean => {
            let values: Vec<bool> = [false, true]
                .into_iter()
                .filter(|b| within(&Scalar::from(*b), lower, upper))
                .collect();
            return Ok(if values.is_empty() {
                nothing()
            } else {
                json!({"terms": {name: values}})
            });
        }
        Kind::Integer | Kind::Timestamp => {
            let (Some(least), Some(greatest)) = (least(lower), greatest(upper)) else {
                return Ok(nothing());
            };
            json!({"gte": least, "lte": greatest})
        }
        _ => {
            let mut compare = serde_json::Map::new();
            for (bound, included, excluded) in [(lower, "gte", "gt"), (upper, "lte", "lt")] {
                match bound {
                    Bound::Included(v) => compare.insert(included.to_owned(), bound_value(v)),
                    Bound::Excluded(v) => compare.insert(excluded.to_owned(), bound_value(v)),
                    Bound::Unbounded => None,
                };
            }
            if compare.is_empty() {
                return Ok(json!({"exists": {"field": name}}));
            }
            Value::Object(compare)
        }
    };
    Ok(json!({"range": {name: compare}}))
}

fn within(value: &Scalar, lower: &Bound<Scalar>, upper: &Bound<Scalar>) -> bool {
    let above = match lower {
        Bound::Included(l) => value.compare(l).is_some_and(|o| o.is_ge()),
        Bound::Excluded(l) => value.compare(l).is_some_and(|o| o.is_gt()),
        Bound::Unbounded => true,
    };
    let below = match upper {
        Bound::Included(u) => value.compare(u).is_some_and(|o| o.is_le()),
        Bound::Excluded(u) => value.compare(u).is_some_and(|o| o.is_lt()),
        Bound::Unbounded => true,
    };
    above && below
}

/// The least integer above a lower bound, or `None` if there is none within `i64`.
fn least(bound: &Bound<Scalar>) -> Option<i64> {
    match bound {
        Bound::Included(Scalar::Integer(i)) => Some(*i),
        Bound::Excluded(Scalar::Integer(i)) => i.checked_add(1),
        Bound::Included(Scalar::Float(x)) => match whole(x.ceil()) {
            None if *x < 0.0 => Some(i64::MIN),
            whole => whole,
        },
        Bound::Excluded(Scalar::Float(x)) => match whole(x.floor()) {
            None if *x < 0.0 => Some(i64::MIN),
            whole => whole?.checked_add(1),
        },
        Bound::Unbounded => Some(i64::MIN),
        _ => None,
    }
}

/// The greatest integer below an upper bound, or `None` if there is none within `i64`.
fn greatest(bound: &Bound<Scalar>) -> Option<i64> {
    match bound {
        Bound::Included(Scalar::Integer(i)) => Some(*i),
        Bound::Excluded(Scalar::Integer(i)) => i.checked_sub(1),
        Bound::Included(Scalar::Float(x)) => match whole(x.floor()) {
            None if *x > 0.0 => Some(i64::MAX),
            whole => whole,
        },
        Bound::Excluded(Scalar::Float(x)) => match whole(x.ceil()) {
            None if *x > 0.0 => Some(i64::MAX),
            whole => whole?.checked_sub(1),
        },
        Bound::Unbounded => Some(i64::MAX),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_core::ErrorKind;
    use strongroom_core::model::FieldDeclaration;

    fn model() -> std::sync::Arc<Model> {
        let mut builder = Model::builder("a");
        for (path, kind) in [
            ("k", Kind::Keyword),
            ("n", Kind::Integer),
            ("x", Kind::Float),
            ("b", Kind::Boolean),
        ] {
            builder = builder.field(FieldDeclaration::new(path.parse().unwrap(), kind));
        }
        builder.build().unwrap()
    }

    fn check(filter: Result<Filter>, expected: &str) {
        let filter = filter.unwrap();
        filter.check(&model()).unwrap();
        assert_eq!(query(&filter, &model()).unwrap().to_string(), expected);
    }

    const NOTHING: &str = r#"{"match_none":{}}"#;

    #[test]
    fn values() {
        check(Filter::eq("k", "a\"*"), r#"{"terms":{"f.k":["a\"*"]}}"#);
        check(Filter::eq("n", 2.0), r#"{"terms":{"f.n":[2]}}"#);
        check(Filter::eq("n", 2.5), NOTHING);
        check(Filter::eq("n", 1e300), NOTHING);
        check(Filter::eq("x", -0.0), r#"{"terms":{"f.x":[0.0]}}"#);
        check(Filter::is_in("n", [1.0, 1.5]), r#"{"terms":{"f.n":[1]}}"#);
        check(Filter::is_in("n", Vec::<i64>::new()), NOTHING);
        check(
            Filter::prefix("k", "a?"),
            r#"{"prefix":{"f.k":{"value":"a?"}}}"#,
        );
        check(Filter::exists("k"), r#"{"term":{"e":"k"}}"#);
    }

    #[test]
    fn ranges() {
        let n =
            |gte: i64, lte: i64| format!(r#"{{"range":{{"f.n":{{"gte":{gte},"lte":{lte}}}}}}}"#);
        check(Filter::gt("n", 1), &n(2, i64::MAX));
        check(Filter::gt("n", 1.5), &n(2, i64::MAX));
        check(Filter::gte("n", -1.5), &n(-1, i64::MAX));
        check(Filter::lt("n", 1.5), &n(i64::MIN, 1));
        check(Filter::lte("n", -1.5), &n(i64::MIN, -2));
        check(Filter::lt("n", 1e300), &n(i64::MIN, i64::MAX));
        check(Filter::gt("n", -1e300), &n(i64::MIN, i64::MAX));
        check(Filter::gt("n", 1e300), NOTHING);
        check(Filter::lt("n", i64::MIN), NOTHING);
        check(Filter::gt("x", 1), r#"{"range":{"f.x":{"gt":1}}}"#);
        check(Filter::gt("b", false), r#"{"terms":{"f.b":[true]}}"#);
        check(Filter::gt("b", true), NOTHING);
        check(
            Filter::range("k", Bound::Unbounded, Bound::Unbounded),
            r#"{"exists":{"field":"f.k"}}"#,
        );
    }

    #[test]
    fn joined() {
        let (k, n) = (Filter::exists("k").unwrap(), Filter::exists("n").unwrap());
        check(Ok(Filter::all()), r#"{"match_all":{}}"#);
        check(Ok(Filter::Or(vec![])), NOTHING);
        check(Ok(Filter::And(vec![k.clone()])), r#"{"term":{"e":"k"}}"#);
        check(
            Ok(k.clone().and(n.clone())),
            r#"{"bool":{"filter":[{"term":{"e":"k"}},{"term":{"e":"n"}}]}}"#,
        );
        check(
            Ok(k.clone().or(n)),
            r#"{"bool":{"minimum_should_match":1,"should":[{"term":{"e":"k"}},{"term":{"e":"n"}}]}}"#,
        );
        check(Ok(!k), r#"{"bool":{"must_not":[{"term":{"e":"k"}}]}}"#);
    }

    #[test]
    fn too_deep_for_the_engine() {
        let mut filter = Filter::exists("k").unwrap();
        for _ in 0..30 {
            filter = Filter::And(vec![Filter::all(), filter]);
        }
        filter.check(&model()).unwrap();
        let error = query(&filter, &model()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
