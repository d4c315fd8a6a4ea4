//! All documents of a large collection, one after another, and how much memory that takes.

use std::path::Path;
use std::process::Command;

use futures_util::TryStreamExt as _;
use rusqlite::Connection;
use strongroom::prelude::*;
use tokio::runtime::Runtime;

use super::{Failure, Fixture, Level, open, raw};
use crate::flights::Flight;
use crate::measure::{Line, Report};
use crate::orders::Order;

pub const FLIGHTS: &str = "sqlite: stream of 200,000, flights";
pub const ORDERS: &str = "sqlite: stream of 200,000, orders";

/// One of the two arms, run in a process of its own to see its memory alone.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Arm {
    Reference,
    Strongroom,
}

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
        (Arm::Reference, &fixture.reference),
        (Arm::Strongroom, &fixture.file),
    ] {
        let grown = Command::new(std::env::current_exe()?)
            .args(["--memory-of", &format!("{arm:?}").to_lowercase()])
            .arg("--folder")
            .arg(file)
            .arg(name)
            .output()?;
        if !grown.status.success() {
            return Err(String::from_utf8_lossy(&grown.stderr).into());
        }
        let grown = String::from_utf8(grown.stdout)?;
        report.note(format!("{name}: memory of {arm:?} {}", grown.trim()));
    }
    Ok(())
}

/// Runs one arm once in this process, and tells how far its resident memory grew.
pub fn measure_memory(arm: Arm, file: &Path, name: &str) -> Result<String, Failure> {
    match name {
        ORDERS => memory::<Order>(arm, file),
        _ => memory::<Flight>(arm, file),
    }
}

fn memory<T: Document>(arm: Arm, file: &Path) -> Result<String, Failure> {
    let (before, documents) = match arm {
        Arm::Reference => {
            let connection = raw::open(file, "FULL")?;
            (status("VmRSS")?, by_hand::<T>(&connection)?)
        }
        Arm::Strongroom => {
            let runtime = super::runtime()?;
            let db = runtime.block_on(open(file, Level::Full))?;
            let collection = db.collection::<T>();
            // Whatever a first call sets up is there before.
            runtime.block_on(collection.find(Filter::all()).first())?;
            (status("VmRSS")?, runtime.block_on(typed(&collection))?)
        }
    };
    let peak = status("VmHWM")?;
    let grown = peak.saturating_sub(before);
    Ok(format!(
        "grew by {grown} KiB, to {peak} KiB, for {documents} documents"
    ))
}

/// A figure of the process, in KiB.
fn status(name: &str) -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let figure = line.and_then(|rest| rest.trim_start_matches(':').split_whitespace().next());
    Ok(figure.ok_or("the process has no such figure")?.parse()?)
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
