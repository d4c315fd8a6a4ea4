//! Aggregations.

use strongroom_core::store::{AggregateReply, AggregateRequest};
use strongroom_sql::aggregate::RowForm;

use crate::ask::{Ask, DOCUMENT};
use crate::failure::Failure;

/// Computes aggregations. Several statements see one state of the data only within a transaction
/// that keeps one.
pub(crate) async fn aggregate<C: Ask>(
    connection: &mut C,
    request: &AggregateRequest,
) -> Result<AggregateReply, Failure> {
    let plan = strongroom_sql::aggregate(C::dialect(), request)?;
    let mut answer = plan.answer();
    for step in plan.steps() {
        let rows = connection.ask(step.statement()).await?;
        for found in &rows {
            match step.form() {
                RowForm::Values(columns) => {
                    let values = (0..columns).map(|at| C::scalar(found, at));
                    answer.values(step, values.collect::<Result<_, _>>()?)?;
                }
                RowForm::Documents { keyed } => {
                    let (key, first) = C::key(found, request.model.is_routed())?;
                    let document = C::document(found, first, key)?;
                    let bucket = if keyed {
                        C::scalar(found, first + DOCUMENT)?
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
