//! The skeleton of an adapter: copy it, and put your engine where the map is.
//!
//! An adapter depends on `strongroom-core` alone, and on `strongroom-conformance` in its tests. It
//! implements six traits: [`Load`], [`Save`], [`Bulk`], [`Search`], [`Schema`] and [`Store`], which
//! says what it can do. This one keeps its documents on a shelf: one map behind one lock, without
//! transactions, atomic bulks or unique fields. What it does not grant is refused for it.
//!
//! What is worth copying:
//!
//! - Each write is decided by [`Expected::decide`](strongroom_core::model::Expected::decide), the
//!   table of writes, and made while the lock is held: deciding and writing are one step.
//! - A new id gets a version of a new incarnation, so that versions of a deleted document do not
//!   come back; a write counts on.
//! - Patches are [`Patch::apply`](strongroom_core::patch::Patch::apply) under the same lock.
//! - Filters and sorts are core's own, for engines that cannot do better.
//! - No lock is held across an await, so a dropped future leaves nothing half done.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use strongroom_core::model::{Body, CollectionName, Key, Model, RawDocument, Version, WriteId};
use strongroom_core::query::{Matcher, Placer, SourceFilter};
use strongroom_core::store::{
    Action, AggregateReply, AggregateRequest, Bulk, BulkItem, BulkReply, BulkRequest, Capabilities,
    CollectionDescription, CountRequest, Effect, EnsureReport, EnsureRequest, ExplainRequest,
    Explanation, FindRequest, GroupRequest, Groups, Health, Intent, Load, LoadRequest,
    MatchingReply, MatchingRequest, Page, Receipt, Save, SaveRequest, Scan, ScanRequest, Schema,
    Search, ServerInfo, Store, Total, TotalCount, Transact, Write,
};
use strongroom_core::{Error, ErrorKind, Result};

/// A document as the shelf keeps it. An engine needs room for the version and the write id.
#[derive(Clone, Debug)]
struct Stored {
    version: Version,
    write_id: WriteId,
    body: Body,
}

/// One collection. Keys are ordered by the bytes of the id and then of the routing, as pages are.
#[derive(Debug)]
struct Collection {
    model: Arc<Model>,
    documents: BTreeMap<Key, Stored>,
}

#[derive(Debug, Default)]
struct Shelf {
    closed: bool,
    collections: BTreeMap<CollectionName, Collection>,
}

/// A store on a shelf: nothing of it survives the process.
#[derive(Debug)]
pub struct ShelfStore {
    shelf: Mutex<Shelf>,
    capabilities: Capabilities,
}

impl Default for ShelfStore {
    fn default() -> Self {
        Self::new()
    }
}

impl ShelfStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shelf: Mutex::default(),
            // Nothing optional is granted; an adapter adds what its engine has.
            capabilities: Capabilities::new("shelf"),
        }
    }

    fn open(&self) -> Result<MutexGuard<'_, Shelf>> {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.closed {
            return Err(Error::new(ErrorKind::Unavailable, "the store is closed"));
        }
        Ok(shelf)
    }
}

impl Shelf {
    fn collection(&mut self, name: &CollectionName) -> Result<&mut Collection> {
        self.collections.get_mut(name).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "there is no such collection")
                .with_collection(name.clone())
        })
    }
}

impl Collection {
    fn write(&mut self, write: &Write) -> Result<Receipt> {
        let Write {
            key,
            action,
            expected,
            write_id,
            // Without functions among the capabilities, the check layer refuses computed fields.
            computed: _,
            // By its capabilities this store does not stamp, so the body has its stamps already.
            stamps: _,
        } = write;
        let there = self.documents.get(key);
        let actual = there.map(|stored| stored.version);
        let effect = expected.decide(Intent::from(action), key, actual)?;
        let body = match (action, there) {
            (Action::Put(body), _) => body.clone(),
            (Action::Patch(patch), Some(stored)) => patch
                .apply(&stored.body)
                .map_err(|e| e.with_key(key.clone()))?,
            (Action::Patch(_), None) => return Err(Error::not_found(key.clone())),
            (Action::Delete, _) => {
                self.documents.remove(key);
                return Ok(Receipt::without_version(effect));
            }
        };
        let version = match actual {
            Some(version) => version.next()?,
            None => Version::created(),
        };
        let write_id = *write_id;
        self.documents.insert(
            key.clone(),
            Stored {
                version,
                write_id,
                body,
            },
        );
        Ok(Receipt::written(effect, version))
    }

    fn item(&mut self, item: &BulkItem) -> Result<Receipt> {
        match item {
            BulkItem::Write(write) => self.write(write),
            BulkItem::Check { key, expected } => {
                let actual = self.documents.get(key).map(|stored| stored.version);
                expected.decide(Intent::Check, key, actual)?;
                Ok(Receipt::without_version(Effect::Checked))
            }
        }
    }

    fn hand_out(key: &Key, stored: &Stored, source: &SourceFilter) -> Result<RawDocument> {
        let body = source.apply(&stored.body)?;
        Ok(RawDocument::new(key.clone(), stored.version, body).with_write_id(stored.write_id))
    }
}

