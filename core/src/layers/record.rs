//! A log of calls, for tests that count I/O and for a look at what a program asks of its store.
//!
//! The layer goes directly around the adapter, so that it sees what truly reaches it, retries and
//! look-ups included; around the whole stack it sees what the handles ask for.
//!
//! Bodies are left out unless asked for, and then the secret fields of the model are replaced by
//! [`REDACTED`]. Of patches only the paths are recorded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::{Call, Enter, Intercept, Reply, Request};
use crate::error::{ErrorKind, Operation, Result};
use crate::model::{Body, CollectionName, Expected, Key, Model};
use crate::store::{Action, BulkItem, Write};

/// What stands for the value of a secret field in a recorded body.
pub const REDACTED: &str = "[redacted]";

/// How many calls a recorder keeps unless told otherwise.
const CAPACITY: usize = 10_000;

/// Whether bodies are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordBodies {
    /// They are not.
    #[default]
    Omit,
    /// They are, without the values of secret fields.
    Redacted,
}

/// One recorded call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecordedCall {
    /// What was called.
    pub operation: Operation,
    /// The collection that was addressed, if one was.
    pub collection: Option<CollectionName>,
    /// The keys that were asked for or written, in order.
    pub keys: Vec<Key>,
    /// The writes and checks, in order of the keys; empty for reads.
    pub writes: Vec<RecordedWrite>,
    /// Whether it was part of a transaction.
    pub in_transaction: bool,
    /// How it ended.
    pub outcome: RecordedOutcome,
}

/// One write, or check, of a recorded call.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecordedWrite {
    /// `put`, `patch`, `delete` or `check`.
    pub action: &'static str,
    /// What it expected.
    pub expected: Expected,
    /// The body of a put, if bodies are recorded.
    pub body: Option<Value>,
    /// The paths that a patch changes and how, as its `Debug` form has them.
    pub patch: Option<String>,
}

/// How a recorded call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordedOutcome {
    /// It succeeded.
    Ok,
    /// It was carried out, and some items failed: one entry per item.
    Items(Vec<Option<ErrorKind>>),
    /// It failed.
    Failed(ErrorKind),
    /// It was dropped before it ended.
    Dropped,
}

/// The log. Clones share it.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use strongroom_core::Operation;
/// use strongroom_core::layers::{Layer, RecordLayer, Recorder};
/// use strongroom_core::memory::MemoryStore;
/// use strongroom_core::store::Schema;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let recorder = Recorder::new();
/// let store = RecordLayer::new(recorder.clone()).wrap(Arc::new(MemoryStore::new()));
/// store.server_info().await?;
/// assert_eq!(recorder.count(Operation::ServerInfo), 1);
/// assert_eq!(recorder.calls().len(), 1);
/// # Ok::<(), strongroom_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Recorder {
    log: Arc<Mutex<Log>>,
}

#[derive(Debug)]
struct Log {
    calls: VecDeque<RecordedCall>,
    capacity: usize,
    lost: u64,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// An empty log that keeps the last 10,000 calls.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    /// An empty log that keeps the last `capacity` calls, at least one.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let log = Log {
            calls: VecDeque::new(),
            capacity: capacity.max(1),
            lost: 0,
        };
        Self {
            log: Arc::new(Mutex::new(log)),
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calls so far, in the order in which they ended.
    #[must_use]
    pub fn calls(&self) -> Vec<RecordedCall> {
        self.log().calls.iter().cloned().collect()
    }

    /// How many calls of an operation there were.
    #[must_use]
    pub fn count(&self, operation: Operation) -> usize {
        let log = self.log();
        let calls = log.calls.iter();
        calls.filter(|call| call.operation == operation).count()
    }

    /// How many calls were dropped from the log because it was full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.log().lost
    }

    /// Hands out the calls so far and forgets them.
    pub fn take(&self) -> Vec<RecordedCall> {
        let mut log = self.log();
        log.lost = 0;
        log.calls.drain(..).collect()
    }

    fn push(&self, call: RecordedCall) {
        let mut log = self.log();
        if log.calls.len() == log.capacity {
            log.calls.pop_front();
            log.lost += 1;
        }
        log.calls.push_back(call);
    }
}

