//! The first documents of each group of documents that share a value.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::DeserializeOwned;

use super::context::Annotate as _;
use super::document::Document;
use super::field::kinds::Valued;
use super::field::{Field, IntoOperand};
use super::find::{Find, Read, adopted, viewed};
use super::partial::source_of;
use super::versioned::Versioned;
use super::view::View;
use crate::error::{Error, Operation, Result};
use crate::model::{FieldPath, Scalar};
use crate::store::{
    self, ExplainRequest, Explanation, GroupRequest, MAX_PAGE, PageStart, Ranking, Total,
};

/// Default number of groups of one page.
const GROUPS: usize = 100;

impl<T: Document> Find<T> {
    /// Asks for the first document of each group of documents that share the value of a field, by
    /// the order of the sort keys; by [`Groups::top`] for more of them.
    ///
    /// The field has one comparable value; documents without a value are in no group. Groups come
    /// page by page, in ascending order of their values.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// for (name, region, logins) in [("ada", "eu", 3), ("bob", "eu", 9), ("cy", "us", 1)] {
    ///     let region = Some(region.to_owned());
    ///     users.insert(User { region, logins, ..User::new(name) }).await?;
    /// }
    /// let f = User::fields();
    /// let page = users
    ///     .find(Filter::all())
    ///     .sort(f.logins().desc())
    ///     .per(f.region())
    ///     .top(3)
    ///     .page()
    ///     .await?;
    /// assert_eq!((page[0].key.as_str(), page[1].key.as_str()), ("eu", "us"));
    /// let eu: Vec<_> = page[0].documents.iter().map(|user| (user.rank, &*user.name)).collect();
    /// assert_eq!(eu, [(1, "bob"), (2, "ada")]);
    /// assert!(page.next().await?.is_none());
    /// # Ok(()) }) }
    /// ```
    pub fn per<K: Valued, V>(self, field: Field<T, K, V>) -> Groups<T, K> {
        Groups {
            find: self,
            by: field.into(),
            ranking: Ranking::default(),
            top: 1,
            groups: None,
            after: None,
            of: PhantomData,
        }
    }
}

/// A question for the first documents of each group; [`Find::per`] begins it.
#[must_use = "a question does nothing before it is put"]
pub struct Groups<T, K> {
    find: Find<T>,
    by: FieldPath,
    ranking: Ranking,
    top: usize,
    /// How many groups a page holds, if it was said.
    groups: Option<usize>,
    after: Option<Scalar>,
    of: PhantomData<fn() -> K>,
}

impl<T: Document, K: Valued> Groups<T, K> {
    /// The last rank of each group that is handed out, 1 by default: with
    /// [`Ranking::RowNumber`] so many documents, with the other rankings also those that tie with
    /// them. Multiplied by the number of groups at most [`MAX_PAGE`].
    pub fn top(mut self, rank: usize) -> Self {
        self.top = rank;
        self
    }

    /// Says how documents are numbered, and so what becomes of ties.
    pub fn ranking(mut self, ranking: Ranking) -> Self {
        self.ranking = ranking;
        self
    }

    /// How many groups a page holds at most: 1 to
    /// [`MAX_GROUPS`](store::MAX_GROUPS). By default 100, or fewer where
    /// each has many documents.
    pub fn limit(mut self, groups: usize) -> Self {
        self.groups = Some(groups);
        self
    }

    /// Only groups of greater values than this.
    pub fn after(mut self, key: impl IntoOperand<K>) -> Self {
        self.after = Some(key.into_operand());
        self
    }

    /// Puts the question for one page of groups. Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// `Invalid` if the field does not hold one comparable value, if a number is out of range, if
    /// the question has a limit, an offset, a cursor, a total or a highlight of documents, or if ties make too
    /// many documents; `Unsupported` if the store has no groups; otherwise as for
    /// [`Find::page`].
    pub async fn page(self) -> Result<GroupPage<T, K>> {
        self.page_of(adopted).await
    }

    /// As [`page`](Self::page), with values of a type of its own.
    ///
    /// # Errors
    ///
    /// As for [`page`](Self::page).
    pub async fn page_as<V: DeserializeOwned>(self) -> Result<GroupPage<T, K, View<V>>> {
        self.page_of(viewed).await
    }

    /// Says what [`page`](Self::page) would ask the engine. Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`page`](Self::page).
    pub async fn explain(self) -> Result<Explanation> {
        let request = ExplainRequest::Group(self.request()?);
        self.find.collection.explain(request).await
    }

