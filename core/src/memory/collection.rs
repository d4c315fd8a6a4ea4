//! The documents of one collection and the values of its unique fields.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Body, FieldPath, Key, Model, RawDocument, Timestamp, Version, WriteId};
use crate::query::{FieldReader, Ordered, SourceFilter};
use crate::store::CollectionDescription;

/// The documents of one collection, in the order of id and routing.
#[derive(Clone, Debug)]
pub(super) struct Collection {
    pub(super) model: Arc<Model>,
    pub(super) documents: BTreeMap<Key, Arc<Stored>>,
    pub(super) unique: Vec<UniqueField>,
}

/// One document.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) version: Version,
    pub(super) body: Body,
    pub(super) write_id: WriteId,
    pub(super) written: Timestamp,
    /// The parsed body, made when a search first looks at it.
    object: OnceLock<Map<String, Value>>,
}

impl Stored {
    pub(super) fn new(version: Version, body: Body, write_id: WriteId, written: Timestamp) -> Self {
        Self {
            version,
            body,
            write_id,
            written,
            object: OnceLock::new(),
        }
    }

    pub(super) fn object(&self) -> Result<&Map<String, Value>> {
        if let Some(object) = self.object.get() {
            return Ok(object);
        }
        let parsed = self.body.to_object()?;
        Ok(self.object.get_or_init(|| parsed))
    }

    pub(super) fn hand_out(
        &self,
        key: &Key,
        source: &SourceFilter,
        now: Timestamp,
    ) -> Result<RawDocument> {
        let body = source.apply(&self.body)?;
        Ok(RawDocument::new(key.clone(), self.version, body)
            .with_write_id(self.write_id)
            .with_age(now.saturating_since(self.written)))
    }
}

/// The values of one unique field, each with the document that holds it.
#[derive(Clone, Debug)]
pub(super) struct UniqueField {
    pub(super) path: FieldPath,
    reader: FieldReader,
    holders: BTreeMap<Ordered, Key>,
}

impl UniqueField {
    pub(super) fn new(model: &Model, path: &FieldPath) -> Result<Self> {
        Ok(Self {
            path: path.clone(),
            reader: FieldReader::new(model, path)?,
            holders: BTreeMap::new(),
        })
    }

    /// Fails if another document than the one under `key` holds a value of `object`.
    fn check(&self, key: &Key, object: &Map<String, Value>) -> Result<()> {
        for value in self.reader.values(object) {
            if self.holders.get(&Ordered(value)).is_some_and(|h| h != key) {
                return Err(Error::new(
                    ErrorKind::UniqueViolation,
                    format!(
                        "another document holds the value of the unique field {}",
                        self.path
                    ),
                )
                .with_key(key.clone()));
            }
        }
        Ok(())
    }

    /// Checks the values of a document and adds them.
    pub(super) fn add(&mut self, key: &Key, object: &Map<String, Value>) -> Result<()> {
        self.check(key, object)?;
        for value in self.reader.values(object) {
            self.holders.insert(Ordered(value), key.clone());
        }
        Ok(())
    }

    fn remove(&mut self, object: &Map<String, Value>) {
        for value in self.reader.values(object) {
            self.holders.remove(&Ordered(value));
        }
    }
}

impl Collection {
    pub(super) fn new(model: Arc<Model>) -> Result<Self> {
        let unique = model.fields().filter(|field| field.unique);
        let unique = unique.map(|field| UniqueField::new(&model, &field.path));
        Ok(Self {
            unique: unique.collect::<Result<_>>()?,
            model: model.clone(),
            documents: BTreeMap::new(),
        })
    }

    pub(super) fn load(
        &self,
        key: &Key,
        source: &SourceFilter,
        now: Timestamp,
    ) -> Result<Option<RawDocument>> {
        self.model.check_key(key)?;
        let stored = self.documents.get(key);
        stored.map(|s| s.hand_out(key, source, now)).transpose()
    }

    /// Puts `after` under `key`, or takes away what is there, and hands out what was.
    ///
    /// # Errors
    ///
    /// `UniqueViolation`, naming the field; nothing has changed then.
    pub(super) fn replace(
        &mut self,
        key: &Key,
        after: Option<Arc<Stored>>,
    ) -> Result<Option<Arc<Stored>>> {
        if !self.unique.is_empty() {
            let object = after.as_deref().map(Stored::object).transpose()?;
            if let Some(object) = object {
                self.unique.iter().try_for_each(|u| u.check(key, object))?;
            }
            let before = self.documents.get(key).map(|s| s.object()).transpose()?;
            for unique in &mut self.unique {
                if let Some(object) = before {
                    unique.remove(object);
                }
                if let Some(object) = object {
                    unique.add(key, object)?;
                }
            }
        }
        Ok(match after {
            Some(stored) => self.documents.insert(key.clone(), stored),
            None => self.documents.remove(key),
        })
    }

    pub(super) fn describe(&self) -> CollectionDescription {
        CollectionDescription::new(self.model.clone(), self.documents.len() as u64)
    }
}
