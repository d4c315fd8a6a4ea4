//! From the driver's rows to the family's values.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx_core::column::Column;
use sqlx_core::connection::Connection;
use sqlx_core::row::Row;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_core::type_info::TypeInfo;
use sqlx_core::value::ValueRef;
use sqlx_mysql::{MySql, MySqlArguments, MySqlConnection, MySqlRow};
use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Body, Key, RawDocument, Scalar, Timestamp, Version, WriteId};
use strongroom_core::store::Stamps;
use strongroom_sql::mariadb::{INFINITE, load_body, number_key, number_of_key};
use strongroom_sql::{Dialect, MariaDb, Param, Statement};

use crate::ask::Ask;
use crate::failure::Failure;

pub(crate) type Query<'q> = sqlx_core::query::Query<'q, MySql, MySqlArguments>;

/// A statement without its values.
pub(crate) fn statement<'q>(sql: &Arc<str>) -> Query<'q> {
    // Its text holds names of collections and fields, quoted, and no value.
    sqlx_core::query::query(AssertSqlSafe(sql.clone()))
}

/// The first row, once the statement has come to its end: what it writes may fail behind its rows.
pub(crate) async fn first(
    query: Query<'_>,
    connection: &mut MySqlConnection,
) -> Result<Option<MySqlRow>, Failure> {
    let rows = query.fetch_all(connection).await?;
    Ok(rows.into_iter().next())
}

/// A statement with its values bound.
pub(crate) fn query(statement: &Statement) -> Result<Query<'_>, Failure> {
    let mut query = self::statement(&statement.sql.as_str().into());
    for param in &statement.params {
        query = match param {
            Param::Boolean(b) => query.bind(*b),
            Param::Integer(i) => query.bind(*i),
            Param::Float(x) => query.bind(*x),
            Param::Number(number) => query.bind(number_key(number)),
            Param::Text(text) => query.bind(text.as_ref().to_owned()),
            Param::WriteId(id) => query.bind(id.as_bytes().to_vec()),
            _ => return Err(Error::internal("a value that this server does not take").into()),
        };
    }
    Ok(query)
}

/// The bytes of a value as they came; `None` for `NULL`.
pub(crate) fn bytes(row: &MySqlRow, column: usize) -> Result<Option<&[u8]>, Failure> {
    if row.try_get_raw(column)?.is_null() {
        return Ok(None);
    }
    Ok(Some(row.try_get_unchecked(column)?))
}

fn there(row: &MySqlRow, column: usize) -> Result<&[u8], Failure> {
    bytes(row, column)?.ok_or_else(|| Error::internal("a stored value is missing").into())
}

/// A text.
pub(crate) fn text(row: &MySqlRow, column: usize) -> Result<&str, Failure> {
    std::str::from_utf8(there(row, column)?).map_err(|e| {
        let error = Error::internal("stored text is not UTF-8").with_source(e);
        error.into()
    })
}

/// A whole number.
pub(crate) fn integer(row: &MySqlRow, column: usize) -> Result<i64, Failure> {
    Ok(row.try_get(column)?)
}

/// The key in the first columns, and the number of the column after it.
pub(crate) fn key(row: &MySqlRow, routed: bool) -> Result<(Key, usize), Failure> {
    let id = text(row, 0)?;
    if !routed {
        return Ok((Key::new(id)?, 1));
    }
    Ok((Key::routed(text(row, 1)?, id)?, 2))
}

/// Whether the row is that of a key.
pub(crate) fn is_of(row: &MySqlRow, key: &Key) -> Result<bool, Failure> {
    let same = there(row, 0)? == key.id().as_str().as_bytes();
    Ok(match key.routing() {
        Some(routing) => same && there(row, 1)? == routing.as_str().as_bytes(),
        None => same,
    })
}

/// The version in a column.
pub(crate) fn version(row: &MySqlRow, column: usize) -> Result<Version, Failure> {
    Ok(Version::from_counter(integer(row, column)?)?)
}

/// The body in a column.
pub(crate) fn body(row: &MySqlRow, column: usize) -> Result<Body, Failure> {
    Ok(Body::from_trusted(
        load_body(there(row, column)?).into_owned(),
    ))
}

/// The document in the columns version and body.
pub(crate) fn document(row: &MySqlRow, first: usize, key: Key) -> Result<RawDocument, Failure> {
    let (version, body) = (version(row, first)?, body(row, first + 1)?);
    Ok(RawDocument::new(key, version, body))
}

/// The document in the columns version, write id, age in milliseconds, and body.
pub(crate) fn aged_document(
    row: &MySqlRow,
    first: usize,
    key: Key,
) -> Result<RawDocument, Failure> {
    let document = RawDocument::new(key, version(row, first)?, body(row, first + 3)?);
    let age = integer(row, first + 2)?;
    let age = Duration::from_millis(u64::try_from(age).unwrap_or_default());
    let document = document.with_age(age);
    Ok(match there(row, first + 1)?.try_into() {
        Ok(id) => document.with_write_id(WriteId::from_bytes(id)),
        Err(_) => document,
    })
}

/// The stamps in two columns of text.
pub(crate) fn stamps(row: &MySqlRow, first: usize) -> Result<Stamps, Failure> {
    let stamp = |column| -> Result<_, Failure> {
        let text = bytes(row, column)?.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let millis = text.and_then(|text| text.parse().ok());
        Ok(millis.and_then(|millis| Timestamp::from_millis(millis).ok()))
    };
    Ok(Stamps {
        created: stamp(first)?,
        updated: stamp(first + 1)?,
    })
}

/// The server's time in a column of milliseconds.
pub(crate) fn time(row: &MySqlRow, column: usize) -> Result<Timestamp, Failure> {
    Ok(Timestamp::from_millis(integer(row, column)?)?)
}

