//! A database in memory whose calls are counted and can be made to fail.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers of tests, of which each test file uses a part"
)]

#[cfg(feature = "derive")]
pub(crate) mod events;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use strongroom::clock::ManualClock;
use strongroom::handle::{Database, Limits, RetryPolicy};
use strongroom::layers::{Call, Enter, Intercept, Layer, Reply, Request};
use strongroom::memory::MemoryStore;
use strongroom::model::Timestamp;
use strongroom::store::{BulkItem, LoadRequest, Store, Write};
use strongroom::{Error, Operation, Result};

/// What went down to the store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spy {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    calls: Vec<Operation>,
    writes: Vec<Write>,
    loads: Vec<LoadRequest>,
    bulks: Vec<usize>,
    faults: VecDeque<(Operation, Error)>,
}

impl Spy {
    /// The operations since the last time this was asked.
    pub(crate) fn take(&self) -> Vec<Operation> {
        std::mem::take(&mut self.seen.lock().unwrap().calls)
    }

    /// The single writes since the last time this was asked.
    pub(crate) fn take_writes(&self) -> Vec<Write> {
        std::mem::take(&mut self.seen.lock().unwrap().writes)
    }

    /// The loads since the last time this was asked.
    pub(crate) fn take_loads(&self) -> Vec<LoadRequest> {
        std::mem::take(&mut self.seen.lock().unwrap().loads)
    }

    /// How many items each bulk since the last time this was asked had.
    pub(crate) fn take_bulks(&self) -> Vec<usize> {
        std::mem::take(&mut self.seen.lock().unwrap().bulks)
    }

    /// Makes the next call of the operation fail, before it reaches the store.
    pub(crate) fn fail_next(&self, operation: Operation, error: Error) {
        self.seen
            .lock()
            .unwrap()
            .faults
            .push_back((operation, error));
    }
}

impl Intercept for Spy {
    type Scope = ();

    fn enter(&self, call: &Call<'_>) -> Enter<()> {
        let mut seen = self.seen.lock().unwrap();
        seen.calls.push(call.operation);
        match call.request {
            Request::Save(request) => seen.writes.push(request.write.clone()),
            Request::Load(request) => seen.loads.push(request.clone()),
            Request::Bulk(request) => {
                seen.bulks.push(request.items.len());
                for item in request.items.iter() {
                    if let BulkItem::Write(write) = item {
                        seen.writes.push(write.clone());
                    }
                }
            }
            _ => {}
        }
        match seen.faults.front() {
            Some((operation, _)) if *operation == call.operation => {
                Enter::Refuse(seen.faults.pop_front().unwrap().1)
            }
            _ => Enter::Pass,
        }
    }

    async fn around<T: Reply>(&self, (): (), inner: BoxFuture<'_, Result<T>>) -> Result<T> {
        inner.await
    }
}

/// A database in memory, with what watches it and the clock that it stamps by.
pub(crate) struct Watched {
    pub(crate) db: Database,
    pub(crate) spy: Spy,
    pub(crate) clock: Arc<ManualClock>,
}

pub(crate) fn watched() -> Watched {
    watched_with(Limits::default(), RetryPolicy::default())
}

pub(crate) fn watched_with(limits: Limits, retry: RetryPolicy) -> Watched {
    let spy = Spy::default();
    let clock = Arc::new(ManualClock::new(at(1_000)));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let db = Database::builder(spy.clone().wrap(store))
        .clock(clock.clone())
        .limits(limits)
        .retry(retry)
        .build();
    Watched { db, spy, clock }
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}
