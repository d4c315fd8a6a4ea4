//! A collection of events to find.

use serde::{Deserialize, Serialize};
use strongroom::prelude::*;

#[derive(Document, Serialize, Deserialize, Clone, Debug)]
#[document(collection = "events")]
pub(crate) struct Event {
    #[document(id)]
    pub(crate) id: String,
    #[document(keyword)]
    pub(crate) place: String,
    pub(crate) magnitude: f64,
    pub(crate) note: Option<String>,
}

#[derive(Deserialize, Debug, PartialEq)]
pub(crate) struct Short {
    pub(crate) magnitude: f64,
}

/// So many events, in the order of their ids.
pub(crate) fn made(count: usize) -> impl Iterator<Item = Event> {
    (0..count).map(|n| Event {
        id: format!("e{n:03}"),
        place: if n % 2 == 0 { "even" } else { "odd" }.to_owned(),
        magnitude: (n % 5) as f64,
        note: Some("x".to_owned()),
    })
}
