//! A document loaded into a type that is not its own: to be read, not saved.

use std::ops::Deref;

use crate::model::{Key, Version};

/// A value of some type, read from a document. It dereferences to the value.
///
/// It cannot be saved: the type does not stand for the document. Its key and version serve a
/// guarded patch or delete.
#[derive(Clone, Debug)]
pub struct View<V> {
    value: V,
    key: Key,
    version: Version,
}

impl<V> View<V> {
    pub(crate) fn new(value: V, key: Key, version: Version) -> Self {
        Self {
            value,
            key,
            version,
        }
    }

    /// The document's key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The version that the value was read at.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The value alone.
    #[must_use]
    pub fn into_inner(self) -> V {
        self.value
    }
}

impl<V> Deref for View<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}
