//! Documents as stores hand them out.

use std::time::Duration;

use super::{Body, Key, Version, WriteId};

/// A document as a store hands it out: its key, its version, and its body as JSON text.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RawDocument {
    /// The document's key.
    pub key: Key,
    /// The version of this very body.
    pub version: Version,
    /// The body, or the selected part of it where the request had a source filter.
    pub body: Body,
    /// The write that made this version, where the store keeps write ids with this document. A load
    /// tells it; searches, scans and groups may leave it out.
    pub write_id: Option<WriteId>,
    /// How long ago this version was written, by the store's own clock, where the store tells.
    /// Searches, scans and groups may leave it out.
    /// It lets an unguarded write whose reply was lost be told from one that came before it.
    pub age: Option<Duration>,
}

impl RawDocument {
    /// A document without write id and age.
    #[must_use]
    pub fn new(key: Key, version: Version, body: Body) -> Self {
        Self {
            key,
            version,
            body,
            write_id: None,
            age: None,
        }
    }

    /// Adds the id of the write that made this version.
    #[must_use]
    pub fn with_write_id(mut self, write_id: WriteId) -> Self {
        self.write_id = Some(write_id);
        self
    }

    /// Adds how long ago this version was written, by the store's own clock.
    #[must_use]
    pub fn with_age(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }
}
