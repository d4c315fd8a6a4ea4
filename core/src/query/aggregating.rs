//! What aggregations mean: documents in, results out.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    Aggregation, Aggregations, DateInterval, FieldReader, Functions, MAX_BUCKETS, Matcher, Placer,
    Position, SourceFilter, TermsOrder,
};
use crate::error::{Error, Result};
use crate::model::{FieldPath, Key, Model, RawDocument, Scalar};
use crate::store::{
    AggregateResult, AggregateResults, Bucket, Cardinality, SingleBucket, Stats, Terms,
};

/// Aggregations under way over the documents of one collection.
///
/// It is the one meaning of an aggregation: the in-memory store asks it, and every engine's
/// results are compared with it. A store that cannot compute one in its own language can feed it.
///
/// `D` is whatever the caller makes a document of when top hits are handed out, such as a version
/// and a body. Only the documents that are among the first so far are held.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::{FieldDeclaration, Key, Kind, Model};
/// use strongroom_core::query::{Aggregation, Aggregations, Aggregator, Functions};
/// use strongroom_core::store::AggregateResult;
///
/// let model = Model::builder("users")
///     .field(FieldDeclaration::new("age".parse()?, Kind::Integer))
///     .build()?;
/// let sum = Aggregation::Sum { field: "age".parse()? };
/// let all = Aggregations::from([("years".to_owned(), sum)]);
/// let mut aggregator = Aggregator::new(&all, &model, &Functions::new())?;
/// for age in [36, 41] {
///     let body = serde_json::json!({ "age": age });
///     aggregator.add(&Key::new("ada")?, body.as_object().unwrap(), &())?;
/// }
/// let results = aggregator.finish(|key, (), _| unreachable!("{key} is no top hit"))?;
/// assert!(matches!(results["years"], AggregateResult::Sum(sum) if sum == 77.0));
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Aggregator<D> {
    nodes: Nodes<D>,
}

/// Aggregations by name. A bucket begins as a copy of empty ones.
type Nodes<D> = Vec<(Arc<str>, Node<D>)>;

#[derive(Clone, Debug)]
enum Node<D> {
    Count {
        field: Arc<FieldReader>,
        count: u64,
    },
    Numbers {
        field: Arc<FieldReader>,
        wanted: Numbers,
        stats: Stats,
    },
    Cardinality {
        field: Arc<FieldReader>,
        seen: BTreeSet<Ordered>,
    },
    Buckets {
        field: Arc<FieldReader>,
        keys: Keys,
        empty: Arc<Nodes<D>>,
        buckets: BTreeMap<Ordered, Cell<D>>,
    },
    Filter {
        matcher: Arc<Matcher>,
        cell: Cell<D>,
    },
    Nested {
        field: Arc<FieldReader>,
        cell: Cell<D>,
    },
    TopHits {
        placer: Arc<Placer>,
        source: Arc<SourceFilter>,
        size: usize,
        first: Vec<(Position, D)>,
    },
}

/// What of the statistics is handed out.
#[derive(Clone, Copy, Debug)]
enum Numbers {
    Min,
    Max,
    Sum,
    Average,
    Stats,
}

/// How values are put into buckets, and which buckets are handed out.
#[derive(Clone, Copy, Debug)]
enum Keys {
    Terms { size: usize, order: TermsOrder },
    Histogram { interval: f64, offset: f64 },
    Dates(DateInterval),
}

/// What one bucket holds.
#[derive(Clone, Debug)]
struct Cell<D> {
    count: u64,
    within: Nodes<D>,
}

/// What is counted: a document, or an object of a nested field of it.
struct Subject<'a, D> {
    key: &'a Key,
    object: &'a Map<String, Value>,
    document: &'a D,
}

impl<D> Clone for Subject<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for Subject<'_, D> {}

impl<D: Clone> Aggregator<D> {
    /// Checks aggregations against a model and makes them ready. Filters among them can call
    /// `functions`.
    ///
    /// # Errors
    ///
    /// `Invalid` as for [`Aggregation::check_all`]; `Unsupported` for a native condition.
    pub fn new(all: &Aggregations, model: &Arc<Model>, functions: &Functions) -> Result<Self> {
        Aggregation::check_all(all, model)?;
        let compiler = Compiler {
            model,
            functions,
            nested: None,
        };
        Ok(Self {
            nodes: compiler.all(all)?,
        })
    }

