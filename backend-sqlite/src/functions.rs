//! The functions that queries call for fields that may hold several values.
//!
//! They read the body as the in-memory store does, by the core's own [`FieldReader`], so that a
//! filter or a sort on such a field means the same here.

use std::cmp::Ordering;
use std::sync::Arc;

use rusqlite::Error::UserFunctionError;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value as SqlValue, ValueRef};
use rusqlite::{Connection, Result};
use serde_json::{Map, Value};
use strongroom_core::model::{FieldPath, Kind, Scalar};
use strongroom_core::query::{FieldReader, TextQuery, Wildcard, Words};
use strongroom_sql::sqlite::{
    EXISTS_FUNCTION, GREATEST_FUNCTION, LEAST_FUNCTION, OBJECTS_FUNCTION, TEXT_FUNCTION,
    VALUES_FUNCTION, WILDCARD_FUNCTION,
};

use crate::buckets;
use crate::member::member;

/// Registers the functions on a new connection.
pub(crate) fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    buckets::register(connection, flags)?;
    connection.create_scalar_function(VALUES_FUNCTION, 3, flags, |call| {
        let values = reader(call)?.values(&member(call)?);
        let values: Vec<Value> = values.iter().map(Value::from).collect();
        Ok(Value::from(values).to_string())
    })?;
    connection.create_scalar_function(LEAST_FUNCTION, 3, flags, |call| {
        let least = reader(call)?.extreme(&object(call)?, Ordering::Less);
        Ok(to_sql(least))
    })?;
    connection.create_scalar_function(GREATEST_FUNCTION, 3, flags, |call| {
        let greatest = reader(call)?.extreme(&object(call)?, Ordering::Greater);
        Ok(to_sql(greatest))
    })?;
    connection.create_scalar_function(WILDCARD_FUNCTION, 2, flags, |call| {
        let ValueRef::Text(text) = call.get_raw(0) else {
            return Ok(false);
        };
        let pattern = call.get_or_create_aux(1, |pattern| -> Result<Wildcard> {
            Wildcard::parse(pattern.as_str()?).map_err(refused)
        })?;
        let text = std::str::from_utf8(text).map_err(|e| UserFunctionError(e.into()))?;
        Ok(pattern.matches(text))
    })?;
    connection.create_scalar_function(TEXT_FUNCTION, 4, flags, |call| {
        let path = field_reader(call, || Ok(Kind::Text))?;
        let mode = match call.get_raw(2).as_str()? {
            "any" => Words::Any,
            "all" => Words::All,
            _ => Words::Phrase,
        };
        let query = call.get_or_create_aux(3, |words| -> Result<TextQuery> {
            TextQuery::parse(words.as_str()?, mode).map_err(refused)
        })?;
        Ok(query.matches_any(path.texts(&object(call)?)))
    })?;
    connection.create_scalar_function(OBJECTS_FUNCTION, 2, flags, |call| {
        let reader = field_reader(call, || Ok(Kind::Nested))?;
        let body = object(call)?;
        serde_json::to_string(&reader.objects(&body)).map_err(|e| UserFunctionError(e.into()))
    })?;
    connection.create_scalar_function(EXISTS_FUNCTION, 3, flags, |call| {
        Ok(reader(call)?.exists(&object(call)?))
    })
}

fn to_sql(value: Option<Scalar>) -> SqlValue {
    match value {
        None => SqlValue::Null,
        Some(Scalar::Boolean(b)) => SqlValue::Integer(i64::from(b)),
        Some(Scalar::Integer(i)) => SqlValue::Integer(i),
        Some(Scalar::Float(x)) => SqlValue::Real(x),
        Some(Scalar::Text(t)) => SqlValue::Text(t.as_ref().to_owned()),
    }
}

/// The reader made of the second and third argument, once for each statement: both are constants
/// in what the compiler writes.
pub(crate) fn reader(call: &Context<'_>) -> Result<Arc<FieldReader>> {
    field_reader(call, || {
        let kind = call.get_raw(2).as_str()?;
        kind_named(kind).ok_or_else(|| UserFunctionError(format!("{kind:?} is not a kind").into()))
    })
}

fn field_reader(
    call: &Context<'_>,
    kind: impl FnOnce() -> Result<Kind>,
) -> Result<Arc<FieldReader>> {
    call.get_or_create_aux(1, |path| -> Result<FieldReader> {
        let path = FieldPath::new(path.as_str()?).map_err(refused)?;
        Ok(FieldReader::of(&path, kind()?))
    })
}

fn refused(error: strongroom_core::Error) -> rusqlite::Error {
    UserFunctionError(error.into())
}

fn object(call: &Context<'_>) -> Result<Map<String, Value>> {
    serde_json::from_slice(call.get_raw(0).as_bytes()?).map_err(|e| UserFunctionError(e.into()))
}

fn kind_named(name: &str) -> Option<Kind> {
    [
        Kind::Keyword,
        Kind::Text,
        Kind::Boolean,
        Kind::Integer,
        Kind::Float,
        Kind::ScaledFloat { factor: 1 },
        Kind::Timestamp,
        Kind::Bytes,
        Kind::Object,
        Kind::Nested,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == name)
}
