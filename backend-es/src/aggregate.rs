//! Aggregations: one `_search` without documents, and what it answers read back.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use strongroom_core::model::{FieldPath, Kind, Model, RawDocument, Scalar};
use strongroom_core::query::{Aggregation, Aggregations, MAX_BUCKETS, SourceFilter, TermsOrder};
use strongroom_core::store::{
    AggregateReply, AggregateRequest, AggregateResult, AggregateResults, Bucket, Cardinality,
    SingleBucket, Stats, Terms,
};
use strongroom_core::{Error, Result};

use crate::analysis::TextAnalysis;
use crate::answer::{Hits, Unread};
use crate::compile::{self, Place};
use crate::index::Index;
use crate::store::EsStore;

/// How far off a cardinality may be: the engine counts up to 40,000 values by their hashes, and
/// more of them by estimates whose standard error is a fifth of this.
const CARDINALITY_ERROR: f64 = 0.01;

impl EsStore {
    pub(crate) async fn aggregate_now(&self, request: &AggregateRequest) -> Result<AggregateReply> {
        let body = |index: &Index| aggregate_body(request, index.texts());
        let (index, answer) = self.ask_now(&request.model, &[], body).await?;
        if has_inexact(&answer.aggregations)? {
            return self.aggregate_by_reading(request).await;
        }
        let reader = Reader {
            index: &index,
            model: &request.model,
        };
        let results = reader.results(&request.aggregations, &answer.aggregations)?;
        Ok(AggregateReply::new(results))
    }
}

pub(crate) fn aggregate_body(request: &AggregateRequest, texts: &TextAnalysis) -> Result<Value> {
    request.filter.check(&request.model)?;
    let place = Place::documents(&request.model).read_by(texts);
    let query = compile::query(&request.filter, place)?;
    let mut fields = Vec::new();
    fields_of_buckets(&request.aggregations, &mut fields);
    let aggregations = compile::aggregations(&request.aggregations, place)?;
    let aggregations = with_inexact(aggregations, fields, &request.model)?;
    Ok(json!({
        "query": compile::routed(query, request.routing.as_ref()),
        "size": 0,
        "track_total_hits": false,
        "aggs": aggregations,
    }))
}

/// The fields whose values make buckets and metrics.
fn fields_of_buckets<'a>(all: &'a Aggregations, fields: &mut Vec<&'a FieldPath>) {
    for aggregation in all.values() {
        match aggregation {
            Aggregation::Min { field }
            | Aggregation::Max { field }
            | Aggregation::Sum { field }
            | Aggregation::Average { field }
            | Aggregation::Stats { field }
            | Aggregation::Cardinality { field }
            | Aggregation::Terms { field, .. }
            | Aggregation::Histogram { field, .. }
            | Aggregation::DateHistogram { field, .. } => fields.push(field),
            _ => {}
        }
        if let Some(within) = aggregation.within() {
            fields_of_buckets(within, fields);
        }
    }
}

/// Asks as well how many documents hold numbers in the fields that the engine does not hold
/// exactly.
pub(crate) fn with_inexact<'f>(
    mut aggregations: Value,
    fields: impl IntoIterator<Item = &'f FieldPath>,
    model: &Model,
) -> Result<Value> {
    let inexact = compile::inexact(fields, model)?;
    if let (Some(inexact), Some(all)) = (inexact, aggregations.as_object_mut()) {
        all.insert(compile::INEXACT.to_owned(), inexact);
    }
    Ok(aggregations)
}

/// Whether documents were found whose numbers the engine does not tell apart.
pub(crate) fn has_inexact(told: &Unread) -> Result<bool> {
    if !told.contains_key(compile::INEXACT) {
        return Ok(false);
    }
    Ok(read::<Single>(told, compile::INEXACT)?.doc_count > 0)
}

struct Reader<'a> {
    index: &'a Index,
    model: &'a Model,
}

#[derive(Deserialize)]
struct Single {
    doc_count: u64,
}

