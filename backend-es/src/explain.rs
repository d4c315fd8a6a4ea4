//! What the engine would be asked, as a request that a person can send.

use serde_json::Value;
use strongroom_core::model::CollectionName;
use strongroom_core::store::{ExplainRequest, ExplainedStatement, Explanation};
use strongroom_core::{Error, Result};

use crate::aggregate::aggregate_body;
use crate::group::group_body;
use crate::matching::matching_body;
use crate::page::page_body;
use crate::scan::scan_body;
use crate::search::count_body;

/// The search of a question. What follows it, such as the writes of what matches, is no question.
///
/// # Errors
///
/// Those of the question.
pub(crate) fn explain(request: &ExplainRequest) -> Result<Explanation> {
    let body = match request {
        ExplainRequest::Find(request) => page_body(request)?,
        ExplainRequest::Count(request) => count_body(request)?,
        ExplainRequest::Aggregate(request) => aggregate_body(request)?,
        ExplainRequest::Group(request) => group_body(request, request.size)?,
        ExplainRequest::Scan(request) => scan_body(request)?.into(),
        ExplainRequest::Matching(request) => matching_body(request, request.limit)?,
        _ => return Err(Error::unsupported("an explanation of this question")),
    };
    let statement = search(request.model().name(), &body);
    Ok(Explanation::new(vec![statement]))
}

fn search(collection: &CollectionName, body: &Value) -> ExplainedStatement {
    ExplainedStatement::new(format!("POST /{collection}/_search\n{body:#}"))
}
