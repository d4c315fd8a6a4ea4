//! From aggregations and groups to the engine's.

use serde_json::{Map, Value, json};
use strongroom_core::model::{FieldPath, Kind, Model, Scalar};
use strongroom_core::query::{
    Aggregation, Aggregations, CalendarUnit, DateInterval, MAX_BUCKETS, Order, TermsOrder,
};
use strongroom_core::store::GroupRequest;
use strongroom_core::{Error, Result};

use super::path::{Part, Place};
use super::{filter, key, number, sort};
use crate::load::Source;

/// How many buckets each shard tells of, at least: as long as no field has more values, the counts
/// of the most frequent ones are exact.
const SHARD_BUCKETS: usize = 20_000;
/// Most buckets of one reply: the engine's default of `search.max_buckets` and one less.
const ALL_BUCKETS: usize = 65_535;
/// Up to so many values the engine counts nearly each; it has no greater threshold.
const CARDINALITY_THRESHOLD: u32 = 40_000;

/// What the result of the aggregation at this place is called in the engine's reply: names of
/// users may hold what means something to it.
pub(crate) fn result_name(at: usize) -> String {
    format!("a{at}")
}

/// What the count of documents is called that hold inexact numbers in the fields asked for.
pub(crate) const INEXACT: &str = "inexact";

/// Counts the documents that hold numbers in these fields which the engine does not hold exactly,
/// and so cannot tell apart in buckets; `None` where no field is one of numbers.
///
/// # Errors
///
/// `Invalid` if the model does not declare a field.
pub(crate) fn inexact<'f>(
    fields: impl IntoIterator<Item = &'f FieldPath>,
    model: &Model,
) -> Result<Option<Value>> {
    let mut numbers = Vec::new();
    for field in fields {
        if number::is_number(model.require(field)?.kind) {
            numbers.push(field.as_str());
        }
    }
    let inexact = Place::documents(model).inexact();
    Ok((!numbers.is_empty()).then(|| json!({"filter": {"terms": {inexact: numbers}}})))
}

/// The value that the key of a bucket stands for.
pub(crate) fn value_of(kind: Kind, key: &Value) -> Option<Scalar> {
    match key.as_str() {
        Some(key) => key::decode(kind, key),
        None => number::read(kind, key),
    }
}

/// The engine's aggregations. A metric that takes several of them has their names end in `lo` and
/// `hi`.
///
/// # Errors
///
/// As for [`query`](filter::query) and [`order`](sort::order); `Unsupported` for an aggregation
/// that is not here.
pub(crate) fn aggregations(all: &Aggregations, place: Place<'_>) -> Result<Value> {
    let mut told = Map::new();
    for (at, aggregation) in all.values().enumerate() {
        let name = result_name(at);
        let mut one = compile(aggregation, place)?;
        if let Aggregation::Stats { field } = aggregation {
            for (end, order) in [("lo", Order::Ascending), ("hi", Order::Descending)] {
                told.insert(format!("{name}{end}"), extreme(field, order, place));
            }
        }
        if let (Some(within), Some(one)) = (aggregation.within(), one.as_object_mut())
            && !within.is_empty()
        {
            let place = match aggregation {
                Aggregation::Nested { field, .. } => place.objects(field),
                _ => place,
            };
            one.insert("aggs".to_owned(), aggregations(within, place)?);
        }
        told.insert(name, one);
    }
    Ok(told.into())
}

fn compile(aggregation: &Aggregation, place: Place<'_>) -> Result<Value> {
    let numbers = |field| json!({"field": place.of(Part::Values, field)});
    Ok(match aggregation {
        Aggregation::Count { field } => json!({"filter": filter::exists(field, place)?}),
        Aggregation::Min { field } => extreme(field, Order::Ascending, place),
        Aggregation::Max { field } => extreme(field, Order::Descending, place),
        Aggregation::Sum { field } => json!({"sum": numbers(field)}),
        Aggregation::Average { field } | Aggregation::Stats { field } => {
            json!({"stats": numbers(field)})
        }
        Aggregation::Cardinality { field } => json!({"cardinality": {
            "field": place.of(Part::Values, field),
            "precision_threshold": CARDINALITY_THRESHOLD,
        }}),
        Aggregation::Terms {
            field, size, order, ..
        } => terms(field, *size, *order, place),
        Aggregation::Histogram {
            field,
            interval,
            offset,
            ..
        } => json!({"histogram": {
            "field": place.of(Part::Values, field),
            "interval": interval,
            "offset": offset,
            "min_doc_count": 1,
        }}),
        Aggregation::DateHistogram {
            field, interval, ..
        } => {
            let (name, length) = match interval {
                DateInterval::Fixed { milliseconds } => {
                    ("fixed_interval", format!("{milliseconds}ms"))
                }
                DateInterval::Calendar(unit) => ("calendar_interval", unit_name(*unit).to_owned()),
                other => {
                    return Err(Error::unsupported(format_args!("the interval {other:?}")));
                }
            };
            json!({"date_histogram": {
                "field": place.of(Part::Values, field),
                name: length,
                "min_doc_count": 1,
            }})
        }
        Aggregation::Filter { filter, .. } => json!({"filter": filter::query(filter, place)?}),
        Aggregation::Nested { field, .. } => json!({"nested": {"path": place.path_of(field)}}),
        Aggregation::TopHits { sort, size, source } => json!({"top_hits": {
            "size": size,
            "sort": sort::order(sort, place.model, false)?,
            "_source": Source::parts(source),
            "seq_no_primary_term": true,
        }}),
        other => {
            return Err(Error::unsupported(format_args!(
                "the aggregation {other:?}"
            )));
        }
    })
}

