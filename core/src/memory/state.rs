//! All collections of a store, as plain data.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::collection::Collection;
use super::scan::Found;
use super::shared::Moment;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CollectionName, RawDocument, Timestamp};
use crate::store::{
    AggregateReply, AggregateRequest, BulkReply, BulkRequest, CollectionDescription, CountRequest,
    ExplainRequest, Explanation, FindRequest, GroupRequest, Groups, LoadRequest, MatchingReply,
    MatchingRequest, Page, Receipt, SaveRequest, ScanRequest,
};

/// All collections. A clone shares them until one of the two writes.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) collections: BTreeMap<CollectionName, Arc<Collection>>,
}

impl State {
    pub(super) fn collection(&self, name: &CollectionName) -> Result<&Collection> {
        match self.collections.get(name) {
            Some(collection) => Ok(collection),
            None => Err(missing(name)),
        }
    }

    fn collection_mut(&mut self, name: &CollectionName) -> Result<&mut Collection> {
        match self.collections.get_mut(name) {
            Some(collection) => Ok(Arc::make_mut(collection)),
            None => Err(missing(name)),
        }
    }

    pub(super) fn load(
        &self,
        request: &LoadRequest,
        now: Timestamp,
    ) -> Result<Vec<Option<RawDocument>>> {
        let name = request.model.name();
        let collection = self.collection(name)?;
        let documents = request.keys.iter().map(|key| {
            collection
                .load(key, &request.source, now)
                .map_err(|e| e.with_collection(name.clone()).with_key(key.clone()))
        });
        documents.collect()
    }

    pub(super) fn save(&mut self, request: &SaveRequest, moment: &Moment) -> Result<Receipt> {
        let name = request.model.name();
        self.collection_mut(name)?
            .save(&request.write, moment)
            .map_err(|e| {
                e.with_collection(name.clone())
                    .with_key(request.write.key.clone())
            })
    }

    pub(super) fn bulk(&mut self, request: &BulkRequest, moment: &Moment) -> Result<BulkReply> {
        let name = request.model.name();
        let collection = self.collection_mut(name)?;
        let mut outcomes = if request.atomic {
            collection.bulk_atomic(&request.items, moment)
        } else {
            collection.bulk(&request.items, moment)
        };
        for (outcome, item) in outcomes.iter_mut().zip(request.items.iter()) {
            if let Err(error) = outcome {
                let named = std::mem::replace(error, Error::internal(String::new()))
                    .with_collection(name.clone())
                    .with_key(item.key().clone());
                *error = named;
            }
        }
        Ok(BulkReply::new(outcomes))
    }

    /// Asks a collection, and names it in errors.
    fn ask<T>(
        &self,
        name: &CollectionName,
        ask: impl FnOnce(&Collection) -> Result<T>,
    ) -> Result<T> {
        ask(self.collection(name)?).map_err(|e| e.with_collection(name.clone()))
    }

    pub(super) fn find(&self, request: &FindRequest, moment: &Moment) -> Result<Page> {
        self.ask(request.model.name(), |c| c.find(request, moment))
    }

    pub(super) fn count(&self, request: &CountRequest, moment: &Moment) -> Result<u64> {
        self.ask(request.model.name(), |c| c.count(request, moment))
    }

    pub(super) fn aggregate(
        &self,
        request: &AggregateRequest,
        moment: &Moment,
    ) -> Result<AggregateReply> {
        self.ask(request.model.name(), |c| c.aggregate(request, moment))
    }

    pub(super) fn group(&self, request: &GroupRequest, moment: &Moment) -> Result<Groups> {
        self.ask(request.model.name(), |c| c.group(request, moment))
    }

    pub(super) fn scan(&self, request: &ScanRequest, moment: &Moment) -> Result<Found> {
        self.ask(request.model.name(), |c| c.scan(request, moment))
    }

    pub(super) fn explain(&self, request: &ExplainRequest, moment: &Moment) -> Result<Explanation> {
        self.ask(request.model().name(), |c| c.explain(request, moment))
    }

    pub(super) fn write_matching(
        &mut self,
        request: &MatchingRequest,
        moment: &Moment,
    ) -> Result<MatchingReply> {
        let name = request.model.name();
        self.collection_mut(name)?
            .write_matching(request, moment)
            .map_err(|e| e.with_collection(name.clone()))
    }

    pub(super) fn describe(&self, name: &CollectionName) -> Option<CollectionDescription> {
        self.collections.get(name).map(|c| c.describe())
    }

    pub(super) fn drop_collection(&mut self, name: &CollectionName) -> bool {
        self.collections.remove(name).is_some()
    }
}

#[cold]
fn missing(name: &CollectionName) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no collection {name}: it was never ensured"),
    )
    .with_collection(name.clone())
}
