//! The family on shared pointers, so that a store can be used and wrapped behind `Arc`.

use std::sync::Arc;

use super::{Bulk, Load, Save, Schema, Search, Store};

/// Writes the methods of a trait of the family as `async_trait` would, except that they hand on the
/// future of the store below in place of one of their own around it: `|this| store => Load`.
macro_rules! pass_on {
    (|$this:ident| $store:expr => Load) => {
        pass_on! { |$this| $store =>
            load(request: $crate::store::LoadRequest) -> Vec<Option<$crate::model::RawDocument>>;
        }
    };
    (|$this:ident| $store:expr => Save) => {
        pass_on! { |$this| $store =>
            save(request: $crate::store::SaveRequest) -> $crate::store::Receipt;
        }
    };
    (|$this:ident| $store:expr => Bulk) => {
        pass_on! { |$this| $store =>
            bulk(request: $crate::store::BulkRequest) -> $crate::store::BulkReply;
        }
    };
    (|$this:ident| $store:expr => Search) => {
        pass_on! { |$this| $store =>
            find(request: $crate::store::FindRequest) -> $crate::store::Page;
            count(request: $crate::store::CountRequest) -> u64;
            aggregate(request: $crate::store::AggregateRequest) -> $crate::store::AggregateReply;
            group(request: $crate::store::GroupRequest) -> $crate::store::Groups;
            scan(request: $crate::store::ScanRequest) -> Box<dyn $crate::store::Scan>;
            write_matching(request: $crate::store::MatchingRequest) -> $crate::store::MatchingReply;
            explain(request: $crate::store::ExplainRequest) -> $crate::store::Explanation;
        }
    };
    (|$this:ident| $store:expr => Schema) => {
        pass_on! { |$this| $store =>
            ensure(request: $crate::store::EnsureRequest) -> $crate::store::EnsureReport;
            describe(collection: $crate::model::CollectionName)
                -> Option<$crate::store::CollectionDescription>;
            drop_collection(collection: $crate::model::CollectionName) -> bool;
            refresh(collection: $crate::model::CollectionName) -> ();
            ready(timeout: std::time::Duration) -> $crate::store::Health;
            server_info() -> $crate::store::ServerInfo;
        }
    };
    (|$this:ident| $store:expr => Store) => {
        fn capabilities(&self) -> &$crate::store::Capabilities {
            let $this = self;
            $store.capabilities()
        }

        fn transact(&self) -> Option<std::sync::Arc<dyn $crate::store::Transact>> {
            let $this = self;
            $store.transact()
        }

        pass_on! { |$this| $store =>
            close() -> ();
        }
    };
    (|$this:ident| $store:expr => $($name:ident($($arg:ident: $type:ty)?) -> $reply:ty;)+) => {$(
        fn $name<'s, 'f>(
            &'s self,
            $($arg: $type)?
        ) -> futures_util::future::BoxFuture<'f, $crate::error::Result<$reply>>
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
    pass_on!(|store| **store => Load);
}

#[deny(clippy::missing_trait_methods)]
impl<S: Save + ?Sized> Save for Arc<S> {
    pass_on!(|store| **store => Save);
}

#[deny(clippy::missing_trait_methods)]
impl<S: Bulk + ?Sized> Bulk for Arc<S> {
    pass_on!(|store| **store => Bulk);
}

#[deny(clippy::missing_trait_methods)]
impl<S: Search + ?Sized> Search for Arc<S> {
    pass_on!(|store| **store => Search);
}

#[deny(clippy::missing_trait_methods)]
impl<S: Schema + ?Sized> Schema for Arc<S> {
    pass_on!(|store| **store => Schema);
}

#[deny(clippy::missing_trait_methods)]
impl<S: Store + ?Sized> Store for Arc<S> {
    pass_on!(|store| **store => Store);
}
