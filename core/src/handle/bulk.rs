//! Many writes in one call, split into parts that the store takes.

use std::fmt;
use std::sync::Arc;

use super::collection::Collection;
use super::context::Annotate as _;
use super::document::Document;
use super::key::IntoKey;
use super::parts::Parts;
use super::save::{Saved, version_of};
use super::versioned::Versioned;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::model::{Expected, Model};
use crate::patch::Patch;
use crate::store::{BulkItem, BulkReply, BulkRequest, Receipt, Write};

/// How far a bulk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkProgress {
    /// How many items have an outcome.
    pub done: usize,
    /// How many of these failed.
    pub failed: usize,
    /// How many items there are.
    pub total: usize,
}

type Progress = Box<dyn FnMut(BulkProgress) + Send>;

impl<T: Document> Collection<T> {
    /// Begins a bulk of writes of any kind.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// let bob = users.insert(User::new("bob")).await?;
    /// let reply = users
    ///     .bulk()
    ///     .insert(User::new("ada"))
    ///     .delete("bob", bob.version())
    ///     .insert(User::new("ada"))
    ///     .progress(|progress| assert_eq!(progress.failed, 1))
    ///     .send()
    ///     .await?;
    /// let (place, error) = reply.errors().next().expect("one item failed");
    /// assert_eq!((place, error.kind()), (2, ErrorKind::AlreadyExists));
    /// # Ok(()) }) }
    /// ```
    pub fn bulk(&self) -> Bulk<T> {
        Bulk {
            collection: self.clone(),
            items: Vec::new(),
            plan: Plan::default(),
        }
    }

    /// Creates many documents: one outcome per value, in order; one's failure does not keep
    /// another from being created. Sent in parts, one after another; dropping the future leaves
    /// some created and others not.
    ///
    /// # Errors
    ///
    /// Of one value: as for [`insert`](Self::insert). Of the whole call, if its first part could
    /// not be carried out: `Unavailable`, `Timeout`, `Contended`; then nothing was created, unless
    /// the kind is `Indeterminate`.
    pub async fn insert_many(
        &self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Result<Versioned<T>>>> {
        let model = self.model()?;
        let values = values.into_iter();
        let mut items = Vec::with_capacity(values.size_hint().0);
        let mut pending = Vec::with_capacity(values.size_hint().0);
        for mut value in values {
            let prepared = self.prepare_put(model, &mut value, Expected::Absent);
            let (item, rest) = split(prepared);
            let key = item.as_ref().ok().map(|item: &BulkItem| item.key().clone());
            items.push(item);
            pending.push((value, key, rest));
        }
        let outcomes = self.run_bulk(model, items, Plan::default()).await?;
        let created = outcomes.into_iter().zip(pending);
        Ok(created
            .map(|(outcome, (mut value, key, rest))| {
                let receipt = outcome?;
                let version = version_of(&receipt).at(Operation::Bulk, model)?;
                match (key, rest) {
                    (Some(key), Some(rest)) => {
                        let origin = self.settle(&mut value, rest, &receipt);
                        Ok(Versioned::new(value, key, version, origin))
                    }
                    _ => Err(out_of_step()),
                }
            })
            .collect())
    }

    /// Saves the changes of many documents, each if no one else changed it: one outcome per
    /// document, in order. Documents without changes are not sent. Sent in parts, one after
    /// another; dropping the future leaves some saved and others not.
    ///
    /// # Errors
    ///
    /// Of one document: as for [`save`](Self::save). Of the whole call: as for
    /// [`insert_many`](Self::insert_many).
    pub async fn save_many<'a>(
        &self,
        documents: impl IntoIterator<Item = &'a mut Versioned<T>>,
    ) -> Result<Vec<Result<Saved>>> {
        let model = self.model()?;
        let documents = documents.into_iter();
        let many = documents.size_hint().0;
        let mut outcomes = Vec::with_capacity(many);
        let mut items = Vec::with_capacity(many);
        let mut changed = Vec::with_capacity(many);
        for document in documents {
            match self.prepare_save(model, document) {
                Ok(None) => {
                    outcomes.push(Some(self.unchanged(document).at(Operation::Bulk, model)))
                }
                Ok(Some((write, pending))) => {
                    outcomes.push(None);
                    items.push(Ok(write.into()));
                    changed.push((document, pending));
                }
                Err(error) => {
                    let error = error.with_key(document.key().clone());
                    outcomes.push(Some(Err(error).at(Operation::Bulk, model)));
                }
            }
        }
        let sent = self.run_bulk(model, items, Plan::default()).await?;
        let mut sent = sent
            .into_iter()
            .zip(changed)
            .map(|(outcome, (document, pending))| {
                let saved = self.settle_document(document, pending, &outcome?);
                saved.at(Operation::Bulk, model)
            });
        Ok(outcomes
            .into_iter()
            .map(|outcome| {
                outcome
                    .or_else(|| sent.next())
                    .unwrap_or_else(|| Err(out_of_step()))
            })
            .collect())
    }

