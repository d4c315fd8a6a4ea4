//! One page of an answer, and the way to the next.

use std::ops::Deref;

use super::document::Document;
use super::find::Find;
use super::hit::Hit;
use super::versioned::Versioned;
use super::view::View;
use crate::error::Result;
use crate::query::{Cursor, Highlights};
use crate::store::TotalCount;

/// One page of an answer: a slice of documents, the count if it was asked for, and where the next
/// page begins.
#[derive(Clone, Debug)]
pub struct Page<T, R = Versioned<T>> {
    documents: Vec<R>,
    next: Option<Find<T>>,
    previous: Option<Find<T>>,
    total: Option<TotalCount>,
    /// One for each document, or none.
    scores: Vec<f64>,
    /// One for each document, or none.
    highlights: Vec<Highlights>,
}

impl<T: Document, R> Page<T, R> {
    pub(crate) fn new(
        documents: Vec<R>,
        next: Option<Find<T>>,
        previous: Option<Find<T>>,
        total: Option<TotalCount>,
    ) -> Self {
        Self {
            documents,
            next,
            previous,
            total,
            scores: Vec::new(),
            highlights: Vec::new(),
        }
    }

    pub(crate) fn with_hits(mut self, scores: Vec<f64>, highlights: Vec<Highlights>) -> Self {
        (self.scores, self.highlights) = (scores, highlights);
        self
    }

    /// The documents with what was found out about each: its score, if the question sorts
    /// [by score](Find::by_score), and fragments, if it asks for [highlights](Find::highlight).
    pub fn hits(&self) -> impl Iterator<Item = Hit<'_, R>> {
        let mut scores = self.scores.iter();
        let mut highlights = self.highlights.iter();
        self.documents.iter().map(move |document| Hit {
            document,
            score: scores.next().copied(),
            highlights: highlights.next().unwrap_or(Highlights::NONE),
        })
    }

    /// The documents alone.
    #[must_use]
    pub fn into_documents(self) -> Vec<R> {
        self.documents
    }

    /// The documents, to be changed in place.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, R> {
        self.documents.iter_mut()
    }

    /// Where the next page begins, for a client that asks for it later; `None` if this is the last.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.next.as_ref().and_then(Find::cursor)
    }

    /// The place of the first document, before which the previous page lies, for a client that
    /// asks for it later; `None` if this is the first.
    #[must_use]
    pub fn previous_cursor(&self) -> Option<&Cursor> {
        self.previous.as_ref().and_then(Find::cursor)
    }

    /// How many documents match, if the question asked.
    #[must_use]
    pub fn total(&self) -> Option<TotalCount> {
        self.total
    }
}

impl<T: Document> Page<T, Versioned<T>> {
    /// Puts the same question for the next page, or `None` if this one is the last. Dropping the
    /// future changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`Find::page`].
    pub async fn next(&self) -> Result<Option<Self>> {
        match &self.next {
            Some(next) => next.clone().page().await.map(Some),
            None => Ok(None),
        }
    }

    /// Puts the same question for the previous page, or `None` if this one is the first. If the
    /// documents before this page were deleted meanwhile, the previous page is empty. Dropping
    /// the future changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`Find::page`]; `Unsupported` if the store has no pages backwards.
    pub async fn previous(&self) -> Result<Option<Self>> {
        match &self.previous {
            Some(previous) => previous.clone().page().await.map(Some),
            None => Ok(None),
        }
    }
}

impl<T: Document, V: serde::de::DeserializeOwned> Page<T, View<V>> {
    /// Puts the same question for the next page, or `None` if this one is the last. Dropping the
    /// future changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`Find::page_as`].
    pub async fn next(&self) -> Result<Option<Self>> {
        match &self.next {
            Some(next) => next.clone().page_as().await.map(Some),
            None => Ok(None),
        }
    }

    /// Puts the same question for the previous page, or `None` if this one is the first. If the
    /// documents before this page were deleted meanwhile, the previous page is empty. Dropping
    /// the future changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`Find::page_as`]; `Unsupported` if the store has no pages backwards.
    pub async fn previous(&self) -> Result<Option<Self>> {
        match &self.previous {
            Some(previous) => previous.clone().page_as().await.map(Some),
            None => Ok(None),
        }
    }
}

impl<T, R> Deref for Page<T, R> {
    type Target = [R];

    fn deref(&self) -> &[R] {
        &self.documents
    }
}

impl<T, R> IntoIterator for Page<T, R> {
    type Item = R;
    type IntoIter = std::vec::IntoIter<R>;

    fn into_iter(self) -> Self::IntoIter {
        self.documents.into_iter()
    }
}

impl<'a, T, R> IntoIterator for &'a Page<T, R> {
    type Item = &'a R;
    type IntoIter = std::slice::Iter<'a, R>;

    fn into_iter(self) -> Self::IntoIter {
        self.documents.iter()
    }
}
