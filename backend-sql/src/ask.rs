//! Questions that a compiler wrote, and the rows that answer them, whichever the server.

use std::future::Future;

use strongroom_core::error::Result;
use strongroom_core::model::{Key, RawDocument, Scalar, Version};
use strongroom_sql::{Dialect, Statement};

use crate::failure::Failure;

/// How many columns [`Ask::document`] reads: what searches select of each document behind its key.
pub(crate) const DOCUMENT: usize = 2;

/// A connection that answers questions.
pub(crate) trait Ask: Send {
    /// A row of an answer.
    type Row: Send + Sync;

    /// What the server speaks.
    fn dialect() -> &'static dyn Dialect;

    /// Asks.
    fn ask(
        &mut self,
        statement: &Statement,
    ) -> impl Future<Output = Result<Vec<Self::Row>, Failure>> + Send;

    /// Asks a statement that explains another one, once: a line for each row.
    fn plan(
        &mut self,
        statement: &Statement,
    ) -> impl Future<Output = Result<Vec<String>, Failure>> + Send;

    /// The key in the first columns, and the number of the column after it.
    fn key(row: &Self::Row, routed: bool) -> Result<(Key, usize), Failure>;

    /// The version in a column.
    fn version(row: &Self::Row, column: usize) -> Result<Version, Failure>;

    /// The document in the columns version and body.
    fn document(row: &Self::Row, first: usize, key: Key) -> Result<RawDocument, Failure>;

    /// A single value; `None` for `NULL`.
    fn scalar(row: &Self::Row, column: usize) -> Result<Option<Scalar>, Failure>;

    /// A whole number.
    fn integer(row: &Self::Row, column: usize) -> Result<i64, Failure>;
}