/// Writes calls into a [`Recorder`].
#[derive(Clone, Debug)]
pub struct RecordLayer {
    recorder: Recorder,
    bodies: RecordBodies,
}

impl RecordLayer {
    /// A layer that records calls without bodies.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self {
            recorder,
            bodies: RecordBodies::Omit,
        }
    }

    /// Says whether bodies are recorded.
    #[must_use]
    pub fn bodies(mut self, bodies: RecordBodies) -> Self {
        self.bodies = bodies;
        self
    }

    fn write(&self, model: &Model, write: &Write) -> RecordedWrite {
        let (action, body, patch) = match &write.action {
            Action::Put(body) => {
                let body = match self.bodies {
                    RecordBodies::Omit => None,
                    RecordBodies::Redacted => redacted(model, body),
                };
                ("put", body, None)
            }
            Action::Patch(patch) => ("patch", None, Some(format!("{patch:?}"))),
            Action::Delete => ("delete", None, None),
        };
        RecordedWrite {
            action,
            expected: write.expected,
            body,
            patch,
        }
    }
}

/// A call under way. It is recorded when it is dropped, however it ends.
#[derive(Debug)]
pub struct Recording {
    recorder: Recorder,
    call: Option<RecordedCall>,
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            self.recorder.push(call);
        }
    }
}

impl Intercept for RecordLayer {
    type Scope = Recording;

    fn enter(&self, call: &Call<'_>) -> Enter<Recording> {
        let (keys, writes) = match call.request {
            Request::Load(request) => (request.keys.clone(), Vec::new()),
            Request::Save(request) => (
                vec![request.write.key.clone()],
                vec![self.write(&request.model, &request.write)],
            ),
            Request::Bulk(request) => {
                let writes = request.items.iter().map(|item| match item {
                    BulkItem::Write(write) => self.write(&request.model, write),
                    BulkItem::Check { expected, .. } => RecordedWrite {
                        action: "check",
                        expected: *expected,
                        body: None,
                        patch: None,
                    },
                });
                let keys = request.items.iter().map(|item| item.key().clone());
                (keys.collect(), writes.collect())
            }
            _ => (Vec::new(), Vec::new()),
        };
        Enter::Around(Recording {
            recorder: self.recorder.clone(),
            call: Some(RecordedCall {
                operation: call.operation,
                collection: call.collection().cloned(),
                keys,
                writes,
                in_transaction: call.in_transaction,
                outcome: RecordedOutcome::Dropped,
            }),
        })
    }

    async fn around<T: Reply>(
        &self,
        mut recording: Recording,
        inner: BoxFuture<'_, Result<T>>,
    ) -> Result<T> {
        let mut reply = inner.await;
        if let Some(call) = &mut recording.call {
            call.outcome = match &mut reply {
                Ok(reply) => {
                    let outcomes = reply.outcomes().unwrap_or_default().iter();
                    let kinds: Vec<_> = outcomes
                        .map(|outcome| outcome.as_ref().err().map(|error| error.kind()))
                        .collect();
                    if kinds.iter().any(Option::is_some) {
                        RecordedOutcome::Items(kinds)
                    } else {
                        RecordedOutcome::Ok
                    }
                }
                Err(error) => RecordedOutcome::Failed(error.kind()),
            };
        }
        reply
    }
}

/// The body without the values of secret fields, or nothing if it cannot be read.
fn redacted(model: &Model, body: &Body) -> Option<Value> {
    let mut value = body.decode::<Value>().ok()?;
    for field in model.fields().filter(|field| field.secret) {
        let path: Vec<&str> = field.path.segments().collect();
        redact(&mut value, &path);
    }
    Some(value)
}

