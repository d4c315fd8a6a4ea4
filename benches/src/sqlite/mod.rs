//! SQLite: the typed path beside rusqlite by hand, and beside a pool that commits each save.

mod aggregates;
mod lone;
mod naive;
mod pages;
mod raw;
pub mod streams;
mod tasks;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom::prelude::*;
use strongroom::sqlite::{SqliteOptions, SqliteStore, Synchronous};

use crate::documents::{Account, Quake, Sample};
use crate::flights;
use crate::measure::{Line, Report};
use crate::orders;

type Failure = Box<dyn std::error::Error>;

/// How many documents a collection holds.
const DOCUMENTS: usize = 10_000;
/// How many documents a long stream hands out.
const STREAMED: usize = 200_000;

/// Runs every scenario of SQLite.
pub fn run(report: &mut Report, folder: &Path, flights_file: Option<&Path>) -> Result<(), Failure> {
    let runtime = runtime()?;
    // The naive arm's connections need a runtime to be dropped in.
    let _entered = runtime.enter();
    lone::load::<Account>(report, &runtime, folder, Line::AtMost(1.3))?;
    lone::load::<Quake>(report, &runtime, folder, Line::AtMost(1.3))?;
    lone::save::<Account>(report, &runtime, folder, Level::Full, Line::AtMost(1.2))?;
    lone::save::<Account>(report, &runtime, folder, Level::Normal, Line::AtMost(1.3))?;
    lone::save::<Quake>(report, &runtime, folder, Level::Full, Line::AtMost(1.2))?;
    lone::save::<Quake>(report, &runtime, folder, Level::Normal, Line::AtMost(1.3))?;
    lone::bulk::<Account>(report, &runtime, folder, Line::AtMost(1.3))?;
    lone::bulk::<Quake>(report, &runtime, folder, Line::AtMost(1.3))?;
    tasks::save::<Account>(report, &runtime, folder, Level::Full, Line::AtLeast(9.0))?;
    tasks::save::<Account>(report, &runtime, folder, Level::Normal, Line::AtLeast(4.5))?;
    tasks::load::<Account>(report, &runtime, folder, Line::AtLeast(3.0))?;
    pages::run(report, &runtime, folder)?;
    let mut of_flights = aggregates::ALL.iter().chain([&streams::FLIGHTS]);
    if of_flights.any(|name| report.wants(name)) {
        let flights = flights::flights(flights_file)?;
        let fixture = runtime.block_on(Fixture::of(folder, Level::Full, flights))?;
        streams::run(report, &runtime, streams::FLIGHTS, &fixture)?;
        aggregates::run(report, &runtime, &fixture)?;
    }
    if report.wants(streams::ORDERS) {
        let orders = orders::orders(STREAMED);
        let fixture = runtime.block_on(Fixture::of(folder, Level::Full, orders))?;
        streams::run(report, &runtime, streams::ORDERS, &fixture)?;
    }
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

/// What is waited for at a commit.
#[derive(Clone, Copy, Debug)]
enum Level {
    Full,
    Normal,
}

impl Level {
    fn pragma(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
        }
    }

    fn option(self) -> Synchronous {
        match self {
            Self::Full => Synchronous::Full,
            Self::Normal => Synchronous::Normal,
        }
    }
}

/// Two files of the same documents, made by the same statements: one for each arm.
struct Fixture<T: Document> {
    reference: PathBuf,
    file: PathBuf,
    documents: Vec<T>,
    collection: Collection<T>,
    /// Dropped last: it holds both files.
    _folder: tempfile::TempDir,
}

impl<T: Sample> Fixture<T> {
    async fn new(folder: &Path, level: Level) -> Result<Self, Failure> {
        Self::of(folder, level, T::samples(DOCUMENTS)).await
    }
}

impl<T: Document + Clone> Fixture<T> {
    async fn of(folder: &Path, level: Level, documents: Vec<T>) -> Result<Self, Failure> {
        let folder = tempfile::tempdir_in(folder)?;
        let reference = folder.path().join("reference.db");
        fill(&reference, level, &documents).await?;
        let file = folder.path().join("strongroom.db");
        fill(&file, level, &documents).await?;
        let db = open(&file, level).await?;
        Ok(Self {
            reference,
            file,
            documents,
            collection: db.collection::<T>(),
            _folder: folder,
        })
    }
}

async fn open(file: &Path, level: Level) -> Result<Database, Failure> {
    let options = SqliteOptions::file(file).synchronous(level.option());
    Ok(Database::new(Arc::new(SqliteStore::open(options).await?)))
}

/// Stores the documents and closes the file, so that both arms find an empty log.
async fn fill<T: Document + Clone>(
    file: &Path,
    level: Level,
    documents: &[T],
) -> Result<(), Failure> {
    let db = open(file, level).await?;
    let collection = db.collection::<T>();
    collection.ensure().await?;
    collection.insert_many(documents.to_vec()).await?;
    db.close().await?;
    Ok(())
}
