//! What a write of all that matches did, and how far it is.

use crate::error::Error;
use crate::model::{Key, WriteId};

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
#[derive(Debug)]
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
    /// The key that the step that failed was to go on behind; `None` if it was to begin at the
    /// first, and when all is done.
    pub after: Option<Key>,
    /// The id that every document carries that was written.
    pub write_id: WriteId,
}

impl MatchingSummary {
    pub(super) fn new(write_id: WriteId) -> Self {
        Self {
            written: 0,
            failed: 0,
            failures: Vec::new(),
            after: None,
            write_id,
        }
    }

    pub(super) fn add(&mut self, written: u64, failures: Vec<(Key, Error)>, most: usize) {
        self.written = self.written.saturating_add(written);
        let failed = u64::try_from(failures.len()).unwrap_or(u64::MAX);
        self.failed = self.failed.saturating_add(failed);
        let room = most.saturating_sub(self.failures.len());
        self.failures.extend(failures.into_iter().take(room));
    }
}
