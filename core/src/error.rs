//! One opaque error for every operation of every engine.
//!
//! Callers decide by [`Error::kind`]; adapters map their driver's errors in one file each and keep
//! them as the [`source`](std::error::Error::source). No driver's type is part of a signature.

use std::error::Error as StdError;
use std::fmt;

use crate::model::{CollectionName, Expected, Key, Version};

/// The result of every fallible function of the family.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong, as far as a caller can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The document or collection is not there.
    NotFound,
    /// The document is there, at another version than the write expected. Nothing was written.
    Conflict,
    /// A create found a document under its key. Nothing was written.
    AlreadyExists,
    /// Another document holds the value of a unique field. Nothing was written.
    UniqueViolation,
    /// The engine was too busy, or a bounded number of attempts ran out. Nothing was written.
    Contended,
    /// The request itself is wrong: a name, an id, a limit, a patch that does not apply.
    Invalid,
    /// The engine cannot do this; refused before any I/O, naming the feature.
    Unsupported,
    /// The collection's stored schema and the model do not agree.
    SchemaMismatch,
    /// A body could not be encoded or decoded.
    Codec,
    /// The engine could not be reached, or refused for now. Nothing was written.
    Unavailable,
    /// A read, or a write that provably did not take place, took too long.
    Timeout,
    /// The write may or may not have taken place, and this could not be resolved.
    Indeterminate,
    /// The operation was given up before it took effect: its transaction or atomic bulk was
    /// rolled back because another part of it failed, or its caller went away.
    Cancelled,
    /// The engine refused the credentials or the right to do this.
    Unauthorized,
    /// The store is configured wrongly: a URL, a file, an option.
    Config,
    /// A defect in an adapter or an engine.
    Internal,
}

