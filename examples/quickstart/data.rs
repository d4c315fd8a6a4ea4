//! The data of the quickstart, and how its lazy property is computed.

use std::time::Duration;

use serde::Deserialize;
use strongroom::prelude::*;

use crate::{Network, Quake};

/// One week of events as the United States Geological Survey published them.
const EVENTS: &str = include_str!("../data/earthquakes.json");

#[derive(Deserialize)]
struct Feed {
    features: Vec<Feature>,
}

#[derive(Deserialize)]
struct Feature {
    id: String,
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    mag: f64,
    place: String,
    #[serde(rename = "type")]
    kind: String,
    time: Timestamp,
    status: String,
    felt: Option<u32>,
    net: String,
}

/// All events of the feed as JSON lines: one document a line.
pub fn quakes() -> Result<String, Box<dyn std::error::Error>> {
    let feed: Feed = serde_json::from_str(EVENTS)?;
    let mut lines = String::new();
    for Feature { id, properties } in feed.features {
        let quake = Quake {
            id,
            place: properties.place,
            kind: properties.kind,
            mag: properties.mag,
            time: properties.time,
            status: properties.status,
            felt: properties.felt.unwrap_or(0),
            net: Some(Ref::to(properties.net)?),
            shocks_before: Lazy::new(),
            changed_at: None,
        };
        lines += &serde_json::to_string(&quake)?;
        lines.push('\n');
    }
    Ok(lines)
}

/// The networks that the events name.
pub fn networks() -> Vec<Network> {
    [
        ("ak", "Alaska Earthquake Center"),
        ("ci", "Southern California Seismic Network"),
        ("hv", "Hawaiian Volcano Observatory"),
        ("mb", "Montana Regional Seismic Network"),
        ("nc", "Northern California Seismic System"),
        ("nm", "New Madrid Seismic Network"),
        ("nn", "Nevada Seismological Laboratory"),
        ("pr", "Puerto Rico Seismic Network"),
        ("se", "Southeast Seismic Network"),
        ("us", "National Earthquake Information Center"),
        ("uu", "University of Utah Seismograph Stations"),
        ("uw", "Pacific Northwest Seismic Network"),
    ]
    .into_iter()
    .map(|(code, name)| Network {
        code: code.to_owned(),
        name: name.to_owned(),
    })
    .collect()
}

/// Resolves `Quake::shocks_before` for a whole page at once: one value per event, in order.
pub async fn shocks_before(db: &Database, quakes: &[&Quake]) -> strongroom::Result<Vec<u64>> {
    let hour = i64::try_from(Duration::from_secs(3600).as_millis()).unwrap_or(i64::MAX);
    let time = Quake::fields().time();
    let mut counts = Vec::with_capacity(quakes.len());
    for quake in quakes {
        let start = Timestamp::from_millis(quake.time.as_millis() - hour)?;
        let before = time.gte(start).and(time.lt(quake.time));
        counts.push(db.collection::<Quake>().find(before).count().await?);
    }
    Ok(counts)
}
