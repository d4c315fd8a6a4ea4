//! The functions that aggregations call to put documents into buckets.

use std::cmp::Ordering;

use rusqlite::Error::UserFunctionError;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};
use serde_json::Value;
use strongroom_core::model::Scalar;
use strongroom_core::query::{Aggregation, CalendarUnit, DateInterval};
use strongroom_sql::sqlite::{DATE_FUNCTION, DISTINCT_FUNCTION, HISTOGRAM_FUNCTION};

use crate::functions::reader;
use crate::member::member;

/// Registers the functions on a new connection.
pub(crate) fn register(connection: &Connection, flags: FunctionFlags) -> Result<()> {
    connection.create_scalar_function(DISTINCT_FUNCTION, 3, flags, |call| {
        let values = distinct(reader(call)?.values(&member(call)?));
        let values: Vec<Value> = values.iter().map(Value::from).collect();
        Ok(Value::from(values).to_string())
    })?;
    connection.create_scalar_function(HISTOGRAM_FUNCTION, 3, flags, |call| {
        let value = match call.get_raw(0) {
            #[allow(clippy::cast_precision_loss, reason = "histograms are of f64")]
            ValueRef::Integer(n) => n as f64,
            ValueRef::Real(x) => x,
            _ => return Ok(None),
        };
        let (interval, offset) = (call.get(1)?, call.get(2)?);
        Ok(Some(Aggregation::bucket_begin(value, interval, offset)))
    })?;
    connection.create_scalar_function(DATE_FUNCTION, 2, flags, |call| {
        let ValueRef::Integer(millis) = call.get_raw(0) else {
            return Ok(None);
        };
        let unit = match call.get_raw(1).as_str()? {
            "month" => CalendarUnit::Month,
            "quarter" => CalendarUnit::Quarter,
            "year" => CalendarUnit::Year,
            other => {
                let message = format!("{other:?} is no unit of the calendar");
                return Err(UserFunctionError(message.into()));
            }
        };
        Ok(DateInterval::Calendar(unit).floor(millis))
    })
}

/// The values of one field, each of them once.
fn distinct(mut values: Vec<Scalar>) -> Vec<Scalar> {
    // Values of one kind always compare.
    values.sort_by(|a, b| a.compare(b).unwrap_or(Ordering::Equal));
    values.dedup();
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one() {
        let numbers = [1.0, 2.5, -0.0, 1.0].map(Scalar::from).into_iter();
        let numbers = distinct(numbers.chain([Scalar::from(0), Scalar::from(1)]).collect());
        assert_eq!(numbers, [0.0, 1.0, 2.5].map(Scalar::from));
    }
}
