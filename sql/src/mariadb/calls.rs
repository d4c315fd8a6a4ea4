//! Calls of the server's own functions.
//!
//! A function is called by its name, in the current database. Fields are passed as the server's own
//! types: whole numbers as `BIGINT`, floats as `DOUBLE`, text as text, booleans as 1 and 0, which
//! is what the server has for them.

use strongroom_core::error::{Error, Result};
use strongroom_core::model::{FieldDeclaration, Kind, Model, Scalar};
use strongroom_core::query::{Argument, Call};

use super::{MariaDb, value};
use crate::dialect::DOCUMENT;
use crate::param::{Param, Statement, Writer};

/// Compiles what calls make of a document that is not stored. There is one row with a column for
/// each call.
///
/// # Errors
///
/// `Invalid` if the model does not declare a field that is an argument, or if there are more
/// values than the server binds.
pub fn evaluate(model: &Model, calls: &[&Call], body: &str) -> Result<Statement> {
    let mut sql = Writer::new(&MariaDb);
    sql.text("SELECT ");
    for (at, of) in calls.iter().enumerate() {
        sql.text(if at > 0 { ", " } else { "" });
        call(&mut sql, model, of)?;
    }
    sql.text(" FROM (SELECT ").bind(body);
    sql.text(" AS body) AS ").text(DOCUMENT);
    sql.finish()
}

/// Writes the condition that what a call makes equals a value. The server would compare values of
/// different types somehow; so the result is looked at as JSON, which tells its type.
pub(super) fn equals(
    sql: &mut Writer<'_>,
    model: &Model,
    of: &Call,
    wanted: &Scalar,
) -> Result<()> {
    sql.text("EXISTS (SELECT 1 FROM JSON_TABLE(JSON_ARRAY(");
    call(sql, model, of)?;
    sql.text("), '$[*]' COLUMNS (j JSON PATH '$')) AS c WHERE ");
    let kind = match wanted {
        Scalar::Boolean(true) => {
            sql.text("LEFT(c.j, 5) IN ('true', '1'))");
            return Ok(());
        }
        Scalar::Boolean(false) => {
            sql.text("LEFT(c.j, 6) IN ('false', '0'))");
            return Ok(());
        }
        Scalar::Integer(_) | Scalar::Float(_) => Kind::Float,
        Scalar::Text(_) => Kind::Keyword,
    };
    sql.text(value::of_leaf(kind, "c")).text(" = ");
    sql.comparand(kind, wanted).text(")");
    Ok(())
}

fn call(sql: &mut Writer<'_>, model: &Model, of: &Call) -> Result<()> {
    // Quoted, the server would not take it for one of its own functions. Names of functions hold
    // letters, digits and `_` only.
    sql.text(of.function().as_str()).text("(");
    for (at, argument) in of.arguments().iter().enumerate() {
        sql.text(if at > 0 { ", " } else { "" });
        match argument {
            Argument::Value(value) => {
                sql.bind(Param::from(value));
            }
            Argument::Field(path) => {
                let value = field(model.require(path)?);
                sql.text(value);
            }
            Argument::Call(inner) => call(sql, model, inner)?,
            _ => return Err(Error::unsupported("this argument of a function")),
        }
    }
    sql.text(")");
    Ok(())
}

/// The value of a field in the server's own type.
fn field(field: &FieldDeclaration) -> String {
    let body = format!("{DOCUMENT}.body");
    let json = value::member(&field.path, &body);
    let number =
        |made: String| format!("(CASE WHEN LEFT({json}, 1) BETWEEN '-' AND '9' THEN {made} END)");
    match field.kind {
        Kind::Float | Kind::ScaledFloat { .. } => number(format!("CAST({json} AS DOUBLE)")),
        // A number with a fraction does not fit the kind: it is rounded.
        Kind::Integer => number(format!(
            "CASE WHEN {json} REGEXP '[.eE]' THEN CAST(CAST({json} AS DOUBLE) AS SIGNED) \
             ELSE CAST({json} AS SIGNED) END"
        )),
        Kind::Keyword => {
            let path = value::json_path(&field.path);
            format!("(CASE WHEN LEFT({json}, 1) = '\"' THEN JSON_VALUE({body}, {path}) END)")
        }
        kind => value::of_member(kind, &field.path, &body),
    }
}
