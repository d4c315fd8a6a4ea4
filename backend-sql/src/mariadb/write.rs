//! Single writes, as MariaDB has them.
//!
//! A statement decides the expectation and writes. Only where it wrote nothing is the server asked
//! what is there.

use std::sync::Arc;

use sqlx_core::Error as Driver;
use sqlx_mysql::{MySqlConnection, MySqlQueryResult};
use strongroom_core::error::Result;
use strongroom_core::model::{Body, Expected, Key, Model, RawDocument, Scalar, Timestamp, Version};
use strongroom_core::query::Call;
use strongroom_core::store::{Effect, Receipt, Stamps, Write};

use crate::failure::Failure;
use crate::write::{Told, Writes};

use super::body;
use super::bulk::at_once;
use super::error::{is_collision, is_taken};
use super::row::{self, Of};
use super::statements::{Stamping, Statements};

impl Writes for MySqlConnection {
    type Statements = Statements;

    fn model(statements: &Statements) -> &Model {
        &statements.model
    }

    fn is_collision(error: &Driver) -> bool {
        is_collision(error)
    }

    async fn version(
        &mut self,
        statements: &Statements,
        key: &Key,
    ) -> Result<Option<Version>, Failure> {
        let found = Statements::with_key(&statements.version, key);
        let found = row::first(found, self).await?;
        found.map(|found| row::version(&found, 0)).transpose()
    }

    async fn get_locked(
        &mut self,
        statements: &Statements,
        key: &Key,
    ) -> Result<Option<(RawDocument, Timestamp)>, Failure> {
        let get = Statements::with_key(&statements.get_locked, key);
        let Some(found) = row::first(get, self).await? else {
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
        attempt: usize,
    ) -> Result<Told, Failure> {
        // What nearly every document is replaced by, and else changes nothing.
        if attempt == 0
            && let Some(same) = Same::of(statements, write, body)?
        {
            return Ok(same.replace(self, write).await?.into());
        }
        Ok(put_once(self, statements, write, body).await?.into())
    }

    async fn replace(
        &mut self,
        statements: &Statements,
        write: &Write,
        version: Version,
        body: &Body,
    ) -> Result<Told, Failure> {
        let next = version.next()?;
        let text = body::stored(body, statements.max_packet)?;
        let replace = row::statement(&statements.replace_exactly)
            .bind(write.write_id.as_bytes().to_vec())
            .bind(text.into_owned());
        let replace = Statements::bind_key(replace, &write.key).bind(version.counter());
        let done = send(replace, self).await?;
        Ok(done.map(|_| Receipt::written(Effect::Patched, next)).into())
    }

    async fn delete(&mut self, statements: &Statements, write: &Write) -> Result<Told, Failure> {
        Ok(delete_once(self, statements, write).await?.into())
    }

    async fn evaluate(
        &mut self,
        statements: &Statements,
        calls: &[&Call],
        body: &Body,
    ) -> Result<Vec<Option<Scalar>>, Failure> {
        let text = body::stored(body, statements.max_packet)?;
        let asked = strongroom_sql::mariadb::evaluate(&statements.model, calls, &text)?;
        let found = row::query(&asked)?.fetch_one(self).await?;
        let made = (0..calls.len()).map(|at| row::scalar(&found, at, Of::Function));
        made.collect()
    }
}

/// Sends a statement that writes one document. What it matched it counts, be it changed or not.
async fn send(
    query: row::Query<'_>,
    connection: &mut MySqlConnection,
) -> Result<Option<MySqlQueryResult>, Failure> {
    let done = query.execute(connection).await?;
    Ok((done.rows_affected() > 0).then_some(done))
}

async fn put_once(
    connection: &mut MySqlConnection,
    statements: &Statements,
    write: &Write,
    put: &Body,
) -> Result<Option<Receipt>, Failure> {
    let key = &write.key;
    let text = body::stored(put, statements.max_packet)?;
    if let Some(stamping) = &statements.stamping
        && write.sets_stamps(&statements.model)
    {
        return stamp_once(connection, stamping, write, &text).await;
    }
    let id = write.write_id.as_bytes().to_vec();
    match write.expected {
        Expected::Absent => insert(connection, statements, write, &text).await,
        // The statement that creates or replaces goes by any key that is unique.
        Expected::Any if !statements.has_unique => {
            at_once::upsert(connection, statements, write, &text).await
        }
        Expected::Any | Expected::Present => {
            let replace = row::statement(&statements.replace_present)
                .bind(id)
                .bind(text.as_ref().to_owned());
            let replace = Statements::bind_key(replace, key);
            if let Some(found) = row::first(replace, connection).await? {
                let receipt = Receipt::written(Effect::Replaced, row::version(&found, 0)?);
                return Ok(Some(receipt));
            }
            if write.expected == Expected::Present
                || connection.version(statements, key).await?.is_some()
            {
                return Ok(None);
            }
            insert(connection, statements, write, &text).await
        }
        Expected::Exactly(version) => {
            let Some(counter) = version.counter() else {
                // A version of another kind of store is the version of no document here.
                return Ok(None);
            };
            let next = version.next()?;
            let replace = row::statement(&statements.replace_exactly)
                .bind(id)
                .bind(text.into_owned());
            let replace = Statements::bind_key(replace, key).bind(counter);
            let done = send(replace, connection).await?;
            Ok(done.map(|_| Receipt::written(Effect::Replaced, next)))
        }
    }
}

/// Creates a document. `None` if it is there.
async fn insert(
    connection: &mut MySqlConnection,
    statements: &Statements,
    write: &Write,
    text: &str,
) -> Result<Option<Receipt>, Failure> {
    let version = Version::created();
    let insert = row::statement(&statements.insert)
        .bind(version.counter())
        .bind(write.write_id.as_bytes().to_vec())
        .bind(text.to_owned());
    match send(Statements::bind_key(insert, &write.key), connection).await {
        Err(Failure::Engine(error)) if is_taken(&error) => Ok(None),
        done => Ok(done?.map(|_| Receipt::written(Effect::Created, version))),
    }
}

/// A document that replaces one with the time of creation which it was sent with, and is stamped by
/// the server's clock. An update tells the time of the change, so that nothing is read again.
struct Same<'s> {
    sql: &'s Arc<str>,
    version: Version,
    created: String,
    text: String,
}

