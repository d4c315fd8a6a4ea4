//! Patching or deleting all that matches, step by step.

use std::fmt;
use std::sync::Arc;

use super::collection::Collection;
use super::context::Annotate as _;
use super::document::Document;
use super::key::IntoKey;
use crate::error::{Error, Operation, Result};
use crate::model::{Key, Model, Routing, WriteId};
use crate::patch::Patch;
use crate::query::Filter;
use crate::store::{ExplainRequest, Explanation, MatchingAction, MatchingRequest};

/// Default number of documents of one step.
const STEP: usize = 1_000;
/// Default number of failures that are kept.
const FAILURES: usize = 1_000;

impl<T: Document> Collection<T> {
    /// Begins a patch of all documents that match, sent by [`WriteMatching::send`].
    ///
    /// Each is written only if it is as it was when it matched, and at most once, however it looks
    /// afterwards. Where the handle stamps, the time of the change is set with it, that of its
    /// step.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// users.insert_many(["ada", "bob", "cy"].map(User::new)).await?;
    /// let f = User::fields();
    /// let done = users
    ///     .patch_matching(f.name().ne("bob"), f.logins().increment(1))
    ///     .progress(|progress| println!("{} documents so far", progress.written))
    ///     .send()
    ///     .await?;
    /// assert_eq!((done.written, done.failed), (2, 0));
    /// assert_eq!(users.find(f.logins().eq(1)).count().await?, 2);
    /// # Ok(()) }) }
    /// ```
    pub fn patch_matching(
        &self,
        filter: impl Into<Filter>,
        patch: impl Into<Patch>,
    ) -> WriteMatching<T> {
        self.write_matching(filter.into(), MatchingAction::Patch(patch.into()))
    }

    /// Begins to delete all documents that match, by [`WriteMatching::send`]: each only if it is
    /// as it was when it matched.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
    /// # fn main() -> Result<()> { run(async |_, users| {
    /// users.insert_many(["ada", "bob", "cy"].map(User::new)).await?;
    /// let f = User::fields();
    /// let gone = users.delete_matching(f.name().gt("ada")).send().await?;
    /// assert_eq!(gone.written, 2);
    /// # Ok(()) }) }
    /// ```
    pub fn delete_matching(&self, filter: impl Into<Filter>) -> WriteMatching<T> {
        self.write_matching(filter.into(), MatchingAction::Delete)
    }

    fn write_matching(&self, filter: Filter, action: MatchingAction) -> WriteMatching<T> {
        WriteMatching {
            collection: self.clone(),
            filter,
            action,
            routing: Ok(None),
            step: STEP,
            failures: FAILURES,
            after: Ok(None),
            progress: None,
            write_id: WriteId::random(),
        }
    }
}

/// How far a write of all that matches is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MatchingProgress {
    /// How many documents were written.
    pub written: u64,
    /// How many were not, with a reason.
    pub failed: u64,
    /// The key that the next step goes on behind; `None` if that was the last one. Keep it where
    /// the process may end: [`WriteMatching::after`] goes on there.
    pub after: Option<Key>,
}

type Progress = Box<dyn FnMut(MatchingProgress) + Send>;

/// A write of all that matches; [`Collection::patch_matching`] and
/// [`Collection::delete_matching`] begin it.
///
/// It goes step by step in the order of the keys, so that nothing is locked for longer than one
/// step takes, and other writers come in between.
#[must_use = "nothing is written before it is sent"]
pub struct WriteMatching<T> {
    collection: Collection<T>,
    filter: Filter,
    action: MatchingAction,
    routing: Result<Option<Routing>>,
    step: usize,
    failures: usize,
    after: Result<Option<Key>>,
    progress: Option<Progress>,
    write_id: WriteId,
}

impl<T: Document> WriteMatching<T> {
    /// Only documents of this routing.
    pub fn routing(mut self, routing: impl AsRef<str>) -> Self {
        self.routing = Routing::new(routing).map(Some);
        self
    }

