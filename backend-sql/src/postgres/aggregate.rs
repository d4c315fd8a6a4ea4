//! Aggregations.

use sqlx_postgres::PgConnection;
use strongroom_core::store::{AggregateReply, AggregateRequest};
use strongroom_sql::Postgres;
use strongroom_sql::aggregate::RowForm;

use super::row;
use crate::failure::Failure;

/// Computes aggregations. Several statements see one state of the data only within a transaction
/// that keeps one.
pub(crate) async fn aggregate(
    connection: &mut PgConnection,
    request: &AggregateRequest,
) -> Result<AggregateReply, Failure> {
    let plan = strongroom_sql::aggregate(&Postgres, request)?;
    let mut answer = plan.answer();
    for step in plan.steps() {
        let rows = row::query(step.statement())
            .fetch_all(&mut *connection)
            .await?;
        for found in &rows {
            match step.form() {
                RowForm::Values(columns) => {
                    let values = (0..columns).map(|at| row::scalar(found, at));
                    answer.values(step, values.collect::<Result<_, _>>()?)?;
                }
                RowForm::Documents { keyed } => {
                    let (key, first) = row::key(found, request.model.is_routed())?;
                    let document = row::document(found, first, key)?;
                    let bucket = if keyed {
                        row::scalar(found, first + row::DOCUMENT)?
                    } else {
                        None
                    };
                    answer.document(step, bucket, document)?;
                }
            }
        }
    }
    Ok(answer.finish()?)
}
