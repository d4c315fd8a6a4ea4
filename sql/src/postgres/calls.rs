//! Calls of the server's own functions.
//!
//! A function is called by its name, in the schemas where the connection looks for one. Numbers of
//! fields are passed as `numeric`, timestamps as `bigint`, and given values as the narrowest type
//! that takes them, so that the server finds the function whatever type of number it is declared
//! with.

use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Model, Scalar};
use strongroom_core::query::{Argument, Call};

use super::Postgres;
use crate::dialect::{DOCUMENT, Dialect};
use crate::param::{Param, Statement, Writer};

/// Compiles what calls make of a document that is not stored. There is one row with a column for
/// each call.
///
/// # Errors
///
/// `Invalid` if the model does not declare a field that is an argument, or if there are more
/// values than the server binds.
pub fn evaluate(model: &Model, calls: &[&Call], body: &str) -> Result<Statement> {
    let mut sql = Writer::new(&Postgres);
    sql.text("SELECT ");
    for (at, of) in calls.iter().enumerate() {
        sql.text(if at > 0 { ", " } else { "" });
        call(&mut sql, model, of)?;
    }
    sql.text(" FROM (SELECT ").bind(body);
    sql.text("::jsonb AS body) AS ").text(DOCUMENT);
    sql.finish()
}

/// Writes the condition that what a call makes equals a value. As JSON, values of different types
/// are compared without an error, and numbers as numbers.
pub(super) fn equals(sql: &mut Writer<'_>, model: &Model, of: &Call, value: &Scalar) -> Result<()> {
    sql.text("coalesce(to_jsonb(");
    call(sql, model, of)?;
    sql.text(") = to_jsonb(");
    given(sql, value);
    sql.text("), FALSE)");
    Ok(())
}

fn call(sql: &mut Writer<'_>, model: &Model, of: &Call) -> Result<()> {
    sql.identifier(of.function().as_str()).text("(");
    for (at, argument) in of.arguments().iter().enumerate() {
        sql.text(if at > 0 { ", " } else { "" });
        match argument {
            Argument::Value(value) => given(sql, value),
            Argument::Field(path) => {
                let value = Postgres.value(model.require(path)?);
                sql.text(value);
            }
            Argument::Call(inner) => call(sql, model, inner)?,
            _ => return Err(Error::unsupported("this argument of a function")),
        }
    }
    sql.text(")");
    Ok(())
}

/// Writes a value. The server widens an `integer` by itself, but narrows nothing.
fn given(sql: &mut Writer<'_>, value: &Scalar) {
    match value {
        Scalar::Integer(i) if i32::try_from(*i).is_ok() => sql.bind(*i).text("::integer"),
        value => sql.bind(Param::from(value)),
    };
}

#[cfg(test)]
mod tests {
    use strongroom_core::model::{FieldDeclaration, Kind};

    use super::*;

    #[test]
    fn calls_are_nested_and_their_values_bound() {
        let model = Model::builder("users")
            .field(FieldDeclaration::new("k".parse().unwrap(), Kind::Keyword))
            .build()
            .unwrap();
        let inner = Call::new("lower").unwrap().field("k".parse().unwrap());
        let of = Call::new("left").unwrap().call(inner).value(3);
        let of = of.value(i64::MAX).value(0.5).value("x").value(true);
        let k = "(CASE WHEN jsonb_typeof((d.body -> E'k')) = 'string' \
                 THEN (d.body -> E'k') #>> '{}' END) COLLATE \"C\"";
        let arguments = format!(
            "\"left\"(\"lower\"({k}), $1::bigint::integer, $2::bigint, $3::text::numeric, \
             $4::text, $5::boolean)"
        );
        let statement = evaluate(&model, &[&of], "{}").unwrap();
        assert_eq!(
            statement.sql,
            format!("SELECT {arguments} FROM (SELECT $6::text::jsonb AS body) AS d")
        );
        let mut sql = Writer::new(&Postgres);
        equals(&mut sql, &model, &of, &Scalar::from("abc")).unwrap();
        let condition = format!("coalesce(to_jsonb({arguments}) = to_jsonb($6::text), FALSE)");
        assert_eq!(sql.finish().unwrap().sql, condition);
    }
}
