//! Events to a file, and to another store.

use std::path::Path;

use strongroom::handle::transfer::{Existing, copy_collection};
use strongroom::prelude::*;

use super::{Outcome, bar, heading};
use crate::{Network, Quake};

/// Writes the events that match a filter to a file, one a line.
pub async fn export(db: &Database, path: &Path) -> Outcome {
    heading("Export: reviewed events of magnitude 4 and more as JSON lines");
    let f = Quake::fields();
    let strong = db
        .collection::<Quake>()
        .find(f.mag().gte(4.0).and(f.status().eq("reviewed")))
        .sort(f.time().asc());
    let bar = bar("events")?;
    bar.set_length(strong.clone().count().await?);
    let shown = bar.clone();
    let done = strong
        .export(tokio::fs::File::create(path).await?)
        .progress(move |so_far| shown.set_position(so_far.documents))
        .send()
        .await?;
    bar.finish_and_clear();
    println!(
        "  {} lines, {} bytes in {}",
        done.documents,
        done.bytes,
        path.display()
    );
    Ok(())
}

/// Copies both collections to another store and compares them there.
pub async fn copy(db: &Database, other: &Database) -> Outcome {
    heading("Copy: all of it to another store, then compared there");
    println!("  to {}", other.capabilities().engine);
    copy_one::<Network>(db, other).await?;
    copy_one::<Quake>(db, other).await?;
    Ok(())
}

async fn copy_one<T: Document>(db: &Database, other: &Database) -> Outcome {
    let (from, to) = (db.collection::<T>(), other.collection::<T>());
    let bar = bar("documents")?;
    let shown = bar.clone();
    let done = copy_collection(&from, &to)?
        .existing(Existing::Replace)
        .progress(move |so_far| {
            shown.set_length(so_far.total);
            shown.set_position(so_far.copied + so_far.unchanged);
        })
        .send()
        .await?;
    let shown = bar.clone();
    let report = copy_collection(&from, &to)?
        .verify_with(|so_far| shown.set_position(so_far.from))
        .await?;
    bar.finish_and_clear();
    println!(
        "  {}: {} copied, {} were the same there already",
        from.model()?.name(),
        done.copied,
        done.unchanged
    );
    println!("    compared, both stores hold {report}");
    if !report.is_same() {
        return Err("the copy differs".into());
    }
    Ok(())
}
