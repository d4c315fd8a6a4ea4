//! All documents of a large collection, one after another, and how much memory that takes.

use std::path::Path;

use futures_util::TryStreamExt as _;
use rusqlite::Connection;
use strongroom::prelude::*;
use tokio::runtime::Runtime;

use super::{Failure, Fixture, Level, open, raw};
use crate::flights::Flight;
use crate::machine;
use crate::measure::{Line, Report, StreamArm};
use crate::orders::Order;

pub const FLIGHTS: &str = "sqlite: stream of 200,000, flights";
pub const ORDERS: &str = "sqlite: stream of 200,000, orders";

/// Streams all documents.
pub(super) fn run<T: Document>(
    report: &mut Report,
    runtime: &Runtime,
    name: &str,
    fixture: &Fixture<T>,
) -> Result<(), Failure> {
    if !report.wants(name) {
        return Ok(());
    }
    let connection = raw::open(&fixture.reference, "FULL")?;
    report.compare(
        name,
        Line::AtMost(1.3),
        &mut |_| by_hand::<T>(&connection).expect("the loop runs"),
        &mut |_| {
            let typed = runtime.block_on(typed(&fixture.collection));
            typed.expect("the stream runs")
        },
    );
    for (arm, file) in [
        (StreamArm::Reference, &fixture.reference),
        (StreamArm::Strongroom, &fixture.file),
    ] {
        let grown = machine::memory_of(arm, name, Some(file))?;
        report.note(format!("{name}: memory of {arm:?} {grown}"));
    }
    Ok(())
}

/// Runs one arm once in this process, and tells how far its resident memory grew.
pub fn measure_memory(arm: StreamArm, file: &Path, name: &str) -> Result<String, Failure> {
    match name {
        ORDERS => memory::<Order>(arm, file),
        _ => memory::<Flight>(arm, file),
    }
}

fn memory<T: Document>(arm: StreamArm, file: &Path) -> Result<String, Failure> {
    let (before, documents) = match arm {
        StreamArm::Reference => {
            let connection = raw::open(file, "FULL")?;
            (machine::resident()?, by_hand::<T>(&connection)?)
        }
        StreamArm::Strongroom => {
            let runtime = super::runtime()?;
            let db = runtime.block_on(open(file, Level::Full))?;
            let collection = db.collection::<T>();
            // Whatever a first call sets up is there before.
            runtime.block_on(collection.find(Filter::all()).first())?;
            (machine::resident()?, runtime.block_on(typed(&collection))?)
        }
    };
    machine::grown(before, documents)
}

/// In the order of the ids, as the typed stream promises it.
fn by_hand<T: Document>(connection: &Connection) -> Result<u64, Failure> {
    let table = T::model()?.name().clone();
    let sql = format!("SELECT id, version, body FROM {table} ORDER BY id");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let document: T = serde_json::from_slice(row.get_ref(2)?.as_bytes()?)?;
        let version: i64 = row.get(1)?;
        std::hint::black_box((document, version));
        count += 1;
    }
    Ok(count)
}

async fn typed<T: Document>(collection: &Collection<T>) -> Result<u64, Error> {
    let mut stream = collection.find(Filter::all()).stream();
    let mut count = 0;
    while let Some(document) = stream.try_next().await? {
        std::hint::black_box(document);
        count += 1;
    }
    Ok(count)
}
