//! All documents of a large collection, one after another.

use futures_util::TryStreamExt as _;
use strongroom::prelude::*;

use super::{Failure, Fixture, Server};
use crate::measure::{Line, Report};
use crate::orders::{Order, orders};

const STREAMED: usize = 200_000;
/// How many documents a stream of the handle fetches at a time.
const PIECE: usize = 500;
const NAME: &str = "elasticsearch: stream of 200,000, orders";

/// Streams all documents in the order of their ids, in pieces of the same size.
pub(super) fn run(report: &mut Report, server: &Server) -> Result<(), Failure> {
    if !report.wants(NAME) {
        return Ok(());
    }
    let runtime = &server.runtime;
    let mut fixture = runtime.block_on(Fixture::<Order>::new(server, orders(STREAMED)))?;
    (fixture.held, fixture.by_hand.held) = (Vec::new(), Vec::new());
    let handle = fixture.by_hand.handle();
    report.compare(
        NAME,
        Line::AtMost(1.15),
        &mut |_| {
            let count = runtime.block_on(handle.stream(PIECE));
            let count = count.expect("the stream runs");
            assert_eq!(count, STREAMED as u64);
            count
        },
        &mut |_| {
            let count = runtime.block_on(typed(&fixture.collection));
            let count = count.expect("the stream runs");
            assert_eq!(count, STREAMED as u64);
            count
        },
    );
    runtime.block_on(fixture.remove())
}

async fn typed(orders: &Collection<Order>) -> Result<u64, Error> {
    let mut stream = orders.find(Filter::all()).batch(PIECE).stream();
    let mut count = 0;
    while let Some(document) = stream.try_next().await? {
        std::hint::black_box(document);
        count += 1;
    }
    Ok(count)
}
