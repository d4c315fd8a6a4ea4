//! A store that differs from another in what one altered method does: a way to break one promise
//! of a good store, to see whether the suite notices.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use strongroom_core::Result;
use strongroom_core::model::{CollectionName, RawDocument};
use strongroom_core::store::{
    AggregateReply, AggregateRequest, BeginOptions, Bulk, BulkReply, BulkRequest, Capabilities,
    CollectionDescription, CountRequest, EnsureReport, EnsureRequest, ExplainRequest, Explanation,
    FindRequest, GroupRequest, Groups, Health, Load, LoadRequest, MatchingReply, MatchingRequest,
    Page, Receipt, Save, SaveRequest, Scan, ScanRequest, Schema, Search, ServerInfo, Store,
    Transact, Transaction,
};

/// What an [`altered`] store does differently. Each method that is not written does what the
/// store below does; `inner` is that store, or a transaction within it.
#[async_trait]
#[allow(
    missing_docs,
    reason = "each method stands for that of its name in the family"
)]
pub trait Alter: Debug + Send + Sync + 'static {
    fn capabilities(&self, inner: &Capabilities) -> Capabilities {
        inner.clone()
    }

    async fn load(
        &self,
        inner: &Arc<dyn Store>,
        request: LoadRequest,
    ) -> Result<Vec<Option<RawDocument>>> {
        inner.load(request).await
    }

    async fn save(&self, inner: &Arc<dyn Store>, request: SaveRequest) -> Result<Receipt> {
        inner.save(request).await
    }

    async fn bulk(&self, inner: &Arc<dyn Store>, request: BulkRequest) -> Result<BulkReply> {
        inner.bulk(request).await
    }

    async fn find(&self, inner: &Arc<dyn Store>, request: FindRequest) -> Result<Page> {
        inner.find(request).await
    }

    async fn count(&self, inner: &Arc<dyn Store>, request: CountRequest) -> Result<u64> {
        inner.count(request).await
    }

    async fn aggregate(
        &self,
        inner: &Arc<dyn Store>,
        request: AggregateRequest,
    ) -> Result<AggregateReply> {
        inner.aggregate(request).await
    }

    async fn group(&self, inner: &Arc<dyn Store>, request: GroupRequest) -> Result<Groups> {
        inner.group(request).await
    }

    async fn scan(&self, inner: &Arc<dyn Store>, request: ScanRequest) -> Result<Box<dyn Scan>> {
        inner.scan(request).await
    }

    async fn write_matching(
        &self,
        inner: &Arc<dyn Store>,
        request: MatchingRequest,
    ) -> Result<MatchingReply> {
        inner.write_matching(request).await
    }

    async fn explain(
        &self,
        inner: &Arc<dyn Store>,
        request: ExplainRequest,
    ) -> Result<Explanation> {
        inner.explain(request).await
    }

    async fn ensure(&self, inner: &Arc<dyn Store>, request: EnsureRequest) -> Result<EnsureReport> {
        inner.ensure(request).await
    }

    async fn describe(
        &self,
        inner: &Arc<dyn Store>,
        collection: CollectionName,
    ) -> Result<Option<CollectionDescription>> {
        inner.describe(collection).await
    }

    async fn drop_collection(
        &self,
        inner: &Arc<dyn Store>,
        collection: CollectionName,
    ) -> Result<bool> {
        inner.drop_collection(collection).await
    }

    async fn refresh(&self, inner: &Arc<dyn Store>, collection: CollectionName) -> Result<()> {
        inner.refresh(collection).await
    }

    async fn close(&self, inner: &Arc<dyn Store>) -> Result<()> {
        inner.close().await
    }

    async fn begin(
        &self,
        inner: &Arc<dyn Transact>,
        options: BeginOptions,
    ) -> Result<Arc<dyn Transaction>> {
        inner.begin(options).await
    }

    async fn commit(&self, inner: &Arc<dyn Transaction>) -> Result<()> {
        inner.commit().await
    }

    async fn rollback(&self, inner: &Arc<dyn Transaction>) -> Result<()> {
        inner.rollback().await
    }

    /// The last reference to a transaction goes.
    fn dropped(&self, inner: Arc<dyn Transaction>) {
        drop(inner);
    }
}

/// Wraps a store and its transactions so that they do some things differently.
#[must_use]
pub fn altered(inner: Arc<dyn Store>, alter: impl Alter) -> Arc<dyn Store> {
    let capabilities = alter.capabilities(inner.capabilities());
    Arc::new(Altered {
        inner,
        open: None,
        alter: Arc::new(alter),
        capabilities,
    })
}

