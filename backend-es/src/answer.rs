//! What the engine answers to a search.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use strongroom_core::model::{DocumentId, Key, RawDocument, Routing};
use strongroom_core::query::SourceFilter;
use strongroom_core::{Error, ErrorKind, Result};

use crate::index::Index;
use crate::load::{Found, Source};
use crate::requests::Guard;

/// The engine's account of how many shards took part.
#[derive(Deserialize)]
pub(crate) struct Shards {
    failed: u64,
}

impl Shards {
    /// # Errors
    ///
    /// `Unavailable` if some shard failed: no partial answer passes as whole.
    pub(crate) fn check(&self) -> Result<()> {
        if self.failed == 0 {
            return Ok(());
        }
        let message = format!("{} shards of the index failed", self.failed);
        Err(Error::new(ErrorKind::Unavailable, message))
    }
}

/// Results of aggregations by the names they were asked for under, unread.
pub(crate) type Unread = BTreeMap<String, Box<RawValue>>;

/// An answer.
#[derive(Deserialize)]
pub(crate) struct Answer {
    timed_out: bool,
    #[serde(rename = "_shards")]
    shards: Shards,
    /// The documents.
    pub(crate) hits: Hits,
    /// What was computed.
    #[serde(default)]
    pub(crate) aggregations: Unread,
    /// The point in time that was asked at, by its latest name.
    #[serde(default)]
    pub(crate) pit_id: Option<String>,
}

impl Answer {
    /// # Errors
    ///
    /// `Unavailable` and `Timeout` if the answer is not whole.
    pub(crate) fn check(&self) -> Result<()> {
        self.shards.check()?;
        if self.timed_out {
            let message = "the search engine gave the search up half-way";
            return Err(Error::new(ErrorKind::Timeout, message));
        }
        Ok(())
    }
}

/// Documents that match, and how many there are.
#[derive(Deserialize)]
pub(crate) struct Hits {
    pub(crate) total: Option<HitTotal>,
    #[serde(default)]
    pub(crate) hits: Vec<Hit>,
}

#[derive(Deserialize)]
pub(crate) struct HitTotal {
    pub(crate) value: u64,
    pub(crate) relation: String,
}

/// A document that matches.
#[derive(Deserialize)]
pub(crate) struct Hit {
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(rename = "_primary_term")]
    primary_term: u64,
    #[serde(rename = "_source")]
    source: Source,
    /// Its place in the order.
    #[serde(default)]
    pub(crate) sort: Vec<Value>,
}

impl Hit {
    /// The document, cut down to what is asked for.
    ///
    /// # Errors
    ///
    /// `Internal` if what is stored was not written by this crate.
    pub(crate) fn into_document(self, index: &Index, filter: &SourceFilter) -> Result<RawDocument> {
        self.into_found(index, filter).map(|found| found.document)
    }

    /// As [`into_document`](Self::into_document), with where it is stored.
    ///
    /// # Errors
    ///
    /// As for [`into_document`](Self::into_document).
    pub(crate) fn into_found(self, index: &Index, filter: &SourceFilter) -> Result<Found> {
        let routing = self.source.r.as_deref().map(Routing::new).transpose()?;
        let key = Key::from_parts(DocumentId::new(&self.source.k)?, routing)?;
        let guard = Guard {
            seq_no: self.seq_no,
            primary_term: self.primary_term,
        };
        let version = self.source.version(guard, index);
        let document = self.source.into_document(key, version, filter)?;
        Ok(Found { document, guard })
    }
}