    /// Counts a document in. Each document must come once.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the aggregation, if a histogram gets more than [`MAX_BUCKETS`] buckets or
    /// one that begins at no finite number, or if a function fails; `Unsupported` for a function
    /// that is not there. The results are of no use after an error.
    pub fn add(&mut self, key: &Key, object: &Map<String, Value>, document: &D) -> Result<()> {
        let subject = Subject {
            key,
            object,
            document,
        };
        for (name, node) in &mut self.nodes {
            node.add(subject).map_err(|e| named(name, e))?;
        }
        Ok(())
    }

    /// The results. `hand_out` makes the documents of top hits, of the parts of their bodies that
    /// are asked for.
    ///
    /// # Errors
    ///
    /// Those of `hand_out`.
    pub fn finish(
        self,
        mut hand_out: impl FnMut(&Key, &D, &SourceFilter) -> Result<RawDocument>,
    ) -> Result<AggregateResults> {
        finish(self.nodes, &mut hand_out)
    }
}

#[cold]
fn named(name: &str, error: Error) -> Error {
    let message = format!("aggregation {name:?}: {}", error.message());
    Error::new(error.kind(), message).with_source(error)
}

/// Makes aggregations ready.
struct Compiler<'a> {
    model: &'a Arc<Model>,
    functions: &'a Functions,
    /// Whose objects are aggregated instead of documents.
    nested: Option<&'a FieldPath>,
}

impl Compiler<'_> {
    fn all<D: Clone>(&self, all: &Aggregations) -> Result<Nodes<D>> {
        all.iter()
            .map(|(name, one)| Ok((Arc::from(name.as_str()), self.one(one)?)))
            .collect()
    }

    fn field(&self, path: &FieldPath) -> Result<Arc<FieldReader>> {
        FieldReader::within(self.model, path, self.nested).map(Arc::new)
    }

    fn cell<D: Clone>(&self, within: &Aggregations) -> Result<Cell<D>> {
        Ok(Cell {
            count: 0,
            within: self.all(within)?,
        })
    }

    fn numbers<D: Clone>(&self, field: &FieldPath, wanted: Numbers) -> Result<Node<D>> {
        Ok(Node::Numbers {
            field: self.field(field)?,
            wanted,
            stats: Stats::default(),
        })
    }

    fn buckets<D: Clone>(
        &self,
        field: &FieldPath,
        keys: Keys,
        within: &Aggregations,
    ) -> Result<Node<D>> {
        Ok(Node::Buckets {
            field: self.field(field)?,
            keys,
            empty: Arc::new(self.all(within)?),
            buckets: BTreeMap::new(),
        })
    }

    fn one<D: Clone>(&self, aggregation: &Aggregation) -> Result<Node<D>> {
        match aggregation {
            Aggregation::Count { field } => Ok(Node::Count {
                field: self.field(field)?,
                count: 0,
            }),
            Aggregation::Min { field } => self.numbers(field, Numbers::Min),
            Aggregation::Max { field } => self.numbers(field, Numbers::Max),
            Aggregation::Sum { field } => self.numbers(field, Numbers::Sum),
            Aggregation::Average { field } => self.numbers(field, Numbers::Average),
            Aggregation::Stats { field } => self.numbers(field, Numbers::Stats),
            Aggregation::Cardinality { field } => Ok(Node::Cardinality {
                field: self.field(field)?,
                seen: BTreeSet::new(),
            }),
            Aggregation::Terms {
                field,
                size,
                order,
                within,
            } => {
                let (size, order) = (*size, *order);
                self.buckets(field, Keys::Terms { size, order }, within)
            }
            Aggregation::Histogram {
                field,
                interval,
                offset,
                within,
            } => {
                let (interval, offset) = (*interval, *offset);
                self.buckets(field, Keys::Histogram { interval, offset }, within)
            }
            Aggregation::DateHistogram {
                field,
                interval,
                within,
            } => self.buckets(field, Keys::Dates(*interval), within),
            Aggregation::Filter { filter, within } => {
                let matcher = Matcher::within(filter, self.model, self.nested)?;
                Ok(Node::Filter {
                    matcher: Arc::new(matcher.with_functions(self.functions.clone())),
                    cell: self.cell(within)?,
                })
            }
            Aggregation::Nested { field, within } => {
                let inner = Compiler {
                    nested: Some(field),
                    ..*self
                };
                Ok(Node::Nested {
                    field: self.field(field)?,
                    cell: inner.cell(within)?,
                })
            }
            Aggregation::TopHits { sort, size, source } => Ok(Node::TopHits {
                placer: Arc::new(Placer::new(sort, self.model)?),
                source: Arc::new(source.clone()),
                size: *size,
                first: Vec::new(),
            }),
        }
    }
}

