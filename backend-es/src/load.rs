//! Loading by key: one `_mget`, realtime.

use std::borrow::Cow;

use async_trait::async_trait;
use bytes::Bytes;
use elasticsearch::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use strongroom_core::model::{Body, CollectionName, Key, RawDocument, Version, WriteId};
use strongroom_core::query::SourceFilter;
use strongroom_core::store::{Load, LoadRequest};
use strongroom_core::{Error, Operation, Result};

use crate::compile;
use crate::error::{Cause, Failure, Refusal};
use crate::index::Index;
use crate::requests::Guard;
use crate::store::{EsStore, missing};
use crate::wire::Request;

/// A document, and where it is stored.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) document: RawDocument,
    /// What holds as long as nobody writes it: of the very index that was asked.
    pub(crate) guard: Guard,
}

/// What is stored of a document, as far as it is read.
#[derive(Deserialize)]
pub(crate) struct Source {
    /// The id.
    pub(crate) k: String,
    /// The routing.
    #[serde(default)]
    pub(crate) r: Option<String>,
    w: String,
    #[serde(default)]
    v: Option<[u64; 2]>,
    #[serde(default)]
    body: Option<Box<RawValue>>,
    /// The body, where the engine would misread it.
    #[serde(default)]
    raw: Option<Box<RawValue>>,
}

impl Source {
    /// The parts of what is stored that a source filter needs.
    ///
    /// The engine hands out what it stored byte for byte only as a whole; parts are written anew,
    /// by which the integer `-0` becomes `0`. It narrows down to outermost members only, whose
    /// names it cannot misunderstand: it takes a member called `a.b` for a path. The rest is cut
    /// here, by the filter's own meaning.
    pub(crate) fn parts(filter: &SourceFilter) -> Value {
        match filter {
            SourceFilter::Include(paths) => {
                let heads = paths.iter().filter_map(|p| p.segments().next());
                let parts = heads.flat_map(|head| [format!("body.{head}"), format!("raw.{head}")]);
                let mut parts: Vec<String> = parts.collect();
                parts.extend(["k", "r", "w", "v"].map(str::to_owned));
                json!({"includes": parts})
            }
            _ => json!(true),
        }
    }

    /// The document's version: that of the place where it is stored, unless it was written anew
    /// for the engine's sake alone.
    pub(crate) fn version(&self, stored: Guard, index: &Index) -> Version {
        let [seq_no, primary_term] = self.v.unwrap_or([stored.seq_no, stored.primary_term]);
        Version::from_sequence(seq_no, primary_term, index.id())
    }

    /// The document, cut down to what is asked for.
    ///
    /// # Errors
    ///
    /// `Internal` if what is stored was not written by this crate.
    pub(crate) fn into_document(
        self,
        key: Key,
        version: Version,
        filter: &SourceFilter,
    ) -> Result<RawDocument> {
        let write_id = parse_write_id(&self.w).ok_or_else(|| {
            Error::internal("the stored write id is not one").with_key(key.clone())
        })?;
        let body = match self.raw.or(self.body) {
            Some(body) => Body::from_trusted(Bytes::from(String::from(Box::<str>::from(body)))),
            // Nothing of the body was selected.
            None => Body::from_trusted(&b"{}"[..]),
        };
        let body = if filter.is_all() {
            body
        } else {
            filter.apply(&body)?
        };
        Ok(RawDocument::new(key, version, body).with_write_id(write_id))
    }
}

fn parse_write_id(text: &str) -> Option<WriteId> {
    let mut bytes = [0; 16];
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(WriteId::from_bytes(bytes))
}

#[derive(Serialize)]
struct AllWanted<'a> {
    docs: Vec<Wanted<'a>>,
}

#[derive(Serialize)]
struct Wanted<'a> {
    #[serde(rename = "_index")]
    index: &'a str,
    #[serde(rename = "_id")]
    id: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    routing: Option<&'a str>,
    #[serde(rename = "_source", skip_serializing_if = "Option::is_none")]
    source: Option<&'a Value>,
}