/// The first of the values, or the last: the engine's own extremes are floats.
fn extreme(field: &FieldPath, order: Order, place: Place<'_>) -> Value {
    let order = match order {
        Order::Ascending => "asc",
        Order::Descending => "desc",
    };
    json!({"terms": {
        "field": place.of(Part::Values, field),
        "size": 1,
        "order": {"_key": order},
    }})
}

fn terms(field: &FieldPath, size: usize, order: TermsOrder, place: Place<'_>) -> Value {
    let by_key = json!({"_key": "asc"});
    let (order, size, shard_size) = match order {
        TermsOrder::CountDescending => (
            json!([{"_count": "desc"}, by_key]),
            size,
            size.saturating_mul(2).clamp(SHARD_BUCKETS, ALL_BUCKETS),
        ),
        // The rarest values of a shard may be frequent on others: only all of them tell.
        TermsOrder::CountAscending => {
            (json!([{"_count": "asc"}, by_key]), ALL_BUCKETS, ALL_BUCKETS)
        }
        TermsOrder::KeyAscending => (json!([by_key]), size, size),
        TermsOrder::KeyDescending => (json!([{"_key": "desc"}]), size, size),
    };
    json!({"terms": {
        "field": place.of(Part::Values, field),
        "size": size,
        "shard_size": shard_size,
        "order": order,
    }})
}

fn unit_name(unit: CalendarUnit) -> &'static str {
    match unit {
        CalendarUnit::Minute => "minute",
        CalendarUnit::Hour => "hour",
        CalendarUnit::Day => "day",
        CalendarUnit::Week => "week",
        CalendarUnit::Month => "month",
        CalendarUnit::Quarter => "quarter",
        CalendarUnit::Year => "year",
    }
}

/// The first documents of each group, and one group more than wanted. So many documents of a group
/// are asked for.
///
/// # Errors
///
/// As for [`order`](sort::order).
pub(crate) fn group(request: &GroupRequest, documents: usize) -> Result<Value> {
    let place = Place::documents(&request.model);
    let most = request.groups.min(MAX_BUCKETS) + 1;
    Ok(json!({"groups": {
        "terms": {
            "field": place.of(Part::Values, &request.by),
            "size": most,
            "shard_size": most,
            "order": {"_key": "asc"},
        },
        "aggs": {"first": {"top_hits": {
            "size": documents,
            "sort": sort::order(&request.sort, &request.model, false)?,
            "_source": Source::parts(&request.source),
            "seq_no_primary_term": true,
        }}},
    }}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_core::model::FieldDeclaration;

    #[track_caller]
    fn check(aggregation: Aggregation, expected: &Value) {
        let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind);
        let model = Model::builder("a")
            .field(field("k", Kind::Keyword))
            .field(field("n", Kind::Integer))
            .field(field("at", Kind::Timestamp))
            .field(field("i", Kind::Nested))
            .field(field("i.n", Kind::Integer))
            .build()
            .unwrap();
        let all = Aggregations::from([("any \"name\"".to_owned(), aggregation)]);
        Aggregation::check_all(&all, &model).unwrap();
        let told = aggregations(&all, Place::documents(&model)).unwrap();
        assert_eq!(&told, expected);
    }

    fn path(path: &str) -> FieldPath {
        path.parse().unwrap()
    }

    #[test]
    fn metrics() {
        let least = json!({"terms": {"field": "body.n", "size": 1, "order": {"_key": "asc"}}});
        let greatest = json!({"terms": {"field": "body.n", "size": 1, "order": {"_key": "desc"}}});
        check(Aggregation::Min { field: path("n") }, &json!({"a0": least}));
        check(
            Aggregation::Stats { field: path("n") },
            &json!({"a0": {"stats": {"field": "body.n"}}, "a0lo": least, "a0hi": greatest}),
        );
        check(
            Aggregation::Count { field: path("i") },
            &json!({"a0": {"filter": {"term": {"e": "i"}}}}),
        );
    }

    #[test]
    fn buckets() {
        check(
            Aggregation::Terms {
                field: path("k"),
                size: 5,
                order: TermsOrder::CountDescending,
                within: Aggregations::from([(
                    "s".to_owned(),
                    Aggregation::Sum { field: path("n") },
                )]),
            },
            &json!({"a0": {
                "terms": {"field": "body.k", "size": 5, "shard_size": 20_000,
                          "order": [{"_count": "desc"}, {"_key": "asc"}]},
                "aggs": {"a0": {"sum": {"field": "body.n"}}},
            }}),
        );
        check(
            Aggregation::DateHistogram {
                field: path("at"),
                interval: DateInterval::Calendar(CalendarUnit::Quarter),
                within: Aggregations::new(),
            },
            &json!({"a0": {"date_histogram":
                {"field": "body.at", "calendar_interval": "quarter", "min_doc_count": 1}}}),
        );
        check(
            Aggregation::Nested {
                field: path("i"),
                within: Aggregations::from([(
                    "c".to_owned(),
                    Aggregation::Sum { field: path("i.n") },
                )]),
            },
            &json!({"a0": {"nested": {"path": "n.i"},
                "aggs": {"a0": {"sum": {"field": "n.i.f.i%2en"}}}}}),
        );
    }
}
