//! Writers that know what was acknowledged to them, and what must be there in the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_core::model::{Body, Expected, Key, Model, RawDocument, Version};
use strongroom_core::patch::Patch;
use strongroom_core::store::{LoadRequest, SaveRequest, Store, Write};
use strongroom_core::{Error, ErrorKind};
use tokio::task::JoinSet;

/// How many writers have a document to themselves, of each kind.
const ALONE: usize = 6;
/// How many documents have several writers.
const SHARED: usize = 2;
/// How many writers a shared document has.
const RIVALS: usize = 4;
/// Each writer rests for so long after a write: the nodes share the machine with the writers.
const REST: Duration = Duration::from_millis(5);

/// A collection by way of a store.
#[derive(Clone)]
pub struct Way {
    pub store: Arc<dyn Store>,
    pub model: Arc<Model>,
}

impl Way {
    pub async fn save(&self, write: Write) -> Result<Version, Error> {
        let saved = self.store.save(SaveRequest::new(self.model.clone(), write));
        Ok(saved.await?.version.unwrap())
    }

    pub async fn put(
        &self,
        key: &Key,
        value: &Value,
        expected: impl Into<Expected>,
    ) -> Result<Version, Error> {
        let body = Body::encode(value).unwrap();
        self.save(Write::put(key.clone(), body, expected)).await
    }

    /// Loads, and loads again as long as the engine is away.
    pub async fn load(&self, key: &Key) -> Option<RawDocument> {
        loop {
            let load = LoadRequest::new(self.model.clone(), vec![key.clone()]);
            match self.store.load(load).await {
                Ok(mut found) => return found.remove(0),
                Err(error) if error.is_retryable() => tokio::time::sleep(REST).await,
                Err(error) => panic!("a load of {key} failed: {error:?}"),
            }
        }
    }
}

/// What a writer knows.
enum Account {
    /// The document has this number and this version, and nothing else.
    Alone(Key, i64, Version),
    /// The document has this number, whatever its version.
    Counted(Key, i64),
    /// All of these are there.
    Created(Vec<Key>),
    /// Of the shared document the writer's own count is the first, or more by at most the second.
    Rival(Key, String, i64, i64),
}

/// Writers at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    writers: JoinSet<Account>,
}

/// The state of one writer.
struct Writer {
    way: Way,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
}

pub fn number(document: &RawDocument) -> i64 {
    document.body.to_object().unwrap()["n"].as_i64().unwrap()
}

fn key(name: &str, n: usize) -> Key {
    Key::new(format!("{name}-{n}")).unwrap()
}

impl Load {
    /// Begins to write by several ways in turn.
    pub fn begin(ways: &[Way]) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            written: Arc::default(),
            writers: JoinSet::new(),
        };
        let mut turn = ways.iter().cycle();
        for n in 0..ALONE {
            let writer = load.writer(turn.next().unwrap());
            load.writers.spawn(writer.guarded(key("guarded", n)));
            let writer = load.writer(turn.next().unwrap());
            load.writers.spawn(writer.counting(key("counted", n)));
            let writer = load.writer(turn.next().unwrap());
            load.writers.spawn(writer.creating(n));
        }
        for n in 0..SHARED * RIVALS {
            let writer = load.writer(turn.next().unwrap());
            let rival = writer.rival(key("shared", n % SHARED), format!("w{n}"));
            load.writers.spawn(rival);
        }
        load
    }

    fn writer(&self, way: &Way) -> Writer {
        Writer {
            way: way.clone(),
            stop: self.stop.clone(),
            written: self.written.clone(),
        }
    }

    /// How many writes were acknowledged so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Lets so many more writes be acknowledged.
    pub async fn go_on(&self, writes: u64) {
        let until = self.written() + writes;
        super::nodes::wait_for("writes to go on", async || self.written() >= until).await;
    }

    /// Ends the load and compares what is there with what was acknowledged.
    pub async fn end(mut self, way: &Way) {
        self.stop.store(true, Ordering::SeqCst);
        let mut acknowledged = 0;
        let mut unknown = 0;
        while let Some(account) = self.writers.join_next().await {
            match account.unwrap() {
                Account::Alone(key, n, version) => {
                    let there = way.load(&key).await.unwrap();
                    assert_eq!((number(&there), there.version), (n, version), "{key}");
                    acknowledged += n;
                }
                Account::Counted(key, n) => {
                    let there = way.load(&key).await.unwrap();
                    assert_eq!(number(&there), n, "{key}");
                    acknowledged += n;
                }
                Account::Created(keys) => {
                    for (n, key) in (0..).zip(&keys) {
                        let there = way.load(key).await;
                        let there = there.unwrap_or_else(|| panic!("{key} is lost"));
                        assert_eq!(number(&there), n, "{key}");
                    }
                    acknowledged += i64::try_from(keys.len()).unwrap();
                }
                Account::Rival(key, name, least, open) => {
                    let there = way.load(&key).await.unwrap();
                    let count = there.body.to_object().unwrap()[&name].as_i64().unwrap();
                    let told = format!("{key}, {name}: {count}, acknowledged {least}, open {open}");
                    assert!((least..=least + open).contains(&count), "{told}");
                    acknowledged += least;
                    unknown += open;
                }
            }
        }
        assert!(acknowledged > 0);
        eprintln!(
            "{acknowledged} writes were acknowledged, of {unknown} between rivals nobody knows"
        );
    }
}

