//! Scans outside of transactions: pages behind one another, over one state of the data.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx_core::Error as Driver;
use strongroom_core::error::{Error, ErrorKind, Operation, Result};
use strongroom_core::model::RawDocument;
use strongroom_core::store::{FindRequest, Page, Scan, ScanRequest};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ask::Ask;
use crate::failure::{Failure, Phase, map};
use crate::pages::{self, Place};
use crate::pool::Links;
use crate::search;
use crate::session::Engine;

/// A server, as far as scans of it go.
pub(crate) trait Scanned: Engine<Connection: Ask> {
    /// The statements that begin to read one state of the data.
    const SNAPSHOT: &'static str;

    /// Ends a connection.
    fn close(connection: Self::Connection) -> impl Future<Output = Result<(), Driver>> + Send;
}

/// A scan outside of transactions. It has a connection of its own, so that it keeps none from
/// other calls; dropping it closes that connection.
pub(crate) struct StoreScan<S: Scanned> {
    links: Arc<Links<S>>,
    connection: Option<S::Connection>,
    request: FindRequest,
    place: Place,
    _permit: OwnedSemaphorePermit,
}

impl<S: Scanned> fmt::Debug for StoreScan<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreScan")
            .field("collection", self.request.model.name())
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
        let request = pages::first_page(request);
        let opened = links.open().await;
        let mut connection = opened.map_err(|f| f.told(Phase::Read, None))?;
        let begun = S::send(&mut connection, S::SNAPSHOT).await;
        begun.map_err(|e| map(e, Phase::Read, Some(&request.model)))?;
        let page = search::find(&mut connection, &request).await;
        let page = page.map_err(|f| f.told(Phase::Read, Some(&request.model)))?;
        Ok(Self {
            links: links.clone(),
            connection: Some(connection),
            request,
            place: Place::Read(page),
            _permit: permit,
        })
    }

    async fn page(&mut self) -> Result<Page, Failure> {
        self.links.check_open()?;
        let Some(connection) = &mut self.connection else {
            return Err(pages::cancelled().into());
        };
        search::find(connection, &self.request).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Scanned> Scan for StoreScan<S> {
    async fn next(&mut self) -> Result<Vec<RawDocument>> {
        // The state comes back only with an answer, so a dropped future leaves the scan closed.
        let page = match std::mem::replace(&mut self.place, Place::Closed) {
            Place::Read(page) => Ok(page),
            Place::Behind(start) => {
                self.request.start = start;
                self.page().await
            }
            Place::Done => {
                self.place = Place::Done;
                return Ok(Vec::new());
            }
            Place::Closed => Err(pages::cancelled().into()),
        };
        let mut page = page.map_err(|failure| {
            self.connection = None;
            failure
                .told(Phase::Read, Some(&self.request.model))
                .with_operation(Operation::ScanNext)
                .with_collection(self.request.model.name().clone())
        })?;
        self.place = Place::behind(&mut page);
        if matches!(self.place, Place::Done) {
            self.connection = None;
        }
        Ok(page.documents)
    }

    async fn close(&mut self) -> Result<()> {
        self.place = Place::Closed;
        if let Some(connection) = self.connection.take() {
            let closed = S::close(connection).await;
            closed.map_err(|e| map(e, Phase::Read, None).with_operation(Operation::ScanClose))?;
        }
        Ok(())
    }
}
