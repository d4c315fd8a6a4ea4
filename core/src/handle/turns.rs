//! Taking turns at a document that several updates of one process want at once.
//!
//! An update that met a conflict waits for its turn before it tries again, those before it have
//! theirs one after another, and those that come later wait behind it. A document that no one met
//! a conflict at has no queue. That is courtesy and no guard: what is saved is guarded by its
//! version alone, and writers of other processes know nothing of turns. Without it most of the
//! attempts at a popular document are lost, and whoever waits longest between two attempts loses
//! most of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as FairMutex, OwnedMutexGuard};

use crate::model::{CollectionName, Key};

type Document = (CollectionName, Key);

/// The documents that updates take turns at.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Queues>);

#[derive(Default)]
struct Queues {
    open: Mutex<HashMap<Document, Arc<FairMutex<()>>>>,
    /// How many are open, so that updates without competitors take no lock to find out.
    count: AtomicUsize,
}

impl Queues {
    fn lock(&self) -> MutexGuard<'_, HashMap<Document, Arc<FairMutex<()>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue of a document, and at its end the turn. Dropping it gives up either.
pub(crate) struct Turn {
    turns: Turns,
    document: Document,
    queue: Arc<FairMutex<()>>,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Whether someone has the turn at a document, or waits for it.
    pub(crate) fn are_taken(&self, document: &Document) -> bool {
        self.0.count.load(Ordering::Relaxed) > 0 && self.0.lock().contains_key(document)
    }

    /// Waits for the turn at a document, at most as long as given: then it goes on without.
    pub(crate) async fn take(&self, document: Document, patience: Duration) -> Turn {
        let queue = {
            let mut queues = self.0.lock();
            let queue = queues.entry(document.clone()).or_default().clone();
            self.0.count.store(queues.len(), Ordering::Relaxed);
            queue
        };
        // Made before the wait, so that a future that is dropped waiting leaves no queue behind.
        let mut turn = Turn {
            turns: self.clone(),
            document,
            queue,
            held: None,
        };
        let wait = turn.queue.clone().lock_owned();
        turn.held = tokio::time::timeout(patience, wait).await.ok();
        turn
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        assert_eq!(self.0.count.load(Ordering::Relaxed), self.0.lock().len());
        self.0.lock().len()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.held = None;
        let queues = &self.turns.0;
        let mut open = queues.lock();
        // Places are only taken under the lock: two references mean the map's and this one.
        if Arc::strong_count(&self.queue) <= 2 {
            open.remove(&self.document);
            queues.count.store(open.len(), Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.lock().keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_come_in_order_and_leave_nothing_behind() {
        let turns = Turns::default();
        let document: Document = ("a".parse().unwrap(), Key::new("x").unwrap());
        let other: Document = ("b".parse().unwrap(), Key::new("x").unwrap());
        let long = Duration::from_secs(60);
        assert!(!turns.are_taken(&document));
        let first = turns.take(document.clone(), long).await;
        assert!(first.held.is_some());
        assert!(turns.are_taken(&document) && !turns.are_taken(&other));
        let elsewhere = turns.take(other, long).await;
        assert!(elsewhere.held.is_some());
        let mut second = Box::pin(turns.take(document.clone(), long));
        assert!(second.as_mut().now_or_never().is_none());
        let mut third = Box::pin(turns.take(document.clone(), long));
        assert!(third.as_mut().now_or_never().is_none());
        let impatient = turns.take(document.clone(), Duration::from_millis(5)).await;
        assert!(impatient.held.is_none());
        drop((first, impatient));
        assert!(third.as_mut().now_or_never().is_none());
        let second = second.await;
        drop(third);
        assert_eq!(turns.len(), 2);
        drop((second, elsewhere));
        assert_eq!(turns.len(), 0);
    }
}
