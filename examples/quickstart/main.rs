//! Real documents in embedded SQLite: the 1,707 earthquakes of one week, imported, found by words,
//! counted by kind and day, changed under conflict and together, loaded lazily and in part,
//! exported, and copied to another store.
//!
//! ```sh
//! cargo run --example quickstart                            # a temporary file, a copy in memory
//! cargo run --example quickstart -- sqlite://quakes.db      # a file to keep
//! cargo run --example quickstart -- sqlite://quakes.db sqlite://copy.db
//! ```
//!
//! The same program moves the events to a server or a cluster, or runs there; `--drop` clears up
//! behind it:
//!
//! ```sh
//! cargo run --example quickstart --features postgres -- postgres://me:password@localhost/test
//! cargo run --example quickstart --features mariadb -- mariadb://me:password@localhost/test
//! cargo run --example quickstart --features es -- sqlite://quakes.db elasticsearch://localhost
//! cargo run --example quickstart --features es -- --drop opensearch://me:password@localhost:9200
//! ```

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::print_stdout,
    reason = "a program that prints, not a library"
)]

mod data;
mod steps;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use steps::shown;
use strongroom::prelude::*;

/// One seismic event.
#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "quakes")]
pub struct Quake {
    #[document(id)]
    pub id: String,
    #[document(text)]
    pub place: String,
    /// Earthquake, explosion or quarry blast.
    #[document(keyword)]
    #[serde(default)]
    pub kind: String,
    #[document(indexed)]
    pub mag: f64,
    #[document(indexed)]
    pub time: Timestamp,
    #[document(keyword)]
    pub status: String,
    /// How many people told that they felt it.
    #[serde(default)]
    pub felt: u32,
    /// Who measured it: stored as the network's id, loaded when asked for.
    #[serde(default)]
    pub net: Option<Ref<Network>>,
    /// How many other events there were in the hour before: computed when asked for, never stored.
    #[document(lazy = data::shocks_before)]
    #[serde(default, skip_serializing_if = "Lazy::is_hidden")]
    pub shocks_before: Lazy<u64>,
    /// Filled by the store at each save.
    #[document(updated)]
    #[serde(default)]
    pub changed_at: Option<Timestamp>,
}

/// A seismic network.
#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "networks")]
pub struct Network {
    #[document(id)]
    pub code: String,
    #[document(keyword)]
    pub name: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A folder of its own unless a URL was given; it goes when the program ends.
    let folder = tempfile::tempdir()?;
    let (flags, urls): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with('-'));
    if let Some(unknown) = flags.iter().find(|flag| *flag != "--drop") {
        return Err(format!("the only flag is --drop, not {unknown}").into());
    }
    let mut urls = urls.into_iter();
    let given = urls.next();
    let is_temporary = given.is_none();
    let url =
        given.unwrap_or_else(|| format!("sqlite://{}", folder.path().join("quakes.db").display()));
    let copy_url = urls.next().unwrap_or_else(|| "memory:".to_owned());
    let db = strongroom::connect(&url).await?;
    let server = db.server_info().await?;
    println!("Connected to {} {}.", server.product, server.version);

    steps::store::store(&db).await?;
    shown(steps::find::page(&db)).await?;
    shown(steps::find::words(&db)).await?;
    shown(steps::find::explain(&db)).await?;
    shown(steps::facets::facets(&db)).await?;
    shown(steps::facets::strongest(&db)).await?;
    shown(steps::change::conflict(&db)).await?;
    shown(steps::change::together(&db)).await?;
    shown(steps::load::lazy(&db)).await?;
    shown(steps::load::partial(&db)).await?;
    steps::transfer::export(&db, &export_path(&url, folder.path())).await?;
    let other = strongroom::connect(&copy_url).await?;
    steps::transfer::copy(&db, &other).await?;

    if !flags.is_empty() {
        steps::store::clear(&db).await?;
        steps::store::clear(&other).await?;
    }
    other.close().await?;
    db.close().await?;
    println!("\nDone. The same program runs on any store: change the URL.");
    if is_temporary {
        println!("All files were temporary; with a URL they stay.");
    }
    Ok(())
}

/// Where the exported lines go: beside the file of the database, if it is one.
fn export_path(url: &str, folder: &Path) -> PathBuf {
    let path = url.strip_prefix("sqlite://").unwrap_or_default();
    let file = path.split_once('?').map_or(path, |(file, _)| file);
    match Path::new(file).is_file() {
        true => Path::new(file).with_extension("strong.jsonl"),
        false => folder.join("quakes.strong.jsonl"),
    }
}
