//! Figures over a large collection and the first documents of each group, beside SQL by hand on
//! the same table and indexes. Both arms compute the same figures, which is checked beforehand.
//!
//! The SQL by hand is the fastest that was found. A subquery with `LIMIT -1` computes a value once
//! where the statement would do it for each figure, and with `ORDER BY` it reads the index alone.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Row};
use strongroom::prelude::*;
use strongroom::query::CalendarUnit;
use tokio::runtime::Runtime;

use super::{Failure, Fixture, raw};
use crate::flights::Flight;
use crate::measure::{Line, Report};

const STATS: &str = "sqlite: stats of a field, flights";
const STATS_INDEXED: &str = "sqlite: stats of an indexed field, flights";
const TERMS: &str = "sqlite: terms, flights";
const HOURS: &str = "sqlite: date histogram, flights";
const HOURS_WITHIN: &str = "sqlite: date histogram with a mean within, flights";
const FILTERED: &str = "sqlite: filter, terms with a mean within, flights";
const TOP: &str = "sqlite: top 3 of 100 groups, flights";

pub const ALL: [&str; 7] = [
    STATS,
    STATS_INDEXED,
    TERMS,
    HOURS,
    HOURS_WITHIN,
    FILTERED,
    TOP,
];

/// Runs the aggregations that were asked for.
pub(super) fn run(
    report: &mut Report,
    runtime: &Runtime,
    fixture: &Fixture<Flight>,
) -> Result<(), Failure> {
    let connection = raw::open(&fixture.reference, "FULL")?;
    let arms = Arms {
        runtime,
        connection: &connection,
    };
    let f = Flight::fields();
    let flights = || fixture.collection.find(Filter::all());
    let stats = |row: &Row<'_>| {
        let figures: (i64, Option<i64>, Option<i64>, f64) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(figures)
    };

    arms.compare(
        report,
        STATS,
        Line::AtMost(1.5),
        "SELECT count(v), min(v), max(v), total(v) \
         FROM (SELECT body ->> '$.delay' AS v FROM flights LIMIT -1)",
        stats,
        async || {
            let found = flights().aggregate(f.delay().stats()).await?;
            Ok(vec![(found.count as i64, found.min, found.max, found.sum)])
        },
    );
    arms.compare(
        report,
        STATS_INDEXED,
        Line::AtMost(1.5),
        "SELECT count(v), min(v), max(v), total(v) \
         FROM (SELECT \"f:distance\" AS v FROM flights ORDER BY v LIMIT -1)",
        stats,
        async || {
            let found = flights().aggregate(f.distance().stats()).await?;
            Ok(vec![(found.count as i64, found.min, found.max, found.sum)])
        },
    );
    arms.compare(
        report,
        TERMS,
        Line::AtMost(1.5),
        "SELECT \"f:distance\" AS g, count(*) AS c, sum(count(*)) OVER () FROM flights \
         WHERE g IS NOT NULL GROUP BY g ORDER BY c DESC, g LIMIT 10",
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        async || {
            let found = flights().aggregate(f.distance().terms()).await?;
            let buckets = found.buckets.iter();
            Ok(buckets.map(|b| (b.key, b.count as i64)).collect())
        },
    );
    arms.compare(
        report,
        HOURS,
        Line::AtMost(1.5),
        "SELECT v - v % 3600000 AS g, count(*) \
         FROM (SELECT \"f:departed\" AS v FROM flights ORDER BY v LIMIT -1) \
         WHERE v IS NOT NULL GROUP BY g ORDER BY g",
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        async || {
            let hours = f.departed().date_histogram(CalendarUnit::Hour);
            let found = flights().aggregate(hours).await?;
            let buckets = found.iter();
            Ok(buckets
                .map(|b| (b.key.as_millis(), b.count as i64))
                .collect())
        },
    );
    arms.compare(
        report,
        HOURS_WITHIN,
        Line::AtMost(1.5),
        "SELECT v - v % 3600000 AS g, count(*), avg(x) FROM (SELECT body ->> '$.departed' AS v, \
         body ->> '$.delay' AS x FROM flights LIMIT -1) \
         WHERE v IS NOT NULL GROUP BY g ORDER BY g",
        |row| {
            let mean = row.get::<_, f64>(2)?;
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, near(mean)))
        },
        async || {
            let hours = f.departed().date_histogram(CalendarUnit::Hour);
            let hours = hours.within(f.delay().average());
            let found = flights().aggregate(hours).await?;
            let buckets = found.iter();
            let figures = buckets.map(|b| {
                let mean = near(b.within.unwrap_or_default());
                (b.key.as_millis(), b.count as i64, mean)
            });
            Ok(figures.collect())
        },
    );
    arms.compare(
        report,
        FILTERED,
        Line::AtMost(1.5),
        "SELECT g, count(*) AS c, avg(x), sum(count(*)) OVER () FROM (SELECT \
         \"f:distance\" AS g, body ->> '$.delay' AS x FROM flights \
         WHERE body ->> '$.delay' > 15 LIMIT -1) \
         WHERE g IS NOT NULL GROUP BY g ORDER BY c DESC, g LIMIT 10",
        |row| {
            let mean = row.get::<_, f64>(2)?;
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, near(mean)))
        },
        async || {
            let late = fixture.collection.find(f.delay().gt(15));
            let terms = f.distance().terms().within(f.delay().average());
            let found = late.aggregate(terms).await?;
            let buckets = found.buckets.iter();
            let figures = buckets.map(|b| {
                let mean = near(b.within.unwrap_or_default());
                (b.key, b.count as i64, mean)
            });
            Ok(figures.collect())
        },
    );
    arms.compare(
        report,
        TOP,
        Line::AtMost(1.5),
        "SELECT d.body, m.g, m.n FROM (SELECT row, \"f:distance\" AS g, row_number() OVER \
         (PARTITION BY \"f:distance\" ORDER BY body ->> '$.delay' DESC, id) AS n FROM flights \
         WHERE \"f:distance\" IN (SELECT DISTINCT \"f:distance\" FROM flights \
         WHERE \"f:distance\" IS NOT NULL ORDER BY 1 LIMIT 100)) AS m \
         JOIN flights AS d ON d.row = m.row WHERE m.n <= 3 ORDER BY m.g, m.n",
        |row| {
            let body = row.get_ref(0)?.as_bytes()?;
            let flight: Flight = serde_json::from_slice(body).expect("the body decodes");
            Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, flight.id))
        },
        async || {
            let find = flights().sort(f.delay().desc());
            let groups = find.per(f.distance()).top(3).page().await?;
            let ranked = groups.iter().flat_map(|group| {
                let ranked = group.documents.iter();
                ranked.map(|one| (group.key, one.rank as i64, one.id.clone()))
            });
            Ok(ranked.collect())
        },
    );
    Ok(())
}

