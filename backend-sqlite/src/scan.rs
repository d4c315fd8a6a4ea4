//! Scans: one statement, read on a connection of its own and handed over piece by piece.
//!
//! A scan of a file has a connection and a thread, so that it neither takes a reader from other
//! calls nor a thread from the runtime for as long as its holder likes. The thread begins a read
//! before the scan counts as open; from then on all it reads is of one state. It makes the next
//! piece only when there is room for it, so no more than two pieces are in memory: one under way
//! and one in the making. Whoever lets go of a scan stops it: the statement is interrupted
//! between two steps, and waiting for room ends.
//!
//! While a scan is open, the log cannot be written back beyond what the scan still reads, so the
//! log grows with what is written meanwhile.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use rusqlite::Connection;
use strongroom_core::error::{Error, ErrorKind, Operation, Result};
use strongroom_core::model::{CollectionName, RawDocument};
use strongroom_core::store::{Scan, ScanRequest};
use strongroom_sql::{Sqlite, Statement};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::bodies::Bodies;
use crate::connection::{self, Role};
use crate::error::{Phase, map, map_in};
use crate::load::{begin_read, hit};
use crate::options::SqliteOptions;
use crate::pool::steps_between_looks;
use crate::search::{key, with_prepared};
use crate::store::Told;
use crate::writer::{Desk, closed};

/// How many finished pieces wait to be fetched.
const PIECES_AHEAD: usize = 1;

/// The open scans of a store.
#[derive(Debug)]
pub(crate) struct Scans {
    free: Arc<Semaphore>,
    /// Most that are open at once.
    most: usize,
    listed: Mutex<Listed>,
}

#[derive(Debug, Default)]
struct Listed {
    open: Vec<Weak<Stop>>,
    /// Whether new scans are refused. It is decided under the lock of the list, so that none is
    /// missed when all are stopped.
    closed: bool,
}

/// How a scan's thread is told to end, by whichever side.
#[derive(Debug)]
struct Stop {
    stopped: AtomicBool,
    /// One permit for each piece that may be made.
    room: Semaphore,
}

impl Stop {
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.room.close();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

impl Scans {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most)),
            most,
            listed: Mutex::default(),
        }
    }

    /// Opens a scan of a file. A dropped future leaves none open.
    pub(crate) async fn open(
        &self,
        options: &Arc<SqliteOptions>,
        request: ScanRequest,
    ) -> Result<Box<dyn Scan>> {
        let permit = self.free.clone().try_acquire_owned().map_err(|_| {
            Error::new(
                ErrorKind::Contended,
                format!(
                    "{} scans are open, which is as many as there may be",
                    self.most
                ),
            )
        })?;
        let stop = Arc::new(Stop {
            stopped: AtomicBool::new(false),
            room: Semaphore::new(PIECES_AHEAD),
        });
        {
            let mut listed = self.listed();
            if listed.closed {
                return Err(closed());
            }
            listed.open.retain(|scan| scan.strong_count() > 0);
            listed.open.push(Arc::downgrade(&stop));
        }
        // The room bounds the channel; a bounded channel could not be ended from outside.
        let (pieces, received) = mpsc::unbounded_channel();
        let (ready, opened) = oneshot::channel();
        let (gone, ended) = oneshot::channel();
        let name = request.model.name().clone();
        let reading = Reading {
            options: options.clone(),
            request,
            pieces,
            stop: stop.clone(),
            runtime: Handle::current(),
        };
        let scan = FileScan {
            state: State::Open(Running {
                pieces: received,
                ended,
                stop,
            }),
            collection: name,
        };
        std::thread::Builder::new()
            .name("strongroom-scan".to_owned())
            .spawn(move || reading.run(ready, permit, gone))
            .map_err(|e| {
                Error::new(ErrorKind::Unavailable, "no thread for the scan").with_source(e)
            })?;
        opened.await.map_err(|_| given_up())??;
        Ok(Box::new(scan))
    }

    fn listed(&self) -> MutexGuard<'_, Listed> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses new scans, stops the open ones, and waits until the last is gone.
    pub(crate) async fn close(&self) {
        {
            let mut listed = self.listed();
            listed.closed = true;
            let open = listed.open.iter().filter_map(Weak::upgrade);
            open.for_each(|scan| scan.stop());
        }
        let all = u32::try_from(self.most).unwrap_or(u32::MAX);
        // All places are free when no thread is left.
        let _ = self.free.acquire_many(all).await;
    }
}

