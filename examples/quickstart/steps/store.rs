//! Collections, and documents from JSON lines; and the end of both.

use std::time::Instant;

use strongroom::handle::transfer::Existing;
use strongroom::prelude::*;

use super::{Outcome, bar, heading};
use crate::{Network, Quake, data};

/// Creates the collections, stores the networks, and imports the events from JSON lines.
pub async fn store(db: &Database) -> Outcome {
    heading("Store: events from JSON lines, each under its id; what is there already is kept");
    let networks = db.collection::<Network>();
    let quakes = db.collection::<Quake>();
    networks.ensure().await?;
    quakes.ensure().await?;
    networks.insert_many(data::networks()).await?;

    let lines = data::quakes()?;
    let bar = bar("lines")?;
    bar.set_length(lines.lines().count() as u64);
    let shown = bar.clone();
    let start = Instant::now();
    let done = quakes
        .import(lines.as_bytes())
        .existing(Existing::Keep)
        .batch(100)
        .max_failures(0)
        .progress(move |so_far| shown.set_position(so_far.lines))
        .send()
        .await?;
    bar.finish_and_clear();
    println!(
        "  {} events stored durably in {} ms, {} were there already",
        done.written,
        start.elapsed().as_millis(),
        done.kept
    );
    if db.capabilities().search_lags {
        networks.refresh().await?;
        quakes.refresh().await?;
        println!("  searches of this engine see writes after a refresh, which was asked for now");
    }
    Ok(())
}

/// Drops what the program made.
pub async fn clear(db: &Database) -> Outcome {
    db.collection::<Network>().drop_collection().await?;
    db.collection::<Quake>().drop_collection().await?;
    println!("  dropped the collections in {}", db.capabilities().engine);
    Ok(())
}
