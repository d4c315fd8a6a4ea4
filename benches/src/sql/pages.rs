//! Pages of 50 by an indexed field, decoded on both sides.

use sqlx_core::executor::Executor;
use sqlx_core::raw_sql::raw_sql;
use strongroom::handle::Find;
use tokio::sync::Mutex;

use super::{ByHand, Connection, Failure, Fixture, Server};
use crate::measure::{Line, Report};
use crate::orders::{CUSTOMERS, Order, customer, orders, placed_at};

/// How many orders there are.
const ORDERS: usize = 20_000;
/// How many a page has.
pub(super) const PAGE: usize = 50;

/// What a page of orders is asked for by.
pub enum Asked {
    /// All of one customer, in the order of their ids.
    Of(String),
    /// All from a time on, in the order of their times.
    From(i64),
}

/// Runs the pages that were asked for.
pub(super) fn run<B: ByHand>(report: &mut Report, server: &Server) -> Result<(), Failure>
where
    for<'c> &'c mut Connection<B>: Executor<'c, Database = B::Driver>,
{
    let equal = format!("{}: page of 50, one value, orders", B::FAMILY);
    let range = format!("{}: page of 50, range in order, orders", B::FAMILY);
    let documents = || orders(ORDERS);
    server.on::<B, Order>(report, &[&equal, &range], documents, |report, fixture| {
        let runtime = &server.runtime;
        let connection = &mut fixture.connection;
        runtime.block_on(raw_sql(B::INDEX).execute(&mut *connection))?;
        runtime.block_on(raw_sql(B::SETTLE).execute(connection))?;
        let (f, orders) = (Order::fields(), fixture.collection.clone());
        let count = CUSTOMERS;
        compare(fixture, report, server, &equal, count, |n| {
            let find = orders.find(f.customer().eq(customer(n)));
            (Asked::Of(customer(n)), find)
        });
        let count = ORDERS - 2 * PAGE;
        compare(fixture, report, server, &range, count, |n| {
            let find = orders.find(f.placed_at().gte(placed_at(n)));
            let find = find.sort(f.placed_at().asc());
            (Asked::From(placed_at(n).as_millis()), find)
        });
        Ok(())
    })
}

fn compare<B: ByHand>(
    fixture: &mut Fixture<B, Order>,
    report: &mut Report,
    server: &Server,
    name: &str,
    count: usize,
    ask: impl Fn(usize) -> (Asked, Find<Order>),
) {
    if !report.wants(name) {
        return;
    }
    // Locked by one arm at a time.
    let connection = Mutex::new(&mut fixture.connection);
    let by_hand = async |n: usize| {
        let mut connection = connection.lock().await;
        let page = B::page::<Order>(&mut connection, &ask(n).0).await;
        page.expect("the page is found")
    };
    let typed = async |n: usize| {
        let page = ask(n).1.limit(PAGE).page().await;
        page.expect("the page is found")
    };
    for n in [0, count - 1] {
        let asked = async { (by_hand(n).await, typed(n).await) };
        let (a, b) = server.runtime.block_on(asked);
        assert_eq!(a.len(), PAGE, "{name}");
        let (a, b) = (a.iter().map(|(o, _)| &o.id), b.iter().map(|o| &o.id));
        assert!(a.eq(b), "{name}");
    }
    report.compare_each(
        &server.runtime,
        name,
        Line::AtMost(1.2),
        count,
        async |n| assert_eq!(by_hand(n).await.len(), PAGE),
        async |n| assert_eq!(typed(n).await.len(), PAGE),
    );
}