fn redact(value: &mut Value, path: &[&str]) {
    match (value, path) {
        (Value::Array(elements), path) => {
            for element in elements {
                redact(element, path);
            }
        }
        (Value::Object(object), [name, rest @ ..]) => {
            if let Some(inner) = object.get_mut(*name) {
                if rest.is_empty() {
                    *inner = Value::String(REDACTED.to_owned());
                } else {
                    redact(inner, rest);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{FakeStore, Fault, Step, counter, key, model};
    use super::*;
    use crate::layers::Layer;
    use crate::model::{FieldDeclaration, Kind};
    use crate::patch::Patch;
    use crate::store::{BulkRequest, LoadRequest, SaveRequest, Store};

    #[tokio::test]
    async fn calls_are_kept_with_what_they_asked_and_how_they_ended() {
        let recorder = Recorder::new();
        let store = RecordLayer::new(recorder.clone()).wrap(FakeStore::new());
        let create = || Write::put(key("a"), counter(1), Expected::Absent);
        store
            .save(SaveRequest::new(model(), create()))
            .await
            .unwrap();
        store
            .save(SaveRequest::new(model(), create()))
            .await
            .unwrap_err();
        let begin = crate::store::BeginOptions::new();
        let transaction = store.transact().unwrap().begin(begin).await.unwrap();
        let secret = Patch::new().set("pin".parse().unwrap(), "4711");
        let items = vec![
            create().into(),
            Write::patch(key("b"), secret, Expected::Any).into(),
            BulkItem::Check {
                key: key("c"),
                expected: Expected::Any,
            },
        ];
        transaction
            .bulk(BulkRequest::new(model(), items))
            .await
            .unwrap();
        let calls = recorder.calls();
        let outcomes: Vec<_> = calls.iter().map(|call| &call.outcome).collect();
        assert_eq!(
            outcomes,
            [
                &RecordedOutcome::Ok,
                &RecordedOutcome::Failed(ErrorKind::AlreadyExists),
                &RecordedOutcome::Ok,
                &RecordedOutcome::Items(vec![
                    Some(ErrorKind::AlreadyExists),
                    Some(ErrorKind::NotFound),
                    None
                ]),
            ]
        );
        assert_eq!(calls[0].keys, [key("a")]);
        assert_eq!(calls[0].writes[0].expected, Expected::Absent);
        assert_eq!(calls[0].writes[0].body, None);
        assert!(!calls[0].in_transaction && calls[3].in_transaction);
        assert_eq!(calls[3].writes[1].patch.as_deref(), Some("[set pin]"));
        assert_eq!(calls[3].writes[2].action, "check");
        assert_eq!(recorder.count(Operation::Save), 2);
        assert!(!format!("{calls:?}").contains("4711"));
        assert_eq!(recorder.take().len(), 4);
        assert!(recorder.calls().is_empty());
    }

    #[tokio::test]
    async fn secrets_are_never_recorded() {
        let recorder = Recorder::new();
        let layer = RecordLayer::new(recorder.clone()).bodies(RecordBodies::Redacted);
        let store = layer.wrap(FakeStore::new());
        let secret = |path: &str, kind| FieldDeclaration::new(path.parse().unwrap(), kind).secret();
        let model = Model::builder("users")
            .field(secret("pin", Kind::Keyword))
            .field(secret("cards.number", Kind::Keyword))
            .field(secret("private", Kind::Object))
            .build()
            .unwrap();
        let body = json!({
            "name": "Ada",
            "pin": "s3cret",
            "cards": [{"number": "s3cret", "year": 1}, [{"number": ["s3cret"]}]],
            "private": {"diary": "s3cret"},
        });
        let body = Body::encode(&body).unwrap();
        let write = Write::put(key("a"), body, Expected::Any);
        store.save(SaveRequest::new(model, write)).await.unwrap();
        let call = &recorder.calls()[0];
        let recorded = call.writes[0].body.as_ref().unwrap();
        assert_eq!(recorded["name"], "Ada");
        assert_eq!(recorded["pin"], REDACTED);
        assert_eq!(recorded["cards"][0]["year"], 1);
        assert!(!recorded.to_string().contains("s3cret"), "{recorded}");
    }

    #[tokio::test]
    async fn dropped_calls_are_recorded_and_the_log_is_bounded() {
        let recorder = Recorder::with_capacity(2);
        let fake = FakeStore::new();
        let store = RecordLayer::new(recorder.clone()).wrap(fake.clone());
        let load = || LoadRequest::new(model(), vec![key("a")]);
        store.load(load()).await.unwrap();
        store.load(load()).await.unwrap();
        fake.script([Step::fault(Fault::Hang)]);
        assert!(futures_util::FutureExt::now_or_never(store.load(load())).is_none());
        assert_eq!(recorder.calls().len(), 2);
        assert_eq!(recorder.lost(), 1);
        assert_eq!(recorder.calls()[1].outcome, RecordedOutcome::Dropped);
    }
}
