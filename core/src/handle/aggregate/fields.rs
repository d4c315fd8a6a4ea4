//! Aggregations from handles of fields.

use super::buckets::{HistogramOf, TermsOf};
use super::dates::{DateHistogramOf, IntoDateInterval};
use super::metric::{Metric, Stats};
use super::single::NestedOf;
use crate::handle::field::Field;
use crate::handle::field::kinds::{Continuous, Mapped, Nested, Numeric, Timestamp, Valued};
use crate::query::Aggregation;
use crate::store::{AggregateResult, Cardinality};

/// A function that reads one variant of results.
macro_rules! reading {
    ($variant:ident, |$value:ident, $field:ident| $read:expr) => {
        |result, $field| match result {
            AggregateResult::$variant($value) => Some($read),
            _ => None,
        }
    };
}

impl<T, K: Mapped, V> Field<T, K, V> {
    /// How many documents have a value in the field, as [`exists`](Self::exists) says.
    #[must_use]
    pub fn count(&self) -> Metric<T, u64> {
        Metric::new(
            self.path(),
            |field| Aggregation::Count { field },
            reading!(Count, |count, _field| Ok(count)),
        )
    }
}

impl<T, K: Valued, V> Field<T, K, V> {
    /// How many different values there are. The answer says how far off it may be.
    #[must_use]
    pub fn cardinality(&self) -> Metric<T, Cardinality> {
        Metric::new(
            self.path(),
            |field| Aggregation::Cardinality { field },
            reading!(Cardinality, |cardinality, _field| Ok(cardinality)),
        )
    }

    /// A bucket for each value: the 10 with the most documents, unless it is said otherwise.
    #[must_use]
    pub fn terms(&self) -> TermsOf<T, K> {
        TermsOf::new(self.path())
    }
}

impl<T, K: Numeric, V> Field<T, K, V> {
    /// The least value, if there is one.
    #[must_use]
    pub fn minimum(&self) -> Metric<T, Option<K::Value>> {
        Metric::new(
            self.path(),
            |field| Aggregation::Min { field },
            reading!(Extreme, |value, field| value
                .map(|value| K::read(&value, field))
                .transpose()),
        )
    }

    /// The greatest value, if there is one.
    #[must_use]
    pub fn maximum(&self) -> Metric<T, Option<K::Value>> {
        Metric::new(
            self.path(),
            |field| Aggregation::Max { field },
            reading!(Extreme, |value, field| value
                .map(|value| K::read(&value, field))
                .transpose()),
        )
    }

    /// The sum of all values, of timestamps in milliseconds; 0 if there is none.
    #[must_use]
    pub fn sum(&self) -> Metric<T, f64> {
        Metric::new(
            self.path(),
            |field| Aggregation::Sum { field },
            reading!(Sum, |sum, _field| Ok(sum)),
        )
    }

    /// The mean of all values, of timestamps in milliseconds, if there is one.
    #[must_use]
    pub fn average(&self) -> Metric<T, Option<f64>> {
        Metric::new(
            self.path(),
            |field| Aggregation::Average { field },
            reading!(Average, |average, _field| Ok(average)),
        )
    }

    /// Count, least, greatest, sum and mean of the values in one.
    #[must_use]
    pub fn stats(&self) -> Metric<T, Stats<K::Value>> {
        Metric::new(
            self.path(),
            |field| Aggregation::Stats { field },
            reading!(Stats, |stats, field| Stats::read::<K>(&stats, field)),
        )
    }
}

impl<T, K: Continuous, V> Field<T, K, V> {
    /// A bucket for each interval of this width that a value falls into. It must be finite and
    /// greater than zero.
    #[must_use]
    pub fn histogram(&self, interval: f64) -> HistogramOf<T> {
        HistogramOf::new(self.path(), interval)
    }
}

impl<T, V> Field<T, Timestamp, V> {
    /// A bucket for each interval that a value falls into: a
    /// [`CalendarUnit`](crate::query::CalendarUnit) in UTC, or a `Duration` of whole milliseconds.
    #[must_use]
    pub fn date_histogram(&self, interval: impl IntoDateInterval) -> DateHistogramOf<T> {
        DateHistogramOf::new(self.path(), interval.into_date_interval())
    }
}

impl<T, V> Field<T, Nested, V> {
    /// One bucket of the objects of the field, which are counted, and aggregated by the fields
    /// within them, instead of the documents.
    #[must_use]
    pub fn objects(&self) -> NestedOf<T> {
        NestedOf::new(self.path())
    }
}
