//! Aggregations, on a connection.

use rusqlite::Connection;
use strongroom_core::error::Result;
use strongroom_core::store::{AggregateReply, AggregateRequest};
use strongroom_sql::Sqlite;
use strongroom_sql::aggregate::{Answer, Plan, RowForm, Step};

use crate::bodies::Bodies;
use crate::error::{Phase, map_in};
use crate::load::{begin_read, end_read, hit};
use crate::search::{key, scalar, with_prepared};

/// Computes all aggregations of a request in one state of the data.
///
/// # Errors
///
/// `Invalid` as said at [`Search::aggregate`](strongroom_core::store::Search::aggregate).
pub(crate) fn aggregate(
    connection: &Connection,
    request: &AggregateRequest,
) -> Result<AggregateReply> {
    let failed = |e| map_in(e, Phase::Before, request.model.name());
    let plan = strongroom_sql::aggregate(&Sqlite, request)?;
    let alone = plan.steps().len() > 1 && connection.is_autocommit();
    if alone {
        begin_read(connection).map_err(failed)?;
    }
    let answer = answer(connection, request, &plan);
    if alone {
        end_read(connection).map_err(failed)?;
    }
    answer?.finish()
}

fn answer<'r>(
    connection: &Connection,
    request: &AggregateRequest,
    plan: &Plan<'r>,
) -> Result<Answer<'r>> {
    let mut answer = plan.answer();
    for step in plan.steps() {
        take(connection, request, step, &mut answer)?;
    }
    Ok(answer)
}

/// Carries out one statement and takes its rows into the answer.
fn take<'r>(
    connection: &Connection,
    request: &AggregateRequest,
    step: &Step<'r>,
    answer: &mut Answer<'r>,
) -> Result<()> {
    let routed = request.model.is_routed();
    let mut bodies = Bodies::default();
    with_prepared(connection, step.statement(), |prepared| {
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next()? {
            let taken = match step.form() {
                RowForm::Values(columns) => {
                    let values = (0..columns).map(|at| row.get_ref(at).map(scalar));
                    let values = values.collect::<rusqlite::Result<_>>()?;
                    answer.values(step, values)
                }
                RowForm::Documents { keyed } => match key(row, routed) {
                    Ok((key, first)) => {
                        let document = hit(row, first, key, &mut bodies)?;
                        let bucket = if keyed {
                            scalar(row.get_ref(first + 2)?)
                        } else {
                            None
                        };
                        answer.document(step, bucket, document)
                    }
                    Err(error) => Err(error),
                },
            };
            if taken.is_err() {
                return Ok(taken);
            }
        }
        Ok(Ok(()))
    })
    .map_err(|e| map_in(e, Phase::Before, request.model.name()))?
}
