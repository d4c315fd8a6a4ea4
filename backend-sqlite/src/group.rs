//! The first documents of each group, on a connection.

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use strongroom_core::error::{Error, Result};
use strongroom_core::model::{Kind, Scalar};
use strongroom_core::store::{Group, GroupRequest, Groups, MAX_PAGE, Ranked};
use strongroom_sql::Sqlite;

use crate::bodies::Bodies;
use crate::error::{Phase, map_in};
use crate::load::hit;
use crate::search::{key, scalar, with_prepared};

/// Finds the groups, by one statement.
///
/// # Errors
///
/// `Invalid` if ties make more documents than a page may have.
pub(crate) fn group(connection: &Connection, request: &GroupRequest) -> Result<Groups> {
    let statement = strongroom_sql::group(&Sqlite, request)?;
    let kind = request.model.require(&request.by)?.kind;
    let wanted = i64::try_from(request.groups).unwrap_or(i64::MAX);
    let mut groups: Vec<Group> = Vec::new();
    let mut documents = 0;
    let mut bodies = Bodies::default();
    let more = with_prepared(connection, &statement, |prepared| {
        let mut rows = prepared.raw_query();
        let mut current = 0;
        while let Some(row) = rows.next()? {
            let (key, first) = match key(row, request.model.is_routed()) {
                Ok(found) => found,
                Err(error) => return Ok(Err(error)),
            };
            let number: i64 = row.get(first + 4)?;
            if number > wanted {
                return Ok(Ok(true));
            }
            if number != current {
                current = number;
                let Some(value) = value(row.get_ref(first + 2)?, kind) else {
                    return Ok(Err(Error::internal("a group has no value")));
                };
                groups.push(Group::new(value, Vec::new()));
            }
            documents += 1;
            if documents > MAX_PAGE {
                return Ok(Err(Error::invalid(format!(
                    "ties make groups of more than {MAX_PAGE} documents in all"
                ))));
            }
            let mut document = hit(row, first, key, &mut bodies)?;
            if !request.source.is_all() {
                match request.source.apply(&document.body) {
                    Ok(body) => document.body = body,
                    Err(error) => return Ok(Err(error)),
                }
            }
            let rank = row.get::<_, i64>(first + 3)?.unsigned_abs();
            if let Some(group) = groups.last_mut() {
                group.documents.push(Ranked::new(rank, document));
            }
        }
        Ok(Ok(false))
    })
    .map_err(|e| map_in(e, Phase::Before, request.model.name()))??;
    let next = groups.last().filter(|_| more).map(|last| last.key.clone());
    Ok(Groups::new(groups, next))
}

fn value(stored: ValueRef<'_>, kind: Kind) -> Option<Scalar> {
    match stored {
        ValueRef::Integer(i) if kind == Kind::Boolean => Some(Scalar::Boolean(i != 0)),
        other => scalar(other),
    }
}
