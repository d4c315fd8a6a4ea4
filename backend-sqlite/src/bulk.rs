//! Many writes in one transaction, on a connection that may write.

use rusqlite::Connection;
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::model::Timestamp;
use strongroom_core::store::{BulkItem, Receipt};

use crate::statements::Statements;
use crate::write::{Failure, Hand};

/// Carries out the items in order, within a transaction of the caller's: one outcome for each.
///
/// # Errors
///
/// The engine's, after which the caller rolls everything back.
pub(crate) fn bulk(
    connection: &Connection,
    statements: &Statements,
    items: &[BulkItem],
    now: Timestamp,
) -> rusqlite::Result<Vec<Result<Receipt>>> {
    let mut hand = Hand::new(connection, statements, now);
    let mut outcomes = Vec::with_capacity(items.len());
    for item in items {
        outcomes.push(match hand.item(item) {
            Ok(receipt) => Ok(receipt),
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::Engine(error)) => return Err(error),
        });
    }
    Ok(outcomes)
}

/// Makes the outcomes of an atomic bulk that failed: what did not fail itself was undone.
pub(crate) fn undone(outcomes: Vec<Result<Receipt>>) -> Vec<Result<Receipt>> {
    let undone = |outcome: Result<Receipt>| match outcome {
        Ok(_) => Err(Error::new(
            ErrorKind::Cancelled,
            "another item of the atomic bulk failed, so this one was undone",
        )),
        failed => failed,
    };
    outcomes.into_iter().map(undone).collect()
}
