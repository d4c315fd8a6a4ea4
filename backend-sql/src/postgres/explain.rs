//! What the server would be asked, with its own plan for it.

use sqlx_core::row::Row;
use sqlx_postgres::PgConnection;
use strongroom_core::error::{Error, Result};
use strongroom_core::model::Scalar;
use strongroom_core::store::{
    CountRequest, ExplainRequest, ExplainedStatement, Explanation, Total,
};
use strongroom_sql::{Param, Postgres, Statement};

use super::error::Failure;
use super::row;

/// Explains a question, without carrying it out.
pub(crate) async fn explain(
    connection: &mut PgConnection,
    request: &ExplainRequest,
) -> Result<Explanation, Failure> {
    let mut explained = Vec::new();
    for statement in statements(request)? {
        let mut asked = statement.clone();
        asked.sql.insert_str(0, "EXPLAIN ");
        let lines = row::query(&asked)
            .persistent(false)
            .fetch_all(&mut *connection)
            .await?;
        let plan: Result<Vec<String>, _> = lines.iter().map(|line| line.try_get(0)).collect();
        let values = statement.params.iter().map(value).collect();
        explained.push(
            ExplainedStatement::new(statement.sql)
                .with_values(values)
                .with_plan(plan?),
        );
    }
    Ok(Explanation::new(explained))
}

fn statements(request: &ExplainRequest) -> Result<Vec<Statement>> {
    Ok(match request {
        ExplainRequest::Find(find) => {
            let mut statements = vec![strongroom_sql::find(&Postgres, find)?];
            let at_most = match find.total {
                Total::None => return Ok(statements),
                Total::AtMost(most) => Some(most.saturating_add(1)),
                _ => None,
            };
            let mut count = CountRequest::new(find.model.clone(), find.filter.clone());
            count.routing.clone_from(&find.routing);
            statements.push(strongroom_sql::count(&Postgres, &count, at_most)?);
            statements
        }
        ExplainRequest::Count(count) => vec![strongroom_sql::count(&Postgres, count, None)?],
        ExplainRequest::Scan(scan) => vec![strongroom_sql::scan(&Postgres, scan)?],
        ExplainRequest::Matching(step) => vec![strongroom_sql::matching(&Postgres, step)?],
        ExplainRequest::Aggregate(request) => {
            strongroom_sql::aggregate(&Postgres, request)?.into_statements()
        }
        ExplainRequest::Group(group) => vec![strongroom_sql::group(&Postgres, group)?],
        _ => return Err(Error::unsupported("explanations of this question")),
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
