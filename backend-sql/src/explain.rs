//! What the server would be asked, with its own plan for it.

use strongroom_core::store::{ExplainRequest, ExplainedStatement, Explanation};

use crate::ask::Ask;
use crate::failure::Failure;

/// Explains a question, without carrying it out.
pub(crate) async fn explain<C: Ask>(
    connection: &mut C,
    request: &ExplainRequest,
) -> Result<Explanation, Failure> {
    let mut explained = Vec::new();
    for statement in strongroom_sql::asked(C::dialect(), request)? {
        let mut asked = statement.clone();
        asked.sql.insert_str(0, "EXPLAIN ");
        let plan = connection.plan(&asked).await?;
        let values = statement.values();
        explained.push(
            ExplainedStatement::new(statement.sql)
                .with_values(values)
                .with_plan(plan),
        );
    }
    Ok(Explanation::new(explained))
}
