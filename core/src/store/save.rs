//! One write and its receipt.

use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;

use super::computed::{Computed, Made};
use super::stamps::Stamps;
use crate::error::Result;
use crate::model::{Body, Expected, Key, Model, Version, WriteId};
use crate::patch::Patch;

/// What a write does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Creates the document or replaces its whole body.
    Put(Body),
    /// Changes parts of the body.
    Patch(Patch),
    /// Deletes the document.
    Delete,
}

/// What becomes of created and updated stamps where it is the store that
/// [stamps](super::Stamping::Store). Where the handle does, the body has them already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteStamps {
    /// The store sets them by its own clock, whatever the body says.
    #[default]
    Set,
    /// The body is written as it is: it comes from another store, or from a file.
    Keep,
}

/// One guarded write.
#[derive(Clone, Debug)]
pub struct Write {
    /// The document's key.
    pub key: Key,
    /// What is done.
    pub action: Action,
    /// What must be there.
    pub expected: Expected,
    /// The id of this write, kept with the document.
    pub write_id: WriteId,
    /// The fields that functions make.
    pub computed: Vec<Computed>,
    /// Who decides the stamps.
    pub stamps: WriteStamps,
}

impl Write {
    /// A write with a fresh id.
    #[must_use]
    pub fn new(key: Key, action: Action, expected: Expected) -> Self {
        Self {
            key,
            action,
            expected,
            write_id: WriteId::random(),
            computed: Vec::new(),
            stamps: WriteStamps::Set,
        }
    }

    /// Keeps the stamps that the body has, as a copy does.
    #[must_use]
    pub fn keep_stamps(mut self) -> Self {
        self.stamps = WriteStamps::Keep;
        self
    }

    /// Creates or replaces a document.
    #[must_use]
    pub fn put(key: Key, body: Body, expected: impl Into<Expected>) -> Self {
        Self::new(key, Action::Put(body), expected.into())
    }

    /// Changes parts of a document.
    #[must_use]
    pub fn patch(key: Key, patch: Patch, expected: impl Into<Expected>) -> Self {
        Self::new(key, Action::Patch(patch), expected.into())
    }

    /// Deletes a document.
    #[must_use]
    pub fn delete(key: Key, expected: impl Into<Expected>) -> Self {
        Self::new(key, Action::Delete, expected.into())
    }
}

/// When a write becomes visible to searches, on engines whose searches lag behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refresh {
    /// When the engine next refreshes by itself.
    #[default]
    None,
    /// Before the write is acknowledged, by waiting for the engine's own refresh.
    WaitFor,
    /// Before the write is acknowledged, by refreshing now.
    Now,
}

/// One write to one collection.
#[derive(Clone, Debug)]
pub struct SaveRequest {
    /// The collection.
    pub model: Arc<Model>,
    /// The write.
    pub write: Write,
    /// When searches see it.
    pub refresh: Refresh,
}

impl SaveRequest {
    /// A write with default options.
    #[must_use]
    pub fn new(model: Arc<Model>, write: Write) -> Self {
        Self {
            model,
            write,
            refresh: Refresh::None,
        }
    }
}

/// What a successful write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// There was no document; now there is.
    Created,
    /// The document's body was replaced.
    Replaced,
    /// Parts of the document's body were changed.
    Patched,
    /// The document was deleted.
    Deleted,
    /// There was nothing to delete.
    Absent,
    /// A check passed; nothing was written.
    Checked,
}

/// The reply to a successful write.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Receipt {
    /// What the write did.
    pub effect: Effect,
    /// The document's version after the write; `None` when there is no document after it, and
    /// after a check.
    pub version: Option<Version>,
    /// The stamps that the document has now, where it is the store that stamps and the write does
    /// not keep its own.
    pub stamps: Stamps,
    /// What functions made, in the order of the write's [computed fields](Write::computed).
    pub made: Made,
}

/// What functions made stays out of it: it may be secret.
impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made: Vec<_> = self.made.iter().map(|(field, _)| field).collect();
        f.debug_struct("Receipt")
            .field("effect", &self.effect)
            .field("version", &self.version)
            .field("stamps", &self.stamps)
            .field("made", &made)
            .finish()
    }
}

impl Receipt {
    /// The receipt of a write that left a document.
    #[must_use]
    pub fn written(effect: Effect, version: Version) -> Self {
        Self {
            effect,
            version: Some(version),
            stamps: Stamps::default(),
            made: Made::new(),
        }
    }

    /// The receipt of a write that left none, or of a check.
    #[must_use]
    pub fn without_version(effect: Effect) -> Self {
        Self {
            effect,
            version: None,
            stamps: Stamps::default(),
            made: Made::new(),
        }
    }

    /// Adds the stamps that the document has now.
    #[must_use]
    pub fn with_stamps(mut self, stamps: Stamps) -> Self {
        self.stamps = stamps;
        self
    }

    /// Adds what functions made.
    #[must_use]
    pub fn with_made(mut self, made: Made) -> Self {
        self.made = made;
        self
    }
}

/// Writing one document.
#[async_trait]
pub trait Save: Debug + Send + Sync {
    /// Carries out one write by the table at [`Expected`].
    ///
    /// The expectation MUST be decided and the write made as one atomic step. The document MUST
    /// carry the write's id and a version that no earlier document under the key ever had. When
    /// it returns `Ok` the write is durable as the engine promises at its default settings. It
    /// MUST NOT send a write again that may have left, except a guarded or create-only one.
    ///
    /// A store that stamps MUST do so in that same step, as [`Write::stamp`] says, unless the
    /// write keeps its stamps, and tell the stamps in the receipt.
    ///
    /// A write that was reported as `Indeterminate`, or whose future was dropped, MUST NOT take
    /// effect any more once a save of the same key that was called later has been decided: the
    /// retry layer relies on it when it finds out what became of a write and sends it again.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Conflict`, `AlreadyExists` by the table; `UniqueViolation`; `Invalid` for a
    /// patch that does not apply; `Unavailable`, `Timeout`, `Contended` only if the write
    /// provably did not take place; `Indeterminate` if it may have.
    async fn save(&self, request: SaveRequest) -> Result<Receipt>;
}
