//! From a filter to query DSL.

use std::collections::HashMap;
use std::ops::Bound;

use serde_json::{Map, Value, json};
use strongroom_core::model::{DocumentId, FieldPath, Routing, Scalar};
use strongroom_core::query::{Filter, Native, TextQuery, Words};
use strongroom_core::{Error, Result};

use super::document::MAX_WORD_BYTES;
use super::key;
use super::number;
use super::path::{Part, Place};

/// Deepest nesting of a filter, below the engine's `indices.query.bool.max_nested_depth` of 30: a
/// comparison of [numbers](numbers) adds two levels, [`routed`] one.
const MAX_QUERY_DEPTH: usize = 27;

/// The query that finds what a checked filter means.
///
/// # Errors
///
/// `Unsupported`, naming the node, for a filter that the engine does not have; `Invalid`, naming
/// the field, if the model does not declare it, or if a native condition is not a JSON object.
pub(crate) fn query(filter: &Filter, place: Place<'_>) -> Result<Value> {
    compile(filter, place, 1)
}

/// Restricts a query to the documents of one routing.
pub(crate) fn routed(query: Value, routing: Option<&Routing>) -> Value {
    match routing {
        None => query,
        Some(routing) => both(json!({"term": {"r": routing.as_str()}}), query),
    }
}

/// Both queries hold, and the score is that of the other one.
pub(crate) fn both(one: Value, other: Value) -> Value {
    json!({"bool": {"filter": [one], "must": [other]}})
}

/// The documents whose value of a field is greater than this one.
///
/// # Errors
///
/// `Invalid` if the model does not declare the field.
pub(crate) fn greater(field: &FieldPath, value: &Scalar, place: Place<'_>) -> Result<Value> {
    let lower = Bound::Excluded(value.clone());
    range(field, place, &lower, &Bound::Unbounded)
}

/// # Errors
///
/// `Unsupported` if the query would be nested deeper than the engine takes it.
pub(super) fn check_depth(depth: usize) -> Result<()> {
    if depth > MAX_QUERY_DEPTH {
        return Err(Error::unsupported(format_args!(
            "filters nested deeper than {MAX_QUERY_DEPTH} levels"
        )));
    }
    Ok(())
}

pub(super) fn compile(filter: &Filter, place: Place<'_>, depth: usize) -> Result<Value> {
    check_depth(depth)?;
    let all = |filters: &[Filter]| -> Result<Vec<Value>> {
        filters
            .iter()
            .map(|f| compile(f, place, depth + 1))
            .collect()
    };
    let values = |field| place.of(Part::Values, field);
    Ok(match filter {
        Filter::Eq { field, value } => terms(field, place, std::slice::from_ref(value))?,
        Filter::In { field, values } => terms(field, place, values)?,
        Filter::Range {
            field,
            lower,
            upper,
        } => range(field, place, lower, upper)?,
        Filter::Prefix { field, prefix } => json!({"prefix": {values(field): {"value": prefix}}}),
        // The engine takes a pattern of nothing for a pattern that matches nothing.
        Filter::Wildcard { field, pattern } if pattern.is_empty() => {
            json!({"term": {values(field): {"value": ""}}})
        }
        Filter::Wildcard { field, pattern } => {
            json!({"wildcard": {values(field): {"value": pattern}}})
        }
        Filter::Text { field, text, words } => {
            self::text(field, text, *words, place, Weight::None)?
        }
        Filter::Ids(ids) => {
            let ids: Vec<_> = ids.iter().map(DocumentId::as_str).collect();
            json!({"terms": {"k": ids}})
        }
        Filter::Exists { field } => exists(field, place)?,
        Filter::Nested { field, filter } => {
            let query = compile(filter, place.objects(field), depth + 1)?;
            json!({"nested": {
                "path": place.path_of(field),
                "query": query,
                "score_mode": "none",
            }})
        }
        Filter::Native(native) => condition(native)?,
        Filter::And(filters) => match filters.as_slice() {
            [] => json!({"match_all": {}}),
            [one] => compile(one, place, depth)?,
            many => json!({"bool": {"filter": all(many)?}}),
        },
        Filter::Or(filters) => match filters.as_slice() {
            [] => nothing(),
            [one] => compile(one, place, depth)?,
            many => match alternatives(many).as_slice() {
                [one] => compile(one, place, depth)?,
                many => json!({"bool": {"should": all(many)?, "minimum_should_match": 1}}),
            },
        },
        Filter::Not(inner) => match &**inner {
            Filter::Not(twice) => compile(twice, place, depth)?,
            other => json!({"bool": {"must_not": [compile(other, place, depth + 1)?]}}),
        },
        other => {
            return Err(Error::unsupported(format_args!(
                "the filter {}",
                node_name(other)
            )));
        }
    })
}

