//! Finding and counting, on a connection.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, Statement as Prepared, ToSql};
use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Key, Kind, Model, RawDocument, Scalar};
use strongroom_core::query::{Position, SortTarget};
use strongroom_core::store::{CountRequest, FindRequest, Page, Total, TotalCount};
use strongroom_sql::{Param, Sqlite, Statement};

use crate::bodies::Bodies;
use crate::error::{Phase, map_in};
use crate::load::{begin_read, end_read, hit};

/// Statements with more values than this are not kept prepared: the next will have another number.
const MAX_CACHED_PARAMS: usize = 64;

/// Finds one page, and counts if asked, in one state of the data.
pub(crate) fn find(connection: &Connection, request: &FindRequest) -> Result<Page> {
    let failed = |e| map_in(e, Phase::Before, request.model.name());
    let statement = strongroom_sql::find(&Sqlite, request)?;
    let alone = request.total != Total::None && connection.is_autocommit();
    if alone {
        begin_read(connection).map_err(failed)?;
    }
    let page = page(connection, request, &statement);
    let total = page.is_ok().then(|| total(connection, request));
    if alone {
        end_read(connection).map_err(failed)?;
    }
    let found = page?;
    let page = Page::new(found.documents, total.transpose()?.flatten());
    Ok(page.with_cursors(request, found.first, found.last, found.more))
}

/// Counts exactly what matches.
pub(crate) fn count(connection: &Connection, request: &CountRequest) -> Result<u64> {
    count_up_to(connection, request, None)
}

fn total(connection: &Connection, request: &FindRequest) -> Result<Option<TotalCount>> {
    let count = |at_most| {
        let mut count = CountRequest::new(request.model.clone(), request.filter.clone());
        count.routing.clone_from(&request.routing);
        count_up_to(connection, &count, at_most)
    };
    Ok(match request.total {
        Total::None => None,
        Total::AtMost(most) => {
            let value = count(Some(most.saturating_add(1)))?;
            Some(TotalCount {
                value: value.min(most),
                exact: value <= most,
            })
        }
        _ => Some(TotalCount {
            value: count(None)?,
            exact: true,
        }),
    })
}

fn count_up_to(
    connection: &Connection,
    request: &CountRequest,
    at_most: Option<u64>,
) -> Result<u64> {
    let failed = |e| map_in(e, Phase::Before, request.model.name());
    let statement = strongroom_sql::count(&Sqlite, request, at_most)?;
    let counted = with_prepared(connection, &statement, |prepared| {
        let mut rows = prepared.raw_query();
        rows.next()?.map_or(Ok(0), |row| row.get::<_, i64>(0))
    });
    let counted = counted.map_err(failed)?;
    u64::try_from(counted).map_err(|_| Error::internal(format!("{counted} documents counted")))
}

/// The documents of a page, with the places that its cursors need.
struct Found {
    documents: Vec<RawDocument>,
    first: Option<Position>,
    /// The place of the last one, of a full page.
    last: Option<Position>,
    /// Whether more lie beyond the page.
    more: bool,
}

fn page(connection: &Connection, request: &FindRequest, statement: &Statement) -> Result<Found> {
    let failed = |e| map_in(e, Phase::Before, request.model.name());
    let kinds = sort_kinds(&request.model, request)?;
    let mut bodies = Bodies::default();
    let mut found = Found {
        documents: Vec::with_capacity(request.limit.min(1_000)),
        first: None,
        last: None,
        more: false,
    };
    with_prepared(connection, statement, |prepared| {
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next()? {
            if found.documents.len() == request.limit {
                found.more = true;
                break;
            }
            let (key, first) = match key(row, request.model.is_routed()) {
                Ok(found) => found,
                Err(error) => return Ok(Err(error)),
            };
            let document = hit(row, first, key, &mut bodies)?;
            let place = || position(row, first + 2, &kinds, document.key.clone());
            if found.documents.is_empty() {
                found.first = Some(place()?);
            }
            if found.documents.len() + 1 == request.limit {
                found.last = Some(place()?);
            }
            found.documents.push(document);
        }
        Ok(Ok(()))
    })
    .map_err(failed)??;
    if request.start.is_backward() {
        // The rows came from the place backwards.
        found.documents.reverse();
        std::mem::swap(&mut found.first, &mut found.last);
    }
    if !request.source.is_all() {
        for document in &mut found.documents {
            document.body = request.source.apply(&document.body)?;
        }
    }
    Ok(found)
}

