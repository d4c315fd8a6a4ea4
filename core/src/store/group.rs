//! The first documents of each group.

use std::sync::Arc;

use crate::model::{FieldPath, Model, RawDocument, Routing, Scalar};
use crate::query::{Filter, Sort, SourceFilter};

/// Most groups of one reply.
pub const MAX_GROUPS: usize = 1_000;

/// How documents of one group are numbered. Documents tie if no sort key tells them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ranking {
    /// 1, 2, 3, …: ties are broken by id, so a group hands out at most as many as asked for.
    #[default]
    RowNumber,
    /// Documents that tie have one rank, and the next rank leaves room for them: 1, 1, 3. A group
    /// hands out all documents of the ranks up to the number asked for.
    Rank,
    /// Documents that tie have one rank, and the next one follows: 1, 1, 2. A group hands out all
    /// documents of the ranks up to the number asked for.
    DenseRank,
}

/// The first documents of each group of documents that share the value of a field.
#[derive(Clone, Debug)]
pub struct GroupRequest {
    /// The collection.
    pub model: Arc<Model>,
    /// Which documents.
    pub filter: Filter,
    /// Only documents of this routing.
    pub routing: Option<Routing>,
    /// The field that makes the groups: of a comparable kind, and of one value. Documents without
    /// a value are in no group.
    pub by: FieldPath,
    /// The order within a group.
    pub sort: Vec<Sort>,
    /// How documents are numbered.
    pub ranking: Ranking,
    /// The last number that is handed out: 1 to [`MAX_PAGE`](super::MAX_PAGE).
    pub size: usize,
    /// How many groups at most, in ascending order of their values: 1 to [`MAX_GROUPS`]. With the
    /// size multiplied at most [`MAX_PAGE`](super::MAX_PAGE).
    pub groups: usize,
    /// Only groups of greater values than this.
    pub after: Option<Scalar>,
    /// Which parts of the bodies.
    pub source: SourceFilter,
}

impl GroupRequest {
    /// The first document of each of the first 100 groups, by id.
    #[must_use]
    pub fn new(model: Arc<Model>, filter: Filter, by: FieldPath) -> Self {
        Self {
            model,
            filter,
            routing: None,
            by,
            sort: Vec::new(),
            ranking: Ranking::RowNumber,
            size: 1,
            groups: 100,
            after: None,
            source: SourceFilter::All,
        }
    }
}

/// Groups in ascending order of their values.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Groups {
    /// The groups.
    pub groups: Vec<Group>,
    /// The value of the last group if more groups follow it.
    pub next: Option<Scalar>,
}

impl Groups {
    /// These groups, and where more follow.
    #[must_use]
    pub fn new(groups: Vec<Group>, next: Option<Scalar>) -> Self {
        Self { groups, next }
    }
}

/// The first documents that share a value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Group {
    /// The value.
    pub key: Scalar,
    /// The documents with their numbers, in order.
    pub documents: Vec<Ranked>,
}

impl Group {
    /// A group.
    #[must_use]
    pub fn new(key: Scalar, documents: Vec<Ranked>) -> Self {
        Self { key, documents }
    }
}

/// A document and its number within its group.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ranked {
    /// The number, from 1 on.
    pub rank: u64,
    /// The document.
    pub document: RawDocument,
}

impl Ranked {
    /// A document and its number.
    #[must_use]
    pub fn new(rank: u64, document: RawDocument) -> Self {
        Self { rank, document }
    }
}
