//! Where the intervals of dates begin: by whole numbers where they have one length, by the function
//! `strongroom_month` in the database where they have not.

use strongroom_core::error::{Error, Result};
use strongroom_core::model::Timestamp;
use strongroom_core::query::{CalendarUnit, DateInterval};

use crate::param::Writer;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// The first Monday of 1970.
const MONDAY: i64 = 4 * DAY;

/// Writes where the interval begins that a 64-bit whole number falls into.
pub(crate) fn begin(sql: &mut Writer<'_>, value: &str, interval: DateInterval) -> Result<()> {
    let (step, from) = match interval {
        DateInterval::Fixed { milliseconds } => (milliseconds.max(1), 0),
        DateInterval::Calendar(unit) => match unit {
            CalendarUnit::Minute => (MINUTE, 0),
            CalendarUnit::Hour => (HOUR, 0),
            CalendarUnit::Day => (DAY, 0),
            CalendarUnit::Week => (7 * DAY, MONDAY),
            CalendarUnit::Month => return of_months(sql, value, 1),
            CalendarUnit::Quarter => return of_months(sql, value, 3),
            CalendarUnit::Year => return of_months(sql, value, 12),
        },
        _ => return Err(Error::unsupported("this interval of a date histogram")),
    };
    when_time(sql, value);
    // The remainder of a negative number is negative in SQL. Only times get there, and they are
    // far from the ends of `bigint`; a step may lie at its end, so the remainder is moved up by
    // a step only where it is negative.
    sql.text(format!("{value} - ({value} - {from}) % "))
        .bind(step);
    sql.text(format!(" - CASE WHEN ({value} - {from}) % "))
        .bind(step);
    sql.text(" < 0 THEN ").bind(step).text(" ELSE 0 END END");
    Ok(())
}

fn of_months(sql: &mut Writer<'_>, value: &str, months: u32) -> Result<()> {
    when_time(sql, value);
    sql.text(format!("strongroom_month({value}, {months}) END"));
    Ok(())
}

fn when_time(sql: &mut Writer<'_>, value: &str) {
    let (first, last) = (Timestamp::MIN.as_millis(), Timestamp::MAX.as_millis());
    sql.text(format!(
        "CASE WHEN {value} BETWEEN {first} AND {last} THEN "
    ));
}