/// The kind of each sort key, `None` for the id.
fn sort_kinds(model: &Model, request: &FindRequest) -> Result<Vec<Option<Kind>>> {
    request
        .sort
        .iter()
        .map(|sort| match &sort.target {
            SortTarget::Field(path) => model.require(path).map(|field| Some(field.kind)),
            _ => Ok(None),
        })
        .collect()
}

/// The key in the first columns, and the number of the column after it.
pub(crate) fn key(row: &Row<'_>, routed: bool) -> Result<(Key, usize)> {
    let text = |column| {
        row.get_ref(column)
            .ok()
            .and_then(|value| value.as_str().ok())
            .ok_or_else(|| Error::internal("a stored key is not text"))
    };
    if routed {
        Ok((Key::routed(text(1)?, text(0)?)?, 2))
    } else {
        Ok((Key::new(text(0)?)?, 1))
    }
}

fn position(
    row: &Row<'_>,
    first: usize,
    kinds: &[Option<Kind>],
    key: Key,
) -> rusqlite::Result<Position> {
    let mut column = first;
    let mut values = Vec::with_capacity(kinds.len());
    for kind in kinds {
        let Some(kind) = kind else {
            values.push(Some(Scalar::from(key.id().as_str())));
            continue;
        };
        values.push(match row.get_ref(column)? {
            ValueRef::Integer(i) if *kind == Kind::Boolean => Some(Scalar::Boolean(i != 0)),
            ValueRef::Integer(i) => Some(Scalar::Integer(i)),
            ValueRef::Real(x) => Some(Scalar::Float(x)),
            ValueRef::Text(_) => Some(Scalar::from(row.get_ref(column)?.as_str()?)),
            _ => None,
        });
        column += 1;
    }
    Ok(Position { values, key })
}

/// A stored value; `None` for `NULL`. A boolean is 1 or 0.
pub(crate) fn scalar(stored: ValueRef<'_>) -> Option<Scalar> {
    match stored {
        ValueRef::Integer(i) => Some(Scalar::Integer(i)),
        ValueRef::Real(x) => Some(Scalar::Float(x)),
        ValueRef::Text(_) => stored.as_str().ok().map(Scalar::from),
        _ => None,
    }
}

pub(crate) fn with_prepared<T>(
    connection: &Connection,
    statement: &Statement,
    run: impl FnOnce(&mut Prepared<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let bind = |prepared: &mut Prepared<'_>| {
        for (at, param) in statement.params.iter().enumerate() {
            prepared.raw_bind_parameter(at + 1, Bound(param))?;
        }
        Ok::<(), rusqlite::Error>(())
    };
    if statement.params.len() <= MAX_CACHED_PARAMS {
        let mut prepared = connection.prepare_cached(&statement.sql)?;
        bind(&mut prepared)?;
        run(&mut prepared)
    } else {
        let mut prepared = connection.prepare(&statement.sql)?;
        bind(&mut prepared)?;
        run(&mut prepared)
    }
}

struct Bound<'a>(&'a Param);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Param::Boolean(b) => ToSqlOutput::from(i64::from(*b)),
            Param::Integer(i) => ToSqlOutput::from(*i),
            Param::Float(x) => ToSqlOutput::from(*x),
            Param::Text(t) => ToSqlOutput::Borrowed(ValueRef::Text(t.as_bytes())),
            Param::WriteId(id) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
            other => {
                return Err(rusqlite::Error::ToSqlConversionFailure(
                    format!("{other:?} is not bound").into(),
                ));
            }
        })
    }
}
