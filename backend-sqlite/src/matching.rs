//! Writing what matches, on a connection that may write.
//!
//! The documents are found and written in one transaction that nobody else writes beside, and
//! each is written all the same under the version at which it matched. The search is interrupted
//! when its caller goes away; what is found is written as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use strongroom_core::error::{Error, ErrorKind};
use strongroom_core::model::{Expected, Key, Version};
use strongroom_core::store::{
    Action, BulkItem, MatchingAction, MatchingReply, MatchingRequest, Write,
};
use strongroom_sql::Sqlite;

use crate::bulk;
use crate::load::version;
use crate::options::SqliteOptions;
use crate::pool::interruptibly;
use crate::search::{key, with_prepared};
use crate::statements::Statements;
use crate::write::Failure;

/// Carries out one step, within a transaction of the caller's.
///
/// # Errors
///
/// Those of the search, and the engine's, after which the caller rolls everything back. What
/// refuses a single document is in the reply.
pub(crate) fn write_matching(
    connection: &mut Connection,
    options: &SqliteOptions,
    cancelled: &Arc<AtomicBool>,
    statements: &Statements,
    request: &MatchingRequest,
) -> Result<MatchingReply, Failure> {
    let now = options.clock.now();
    let found = interruptibly(connection, options, cancelled, &mut |connection| {
        Ok(search(connection, request))
    });
    let (found, more) = found??;
    if cancelled.load(Ordering::Relaxed) {
        let message = "the call was dropped before anything was written";
        return Err(Error::new(ErrorKind::Cancelled, message).into());
    }
    let action = match &request.action {
        MatchingAction::Patch(patch) => Action::Patch(patch.clone()),
        MatchingAction::Delete => Action::Delete,
    };
    let last = found.last().map(|(key, _)| key.clone());
    let items: Vec<BulkItem> = found
        .into_iter()
        .map(|(key, version)| {
            let mut write = Write::new(key, action.clone(), Expected::Exactly(version));
            write.write_id = request.write_id;
            BulkItem::Write(write)
        })
        .collect();
    let outcomes = bulk::bulk(connection, statements, &items, now).map_err(Failure::Engine)?;
    let mut written = 0;
    let mut failures = Vec::new();
    for (item, outcome) in items.iter().zip(outcomes) {
        match outcome {
            Ok(_) => written += 1,
            Err(error) => failures.push((item.key().clone(), error)),
        }
    }
    Ok(MatchingReply::new(written, failures, last.filter(|_| more)))
}

type Found = (Vec<(Key, Version)>, bool);

/// The documents of the step, and whether more match behind them.
fn search(connection: &Connection, request: &MatchingRequest) -> Result<Found, Failure> {
    let statement = strongroom_sql::matching(&Sqlite, request)?;
    let mut found = Vec::with_capacity(request.limit.min(1_000));
    let more = with_prepared(connection, &statement, |prepared| {
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next()? {
            if found.len() == request.limit {
                return Ok(Ok(true));
            }
            match key(row, request.model.is_routed()) {
                Ok((key, next)) => found.push((key, version(row, next)?)),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(false))
    })??;
    Ok((found, more))
}