    async fn page_of<R>(self, read: Read<T, R>) -> Result<GroupPage<T, K, R>> {
        let collection = &self.find.collection;
        let request = self.request()?;
        let (model, selection) = collection.selected(Operation::Group)?;
        let found = collection.context.store.group(request).await;
        let found = found.at(Operation::Group, model)?;
        let ranked = |one: store::Ranked| {
            Ok(Ranked {
                rank: one.rank,
                document: read(collection, model, one.document, selection.as_ref())?,
            })
        };
        let group = |group: store::Group| {
            let documents = group.documents.into_iter().map(ranked);
            Ok(Group {
                key: K::read(&group.key, &self.by).at(Operation::Group, model)?,
                documents: documents.collect::<Result<_>>()?,
            })
        };
        let groups = found.groups.into_iter().map(group);
        let groups = groups.collect::<Result<_>>()?;
        let next = found.next.map(|after| Self {
            after: Some(after),
            ..self.clone()
        });
        Ok(GroupPage { groups, next })
    }

    fn request(&self) -> Result<GroupRequest> {
        let Self { find, .. } = self;
        let (model, selection) = find.collection.selected(Operation::Group)?;
        let whole = find.limit.is_none()
            && find.offset == 0
            && find.start == PageStart::First
            && find.total == Total::None
            && find.highlight.is_none();
        if !whole {
            let error = Error::invalid(
                "groups are paged by their own limit: the question takes no limit, offset, cursor, total or highlight of documents",
            );
            return Err(error).at(Operation::Group, model);
        }
        Ok(GroupRequest {
            model: model.clone(),
            filter: find.filter.clone(),
            routing: find.routing_of(Operation::Group, model)?,
            by: self.by.clone(),
            sort: find.sort.clone(),
            ranking: self.ranking,
            size: self.top,
            groups: self.groups.unwrap_or_else(|| {
                // More are not allowed; a top out of range is told by the check.
                (MAX_PAGE / self.top.max(1)).clamp(1, GROUPS)
            }),
            after: self.after.clone(),
            source: source_of(selection.as_ref()),
        })
    }
}

impl<T, K> Clone for Groups<T, K> {
    fn clone(&self) -> Self {
        Self {
            find: self.find.clone(),
            by: self.by.clone(),
            ranking: self.ranking,
            top: self.top,
            groups: self.groups,
            after: self.after.clone(),
            of: PhantomData,
        }
    }
}

impl<T, K> fmt::Debug for Groups<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups")
            .field("find", &self.find)
            .field("by", &self.by)
            .field("ranking", &self.ranking)
            .field("top", &self.top)
            .field("groups", &self.groups)
            .field("after", &self.after)
            .finish()
    }
}

/// One page of groups, in ascending order of their values: a slice of them, and where the next
/// page begins.
pub struct GroupPage<T, K: Valued, R = Versioned<T>> {
    groups: Vec<Group<K::Value, R>>,
    next: Option<Groups<T, K>>,
}

impl<T: Document, K: Valued, R> GroupPage<T, K, R> {
    /// The groups alone.
    #[must_use]
    pub fn into_groups(self) -> Vec<Group<K::Value, R>> {
        self.groups
    }

    /// Whether more groups follow: those after the key of the last one here.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.next.is_some()
    }
}

impl<T: Document, K: Valued> GroupPage<T, K> {
    /// Puts the same question for the next page, or `None` if this one is the last. Dropping the
    /// future changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`Groups::page`].
    pub async fn next(&self) -> Result<Option<Self>> {
        match &self.next {
            Some(next) => next.clone().page().await.map(Some),
            None => Ok(None),
        }
    }
}

impl<T: Document, K: Valued, V: DeserializeOwned> GroupPage<T, K, View<V>> {
    /// Puts the same question for the next page, or `None` if this one is the last. Dropping the
    /// future changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`Groups::page_as`].
    pub async fn next(&self) -> Result<Option<Self>> {
        match &self.next {
            Some(next) => next.clone().page_as().await.map(Some),
            None => Ok(None),
        }
    }
}

impl<T, K: Valued<Value: fmt::Debug>, R: fmt::Debug> fmt::Debug for GroupPage<T, K, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupPage")
            .field("groups", &self.groups)
            .field("next", &self.next)
            .finish()
    }
}

impl<T, K: Valued, R> Deref for GroupPage<T, K, R> {
    type Target = [Group<K::Value, R>];

    fn deref(&self) -> &Self::Target {
        &self.groups
    }
}

impl<T, K: Valued, R> IntoIterator for GroupPage<T, K, R> {
    type Item = Group<K::Value, R>;
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.groups.into_iter()
    }
}

/// The first documents that share a value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Group<K, R> {
    /// The value.
    pub key: K,
    /// The documents with their ranks, in order.
    pub documents: Vec<Ranked<R>>,
}

/// A document and its rank within its group. It dereferences to the document.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ranked<R> {
    /// The rank, from 1 on.
    pub rank: u64,
    /// The document.
    pub document: R,
}

impl<R> Deref for Ranked<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.document
    }
}
