//! Many callers at a time, beside a pool that commits each save.

use std::path::Path;

use strongroom::prelude::Saved;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::raw::Statements;
use super::{Failure, Fixture, Level, naive, raw};
use crate::documents::Sample;
use crate::measure::{Line, Report, until};

const WRITERS: usize = 256;
const READERS: usize = 64;

/// 256 tasks, each saving its own document again and again.
pub fn save<T: Sample>(
    report: &mut Report,
    runtime: &Runtime,
    folder: &Path,
    level: Level,
    line: Line,
) -> Result<(), Failure> {
    let name = format!(
        "sqlite: {WRITERS} tasks saving, {}, {}",
        level.pragma(),
        T::TABLE
    );
    if !report.wants(&name) {
        return Ok(());
    }
    let fixture = runtime.block_on(Fixture::<T>::new(folder, level))?;
    let pool = runtime.block_on(naive::open(&fixture.reference, level.pragma()));
    let statements = Statements::<T>::new();
    report.compare(
        &name,
        line,
        &mut |length| {
            let connection = raw::open(&fixture.reference, level.pragma()).expect("a connection");
            let held = statements.held(&connection, &fixture.documents[..WRITERS]);
            runtime.block_on(async {
                let mut tasks = JoinSet::new();
                for (mut document, mut version) in held.expect("the documents load") {
                    let (pool, statements) = (pool.clone(), statements.clone());
                    tasks.spawn(until(length, async move || {
                        document.touch(strongroom::prelude::Timestamp::now());
                        version = naive::save(&pool, &statements, document.clone(), version).await;
                    }));
                }
                tasks.join_all().await.iter().sum()
            })
        },
        &mut |length| {
            runtime.block_on(async {
                let mut tasks = JoinSet::new();
                for document in &fixture.documents[..WRITERS] {
                    let collection = fixture.collection.clone();
                    let held = collection.get(document.id()).await;
                    let mut held = held.expect("the load runs").expect("the document is there");
                    tasks.spawn(until(length, async move || {
                        held.change();
                        let saved = collection.save(&mut held).await;
                        assert!(matches!(saved, Ok(Saved::Updated(_))), "{saved:?}");
                    }));
                }
                tasks.join_all().await.iter().sum()
            })
        },
    );
    Ok(())
}

/// 64 tasks, each loading one document after another.
pub fn load<T: Sample>(
    report: &mut Report,
    runtime: &Runtime,
    folder: &Path,
    line: Line,
) -> Result<(), Failure> {
    let name = format!("sqlite: {READERS} tasks loading, {}", T::TABLE);
    if !report.wants(&name) {
        return Ok(());
    }
    let fixture = runtime.block_on(Fixture::<T>::new(folder, Level::Full))?;
    let pool = runtime.block_on(naive::open(&fixture.reference, "FULL"));
    let statements = Statements::<T>::new();
    let ids: Vec<String> = fixture
        .documents
        .iter()
        .map(|d| d.id().to_owned())
        .collect();
    let ids = std::sync::Arc::new(ids);
    report.compare(
        &name,
        line,
        &mut |length| {
            runtime.block_on(async {
                let mut tasks = JoinSet::new();
                for task in 0..READERS {
                    let (pool, statements, ids) = (pool.clone(), statements.clone(), ids.clone());
                    let mut at = task;
                    tasks.spawn(until(length, async move || {
                        at = (at + 7_919) % ids.len();
                        naive::load(&pool, &statements, ids[at].clone()).await;
                    }));
                }
                tasks.join_all().await.iter().sum()
            })
        },
        &mut |length| {
            runtime.block_on(async {
                let mut tasks = JoinSet::new();
                for task in 0..READERS {
                    let (collection, ids) = (fixture.collection.clone(), ids.clone());
                    let mut at = task;
                    tasks.spawn(until(length, async move || {
                        at = (at + 7_919) % ids.len();
                        let found = collection.get(ids[at].as_str()).await;
                        assert!(found.expect("the load runs").is_some());
                    }));
                }
                tasks.join_all().await.iter().sum()
            })
        },
    );
    Ok(())
}
