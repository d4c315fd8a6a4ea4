//! Many writes.
//!
//! Puts and deletes of different documents are decided and written by one statement for a
//! thousand of them: see [`at_once`]. What that leaves, and every bulk of other items, is carried
//! out within a transaction: the documents that are there are locked in the order of their keys,
//! the items are decided one after another in memory, and what they come to is written by one
//! statement for each of creating, replacing and deleting. Where that cannot tell which item is at
//! fault, because fields are unique or the server refused a value, or where functions make fields,
//! the items are written one by one.

pub(crate) mod at_once;

use sqlx_core::raw_sql::raw_sql;
use sqlx_postgres::PgConnection;
use strongroom_core::error::Result;
use strongroom_core::model::Key;
use strongroom_core::store::BulkItem;

use crate::failure::{Failure, Phase};
use crate::outcomes::{Outcomes, all_undone, computes, fill, keyed, left, order, untold};
use crate::slots::{Settled, Slots};
use crate::work::Undo;

use super::body;
use super::error::{answered, is_serialization};
use super::row;
use super::statements::Statements;
use super::write;

/// How often a bulk that lost a race for a key is decided anew.
const ATTEMPTS: usize = 16;

/// Goes back to where the call began, as far as there is something to undo.
pub(crate) async fn undo(connection: &mut PgConnection, undo: Undo) -> Result<(), Failure> {
    if let Some(sql) = undo.sql() {
        raw_sql(sql).execute(connection).await?;
    }
    Ok(())
}

/// Carries out a bulk within a transaction. An atomic one that fails has undone what it wrote.
pub(crate) async fn bulk(
    connection: &mut PgConnection,
    statements: &Statements,
    items: &[BulkItem],
    atomic: bool,
    undo: Undo,
) -> Result<Outcomes, Failure> {
    let Some(order) = order(&statements.model, items).filter(|order| !order.is_empty()) else {
        return locked(connection, statements, items, atomic, undo).await;
    };
    let mut told = untold(items);
    let mut begin = "SAVEPOINT strongroom_part";
    for places in order.chunks(at_once::MOST) {
        raw_sql(begin).execute(&mut *connection).await?;
        begin = "RELEASE SAVEPOINT strongroom_part; SAVEPOINT strongroom_part";
        at_once::write(connection, statements, items, places, Undo::Part, &mut told).await?;
    }
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
        raw_sql(begin).execute(&mut *connection).await?;
        let outcomes = locked(connection, statements, &open, false, Undo::Part).await?;
        fill(&mut told, outcomes);
    }
    raw_sql("RELEASE SAVEPOINT strongroom_part")
        .execute(connection)
        .await?;
    Ok(told.into_iter().flatten().collect())
}

