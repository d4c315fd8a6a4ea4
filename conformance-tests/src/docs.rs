//! One collection of a store, with short forms of the calls that cases make.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use strongroom_core::model::{Body, Expected, Key, Model, RawDocument, Version, WriteId};
use strongroom_core::patch::Patch;
use strongroom_core::query::Filter;
use strongroom_core::store::{
    BulkItem, BulkReply, BulkRequest, Effect, FindRequest, LoadRequest, Page, Receipt, SaveRequest,
    Store, Write,
};
use strongroom_core::{Result, store};

use crate::failure::{During, Failure, Outcome, check, check_eq};

/// One collection of a store.
#[derive(Clone, Debug)]
pub(crate) struct Docs {
    store: Arc<dyn Store>,
    model: Arc<Model>,
}

impl Docs {
    pub(crate) fn new(store: Arc<dyn Store>, model: Arc<Model>) -> Self {
        Self { store, model }
    }

    /// The same collection through another store, such as a transaction.
    pub(crate) fn within(&self, store: Arc<dyn Store>) -> Self {
        Self::new(store, self.model.clone())
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(crate) fn model(&self) -> &Arc<Model> {
        &self.model
    }

    pub(crate) async fn save(&self, write: Write) -> Result<Receipt> {
        self.store
            .save(SaveRequest::new(self.model.clone(), write))
            .await
    }

    pub(crate) async fn put(
        &self,
        key: &Key,
        body: &Value,
        expected: impl Into<Expected>,
    ) -> Result<Receipt> {
        self.save(Write::put(key.clone(), Body::encode(body)?, expected))
            .await
    }

    pub(crate) async fn patch(
        &self,
        key: &Key,
        patch: Patch,
        expected: impl Into<Expected>,
    ) -> Result<Receipt> {
        self.save(Write::patch(key.clone(), patch, expected)).await
    }

    pub(crate) async fn delete(&self, key: &Key, expected: impl Into<Expected>) -> Result<Receipt> {
        self.save(Write::delete(key.clone(), expected)).await
    }

    /// Creates a document, which must work.
    pub(crate) async fn create(&self, key: &Key, body: &Value) -> Outcome<Version> {
        let receipt = self
            .put(key, body, Expected::Absent)
            .await
            .during(format_args!("creating {key}"))?;
        check_eq!(
            receipt.effect,
            Effect::Created,
            "the effect of creating {key}"
        );
        version_of(&receipt, format_args!("creating {key}"))
    }

    /// Creates documents in one bulk, which must work, and makes them visible to searches.
    pub(crate) async fn create_all(
        &self,
        bodies: impl IntoIterator<Item = (Key, Value)>,
    ) -> Outcome<BTreeMap<Key, Version>> {
        let bodies: Vec<(Key, Value)> = bodies.into_iter().collect();
        let mut items = Vec::with_capacity(bodies.len());
        for (key, body) in &bodies {
            items.push(Write::put(key.clone(), Body::encode(body)?, Expected::Absent).into());
        }
        let reply = self.bulk(items).await.during("creating documents")?;
        check_eq!(
            reply.outcomes.len(),
            bodies.len(),
            "outcomes of creating documents"
        );
        let mut versions = BTreeMap::new();
        for ((key, _), outcome) in bodies.into_iter().zip(reply.outcomes) {
            let receipt = outcome.during(format_args!("creating {key}"))?;
            let version = version_of(&receipt, format_args!("creating {key}"))?;
            versions.insert(key, version);
        }
        self.refresh().await?;
        Ok(versions)
    }

    /// Replaces a document at a version, which must work.
    pub(crate) async fn replace(
        &self,
        key: &Key,
        body: &Value,
        expected: impl Into<Expected>,
    ) -> Outcome<Version> {
        let receipt = self
            .put(key, body, expected)
            .await
            .during(format_args!("replacing {key}"))?;
        check_eq!(
            receipt.effect,
            Effect::Replaced,
            "the effect of replacing {key}"
        );
        version_of(&receipt, format_args!("replacing {key}"))
    }

    /// Deletes a document at a version, which must work.
    pub(crate) async fn remove(&self, key: &Key, expected: impl Into<Expected>) -> Outcome {
        let receipt = self
            .delete(key, expected)
            .await
            .during(format_args!("deleting {key}"))?;
        check_eq!(
            receipt.effect,
            Effect::Deleted,
            "the effect of deleting {key}"
        );
        check_eq!(receipt.version, None, "the version after deleting {key}");
        Ok(())
    }

    pub(crate) async fn load_many(&self, keys: &[Key]) -> Outcome<Vec<Option<RawDocument>>> {
        let loaded = self
            .store
            .load(LoadRequest::new(self.model.clone(), keys.to_vec()))
            .await
            .during(format_args!("loading {} documents", keys.len()))?;
        check_eq!(
            loaded.len(),
            keys.len(),
            "entries of a load of {} keys",
            keys.len()
        );
        for (key, document) in keys.iter().zip(&loaded) {
            if let Some(document) = document {
                check_eq!(
                    &document.key,
                    key,
                    "the key of the document loaded by {key}"
                );
            }
        }
        Ok(loaded)
    }

    pub(crate) async fn load(&self, key: &Key) -> Outcome<Option<RawDocument>> {
        let mut loaded = self
            .load_many(std::slice::from_ref(key))
            .await
            .during(format_args!("loading {key}"))?;
        Ok(loaded.pop().flatten())
    }

    /// Loads a document that must be there.
    pub(crate) async fn present(&self, key: &Key) -> Outcome<RawDocument> {
        self.load(key)
            .await?
            .ok_or_else(|| Failure::new(format!("loading {key}: expected a document, found none")))
    }

    /// Loads a document that must be there and checks body, version and, if told, the write id.
    pub(crate) async fn expect(
        &self,
        key: &Key,
        body: &Value,
        version: Version,
        write_id: Option<WriteId>,
    ) -> Outcome<RawDocument> {
        let document = self.present(key).await?;
        check_eq!(value_of(&document)?, *body, "the body of {key}");
        check_eq!(document.version, version, "the version of {key}");
        if let Some(write_id) = write_id {
            check_eq!(document.write_id, Some(write_id), "the write id of {key}");
        }
        Ok(document)
    }

    /// Checks that there is no document.
    pub(crate) async fn expect_absent(&self, key: &Key) -> Outcome {
        match self.load(key).await? {
            None => Ok(()),
            Some(found) => Err(Failure::new(format!(
                "loading {key}: expected no document, found version {} with {}",
                found.version,
                text_of(&found)
            ))),
        }
    }

    pub(crate) async fn bulk(&self, items: Vec<BulkItem>) -> Result<BulkReply> {
        let request = BulkRequest::new(self.model.clone(), items);
        self.store.bulk(request).await
    }

    pub(crate) async fn bulk_atomic(&self, items: Vec<BulkItem>) -> Result<BulkReply> {
        let request = BulkRequest::new(self.model.clone(), items).atomic();
        self.store.bulk(request).await
    }

    /// Makes earlier writes visible to searches, where these lag behind.
    pub(crate) async fn refresh(&self) -> Outcome {
        if self.store.capabilities().search_lags {
            self.store
                .refresh(self.model.name().clone())
                .await
                .during("refreshing the collection")?;
        }
        Ok(())
    }

    pub(crate) fn query(&self, filter: Filter) -> FindRequest {
        FindRequest::new(self.model.clone(), filter)
    }

    pub(crate) async fn find(&self, request: FindRequest) -> Result<Page> {
        self.store.find(request).await
    }

    /// The keys of all that match, page by page, by id.
    pub(crate) async fn find_keys(&self, filter: Filter) -> Outcome<Vec<Key>> {
        let mut request = self.query(filter);
        request.limit = 1_000;
        let page = self.find(request).await.during("finding documents")?;
        check!(
            page.next.is_none(),
            "a page of at most 1000 documents has {} and yet a next page",
            page.documents.len()
        );
        Ok(page.documents.into_iter().map(|d| d.key).collect())
    }

    pub(crate) async fn count(&self, filter: Filter) -> Result<u64> {
        self.store
            .count(store::CountRequest::new(self.model.clone(), filter))
            .await
    }
}

/// A key of a collection that is not routed.
pub(crate) fn key(id: &str) -> Outcome<Key> {
    Key::new(id).during(format_args!("making a key of {id:?}"))
}

/// The version in the receipt of a write that left a document.
#[track_caller]
pub(crate) fn version_of(receipt: &Receipt, what: impl std::fmt::Display) -> Outcome<Version> {
    receipt.version.ok_or_else(|| {
        Failure::new(format!(
            "{what}: expected a version in the receipt, found {receipt:?}"
        ))
    })
}

/// The body of a document as a JSON value.
pub(crate) fn value_of(document: &RawDocument) -> Outcome<Value> {
    document
        .body
        .decode()
        .during(format_args!("decoding the body of {}", document.key))
}

/// The body of a document as text, for messages.
pub(crate) fn text_of(document: &RawDocument) -> String {
    String::from_utf8_lossy(document.body.as_bytes()).into_owned()
}
