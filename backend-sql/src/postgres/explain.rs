//! What the server would be asked, with its own plan for it.

use sqlx_core::row::Row;
use sqlx_postgres::PgConnection;
use strongroom_core::error::Result;
use strongroom_core::store::{ExplainRequest, ExplainedStatement, Explanation};
use strongroom_sql::Postgres;

use super::row;
use crate::failure::Failure;

/// Explains a question, without carrying it out.
pub(crate) async fn explain(
    connection: &mut PgConnection,
    request: &ExplainRequest,
) -> Result<Explanation, Failure> {
    let mut explained = Vec::new();
    for statement in strongroom_sql::asked(&Postgres, request)? {
        let mut asked = statement.clone();
        asked.sql.insert_str(0, "EXPLAIN ");
        let lines = row::query(&asked)
            .persistent(false)
            .fetch_all(&mut *connection)
            .await?;
        let plan: Result<Vec<String>, _> = lines.iter().map(|line| line.try_get(0)).collect();
        let values = statement.values();
        explained.push(
            ExplainedStatement::new(statement.sql)
                .with_values(values)
                .with_plan(plan?),
        );
    }
    Ok(Explanation::new(explained))
}
