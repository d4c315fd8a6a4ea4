//! Scans: pages behind one another, over one state of the data.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use strongroom_core::error::{Error, ErrorKind, Operation, Result};
use strongroom_core::model::RawDocument;
use strongroom_core::store::{FindRequest, Page, Scan, ScanRequest};
use tokio::sync::OwnedSemaphorePermit;

use crate::failure::{Failure, Phase, map};
use crate::pages::{self, Place};
use crate::search;

use super::connection::Connection;
use super::shared::Shared;

/// A scan outside of transactions. It has a connection of its own, so that it keeps none from
/// other calls; dropping it closes that connection.
pub(crate) struct PostgresScan {
    shared: Arc<Shared>,
    connection: Option<Connection>,
    request: FindRequest,
    place: Place,
    _permit: OwnedSemaphorePermit,
}

impl fmt::Debug for PostgresScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresScan")
            .field("collection", self.request.model.name())
            .finish_non_exhaustive()
    }
}

impl PostgresScan {
    /// Reads the first piece, so that what cannot be asked is refused here, and the state of the
    /// data is that of this moment.
    pub(crate) async fn open(shared: &Arc<Shared>, request: ScanRequest) -> Result<Self> {
        shared.links.check_open()?;
        let permit = shared
            .scans
            .clone()
            .try_acquire_owned()
            .map_err(|_| Error::new(ErrorKind::Contended, "too many scans are open"))?;
        let request = pages::first_page(request);
        let failed = |e| map(e, Phase::Read, Some(&request.model));
        let opened = shared.links.open().await;
        let mut connection = opened.map_err(|f| f.told(Phase::Read, None))?;
        let begun = connection.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "");
        begun.await.map_err(failed)?;
        let page = search::find(&mut connection, &request).await;
        let page = page.map_err(|f| f.told(Phase::Read, Some(&request.model)))?;
        Ok(Self {
            shared: shared.clone(),
            connection: Some(connection),
            request,
            place: Place::Read(page),
            _permit: permit,
        })
    }

    async fn page(&mut self) -> Result<Page, Failure> {
        self.shared.links.check_open()?;
        let Some(connection) = &mut self.connection else {
            return Err(pages::cancelled().into());
        };
        search::find(connection, &self.request).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Scan for PostgresScan {
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
            connection
                .close()
                .await
                .map_err(|e| map(e, Phase::Read, None).with_operation(Operation::ScanClose))?;
        }
        Ok(())
    }
}
