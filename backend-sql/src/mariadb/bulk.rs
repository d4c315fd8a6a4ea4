//! Many writes.
//!
//! Puts of different documents are decided and written by one statement for a thousand of them:
//! see [`at_once`]. What that leaves, and every bulk of other items, is carried out within a
//! transaction: the documents that are there are locked in the order of their keys, the items are
//! decided one after another in memory, and what they come to is written by one statement for each
//! of creating, replacing and deleting. Where that cannot tell which item is at fault, because
//! fields are unique or the server refused a value, or where functions make fields, the items are
//! written one by one.

pub(crate) mod at_once;

use sqlx_core::raw_sql::raw_sql;
use sqlx_mysql::MySqlConnection;
use strongroom_core::error::Result;
use strongroom_core::store::BulkItem;

use crate::failure::{Failure, Phase, is_answer};
use crate::outcomes::{Outcomes, all_undone, computes, fill, keyed, left, untold};
use crate::slots::{Settled, Slots};
use crate::work::Undo;

use super::body;
use super::error::{ends_transaction, is_of_an_item};
use super::load;
use super::row;
use super::statements::{MOST_KEYS, Sized, Statements};
use super::write;

/// How often a bulk that lost a race for a key is decided anew.
const ATTEMPTS: usize = 16;

/// Goes back to where the call began, as far as there is something to undo.
pub(crate) async fn undo(connection: &mut MySqlConnection, undo: Undo) -> Result<(), Failure> {
    if let Some(sql) = undo.sql() {
        raw_sql(sql).execute(connection).await?;
    }
    Ok(())
}

/// Carries out a bulk within a transaction. An atomic one that fails has undone what it wrote.
pub(crate) async fn bulk(
    connection: &mut MySqlConnection,
    statements: &Statements,
    items: &[BulkItem],
    atomic: bool,
    undo: Undo,
) -> Result<Outcomes, Failure> {
    let order = at_once::order(&statements.model, items).filter(|order| !order.is_empty());
    let Some(order) = order else {
        return locked(connection, statements, items, atomic, undo).await;
    };
    let mut told = untold(items);
    at_once::write(connection, statements, items, &order, undo, &mut told).await?;
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
        raw_sql("SAVEPOINT strongroom_part")
            .execute(&mut *connection)
            .await?;
        let outcomes = locked(connection, statements, &open, false, Undo::Part).await?;
        fill(&mut told, outcomes);
    }
    Ok(told.into_iter().flatten().collect())
}

/// Carries out a bulk of any items within a transaction, as [`bulk`] does.
pub(crate) async fn locked(
    connection: &mut MySqlConnection,
    statements: &Statements,
    items: &[BulkItem],
    atomic: bool,
    undo: Undo,
) -> Result<Outcomes, Failure> {
    let model = &statements.model;
    let keyed = |outcomes| keyed(outcomes, model, items);
    if !statements.has_unique && !items.iter().any(computes) {
        for _ in 0..ATTEMPTS {
            match together(connection, statements, items, atomic).await {
                Ok(Some(outcomes)) => return Ok(keyed(outcomes)),
                // Someone created a document between two of the statements.
                Ok(None) => self::undo(connection, undo).await?,
                Err(Failure::Engine(error)) if is_of_an_item(&error) => {
                    self::undo(connection, undo).await?;
                    break;
                }
                // An item is too long to be sent: it is found one by one.
                Err(Failure::Refused(_)) => {
                    self::undo(connection, undo).await?;
                    break;
                }
                Err(failure) => return Err(failure),
            }
        }
    }
    let outcomes = one_by_one(connection, statements, items).await?;
    if atomic && outcomes.iter().any(Result::is_err) {
        self::undo(connection, undo).await?;
        return Ok(keyed(all_undone(outcomes)));
    }
    Ok(keyed(outcomes))
}

/// Decides all items and writes what they come to; `None` if a document was created meanwhile.
async fn together(
    connection: &mut MySqlConnection,
    statements: &Statements,
    items: &[BulkItem],
    atomic: bool,
) -> Result<Option<Outcomes>, Failure> {
    let mut slots = lock(connection, statements, items).await?;
    let to_read = slots.to_read();
    if !to_read.is_empty() {
        let found = load::load_many(connection, statements, &to_read).await?;
        for (key, found) in to_read.iter().zip(found) {
            if let Some(found) = found {
                slots.read(key, found.body);
            }
        }
    }
    let outcomes = slots.decide(&statements.model);
    if atomic && outcomes.iter().any(Result::is_err) {
        return Ok(Some(all_undone(outcomes)));
    }
    let changes = slots.changes();
    if !at_once::create(connection, statements, &changes.created).await? {
        return Ok(None);
    }
    overwrite(connection, statements, &changes.replaced).await?;
    for keys in changes.deleted.chunks(MOST_KEYS) {
        let delete = statements.with_keys(&statements.delete_many, keys);
        delete.execute(&mut *connection).await?;
    }
    Ok(Some(outcomes))
}

/// Puts documents that are there and locked.
async fn overwrite(
    connection: &mut MySqlConnection,
    statements: &Statements,
    documents: &[Settled<'_>],
) -> Result<(), Failure> {
    let mut bodies = Vec::with_capacity(documents.len());
    for document in documents {
        let text = body::stored(document.body, statements.max_packet)?;
        bodies.push((document, text));
    }
    for part in at_once::parts(&bodies, statements.max_packet, |(_, text)| text.len()) {
        let mut query = row::statement(&statements.overwrite_many.text(part.len()));
        for (document, text) in part {
            let version = document.version.counter().unwrap_or_default();
            query = at_once::bind(query, version, document.write_id, 1, text, document.key);
        }
        if let Some((last, _)) = part.last() {
            for _ in part.len()..Sized::size(part.len()) {
                query = at_once::bind(query, 0, last.write_id, 0, at_once::PADDING, last.key);
            }
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Locks the documents of all items that are there.
async fn lock<'i>(
    connection: &mut MySqlConnection,
    statements: &Statements,
    items: &'i [BulkItem],
) -> Result<Slots<'i>, Failure> {
    let mut slots = Slots::new(&statements.model, items);
    for keys in slots.keys().chunks(MOST_KEYS) {
        let lock = statements.with_keys(&statements.lock_many, keys);
        for found in lock.fetch_all(&mut *connection).await? {
            let (key, next) = row::key(&found, statements.model.is_routed())?;
            slots.found(&key, row::version(&found, next)?)?;
        }
    }
    Ok(slots)
}

/// Writes one item after another. A statement that the server refuses leaves nothing behind.
async fn one_by_one(
    connection: &mut MySqlConnection,
    statements: &Statements,
    items: &[BulkItem],
) -> Result<Outcomes, Failure> {
    // Locked in the order of their keys, so that bulks do not wait for each other in a circle.
    drop(lock(connection, statements, items).await?);
    let mut outcomes = Vec::with_capacity(items.len());
    for item in items {
        let outcome = match write::item(connection, statements, item).await {
            Err(Failure::Engine(error)) if !is_answer(&error) || ends_transaction(&error) => {
                return Err(Failure::Engine(error));
            }
            outcome => outcome,
        };
        outcomes.push(outcome.map_err(|f| f.told(Phase::Read, Some(&statements.model))));
    }
    Ok(outcomes)
}
