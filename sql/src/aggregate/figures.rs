//! Metrics as columns of a statement, and what they come to.

use strongroom_core::error::{Error, Result};
use strongroom_core::model::{FieldPath, Kind, Scalar};
use strongroom_core::query::Aggregation;
use strongroom_core::store::{AggregateResult, Cardinality, Stats};

use crate::dialect::{DOCUMENT, Dialect};

/// The columns of the figures of one statement, each of them once.
#[derive(Debug)]
pub(super) struct Columns {
    first: usize,
    expressions: Vec<String>,
}

/// A metric, and the numbers of the columns that it is made of.
#[derive(Debug)]
pub(super) struct Figure<'r> {
    pub(super) name: &'r str,
    reading: Reading,
    /// How many columns the statement has for figures at least.
    width: usize,
}

#[derive(Debug)]
enum Reading {
    Count(usize),
    Extreme(usize),
    Sum(usize),
    Average {
        count: usize,
        sum: usize,
    },
    Stats {
        count: usize,
        min: usize,
        max: usize,
        sum: usize,
    },
    Cardinality(usize),
}

/// The field that a metric is about.
pub(super) fn field(aggregation: &Aggregation) -> Result<&FieldPath> {
    match aggregation {
        Aggregation::Count { field }
        | Aggregation::Min { field }
        | Aggregation::Max { field }
        | Aggregation::Sum { field }
        | Aggregation::Average { field }
        | Aggregation::Stats { field }
        | Aggregation::Cardinality { field } => Ok(field),
        _ => Err(Error::unsupported("this aggregation")),
    }
}

impl Columns {
    /// Columns that come after so many others.
    pub(super) fn from(first: usize) -> Self {
        Self {
            first,
            expressions: Vec::new(),
        }
    }

    fn add(&mut self, expression: String) -> usize {
        let there = self.expressions.iter().position(|e| *e == expression);
        let at = there.unwrap_or_else(|| {
            self.expressions.push(expression);
            self.expressions.len() - 1
        });
        self.first + at
    }

    /// Adds what a metric over the values `value` of a field of this kind needs.
    pub(super) fn figure<'r>(
        &mut self,
        dialect: &dyn Dialect,
        name: &'r str,
        aggregation: &Aggregation,
        kind: Kind,
        value: &str,
    ) -> Result<Figure<'r>> {
        let of = |function: &str| format!("{function}({value})");
        let reading = match aggregation {
            Aggregation::Count { .. } => Reading::Count(self.add(of("count"))),
            Aggregation::Min { .. } => Reading::Extreme(self.add(of("min"))),
            Aggregation::Max { .. } => Reading::Extreme(self.add(of("max"))),
            Aggregation::Sum { .. } => Reading::Sum(self.add(dialect.sum(kind, value))),
            Aggregation::Average { .. } => Reading::Average {
                count: self.add(of("count")),
                sum: self.add(dialect.sum(kind, value)),
            },
            Aggregation::Stats { .. } => Reading::Stats {
                count: self.add(of("count")),
                min: self.add(of("min")),
                max: self.add(of("max")),
                sum: self.add(dialect.sum(kind, value)),
            },
            Aggregation::Cardinality { .. } => {
                Reading::Cardinality(self.add(format!("count(DISTINCT {value})")))
            }
            _ => return Err(Error::unsupported("this aggregation")),
        };
        Ok(Figure {
            name,
            reading,
            width: self.expressions.len(),
        })
    }

    /// The columns with names, each behind a comma.
    pub(super) fn named(&self) -> String {
        let all = self.expressions.iter().enumerate();
        all.map(|(at, expression)| format!(", {expression} AS f{at}"))
            .collect()
    }

    /// The columns that were given names, each behind a comma.
    pub(super) fn names(&self) -> String {
        let all = 0..self.expressions.len();
        all.map(|at| format!(", {DOCUMENT}.f{at}")).collect()
    }

    /// The columns as SQL.
    pub(super) fn list(&self) -> String {
        self.expressions.join(", ")
    }
}

/// How many columns figures of one statement have.
pub(super) fn width(figures: &[Figure<'_>]) -> usize {
    figures.iter().map(|f| f.width).max().unwrap_or_default()
}

impl Figure<'_> {
    /// The figure in a row.
    pub(super) fn read(&self, row: &[Option<Scalar>]) -> Result<AggregateResult> {
        Ok(match self.reading {
            Reading::Count(at) => AggregateResult::Count(count(row, at)?),
            Reading::Extreme(at) => AggregateResult::Extreme(value(row, at)),
            Reading::Sum(at) => AggregateResult::Sum(sum(row, at)),
            Reading::Average { count: at, sum: by } => {
                let stats = Stats::new(count(row, at)?, None, None, sum(row, by));
                AggregateResult::Average(stats.average())
            }
            Reading::Stats {
                count: at,
                min,
                max,
                sum: by,
            } => AggregateResult::Stats(Stats::new(
                count(row, at)?,
                value(row, min),
                value(row, max),
                sum(row, by),
            )),
            Reading::Cardinality(at) => {
                AggregateResult::Cardinality(Cardinality::exact(count(row, at)?))
            }
        })
    }
}

fn value(row: &[Option<Scalar>], at: usize) -> Option<Scalar> {
    row.get(at).cloned().flatten()
}

/// A count in a row.
pub(super) fn count(row: &[Option<Scalar>], at: usize) -> Result<u64> {
    match row.get(at) {
        Some(Some(Scalar::Integer(n))) => u64::try_from(*n).ok(),
        _ => None,
    }
    .ok_or_else(|| Error::internal(format!("column {at} of an aggregation holds no count")))
}

/// A sum of which there is none came to no number on its way: infinities of both signs met.
#[allow(
    clippy::cast_precision_loss,
    reason = "sums are of f64 by their definition"
)]
fn sum(row: &[Option<Scalar>], at: usize) -> f64 {
    match row.get(at) {
        Some(Some(Scalar::Float(x))) => *x,
        Some(Some(Scalar::Integer(n))) => *n as f64,
        _ => f64::NAN,
    }
}
