//! The first documents by an order, as an aggregation.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::{Aggregate, AggregateWithin, Answer, Question, mismatched, own_name};
use crate::error::{Error, Result};
use crate::handle::document::Document;
use crate::handle::find::{Read, adopted, viewed};
use crate::handle::partial::{IntoSelection, Selection, source_of};
use crate::handle::versioned::Versioned;
use crate::handle::view::View;
use crate::query::{Aggregation, Sort, SourceFilter};
use crate::store::AggregateResult;

/// The first documents by an order, at most this many: 1 to
/// [`MAX_TOP_HITS`](crate::query::MAX_TOP_HITS).
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
/// # fn main() -> Result<()> { run(async |_, users| {
/// use strongroom_core::handle::aggregate::top_hits;
///
/// users.insert_many(["ada", "bob", "cy"].map(User::new)).await?;
/// let f = User::fields();
/// let regions = users
///     .find(Filter::all())
///     .aggregate(f.region().terms().within(top_hits(2).sort(f.name().desc())))
///     .await?;
/// let mut names = regions.buckets[0].within.iter().map(|user| user.name.as_str());
/// assert!(names.eq(["cy", "bob"]));
/// # Ok(()) }) }
/// ```
#[must_use]
pub fn top_hits(documents: usize) -> TopHits {
    TopHits {
        size: documents,
        sort: Vec::new(),
        source: Ok(SourceFilter::All),
    }
}

/// The first documents by an order, to be changed and saved like any other; [`top_hits`] makes it.
#[derive(Clone, Debug)]
pub struct TopHits {
    size: usize,
    sort: Vec<Sort>,
    /// What is loaded, or why that is not understood.
    source: Result<SourceFilter, String>,
}

impl TopHits {
    /// Adds a sort key; earlier keys go before later ones. Ties break by id.
    #[must_use]
    pub fn sort(mut self, key: Sort) -> Self {
        self.sort.push(key);
        self
    }

    /// Loads these fields only; see [`Collection::select`](crate::handle::Collection::select).
    #[must_use]
    pub fn select(mut self, fields: impl IntoSelection) -> Self {
        let source = fields.into_selection();
        self.source = source.map_err(|error| error.message().to_owned());
        self
    }

    /// Hands the documents out as values of a type of its own, to be read only.
    #[must_use]
    pub fn views<V: DeserializeOwned>(self) -> TopHitsAs<V> {
        TopHitsAs {
            hits: self,
            of: PhantomData,
        }
    }

    /// What is selected of documents `T`, with what their keys are read from.
    fn selection<T: Document>(&self) -> Result<Option<Arc<SourceFilter>>> {
        match &self.source {
            Ok(source) => Selection::new(source.clone(), T::key_fields()).get(),
            Err(message) => Err(Error::invalid(message.clone())),
        }
    }

    fn aggregation<T: Document>(&self) -> Result<Aggregation> {
        Ok(Aggregation::TopHits {
            sort: self.sort.clone(),
            size: self.size,
            source: source_of(self.selection::<T>()?.as_ref()),
        })
    }

    fn read_as<T: Document, R>(
        &self,
        name: &str,
        answer: &mut Answer<'_, T>,
        read: Read<T, R>,
    ) -> Result<Vec<R>> {
        let AggregateResult::TopHits(documents) = answer.take(name)? else {
            return Err(mismatched(own_name(name)));
        };
        let selection = self.selection::<T>()?;
        let documents = documents.into_iter();
        documents
            .map(|document| {
                read(
                    answer.collection,
                    answer.model,
                    document,
                    selection.as_ref(),
                )
            })
            .collect()
    }
}

impl<T: Document> Aggregate<T> for TopHits {
    type Output = Vec<Versioned<T>>;

    fn ask(&self, name: &str, question: &mut Question) {
        question.add(name, self.aggregation::<T>());
    }

    fn read(&self, name: &str, answer: &mut Answer<'_, T>) -> Result<Self::Output> {
        self.read_as(name, answer, adopted)
    }
}

impl<T: Document> AggregateWithin<T> for TopHits {}

/// As [`TopHits`], as values of a type of its own; [`TopHits::views`] makes it.
pub struct TopHitsAs<V> {
    hits: TopHits,
    of: PhantomData<fn() -> V>,
}

impl<T: Document, V: DeserializeOwned> Aggregate<T> for TopHitsAs<V> {
    type Output = Vec<View<V>>;

    fn ask(&self, name: &str, question: &mut Question) {
        question.add(name, self.hits.aggregation::<T>());
    }

    fn read(&self, name: &str, answer: &mut Answer<'_, T>) -> Result<Self::Output> {
        self.hits.read_as(name, answer, viewed)
    }
}

impl<T: Document, V: DeserializeOwned> AggregateWithin<T> for TopHitsAs<V> {}

impl<V> Clone for TopHitsAs<V> {
    fn clone(&self) -> Self {
        Self {
            hits: self.hits.clone(),
            of: PhantomData,
        }
    }
}

impl<V> fmt::Debug for TopHitsAs<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hits.fmt(f)
    }
}
