//! Finding and counting.

use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Key, RawDocument, Scalar};
use strongroom_core::query::{Position, SortTarget, SourceFilter};
use strongroom_core::store::{CountRequest, FindRequest, Page, Total, TotalCount};

use crate::ask::{Ask, DOCUMENT};
use crate::failure::Failure;

/// Finds one page, without its total.
pub(crate) async fn find<C: Ask>(
    connection: &mut C,
    request: &FindRequest,
) -> Result<Page, Failure> {
    let statement = strongroom_sql::find(C::dialect(), request)?;
    let rows = connection.ask(&statement).await?;
    let total = total(connection, request).await?;
    let more = rows.len() > request.limit;
    let mut documents: Vec<RawDocument> = Vec::with_capacity(rows.len());
    let (mut first, mut last) = (None, None);
    let taken = rows.len().min(request.limit);
    for (at, found) in rows.iter().take(request.limit).enumerate() {
        let (key, next) = C::key(found, request.model.is_routed())?;
        if at == 0 {
            first = Some(position::<C>(found, next + DOCUMENT, request, key.clone())?);
        }
        if at + 1 == taken {
            last = Some(position::<C>(found, next + DOCUMENT, request, key.clone())?);
        }
        documents.push(document::<C>(found, next, key, &request.source)?);
    }
    if request.start.is_backward() {
        // The rows came from the place backwards.
        documents.reverse();
        std::mem::swap(&mut first, &mut last);
    }
    Ok(Page::new(documents, total).with_cursors(request, first, last, more))
}

/// The document in a row, with the source filter applied.
pub(crate) fn document<C: Ask>(
    found: &C::Row,
    first: usize,
    key: Key,
    source: &SourceFilter,
) -> Result<RawDocument, Failure> {
    let mut document = C::document(found, first, key)?;
    if !source.is_all() {
        document.body = source.apply(&document.body)?;
    }
    Ok(document)
}

/// Whether the answer takes several statements, which have to see one state of the data.
pub(crate) fn needs_snapshot(request: &FindRequest) -> bool {
    request.total != Total::None
}

async fn total<C: Ask>(
    connection: &mut C,
    request: &FindRequest,
) -> Result<Option<TotalCount>, Failure> {
    let mut asked = CountRequest::new(request.model.clone(), request.filter.clone());
    asked.routing.clone_from(&request.routing);
    Ok(match request.total {
        Total::None => None,
        Total::AtMost(most) => {
            let value = count_up_to(connection, &asked, Some(most.saturating_add(1))).await?;
            Some(TotalCount {
                value: value.min(most),
                exact: value <= most,
            })
        }
        _ => Some(TotalCount {
            value: count_up_to(connection, &asked, None).await?,
            exact: true,
        }),
    })
}

/// Counts exactly what matches.
pub(crate) async fn count<C: Ask>(
    connection: &mut C,
    request: &CountRequest,
) -> Result<u64, Failure> {
    count_up_to(connection, request, None).await
}

async fn count_up_to<C: Ask>(
    connection: &mut C,
    request: &CountRequest,
    at_most: Option<u64>,
) -> Result<u64, Failure> {
    let statement = strongroom_sql::count(C::dialect(), request, at_most)?;
    let found = connection.ask(&statement).await?;
    let Some(found) = found.first() else {
        return Err(Error::internal("a count has no row").into());
    };
    let counted = C::integer(found, 0)?;
    let counted = u64::try_from(counted);
    Ok(counted.map_err(|_| Error::internal("fewer than no documents were counted"))?)
}

fn position<C: Ask>(
    found: &C::Row,
    first: usize,
    request: &FindRequest,
    key: Key,
) -> Result<Position, Failure> {
    let mut column = first;
    let mut values = Vec::with_capacity(request.sort.len());
    for sort in &request.sort {
        values.push(match &sort.target {
            SortTarget::Field(_) => {
                column += 1;
                C::scalar(found, column - 1)?
            }
            _ => Some(Scalar::from(key.id().as_str())),
        });
    }
    Ok(Position { values, key })
}
