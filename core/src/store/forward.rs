//! The family on shared pointers, so that a store can be used and wrapped behind `Arc`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{
    AggregateReply, AggregateRequest, Bulk, BulkReply, BulkRequest, Capabilities,
    CollectionDescription, CountRequest, EnsureReport, EnsureRequest, ExplainRequest, Explanation,
    FindRequest, GroupRequest, Groups, Health, Load, LoadRequest, MatchingReply, MatchingRequest,
    Page, Receipt, Save, SaveRequest, Scan, ScanRequest, Schema, Search, ServerInfo, Store,
    Transact,
};
use crate::error::Result;
use crate::model::{CollectionName, RawDocument};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Load + ?Sized> Load for Arc<S> {
    async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>> {
        (**self).load(request).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Save + ?Sized> Save for Arc<S> {
    async fn save(&self, request: SaveRequest) -> Result<Receipt> {
        (**self).save(request).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Bulk + ?Sized> Bulk for Arc<S> {
    async fn bulk(&self, request: BulkRequest) -> Result<BulkReply> {
        (**self).bulk(request).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Search + ?Sized> Search for Arc<S> {
    async fn find(&self, request: FindRequest) -> Result<Page> {
        (**self).find(request).await
    }

    async fn count(&self, request: CountRequest) -> Result<u64> {
        (**self).count(request).await
    }

    async fn aggregate(&self, request: AggregateRequest) -> Result<AggregateReply> {
        (**self).aggregate(request).await
    }

    async fn group(&self, request: GroupRequest) -> Result<Groups> {
        (**self).group(request).await
    }

    async fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        (**self).scan(request).await
    }

    async fn write_matching(&self, request: MatchingRequest) -> Result<MatchingReply> {
        (**self).write_matching(request).await
    }

    async fn explain(&self, request: ExplainRequest) -> Result<Explanation> {
        (**self).explain(request).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Schema + ?Sized> Schema for Arc<S> {
    async fn ensure(&self, request: EnsureRequest) -> Result<EnsureReport> {
        (**self).ensure(request).await
    }

    async fn describe(&self, collection: CollectionName) -> Result<Option<CollectionDescription>> {
        (**self).describe(collection).await
    }

    async fn drop_collection(&self, collection: CollectionName) -> Result<bool> {
        (**self).drop_collection(collection).await
    }

    async fn refresh(&self, collection: CollectionName) -> Result<()> {
        (**self).refresh(collection).await
    }

    async fn ready(&self, timeout: Duration) -> Result<Health> {
        (**self).ready(timeout).await
    }

    async fn server_info(&self) -> Result<ServerInfo> {
        (**self).server_info().await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store + ?Sized> Store for Arc<S> {
    fn capabilities(&self) -> &Capabilities {
        (**self).capabilities()
    }

    fn transact(&self) -> Option<Arc<dyn Transact>> {
        (**self).transact()
    }

    async fn close(&self) -> Result<()> {
        (**self).close().await
    }
}
