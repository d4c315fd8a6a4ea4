//! Many callers at a time, beside a pool that commits each save.

use std::path::Path;

use strongroom::prelude::Saved;
use tokio::runtime::Runtime;

use super::raw::Statements;
use super::{Failure, Fixture, Level, naive, raw};
use crate::documents::Sample;
use crate::measure::{Line, Report, tasks, until};

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
            let held = held.expect("the documents load");
            runtime.block_on(tasks(WRITERS, |n| {
                let (pool, statements) = (pool.clone(), statements.clone());
                let (mut document, mut version) = held[n].clone();
                until(length, async move || {
                    document.touch(strongroom::prelude::Timestamp::now());
                    version = naive::save(&pool, &statements, document.clone(), version).await;
                })
            }))
        },
        &mut |length| {
            let held = runtime.block_on(async {
                let mut held = Vec::new();
                for document in &fixture.documents[..WRITERS] {
                    let found = fixture.collection.get(document.id()).await;
                    held.push(found.expect("the load runs").expect("it is there"));
                }
                held
            });
            runtime.block_on(tasks(WRITERS, |n| {
                let (collection, mut held) = (fixture.collection.clone(), held[n].clone());
                until(length, async move || {
                    held.change();
                    let saved = collection.save(&mut held).await;
                    assert!(matches!(saved, Ok(Saved::Updated(_))), "{saved:?}");
                })
            }))
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
            runtime.block_on(tasks(READERS, |mut at| {
                let (pool, statements, ids) = (pool.clone(), statements.clone(), ids.clone());
                until(length, async move || {
                    at = (at + 7_919) % ids.len();
                    naive::load(&pool, &statements, ids[at].clone()).await;
                })
            }))
        },
        &mut |length| {
            runtime.block_on(tasks(READERS, |mut at| {
                let (collection, ids) = (fixture.collection.clone(), ids.clone());
                until(length, async move || {
                    at = (at + 7_919) % ids.len();
                    let found = collection.get(ids[at].as_str()).await;
                    assert!(found.expect("the load runs").is_some());
                })
            }))
        },
    );
    Ok(())
}
