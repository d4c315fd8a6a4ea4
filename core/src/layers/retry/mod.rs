//! Trying again, and finding out what became of a write.
//!
//! The layer keeps the law of three outcomes: a write is committed, rejected, or unknown, and
//! unknown only where that cannot be helped.
//!
//! - *Retries.* A failure that is retryable says that nothing was written; the call is made again,
//!   after a pause with jitter, as often and as long as [`RetryOptions`] allow.
//! - *Resolution.* A write whose reply was lost (`Indeterminate`) is resolved by loading its
//!   document: the write's own id there means that it took effect, and the receipt is made from the
//!   document. Where it is proved not to have taken effect, the write gets its true rejection
//!   or is sent again, only ever guarded (`Exactly` or `Absent`). What can be proved and what comes
//!   of it is written at the two tables of this folder, `evidence` and `progress`.
//! - A rejection that comes back after the write was sent more than once is checked against the
//!   document in the same way, since the write may conflict with itself. It is never passed as a
//!   false conflict.
//!
//! What is left `Indeterminate`: a delete whose document is gone, unless it named a version and the
//! store can prove its deletes; a write of a document that
//! someone else wrote in between, if that hides the evidence; and any write if the engine does not
//! come back within [`RetryOptions::resolve_within`].
//!
//! What the layer relies on: a write that a store reported as `Indeterminate`, or whose future
//! was dropped, takes no effect any more once a later save of the same key has been decided. A
//! guarded write keeps this by its nature, as its version does not come back.
//!
//! Inside a transaction the layer does nothing: a transaction is retried as a whole, by who knows
//! what it is about. `begin` itself is tried again where the engine could not be reached. Of a
//! transaction that was committed the layer remembers which versions it left.
//!
//! Dropping the future of a call leaves what dropping the inner call under way leaves: the write
//! took effect entirely or not at all.

mod atomic;
mod bulk;
mod committed;
mod evidence;
mod options;
mod progress;
mod recent;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::ExponentialBackoff;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

pub use options::RetryOptions;

use self::committed::Committed;
use self::evidence::{Judge, Moment};
use self::progress::{Progress, Step};
use self::recent::Recent;
use super::{Layer, Meter, Retried};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::model::{CollectionName, Key, Model, RawDocument};
use crate::store::{
    AggregateReply, AggregateRequest, BeginOptions, Bulk, BulkReply, BulkRequest, Capabilities,
    CollectionDescription, CountRequest, EnsureReport, EnsureRequest, ExplainRequest, Explanation,
    FindRequest, GroupRequest, Groups, Health, Load, LoadRequest, MatchingReply, MatchingRequest,
    Page, Receipt, Save, SaveRequest, Scan, ScanRequest, Schema, Search, ServerInfo, Store,
    Transact, Transaction,
};

/// Tries calls again that failed in passing, and finds out what became of writes.
/// See [the module](self).
#[derive(Clone, Debug, Default)]
pub struct RetryLayer {
    options: RetryOptions,
    meter: Option<Arc<dyn Meter>>,
}

impl RetryLayer {
    /// A layer with these options.
    #[must_use]
    pub fn new(options: RetryOptions) -> Self {
        Self {
            options,
            meter: None,
        }
    }

    /// Says what counts the retries, if anything does.
    #[must_use]
    pub fn meter(mut self, meter: Option<Arc<dyn Meter>>) -> Self {
        self.meter = meter;
        self
    }
}

impl Layer for RetryLayer {
    fn wrap(self, inner: Arc<dyn Store>) -> Arc<dyn Store> {
        let retries = Retries {
            options: self.options,
            meter: self.meter,
            engine: inner.capabilities().engine,
        };
        Arc::new(Retrying {
            inner,
            retries: Arc::new(retries),
            recent: Arc::new(Recent::new()),
        })
    }
}

/// How calls are tried again, and who is told.
#[derive(Debug)]
struct Retries {
    options: RetryOptions,
    meter: Option<Arc<dyn Meter>>,
    engine: &'static str,
}

