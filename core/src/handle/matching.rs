//! Patching or deleting all that matches, step by step.

mod report;

use std::fmt;
use std::sync::Arc;

use super::collection::Collection;
use super::context::Annotate as _;
use super::document::Document;
use super::key::IntoKey;
use super::stopped::Stopped;
use crate::error::{Error, Operation, Result};
use crate::model::{Key, Model, Routing, WriteId};
use crate::patch::Patch;
use crate::query::Filter;
use crate::store::{ExplainRequest, Explanation, MatchingAction, MatchingRequest};

pub use report::{MatchingProgress, MatchingSummary};

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

    /// Goes on where this same write was stopped, and writes nothing twice: what the step that
    /// failed may have written after all is passed over, and not counted.
    pub fn resume(mut self, stopped: &MatchingSummary) -> Self {
        self.after = Ok(stopped.after.clone());
        self.write_id = stopped.write_id;
        self
    }

    /// Only documents with greater keys than this: goes on where another process was stopped. If
    /// the outcome of its last step is not known, some of that step's documents may be written
    /// again.
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
    /// Of a step that could not be carried out; [`Stopped<MatchingSummary>`](Stopped) of the error
    /// tells what was done before, for [`resume`](Self::resume) to go on. `Invalid` for a filter, a patch or a number that is not
    /// allowed, or a patch of a field that the key is read from; `Unsupported` if the store has no
    /// such writes, or for a patch by a handle with [computed fields](Collection::with_computed);
    /// `Unavailable`, `Timeout` and `Contended` if the step wrote nothing; `Indeterminate` if that
    /// is not known.
    pub async fn send(mut self) -> Result<MatchingSummary> {
        let mut summary = MatchingSummary::new(self.write_id);
        match self.write(&mut summary).await {
            Ok(()) => Ok(summary),
            Err(error) => {
                let MatchingSummary {
                    written, failed, ..
                } = summary;
                let done = format!("{written} documents were written and {failed} were not");
                Err(Stopped::error(error, summary, done))
            }
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

    async fn write(&mut self, summary: &mut MatchingSummary) -> Result<()> {
        let mut step = self.first_step()?;
        let model = step.model.clone();
        let operation = step.action.operation();
        loop {
            summary.after.clone_from(&step.after);
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
                summary.after = None;
                return Ok(());
            };
            if summary.after.as_ref() == Some(&next) {
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
