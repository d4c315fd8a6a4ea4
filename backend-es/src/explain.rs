//! What the engine would be asked, as a request that a person can send.

use strongroom_core::query::Sort;
use strongroom_core::store::{
    ExplainRequest, ExplainedStatement, Explanation, FindRequest, GroupRequest, ScanRequest,
};
use strongroom_core::{Error, ErrorKind, Result};

use crate::aggregate::aggregate_body;
use crate::group::group_body;
use crate::matching::matching_body;
use crate::page::page_body;
use crate::scan::scan_body;
use crate::search::{count_body, search_type};
use crate::store::EsStore;

impl EsStore {
    /// The search of a question. What follows it, such as the writes of what matches, is no
    /// question. How the index reads texts is asked of the engine, if it is not known yet.
    ///
    /// # Errors
    ///
    /// Those of the question.
    pub(crate) async fn explain_now(&self, request: &ExplainRequest) -> Result<Explanation> {
        let collection = request.model().name();
        let texts = match self.index_for(request.model()).await {
            Ok(index) => index.texts().clone(),
            // What would be asked if it were made now.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.options().texts_of(collection)
            }
            Err(error) => return Err(error),
        };
        let body = match request {
            ExplainRequest::Find(request) => page_body(request, &texts)?,
            ExplainRequest::Count(request) => count_body(request, &texts)?,
            ExplainRequest::Aggregate(request) => aggregate_body(request, &texts)?,
            ExplainRequest::Group(request) => group_body(request, request.size, &texts)?,
            ExplainRequest::Scan(request) => scan_body(request, &texts)?.into(),
            ExplainRequest::Matching(request) => matching_body(request, request.limit, &texts)?,
            _ => return Err(Error::unsupported("an explanation of this question")),
        };
        let sorts: &[Sort] = match request {
            ExplainRequest::Find(FindRequest { sort, .. })
            | ExplainRequest::Group(GroupRequest { sort, .. })
            | ExplainRequest::Scan(ScanRequest { sort, .. }) => sort,
            _ => &[],
        };
        let parameter = search_type(sorts).map(|name| format!("?search_type={name}"));
        let parameter = parameter.unwrap_or_default();
        let statement = format!("POST /{collection}/_search{parameter}\n{body:#}");
        Ok(Explanation::new(vec![ExplainedStatement::new(statement)]))
    }
}
