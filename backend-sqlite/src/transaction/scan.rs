//! Scans within a transaction: page after page, behind the cursor of the one before.
//!
//! The transaction's own state is the one that is shown, with what it writes itself meanwhile. A
//! scan keeps no transaction open; once that is over, the scan fails.

use std::sync::Arc;

use async_trait::async_trait;
use strongroom_core::error::{Operation, Result};
use strongroom_core::model::RawDocument;
use strongroom_core::query::Cursor;
use strongroom_core::store::{FindRequest, Page, PageStart, Scan, ScanRequest};

use super::levels::LevelId;
use super::session::Session;
use crate::scan::cancelled;
use crate::search;
use crate::store::Told;

/// A scan on one level of a transaction.
#[derive(Debug)]
pub(super) struct TransactionScan {
    session: Arc<Session>,
    level: LevelId,
    /// The next page, without its start.
    request: FindRequest,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The piece that is next was read with the opening.
    Read(Page),
    /// The next piece lies behind this place.
    Behind(Cursor),
    Done,
    Closed,
}

impl TransactionScan {
    /// Reads the first piece, so that what cannot be asked is refused here.
    pub(super) async fn open(
        session: Arc<Session>,
        level: LevelId,
        request: ScanRequest,
    ) -> Result<Self> {
        let mut find = FindRequest::new(request.model, request.filter);
        find.sort = request.sort;
        find.source = request.source;
        find.routing = request.routing;
        find.limit = request.batch;
        let mut scan = Self {
            session,
            level,
            request: find,
            state: State::Closed,
        };
        scan.state = State::Read(scan.page(PageStart::First).await?);
        Ok(scan)
    }

    async fn page(&self, start: PageStart) -> Result<Page> {
        let mut request = self.request.clone();
        request.start = start;
        let find = move |connection: &_| search::find(connection, &request);
        self.session.search(self.level, find).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Scan for TransactionScan {
    async fn next(&mut self) -> Result<Vec<RawDocument>> {
        // The state comes back only with an answer, so a dropped future leaves the scan closed.
        let page = match std::mem::replace(&mut self.state, State::Closed) {
            State::Read(page) => Ok(page),
            State::Behind(cursor) => self.page(PageStart::After(cursor)).await,
            State::Done => {
                self.state = State::Done;
                return Ok(Vec::new());
            }
            State::Closed => Err(cancelled()),
        };
        let page = page.told(Operation::ScanNext, self.request.model.name())?;
        self.state = page.next.map_or(State::Done, State::Behind);
        Ok(page.documents)
    }

    async fn close(&mut self) -> Result<()> {
        self.state = State::Closed;
        Ok(())
    }
}