#[derive(Debug)]
struct Retrying {
    inner: Arc<dyn Store>,
    retries: Arc<Retries>,
    recent: Arc<Recent>,
}

/// The attempts that a call has left.
#[derive(Debug)]
struct Budget<'r> {
    retries: &'r Retries,
    attempts: u32,
    until: Instant,
    pauses: ExponentialBackoff,
}

impl<'r> Budget<'r> {
    /// The budget of a call whose first attempt has just failed.
    #[cold]
    fn after_first(retries: &'r Retries) -> Self {
        let options = &retries.options;
        Self {
            retries,
            attempts: options.attempts.saturating_sub(1),
            until: Instant::now() + options.deadline,
            pauses: options.pauses(),
        }
    }

    fn allows(&self) -> bool {
        self.attempts > 0 && Instant::now() < self.until
    }

    /// Takes one attempt, after a pause.
    async fn take(&mut self, operation: Operation, collection: Option<&CollectionName>) {
        self.attempts = self.attempts.saturating_sub(1);
        tracing::debug!(
            operation = operation.as_str(),
            collection = collection.map(CollectionName::as_str),
            attempts_left = self.attempts,
            "trying again"
        );
        if let Some(meter) = &self.retries.meter {
            meter.retried(&Retried::new(operation, self.retries.engine, collection));
        }
        pause(&mut self.pauses).await;
    }
}

async fn pause(pauses: &mut ExponentialBackoff) {
    if let Some(pause) = pauses.next() {
        tokio::time::sleep(pause).await;
    }
}

/// Makes a call, and makes it again as long as `again` says so of its failure.
async fn repeat<'c, T>(
    retries: &Retries,
    what: (Operation, Option<&CollectionName>),
    again: fn(&Error) -> bool,
    call: impl Fn() -> BoxFuture<'c, Result<T>>,
) -> Result<T> {
    match call().await {
        Err(error) if again(&error) => try_again(retries, what, error, again, call).await,
        reply => reply,
    }
}

#[cold]
async fn try_again<'c, T>(
    retries: &Retries,
    (operation, collection): (Operation, Option<&CollectionName>),
    mut error: Error,
    again: fn(&Error) -> bool,
    call: impl Fn() -> BoxFuture<'c, Result<T>>,
) -> Result<T> {
    let mut budget = Budget::after_first(retries);
    while again(&error) && budget.allows() {
        budget.take(operation, collection).await;
        match call().await {
            Ok(reply) => return Ok(reply),
            Err(failed) => error = failed,
        }
    }
    Err(error)
}

impl Retrying {
    fn judge<'a>(&'a self, model: &'a Model) -> Judge<'a> {
        Judge {
            collection: model.name(),
            recent: &self.recent,
            margin: self.retries.options.age_margin,
        }
    }

    fn note(&self, model: &Model, key: &Key, receipt: &Receipt) {
        if let Some(version) = receipt.version {
            self.recent.note(model.name(), key, version);
        }
    }

