//! Scans: a point in time of the engine, read page after page.

use async_trait::async_trait;
use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use strongroom_core::model::{CollectionName, RawDocument};
use strongroom_core::query::{Sort, SourceFilter};
use strongroom_core::store::{MAX_PAGE, Scan, ScanRequest};
use strongroom_core::{Error, ErrorKind, Operation, Result};

use crate::analysis::TextAnalysis;
use crate::answer::Answer;
use crate::compile::{self, Place};
use crate::error::Failure;
use crate::index::Index;
use crate::load::Source;
use crate::product::Product;
use crate::search::{check_size, search_type};
use crate::store::{EsStore, missing};
use crate::wire::Request;

/// An open scan.
#[derive(Debug)]
pub(crate) struct EsScan {
    store: EsStore,
    collection: CollectionName,
    index: Index,
    source: SourceFilter,
    batch: usize,
    /// What is asked each time, without the point in time and the place.
    body: Map<String, Value>,
    search_type: Option<&'static str>,
    after: Vec<Value>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The point in time that is read.
    Open(Point),
    /// All was handed out.
    Ended,
    /// It was closed, or a call failed or was dropped.
    Over,
}

#[derive(Deserialize)]
struct Opened {
    #[serde(alias = "pit_id")]
    id: String,
}

pub(crate) fn scan_body(request: &ScanRequest, texts: &TextAnalysis) -> Result<Map<String, Value>> {
    check_size("scan has pieces of", request.batch, MAX_PAGE)?;
    request.filter.check(&request.model)?;
    Sort::check(&request.sort, &request.model)?;
    let place = Place::documents(&request.model).read_by(texts);
    let query = compile::asked(&request.filter, &request.sort, place)?;
    let body = json!({
        "query": compile::routed(query, request.routing.as_ref()),
        "sort": compile::order(&request.sort, &request.model, false)?,
        "size": request.batch,
        "seq_no_primary_term": true,
        "_source": Source::parts(&request.source),
        "track_total_hits": false,
    });
    Ok(match body {
        Value::Object(body) => body,
        _ => Map::new(),
    })
}

impl EsStore {
    pub(crate) async fn open_scan(&self, request: &ScanRequest) -> Result<EsScan> {
        let collection = request.model.name();
        for _ in 0..2 {
            let index = self.index_for(&request.model).await?;
            let body = scan_body(request, index.texts())?;
            let Some(point) = self.open_point(&index).await? else {
                self.forget(collection);
                continue;
            };
            return Ok(EsScan {
                store: self.clone(),
                collection: collection.clone(),
                index,
                source: request.source.clone(),
                batch: request.batch,
                body,
                search_type: search_type(&request.sort),
                after: Vec::new(),
                state: State::Open(point),
            });
        }
        Err(missing(collection))
    }

    fn keep_alive(&self) -> String {
        format!("{}ms", self.options().scan_keep_alive.as_millis())
    }

    /// Opens a point in time; `None` if the index is no longer there.
    async fn open_point(&self, index: &Index) -> Result<Option<Point>> {
        let path = match self.product() {
            Product::Elasticsearch => format!("/{}/_pit", index.name()),
            Product::OpenSearch => format!("/{}/_search/point_in_time", index.name()),
        };
        let request = Request::new(Method::Post, &path).query("keep_alive", self.keep_alive());
        match self.wire().call(request).await {
            Ok(reply) => {
                let opened: Opened = reply.read().map_err(Failure::into_read_error)?;
                Ok(Some(Point {
                    store: self.clone(),
                    id: Some(opened.id),
                }))
            }
            Err(Failure::Refused(refusal)) if refusal.is_missing_index() => Ok(None),
            Err(failure) => Err(failure.into_read_error()),
        }
    }

    /// Closes a point in time. One that is gone already is no error.
    async fn close_point(&self, id: &str) -> Result<()> {
        let (path, body) = match self.product() {
            Product::Elasticsearch => ("/_pit", json!({"id": id})),
            Product::OpenSearch => ("/_search/point_in_time", json!({"pit_id": [id]})),
        };
        let request = Request::new(Method::Delete, path).json(&body);
        let reply = self.wire().send(request).await;
        let reply = reply.map_err(Failure::into_read_error)?;
        if reply.status == 404 {
            return Ok(());
        }
        reply.succeeded().map_err(Failure::into_read_error)?;
        Ok(())
    }
}

