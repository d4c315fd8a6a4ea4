//! Streams of all that matches, piece by piece.
//!
//! A stream holds one piece of documents as the store handed them out and decodes each when it is
//! asked for it. It does not fetch ahead: a call that nobody polls would run into its timeout
//! while the caller is busy with the piece before. Engines read ahead of a scan where that pays.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::Stream;
use serde::de::DeserializeOwned;

use super::context::Annotate as _;
use super::document::Document;
use super::find::{Find, Read, adopted, viewed};
use super::partial::source_of;
use super::versioned::Versioned;
use super::view::View;
use crate::error::{Error, Operation, Result};
use crate::model::{Model, RawDocument};
use crate::query::SourceFilter;
use crate::store::{PageStart, Scan, ScanRequest};

/// How a stream reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Streaming {
    /// As [`Consistent`](Self::Consistent) where the store has scans and the stream begins at the
    /// beginning of the question; as [`Paged`](Self::Paged) otherwise.
    #[default]
    Auto,
    /// By a scan: every document is as it was when the stream was first polled, whatever is
    /// written meanwhile. An engine keeps something open for each such stream, and may refuse
    /// more than a few at once as `Contended`. Refused as `Unsupported` where the store has no
    /// scans, and as `Invalid` with an offset or a cursor.
    Consistent,
    /// Page by page: nothing is kept open in between. Documents written meanwhile may or may not
    /// appear, and none appears twice unless its sort values change.
    Paged,
}

impl<T: Document> Find<T> {
    /// Puts the question for all that matches, or as many as [`limit`](Self::limit) says, piece by
    /// piece: each is fetched when the one before was consumed, so that no more than one is in
    /// memory here, of [`batch`](Self::batch) documents.
    ///
    /// Where the store has scans, all documents are of one state, that of the first poll; say by
    /// [`streaming`](Self::streaming) if it is to be otherwise. Within a transaction on PostgreSQL and
    /// MariaDB that takes the isolation `Snapshot`. Nothing is sent before the stream
    /// is polled. After an error the stream ends. Dropping it closes the scan without waiting.
    ///
    /// The stream fails with `Invalid` for a batch out of range or a highlight, with `Contended` if too many
    /// scans are open, and otherwise as [`page`](Self::page).
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// use futures_util::TryStreamExt;
    ///
    /// users.insert_many(["ada", "bob"].map(User::new)).await?;
    /// let mut stream = users.find(Filter::all()).batch(1_000).stream();
    /// let mut names = Vec::new();
    /// while let Some(user) = stream.try_next().await? {
    ///     // What was written after the stream began is not in it.
    ///     users.insert(User::new(&format!("{}'s friend", user.name))).await?;
    ///     names.push(user.into_inner().name);
    /// }
    /// assert_eq!(names, ["ada", "bob"]);
    /// # Ok(()) }) }
    /// ```
    pub fn stream(self) -> impl Stream<Item = Result<Versioned<T>>> + Send + Unpin + use<T> {
        Documents::new(self, adopted)
    }

    /// As [`stream`](Self::stream), with values of a type of its own.
    pub fn stream_as<V>(self) -> impl Stream<Item = Result<View<V>>> + Send + Unpin + use<T, V>
    where
        V: DeserializeOwned + Send,
    {
        Documents::new(self, viewed)
    }

    /// The scan that the stream reads, or `None` if it reads pages.
    pub(crate) fn scan_request(
        &self,
        model: &Arc<Model>,
        selection: Option<&Arc<SourceFilter>>,
    ) -> Result<Option<ScanRequest>> {
        if self.highlight.is_some() {
            let error = Error::invalid("a stream hands out no highlights: ask for pages");
            return Err(error).at(Operation::Scan, model);
        }
        let from_start = self.offset == 0 && self.start == PageStart::First;
        let scans = match self.streaming {
            Streaming::Paged => false,
            Streaming::Auto => from_start && self.collection.context.store.capabilities().scans,
            Streaming::Consistent if from_start => true,
            Streaming::Consistent => {
                let error = Error::invalid(
                    "a consistent stream begins at the beginning of a question: it takes no offset and no cursor",
                );
                return Err(error).at(Operation::Scan, model);
            }
        };
        if !scans {
            return Ok(None);
        }
        Ok(Some(ScanRequest {
            model: model.clone(),
            filter: self.filter.clone(),
            sort: self.sort.clone(),
            source: source_of(selection),
            routing: self.routing_of(Operation::Scan, model)?,
            batch: self.stream_batch(),
        }))
    }