    /// How many documents one step writes at most: 1,000 by default, up to
    /// [`MAX_PAGE`](crate::store::MAX_PAGE).
    pub fn step(mut self, documents: usize) -> Self {
        self.step = documents;
        self
    }

    /// How many failures are kept with their errors, 1,000 by default. Further ones are counted.
    pub fn keep_failures(mut self, most: usize) -> Self {
        self.failures = most;
        self
    }

    /// Only documents with greater keys than this: goes on where a write was stopped.
    pub fn after(mut self, key: impl IntoKey) -> Self {
        self.after = key.into_key().map(Some);
        self
    }

    /// Calls this after each step.
    pub fn progress(mut self, progress: impl FnMut(MatchingProgress) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Writes all that matches. Dropping the future leaves some documents written and others not,
    /// each of them whole.
    ///
    /// A document that someone else writes or deletes between the look at it and the write is
    /// left as it is and told among the failures, as is one that the patch does not apply to; they
    /// do not stop the others.
    ///
    /// # Errors
    ///
    /// Of a step that could not be carried out; [`MatchingStopped::of`] the error tells what was
    /// done before, and where to go on. `Invalid` for a filter, a patch or a number that is not
    /// allowed, or a patch of a field that the key is read from; `Unsupported` if the store has no
    /// such writes, or for a patch by a handle with [computed fields](Collection::with_computed);
    /// `Unavailable`, `Timeout` and `Contended` if the step wrote nothing; `Indeterminate` if that
    /// is not known.
    pub async fn send(mut self) -> Result<MatchingSummary> {
        let mut summary = MatchingSummary::default();
        let mut after = None;
        match self.write(&mut summary, &mut after).await {
            Ok(()) => Ok(summary),
            Err(error) => Err(MatchingStopped {
                error,
                summary,
                after,
            }
            .into_error()),
        }
    }

    /// Says how the engine would be asked for the documents of the first step. Dropping the
    /// future changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub async fn explain(self) -> Result<Explanation> {
        let first = self.first_step()?;
        let collection = self.collection;
        collection.explain(ExplainRequest::Matching(first)).await
    }

    async fn write(
        &mut self,
        summary: &mut MatchingSummary,
        after: &mut Option<Key>,
    ) -> Result<()> {
        let mut step = self.first_step()?;
        let model = step.model.clone();
        let operation = step.action.operation();
        loop {
            after.clone_from(&step.after);
            let reply = self.collection.context.store.write_matching(step).await;
            let reply = reply.at(operation, &model)?;
            summary.add(reply.written, reply.failures, self.failures);
            if let Some(progress) = &mut self.progress {
                progress(MatchingProgress {
                    written: summary.written,
                    failed: summary.failed,
                    after: reply.next.clone(),
                });
            }
            let Some(next) = reply.next else {
                return Ok(());
            };
            if after.as_ref() == Some(&next) {
                let error = Error::internal("the store did not go on behind the step before");
                return Err(error).at(operation, &model);
            }
            step = self.request(operation, &model, Some(next))?;
        }
    }

    fn first_step(&self) -> Result<MatchingRequest> {
        let model = self.collection.model()?;
        let operation = self.action.operation();
        let after = known(&self.after).at(operation, model)?;
        self.request(operation, model, after)
    }

    /// One step. A patch is stamped anew each time, with the time of its step.
    fn request(
        &self,
        operation: Operation,
        model: &Arc<Model>,
        after: Option<Key>,
    ) -> Result<MatchingRequest> {
        let action = match &self.action {
            MatchingAction::Delete => MatchingAction::Delete,
            MatchingAction::Patch(patch) => {
                let patch = self.patch(model, patch.clone()).at(operation, model)?;
                MatchingAction::Patch(patch)
            }
        };
        Ok(MatchingRequest {
            model: model.clone(),
            filter: self.filter.clone(),
            routing: known(&self.routing).at(operation, model)?,
            action,
            write_id: self.write_id,
            limit: self.step,
            after,
            refresh: self.collection.refresh,
        })
    }

