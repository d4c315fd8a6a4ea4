//! Transactions.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Store;
use crate::error::Result;

/// How strictly transactions are kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isolation {
    /// The engine's default, at least read committed.
    #[default]
    Default,
    /// All reads see one state of the data.
    Snapshot,
    /// As if transactions ran one after another.
    Serializable,
}

/// How a transaction begins.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct BeginOptions {
    /// How strictly it is kept apart from others.
    pub isolation: Isolation,
    /// How long to wait for the right to begin, where writers wait for each other, and on SQL
    /// servers for a free connection; the store's own setting without one.
    pub wait: Option<Duration>,
}

impl BeginOptions {
    /// The engine's default isolation and the store's own patience.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for an isolation.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Waits at most this long for the right to begin.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }
}

/// Beginning transactions.
#[async_trait]
pub trait Transact: Debug + Send + Sync {
    /// Begins a transaction; on a transaction, a savepoint within it. While a savepoint is open
    /// every call on its parent MUST be refused with `Invalid`.
    ///
    /// Dropping the future MUST leave no transaction open.
    ///
    /// # Errors
    ///
    /// `Contended` if the wait ran out; `Unsupported` for an isolation or a savepoint that the
    /// engine does not have; `Cancelled` on a transaction that is doomed or over.
    async fn begin(&self, options: BeginOptions) -> Result<Arc<dyn Transaction>>;
}

/// An open transaction, or a savepoint within one: a store of the same family.
///
/// Its writes MUST be seen by its own calls at once and by no others before the commit. A call
/// whose future was dropped before it ended, and a unique violation, MUST doom the transaction (or
/// the savepoint): every later call is refused with `Cancelled`, and so is the commit, which then
/// rolls back. A conflict, a document not found or a request refused as `Invalid` dooms nothing.
///
/// When the last reference goes without a commit, the transaction MUST be rolled back, without
/// waiting: the connection goes to its owner, which rolls it back or throws it away. `close` on a
/// transaction rolls it back.
#[async_trait]
pub trait Transaction: Store {
    /// Makes all its writes take effect at once. A savepoint's become part of its parent.
    /// Afterwards every call is refused with `Cancelled`.
    ///
    /// # Errors
    ///
    /// `Cancelled` if the transaction is doomed or over: nothing was written. `Contended`,
    /// `Unavailable`: nothing was written. `Indeterminate` if that is not known.
    async fn commit(&self) -> Result<()>;

    /// Undoes all its writes. Afterwards every call is refused with `Cancelled`. Rolling back
    /// what is over already is no error.
    ///
    /// # Errors
    ///
    /// `Unavailable`; the writes are undone all the same.
    async fn rollback(&self) -> Result<()>;

    /// Gives the transaction up without waiting, as dropping its last reference does: whoever
    /// still holds one finds it over.
    fn abandon(&self);
}