impl<'s> Same<'s> {
    /// `None` if the write cannot be made so.
    fn of(statements: &'s Statements, write: &Write, put: &Body) -> Result<Option<Self>> {
        // Triggers would take the number that the server calls the last that it inserted.
        if statements.has_text || !write.sets_stamps(&statements.model) {
            return Ok(None);
        }
        let (Expected::Exactly(version), Some(ahead)) = (write.expected, statements.ahead()) else {
            return Ok(None);
        };
        let text = body::stored(put, statements.max_packet)?;
        let created = ahead.stamps.created(&text).map(str::to_owned);
        Ok(created.map(|created| Self {
            sql: &ahead.replace_same,
            version,
            created,
            text: text.into_owned(),
        }))
    }

    async fn replace(
        self,
        connection: &mut MySqlConnection,
        write: &Write,
    ) -> Result<Option<Receipt>, Failure> {
        let Some(counter) = self.version.counter() else {
            // A version of another kind of store is the version of no document here.
            return Ok(None);
        };
        let next = self.version.next()?;
        let created = self.created.parse().ok();
        let replace = row::statement(self.sql)
            .bind(write.write_id.as_bytes().to_vec())
            .bind(self.text);
        let replace = Statements::bind_key(replace, &write.key).bind(counter);
        let done = send(replace.bind(self.created), connection).await?;
        let stamp = |millis: Option<i64>| millis.and_then(|m| Timestamp::from_millis(m).ok());
        Ok(done.map(|done| {
            let stamps = Stamps {
                created: stamp(created),
                updated: stamp(i64::try_from(done.last_insert_id()).ok()),
            };
            Receipt::written(Effect::Replaced, next).with_stamps(stamps)
        }))
    }
}

/// Puts a document with stamps by the server's clock.
async fn stamp_once(
    connection: &mut MySqlConnection,
    stamping: &Stamping,
    write: &Write,
    text: &str,
) -> Result<Option<Receipt>, Failure> {
    let key = &write.key;
    let id = write.write_id.as_bytes().to_vec();
    let replace = match write.expected {
        Expected::Absent => None,
        Expected::Any | Expected::Present => Some((&stamping.replace_present, None)),
        Expected::Exactly(version) => {
            version.next()?;
            let Some(counter) = version.counter() else {
                return Ok(None);
            };
            Some((&stamping.replace_exactly, Some(counter)))
        }
    };
    if let Some((sql, counter)) = replace {
        let replace = row::statement(sql).bind(id.clone()).bind(text.to_owned());
        let mut replace = Statements::bind_key(replace, key);
        if let Some(counter) = counter {
            replace = replace.bind(counter);
        }
        if let Some(found) = row::first(replace, connection).await? {
            let receipt = Receipt::written(Effect::Replaced, row::version(&found, 0)?);
            return Ok(Some(receipt.with_stamps(row::stamps(&found, 1)?)));
        }
    }
    if !matches!(write.expected, Expected::Absent | Expected::Any) {
        return Ok(None);
    }
    let version = Version::created();
    let insert = row::statement(&stamping.insert)
        .bind(version.counter())
        .bind(id)
        .bind(text.to_owned());
    match row::first(Statements::bind_key(insert, key), connection).await {
        Err(Failure::Engine(error)) if is_taken(&error) => Ok(None),
        found => match found? {
            Some(found) => {
                let receipt = Receipt::written(Effect::Created, version);
                Ok(Some(receipt.with_stamps(row::stamps(&found, 0)?)))
            }
            None => Ok(None),
        },
    }
}

async fn delete_once(
    connection: &mut MySqlConnection,
    statements: &Statements,
    write: &Write,
) -> Result<Option<Receipt>, Failure> {
    let gone = Receipt::without_version(Effect::Deleted);
    let key = &write.key;
    if let Expected::Exactly(version) = write.expected {
        let Some(counter) = version.counter() else {
            return Ok(None);
        };
        let delete = Statements::with_key(&statements.delete_exactly, key).bind(counter);
        return Ok(send(delete, connection).await?.map(|_| gone));
    }
    let delete = Statements::with_key(&statements.delete, key);
    Ok(match send(delete, connection).await? {
        Some(_) => Some(gone),
        None if write.expected == Expected::Any => Some(Receipt::without_version(Effect::Absent)),
        None => None,
    })
}
