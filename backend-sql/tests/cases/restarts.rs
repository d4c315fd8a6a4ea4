//! A server that is stopped and started again under writers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use strongroom_core::error::{Error, ErrorKind};
use strongroom_core::layers::{LayerOptions, default_stack};
use strongroom_core::model::{Body, Expected, Key, Model, Version};
use strongroom_core::patch::Patch;
use strongroom_core::store::{
    BeginOptions, EnsureRequest, LoadRequest, SaveRequest, Schema, Store, Write,
};

use crate::support::own::{OwnServer, Stop};
use crate::support::{Options, SqlStore};

/// How many writers there are, each with documents of its own.
const WRITERS: usize = 6;
/// How many writes are acknowledged between one restart and the next.
const BETWEEN: usize = 150;
/// How long those may take, and the server to come back, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn restarts() -> usize {
    let full = std::env::var_os("STRONGROOM_FULL").is_some_and(|value| value == "1");
    if full { 20 } else { 3 }
}

#[derive(Debug, Default)]
struct Progress {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
    /// Commits of which the server told nothing in time.
    unknown: AtomicUsize,
}

/// One that has its documents for itself.
struct Writer {
    store: Arc<dyn Store>,
    model: Arc<Model>,
    progress: Arc<Progress>,
}

type State = Option<(Version, i64)>;

impl Writer {
    async fn save(&self, write: Write) -> Result<Version, Error> {
        let saved = self.store.save(SaveRequest::new(self.model.clone(), write));
        Ok(saved.await?.version.unwrap())
    }

    /// Writes two documents in one transaction.
    async fn transact(&self, writes: [Write; 2]) -> Result<Version, Error> {
        let transact = self.store.transact().unwrap();
        let transaction = transact.begin(BeginOptions::new()).await?;
        let mut versions = Vec::new();
        for write in writes {
            let saved = transaction.save(SaveRequest::new(self.model.clone(), write));
            versions.push(saved.await?.version.unwrap());
        }
        transaction.commit().await?;
        Ok(versions.pop().unwrap())
    }

    /// What a document holds, as soon as the server tells.
    async fn state(&self, key: &Key) -> State {
        loop {
            let load = LoadRequest::new(self.model.clone(), vec![key.clone()]);
            match self.store.load(load).await {
                Ok(found) => {
                    let found = found.into_iter().next().unwrap()?;
                    let n = found.body.to_object().unwrap()["n"].as_i64().unwrap();
                    return Some((found.version, n));
                }
                Err(error) if error.is_retryable() => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("a load of {key} failed: {error:?}"),
            }
        }
    }