    /// How many documents a piece has: no more than are asked for in all.
    pub(crate) fn stream_batch(&self) -> usize {
        let limits = &self.collection.context.shared.limits;
        let batch = self.batch.unwrap_or_else(|| limits.stream_page());
        batch.min(self.limit.unwrap_or(usize::MAX))
    }

    /// Opens what the stream reads from.
    async fn open(self) -> Result<Fetched<T>> {
        let (model, selection) = self.collection.selected(Operation::Scan)?;
        match self.scan_request(model, selection.as_ref())? {
            None => self.fetch_page(usize::MAX).await,
            Some(request) => {
                let scan = self.collection.context.store.scan(request).await;
                let scan = scan.at(Operation::Scan, model)?;
                fetch_piece(scan, model).await
            }
        }
    }

    async fn fetch_page(self, left: usize) -> Result<Fetched<T>> {
        let (model, selection) = self.collection.selected(Operation::Find)?;
        let limit = self.stream_batch().min(left);
        let page = self.raw_page(model, selection.as_ref(), limit).await?;
        let next = page.next.map(|cursor| self.at(PageStart::After(cursor)));
        Ok(Fetched {
            documents: page.documents,
            rest: next.map(|next| Rest::Pages(Box::new(next))),
        })
    }
}

async fn fetch_piece<T>(mut scan: Box<dyn Scan>, model: &Model) -> Result<Fetched<T>> {
    let documents = scan.next().await.at(Operation::ScanNext, model)?;
    let rest = (!documents.is_empty()).then_some(Rest::Scan(scan));
    Ok(Fetched { documents, rest })
}

/// A piece, and where the next one comes from if there may be one.
struct Fetched<T> {
    documents: Vec<RawDocument>,
    rest: Option<Rest<T>>,
}

enum Rest<T> {
    Unopened,
    Scan(Box<dyn Scan>),
    Pages(Box<Find<T>>),
}

/// What a stream is about to do when its piece is consumed.
enum Step<T> {
    Fetch(Rest<T>),
    Fetching(BoxFuture<'static, Result<Fetched<T>>>),
    End,
}

struct Documents<T, R> {
    find: Find<T>,
    read: Read<T, R>,
    /// How many documents may still be handed out.
    left: usize,
    piece: vec::IntoIter<RawDocument>,
    step: Step<T>,
}

impl<T: Document, R> Documents<T, R> {
    fn new(find: Find<T>, read: Read<T, R>) -> Self {
        let left = find.limit.unwrap_or(usize::MAX);
        Self {
            find,
            read,
            left,
            piece: Vec::new().into_iter(),
            step: match left {
                0 => Step::End,
                _ => Step::Fetch(Rest::Unopened),
            },
        }
    }

    fn fetch(&self, rest: Rest<T>) -> BoxFuture<'static, Result<Fetched<T>>> {
        match rest {
            Rest::Unopened => self.find.clone().open().boxed(),
            Rest::Pages(next) => next.fetch_page(self.left).boxed(),
            Rest::Scan(scan) => {
                let collection = self.find.collection.clone();
                async move { fetch_piece(scan, collection.model()?).await }.boxed()
            }
        }
    }

    /// Makes of a document what the caller holds. What the stream reads from is let go as soon as
    /// nothing more will be asked of it.
    fn hand_out(&mut self, document: RawDocument) -> Result<R> {
        let read = self.read(document);
        self.left -= 1;
        if self.left == 0 || read.is_err() {
            self.end();
        }
        read
    }

    fn read(&self, document: RawDocument) -> Result<R> {
        let collection = &self.find.collection;
        let model = collection.model()?;
        (self.read)(collection, model, document, collection.selection.known())
    }

    fn end(&mut self) {
        self.piece = Vec::new().into_iter();
        self.step = Step::End;
    }
}

impl<T: Document, R> Stream for Documents<T, R> {
    type Item = Result<R>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<R>>> {
        let this = self.get_mut();
        loop {
            if let Some(document) = this.piece.next() {
                return Poll::Ready(Some(this.hand_out(document)));
            }
            match std::mem::replace(&mut this.step, Step::End) {
                Step::End => return Poll::Ready(None),
                Step::Fetch(rest) => this.step = Step::Fetching(this.fetch(rest)),
                Step::Fetching(mut fetching) => {
                    let Poll::Ready(fetched) = fetching.poll_unpin(context) else {
                        this.step = Step::Fetching(fetching);
                        return Poll::Pending;
                    };
                    match fetched {
                        Ok(fetched) => {
                            this.piece = fetched.documents.into_iter();
                            this.step = fetched.rest.map_or(Step::End, Step::Fetch);
                        }
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    }
                }
            }
        }
    }
}
