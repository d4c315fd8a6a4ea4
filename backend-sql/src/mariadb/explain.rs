//! What the server would be asked, with its own plan for it.

use std::fmt::Write as _;

use sqlx_core::column::Column;
use sqlx_core::row::Row;
use sqlx_mysql::{MySqlConnection, MySqlRow};
use strongroom_core::store::{ExplainRequest, ExplainedStatement, Explanation};
use strongroom_sql::MariaDb;

use super::row;
use crate::failure::Failure;

/// Explains a question, without carrying it out.
pub(crate) async fn explain(
    connection: &mut MySqlConnection,
    request: &ExplainRequest,
) -> Result<Explanation, Failure> {
    let mut explained = Vec::new();
    for statement in strongroom_sql::asked(&MariaDb, request)? {
        let mut asked = statement.clone();
        asked.sql.insert_str(0, "EXPLAIN ");
        let lines = row::query(&asked)
            .persistent(false)
            .fetch_all(&mut *connection)
            .await?;
        let plan: Result<Vec<String>, _> = lines.iter().map(line).collect();
        let values = statement.values();
        explained.push(
            ExplainedStatement::new(statement.sql)
                .with_values(values)
                .with_plan(plan?),
        );
    }
    Ok(Explanation::new(explained))
}

/// A row of the plan: one table of the query, with the names of what is said of it.
fn line(row: &MySqlRow) -> Result<String, Failure> {
    let mut line = String::new();
    for (at, column) in row.columns().iter().enumerate() {
        let Some(value) = row::shown(row, at)? else {
            continue;
        };
        if !line.is_empty() {
            line.push_str(", ");
        }
        // Writing to a string does not fail.
        let _ = write!(line, "{}: {value}", column.name());
    }
    Ok(line)
}
