//! What a caller may name a document by.

use uuid::Uuid;

use super::versioned::Versioned;
use crate::error::Result;
use crate::model::{DocumentId, Key};

/// What names a document: an id, or a routing and an id as a pair.
///
/// # Examples
///
/// ```
/// use strongroom_core::handle::IntoKey;
///
/// let plain = "ada".into_key()?;
/// assert_eq!(plain.routing(), None);
/// let routed = ("eu", "ada").into_key()?;
/// assert_eq!(routed.id().as_str(), "ada");
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name a document",
    note = "name it by its id as text, by a `(routing, id)` pair, a `Key`, a `Uuid` or a `&Versioned<_>`"
)]
pub trait IntoKey {
    /// The key.
    ///
    /// # Errors
    ///
    /// `Invalid` if a part is empty, too long or holds a NUL.
    fn into_key(self) -> Result<Key>;
}

impl IntoKey for &str {
    fn into_key(self) -> Result<Key> {
        Key::new(self)
    }
}

impl IntoKey for &String {
    fn into_key(self) -> Result<Key> {
        Key::new(self)
    }
}

impl IntoKey for String {
    fn into_key(self) -> Result<Key> {
        Key::new(self)
    }
}

impl IntoKey for Uuid {
    fn into_key(self) -> Result<Key> {
        Key::new(self.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

impl IntoKey for DocumentId {
    fn into_key(self) -> Result<Key> {
        Ok(self.into())
    }
}

impl IntoKey for &DocumentId {
    fn into_key(self) -> Result<Key> {
        Ok(self.clone().into())
    }
}

impl IntoKey for Key {
    fn into_key(self) -> Result<Key> {
        Ok(self)
    }
}

impl IntoKey for &Key {
    fn into_key(self) -> Result<Key> {
        Ok(self.clone())
    }
}

impl<R: AsRef<str>, I: AsRef<str>> IntoKey for (R, I) {
    fn into_key(self) -> Result<Key> {
        Key::routed(self.0, self.1)
    }
}

impl<T> IntoKey for &Versioned<T> {
    fn into_key(self) -> Result<Key> {
        Ok(self.key().clone())
    }
}
