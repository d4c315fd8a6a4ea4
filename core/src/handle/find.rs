//! Questions to a collection: pages, single documents, counts and streams.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::collection::Collection;
use super::context::Annotate as _;
use super::document::Document;
use super::load::view;
use super::page::Page;
use super::partial::{IntoSelection, source_of};
use super::stream::Streaming;
use super::versioned::Versioned;
use super::view::View;
use crate::error::{Error, Operation, Result};
use crate::model::{Model, RawDocument, Routing, in_range};
use crate::query::{Cursor, Filter, Highlight, Highlighter, Highlights, Sort, SourceFilter};
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
            batch: None,
            streaming: Streaming::default(),
            highlight: None,
        }
    }
}

/// A question to a collection.
///
/// Documents come in the order of the sort keys, and by the bytes of their ids where these tie or
/// are missing.
#[must_use = "a question does nothing before it is put"]
pub struct Find<T> {
    pub(crate) collection: Collection<T>,
    pub(crate) filter: Filter,
    pub(crate) sort: Vec<Sort>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
    pub(crate) start: PageStart,
    routing: Option<Result<Routing, Arc<str>>>,
    pub(crate) total: Total,
    pub(crate) batch: Option<usize>,
    pub(crate) streaming: Streaming,
    pub(crate) highlight: Option<Box<Highlight>>,
}

impl<T: Document> Find<T> {
    /// Adds a sort key; earlier keys go before later ones.
    pub fn sort(mut self, key: Sort) -> Self {
        self.sort.push(key);
        self
    }

    /// What fits the words that are asked for best first, as a sort key. The scores are the engine's
    /// own, and [`Page::hits`] hands them out; see [`SortTarget::Score`](crate::query::SortTarget).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// for (name, bio) in [("ada", "Likes engines."), ("bob", "Engines! Engines everywhere.")] {
    ///     users.insert(User { bio: bio.to_owned(), ..User::new(name) }).await?;
    /// }
    /// let f = User::fields();
    /// let page = users.find(f.bio().has_any_word("engines")).by_score().page().await?;
    /// let found: Vec<_> = page.hits().map(|hit| (&*hit.document.name, hit.score)).collect();
    /// // The in-memory store counts words; search engines weigh them.
    /// assert_eq!(found, [("bob", Some(2.0)), ("ada", Some(1.0))]);
    /// # Ok(()) }) }
    /// ```
    pub fn by_score(self) -> Self {
        self.sort(Sort::by_score())
    }

