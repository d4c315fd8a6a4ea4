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
use strongroom_core::query::{FieldReader, TextQuery, Wildcard, Words, words};
use strongroom_sql::sqlite::{
    BREAK, EXISTS_FUNCTION, GREATEST_FUNCTION, LEAST_FUNCTION, OBJECTS_FUNCTION, TEXT_FUNCTION,
    TEXTS_DIFFER_FUNCTION, VALUES_FUNCTION, WILDCARD_FUNCTION, WORDS_FUNCTION,
};

use crate::buckets;
use crate::error::refused;
use crate::member::member;

/// Longer words are not indexed, in bytes: a question is too short to hold one, even where its
/// lower case is longer than itself.
const LONGEST_INDEXED: usize = 16 * 1024;

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
            // Not read anew: the lower case of some letters has marks that are no letters.
            let words = words.as_str()?.split(' ').map(str::to_owned);
            TextQuery::of_words(words.collect(), mode).map_err(refused)
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
    })?;
    // These are called by triggers, which the file's schema holds. They do no harm there.
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function(WORDS_FUNCTION, 2, flags, |call| {
        let reader = field_reader(call, || Ok(Kind::Text))?;
        Ok(indexed_words(&reader.texts(&object(call)?)))
    })?;
    connection.create_scalar_function(TEXTS_DIFFER_FUNCTION, 3, flags, |call| {
        let (old, new) = (call.get_raw(0).as_bytes()?, call.get_raw(1).as_bytes()?);
        if old == new {
            return Ok(false);
        }
        let (old, new) = (parsed(old)?, parsed(new)?);
        let paths: Vec<FieldPath> = serde_json::from_slice(call.get_raw(2).as_bytes()?)
            .map_err(|e| UserFunctionError(e.into()))?;
        Ok(paths.iter().any(|path| {
            let reader = FieldReader::of(path, Kind::Text);
            reader.texts(&old) != reader.texts(&new)
        }))
    })
}

/// The words of a field as the index keeps them.
fn indexed_words(texts: &[&str]) -> String {
    let mut indexed = String::with_capacity(texts.iter().map(|text| text.len() + 1).sum());
    for (at, text) in texts.iter().enumerate() {
        if at > 0 {
            indexed.push(BREAK);
            indexed.push(' ');
        }
        for word in words(text) {
            if word.len() > LONGEST_INDEXED {
                indexed.push(BREAK);
            } else {
                indexed.push_str(&word);
            }
            indexed.push(' ');
        }
    }
    indexed
}

pub(crate) fn to_sql(value: Option<Scalar>) -> SqlValue {
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

pub(crate) fn object(call: &Context<'_>) -> Result<Map<String, Value>> {
    parsed(call.get_raw(0).as_bytes()?)
}

fn parsed(body: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(body).map_err(|e| UserFunctionError(e.into()))
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
