//! Questions to a collection: pages, single documents, counts and streams.

use std::fmt;
use std::sync::Arc;

use futures_util::stream::{self, Stream, TryStreamExt as _};
use serde::de::DeserializeOwned;

use super::collection::Collection;
use super::context::Annotate as _;
use super::document::Document;
use super::load::view;
use super::page::Page;
use super::partial::{IntoSelection, source_of};
use super::versioned::Versioned;
use super::view::View;
use crate::error::{Error, Operation, Result};
use crate::model::{Model, RawDocument, Routing};
use crate::query::{Cursor, Filter, Sort, SourceFilter};
use crate::store::{self, CountRequest, FindRequest, MAX_PAGE, PageStart, Total};

impl<T: Document> Collection<T> {
    /// Begins a question for the documents that match `filter`; [`Filter::all`] means every one.
    /// Nothing is sent before the question is put by one of its `async` methods.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// users.insert_many(["ada", "bob", "cy"].map(User::new)).await?;
    /// let mut page = users
    ///     .find(Filter::eq("region", "eu")?)
    ///     .sort(Sort::descending("name".parse()?))
    ///     .limit(2)
    ///     .page()
    ///     .await?;
    /// assert_eq!(page.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["cy", "bob"]);
    /// while let Some(next) = page.next().await? {
    ///     page = next;
    /// }
    /// assert_eq!(page[0].name, "ada");
    /// # Ok(()) }) }
    /// ```
    pub fn find(&self, filter: impl Into<Filter>) -> Find<T> {
        Find {
            collection: self.clone(),
            filter: filter.into(),
            sort: Vec::new(),
            limit: None,
            offset: 0,
            start: PageStart::First,
            routing: None,
            total: Total::None,
        }
    }
}

/// A question to a collection.
///
/// Documents come in the order of the sort keys, and by the bytes of their ids where these tie or
/// are missing.
#[must_use = "a question does nothing before it is put"]
pub struct Find<T> {
    collection: Collection<T>,
    filter: Filter,
    sort: Vec<Sort>,
    limit: Option<usize>,
    offset: usize,
    start: PageStart,
    routing: Option<Result<Routing, Arc<str>>>,
    total: Total,
}

impl<T: Document> Find<T> {
    /// Adds a sort key; earlier keys go before later ones.
    pub fn sort(mut self, key: Sort) -> Self {
        self.sort.push(key);
        self
    }

    /// How many documents a page holds at most, up to [`MAX_PAGE`]; how many a stream hands out
    /// in all, without a bound. By default a page holds the database's
    /// [page size](super::Limits::page_size), and a stream has no end of its own.
    pub fn limit(mut self, documents: usize) -> Self {
        self.limit = Some(documents);
        self
    }

    /// Leaves out the first documents. With the limit at most [`MAX_PAGE`], and not with a cursor:
    /// to go far, go on by cursor.
    pub fn offset(mut self, documents: usize) -> Self {
        self.offset = documents;
        self
    }

