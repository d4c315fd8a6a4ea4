//! The identity of one write.

use std::fmt;

use uuid::Uuid;

/// A random number that names one write, kept with the document it makes.
///
/// When the outcome of a write is unknown, the id found with the document tells whether it was
/// this write that made it. It is drawn above the layers, once per logical write: a write that is
/// sent again carries the same id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct WriteId(Uuid);

impl WriteId {
    /// Draws a new id.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The id as an engine stored it.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes that an engine stores.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for WriteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}

impl fmt::Debug for WriteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteId({self})")
    }
}