impl Writer {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    async fn rest(&self) {
        tokio::time::sleep(REST).await;
    }

    /// Goes on after what was not written; whatever else there is must not be where nobody else
    /// writes.
    async fn bear(&self, what: &str, error: Error) {
        assert!(error.is_retryable(), "{what}: {error:?}");
        self.rest().await;
    }

    fn acknowledged(&self) {
        self.written.fetch_add(1, Ordering::SeqCst);
    }

    /// Creates a document, or finds that it did.
    async fn create(&self, key: &Key, value: &Value) -> Version {
        loop {
            match self.way.put(key, value, Expected::Absent).await {
                Ok(version) => return version,
                Err(error) => self.bear("create", error).await,
            }
        }
    }

    /// Counts up under the version of its last write.
    async fn guarded(self, key: Key) -> Account {
        let mut n = 0;
        let mut version = self.create(&key, &json!({"n": n})).await;
        while !self.is_over() {
            match self.way.put(&key, &json!({"n": n + 1}), version).await {
                Ok(next) => {
                    (n, version) = (n + 1, next);
                    self.acknowledged();
                    self.rest().await;
                }
                Err(error) => self.bear(&format!("{key} at {n}"), error).await,
            }
        }
        Account::Alone(key, n, version)
    }

    /// Counts up by patches without a version.
    async fn counting(self, key: Key) -> Account {
        let mut n = 0;
        self.create(&key, &json!({"n": n})).await;
        while !self.is_over() {
            let patch = Patch::new().increment("n".parse().unwrap(), 1);
            let write = Write::patch(key.clone(), patch, Expected::Any);
            match self.way.save(write).await {
                Ok(_) => {
                    n += 1;
                    self.acknowledged();
                    self.rest().await;
                }
                Err(error) => self.bear(&format!("{key} at {n}"), error).await,
            }
        }
        Account::Counted(key, n)
    }

    /// Creates documents one after another.
    async fn creating(self, writer: usize) -> Account {
        let mut keys = Vec::new();
        while !self.is_over() {
            let key = Key::new(format!("created-{writer}-{}", keys.len())).unwrap();
            self.create(&key, &json!({"n": keys.len()})).await;
            keys.push(key);
            self.acknowledged();
            self.rest().await;
        }
        Account::Created(keys)
    }

    /// Counts up its own number in a document that others write as well.
    async fn rival(self, key: Key, name: String) -> Account {
        let (mut sure, mut open) = (0, 0);
        while !self.is_over() {
            let (body, expected) = match self.way.load(&key).await {
                Some(there) => {
                    let version = Expected::Exactly(there.version);
                    (Value::from(there.body.to_object().unwrap()), version)
                }
                None => (json!({}), Expected::Absent),
            };
            let mut body = body;
            let count = body[&name].as_i64().unwrap_or(0);
            // An open write may turn out to have been made, and never one that was not tried.
            assert!(
                (sure..=sure + open).contains(&count),
                "{key}, {name}: {count}"
            );
            body[&name] = (count + 1).into();
            match self.way.put(&key, &body, expected).await {
                Ok(_) => {
                    sure += 1;
                    self.acknowledged();
                }
                Err(error) if error.kind() == ErrorKind::Indeterminate => open += 1,
                Err(error) => {
                    let lost =
                        matches!(error.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists);
                    assert!(lost || error.is_retryable(), "{key}, {name}: {error:?}");
                }
            }
            self.rest().await;
        }
        Account::Rival(key, name, sure, open)
    }
}
