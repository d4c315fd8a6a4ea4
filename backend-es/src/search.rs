//! Finding and counting: one `_search`, whole or an error.

use async_trait::async_trait;
use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_core::model::{
    CollectionName, DocumentId, Key, Model, RawDocument, Routing, Scalar, Version,
};
use strongroom_core::query::{MissingValues, Order, Position, Sort, SortTarget, SourceFilter};
use strongroom_core::store::{
    AggregateReply, AggregateRequest, CountRequest, ExplainRequest, Explanation, FindRequest,
    GroupRequest, Groups, MAX_PAGE, MatchingReply, MatchingRequest, Page, PageStart, Scan,
    ScanRequest, Search, Total, TotalCount,
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
    #[serde(default)]
    sort: Vec<Option<String>>,
}

impl Hit {
    fn into_document(self, index: &Index, filter: &SourceFilter) -> Result<RawDocument> {
        let routing = self.source.r.as_deref().map(Routing::new).transpose()?;
        let key = Key::from_parts(DocumentId::new(&self.source.k)?, routing)?;
        let version = Version::from_sequence(self.seq_no, self.primary_term, index.id());
        self.source.into_document(key, version, filter)
    }
}

/// The order of a page, as the engine is told it: sort keys and ids are kept as text, which the
/// engine sorts by bytes.
///
/// Backwards is the same keys in the other direction; which value of a field counts stays.
fn order(sorts: &[Sort], routed: bool, backward: bool) -> Result<Vec<Value>> {
    let (first, last) = if backward {
        ("desc", "asc")
    } else {
        ("asc", "desc")
    };
    let mut order = Vec::with_capacity(sorts.len() + 2);
    for sort in sorts {
        let direction = match sort.order {
            Order::Ascending => first,
            Order::Descending => last,
        };
        let missing = match sort.missing {
            MissingValues::Last if !backward => "_last",
            MissingValues::First if backward => "_last",
            _ => "_first",
        };
        order.push(match &sort.target {
            SortTarget::Id => json!({"k": direction}),
            SortTarget::Field(path) => {
                let name = compile::sort_path(path, sort.order);
                json!({name: {"order": direction, "missing": missing}})
            }
            other => {
                return Err(Error::unsupported(format_args!("the sort key {other:?}")));
            }
        });
    }
    order.push(json!({"k": first}));
    if routed {
        order.push(json!({"r": first}));
    }
    Ok(order)
}

/// A place in the order, as the engine is told it.
fn search_after(position: &Position, sorts: &[Sort], model: &Model) -> Result<Vec<Option<String>>> {
    let id = || Some(position.key.id().as_str().to_owned());
    let mut values = Vec::with_capacity(sorts.len() + 2);
    for (sort, value) in sorts.iter().zip(&position.values) {
        values.push(match (&sort.target, value) {
            (SortTarget::Field(_), None) => None,
            (SortTarget::Field(path), Some(value)) => {
                let key = compile::sort_key(model.require(path)?.kind, value);
                Some(key.ok_or_else(|| {
                    Error::invalid(format!("cursor holds no value of field {path}"))
                })?)
            }
            _ => id(),
        });
    }
    values.push(id());
    values.extend(position.key.routing().map(|r| Some(r.as_str().to_owned())));
    Ok(values)
}

/// A place in the order, as the engine told it of a document.
fn place(key: &Key, told: &[Option<String>], sorts: &[Sort], model: &Model) -> Result<Position> {
    let mut values = Vec::with_capacity(sorts.len());
    for (sort, told) in sorts.iter().zip(told) {
        values.push(match (&sort.target, told) {
            (SortTarget::Field(_), None) => None,
            (SortTarget::Field(path), Some(told)) => {
                compile::value_of_sort_key(model.require(path)?.kind, told)
            }
            _ => Some(Scalar::from(key.id().as_str())),
        });
    }
    Ok(Position {
        values,
        key: key.clone(),
    })
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
    if request.offset > 0 && request.start != PageStart::First {
        return Err(Error::invalid("page has both an offset and a cursor"));
    }
    Ok(())
}

fn position(request: &FindRequest) -> Result<Option<&Position>> {
    let Some(cursor) = request.start.cursor() else {
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
    Sort::check(&request.sort, &request.model)?;
    let query = compile::query(&request.filter, &request.model)?;
    let mut body = json!({
        "query": compile::routed(query, request.routing.as_ref()),
        "sort": order(
            &request.sort,
            request.model.is_routed(),
            request.start.is_backward(),
        )?,
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
        let values = search_after(after, &request.sort, &request.model)?;
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

    async fn ask_now(&self, collection: &CollectionName, body: &Value) -> Result<(Index, Answer)> {
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
        if request.start.is_backward() {
            hits.reverse();
        }
        let first = hits.first().map(|hit| hit.sort.clone());
        let last = hits.last_mut().map(|hit| std::mem::take(&mut hit.sort));
        let documents: Vec<RawDocument> = hits
            .into_iter()
            .map(|hit| hit.into_document(&index, &request.source))
            .collect::<Result<_>>()?;
        let place_of = |document: Option<&RawDocument>, told: Option<Vec<Option<String>>>| {
            document
                .zip(told)
                .map(|(document, told)| place(&document.key, &told, &request.sort, &request.model))
                .transpose()
        };
        let first = place_of(documents.first(), first)?;
        let last = place_of(documents.last(), last)?;
        let total = total(request.total, answer.hits.total);
        Ok(Page::new(documents, total).with_cursors(request, first, last, more))
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

    async fn aggregate(&self, _: AggregateRequest) -> Result<AggregateReply> {
        Err(Error::unsupported("aggregations"))
    }

    async fn group(&self, _: GroupRequest) -> Result<Groups> {
        Err(Error::unsupported("groups"))
    }

    async fn scan(&self, _: ScanRequest) -> Result<Box<dyn Scan>> {
        Err(Error::unsupported("scans"))
    }

    async fn write_matching(&self, _: MatchingRequest) -> Result<MatchingReply> {
        Err(Error::unsupported("writes of what matches"))
    }

    async fn explain(&self, _: ExplainRequest) -> Result<Explanation> {
        Err(Error::unsupported("explanations"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_core::model::{FieldDeclaration, Kind};
    use strongroom_core::query::Filter;

    fn request() -> FindRequest {
        let n = FieldDeclaration::new("n".parse().unwrap(), Kind::Integer);
        let model = Model::builder("a").field(n).build().unwrap();
        FindRequest::new(model, Filter::all())
    }

    #[test]
    fn ties_break_by_key() {
        let mut request = request();
        let order = |request: &FindRequest| page_body(request).unwrap()["sort"].to_string();
        assert_eq!(order(&request), r#"[{"k":"asc"}]"#);
        request.sort = vec![
            Sort::descending("n".parse().unwrap()),
            Sort::by_id(Order::Descending),
        ];
        assert_eq!(
            order(&request),
            r#"[{"hi.n":{"missing":"_last","order":"desc"}},{"k":"desc"},{"k":"asc"}]"#
        );
        request.sort = vec![Sort::ascending("z".parse().unwrap())];
        assert_eq!(page_body(&request).unwrap_err().kind(), ErrorKind::Invalid);
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
