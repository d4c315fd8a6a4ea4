//! What aggregations mean: documents in, results out.
//!
//! They are made ready (`compile`), each document is counted in (`count`), and in the end they
//! tell what they came to (`results`). Values are keys of maps by way of `ordered`.

mod compile;
mod count;
mod ordered;
mod results;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    Aggregation, Aggregations, DateInterval, FieldReader, Functions, Matcher, Placer, Position,
    SourceFilter, TermsOrder,
};
use crate::error::{Error, Result};
use crate::model::{Key, Model, RawDocument};
use crate::store::{AggregateResults, Stats};
use compile::Compiler;
pub(crate) use ordered::Ordered;
use results::finish;

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
    /// `Invalid`, naming the aggregation, if a histogram gets more than
    /// [`MAX_BUCKETS`](super::MAX_BUCKETS) buckets or one that begins at no finite number, or if a
    /// function fails; `Unsupported` for a function that is not there. The results are of no use
    /// after an error.
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
