//! A queue of calls that joins those that come while others are in flight.
//!
//! A call that finds room is made at once, in its caller's own task: alone, it costs a lock and
//! nothing else. One that does not waits in the queue, and when a call in flight ends, all that
//! gathered meanwhile is sent together. So there is no timer, and batches grow with the load.
//!
//! Batches run in tasks of their own, so that a caller who goes away takes nothing from the
//! others; when all callers of a batch are gone, it is dropped.

use std::collections::{HashSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, Either, select};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::error::{Error, Result};
use crate::model::Key;

/// One call that may be joined with others.
pub(super) trait Job: Send + Sized + 'static {
    /// What its caller gets.
    type Reply: Send + 'static;

    /// The document that no other call in flight may be about.
    fn key(&self) -> Option<&Key>;

    /// Whether both may stand in one request.
    fn joins(&self, other: &Self) -> bool;

    /// How many items and bytes it adds to a request.
    fn size(&self) -> (usize, usize);

    /// What is told if nobody knows what became of it.
    fn lost() -> Error;
}

/// Carries out jobs that stand together: one outcome for each, in order.
pub(super) type Run<J> =
    Arc<dyn Fn(Vec<J>) -> BoxFuture<'static, Vec<Result<<J as Job>::Reply>>> + Send + Sync>;

/// What a lane holds at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct LaneLimits {
    pub(super) in_flight: usize,
    pub(super) items: usize,
    pub(super) bytes: usize,
    pub(super) queued: usize,
}

/// The calls of one kind to one collection.
pub(super) struct Lane<J: Job> {
    state: Mutex<State<J>>,
    run: Run<J>,
    room: Arc<Semaphore>,
    limits: LaneLimits,
}

struct State<J: Job> {
    /// How many requests are in flight.
    in_flight: usize,
    /// The documents that they are about.
    busy: HashSet<Key>,
    queue: VecDeque<Waiting<J>>,
}

struct Waiting<J: Job> {
    job: J,
    reply: oneshot::Sender<Result<J::Reply>>,
    /// Where its caller waits: a batch is run there.
    runtime: Handle,
    _room: OwnedSemaphorePermit,
}