#[async_trait]
impl Load for ShelfStore {
    async fn load(&self, request: LoadRequest) -> Result<Vec<Option<RawDocument>>> {
        let mut shelf = self.open()?;
        let collection = shelf.collection(request.model.name())?;
        let load = |key: &Key| match collection.documents.get(key) {
            Some(stored) => Collection::hand_out(key, stored, &request.source).map(Some),
            None => Ok(None),
        };
        request.keys.iter().map(load).collect()
    }
}

#[async_trait]
impl Save for ShelfStore {
    async fn save(&self, request: SaveRequest) -> Result<Receipt> {
        self.open()?
            .collection(request.model.name())?
            .write(&request.write)
    }
}

#[async_trait]
impl Bulk for ShelfStore {
    async fn bulk(&self, request: BulkRequest) -> Result<BulkReply> {
        if request.atomic {
            return Err(Error::unsupported("atomic bulks"));
        }
        let mut shelf = self.open()?;
        let collection = shelf.collection(request.model.name())?;
        Ok(BulkReply::new(
            request
                .items
                .iter()
                .map(|item| collection.item(item))
                .collect(),
        ))
    }
}

#[async_trait]
impl Search for ShelfStore {
    async fn find(&self, request: FindRequest) -> Result<Page> {
        let FindRequest {
            model,
            filter,
            sort,
            routing,
            ..
        } = &request;
        let mut shelf = self.open()?;
        let collection = shelf.collection(model.name())?;
        let (matcher, placer) = (Matcher::new(filter, model)?, Placer::new(sort, model)?);
        let mut found = Vec::new();
        for (key, stored) in &collection.documents {
            let object = stored.body.to_object()?;
            if (routing.is_none() || key.routing() == routing.as_ref())
                && matcher.matches(key, &object)?
            {
                found.push((placer.place(key, &object), key, stored));
            }
        }
        let value = found.len() as u64;
        let total = match request.total {
            Total::None => None,
            _ => Some(TotalCount { value, exact: true }),
        };
        found.sort_by(|(a, ..), (b, ..)| placer.compare(a, b));
        if let Some(cursor) = request.start.cursor() {
            let after = cursor.position(model.name(), filter, sort, routing.as_ref())?;
            after.check(sort, model)?;
            found.retain(|(place, ..)| placer.compare(place, after).is_gt());
        }
        let mut found: Vec<_> = found.into_iter().skip(request.offset).collect();
        let more = found.len() > request.limit;
        found.truncate(request.limit);
        let documents = found
            .iter()
            .map(|(_, key, stored)| Collection::hand_out(key, stored, &request.source))
            .collect::<Result<_>>()?;
        let first = found.first().map(|(place, ..)| place.clone());
        let last = found.pop().map(|(place, ..)| place);
        Ok(Page::new(documents, total).with_cursors(&request, first, last, more))
    }

    async fn count(&self, request: CountRequest) -> Result<u64> {
        let mut shelf = self.open()?;
        let collection = shelf.collection(request.model.name())?;
        let matcher = Matcher::new(&request.filter, &request.model)?;
        let mut count = 0;
        for (key, stored) in &collection.documents {
            let routed = request.routing.is_none() || key.routing() == request.routing.as_ref();
            count += u64::from(routed && matcher.matches_body(key, &stored.body)?);
        }
        Ok(count)
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

#[async_trait]
impl Schema for ShelfStore {
    async fn ensure(&self, request: EnsureRequest) -> Result<EnsureReport> {
        let model = request.model;
        if model.fields().any(|field| field.unique) {
            return Err(Error::unsupported("unique fields"));
        }
        let mut shelf = self.open()?;
        let Some(collection) = shelf.collections.get_mut(model.name()) else {
            let (name, documents) = (model.name().clone(), BTreeMap::new());
            shelf
                .collections
                .insert(name, Collection { model, documents });
            return Ok(EnsureReport::created());
        };
        let added = model.extends(&collection.model)?;
        let added = added.into_iter().map(|field| field.path.clone()).collect();
        collection.model = collection.model.union(&model)?;
        Ok(EnsureReport::extended(added))
    }

    async fn describe(&self, name: CollectionName) -> Result<Option<CollectionDescription>> {
        let shelf = self.open()?;
        Ok(shelf.collections.get(&name).map(|collection| {
            let documents = collection.documents.len() as u64;
            CollectionDescription::new(collection.model.clone(), documents)
        }))
    }

    async fn drop_collection(&self, name: CollectionName) -> Result<bool> {
        Ok(self.open()?.collections.remove(&name).is_some())
    }

    async fn refresh(&self, _: CollectionName) -> Result<()> {
        self.open().map(drop)
    }

    async fn ready(&self, _: Duration) -> Result<Health> {
        self.open().map(|_| Health::Ready)
    }

    async fn server_info(&self) -> Result<ServerInfo> {
        self.open()
            .map(|_| ServerInfo::new("shelf", env!("CARGO_PKG_VERSION")))
    }
}

#[async_trait]
impl Store for ShelfStore {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn transact(&self) -> Option<Arc<dyn Transact>> {
        None
    }

    async fn close(&self) -> Result<()> {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.closed = true;
        shelf.collections.clear();
        Ok(())
    }
}
