//! Buckets of intervals of timestamps.

use std::marker::PhantomData;
use std::time::Duration;

use super::buckets::{Bucket, buckets, intervals};
use super::{Aggregate, AggregateWithin, Answer, Question};
use crate::error::{Error, Result};
use crate::handle::document::Document;
use crate::handle::field::kinds::Timestamp as TimestampKind;
use crate::model::{FieldPath, Timestamp};
use crate::query::{Aggregation, CalendarUnit, DateInterval};

/// The length of a bucket of a date histogram: a [`CalendarUnit`], a [`DateInterval`], or a
/// [`Duration`] of whole milliseconds.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no interval of a date histogram",
    note = "intervals are `CalendarUnit`, `DateInterval` and `Duration`"
)]
pub trait IntoDateInterval {
    /// The interval.
    ///
    /// # Errors
    ///
    /// `Invalid` for a duration that is not made of whole milliseconds, or has more than `i64`
    /// counts.
    fn into_date_interval(self) -> Result<DateInterval>;
}

impl IntoDateInterval for DateInterval {
    fn into_date_interval(self) -> Result<DateInterval> {
        Ok(self)
    }
}

impl IntoDateInterval for CalendarUnit {
    fn into_date_interval(self) -> Result<DateInterval> {
        Ok(DateInterval::Calendar(self))
    }
}

impl IntoDateInterval for Duration {
    fn into_date_interval(self) -> Result<DateInterval> {
        let whole = self.subsec_nanos().is_multiple_of(1_000_000);
        match i64::try_from(self.as_millis()) {
            Ok(milliseconds) if whole => Ok(DateInterval::Fixed { milliseconds }),
            _ => Err(Error::invalid(format!(
                "date histogram has an interval of {self:?}, it must be of whole milliseconds, at most {}",
                i64::MAX
            ))),
        }
    }
}

/// Buckets of intervals of a timestamp;
/// [`Field::date_histogram`](crate::handle::Field::date_histogram) makes it.
#[derive(Clone, Debug)]
pub struct DateHistogramOf<T, W = ()> {
    field: FieldPath,
    /// The interval, or why it is none.
    interval: Result<DateInterval, String>,
    within: W,
    of: PhantomData<fn() -> T>,
}

impl<T> DateHistogramOf<T> {
    pub(super) fn new(field: &FieldPath, interval: Result<DateInterval>) -> Self {
        Self {
            field: field.clone(),
            interval: interval.map_err(|error| error.message().to_owned()),
            within: (),
            of: PhantomData,
        }
    }

    /// Computes this in each bucket.
    #[must_use]
    pub fn within<W>(self, within: W) -> DateHistogramOf<T, W>
    where
        T: Document,
        W: AggregateWithin<T>,
    {
        DateHistogramOf {
            field: self.field,
            interval: self.interval,
            within,
            of: PhantomData,
        }
    }
}

impl<T: Document, W: Aggregate<T>> Aggregate<T> for DateHistogramOf<T, W> {
    type Output = Vec<Bucket<Timestamp, W::Output>>;

    fn ask(&self, name: &str, question: &mut Question) {
        let within = question.within(&self.within);
        let histogram = match &self.interval {
            Ok(interval) => Ok(Aggregation::DateHistogram {
                field: self.field.clone(),
                interval: *interval,
                within,
            }),
            Err(message) => Err(Error::invalid(message.clone())),
        };
        question.add(name, histogram);
    }

    fn read(&self, name: &str, answer: &mut Answer<'_, T>) -> Result<Self::Output> {
        let found = intervals(answer.take(name)?, name)?;
        buckets::<T, TimestampKind, W>(found, &self.field, &self.within, answer)
    }
}