/// A mean to be compared with one that was added up in another order.
fn near(mean: f64) -> i64 {
    (mean * 1e6).round() as i64
}

struct Arms<'a> {
    runtime: &'a Runtime,
    connection: &'a Connection,
}

impl Arms<'_> {
    fn compare<R: PartialEq + Debug>(
        &self,
        report: &mut Report,
        name: &str,
        line: Line,
        sql: &str,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<R>,
        typed: impl AsyncFn() -> Result<Vec<R>, Error>,
    ) {
        if !report.wants(name) {
            return;
        }
        let by_hand = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map([], &read)?;
            rows.collect::<rusqlite::Result<Vec<R>>>()
        };
        let by_hand = || by_hand().expect("the query runs");
        let typed = || {
            let found = self.runtime.block_on(typed());
            found.expect("the aggregation runs")
        };
        assert_eq!(by_hand(), typed(), "{name}");
        report.compare(
            name,
            line,
            &mut |length| repeated(length, || assert!(!by_hand().is_empty())),
            &mut |length| repeated(length, || assert!(!typed().is_empty())),
        );
    }
}

/// Works until the time is over, once at least; hands out how often.
fn repeated(length: Duration, mut work: impl FnMut()) -> u64 {
    let end = Instant::now() + length;
    let mut done = 0;
    loop {
        work();
        done += 1;
        if Instant::now() >= end {
            return done;
        }
    }
}
