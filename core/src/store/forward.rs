//! The family on shared pointers, so that a store can be used and wrapped behind `Arc`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{
    AggregateReply, AggregateRequest, Bulk, BulkReply, BulkRequest, Capabilities,
    CollectionDescription, CountRequest, EnsureReport, EnsureRequest, ExplainRequest, Explanation,
    FindRequest, GroupRequest, Groups, Health, Load, LoadRequest, MatchingReply, MatchingRequest,
    Page, Receipt, Save, SaveRequest, Scan, ScanRequest, Schema, Search, ServerInfo, Store,
    Transact,
};
use crate::error::Result;
use crate::model::{CollectionName, RawDocument};

/// Writes methods of the family as `async_trait` would, except that they hand on the future of the
/// store below in place of one of their own around it: `|this| store => load(request: LoadRequest)
/// -> Vec<Option<RawDocument>>;`.
macro_rules! pass_on {
    (|$this:ident| $store:expr => $($name:ident($($arg:ident: $type:ty)?) -> $reply:ty;)+) => {$(
        fn $name<'s, 'f>(&'s self, $($arg: $type)?) -> BoxFuture<'f, Result<$reply>>
        where
            's: 'f,
            Self: 'f,
        {
            let $this = self;
            $store.$name($($arg)?)
        }
    )+};
}

pub(crate) use pass_on;

#[deny(clippy::missing_trait_methods)]
impl<S: Load + ?Sized> Load for Arc<S> {
    pass_on! { |store| **store =>
        load(request: LoadRequest) -> Vec<Option<RawDocument>>;
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: Save + ?Sized> Save for Arc<S> {
    pass_on! { |store| **store =>
        save(request: SaveRequest) -> Receipt;
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: Bulk + ?Sized> Bulk for Arc<S> {
    pass_on! { |store| **store =>
        bulk(request: BulkRequest) -> BulkReply;
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: Search + ?Sized> Search for Arc<S> {
    pass_on! { |store| **store =>
        find(request: FindRequest) -> Page;
        count(request: CountRequest) -> u64;
        aggregate(request: AggregateRequest) -> AggregateReply;
        group(request: GroupRequest) -> Groups;
        scan(request: ScanRequest) -> Box<dyn Scan>;
        write_matching(request: MatchingRequest) -> MatchingReply;
        explain(request: ExplainRequest) -> Explanation;
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: Schema + ?Sized> Schema for Arc<S> {
    pass_on! { |store| **store =>
        ensure(request: EnsureRequest) -> EnsureReport;
        describe(collection: CollectionName) -> Option<CollectionDescription>;
        drop_collection(collection: CollectionName) -> bool;
        refresh(collection: CollectionName) -> ();
        ready(timeout: Duration) -> Health;
        server_info() -> ServerInfo;
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: Store + ?Sized> Store for Arc<S> {
    fn capabilities(&self) -> &Capabilities {
        (**self).capabilities()
    }

    fn transact(&self) -> Option<Arc<dyn Transact>> {
        (**self).transact()
    }

    pass_on! { |store| **store =>
        close() -> ();
    }
}
