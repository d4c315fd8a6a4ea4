//! Reading a whole collection in the order of its keys.

use std::sync::Arc;

use crate::error::Result;
use crate::model::{Key, RawDocument};
use crate::query::{Cursor, Filter};
use crate::store::{FindRequest, MAX_PAGE, PageStart, Scan, ScanRequest, Store};

use crate::model::Model;

/// Pieces of a collection in the order of its keys: of one state where the store has scans.
#[derive(Debug)]
pub(super) struct Reading {
    store: Arc<dyn Store>,
    model: Arc<Model>,
    filter: Filter,
    piece: usize,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Start,
    Scan(Box<dyn Scan>),
    Behind(Cursor),
    End,
}

impl Reading {
    pub(super) fn new(
        store: &Arc<dyn Store>,
        model: &Arc<Model>,
        filter: &Filter,
        piece: usize,
    ) -> Self {
        Self {
            store: store.clone(),
            model: model.clone(),
            filter: filter.clone(),
            piece: piece.clamp(1, MAX_PAGE),
            place: Place::Start,
        }
    }

    /// The next piece; an empty one behind the last.
    pub(super) async fn next(&mut self) -> Result<Vec<RawDocument>> {
        match std::mem::replace(&mut self.place, Place::End) {
            Place::End => Ok(Vec::new()),
            Place::Start if self.store.capabilities().scans => {
                let mut request = ScanRequest::new(self.model.clone(), self.filter.clone());
                request.batch = self.piece;
                let scan = self.store.scan(request).await?;
                self.scanned(scan).await
            }
            Place::Scan(scan) => self.scanned(scan).await,
            Place::Start => self.page(PageStart::First).await,
            Place::Behind(cursor) => self.page(PageStart::After(cursor)).await,
        }
    }

    /// The next piece without what does not lie behind the key; an empty one behind the last.
    pub(super) async fn next_behind(&mut self, key: Option<&Key>) -> Result<Vec<RawDocument>> {
        loop {
            let mut piece = self.next().await?;
            let Some(key) = key else { return Ok(piece) };
            if piece.is_empty() {
                return Ok(piece);
            }
            piece.retain(|document| document.key > *key);
            if !piece.is_empty() {
                return Ok(piece);
            }
        }
    }

    async fn scanned(&mut self, mut scan: Box<dyn Scan>) -> Result<Vec<RawDocument>> {
        let documents = scan.next().await?;
        if !documents.is_empty() {
            self.place = Place::Scan(scan);
        }
        Ok(documents)
    }

    async fn page(&mut self, start: PageStart) -> Result<Vec<RawDocument>> {
        let mut request = FindRequest::new(self.model.clone(), self.filter.clone());
        request.limit = self.piece;
        request.start = start;
        let page = self.store.find(request).await?;
        self.place = page.next.map_or(Place::End, Place::Behind);
        Ok(page.documents)
    }
}
