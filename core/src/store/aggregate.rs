//! Computing over the documents that match.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Model, RawDocument, Routing, Scalar};
use crate::query::{Aggregations, Filter};

/// Aggregations over what matches.
#[derive(Clone, Debug)]
pub struct AggregateRequest {
    /// The collection.
    pub model: Arc<Model>,
    /// Which documents.
    pub filter: Filter,
    /// Only documents of this routing.
    pub routing: Option<Routing>,
    /// What is computed, by name.
    pub aggregations: Aggregations,
}

impl AggregateRequest {
    /// Aggregations over what matches.
    #[must_use]
    pub fn new(model: Arc<Model>, filter: Filter, aggregations: Aggregations) -> Self {
        Self {
            model,
            filter,
            routing: None,
            aggregations,
        }
    }
}

/// Results by the names of their aggregations.
pub type AggregateResults = BTreeMap<String, AggregateResult>;

/// The results of a request.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AggregateReply {
    /// One result for each aggregation that was asked for.
    pub results: AggregateResults,
}

impl AggregateReply {
    /// A reply of these results.
    #[must_use]
    pub fn new(results: AggregateResults) -> Self {
        Self { results }
    }
}

/// The result of one aggregation, of the variant that belongs to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AggregateResult {
    /// Of a count.
    Count(u64),
    /// Of a least or greatest value; `None` where there is no value.
    Extreme(Option<Scalar>),
    /// Of a sum; 0 where there is no value.
    Sum(f64),
    /// Of an average; `None` where there is no value.
    Average(Option<f64>),
    /// Of statistics.
    Stats(Stats),
    /// Of a cardinality.
    Cardinality(Cardinality),
    /// Of terms.
    Terms(Terms),
    /// Of a histogram or date histogram: buckets in ascending order of their keys, which are where
    /// they begin, a float or a timestamp.
    Histogram(Vec<Bucket>),
    /// Of a filter or of nested objects.
    Single(SingleBucket),
    /// Of top hits.
    TopHits(Vec<RawDocument>),
}

/// Statistics of a field's values.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// How many values there are.
    pub count: u64,
    /// The least, if there is one.
    pub min: Option<Scalar>,
    /// The greatest, if there is one.
    pub max: Option<Scalar>,
    /// Their sum.
    pub sum: f64,
}

impl Stats {
    /// Statistics of so many values.
    #[must_use]
    pub fn new(count: u64, min: Option<Scalar>, max: Option<Scalar>, sum: f64) -> Self {
        Self {
            count,
            min,
            max,
            sum,
        }
    }

    /// The mean, if there is a value.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        reason = "a mean is an approximation of 53 bits anyway"
    )]
    pub fn average(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// How many different values there are, and how far off that may be.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Cardinality {
    /// The number.
    pub value: u64,
    /// The relative error that it may have: 0 if it is exact.
    pub error: f64,
}

impl Cardinality {
    /// An exact number.
    #[must_use]
    pub fn exact(value: u64) -> Self {
        Self { value, error: 0.0 }
    }

    /// A number that may be off by this part of it.
    #[must_use]
    pub fn approximate(value: u64, error: f64) -> Self {
        Self { value, error }
    }
}

/// Buckets of the values of a field.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Terms {
    /// The buckets, in the order asked for.
    pub buckets: Vec<Bucket>,
    /// How many documents the buckets that were left out hold in all: a document counts once for
    /// each of its values.
    pub other: u64,
    /// How far off the count of a bucket may be: 0 if all are exact.
    pub error: u64,
}

impl Terms {
    /// Exact buckets, and how many documents the others hold.
    #[must_use]
    pub fn exact(buckets: Vec<Bucket>, other: u64) -> Self {
        Self {
            buckets,
            other,
            error: 0,
        }
    }

    /// Adds how far off the count of a bucket may be.
    #[must_use]
    pub fn with_error(mut self, error: u64) -> Self {
        self.error = error;
        self
    }
}

/// The documents that share a value or an interval.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Bucket {
    /// The value, or where the interval begins.
    pub key: Scalar,
    /// How many documents there are; of nested aggregations, how many objects.
    pub count: u64,
    /// What was computed over them.
    pub results: AggregateResults,
}

impl Bucket {
    /// A bucket.
    #[must_use]
    pub fn new(key: Scalar, count: u64, results: AggregateResults) -> Self {
        Self {
            key,
            count,
            results,
        }
    }
}

/// The one bucket of a filter or of nested objects.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SingleBucket {
    /// How many documents or objects there are.
    pub count: u64,
    /// What was computed over them.
    pub results: AggregateResults,
}

impl SingleBucket {
    /// A bucket.
    #[must_use]
    pub fn new(count: u64, results: AggregateResults) -> Self {
        Self { count, results }
    }
}
