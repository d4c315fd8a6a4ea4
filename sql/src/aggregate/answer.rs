//! From the rows of a plan's statements to the reply.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Kind, Model, RawDocument, Scalar};
use strongroom_core::query::{Aggregation, Aggregations, MAX_BUCKETS};
use strongroom_core::store::{
    AggregateReply, AggregateRequest, AggregateResult, AggregateResults, Bucket, Cardinality,
    SingleBucket, Stats, Terms,
};

use super::figures::{Figure, count};
use super::{Step, What};

/// What the rows of a [`Plan`](super::Plan) come to, under way.
#[derive(Debug)]
pub struct Answer<'r> {
    /// Of what matches as a whole.
    results: AggregateResults,
    /// Of each aggregation that makes buckets.
    buckets: BTreeMap<&'r str, Buckets<'r>>,
}

/// The buckets of one aggregation.
#[derive(Debug)]
struct Buckets<'r> {
    aggregation: &'r Aggregation,
    /// What is computed in each.
    within: &'r Aggregations,
    /// Whether its keys are booleans, which some databases keep as numbers.
    boolean: bool,
    /// In the order asked for.
    found: Vec<Cell>,
    /// Their numbers, in the order of their keys.
    by_key: Vec<usize>,
    /// How many documents are in all buckets, those left out included.
    total: u64,
}

#[derive(Debug)]
struct Cell {
    /// `None` where there is one bucket.
    key: Option<Scalar>,
    count: u64,
    results: AggregateResults,
}

impl<'r> Answer<'r> {
    pub(super) fn new(request: &'r AggregateRequest) -> Self {
        let buckets = request.aggregations.iter().filter_map(|(name, one)| {
            let buckets = Buckets {
                aggregation: one,
                within: one.within()?,
                boolean: has_boolean_keys(&request.model, one),
                found: Vec::new(),
                by_key: Vec::new(),
                total: 0,
            };
            Some((name.as_str(), buckets))
        });
        Self {
            results: nothing(&request.aggregations),
            buckets: buckets.collect(),
        }
    }

    /// Takes a row of single values. A database without booleans hands out 1 and 0.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the aggregation, if a histogram has more than [`MAX_BUCKETS`] buckets or
    /// one that begins at no finite number; `Internal` for a row that does not fit the step.
    pub fn values(&mut self, step: &Step<'r>, mut row: Vec<Option<Scalar>>) -> Result<()> {
        let figures = match &step.what {
            What::Figures(figures) => figures,
            What::Buckets { total, figures } => {
                let buckets = self.of(step)?;
                let key = if step.keyed {
                    row.first_mut().and_then(Option::take)
                } else {
                    None
                };
                let at = usize::from(step.keyed);
                if *total {
                    buckets.total = count(&row, at + 1)?;
                }
                let counted = count(&row, at)?;
                let name = step.place.unwrap_or_default();
                let cell = buckets.open(key, counted).map_err(|e| named(name, &e))?;
                return read(figures, &row, &mut cell.results);
            }
            What::Hits { .. } => return Err(strange()),
        };
        let key = if step.keyed {
            row.first_mut().and_then(Option::take)
        } else {
            None
        };
        let results = self.at(step, key)?;
        read(figures, &row, results)
    }

    /// Takes a document of top hits, with the key of its bucket where the step is keyed.
    ///
    /// # Errors
    ///
    /// `Internal` if the step's rows are no documents; `Codec` if the body is no JSON object.
    pub fn document(
        &mut self,
        step: &Step<'r>,
        key: Option<Scalar>,
        mut document: RawDocument,
    ) -> Result<()> {
        let What::Hits { name, size, source } = &step.what else {
            return Err(strange());
        };
        let Some(AggregateResult::TopHits(hits)) = self.at(step, key)?.get_mut(*name) else {
            return Err(strange());
        };
        // A page has one more row where another follows.
        if hits.len() < *size {
            if !source.is_all() {
                document.body = source.apply(&document.body)?;
            }
            hits.push(document);
        }
        Ok(())
    }

    /// The reply, when all rows were taken.
    ///
    /// # Errors
    ///
    /// `Internal` if a step had no rows that must have some.
    pub fn finish(mut self) -> Result<AggregateReply> {
        for (name, buckets) in self.buckets {
            self.results.insert(name.to_owned(), buckets.finish()?);
        }
        Ok(AggregateReply::new(self.results))
    }

