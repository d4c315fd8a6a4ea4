//! Many writes, whichever the server.
//!
//! What one statement can decide and write for many documents is sent so first. What that leaves,
//! and every bulk of other items, is carried out within a transaction: the documents that are there
//! are locked in the order of their keys, the items are decided one after another in memory, and
//! what they come to is written by few statements. Where that cannot tell which item is at fault,
//! because fields are unique or the server refused a value, or where functions make fields, the
//! items are written one by one.

use std::future::Future;

use strongroom_core::error::Result;
use strongroom_core::model::{Key, Model, Timestamp};
use strongroom_core::store::BulkItem;

use crate::failure::Failure;
use crate::outcomes::{Outcomes, Told, all_undone, computes, fill, keyed, left, untold};
use crate::slots::{Changes, Slots};
use crate::work::Undo;
use crate::write::Writes;

/// How often a bulk that lost a race for a key is decided anew.
const ATTEMPTS: usize = 16;

/// The savepoint around what the statement for many documents leaves.
pub(crate) struct Part {
    pub(crate) begin: &'static str,
    pub(crate) end: Option<&'static str>,
}

/// A connection that carries out bulks.
pub(crate) trait Bulks: Writes {
    const PART: Part;

    /// Sends statements whose answers nobody needs.
    fn send(&mut self, sql: &'static str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Whether an item may have been at fault, and the others not.
    fn is_of_an_item(failure: &Failure) -> bool;

    /// The places of the items in the order of their keys; `None` where they cannot be written by
    /// one statement.
    fn order(model: &Model, items: &[BulkItem]) -> Option<Vec<usize>>;

    /// Writes the items in this order, by one statement for many. Some are left without an outcome;
    /// of those nothing is written.
    fn at_once(
        &mut self,
        statements: &Self::Statements,
        items: &[BulkItem],
        order: &[usize],
        told: &mut Told,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Locks the documents of all items that are there.
    fn lock<'i>(
        &mut self,
        statements: &Self::Statements,
        items: &'i [BulkItem],
    ) -> impl Future<Output = Result<Slots<'i>, Failure>> + Send;

    /// The server's time, for documents that are all new.
    fn time(&mut self) -> impl Future<Output = Result<Timestamp, Failure>> + Send;

    /// Reads documents that are there and locked.
    fn read(
        &mut self,
        statements: &Self::Statements,
        keys: &[&Key],
        slots: &mut Slots<'_>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Writes what the items come to; `false` if a document was created meanwhile.
    fn change(
        &mut self,
        statements: &Self::Statements,
        changes: &Changes<'_>,
    ) -> impl Future<Output = Result<bool, Failure>> + Send;

    /// Writes one item after another. One that the server refuses leaves nothing behind.
    fn one_by_one(
        &mut self,
        statements: &Self::Statements,
        items: &[BulkItem],
    ) -> impl Future<Output = Result<Outcomes, Failure>> + Send;
}

/// Goes back to where the call began, as far as there is something to undo.
pub(crate) async fn undo<C: Bulks>(connection: &mut C, undo: Undo) -> Result<(), Failure> {
    match undo.sql() {
        Some(sql) => connection.send(sql).await,
        None => Ok(()),
    }
}

/// Carries out a bulk within a transaction. An atomic one that fails has undone what it wrote.
pub(crate) async fn bulk<C: Bulks>(
    connection: &mut C,
    statements: &C::Statements,
    items: &[BulkItem],
    atomic: bool,
    undo: Undo,
) -> Result<Outcomes, Failure> {
    let order = C::order(C::model(statements), items).filter(|order| !order.is_empty());
    let Some(order) = order else {
        return locked(connection, statements, items, atomic, undo).await;
    };
    let mut told = untold(items);
    connection
        .at_once(statements, items, &order, &mut told)
        .await?;
    let open = left(items, &told);
    if atomic {
        let failed = told.iter().flatten().any(Result::is_err);
        if failed || !open.is_empty() {
            self::undo(connection, undo).await?;
        }
        if !open.is_empty() {
            return locked(connection, statements, items, atomic, undo).await;
        }
        let outcomes = told.into_iter().flatten().collect();
        return Ok(if failed {
            all_undone(outcomes)
        } else {
            outcomes
        });
    }
    if !open.is_empty() {
        connection.send(C::PART.begin).await?;
        let outcomes = locked(connection, statements, &open, false, Undo::Part).await?;
        fill(&mut told, outcomes);
    }
    if let Some(end) = C::PART.end {
        connection.send(end).await?;
    }
    Ok(told.into_iter().flatten().collect())
}

/// Carries out a bulk of any items within a transaction, as [`bulk`] does.
pub(crate) async fn locked<C: Bulks>(
    connection: &mut C,
    statements: &C::Statements,
    items: &[BulkItem],
    atomic: bool,
    undo: Undo,
) -> Result<Outcomes, Failure> {
    let model = C::model(statements);
    let keyed = |outcomes| keyed(outcomes, model, items);
    let has_unique = model.fields().any(|field| field.unique);
    if !has_unique && !items.iter().any(computes) {
        for _ in 0..ATTEMPTS {
            match together(connection, statements, items, atomic).await {
                Ok(Some(outcomes)) => return Ok(keyed(outcomes)),
                // Someone created a document between two of the statements.
                Ok(None) => self::undo(connection, undo).await?,
                Err(failure) if C::is_of_an_item(&failure) => {
                    self::undo(connection, undo).await?;
                    break;
                }
                Err(failure) => return Err(failure),
            }
        }
    }
    let outcomes = connection.one_by_one(statements, items).await?;
    if atomic && outcomes.iter().any(Result::is_err) {
        self::undo(connection, undo).await?;
        return Ok(keyed(all_undone(outcomes)));
    }
    Ok(keyed(outcomes))
}

/// Decides all items and writes what they come to; `None` if a document was created meanwhile.
async fn together<C: Bulks>(
    connection: &mut C,
    statements: &C::Statements,
    items: &[BulkItem],
    atomic: bool,
) -> Result<Option<Outcomes>, Failure> {
    let model = C::model(statements);
    let mut slots = connection.lock(statements, items).await?;
    if slots.want_time(model) {
        slots.at(connection.time().await?);
    }
    let to_read = slots.to_read(model);
    if !to_read.is_empty() {
        connection.read(statements, &to_read, &mut slots).await?;
    }
    let outcomes = slots.decide(model);
    if atomic && outcomes.iter().any(Result::is_err) {
        return Ok(Some(all_undone(outcomes)));
    }
    let written = connection.change(statements, &slots.changes()).await?;
    Ok(written.then_some(outcomes))
}
