//! Scans: what matched when the scan was opened, handed out piece by piece.
//!
//! Opening notes the documents in order. They are shared with the store, whose writes put new
//! documents in their place and leave these alone, so the scan shows one state and nobody waits
//! for it.

use std::sync::Arc;

use async_trait::async_trait;

use super::collection::{Collection, Stored};
use super::search::place_of;
use super::shared::{Moment, Shared};
use super::transaction::Scope;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::model::{Key, RawDocument, Timestamp, in_range};
use crate::query::Placer;
use crate::store::{MAX_PAGE, Scan, ScanRequest};

/// The documents of a scan, in order.
pub(super) type Found = Vec<(Key, Arc<Stored>)>;

impl Collection {
    pub(super) fn scan(&self, request: &ScanRequest, moment: &Moment) -> Result<Found> {
        in_range("scan has pieces of", request.batch, MAX_PAGE)?;
        let model = &request.model;
        let hits = self.hits(model, &request.filter, request.routing.as_ref(), moment)?;
        let placer = Placer::for_query(&request.sort, &request.filter, model)?;
        let hits = hits.among(self.documents.iter());
        let hits = hits.map(|entry| place_of(&placer, entry?));
        let mut found = hits.collect::<Result<Vec<_>>>()?;
        if !request.sort.is_empty() {
            found.sort_unstable_by(|(a, _), (b, _)| placer.compare(a, b));
        }
        let found = found.into_iter();
        Ok(found
            .map(|(position, (_, stored))| (position.key, stored.clone()))
            .collect())
    }
}

/// Where a scan was opened: with its owner it ends.
#[derive(Debug)]
pub(super) enum Owner {
    Store(Arc<Shared>),
    Transaction(Arc<Scope>),
}

impl Owner {
    /// The time, if the owner takes calls.
    fn now(&self) -> Result<Timestamp> {
        match self {
            Self::Store(shared) => shared.check_open().map(|()| shared.now()),
            Self::Transaction(scope) => scope.now(),
        }
    }
}

/// An open scan, or a closed one.
#[derive(Debug)]
pub(super) struct MemoryScan {
    owner: Owner,
    request: ScanRequest,
    /// What is to come; `None` once the scan is closed.
    rest: Option<std::vec::IntoIter<(Key, Arc<Stored>)>>,
}

impl MemoryScan {
    pub(super) fn new(owner: Owner, found: Found, request: ScanRequest) -> Self {
        Self {
            owner,
            request,
            rest: Some(found.into_iter()),
        }
    }

    fn piece(&mut self) -> Result<Vec<RawDocument>> {
        let Some(rest) = &mut self.rest else {
            return Err(Error::new(ErrorKind::Cancelled, "the scan is closed"));
        };
        let now = self.owner.now()?;
        rest.take(self.request.batch)
            .map(|(key, stored)| stored.hand_out(&key, &self.request.source, now))
            .collect()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Scan for MemoryScan {
    async fn next(&mut self) -> Result<Vec<RawDocument>> {
        let piece = self.piece();
        if piece.is_err() {
            self.rest = None;
        }
        piece.map_err(|e| {
            e.with_operation(Operation::ScanNext)
                .with_collection(self.request.model.name().clone())
        })
    }

    async fn close(&mut self) -> Result<()> {
        self.rest = None;
        Ok(())
    }
}
