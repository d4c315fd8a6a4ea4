//! The functions that histograms call: where the bucket begins that a value falls into.

use rusqlite::Error::UserFunctionError;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};
use strongroom_core::query::{Aggregation, CalendarUnit, DateInterval};
use strongroom_sql::sqlite::{DATE_FUNCTION, HISTOGRAM_FUNCTION};

/// Registers the functions on a new connection.
pub(crate) fn register(connection: &Connection, flags: FunctionFlags) -> Result<()> {
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
