//! In which order documents come.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::{FieldPath, Model};

/// Most sort keys of one query.
const MAX_SORT_KEYS: usize = 8;

/// A direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum Order {
    /// The least value of each document first.
    #[default]
    Ascending,
    /// The greatest value of each document first.
    Descending,
}

/// Where documents without a value come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum MissingValues {
    /// After all others, in either direction.
    #[default]
    Last,
    /// Before all others, in either direction.
    First,
}

/// What a sort key looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum SortTarget {
    /// A declared field of a comparable kind.
    Field(FieldPath),
    /// The document's id, compared as bytes.
    Id,
    /// How well the document fits the words that the filter asks for: the engine's own score,
    /// greater for what fits better. It is the one thing that engines need not agree on.
    ///
    /// Conditions on text count, those beneath a `Not` left out, and so may conditions in the
    /// engine's own language; a document that meets none of them has the score 0. A
    /// [`Page`](crate::store::Page) hands the scores out. They depend on what else the collection
    /// holds, so they may change between two pages while others write, and a document is then
    /// seen twice or not at all; a scan shows each once.
    Score,
}

/// One sort key. Ties that are left after the last one break by the bytes of the id, ascending,
/// and then of the routing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sort {
    /// What is looked at.
    pub target: SortTarget,
    /// The direction.
    pub order: Order,
    /// Where documents without a value come.
    pub missing: MissingValues,
}

impl Sort {
    /// The least value first.
    #[must_use]
    pub fn ascending(field: FieldPath) -> Self {
        Self::new(SortTarget::Field(field), Order::Ascending)
    }

    /// The greatest value first.
    #[must_use]
    pub fn descending(field: FieldPath) -> Self {
        Self::new(SortTarget::Field(field), Order::Descending)
    }

    /// By id.
    #[must_use]
    pub fn by_id(order: Order) -> Self {
        Self::new(SortTarget::Id, order)
    }

    /// What fits the filter's words best first; see [`SortTarget::Score`].
    #[must_use]
    pub fn by_score() -> Self {
        Self::new(SortTarget::Score, Order::Descending)
    }

    /// Whether it looks at the score.
    #[must_use]
    pub fn is_by_score(&self) -> bool {
        self.target == SortTarget::Score
    }

    fn new(target: SortTarget, order: Order) -> Self {
        Self {
            target,
            order,
            missing: MissingValues::default(),
        }
    }

    /// Documents without a value come before all others.
    #[must_use]
    pub fn missing_first(mut self) -> Self {
        self.missing = MissingValues::First;
        self
    }

    /// Checks sort keys against a model.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the field, if it is not declared or not of a comparable kind, or if
    /// there are more than 8 keys.
    pub fn check(sorts: &[Self], model: &Model) -> Result<()> {
        if sorts.len() > MAX_SORT_KEYS {
            return Err(Error::invalid(format!(
                "query has {} sort keys, allowed are {MAX_SORT_KEYS}",
                sorts.len()
            )));
        }
        for sort in sorts {
            if let SortTarget::Field(path) = &sort.target {
                let kind = model.require(path)?.kind;
                if !kind.is_comparable() {
                    return Err(Error::invalid(format!(
                        "field {path} is declared as {}, which has no order",
                        kind.as_str()
                    )));
                }
            }
        }
        Ok(())
    }
}
