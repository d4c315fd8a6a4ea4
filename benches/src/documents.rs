//! The documents that are measured: one of about 400 bytes, and real earthquakes.

use serde::{Deserialize, Serialize};
use strongroom::prelude::*;

/// A document of about 400 bytes of JSON.
#[derive(Document, Clone, Debug, Serialize, Deserialize)]
#[document(collection = "accounts")]
pub struct Account {
    #[document(id)]
    pub id: String,
    #[document(keyword)]
    pub region: String,
    #[document(keyword)]
    pub email: String,
    #[document(keyword)]
    pub bio: String,
    pub logins: u64,
    pub balance: f64,
    pub active: bool,
    pub tags: Vec<String>,
    #[document(created)]
    pub created_at: Option<Timestamp>,
    #[document(updated)]
    pub updated_at: Option<Timestamp>,
}

/// One seismic event.
#[derive(Document, Clone, Debug, Serialize, Deserialize)]
#[document(collection = "quakes")]
pub struct Quake {
    #[document(id)]
    pub id: String,
    pub mag: f64,
    #[document(keyword)]
    pub place: String,
    pub time: Timestamp,
    pub updated: Timestamp,
    pub tz: i32,
    #[document(keyword)]
    pub url: String,
    pub felt: Option<u32>,
    pub cdi: Option<f64>,
    pub mmi: Option<f64>,
    #[document(keyword)]
    pub alert: Option<String>,
    #[document(keyword)]
    pub status: String,
    pub tsunami: u8,
    pub sig: u32,
    #[document(keyword)]
    pub net: String,
    #[document(keyword)]
    pub code: String,
    pub nst: Option<u32>,
    pub dmin: Option<f64>,
    pub rms: Option<f64>,
    pub gap: Option<f64>,
    #[serde(rename = "magType")]
    pub mag_type: String,
    #[serde(rename = "type")]
    pub event_type: String,
    #[document(keyword)]
    pub title: String,
}

/// A document type that the arms can work on.
pub trait Sample: Document + Clone {
    /// The collection, for the arms that write SQL by hand.
    const TABLE: &'static str;

    /// The id.
    fn id(&self) -> &str;

    /// Changes the document as a service would; stamps it where the type has stamps.
    fn touch(&mut self, now: Timestamp);

    /// The change without the stamp, which the handle sets.
    fn change(&mut self);

    /// `count` documents with different ids.
    fn samples(count: usize) -> Vec<Self>;
}

impl Sample for Account {
    const TABLE: &'static str = "accounts";

    fn id(&self) -> &str {
        &self.id
    }

    fn touch(&mut self, now: Timestamp) {
        self.change();
        self.updated_at = Some(now);
    }

    fn change(&mut self) {
        self.logins += 1;
    }

    fn samples(count: usize) -> Vec<Self> {
        let bio = "Wrote the first programs, for an engine that was never built, and the notes \
                   that explain what such an engine could do beyond numbers.";
        (0..count)
            .map(|n| Self {
                id: format!("account-{n:08}"),
                region: ["eu", "us", "ap"][n % 3].to_owned(),
                email: format!("user{n}@example.org"),
                bio: bio.to_owned(),
                logins: n as u64,
                balance: n as f64 * 1.25,
                active: n % 7 != 0,
                tags: vec!["early".to_owned(), format!("cohort-{}", n % 12)],
                created_at: Some(Timestamp::now()),
                updated_at: Some(Timestamp::now()),
            })
            .collect()
    }
}

impl Sample for Quake {
    const TABLE: &'static str = "quakes";

    fn id(&self) -> &str {
        &self.id
    }

    fn touch(&mut self, _now: Timestamp) {
        self.change();
    }

    fn change(&mut self) {
        self.sig += 1;
    }

    fn samples(count: usize) -> Vec<Self> {
        let text = include_str!("../../examples/data/earthquakes.json");
        let file: serde_json::Value = serde_json::from_str(text).expect("the data is JSON");
        let events = file["features"].as_array().expect("features are an array");
        let events: Vec<Self> = events
            .iter()
            .map(|event| {
                let mut properties = event["properties"].clone();
                properties["id"] = event["id"].clone();
                serde_json::from_value(properties).expect("an event fits the type")
            })
            .collect();
        events
            .iter()
            .cycle()
            .take(count)
            .enumerate()
            .map(|(n, event)| Self {
                id: format!("{}-{n}", event.id),
                ..event.clone()
            })
            .collect()
    }
}
