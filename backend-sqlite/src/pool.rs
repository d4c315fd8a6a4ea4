//! The connections that read.
//!
//! A load runs where it is called: with a connection from the pool, between two awaits. A search
//! does too for a moment; one that takes longer begins anew on a blocking thread, where it is
//! interrupted when its caller goes away. So a quick page costs no hop, and a slow one holds up no
//! task. One connection is kept from slow searches where there are several.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleResult};
use rusqlite::Connection;
use strongroom_core::error::{Error, ErrorKind, Result};
use tokio::sync::{Notify, Semaphore};

use crate::connection::{self, Role, SHORT_WAIT};
use crate::error::{Phase, map};
use crate::load::end_read;
use crate::options::SqliteOptions;
use crate::writer::closed;

/// How long a search may hold up the task that called it.
const INLINE_SEARCH: Duration = Duration::from_millis(1);
/// How many steps SQLite takes between two looks at whether to go on.
const STEPS_BETWEEN_LOOKS: i32 = 500;
/// How many where a step may be a call of a user's function, which may take long: a row or two.
const STEPS_BETWEEN_CALLS: i32 = 16;

/// How many steps SQLite takes between two looks at whether to go on.
pub(crate) fn steps_between_looks(options: &SqliteOptions) -> i32 {
    if options.functions.names().next().is_none() {
        STEPS_BETWEEN_LOOKS
    } else {
        STEPS_BETWEEN_CALLS
    }
}

/// The connections that read.
///
/// A connection that a load gives back is laid aside for the next one, which takes it without a
/// look at the pool; it counts as taken from the pool meanwhile. Whoever finds none laid aside
/// says that it wants one before it looks again and then waits at the pool, and while somebody
/// wants one, connections go back to the pool: so none lies aside while somebody waits.
#[derive(Debug)]
pub(crate) struct Readers {
    pool: Pool<Opener>,
    aside: Mutex<Vec<Object<Opener>>>,
    wanted: AtomicUsize,
    slow: Semaphore,
    alive: Arc<Alive>,
    options: Arc<SqliteOptions>,
}

fn is_contended(error: &Error) -> bool {
    error.kind() == ErrorKind::Contended
}

/// Counts the open connections, so that closing can wait for the last.
#[derive(Debug, Default)]
struct Alive {
    count: AtomicUsize,
    gone: Notify,
}

/// A connection that reads.
#[derive(Debug)]
pub(crate) struct Reader {
    connection: Connection,
    alive: Arc<Alive>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.alive.count.fetch_sub(1, Ordering::SeqCst);
        self.alive.gone.notify_waiters();
    }
}

#[derive(Debug)]
struct Opener {
    options: Arc<SqliteOptions>,
    alive: Arc<Alive>,
}

impl managed::Manager for Opener {
    type Type = Reader;
    type Error = Error;

    async fn create(&self) -> Result<Reader> {
        let (options, alive) = (self.options.clone(), self.alive.clone());
        tokio::task::spawn_blocking(move || {
            let connection = connection::open(&options, Role::Reader)?;
            alive.count.fetch_add(1, Ordering::SeqCst);
            Ok(Reader { connection, alive })
        })
        .await
        .map_err(|e| Error::internal("opening a connection failed").with_source(e))?
    }

    async fn recycle(&self, reader: &mut Reader, _: &Metrics) -> RecycleResult<Error> {
        // A connection that is left within a read would go on reading old data.
        end_read(&reader.connection)
            .map_err(|e| managed::RecycleError::Message(e.to_string().into()))
    }
}

impl Readers {
    /// # Errors
    ///
    /// `Config` if the pool cannot be built.
    pub(crate) fn new(options: &Arc<SqliteOptions>) -> Result<Self> {
        let alive = Arc::new(Alive::default());
        let opener = Opener {
            options: options.clone(),
            alive: alive.clone(),
        };
        let pool = Pool::builder(opener)
            .max_size(options.readers)
            .build()
            .map_err(|e| Error::new(ErrorKind::Config, "no pool of readers").with_source(e))?;
        Ok(Self {
            pool,
            aside: Mutex::default(),
            wanted: AtomicUsize::new(0),
            slow: Semaphore::new(options.readers.saturating_sub(1).max(1)),
            alive,
            options: options.clone(),
        })
    }

