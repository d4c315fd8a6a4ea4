//! Making aggregations ready for documents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Cell, Keys, Node, Nodes, Numbers};
use crate::error::Result;
use crate::model::{FieldPath, Model};
use crate::query::{Aggregation, Aggregations, FieldReader, Functions, Matcher, Placer};
use crate::store::Stats;

/// Makes aggregations ready.
pub(super) struct Compiler<'a> {
    pub(super) model: &'a Arc<Model>,
    pub(super) functions: &'a Functions,
    /// Whose objects are aggregated instead of documents.
    pub(super) nested: Option<&'a FieldPath>,
}

impl Compiler<'_> {
    pub(super) fn all<D: Clone>(&self, all: &Aggregations) -> Result<Nodes<D>> {
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