/// Alternatives with those for values of one field in one: the engine allows about a thousand
/// clauses, and takes a value of a number for two.
fn alternatives(filters: &[Filter]) -> Vec<Filter> {
    let mut joined: Vec<Filter> = Vec::with_capacity(filters.len());
    let mut places: HashMap<&FieldPath, usize> = HashMap::new();
    for filter in filters {
        let (field, values) = match filter {
            Filter::Eq { field, value } => (field, std::slice::from_ref(value)),
            Filter::In { field, values } => (field, values.as_slice()),
            other => {
                joined.push(other.clone());
                continue;
            }
        };
        match places.get(field).and_then(|place| joined.get_mut(*place)) {
            Some(Filter::In { values: all, .. }) => all.extend_from_slice(values),
            _ => {
                places.insert(field, joined.len());
                joined.push(Filter::In {
                    field: field.clone(),
                    values: values.to_vec(),
                });
            }
        }
    }
    joined
}

/// The name of a node that is not here, or that came with a later version of the family.
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

/// What has a value in the field: one that its kind takes, or another.
///
/// # Errors
///
/// `Invalid` if the model does not declare the field.
pub(super) fn exists(field: &FieldPath, place: Place<'_>) -> Result<Value> {
    let other = json!({"term": {place.existing(): field.as_str()}});
    if !place.model.require(field)?.kind.is_comparable() {
        return Ok(other);
    }
    let value = json!({"exists": {"field": place.of(Part::Values, field)}});
    Ok(either(value, other))
}

fn terms(field: &FieldPath, place: Place<'_>, values: &[Scalar]) -> Result<Value> {
    if values.is_empty() {
        return Ok(nothing());
    }
    let kind = place.model.require(field)?.kind;
    let keys = values.iter().map(key::encode).collect::<Vec<_>>();
    if !number::is_number(kind) {
        return Ok(json!({"terms": {place.of(Part::Values, field): keys}}));
    }
    let floors = values.iter().filter_map(|value| number::floor(kind, value));
    let exact = floors.filter(|floor| floor.is_exact);
    let exact: Vec<Value> = exact.map(|floor| floor.held.into()).collect();
    let exact =
        (!exact.is_empty()).then(|| json!({"terms": {place.of(Part::Values, field): exact}}));
    let keys = json!({"terms": {place.of(Part::Keys, field): keys}});
    Ok(numbers(field, place, exact, keys))
}

/// What a comparison finds among numbers: by what the engine's type holds where that is exact, by
/// keys in documents where it is not.
fn numbers(field: &FieldPath, place: Place<'_>, exact: Option<Value>, keys: Value) -> Value {
    match exact {
        None => keys,
        Some(exact) => {
            let inexact = json!({"term": {place.inexact(): field.as_str()}});
            let exact = json!({"bool": {"filter": [exact], "must_not": [inexact]}});
            either(exact, keys)
        }
    }
}

fn either(one: Value, other: Value) -> Value {
    json!({"bool": {"should": [one, other], "minimum_should_match": 1}})
}

/// A condition on text that the engine reads by an analyser, and the question likewise.
fn analysed(name: &str, text: &str, words: Words) -> Value {
    let operator = match words {
        Words::Any => "or",
        Words::All => "and",
        Words::Phrase => return json!({"match_phrase": {name: {"query": text}}}),
    };
    json!({"match": {name: {"query": text, "operator": operator}}})
}

/// Whether words only decide what is found, or how well it fits as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    None,
    Score,
}

