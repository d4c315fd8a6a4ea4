//! What is computed over the documents that match.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Filter, Sort, SourceFilter};
use crate::error::{Error, Result};
use crate::model::{FieldPath, Kind, Model, in_range};

/// Most buckets of one terms aggregation, histogram or date histogram.
pub const MAX_BUCKETS: usize = 10_000;
/// Most documents of one top-hits aggregation.
pub const MAX_TOP_HITS: usize = 100;
/// Most aggregations of one request, with those within others.
pub const MAX_AGGREGATIONS: usize = 100;
/// Longest name of an aggregation, in bytes.
const MAX_NAME_BYTES: usize = 100;

/// Aggregations by the names that their results go by.
pub type Aggregations = BTreeMap<String, Aggregation>;

/// One thing to be computed over the documents that match, untyped.
///
/// Only values that the kind of their field takes count. A document with several values counts
/// with each of them in sums, averages and statistics, and once in each bucket that one of them
/// falls into. What has no value falls into no bucket.
///
/// Buckets may hold aggregations of their own, one level deep: metrics and top hits. Histograms
/// hand out the buckets that documents fell into, and no empty ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Aggregation {
    /// How many documents have a value in the field, as a filter by its existence says.
    Count {
        /// The field.
        field: FieldPath,
    },
    /// The least value of a number or timestamp.
    Min {
        /// The field.
        field: FieldPath,
    },
    /// The greatest value of a number or timestamp.
    Max {
        /// The field.
        field: FieldPath,
    },
    /// The sum of all values, as `f64`. In which order they are added is left to the engine: where
    /// a sum on the way leaves the range of `f64`, the outcome is infinite or no number.
    Sum {
        /// The field.
        field: FieldPath,
    },
    /// The mean of all values, as `f64`.
    Average {
        /// The field.
        field: FieldPath,
    },
    /// Count of values, least, greatest and sum in one.
    Stats {
        /// The field.
        field: FieldPath,
    },
    /// How many different values there are.
    Cardinality {
        /// The field.
        field: FieldPath,
    },
    /// A bucket for each value of the field.
    Terms {
        /// The field.
        field: FieldPath,
        /// How many buckets are handed out at most: 1 to [`MAX_BUCKETS`].
        size: usize,
        /// Which of them, and in which order.
        order: TermsOrder,
        /// What is computed in each bucket.
        within: Aggregations,
    },
    /// A bucket for each interval of a number: the one of `value` begins at
    /// `floor((value - offset) / interval) * interval + offset`, computed in `f64`. A value whose
    /// bucket begins at no finite number fails the request with `Invalid`, as more than
    /// [`MAX_BUCKETS`] buckets do: none is left out in silence.
    Histogram {
        /// The field.
        field: FieldPath,
        /// The width of a bucket; finite and greater than zero.
        interval: f64,
        /// Where one of the buckets begins; finite.
        offset: f64,
        /// What is computed in each bucket.
        within: Aggregations,
    },
    /// A bucket for each interval of a timestamp, in UTC. Whole numbers that are no
    /// [`Timestamp`](crate::model::Timestamp) fall into none. More than [`MAX_BUCKETS`] buckets
    /// fail the request with `Invalid`.
    DateHistogram {
        /// The field.
        field: FieldPath,
        /// The length of a bucket.
        interval: DateInterval,
        /// What is computed in each bucket.
        within: Aggregations,
    },
    /// One bucket, of the documents that match this filter as well.
    Filter {
        /// The filter.
        filter: Filter,
        /// What is computed in the bucket.
        within: Aggregations,
    },
    /// One bucket, of the objects of a nested field, which are counted and aggregated instead of
    /// the documents.
    Nested {
        /// The nested field.
        field: FieldPath,
        /// What is computed over the objects: by fields within them, and no top hits.
        within: Aggregations,
    },
    /// The first documents by an order.
    TopHits {
        /// The order; by id where it leaves ties.
        sort: Vec<Sort>,
        /// How many: 1 to [`MAX_TOP_HITS`].
        size: usize,
        /// Which parts of the bodies.
        source: SourceFilter,
    },
}

/// Which buckets of a terms aggregation come first. Ties break by the value, ascending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum TermsOrder {
    /// Those with the most documents.
    #[default]
    CountDescending,
    /// Those with the fewest documents.
    CountAscending,
    /// Those with the least value.
    KeyAscending,
    /// Those with the greatest value.
    KeyDescending,
}

