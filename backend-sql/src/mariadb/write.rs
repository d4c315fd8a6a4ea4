//! One write: the table of writes in SQL.
//!
//! A statement decides the expectation and writes. Only where it wrote nothing is the server asked
//! what is there; where that contradicts the statement, because someone was faster, the write is
//! decided anew.

use sqlx_mysql::{MySqlConnection, MySqlQueryResult};
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::model::{Body, Expected, Key, Timestamp, Version};
use strongroom_core::store::{Action, BulkItem, Effect, Intent, Made, Receipt, Stamps, Write};

use crate::failure::Failure;

use super::body;
use super::bulk::at_once;
use super::computed;
use super::error::is_taken;
use super::row;
use super::statements::{Stamping, Statements};

/// How often a write that lost a race, which told it nothing, is decided anew.
const ATTEMPTS: usize = 32;

type Written = Result<Receipt, Failure>;

/// Whether the write needs a transaction around it.
pub(crate) fn needs_transaction(write: &Write) -> bool {
    matches!(write.action, Action::Patch(_))
}

/// Carries out one item of a bulk within a transaction.
pub(crate) async fn item(
    connection: &mut MySqlConnection,
    statements: &Statements,
    item: &BulkItem,
) -> Written {
    match item {
        BulkItem::Write(one) => write(connection, statements, one).await,
        BulkItem::Check { key, expected } => {
            statements.model.check_key(key)?;
            let actual = version(connection, statements, key).await?;
            let effect = expected.decide(Intent::Check, key, actual)?;
            Ok(Receipt::without_version(effect))
        }
    }
}

