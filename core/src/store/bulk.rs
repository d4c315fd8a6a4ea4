//! Many writes in one call.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::save::{Receipt, Refresh, Write};
use crate::error::{Error, Result};
use crate::model::{Expected, Key, Model};

/// One item of a bulk.
#[derive(Clone, Debug)]
pub enum BulkItem {
    /// A write.
    Write(Write),
    /// Writes nothing and fails as a write with this expectation would.
    Check {
        /// The document's key.
        key: Key,
        /// What must be there.
        expected: Expected,
    },
}

impl BulkItem {
    /// The key of the item's document.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Write(write) => &write.key,
            Self::Check { key, .. } => key,
        }
    }

    /// What the item expects.
    #[must_use]
    pub fn expected(&self) -> Expected {
        match self {
            Self::Write(write) => write.expected,
            Self::Check { expected, .. } => *expected,
        }
    }
}

impl From<Write> for BulkItem {
    fn from(write: Write) -> Self {
        Self::Write(write)
    }
}

/// Many writes to one collection.
#[derive(Clone, Debug)]
pub struct BulkRequest {
    /// The collection.
    pub model: Arc<Model>,
    /// The items. Items on one key take effect in their order. They are shared, so that keeping what
    /// was sent, to send it again, copies none of them.
    pub items: Arc<Vec<BulkItem>>,
    /// Whether all take effect or none.
    pub atomic: bool,
    /// When searches see them.
    pub refresh: Refresh,
}

impl BulkRequest {
    /// A bulk in which each item stands for itself.
    #[must_use]
    pub fn new(model: Arc<Model>, items: Vec<BulkItem>) -> Self {
        Self {
            model,
            items: Arc::new(items),
            atomic: false,
            refresh: Refresh::None,
        }
    }

    /// Makes the bulk all or nothing.
    #[must_use]
    pub fn atomic(mut self) -> Self {
        self.atomic = true;
        self
    }
}

/// One outcome per item, in order.
#[derive(Debug)]
#[non_exhaustive]
pub struct BulkReply {
    /// The outcomes. In an atomic bulk that failed, the items that did not fail themselves have
    /// the kind `Cancelled`.
    pub outcomes: Vec<Result<Receipt>>,
}

impl BulkReply {
    /// A reply of these outcomes.
    #[must_use]
    pub fn new(outcomes: Vec<Result<Receipt>>) -> Self {
        Self { outcomes }
    }

    /// Whether every item succeeded.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.outcomes.iter().all(Result::is_ok)
    }

    /// The failed items, with their places.
    pub fn errors(&self) -> impl Iterator<Item = (usize, &Error)> {
        self.outcomes
            .iter()
            .enumerate()
            .filter_map(|(at, outcome)| outcome.as_ref().err().map(|e| (at, e)))
    }
}

/// Writing many documents.
#[async_trait]
pub trait Bulk: Debug + Send + Sync {
    /// Carries out many writes: one outcome per item, in the order of the items.
    ///
    /// Each item MUST be decided as [`Save::save`](super::Save::save) would decide it, and items
    /// on one key in their order: of two writes at one version the first wins and the second
    /// conflicts. So MUST items that meet in a unique value: one that asks for what only a later
    /// item gives up is refused. Without `atomic` one item's failure MUST NOT keep another from taking effect.
    /// With `atomic` all take effect at once or none does, and every failing item that can be
    /// told has its own error.
    ///
    /// # Errors
    ///
    /// An error of the whole call means that no item took effect, unless its kind is
    /// `Indeterminate`. `Unsupported` if `atomic` is asked of a store without it.
    async fn bulk(&self, request: BulkRequest) -> Result<BulkReply>;
}
