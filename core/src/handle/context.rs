//! What a database and everything made from it share.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::document::{Document, IdSource};
use super::limits::Limits;
use super::retry::RetryPolicy;
use super::turns::Turns;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::model::{CollectionName, Key, Model};
use crate::store::{Stamping, Store};

/// A store, seen from a database or from one of its transactions.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) scope: Scope,
}

/// Where calls take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Each stands for itself.
    Database,
    /// They belong to a transaction, which is run again as a whole.
    Transaction,
}

/// What does not depend on the transaction.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) limits: Limits,
    pub(crate) retry: RetryPolicy,
    pub(crate) registry: Registry,
    pub(crate) turns: Turns,
    #[cfg(feature = "signed-cursors")]
    pub(crate) cursor_key: Option<crate::query::CursorKey>,
}

impl Context {
    pub(crate) fn stamping(&self) -> Stamping {
        self.store.capabilities().stamping
    }

    /// How calls of this context are run again after a conflict.
    pub(crate) fn retry(&self) -> RetryPolicy {
        match self.scope {
            Scope::Database => self.shared.retry.clone(),
            Scope::Transaction => RetryPolicy::never(),
        }
    }
}

/// The models of the types that were used with a database, one per collection.
#[derive(Default)]
pub(crate) struct Registry {
    by_type: RwLock<HashMap<TypeId, Arc<Setup>>>,
    by_name: Mutex<HashMap<CollectionName, Arc<Model>>>,
}

/// A model, or why there is none: told by the first call, so that making a handle cannot fail.
pub(crate) enum Setup {
    Ready(Arc<Model>),
    Failed {
        kind: ErrorKind,
        message: String,
        collection: Option<CollectionName>,
    },
}

impl Setup {
    pub(crate) fn model(&self) -> Result<&Arc<Model>> {
        match self {
            Self::Ready(model) => Ok(model),
            Self::Failed {
                kind,
                message,
                collection,
            } => {
                let error = Error::new(*kind, message.clone());
                Err(match collection {
                    Some(collection) => error.with_collection(collection.clone()),
                    None => error,
                })
            }
        }
    }
}

impl Registry {
    pub(crate) fn setup<T: Document>(&self) -> Arc<Setup> {
        let id = TypeId::of::<T>();
        let known = self.by_type.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(setup) = known.get(&id) {
            return setup.clone();
        }
        drop(known);
        let setup = T::model().and_then(|model| self.agree(model));
        let setup = Arc::new(match setup {
            Ok(model) => Setup::Ready(model),
            Err(error) => Setup::Failed {
                kind: error.kind(),
                message: error.message().to_owned(),
                collection: error.collection().cloned(),
            },
        });
        let mut types = self.by_type.write().unwrap_or_else(PoisonError::into_inner);
        types.entry(id).or_insert(setup).clone()
    }

    /// The one model of a collection: two types may share it, two models may not.
    fn agree(&self, model: Arc<Model>) -> Result<Arc<Model>> {
        let mut names = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        let first = names
            .entry(model.name().clone())
            .or_insert_with(|| model.clone());
        if **first != *model {
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!(
                    "collection {} is used with two different models",
                    model.name()
                ),
            )
            .with_collection(model.name().clone()));
        }
        Ok(first.clone())
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(names.keys()).finish()
    }
}

/// Adds what a handle knows to an error on its way up.
pub(crate) trait Annotate {
    /// Adds operation and collection, unless they are known.
    fn at(self, operation: Operation, model: &Model) -> Self;
    /// Adds operation, collection and key, unless they are known.
    fn at_key(self, operation: Operation, model: &Model, key: &Key) -> Self;
}

impl<R> Annotate for Result<R> {
    fn at(self, operation: Operation, model: &Model) -> Self {
        self.map_err(|error| {
            error
                .with_operation(operation)
                .with_collection(model.name().clone())
        })
    }

    fn at_key(self, operation: Operation, model: &Model, key: &Key) -> Self {
        self.map_err(|error| error.with_key(key.clone()))
            .at(operation, model)
    }
}
