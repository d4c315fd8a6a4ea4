//! Pages of 50, decoded on both sides.

use serde_json::{Value, json};

use super::{Failure, Fixture, Server};
use crate::measure::{Line, Report};
use crate::orders::{CUSTOMERS, Order, customer, orders, placed_at};

const ORDERS: usize = 20_000;
const PAGE: usize = 50;

const EQUAL: &str = "elasticsearch: page of 50, one value, orders";
const RANGE: &str = "elasticsearch: page of 50, range in order, orders";

/// Runs the pages that were asked for.
pub(super) fn run(report: &mut Report, server: &Server) -> Result<(), Failure> {
    if ![EQUAL, RANGE].iter().any(|name| report.wants(name)) {
        return Ok(());
    }
    let fixture = server
        .runtime
        .block_on(Fixture::new(server, orders(ORDERS)))?;
    let pages = Pages { server, fixture };
    let f = Order::fields();
    pages.compare(
        report,
        EQUAL,
        CUSTOMERS,
        |n| {
            let customer = json!({"term": {"body.customer": customer(n)}});
            let query = json!({"bool": {"filter": [customer]}});
            (query, json!([{"body.id": "asc"}]))
        },
        |n| pages.fixture.collection.find(f.customer().eq(customer(n))),
    );
    pages.compare(
        report,
        RANGE,
        ORDERS - 2 * PAGE,
        |n| {
            let from = placed_at(n).as_millis();
            let range = json!({"range": {"body.placed_at": {"gte": from}}});
            let query = json!({"bool": {"filter": [range]}});
            (
                query,
                json!([{"body.placed_at": "asc"}, {"body.id": "asc"}]),
            )
        },
        |n| {
            let find = pages
                .fixture
                .collection
                .find(f.placed_at().gte(placed_at(n)));
            find.sort(f.placed_at().asc())
        },
    );
    server.runtime.block_on(pages.fixture.remove())
}

struct Pages<'a> {
    server: &'a Server,
    fixture: Fixture<Order>,
}

impl Pages<'_> {
    fn compare(
        &self,
        report: &mut Report,
        name: &str,
        count: usize,
        by_hand: impl Fn(usize) -> (Value, Value),
        typed: impl Fn(usize) -> strongroom::handle::Find<Order>,
    ) {
        if !report.wants(name) {
            return;
        }
        let runtime = &self.server.runtime;
        let handle = self.fixture.by_hand.handle();
        let by_hand = async |n: usize| {
            let (query, sort) = by_hand(n);
            let page = handle.page(query, sort, PAGE).await;
            page.expect("the page is found")
        };
        let typed = async |n: usize| {
            let page = typed(n).limit(PAGE).page().await;
            page.expect("the page is found")
        };
        for n in [0, count - 1] {
            let (a, b) = runtime.block_on(async { (by_hand(n).await, typed(n).await) });
            assert_eq!(a.len(), PAGE, "{name}");
            assert!(
                a.iter().map(|o| &o.id).eq(b.iter().map(|o| &o.id)),
                "{name}"
            );
        }
        report.compare_each(
            runtime,
            name,
            Line::AtMost(1.10),
            count,
            async |n| assert_eq!(by_hand(n).await.len(), PAGE),
            async |n| assert_eq!(typed(n).await.len(), PAGE),
        );
    }
}
