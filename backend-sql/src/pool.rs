//! The connections.
//!
//! A [`Lease`] is a connection in use. It goes back to the pool when its holder says that it is
//! idle. One that is dropped without that word, because a call's future was dropped or the
//! connection broke, is thrown away, and its process at the server is ended: what it was doing has
//! taken place by then or never will. Later leases wait for that where it may take effect, so a write
//! that was abandoned takes no effect after one that was called later, nor after a read that told
//! that it had not.
//!
//! A connection that breaks seldom breaks alone: the server was started again, or something between
//! closed what was idle. Those that nobody used since are thrown away instead of failing one call
//! each.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool::managed::{
    self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, TimeoutType, Timeouts,
};
use sqlx_core::Error as Driver;
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::model::Model;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::failure::{Failure, Phase, is_answer};

/// How long the end of an abandoned process is waited for.
pub(crate) const END_WAIT: Duration = Duration::from_secs(5);
/// How long a connection is idle before it is asked whether it still works.
const ASK_AFTER: Duration = Duration::from_secs(30);
/// How long to wait before a server that went away is asked again whether it is back.
pub(crate) const ASK_EVERY: Duration = Duration::from_millis(50);

/// A server, as far as its connections go.
pub(crate) trait Server: fmt::Debug + Send + Sync + 'static {
    /// A connection. Dropping it closes it.
    type Connection: fmt::Debug + Send;
    /// What the server knows its side of a connection by, and which no other is known by, not even
    /// after the server was started again and counts from the beginning.
    type Process: fmt::Debug + Send + Sync;
    /// What may go on at the server after a connection was closed.
    type Left: Send + Sync;

    /// Opens a connection.
    fn open(&self) -> impl Future<Output = Result<Self::Connection, Failure>> + Send;

    /// Asks which process of the server's is at the other end.
    fn process(
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<Self::Process, Failure>> + Send;

    /// Asks for a sign of life.
    fn ping(connection: &mut Self::Connection) -> impl Future<Output = Result<(), Driver>> + Send;

    /// Whether a connection on which the server answered so had better not be used again.
    fn spoils(_error: &Driver, _model: Option<&Model>) -> bool {
        false
    }

    /// Closes a connection, and hands over what may go on behind it.
    fn abandon(connection: Self::Connection, process: Self::Process) -> Option<Self::Left>;

    /// Ends what was left by a word on another connection, and waits [`END_WAIT`] at most until what it
    /// did has taken place or never will.
    fn end(
        &self,
        left: Self::Left,
        other: Self::Connection,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// A connection and its process at the server.
#[derive(Debug)]
pub(crate) struct Link<S: Server> {
    connection: S::Connection,
    process: S::Process,
    /// How many losses there had been when it was known to work.
    losses: usize,
}

#[derive(Debug)]
pub(crate) struct Manager<S> {
    server: Arc<S>,
    /// How many connections broke.
    losses: Arc<AtomicUsize>,
}

impl<S: Server> managed::Manager for Manager<S> {
    type Type = Link<S>;
    type Error = Failure;

    /// Boxed, because each call's future has room for it, and connections are seldom made.
    async fn create(&self) -> Result<Link<S>, Failure> {
        let made = async {
            let losses = self.losses.load(Ordering::Relaxed);
            let mut connection = self.server.open().await?;
            let process = S::process(&mut connection).await?;
            Ok(Link {
                connection,
                process,
                losses,
            })
        };
        Box::pin(made).await
    }

    /// Only idle connections come back. One that broke a short while ago tells at its next use, and
    /// then those that were idle with it are not used again.
    async fn recycle(&self, link: &mut Link<S>, metrics: &Metrics) -> RecycleResult<Failure> {
        if link.losses != self.losses.load(Ordering::Relaxed) {
            return Err(RecycleError::message("another connection broke since"));
        }
        if metrics.last_used() < ASK_AFTER {
            return Ok(());
        }
        let asked = tokio::time::timeout(END_WAIT, S::ping(&mut link.connection));
        match Box::pin(asked).await {
            Ok(Ok(())) => Ok(()),
            _ => {
                self.losses.fetch_add(1, Ordering::Relaxed);
                Err(RecycleError::message("it broke while it was idle"))
            }
        }
    }
}

/// The pool, and what was abandoned.
#[derive(Debug)]
pub(crate) struct Links<S: Server> {
    pool: Pool<Manager<S>>,
    server: Arc<S>,
    losses: Arc<AtomicUsize>,
    wait: Duration,
    closed: AtomicBool,
    /// How many leases are out that closing waits for.
    used: AtomicUsize,
    /// How many processes are being ended.
    ending: AtomicUsize,
    abandoned: Abandoned,
    moved: Notify,
}

/// The processes being ended whose writes may yet take effect, numbered in the order in which they were
/// abandoned.
#[derive(Debug, Default)]
struct Abandoned {
    /// How many there are.
    count: AtomicUsize,
    /// Whether there is no way to the server to end them.
    is_away: AtomicBool,
    numbers: Mutex<(u64, BTreeSet<u64>)>,
}

impl Abandoned {
    fn numbers(&self) -> MutexGuard<'_, (u64, BTreeSet<u64>)> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self) -> u64 {
        let mut numbers = self.numbers();
        let number = numbers.0;
        numbers.0 += 1;
        numbers.1.insert(number);
        self.count.fetch_add(1, Ordering::SeqCst);
        number
    }

    fn remove(&self, number: u64) {
        if self.numbers().1.remove(&number) {
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// The number of the one that comes next; `None` if there are none.
    fn next(&self) -> Option<u64> {
        (self.count.load(Ordering::SeqCst) > 0).then(|| self.numbers().0)
    }

    fn has_before(&self, number: u64) -> bool {
        self.numbers().1.range(..number).next().is_some()
    }
}

impl<S: Server> Links<S> {
    /// A pool of so many connections at most. A call waits so long for one.
    pub(crate) fn new(server: S, connections: usize, wait: Duration) -> Result<Arc<Self>> {
        let server = Arc::new(server);
        let losses = Arc::new(AtomicUsize::new(0));
        let manager = Manager {
            server: server.clone(),
            losses: losses.clone(),
        };
        let pool = Pool::builder(manager)
            .max_size(connections)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|e| Error::internal("the pool cannot be made").with_source(e))?;
        Ok(Arc::new(Self {
            pool,
            server,
            losses,
            wait,
            closed: AtomicBool::new(false),
            used: AtomicUsize::new(0),
            ending: AtomicUsize::new(0),
            abandoned: Abandoned::default(),
            moved: Notify::new(),
        }))
    }

    /// Opens a connection that is none of the pool's, after what was abandoned before has ended.
    pub(crate) async fn open(&self) -> Result<S::Connection, Failure> {
        self.until_settled(self.wait).await?;
        self.server.open().await
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the store is closed"));
        }
        Ok(())
    }

    /// Takes a connection.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease<S>> {
        self.lease_within(self.wait).await
    }

    /// Waits so long at most until what was to be written and was abandoned before has ended: nothing
    /// that is written later is undone by it then, and nothing that is read is different once it has
    /// taken place.
    async fn until_settled(&self, wait: Duration) -> Result<()> {
        let Some(next) = self.abandoned.next() else {
            return Ok(());
        };
        let is_away = || self.abandoned.is_away.load(Ordering::SeqCst);
        let settled = self.until(|| !self.abandoned.has_before(next) || is_away());
        let waited = tokio::time::timeout(wait, settled).await;
        if !self.abandoned.has_before(next) {
            return Ok(());
        }
        Err(match waited {
            Ok(()) => Error::new(ErrorKind::Unavailable, "the server does not answer"),
            Err(_) => Error::new(
                ErrorKind::Contended,
                "an abandoned write did not end at the server",
            ),
        })
    }

    /// Takes a connection, and waits so long at most for a free one, after what was abandoned before
    /// has ended.
    pub(crate) async fn lease_within(self: &Arc<Self>, wait: Duration) -> Result<Lease<S>> {
        self.until_settled(wait).await?;
        self.check_open()?;
        // Counted before the pool is asked, so that closing waits for it.
        let mut lease = Lease {
            links: self.clone(),
            object: None,
            idle: true,
            spoilt: false,
            writes: false,
            counted: true,
        };
        self.used.fetch_add(1, Ordering::SeqCst);
        let mut timeouts = Timeouts {
            wait: Some(Duration::ZERO),
            create: Some(self.wait.max(Duration::from_secs(5))),
            recycle: None,
        };
        // Where one is free, no timer is made.
        let mut object = self.pool.timeout_get(&timeouts).await;
        if let Err(PoolError::Timeout(TimeoutType::Wait)) = object {
            timeouts.wait = Some(wait);
            object = self.pool.timeout_get(&timeouts).await;
        }
        lease.object = Some(object.map_err(|e| self.refused(e, wait))?);
        lease.idle = false;
        Ok(lease)
    }

    fn refused(&self, error: PoolError<Failure>, wait: Duration) -> Error {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Error::new(
                ErrorKind::Contended,
                format!("no connection became free within {} ms", wait.as_millis()),
            ),
            PoolError::Timeout(_) => {
                Error::new(ErrorKind::Unavailable, "the server did not answer in time")
            }
            PoolError::Backend(failure) => failure.told(Phase::Read, None),
            PoolError::Closed => Error::new(ErrorKind::Unavailable, "the store is closed"),
            _ => Error::internal("the pool failed"),
        }
    }

    async fn until(&self, done: impl Fn() -> bool) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if done() {
                return;
            }
            moved.await;
        }
    }

    /// Refuses further calls.
    pub(crate) fn shut(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Waits for the calls under way and lets go of the connections.
    pub(crate) async fn close(&self) {
        self.shut();
        for count in [&self.used, &self.ending] {
            self.until(|| count.load(Ordering::SeqCst) == 0).await;
        }
        self.pool.close();
    }

    /// Ends the process of a connection that nobody knows the state of, and whose writes may yet take
    /// effect. A task does so, whether or not it is waited for: `false` if it could not.
    fn end(self: &Arc<Self>, link: Link<S>, writes: bool) -> Option<JoinHandle<bool>> {
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        self.ending.fetch_add(1, Ordering::SeqCst);
        self.abandoned.is_away.store(false, Ordering::SeqCst);
        let ending = Ending {
            links: self.clone(),
            number: writes.then(|| self.abandoned.add()),
        };
        let left = S::abandon(link.connection, link.process);
        Some(runtime.spawn(async move {
            let links = &ending.links;
            let ended = async {
                match left {
                    Some(left) => {
                        let other = links.until_there().await?;
                        links.server.end(left, other).await
                    }
                    None => Ok(()),
                }
            };
            // What cannot be ended because the server does not answer is lost to the server, too.
            let limit = links.wait.max(2 * END_WAIT);
            let ended = tokio::time::timeout(limit, ended).await;
            matches!(ended, Ok(Ok(())))
        }))
    }

    /// Opens a connection as soon as the server takes some again. Why it does not is told where waiting
    /// is of no use.
    async fn until_there(&self) -> Result<S::Connection, Failure> {
        loop {
            let failure = match self.server.open().await {
                Ok(connection) => {
                    self.abandoned.is_away.store(false, Ordering::SeqCst);
                    return Ok(connection);
                }
                Err(failure) => failure,
            };
            if let Failure::Engine(Driver::Io(_)) = failure {
                self.abandoned.is_away.store(true, Ordering::SeqCst);
                self.moved.notify_waiters();
            }
            let error = failure.told(Phase::Read, None);
            if !error.is_retryable() {
                return Err(error.into());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}

struct Ending<S: Server> {
    links: Arc<Links<S>>,
    /// That among those whose writes may yet take effect.
    number: Option<u64>,
}

impl<S: Server> Drop for Ending<S> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.links.abandoned.remove(number);
        }
        self.links.ending.fetch_sub(1, Ordering::SeqCst);
        self.links.moved.notify_waiters();
    }
}

