//! Finding and counting.

use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Key, RawDocument, Scalar};
use strongroom_core::query::{Placer, Position, Sort, SortTarget, SourceFilter};
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
    let rows = rows.get(..request.limit).unwrap_or(&rows);
    let mut first = rows
        .first()
        .map(|row| position::<C>(row, request))
        .transpose()?;
    let mut last = rows
        .last()
        .map(|row| position::<C>(row, request))
        .transpose()?;
    let mut documents: Vec<RawDocument> = Vec::with_capacity(rows.len());
    for found in rows {
        let (key, next) = C::key(found, request.model.is_routed())?;
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

/// The place of the document in a row.
fn position<C: Ask>(found: &C::Row, request: &FindRequest) -> Result<Position, Failure> {
    let FindRequest { model, sort, .. } = request;
    let (key, next) = C::key(found, model.is_routed())?;
    let is_field = |sort: &Sort| matches!(sort.target, SortTarget::Field(_));
    if !C::dialect().tells_sort_values() && sort.iter().any(is_field) {
        let placer = Placer::new(sort, model)?;
        let document = C::document(found, next, key)?;
        return Ok(placer.place(&document.key, &document.body.to_object()?));
    }
    let mut column = next + DOCUMENT;
    let mut values = Vec::with_capacity(sort.len());
    for sort in sort {
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
