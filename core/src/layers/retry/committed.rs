//! What transactions wrote, for the memory of versions.
//!
//! The layer leaves the calls of a transaction as they are. But a write that comes after its commit
//! and whose reply is lost is found out about by the version that the transaction left. So those
//! are [noted](Recent) when it is committed, and not before: until then they are nobody's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use super::recent::Recent;
use crate::error::{Operation, Result};
use crate::layers::intercept::Layered;
use crate::layers::{Call, Enter, Intercept, Reply, Request};
use crate::model::{CollectionName, Key, Version};
use crate::store::{Receipt, Transaction};

/// Keeps what a transaction wrote until it is committed.
#[derive(Debug)]
pub(super) struct Committed {
    recent: Arc<Recent>,
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    versions: Vec<(CollectionName, Key, Version)>,
    /// How much was written when each open savepoint began. One that is dropped does not tell, so
    /// there may be more than are open.
    savepoints: Vec<usize>,
}

/// What a call leads to once it succeeds.
pub(super) enum Then {
    /// Its versions are kept.
    Keep(CollectionName, Vec<Key>),
    /// All that were kept are noted.
    Note,
}

impl Committed {
    /// The transaction, whose versions go to `recent`.
    pub(super) fn of(
        transaction: Arc<dyn Transaction>,
        recent: &Arc<Recent>,
    ) -> Arc<dyn Transaction> {
        let layer = Self {
            recent: Arc::clone(recent),
            written: Mutex::default(),
        };
        Layered::around(layer, transaction)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep<'r>(
        &self,
        collection: &CollectionName,
        receipts: impl Iterator<Item = (Key, &'r Receipt)>,
    ) {
        let mut written = self.written();
        for (key, receipt) in receipts {
            // What is lost is only evidence.
            if let Some(version) = receipt.version
                && Recent::is_worth(written.versions.len() + 1)
            {
                written.versions.push((collection.clone(), key, version));
            }
        }
    }
}

impl Intercept for Committed {
    type Scope = Then;

    fn enter(&self, call: &Call<'_>) -> Enter<Then> {
        let keys = match call.request {
            Request::Save(request) => vec![request.write.key.clone()],
            Request::Bulk(request) if Recent::is_worth(request.items.len()) => request
                .items
                .iter()
                .map(|item| item.key().clone())
                .collect(),
            _ => Vec::new(),
        };
        if let (false, Some(collection)) = (keys.is_empty(), call.collection()) {
            return Enter::Around(Then::Keep(collection.clone(), keys));
        }
        let mut written = self.written();
        match call.operation {
            Operation::Begin => {
                let before = written.versions.len();
                written.savepoints.push(before);
            }
            Operation::Commit if written.savepoints.pop().is_none() => {
                return Enter::Around(Then::Note);
            }
            Operation::Rollback => {
                let before = written.savepoints.pop().unwrap_or_default();
                written.versions.truncate(before);
            }
            _ => {}
        }
        Enter::Pass
    }

    async fn around<T: Reply>(&self, then: Then, inner: BoxFuture<'_, Result<T>>) -> Result<T> {
        let mut reply = inner.await?;
        match then {
            Then::Keep(collection, keys) => {
                if let (Some(receipt), [key]) = (reply.receipt(), keys.as_slice()) {
                    self.keep(&collection, [(key.clone(), receipt)].into_iter());
                } else if let Some(outcomes) = reply.outcomes() {
                    let done = keys.into_iter().zip(outcomes);
                    let done =
                        done.filter_map(|(key, outcome)| Some((key, outcome.as_ref().ok()?)));
                    self.keep(&collection, done);
                }
            }
            Then::Note => {
                for (collection, key, version) in self.written().versions.drain(..) {
                    self.recent.note(&collection, &key, version);
                }
            }
        }
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::layers::testing::{counter, key, model};
    use crate::memory::MemoryStore;
    use crate::model::Expected;
    use crate::store::{
        BeginOptions, BulkRequest, EnsureRequest, SaveRequest, Schema as _, Store as _, Write,
    };

    fn put(id: &str) -> Write {
        Write::put(key(id), counter(1), Expected::Any)
    }

    /// What is known of the documents after a transaction that wrote `a`, in a savepoint `b` and
    /// in a bulk `c` and `d`.
    async fn known_after(commit: bool, drops_savepoint: bool) -> Vec<bool> {
        let store = MemoryStore::new();
        store.ensure(EnsureRequest::new(model())).await.unwrap();
        let recent = Arc::new(Recent::new());
        let transact = store.transact().unwrap();
        let begun = transact.begin(BeginOptions::new()).await.unwrap();
        let transaction = Committed::of(begun, &recent);
        let mut versions = Vec::new();
        let saved = transaction.save(SaveRequest::new(model(), put("a"))).await;
        versions.push(("a", saved.unwrap().version));
        let savepoints = transaction.transact().unwrap();
        if drops_savepoint {
            drop(savepoints.begin(BeginOptions::new()).await.unwrap());
        }
        let savepoint = savepoints.begin(BeginOptions::new()).await.unwrap();
        let saved = savepoint.save(SaveRequest::new(model(), put("b"))).await;
        versions.push(("b", saved.unwrap().version));
        savepoint.commit().await.unwrap();
        let items = ["c", "d"].map(|id| put(id).into()).to_vec();
        let bulk = transaction
            .bulk(BulkRequest::new(model(), items))
            .await
            .unwrap();
        for (id, outcome) in ["c", "d"].into_iter().zip(bulk.outcomes) {
            versions.push((id, outcome.unwrap().version));
        }
        let known = || {
            let known = versions.iter().map(|(id, version)| {
                let name = model();
                recent.was_there(name.name(), &key(id), version.unwrap(), Instant::now())
            });
            known.collect::<Vec<_>>()
        };
        assert_eq!(known(), [false; 4], "nothing is committed yet");
        match commit {
            true => transaction.commit().await.unwrap(),
            false => transaction.rollback().await.unwrap(),
        }
        known()
    }

    #[tokio::test]
    async fn what_a_savepoint_took_back_is_not_known() {
        let store = MemoryStore::new();
        store.ensure(EnsureRequest::new(model())).await.unwrap();
        let recent = Arc::new(Recent::new());
        let transact = store.transact().unwrap();
        let begun = transact.begin(BeginOptions::new()).await.unwrap();
        let transaction = Committed::of(begun, &recent);
        let before = transaction.save(SaveRequest::new(model(), put("a"))).await;
        let savepoints = transaction.transact().unwrap();
        let savepoint = savepoints.begin(BeginOptions::new()).await.unwrap();
        let within = savepoint.save(SaveRequest::new(model(), put("b"))).await;
        savepoint.rollback().await.unwrap();
        transaction.commit().await.unwrap();
        let known = |id: &str, saved: Result<Receipt>| {
            let version = saved.unwrap().version.unwrap();
            recent.was_there(model().name(), &key(id), version, Instant::now())
        };
        assert!(known("a", before));
        assert!(!known("b", within));
    }

    #[tokio::test]
    async fn versions_are_known_once_they_are_committed() {
        assert_eq!(known_after(true, false).await, [true; 4]);
        assert_eq!(known_after(false, false).await, [false; 4]);
        // A commit is not told from that of a savepoint any more: less is known, and nothing wrong.
        assert_eq!(known_after(true, true).await, [false; 4]);
    }
}