/// The length of a bucket of a date histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub enum DateInterval {
    /// This many milliseconds, at least one; buckets begin at multiples of it since 1970.
    Fixed {
        /// How many.
        milliseconds: i64,
    },
    /// A unit of the calendar.
    Calendar(CalendarUnit),
}

/// A unit of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum CalendarUnit {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday on.
    Week,
    /// A month.
    Month,
    /// Three months, from January, April, July or October on.
    Quarter,
    /// A year.
    Year,
}

impl Aggregation {
    /// The aggregations of its buckets.
    #[must_use]
    pub fn within(&self) -> Option<&Aggregations> {
        match self {
            Self::Terms { within, .. }
            | Self::Histogram { within, .. }
            | Self::DateHistogram { within, .. }
            | Self::Filter { within, .. }
            | Self::Nested { within, .. } => Some(within),
            _ => None,
        }
    }

    /// Where the bucket of a histogram begins that a value falls into. It may be no finite number
    /// for values and intervals of very different size.
    #[must_use]
    pub fn bucket_begin(value: f64, interval: f64, offset: f64) -> f64 {
        // Adding zero makes a negative zero a positive one.
        ((value - offset) / interval).floor() * interval + offset + 0.0
    }

    /// Checks aggregations against a model and the limits.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming aggregation and field, if a field is not declared or of a kind that is
    /// not aggregated so, if a size or an interval is out of range, if buckets are nested within
    /// buckets, or if there are more than [`MAX_AGGREGATIONS`].
    pub fn check_all(all: &Aggregations, model: &Model) -> Result<()> {
        let within = all.values().filter_map(Self::within);
        let count = all.len() + within.map(BTreeMap::len).sum::<usize>();
        if count == 0 {
            return Err(Error::invalid("no aggregation was asked for"));
        }
        if count > MAX_AGGREGATIONS {
            return Err(Error::invalid(format!(
                "request has {count} aggregations, allowed are {MAX_AGGREGATIONS}"
            )));
        }
        check_level(all, model, Level::Top)
    }

    fn check(&self, model: &Model, level: Level<'_>) -> Result<()> {
        match self {
            Self::Count { field } => level.require(model, field).map(drop),
            Self::Min { field }
            | Self::Max { field }
            | Self::Sum { field }
            | Self::Average { field }
            | Self::Stats { field } => level.number(model, field).map(drop),
            Self::Cardinality { field } => level.comparable(model, field).map(drop),
            Self::Terms { field, size, .. } => {
                level.comparable(model, field)?;
                in_range("terms has a size of", *size, MAX_BUCKETS)
            }
            Self::Histogram {
                field,
                interval,
                offset,
                ..
            } => {
                if level.number(model, field)? == Kind::Timestamp {
                    return Err(Error::invalid(format!(
                        "field {field} is declared as timestamp: ask for a date histogram"
                    )));
                }
                if !(interval.is_finite() && *interval > 0.0) {
                    return Err(Error::invalid(format!(
                        "histogram has an interval of {interval}, it must be greater than 0 and finite"
                    )));
                }
                if !offset.is_finite() {
                    return Err(Error::invalid(format!(
                        "histogram has an offset of {offset}, which is not a finite number"
                    )));
                }
                Ok(())
            }
            Self::DateHistogram {
                field, interval, ..
            } => {
                let kind = level.require(model, field)?;
                if kind != Kind::Timestamp {
                    return Err(Error::invalid(format!(
                        "field {field} is declared as {}, a date histogram is of timestamps",
                        kind.as_str()
                    )));
                }
                if let DateInterval::Fixed { milliseconds } = interval
                    && *milliseconds < 1
                {
                    return Err(Error::invalid(format!(
                        "date histogram has an interval of {milliseconds} ms, the least is 1"
                    )));
                }
                Ok(())
            }
            Self::Filter { filter, .. } => filter.check(model),
            Self::Nested { field, .. } => {
                let kind = level.require(model, field)?;
                if kind != Kind::Nested {
                    return Err(Error::invalid(format!(
                        "field {field} is declared as {}, not as nested",
                        kind.as_str()
                    )));
                }
                Ok(())
            }
            Self::TopHits { sort, size, .. } => {
                if let Level::Nested(path) = level {
                    return Err(Error::invalid(format!(
                        "top hits are whole documents, not objects of field {path}"
                    )));
                }
                Sort::check(sort, model)?;
                if sort.iter().any(Sort::is_by_score) {
                    return Err(Error::unsupported("top hits of buckets by their scores"));
                }
                in_range("top hits has a size of", *size, MAX_TOP_HITS)
            }
        }?;
        match self.within() {
            None => Ok(()),
            Some(_) if !matches!(level, Level::Top) => Err(Error::invalid(
                "buckets within buckets: aggregations nest one level deep",
            )),
            Some(within) => {
                let level = match self {
                    Self::Nested { field, .. } => Level::Nested(field),
                    _ => Level::Bucket,
                };
                check_level(within, model, level)
            }
        }
    }
}