impl<D: Clone> Cell<D> {
    fn add(&mut self, subject: Subject<'_, D>) -> Result<()> {
        self.count += 1;
        let mut nodes = self.within.iter_mut();
        nodes.try_for_each(|(_, node)| node.add(subject))
    }
}

impl<D: Clone> Node<D> {
    fn add(&mut self, subject: Subject<'_, D>) -> Result<()> {
        let object = subject.object;
        match self {
            Self::Count { field, count } => *count += u64::from(field.exists(object)),
            Self::Numbers { field, stats, .. } => {
                let values = field.values(object);
                values.into_iter().for_each(|value| count_in(stats, value));
            }
            Self::Cardinality { field, seen } => {
                seen.extend(field.values(object).into_iter().map(Ordered::new));
            }
            Self::Buckets {
                field,
                keys,
                empty,
                buckets,
            } => {
                // A set, because a document counts once in a bucket however many of its values
                // fall into it.
                let mut own = BTreeSet::new();
                for value in field.values(object) {
                    own.extend(keys.of(value)?);
                }
                for key in own {
                    let cell = buckets.entry(key).or_insert_with(|| Cell {
                        count: 0,
                        within: Nodes::clone(empty),
                    });
                    cell.add(subject)?;
                }
                keys.check(buckets.len())?;
            }
            Self::Filter { matcher, cell } => {
                if matcher.matches(subject.key, object)? {
                    cell.add(subject)?;
                }
            }
            Self::Nested { field, cell } => {
                for object in field.objects(object) {
                    cell.add(Subject { object, ..subject })?;
                }
            }
            Self::TopHits {
                placer,
                size,
                first,
                ..
            } => {
                let place = placer.place(subject.key, object);
                let at = first.partition_point(|(there, _)| placer.compare(there, &place).is_lt());
                if at < *size {
                    first.insert(at, (place, subject.document.clone()));
                    first.truncate(*size);
                }
            }
        }
        Ok(())
    }
}

fn count_in(stats: &mut Stats, value: Scalar) {
    let beats = |best: &Option<Scalar>, wanted| {
        best.as_ref()
            .is_none_or(|best| value.compare(best) == Some(wanted))
    };
    stats.count += 1;
    stats.sum += number(&value);
    if beats(&stats.min, Ordering::Less) {
        stats.min = Some(value.clone());
    }
    if beats(&stats.max, Ordering::Greater) {
        stats.max = Some(value);
    }
}

/// A number as `f64`. Fields that are computed with hold no other values.
#[allow(
    clippy::cast_precision_loss,
    reason = "sums and histograms are of f64 by their definition"
)]
fn number(value: &Scalar) -> f64 {
    match value {
        Scalar::Integer(n) => *n as f64,
        Scalar::Float(x) => *x,
        Scalar::Boolean(_) | Scalar::Text(_) => 0.0,
    }
}

impl Keys {
    /// The key of the bucket that a value falls into, if it falls into any.
    fn of(self, value: Scalar) -> Result<Option<Ordered>> {
        match self {
            Self::Terms { .. } => Ok(Some(Ordered::new(value))),
            Self::Histogram { interval, offset } => {
                let begin = Aggregation::bucket_begin(number(&value), interval, offset);
                if begin.is_finite() {
                    return Ok(Some(Ordered(Scalar::Float(begin))));
                }
                Err(Error::invalid(format!(
                    "a value lies too far out for buckets of {interval}: its bucket begins at no finite number"
                )))
            }
            Self::Dates(interval) => Ok(match value {
                Scalar::Integer(millis) => {
                    let begin = interval.floor(millis);
                    begin.map(|begin| Ordered(Scalar::Integer(begin)))
                }
                _ => None,
            }),
        }
    }