/// A metric's value: the engine writes numbers that JSON has not as text.
#[derive(Deserialize)]
struct Metric {
    #[serde(default)]
    count: u64,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    sum: Value,
}

#[derive(Deserialize)]
struct Buckets {
    #[serde(default)]
    doc_count_error_upper_bound: i64,
    #[serde(default)]
    sum_other_doc_count: u64,
    buckets: Vec<Unread>,
}

#[derive(Deserialize)]
struct TopHits {
    hits: Hits,
}

impl Reader<'_> {
    fn results(&self, asked: &Aggregations, told: &Unread) -> Result<AggregateResults> {
        let results = asked.iter().enumerate().map(|(at, (name, aggregation))| {
            let result = self.result(aggregation, &compile::result_name(at), told);
            let result = result.map_err(|e| {
                Error::new(e.kind(), format!("aggregation {name:?}: {}", e.message()))
                    .with_source(e)
            })?;
            Ok((name.clone(), result))
        });
        results.collect()
    }

    fn result(
        &self,
        aggregation: &Aggregation,
        name: &str,
        told: &Unread,
    ) -> Result<AggregateResult> {
        Ok(match aggregation {
            Aggregation::Count { .. } => {
                AggregateResult::Count(read::<Single>(told, name)?.doc_count)
            }
            Aggregation::Min { field } | Aggregation::Max { field } => {
                AggregateResult::Extreme(self.extreme(field, told, name)?)
            }
            Aggregation::Sum { .. } => {
                AggregateResult::Sum(number(&read::<Metric>(told, name)?.value))
            }
            Aggregation::Average { .. } => {
                let stats: Metric = read(told, name)?;
                let stats = Stats::new(stats.count, None, None, number(&stats.sum));
                AggregateResult::Average(stats.average())
            }
            Aggregation::Stats { field } => {
                let stats: Metric = read(told, name)?;
                let extreme = |end| self.extreme(field, told, &format!("{name}{end}"));
                let (min, max) = (extreme("lo")?, extreme("hi")?);
                AggregateResult::Stats(Stats::new(stats.count, min, max, number(&stats.sum)))
            }
            Aggregation::Cardinality { .. } => {
                let value = read::<Metric>(told, name)?.value.as_u64();
                let value = value.ok_or_else(|| garbled("cardinality"))?;
                AggregateResult::Cardinality(Cardinality::approximate(value, CARDINALITY_ERROR))
            }
            Aggregation::Terms {
                field,
                size,
                order,
                within,
            } => AggregateResult::Terms(self.terms(
                read(told, name)?,
                self.model.require(field)?.kind,
                *size,
                *order,
                within,
            )?),
            Aggregation::Histogram { within, .. } | Aggregation::DateHistogram { within, .. } => {
                let is_date = matches!(aggregation, Aggregation::DateHistogram { .. });
                let told: Buckets = read(told, name)?;
                if told.buckets.len() > MAX_BUCKETS {
                    return Err(Error::invalid(format!(
                        "histogram has more than {MAX_BUCKETS} buckets"
                    )));
                }
                let buckets = told.buckets.iter().map(|bucket| {
                    let key: Value = read(bucket, "key")?;
                    let key = match key.as_i64() {
                        Some(key) if is_date => Scalar::from(key),
                        _ => Scalar::from(finite(&key)?),
                    };
                    self.bucket(key, bucket, within)
                });
                AggregateResult::Histogram(buckets.collect::<Result<_>>()?)
            }
            Aggregation::Filter { within, .. } | Aggregation::Nested { within, .. } => {
                let bucket: Unread = read(told, name)?;
                AggregateResult::Single(SingleBucket::new(
                    read(&bucket, "doc_count")?,
                    self.results(within, &bucket)?,
                ))
            }
            Aggregation::TopHits { source, .. } => {
                AggregateResult::TopHits(documents(told, name, self.index, source)?)
            }
            other => {
                return Err(Error::unsupported(format_args!(
                    "the aggregation {other:?}"
                )));
            }
        })
    }

    fn extreme(&self, field: &FieldPath, told: &Unread, name: &str) -> Result<Option<Scalar>> {
        let told: Buckets = read(told, name)?;
        let Some(first) = told.buckets.first() else {
            return Ok(None);
        };
        key(self.model.require(field)?.kind, first).map(Some)
    }

    fn terms(
        &self,
        told: Buckets,
        kind: Kind,
        size: usize,
        order: TermsOrder,
        within: &Aggregations,
    ) -> Result<Terms> {
        let mut other = told.sum_other_doc_count;
        let by_key = match order {
            TermsOrder::CountAscending if other > 0 => {
                return Err(Error::unsupported(
                    "the least frequent values of a field that has more than 65,535 of them",
                ));
            }
            TermsOrder::KeyAscending | TermsOrder::KeyDescending => true,
            _ => false,
        };
        for bucket in told.buckets.iter().skip(size) {
            other += read::<u64>(bucket, "doc_count")?;
        }
        let buckets = told.buckets.iter().take(size).map(|bucket| {
            let key = key(kind, bucket)?;
            self.bucket(key, bucket, within)
        });
        let buckets = buckets.collect::<Result<_>>()?;
        // Ordered by keys, each shard tells of all buckets that are handed out.
        let error = if by_key || order == TermsOrder::CountAscending {
            0
        } else {
            u64::try_from(told.doc_count_error_upper_bound).unwrap_or(u64::MAX)
        };
        Ok(Terms::exact(buckets, other).with_error(error))
    }

    fn bucket(&self, key: Scalar, bucket: &Unread, within: &Aggregations) -> Result<Bucket> {
        let count = read(bucket, "doc_count")?;
        Ok(Bucket::new(key, count, self.results(within, bucket)?))
    }
}