/// A store, or a transaction if `open` has one, then the same as `inner`.
#[derive(Debug)]
struct Altered<A: Alter> {
    inner: Arc<dyn Store>,
    open: Option<Arc<dyn Transaction>>,
    alter: Arc<A>,
    capabilities: Capabilities,
}

#[derive(Debug)]
struct AlteredTransact<A: Alter> {
    inner: Arc<dyn Transact>,
    alter: Arc<A>,
    capabilities: Capabilities,
}

impl<A: Alter> Drop for Altered<A> {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            self.alter.dropped(open);
        }
    }
}

#[async_trait]
impl<A: Alter> Load for Altered<A> {
    async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>> {
        self.alter.load(&self.inner, request).await
    }
}

#[async_trait]
impl<A: Alter> Save for Altered<A> {
    async fn save(&self, request: SaveRequest) -> Result<Receipt> {
        self.alter.save(&self.inner, request).await
    }
}

#[async_trait]
impl<A: Alter> Bulk for Altered<A> {
    async fn bulk(&self, request: BulkRequest) -> Result<BulkReply> {
        self.alter.bulk(&self.inner, request).await
    }
}

#[async_trait]
impl<A: Alter> Search for Altered<A> {
    async fn find(&self, request: FindRequest) -> Result<Page> {
        self.alter.find(&self.inner, request).await
    }

    async fn count(&self, request: CountRequest) -> Result<u64> {
        self.alter.count(&self.inner, request).await
    }

    async fn aggregate(&self, request: AggregateRequest) -> Result<AggregateReply> {
        self.alter.aggregate(&self.inner, request).await
    }

    async fn group(&self, request: GroupRequest) -> Result<Groups> {
        self.alter.group(&self.inner, request).await
    }

    async fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        self.alter.scan(&self.inner, request).await
    }

    async fn write_matching(&self, request: MatchingRequest) -> Result<MatchingReply> {
        self.alter.write_matching(&self.inner, request).await
    }

    async fn explain(&self, request: ExplainRequest) -> Result<Explanation> {
        self.alter.explain(&self.inner, request).await
    }
}

#[async_trait]
impl<A: Alter> Schema for Altered<A> {
    async fn ensure(&self, request: EnsureRequest) -> Result<EnsureReport> {
        self.alter.ensure(&self.inner, request).await
    }

    async fn describe(&self, collection: CollectionName) -> Result<Option<CollectionDescription>> {
        self.alter.describe(&self.inner, collection).await
    }

    async fn drop_collection(&self, collection: CollectionName) -> Result<bool> {
        self.alter.drop_collection(&self.inner, collection).await
    }

    async fn refresh(&self, collection: CollectionName) -> Result<()> {
        self.alter.refresh(&self.inner, collection).await
    }

    async fn ready(&self, timeout: Duration) -> Result<Health> {
        self.inner.ready(timeout).await
    }

    async fn server_info(&self) -> Result<ServerInfo> {
        self.inner.server_info().await
    }
}

#[async_trait]
impl<A: Alter> Store for Altered<A> {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn transact(&self) -> Option<Arc<dyn Transact>> {
        Some(Arc::new(AlteredTransact {
            inner: self.inner.transact()?,
            alter: self.alter.clone(),
            capabilities: self.capabilities.clone(),
        }))
    }

    async fn close(&self) -> Result<()> {
        self.alter.close(&self.inner).await
    }
}

#[async_trait]
impl<A: Alter> Transact for AlteredTransact<A> {
    async fn begin(&self, options: BeginOptions) -> Result<Arc<dyn Transaction>> {
        let open = self.alter.begin(&self.inner, options).await?;
        Ok(Arc::new(Altered {
            inner: open.clone(),
            open: Some(open),
            alter: self.alter.clone(),
            capabilities: self.capabilities.clone(),
        }))
    }
}

#[async_trait]
impl<A: Alter> Transaction for Altered<A> {
    async fn commit(&self) -> Result<()> {
        match &self.open {
            Some(open) => self.alter.commit(open).await,
            None => Ok(()),
        }
    }

    async fn rollback(&self) -> Result<()> {
        match &self.open {
            Some(open) => self.alter.rollback(open).await,
            None => Ok(()),
        }
    }

    fn abandon(&self) {
        if let Some(open) = &self.open {
            open.abandon();
        }
    }
}
