//! From the driver's rows to the family's values.

use std::sync::Arc;
use std::time::Duration;

use sqlx_core::row::Row;
use sqlx_core::type_info::TypeInfo;
use sqlx_core::value::ValueRef;
use sqlx_postgres::{PgArguments, PgRow, Postgres};
use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Key, RawDocument, Scalar, Timestamp, Version, WriteId};
use strongroom_core::store::Stamps;
use strongroom_sql::postgres::{load_text, store_text};
use strongroom_sql::{Dialect, Param, Statement};

use super::body;
use super::connection::Connection;
use crate::ask::Ask;
use crate::failure::Failure;

pub(crate) type Query<'q> = sqlx_core::query::Query<'q, Postgres, PgArguments>;

/// A statement with its values bound.
pub(crate) fn query(statement: &Statement) -> Result<Query<'_>, Failure> {
    let text: Arc<str> = statement.sql.as_str().into();
    // What the compiler writes holds no value.
    let mut query = sqlx_core::query::query(sqlx_core::sql_str::AssertSqlSafe(text));
    for param in &statement.params {
        query = match param {
            Param::Boolean(b) => query.bind(*b),
            Param::Integer(i) => query.bind(*i),
            // All digits: the server reads a decimal number.
            Param::Float(x) if x.fract() == 0.0 => query.bind(format!("{x:.1}")),
            Param::Float(x) => query.bind(x.to_string()),
            Param::Text(t) => query.bind(store_text(t).into_owned()),
            Param::WriteId(id) => query.bind(id.as_bytes().to_vec()),
            _ => return Err(Error::internal("a value that this server does not take").into()),
        };
    }
    Ok(query)
}

fn bytes(row: &PgRow, column: usize) -> Result<Option<&[u8]>, Failure> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        return Ok(None);
    }
    let bytes = value.as_bytes();
    Ok(Some(bytes.map_err(sqlx_core::Error::Decode)?))
}

fn there(row: &PgRow, column: usize) -> Result<&[u8], Failure> {
    bytes(row, column)?.ok_or_else(|| Error::internal("a stored value is missing").into())
}

fn text(row: &PgRow, column: usize) -> Result<&str, Failure> {
    let bytes = there(row, column)?;
    std::str::from_utf8(bytes).map_err(|e| {
        let error = Error::internal("stored text is not UTF-8").with_source(e);
        error.into()
    })
}

/// A whole number.
pub(crate) fn integer(row: &PgRow, column: usize) -> Result<i64, Failure> {
    Ok(row.try_get(column)?)
}

/// The key in the first columns, and the number of the column after it.
pub(crate) fn key(row: &PgRow, routed: bool) -> Result<(Key, usize), Failure> {
    let id = load_text(text(row, 0)?);
    if !routed {
        return Ok((Key::new(&*id)?, 1));
    }
    let routing = load_text(text(row, 1)?);
    Ok((Key::routed(&*routing, &*id)?, 2))
}

/// The version in a column.
pub(crate) fn version(row: &PgRow, column: usize) -> Result<Version, Failure> {
    Ok(Version::from_counter(integer(row, column)?)?)
}

/// The body in a column: `jsonb` is sent as a number that tells its form, and its text.
pub(crate) fn body(row: &PgRow, column: usize) -> Result<strongroom_core::model::Body, Failure> {
    match there(row, column)?.split_first() {
        Some((1, text)) => Ok(body::loaded(text)),
        _ => Err(Error::internal("a stored body has another form").into()),
    }
}

/// The document in the columns version and body.
pub(crate) fn document(row: &PgRow, first: usize, key: Key) -> Result<RawDocument, Failure> {
    let (version, body) = (version(row, first)?, body(row, first + 1)?);
    Ok(RawDocument::new(key, version, body))
}

/// The document in the columns version, write id, age in milliseconds, and body.
pub(crate) fn aged_document(row: &PgRow, first: usize, key: Key) -> Result<RawDocument, Failure> {
    let document = RawDocument::new(key, version(row, first)?, body(row, first + 3)?);
    let age = integer(row, first + 2)?;
    let age = Duration::from_millis(u64::try_from(age).unwrap_or_default());
    let document = document.with_age(age);
    Ok(match there(row, first + 1)?.try_into() {
        Ok(id) => document.with_write_id(WriteId::from_bytes(id)),
        Err(_) => document,
    })
}

/// The stamps in two columns of text, if the row has those.
pub(crate) fn stamps(row: &PgRow, first: usize) -> Result<Stamps, Failure> {
    if row.columns().len() <= first {
        return Ok(Stamps::default());
    }
    let stamp = |column| -> Result<_, Failure> {
        let text: Option<&str> = row.try_get(column)?;
        let millis = text.and_then(|text| text.parse().ok());
        Ok(millis.and_then(|millis| Timestamp::from_millis(millis).ok()))
    };
    Ok(Stamps {
        created: stamp(first)?,
        updated: stamp(first + 1)?,
    })
}

/// The server's time in a column of milliseconds.
pub(crate) fn time(row: &PgRow, column: usize) -> Result<Timestamp, Failure> {
    Ok(Timestamp::from_millis(integer(row, column)?)?)
}

