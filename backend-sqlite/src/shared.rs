//! What all clones of a store share: the connections, and how calls reach them.

use std::sync::Arc;

use rusqlite::Connection;
use strongroom_core::error::{Error, ErrorKind, Result};
use strongroom_core::store::{Capabilities, FunctionSupport, Scan, ScanRequest};

use crate::connection::{self, Role};
use crate::error::{Phase, is_busy, map};
use crate::options::{Place, SqliteOptions, WriteMode};
use crate::pool::{Readers, briefly, elsewhere, interruptibly};
use crate::scan::{self, CollectedScan, Scans};
use crate::schema;
use crate::statements::StatementsOf;
use crate::transaction::Current;
use crate::write::Failure;
use crate::writer::{Attempt, Desk, Lease, Writer, begin, commit, run};

/// How work in a transaction of its own ends.
#[derive(Debug)]
pub(crate) enum Ending<T> {
    /// What it did stays.
    Commit(T),
    /// What it did is undone, and it has an answer all the same.
    RollBack(T),
}

/// What all clones of a store share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Arc<SqliteOptions>,
    pub(crate) statements: StatementsOf,
    pub(crate) desk: Arc<Desk>,
    /// `None` in memory, where the one connection reads as well.
    readers: Option<Readers>,
    scans: Scans,
    pub(crate) capabilities: Capabilities,
    pub(crate) current: Current,
}

impl Shared {
    /// Opens the file and makes it ready. It blocks.
    pub(crate) fn open(options: SqliteOptions) -> Result<Arc<Self>> {
        let options = Arc::new(options);
        let connection = connection::open(&options, Role::Writer)?;
        let named = |error| naming(&options, error);
        connection
            .busy_timeout(options.busy_timeout)
            .map_err(|e| named(map(e, Phase::Open)))?;
        // A file that is ready is only read, so that opening waits for no writer.
        if !schema::check_format(&connection).map_err(named)? {
            begin(&connection).map_err(|e| named(map(e, Phase::Open)))?;
            schema::prepare_file(&connection).map_err(named)?;
            commit(&connection).map_err(|e| named(map(e, Phase::Open)))?;
        }
        let in_memory = options.place == Place::Memory;
        if !in_memory {
            connection
                .busy_timeout(connection::SHORT_WAIT)
                .map_err(|e| named(map(e, Phase::Open)))?;
        }
        let readers = (!in_memory).then(|| Readers::new(&options)).transpose()?;
        let mut capabilities = Capabilities::new("sqlite");
        capabilities.transactions = true;
        capabilities.savepoints = true;
        capabilities.atomic_bulk = true;
        capabilities.unique_fields = true;
        capabilities.backward_pages = true;
        capabilities.text_search = true;
        capabilities.nested_filters = true;
        capabilities.native_filters = true;
        capabilities.functions = FunctionSupport::from(&options.functions);
        capabilities.aggregations = true;
        capabilities.groups = true;
        capabilities.scans = true;
        capabilities.matching_writes = true;
        capabilities.reads_beside_transactions = !in_memory;
        capabilities.durable = !in_memory;
        Ok(Arc::new(Self {
            statements: StatementsOf::default(),
            desk: Desk::new(Writer::new(connection, options.clone()), options.clone()),
            readers,
            scans: Scans::new(options.scans),
            capabilities,
            current: Current::default(),
            options,
        }))
    }

    /// Reads at once, in the task that calls.
    pub(crate) async fn load<T>(&self, work: impl Fn(&Connection) -> Result<T>) -> Result<T> {
        match &self.readers {
            Some(readers) => readers.load(work).await,
            None => {
                let mut lease = self.desk.turn(self.options.write_wait).await?;
                work(lease.writer()?.connection()?)
            }
        }
    }