/// A condition on text. The words were read by the core, and so were those of the texts: nothing
/// is analysed again.
pub(super) fn text(
    field: &FieldPath,
    text: &str,
    words: Words,
    place: Place<'_>,
    weight: Weight,
) -> Result<Value> {
    if place.analyser(field).is_some() {
        return Ok(analysed(&place.of(Part::Texts, field), text, words));
    }
    let name = &place.of(Part::Words, field);
    let query = TextQuery::parse(text, words)?;
    let words = query.words();
    if let Some(long) = words.iter().find(|word| word.len() > MAX_WORD_BYTES) {
        return Err(Error::unsupported(format_args!(
            "searching for words of {} bytes, allowed are {MAX_WORD_BYTES}",
            long.len()
        )));
    }
    let term = |word: &String| json!({"term": {name: {"value": word}}});
    let terms = || words.iter().map(term).collect::<Vec<_>>();
    Ok(match (query.mode(), weight) {
        (Words::Any, Weight::None) => json!({"terms": {name: words}}),
        (Words::Any, Weight::Score) => {
            json!({"bool": {"should": terms(), "minimum_should_match": 1}})
        }
        (Words::All, Weight::None) => json!({"bool": {"filter": terms()}}),
        (Words::All, Weight::Score) => json!({"bool": {"must": terms()}}),
        (Words::Phrase, _) => json!({"match_phrase": {name: {"query": words.join(" ")}}}),
    })
}

fn condition(native: &Native) -> Result<Value> {
    if !native.values.is_empty() {
        return Err(Error::invalid(
            "a native condition is a query as JSON, which refers to no values",
        ));
    }
    let query: Map<String, Value> = serde_json::from_str(&native.condition).map_err(|e| {
        Error::invalid(format!("native condition is not a JSON object: {e}")).with_source(e)
    })?;
    Ok(query.into())
}

fn range(
    field: &FieldPath,
    place: Place<'_>,
    lower: &Bound<Scalar>,
    upper: &Bound<Scalar>,
) -> Result<Value> {
    let values = place.of(Part::Values, field);
    if (lower, upper) == (&Bound::Unbounded, &Bound::Unbounded) {
        return Ok(json!({"exists": {"field": values}}));
    }
    let by_key = |part| {
        let [lower, upper] = [lower, upper].map(|bound| bound.as_ref().map(key::encode));
        json!({"range": {place.of(part, field): compare(lower, upper)}})
    };
    let kind = place.model.require(field)?.kind;
    if !number::is_number(kind) {
        return Ok(by_key(Part::Values));
    }
    let is_told = number::is_told_by_floor(kind, lower, upper);
    let bounds = compare(
        number::bound(kind, lower, true),
        number::bound(kind, upper, false),
    );
    let exact = json!({"range": {values: bounds}});
    if is_told {
        return Ok(exact);
    }
    Ok(numbers(field, place, Some(exact), by_key(Part::Keys)))
}

