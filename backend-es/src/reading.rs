//! Answers by reading all that matches, for documents with numbers that the engine does not tell
//! apart in buckets: a fraction in a field of integers, an integer beyond 2^53 in a field of floats.
//!
//! Typed documents hold no such numbers, so this is the rare way. It is as exact as the in-memory
//! store, which it asks, and as slow as reading every document is.

use std::collections::HashMap;
use std::sync::Arc;

use strongroom_core::memory::MemoryStore;
use strongroom_core::model::{Expected, Key, Model, RawDocument, Routing};
use strongroom_core::query::{Aggregator, Filter, Functions, Sort};
use strongroom_core::store::{
    Action, AggregateReply, AggregateRequest, Bulk, BulkItem, BulkRequest, EnsureRequest, Group,
    GroupRequest, Groups, Ranked, Scan, ScanRequest, Schema, Search, Write,
};
use strongroom_core::{Error, Result};

use crate::scan::EsScan;
use crate::store::EsStore;

/// Most documents that are read for one answer.
pub(crate) const MOST: usize = 100_000;
/// How many are read at once.
const BATCH: usize = 1_000;

/// All that matches, a piece at a time.
struct Reading {
    scan: EsScan,
    count: usize,
}

impl Reading {
    async fn next(&mut self) -> Result<Vec<RawDocument>> {
        let documents = self.scan.next().await?;
        self.count += documents.len();
        if self.count > MOST {
            self.scan.close().await?;
            return Err(Error::unsupported(format_args!(
                "buckets of numbers that the search engine does not tell apart, in more than \
                 {MOST} documents"
            )));
        }
        Ok(documents)
    }
}

impl EsStore {
    async fn reading(
        &self,
        model: &Arc<Model>,
        filter: &Filter,
        routing: Option<&Routing>,
    ) -> Result<Reading> {
        let mut request = ScanRequest::new(model.clone(), filter.clone());
        request.routing = routing.cloned();
        request.batch = BATCH;
        let scan = self.open_scan(&request).await?;
        Ok(Reading { scan, count: 0 })
    }

    /// Aggregates what is read.
    pub(crate) async fn aggregate_by_reading(
        &self,
        request: &AggregateRequest,
    ) -> Result<AggregateReply> {
        let AggregateRequest {
            model,
            filter,
            routing,
            aggregations,
            ..
        } = request;
        let mut aggregator = Aggregator::new(aggregations, model, &Functions::new())?;
        let mut reading = self.reading(model, filter, routing.as_ref()).await?;
        loop {
            let documents = reading.next().await?;
            if documents.is_empty() {
                break;
            }
            for document in documents {
                let object = document.body.to_object()?;
                let document = Arc::new(document);
                aggregator.add(&document.key, &object, &document)?;
            }
        }
        let results = aggregator.finish(|_, document, source| {
            let mut document = RawDocument::clone(document);
            document.body = source.apply(&document.body)?;
            Ok(document)
        })?;
        Ok(AggregateReply::new(results))
    }

    /// Groups what is read.
    pub(crate) async fn group_by_reading(&self, request: &GroupRequest) -> Result<Groups> {
        if request.sort.iter().any(Sort::is_by_score) {
            return Err(Error::unsupported(
                "groups by score of numbers that the search engine does not tell apart",
            ));
        }
        let store = MemoryStore::new();
        let model = &request.model;
        store.ensure(EnsureRequest::new(model.clone())).await?;
        let mut read: HashMap<Key, RawDocument> = HashMap::new();
        let routing = request.routing.as_ref();
        let mut reading = self.reading(model, &request.filter, routing).await?;
        loop {
            let documents = reading.next().await?;
            if documents.is_empty() {
                break;
            }
            let items = documents.iter().map(|document| {
                let put = Action::Put(document.body.clone());
                BulkItem::Write(Write::new(document.key.clone(), put, Expected::Any))
            });
            let stored = BulkRequest::new(model.clone(), items.collect());
            for outcome in store.bulk(stored).await?.outcomes {
                outcome?;
            }
            read.extend(documents.into_iter().map(|d| (d.key.clone(), d)));
        }
        // What is read matches already, by conditions of the engine itself perhaps.
        let mut asked = request.clone();
        asked.filter = Filter::all();
        let told = store.group(asked).await?;
        let groups = told.groups.into_iter().map(|group| {
            let documents = group.documents.into_iter().map(|ranked| {
                let stored = read.get(&ranked.document.key);
                let stored = stored.ok_or_else(|| Error::internal("a document was not read"))?;
                let mut document = stored.clone();
                document.body = ranked.document.body;
                Ok(Ranked::new(ranked.rank, document))
            });
            Ok(Group::new(group.key, documents.collect::<Result<_>>()?))
        });
        Ok(Groups::new(groups.collect::<Result<_>>()?, told.next))
    }
}
