//! Where the intervals of dates begin: by whole numbers where they have one length, by a function
//! of the adapter where they have not.

use strongroom_core::error::{Error, Result};
use strongroom_core::model::Timestamp;
use strongroom_core::query::{CalendarUnit, DateInterval};

use super::DATE_FUNCTION;
use crate::param::Writer;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// The first Monday of 1970.
const MONDAY: i64 = 4 * DAY;

pub(super) fn begin(sql: &mut Writer<'_>, value: &str, interval: DateInterval) -> Result<()> {
    match interval {
        DateInterval::Fixed { milliseconds } => multiple(sql, value, milliseconds.max(1)),
        DateInterval::Calendar(unit) => match unit {
            CalendarUnit::Minute => multiple(sql, value, MINUTE),
            CalendarUnit::Hour => multiple(sql, value, HOUR),
            CalendarUnit::Day => multiple(sql, value, DAY),
            CalendarUnit::Week => {
                // Mondays are multiples of a week behind the first.
                let shifted = format!("({value} - {MONDAY})");
                multiple_from(sql, value, &shifted, 7 * DAY);
            }
            CalendarUnit::Month => function(sql, value, "month"),
            CalendarUnit::Quarter => function(sql, value, "quarter"),
            CalendarUnit::Year => function(sql, value, "year"),
        },
        _ => return Err(Error::unsupported("this interval of a date histogram")),
    }
    Ok(())
}

fn function(sql: &mut Writer<'_>, value: &str, unit: &str) {
    sql.text(format!("{DATE_FUNCTION}({value}, '{unit}')"));
}

fn multiple(sql: &mut Writer<'_>, value: &str, step: i64) {
    multiple_from(sql, value, value, step);
}

/// Writes `value` less what `shifted` is above a multiple of the step. The remainder of a negative
/// number is negative in SQL. No step overflows: only times get there, and they are far from the
/// ends of `i64`.
fn multiple_from(sql: &mut Writer<'_>, value: &str, shifted: &str, step: i64) {
    let (first, last) = (Timestamp::MIN.as_millis(), Timestamp::MAX.as_millis());
    sql.text(format!(
        "CASE WHEN {value} BETWEEN {first} AND {last} THEN {value} - {shifted} % "
    ));
    sql.bind(step).text(format!(" - CASE WHEN {shifted} % "));
    sql.bind(step).text(" < 0 THEN ").bind(step);
    sql.text(" ELSE 0 END END");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_the_core_takes_for_times() {
        let interval = DateInterval::Fixed { milliseconds: 1 };
        let (first, last) = (Timestamp::MIN.as_millis(), Timestamp::MAX.as_millis());
        assert_eq!(interval.floor(first), Some(first));
        assert_eq!(interval.floor(last), Some(last));
        assert_eq!(interval.floor(first - 1), None);
        assert_eq!(interval.floor(last + 1), None);
    }
}