    /// Reads for as long as it takes. A dropped future interrupts the read.
    pub(crate) async fn search<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> Result<T> + Send + 'static,
    {
        match &self.readers {
            Some(readers) => readers.search(work).await,
            None => {
                let lease = self.desk.turn(self.options.write_wait).await?;
                search_with(lease, self.options.clone(), work).await
            }
        }
    }

    /// Opens a scan. A dropped future leaves none open.
    pub(crate) async fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        self.desk.check_open()?;
        if self.readers.is_some() {
            return self.scans.open(&self.options, request).await;
        }
        let batch = request.batch;
        let collection = request.model.name().clone();
        let found = self
            .search(move |connection| scan::collect(connection, &request))
            .await?;
        let desk = self.desk.clone();
        Ok(Box::new(CollectedScan::new(desk, collection, found, batch)))
    }

    /// Changes things in a transaction of its own, when it is this call's turn. What `work`
    /// refuses is rolled back.
    pub(crate) async fn change<T, W>(&self, mode: WriteMode, mut work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnMut(&mut Connection) -> Result<Ending<T>, Failure> + Send + 'static,
    {
        let lease = self.desk.turn(self.options.write_wait).await?;
        let limit = self.options.busy_timeout;
        let (_lease, changed) = run(&self.options, mode, limit, lease, move |writer, _| {
            let attempt = match writer.connection() {
                Ok(connection) => in_transaction(connection, &mut work),
                Err(error) => Attempt::Done(Err(error)),
            };
            writer.settle();
            attempt
        })
        .await;
        changed.flatten()
    }

    /// Where short work on the writing connection blocks, and where work on many documents does.
    pub(crate) fn mode_for(&self, documents: usize) -> WriteMode {
        /// From here on a hop to another thread costs little in comparison.
        const MANY: usize = 64;
        if documents < MANY {
            self.options.write_mode
        } else {
            WriteMode::Thread
        }
    }

    /// Waits for what is under way and lets go of the connections.
    pub(crate) async fn close(&self) -> Result<()> {
        self.desk.refuse();
        self.current.abandon();
        self.scans.close().await;
        // The writer goes last, so that it is the one to write the log back.
        if let Some(readers) = &self.readers {
            readers.close().await;
        }
        self.desk.close().await
    }
}

fn in_transaction<T>(
    connection: &mut Connection,
    work: &mut impl FnMut(&mut Connection) -> Result<Ending<T>, Failure>,
) -> Attempt<Result<T>> {
    match begin(connection) {
        Ok(()) => {}
        Err(error) if is_busy(&error) => return Attempt::Busy,
        Err(error) => return Attempt::Done(Err(map(error, Phase::Before))),
    }
    Attempt::Done(match work(connection) {
        Ok(Ending::RollBack(done)) => Ok(done),
        Ok(Ending::Commit(done)) => commit(connection)
            .map(|()| done)
            .map_err(|e| map(e, Phase::Commit)),
        Err(Failure::Refused(error)) => Err(error),
        Err(Failure::Engine(error)) => Err(map(error, Phase::Before)),
    })
}

/// Reads by the connection that writes.
async fn search_with<T, W>(mut lease: Lease, options: Arc<SqliteOptions>, mut work: W) -> Result<T>
where
    T: Send + 'static,
    W: FnMut(&Connection) -> Result<T> + Send + 'static,
{
    if let Some(found) = briefly(lease.writer()?.connection()?, &options, &mut work)? {
        return Ok(found);
    }
    elsewhere(move |cancelled| {
        interruptibly(
            lease.writer()?.connection()?,
            &options,
            cancelled,
            &mut work,
        )
    })
    .await
}

fn naming(options: &SqliteOptions, error: Error) -> Error {
    match &options.place {
        Place::Memory => error,
        Place::File(path) => {
            let kind = match error.kind() {
                ErrorKind::Internal | ErrorKind::NotFound => ErrorKind::Config,
                kind => kind,
            };
            Error::new(
                kind,
                format!("database file {}: {}", path.display(), error.message()),
            )
            .with_source(error)
        }
    }
}
