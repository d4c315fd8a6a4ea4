//! Finding and counting: one `_search`, whole or an error.

use async_trait::async_trait;
use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_core::model::{DocumentId, Key, RawDocument, Routing, Version};
use strongroom_core::query::{Cursor, Order, Placer, Position, Sort, SortTarget, SourceFilter};
use strongroom_core::store::{
    CountRequest, FindRequest, MAX_PAGE, Page, Search, Total, TotalCount,
};
use strongroom_core::{Error, ErrorKind, Operation, Result};

use crate::compile;
use crate::error::Failure;
use crate::index::Index;
use crate::load::Source;
use crate::store::{EsStore, missing};
use crate::wire::Request;

/// The engine's account of how many shards took part.
#[derive(Deserialize)]
pub(crate) struct Shards {
    failed: u64,
}

impl Shards {
    /// # Errors
    ///
    /// `Unavailable` if some shard failed: no partial answer passes as whole.
    pub(crate) fn check(&self) -> Result<()> {
        if self.failed == 0 {
            return Ok(());
        }
        let message = format!("{} shards of the index failed", self.failed);
        Err(Error::new(ErrorKind::Unavailable, message))
    }
}

#[derive(Deserialize)]
struct Answer {
    timed_out: bool,
    #[serde(rename = "_shards")]
    shards: Shards,
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    total: Option<HitTotal>,
    #[serde(default)]
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct HitTotal {
    value: u64,
    relation: String,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(rename = "_primary_term")]
    primary_term: u64,
    #[serde(rename = "_source")]
    source: Source,
}

impl Hit {
    fn into_document(self, index: &Index, filter: &SourceFilter) -> Result<RawDocument> {
        let routing = self.source.r.as_deref().map(Routing::new).transpose()?;
        let key = Key::from_parts(DocumentId::new(&self.source.k)?, routing)?;
        let version = Version::from_sequence(self.seq_no, self.primary_term, index.id());
        self.source.into_document(key, version, filter)
    }
}

/// The order of a page, as the engine is told it. The engine keeps ids as bytes, and so sorts them.
fn order(sorts: &[Sort], routed: bool) -> Result<Vec<Value>> {
    let id = match sorts {
        [] => Order::Ascending,
        [one] if one.target == SortTarget::Id => one.order,
        _ => return Err(Error::unsupported("sorting by fields")),
    };
    let id = match id {
        Order::Ascending => "asc",
        Order::Descending => "desc",
    };
    let mut order = vec![json!({"k": id})];
    if routed {
        order.push(json!({"r": "asc"}));
    }
    Ok(order)
}

/// Checks what every page must keep, whoever asks for it.
fn check_window(request: &FindRequest) -> Result<()> {
    let end = request.limit.saturating_add(request.offset);
    if request.limit == 0 || end > MAX_PAGE {
        return Err(Error::invalid(format!(
            "page ends at document {end} and holds {}, allowed are 1 to {MAX_PAGE}",
            request.limit
        )));
    }
    if request.offset > 0 && request.after.is_some() {
        return Err(Error::invalid("page has both an offset and a cursor"));
    }
    Ok(())
}

fn position(request: &FindRequest) -> Result<Option<&Position>> {
    let Some(cursor) = &request.after else {
        return Ok(None);
    };
    let position = cursor.position(
        request.model.name(),
        &request.filter,
        &request.sort,
        request.routing.as_ref(),
    )?;
    position.check(&request.sort, &request.model)?;
    Ok(Some(position))
}

fn page_body(request: &FindRequest) -> Result<Value> {
    check_window(request)?;
    request.filter.check(&request.model)?;
    let query = compile::query(&request.filter, &request.model)?;
    let mut body = json!({
        "query": compile::routed(query, request.routing.as_ref()),
        "sort": order(&request.sort, request.model.is_routed())?,
        "from": request.offset,
        // One more than the page tells whether anything follows it.
        "size": request.limit + 1,
        "seq_no_primary_term": true,
        "_source": Source::parts(&request.source),
        "track_total_hits": match request.total {
            Total::Exact => json!(true),
            Total::AtMost(most) => json!(i32::try_from(most).unwrap_or(i32::MAX)),
            _ => json!(false),
        },
    });
    if let (Some(after), Some(body)) = (position(request)?, body.as_object_mut()) {
        let mut values = vec![after.key.id().as_str()];
        values.extend(after.key.routing().map(|r| r.as_str()));
        body.insert("search_after".to_owned(), json!(values));
    }
    Ok(body)
}