    /// Sends writes that were prepared one by one: one outcome each, in order.
    #[cfg(feature = "transfer")]
    pub(crate) async fn send_items(
        &self,
        model: &Arc<Model>,
        items: Vec<Result<BulkItem>>,
    ) -> Result<Vec<Result<Receipt>>> {
        self.run_bulk(model, items, Plan::default()).await
    }

    /// Sends the items in parts; an item that could not be prepared is not sent.
    async fn run_bulk(
        &self,
        model: &Arc<Model>,
        items: Vec<Result<BulkItem>>,
        mut plan: Plan,
    ) -> Result<Vec<Result<Receipt>>> {
        let total = items.len();
        if plan.atomic && items.iter().any(Result::is_err) {
            let unsent = items.into_iter().map(|item| match item {
                Err(error) => Err(error).at(Operation::Bulk, model),
                Ok(item) => Err(cancelled()).at_key(Operation::Bulk, model, item.key()),
            });
            return Ok(unsent.collect());
        }
        let mut parts = Parts {
            items: items.into_iter().peekable(),
            most_items: self.most_items(&plan),
            most_bytes: match plan.atomic {
                true => usize::MAX,
                false => self.context.shared.limits.bulk_bytes(),
            },
        };
        let mut outcomes: Vec<Result<Receipt>> = Vec::with_capacity(total);
        let mut failed = 0;
        let mut stopped = None;
        while let Some(part) = parts.next_part() {
            let first = outcomes.len();
            let items = Arc::new(part.send);
            let sent = match &stopped {
                Some(error) => Ok(items.iter().map(|_| Err(not_sent(error))).collect()),
                None => self.send_part(model, items.clone(), plan.atomic).await,
            };
            let sent = match sent {
                Ok(sent) => sent,
                Err(error) if first == 0 && part.refused.is_empty() => return Err(error),
                Err(error) => {
                    let error = stopped.insert(Arc::new(error));
                    items.iter().map(|_| Err(Error::copy_of(error))).collect()
                }
            };
            let sent = sent.into_iter().zip(items.iter());
            outcomes.extend(
                sent.map(|(outcome, item)| outcome.at_key(Operation::Bulk, model, item.key())),
            );
            for (place, error) in part.refused {
                outcomes.insert(first + place, Err(error).at(Operation::Bulk, model));
            }
            let new = outcomes.get(first..).unwrap_or_default();
            failed += new.iter().filter(|outcome| outcome.is_err()).count();
            if let Some(progress) = &mut plan.progress {
                let done = outcomes.len();
                progress(BulkProgress {
                    done,
                    failed,
                    total,
                });
            }
        }
        Ok(outcomes)
    }

    fn most_items(&self, plan: &Plan) -> usize {
        if plan.atomic {
            return usize::MAX;
        }
        let store = self.context.store.capabilities().max_bulk_items;
        let limit = self.context.shared.limits.bulk_items();
        store.min(limit).min(plan.part.unwrap_or(limit)).max(1)
    }

    async fn send_part(
        &self,
        model: &Arc<Model>,
        items: Arc<Vec<BulkItem>>,
        atomic: bool,
    ) -> Result<Vec<Result<Receipt>>> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let count = items.len();
        let request = BulkRequest {
            model: model.clone(),
            items,
            atomic,
            refresh: self.refresh,
        };
        let reply = self.context.store.bulk(request).await;
        let BulkReply { outcomes } = reply.at(Operation::Bulk, model)?;
        if outcomes.len() != count {
            let error = Error::internal(format!(
                "the store answered a bulk of {count} items with {} outcomes",
                outcomes.len()
            ));
            return Err(error).at(Operation::Bulk, model);
        }
        Ok(outcomes)
    }
}

/// Many writes to one collection, in the order in which they were added. Items on one key take
/// effect in that order.
#[must_use = "a bulk does nothing before it is sent"]
pub struct Bulk<T> {
    collection: Collection<T>,
    items: Vec<Result<BulkItem>>,
    plan: Plan,
}

#[derive(Default)]
struct Plan {
    atomic: bool,
    part: Option<usize>,
    progress: Option<Progress>,
}

