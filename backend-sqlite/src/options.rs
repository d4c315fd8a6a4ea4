//! How a store is opened.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use strongroom_core::clock::{Clock, SystemClock};
use strongroom_core::error::Result;
use strongroom_core::query::Functions;

use crate::connection::HookConnection;

/// How far an acknowledged write has gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synchronous {
    /// To the disk: an acknowledged write survives the end of the process and a loss of power.
    #[default]
    Full,
    /// To the operating system: an acknowledged write survives the end of the process. A loss of
    /// power can take the last acknowledged writes with it; the file stays sound.
    Normal,
}

impl Synchronous {
    /// The pragma's number.
    pub(crate) fn level(self) -> i64 {
        match self {
            Self::Normal => 1,
            Self::Full => 2,
        }
    }
}

/// Where a write blocks while it writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteMode {
    /// In the task that saves: the quickest, because a hop to another thread costs more than the
    /// write. The worker thread runs nothing else meanwhile, which is as long as the disk takes.
    /// While another process holds the file's lock the write goes on elsewhere.
    #[default]
    Inline,
    /// In the task that saves, after its worker handed its other tasks to another thread
    /// (`tokio::task::block_in_place`). Not within a `LocalSet`, where tokio panics; on a
    /// current-thread runtime it is the same as [`Inline`](Self::Inline).
    BlockInPlace,
    /// On tokio's blocking threads: for disks that may take long.
    Thread,
}

/// What is done where there is no file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingFile {
    /// It is created.
    #[default]
    Create,
    /// Opening fails with `Config`.
    Refuse,
}

/// Where the documents are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    File(PathBuf),
    Memory,
}

pub(crate) type Hook = Arc<dyn Fn(&HookConnection<'_>) -> Result<()> + Send + Sync>;

/// How a [`SqliteStore`](crate::SqliteStore) is opened.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use strongroom_sqlite::{SqliteOptions, Synchronous};
///
/// let options = SqliteOptions::file("app.db")
///     .synchronous(Synchronous::Normal)
///     .busy_timeout(Duration::from_secs(1))
///     .readers(8);
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct SqliteOptions {
    pub(crate) place: Place,
    pub(crate) synchronous: Synchronous,
    pub(crate) busy_timeout: Duration,
    pub(crate) write_wait: Duration,
    pub(crate) readers: usize,
    pub(crate) scans: usize,
    pub(crate) write_mode: WriteMode,
    pub(crate) missing_file: MissingFile,
    pub(crate) hook: Option<Hook>,
    pub(crate) functions: Functions,
    pub(crate) clock: Arc<dyn Clock>,
}

impl SqliteOptions {
    /// Documents in the file at this path. The path is taken as it is: it is no URI, and
    /// `:memory:` is a file of that name.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::new(Place::File(path.into()))
    }

    /// Documents in memory, gone with the store. There is one connection for reads and writes, so
    /// reads wait for the end of an open transaction.
    #[must_use]
    pub fn memory() -> Self {
        Self::new(Place::Memory)
    }

    fn new(place: Place) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            place,
            synchronous: Synchronous::default(),
            busy_timeout: Duration::from_secs(5),
            write_wait: Duration::from_secs(5),
            readers: cores.max(4),
            scans: 8,
            write_mode: WriteMode::default(),
            missing_file: MissingFile::default(),
            hook: None,
            functions: Functions::new(),
            clock: Arc::new(SystemClock),
        }
    }

    /// How far an acknowledged write has gone. [`Synchronous::Full`] by default.
    #[must_use]
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// How long to wait for a lock that another process holds, 5 seconds by default. A call that
    /// waited so long fails with `Contended`.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How long a write waits for the writes and the transaction before it within this process, 5
    /// seconds by default. A call that waited so long is withdrawn and fails with `Contended`.
    #[must_use]
    pub fn write_wait(mut self, wait: Duration) -> Self {
        self.write_wait = wait;
        self
    }

    /// How many connections read at once, at least 1. By default one for each processor, and at
    /// least 4. Searches leave one of them to loads where there are several.
    #[must_use]
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// How many scans of a file may be open at once, 8 by default and 1 to 1,000. Each has a
    /// connection and a thread of its own, and an open one keeps the log from being written back.
    /// One more fails with `Contended`. Scans within a transaction and of documents in memory do
    /// not count.
    #[must_use]
    pub fn scans(mut self, scans: usize) -> Self {
        self.scans = scans.clamp(1, 1_000);
        self
    }

    /// Where a write blocks. [`WriteMode::Inline`] by default.
    #[must_use]
    pub fn write_mode(mut self, mode: WriteMode) -> Self {
        self.write_mode = mode;
        self
    }

    /// What is done where there is no file. It is created by default.
    #[must_use]
    pub fn missing_file(mut self, missing: MissingFile) -> Self {
        self.missing_file = missing;
        self
    }

    /// Runs this on every new connection, before the store checks the settings that it relies on:
    /// opening fails if the hook changed one of these.
    #[must_use]
    pub fn on_connect(
        mut self,
        hook: impl Fn(&HookConnection<'_>) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Lets filters and writes call these functions, and native conditions too, by their names.
    ///
    /// In a question a function is called on whichever thread works: the task that asks, one of
    /// tokio's blocking threads, or the thread of a scan; after a call or two the question notices
    /// that its future was dropped. In a write it is called on a blocking thread, and only where it
    /// takes fields of a patched document do other writes wait for it. It must not wait for the
    /// store.
    ///
    /// In a native condition, SQL's `NULL`, integers, floats and text are the arguments, with 1 and
    /// 0 for `true` and `false`; a blob is refused.
    ///
    /// Opening fails with `Config` if SQLite has a function of the same name itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use strongroom_core::model::Scalar;
    /// use strongroom_core::query::{Call, Filter, Functions};
    /// use strongroom_sqlite::SqliteOptions;
    ///
    /// let functions = Functions::new().with("even", |arguments| match arguments {
    ///     [Some(Scalar::Integer(n))] => Ok(Some(Scalar::from(n % 2 == 0))),
    ///     _ => Ok(None),
    /// })?;
    /// let options = SqliteOptions::file("app.db").functions(functions);
    /// let filter = Filter::call(Call::new("even")?.field("logins".parse()?));
    /// let native = Filter::native("sqlite", "even(length(d.id))", Vec::<i64>::new());
    /// # let _ = (options, filter, native);
    /// # Ok::<(), strongroom_core::Error>(())
    /// ```
    #[must_use]
    pub fn functions(mut self, functions: Functions) -> Self {
        self.functions = functions;
        self
    }

    /// Tells the age of documents by this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteOptions")
            .field("place", &self.place)
            .field("synchronous", &self.synchronous)
            .field("busy_timeout", &self.busy_timeout)
            .field("write_wait", &self.write_wait)
            .field("readers", &self.readers)
            .field("scans", &self.scans)
            .field("write_mode", &self.write_mode)
            .field("missing_file", &self.missing_file)
            .field("hook", &self.hook.as_ref().map(|_| "set"))
            .field("functions", &self.functions)
            .finish_non_exhaustive()
    }
}
