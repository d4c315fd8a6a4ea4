//! Many writes.
//!
//! Puts and deletes of different documents are decided and written by one statement for a thousand
//! of them: see [`at_once`]. What that leaves is written by one statement for each of creating,
//! replacing and deleting.

pub(crate) mod at_once;

use sqlx_core::query::query;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use strongroom_core::error::Result;
use strongroom_core::model::{Key, Model, Timestamp};
use strongroom_core::store::BulkItem;
use strongroom_sql::postgres::NOW;

use crate::bulk::{Bulks, Part};
use crate::failure::{Failure, Phase};
use crate::outcomes::{self, Outcomes, Told};
use crate::slots::{Changes, Settled, Slots};
use crate::work::Undo;
use crate::write;

use super::body;
use super::connection::Connection;
use super::error::{answered, is_of_an_item, is_serialization};
use super::row;
use super::statements::Statements;

/// Begins a savepoint in place of the one before.
const NEXT_PART: &str = "RELEASE SAVEPOINT strongroom_part; SAVEPOINT strongroom_part";

impl Bulks for Connection {
    /// The savepoint of the last statement for many documents is still there.
    const PART: Part = Part {
        begin: NEXT_PART,
        end: Some("RELEASE SAVEPOINT strongroom_part"),
    };

    async fn send(&mut self, sql: &'static str) -> Result<(), Failure> {
        raw_sql(sql).execute(self).await?;
        Ok(())
    }

    fn is_of_an_item(failure: &Failure) -> bool {
        matches!(failure, Failure::Engine(error) if is_of_an_item(error))
    }

    fn order(model: &Model, items: &[BulkItem]) -> Option<Vec<usize>> {
        outcomes::order(model, items)
    }

    async fn at_once(
        &mut self,
        statements: &Statements,
        items: &[BulkItem],
        order: &[usize],
        told: &mut Told,
    ) -> Result<(), Failure> {
        let mut begin = "SAVEPOINT strongroom_part";
        for places in order.chunks(at_once::MOST) {
            self.send(begin).await?;
            begin = NEXT_PART;
            at_once::write(self, statements, items, places, Undo::Part, told).await?;
        }
        Ok(())
    }

    async fn lock<'i>(
        &mut self,
        statements: &Statements,
        items: &'i [BulkItem],
    ) -> Result<Slots<'i>, Failure> {
        let mut slots = Slots::new(&statements.model, items);
        let keys = slots.keys();
        for found in statements.locking(&keys).fetch_all(self).await? {
            let (key, next) = row::key(&found, statements.model.is_routed())?;
            slots.found(&key, row::version(&found, next)?)?;
            slots.at(row::time(&found, next + 1)?);
        }
        Ok(slots)
    }

    async fn time(&mut self) -> Result<Timestamp, Failure> {
        let asked = query(AssertSqlSafe(format!("SELECT {NOW}")));
        row::time(&asked.fetch_one(self).await?, 0)
    }

    async fn read(
        &mut self,
        statements: &Statements,
        keys: &[&Key],
        slots: &mut Slots<'_>,
    ) -> Result<(), Failure> {
        let get = statements.with_keys(&statements.get_many, keys);
        for found in get.fetch_all(self).await? {
            let at = usize::try_from(row::integer(&found, 0)? - 1).unwrap_or(usize::MAX);
            if let Some(key) = keys.get(at) {
                slots.read(key, row::body(&found, 4)?);
            }
        }
        Ok(())
    }

    async fn change(
        &mut self,
        statements: &Statements,
        changes: &Changes<'_>,
    ) -> Result<bool, Failure> {
        if !changes.created.is_empty() {
            let wanted = changes.created.len();
            let insert = Batch::of(&changes.created)?.bind(statements, &statements.insert_many);
            let done = insert.execute(&mut *self).await?.rows_affected();
            if u64::try_from(wanted) != Ok(done) {
                return Ok(false);
            }
        }
        if !changes.replaced.is_empty() {
            let update = Batch::of(&changes.replaced)?.bind(statements, &statements.update_many);
            update.execute(&mut *self).await?;
        }
        if !changes.deleted.is_empty() {
            let delete = statements.with_keys(&statements.delete_many, &changes.deleted);
            delete.execute(self).await?;
        }
        Ok(true)
    }

    /// Each item has a savepoint of its own.
    async fn one_by_one(
        &mut self,
        statements: &Statements,
        items: &[BulkItem],
    ) -> Result<Outcomes, Failure> {
        // Locked in the order of their keys, so that bulks do not wait for each other in a circle.
        drop(self.lock(statements, items).await?);
        let mut outcomes = Vec::with_capacity(items.len());
        self.send("SAVEPOINT strongroom_item").await?;
        for item in items {
            let outcome = match write::item(self, statements, item).await {
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
            self.send(next).await?;
            outcomes.push(outcome.map_err(|f| f.told(Phase::Read, Some(&statements.model))));
        }
        self.send("RELEASE SAVEPOINT strongroom_item").await?;
        Ok(outcomes)
    }
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
