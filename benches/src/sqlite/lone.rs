//! One caller at a time: loads, guarded saves, bulks.

use std::path::Path;

use strongroom::prelude::*;
use tokio::runtime::Runtime;

use super::raw::{self, Statements};
use super::{Failure, Fixture, Level};
use crate::documents::Sample;
use crate::measure::{Line, Report};

/// One load after another by key.
pub fn load<T: Sample>(
    report: &mut Report,
    runtime: &Runtime,
    folder: &Path,
    line: Line,
) -> Result<(), Failure> {
    let name = format!("sqlite: lone load, {}", T::TABLE);
    if !report.wants(&name) {
        return Ok(());
    }
    let fixture = runtime.block_on(Fixture::<T>::new(folder, Level::Full))?;
    let connection = raw::open(&fixture.reference, "FULL")?;
    let statements = Statements::<T>::new();
    let count = fixture.documents.len();
    let ids: Vec<String> = fixture
        .documents
        .iter()
        .map(|d| d.id().to_owned())
        .collect();
    report.compare_each_blocking(
        runtime,
        &name,
        line,
        count,
        |n| {
            let found = statements.load(&connection, &ids[n]);
            assert!(found.expect("the load runs").is_some());
        },
        async |n| {
            let found = fixture.collection.get(ids[n].as_str()).await;
            assert!(found.expect("the load runs").is_some());
        },
    );
    Ok(())
}

/// One guarded save after another, each of a changed document.
pub fn save<T: Sample>(
    report: &mut Report,
    runtime: &Runtime,
    folder: &Path,
    level: Level,
    line: Line,
) -> Result<(), Failure> {
    let name = format!(
        "sqlite: lone guarded save, {}, {}",
        level.pragma(),
        T::TABLE
    );
    if !report.wants(&name) {
        return Ok(());
    }
    let fixture = runtime.block_on(Fixture::<T>::new(folder, level))?;
    let connection = raw::open(&fixture.reference, level.pragma())?;
    let statements = Statements::<T>::new();
    let mut by_hand = statements.held(&connection, &fixture.documents)?;
    let mut typed = runtime.block_on(held(&fixture))?;
    let count = by_hand.len();
    report.compare_each_blocking(
        runtime,
        &name,
        line,
        count,
        |n| {
            let (document, version) = &mut by_hand[n];
            let now = Timestamp::now();
            document.touch(now);
            let saved = statements.save(&connection, document, *version, now);
            *version = saved.expect("the save runs").expect("no other writer");
        },
        async |n| {
            let document = &mut typed[n];
            document.change();
            let saved = fixture.collection.save(document).await;
            assert!(matches!(saved, Ok(Saved::Updated(_))), "{saved:?}");
        },
    );
    Ok(())
}

async fn held<T: Sample>(fixture: &Fixture<T>) -> Result<Vec<Versioned<T>>, Failure> {
    let mut held = Vec::new();
    for document in &fixture.documents {
        let found = fixture.collection.get(document.id()).await?;
        held.push(found.ok_or("a document is missing")?);
    }
    Ok(held)
}

/// All documents saved at their versions, in one transaction.
pub fn bulk<T: Sample>(
    report: &mut Report,
    runtime: &Runtime,
    folder: &Path,
    line: Line,
) -> Result<(), Failure> {
    let name = format!("sqlite: guarded bulk of 10,000, {}", T::TABLE);
    if !report.wants(&name) {
        return Ok(());
    }
    let fixture = runtime.block_on(Fixture::<T>::new(folder, Level::Full))?;
    let mut connection = raw::open(&fixture.reference, "FULL")?;
    let statements = Statements::<T>::new();
    let mut by_hand = statements.held(&connection, &fixture.documents)?;
    let mut typed = runtime.block_on(held(&fixture))?;
    report.compare(
        &name,
        line,
        &mut |_| {
            let now = Timestamp::now();
            let transaction = connection.transaction().expect("a transaction begins");
            for (document, version) in &mut by_hand {
                document.touch(now);
                let saved = statements.save(&transaction, document, *version, now);
                *version = saved.expect("the save runs").expect("no other writer");
            }
            transaction.commit().expect("the transaction commits");
            by_hand.len() as u64
        },
        &mut |_| {
            runtime.block_on(async {
                for document in &mut typed {
                    document.change();
                }
                let saved = fixture.collection.save_many(&mut typed).await;
                assert!(saved.expect("the bulk runs").iter().all(Result::is_ok));
            });
            typed.len() as u64
        },
    );
    Ok(())
}
