//! One `_bulk` request: operations in, one outcome per operation out, in order.
//!
//! Every write goes this way, also a lone one: here ids stand in the body, where none is hostile.

use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use strongroom_core::Error;
use strongroom_core::model::{Key, Version};
use strongroom_core::store::Refresh;

use crate::compile;
use crate::error::{Cause, Failure, Refusal};
use crate::index::Index;
use crate::store::EsStore;
use crate::wire::Request;

/// What the engine is to do with one document, in one step.
#[derive(Debug)]
pub(crate) enum Step {
    /// Store it if there is none.
    Create(Vec<u8>),
    /// Store it, whatever is there, or over exactly this version.
    Index(Vec<u8>, Option<Guard>),
    /// Delete it, whatever is there, or exactly this version.
    Delete(Option<Guard>),
}

/// The place of a version in the write order of its shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    pub(crate) seq_no: u64,
    pub(crate) primary_term: u64,
}

impl Step {
    /// How much of a request the step takes up, about.
    pub(crate) fn bytes(&self) -> usize {
        1_000
            + match self {
                Self::Create(source) | Self::Index(source, _) => source.len(),
                Self::Delete(_) => 0,
            }
    }

    pub(crate) fn guard(&self) -> Option<Guard> {
        match self {
            Self::Create(_) => None,
            Self::Index(_, guard) | Self::Delete(guard) => *guard,
        }
    }
}

/// What became of a step.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// There was no document and now there is.
    Created(Version),
    /// There was a document and now there is another.
    Updated(Version),
    /// The document was deleted.
    Deleted,
    /// There was nothing to delete.
    Nothing,
    /// The guard did not hold. This may be the echo of the step itself, if the engine sent it on
    /// twice.
    Conflict,
    /// The index is not there; nothing was done.
    MissingIndex,
    /// It failed.
    Failed(Error),
}

#[derive(Deserialize)]
struct Reply {
    items: Vec<std::collections::BTreeMap<String, Item>>,
}

#[derive(Deserialize)]
struct Item {
    status: u16,
    result: Option<String>,
    #[serde(rename = "_seq_no")]
    seq_no: Option<u64>,
    #[serde(rename = "_primary_term")]
    primary_term: Option<u64>,
    error: Option<Cause>,
}

impl EsStore {
    /// Has the steps carried out on one index: one outcome per step, in order. Steps on one
    /// document take effect in their order.
    ///
    /// # Errors
    ///
    /// If the request as a whole has no usable reply.
    pub(crate) async fn carry_out(
        &self,
        index: &Index,
        steps: &[(&Key, Step)],
        refresh: Refresh,
    ) -> Result<Vec<Outcome>, Failure> {
        let mut lines = Vec::with_capacity(steps.iter().map(|(_, s)| s.bytes()).sum());
        for (key, step) in steps {
            write_step(&mut lines, index, key, step);
        }
        let mut request = Request::new(Method::Post, "/_bulk")
            .query("require_alias", "true")
            .lines(lines);
        request = match refresh {
            Refresh::WaitFor => request.query("refresh", "wait_for"),
            Refresh::Now => request.query("refresh", "true"),
            _ => request,
        };
        let reply: Reply = self.wire().call(request).await?.read()?;
        if reply.items.len() != steps.len() {
            return Err(Failure::Garbled(format!(
                "{} writes were sent, the search engine answered for {}",
                steps.len(),
                reply.items.len()
            )));
        }
        let outcomes = reply.items.into_iter().map(|item| {
            let item = item.into_values().next();
            item.map_or_else(garbled, |item| item.outcome(index))
        });
        Ok(outcomes.collect())
    }
}

fn write_step(lines: &mut Vec<u8>, index: &Index, key: &Key, step: &Step) {
    let mut action = Map::new();
    action.insert("_index".to_owned(), index.pin().into());
    action.insert("_id".to_owned(), compile::document_id(key).into());
    if let Some(routing) = key.routing() {
        action.insert("routing".to_owned(), routing.as_str().into());
    }
    if let Some(guard) = step.guard() {
        action.insert("if_seq_no".to_owned(), guard.seq_no.into());
        action.insert("if_primary_term".to_owned(), guard.primary_term.into());
    }
    let (name, source) = match step {
        Step::Create(source) => ("create", Some(source)),
        Step::Index(source, _) => ("index", Some(source)),
        Step::Delete(_) => ("delete", None),
    };
    lines.extend_from_slice(json!({name: Value::Object(action)}).to_string().as_bytes());
    lines.push(b'\n');
    if let Some(source) = source {
        lines.extend_from_slice(source);
        lines.push(b'\n');
    }
}

fn garbled() -> Outcome {
    Outcome::Failed(Error::indeterminate(
        "the search engine's answer for the write is not understood",
    ))
}

impl Item {
    fn outcome(self, index: &Index) -> Outcome {
        if let Some(cause) = self.error {
            let refusal = Refusal::from_cause(self.status, cause);
            return if refusal.is_version_conflict() {
                Outcome::Conflict
            } else if refusal.is_missing_index() {
                Outcome::MissingIndex
            } else {
                Outcome::Failed(Failure::Refused(refusal).into_write_error())
            };
        }
        let version = match (self.seq_no, self.primary_term) {
            (Some(seq_no), Some(term)) => Version::from_sequence(seq_no, term, index.id()),
            _ => return garbled(),
        };
        match self.result.as_deref() {
            Some("created") => Outcome::Created(version),
            Some("updated") => Outcome::Updated(version),
            Some("deleted") => Outcome::Deleted,
            Some("not_found") => Outcome::Nothing,
            _ => garbled(),
        }
    }
}
