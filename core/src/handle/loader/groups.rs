//! The keys that a level asks for, and the documents that came, grouped by type.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Level, Links};
use crate::error::Result;
use crate::handle::collection::Collection;
use crate::handle::context::Context;
use crate::handle::database::Database;
use crate::handle::document::Document;
use crate::handle::versioned::Versioned;
use crate::model::{FieldPath, Key};

/// The keys that are asked for.
#[derive(Default)]
pub(super) struct Wanted {
    by_type: BTreeMap<TypeId, Box<dyn Group>>,
}

impl Wanted {
    /// Asks for a document, once.
    pub(super) fn add<D: Document>(&mut self, key: &Key) {
        let group = self
            .by_type
            .entry(TypeId::of::<D>())
            .or_insert_with(|| Box::new(Keys::<D>::default()));
        let group: &mut dyn Any = &mut **group;
        if let Some(group) = group.downcast_mut::<Keys<D>>()
            && !group.keys.contains(key)
        {
            group.keys.insert(key.clone());
        }
    }

    /// One load for each type.
    pub(super) fn into_loads(
        self,
        context: &Arc<Context>,
    ) -> Vec<BoxFuture<'_, Result<Box<dyn Found>>>> {
        self.by_type
            .into_values()
            .map(|group| group.load(context))
            .collect()
    }
}

/// The keys of one type.
trait Group: Any + Send {
    fn load(self: Box<Self>, context: &Arc<Context>) -> BoxFuture<'_, Result<Box<dyn Found>>>;
}

struct Keys<D> {
    keys: BTreeSet<Key>,
    of: std::marker::PhantomData<fn() -> D>,
}

impl<D> Default for Keys<D> {
    fn default() -> Self {
        Self {
            keys: BTreeSet::new(),
            of: std::marker::PhantomData,
        }
    }
}

impl<D: Document> Group for Keys<D> {
    fn load(self: Box<Self>, context: &Arc<Context>) -> BoxFuture<'_, Result<Box<dyn Found>>> {
        Box::pin(async move {
            let collection = Collection::<D>::new(context.clone());
            let documents = collection.get_many(&self.keys).await?;
            let documents = documents.into_iter().map(|d| d.map(Arc::new));
            let answers: HashMap<_, _> = self.keys.into_iter().zip(documents).collect();
            Ok(Box::new(Answers(answers)) as Box<dyn Found>)
        })
    }
}

/// What a load of one type found.
pub(super) trait Found: Any + Send + Sync {
    /// The documents that were found, as the next level.
    fn level(&self) -> &dyn Level;
}

struct Answers<D>(HashMap<Key, Option<Arc<Versioned<D>>>>);

impl<D: Document> Found for Answers<D> {
    fn level(&self) -> &dyn Level {
        self
    }
}

impl<D: Document> Level for Answers<D> {
    fn visit(&self, links: &mut Links<'_>) {
        for document in self.0.values().flatten() {
            document.links(links);
        }
    }

    fn resolvers<'a>(
        &'a self,
        database: &'a Database,
        only: Option<&[FieldPath]>,
        calls: &mut Vec<BoxFuture<'a, Result<()>>>,
    ) {
        let documents: Vec<&D> = self.0.values().flatten().map(|d| &***d).collect();
        super::add_all_calls(&documents, database, only, calls);
    }
}

/// What was found under a key: `None` if it was not asked for, `Some(None)` if there is nothing.
pub(super) fn answer<D: Document>(
    found: &[Box<dyn Found>],
    key: &Key,
) -> Option<Option<Arc<Versioned<D>>>> {
    found
        .iter()
        .find_map(|answers| (&**answers as &dyn Any).downcast_ref::<Answers<D>>())
        .and_then(|answers| answers.0.get(key).cloned())
}
