//! What a write of all that matches did, and how far it is.

use std::fmt;

use crate::error::Error;
use crate::model::Key;

/// How far a write of all that matches is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MatchingProgress {
    /// How many documents were written.
    pub written: u64,
    /// How many were not, with a reason.
    pub failed: u64,
    /// The key that the next step goes on behind; `None` if that was the last one. Keep it where
    /// the process may end: [`WriteMatching::after`](super::WriteMatching::after) goes on there.
    pub after: Option<Key>,
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
    /// was refused. At most as many as [`WriteMatching::keep_failures`](super::WriteMatching::keep_failures) says.
    pub failures: Vec<(Key, Error)>,
}

impl MatchingSummary {
    pub(super) fn add(&mut self, written: u64, failures: Vec<(Key, Error)>, most: usize) {
        self.written = self.written.saturating_add(written);
        let failed = u64::try_from(failures.len()).unwrap_or(u64::MAX);
        self.failed = self.failed.saturating_add(failed);
        let room = most.saturating_sub(self.failures.len());
        self.failures.extend(failures.into_iter().take(room));
    }
}

/// A step of a write of all that matches could not be carried out: the source of the error that
/// [`WriteMatching::send`](super::WriteMatching::send) fails with. What was done before the step stays, and is told here.
///
/// To go on, put the same write again with [`WriteMatching::after`](super::WriteMatching::after) the key of
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
    pub(super) fn new(error: Error, summary: MatchingSummary, after: Option<Key>) -> Self {
        Self {
            error,
            summary,
            after,
        }
    }

    /// What an error of [`WriteMatching::send`](super::WriteMatching::send) tells of it.
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

    pub(super) fn into_error(self) -> Error {
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