    fn aside(&self) -> MutexGuard<'_, Vec<Object<Opener>>> {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lay_aside(&self, reader: Object<Opener>) {
        if !reader.connection.is_autocommit() {
            // The pool ends what it is in.
            return;
        }
        let mut aside = self.aside();
        if self.wanted.load(Ordering::SeqCst) == 0 && !self.pool.is_closed() {
            aside.push(reader);
        }
    }

    async fn get(&self) -> Result<Object<Opener>> {
        struct Wanted<'r>(&'r AtomicUsize);
        impl Drop for Wanted<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.wanted.fetch_add(1, Ordering::SeqCst);
        let _wanted = Wanted(&self.wanted);
        let laid_aside = self.aside().pop();
        if let Some(reader) = laid_aside {
            return Ok(reader);
        }
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Closed => closed(),
            other => {
                Error::new(ErrorKind::Unavailable, "no connection to read by").with_source(other)
            }
        })
    }

    /// Reads at once, in the task that calls. Where another process holds the lock that recovers
    /// or closes the log, it is tried again for as long as the busy timeout.
    pub(crate) async fn load<T>(&self, work: impl Fn(&Connection) -> Result<T>) -> Result<T> {
        match self.load_once(&work).await {
            // Boxed, so that the calls that need no waiting do not carry its state.
            Err(error) if is_contended(&error) => Box::pin(self.load_again(&work, error)).await,
            loaded => loaded,
        }
    }

    async fn load_once<T>(&self, work: &impl Fn(&Connection) -> Result<T>) -> Result<T> {
        let laid_aside = self.aside().pop();
        let reader = match laid_aside {
            Some(reader) => reader,
            None => Box::pin(self.get()).await?,
        };
        let done = work(&reader.connection);
        self.lay_aside(reader);
        done
    }

    async fn load_again<T>(
        &self,
        work: &impl Fn(&Connection) -> Result<T>,
        mut error: Error,
    ) -> Result<T> {
        let deadline = Instant::now() + self.options.busy_timeout;
        while Instant::now() < deadline {
            tokio::time::sleep(SHORT_WAIT).await;
            match self.load_once(work).await {
                Err(again) if is_contended(&again) => error = again,
                loaded => return loaded,
            }
        }
        Err(error)
    }

    /// Reads for as long as it takes.
    pub(crate) async fn search<T, W>(&self, mut work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T> + Send + 'static,
    {
        {
            let mut reader = self.get().await?;
            let found = briefly(&mut reader.connection, &self.options, &mut work);
            self.lay_aside(reader);
            match found {
                Ok(None) => {}
                Ok(Some(found)) => return Ok(found),
                // Locks are waited for elsewhere.
                Err(error) if is_contended(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let _slow = self.slow.acquire().await.map_err(|_| closed())?;
        let mut reader = self.get().await?;
        let options = self.options.clone();
        elsewhere(move |cancelled| {
            let failed = |e| map(e, Phase::Before);
            let connection = &mut reader.connection;
            connection
                .busy_timeout(options.busy_timeout)
                .map_err(failed)?;
            let found = interruptibly(connection, &options, cancelled, &mut work);
            connection.busy_timeout(SHORT_WAIT).map_err(failed)?;
            found
        })
        .await
    }

    /// Waits for the reads under way and closes the connections.
    pub(crate) async fn close(&self) {
        self.pool.close();
        // None is laid aside from here on, because that is decided under the same lock.
        self.aside().clear();
        loop {
            let mut gone = std::pin::pin!(self.alive.gone.notified());
            // Made ready before the count is read, so that the last to go is not missed.
            gone.as_mut().enable();
            if self.alive.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            gone.await;
        }
    }
}

/// Tries the work for a moment: `None` if it takes longer.
pub(crate) fn briefly<T>(
    connection: &mut Connection,
    options: &SqliteOptions,
    work: &mut impl FnMut(&Connection) -> Result<T>,
) -> Result<Option<T>> {
    let over = Arc::new(AtomicBool::new(false));
    let watch = {
        let over = over.clone();
        let mut end: Option<Instant> = None;
        move || {
            let now = Instant::now();
            let late = now >= *end.get_or_insert(now + INLINE_SEARCH);
            if late {
                over.store(true, Ordering::Relaxed);
            }
            late
        }
    };
    let found = watched(connection, options, watch, work);
    if found.is_err() && over.load(Ordering::Relaxed) {
        return Ok(None);
    }
    found.map(Some)
}

/// Does the work to its end, unless it is cancelled.
pub(crate) fn interruptibly<T>(
    connection: &mut Connection,
    options: &SqliteOptions,
    cancelled: &Arc<AtomicBool>,
    work: &mut impl FnMut(&Connection) -> Result<T>,
) -> Result<T> {
    let cancelled = cancelled.clone();
    let stop = move || cancelled.load(Ordering::Relaxed);
    watched(connection, options, stop, work)
}

fn watched<T>(
    connection: &mut Connection,
    options: &SqliteOptions,
    stop: impl FnMut() -> bool + Send + 'static,
    work: &mut impl FnMut(&Connection) -> Result<T>,
) -> Result<T> {
    let failed = |e| map(e, Phase::Before);
    connection
        .progress_handler(steps_between_looks(options), Some(stop))
        .map_err(failed)?;
    let done = work(connection);
    connection
        .progress_handler(0, None::<fn() -> bool>)
        .map_err(failed)?;
    done
}

/// Held by a future, so that its work is cancelled when it is dropped.
#[derive(Default)]
pub(crate) struct CancelOnDrop(Arc<AtomicBool>);

impl CancelOnDrop {
    /// What the work looks at.
    pub(crate) fn cancelled(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs work on a blocking thread and cancels it when the future is dropped.
pub(crate) async fn elsewhere<T: Send + 'static>(
    work: impl FnOnce(&Arc<AtomicBool>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let cancel = CancelOnDrop::default();
    let seen = cancel.cancelled();
    tokio::task::spawn_blocking(move || work(&seen))
        .await
        .map_err(|e| Error::internal("a search was given up half-way").with_source(e))?
}
