//! What a question comes to, for its explanation.

use strongroom_core::error::{Error, Result};
use strongroom_core::model::Scalar;
use strongroom_core::store::{CountRequest, ExplainRequest, Total};

use crate::dialect::Dialect;
use crate::param::{Param, Statement};

/// Compiles the statements that a question asks a database, in order.
///
/// # Errors
///
/// Those of compiling the question; `Unsupported` for a question that the compiler does not know.
pub fn asked(dialect: &dyn Dialect, request: &ExplainRequest) -> Result<Vec<Statement>> {
    Ok(match request {
        ExplainRequest::Find(find) => {
            let mut statements = vec![crate::find(dialect, find)?];
            let at_most = match find.total {
                Total::None => return Ok(statements),
                Total::AtMost(most) => Some(most.saturating_add(1)),
                _ => None,
            };
            let mut count = CountRequest::new(find.model.clone(), find.filter.clone());
            count.routing.clone_from(&find.routing);
            statements.push(crate::count(dialect, &count, at_most)?);
            statements
        }
        ExplainRequest::Count(count) => vec![crate::count(dialect, count, None)?],
        ExplainRequest::Scan(scan) => vec![crate::scan(dialect, scan)?],
        ExplainRequest::Matching(step) => vec![crate::matching(dialect, step)?],
        ExplainRequest::Aggregate(request) => crate::aggregate(dialect, request)?.into_statements(),
        ExplainRequest::Group(group) => vec![crate::group(dialect, group)?],
        _ => return Err(Error::unsupported("explanations of this question")),
    })
}

impl Statement {
    /// The values to bind, as an explanation shows them.
    #[must_use]
    pub fn values(&self) -> Vec<Scalar> {
        self.params.iter().map(value).collect()
    }
}

fn value(param: &Param) -> Scalar {
    match param {
        Param::Boolean(b) => Scalar::Boolean(*b),
        Param::Integer(i) => Scalar::Integer(*i),
        Param::Float(x) => Scalar::Float(*x),
        Param::Text(text) => Scalar::Text(text.clone()),
        Param::Number(number) => number.clone(),
        Param::WriteId(id) => Scalar::from(id.to_string()),
    }
}
