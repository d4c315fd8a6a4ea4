//! A document in the caller's hands: the value, its key, its version, and what it was loaded from.
//!
//! Changes are found when they are asked for, by encoding the value again: holding a document
//! costs the body that it came with and nothing else, and field access costs nothing.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

use super::codec::same_encoding;
use super::document::Document;
use crate::error::Result;
use crate::model::{Body, Key, Timestamp, Version};
use crate::query::SourceFilter;

/// A document as it was loaded or saved, with the changes made to it since.
///
/// It dereferences to the value. Nothing in it touches a store: changing it changes memory, until
/// [`Collection::save`](super::Collection::save).
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/user.rs"));
/// # fn main() -> Result<()> { run(async |_, users| {
/// let mut ada: Versioned<User> = users.insert(User::new("ada")).await?;
/// ada.logins += 1;
/// assert_eq!(ada.key().id().as_str(), "ada");
/// assert!(ada.is_changed());
/// ada.logins -= 1;
/// assert!(!ada.is_changed());
/// # Ok(()) }) }
/// ```
pub struct Versioned<T> {
    value: T,
    key: Key,
    version: Version,
    origin: Origin,
}

/// What a value was loaded from or saved as.
pub(crate) struct Origin {
    /// The body as the store holds it, or the selected part of it.
    pub(crate) stored: Body,
    /// What the value encoded to when it was as stored; made when first needed.
    known: OnceLock<Body>,
    /// What was selected; `None` for the whole.
    pub(crate) selection: Option<Arc<SourceFilter>>,
    /// When the document was created, where the body told.
    pub(crate) created: Option<Timestamp>,
}

impl Origin {
    /// The origin of a loaded value; what it encodes to is not known yet.
    #[inline]
    pub(crate) fn loaded(
        stored: Body,
        selection: Option<Arc<SourceFilter>>,
        created: Option<Timestamp>,
    ) -> Self {
        Self {
            stored,
            known: OnceLock::new(),
            selection,
            created,
        }
    }

    /// The origin of a value that was written and encodes to `known`.
    pub(crate) fn written(stored: Body, known: Body, created: Option<Timestamp>) -> Self {
        Self {
            stored,
            known: OnceLock::from(known),
            selection: None,
            created,
        }
    }

    /// Takes down what the value encodes to while it is as stored, so that it need not be decoded
    /// again to find out. A value that does not encode is told when it is saved.
    pub(crate) fn remember<T: Document>(&self, value: &T) {
        if let Ok(known) = Body::encode(value) {
            self.known.get_or_init(|| known);
        }
    }

    /// What the value encoded to when it was as stored.
    pub(crate) fn known<T: Document>(&self) -> Result<&Body> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let known = Body::encode(&self.stored.decode::<T>()?)?;
        Ok(self.known.get_or_init(|| known))
    }

    /// Whether a value that encodes to `encoded` is as stored.
    pub(crate) fn is<T: Document>(&self, encoded: &Body) -> Result<bool> {
        // Of a whole body that was not decoded yet, equal bytes are enough to know.
        Ok(encoded.as_bytes() == self.stored.as_bytes()
            || same_encoding(encoded, self.known::<T>()?))
    }
}

impl<T> Versioned<T> {
    #[inline]
    pub(crate) fn new(value: T, key: Key, version: Version, origin: Origin) -> Self {
        Self {
            value,
            key,
            version,
            origin,
        }
    }

    /// The document's key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The version that the document had when it was loaded or last saved.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// What was selected of the document; `None` if the whole was loaded.
    #[must_use]
    pub fn selection(&self) -> Option<&SourceFilter> {
        self.origin.selection.as_deref()
    }

    /// The value alone.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Takes the value out, for a change that owns it.
    pub(crate) fn take_value(self) -> (T, Versioned<()>) {
        let Self {
            value,
            key,
            version,
            origin,
        } = self;
        (value, Versioned::new((), key, version, origin))
    }

    /// The same document with this value in hand.
    pub(crate) fn with_value<V>(self, value: V) -> Versioned<V> {
        Versioned::new(value, self.key, self.version, self.origin)
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Takes over what a successful save made of the document.
    pub(crate) fn settle(&mut self, version: Version, origin: Origin) {
        self.version = version;
        self.origin = origin;
    }
}

impl<T: Document> Versioned<T> {
    /// Whether the value differs from what was loaded or last saved. A value that does not encode
    /// counts as changed; saving it tells why.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        let same = Body::encode(&self.value).and_then(|encoded| self.origin.is::<T>(&encoded));
        !same.unwrap_or(false)
    }
}

impl<T> Deref for Versioned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Versioned<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Clone> Clone for Versioned<T> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            key: self.key.clone(),
            version: self.version,
            origin: Origin {
                stored: self.origin.stored.clone(),
                known: self.origin.known.clone(),
                selection: self.origin.selection.clone(),
                created: self.origin.created,
            },
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Versioned<T> {
    /// Prints key, version and value, never the body: the value's own `Debug` decides what of it
    /// may be seen.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Versioned")
            .field("key", &self.key)
            .field("version", &self.version)
            .field("value", &self.value)
            .finish()
    }
}
