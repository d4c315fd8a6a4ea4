//! What SQLite would be asked, with its own plan for it.

use std::collections::HashMap;

use rusqlite::Connection;
use strongroom_core::error::Result;
use strongroom_core::store::{ExplainRequest, ExplainedStatement, Explanation};
use strongroom_sql::{Sqlite, Statement};

use crate::error::{Phase, map_in};
use crate::search::with_prepared;

/// Explains a question, without carrying it out.
///
/// # Errors
///
/// Those that the question itself would fail with before it looks at documents.
pub(crate) fn explain(connection: &Connection, request: &ExplainRequest) -> Result<Explanation> {
    let mut explained = Vec::new();
    for statement in strongroom_sql::asked(&Sqlite, request)? {
        let plan = plan(connection, &statement)
            .map_err(|e| map_in(e, Phase::Before, request.model().name()))?;
        let values = statement.values();
        explained.push(
            ExplainedStatement::new(statement.sql)
                .with_values(values)
                .with_plan(plan),
        );
    }
    Ok(Explanation::new(explained))
}

/// The lines of the plan, each indented by two spaces below the step that it is part of.
fn plan(connection: &Connection, statement: &Statement) -> rusqlite::Result<Vec<String>> {
    let mut asked = statement.clone();
    asked.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
    with_prepared(connection, &asked, |prepared| {
        let mut rows = prepared.raw_query();
        let mut depths: HashMap<i64, usize> = HashMap::new();
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            let (step, parent): (i64, i64) = (row.get(0)?, row.get(1)?);
            let depth = depths.get(&parent).map_or(0, |depth| depth + 1);
            depths.insert(step, depth);
            let detail: String = row.get(3)?;
            lines.push(format!("{}{detail}", "  ".repeat(depth)));
        }
        Ok(lines)
    })
}
