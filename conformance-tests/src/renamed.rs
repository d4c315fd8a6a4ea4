//! A store whose collections have other names than the models say.
//!
//! Types with a derived model have one name for their collection, and cases share databases. So
//! the name is exchanged on the way down, and in cursors, which belong to a name, on the way back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use strongroom_core::model::{CollectionName, Model, RawDocument};
use strongroom_core::query::Cursor;
use strongroom_core::store::{
    AggregateReply, AggregateRequest, BulkReply, BulkRequest, CollectionDescription, CountRequest,
    EnsureReport, EnsureRequest, ExplainRequest, Explanation, FindRequest, GroupRequest, Groups,
    LoadRequest, MatchingReply, MatchingRequest, Page, PageStart, Receipt, SaveRequest, Scan,
    ScanRequest, Store,
};
use strongroom_core::{Error, Result};

use crate::alter::Alter;
use crate::failure::{During, Outcome};

/// Exchanges names, and counts the loads that pass.
#[derive(Debug)]
pub(crate) struct Renamed {
    models: HashMap<CollectionName, Arc<Model>>,
    loads: Arc<AtomicUsize>,
}

impl Renamed {
    /// Gives the collections of these models other names.
    pub(crate) fn new(
        models: impl IntoIterator<Item = (Arc<Model>, String)>,
        loads: Arc<AtomicUsize>,
    ) -> Outcome<Self> {
        let mut renamed = HashMap::new();
        for (model, name) in models {
            let known = model.name().clone();
            let text = |e: serde_json::Error| Error::internal(e.to_string());
            let mut value = serde_json::to_value(&*model)
                .map_err(text)
                .during("writing a model as JSON")?;
            value["name"] = name.into();
            let model: Model = serde_json::from_value(value)
                .map_err(text)
                .during("reading a model from JSON")?;
            renamed.insert(known, Arc::new(model));
        }
        Ok(Self {
            models: renamed,
            loads,
        })
    }

    fn model(&self, model: &Arc<Model>) -> Arc<Model> {
        self.models.get(model.name()).unwrap_or(model).clone()
    }

    fn name(&self, name: CollectionName) -> CollectionName {
        self.models
            .get(&name)
            .map_or(name, |model| model.name().clone())
    }
}

/// The same place in the same query of a collection of another name.
fn moved(cursor: &Cursor, request: &FindRequest, from: &Model, to: &Model) -> Result<Cursor> {
    let FindRequest {
        filter,
        sort,
        routing,
        ..
    } = request;
    let routing = routing.as_ref();
    let position = cursor.position(from.name(), filter, sort, routing)?;
    Ok(Cursor::new(
        position.clone(),
        to.name(),
        filter,
        sort,
        routing,
    ))
}

#[async_trait]
impl Alter for Renamed {
    async fn load(
        &self,
        inner: &Arc<dyn Store>,
        mut request: LoadRequest,
    ) -> Result<Vec<Option<RawDocument>>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        request.model = self.model(&request.model);
        inner.load(request).await
    }

    async fn save(&self, inner: &Arc<dyn Store>, mut request: SaveRequest) -> Result<Receipt> {
        request.model = self.model(&request.model);
        inner.save(request).await
    }

    async fn bulk(&self, inner: &Arc<dyn Store>, mut request: BulkRequest) -> Result<BulkReply> {
        request.model = self.model(&request.model);
        inner.bulk(request).await
    }

    async fn find(&self, inner: &Arc<dyn Store>, mut request: FindRequest) -> Result<Page> {
        let renamed = self.model(&request.model);
        let outer = std::mem::replace(&mut request.model, renamed);
        let at = |cursor| moved(cursor, &request, &outer, &request.model);
        request.start = match &request.start {
            PageStart::After(cursor) => PageStart::After(at(cursor)?),
            PageStart::Before(cursor) => PageStart::Before(at(cursor)?),
            other => other.clone(),
        };
        let mut page = inner.find(request.clone()).await?;
        for cursor in [&mut page.next, &mut page.previous].into_iter().flatten() {
            *cursor = moved(cursor, &request, &request.model, &outer)?;
        }
        Ok(page)
    }

    async fn count(&self, inner: &Arc<dyn Store>, mut request: CountRequest) -> Result<u64> {
        request.model = self.model(&request.model);
        inner.count(request).await
    }

    async fn aggregate(
        &self,
        inner: &Arc<dyn Store>,
        mut request: AggregateRequest,
    ) -> Result<AggregateReply> {
        request.model = self.model(&request.model);
        inner.aggregate(request).await
    }

    async fn group(&self, inner: &Arc<dyn Store>, mut request: GroupRequest) -> Result<Groups> {
        request.model = self.model(&request.model);
        inner.group(request).await
    }

    async fn scan(
        &self,
        inner: &Arc<dyn Store>,
        mut request: ScanRequest,
    ) -> Result<Box<dyn Scan>> {
        request.model = self.model(&request.model);
        inner.scan(request).await
    }

    async fn write_matching(
        &self,
        inner: &Arc<dyn Store>,
        mut request: MatchingRequest,
    ) -> Result<MatchingReply> {
        request.model = self.model(&request.model);
        inner.write_matching(request).await
    }

    async fn explain(
        &self,
        inner: &Arc<dyn Store>,
        mut request: ExplainRequest,
    ) -> Result<Explanation> {
        let renamed = self.model(request.model());
        *request.model_mut() = renamed;
        inner.explain(request).await
    }

    async fn ensure(
        &self,
        inner: &Arc<dyn Store>,
        mut request: EnsureRequest,
    ) -> Result<EnsureReport> {
        request.model = self.model(&request.model);
        inner.ensure(request).await
    }

    async fn describe(
        &self,
        inner: &Arc<dyn Store>,
        collection: CollectionName,
    ) -> Result<Option<CollectionDescription>> {
        inner.describe(self.name(collection)).await
    }

    async fn drop_collection(
        &self,
        inner: &Arc<dyn Store>,
        collection: CollectionName,
    ) -> Result<bool> {
        inner.drop_collection(self.name(collection)).await
    }

    async fn refresh(&self, inner: &Arc<dyn Store>, collection: CollectionName) -> Result<()> {
        inner.refresh(self.name(collection)).await
    }
}
