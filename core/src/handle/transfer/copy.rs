//! From one store to another.

use std::fmt;
use std::sync::Arc;

use futures_util::future::join;

use super::super::collection::Collection;
use super::super::document::Document;
use super::super::stopped::Stopped;
use super::reading::Reading;
use super::verify::{Verify, VerifyProgress, VerifyReport};
use super::{Existing, FAILURES, PIECE, is_of_document};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Expected, Key, Model, RawDocument, Version};
use crate::query::Filter;
use crate::store::{
    BulkItem, BulkRequest, CountRequest, EnsureRequest, LoadRequest, Receipt, Store, Write,
};

/// Begins to copy a collection to another store, by [`CopyCollection::send`]: what to do when an
/// engine is outgrown.
///
/// Bodies are copied as they are, with their stamps and what the type does not know of them.
/// Versions are not: each store counts its own, and what was loaded from the one is not saved to
/// the other.
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
/// use strongroom_core::handle::transfer::copy_collection;
///
/// # fn main() -> Result<()> { run(async |_, users| {
/// users.insert_many(["ada", "bob"].map(User::new)).await?;
/// let elsewhere = Database::new(Arc::new(MemoryStore::new())).collection::<User>();
///
/// let copy = copy_collection(&users, &elsewhere)?;
/// let done = copy.progress(|so_far| println!("{} copied", so_far.copied)).send().await?;
/// assert_eq!((done.copied, done.failed), (2, 0));
///
/// let report = copy_collection(&users, &elsewhere)?.verify().await?;
/// assert!(report.is_same(), "{report}");
/// # Ok(()) }) }
/// ```
///
/// # Errors
///
/// `Invalid` or `SchemaMismatch` if the type's declarations break a rule.
pub fn copy_collection<T: Document>(
    from: &Collection<T>,
    to: &Collection<T>,
) -> Result<CopyCollection> {
    let model = from.model()?.clone();
    let stores = (from.context.store.clone(), to.context.store.clone());
    Ok(CopyCollection::new(stores.0, stores.1, model))
}

/// How far a copy is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CopyProgress {
    /// How many documents were there to be copied when it began.
    pub total: u64,
    /// How many documents were written.
    pub copied: u64,
    /// How many were there already, with the same body.
    pub unchanged: u64,
    /// How many were there already with another body and were kept, as [`Existing::Keep`] asks.
    pub kept: u64,
    /// How many were refused.
    pub failed: u64,
    /// The last key that is done with. Keep it where the process may end:
    /// [`CopyCollection::after`] goes on there.
    pub after: Option<Key>,
}

impl CopyProgress {
    /// How many documents are done with, of [`total`](Self::total) where nothing was left out by
    /// [`CopyCollection::after`] and nobody wrote meanwhile.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.copied + self.unchanged + self.kept + self.failed
    }
}

/// What a copy did, or did before it was stopped.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct CopySummary {
    /// How many documents were written.
    pub copied: u64,
    /// How many were there already, with the same body.
    pub unchanged: u64,
    /// How many were there already with another body and were kept, as [`Existing::Keep`] asks.
    pub kept: u64,
    /// How many were refused, whether their errors were kept or not.
    pub failed: u64,
    /// The first documents that were refused, with the reason: `AlreadyExists` for one that was
    /// there with another body, `Conflict` for one that someone else changed at the same moment.
    /// At most as many as [`CopyCollection::keep_failures`] says.
    pub failures: Vec<(Key, Error)>,
    /// The last key that is done with.
    pub after: Option<Key>,
}

type Progress = Box<dyn FnMut(CopyProgress) + Send>;

/// A copy of a collection; [`copy_collection`] begins it.
///
/// It reads in the order of the keys, by one scan where the store has scans, and creates documents
/// in bulks. A document that is there already with the same body is left alone, so a copy can be
/// put again after it was stopped: what was copied before costs a look each.
#[must_use = "nothing is copied before it is sent"]
pub struct CopyCollection {
    from: Arc<dyn Store>,
    to: Arc<dyn Store>,
    model: Arc<Model>,
    filter: Filter,
    existing: Existing,
    piece: usize,
    keep: usize,
    after: Option<Key>,
    ensure: bool,
    progress: Option<Progress>,
}

