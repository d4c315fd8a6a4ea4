//! The functions that queries call for fields that may hold several values.
//!
//! They read the body as the in-memory store does, by the core's own [`FieldReader`], so that a
//! filter or a sort on such a field means the same here.

use std::cmp::Ordering;

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, Result};
use serde_json::{Map, Value};
use strongroom_core::model::{FieldPath, Kind, Scalar};
use strongroom_core::query::FieldReader;
use strongroom_sql::sqlite::{EXISTS_FUNCTION, GREATEST_FUNCTION, LEAST_FUNCTION, VALUES_FUNCTION};

/// Registers the functions on a new connection.
pub(crate) fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function(VALUES_FUNCTION, 3, flags, |call| {
        let values = reader(call)?.values(&object(call)?);
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
fn reader(call: &Context<'_>) -> Result<std::sync::Arc<FieldReader>> {
    call.get_or_create_aux(1, |_| -> Result<FieldReader> {
        let path = call.get_raw(1).as_str()?;
        let path =
            FieldPath::new(path).map_err(|e| rusqlite::Error::UserFunctionError(e.into()))?;
        let kind = call.get_raw(2).as_str()?;
        let kind = kind_named(kind).ok_or_else(|| {
            rusqlite::Error::UserFunctionError(format!("{kind:?} is not a kind").into())
        })?;
        Ok(FieldReader::of(&path, kind))
    })
}

fn object(call: &Context<'_>) -> Result<Map<String, Value>> {
    serde_json::from_slice(call.get_raw(0).as_bytes()?)
        .map_err(|e| rusqlite::Error::UserFunctionError(e.into()))
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
