//! Aggregations that make one value each.

use std::fmt;
use std::marker::PhantomData;

use super::{Aggregate, AggregateObjects, AggregateWithin, Answer, Question, mismatched, own_name};
use crate::error::Result;
use crate::handle::document::Document;
use crate::handle::field::kinds::Valued;
use crate::model::FieldPath;
use crate::query::Aggregation;
use crate::store::{self, AggregateResult};

/// An aggregation over documents `T` that makes one `V`. Handles of fields make them.
pub struct Metric<T, V> {
    aggregation: Aggregation,
    read: fn(AggregateResult, &FieldPath) -> Option<Result<V>>,
    field: FieldPath,
    of: PhantomData<fn() -> T>,
}

impl<T, V> Metric<T, V> {
    /// `read` finds nothing in a result that belongs to another aggregation.
    pub(super) fn new(
        field: &FieldPath,
        aggregation: impl FnOnce(FieldPath) -> Aggregation,
        read: fn(AggregateResult, &FieldPath) -> Option<Result<V>>,
    ) -> Self {
        Self {
            aggregation: aggregation(field.clone()),
            read,
            field: field.clone(),
            of: PhantomData,
        }
    }
}

impl<T: Document, V> Aggregate<T> for Metric<T, V> {
    type Output = V;

    fn ask(&self, name: &str, question: &mut Question) {
        question.add(name, Ok(self.aggregation.clone()));
    }

    fn read(&self, name: &str, answer: &mut Answer<'_, T>) -> Result<V> {
        let result = answer.take(name)?;
        (self.read)(result, &self.field).unwrap_or_else(|| Err(mismatched(own_name(name))))
    }
}

impl<T: Document, V> AggregateWithin<T> for Metric<T, V> {}
impl<T: Document, V> AggregateObjects<T> for Metric<T, V> {}

impl<T, V> Clone for Metric<T, V> {
    fn clone(&self) -> Self {
        Self {
            aggregation: self.aggregation.clone(),
            read: self.read,
            field: self.field.clone(),
            of: PhantomData,
        }
    }
}

impl<T, V> fmt::Debug for Metric<T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metric").field(&self.aggregation).finish()
    }
}

/// Statistics of a field's values.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stats<V> {
    /// How many values there are.
    pub count: u64,
    /// The least, if there is one.
    pub min: Option<V>,
    /// The greatest, if there is one.
    pub max: Option<V>,
    /// Their sum, of timestamps in milliseconds; 0 if there is no value.
    pub sum: f64,
    /// Their mean, of timestamps in milliseconds, if there is a value.
    pub average: Option<f64>,
}

impl<V> Stats<V> {
    pub(super) fn read<K: Valued<Value = V>>(
        stats: &store::Stats,
        field: &FieldPath,
    ) -> Result<Self> {
        let read = |value: &Option<_>| value.as_ref().map(|v| K::read(v, field)).transpose();
        Ok(Self {
            count: stats.count,
            min: read(&stats.min)?,
            max: read(&stats.max)?,
            sum: stats.sum,
            average: stats.average(),
        })
    }
}
