//! Single writes, as PostgreSQL has them.
//!
//! A statement decides the expectation, writes, and tells what was there if it wrote nothing. The
//! two halves of such a statement see one state of the data from before it; where a race makes
//! the second half contradict the first, the statement is sent again.

use sqlx_core::Error as Driver;
use sqlx_core::row::Row;
use sqlx_postgres::PgRow;
use strongroom_core::error::Result;
use strongroom_core::model::{Body, Expected, Key, Model, RawDocument, Scalar, Timestamp, Version};
use strongroom_core::query::Call;
use strongroom_core::store::{Effect, Receipt, Stamps, Write};

use crate::failure::Failure;
use crate::outcomes;
use crate::write::{Told, Writes};

use super::body;
use super::connection::Connection;
use super::error::is_serialization;
use super::row;
use super::statements::Statements;

impl Writes for Connection {
    type Statements = Statements;

    fn model(statements: &Statements) -> &Model {
        &statements.model
    }

    fn is_collision(error: &Driver) -> bool {
        is_serialization(error)
    }

    async fn version(
        &mut self,
        statements: &Statements,
        key: &Key,
    ) -> Result<Option<Version>, Failure> {
        let found = Statements::with_key(&statements.version, key);
        let found = found.fetch_optional(self).await?;
        found.map(|found| row::version(&found, 0)).transpose()
    }

    async fn get_locked(
        &mut self,
        statements: &Statements,
        key: &Key,
    ) -> Result<Option<(RawDocument, Timestamp)>, Failure> {
        let get = Statements::with_key(&statements.get_locked, key);
        let Some(found) = get.fetch_optional(self).await? else {
            return Ok(None);
        };
        let now = row::time(&found, 4)?;
        Ok(Some((row::aged_document(&found, 0, key.clone())?, now)))
    }

    async fn put(
        &mut self,
        statements: &Statements,
        write: &Write,
        body: &Body,
        _attempt: usize,
    ) -> Result<Told, Failure> {
        put_once(self, statements, write, body).await
    }

    async fn replace(
        &mut self,
        statements: &Statements,
        write: &Write,
        version: Version,
        body: &Body,
    ) -> Result<Told, Failure> {
        let next = version.next()?;
        let replace = Statements::with_key(&statements.plain().replace_exactly, &write.key)
            .bind(version.counter())
            .bind(write.write_id.as_bytes().to_vec())
            .bind(body::stored(body)?.into_owned());
        Ok(match told(replace.fetch_optional(self).await?)? {
            Some((true, ..)) => Told::Written(Receipt::written(Effect::Patched, next)),
            other => Told::There(other.map(|(_, version, _)| version)),
        })
    }

    async fn delete(&mut self, statements: &Statements, write: &Write) -> Result<Told, Failure> {
        delete_once(self, statements, write).await
    }

    async fn evaluate(
        &mut self,
        statements: &Statements,
        calls: &[&Call],
        body: &Body,
    ) -> Result<Vec<Option<Scalar>>, Failure> {
        let text = body::stored(body)?;
        let asked = strongroom_sql::postgres::evaluate(&statements.model, calls, &text)?;
        let found = row::query(&asked)?.fetch_one(self).await?;
        let made = (0..calls.len()).map(|at| row::scalar(&found, at));
        made.collect()
    }
}

async fn put_once(
    connection: &mut Connection,
    statements: &Statements,
    write: &Write,
    body: &Body,
) -> Result<Told, Failure> {
    let key = &write.key;
    let id = write.write_id.as_bytes().to_vec();
    let body = body::stored(body)?.into_owned();
    let puts = statements.puts(write);
    match write.expected {
        Expected::Absent => {
            let version = Version::created();
            let insert = Statements::with_key(&puts.insert, key)
                .bind(version.counter())
                .bind(id)
                .bind(body);
            Ok(match told(insert.fetch_optional(connection).await?)? {
                Some((true, _, stamps)) => {
                    Told::Written(Receipt::written(Effect::Created, version).with_stamps(stamps))
                }
                other => Told::There(other.map(|(_, version, _)| version)),
            })
        }
        Expected::Any => {
            let upsert = Statements::with_key(&puts.upsert, key)
                .bind(Version::created().counter())
                .bind(id)
                .bind(body);
            let Some(found) = upsert.fetch_optional(connection).await? else {
                return Ok(Told::There(None));
            };
            let receipt = outcomes::written(row::version(&found, 0)?);
            Ok(Told::Written(receipt.with_stamps(row::stamps(&found, 1)?)))
        }
        Expected::Present => {
            let replace = Statements::with_key(&puts.replace_present, key)
                .bind(id)
                .bind(body);
            Ok(match replace.fetch_optional(connection).await? {
                Some(found) => {
                    let receipt = Receipt::written(Effect::Replaced, row::version(&found, 0)?);
                    Told::Written(receipt.with_stamps(row::stamps(&found, 1)?))
                }
                None => Told::There(None),
            })
        }
        Expected::Exactly(version) => {
            let Some(counter) = version.counter() else {
                // A version of another kind of store is the version of no document here.
                return Ok(Told::There(None));
            };
            let next = version.next()?;
            let replace = Statements::with_key(&puts.replace_exactly, key)
                .bind(counter)
                .bind(id)
                .bind(body);
            Ok(match told(replace.fetch_optional(connection).await?)? {
                Some((true, _, stamps)) => {
                    Told::Written(Receipt::written(Effect::Replaced, next).with_stamps(stamps))
                }
                other => Told::There(other.map(|(_, version, _)| version)),
            })
        }
    }
}

async fn delete_once(
    connection: &mut Connection,
    statements: &Statements,
    write: &Write,
) -> Result<Told, Failure> {
    let gone = || Told::Written(Receipt::without_version(Effect::Deleted));
    let key = &write.key;
    if let Expected::Exactly(version) = write.expected {
        let Some(counter) = version.counter() else {
            return Ok(Told::There(None));
        };
        let delete = Statements::with_key(&statements.delete_exactly, key).bind(counter);
        return Ok(match told(delete.fetch_optional(connection).await?)? {
            Some((true, ..)) => gone(),
            other => Told::There(other.map(|(_, version, _)| version)),
        });
    }
    let delete = Statements::with_key(&statements.delete, key);
    Ok(
        match (delete.fetch_optional(connection).await?, write.expected) {
            (Some(_), _) => gone(),
            (None, Expected::Any) => Told::Written(Receipt::without_version(Effect::Absent)),
            (None, _) => Told::There(None),
        },
    )
}

/// Whether it was written, the version that is there, and the stamps of what was written.
fn told(found: Option<PgRow>) -> Result<Option<(bool, Version, Stamps)>, Failure> {
    found
        .map(|found| {
            let version = row::version(&found, 1)?;
            Ok((found.try_get(0)?, version, row::stamps(&found, 2)?))
        })
        .transpose()
}
