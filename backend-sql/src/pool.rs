//! The connections.
//!
//! A [`Lease`] is a connection in use. It goes back to the pool when its holder says that it is
//! idle. One that is dropped without that word, because a call's future was dropped or the
//! connection broke, is thrown away, and its process at the server is ended: what it was doing has
//! taken place by then or never will. Writes wait for that, so a write that was abandoned takes no
//! effect after one that was called later.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool::managed::{
    self, Metrics, Object, Pool, PoolError, RecycleResult, TimeoutType, Timeouts,
};
use sqlx_core::Error as Driver;
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::model::Model;
use tokio::sync::Notify;

use crate::failure::{Failure, Phase};

/// How long the end of an abandoned process is waited for.
pub(crate) const END_WAIT: Duration = Duration::from_secs(5);
/// How long to wait before a server that went away is asked again whether it is back.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// A server, as far as its connections go.
pub(crate) trait Server: fmt::Debug + Send + Sync + 'static {
    /// A connection. Dropping it closes it.
    type Connection: fmt::Debug + Send;
    /// What the server knows its side of a connection by, and which no other is known by, not even
    /// after the server was started again and counts from the beginning.
    type Process: fmt::Debug + Send + Sync;

    /// Opens a connection.
    fn open(&self) -> impl Future<Output = Result<Self::Connection, Failure>> + Send;

    /// Asks which process of the server's is at the other end.
    fn process(
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<Self::Process, Failure>> + Send;

    /// Whether a connection on which the server answered so had better not be used again.
    fn spoils(_error: &Driver, _model: Option<&Model>) -> bool {
        false
    }

    /// Closes a connection and ends its process, and waits [`END_WAIT`] at most until what that
    /// did has taken place or never will.
    fn end(
        &self,
        connection: Self::Connection,
        process: Self::Process,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// A connection and its process at the server.
#[derive(Debug)]
pub(crate) struct Link<S: Server> {
    connection: S::Connection,
    process: S::Process,
}

#[derive(Debug)]
pub(crate) struct Manager<S>(Arc<S>);

impl<S: Server> managed::Manager for Manager<S> {
    type Type = Link<S>;
    type Error = Failure;

    /// Boxed, because each call's future has room for it, and connections are seldom made.
    async fn create(&self) -> Result<Link<S>, Failure> {
        let made = async {
            let mut connection = self.0.open().await?;
            let process = S::process(&mut connection).await?;
            Ok(Link {
                connection,
                process,
            })
        };
        Box::pin(made).await
    }

    /// Only idle connections come back. One that broke meanwhile tells at its next use.
    async fn recycle(&self, _: &mut Link<S>, _: &Metrics) -> RecycleResult<Failure> {
        Ok(())
    }
}

/// The pool, and what was abandoned.
#[derive(Debug)]
pub(crate) struct Links<S: Server> {
    pool: Pool<Manager<S>>,
    server: Arc<S>,
    wait: Duration,
    closed: AtomicBool,
    /// How many leases are out that closing waits for.
    used: AtomicUsize,
    /// How many processes are being ended.
    ending: AtomicUsize,
    moved: Notify,
}

impl<S: Server> Links<S> {
    /// A pool of so many connections at most. A call waits so long for one.
    pub(crate) fn new(server: S, connections: usize, wait: Duration) -> Result<Arc<Self>> {
        let server = Arc::new(server);
        let pool = Pool::builder(Manager(server.clone()))
            .max_size(connections)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|e| Error::internal("the pool cannot be made").with_source(e))?;
        Ok(Arc::new(Self {
            pool,
            server,
            wait,
            closed: AtomicBool::new(false),
            used: AtomicUsize::new(0),
            ending: AtomicUsize::new(0),
            moved: Notify::new(),
        }))
    }

    /// Opens a connection that is none of the pool's.
    pub(crate) async fn open(&self) -> Result<S::Connection, Failure> {
        self.server.open().await
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the store is closed"));
        }
        Ok(())
    }

    /// Takes a connection to read with.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease<S>> {
        self.lease_within(self.wait).await
    }

    /// Takes a connection to write with: what was abandoned before has ended.
    pub(crate) async fn lease_to_write(self: &Arc<Self>) -> Result<Lease<S>> {
        if self.ending.load(Ordering::SeqCst) > 0 {
            let ended = tokio::time::timeout(self.wait, self.until_none(&self.ending)).await;
            if ended.is_err() {
                return Err(Error::new(
                    ErrorKind::Contended,
                    "an abandoned write did not end at the server",
                ));
            }
        }
        self.lease().await
    }

    pub(crate) async fn lease_within(self: &Arc<Self>, wait: Duration) -> Result<Lease<S>> {
        self.check_open()?;
        // Counted before the pool is asked, so that closing waits for it.
        let mut lease = Lease {
            links: self.clone(),
            object: None,
            idle: true,
            spoilt: false,
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

    async fn until_none(&self, count: &AtomicUsize) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if count.load(Ordering::SeqCst) == 0 {
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
        self.until_none(&self.used).await;
        self.until_none(&self.ending).await;
        self.pool.close();
    }

    /// Ends the process of a connection that nobody knows the state of.
    fn end(self: &Arc<Self>, link: Link<S>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        self.ending.fetch_add(1, Ordering::SeqCst);
        let done = Ending(self.clone());
        runtime.spawn(async move {
            let ended = done.0.server.end(link.connection, link.process);
            // What cannot be ended because the server does not answer is lost to the server, too.
            drop(tokio::time::timeout(2 * END_WAIT, ended).await);
            drop(done);
        });
    }
}

/// Waits until a server takes connections again. Why it does not is told where waiting is of no use.
async fn until_there<S: Server>(server: &S) -> Result<(), Failure> {
    loop {
        match server.open().await {
            Ok(_) => return Ok(()),
            Err(failure) => {
                let error = failure.told(Phase::Read, None);
                if !error.is_retryable() {
                    return Err(error.into());
                }
            }
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

struct Ending<S: Server>(Arc<Links<S>>);

impl<S: Server> Drop for Ending<S> {
    fn drop(&mut self) {
        self.0.ending.fetch_sub(1, Ordering::SeqCst);
        self.0.moved.notify_waiters();
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

    /// The server.
    #[cfg(feature = "mariadb")]
    pub(crate) fn server(&self) -> &S {
        &self.links.server
    }

    /// Gives the connection back: it is idle, and in no transaction.
    pub(crate) fn give_back(mut self) {
        self.idle = !self.spoilt;
    }

    /// Looks at what came of a call: whether the connection is not to be used again after it.
    pub(crate) fn heed<T>(&mut self, outcome: &Result<T, Failure>, model: Option<&Model>) -> bool {
        if let Err(Failure::Engine(error)) = outcome {
            self.spoilt |= S::spoils(error, model);
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

    /// Ends the connection's process and hands over the server to ask what became of what was sent:
    /// `None` if it cannot be ended. A server that went away has time to come back.
    pub(crate) async fn end(mut self) -> Option<Arc<S>> {
        let link = Object::take(self.object.take()?);
        let server = self.links.server.clone();
        let ended = async {
            until_there(&*server).await?;
            server.end(link.connection, link.process).await
        };
        tokio::time::timeout(2 * END_WAIT, ended).await.ok()?.ok()?;
        Some(server)
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
            self.links.end(Object::take(object));
        }
        drop(self.object.take());
        self.uncount();
    }
}
