//! Loading what documents refer to, and computing their lazy properties, for a page at once.
//!
//! It goes level by level. Of one level, all keys are collected first, each once; then each
//! collection that is referred to is asked once; then what came is handed to every reference that
//! asked for it, and the lazy properties are computed. The documents that were loaded are the next
//! level. A level never hands out the documents of an earlier one, so cycles of references become
//! no cycles in memory, and end where the depth ends.

mod groups;

use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use self::groups::{Found, Wanted};
use super::collection::Collection;
use super::context::Context;
use super::database::Database;
use super::document::Document;
use super::field::{Field, FieldType, kinds};
use super::lazy::{LazyProperty, Resolver};
use super::reference::{Ref, ReferenceField};
use super::versioned::Versioned;
use crate::error::Result;
use crate::model::{FieldPath, MAX_DEPTH};

/// A field that can be resolved: a reference or a lazy property of the documents `T`.
///
/// Handles of such fields hand it out: `User::fields().team().link()`.
pub struct Link<T> {
    path: FieldPath,
    of: PhantomData<fn() -> T>,
}

impl<T, V: ReferenceField> Field<T, kinds::Reference, V> {
    /// The reference, for [`Resolve::only`].
    #[must_use]
    pub fn link(&self) -> Link<T> {
        Link::new(self.path())
    }
}

impl<T, V> Field<T, kinds::Lazy, V> {
    /// The property, for [`Resolve::only`].
    #[must_use]
    pub fn link(&self) -> Link<T> {
        Link::new(self.path())
    }
}

impl<T> Link<T> {
    fn new(path: &FieldPath) -> Self {
        Self {
            path: path.clone(),
            of: PhantomData,
        }
    }
}

impl<T> std::fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({})", self.path)
    }
}

/// What [`Collection::resolve`] loads and computes, how deep, and how much of it at once.
pub struct Resolve<T> {
    only: Option<Vec<FieldPath>>,
    depth: Option<usize>,
    concurrency: Option<usize>,
    of: PhantomData<fn() -> T>,
}

impl<T> Resolve<T> {
    /// All references and lazy properties.
    #[must_use]
    pub fn all() -> Self {
        Self {
            only: None,
            depth: None,
            concurrency: None,
            of: PhantomData,
        }
    }

    /// These references and lazy properties of the documents in hand; deeper levels, if the depth
    /// asks for them, are resolved in full.
    #[must_use]
    pub fn only(links: impl IntoIterator<Item = Link<T>>) -> Self {
        Self {
            only: Some(links.into_iter().map(|link| link.path).collect()),
            ..Self::all()
        }
    }

    /// How many levels are followed, in place of the database's limit, which is 1 by default: 1
    /// resolves the documents in hand, 2 also the documents that were loaded for them, and so on,
    /// to at most 32.
    #[must_use]
    pub fn depth(mut self, levels: usize) -> Self {
        self.depth = Some(levels);
        self
    }

    /// How many loads or resolvers run at once, in place of the database's limit, which is 16 by
    /// default. At least 1.
    #[must_use]
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = Some(calls);
        self
    }
}

impl<T> Default for Resolve<T> {
    fn default() -> Self {
        Self::all()
    }
}

impl<T> Clone for Resolve<T> {
    fn clone(&self) -> Self {
        Self {
            only: self.only.clone(),
            ..*self
        }
    }
}

impl<T> std::fmt::Debug for Resolve<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolve")
            .field("only", &self.only)
            .field("depth", &self.depth)
            .field("concurrency", &self.concurrency)
            .finish()
    }
}

impl<T: Document> Collection<T> {
    /// Loads what the documents refer to and computes their lazy properties.
    ///
    /// Each collection that is referred to is asked once for each level, for all documents
    /// together and for each key once. A reference to a document that is not there becomes
    /// [missing](Ref::is_missing). What was loaded or computed before is left as it is. The
    /// documents are not changed by it: there is nothing to save.
    ///
    /// Within a transaction, loads and resolvers see it too.
    ///
    /// Dropping the future leaves some references and properties resolved and others not.
    ///
    /// # Errors
    ///
    /// What a load or a resolver fails with; `Invalid` if a resolver does not give one value for
    /// each document, or if a reference has a routing that its collection does not have.
    pub async fn resolve<'a>(
        &self,
        documents: impl IntoIterator<Item = &'a Versioned<T>>,
        what: Resolve<T>,
    ) -> Result<()> {
        let documents: Vec<&T> = documents.into_iter().map(|document| &**document).collect();
        let database = Database::within(&self.context);
        let limits = database.limits();
        let depth = what.depth.unwrap_or(limits.lazy_depth()).min(MAX_DEPTH);
        let concurrency = what.concurrency.unwrap_or(limits.concurrency()).max(1);
        let work = Work {
            context: &self.context,
            database: &database,
            concurrency,
        };
        if depth == 0 {
            return Ok(());
        }
        let first = Documents(documents);
        let mut level = work.level(&[&first], what.only.as_deref()).await?;
        for _ in 1..depth {
            if level.is_empty() {
                break;
            }
            let documents: Vec<&dyn Level> = level.iter().map(|found| found.level()).collect();
            level = work.level(&documents, None).await?;
        }
        Ok(())
    }
}

