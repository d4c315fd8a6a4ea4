//! Mocks of the family by mockall: stores of which a test says what they are asked and answer.
//!
//! [`MockStore`] stands for a whole store, [`MockTransact`] and [`MockTransaction`] for its
//! transactions. Each method `m` has its `expect_m`; a call without expectation fails the test. For
//! tests that only want a store that works, [`MemoryStore`](crate::memory::MemoryStore) is less
//! work; for tests of failures, [`FaultLayer`](crate::layers::FaultLayer).
//!
//! # Examples
//!
//! ```
//! use strongroom_core::mock::MockStore;
//! use strongroom_core::model::{Key, Model};
//! use strongroom_core::store::{Capabilities, Load, LoadRequest, Store};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let mut store = MockStore::new();
//! store.expect_capabilities().return_const(Capabilities::new("mock"));
//! store
//!     .expect_load()
//!     .withf(|request| request.keys.len() == 1)
//!     .once()
//!     .returning(|_| Ok(vec![None]));
//!
//! let users = Model::builder("users").build()?;
//! let found = store.load(LoadRequest::new(users, vec![Key::new("ada")?])).await?;
//! assert!(found[0].is_none());
//! assert_eq!(store.capabilities().engine, "mock");
//! # Ok::<(), strongroom_core::Error>(())
//! # }).unwrap();
//! ```

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_errors_doc,
    reason = "what mockall writes is for tests, where a panic is the failure of the test"
)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mockall::mock;

use crate::error::Result;
use crate::model::{CollectionName, RawDocument};
use crate::store::{
    AggregateReply, AggregateRequest, BeginOptions, Bulk, BulkReply, BulkRequest, Capabilities,
    CollectionDescription, CountRequest, EnsureReport, EnsureRequest, ExplainRequest, Explanation,
    FindRequest, GroupRequest, Groups, Health, Load, LoadRequest, MatchingReply, MatchingRequest,
    Page, Receipt, Save, SaveRequest, Scan, ScanRequest, Schema, Search, ServerInfo, Store,
    Transact, Transaction,
};

mock! {
    /// A store of which a test says what it is asked and answers.
    #[derive(Debug)]
    pub Store {}

    #[async_trait]
    impl Load for Store {
        async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>>;
    }

    #[async_trait]
    impl Save for Store {
        async fn save(&self, request: SaveRequest) -> Result<Receipt>;
    }

    #[async_trait]
    impl Bulk for Store {
        async fn bulk(&self, request: BulkRequest) -> Result<BulkReply>;
    }

    #[async_trait]
    impl Search for Store {
        async fn find(&self, request: FindRequest) -> Result<Page>;
        async fn count(&self, request: CountRequest) -> Result<u64>;
        async fn aggregate(&self, request: AggregateRequest) -> Result<AggregateReply>;
        async fn group(&self, request: GroupRequest) -> Result<Groups>;
        async fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>>;
        async fn write_matching(&self, request: MatchingRequest) -> Result<MatchingReply>;
        async fn explain(&self, request: ExplainRequest) -> Result<Explanation>;
    }

    #[async_trait]
    impl Schema for Store {
        async fn ensure(&self, request: EnsureRequest) -> Result<EnsureReport>;
        async fn describe(
            &self,
            collection: CollectionName,
        ) -> Result<Option<CollectionDescription>>;
        async fn drop_collection(&self, collection: CollectionName) -> Result<bool>;
        async fn refresh(&self, collection: CollectionName) -> Result<()>;
        async fn ready(&self, timeout: Duration) -> Result<Health>;
        async fn server_info(&self) -> Result<ServerInfo>;
    }

    #[async_trait]
    impl Store for Store {
        fn capabilities(&self) -> &Capabilities;
        fn transact(&self) -> Option<Arc<dyn Transact>>;
        async fn close(&self) -> Result<()>;
    }
}

mock! {
    /// A transaction of which a test says what it is asked and answers.
    #[derive(Debug)]
    pub Transaction {}

    #[async_trait]
    impl Load for Transaction {
        async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>>;
    }

    #[async_trait]
    impl Save for Transaction {
        async fn save(&self, request: SaveRequest) -> Result<Receipt>;
    }

    #[async_trait]
    impl Bulk for Transaction {
        async fn bulk(&self, request: BulkRequest) -> Result<BulkReply>;
    }

    #[async_trait]
    impl Search for Transaction {
        async fn find(&self, request: FindRequest) -> Result<Page>;
        async fn count(&self, request: CountRequest) -> Result<u64>;
        async fn aggregate(&self, request: AggregateRequest) -> Result<AggregateReply>;
        async fn group(&self, request: GroupRequest) -> Result<Groups>;
        async fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>>;
        async fn write_matching(&self, request: MatchingRequest) -> Result<MatchingReply>;
        async fn explain(&self, request: ExplainRequest) -> Result<Explanation>;
    }

    #[async_trait]
    impl Schema for Transaction {
        async fn ensure(&self, request: EnsureRequest) -> Result<EnsureReport>;
        async fn describe(
            &self,
            collection: CollectionName,
        ) -> Result<Option<CollectionDescription>>;
        async fn drop_collection(&self, collection: CollectionName) -> Result<bool>;
        async fn refresh(&self, collection: CollectionName) -> Result<()>;
        async fn ready(&self, timeout: Duration) -> Result<Health>;
        async fn server_info(&self) -> Result<ServerInfo>;
    }

    #[async_trait]
    impl Store for Transaction {
        fn capabilities(&self) -> &Capabilities;
        fn transact(&self) -> Option<Arc<dyn Transact>>;
        async fn close(&self) -> Result<()>;
    }

    #[async_trait]
    impl Transaction for Transaction {
        async fn commit(&self) -> Result<()>;
        async fn rollback(&self) -> Result<()>;
        fn abandon(&self);
    }
}

mock! {
    /// An open scan of which a test says what it hands out.
    #[derive(Debug)]
    pub Scan {}

    #[async_trait]
    impl Scan for Scan {
        async fn next(&mut self) -> Result<Vec<RawDocument>>;
        async fn close(&mut self) -> Result<()>;
    }
}

mock! {
    /// The beginning of transactions, of which a test says what they are.
    #[derive(Debug)]
    pub Transact {}

    #[async_trait]
    impl Transact for Transact {
        async fn begin(&self, options: BeginOptions) -> Result<Arc<dyn Transaction>>;
    }
}
