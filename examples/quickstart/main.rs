//! Real documents in embedded SQLite: the 1,707 earthquakes of one week, stored, paged, changed
//! under conflict, retried, loaded lazily and in part.
//!
//! ```sh
//! cargo run --example quickstart                          # a temporary file
//! cargo run --example quickstart -- sqlite://quakes.db    # a file to keep
//! ```

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::print_stdout,
    reason = "a program that prints, not a library"
)]

mod data;
mod steps;

use serde::{Deserialize, Serialize};
use strongroom::prelude::*;

/// One seismic event.
#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "quakes")]
pub struct Quake {
    #[document(id)]
    pub id: String,
    #[document(text)]
    pub place: String,
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
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| format!("sqlite://{}", folder.path().join("quakes.db").display()));
    let db = strongroom::connect(&url).await?;
    let server = db.server_info().await?;
    println!("Connected to {} {}.", server.product, server.version);

    steps::store(&db).await?;
    steps::page(&db).await?;
    steps::conflict(&db).await?;
    steps::lazy(&db).await?;
    steps::partial(&db).await?;

    db.close().await?;
    println!("\nDone. The same program runs on any store: change the URL.");
    Ok(())
}
