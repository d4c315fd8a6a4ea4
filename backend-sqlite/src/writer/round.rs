//! Writes carried out together, in one transaction that is committed before any is acknowledged.
//!
//! Each write's outcome is decided apart: one that is refused leaves its neighbours as they are,
//! because SQLite undoes a failed statement alone. Where the engine itself fails, everything is
//! rolled back and each write is tried by itself, so that it meets only its own fate.

use rusqlite::Connection;
use strongroom_core::clock::Clock;
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::store::Receipt;

use super::desk::Order;
use super::{Attempt, Writer};
use crate::error::{Phase, is_busy, map};
use crate::write::{Failure, Hand, is_one_statement};

type Outcomes = Vec<Result<Receipt>>;

/// Carries out one write: as one statement that commits by itself, where it is one.
pub(super) fn alone(
    writer: &mut Writer,
    clock: &dyn Clock,
    order: &Order,
) -> Attempt<Result<Receipt>> {
    if !is_one_statement(&order.write) {
        return match together(writer, clock, &[order]) {
            Attempt::Busy => Attempt::Busy,
            Attempt::Done(mut outcomes) => Attempt::Done(
                outcomes
                    .pop()
                    .unwrap_or_else(|| Err(Error::internal("a round lost an outcome"))),
            ),
        };
    }
    let connection = match writer.connection() {
        Ok(connection) => connection,
        Err(error) => return Attempt::Done(Err(error)),
    };
    let written = Hand::new(connection, &order.statements, clock.now()).write(&order.write);
    let outcome = match written {
        Ok(receipt) => Ok(receipt),
        Err(Failure::Refused(error)) => Err(error),
        Err(Failure::Engine(error)) if is_busy(&error) => return Attempt::Busy,
        Err(Failure::Engine(error)) => Err(map(error, Phase::Commit)
            .with_key(order.write.key.clone())
            .with_collection(order.statements.collection.clone())),
    };
    writer.settle();
    Attempt::Done(outcome)
}

/// Carries out writes in one transaction: one outcome for each, in order.
pub(super) fn together(
    writer: &mut Writer,
    clock: &dyn Clock,
    orders: &[&Order],
) -> Attempt<Outcomes> {
    let attempt = match writer.connection() {
        Ok(connection) => try_together(connection, clock, orders),
        Err(error) => return Attempt::Done(orders.iter().map(|_| Err(again(&error))).collect()),
    };
    writer.settle();
    match attempt {
        Attempt::Busy => Attempt::Busy,
        Attempt::Done(Ok(outcomes)) => Attempt::Done(outcomes),
        Attempt::Done(Err(error)) => {
            let by_itself = orders.len() > 1 && error.kind() != ErrorKind::Indeterminate;
            let outcomes = orders.iter().map(|order| {
                if !by_itself {
                    return Err(again(&error));
                }
                match alone(writer, clock, order) {
                    Attempt::Done(outcome) => outcome,
                    Attempt::Busy => Err(Error::new(
                        ErrorKind::Contended,
                        "the database file is in use by another process",
                    )),
                }
            });
            Attempt::Done(outcomes.collect())
        }
    }
}

fn try_together(
    connection: &Connection,
    clock: &dyn Clock,
    orders: &[&Order],
) -> Attempt<Result<Outcomes>> {
    match begin(connection) {
        Ok(()) => {}
        Err(error) if is_busy(&error) => return Attempt::Busy,
        Err(error) => return Attempt::Done(Err(map(error, Phase::Before))),
    }
    let now = clock.now();
    let mut outcomes = Vec::with_capacity(orders.len());
    let mut held: Option<Hand<'_>> = None;
    for order in orders {
        if !held
            .as_ref()
            .is_some_and(|hand| hand.holds(&order.statements))
        {
            held = None;
        }
        let hand = held.get_or_insert_with(|| Hand::new(connection, &order.statements, now));
        match hand.write(&order.write) {
            Ok(receipt) => outcomes.push(Ok(receipt)),
            Err(Failure::Refused(error)) => outcomes.push(Err(error)),
            Err(Failure::Engine(error)) => {
                return Attempt::Done(Err(map(error, Phase::Before)));
            }
        }
    }
    drop(held);
    Attempt::Done(
        commit(connection)
            .map(|()| outcomes)
            .map_err(|e| map(e, Phase::Commit)),
    )
}

/// Begins a transaction that may write.
pub(crate) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached("BEGIN IMMEDIATE")?
        .execute([])
        .map(drop)
}

/// Commits.
pub(crate) fn commit(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("COMMIT")?.execute([]).map(drop)
}

/// The same failure for one more of those that share it.
fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.message())
}