/// Where an aggregation stands.
#[derive(Clone, Copy)]
enum Level<'a> {
    Top,
    Bucket,
    Nested(&'a FieldPath),
}

fn check_level(all: &Aggregations, model: &Model, level: Level<'_>) -> Result<()> {
    for (name, aggregation) in all {
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(Error::invalid(format!(
                "name of an aggregation has {} bytes, allowed are 1 to {MAX_NAME_BYTES}",
                name.len()
            )));
        }
        aggregation.check(model, level).map_err(|e| {
            Error::invalid(format!("aggregation {name:?}: {}", e.message())).with_source(e)
        })?;
    }
    Ok(())
}

impl Level<'_> {
    fn require(self, model: &Model, field: &FieldPath) -> Result<Kind> {
        let kind = model.require(field)?.kind;
        match self {
            Self::Nested(nested) if field == nested || !field.is_within(nested) => {
                Err(Error::invalid(format!(
                    "field {field} does not lie within {nested}, whose objects are aggregated"
                )))
            }
            _ => Ok(kind),
        }
    }

    fn comparable(self, model: &Model, field: &FieldPath) -> Result<Kind> {
        let kind = self.require(model, field)?;
        if kind.is_comparable() {
            return Ok(kind);
        }
        Err(Error::invalid(format!(
            "field {field} is declared as {}, whose values are not compared",
            kind.as_str()
        )))
    }

    fn number(self, model: &Model, field: &FieldPath) -> Result<Kind> {
        let kind = self.require(model, field)?;
        match kind {
            Kind::Integer | Kind::Float | Kind::ScaledFloat { .. } | Kind::Timestamp => Ok(kind),
            _ => Err(Error::invalid(format!(
                "field {field} is declared as {}, which has no numbers to compute with",
                kind.as_str()
            ))),
        }
    }
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// The first Monday of 1970.
const MONDAY: i64 = 4 * DAY;