    /// Refuses too many buckets, where all of them are handed out.
    fn check(self, buckets: usize) -> Result<()> {
        match self {
            Self::Histogram { .. } | Self::Dates(_) if buckets > MAX_BUCKETS => {
                Err(Error::invalid(format!(
                    "documents fall into more than {MAX_BUCKETS} buckets, the most allowed"
                )))
            }
            _ => Ok(()),
        }
    }
}

type HandOut<'h, D> = &'h mut dyn FnMut(&Key, &D, &SourceFilter) -> Result<RawDocument>;

fn finish<D>(nodes: Nodes<D>, hand_out: HandOut<'_, D>) -> Result<AggregateResults> {
    nodes
        .into_iter()
        .map(|(name, node)| Ok((name.as_ref().to_owned(), node.finish(hand_out)?)))
        .collect()
}

impl<D> Cell<D> {
    fn bucket(self, key: Ordered, hand_out: HandOut<'_, D>) -> Result<Bucket> {
        let results = finish(self.within, hand_out)?;
        Ok(Bucket::new(key.0, self.count, results))
    }

    fn single(self, hand_out: HandOut<'_, D>) -> Result<AggregateResult> {
        let results = finish(self.within, hand_out)?;
        let bucket = SingleBucket::new(self.count, results);
        Ok(AggregateResult::Single(bucket))
    }
}

impl<D> Node<D> {
    fn finish(self, hand_out: HandOut<'_, D>) -> Result<AggregateResult> {
        Ok(match self {
            Self::Count { count, .. } => AggregateResult::Count(count),
            Self::Numbers { wanted, stats, .. } => match wanted {
                Numbers::Min => AggregateResult::Extreme(stats.min),
                Numbers::Max => AggregateResult::Extreme(stats.max),
                Numbers::Sum => AggregateResult::Sum(stats.sum),
                Numbers::Average => AggregateResult::Average(stats.average()),
                Numbers::Stats => AggregateResult::Stats(stats),
            },
            Self::Cardinality { seen, .. } => {
                AggregateResult::Cardinality(Cardinality::exact(seen.len() as u64))
            }
            Self::Buckets { keys, buckets, .. } => {
                let (size, order) = match keys {
                    Keys::Terms { size, order } => (size, order),
                    _ => (usize::MAX, TermsOrder::KeyAscending),
                };
                let mut cells: Vec<_> = buckets.into_iter().collect();
                // They are in ascending order of their keys, and a stable sort leaves ties so.
                match order {
                    TermsOrder::CountDescending => {
                        cells.sort_by_key(|(_, cell)| std::cmp::Reverse(cell.count));
                    }
                    TermsOrder::CountAscending => cells.sort_by_key(|(_, cell)| cell.count),
                    TermsOrder::KeyAscending => {}
                    TermsOrder::KeyDescending => cells.reverse(),
                }
                let left_out = cells.split_off(size.min(cells.len()));
                let other = left_out.iter().map(|(_, cell)| cell.count).sum();
                let buckets = cells
                    .into_iter()
                    .map(|(key, cell)| cell.bucket(key, hand_out));
                let buckets = buckets.collect::<Result<_>>()?;
                match keys {
                    Keys::Terms { .. } => AggregateResult::Terms(Terms::exact(buckets, other)),
                    _ => AggregateResult::Histogram(buckets),
                }
            }
            Self::Filter { cell, .. } | Self::Nested { cell, .. } => cell.single(hand_out)?,
            Self::TopHits { source, first, .. } => {
                let documents = first
                    .iter()
                    .map(|(place, document)| hand_out(&place.key, document, &source));
                AggregateResult::TopHits(documents.collect::<Result<_>>()?)
            }
        })
    }
}

/// A value in the total order that a map needs: within one type as values compare.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ordered(pub(crate) Scalar);

impl Ordered {
    /// The value in its canonical form, so that the key of a bucket does not depend on which
    /// document came first.
    pub(crate) fn new(value: Scalar) -> Self {
        Self(value.canonical())
    }

    fn rank(&self) -> u8 {
        match self.0 {
            Scalar::Boolean(_) => 0,
            Scalar::Integer(_) | Scalar::Float(_) => 1,
            Scalar::Text(_) => 2,
        }
    }
}

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        // JSON has no NaN, so two values of one rank always compare.
        self.0
            .compare(&other.0)
            .unwrap_or_else(|| self.rank().cmp(&other.rank()))
    }
}