/// What the work of all levels needs.
struct Work<'a> {
    context: &'a Arc<Context>,
    database: &'a Database,
    concurrency: usize,
}

impl Work<'_> {
    /// Resolves the documents of one level, and hands out those that were loaded.
    async fn level(
        &self,
        documents: &[&dyn Level],
        only: Option<&[FieldPath]>,
    ) -> Result<Vec<Box<dyn Found>>> {
        let mut wanted = Wanted::default();
        let mut links = Links::new(only, Mode::Collect(&mut wanted));
        for documents in documents {
            documents.visit(&mut links);
        }
        let loads = wanted.into_loads(self.context);
        let found: Vec<_> = stream::iter(loads)
            .buffer_unordered(self.concurrency)
            .try_collect()
            .await?;
        let mut links = Links::new(only, Mode::Settle(&found));
        for documents in documents {
            documents.visit(&mut links);
        }
        let mut resolvers = Vec::new();
        for documents in documents {
            documents.resolvers(self.database, only, &mut resolvers);
        }
        stream::iter(resolvers)
            .buffer_unordered(self.concurrency)
            .try_collect::<()>()
            .await?;
        Ok(found)
    }
}

/// The documents of one type on one level.
trait Level: Send + Sync {
    /// Shows every reference.
    fn visit(&self, links: &mut Links<'_>);

    /// Adds the calls of resolvers that are to be made.
    fn resolvers<'a>(
        &'a self,
        database: &'a Database,
        only: Option<&[FieldPath]>,
        calls: &mut Vec<BoxFuture<'a, Result<()>>>,
    );
}

struct Documents<'d, T>(Vec<&'d T>);

impl<T: Document> Level for Documents<'_, T> {
    fn visit(&self, links: &mut Links<'_>) {
        for document in &self.0 {
            document.links(links);
        }
    }

    fn resolvers<'a>(
        &'a self,
        database: &'a Database,
        only: Option<&[FieldPath]>,
        calls: &mut Vec<BoxFuture<'a, Result<()>>>,
    ) {
        add_all_calls(&self.0, database, only, calls);
    }
}

fn add_all_calls<'a, T: Document>(
    documents: &[&'a T],
    database: &'a Database,
    only: Option<&[FieldPath]>,
    calls: &mut Vec<BoxFuture<'a, Result<()>>>,
) {
    let properties = T::lazy_properties().iter();
    for property in properties.filter(|p| is_meant(only, &[p.name])) {
        add_calls(property, documents, database, calls);
    }
}

fn add_calls<'a, T: Document>(
    property: &'static LazyProperty<T>,
    documents: &[&'a T],
    database: &'a Database,
    calls: &mut Vec<BoxFuture<'a, Result<()>>>,
) {
    let open = documents
        .iter()
        .copied()
        .filter(|document| !(property.is_loaded)(document));
    match property.resolver {
        Resolver::Each(resolve) => {
            calls.extend(open.map(|document| resolve(database, document)));
        }
        Resolver::Page(resolve) => {
            let open: Vec<&T> = open.collect();
            if !open.is_empty() {
                calls.push(Box::pin(async move { resolve(database, &open).await }));
            }
        }
    }
}

fn is_meant(only: Option<&[FieldPath]>, names: &[&'static str]) -> bool {
    only.is_none_or(|only| {
        only.iter()
            .any(|path| path.segments().eq(names.iter().copied()))
    })
}

/// Walks the references of a document, first to collect their keys, then to settle them.
///
/// The derive writes the walk: see [`Document::links`].
pub struct Links<'w> {
    only: Option<&'w [FieldPath]>,
    /// The names that lead to the field being visited.
    names: Vec<&'static str>,
    mode: Mode<'w>,
}

enum Mode<'w> {
    Collect(&'w mut Wanted),
    Settle(&'w [Box<dyn Found>]),
}

impl<'w> Links<'w> {
    fn new(only: Option<&'w [FieldPath]>, mode: Mode<'w>) -> Self {
        Self {
            only,
            names: Vec::new(),
            mode,
        }
    }

    /// Visits a field, and what lies within it.
    pub fn field<F: FieldType>(&mut self, name: &'static str, field: &F) {
        self.names.push(name);
        field.links(self);
        self.names.pop();
    }

    /// Visits a reference.
    pub(super) fn reference<D: Document>(&mut self, reference: &Ref<D>) {
        if reference.is_settled() || !is_meant(self.only, &self.names) {
            return;
        }
        match &mut self.mode {
            Mode::Collect(wanted) => wanted.add::<D>(reference.key()),
            Mode::Settle(found) => {
                if let Some(answer) = groups::answer(found, reference.key()) {
                    reference.settle(answer);
                }
            }
        }
    }
}

impl std::fmt::Debug for Links<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Links({})", self.names.join("."))
    }
}
