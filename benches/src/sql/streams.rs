//! All documents of a large collection, one after another, and how much memory that takes.

use futures_util::TryStreamExt as _;
use sqlx_core::connection::Connection as _;
use sqlx_core::executor::Executor;
use strongroom::prelude::*;

use super::{ByHand, Connection, Failure, Server};
use crate::machine;
use crate::measure::{Line, Report, StreamArm};
use crate::orders::{Order, orders};

const STREAMED: usize = 200_000;

/// The name of a server's scenario.
pub fn name<B: ByHand>() -> String {
    format!("{}: stream of 200,000, orders", B::FAMILY)
}

/// Streams all documents in the order of their ids.
pub(super) fn run<B: ByHand>(report: &mut Report, server: &Server) -> Result<(), Failure>
where
    for<'c> &'c mut Connection<B>: Executor<'c, Database = B::Driver>,
{
    let name = name::<B>();
    let documents = || orders(STREAMED);
    server.on::<B, Order>(report, &[&name], documents, |report, fixture| {
        let runtime = &server.runtime;
        (fixture.held, fixture.by_hand) = (Vec::new(), Vec::new());
        let (connection, collection) = (&mut fixture.connection, &fixture.collection);
        report.compare(
            &name,
            Line::AtMost(1.25),
            &mut |_| {
                let count = runtime.block_on(B::stream::<Order>(connection));
                count.expect("the stream runs")
            },
            &mut |_| {
                let count = runtime.block_on(typed(collection));
                count.expect("the stream runs")
            },
        );
        for arm in [StreamArm::Reference, StreamArm::Strongroom] {
            let grown = machine::memory_of(arm, &name, None)?;
            report.note(format!("{name}: memory of {arm:?} {grown}"));
        }
        Ok(())
    })
}

/// Runs one arm once in this process, and tells how far its resident memory grew.
pub fn measure_memory<B: ByHand>(arm: StreamArm) -> Result<String, Failure> {
    let url = std::env::var(B::URL)?;
    super::runtime()?.block_on(async {
        let (before, documents) = match arm {
            StreamArm::Reference => {
                let mut connection = Connection::<B>::connect(&url).await?;
                let before = machine::resident()?;
                (before, B::stream::<Order>(&mut connection).await?)
            }
            StreamArm::Strongroom => {
                let db = Database::new(B::store(&url).await?);
                let orders = db.collection::<Order>();
                // Whatever a first call sets up is there before.
                orders.find(Filter::all()).first().await?;
                (machine::resident()?, typed(&orders).await?)
            }
        };
        machine::grown(before, documents)
    })
}

async fn typed(orders: &Collection<Order>) -> Result<u64, Error> {
    let mut stream = orders.find(Filter::all()).stream();
    let mut count = 0;
    while let Some(document) = stream.try_next().await? {
        std::hint::black_box(document);
        count += 1;
    }
    Ok(count)
}