impl DateInterval {
    /// The beginning of the bucket that a time in milliseconds falls into; `None` for times that
    /// are no [`Timestamp`](crate::model::Timestamp), which fall into none.
    #[must_use]
    pub fn floor(self, millis: i64) -> Option<i64> {
        let multiple = |step: i64, from: i64| {
            let above = millis.checked_sub(from)?.rem_euclid(step);
            millis.checked_sub(above)
        };
        let time = jiff::Timestamp::from_millisecond(millis).ok()?;
        match self {
            Self::Fixed { milliseconds } => multiple(milliseconds.max(1), 0),
            Self::Calendar(CalendarUnit::Minute) => multiple(MINUTE, 0),
            Self::Calendar(CalendarUnit::Hour) => multiple(HOUR, 0),
            Self::Calendar(CalendarUnit::Day) => multiple(DAY, 0),
            Self::Calendar(CalendarUnit::Week) => multiple(7 * DAY, MONDAY),
            Self::Calendar(unit) => {
                let date = time.to_zoned(jiff::tz::TimeZone::UTC).date();
                let month = match unit {
                    CalendarUnit::Year => 1,
                    CalendarUnit::Quarter => (date.month() - 1) / 3 * 3 + 1,
                    _ => date.month(),
                };
                let first = jiff::civil::Date::new(date.year(), month, 1).ok()?;
                let first = first.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
                Some(first.timestamp().as_millisecond())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FieldDeclaration, Timestamp};

    #[track_caller]
    fn check_floor(unit: CalendarUnit, time: &str, wanted: &str) {
        let millis = |text: &str| text.parse::<Timestamp>().unwrap().as_millis();
        let floor = DateInterval::Calendar(unit).floor(millis(time));
        assert_eq!(floor, Some(millis(wanted)), "{time}");
    }

    #[test]
    fn intervals_of_the_calendar() {
        let time = "2026-05-20T13:45:59.999Z";
        check_floor(CalendarUnit::Minute, time, "2026-05-20T13:45:00Z");
        check_floor(CalendarUnit::Hour, time, "2026-05-20T13:00:00Z");
        check_floor(CalendarUnit::Day, time, "2026-05-20T00:00:00Z");
        check_floor(CalendarUnit::Week, time, "2026-05-18T00:00:00Z");
        check_floor(CalendarUnit::Month, time, "2026-05-01T00:00:00Z");
        check_floor(CalendarUnit::Quarter, time, "2026-04-01T00:00:00Z");
        check_floor(CalendarUnit::Year, time, "2026-01-01T00:00:00Z");
        let before = "1969-12-31T23:59:59.999Z";
        check_floor(CalendarUnit::Day, before, "1969-12-31T00:00:00Z");
        check_floor(CalendarUnit::Week, before, "1969-12-29T00:00:00Z");
        check_floor(
            CalendarUnit::Month,
            "2024-02-29T12:00:00Z",
            "2024-02-01T00:00:00Z",
        );
        let fixed = DateInterval::Fixed { milliseconds: 10 };
        assert_eq!(fixed.floor(-1), Some(-10));
        assert_eq!(fixed.floor(10), Some(10));
        assert_eq!(fixed.floor(i64::MAX), None);
    }

    #[test]
    fn buckets_of_numbers() {
        assert_eq!(Aggregation::bucket_begin(-0.5, 1.0, 0.0), -1.0);
        assert_eq!(Aggregation::bucket_begin(9.75, 2.5, 1.0), 8.5);
        assert!(Aggregation::bucket_begin(-0.0, 1.0, 0.0).is_sign_positive());
        assert!(Aggregation::bucket_begin(f64::MAX, 0.5, 0.0).is_infinite());
        assert!(Aggregation::bucket_begin(f64::MAX, 1.0, -f64::MAX).is_infinite());
    }

    #[test]
    fn requests_are_checked() {
        let field = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind);
        let model = Model::builder("a")
            .field(field("k", Kind::Keyword))
            .field(field("n", Kind::Integer))
            .field(field("t", Kind::Timestamp))
            .field(field("w", Kind::Text))
            .field(field("o", Kind::Nested).many())
            .field(field("o.n", Kind::Integer).many())
            .build()
            .unwrap();
        let path = |text: &str| text.parse::<FieldPath>().unwrap();
        let terms = |field: &str, size, within: Aggregations| Aggregation::Terms {
            field: path(field),
            size,
            order: TermsOrder::default(),
            within,
        };
        let histogram = |field: &str, interval| Aggregation::Histogram {
            field: path(field),
            interval,
            offset: 0.0,
            within: Aggregations::new(),
        };
        let named = |a: Aggregation| Aggregations::from([("x".to_owned(), a)]);
        let stats = |field: &str| Aggregation::Stats { field: path(field) };
        let nested = |a: Aggregation| Aggregation::Nested {
            field: path("o"),
            within: named(a),
        };
        let hits = |size| Aggregation::TopHits {
            sort: vec![],
            size,
            source: SourceFilter::All,
        };
        for good in [
            terms("k", 10, named(stats("n"))),
            terms("k", MAX_BUCKETS, named(hits(3))),
            histogram("n", 0.5),
            nested(stats("o.n")),
            Aggregation::Count { field: path("w") },
        ] {
            Aggregation::check_all(&named(good), &model).unwrap();
        }
        let empty = Aggregations::new;
        for (words, bad) in [
            ("size of 0", terms("k", 0, empty())),
            ("size of 10001", terms("k", MAX_BUCKETS + 1, empty())),
            ("field w", terms("w", 1, empty())),
            ("field z", stats("z")),
            ("field k", stats("k")),
            ("interval of 0", histogram("n", 0.0)),
            ("interval of NaN", histogram("n", f64::NAN)),
            ("date histogram", histogram("t", 1.0)),
            (
                "buckets within",
                terms("k", 1, named(terms("n", 1, empty()))),
            ),
            ("field n", nested(stats("n"))),
            ("top hits", nested(hits(1))),
            ("size of 101", hits(101)),
            (
                "interval of 0 ms",
                Aggregation::DateHistogram {
                    field: path("t"),
                    interval: DateInterval::Fixed { milliseconds: 0 },
                    within: empty(),
                },
            ),
        ] {
            let error = Aggregation::check_all(&named(bad), &model).unwrap_err();
            assert!(error.message().contains(words), "{words}: {error}");
            assert!(error.message().contains("\"x\""), "{error}");
        }
        assert!(Aggregation::check_all(&empty(), &model).is_err());
    }
}
