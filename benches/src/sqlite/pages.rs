//! Pages of 50 by an indexed field, decoded on both sides.

use rusqlite::{Connection, Params};
use std::path::Path;
use strongroom::prelude::*;
use strongroom::store::MAX_PAGE;
use tokio::runtime::Runtime;

use super::{Failure, Fixture, Level, raw};
use crate::measure::{Line, Report};
use crate::orders::{CUSTOMERS, Order, customer, orders, placed_at};

/// How many orders there are.
const ORDERS: usize = 20_000;
/// How many a page has.
const PAGE: usize = 50;

const EQUAL: &str = "sqlite: page of 50, one value, orders";
const RANGE: &str = "sqlite: page of 50, range in order, orders";
const NEXT: &str = "sqlite: next page of 50, range in order, orders";

/// Runs the pages that were asked for.
pub fn run(report: &mut Report, runtime: &Runtime, folder: &Path) -> Result<(), Failure> {
    if ![EQUAL, RANGE, NEXT].iter().any(|name| report.wants(name)) {
        return Ok(());
    }
    let fixture = runtime.block_on(Fixture::of(folder, Level::Full, orders(ORDERS)))?;
    let connection = raw::open(&fixture.reference, "FULL")?;
    let pages = Pages {
        runtime,
        connection: &connection,
        orders: &fixture.collection,
    };
    pages.equal(report);
    pages.range(report);
    pages.next(report)
}

struct Pages<'a> {
    runtime: &'a Runtime,
    connection: &'a Connection,
    orders: &'a Collection<Order>,
}

impl Pages<'_> {
    /// Documents of one value, in the order of their ids.
    fn equal(&self, report: &mut Report) {
        let f = Order::fields();
        let sql =
            "SELECT id, version, body FROM orders WHERE \"f:customer\" = ?1 ORDER BY id LIMIT 50";
        self.compare(
            report,
            EQUAL,
            |n| self.by_hand(sql, [customer(n)]),
            async |n| {
                let find = self.orders.find(f.customer().eq(customer(n)));
                find.limit(PAGE).page().await.expect("the page is found")
            },
            CUSTOMERS,
        );
    }

    /// Documents from a value on, in the order of the field.
    fn range(&self, report: &mut Report) {
        let f = Order::fields();
        let sql = "SELECT id, version, body FROM orders WHERE \"f:placed_at\" >= ?1 \
                   ORDER BY \"f:placed_at\", id LIMIT 50";
        self.compare(
            report,
            RANGE,
            |n| self.by_hand(sql, [placed_at(n).as_millis()]),
            async |n| {
                let find = self.orders.find(f.placed_at().gte(placed_at(n)));
                let find = find.sort(f.placed_at().asc()).limit(PAGE);
                find.page().await.expect("the page is found")
            },
            ORDERS - 2 * PAGE,
        );
    }

    /// The page behind another one, from anywhere in the order.
    fn next(&self, report: &mut Report) -> Result<(), Failure> {
        if !report.wants(NEXT) {
            return Ok(());
        }
        let f = Order::fields();
        // Pages of one document, as far apart as offsets reach.
        let count = 100;
        let before = |n: usize| n * (MAX_PAGE - 1) / count;
        let cursors = self.runtime.block_on(async {
            let mut cursors = Vec::new();
            for n in 0..count {
                let find = self.orders.find(Filter::all()).sort(f.placed_at().asc());
                let page = find.offset(before(n)).limit(1).page().await?;
                cursors.push(page.cursor().cloned().ok_or("a page has no cursor")?);
            }
            Ok::<_, Failure>(cursors)
        })?;
        let sql = "SELECT id, version, body FROM orders WHERE (\"f:placed_at\", id) > (?1, ?2) \
                   ORDER BY \"f:placed_at\", id LIMIT 50";
        self.compare(
            report,
            NEXT,
            |n| {
                let before = before(n);
                let id = format!("order-{before:08}");
                self.by_hand(sql, (placed_at(before).as_millis(), id))
            },
            async |n| {
                let find = self.orders.find(Filter::all()).sort(f.placed_at().asc());
                let find = find.after(cursors[n].clone()).limit(PAGE);
                find.page().await.expect("the page is found")
            },
            count,
        );
        Ok(())
    }

    fn by_hand(&self, sql: &str, parameters: impl Params) -> Vec<(Order, i64)> {
        let mut statement = self.connection.prepare_cached(sql).expect("it is prepared");
        let mut rows = statement.query(parameters).expect("the query runs");
        let mut found = Vec::with_capacity(PAGE);
        while let Some(row) = rows.next().expect("the query runs") {
            let body = row.get_ref(2).and_then(|body| Ok(body.as_bytes()?));
            let body = body.expect("the body is text");
            let order = serde_json::from_slice(body).expect("the body decodes");
            found.push((order, row.get(1).expect("a version")));
        }
        found
    }

    fn compare(
        &self,
        report: &mut Report,
        name: &str,
        by_hand: impl Fn(usize) -> Vec<(Order, i64)>,
        typed: impl AsyncFn(usize) -> Page<Order>,
        count: usize,
    ) {
        if !report.wants(name) {
            return;
        }
        let same = |n: usize| {
            let by_hand: Vec<_> = by_hand(n).into_iter().map(|(order, _)| order.id).collect();
            let typed = self.runtime.block_on(typed(n));
            assert_eq!(by_hand.len(), PAGE, "{name}");
            assert!(by_hand.iter().eq(typed.iter().map(|o| &o.id)), "{name}");
        };
        same(0);
        same(count - 1);
        report.compare_each_blocking(
            self.runtime,
            name,
            Line::AtMost(1.25),
            count,
            |n| assert_eq!(by_hand(n).len(), PAGE),
            async |n| assert_eq!(typed(n).await.len(), PAGE),
        );
    }
}
