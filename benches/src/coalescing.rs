//! What joining calls costs those that come alone: the reference is the handle without the layer,
//! the other arm the handle with it.

use std::path::Path;
use std::sync::Arc;

use strongroom::layers::{Coalesce, CoalesceOptions, LayerOptions};
use strongroom::memory::MemoryStore;
use strongroom::prelude::*;
use strongroom::sqlite::{SqliteOptions, SqliteStore, Synchronous};
use strongroom::store::Store;
use tokio::runtime::Runtime;

use crate::documents::{Account, Sample};
use crate::measure::{Line, Report};

type Failure = Box<dyn std::error::Error>;

/// How many documents a collection holds.
const DOCUMENTS: usize = 10_000;

#[derive(Clone, Copy)]
enum Engine {
    Memory,
    Sqlite,
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite, NORMAL",
        }
    }

    fn line(self) -> Line {
        match self {
            // A load takes about a microsecond there, and a lock is a part of that.
            Self::Memory => Line::AtMost(1.25),
            Self::Sqlite => Line::AtMost(1.1),
        }
    }

    async fn open(self, folder: &Path, name: &str) -> Result<Arc<dyn Store>, Failure> {
        Ok(match self {
            Self::Memory => Arc::new(MemoryStore::new()),
            Self::Sqlite => {
                let options = SqliteOptions::file(folder.join(name));
                let options = options.synchronous(Synchronous::Normal);
                Arc::new(SqliteStore::open(options).await?)
            }
        })
    }
}

/// A collection, filled, and its documents.
struct Arm {
    accounts: Collection<Account>,
    held: Vec<Versioned<Account>>,
}

impl Arm {
    async fn new(store: Arc<dyn Store>, coalesce: Coalesce) -> Result<Self, Failure> {
        let mut layers = LayerOptions::new();
        layers.coalesce = coalesce;
        let db = Database::builder(store).layers(layers).build();
        let accounts = db.collection::<Account>();
        accounts.ensure().await?;
        let created = accounts.insert_many(Account::samples(DOCUMENTS)).await?;
        Ok(Self {
            accounts,
            held: created.into_iter().collect::<Result<_, _>>()?,
        })
    }

    async fn load(&self, n: usize) {
        let found = self.accounts.get(self.held[n].id.as_str()).await;
        assert!(found.expect("the load runs").is_some());
    }

    async fn save(&mut self, n: usize) {
        let document = &mut self.held[n];
        document.change();
        let saved = self.accounts.save(document).await;
        assert!(matches!(saved, Ok(Saved::Updated(_))), "{saved:?}");
    }
}

/// Runs the scenarios that were asked for.
pub fn run(report: &mut Report, folder: &Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let _entered = runtime.enter();
    for engine in [Engine::Memory, Engine::Sqlite] {
        compare(report, &runtime, folder, engine)?;
    }
    Ok(())
}

fn compare(
    report: &mut Report,
    runtime: &Runtime,
    folder: &Path,
    engine: Engine,
) -> Result<(), Failure> {
    let load = format!("coalescing: lone load, {}", engine.name());
    let save = format!("coalescing: lone guarded save, {}", engine.name());
    if ![&load, &save].iter().any(|name| report.wants(name)) {
        return Ok(());
    }
    let folder = tempfile::tempdir_in(folder)?;
    let (mut off, mut on) = runtime.block_on(async {
        let store = engine.open(folder.path(), "off.db").await?;
        let off = Arm::new(store, Coalesce::Off).await?;
        let store = engine.open(folder.path(), "on.db").await?;
        let on = Coalesce::On(CoalesceOptions::default());
        Ok::<_, Failure>((off, Arm::new(store, on).await?))
    })?;
    if report.wants(&load) {
        report.compare_each(
            runtime,
            &load,
            engine.line(),
            DOCUMENTS,
            async |n| off.load(n).await,
            async |n| on.load(n).await,
        );
    }
    if report.wants(&save) {
        report.compare_each(
            runtime,
            &save,
            engine.line(),
            DOCUMENTS,
            async |n| off.save(n).await,
            async |n| on.save(n).await,
        );
    }
    Ok(())
}