    /// Loads documents to find out what became of writes, while an engine that went away has time
    /// to come back.
    async fn look(
        &self,
        model: &Arc<Model>,
        keys: Vec<Key>,
    ) -> Result<(Vec<Option<RawDocument>>, Moment)> {
        let until = Instant::now() + self.retries.options.resolve_within;
        let mut pauses = self.retries.options.pauses();
        let most = self.inner.capabilities().max_load_keys.max(1);
        let looked = Moment::now();
        let mut documents = Vec::with_capacity(keys.len());
        for keys in keys.chunks(most) {
            loop {
                let request = LoadRequest::new(Arc::clone(model), keys.to_vec());
                match self.inner.load(request).await {
                    Ok(found) if found.len() == keys.len() => {
                        documents.extend(found);
                        break;
                    }
                    Ok(found) => {
                        return Err(Error::internal(format!(
                            "load replied with {} documents for {} keys",
                            found.len(),
                            keys.len()
                        )));
                    }
                    Err(error) if error.is_retryable() && Instant::now() < until => {
                        pause(&mut pauses).await;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok((documents, looked))
    }

    /// Carries on with a save whose first send, at `sent`, failed.
    #[cold]
    async fn resolve(&self, request: SaveRequest, sent: Moment, error: Error) -> Result<Receipt> {
        let SaveRequest {
            model,
            write,
            refresh,
        } = request;
        let mut budget = Budget::after_first(&self.retries);
        let mut progress = Progress::new(write);
        let mut step = progress.replied(Err(error), sent, budget.allows());
        loop {
            step = match step {
                Step::Done(Ok(receipt)) => {
                    self.note(&model, &progress.write().key, &receipt);
                    return Ok(receipt);
                }
                Step::Done(Err(error)) => {
                    return Err(error
                        .with_operation(Operation::Save)
                        .with_collection(model.name().clone())
                        .with_key(progress.write().key.clone()));
                }
                Step::Send => {
                    budget.take(Operation::Save, Some(model.name())).await;
                    let sent = Moment::now();
                    let request = SaveRequest {
                        model: Arc::clone(&model),
                        write: progress.to_send(),
                        refresh,
                    };
                    let reply = self.inner.save(request).await;
                    progress.replied(reply, sent, budget.allows())
                }
                Step::Look => {
                    let keys = vec![progress.write().key.clone()];
                    match self.look(&model, keys).await {
                        Ok((documents, looked)) => {
                            let found = documents.first().and_then(Option::as_ref);
                            let can = self.inner.capabilities();
                            progress.found(found, looked, &self.judge(&model), &model, can)
                        }
                        Err(error) => progress.not_found_out(error),
                    }
                }
            };
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Load for Retrying {
    async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>> {
        let again = request.clone();
        match self.inner.load(request).await {
            Err(error) if error.is_retryable() => {
                let what = (Operation::Load, Some(again.model.name()));
                let call = || self.inner.load(again.clone());
                try_again(&self.retries, what, error, Error::is_retryable, call).await
            }
            reply => reply,
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Save for Retrying {
    async fn save(&self, request: SaveRequest) -> Result<Receipt> {
        let again = request.clone();
        let sent = Moment::now();
        match self.inner.save(request).await {
            Ok(receipt) => {
                self.note(&again.model, &again.write.key, &receipt);
                Ok(receipt)
            }
            Err(error) if error.is_retryable() || error.kind() == ErrorKind::Indeterminate => {
                self.resolve(again, sent, error).await
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Bulk for Retrying {
    async fn bulk(&self, request: BulkRequest) -> Result<BulkReply> {
        let reply = if request.atomic {
            self.bulk_atomic(request.clone()).await?
        } else {
            self.bulk_each(request.clone()).await?
        };
        if Recent::is_worth(request.items.len()) {
            for (item, outcome) in request.items.iter().zip(&reply.outcomes) {
                if let Ok(receipt) = outcome {
                    self.note(&request.model, item.key(), receipt);
                }
            }
        }
        Ok(reply)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Search for Retrying {
    async fn find(&self, request: FindRequest) -> Result<Page> {
        let name = Some(request.model.name());
        let call = || self.inner.find(request.clone());
        repeat(
            &self.retries,
            (Operation::Find, name),
            Error::is_retryable,
            call,
        )
        .await
    }

    async fn count(&self, request: CountRequest) -> Result<u64> {
        let name = Some(request.model.name());
        let call = || self.inner.count(request.clone());
        repeat(
            &self.retries,
            (Operation::Count, name),
            Error::is_retryable,
            call,
        )
        .await
    }

    async fn aggregate(&self, request: AggregateRequest) -> Result<AggregateReply> {
        let name = Some(request.model.name());
        let call = || self.inner.aggregate(request.clone());
        repeat(
            &self.retries,
            (Operation::Aggregate, name),
            Error::is_retryable,
            call,
        )
        .await
    }

    async fn group(&self, request: GroupRequest) -> Result<Groups> {
        let name = Some(request.model.name());
        let call = || self.inner.group(request.clone());
        repeat(
            &self.retries,
            (Operation::Group, name),
            Error::is_retryable,
            call,
        )
        .await
    }

    /// Only the opening is tried again: nothing tells where a scan that failed later would go on.
    async fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        let name = Some(request.model.name());
        let call = || self.inner.scan(request.clone());
        repeat(
            &self.retries,
            (Operation::Scan, name),
            Error::is_retryable,
            call,
        )
        .await
    }

    /// A retryable failure says that nothing was written, so the step is made again. One whose
    /// outcome is unknown is not: it would write nothing twice, but no longer count what it wrote.
    async fn write_matching(&self, request: MatchingRequest) -> Result<MatchingReply> {
        let name = Some(request.model.name());
        let call = || self.inner.write_matching(request.clone());
        repeat(
            &self.retries,
            (request.action.operation(), name),
            Error::is_retryable,
            call,
        )
        .await
    }

    async fn explain(&self, request: ExplainRequest) -> Result<Explanation> {
        let name = Some(request.model().name());
        let call = || self.inner.explain(request.clone());
        repeat(
            &self.retries,
            (Operation::Explain, name),
            Error::is_retryable,
            call,
        )
        .await
    }
}

/// An `ensure` of what is there already changes nothing, so it may always be made again.
fn is_worth_ensuring_again(error: &Error) -> bool {
    error.is_retryable() || error.kind() == ErrorKind::Indeterminate
}

/// Waiting for the right to begin has its own limit, which trying again would multiply.
fn is_worth_beginning_again(error: &Error) -> bool {
    error.kind() == ErrorKind::Unavailable
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Schema for Retrying {
    async fn ensure(&self, request: EnsureRequest) -> Result<EnsureReport> {
        let name = Some(request.model.name());
        let call = || self.inner.ensure(request.clone());
        repeat(
            &self.retries,
            (Operation::Ensure, name),
            is_worth_ensuring_again,
            call,
        )
        .await
    }

    async fn describe(&self, collection: CollectionName) -> Result<Option<CollectionDescription>> {
        let call = || self.inner.describe(collection.clone());
        repeat(
            &self.retries,
            (Operation::Describe, Some(&collection)),
            Error::is_retryable,
            call,
        )
        .await
    }

    async fn drop_collection(&self, collection: CollectionName) -> Result<bool> {
        // One that may have taken place is not made again: by then the collection may be another.
        let call = || self.inner.drop_collection(collection.clone());
        repeat(
            &self.retries,
            (Operation::DropCollection, Some(&collection)),
            Error::is_retryable,
            call,
        )
        .await
    }

    async fn refresh(&self, collection: CollectionName) -> Result<()> {
        let call = || self.inner.refresh(collection.clone());
        repeat(
            &self.retries,
            (Operation::Refresh, Some(&collection)),
            Error::is_retryable,
            call,
        )
        .await
    }

    async fn ready(&self, timeout: Duration) -> Result<Health> {
        // It tries for as long as the caller said by itself.
        self.inner.ready(timeout).await
    }

    async fn server_info(&self) -> Result<ServerInfo> {
        let call = || self.inner.server_info();
        repeat(
            &self.retries,
            (Operation::ServerInfo, None),
            Error::is_retryable,
            call,
        )
        .await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for Retrying {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn transact(&self) -> Option<Arc<dyn Transact>> {
        Some(Arc::new(RetryingTransact {
            inner: self.inner.transact()?,
            retries: Arc::clone(&self.retries),
            recent: Arc::clone(&self.recent),
        }))
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

#[derive(Debug)]
struct RetryingTransact {
    inner: Arc<dyn Transact>,
    retries: Arc<Retries>,
    recent: Arc<Recent>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Transact for RetryingTransact {
    async fn begin(&self, options: BeginOptions) -> Result<Arc<dyn Transaction>> {
        let call = || self.inner.begin(options);
        let begun = repeat(
            &self.retries,
            (Operation::Begin, None),
            is_worth_beginning_again,
            call,
        );
        Ok(Committed::of(begun.await?, &self.recent))
    }
}
