//! The user's functions, on a connection.
//!
//! A filter that calls one is answered by [`CALL_FUNCTION`], which evaluates the call by the core's
//! own code, as the in-memory store does. Native conditions call a function by its name.
//!
//! None is registered as deterministic: a function may draw a random salt. All are for the
//! statements of this store alone, never for what the file's schema says.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::model::Scalar;
use strongroom_core::query::{CompiledCall, FunctionName, Functions};
use strongroom_sql::sqlite::CALL_FUNCTION;

use crate::error::{Phase, map, refused};
use crate::functions::{object, to_sql};

/// Registers the user's functions on a new connection.
///
/// # Errors
///
/// `Config`, naming the function, if SQLite has one of this name itself.
pub(crate) fn register(connection: &Connection, functions: &Functions) -> Result<()> {
    let failed = |e| map(e, Phase::Open);
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
    let known = functions.clone();
    connection
        .create_scalar_function(CALL_FUNCTION, 2, flags, move |call| holds(call, &known))
        .map_err(failed)?;
    for (name, _) in functions.iter() {
        if is_taken(connection, name).map_err(failed)? {
            return Err(Error::new(
                ErrorKind::Config,
                format!("function {name} cannot be registered: SQLite has one of this name itself"),
            ));
        }
        let (known, name) = (functions.clone(), name.clone());
        connection
            .create_scalar_function(name.clone().as_str(), -1, flags, move |call| {
                let arguments = (0..call.len()).map(|at| argument(call, at, &name));
                let arguments = arguments.collect::<rusqlite::Result<Vec<_>>>()?;
                known.call(&name, &arguments).map(to_sql).map_err(refused)
            })
            .map_err(failed)?;
    }
    Ok(())
}

fn is_taken(connection: &Connection, name: &FunctionName) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM pragma_function_list WHERE name = ?1 COLLATE NOCASE")?
        .exists([name.as_str()])
}

/// Whether what the call makes of the body equals the value. The call is decoded once for each
/// statement, because it is bound to it.
fn holds(context: &Context<'_>, functions: &Functions) -> rusqlite::Result<bool> {
    type Asked = (CompiledCall, Scalar);
    let asked = context.get_or_create_aux(1, |json| -> rusqlite::Result<Asked> {
        serde_json::from_slice(json.as_bytes()?)
            .map_err(|e| rusqlite::Error::UserFunctionError(e.into()))
    })?;
    let (call, equals) = &*asked;
    let made = call.evaluate(functions, &object(context)?);
    Ok(made.map_err(refused)?.as_ref() == Some(equals))
}

fn argument(
    call: &Context<'_>,
    at: usize,
    name: &FunctionName,
) -> rusqlite::Result<Option<Scalar>> {
    let cannot = |what: &str| {
        refused(Error::invalid(format!(
            "function {name} is called with {what}, which it cannot take"
        )))
    };
    Ok(match call.get_raw(at) {
        ValueRef::Null => None,
        ValueRef::Integer(i) => Some(Scalar::Integer(i)),
        ValueRef::Real(x) if !x.is_finite() => return Err(cannot(&x.to_string())),
        ValueRef::Real(x) => Some(Scalar::Float(x)),
        ValueRef::Text(text) => Some(Scalar::from(std::str::from_utf8(text)?)),
        ValueRef::Blob(_) => return Err(cannot("a blob")),
    })
}
