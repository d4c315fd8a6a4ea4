//! Many writes.
//!
//! Puts of different documents are decided and written by one statement for a thousand of them: see
//! [`at_once`]. What that leaves is written by one statement for each of creating, replacing and
//! deleting.

pub(crate) mod at_once;

use sqlx_core::query::query;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_mysql::{MySql, MySqlConnection};
use strongroom_core::error::Result;
use strongroom_core::model::{Key, Model, Timestamp};
use strongroom_core::store::BulkItem;
use strongroom_sql::mariadb::NOW;

use crate::bulk::{Bulks, Part};
use crate::failure::{Failure, Phase, is_answer};
use crate::outcomes::{Outcomes, Told};
use crate::slots::{Changes, Settled, Slots};
use crate::work::Undo;
use crate::write;

use super::body;
use super::error::{ends_transaction, is_of_an_item};
use super::load;
use super::row;
use super::statements::{Sized, Statements};

impl Bulks for MySqlConnection {
    const PART: Part = Part {
        begin: "SAVEPOINT strongroom_part",
        end: None,
    };

    async fn send(&mut self, sql: &'static str) -> Result<(), Failure> {
        raw_sql(sql).execute(self).await?;
        Ok(())
    }

    fn is_of_an_item(failure: &Failure) -> bool {
        match failure {
            Failure::Engine(error) => is_of_an_item(error),
            // An item is too long to be sent: it is found one by one.
            Failure::Refused(_) => true,
        }
    }

    fn order(model: &Model, items: &[BulkItem]) -> Option<Vec<usize>> {
        at_once::order(model, items)
    }

    async fn at_once(
        &mut self,
        statements: &Statements,
        items: &[BulkItem],
        order: &[usize],
        told: &mut Told,
    ) -> Result<(), Failure> {
        at_once::write(self, statements, items, order, Undo::Call, told).await
    }

    async fn lock<'i>(
        &mut self,
        statements: &Statements,
        items: &'i [BulkItem],
    ) -> Result<Slots<'i>, Failure> {
        let mut slots = Slots::new(&statements.model, items);
        for keys in statements.parts_of_keys(&slots.keys()) {
            let lock = statements.with_keys(&statements.lock_many, keys);
            for found in lock.fetch_all(&mut *self).await? {
                let (key, next) = row::key(&found, statements.model.is_routed())?;
                slots.found(&key, row::version(&found, next)?)?;
                slots.at(row::time(&found, next + 1)?);
            }
        }
        Ok(slots)
    }

    async fn time(&mut self) -> Result<Timestamp, Failure> {
        let asked = query::<MySql>(AssertSqlSafe(format!("SELECT {NOW}")));
        row::time(&asked.fetch_one(self).await?, 0)
    }

    async fn read(
        &mut self,
        statements: &Statements,
        keys: &[&Key],
        slots: &mut Slots<'_>,
    ) -> Result<(), Failure> {
        let found = load::load_many(self, statements, keys).await?;
        for (key, found) in keys.iter().zip(found) {
            if let Some(found) = found {
                slots.read(key, found.body);
            }
        }
        Ok(())
    }

    async fn change(
        &mut self,
        statements: &Statements,
        changes: &Changes<'_>,
    ) -> Result<bool, Failure> {
        if !at_once::create(self, statements, &changes.created).await? {
            return Ok(false);
        }
        overwrite(self, statements, &changes.replaced).await?;
        for keys in statements.parts_of_keys(&changes.deleted) {
            let delete = statements.with_keys(&statements.delete_many, keys);
            delete.execute(&mut *self).await?;
        }
        Ok(true)
    }

    async fn one_by_one(
        &mut self,
        statements: &Statements,
        items: &[BulkItem],
    ) -> Result<Outcomes, Failure> {
        // Locked in the order of their keys, so that bulks do not wait for each other in a circle.
        drop(self.lock(statements, items).await?);
        let mut outcomes = Vec::with_capacity(items.len());
        for item in items {
            let outcome = match write::item(self, statements, item).await {
                Err(Failure::Engine(error)) if !is_answer(&error) || ends_transaction(&error) => {
                    return Err(Failure::Engine(error));
                }
                outcome => outcome,
            };
            outcomes.push(outcome.map_err(|f| f.told(Phase::Read, Some(&statements.model))));
        }
        Ok(outcomes)
    }
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
