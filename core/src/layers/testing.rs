//! A small store for the layers' own tests: it does what its script says, call by call, and
//! remembers which writes took effect.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Operation, Result};
use crate::model::{Body, CollectionName, Expected, Key, Model, RawDocument, Version, WriteId};
use crate::store::*;

/// What happens to one call.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    /// Writes of others that come just before it.
    pub(super) before: Vec<Write>,
    pub(super) fault: Fault,
    /// Writes of others that come just after it took effect, before the reply.
    pub(super) after: Vec<Write>,
}

impl Step {
    pub(super) fn fault(fault: Fault) -> Self {
        Self {
            fault,
            ..Self::default()
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) enum Fault {
    #[default]
    None,
    /// The call has no effect and this is the reply.
    Before(ErrorKind),
    /// The call takes effect and this is the reply.
    After(ErrorKind),
    /// No effect, no reply.
    Hang,
    /// The call takes effect, no reply comes.
    HangAfter,
    /// The reply comes late.
    Delay(Duration),
    /// For bulks: each item's own fault, and none for the rest.
    Items(Vec<Fault>),
}

#[derive(Clone, Debug)]
struct Stored {
    version: Version,
    write_id: WriteId,
    body: Body,
    at: Instant,
}

/// A write that took effect.
#[derive(Clone, Debug)]
pub(super) struct Applied {
    pub(super) write_id: WriteId,
    pub(super) key: Key,
    /// What it made; `None` for a delete.
    pub(super) version: Option<Version>,
}

#[derive(Debug, Default)]
struct State {
    docs: BTreeMap<Key, Stored>,
    applied: Vec<Applied>,
    script: VecDeque<Step>,
    calls: Vec<Operation>,
    incarnations: u32,
    provable_deletes: bool,
}

#[derive(Debug)]
pub(super) struct FakeStore {
    state: Arc<Mutex<State>>,
    capabilities: Capabilities,
}

impl FakeStore {
    pub(super) fn new() -> Arc<Self> {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Capabilities)) -> Arc<Self> {
        let mut capabilities = Capabilities::new("fake");
        capabilities.transactions = true;
        capabilities.savepoints = true;
        capabilities.atomic_bulk = true;
        capabilities.unique_fields = true;
        change(&mut capabilities);
        let state = State {
            provable_deletes: capabilities.provable_deletes,
            ..State::default()
        };
        Arc::new(Self {
            state: Arc::new(Mutex::new(state)),
            capabilities,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Forgets what is left of the script.
    pub(super) fn end_script(&self) {
        self.state().script.clear();
    }

    /// Adds steps for the next calls.
    pub(super) fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.state().script.extend(steps);
    }

    /// The operations called so far.
    pub(super) fn calls(&self) -> Vec<Operation> {
        self.state().calls.clone()
    }

    /// The writes that took effect, in order.
    pub(super) fn applied(&self) -> Vec<Applied> {
        self.state().applied.clone()
    }

    /// How often a write took effect.
    pub(super) fn times_applied(&self, id: WriteId) -> usize {
        let applied = &self.state().applied;
        applied.iter().filter(|a| a.write_id == id).count()
    }

    /// Writes past all layers and scripts.
    pub(super) fn write(&self, write: &Write) -> Result<Receipt> {
        self.state().apply(write)
    }

    /// What a write would come to, tried on a copy.
    pub(super) fn rehearse(&self, copy: &Self, write: &Write) -> Result<Receipt> {
        {
            let (from, mut to) = (self.state(), copy.state());
            to.docs.clone_from(&from.docs);
            to.incarnations = from.incarnations;
        }
        copy.write(write)
    }

    /// The version and body under a key, past all layers and scripts.
    pub(super) fn peek(&self, key: &Key) -> Option<(Version, WriteId, Body)> {
        let state = self.state();
        let doc = state.docs.get(key)?;
        Some((doc.version, doc.write_id, doc.body.clone()))
    }

    async fn call<T>(
        &self,
        operation: Operation,
        work: impl FnOnce(&mut State, &Fault) -> Result<T>,
    ) -> Result<T> {
        let error = |kind| {
            // Nothing is unknown of a read.
            Error::new(
                match kind {
                    ErrorKind::Indeterminate if !operation.is_write() => ErrorKind::Unavailable,
                    kind => kind,
                },
                "scripted",
            )
        };
        let (reply, fault) = {
            let mut state = self.state();
            state.calls.push(operation);
            let step = state.script.pop_front().unwrap_or_default();
            for write in &step.before {
                let _ = state.apply(write);
            }
            let reply = match step.fault {
                Fault::Before(kind) => Err(error(kind)),
                Fault::Hang => Err(error(ErrorKind::Internal)),
                _ => work(&mut state, &step.fault),
            };
            for write in &step.after {
                let _ = state.apply(write);
            }
            (reply, step.fault)
        };
        match fault {
            Fault::After(kind) => Err(error(kind)),
            Fault::Hang | Fault::HangAfter => std::future::pending().await,
            Fault::Delay(delay) => {
                tokio::time::sleep(delay).await;
                reply
            }
            _ => reply,
        }
    }
}

impl State {
    fn check(&self, key: &Key, expected: Expected, creates: bool) -> Result<Option<Version>> {
        let there = self.docs.get(key).map(|doc| doc.version);
        match (expected, there) {
            (Expected::Absent, Some(actual)) => {
                Err(Error::already_exists(key.clone(), Some(actual)))
            }
            (Expected::Exactly(wanted), Some(actual)) if wanted != actual => {
                Err(Error::conflict(key.clone(), expected, Some(actual)))
            }
            (Expected::Present | Expected::Exactly(_), None) => Err(Error::not_found(key.clone())),
            (Expected::Any, None) if !creates => Err(Error::not_found(key.clone())),
            _ => Ok(there),
        }
    }

    fn apply(&mut self, write: &Write) -> Result<Receipt> {
        let creates = !matches!(write.action, Action::Patch(_));
        let mut applied = self.applied.iter();
        if self.provable_deletes
            && applied.any(|a| a.write_id == write.write_id && a.version.is_none())
        {
            return Ok(Receipt::without_version(Effect::Deleted));
        }
        let there = self.check(&write.key, write.expected, creates)?;
        let body = match &write.action {
            Action::Put(body) => body.clone(),
            // The counter stands for any patch that must not be applied twice.
            Action::Patch(_) => {
                let old = self.docs.get(&write.key).map_or(0, |doc| count(&doc.body));
                counter(old + 1)
            }
            Action::Delete => {
                if there.is_none() {
                    return Ok(Receipt::without_version(Effect::Absent));
                }
                self.docs.remove(&write.key);
                self.note(write, None);
                return Ok(Receipt::without_version(Effect::Deleted));
            }
        };
        let effect = match (&write.action, there) {
            (Action::Patch(_), _) => Effect::Patched,
            (_, None) => Effect::Created,
            (_, Some(_)) => Effect::Replaced,
        };
        let version = match there {
            Some(version) => version.next()?,
            None => {
                self.incarnations += 1;
                Version::first(self.incarnations)
            }
        };
        let stored = Stored {
            version,
            write_id: write.write_id,
            body,
            at: Instant::now(),
        };
        self.docs.insert(write.key.clone(), stored);
        self.note(write, Some(version));
        Ok(Receipt::written(effect, version))
    }

    fn note(&mut self, write: &Write, version: Option<Version>) {
        self.applied.push(Applied {
            write_id: write.write_id,
            key: write.key.clone(),
            version,
        });
    }

    fn item(&mut self, item: &BulkItem) -> Result<Receipt> {
        match item {
            BulkItem::Write(write) => self.apply(write),
            BulkItem::Check { key, expected } => self
                .check(key, *expected, true)
                .map(|_| Receipt::without_version(Effect::Checked)),
        }
    }

    fn bulk(&mut self, request: &BulkRequest, fault: &Fault) -> BulkReply {
        let faults = match fault {
            Fault::Items(faults) => faults.as_slice(),
            _ => &[],
        };
        let (docs, applied) = (self.docs.clone(), self.applied.clone());
        let mut outcomes = Vec::new();
        for (at, item) in request.items.iter().enumerate() {
            let scripted = |kind| Err(Error::new(kind, "scripted"));
            outcomes.push(match faults.get(at) {
                Some(Fault::Before(kind)) => scripted(*kind),
                Some(Fault::After(kind)) => {
                    let _ = self.item(item);
                    scripted(*kind)
                }
                _ => self.item(item),
            });
        }
        if request.atomic && outcomes.iter().any(Result::is_err) {
            (self.docs, self.applied) = (docs, applied);
            for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_ok()) {
                *outcome = Err(Error::new(ErrorKind::Cancelled, "rolled back"));
            }
        }
        BulkReply::new(outcomes)
    }
}

#[async_trait]
impl Load for FakeStore {
    async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>> {
        self.call(Operation::Load, |state, _| {
            let load = |key: &Key| {
                state.docs.get(key).map(|doc| {
                    RawDocument::new(key.clone(), doc.version, doc.body.clone())
                        .with_write_id(doc.write_id)
                        .with_age(doc.at.elapsed())
                })
            };
            Ok(request.keys.iter().map(load).collect())
        })
        .await
    }
}

#[async_trait]
impl Save for FakeStore {
    async fn save(&self, request: SaveRequest) -> Result<Receipt> {
        self.call(Operation::Save, |state, _| state.apply(&request.write))
            .await
    }
}

#[async_trait]
impl Bulk for FakeStore {
    async fn bulk(&self, request: BulkRequest) -> Result<BulkReply> {
        self.call(Operation::Bulk, |state, fault| {
            Ok(state.bulk(&request, fault))
        })
        .await
    }
}

#[async_trait]
impl Search for FakeStore {
    async fn find(&self, _: FindRequest) -> Result<Page> {
        self.call(Operation::Find, |_, _| Ok(Page::new(Vec::new(), None)))
            .await
    }

    async fn count(&self, _: CountRequest) -> Result<u64> {
        self.call(Operation::Count, |_, _| Ok(0)).await
    }

    async fn aggregate(&self, _: AggregateRequest) -> Result<AggregateReply> {
        Err(Error::unsupported("aggregations"))
    }

    async fn group(&self, _: GroupRequest) -> Result<Groups> {
        Err(Error::unsupported("groups"))
    }

    async fn scan(&self, _: ScanRequest) -> Result<Box<dyn Scan>> {
        Err(Error::unsupported("scans"))
    }

    async fn write_matching(&self, _: MatchingRequest) -> Result<MatchingReply> {
        Err(Error::unsupported("writes of what matches"))
    }

    async fn explain(&self, _: ExplainRequest) -> Result<Explanation> {
        Err(Error::unsupported("explanations"))
    }
}

#[async_trait]
impl Schema for FakeStore {
    async fn ensure(&self, _: EnsureRequest) -> Result<EnsureReport> {
        self.call(Operation::Ensure, |_, _| Ok(EnsureReport::default()))
            .await
    }

    async fn describe(&self, _: CollectionName) -> Result<Option<CollectionDescription>> {
        self.call(Operation::Describe, |_, _| Ok(None)).await
    }

    async fn drop_collection(&self, _: CollectionName) -> Result<bool> {
        self.call(Operation::DropCollection, |_, _| Ok(false)).await
    }

    async fn refresh(&self, _: CollectionName) -> Result<()> {
        self.call(Operation::Refresh, |_, _| Ok(())).await
    }

    async fn ready(&self, _: Duration) -> Result<Health> {
        self.call(Operation::Ready, |_, _| Ok(Health::Ready)).await
    }

    async fn server_info(&self) -> Result<ServerInfo> {
        self.call(Operation::ServerInfo, |_, _| {
            Ok(ServerInfo::new("fake", "1"))
        })
        .await
    }
}

#[async_trait]
impl Store for FakeStore {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn transact(&self) -> Option<Arc<dyn Transact>> {
        Some(Arc::new(Self {
            state: Arc::clone(&self.state),
            capabilities: self.capabilities.clone(),
        }))
    }

    async fn close(&self) -> Result<()> {
        self.call(Operation::Close, |_, _| Ok(())).await
    }
}

/// Its transactions are none: they only pass calls through.
#[async_trait]
impl Transact for FakeStore {
    async fn begin(&self, _: BeginOptions) -> Result<Arc<dyn Transaction>> {
        self.call(Operation::Begin, |_, _| {
            Ok(Arc::new(Self {
                state: Arc::clone(&self.state),
                capabilities: self.capabilities.clone(),
            }) as Arc<dyn Transaction>)
        })
        .await
    }
}

#[async_trait]
impl Transaction for FakeStore {
    async fn commit(&self) -> Result<()> {
        self.call(Operation::Commit, |_, _| Ok(())).await
    }

    async fn rollback(&self) -> Result<()> {
        self.call(Operation::Rollback, |_, _| Ok(())).await
    }

    fn abandon(&self) {}
}

pub(super) fn counter(n: i64) -> Body {
    Body::encode(&serde_json::json!({ "n": n })).unwrap()
}

pub(super) fn count(body: &Body) -> i64 {
    body.decode::<serde_json::Value>().unwrap()["n"]
        .as_i64()
        .unwrap()
}

pub(super) fn model() -> Arc<Model> {
    Model::builder("counters").build().unwrap()
}

pub(super) fn key(id: &str) -> Key {
    Key::new(id).unwrap()
}
