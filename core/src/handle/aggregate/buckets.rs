//! Aggregations that make buckets, which may hold aggregations of their own.

use std::marker::PhantomData;
use std::time::Duration;

use super::{Aggregate, AggregateObjects, AggregateWithin, Answer, Question, mismatched, own_name};
use crate::error::{Error, Result};
use crate::handle::document::Document;
use crate::handle::field::kinds::{Float, Timestamp as TimestampKind, Valued};
use crate::model::{FieldPath, Timestamp};
use crate::query::{Aggregation, CalendarUnit, DateInterval, Filter, TermsOrder};
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

/// The one bucket of a filter or of nested objects.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Single<W = ()> {
    /// How many documents or objects there are.
    pub count: u64,
    /// What was computed over them.
    pub within: W,
}

type Typed<K, T, W> = Bucket<<K as Valued>::Value, <W as Aggregate<T>>::Output>;

/// Reads buckets, with what was computed in each.
fn buckets<T: Document, K: Valued, W: Aggregate<T>>(
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

fn single<T: Document, W: Aggregate<T>>(
    name: &str,
    within: &W,
    answer: &mut Answer<'_, T>,
) -> Result<Single<W::Output>> {
    let AggregateResult::Single(found) = answer.take(name)? else {
        return Err(mismatched(own_name(name)));
    };
    Ok(Single {
        count: found.count,
        within: answer.within(within, found.results)?,
    })
}

fn intervals(result: AggregateResult, name: &str) -> Result<Vec<store::Bucket>> {
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

/// One bucket of the documents that match a filter as well.
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
/// # fn main() -> Result<()> { run(async |_, users| {
/// use strongroom_core::handle::aggregate::filtered;
///
/// users.insert_many(["ada", "bob"].map(User::new)).await?;
/// let f = User::fields();
/// let (eu, us) = users
///     .find(Filter::all())
///     .aggregate((
///         filtered(f.region().eq("eu")).within(f.logins().sum()),
///         filtered(f.region().eq("us")),
///     ))
///     .await?;
/// assert_eq!((eu.count, eu.within, us.count), (2, 0.0, 0));
/// # Ok(()) }) }
/// ```
#[must_use]
pub fn filtered(filter: impl Into<Filter>) -> Filtered {
    Filtered {
        filter: filter.into(),
        within: (),
    }
}

/// One bucket of the documents that match a filter as well; [`filtered`] makes it.
#[derive(Clone, Debug)]
pub struct Filtered<W = ()> {
    filter: Filter,
    within: W,
}

impl Filtered {
    /// Computes this in the bucket.
    #[must_use]
    pub fn within<W>(self, within: W) -> Filtered<W> {
        Filtered {
            filter: self.filter,
            within,
        }
    }
}

impl<T: Document, W: AggregateWithin<T>> Aggregate<T> for Filtered<W> {
    type Output = Single<W::Output>;

    fn ask(&self, name: &str, question: &mut Question) {
        let filter = Aggregation::Filter {
            filter: self.filter.clone(),
            within: question.within(&self.within),
        };
        question.add(name, Ok(filter));
    }

    fn read(&self, name: &str, answer: &mut Answer<'_, T>) -> Result<Self::Output> {
        single(name, &self.within, answer)
    }
}

/// One bucket of the objects of a nested field;
/// [`Field::objects`](crate::handle::Field::objects) makes it.
#[derive(Clone, Debug)]
pub struct NestedOf<T, W = ()> {
    field: FieldPath,
    within: W,
    of: PhantomData<fn() -> T>,
}

impl<T> NestedOf<T> {
    pub(super) fn new(field: &FieldPath) -> Self {
        Self {
            field: field.clone(),
            within: (),
            of: PhantomData,
        }
    }

    /// Computes this over the objects, by the handles of the fields within them.
    #[must_use]
    pub fn within<W>(self, within: W) -> NestedOf<T, W>
    where
        T: Document,
        W: AggregateObjects<T>,
    {
        NestedOf {
            field: self.field,
            within,
            of: PhantomData,
        }
    }
}

impl<T: Document, W: Aggregate<T>> Aggregate<T> for NestedOf<T, W> {
    type Output = Single<W::Output>;

    fn ask(&self, name: &str, question: &mut Question) {
        let nested = Aggregation::Nested {
            field: self.field.clone(),
            within: question.within(&self.within),
        };
        question.add(name, Ok(nested));
    }

    fn read(&self, name: &str, answer: &mut Answer<'_, T>) -> Result<Self::Output> {
        single(name, &self.within, answer)
    }
}
