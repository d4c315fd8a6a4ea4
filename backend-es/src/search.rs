//! Asking an index: one `_search` each, whole or an error.

use std::hash::{DefaultHasher, Hash, Hasher};

use async_trait::async_trait;
use elasticsearch::http::Method;
use serde_json::{Value, json};
use strongroom_core::model::Model;
use strongroom_core::query::Sort;
use strongroom_core::store::{
    AggregateReply, AggregateRequest, CountRequest, ExplainRequest, Explanation, FindRequest,
    GroupRequest, Groups, MatchingReply, MatchingRequest, Page, Scan, ScanRequest, Search,
};
use strongroom_core::{Error, Operation, Result};

use crate::analysis::TextAnalysis;
use crate::answer::Answer;
use crate::compile::{self, Place};
use crate::error::Failure;
use crate::index::Index;
use crate::store::{EsStore, missing};
use crate::wire::Request;

impl EsStore {
    /// Asks an index; `None` if it is no longer there.
    async fn ask(&self, index: &Index, body: &Value, sorts: &[Sort]) -> Result<Option<Answer>> {
        let path = format!("/{}/_search", index.name());
        let mut request = Request::new(Method::Post, &path)
            .query("allow_partial_search_results", "false")
            .json(body);
        if let Some(search_type) = search_type(sorts) {
            request = request.query("search_type", search_type);
            // Copies of a shard may weigh words differently until deleted documents are merged
            // away: the pages of one question are asked of the same copies.
            let mut hasher = DefaultHasher::new();
            body.get("query").hash(&mut hasher);
            request = request.query("preference", format!("{:016x}", hasher.finish()));
        }
        let answer: Answer = match self.wire().call(request).await {
            Ok(reply) => reply.read().map_err(Failure::into_read_error)?,
            Err(Failure::Refused(refusal)) if refusal.is_missing_index() => return Ok(None),
            Err(failure) => return Err(failure.into_read_error()),
        };
        answer.check()?;
        Ok(Some(answer))
    }

    /// Asks whichever index the collection is by now, for documents in an order or for none. What
    /// it is asked depends on how it reads texts.
    pub(crate) async fn ask_now(
        &self,
        model: &Model,
        sorts: &[Sort],
        body: impl Fn(&Index) -> Result<Value> + Send,
    ) -> Result<(Index, Answer)> {
        for _ in 0..2 {
            let index = self.index_for(model).await?;
            let body = body(&index)?;
            if let Some(answer) = self.ask(&index, &body, sorts).await? {
                return Ok((index, answer));
            }
            self.forget(model.name());
        }
        Err(missing(model.name()))
    }

    pub(crate) async fn count_now(&self, request: &CountRequest) -> Result<u64> {
        let body = |index: &Index| count_body(request, index.texts());
        let (_, answer) = self.ask_now(&request.model, &[], body).await?;
        match answer.hits.total {
            Some(total) if total.relation == "eq" => Ok(total.value),
            _ => Err(Error::internal("the search engine did not count")),
        }
    }
}

/// How a search in this order goes over the shards. For scores the words of all shards are counted
/// first, so that a word weighs the same on each of them.
pub(crate) fn search_type(sorts: &[Sort]) -> Option<&'static str> {
    let by_score = sorts.iter().any(Sort::is_by_score);
    by_score.then_some("dfs_query_then_fetch")
}

/// Checks a size against the most allowed.
pub(crate) fn check_size(what: &str, size: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&size) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{what} {size}, allowed are 1 to {most}"
    )))
}

pub(crate) fn count_body(request: &CountRequest, texts: &TextAnalysis) -> Result<Value> {
    request.filter.check(&request.model)?;
    let place = Place::documents(&request.model).read_by(texts);
    let query = compile::query(&request.filter, place)?;
    Ok(json!({
        "query": compile::routed(query, request.routing.as_ref()),
        "size": 0,
        "track_total_hits": true,
    }))
}

#[async_trait]
impl Search for EsStore {
    async fn find(&self, request: FindRequest) -> Result<Page> {
        let collection = request.model.name();
        self.guard(Operation::Find, Some(collection), self.find_now(&request))
            .await
    }

    async fn count(&self, request: CountRequest) -> Result<u64> {
        let collection = request.model.name();
        self.guard(Operation::Count, Some(collection), self.count_now(&request))
            .await
    }

    async fn aggregate(&self, request: AggregateRequest) -> Result<AggregateReply> {
        let collection = request.model.name();
        let aggregate = self.aggregate_now(&request);
        self.guard(Operation::Aggregate, Some(collection), aggregate)
            .await
    }

    async fn group(&self, request: GroupRequest) -> Result<Groups> {
        let collection = request.model.name();
        self.guard(Operation::Group, Some(collection), self.group_now(&request))
            .await
    }

    async fn scan(&self, request: ScanRequest) -> Result<Box<dyn Scan>> {
        let collection = request.model.name();
        let scan = self
            .guard(Operation::Scan, Some(collection), self.open_scan(&request))
            .await?;
        Ok(Box::new(scan))
    }

    async fn write_matching(&self, request: MatchingRequest) -> Result<MatchingReply> {
        let (collection, operation) = (request.model.name(), request.action.operation());
        self.guard(operation, Some(collection), self.match_now(&request))
            .await
    }

    async fn explain(&self, request: ExplainRequest) -> Result<Explanation> {
        let collection = request.model().name();
        self.guard(
            Operation::Explain,
            Some(collection),
            self.explain_now(&request),
        )
        .await
    }
}