    /// Writes in every way until it is told to stop, and checks each verdict.
    async fn write(self, number: usize) {
        let [one, two] = ["one", "two"].map(|id| Key::new(format!("{id}-{number}")).unwrap());
        let mut state = self.state(&one).await;
        let mut beside = self.state(&two).await;
        let mut round = 0_i64;
        let mut created = Vec::new();
        while !self.progress.stop.load(Ordering::SeqCst) {
            round += 1;
            let put = |key: &Key, n: i64, expected: Expected| {
                let body = Body::parse(format!(r#"{{"n":{n}}}"#)).unwrap();
                Write::put(key.clone(), body, expected)
            };
            let count = |expected: Expected| {
                let patch = Patch::new().increment("n".parse().unwrap(), 1);
                Write::patch(one.clone(), patch, expected)
            };
            let other = Key::new(format!("new-{number}-{round}")).unwrap();
            let (write, was, then) = match (round % 6, state) {
                (0, _) => (put(&other, round, Expected::Absent), None, round),
                (_, None) => (put(&one, round, Expected::Absent), state, round),
                (1, Some((version, _))) => (put(&one, round, version.into()), state, round),
                (2, Some((version, n))) => (count(version.into()), state, n + 1),
                (3 | 4, Some((_, n))) => (count(Expected::Present), state, n + 1),
                (_, Some(_)) => (put(&one, round, Expected::Any), state, round),
            };
            let key = write.key.clone();
            let together = round % 6 == 4;
            let about = format!("{write:?}, with another: {together}");
            let outcome = if together {
                let first = put(&two, round, Expected::Any);
                self.transact([first, write]).await
            } else {
                self.save(write).await
            };
            let is = self.state(&key).await;
            let (beside_was, number_of) = (beside, |state: State| state.map(|(_, n)| n));
            if together {
                beside = self.state(&two).await;
                // Both or none.
                assert_eq!(
                    number_of(beside) == Some(round),
                    is != was,
                    "{about}: {outcome:?}"
                );
            }
            match outcome {
                Ok(version) => {
                    self.progress.acknowledged.fetch_add(1, Ordering::SeqCst);
                    assert_eq!(is, Some((version, then)), "{about} was acknowledged");
                    if key == other {
                        created.push((key.clone(), is));
                    }
                }
                Err(error) if together && error.kind() == ErrorKind::Indeterminate => {
                    self.progress.unknown.fetch_add(1, Ordering::SeqCst);
                }
                Err(error) => {
                    self.progress.refused.fetch_add(1, Ordering::SeqCst);
                    let fair = [
                        ErrorKind::Unavailable,
                        ErrorKind::Timeout,
                        ErrorKind::Contended,
                        ErrorKind::Cancelled,
                    ];
                    // Only a transaction is doomed by what broke before.
                    let fair = if together { &fair[..] } else { &fair[..3] };
                    assert!(fair.contains(&error.kind()), "{about}: {error:?}");
                    assert_eq!(is, was, "{about} was refused: {error:?}");
                    assert_eq!(beside, beside_was, "{about} was refused: {error:?}");
                }
            }
            if key == one {
                state = is;
            }
        }
        assert_eq!(self.state(&one).await, state);
        assert_eq!(self.state(&two).await, beside);
        for (key, state) in created {
            assert_eq!(self.state(&key).await, state, "{key} in the end");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_told_wrongly() {
    let mut server = OwnServer::new().await;
    server.start().await;
    let options = Options::from_url(&server.url("127.0.0.1")).unwrap();
    let store = SqlStore::connect(options).await.unwrap();
    let mut layers = LayerOptions::new();
    // Once the server is back it tells what became of every write.
    layers.retry.resolve_within = PATIENCE;
    let store = default_stack(Arc::new(store), &layers);
    let model = Model::builder("restarted").build().unwrap();
    let ensured = store.ensure(EnsureRequest::new(model.clone())).await;
    assert!(ensured.unwrap().created);
    let progress = Arc::new(Progress::default());
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let writer = Writer {
                store: store.clone(),
                model: model.clone(),
                progress: progress.clone(),
            };
            tokio::spawn(writer.write(number))
        })
        .collect();
    let acknowledged = || progress.acknowledged.load(Ordering::SeqCst);
    for round in 0..=restarts() {
        if round > 0 {
            server
                .stop(if round % 3 == 0 {
                    Stop::Orderly
                } else {
                    Stop::Crash
                })
                .await;
            server.start().await;
        }
        let (before, deadline) = (acknowledged(), Instant::now() + PATIENCE);
        while acknowledged() < before + BETWEEN {
            let failed = writers.iter().any(tokio::task::JoinHandle::is_finished);
            assert!(!failed && Instant::now() < deadline, "no writes any more");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    progress.stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    println!("{} restarts: {progress:?}", restarts());
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_server_is_waited_for_until_it_is_ready() {
    let mut server = OwnServer::new().await;
    server.start().await;
    let options = Options::from_url(&server.url("127.0.0.1")).unwrap();
    let store = SqlStore::connect(options).await.unwrap();
    server.stop(Stop::Orderly).await;
    let late = store.ready(Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout, "{late:?}");
    assert!(late.to_string().contains("300 ms"), "{late}");
    let waiting = store.clone();
    let waiting = tokio::spawn(async move { waiting.ready(PATIENCE).await });
    server.start().await;
    waiting.await.unwrap().unwrap();
    store.close().await.unwrap();
    let began = Instant::now();
    let closed = store.ready(PATIENCE).await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Unavailable, "{closed:?}");
    assert!(began.elapsed() < PATIENCE);
}