fn given_up() -> Error {
    Error::internal("a scan was given up half-way")
}

/// What comes from the thread.
enum Message {
    Piece(Vec<RawDocument>),
    End,
    Failed(Error),
}

/// What the thread works with.
struct Reading {
    options: Arc<SqliteOptions>,
    request: ScanRequest,
    pieces: mpsc::UnboundedSender<Message>,
    stop: Arc<Stop>,
    runtime: Handle,
}

impl Reading {
    fn run(
        self,
        ready: oneshot::Sender<Result<()>>,
        permit: OwnedSemaphorePermit,
        gone: oneshot::Sender<()>,
    ) {
        match self.open() {
            Ok((connection, statement)) => {
                // A caller that went away has stopped the scan, which is seen at once.
                let _ = ready.send(Ok(()));
                let message = match self.read(&connection, &statement) {
                    Ok(()) => Message::End,
                    Err(error) => Message::Failed(error),
                };
                // The connection goes first: who learns of the end may count on it.
                drop(connection);
                let _ = self.pieces.send(message);
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        }
        drop(permit);
        let _ = gone.send(());
    }

    /// Opens the connection and takes hold of the state that the scan shows.
    fn open(&self) -> Result<(Connection, Statement)> {
        let failed = |e| map_in(e, Phase::Before, self.request.model.name());
        let mut connection = connection::open(&self.options, Role::Reader)?;
        connection
            .busy_timeout(self.options.busy_timeout)
            .map_err(failed)?;
        let stop = self.stop.clone();
        connection
            .progress_handler(
                steps_between_looks(&self.options),
                Some(move || stop.is_stopped()),
            )
            .map_err(failed)?;
        // A read begins with the first row that is looked at, not with `BEGIN`.
        begin_read(&connection).map_err(failed)?;
        connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .map_err(failed)?;
        // What cannot be asked is refused before the scan counts as open.
        let statement = strongroom_sql::scan(&Sqlite, &self.request)?;
        connection.prepare_cached(&statement.sql).map_err(failed)?;
        Ok((connection, statement))
    }

    fn read(&self, connection: &Connection, statement: &Statement) -> Result<()> {
        with_prepared(connection, statement, |prepared| {
            let mut rows = prepared.raw_query();
            loop {
                if !self.wait_for_room() {
                    return Ok(Err(cancelled()));
                }
                let piece = match next_piece(&mut rows, &self.request)? {
                    Ok(piece) => piece,
                    Err(error) => return Ok(Err(error)),
                };
                let last = piece.len() < self.request.batch;
                if !piece.is_empty() && self.pieces.send(Message::Piece(piece)).is_err() {
                    return Ok(Err(cancelled()));
                }
                if last {
                    return Ok(Ok(()));
                }
            }
        })
        .map_err(|e| map(e, Phase::Before))?
    }

    /// Whether the next piece may be made; not if the scan was stopped.
    fn wait_for_room(&self) -> bool {
        match self.runtime.block_on(self.stop.room.acquire()) {
            Ok(room) => {
                room.forget();
                true
            }
            Err(_) => false,
        }
    }
}

/// The next rows as a piece, with the source filter applied.
fn next_piece(
    rows: &mut rusqlite::Rows<'_>,
    request: &ScanRequest,
) -> rusqlite::Result<Result<Vec<RawDocument>>> {
    let mut bodies = Bodies::default();
    let mut piece = Vec::with_capacity(request.batch.min(1_000));
    while piece.len() < request.batch {
        let Some(row) = rows.next()? else { break };
        let (key, first) = match key(row, request.model.is_routed()) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let mut document = hit(row, first, key, &mut bodies)?;
        if !request.source.is_all() {
            match request.source.apply(&document.body) {
                Ok(body) => document.body = body,
                Err(error) => return Ok(Err(error)),
            }
        }
        piece.push(document);
    }
    Ok(Ok(piece))
}

/// All that matches at once, for data that are in memory anyway.
pub(crate) fn collect(
    connection: &Connection,
    request: &ScanRequest,
) -> Result<VecDeque<RawDocument>> {
    let statement = strongroom_sql::scan(&Sqlite, request)?;
    let mut found = VecDeque::new();
    with_prepared(connection, &statement, |prepared| {
        let mut rows = prepared.raw_query();
        loop {
            match next_piece(&mut rows, request)? {
                Ok(piece) if piece.is_empty() => return Ok(Ok(())),
                Ok(piece) => found.extend(piece),
                Err(error) => return Ok(Err(error)),
            }
        }
    })
    .map_err(|e| map_in(e, Phase::Before, request.model.name()))??;
    Ok(found)
}

/// The error of every call on a scan that was closed, failed, or whose call was dropped.
pub(crate) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the scan is closed")
}