impl CopyCollection {
    /// A copy between any two stores, of a collection that no type stands for. Wrap the stores in
    /// the [default layers](crate::layers) first.
    pub fn new(from: Arc<dyn Store>, to: Arc<dyn Store>, model: Arc<Model>) -> Self {
        Self {
            from,
            to,
            model,
            filter: Filter::all(),
            existing: Existing::Refuse,
            piece: PIECE,
            keep: FAILURES,
            after: None,
            ensure: true,
            progress: None,
        }
    }

    /// Only documents that match.
    pub fn filter(mut self, filter: impl Into<Filter>) -> Self {
        self.filter = filter.into();
        self
    }

    /// What is done about a document that is there already with another body: by default it is
    /// refused.
    pub fn existing(mut self, existing: Existing) -> Self {
        self.existing = existing;
        self
    }

    /// How many documents are read and written at once: 1,000 by default, at least 1, and no more
    /// than the other store takes. Two pieces are in memory at a time.
    pub fn batch(mut self, documents: usize) -> Self {
        self.piece = documents;
        self
    }

    /// How many failures are kept with their errors, 1,000 by default. Further ones are counted.
    pub fn keep_failures(mut self, most: usize) -> Self {
        self.keep = most;
        self
    }

    /// Only documents behind this key: goes on where a copy was stopped.
    pub fn after(mut self, key: Key) -> Self {
        self.after = Some(key);
        self
    }

    /// Whether the collection is ensured in the other store first; it is by default.
    pub fn ensure(mut self, ensure: bool) -> Self {
        self.ensure = ensure;
        self
    }

    /// Calls this at the beginning and after each piece.
    pub fn progress(mut self, progress: impl FnMut(CopyProgress) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Copies all that matches and makes it visible to searches. While a piece is written the next
    /// one is read, and no more. Dropping the future leaves some documents copied, each of them
    /// whole.
    ///
    /// A document that is refused does not stop the others.
    ///
    /// # Errors
    ///
    /// [`Stopped<CopySummary>`](Stopped) of the error tells what was done, and where to go on.
    /// `SchemaMismatch` if the other store has the collection with another model, `Unsupported` if
    /// it cannot keep what the model declares; `Invalid` for a filter that is not allowed;
    /// `Unavailable`, `Timeout`, `Contended`, `Indeterminate` of either store.
    pub async fn send(mut self) -> Result<CopySummary> {
        let mut summary = CopySummary {
            after: self.after.clone(),
            ..CopySummary::default()
        };
        match self.run(&mut summary).await {
            Ok(()) => Ok(summary),
            Err(error) => {
                let done = format!("{} documents were copied", summary.copied);
                Err(Stopped::error(error, summary, done))
            }
        }
    }

    /// Compares the collection in both stores, in the order of the keys: counts, digests, and the
    /// first documents that differ, as many as [`keep_failures`](Self::keep_failures) says.
    /// Dropping the future changes nothing.
    ///
    /// Each store is read as it is at one moment, where it has scans. What is written to either
    /// meanwhile may show as a difference.
    ///
    /// # Errors
    ///
    /// `NotFound` if a store does not have the collection; `Invalid` for a filter that is not
    /// allowed; `Unavailable`, `Timeout`, `Contended` of either store.
    pub async fn verify(self) -> Result<VerifyReport> {
        self.verify_with(|_| {}).await
    }

    /// As [`verify`](Self::verify), and calls this after each piece.
    ///
    /// # Errors
    ///
    /// As for [`verify`](Self::verify).
    pub async fn verify_with(
        self,
        progress: impl FnMut(VerifyProgress) + Send,
    ) -> Result<VerifyReport> {
        for store in [&self.from, &self.to] {
            store.refresh(self.model.name().clone()).await?;
        }
        let piece = self.piece();
        let verify = Verify {
            from: Reading::new(&self.from, &self.model, &self.filter, piece),
            to: Reading::new(&self.to, &self.model, &self.filter, piece),
            keep: self.keep,
        };
        verify.run(progress).await
    }

    fn piece(&self) -> usize {
        let can = self.to.capabilities();
        let most = can.max_bulk_items.min(can.max_load_keys);
        self.piece.min(most).max(1)
    }

    async fn run(&mut self, summary: &mut CopySummary) -> Result<()> {
        let name = self.model.name().clone();
        self.from.refresh(name.clone()).await?;
        let count = CountRequest::new(self.model.clone(), self.filter.clone());
        let total = self.from.count(count).await?;
        if self.ensure {
            self.to
                .ensure(EnsureRequest::new(self.model.clone()))
                .await?;
        }
        self.tell(total, summary);
        let mut reading = Reading::new(&self.from, &self.model, &self.filter, self.piece());
        let mut piece = reading.next_behind(self.after.as_ref()).await?;
        while let Some(last) = piece.last().map(|document| document.key.clone()) {
            let read = reading.next_behind(self.after.as_ref());
            let (written, next) = join(self.write(piece, summary), read).await;
            written?;
            summary.after = Some(last);
            self.tell(total, summary);
            piece = next?;
        }
        self.to.refresh(name).await
    }

    fn tell(&mut self, total: u64, summary: &CopySummary) {
        if let Some(progress) = &mut self.progress {
            progress(CopyProgress {
                total,
                copied: summary.copied,
                unchanged: summary.unchanged,
                kept: summary.kept,
                failed: summary.failed,
                after: summary.after.clone(),
            });
        }
    }

    /// Creates the documents of a piece, and looks at those that are there already.
    async fn write(&self, piece: Vec<RawDocument>, summary: &mut CopySummary) -> Result<()> {
        let writes = piece.iter().map(|document| (document, Expected::Absent));
        let outcomes = self.put(writes.collect()).await?;
        let mut there = Vec::new();
        for (document, outcome) in piece.iter().zip(outcomes) {
            match outcome {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    there.push((document, error));
                }
                outcome => self.note(&document.key, outcome, summary)?,
            }
        }
        self.settle(there, summary).await
    }