/// A point in time that the engine keeps. Dropped, it is closed in the background; where there is
/// no runtime to do so, the engine lets go of it when its time is over.
#[derive(Debug)]
struct Point {
    store: EsStore,
    /// Its latest name, until it is closed.
    id: Option<String>,
}

impl Point {
    async fn close(mut self) -> Result<()> {
        match self.id.take() {
            Some(id) => self.store.close_point(&id).await,
            None => Ok(()),
        }
    }
}

impl Drop for Point {
    fn drop(&mut self) {
        if let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) {
            let store = self.store.clone();
            runtime.spawn(async move {
                // If it cannot be closed, it ends by itself.
                let _ = store.close_point(&id).await;
            });
        }
    }
}

impl EsScan {
    async fn ask(&self, point: &Point) -> Result<Answer> {
        let mut body = self.body.clone();
        let pit = json!({"id": point.id, "keep_alive": self.store.keep_alive()});
        body.insert("pit".to_owned(), pit);
        if !self.after.is_empty() {
            body.insert("search_after".to_owned(), self.after.clone().into());
        }
        let mut request = Request::new(Method::Post, "/_search")
            .query("allow_partial_search_results", "false")
            .json(&body.into());
        if let Some(search_type) = self.search_type {
            request = request.query("search_type", search_type);
        }
        let answer: Answer = match self.store.wire().call(request).await {
            Ok(reply) => reply.read().map_err(Failure::into_read_error)?,
            Err(Failure::Refused(refusal)) if refusal.status == 404 => {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "the search engine gave the scan up: it was idle for too long, or the \
                     collection was dropped",
                )
                .with_source(Failure::Refused(refusal).into_read_error()));
            }
            Err(failure) => return Err(failure.into_read_error()),
        };
        answer.check()?;
        Ok(answer)
    }

    /// The next piece. Until it is there, the scan counts as over: whoever drops the future leaves
    /// it at a place that nobody knows.
    async fn piece(&mut self) -> Result<Vec<RawDocument>> {
        let mut point = match std::mem::replace(&mut self.state, State::Over) {
            State::Open(point) => point,
            State::Ended => {
                self.state = State::Ended;
                return Ok(Vec::new());
            }
            State::Over => return Err(over()),
        };
        let answer = self.ask(&point).await?;
        if answer.pit_id.is_some() {
            point.id = answer.pit_id;
        }
        let hits = answer.hits.hits;
        let is_last = hits.len() < self.batch;
        if let Some(last) = hits.last() {
            self.after.clone_from(&last.sort);
        }
        let documents = hits
            .into_iter()
            .map(|hit| hit.into_document(&self.index, &self.source))
            .collect::<Result<_>>()?;
        self.state = if is_last {
            // If it cannot be closed, it ends by itself.
            let _ = point.close().await;
            State::Ended
        } else {
            State::Open(point)
        };
        Ok(documents)
    }

    async fn let_go(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Open(point) => point.close().await,
            State::Ended | State::Over => Ok(()),
        }
    }
}

fn over() -> Error {
    Error::new(
        ErrorKind::Cancelled,
        "the scan was closed, or a call of it failed or was dropped",
    )
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Scan for EsScan {
    async fn next(&mut self) -> Result<Vec<RawDocument>> {
        let (store, collection) = (self.store.clone(), self.collection.clone());
        if matches!(self.state, State::Over) {
            let error = over().with_operation(Operation::ScanNext);
            return Err(error.with_collection(collection));
        }
        let piece = self.piece();
        let piece = store
            .guard(Operation::ScanNext, Some(&collection), piece)
            .await;
        if piece.is_err() {
            self.state = State::Over;
        }
        piece
    }

    async fn close(&mut self) -> Result<()> {
        let (store, collection) = (self.store.clone(), self.collection.clone());
        store
            .guard(Operation::ScanClose, Some(&collection), self.let_go())
            .await
    }
}