/// What a single value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// That of a field, or what is made of many. The compiler writes booleans as small numbers, and
    /// all other whole numbers as large ones.
    Fields,
    /// What a function gave.
    Function,
}

/// A single value; `None` for `NULL`.
pub(crate) fn scalar(row: &MySqlRow, column: usize, of: Of) -> Result<Option<Scalar>, Failure> {
    let Some(stored) = bytes(row, column)? else {
        return Ok(None);
    };
    let value = row.try_get_raw(column)?;
    let info = value.type_info();
    Ok(Some(match info.name() {
        "BOOLEAN" => Scalar::Boolean(row.try_get_unchecked::<i8, _>(column)? != 0),
        "TINYINT" | "INT" if of == Of::Fields => Scalar::Boolean(integer(row, column)? != 0),
        "BIGINT" | "INT" | "MEDIUMINT" | "SMALLINT" | "TINYINT" => {
            Scalar::Integer(integer(row, column)?)
        }
        "BIGINT UNSIGNED" | "INT UNSIGNED" | "MEDIUMINT UNSIGNED" | "SMALLINT UNSIGNED"
        | "TINYINT UNSIGNED" => {
            let value: u64 = row.try_get(column)?;
            match i64::try_from(value) {
                Ok(value) => Scalar::Integer(value),
                Err(_) => return Err(Error::invalid("a function gave a number beyond 2^63").into()),
            }
        }
        "DOUBLE" => Scalar::Float(float(row.try_get(column)?)),
        "FLOAT" => Scalar::Float(row.try_get::<f32, _>(column)?.into()),
        "DECIMAL" => {
            let text = text(row, column)?;
            let number = if of == Of::Fields {
                number_of_key(text)
            } else {
                None
            };
            match number.or_else(|| decimal(text)) {
                Some(number) => number,
                None => return Err(Error::internal("a number does not translate").into()),
            }
        }
        "VARCHAR" | "CHAR" | "TEXT" | "TINYTEXT" | "MEDIUMTEXT" | "LONGTEXT" | "VARBINARY"
        | "BINARY" | "BLOB" | "TINYBLOB" | "MEDIUMBLOB" | "LONGBLOB" => {
            let text = std::str::from_utf8(stored)
                .map_err(|e| Error::invalid("a function gave no text").with_source(e))?;
            Scalar::from(text)
        }
        // Only functions make such.
        other => {
            let message = format!("a value of the type {other} is none that a field holds");
            return Err(Error::invalid(message).into());
        }
    }))
}

/// A value of a plan, to be shown; `None` for `NULL`.
fn shown(row: &MySqlRow, column: usize) -> Result<Option<String>, Failure> {
    Ok(scalar(row, column, Of::Function)?.map(|value| match value {
        Scalar::Text(text) => text.to_string(),
        other => format!("{other:?}"),
    }))
}

/// The server has no infinity.
fn float(stored: f64) -> f64 {
    if stored.abs() >= INFINITE {
        f64::INFINITY.copysign(stored)
    } else {
        stored
    }
}

/// A decimal number: whole if it has no places.
fn decimal(text: &str) -> Option<Scalar> {
    if !text.contains('.')
        && let Ok(integer) = text.parse()
    {
        return Some(Scalar::Integer(integer));
    }
    text.parse().ok().map(Scalar::Float)
}

/// How many prepared statements a connection keeps.
pub(crate) const STATEMENTS: usize = 256;
/// From how many on it makes room for more: fewer than the driver would.
const MOST_STATEMENTS: usize = STATEMENTS - 16;

/// A row of a plan: one table of the query, with the names of what is said of it.
fn line(row: &MySqlRow) -> Result<String, Failure> {
    let mut line = String::new();
    for (at, column) in row.columns().iter().enumerate() {
        let Some(value) = shown(row, at)? else {
            continue;
        };
        if !line.is_empty() {
            line.push_str(", ");
        }
        // Writing to a string does not fail.
        let _ = write!(line, "{}: {value}", column.name());
    }
    Ok(line)
}

/// Makes the connection forget its prepared statements before it has too many. The server does not
/// answer when it is told to forget one, and what is sent next stays here until its system says
/// that it heard of that, which on Linux takes 40 ms: better once for many than for each.
async fn make_room(connection: &mut MySqlConnection) -> Result<(), Failure> {
    if connection.cached_statements_size() >= MOST_STATEMENTS {
        connection.clear_cached_statements().await?;
    }
    Ok(())
}

impl Ask for MySqlConnection {
    type Row = MySqlRow;

    fn dialect() -> &'static dyn Dialect {
        &MariaDb
    }

    async fn ask(&mut self, statement: &Statement) -> Result<Vec<MySqlRow>, Failure> {
        make_room(self).await?;
        Ok(query(statement)?.fetch_all(self).await?)
    }

    async fn plan(&mut self, statement: &Statement) -> Result<Vec<String>, Failure> {
        let query = query(statement)?.persistent(false);
        query.fetch_all(self).await?.iter().map(line).collect()
    }

    fn key(row: &MySqlRow, routed: bool) -> Result<(Key, usize), Failure> {
        key(row, routed)
    }

    fn version(row: &MySqlRow, column: usize) -> Result<Version, Failure> {
        version(row, column)
    }

    fn document(row: &MySqlRow, first: usize, key: Key) -> Result<RawDocument, Failure> {
        document(row, first, key)
    }

    fn scalar(row: &MySqlRow, column: usize) -> Result<Option<Scalar>, Failure> {
        scalar(row, column, Of::Fields)
    }

    fn integer(row: &MySqlRow, column: usize) -> Result<i64, Failure> {
        integer(row, column)
    }
}