/// A connection in use.
#[derive(Debug)]
pub(crate) struct Lease<S: Server> {
    links: Arc<Links<S>>,
    object: Option<Object<Manager<S>>>,
    idle: bool,
    /// Whether it had better not be used again.
    spoilt: bool,
    /// Whether what was sent since it was idle may take effect.
    writes: bool,
    counted: bool,
}

impl<S: Server> Lease<S> {
    /// The connection.
    pub(crate) fn connection(&mut self) -> Result<&mut S::Connection> {
        match &mut self.object {
            Some(object) => Ok(&mut object.connection),
            None => Err(Error::internal("a lease holds no connection")),
        }
    }

    /// Notes that what comes next may take effect: a write by itself, or a commit.
    pub(crate) fn will_write(&mut self) {
        self.writes = true;
    }

    /// The server.
    #[cfg(feature = "mariadb")]
    pub(crate) fn server(&self) -> &S {
        &self.links.server
    }

    /// Gives the connection back: it is idle, and in no transaction.
    pub(crate) fn give_back(mut self) {
        self.idle = !self.spoilt;
        if let Some(object) = &mut self.object {
            object.losses = self.links.losses.load(Ordering::Relaxed);
        }
    }

    /// Notes that the connection broke, if this is how it looks.
    pub(crate) fn note_loss(&self, error: &Driver) {
        if !is_answer(error) {
            self.links.losses.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Looks at what came of a call: whether the connection is not to be used again after it.
    pub(crate) fn heed<T>(&mut self, outcome: &Result<T, Failure>, model: Option<&Model>) -> bool {
        if let Err(Failure::Engine(error)) = outcome {
            self.spoilt |= S::spoils(error, model);
            self.note_loss(error);
        }
        self.spoilt
    }

    /// Gives the connection back unless it broke, after a call outside of a transaction or at its
    /// end, and hands the outcome on.
    pub(crate) fn after<T>(self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        match &outcome {
            Err(failure) if failure.is_loss() => drop(self),
            _ => self.give_back(),
        }
        outcome
    }

    /// Ends the process of a connection that broke, and hands over the server to ask what became of
    /// what was sent: `None` if it cannot be ended. A server that went away has time to come back.
    pub(crate) async fn end(mut self) -> Option<Arc<S>> {
        self.links.losses.fetch_add(1, Ordering::Relaxed);
        let link = Object::take(self.object.take()?);
        let ended = self.links.end(link, self.writes)?;
        ended.await.ok()?.then(|| self.links.server.clone())
    }

    /// Closing the store does not wait for this one any more: it belongs to a transaction.
    pub(crate) fn uncount(&mut self) {
        if std::mem::take(&mut self.counted) {
            self.links.used.fetch_sub(1, Ordering::SeqCst);
            self.links.moved.notify_waiters();
        }
    }
}

impl<S: Server> Drop for Lease<S> {
    fn drop(&mut self) {
        if !self.idle
            && let Some(object) = self.object.take()
        {
            drop(self.links.end(Object::take(object), self.writes));
        }
        drop(self.object.take());
        self.uncount();
    }
}
