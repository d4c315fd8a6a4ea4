//! Writing what matches.

use std::sync::Arc;

use super::Refresh;
use crate::error::{Error, Operation};
use crate::model::{Key, Model, Routing, WriteId};
use crate::patch::Patch;
use crate::query::Filter;

/// What is done to each document that matches.
#[derive(Clone, Debug)]
pub enum MatchingAction {
    /// It is patched.
    Patch(Patch),
    /// It is deleted.
    Delete,
}

impl MatchingAction {
    /// The operation that spans, metrics and errors name.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::Patch(_) => Operation::PatchMatching,
            Self::Delete => Operation::DeleteMatching,
        }
    }
}

/// One step of a write of all that matches.
///
/// A step looks at the documents behind `after`, in the order of their keys, takes the first
/// `limit` of those that match, and writes each under the version at which it matched. To write
/// all that matches, go on with the `next` of each reply: every document is written at most once,
/// however it looks afterwards.
///
/// Documents that carry the id of the write already are passed over, and not counted. So a step
/// whose outcome is unknown can be sent again: it goes on with what is left of it.
#[derive(Clone, Debug)]
pub struct MatchingRequest {
    /// The collection.
    pub model: Arc<Model>,
    /// Which documents.
    pub filter: Filter,
    /// Only documents of this routing.
    pub routing: Option<Routing>,
    /// What is done.
    pub action: MatchingAction,
    /// The id of the write, which every document carries afterwards.
    pub write_id: WriteId,
    /// How many documents at most: 1 to [`MAX_PAGE`](super::MAX_PAGE).
    pub limit: usize,
    /// Only documents with greater keys than this.
    pub after: Option<Key>,
    /// When searches see the writes.
    pub refresh: Refresh,
}

impl MatchingRequest {
    /// The first step, of 1,000 documents.
    #[must_use]
    pub fn new(model: Arc<Model>, filter: Filter, action: MatchingAction) -> Self {
        Self {
            model,
            filter,
            routing: None,
            action,
            write_id: WriteId::random(),
            limit: 1_000,
            after: None,
            refresh: Refresh::None,
        }
    }
}

/// What one step did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct MatchingReply {
    /// How many documents were written.
    pub written: u64,
    /// The documents that were not written, with the reason: of the kind `Conflict` or `NotFound`
    /// if someone else wrote or deleted the document after it matched, of another kind if the
    /// write was refused.
    pub failures: Vec<(Key, Error)>,
    /// Where the next step goes on; `None` if nothing more matches.
    pub next: Option<Key>,
}

impl MatchingReply {
    /// A reply.
    #[must_use]
    pub fn new(written: u64, failures: Vec<(Key, Error)>, next: Option<Key>) -> Self {
        Self {
            written,
            failures,
            next,
        }
    }
}