/// Carries out one write; a patch within a transaction.
pub(crate) async fn write(
    connection: &mut MySqlConnection,
    statements: &Statements,
    write: &Write,
) -> Written {
    let key = &write.key;
    statements.model.check_key(key)?;
    let intent = Intent::from(&write.action);
    write.expected.check(intent, key)?;
    for attempt in 0..ATTEMPTS {
        let told = match &write.action {
            // What nearly every document is replaced by, and else changes nothing.
            Action::Put(put) if attempt == 0 && stamps_same(statements, write) => {
                replace_same(connection, statements, write, put).await?
            }
            Action::Put(put) if write.computed.is_empty() => {
                put_once(connection, statements, write, put).await?
            }
            Action::Put(put) => {
                let (put, made) =
                    computed::onto(connection, statements, write, put.clone()).await?;
                let receipt = put_once(connection, statements, write, &put).await?;
                receipt.map(|receipt| receipt.with_made(made))
            }
            Action::Patch(_) => patch_once(connection, statements, write).await?,
            Action::Delete => delete_once(connection, statements, write).await?,
        };
        if let Some(receipt) = told {
            return Ok(receipt);
        }
        // Nothing was written. What is there says why, unless it changed meanwhile.
        let actual = version(connection, statements, key).await?;
        write.expected.decide(intent, key, actual)?;
        if let Some(actual) = actual {
            // At its last revision a document is not written again.
            actual.next()?;
        }
    }
    Err(Error::new(
        ErrorKind::Contended,
        "others changed the document at the same time, again and again",
    )
    .into())
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
        Expected::Absent => {
            let version = Version::created();
            let insert = row::statement(&statements.insert)
                .bind(version.counter())
                .bind(id)
                .bind(text.into_owned());
            match send(Statements::bind_key(insert, key), connection).await {
                Err(Failure::Engine(error)) if is_taken(&error) => Ok(None),
                done => Ok(done?.map(|_| Receipt::written(Effect::Created, version))),
            }
        }
        // The statement that creates or replaces goes by any key that is unique.
        Expected::Any if !statements.has_unique => {
            at_once::upsert(connection, statements, write, &text).await
        }
        Expected::Any | Expected::Present => {
            let replace = row::statement(&statements.replace_present)
                .bind(id.clone())
                .bind(text.as_ref().to_owned());
            if let Some(done) = send(Statements::bind_key(replace, key), connection).await? {
                let counter = i64::try_from(done.last_insert_id())
                    .map_err(|_| Error::internal("a stored version is too large"))?;
                let version = Version::from_counter(counter)?;
                return Ok(Some(Receipt::written(Effect::Replaced, version)));
            }
            if write.expected == Expected::Present
                || version(connection, statements, key).await?.is_some()
            {
                return Ok(None);
            }
            let version = Version::created();
            let insert = row::statement(&statements.insert)
                .bind(version.counter())
                .bind(id)
                .bind(text.into_owned());
            match send(Statements::bind_key(insert, key), connection).await {
                Err(Failure::Engine(error)) if is_taken(&error) => Ok(None),
                done => Ok(done?.map(|_| Receipt::written(Effect::Created, version))),
            }
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

/// Whether the write may be one that [`replace_same`] makes.
fn stamps_same(statements: &Statements, write: &Write) -> bool {
    write.computed.is_empty()
        && write.sets_stamps(&statements.model)
        && statements.ahead().is_some()
        && matches!(write.expected, Expected::Exactly(_))
}

/// Puts a document that keeps the time of creation which it was sent with, stamped by the server's
/// clock. An update tells the time of the change, so that nothing is read again.
async fn replace_same(
    connection: &mut MySqlConnection,
    statements: &Statements,
    write: &Write,
    put: &Body,
) -> Result<Option<Receipt>, Failure> {
    let (Expected::Exactly(version), Some(ahead)) = (write.expected, statements.ahead()) else {
        return Ok(None);
    };
    let text = body::stored(put, statements.max_packet)?;
    let (Some(counter), Some(created)) = (version.counter(), ahead.stamps.created(&text)) else {
        return Ok(None);
    };
    let created = created.to_owned();
    let next = version.next()?;
    let replace = row::statement(&ahead.replace_same)
        .bind(write.write_id.as_bytes().to_vec())
        .bind(text.into_owned());
    let replace = Statements::bind_key(replace, &write.key).bind(counter);
    let done = send(replace.bind(created.clone()), connection).await?;
    let stamp = |millis: Option<i64>| millis.and_then(|m| Timestamp::from_millis(m).ok());
    Ok(done.map(|done| {
        let stamps = Stamps {
            created: stamp(created.parse().ok()),
            updated: stamp(i64::try_from(done.last_insert_id()).ok()),
        };
        Receipt::written(Effect::Replaced, next).with_stamps(stamps)
    }))
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

/// Reads and locks the document, and replaces what was read.
async fn patch_once(
    connection: &mut MySqlConnection,
    statements: &Statements,
    write: &Write,
) -> Result<Option<Receipt>, Failure> {
    let key = &write.key;
    let intent = Intent::from(&write.action);
    let Action::Patch(patch) = &write.action else {
        return Err(Error::internal("this is no patch").into());
    };
    let get = Statements::with_key(&statements.get_locked, key);
    let Some(found) = row::first(get, connection).await? else {
        write.expected.decide(intent, key, None)?;
        return Err(Error::not_found(key.clone()).into());
    };
    let now = row::time(&found, 4)?;
    let found = row::aged_document(&found, 0, key.clone())?;
    write.expected.decide(intent, key, Some(found.version))?;
    let patched = patch.apply(&found.body)?;
    let (patched, made): (Body, Made) =
        computed::onto(connection, statements, write, patched).await?;
    let (patched, stamps) = write.stamp(&statements.model, patched, Some(&found.body), now)?;
    let next = found.version.next()?;
    let text = body::stored(&patched, statements.max_packet)?;
    let replace = row::statement(&statements.replace_exactly)
        .bind(write.write_id.as_bytes().to_vec())
        .bind(text.into_owned());
    let replace = Statements::bind_key(replace, key).bind(found.version.counter());
    let done = send(replace, connection).await?;
    let receipt = Receipt::written(Effect::Patched, next).with_made(made);
    Ok(done.map(|_| receipt.with_stamps(stamps)))
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

async fn version(
    connection: &mut MySqlConnection,
    statements: &Statements,
    key: &Key,
) -> Result<Option<Version>, Failure> {
    let found = Statements::with_key(&statements.version, key);
    let found = row::first(found, connection).await?;
    found.map(|found| row::version(&found, 0)).transpose()
}
