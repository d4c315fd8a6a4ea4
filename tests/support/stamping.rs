//! A store that stamps documents itself, as engines with a clock of their own do.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use strongroom::Result;
use strongroom::memory::MemoryStore;
use strongroom::model::{Body, CollectionName, RawDocument, Timestamp};
use strongroom::store::{
    Action, AggregateReply, AggregateRequest, Bulk, BulkItem, BulkReply, BulkRequest, Capabilities,
    CollectionDescription, CountRequest, EnsureReport, EnsureRequest, ExplainRequest, Explanation,
    FindRequest, GroupRequest, Groups, Health, Load, LoadRequest, MatchingReply, MatchingRequest,
    Page, Receipt, Save, SaveRequest, Scan, ScanRequest, Schema, Search, ServerInfo, Stamping,
    Stamps, Store, Transact, Write,
};

/// Stamps each put with `created` 1 and `updated` 2, in the fields that the model names.
#[derive(Debug)]
pub(crate) struct StampingStore {
    inner: MemoryStore,
    capabilities: Capabilities,
}

impl StampingStore {
    pub(crate) fn new() -> Self {
        let inner = MemoryStore::new();
        let mut capabilities = inner.capabilities().clone();
        capabilities.stamping = Stamping::Store;
        Self {
            inner,
            capabilities,
        }
    }
}

fn stamp(model: &strongroom::model::Model, write: &mut Write) -> Result<Stamps> {
    let Action::Put(body) = &mut write.action else {
        return Ok(Stamps::default());
    };
    let mut object = body.to_object()?;
    for (path, stamp) in [(model.created(), 1), (model.updated(), 2)] {
        if let Some(path) = path {
            object.insert(path.head().to_owned(), json!(stamp));
        }
    }
    *body = Body::encode(&object)?;
    Ok(Stamps {
        created: Some(Timestamp::from_millis(1)?),
        updated: Some(Timestamp::from_millis(2)?),
    })
}

#[async_trait]
impl Load for StampingStore {
    async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>> {
        self.inner.load(request).await
    }
}

#[async_trait]
impl Save for StampingStore {
    async fn save(&self, mut request: SaveRequest) -> Result<Receipt> {
        let stamps = stamp(&request.model, &mut request.write)?;
        Ok(self.inner.save(request).await?.with_stamps(stamps))
    }
}

#[async_trait]
impl Bulk for StampingStore {
    async fn bulk(&self, mut request: BulkRequest) -> Result<BulkReply> {
        let mut stamps = Vec::new();
        for item in Arc::make_mut(&mut request.items) {
            stamps.push(match item {
                BulkItem::Write(write) => stamp(&request.model, write)?,
                BulkItem::Check { .. } => Stamps::default(),
            });
        }
        let reply = self.inner.bulk(request).await?;
        let outcomes = reply.outcomes.into_iter().zip(stamps);
        Ok(BulkReply::new(
            outcomes
                .map(|(outcome, stamps)| outcome.map(|receipt| receipt.with_stamps(stamps)))
                .collect(),
        ))
    }
}

#[async_trait]
impl Search for StampingStore {
    async fn find(&self, request: FindRequest) -> Result<Page> {
        self.inner.find(request).await
    }

    async fn count(&self, request: CountRequest) -> Result<u64> {
        self.inner.count(request).await
    }

    async fn aggregate(&self, request: AggregateRequest) -> Result<AggregateReply> {
        self.inner.aggregate(request).await
    }

    async fn group(&self, request: GroupRequest) -> Result<Groups> {
        self.inner.group(request).await
    }

    async fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        self.inner.scan(request).await
    }

    async fn write_matching(&self, request: MatchingRequest) -> Result<MatchingReply> {
        self.inner.write_matching(request).await
    }

    async fn explain(&self, request: ExplainRequest) -> Result<Explanation> {
        self.inner.explain(request).await
    }
}

#[async_trait]
impl Schema for StampingStore {
    async fn ensure(&self, request: EnsureRequest) -> Result<EnsureReport> {
        self.inner.ensure(request).await
    }

    async fn describe(&self, name: CollectionName) -> Result<Option<CollectionDescription>> {
        self.inner.describe(name).await
    }

    async fn drop_collection(&self, name: CollectionName) -> Result<bool> {
        self.inner.drop_collection(name).await
    }

    async fn refresh(&self, name: CollectionName) -> Result<()> {
        self.inner.refresh(name).await
    }

    async fn ready(&self, timeout: Duration) -> Result<Health> {
        self.inner.ready(timeout).await
    }

    async fn server_info(&self) -> Result<ServerInfo> {
        self.inner.server_info().await
    }
}

#[async_trait]
impl Store for StampingStore {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn transact(&self) -> Option<Arc<dyn Transact>> {
        self.inner.transact()
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
