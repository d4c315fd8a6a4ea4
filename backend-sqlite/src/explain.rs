//! What SQLite would be asked, with its own plan for it.

use std::collections::HashMap;

use rusqlite::Connection;
use strongroom_core::error::{Error, Result};
use strongroom_core::model::Scalar;
use strongroom_core::store::{
    CountRequest, ExplainRequest, ExplainedStatement, Explanation, Total,
};
use strongroom_sql::{Param, Sqlite, Statement};

use crate::error::{Phase, map_in};
use crate::search::with_prepared;

/// Explains a question, without carrying it out.
///
/// # Errors
///
/// Those that the question itself would fail with before it looks at documents.
pub(crate) fn explain(connection: &Connection, request: &ExplainRequest) -> Result<Explanation> {
    let mut explained = Vec::new();
    for statement in statements(request)? {
        let plan = plan(connection, &statement)
            .map_err(|e| map_in(e, Phase::Before, request.model().name()))?;
        let values = statement.params.iter().map(value).collect();
        explained.push(
            ExplainedStatement::new(statement.sql)
                .with_values(values)
                .with_plan(plan),
        );
    }
    Ok(Explanation::new(explained))
}

fn statements(request: &ExplainRequest) -> Result<Vec<Statement>> {
    Ok(match request {
        ExplainRequest::Find(find) => {
            let mut statements = vec![strongroom_sql::find(&Sqlite, find)?];
            let at_most = match find.total {
                Total::None => return Ok(statements),
                Total::AtMost(most) => Some(most.saturating_add(1)),
                _ => None,
            };
            let mut count = CountRequest::new(find.model.clone(), find.filter.clone());
            count.routing.clone_from(&find.routing);
            statements.push(strongroom_sql::count(&Sqlite, &count, at_most)?);
            statements
        }
        ExplainRequest::Count(count) => vec![strongroom_sql::count(&Sqlite, count, None)?],
        ExplainRequest::Scan(scan) => vec![strongroom_sql::scan(&Sqlite, scan)?],
        ExplainRequest::Matching(step) => vec![strongroom_sql::matching(&Sqlite, step)?],
        ExplainRequest::Aggregate(request) => {
            strongroom_sql::aggregate(&Sqlite, request)?.into_statements()
        }
        ExplainRequest::Group(group) => vec![strongroom_sql::group(&Sqlite, group)?],
        _ => return Err(Error::unsupported("explanations of this question")),
    })
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

fn value(param: &Param) -> Scalar {
    match param {
        Param::Boolean(b) => Scalar::Boolean(*b),
        Param::Integer(i) => Scalar::Integer(*i),
        Param::Float(x) => Scalar::Float(*x),
        Param::Text(text) => Scalar::Text(text.clone()),
        Param::WriteId(id) => Scalar::from(id.to_string()),
        other => Scalar::from(format!("{other:?}").as_str()),
    }
}