impl<T: Document> Bulk<T> {
    /// Creates a document.
    pub fn insert(self, value: T) -> Self {
        self.put(value, Expected::Absent)
    }

    /// Creates or replaces a document; see [`Collection::save_with`].
    pub fn put(self, mut value: T, expected: impl Into<Expected>) -> Self {
        let expected = expected.into();
        self.with(|collection, model| {
            let (write, _) = collection.prepare_put(model, &mut value, expected)?;
            Ok(write.into())
        })
    }

    /// Changes parts of a document; see [`Collection::patch`].
    pub fn patch(
        self,
        key: impl IntoKey,
        patch: impl Into<Patch>,
        expected: impl Into<Expected>,
    ) -> Self {
        let (patch, expected) = (patch.into(), expected.into());
        self.with(|collection, model| {
            let write = collection.prepare_patch(model, key.into_key()?, patch, expected)?;
            Ok(write.into())
        })
    }

    /// Deletes a document; see [`Collection::delete`].
    pub fn delete(self, key: impl IntoKey, expected: impl Into<Expected>) -> Self {
        let expected = expected.into();
        self.with(|_, _| Ok(Write::delete(key.into_key()?, expected).into()))
    }

    /// Writes nothing, and fails as a write with this expectation would: for an
    /// [`atomic`](Self::atomic) bulk that depends on a document which it does not change.
    pub fn check(self, key: impl IntoKey, expected: impl Into<Expected>) -> Self {
        let expected = expected.into();
        self.with(|_, _| {
            Ok(BulkItem::Check {
                key: key.into_key()?,
                expected,
            })
        })
    }

    fn with(mut self, item: impl FnOnce(&Collection<T>, &Model) -> Result<BulkItem>) -> Self {
        let item = self.collection.model().and_then(|model| {
            let item = item(&self.collection, model)?;
            model.check_key(item.key())?;
            Ok(item)
        });
        self.items.push(item);
        self
    }

    /// Makes the bulk all or nothing. It is sent in one part, however large.
    pub fn atomic(mut self) -> Self {
        self.plan.atomic = true;
        self
    }

    /// Sends at most this many items at a time, within what the store and the database's
    /// [`Limits`](super::Limits) allow: smaller parts tell progress more often.
    pub fn part(mut self, items: usize) -> Self {
        self.plan.part = Some(items.max(1));
        self
    }

    /// Tells how far the bulk is, after each part.
    pub fn progress(mut self, tell: impl FnMut(BulkProgress) + Send + 'static) -> Self {
        self.plan.progress = Some(Box::new(tell));
        self
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no items; sending none is no call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Sends the bulk: one outcome per item, in order. Without [`atomic`](Self::atomic) one item's
    /// failure does not keep another from taking effect.
    ///
    /// Parts are sent one after another. If a later part cannot be carried out, its items have its
    /// error, and those after it, which were not sent, the kind `Cancelled`. Dropping the future
    /// leaves the parts before untouched; of the part under way an atomic bulk takes effect
    /// entirely or not at all, another one for some items and not for others.
    ///
    /// # Errors
    ///
    /// Of the whole call, if its first part could not be carried out: `Unavailable`, `Timeout`,
    /// `Contended`, `Unsupported` for an atomic bulk that the store does not have; then nothing
    /// was written, unless the kind is `Indeterminate`. Errors of single items are in the reply.
    pub async fn send(self) -> Result<BulkReply> {
        let model = self.collection.model()?;
        let outcomes = self
            .collection
            .run_bulk(model, self.items, self.plan)
            .await?;
        Ok(BulkReply::new(outcomes))
    }
}

impl<T> fmt::Debug for Bulk<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulk")
            .field("collection", &self.collection)
            .field("items", &self.items.len())
            .field("atomic", &self.plan.atomic)
            .finish()
    }
}

fn split<P>(prepared: Result<(Write, P)>) -> (Result<BulkItem>, Option<P>) {
    match prepared {
        Ok((write, pending)) => (Ok(write.into()), Some(pending)),
        Err(error) => (Err(error), None),
    }
}

#[cold]
fn cancelled() -> Error {
    Error::new(
        ErrorKind::Cancelled,
        "nothing was sent, because another item of the atomic bulk is wrong in itself",
    )
}

#[cold]
fn not_sent(stopped: &Arc<Error>) -> Error {
    Error::new(
        ErrorKind::Cancelled,
        "not sent, because an earlier part of the bulk failed",
    )
    .with_source(stopped.clone())
}

#[cold]
fn out_of_step() -> Error {
    Error::internal("a bulk lost the outcome of an item")
}