impl ErrorKind {
    /// The kind's name in lower-case words, as error messages and metrics print it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::AlreadyExists => "already exists",
            Self::UniqueViolation => "unique violation",
            Self::Contended => "contended",
            Self::Invalid => "invalid",
            Self::Unsupported => "unsupported",
            Self::SchemaMismatch => "schema mismatch",
            Self::Codec => "codec",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Indeterminate => "indeterminate",
            Self::Cancelled => "cancelled",
            Self::Unauthorized => "unauthorized",
            Self::Config => "config",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The operation of the trait family that an error, a span or a metric speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the method of its name")]
pub enum Operation {
    Connect,
    Load,
    Save,
    Bulk,
    Find,
    Count,
    Aggregate,
    Group,
    Scan,
    ScanNext,
    ScanClose,
    Explain,
    PatchMatching,
    DeleteMatching,
    Ensure,
    Describe,
    DropCollection,
    Refresh,
    Ready,
    ServerInfo,
    Begin,
    Commit,
    Rollback,
    Close,
}

impl Operation {
    /// The operation's name, as spans and metrics print it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Load => "load",
            Self::Save => "save",
            Self::Bulk => "bulk",
            Self::Find => "find",
            Self::Count => "count",
            Self::Aggregate => "aggregate",
            Self::Group => "group",
            Self::Scan => "scan",
            Self::ScanNext => "scan_next",
            Self::ScanClose => "scan_close",
            Self::Explain => "explain",
            Self::PatchMatching => "patch_matching",
            Self::DeleteMatching => "delete_matching",
            Self::Ensure => "ensure",
            Self::Describe => "describe",
            Self::DropCollection => "drop_collection",
            Self::Refresh => "refresh",
            Self::Ready => "ready",
            Self::ServerInfo => "server_info",
            Self::Begin => "begin",
            Self::Commit => "commit",
            Self::Rollback => "rollback",
            Self::Close => "close",
        }
    }

    /// Whether the operation may change documents.
    #[must_use]
    pub fn is_write(self) -> bool {
        matches!(
            self,
            Self::Save | Self::Bulk | Self::PatchMatching | Self::DeleteMatching | Self::Commit
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a failed expectation expected and, when known for sure, what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConflictDetail {
    /// What the write expected.
    pub expected: Expected,
    /// The version that was there, when the engine could tell for sure.
    pub actual: Option<Version>,
}

/// The error of every operation of the family.
///
/// # Examples
///
/// ```
/// use strongroom_core::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Invalid, "document id is empty");
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// assert_eq!(error.to_string(), "invalid: document id is empty");
/// assert!(!error.is_retryable());
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    operation: Option<Operation>,
    collection: Option<CollectionName>,
    key: Option<Key>,
    conflict: Option<ConflictDetail>,
    source: Option<Source>,
}

impl Error {
    /// An error of `kind`. The message is lower case, has no final stop, and names the thing that
    /// was wrong and its limit.
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            operation: None,
            collection: None,
            key: None,
            conflict: None,
            source: None,
        }))
    }

    /// The error of a request of many items, for one of them.
    #[cold]
    pub(crate) fn copy_of(error: &std::sync::Arc<Self>) -> Self {
        Self::new(error.kind(), error.message()).with_source(error.clone())
    }

    /// A request that is wrong in itself.
    #[cold]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// A feature that the engine does not have.
    #[cold]
    pub fn unsupported(feature: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::Unsupported,
            format!("this store does not support {feature}"),
        )
    }

    /// A document that is at another version than expected.
    #[cold]
    pub fn conflict(key: Key, expected: Expected, actual: Option<Version>) -> Self {
        let message = match actual {
            Some(actual) => format!("expected {expected}, but the document is at version {actual}"),
            None => format!("expected {expected}, but the document has changed"),
        };
        let mut error = Self::new(ErrorKind::Conflict, message).with_key(key);
        error.0.conflict = Some(ConflictDetail { expected, actual });
        error
    }

    /// A create that found a document under its key.
    #[cold]
    pub fn already_exists(key: Key, actual: Option<Version>) -> Self {
        let message = match actual {
            Some(actual) => format!("the document exists at version {actual}"),
            None => "the document exists".to_owned(),
        };
        let mut error = Self::new(ErrorKind::AlreadyExists, message).with_key(key);
        error.0.conflict = Some(ConflictDetail {
            expected: Expected::Absent,
            actual,
        });
        error
    }

    /// A write or a typed read of a document that is not there.
    #[cold]
    pub fn not_found(key: Key) -> Self {
        Self::new(ErrorKind::NotFound, "there is no such document").with_key(key)
    }

    /// A write of which nothing tells whether it took place.
    #[cold]
    pub fn indeterminate(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Indeterminate, message)
    }

    /// A defect: something an adapter or an engine must not do.
    #[cold]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds the key, unless one is known already.
    #[must_use]
    pub fn with_key(mut self, key: Key) -> Self {
        self.0.key.get_or_insert(key);
        self
    }

    /// Adds the collection, unless one is known already.
    #[must_use]
    pub fn with_collection(mut self, collection: CollectionName) -> Self {
        self.0.collection.get_or_insert(collection);
        self
    }

    /// Adds the operation, unless one is known already.
    #[must_use]
    pub fn with_operation(mut self, operation: Operation) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message without kind, operation and key.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The operation that failed, where known.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        self.0.operation
    }

    /// The collection that the operation addressed, where known.
    #[must_use]
    pub fn collection(&self) -> Option<&CollectionName> {
        self.0.collection.as_ref()
    }

    /// The key of the document that the error is about, where there is one.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        self.0.key.as_ref()
    }

    /// What was expected and what was there, for [`ErrorKind::Conflict`] and
    /// [`ErrorKind::AlreadyExists`].
    #[must_use]
    pub fn conflict_detail(&self) -> Option<ConflictDetail> {
        self.0.conflict
    }

    /// The version that was there instead of the expected one, when known for sure.
    #[must_use]
    pub fn actual_version(&self) -> Option<Version> {
        self.0.conflict.and_then(|c| c.actual)
    }

    /// Whether the same request, sent again, may succeed without a reload: the failure is passing
    /// and nothing was written.
    ///
    /// A conflict is not retryable in this sense: the caller has to load the document again first,
    /// which [`retry_on_conflict`](crate::handle::retry_on_conflict) does.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Contended | ErrorKind::Unavailable | ErrorKind::Timeout
        )
    }

    /// Whether the kind is [`ErrorKind::Conflict`].
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.0.kind == ErrorKind::Conflict
    }

    /// Whether the kind is [`ErrorKind::NotFound`].
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.0.kind == ErrorKind::NotFound
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.kind, self.0.message)?;
        let mut open = " (";
        if let Some(operation) = self.0.operation {
            write!(f, "{open}{operation}")?;
            open = " ";
        }
        if let Some(collection) = &self.0.collection {
            write!(f, "{open}{collection}")?;
            open = " ";
        }
        if let Some(key) = &self.0.key {
            write!(f, "{open}{key}")?;
            open = " ";
        }
        if open == " " {
            f.write_str(")")
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug
            .field("kind", &self.0.kind)
            .field("message", &self.0.message);
        if let Some(operation) = &self.0.operation {
            debug.field("operation", operation);
        }
        if let Some(collection) = &self.0.collection {
            debug.field("collection", collection);
        }
        if let Some(key) = &self.0.key {
            debug.field("key", key);
        }
        if let Some(conflict) = &self.0.conflict {
            debug.field("conflict", conflict);
        }
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|s| s.as_ref() as _)
    }
}
