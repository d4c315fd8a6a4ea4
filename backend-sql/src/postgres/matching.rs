//! Writing what matches, within a transaction.

use sqlx_postgres::PgConnection;
use strongroom_core::model::Expected;
use strongroom_core::store::{
    Action, BulkItem, MatchingAction, MatchingReply, MatchingRequest, Write,
};
use strongroom_sql::Postgres;

use crate::failure::Failure;
use crate::work::Undo;

use super::bulk;
use super::row;
use super::statements::Statements;

/// Carries out one step: finds the documents, and writes each under the version at which it
/// matched.
pub(crate) async fn write_matching(
    connection: &mut PgConnection,
    statements: &Statements,
    request: &MatchingRequest,
    undo: Undo,
) -> Result<MatchingReply, Failure> {
    let statement = strongroom_sql::matching(&Postgres, request)?;
    let rows = row::query(&statement).fetch_all(&mut *connection).await?;
    let more = rows.len() > request.limit;
    let action = match &request.action {
        MatchingAction::Patch(patch) => Action::Patch(patch.clone()),
        MatchingAction::Delete => Action::Delete,
    };
    let mut items = Vec::with_capacity(rows.len());
    for found in rows.iter().take(request.limit) {
        let (key, next) = row::key(found, request.model.is_routed())?;
        let expected = Expected::Exactly(row::version(found, next)?);
        let mut write = Write::new(key, action.clone(), expected);
        write.write_id = request.write_id;
        items.push(BulkItem::Write(write));
    }
    let last = items.last().map(|item| item.key().clone());
    if items.is_empty() {
        return Ok(MatchingReply::default());
    }
    let outcomes = bulk::bulk(connection, statements, &items, false, undo).await?;
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
