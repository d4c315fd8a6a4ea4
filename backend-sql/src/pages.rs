//! Where a scan stands between its pieces, which are pages behind one another.

use strongroom_core::error::{Error, ErrorKind};
use strongroom_core::store::{FindRequest, Page, PageStart, ScanRequest};

/// The question whose pages a scan's pieces are.
pub(crate) fn first_page(request: ScanRequest) -> FindRequest {
    let mut find = FindRequest::new(request.model, request.filter);
    find.sort = request.sort;
    find.source = request.source;
    find.routing = request.routing;
    find.limit = request.batch;
    find
}

/// Where a scan stands.
#[derive(Debug)]
pub(crate) enum Place {
    /// The next piece, read already.
    Read(Page),
    Behind(PageStart),
    Done,
    Closed,
}

impl Place {
    /// Where the scan stands behind a page.
    pub(crate) fn behind(page: &mut Page) -> Self {
        match page.next.take() {
            Some(cursor) => Self::Behind(PageStart::After(cursor)),
            None => Self::Done,
        }
    }
}

#[cold]
pub(crate) fn cancelled() -> Error {
    Error::new(
        ErrorKind::Cancelled,
        "the scan is closed, or an earlier call of it failed",
    )
}
