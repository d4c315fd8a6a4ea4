//! Loading documents by key.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::codec::{decode, decode_view};
use super::collection::Collection;
use super::context::Annotate as _;
use super::document::Document;
use super::key::IntoKey;
use super::partial::source_of;
use super::versioned::{Origin, Versioned};
use super::view::View;
use crate::error::{Error, Operation, Result};
use crate::model::{Key, Model, RawDocument};
use crate::query::SourceFilter;
use crate::store::LoadRequest;

impl<T: Document> Collection<T> {
    /// Loads a document, or `None` if there is none under the key. Dropping the future changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// `Invalid` for a key that is not allowed, or without the routing that the collection
    /// demands; `Codec` if the body does not fit the type; `Unavailable`, `Timeout`, `Contended`.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// users.insert(User::new("ada")).await?;
    /// let ada = users.get("ada").await?.expect("ada was inserted");
    /// assert_eq!(ada.logins, 0);
    /// assert!(users.get("bob").await?.is_none());
    /// # Ok(()) }) }
    /// ```
    pub async fn get(&self, key: impl IntoKey) -> Result<Option<Versioned<T>>> {
        let (model, selection) = self.selected(Operation::Load)?;
        let key = key.into_key().at(Operation::Load, model)?;
        match self
            .load_one(model, &key, source_of(selection.as_ref()))
            .await?
        {
            Some(document) => self.adopt(model, document, selection).map(Some),
            None => Ok(None),
        }
    }

    /// Loads a document into a type of its own, such as one with a few fields. Dropping the future
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub async fn get_as<V: DeserializeOwned>(&self, key: impl IntoKey) -> Result<Option<View<V>>> {
        let (model, selection) = self.selected(Operation::Load)?;
        let key = key.into_key().at(Operation::Load, model)?;
        match self
            .load_one(model, &key, source_of(selection.as_ref()))
            .await?
        {
            Some(document) => view(model, document, selection.as_deref()).map(Some),
            None => Ok(None),
        }
    }

    /// Loads many documents: one entry per key, in the order of the keys, `None` where there is
    /// none. Long lists are loaded in parts, one after another; dropping the future changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get); one failure fails the call.
    pub async fn get_many<K: IntoKey>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Option<Versioned<T>>>> {
        let (model, selection) = self.selected(Operation::Load)?;
        let keys = keys.into_iter().map(K::into_key);
        let keys = keys
            .collect::<Result<Vec<_>>>()
            .at(Operation::Load, model)?;
        let loaded = self
            .load_many(model, keys, source_of(selection.as_ref()))
            .await?;
        let adopt = |document| self.adopt(model, document, selection.clone());
        loaded
            .into_iter()
            .map(|d| d.map(adopt).transpose())
            .collect()
    }

    /// Whether there is a document under the key. Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub async fn exists(&self, key: impl IntoKey) -> Result<bool> {
        let model = self.model()?;
        let key = key.into_key().at(Operation::Load, model)?;
        let nothing = SourceFilter::Include(Vec::new());
        Ok(self.load_one(model, &key, nothing).await?.is_some())
    }

    /// Loads the document again, in place of the value and its changes; what was selected of it is
    /// selected again. Dropping the future leaves it as it was.
    ///
    /// It is how a caller merges after a conflict: keep what you wanted to change, reload, and
    /// apply it to what someone else made of the document.
    ///
    /// # Errors
    ///
    /// `NotFound` if the document is gone, which leaves the value as it was; otherwise as for
    /// [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// let mut ada = users.insert(User::new("ada")).await?;
    /// users.update("ada", |user| user.region = Some("us".into())).await?;
    ///
    /// ada.logins = 5;
    /// let error = users.save(&mut ada).await.unwrap_err();
    /// assert!(error.is_conflict());
    ///
    /// // A three-way merge: ours is what we made of it, theirs is what is there now.
    /// let ours = ada.clone();
    /// users.reload(&mut ada).await?;
    /// ada.logins = ada.logins.max(ours.logins);
    /// users.save(&mut ada).await?;
    /// assert_eq!((ada.region.as_deref(), ada.logins), (Some("us"), 5));
    /// # Ok(()) }) }
    /// ```
    pub async fn reload(&self, document: &mut Versioned<T>) -> Result<()> {
        let model = self.model()?;
        let selection = document.origin().selection.clone();
        let key = document.key();
        let loaded = self
            .load_one(model, key, source_of(selection.as_ref()))
            .await?;
        let loaded = loaded.ok_or_else(|| Error::not_found(key.clone()));
        *document = self.adopt(model, loaded.at(Operation::Load, model)?, selection)?;
        Ok(())
    }

    pub(crate) async fn load_one(
        &self,
        model: &Arc<Model>,
        key: &Key,
        source: SourceFilter,
    ) -> Result<Option<RawDocument>> {
        model.check_key(key).at(Operation::Load, model)?;
        let request = LoadRequest {
            model: model.clone(),
            keys: vec![key.clone()],
            source,
        };
        let loaded = self.context.store.load(request).await;
        let mut loaded = loaded.at_key(Operation::Load, model, key)?;
        match (loaded.pop(), loaded.is_empty()) {
            (Some(document), true) => Ok(document),
            _ => Err(wrong_count(1)).at_key(Operation::Load, model, key),
        }
    }

    pub(crate) async fn load_many(
        &self,
        model: &Arc<Model>,
        keys: Vec<Key>,
        source: SourceFilter,
    ) -> Result<Vec<Option<RawDocument>>> {
        for key in &keys {
            model.check_key(key).at(Operation::Load, model)?;
        }
        let most = self.context.store.capabilities().max_load_keys;
        let most = most.min(self.context.shared.limits.load_keys()).max(1);
        let mut loaded = Vec::with_capacity(keys.len());
        let mut keys = keys.into_iter();
        while keys.len() > 0 {
            let part: Vec<_> = keys.by_ref().take(most).collect();
            let count = part.len();
            let request = LoadRequest {
                model: model.clone(),
                keys: part,
                source: source.clone(),
            };
            let part = self.context.store.load(request).await;
            let part = part.at(Operation::Load, model)?;
            if part.len() != count {
                return Err(wrong_count(count)).at(Operation::Load, model);
            }
            loaded.extend(part);
        }
        Ok(loaded)
    }

    /// Makes a document of what the store handed out.
    pub(crate) fn adopt(
        &self,
        model: &Model,
        document: RawDocument,
        selection: Option<Arc<SourceFilter>>,
    ) -> Result<Versioned<T>> {
        let value: T = decode(model, &document.body, selection.as_deref()).at_key(
            Operation::Load,
            model,
            &document.key,
        )?;
        let created = value.created();
        let origin = Origin::loaded(document.body, selection, created);
        Ok(Versioned::new(
            value,
            document.key,
            document.version,
            origin,
        ))
    }
}

/// Makes a view of what the store handed out.
pub(crate) fn view<V: DeserializeOwned>(
    model: &Model,
    document: RawDocument,
    selection: Option<&SourceFilter>,
) -> Result<View<V>> {
    let value = decode_view(&document.body, selection);
    let value = value.at_key(Operation::Load, model, &document.key)?;
    Ok(View::new(value, document.key, document.version))
}

#[cold]
fn wrong_count(keys: usize) -> Error {
    Error::internal(format!(
        "the store did not answer a load of {keys} keys with {keys} entries"
    ))
}