/// The bounds of a range, as the engine is told them.
fn compare<T: Into<Value>>(lower: Bound<T>, upper: Bound<T>) -> Map<String, Value> {
    let bounds = [(lower, "gte", "gt"), (upper, "lte", "lt")];
    let bounds = bounds
        .into_iter()
        .filter_map(|(bound, included, excluded)| match bound {
            Bound::Included(value) => Some((included.to_owned(), value.into())),
            Bound::Excluded(value) => Some((excluded.to_owned(), value.into())),
            Bound::Unbounded => None,
        });
    bounds.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_core::ErrorKind;
    use strongroom_core::model::{FieldDeclaration, Kind, Model};

    use crate::analysis::TextAnalysis;

    fn model() -> std::sync::Arc<Model> {
        let mut builder = Model::builder("a");
        for (path, kind) in [
            ("k", Kind::Keyword),
            ("l", Kind::Keyword),
            ("n", Kind::Integer),
            ("x", Kind::Float),
            ("b", Kind::Boolean),
            ("t", Kind::Text),
            ("i", Kind::Nested),
            ("i.s", Kind::Keyword),
        ] {
            builder = builder.field(FieldDeclaration::new(path.parse().unwrap(), kind));
        }
        builder.build().unwrap()
    }

    fn check(filter: Result<Filter>, expected: &str) {
        let filter = filter.unwrap();
        filter.check(&model()).unwrap();
        let model = model();
        let query = query(&filter, Place::documents(&model)).unwrap();
        assert_eq!(query.to_string(), expected);
    }

    const EXISTS_K: &str = r#"{"bool":{"minimum_should_match":1,"should":[{"exists":{"field":"body.k"}},{"term":{"e":"k"}}]}}"#;
    const NOTHING: &str = r#"{"match_none":{}}"#;

    /// Checks what finds numbers of a field: those that the engine holds, and those it does not.
    #[track_caller]
    fn check_numbers(filter: Result<Filter>, field: &str, exact: &str, keys: &str) {
        let exact = format!(
            r#"{{"bool":{{"filter":[{exact}],"must_not":[{{"term":{{"i":"{field}"}}}}]}}}}"#
        );
        check(
            filter,
            &format!(r#"{{"bool":{{"minimum_should_match":1,"should":[{exact},{keys}]}}}}"#),
        );
    }

    #[test]
    fn values() {
        check(Filter::eq("k", "a\"*"), r#"{"terms":{"body.k":["a\"*"]}}"#);
        check_numbers(
            Filter::eq("n", 2.0),
            "n",
            r#"{"terms":{"body.n":[2]}}"#,
            r#"{"terms":{"x.n":["c000000000000000"]}}"#,
        );
        check_numbers(
            Filter::eq("x", -0.0),
            "x",
            r#"{"terms":{"body.x":[0.0]}}"#,
            r#"{"terms":{"x.x":["8000000000000000"]}}"#,
        );
        check_numbers(
            Filter::is_in("n", [Scalar::from(1), i64::MAX.into(), 1.5.into()]),
            "n",
            r#"{"terms":{"body.n":[1]}}"#,
            r#"{"terms":{"x.n":["bff0000000000000","c3dfffffffffffff3ff","bff8000000000000"]}}"#,
        );
        check(
            Filter::eq("n", 0.5),
            r#"{"terms":{"x.n":["bfe0000000000000"]}}"#,
        );
        check(
            Filter::is_in("b", [true]),
            r#"{"terms":{"body.b":["true"]}}"#,
        );
        check(Filter::is_in("n", Vec::<i64>::new()), NOTHING);
        check(
            Filter::prefix("k", "a?"),
            r#"{"prefix":{"body.k":{"value":"a?"}}}"#,
        );
        check(
            Filter::wildcard("k", "a?"),
            r#"{"wildcard":{"body.k":{"value":"a?"}}}"#,
        );
        check(
            Filter::wildcard("k", ""),
            r#"{"term":{"body.k":{"value":""}}}"#,
        );
        check(Filter::exists("k"), EXISTS_K);
        check(Filter::exists("t"), r#"{"term":{"e":"t"}}"#);
    }

    #[test]
    fn ranges() {
        // What is held of a number is on the same side of these bounds as the number.
        let range = Filter::range("n", Bound::Included(1.into()), Bound::Excluded(5.into()));
        check(range, r#"{"range":{"body.n":{"gte":1,"lt":5}}}"#);
        check_numbers(
            Filter::gt("n", 1),
            "n",
            r#"{"range":{"body.n":{"gt":1}}}"#,
            r#"{"range":{"x.n":{"gt":"bff0000000000000"}}}"#,
        );
        check_numbers(
            Filter::lte("n", -1.5),
            "n",
            r#"{"range":{"body.n":{"lte":-2}}}"#,
            r#"{"range":{"x.n":{"lte":"4007ffffffffffff"}}}"#,
        );
        check(
            Filter::gt("b", false),
            r#"{"range":{"body.b":{"gt":"false"}}}"#,
        );
        check(
            Filter::range("k", Bound::Unbounded, Bound::Unbounded),
            r#"{"exists":{"field":"body.k"}}"#,
        );
    }

    #[test]
    fn words() {
        let text = |words| Filter::text("t", "Red, FOX", words);
        check(text(Words::Any), r#"{"terms":{"t.t":["red","fox"]}}"#);
        check(
            text(Words::All),
            r#"{"bool":{"filter":[{"term":{"t.t":{"value":"red"}}},{"term":{"t.t":{"value":"fox"}}}]}}"#,
        );
        check(
            text(Words::Phrase),
            r#"{"match_phrase":{"t.t":{"query":"red fox"}}}"#,
        );
        let model = model();
        let long = Filter::text("t", "x".repeat(241), Words::Any).unwrap();
        let error = query(&long, Place::documents(&model)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn texts_that_the_engine_reads() {
        let model = model();
        let texts = TextAnalysis::new().field("t".parse().unwrap(), "english".parse().unwrap());
        let check = |words, expected: &str| {
            let filter = Filter::text("t", "Red, FOX", words).unwrap();
            let place = Place::documents(&model).read_by(&texts);
            assert_eq!(query(&filter, place).unwrap().to_string(), expected);
        };
        let any = r#"{"match":{"a.t":{"operator":"or","query":"Red, FOX"}}}"#;
        check(Words::Any, any);
        check(Words::All, &any.replace("\"or\"", "\"and\""));
        check(
            Words::Phrase,
            r#"{"match_phrase":{"a.t":{"query":"Red, FOX"}}}"#,
        );
    }

    #[test]
    fn objects_one_by_one() {
        check(
            Filter::nested("i", Filter::eq("i.s", "a").unwrap()),
            r#"{"nested":{"path":"n.i","query":{"terms":{"n.i.f.i%2es":["a"]}},"score_mode":"none"}}"#,
        );
        check(
            Filter::nested("i", Filter::exists("i.s").unwrap()),
            r#"{"nested":{"path":"n.i","query":{"bool":{"minimum_should_match":1,"should":[{"exists":{"field":"n.i.f.i%2es"}},{"term":{"n.i.e":"i.s"}}]}},"score_mode":"none"}}"#,
        );
    }

    #[test]
    fn conditions_of_the_engine_itself() {
        let native = |text: &str| Filter::native("elasticsearch", text, Vec::<i64>::new());
        let term = r#"{"term":{"f.k":"a"}}"#;
        check(Ok(native(term)), term);
        let model = model();
        for bad in ["", "[]", "1 = 1", "{}{}"] {
            let error = query(&native(bad), Place::documents(&model)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{bad}");
        }
        let values = Filter::native("elasticsearch", term, [1]);
        assert!(query(&values, Place::documents(&model)).is_err());
    }

    #[test]
    fn joined() {
        let (k, n) = (Filter::exists("t").unwrap(), Filter::exists("i").unwrap());
        check(Ok(Filter::all()), r#"{"match_all":{}}"#);
        check(Ok(Filter::Or(vec![])), NOTHING);
        check(Ok(Filter::And(vec![k.clone()])), r#"{"term":{"e":"t"}}"#);
        check(
            Ok(k.clone().and(n.clone())),
            r#"{"bool":{"filter":[{"term":{"e":"t"}},{"term":{"e":"i"}}]}}"#,
        );
        check(
            Ok(k.clone().or(n)),
            r#"{"bool":{"minimum_should_match":1,"should":[{"term":{"e":"t"}},{"term":{"e":"i"}}]}}"#,
        );
        let eq = |field: &str, value: &str| Filter::eq(field, value).unwrap();
        check(
            Ok(Filter::Or(vec![
                eq("k", "a"),
                k.clone(),
                eq("l", "b"),
                eq("k", "c"),
            ])),
            r#"{"bool":{"minimum_should_match":1,"should":[{"terms":{"body.k":["a","c"]}},{"term":{"e":"t"}},{"terms":{"body.l":["b"]}}]}}"#,
        );
        check(
            Ok(eq("k", "a").or(eq("k", "c"))),
            r#"{"terms":{"body.k":["a","c"]}}"#,
        );
        check(Ok(!k), r#"{"bool":{"must_not":[{"term":{"e":"t"}}]}}"#);
    }

    #[test]
    fn too_deep_for_the_engine() {
        let mut filter = Filter::exists("k").unwrap();
        for _ in 0..30 {
            filter = Filter::And(vec![Filter::all(), filter]);
        }
        filter.check(&model()).unwrap();
        let model = model();
        let error = query(&filter, Place::documents(&model)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
