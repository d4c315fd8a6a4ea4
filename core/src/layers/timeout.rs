//! Limits on how long a call may take.
//!
//! The layer sits just above the check layer and below the retry layer, so a limit holds for each
//! attempt and its error is retried or resolved like any other. When a limit is passed the call's
//! future is dropped, which every store survives by contract.
//!
//! What the error says follows from what is known:
//!
//! - A read, a begin, a rollback or a close: `Timeout`.
//! - A write outside a transaction may have left: `Indeterminate`, which the retry layer resolves.
//! - A write inside a transaction: `Timeout`, since the dropped future dooms the transaction and
//!   the write can never take effect.
//! - A commit: `Indeterminate`, as nothing tells whether it was carried out.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Sleep;

use super::call::Subject;
use super::{Call, Enter, Intercept, Reply, Request};
use crate::error::{Error, ErrorKind, Operation, Result};

/// What is added to a time that the caller asked to wait, before the layer steps in: the adapter
/// keeps that time itself, with a better error.
const GRACE: Duration = Duration::from_secs(1);

/// How long calls may take.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TimeoutOptions {
    /// Loads, finds, counts, descriptions, explanations, the opening of scans and each piece of
    /// them. 30 s by default.
    pub read: Duration,
    /// Single saves. 30 s by default.
    pub write: Duration,
    /// Beginning, committing and rolling back transactions. 30 s by default.
    pub transaction: Duration,
    /// What may work on much data: bulks, writes of what matches, aggregations, groups, ensure,
    /// drop, refresh, close. 5 min by default.
    pub long: Duration,
    /// Limits of single operations, which go before the classes above.
    overrides: Vec<(Operation, Option<Duration>)>,
}

impl Default for TimeoutOptions {
    fn default() -> Self {
        Self {
            read: Duration::from_secs(30),
            write: Duration::from_secs(30),
            transaction: Duration::from_secs(30),
            long: Duration::from_secs(300),
            overrides: Vec::new(),
        }
    }
}

impl TimeoutOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One limit for every operation.
    #[must_use]
    pub fn all(limit: Duration) -> Self {
        Self {
            read: limit,
            write: limit,
            transaction: limit,
            long: limit,
            overrides: Vec::new(),
        }
    }

    /// Raises each class that has less to this limit, for stores whose requests may take so long.
    #[must_use]
    pub fn at_least(mut self, limit: Duration) -> Self {
        for class in [
            &mut self.read,
            &mut self.write,
            &mut self.transaction,
            &mut self.long,
        ] {
            *class = limit.max(*class);
        }
        self
    }

    /// Sets the limit of one operation; `None` takes it away.
    #[must_use]
    pub fn operation(mut self, operation: Operation, limit: Option<Duration>) -> Self {
        self.overrides.retain(|(of, _)| *of != operation);
        self.overrides.push((operation, limit));
        self
    }

    /// The limit of an operation, if it has one.
    #[must_use]
    pub fn limit(&self, operation: Operation) -> Option<Duration> {
        if let Some((_, limit)) = self.overrides.iter().find(|(of, _)| *of == operation) {
            return *limit;
        }
        Some(match operation {
            Operation::Save => self.write,
            Operation::Begin | Operation::Commit | Operation::Rollback => self.transaction,
            Operation::Bulk
            | Operation::PatchMatching
            | Operation::DeleteMatching
            | Operation::Aggregate
            | Operation::Group
            | Operation::Ensure
            | Operation::DropCollection
            | Operation::Refresh
            | Operation::Close => self.long,
            _ => self.read,
        })
    }
}

/// Ends calls that take too long. See [the module](self) for what becomes of them.
#[derive(Clone, Debug, Default)]
pub struct TimeoutLayer {
    options: TimeoutOptions,
}

impl TimeoutLayer {
    /// A layer with these limits.
    #[must_use]
    pub fn new(options: TimeoutOptions) -> Self {
        Self { options }
    }
}

/// What is known of a call under a limit.
#[derive(Debug)]
pub struct Limit {
    limit: Duration,
    kind: ErrorKind,
    subject: Subject,
}

impl Intercept for TimeoutLayer {
    type Scope = Limit;

    fn enter(&self, call: &Call<'_>) -> Enter<Limit> {
        let Some(mut limit) = self.options.limit(call.operation) else {
            return Enter::Pass;
        };
        match call.request {
            Request::Ready(wait) => limit = wait.saturating_add(GRACE),
            Request::Begin(options) => {
                if let Some(wait) = options.wait {
                    limit = limit.max(wait.saturating_add(GRACE));
                }
            }
            _ => {}
        }
        let unknown = match call.operation {
            Operation::Commit => true,
            _ => call.is_write() && !call.in_transaction,
        };
        Enter::Around(Limit {
            limit,
            kind: if unknown {
                ErrorKind::Indeterminate
            } else {
                ErrorKind::Timeout
            },
            subject: call.subject(),
        })
    }