fn total(wanted: Total, total: Option<HitTotal>) -> Option<TotalCount> {
    let total = total?;
    let exact = total.relation == "eq";
    match wanted {
        Total::None => None,
        Total::AtMost(most) if total.value > most => Some(TotalCount {
            value: most,
            exact: false,
        }),
        _ => Some(TotalCount {
            value: total.value,
            exact,
        }),
    }
}

impl EsStore {
    /// Asks an index; `None` if it is no longer there.
    async fn ask(&self, index: &Index, body: &Value) -> Result<Option<Answer>> {
        let path = format!("/{}/_search", index.name());
        let request = Request::new(Method::Post, &path)
            .query("allow_partial_search_results", "false")
            .json(body);
        let answer: Answer = match self.wire().call(request).await {
            Ok(reply) => reply.read().map_err(Failure::into_read_error)?,
            Err(Failure::Refused(refusal)) if refusal.is_missing_index() => return Ok(None),
            Err(failure) => return Err(failure.into_read_error()),
        };
        answer.shards.check()?;
        if answer.timed_out {
            let message = "the search engine gave the search up half-way";
            return Err(Error::new(ErrorKind::Timeout, message));
        }
        Ok(Some(answer))
    }

    async fn ask_now(
        &self,
        collection: &strongroom_core::model::CollectionName,
        body: &Value,
    ) -> Result<(Index, Answer)> {
        for _ in 0..2 {
            let index = self.index(collection).await?;
            if let Some(answer) = self.ask(&index, body).await? {
                return Ok((index, answer));
            }
            self.forget(collection);
        }
        Err(missing(collection))
    }

    async fn find_now(&self, request: &FindRequest) -> Result<Page> {
        let body = page_body(request)?;
        let (index, answer) = self.ask_now(request.model.name(), &body).await?;
        let mut hits = answer.hits.hits;
        let more = hits.len() > request.limit;
        hits.truncate(request.limit);
        let documents: Vec<RawDocument> = hits
            .into_iter()
            .map(|hit| hit.into_document(&index, &request.source))
            .collect::<Result<_>>()?;
        let placer = Placer::new(&request.sort, &request.model)?;
        let next = documents.last().filter(|_| more).map(|last| {
            Cursor::new(
                // Only ids are sorted by, so the body does not matter.
                placer.place(&last.key, &serde_json::Map::new()),
                request.model.name(),
                &request.filter,
                &request.sort,
                request.routing.as_ref(),
            )
        });
        let total = total(request.total, answer.hits.total);
        Ok(Page::new(documents, next, total))
    }

    pub(crate) async fn count_now(&self, request: &CountRequest) -> Result<u64> {
        request.filter.check(&request.model)?;
        let query = compile::query(&request.filter, &request.model)?;
        let body = json!({
            "query": compile::routed(query, request.routing.as_ref()),
            "size": 0,
            "track_total_hits": true,
        });
        let (_, answer) = self.ask_now(request.model.name(), &body).await?;
        match answer.hits.total {
            Some(total) if total.relation == "eq" => Ok(total.value),
            _ => Err(Error::internal("the search engine did not count")),
        }
    }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_core::model::Model;
    use strongroom_core::query::Filter;

    fn request() -> FindRequest {
        FindRequest::new(Model::builder("a").build().unwrap(), Filter::all())
    }

    #[test]
    fn sorting_by_fields_is_refused() {
        let mut request = request();
        request.sort = vec![Sort::by_id(Order::Descending)];
        assert_eq!(page_body(&request).unwrap()["sort"][0]["k"], "desc");
        request.sort = vec![Sort::ascending("n".parse().unwrap())];
        assert_eq!(
            page_body(&request).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    }

    #[test]
    fn pages_at_their_limits() {
        let kind = |limit, offset| {
            let mut request = request();
            request.limit = limit;
            request.offset = offset;
            page_body(&request).err().map(|e| e.kind())
        };
        assert_eq!(kind(1, 0), None);
        assert_eq!(kind(10_000, 0), None);
        assert_eq!(kind(1, 9_999), None);
        assert_eq!(kind(0, 0), Some(ErrorKind::Invalid));
        assert_eq!(kind(10_001, 0), Some(ErrorKind::Invalid));
        assert_eq!(kind(1, 10_000), Some(ErrorKind::Invalid));
    }
}