    async fn settle(
        &self,
        there: Vec<(&RawDocument, Error)>,
        summary: &mut CopySummary,
    ) -> Result<()> {
        if there.is_empty() {
            return Ok(());
        }
        let keys = there.iter().map(|(document, _)| document.key.clone());
        let load = LoadRequest::new(self.model.clone(), keys.collect());
        let found = self.to.load(load).await?;
        let mut replaced: Vec<(&RawDocument, Version)> = Vec::new();
        for ((document, error), found) in there.into_iter().zip(found) {
            match found {
                Some(found) if found.body.same_value(&document.body) => summary.unchanged += 1,
                _ if self.existing == Existing::Keep => summary.kept += 1,
                Some(found) if self.existing == Existing::Replace => {
                    replaced.push((document, found.version));
                }
                _ => self.note(&document.key, Err(error), summary)?,
            }
        }
        if replaced.is_empty() {
            return Ok(());
        }
        let writes = replaced.iter().map(|(d, version)| (*d, (*version).into()));
        let outcomes = self.put(writes.collect()).await?;
        for ((document, _), outcome) in replaced.iter().zip(outcomes) {
            self.note(&document.key, outcome, summary)?;
        }
        Ok(())
    }

    async fn put(&self, writes: Vec<(&RawDocument, Expected)>) -> Result<Vec<Result<Receipt>>> {
        let items = writes.into_iter().map(|(document, expected)| {
            let write = Write::put(document.key.clone(), document.body.clone(), expected);
            BulkItem::Write(write.keep_stamps())
        });
        let request = BulkRequest::new(self.model.clone(), items.collect());
        Ok(self.to.bulk(request).await?.outcomes)
    }

    fn note(&self, key: &Key, outcome: Result<Receipt>, summary: &mut CopySummary) -> Result<()> {
        match outcome {
            Ok(_) => summary.copied += 1,
            Err(error) if !is_of_document(&error) => return Err(error),
            Err(error) => {
                summary.failed += 1;
                if summary.failures.len() < self.keep {
                    summary.failures.push((key.clone(), error));
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for CopyCollection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyCollection")
            .field("collection", self.model.name())
            .field("from", &self.from)
            .field("to", &self.to)
            .field("filter", &self.filter)
            .field("existing", &self.existing)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}