/// A single value; `None` for `NULL`.
pub(crate) fn scalar(row: &PgRow, column: usize) -> Result<Option<Scalar>, Failure> {
    let Some(stored) = bytes(row, column)? else {
        return Ok(None);
    };
    let value = row.try_get_raw(column)?;
    let info = value.type_info();
    Ok(Some(match info.name() {
        "BOOL" => Scalar::Boolean(row.try_get(column)?),
        "INT8" => Scalar::Integer(row.try_get(column)?),
        "INT4" => Scalar::Integer(row.try_get::<i32, _>(column)?.into()),
        "INT2" => Scalar::Integer(row.try_get::<i16, _>(column)?.into()),
        "FLOAT8" => Scalar::Float(row.try_get(column)?),
        "FLOAT4" => Scalar::Float(row.try_get::<f32, _>(column)?.into()),
        "NUMERIC" => numeric(stored).ok_or_else(|| {
            Failure::from(Error::internal("a number has another form than expected"))
        })?,
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" => Scalar::from(&*load_text(text(row, column)?)),
        // Only functions make such.
        other => {
            let message = format!("a value of the type {other} is none that a field holds");
            return Err(Error::invalid(message).into());
        }
    }))
}

/// A decimal number as the server sends it: the count of its digits of four decimal places, the
/// weight of the first, the sign, how many decimal places there are behind the point, the digits.
fn numeric(bytes: &[u8]) -> Option<Scalar> {
    let (header, rest) = bytes.split_at_checked(8)?;
    let mut header = header.chunks_exact(2).map(|c| match c {
        [a, b] => i16::from_be_bytes([*a, *b]),
        _ => 0,
    });
    let (_count, weight) = (header.next()?, header.next()?);
    let (sign, places) = (header.next()?, header.next()?);
    let negative = match sign.cast_unsigned() {
        0x0000 => false,
        0x4000 => true,
        0xC000 => return Some(Scalar::Float(f64::NAN)),
        0xD000 => return Some(Scalar::Float(f64::INFINITY)),
        _ => return Some(Scalar::Float(f64::NEG_INFINITY)),
    };
    let digits: Vec<u16> = rest
        .chunks_exact(2)
        .map(|c| match c {
            [a, b] => u16::from_be_bytes([*a, *b]),
            _ => 0,
        })
        .collect();
    let mut text = String::with_capacity(digits.len() * 4 + 8);
    if negative {
        text.push('-');
    }
    text.push('0');
    let weight = i32::from(weight);
    for place in 0..=weight.max(-1) {
        let digit = usize::try_from(place).ok().and_then(|at| digits.get(at));
        text.push_str(&format!("{:04}", digit.unwrap_or(&0)));
    }
    if places == 0 {
        return match text.parse() {
            Ok(integer) => Some(Scalar::Integer(integer)),
            Err(_) => text.parse().ok().map(Scalar::Float),
        };
    }
    text.push('.');
    let mut position = -1;
    let lowest = weight - i32::try_from(digits.len()).ok()? + 1;
    while position >= lowest {
        let at = usize::try_from(weight - position).ok();
        let digit = at.and_then(|at| digits.get(at)).unwrap_or(&0);
        text.push_str(&format!("{digit:04}"));
        position -= 1;
    }
    text.push('0');
    text.parse().ok().map(Scalar::Float)
}

impl Ask for Connection {
    type Row = PgRow;

    fn dialect() -> &'static dyn Dialect {
        &strongroom_sql::Postgres
    }

    async fn ask(&mut self, statement: &Statement) -> Result<Vec<PgRow>, Failure> {
        Ok(query(statement)?.fetch_all(self).await?)
    }

    async fn plan(&mut self, statement: &Statement) -> Result<Vec<String>, Failure> {
        let query = query(statement)?.persistent(false);
        let lines = query.fetch_all(self).await?;
        let lines = lines.iter().map(|line| line.try_get(0));
        Ok(lines.collect::<Result<_, _>>()?)
    }

    fn key(row: &PgRow, routed: bool) -> Result<(Key, usize), Failure> {
        key(row, routed)
    }

    fn version(row: &PgRow, column: usize) -> Result<Version, Failure> {
        version(row, column)
    }

    fn document(row: &PgRow, first: usize, key: Key) -> Result<RawDocument, Failure> {
        document(row, first, key)
    }

    fn scalar(row: &PgRow, column: usize) -> Result<Option<Scalar>, Failure> {
        scalar(row, column)
    }

    fn integer(row: &PgRow, column: usize) -> Result<i64, Failure> {
        integer(row, column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(weight: i16, sign: u16, places: i16, digits: &[u16]) -> Option<Scalar> {
        let mut bytes = Vec::new();
        bytes.extend(u16::try_from(digits.len()).unwrap().to_be_bytes());
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(places.to_be_bytes());
        digits.iter().for_each(|d| bytes.extend(d.to_be_bytes()));
        numeric(&bytes)
    }

    #[test]
    fn decimal_numbers() {
        assert_eq!(sent(0, 0, 0, &[]), Some(Scalar::Integer(0)));
        assert_eq!(sent(0, 0x4000, 0, &[7]), Some(Scalar::Integer(-7)));
        assert_eq!(sent(1, 0, 0, &[12]), Some(Scalar::Integer(120_000)));
        assert_eq!(sent(0, 0, 1, &[2]), Some(Scalar::Float(2.0)));
        assert_eq!(sent(0, 0, 2, &[1, 2500]), Some(Scalar::Float(1.25)));
        assert_eq!(sent(-1, 0, 1, &[1000]), Some(Scalar::Float(0.1)));
        assert_eq!(sent(-2, 0x4000, 7, &[10]), Some(Scalar::Float(-1e-7)));
        assert_eq!(
            sent(4, 0, 0, &[922, 3372, 368, 5477, 5807]),
            Some(Scalar::Integer(i64::MAX))
        );
    }
}
