//! Answers of stores as JSON, so that expectations can be written down and two stores' answers
//! compared.

use serde_json::{Map, Value, json};
use strongroom_core::model::{RawDocument, Scalar};
use strongroom_core::store::{AggregateResult, AggregateResults, Bucket, Groups};

use crate::docs::value_of;
use crate::failure::{Failure, Outcome};

/// The member under which a number stands that engines may compute a little differently: a sum of
/// floats depends on the order of its terms.
const ABOUT: &str = "about";

pub(crate) fn about(x: f64) -> Value {
    json!({ ABOUT: x })
}

pub(crate) fn scalar(value: &Scalar) -> Value {
    match value {
        Scalar::Boolean(b) => json!(b),
        Scalar::Integer(n) => json!(n),
        Scalar::Float(x) => json!(x),
        Scalar::Text(text) => json!(&**text),
    }
}

fn document(document: &RawDocument) -> Outcome<Value> {
    Ok(json!([key_text(document), value_of(document)?]))
}

fn key_text(document: &RawDocument) -> String {
    let id = document.key.id().as_str();
    match document.key.routing() {
        Some(routing) => format!("{}/{id}", routing.as_str()),
        None => id.to_owned(),
    }
}

pub(crate) fn documents(all: &[RawDocument]) -> Outcome<Vec<Value>> {
    all.iter().map(document).collect()
}

/// The results of aggregations: counts, extremes and keys as they are, sums as about so much,
/// buckets as `[key, count, results]`.
pub(crate) fn results(all: &AggregateResults) -> Outcome<Value> {
    let members = all
        .iter()
        .map(|(name, one)| Ok((name.clone(), result(one)?)));
    members.collect::<Outcome<Map<_, _>>>().map(Value::Object)
}

fn buckets(all: &[Bucket]) -> Outcome<Vec<Value>> {
    let one = |bucket: &Bucket| {
        let within = results(&bucket.results)?;
        Ok(json!([scalar(&bucket.key), bucket.count, within]))
    };
    all.iter().map(one).collect()
}

fn result(result: &AggregateResult) -> Outcome<Value> {
    let extreme = |value: &Option<Scalar>| value.as_ref().map(scalar);
    Ok(match result {
        AggregateResult::Count(count) => json!(count),
        AggregateResult::Extreme(value) => json!(extreme(value)),
        AggregateResult::Sum(sum) => about(*sum),
        AggregateResult::Average(mean) => mean.map_or(Value::Null, about),
        AggregateResult::Stats(stats) => json!({
            "count": stats.count,
            "min": extreme(&stats.min),
            "max": extreme(&stats.max),
            "sum": about(stats.sum),
        }),
        AggregateResult::Cardinality(found) if found.error == 0.0 => json!(found.value),
        AggregateResult::Cardinality(found) => json!({
            "value": found.value,
            "error": found.error,
        }),
        AggregateResult::Terms(terms) => json!({
            "buckets": buckets(&terms.buckets)?,
            "other": terms.other,
        }),
        AggregateResult::Histogram(all) => json!(buckets(all)?),
        AggregateResult::Single(one) => json!([one.count, results(&one.results)?]),
        AggregateResult::TopHits(hits) => json!(documents(hits)?),
        other => {
            return Err(Failure::new(format!(
                "a result that the suite does not know: {other:?}"
            )));
        }
    })
}

/// Groups as `[key, [[rank, id, body], ...]]`.
pub(crate) fn groups(all: &Groups) -> Outcome<Value> {
    let group = |group: &strongroom_core::store::Group| {
        let ranked = group.documents.iter().map(|ranked| {
            let document = &ranked.document;
            Ok(json!([
                ranked.rank,
                key_text(document),
                value_of(document)?
            ]))
        });
        let ranked = ranked.collect::<Outcome<Vec<_>>>()?;
        Ok(json!([scalar(&group.key), ranked]))
    };
    let groups = all
        .groups
        .iter()
        .map(group)
        .collect::<Outcome<Vec<Value>>>()?;
    Ok(json!({ "groups": groups, "next": all.next.as_ref().map(scalar) }))
}

/// Whether an answer is the one that is expected: numbers by their value, and those that are about
/// so much within what adding up terms of this magnitude in another order can change.
pub(crate) fn same(found: &Value, expected: &Value, magnitude: f64) -> bool {
    match (found, expected) {
        (Value::Number(_), Value::Number(_)) => {
            let scalars = (Scalar::from_json(found), Scalar::from_json(expected));
            match scalars {
                (Some(a), Some(b)) => a.compare(&b).is_some_and(|order| order.is_eq()),
                _ => found == expected,
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, magnitude))
        }
        (Value::Object(a), Value::Object(b)) => {
            if let (Some(found), Some(expected)) = (lone(a, ABOUT), lone(b, ABOUT)) {
                return close(found, expected, magnitude);
            }
            a.len() == b.len()
                && a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| same(a, b, magnitude)))
        }
        (Value::Object(guess), Value::Number(_)) => {
            let (value, error) = (guess.get("value"), guess.get("error"));
            let number = |value: Option<&Value>| value.and_then(Value::as_f64);
            match (number(value), number(error), expected.as_f64()) {
                (Some(value), Some(error), Some(right)) => (value - right).abs() <= error * right,
                _ => false,
            }
        }
        _ => found == expected,
    }
}

fn lone(object: &Map<String, Value>, name: &str) -> Option<f64> {
    match object.len() {
        1 => object.get(name).and_then(Value::as_f64),
        _ => None,
    }
}

fn close(found: f64, expected: f64, magnitude: f64) -> bool {
    let slack = 4.0 * f64::EPSILON * magnitude + 1e-12 * expected.abs();
    (found - expected).abs() <= slack
}

/// The sum of the absolute values of all numbers in these bodies.
pub(crate) fn magnitude<'v>(bodies: impl IntoIterator<Item = &'v Value>) -> f64 {
    bodies
        .into_iter()
        .map(|body| match body {
            Value::Number(n) => n.as_f64().unwrap_or(0.0).abs(),
            Value::Array(items) => magnitude(items),
            Value::Object(object) => magnitude(object.values()),
            _ => 0.0,
        })
        .sum()
}