    /// Asks for fragments of texts with the words marked that the filter asks for, which
    /// [`Page::hits`] hands out. They are cut out here, of what the store hands out, so every store
    /// has them and they are alike everywhere; see [`Highlighter`]. A field that is not
    /// [selected](Self::select) is fetched for it, and left out of the document all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// use strongroom_core::query::Highlight;
    ///
    /// let bio = "Likes <b>engines</b>.".to_owned();
    /// users.insert(User { bio, ..User::new("ada") }).await?;
    /// let f = User::fields();
    /// let page = users
    ///     .find(f.bio().has_any_word("engines"))
    ///     .highlight(Highlight::of(f.bio()).fragments(3).size(80))
    ///     .page()
    ///     .await?;
    /// let hit = page.hits().next().expect("ada was found");
    /// // The text is made safe for a page of HTML, and the marks are not.
    /// assert_eq!(hit.fragments(f.bio()), ["Likes &lt;b&gt;<em>engines</em>&lt;/b&gt;."]);
    /// # Ok(()) }) }
    /// ```
    pub fn highlight(mut self, highlight: Highlight) -> Self {
        self.highlight = Some(Box::new(highlight));
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

    /// How many documents a stream fetches at a time, and so holds in memory: 1 to [`MAX_PAGE`].
    /// By default the database's [piece of a stream](super::Limits::stream_page).
    pub fn batch(mut self, documents: usize) -> Self {
        self.batch = Some(documents);
        self
    }

    /// Says how a stream reads.
    pub fn streaming(mut self, streaming: Streaming) -> Self {
        self.streaming = streaming;
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
        self.page_of(self.page_limit(), adopted).await
    }

    /// Puts the question for one page of a type of its own. Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`page`](Self::page).
    pub async fn page_as<V: DeserializeOwned>(self) -> Result<Page<T, View<V>>> {
        self.page_of(self.page_limit(), viewed).await
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
        let request = self.count_request()?;
        let model = request.model.clone();
        let count = self.collection.context.store.count(request).await;
        count.at(Operation::Count, &model)
    }

    /// The request of a count.
    pub(crate) fn count_request(&self) -> Result<CountRequest> {
        let model = self.collection.model()?;
        let mut request = CountRequest::new(model.clone(), self.filter.clone());
        request.routing = self.routing_of(Operation::Count, model)?;
        Ok(request)
    }

    /// How many documents the next page holds at most.
    pub(crate) fn page_limit(&self) -> usize {
        self.limit
            .unwrap_or_else(|| self.collection.context.shared.limits.page_size())
    }

    async fn page_of<R>(&self, limit: usize, read: Read<T, R>) -> Result<Page<T, R>> {
        let (model, selection) = self.collection.selected(Operation::Find)?;
        let highlighter = self.highlighter(model)?;
        let mut found = self.raw_page(model, selection.as_ref(), limit).await?;
        let mut highlights = Vec::new();
        if let Some(highlighter) = highlighter {
            for document in &mut found.documents {
                let highlight = highlighted(&highlighter, document, selection.as_deref());
                highlights.push(highlight.at_key(Operation::Find, model, &document.key)?);
            }
        }
        // Collecting into a result would not know how many there are, and grow the list by steps.
        let mut documents = Vec::with_capacity(found.documents.len());
        for document in found.documents {
            documents.push(read(&self.collection, model, document, selection.as_ref())?);
        }
        let next = found.next.map(|cursor| self.at(PageStart::After(cursor)));
        let previous = found
            .previous
            .map(|cursor| self.at(PageStart::Before(cursor)));
        let page = Page::new(documents, next, previous, found.total);
        Ok(page.with_hits(found.scores, highlights))
    }

    /// The highlight made ready, if one was asked for.
    fn highlighter(&self, model: &Model) -> Result<Option<Highlighter>> {
        let highlight = self.highlight.as_ref();
        let made = highlight.map(|highlight| Highlighter::new(highlight, &self.filter, model));
        made.transpose().at(Operation::Find, model)
    }

    /// What is fetched of each document: what was selected, and the texts to be highlighted.
    fn fetched(&self, selection: Option<&Arc<SourceFilter>>) -> SourceFilter {
        let mut source = source_of(selection);
        for field in self
            .highlight
            .iter()
            .flat_map(|highlight| &highlight.fields)
        {
            match &mut source {
                SourceFilter::Include(paths) if !paths.iter().any(|p| p.selects(field)) => {
                    paths.push(field.into());
                }
                SourceFilter::Exclude(paths) => paths.retain(|p| !p.overlaps(field)),
                _ => {}
            }
        }
        source
    }

    /// One page as the store hands it out.
    pub(crate) async fn raw_page(
        &self,
        model: &Arc<Model>,
        selection: Option<&Arc<SourceFilter>>,
        limit: usize,
    ) -> Result<store::Page> {
        let request = self.page_request(model, selection, limit)?;
        let found = self.collection.context.store.find(request).await;
        #[cfg(feature = "signed-cursors")]
        let found = found.and_then(|mut page| self.collection.sign(&mut page).map(|()| page));
        found.at(Operation::Find, model)
    }

    pub(crate) fn page_request(
        &self,
        model: &Arc<Model>,
        selection: Option<&Arc<SourceFilter>>,
        limit: usize,
    ) -> Result<FindRequest> {
        let allowed = in_range("page has a limit of", limit, MAX_PAGE);
        let allowed = allowed.and_then(|()| self.collection.admit(self.start.cursor()));
        allowed.at(Operation::Find, model)?;
        Ok(FindRequest {
            model: model.clone(),
            filter: self.filter.clone(),
            sort: self.sort.clone(),
            limit,
            offset: self.offset,
            start: self.start.clone(),
            source: self.fetched(selection),
            routing: self.routing_of(Operation::Find, model)?,
            total: self.total,
        })
    }

    /// The same question from another place on.
    pub(crate) fn at(&self, start: PageStart) -> Self {
        Self {
            offset: 0,
            start,
            ..self.clone()
        }
    }

    pub(crate) fn routing_of(
        &self,
        operation: Operation,
        model: &Model,
    ) -> Result<Option<Routing>> {
        match &self.routing {
            None => Ok(None),
            Some(Ok(routing)) => Ok(Some(routing.clone())),
            Some(Err(message)) => Err(Error::invalid(&**message)).at(operation, model),
        }
    }

    pub(crate) fn cursor(&self) -> Option<&Cursor> {
        self.start.cursor()
    }
}

/// The fragments of a document, which is cut down to what was selected of it.
fn highlighted(
    highlighter: &Highlighter,
    document: &mut RawDocument,
    selection: Option<&SourceFilter>,
) -> Result<Highlights> {
    let highlights = highlighter.of_body(&document.body)?;
    if let Some(selection) = selection {
        document.body = selection.apply(&document.body)?;
    }
    Ok(highlights)
}

/// How what the store hands out becomes what the caller holds.
pub(crate) type Read<T, R> =
    fn(&Collection<T>, &Model, RawDocument, Option<&Arc<SourceFilter>>) -> Result<R>;

/// Makes a document that can be saved.
pub(crate) fn adopted<T: Document>(
    collection: &Collection<T>,
    model: &Model,
    document: RawDocument,
    selection: Option<&Arc<SourceFilter>>,
) -> Result<Versioned<T>> {
    collection.adopt(model, document, selection.cloned())
}

/// Makes a value of another type.
pub(crate) fn viewed<T, V: DeserializeOwned>(
    _: &Collection<T>,
    model: &Model,
    document: RawDocument,
    selection: Option<&Arc<SourceFilter>>,
) -> Result<View<V>> {
    view(model, document, selection.map(|selection| &**selection))
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
            batch: self.batch,
            streaming: self.streaming,
            highlight: self.highlight.clone(),
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