    fn patch(&self, model: &Model, patch: Patch) -> Result<Patch> {
        patch.check()?;
        if !self.collection.computed.is_empty() {
            return Err(Error::unsupported(
                "functions that make fields, in a patch of all that matches",
            ));
        }
        self.collection.stamped_patch(model, patch)
    }
}

/// What a builder was given, or again the reason why that was refused.
fn known<V: Clone>(given: &Result<V>) -> Result<V> {
    match given {
        Ok(value) => Ok(value.clone()),
        Err(error) => Err(Error::invalid(error.message())),
    }
}

impl<T> fmt::Debug for WriteMatching<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteMatching")
            .field("collection", &self.collection)
            .field("filter", &self.filter)
            .field("action", &self.action)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}

/// What a write of all that matches did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct MatchingSummary {
    /// How many documents were written.
    pub written: u64,
    /// How many were not, whether their errors were kept or not.
    pub failed: u64,
    /// The first documents that were not written, in the order of the keys, with the reason: of
    /// the kind `Conflict` or `NotFound` if someone else was faster, of another kind if the write
    /// was refused. At most as many as [`WriteMatching::keep_failures`] says.
    pub failures: Vec<(Key, Error)>,
}

impl MatchingSummary {
    fn add(&mut self, written: u64, failures: Vec<(Key, Error)>, most: usize) {
        self.written = self.written.saturating_add(written);
        let failed = u64::try_from(failures.len()).unwrap_or(u64::MAX);
        self.failed = self.failed.saturating_add(failed);
        let room = most.saturating_sub(self.failures.len());
        self.failures.extend(failures.into_iter().take(room));
    }
}

/// A step of a write of all that matches could not be carried out: the source of the error that
/// [`WriteMatching::send`] fails with. What was done before the step stays, and is told here.
///
/// To go on, put the same write again with [`WriteMatching::after`] the key of
/// [`after`](Self::after). That writes nothing twice, unless the kind of the error is
/// `Indeterminate`: then the documents of the step may have been written, and those that still
/// match are written again. For a delete, or a patch that sets values, that makes no difference;
/// for one that increments it does.
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
/// # fn main() -> Result<()> { run(async |_, users| {
/// let f = User::fields();
/// let reset = || users.patch_matching(Filter::all(), f.logins().set(0));
/// let mut write = reset();
/// let mut written = 0;
/// loop {
///     let error = match write.send().await {
///         Ok(summary) => break written += summary.written,
///         Err(error) => error,
///     };
///     match MatchingStopped::of(&error) {
///         Some(stopped) if error.is_retryable() => {
///             written += stopped.summary().written;
///             write = match stopped.after() {
///                 Some(key) => reset().after(key),
///                 None => reset(),
///             };
///         }
///         _ => return Err(error),
///     }
/// }
/// # assert_eq!(written, 0);
/// # Ok(()) }) }
/// ```
#[derive(Debug)]
pub struct MatchingStopped {
    error: Error,
    summary: MatchingSummary,
    after: Option<Key>,
}

impl MatchingStopped {
    /// What an error of [`WriteMatching::send`] tells of it.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }

    /// What was done before the step.
    #[must_use]
    pub fn summary(&self) -> &MatchingSummary {
        &self.summary
    }

    /// The key that the step was to go on behind; `None` if it was to begin at the first.
    #[must_use]
    pub fn after(&self) -> Option<&Key> {
        self.after.as_ref()
    }

    fn into_error(self) -> Error {
        let cause = &self.error;
        let mut error = Error::new(cause.kind(), self.to_string());
        if let Some(operation) = cause.operation() {
            error = error.with_operation(operation);
        }
        if let Some(collection) = cause.collection() {
            error = error.with_collection(collection.clone());
        }
        if let Some(key) = cause.key() {
            error = error.with_key(key.clone());
        }
        error.with_source(self)
    }
}

impl fmt::Display for MatchingStopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.error.message())?;
        let MatchingSummary {
            written, failed, ..
        } = self.summary;
        if (written, failed) == (0, 0) {
            return Ok(());
        }
        write!(
            f,
            " (before that, {written} documents were written and {failed} were not)"
        )
    }
}

impl std::error::Error for MatchingStopped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
