//! Identity: document ids, routing values and the keys made of them.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::limits::{MAX_ID_BYTES, MAX_ROUTED_KEY_BYTES};
use crate::error::{Error, Result};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(SmolStr);

        impl $name {
            /// Checks and takes the text.
            ///
            /// # Errors
            ///
            /// `Invalid` if it is empty, longer than [`MAX_ID_BYTES`] bytes, or holds a NUL.
            pub fn new(text: impl AsRef<str>) -> Result<Self> {
                let text = text.as_ref();
                if text.is_empty() {
                    return Err(Error::invalid(concat!($what, " is empty")));
                }
                if text.len() > MAX_ID_BYTES {
                    return Err(Error::invalid(format!(
                        concat!($what, " has {} bytes, allowed are {}"),
                        text.len(),
                        MAX_ID_BYTES
                    )));
                }
                if text.bytes().any(|byte| byte == 0) {
                    return Err(Error::invalid(format!(concat!($what, " {:?} holds a NUL"), text)));
                }
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;

            fn try_from(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }
    };
}

text_id! {
    /// A document's id: 1 to 512 bytes of UTF-8 without NUL.
    ///
    /// Ids are compared as bytes: no case folding, no Unicode normalisation, no trimming. Every
    /// character but NUL is allowed, whatever it means in a path, a URL or a shell.
    DocumentId, "document id"
}

text_id! {
    /// A routing value: it places a document beside the others of the same value and is part of
    /// its identity. 1 to 512 bytes of UTF-8 without NUL.
    Routing, "routing"
}

/// What names one document within a collection: an id, or a routing and an id.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::Key;
///
/// let key = Key::new("ada")?;
/// assert_eq!(key.id().as_str(), "ada");
/// let routed = Key::routed("eu", "ada")?;
/// assert_ne!(key, routed);
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "KeyParts", into = "KeyParts")]
pub struct Key {
    id: DocumentId,
    routing: Option<Routing>,
}

#[derive(Serialize, Deserialize)]
struct KeyParts {
    id: DocumentId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    routing: Option<Routing>,
}

impl Key {
    /// The key of a document in a collection that is not routed.
    ///
    /// # Errors
    ///
    /// `Invalid` if the id is empty, longer than 512 bytes, or holds a NUL.
    pub fn new(id: impl AsRef<str>) -> Result<Self> {
        Ok(Self {
            id: DocumentId::new(id)?,
            routing: None,
        })
    }

    /// The key of a document in a routed collection.
    ///
    /// # Errors
    ///
    /// `Invalid` if either part is empty or holds a NUL, or if both together have more than
    /// [`MAX_ROUTED_KEY_BYTES`] bytes.
    pub fn routed(routing: impl AsRef<str>, id: impl AsRef<str>) -> Result<Self> {
        Self::from_parts(DocumentId::new(id)?, Some(Routing::new(routing)?))
    }

    /// A key from parts that were checked before.
    ///
    /// # Errors
    ///
    /// `Invalid` if both parts together are too long.
    pub fn from_parts(id: DocumentId, routing: Option<Routing>) -> Result<Self> {
        if let Some(routing) = &routing {
            let bytes = routing.as_str().len() + id.as_str().len();
            if bytes > MAX_ROUTED_KEY_BYTES {
                return Err(Error::invalid(format!(
                    "routing and document id have {bytes} bytes together, allowed are {MAX_ROUTED_KEY_BYTES}"
                )));
            }
        }
        Ok(Self { id, routing })
    }

    /// The document's id.
    #[must_use]
    pub fn id(&self) -> &DocumentId {
        &self.id
    }

    /// The routing, for documents of a routed collection.
    #[must_use]
    pub fn routing(&self) -> Option<&Routing> {
        self.routing.as_ref()
    }
}

impl TryFrom<KeyParts> for Key {
    type Error = Error;

    fn try_from(parts: KeyParts) -> Result<Self> {
        Self::from_parts(parts.id, parts.routing)
    }
}

impl From<Key> for KeyParts {
    fn from(key: Key) -> Self {
        Self {
            id: key.id,
            routing: key.routing,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.routing {
            Some(routing) => write!(f, "{:?}/{:?}", routing.as_str(), self.id.as_str()),
            None => write!(f, "{:?}", self.id.as_str()),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl From<DocumentId> for Key {
    fn from(id: DocumentId) -> Self {
        Self { id, routing: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_at_their_limits() {
        assert!(Key::new("").is_err());
        assert!(Key::new("a\0b").is_err());
        assert!(Key::new("x".repeat(512)).is_ok());
        assert!(Key::new("x".repeat(513)).is_err());
        assert!(Key::new("é".repeat(256)).is_ok());
        assert!(Key::new("é".repeat(257)).is_err());
        assert!(Key::routed("r".repeat(100), "x".repeat(408)).is_ok());
        assert!(Key::routed("r".repeat(100), "x".repeat(409)).is_err());
        assert!(Key::routed("", "x").is_err());
    }

    #[test]
    fn keys_survive_json() {
        for key in [Key::new("a").unwrap(), Key::routed("eu", "a").unwrap()] {
            let json = serde_json::to_string(&key).unwrap();
            assert_eq!(serde_json::from_str::<Key>(&json).unwrap(), key);
        }
        assert!(serde_json::from_str::<Key>(r#"{"id":""}"#).is_err());
    }
}