impl<J: Job> Lane<J> {
    pub(super) fn new(limits: LaneLimits, run: Run<J>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                in_flight: 0,
                busy: HashSet::new(),
                queue: VecDeque::new(),
            }),
            run,
            room: Arc::new(Semaphore::new(limits.queued.min(Semaphore::MAX_PERMITS))),
            limits,
        })
    }

    /// A place for a call that can be made at once; `None` if it has to wait.
    pub(super) fn enter(self: &Arc<Self>, key: Option<&Key>) -> Option<Leaving<J>> {
        let mut state = self.state();
        if state.in_flight >= self.limits.in_flight || !state.queue.is_empty() {
            return None;
        }
        if let Some(key) = key
            && !state.busy.insert(key.clone())
        {
            return None;
        }
        state.in_flight += 1;
        Some(Leaving {
            lane: self.clone(),
            keys: key.cloned().into_iter().collect(),
            is_over: false,
        })
    }

    /// Waits until the job was sent with others, and for its outcome. Where no runtime is there to
    /// run a batch, the job comes back at once.
    pub(super) async fn join(self: &Arc<Self>, job: J) -> Result<Result<J::Reply>, J> {
        let Ok(runtime) = Handle::try_current() else {
            return Err(job);
        };
        let Ok(room) = self.room.clone().acquire_owned().await else {
            return Err(job);
        };
        let (reply, outcome) = oneshot::channel();
        self.state().queue.push_back(Waiting {
            job,
            reply,
            runtime,
            _room: room,
        });
        self.start(None);
        Ok(outcome.await.unwrap_or_else(|_| Err(J::lost())))
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what waits, if there is room for another request.
    fn start(self: &Arc<Self>, left: Option<&mut Leaving<J>>) {
        if let Some(batch) = self.next_batch(left) {
            let runtime = batch.runtime.clone();
            runtime.spawn(self.clone().drive(batch));
        }
    }

    /// Takes what waits, after a request gave its place back.
    fn next_batch(self: &Arc<Self>, left: Option<&mut Leaving<J>>) -> Option<Batch<J>> {
        let mut state = self.state();
        if let Some(left) = left {
            left.let_go(&mut state);
        }
        if state.queue.is_empty() || state.in_flight >= self.limits.in_flight {
            return None;
        }
        // Who went away was not sent yet, and never is.
        state.queue.retain(|waiting| !waiting.reply.is_closed());
        let waiting = state.take(&self.limits);
        let runtime = waiting.first()?.runtime.clone();
        state.in_flight += 1;
        drop(state);
        Some(Batch {
            leaving: self.leaving(&waiting),
            waiting,
            runtime,
        })
    }

    fn leaving(self: &Arc<Self>, batch: &[Waiting<J>]) -> Leaving<J> {
        let keys = batch
            .iter()
            .filter_map(|waiting| waiting.job.key().cloned());
        Leaving {
            lane: self.clone(),
            keys: keys.collect(),
            is_over: false,
        }
    }

    /// Sends batch after batch, until nothing waits.
    async fn drive(self: Arc<Self>, mut batch: Batch<J>) {
        loop {
            let mut leaving = batch.leaving;
            self.send(batch.waiting).await;
            // Those who were just answered may come back at once: let them join.
            tokio::task::yield_now().await;
            match self.next_batch(Some(&mut leaving)) {
                Some(next) => batch = next,
                None => return,
            }
        }
    }

    async fn send(&self, waiting: Vec<Waiting<J>>) {
        let (jobs, mut replies): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .map(|waiting| (waiting.job, waiting.reply))
            .unzip();
        let outcomes = {
            let all_gone = pin!(async {
                for reply in &mut replies {
                    reply.closed().await;
                }
            });
            match select((self.run)(jobs), all_gone).await {
                Either::Left((outcomes, _)) => outcomes,
                Either::Right(_) => return,
            }
        };
        let mut outcomes = outcomes.into_iter();
        for reply in replies {
            let outcome = outcomes.next().unwrap_or_else(|| Err(J::lost()));
            // Who went away meanwhile does not want it.
            let _ = reply.send(outcome);
        }
    }
}

/// What is sent together.
struct Batch<J: Job> {
    waiting: Vec<Waiting<J>>,
    leaving: Leaving<J>,
    runtime: Handle,
}

impl<J: Job> State<J> {
    /// Takes the jobs of one request, from the longest waiting on: each about a document of its
    /// own that no request in flight is about.
    fn take(&mut self, limits: &LaneLimits) -> Vec<Waiting<J>> {
        let mut batch: Vec<Waiting<J>> = Vec::new();
        let (mut items, mut bytes) = (0, 0);
        let mut left = VecDeque::new();
        let mut passed = HashSet::new();
        while let Some(waiting) = self.queue.pop_front() {
            let (more_items, more_bytes) = waiting.job.size();
            let fits = batch.first().is_none_or(|first| {
                first.job.joins(&waiting.job)
                    && items + more_items <= limits.items
                    && bytes + more_bytes <= limits.bytes
            });
            // Of two calls about one document, the one that came first goes first.
            let is_free = match waiting.job.key() {
                Some(key) if fits && !passed.contains(key) => self.busy.insert(key.clone()),
                Some(_) => false,
                None => true,
            };
            if !(fits && is_free) {
                passed.extend(waiting.job.key().cloned());
                left.push_back(waiting);
                continue;
            }
            items += more_items;
            bytes += more_bytes;
            batch.push(waiting);
            if items >= limits.items {
                break;
            }
        }
        left.append(&mut self.queue);
        self.queue = left;
        batch
    }
}

/// A place in flight: gives it back when dropped, and lets those that waited go.
pub(super) struct Leaving<J: Job> {
    lane: Arc<Lane<J>>,
    keys: Vec<Key>,
    is_over: bool,
}

impl<J: Job> Leaving<J> {
    fn let_go(&mut self, state: &mut State<J>) {
        for key in self.keys.drain(..) {
            state.busy.remove(&key);
        }
        state.in_flight = state.in_flight.saturating_sub(1);
        self.is_over = true;
    }
}

impl<J: Job> Drop for Leaving<J> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let lane = self.lane.clone();
        lane.start(Some(self));
    }
}
