//! The connections.
//!
//! A [`Lease`] is a connection in use. It goes back to the pool when its holder says that it is
//! idle. One that is dropped without that word, because a call's future was dropped or the
//! connection broke, is thrown away, and its process at the server is ended: what it was doing has
//! taken place by then or never will. Writes wait for that, so a write that was abandoned takes no
//! effect after one that was called later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleResult, Timeouts};
use sqlx_core::connection::Connection;
use sqlx_core::query_scalar::query_scalar;
use sqlx_postgres::{PgConnection, Postgres};
use strongroom_core::error::{Error, ErrorKind, Result};
use tokio::sync::Notify;

use super::error::{Failure, Phase, answered};
use super::login::Connector;
use super::options::PostgresOptions;

/// How long the end of an abandoned process is waited for.
const END_WAIT: Duration = Duration::from_secs(5);

/// A connection and the number of its process at the server.
#[derive(Debug)]
pub(crate) struct Link {
    connection: PgConnection,
    process: i32,
}

#[derive(Debug)]
pub(crate) struct Manager {
    connector: Connector,
}

impl managed::Manager for Manager {
    type Type = Link;
    type Error = Failure;

    async fn create(&self) -> Result<Link, Failure> {
        let mut connection = self.connector.open().await?;
        let process = query_scalar::<Postgres, i32>("SELECT pg_backend_pid()")
            .fetch_one(&mut connection)
            .await?;
        Ok(Link {
            connection,
            process,
        })
    }

    /// Only idle connections come back. One that broke meanwhile tells at its next use.
    async fn recycle(&self, _: &mut Link, _: &Metrics) -> RecycleResult<Failure> {
        Ok(())
    }
}

/// The pool, and what was abandoned.
#[derive(Debug)]
pub(crate) struct Links {
    pool: Pool<Manager>,
    connector: Connector,
    wait: Duration,
    closed: AtomicBool,
    /// How many leases are out that closing waits for.
    used: AtomicUsize,
    /// How many processes are being ended.
    ending: AtomicUsize,
    moved: Notify,
}

impl Links {
    pub(crate) fn new(options: &PostgresOptions) -> Result<Arc<Self>> {
        let connector = options.connector();
        let manager = Manager {
            connector: connector.clone(),
        };
        let pool = Pool::builder(manager)
            .max_size(options.connections)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|e| Error::internal("the pool cannot be made").with_source(e))?;
        Ok(Arc::new(Self {
            pool,
            connector,
            wait: options.wait,
            closed: AtomicBool::new(false),
            used: AtomicUsize::new(0),
            ending: AtomicUsize::new(0),
            moved: Notify::new(),
        }))
    }

    /// Opens a connection that is none of the pool's.
    pub(crate) async fn open(&self) -> Result<PgConnection, Failure> {
        self.connector.open().await
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the store is closed"));
        }
        Ok(())
    }

    /// Takes a connection to read with.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease> {
        self.lease_within(self.wait).await
    }

    /// Takes a connection to write with: what was abandoned before has ended.
    pub(crate) async fn lease_to_write(self: &Arc<Self>) -> Result<Lease> {
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

    pub(crate) async fn lease_within(self: &Arc<Self>, wait: Duration) -> Result<Lease> {
        self.check_open()?;
        // Counted before the pool is asked, so that closing waits for it.
        let mut lease = Lease {
            links: self.clone(),
            object: None,
            idle: true,
            counted: true,
        };
        self.used.fetch_add(1, Ordering::SeqCst);
        let timeouts = Timeouts {
            wait: Some(wait),
            create: Some(self.wait.max(Duration::from_secs(5))),
            recycle: None,
        };
        let object = self.pool.timeout_get(&timeouts).await;
        lease.object = Some(object.map_err(|e| self.refused(e, wait))?);
        lease.idle = false;
        Ok(lease)
    }

    fn refused(&self, error: PoolError<Failure>, wait: Duration) -> Error {
        match error {
            PoolError::Timeout(managed::TimeoutType::Wait) => Error::new(
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
    fn end(self: &Arc<Self>, link: Link) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        self.ending.fetch_add(1, Ordering::SeqCst);
        let done = Ending(self.clone());
        runtime.spawn(async move {
            let ended = tokio::time::timeout(2 * END_WAIT, done.0.end_process(link.process)).await;
            // What cannot be ended because the server does not answer is lost to the server, too.
            drop(ended);
            drop(link);
            drop(done);
        });
    }

    /// Ends the process that may still be committing, and asks what became of the transaction.
    async fn committed(&self, process: i32, transaction: &str) -> Result<Option<String>, Failure> {
        self.end_process(process).await?;
        let mut connection = self.open().await?;
        let status = query_scalar::<Postgres, Option<String>>("SELECT pg_xact_status($1::xid8)")
            .bind(transaction)
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        Ok(status)
    }

    async fn end_process(&self, process: i32) -> Result<(), Failure> {
        let mut connection = self.open().await?;
        let wait = i64::try_from(END_WAIT.as_millis()).unwrap_or(i64::MAX);
        sqlx_core::query::query::<Postgres>("SELECT pg_terminate_backend($1, $2)")
            .bind(process)
            .bind(wait)
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }
}

struct Ending(Arc<Links>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.ending.fetch_sub(1, Ordering::SeqCst);
        self.0.moved.notify_waiters();
    }
}

/// A connection in use.
#[derive(Debug)]
pub(crate) struct Lease {
    links: Arc<Links>,
    object: Option<Object<Manager>>,
    idle: bool,
    counted: bool,
}

impl Lease {
    /// The connection.
    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection> {
        match &mut self.object {
            Some(object) => Ok(&mut object.connection),
            None => Err(Error::internal("a lease holds no connection")),
        }
    }

    /// Gives the connection back: it is idle, and in no transaction.
    pub(crate) fn give_back(mut self) {
        self.idle = true;
    }

    /// Gives the connection back unless it broke, after a call outside of a transaction or at its
    /// end, and hands the outcome on.
    pub(crate) fn after<T>(self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        match &outcome {
            Err(Failure::Engine(error)) if answered(error).is_none() => drop(self),
            _ => self.give_back(),
        }
        outcome
    }

    /// What became of the transaction of this number, whose commit was sent on this connection
    /// and not answered: `None` if the server does not tell.
    pub(crate) async fn committed(mut self, transaction: &str) -> Option<bool> {
        let link = Object::take(self.object.take()?);
        let asked = self.links.committed(link.process, transaction);
        let told = tokio::time::timeout(2 * END_WAIT, asked).await;
        match told.ok()?.ok()?.as_deref() {
            Some("committed") => Some(true),
            Some("aborted") => Some(false),
            _ => None,
        }
    }

    /// Closing the store does not wait for this one any more: it belongs to a transaction.
    pub(crate) fn uncount(&mut self) {
        if std::mem::take(&mut self.counted) {
            self.links.used.fetch_sub(1, Ordering::SeqCst);
            self.links.moved.notify_waiters();
        }
    }
}

impl Drop for Lease {
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
