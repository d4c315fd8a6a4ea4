//! One call of the family, as layers see it.

use std::time::Duration;

use crate::error::{Error, Operation, Result};
use crate::model::{CollectionName, Key, RawDocument};
use crate::store::{
    AggregateReply, AggregateRequest, BeginOptions, BulkReply, BulkRequest, Capabilities,
    CollectionDescription, CountRequest, EnsureReport, EnsureRequest, ExplainRequest, Explanation,
    FindRequest, GroupRequest, Groups, Health, LoadRequest, MatchingReply, MatchingRequest, Page,
    Receipt, SaveRequest, Scan, ScanRequest, ServerInfo, Transaction,
};

/// A call on its way down. It borrows the request, so looking at it costs nothing.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Call<'a> {
    /// What is called.
    pub operation: Operation,
    /// With what.
    pub request: Request<'a>,
    /// What the store below can do; the engine's name is among it.
    pub capabilities: &'a Capabilities,
    /// Whether the call is made on a transaction or a savepoint.
    pub in_transaction: bool,
}

/// The request of a [`Call`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Request<'a> {
    /// Of [`Load::load`](crate::store::Load::load).
    Load(&'a LoadRequest),
    /// Of [`Save::save`](crate::store::Save::save).
    Save(&'a SaveRequest),
    /// Of [`Bulk::bulk`](crate::store::Bulk::bulk).
    Bulk(&'a BulkRequest),
    /// Of [`Search::find`](crate::store::Search::find).
    Find(&'a FindRequest),
    /// Of [`Search::count`](crate::store::Search::count).
    Count(&'a CountRequest),
    /// Of [`Search::aggregate`](crate::store::Search::aggregate).
    Aggregate(&'a AggregateRequest),
    /// Of [`Search::group`](crate::store::Search::group).
    Group(&'a GroupRequest),
    /// Of [`Search::scan`](crate::store::Search::scan).
    Scan(&'a ScanRequest),
    /// Of [`Search::write_matching`](crate::store::Search::write_matching).
    Matching(&'a MatchingRequest),
    /// Of [`Search::explain`](crate::store::Search::explain).
    Explain(&'a ExplainRequest),
    /// Of [`Schema::ensure`](crate::store::Schema::ensure).
    Ensure(&'a EnsureRequest),
    /// Of the operations that take the name of a collection.
    Collection(&'a CollectionName),
    /// Of [`Schema::ready`](crate::store::Schema::ready): how long to wait.
    Ready(Duration),
    /// Of [`Transact::begin`](crate::store::Transact::begin).
    Begin(&'a BeginOptions),
    /// Of the operations that take nothing.
    Nothing,
}

impl<'a> Call<'a> {
    /// The engine's name as OpenTelemetry's database conventions have it.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.capabilities.engine
    }

    /// The collection that the call addresses, if it addresses one.
    #[must_use]
    pub fn collection(&self) -> Option<&'a CollectionName> {
        match self.request {
            Request::Load(request) => Some(request.model.name()),
            Request::Save(request) => Some(request.model.name()),
            Request::Bulk(request) => Some(request.model.name()),
            Request::Find(request) => Some(request.model.name()),
            Request::Count(request) => Some(request.model.name()),
            Request::Aggregate(request) => Some(request.model.name()),
            Request::Group(request) => Some(request.model.name()),
            Request::Scan(request) => Some(request.model.name()),
            Request::Matching(request) => Some(request.model.name()),
            Request::Explain(request) => Some(request.model().name()),
            Request::Ensure(request) => Some(request.model.name()),
            Request::Collection(name) => Some(name),
            Request::Ready(_) | Request::Begin(_) | Request::Nothing => None,
        }
    }

    /// The key that the call is about, if it is about exactly one.
    #[must_use]
    pub fn key(&self) -> Option<&'a Key> {
        match self.request {
            Request::Load(request) => match request.keys.as_slice() {
                [key] => Some(key),
                _ => None,
            },
            Request::Save(request) => Some(&request.write.key),
            Request::Bulk(request) => match request.items.as_slice() {
                [item] => Some(item.key()),
                _ => None,
            },
            _ => None,
        }
    }

    /// How many keys or items the call has, for the operations that take many.
    #[must_use]
    pub fn items(&self) -> Option<usize> {
        match self.request {
            Request::Load(request) => Some(request.keys.len()),
            Request::Bulk(request) => Some(request.items.len()),
            _ => None,
        }
    }

    /// Whether the call may change documents or collections, so that a reply that never comes
    /// leaves its outcome unknown.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.operation.is_write()
            || matches!(
                self.operation,
                Operation::Ensure | Operation::DropCollection
            )
    }

    /// What errors of the call are annotated with. Two counted references at most.
    pub(crate) fn subject(&self) -> Subject {
        Subject {
            operation: self.operation,
            collection: self.collection().cloned(),
            key: self.key().cloned(),
        }
    }
}

/// What a call is about, kept while the request itself is on its way.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    operation: Operation,
    collection: Option<CollectionName>,
    key: Option<Key>,
}

impl Subject {
    /// Adds operation, collection and key to an error, as far as it does not have them yet.
    #[cold]
    pub(crate) fn annotate(self, mut error: Error) -> Error {
        error = error.with_operation(self.operation);
        if let Some(collection) = self.collection {
            error = error.with_collection(collection);
        }
        if let Some(key) = self.key {
            error = error.with_key(key);
        }
        error
    }
}

mod sealed {
    pub trait Sealed {}
}

/// What a call of the family replies with. Sealed: it is implemented for every reply there is.
pub trait Reply: sealed::Sealed + Send {
    /// The reply's outcomes one by one, if it is that of a bulk.
    fn outcomes(&mut self) -> Option<&mut [Result<Receipt>]> {
        None
    }

    /// The reply itself, if it is that of one write.
    fn receipt(&self) -> Option<&Receipt> {
        None
    }
}

impl sealed::Sealed for BulkReply {}
impl Reply for BulkReply {
    fn outcomes(&mut self) -> Option<&mut [Result<Receipt>]> {
        Some(&mut self.outcomes)
    }
}

impl sealed::Sealed for Receipt {}
impl Reply for Receipt {
    fn receipt(&self) -> Option<&Receipt> {
        Some(self)
    }
}

macro_rules! replies {
    ($($reply:ty),* $(,)?) => {$(
        impl sealed::Sealed for $reply {}
        impl Reply for $reply {}
    )*};
}
replies!(
    Vec<Option<RawDocument>>,
    Page,
    u64,
    AggregateReply,
    Groups,
    Box<dyn Scan>,
    Vec<RawDocument>,
    MatchingReply,
    Explanation,
    EnsureReport,
    Option<CollectionDescription>,
    bool,
    (),
    Health,
    ServerInfo,
    std::sync::Arc<dyn Transaction>,
);
