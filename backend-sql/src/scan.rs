//! Scans outside of transactions, over one state of the data.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use async_trait::async_trait;
use futures_util::future::{BoxFuture, Either, Fuse, FusedFuture as _, FutureExt as _, select};
#[cfg(feature = "postgres")]
use futures_util::stream::{Stream, TryStreamExt as _};
use sqlx_core::Error as Driver;
use strongroom_core::error::{Error, ErrorKind, Operation, Result};
use strongroom_core::model::{CollectionName, RawDocument};
use strongroom_core::store::{Scan, ScanRequest};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::ask::Ask;
use crate::failure::{Failure, Phase, map};
use crate::pages;
use crate::pool::Links;
use crate::search;
use crate::session::Engine;

/// A server, as far as scans of it go.
pub(crate) trait Scanned: Engine<Connection: Ask> {
    /// The statements that begin to read one state of the data.
    const SNAPSHOT: &'static str;

    /// Whether the server sends the rows of a scan by itself, and waits for them to be read.
    const STREAMS: bool;

    /// Hands all that a scan finds over, until nobody wants more of it.
    fn read(
        connection: &mut Self::Connection,
        request: ScanRequest,
        pieces: &Pieces,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Ends a connection.
    fn close(connection: Self::Connection) -> impl Future<Output = Result<(), Driver>> + Send;
}

/// How many finished pieces wait to be fetched.
const PIECES_AHEAD: usize = 1;

/// A scan outside of transactions, on a connection of its own, so that it keeps none from other
/// calls. The server works while the caller does: it either sends rows until nobody takes them any
/// more, or a task reads pages ahead. Whoever lets go of the scan ends the reading, which closes that
/// connection.
pub(crate) struct StoreScan<S: Scanned> {
    links: Arc<Links<S>>,
    collection: CollectionName,
    state: State,
    _permit: OwnedSemaphorePermit,
}

enum State {
    Open(Running),
    /// All was handed out.
    Done,
    /// Closed, failed, or its call was dropped.
    Closed,
}

struct Running {
    first: Option<Vec<RawDocument>>,
    /// At the end of the scan there comes an empty piece.
    pieces: mpsc::Receiver<Result<Vec<RawDocument>>>,
    /// Reads, and closes the connection when nobody receives any more.
    reader: Reader,
}

/// Who reads.
enum Reader {
    /// A task of its own.
    Task(JoinHandle<Result<(), Driver>>),
    /// Whoever waits for a piece.
    Caller(Fuse<BoxFuture<'static, Result<(), Driver>>>),
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Self::Task(task) = self {
            task.abort();
        }
    }
}

impl<S: Scanned> fmt::Debug for StoreScan<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreScan")
            .field("collection", &self.collection)
            .finish_non_exhaustive()
    }
}

impl<S: Scanned> StoreScan<S> {
    /// Reads the first piece, so that what cannot be asked is refused here, and the state of the
    /// data is that of this moment. `open` lets so many scans be open at once.
    pub(crate) async fn open(
        links: &Arc<Links<S>>,
        open: &Arc<Semaphore>,
        request: ScanRequest,
    ) -> Result<Self> {
        links.check_open()?;
        let permit = open
            .clone()
            .try_acquire_owned()
            .map_err(|_| Error::new(ErrorKind::Contended, "too many scans are open"))?;
        let collection = request.model.name().clone();
        let opened = links.open().await;
        let mut connection = opened.map_err(|f| f.told(Phase::Read, None))?;
        let begun = S::send_begin(&mut connection, S::SNAPSHOT).await;
        begun.map_err(|e| map(e, Phase::Read, Some(&request.model)))?;
        let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
        let reading = read::<S>(connection, request, Pieces(sender));
        let reader = match S::STREAMS {
            true => Reader::Caller(reading.boxed().fuse()),
            false => Reader::Task(tokio::spawn(reading)),
        };
        let mut running = Running {
            first: None,
            pieces: receiver,
            reader,
        };
        running.first = Some(running.piece().await?);
        Ok(Self {
            links: links.clone(),
            collection,
            state: State::Open(running),
            _permit: permit,
        })
    }
}

impl Running {
    async fn piece(&mut self) -> Result<Vec<RawDocument>> {
        match self.first.take() {
            Some(piece) => Ok(piece),
            None => {
                let piece = self.receive().await;
                piece.unwrap_or_else(|| Err(Error::internal("a scan was given up half-way")))
            }
        }
    }