    async fn around<T: Reply>(
        &self,
        scope: Limit,
        mut inner: BoxFuture<'_, Result<T>>,
    ) -> Result<T> {
        // Embedded engines mostly answer at once: a timer is made only when they do not.
        let mut timer = pin!(None::<Sleep>);
        poll_fn(|cx| {
            if let Poll::Ready(reply) = inner.as_mut().poll(cx) {
                return Poll::Ready(Some(reply));
            }
            if timer.is_none() {
                timer.set(Some(tokio::time::sleep(scope.limit)));
            }
            let passed = timer.as_mut().as_pin_mut().map(|timer| timer.poll(cx));
            passed.unwrap_or(Poll::Pending).map(|()| None)
        })
        .await
        .unwrap_or_else(|| Err(scope.passed()))
    }
}

impl Limit {
    #[cold]
    fn passed(self) -> Error {
        let Self {
            limit,
            kind,
            subject,
        } = self;
        let message = match kind {
            ErrorKind::Indeterminate => {
                format!("no answer within {limit:?}; the write may or may not have taken place")
            }
            _ => format!("no answer within {limit:?}"),
        };
        subject.annotate(Error::new(kind, message))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FakeStore, Fault, Step, counter, key, model};
    use super::*;
    use crate::layers::Layer;
    use crate::model::Expected;
    use crate::store::{BeginOptions, LoadRequest, SaveRequest, Store, Write};

    const LIMIT: Duration = Duration::from_secs(2);

    fn save() -> SaveRequest {
        SaveRequest::new(model(), Write::put(key("a"), counter(0), Expected::Any))
    }

    fn load() -> LoadRequest {
        LoadRequest::new(model(), vec![key("a")])
    }

    #[tokio::test(start_paused = true)]
    async fn tells_what_is_known_of_a_call_that_hangs() {
        let fake = FakeStore::new();
        let store = TimeoutLayer::new(TimeoutOptions::all(LIMIT)).wrap(fake.clone());
        let hang = || fake.script([Step::fault(Fault::Hang)]);

        hang();
        let start = tokio::time::Instant::now();
        let error = store.load(load()).await.unwrap_err();
        assert_eq!(start.elapsed(), LIMIT);
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.message().contains("2s"), "{error}");
        assert_eq!(error.key(), Some(&key("a")));

        hang();
        let error = store.save(save()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Indeterminate);

        hang();
        let transact = store.transact().unwrap();
        let error = transact.begin(BeginOptions::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);

        let transaction = transact.begin(BeginOptions::new()).await.unwrap();
        hang();
        let error = transaction.save(save()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        hang();
        let error = transaction.commit().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Indeterminate);
        hang();
        let error = transaction.rollback().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);

        hang();
        let error = store
            .ensure(crate::store::EnsureRequest::new(model()))
            .await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Indeterminate);
    }

    #[tokio::test(start_paused = true)]
    async fn lets_slow_calls_end_and_waits_as_long_as_asked() {
        let fake = FakeStore::new();
        let options = TimeoutOptions::all(LIMIT).operation(Operation::Count, None);
        let store = TimeoutLayer::new(options).wrap(fake.clone());
        let late = |seconds| fake.script([Step::fault(Fault::Delay(Duration::from_secs(seconds)))]);
        late(1);
        assert_eq!(store.load(load()).await.unwrap().len(), 1);
        late(3600);
        let all = crate::store::CountRequest::new(model(), crate::query::Filter::all());
        store.count(all).await.unwrap();
        late(9);
        store.ready(Duration::from_secs(10)).await.unwrap();
        late(9);
        let patient = BeginOptions::new().wait(Duration::from_secs(10));
        store.transact().unwrap().begin(patient).await.unwrap();
    }

    #[test]
    fn needs_no_runtime_for_calls_that_end_at_once() {
        let store = TimeoutLayer::default().wrap(FakeStore::new());
        let reply = futures_util::FutureExt::now_or_never(store.load(load()));
        assert!(matches!(reply, Some(Ok(_))));
    }

    #[test]
    fn operations_have_the_limit_of_their_class_unless_set() {
        let options = TimeoutOptions::new().operation(Operation::Find, Some(LIMIT));
        assert_eq!(options.limit(Operation::Find), Some(LIMIT));
        assert_eq!(
            options.limit(Operation::Load),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            options.limit(Operation::Bulk),
            Some(Duration::from_secs(300))
        );
    }
}