    /// Goes on where a page of the same question ended.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.start = PageStart::After(cursor);
        self
    }

    /// Asks for the documents before the first one of a page of the same question: the last ones
    /// before it, in the order of the question.
    pub fn before(mut self, cursor: Cursor) -> Self {
        self.start = PageStart::Before(cursor);
        self
    }

    /// Asks for the last documents, in the order of the question.
    pub fn last(mut self) -> Self {
        self.start = PageStart::Last;
        self
    }

    /// Loads these fields only; see [`Collection::select`].
    pub fn select(mut self, fields: impl IntoSelection) -> Self {
        self.collection = self.collection.select(fields);
        self
    }

    /// Asks for documents of this routing only, which a routed collection answers faster.
    pub fn routing(mut self, routing: impl AsRef<str>) -> Self {
        let routing = Routing::new(routing);
        self.routing = Some(routing.map_err(|error| error.message().into()));
        self
    }

    /// Says whether and how far all that match are counted with a page.
    pub fn total(mut self, total: Total) -> Self {
        self.total = total;
        self
    }

    /// Puts the question for one page. Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// `Invalid` for a filter or sort on a field that the model does not declare, a limit out of
    /// range, or a cursor of another question; `Codec` if a body does not fit the type;
    /// `Unsupported`, `Unavailable`, `Timeout`, `Contended`.
    pub async fn page(self) -> Result<Page<T, Versioned<T>>> {
        self.page_of(
            self.page_limit(),
            |collection, model, document, selection| {
                collection.adopt(model, document, selection.cloned())
            },
        )
        .await
    }

    /// Puts the question for one page of a type of its own. Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`page`](Self::page).
    pub async fn page_as<V: DeserializeOwned>(self) -> Result<Page<T, View<V>>> {
        self.page_of(self.page_limit(), |_, model, document, selection| {
            view(model, document, selection.map(|s| &**s))
        })
        .await
    }

    /// Puts the question for the first document that matches, if there is one. Dropping the future
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`page`](Self::page).
    pub async fn first(self) -> Result<Option<Versioned<T>>> {
        let page = self.limit(1).page().await?;
        Ok(page.into_iter().next())
    }

    /// Puts the question for the only document that matches, if there is one. Dropping the future
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// `Invalid` if more than one matches; otherwise as for [`page`](Self::page).
    pub async fn one(self) -> Result<Option<Versioned<T>>> {
        let collection = self.collection.clone();
        let mut documents = self.limit(2).page().await?.into_iter();
        let first = documents.next();
        if documents.next().is_some() {
            let error = Error::invalid("more than one document matches, where one was asked for");
            return Err(error).at(Operation::Find, collection.model()?);
        }
        Ok(first)
    }

    /// Counts what matches, whatever sort, limit and offset say. Dropping the future changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// As for [`page`](Self::page).
    pub async fn count(self) -> Result<u64> {
        let model = self.collection.model()?;
        let mut request = CountRequest::new(model.clone(), self.filter.clone());
        request.routing = self.routing_of(model)?;
        let count = self.collection.context.store.count(request).await;
        count.at(Operation::Count, model)
    }

    /// Puts the question page by page, each when the one before was consumed: no more than one
    /// page is in memory, of [`Limits::stream_page`](super::Limits::stream_page) documents.
    ///
    /// Nothing is sent before the stream is polled. Documents written meanwhile may or may not
    /// appear, and none appears twice unless its sort values change. After an error the stream
    /// ends. Dropping it changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// use futures_util::TryStreamExt;
    ///
    /// users.insert_many(["ada", "bob"].map(User::new)).await?;
    /// let mut stream = std::pin::pin!(users.find(Filter::all()).stream());
    /// let mut names = Vec::new();
    /// while let Some(user) = stream.try_next().await? {
    ///     names.push(user.into_inner().name);
    /// }
    /// assert_eq!(names, ["ada", "bob"]);
    /// # Ok(()) }) }
    /// ```
    pub fn stream(self) -> impl Stream<Item = Result<Versioned<T>>> + Send + use<T> {
        self.stream_of(|collection, model, document, selection| {
            collection.adopt(model, document, selection.cloned())
        })
    }

    /// As [`stream`](Self::stream), with values of a type of its own.
    pub fn stream_as<V>(self) -> impl Stream<Item = Result<View<V>>> + Send + use<T, V>
    where
        V: DeserializeOwned + Send,
    {
        self.stream_of(|_, model, document, selection| {
            view(model, document, selection.map(|s| &**s))
        })
    }

    fn stream_of<R: Send>(
        self,
        read: impl Fn(&Collection<T>, &Model, RawDocument, Option<&Arc<SourceFilter>>) -> Result<R>
        + Copy
        + Send,
    ) -> impl Stream<Item = Result<R>> + Send {
        let left = self.limit.unwrap_or(usize::MAX);
        stream::try_unfold(Some((self, left)), move |state| async move {
            let Some((find, left)) = state.filter(|(_, left)| *left > 0) else {
                return Ok(None);
            };
            let most = find.collection.context.shared.limits.stream_page();
            let page = find.page_of(most.min(left), read).await?;
            let left = left - page.len();
            let (documents, next) = page.into_parts();
            let next = next.map(|find| (find, left));
            Ok(Some((stream::iter(documents.into_iter().map(Ok)), next)))
        })
        .try_flatten()
    }

    /// How many documents the next page holds at most.
    fn page_limit(&self) -> usize {
        self.limit
            .unwrap_or_else(|| self.collection.context.shared.limits.page_size())
    }

    async fn page_of<R>(
        &self,
        limit: usize,
        read: impl Fn(&Collection<T>, &Model, RawDocument, Option<&Arc<SourceFilter>>) -> Result<R>,
    ) -> Result<Page<T, R>> {
        let (model, selection) = self.collection.selected(Operation::Find)?;
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(Error::invalid(format!(
                "a page has 1 to {MAX_PAGE} documents, not {limit}"
            )))
            .at(Operation::Find, model);
        }
        let request = FindRequest {
            model: model.clone(),
            filter: self.filter.clone(),
            sort: self.sort.clone(),
            limit,
            offset: self.offset,
            start: self.start.clone(),
            source: source_of(selection.as_ref()),
            routing: self.routing_of(model)?,
            total: self.total,
        };
        let found = self.collection.context.store.find(request).await;
        let store::Page {
            documents,
            next,
            previous,
            total,
            ..
        } = found.at(Operation::Find, model)?;
        let documents = documents
            .into_iter()
            .map(|document| read(&self.collection, model, document, selection.as_ref()))
            .collect::<Result<Vec<_>>>()?;
        let page_at = |start| Self {
            offset: 0,
            start,
            ..self.clone()
        };
        let next = next.map(|cursor| page_at(PageStart::After(cursor)));
        let previous = previous.map(|cursor| page_at(PageStart::Before(cursor)));
        Ok(Page::new(documents, next, previous, total))
    }

    fn routing_of(&self, model: &Model) -> Result<Option<Routing>> {
        match &self.routing {
            None => Ok(None),
            Some(Ok(routing)) => Ok(Some(routing.clone())),
            Some(Err(message)) => Err(Error::invalid(&**message)).at(Operation::Find, model),
        }
    }

    pub(crate) fn cursor(&self) -> Option<&Cursor> {
        self.start.cursor()
    }
}

impl<T> Clone for Find<T> {
    fn clone(&self) -> Self {
        Self {
            collection: self.collection.clone(),
            filter: self.filter.clone(),
            sort: self.sort.clone(),
            limit: self.limit,
            offset: self.offset,
            start: self.start.clone(),
            routing: self.routing.clone(),
            total: self.total,
        }
    }
}

impl<T> fmt::Debug for Find<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Find")
            .field("collection", &self.collection)
            .field("filter", &self.filter)
            .field("sort", &self.sort)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