/// A scan of a file.
#[derive(Debug)]
struct FileScan {
    state: State,
    collection: CollectionName,
}

#[derive(Debug)]
enum State {
    Open(Running),
    /// All was handed out.
    Done,
    /// Closed, failed, or its call was dropped.
    Closed,
}

#[derive(Debug)]
struct Running {
    pieces: mpsc::UnboundedReceiver<Message>,
    /// Answers when the thread let go of everything.
    ended: oneshot::Receiver<()>,
    stop: Arc<Stop>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Scan for FileScan {
    async fn next(&mut self) -> Result<Vec<RawDocument>> {
        // What is taken out goes back only when an answer came: if this future is dropped, it is
        // dropped with it, which stops the thread.
        let mut running = match std::mem::replace(&mut self.state, State::Closed) {
            State::Open(running) => running,
            State::Done => {
                self.state = State::Done;
                return Ok(Vec::new());
            }
            State::Closed => return Err(cancelled()).told(Operation::ScanNext, &self.collection),
        };
        let answer = match running.pieces.recv().await {
            Some(Message::Piece(piece)) => {
                running.stop.room.add_permits(1);
                self.state = State::Open(running);
                Ok(piece)
            }
            Some(Message::End) => {
                self.state = State::Done;
                Ok(Vec::new())
            }
            // Only the end of the store stops a scan whose holder still asks.
            Some(Message::Failed(_)) if running.stop.is_stopped() => Err(closed()),
            Some(Message::Failed(error)) => Err(error),
            None => Err(given_up()),
        };
        answer.told(Operation::ScanNext, &self.collection)
    }

    /// Waits until the connection is closed. A dropped future leaves that to the thread.
    async fn close(&mut self) -> Result<()> {
        if let State::Open(mut running) = std::mem::replace(&mut self.state, State::Closed) {
            running.stop.stop();
            // An error means that the thread is gone already.
            let _ = (&mut running.ended).await;
        }
        Ok(())
    }
}

/// A scan whose documents were collected when it was opened. It ends with the store all the same.
#[derive(Debug)]
pub(crate) struct CollectedScan {
    desk: Arc<Desk>,
    collection: CollectionName,
    /// `None` when it is closed, or failed.
    rest: Option<VecDeque<RawDocument>>,
    batch: usize,
}

impl CollectedScan {
    pub(crate) fn new(
        desk: Arc<Desk>,
        collection: CollectionName,
        found: VecDeque<RawDocument>,
        batch: usize,
    ) -> Self {
        Self {
            desk,
            collection,
            rest: Some(found),
            batch,
        }
    }
}

impl CollectedScan {
    fn piece(&mut self) -> Result<Vec<RawDocument>> {
        let mut rest = self.rest.take().ok_or_else(cancelled)?;
        // What was handed out whole has ended; the store's end cuts the other short.
        if !rest.is_empty() {
            self.desk.check_open()?;
        }
        let piece = rest.drain(..self.batch.min(rest.len())).collect();
        self.rest = Some(rest);
        Ok(piece)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Scan for CollectedScan {
    async fn next(&mut self) -> Result<Vec<RawDocument>> {
        self.piece().told(Operation::ScanNext, &self.collection)
    }

    async fn close(&mut self) -> Result<()> {
        self.rest = None;
        Ok(())
    }
}