    fn of(&mut self, step: &Step<'r>) -> Result<&mut Buckets<'r>> {
        step.place
            .and_then(|name| self.buckets.get_mut(name))
            .ok_or_else(strange)
    }

    /// The results that a row of the step belongs to.
    fn at(&mut self, step: &Step<'r>, key: Option<Scalar>) -> Result<&mut AggregateResults> {
        if step.place.is_none() {
            return Ok(&mut self.results);
        }
        let buckets = self.of(step)?;
        let at = match key {
            None => 0,
            Some(key) => buckets.find(&key).ok_or_else(strange)?,
        };
        let cell = buckets.found.get_mut(at).ok_or_else(strange)?;
        Ok(&mut cell.results)
    }
}

impl Buckets<'_> {
    fn key(&self, key: Scalar) -> Result<Scalar> {
        Ok(match (self.aggregation, key) {
            (Aggregation::Terms { .. }, Scalar::Integer(n)) if self.boolean => {
                Scalar::Boolean(n != 0)
            }
            (Aggregation::Terms { .. }, key) => key.canonical(),
            (Aggregation::Histogram { interval, .. }, key) => {
                let begin = match key {
                    Scalar::Float(x) => x,
                    #[allow(clippy::cast_precision_loss, reason = "it was computed as f64")]
                    Scalar::Integer(n) => n as f64,
                    _ => return Err(strange()),
                };
                if !begin.is_finite() {
                    return Err(Error::invalid(format!(
                        "a value lies too far out for buckets of {interval}: its bucket begins at no finite number"
                    )));
                }
                Scalar::Float(begin)
            }
            (_, key) => key,
        })
    }

    fn open(&mut self, key: Option<Scalar>, count: u64) -> Result<&mut Cell> {
        let key = key.map(|key| self.key(key)).transpose()?;
        let limited = matches!(
            self.aggregation,
            Aggregation::Histogram { .. } | Aggregation::DateHistogram { .. }
        );
        if limited && self.found.len() == MAX_BUCKETS {
            return Err(Error::invalid(format!(
                "documents fall into more than {MAX_BUCKETS} buckets, the most allowed"
            )));
        }
        self.found.push(Cell {
            key,
            count,
            results: nothing(self.within),
        });
        self.found.last_mut().ok_or_else(strange)
    }

    /// The number of the bucket with this key, when all are there.
    fn find(&mut self, key: &Scalar) -> Option<usize> {
        let key = self.key(key.clone()).ok()?;
        let found = &self.found;
        let compare = |at: &usize, key: &Scalar| {
            let there = found.get(*at).and_then(|cell| cell.key.as_ref());
            there
                .and_then(|there| there.compare(key))
                .unwrap_or(Ordering::Less)
        };
        if self.by_key.len() != found.len() {
            self.by_key = (0..found.len()).collect();
            self.by_key.sort_by(|a, b| {
                let b = found.get(*b).and_then(|cell| cell.key.as_ref());
                b.map_or(Ordering::Equal, |b| compare(a, b))
            });
        }
        let place = self.by_key.binary_search_by(|at| compare(at, &key)).ok()?;
        self.by_key.get(place).copied()
    }

    fn finish(self) -> Result<AggregateResult> {
        let single = matches!(
            self.aggregation,
            Aggregation::Filter { .. } | Aggregation::Nested { .. }
        );
        if single {
            let cell = self.found.into_iter().next().ok_or_else(strange)?;
            let bucket = SingleBucket::new(cell.count, cell.results);
            return Ok(AggregateResult::Single(bucket));
        }
        let shown: u64 = self.found.iter().map(|cell| cell.count).sum();
        let buckets = self.found.into_iter().map(|cell| {
            let key = cell.key.ok_or_else(strange)?;
            Ok(Bucket::new(key, cell.count, cell.results))
        });
        let buckets = buckets.collect::<Result<_>>()?;
        Ok(match self.aggregation {
            Aggregation::Terms { .. } => {
                let other = self.total.saturating_sub(shown);
                AggregateResult::Terms(Terms::exact(buckets, other))
            }
            _ => AggregateResult::Histogram(buckets),
        })
    }
}

/// What metrics and top hits come to where there is no row.
fn nothing(all: &Aggregations) -> AggregateResults {
    let results = all.iter().filter_map(|(name, one)| {
        let result = match one {
            Aggregation::Count { .. } => AggregateResult::Count(0),
            Aggregation::Min { .. } | Aggregation::Max { .. } => AggregateResult::Extreme(None),
            Aggregation::Sum { .. } => AggregateResult::Sum(0.0),
            Aggregation::Average { .. } => AggregateResult::Average(None),
            Aggregation::Stats { .. } => AggregateResult::Stats(Stats::default()),
            Aggregation::Cardinality { .. } => AggregateResult::Cardinality(Cardinality::exact(0)),
            Aggregation::TopHits { .. } => AggregateResult::TopHits(Vec::new()),
            _ => return None,
        };
        Some((name.clone(), result))
    });
    results.collect()
}

fn read(
    figures: &[Figure<'_>],
    row: &[Option<Scalar>],
    results: &mut AggregateResults,
) -> Result<()> {
    for figure in figures {
        results.insert(figure.name.to_owned(), figure.read(row)?);
    }
    Ok(())
}

fn has_boolean_keys(model: &Model, aggregation: &Aggregation) -> bool {
    match aggregation {
        Aggregation::Terms { field, .. } => model
            .require(field)
            .is_ok_and(|field| field.kind == Kind::Boolean),
        _ => false,
    }
}

#[cold]
fn named(name: &str, error: &Error) -> Error {
    let message = format!("aggregation {name:?}: {}", error.message());
    Error::new(error.kind(), message)
}

#[cold]
fn strange() -> Error {
    Error::internal("a row does not fit the aggregation that it was asked for")
}