#[derive(Deserialize)]
struct Reply {
    docs: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    found: bool,
    #[serde(rename = "_seq_no")]
    seq_no: Option<u64>,
    #[serde(rename = "_primary_term")]
    primary_term: Option<u64>,
    #[serde(rename = "_source")]
    source: Option<Source>,
    error: Option<Cause>,
}

impl EsStore {
    /// Loads from one concrete index; `None` if that is no longer there.
    async fn load_from(
        &self,
        index: &Index,
        keys: &[Key],
        filter: &SourceFilter,
    ) -> Result<Option<Vec<Option<Found>>>> {
        let parts = (!filter.is_all()).then(|| Source::parts(filter));
        let docs = keys.iter().map(|key| Wanted {
            index: index.pin(),
            id: compile::document_id(key),
            routing: key.routing().map(|routing| routing.as_str()),
            source: parts.as_ref(),
        });
        let wanted = AllWanted {
            docs: docs.collect(),
        };
        let body = serde_json::to_vec(&wanted).map_err(Failure::not_encoded);
        let body = body.map_err(Failure::into_read_error)?;
        let request = Request::new(Method::Post, "/_mget").encoded(body);
        let reply = self.wire().call(request).await;
        let reply = reply.map_err(Failure::into_read_error)?;
        let found: Reply = reply.read().map_err(Failure::into_read_error)?;
        if found.docs.len() != keys.len() {
            return Err(Error::internal(format!(
                "{} documents were asked for, the search engine answered for {}",
                keys.len(),
                found.docs.len()
            )));
        }
        let mut documents = Vec::with_capacity(keys.len());
        for (key, item) in keys.iter().zip(found.docs) {
            if let Some(cause) = item.error {
                let refusal = Refusal::from_cause(500, cause);
                if refusal.is_missing_index() {
                    return Ok(None);
                }
                let error = Failure::Refused(refusal).into_read_error();
                return Err(error.with_key(key.clone()));
            }
            documents.push(match (item.seq_no, item.primary_term, item.source) {
                _ if !item.found => None,
                (Some(seq_no), Some(primary_term), Some(source)) => {
                    let guard = Guard {
                        seq_no,
                        primary_term,
                    };
                    let version = source.version(guard, index);
                    let document = source.into_document(key.clone(), version, filter)?;
                    Some(Found { document, guard })
                }
                _ => return Err(Error::internal("a loaded document has no version")),
            });
        }
        Ok(Some(documents))
    }

    /// Loads documents, whichever index the collection is by now.
    pub(crate) async fn load_now(
        &self,
        collection: &CollectionName,
        keys: &[Key],
        filter: &SourceFilter,
    ) -> Result<Vec<Option<RawDocument>>> {
        let (_, found) = self.look_at(collection, keys, filter).await?;
        let found = found.into_iter();
        Ok(found.map(|found| Some(found?.document)).collect())
    }

    /// As [`load_now`](Self::load_now), with where the documents are stored.
    pub(crate) async fn look_at(
        &self,
        collection: &CollectionName,
        keys: &[Key],
        filter: &SourceFilter,
    ) -> Result<(Index, Vec<Option<Found>>)> {
        for _ in 0..self.options().attempts {
            let index = self.index(collection).await?;
            if let Some(found) = self.load_from(&index, keys, filter).await? {
                return Ok((index, found));
            }
            self.forget(collection);
        }
        Err(missing(collection))
    }
}

#[async_trait]
impl Load for EsStore {
    async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>> {
        let collection = request.model.name();
        let load = async {
            if request.keys.is_empty() {
                return Ok(Vec::new());
            }
            self.load_now(collection, &request.keys, &request.source)
                .await
        };
        self.guard(Operation::Load, Some(collection), load).await
    }
}
