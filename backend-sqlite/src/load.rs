//! Loading documents by key, on a connection.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, Row};
use strongroom_core::clock::Clock;
use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Body, Key, RawDocument, Timestamp, Version, WriteId};
use strongroom_core::query::SourceFilter;

use crate::bodies::Bodies;
use crate::error::{Phase, map_in};
use crate::statements::Statements;

/// Loads one document for each key, in order. Several come from one state of the data.
pub(crate) fn load(
    connection: &Connection,
    statements: &Statements,
    keys: &[Key],
    source: &SourceFilter,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Option<RawDocument>>> {
    for key in keys {
        statements.check_key(key)?;
    }
    let failed = |e| map_in(e, Phase::Before, &statements.collection);
    let now = clock.now();
    // Within a transaction there is one state anyhow.
    let alone = keys.len() > 1 && connection.is_autocommit();
    if alone {
        begin_read(connection).map_err(failed)?;
    }
    let loaded = load_all(connection, statements, keys, source, now);
    if alone {
        end_read(connection).map_err(failed)?;
    }
    loaded
}

fn load_all(
    connection: &Connection,
    statements: &Statements,
    keys: &[Key],
    source: &SourceFilter,
    now: Timestamp,
) -> Result<Vec<Option<RawDocument>>> {
    let failed = |e| map_in(e, Phase::Before, &statements.collection);
    let mut get = connection.prepare_cached(&statements.get).map_err(failed)?;
    let mut documents = Vec::with_capacity(keys.len());
    for key in keys {
        let found = get_one(&mut get, key, now).map_err(failed)?;
        documents.push(match found {
            Some(mut document) if !source.is_all() => {
                document.body = source.apply(&document.body)?;
                Some(document)
            }
            found => found,
        });
    }
    Ok(documents)
}

/// Begins to read from one state of the data.
pub(crate) fn begin_read(connection: &Connection) -> rusqlite::Result<()> {
    connection.prepare_cached("BEGIN")?.execute([]).map(drop)
}

/// Ends what [`begin_read`] began. There is nothing to keep, so it is rolled back.
pub(crate) fn end_read(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() {
        return Ok(());
    }
    connection.prepare_cached("ROLLBACK")?.execute([]).map(drop)
}

/// Runs the statement `get` for one key.
pub(crate) fn get_one(
    get: &mut CachedStatement<'_>,
    key: &Key,
    now: Timestamp,
) -> rusqlite::Result<Option<RawDocument>> {
    get.raw_bind_parameter(1, key.id().as_str())?;
    if let Some(routing) = key.routing() {
        get.raw_bind_parameter(6, routing.as_str())?;
    }
    let mut rows = get.raw_query();
    rows.next()?
        .map(|row| document(row, key.clone(), now))
        .transpose()
}

/// The document in the columns of the statement `get`: version, write id, time of writing and
/// body.
fn document(row: &Row<'_>, key: Key, now: Timestamp) -> rusqlite::Result<RawDocument> {
    let body = Bytes::copy_from_slice(text(row, 3)?);
    let mut document = RawDocument::new(key, version(row, 0)?, Body::from_trusted(body));
    if let ValueRef::Blob(bytes) = row.get_ref(1)?
        && let Ok(bytes) = bytes.try_into()
    {
        document = document.with_write_id(WriteId::from_bytes(bytes));
    }
    if let Ok(written_at) = Timestamp::from_millis(integer(row, 2)?) {
        document = document.with_age(now.saturating_since(written_at));
    }
    Ok(document)
}

/// The document in the columns version and body of a search. Who wrote it and when only matters
/// to whoever asks for it by its key.
pub(crate) fn hit(
    row: &Row<'_>,
    first: usize,
    key: Key,
    bodies: &mut Bodies,
) -> rusqlite::Result<RawDocument> {
    let body = bodies.copy(text(row, first + 1)?);
    Ok(RawDocument::new(
        key,
        version(row, first)?,
        Body::from_trusted(body),
    ))
}

/// A whole number in a column.
fn integer(row: &Row<'_>, column: usize) -> rusqlite::Result<i64> {
    match row.get_ref(column)? {
        ValueRef::Integer(number) => Ok(number),
        _ => row.get(column),
    }
}

/// The version in a column.
pub(crate) fn version(row: &Row<'_>, column: usize) -> rusqlite::Result<Version> {
    let counter = integer(row, column)?;
    Version::from_counter(counter).map_err(|e: Error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Integer, e.into())
    })
}

/// The bytes of a text column.
fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r [u8]> {
    match row.get_ref(column)? {
        ValueRef::Text(bytes) => Ok(bytes),
        other => Err(rusqlite::Error::InvalidColumnType(
            column,
            "body".to_owned(),
            other.data_type(),
        )),
    }
}