/// The value that a bucket stands for.
pub(crate) fn key(kind: Kind, bucket: &Unread) -> Result<Scalar> {
    let key: Value = read(bucket, "key")?;
    compile::value_of(kind, &key).ok_or_else(|| garbled("key of a bucket"))
}

/// The first documents of a bucket.
pub(crate) fn documents(
    told: &Unread,
    name: &str,
    index: &Index,
    source: &SourceFilter,
) -> Result<Vec<RawDocument>> {
    let hits = read::<TopHits>(told, name)?.hits.hits;
    hits.into_iter()
        .map(|hit| hit.into_document(index, source))
        .collect()
}

/// Reads a part of what was told.
pub(crate) fn read<T: DeserializeOwned>(told: &Unread, name: &str) -> Result<T> {
    let part = told.get(name).map_or("null", |part| part.get());
    serde_json::from_str(part).map_err(|e| garbled(name).with_source(e))
}

fn garbled(what: &str) -> Error {
    Error::internal(format!(
        "the search engine's answer for an aggregation is not understood: {what}"
    ))
}

/// A number, in which infinity and what is no number are text; 0 where there is none.
fn number(told: &Value) -> f64 {
    told.as_f64()
        .or_else(|| told.as_str()?.parse().ok())
        .unwrap_or(0.0)
}

fn finite(told: &Value) -> Result<f64> {
    let key = number(told);
    if key.is_finite() && !told.is_null() {
        // Adding zero makes a negative zero a positive one.
        return Ok(key + 0.0);
    }
    Err(Error::invalid(
        "a bucket of a histogram begins at no finite number",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_has_not() {
        assert_eq!(number(&json!(1.5)), 1.5);
        assert_eq!(number(&json!("Infinity")), f64::INFINITY);
        assert!(number(&json!("NaN")).is_nan());
        assert_eq!(number(&Value::Null), 0.0);
        assert!(finite(&json!("-Infinity")).is_err());
        assert!(finite(&json!(-0.0)).unwrap().is_sign_positive());
    }
}
