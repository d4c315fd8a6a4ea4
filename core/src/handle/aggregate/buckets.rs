//! Buckets of values and of intervals of numbers, which may hold aggregations of their own.

use std::marker::PhantomData;

use super::{Aggregate, AggregateWithin, Answer, Question, mismatched, own_name};
use crate::error::Result;
use crate::handle::document::Document;
use crate::handle::field::kinds::{Float, Valued};
use crate::model::FieldPath;
use crate::query::{Aggregation, TermsOrder};
use crate::store::{self, AggregateResult};

/// The documents that share a value or an interval.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Bucket<K, W = ()> {
    /// The value, or where the interval begins.
    pub key: K,
    /// How many documents there are.
    pub count: u64,
    /// What was computed over them.
    pub within: W,
}

/// Buckets of the values of a field.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Terms<K, W = ()> {
    /// The buckets, in the order asked for.
    pub buckets: Vec<Bucket<K, W>>,
    /// How many documents the buckets that were left out hold in all: a document counts once for
    /// each of its values.
    pub other: u64,
    /// How far off the count of a bucket may be: 0 if all are exact.
    pub error: u64,
}

impl<K, W> Terms<K, W> {
    /// The bucket of a value, if it was handed out.
    pub fn get<Q: ?Sized>(&self, key: &Q) -> Option<&Bucket<K, W>>
    where
        K: PartialEq<Q>,
    {
        self.buckets.iter().find(|bucket| bucket.key == *key)
    }
}

pub(super) type Typed<K, T, W> = Bucket<<K as Valued>::Value, <W as Aggregate<T>>::Output>;

/// Reads buckets, with what was computed in each.
pub(super) fn buckets<T: Document, K: Valued, W: Aggregate<T>>(
    found: Vec<store::Bucket>,
    field: &FieldPath,
    within: &W,
    answer: &Answer<'_, T>,
) -> Result<Vec<Typed<K, T, W>>> {
    let typed = found.into_iter().map(|bucket| {
        Ok(Bucket {
            key: K::read(&bucket.key, field)?,
            count: bucket.count,
            within: answer.within(within, bucket.results)?,
        })
    });
    typed.collect()
}

pub(super) fn intervals(result: AggregateResult, name: &str) -> Result<Vec<store::Bucket>> {
    match result {
        AggregateResult::Histogram(buckets) => Ok(buckets),
        _ => Err(mismatched(own_name(name))),
    }
}

/// Buckets of the values of a field; [`Field::terms`](crate::handle::Field::terms) makes it.
#[derive(Clone, Debug)]
pub struct TermsOf<T, K, W = ()> {
    field: FieldPath,
    size: usize,
    order: TermsOrder,
    within: W,
    of: PhantomData<fn() -> (T, K)>,
}

/// How many buckets terms have where it is not said.
const TERMS: usize = 10;

impl<T, K> TermsOf<T, K> {
    pub(super) fn new(field: &FieldPath) -> Self {
        Self {
            field: field.clone(),
            size: TERMS,
            order: TermsOrder::default(),
            within: (),
            of: PhantomData,
        }
    }

    /// Computes this in each bucket.
    #[must_use]
    pub fn within<W>(self, within: W) -> TermsOf<T, K, W>
    where
        T: Document,
        W: AggregateWithin<T>,
    {
        TermsOf {
            field: self.field,
            size: self.size,
            order: self.order,
            within,
            of: PhantomData,
        }
    }
}

impl<T, K, W> TermsOf<T, K, W> {
    /// How many buckets are handed out at most: 1 to [`MAX_BUCKETS`](crate::query::MAX_BUCKETS).
    #[must_use]
    pub fn size(mut self, buckets: usize) -> Self {
        self.size = buckets;
        self
    }

    /// Which buckets are handed out, and in which order; by default those with the most
    /// documents first.
    #[must_use]
    pub fn order(mut self, order: TermsOrder) -> Self {
        self.order = order;
        self
    }
}

impl<T: Document, K: Valued, W: Aggregate<T>> Aggregate<T> for TermsOf<T, K, W> {
    type Output = Terms<K::Value, W::Output>;

    fn ask(&self, name: &str, question: &mut Question) {
        let within = question.within(&self.within);
        let terms = Aggregation::Terms {
            field: self.field.clone(),
            size: self.size,
            order: self.order,
            within,
        };
        question.add(name, Ok(terms));
    }

    fn read(&self, name: &str, answer: &mut Answer<'_, T>) -> Result<Self::Output> {
        let AggregateResult::Terms(terms) = answer.take(name)? else {
            return Err(mismatched(own_name(name)));
        };
        Ok(Terms {
            buckets: buckets::<T, K, W>(terms.buckets, &self.field, &self.within, answer)?,
            other: terms.other,
            error: terms.error,
        })
    }
}

/// Buckets of intervals of a number; [`Field::histogram`](crate::handle::Field::histogram) makes
/// it.
#[derive(Clone, Debug)]
pub struct HistogramOf<T, W = ()> {
    field: FieldPath,
    interval: f64,
    offset: f64,
    within: W,
    of: PhantomData<fn() -> T>,
}

impl<T> HistogramOf<T> {
    pub(super) fn new(field: &FieldPath, interval: f64) -> Self {
        Self {
            field: field.clone(),
            interval,
            offset: 0.0,
            within: (),
            of: PhantomData,
        }
    }

    /// Computes this in each bucket.
    #[must_use]
    pub fn within<W>(self, within: W) -> HistogramOf<T, W>
    where
        T: Document,
        W: AggregateWithin<T>,
    {
        HistogramOf {
            field: self.field,
            interval: self.interval,
            offset: self.offset,
            within,
            of: PhantomData,
        }
    }
}

impl<T, W> HistogramOf<T, W> {
    /// Where one of the buckets begins, 0 by default; finite.
    #[must_use]
    pub fn offset(mut self, offset: f64) -> Self {
        self.offset = offset;
        self
    }
}

impl<T: Document, W: Aggregate<T>> Aggregate<T> for HistogramOf<T, W> {
    type Output = Vec<Bucket<f64, W::Output>>;

    fn ask(&self, name: &str, question: &mut Question) {
        let within = question.within(&self.within);
        let histogram = Aggregation::Histogram {
            field: self.field.clone(),
            interval: self.interval,
            offset: self.offset,
            within,
        };
        question.add(name, Ok(histogram));
    }

    fn read(&self, name: &str, answer: &mut Answer<'_, T>) -> Result<Self::Output> {
        let found = intervals(answer.take(name)?, name)?;
        buckets::<T, Float, W>(found, &self.field, &self.within, answer)
    }
}
