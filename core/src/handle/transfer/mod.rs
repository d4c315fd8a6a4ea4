//! Moving documents: to and from JSON lines, and from one store to another.
//!
//! All of it goes piece by piece, with no more than two pieces in memory: a slow end holds up the
//! other. Each tells its progress, and what was done when it is stopped; to go on, it is put again.

mod copy;
mod digest;
mod export;
mod import;
mod lines;
mod reading;
mod verify;

pub use copy::{CopyCollection, CopyProgress, CopySummary, copy_collection};
pub use digest::ContentDigest;
pub use export::{Export, ExportProgress};
pub use import::{Import, ImportSummary};
pub use verify::{Difference, VerifyProgress, VerifyReport};

use crate::error::{Error, ErrorKind};

/// Default number of documents of one piece.
const PIECE: usize = 1_000;
/// Default number of failures that are kept.
const FAILURES: usize = 1_000;

/// What is done about a document that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Existing {
    /// It stays as it is, and is told among the failures.
    #[default]
    Refuse,
    /// It stays as it is.
    Keep,
    /// It is replaced, unless someone else changes it at the same moment.
    Replace,
}

/// Whether an error is about one document, so that the others can go on.
fn is_of_document(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::Conflict
            | ErrorKind::AlreadyExists
            | ErrorKind::UniqueViolation
            | ErrorKind::Invalid
            | ErrorKind::Codec
    )
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