/// Carries out a bulk of any items within a transaction, as [`bulk`] does.
pub(crate) async fn locked(
    connection: &mut PgConnection,
    statements: &Statements,
    items: &[BulkItem],
    atomic: bool,
    undo: Undo,
) -> Result<Outcomes, Failure> {
    let model = &statements.model;
    let keyed = |outcomes| keyed(outcomes, model, items);
    let one_by_one_only = items.iter().any(computes) || model.fields().any(|field| field.unique);
    if !one_by_one_only {
        for _ in 0..ATTEMPTS {
            match together(connection, statements, items, atomic).await {
                Ok(Some(outcomes)) => return Ok(keyed(outcomes)),
                // Someone created a document between two of the statements.
                Ok(None) => self::undo(connection, undo).await?,
                Err(Failure::Engine(error))
                    if answered(&error).is_some_and(|e| is_of_an_item(e.code())) =>
                {
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

/// Whether one item may be refused so, and the others not.
fn is_of_an_item(code: &str) -> bool {
    code.starts_with("22") || code.starts_with("23") || code.starts_with("54")
}

/// Decides all items and writes what they come to; `None` if a document was created meanwhile.
async fn together(
    connection: &mut PgConnection,
    statements: &Statements,
    items: &[BulkItem],
    atomic: bool,
) -> Result<Option<Outcomes>, Failure> {
    let mut slots = lock(connection, statements, items).await?;
    let to_read = slots.to_read();
    if !to_read.is_empty() {
        let get = statements.with_keys(&statements.get_many, &to_read);
        for found in get.fetch_all(&mut *connection).await? {
            let at = usize::try_from(row::integer(&found, 0)? - 1).unwrap_or(usize::MAX);
            if let Some(key) = to_read.get(at) {
                slots.read(key, row::body(&found, 4)?);
            }
        }
    }
    let outcomes = slots.decide(&statements.model);
    if atomic && outcomes.iter().any(Result::is_err) {
        return Ok(Some(all_undone(outcomes)));
    }
    let changes = slots.changes();
    if !changes.created.is_empty() {
        let wanted = changes.created.len();
        let insert = Batch::of(&changes.created)?.bind(statements, &statements.insert_many);
        let done = insert.execute(&mut *connection).await?.rows_affected();
        if u64::try_from(wanted) != Ok(done) {
            return Ok(None);
        }
    }
    if !changes.replaced.is_empty() {
        let update = Batch::of(&changes.replaced)?.bind(statements, &statements.update_many);
        update.execute(&mut *connection).await?;
    }
    if !changes.deleted.is_empty() {
        let delete = statements.with_keys(&statements.delete_many, &changes.deleted);
        delete.execute(&mut *connection).await?;
    }
    Ok(Some(outcomes))
}

/// Locks the documents of all items that are there.
async fn lock<'i>(
    connection: &mut PgConnection,
    statements: &Statements,
    items: &'i [BulkItem],
) -> Result<Slots<'i>, Failure> {
    let mut slots = Slots::new(&statements.model, items);
    let keys = slots.keys();
    for found in statements.locking(&keys).fetch_all(connection).await? {
        let (key, next) = row::key(&found, statements.model.is_routed())?;
        slots.found(&key, row::version(&found, next)?)?;
    }
    Ok(slots)
}

/// Documents that one statement writes.
#[derive(Debug, Default)]
struct Batch<'k> {
    keys: Vec<&'k Key>,
    versions: Vec<i64>,
    write_ids: Vec<Vec<u8>>,
    bodies: Vec<String>,
}

impl<'k> Batch<'k> {
    fn of(documents: &[Settled<'k>]) -> Result<Self> {
        let mut batch = Self::default();
        for document in documents {
            batch.keys.push(document.key);
            batch
                .versions
                .push(document.version.counter().unwrap_or_default());
            batch.write_ids.push(document.write_id.as_bytes().to_vec());
            batch.bodies.push(body::stored(document.body)?.into_owned());
        }
        Ok(batch)
    }

    fn bind<'q>(self, statements: &Statements, sql: &std::sync::Arc<str>) -> row::Query<'q> {
        statements
            .with_keys(sql, &self.keys)
            .bind(self.versions)
            .bind(self.write_ids)
            .bind(self.bodies)
    }
}

/// Writes one item after another, each within a savepoint of its own.
async fn one_by_one(
    connection: &mut PgConnection,
    statements: &Statements,
    items: &[BulkItem],
) -> Result<Outcomes, Failure> {
    // Locked in the order of their keys, so that bulks do not wait for each other in a circle.
    drop(lock(connection, statements, items).await?);
    let mut outcomes = Vec::with_capacity(items.len());
    raw_sql("SAVEPOINT strongroom_item")
        .execute(&mut *connection)
        .await?;
    for item in items {
        let outcome = match write::item(connection, statements, item).await {
            Err(Failure::Engine(error))
                if answered(&error).is_none() || is_serialization(&error) =>
            {
                return Err(Failure::Engine(error));
            }
            outcome => outcome,
        };
        let next = match &outcome {
            Err(Failure::Engine(_)) => "ROLLBACK TO SAVEPOINT strongroom_item",
            _ => "RELEASE SAVEPOINT strongroom_item; SAVEPOINT strongroom_item",
        };
        raw_sql(next).execute(&mut *connection).await?;
        outcomes.push(outcome.map_err(|f| f.told(Phase::Read, Some(&statements.model))));
    }
    raw_sql("RELEASE SAVEPOINT strongroom_item")
        .execute(connection)
        .await?;
    Ok(outcomes)
}
