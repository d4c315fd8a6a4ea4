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