    async fn receive(&mut self) -> Option<Result<Vec<RawDocument>>> {
        match &mut self.reader {
            Reader::Task(_) => self.pieces.recv().await,
            Reader::Caller(reading) => {
                poll_fn(|context| {
                    let _ = reading.poll_unpin(context);
                    let piece = ready!(self.pieces.poll_recv(context));
                    // There is room again. Once the last row is read, the transaction ends, whether
                    // or not the caller comes back to be told that there are no more.
                    let _ = reading.poll_unpin(context);
                    Poll::Ready(piece)
                })
                .await
            }
        }
    }
}

/// Where the pieces of a scan go.
pub(crate) struct Pieces(mpsc::Sender<Result<Vec<RawDocument>>>);

impl Pieces {
    /// Hands a piece over when there is room for it; `false` if nobody wants it.
    async fn hand_over(&self, piece: Result<Vec<RawDocument>>) -> bool {
        self.0.send(piece).await.is_ok()
    }

    /// Hands over pages behind one another.
    #[cfg(feature = "mariadb")]
    pub(crate) async fn of_pages<C: Ask>(
        &self,
        connection: &mut C,
        request: ScanRequest,
    ) -> Result<(), Failure> {
        let mut request = pages::first_page(request);
        loop {
            let mut page = search::find(connection, &request).await?;
            let place = pages::Place::behind(&mut page);
            if !page.documents.is_empty() && !self.hand_over(Ok(page.documents)).await {
                return Ok(());
            }
            let pages::Place::Behind(start) = place else {
                return Ok(());
            };
            request.start = start;
        }
    }

    /// Hands over the rows of one statement.
    #[cfg(feature = "postgres")]
    pub(crate) async fn of_rows<C: Ask>(
        &self,
        rows: impl Stream<Item = Result<C::Row, Driver>>,
        request: &ScanRequest,
    ) -> Result<(), Failure> {
        let mut rows = pin!(rows.try_chunks(request.batch));
        while let Some(rows) = rows.try_next().await.map_err(|e| e.1)? {
            let documents = rows.iter().map(|row| {
                let (key, next) = C::key(row, request.model.is_routed())?;
                search::document::<C>(row, next, key, &request.source)
            });
            if !self
                .hand_over(Ok(documents.collect::<Result<_, _>>()?))
                .await
            {
                break;
            }
        }
        Ok(())
    }
}

/// Reads a scan until its end, or until nobody wants it.
async fn read<S: Scanned>(
    mut connection: S::Connection,
    request: ScanRequest,
    pieces: Pieces,
) -> Result<(), Driver> {
    let model = request.model.clone();
    let told = {
        let reading = pin!(S::read(&mut connection, request, &pieces));
        match select(reading, pin!(pieces.0.closed())).await {
            Either::Left((told, _)) => told,
            // A statement is under way: the server finds nobody who hears its answer.
            Either::Right(_) => return Ok(()),
        }
    };
    if let Err(failure) = told {
        let error = failure.told(Phase::Read, Some(&model));
        pieces.hand_over(Err(error)).await;
        return Ok(());
    }
    pieces.hand_over(Ok(Vec::new())).await;
    S::close(connection).await
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Scanned> Scan for StoreScan<S> {
    async fn next(&mut self) -> Result<Vec<RawDocument>> {
        // The state comes back only with an answer, so a dropped future leaves the scan closed.
        let mut running = match std::mem::replace(&mut self.state, State::Closed) {
            State::Open(running) => running,
            State::Done => {
                self.state = State::Done;
                return Ok(Vec::new());
            }
            State::Closed => return Err(self.about(pages::cancelled())),
        };
        self.links.check_open().map_err(|e| self.about(e))?;
        let piece = running.piece().await.map_err(|e| self.about(e))?;
        self.state = match piece.is_empty() {
            true => State::Done,
            false => State::Open(running),
        };
        Ok(piece)
    }

    async fn close(&mut self) -> Result<()> {
        let State::Open(mut running) = std::mem::replace(&mut self.state, State::Closed) else {
            return Ok(());
        };
        running.pieces.close();
        // What was read ahead is let go, so that the task does not wait for room.
        while running.pieces.recv().await.is_some() {}
        let closed = match &mut running.reader {
            Reader::Task(task) => task.await.unwrap_or(Ok(())),
            Reader::Caller(reading) if reading.is_terminated() => Ok(()),
            Reader::Caller(reading) => reading.await,
        };
        closed.map_err(|e| map(e, Phase::Read, None).with_operation(Operation::ScanClose))
    }
}

impl<S: Scanned> StoreScan<S> {
    fn about(&self, error: Error) -> Error {
        let error = error.with_operation(Operation::ScanNext);
        error.with_collection(self.collection.clone())
    }
}
