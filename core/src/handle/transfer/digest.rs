//! What a collection holds, as one number.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::error::Result;
use crate::model::RawDocument;

/// How many documents there are, and the SHA-256 of their keys and bodies in the order of the
/// keys. Bodies count as JSON values: the order of their members and white space make no
/// difference.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ContentDigest {
    /// How many documents.
    pub documents: u64,
    /// The SHA-256.
    pub sha256: [u8; 32],
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentDigest({self})")
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} documents, sha256 ", self.documents)?;
        self.sha256
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Digests documents that come in the order of their keys.
#[derive(Default)]
pub(super) struct Digester {
    documents: u64,
    hash: Sha256,
}

impl Digester {
    pub(super) fn add(&mut self, document: &RawDocument) -> Result<()> {
        self.documents += 1;
        let routing = document.key.routing().map(|routing| routing.as_str());
        // Members of a map are in the order of their names.
        let body = serde_json::Value::Object(document.body.to_object()?).to_string();
        for part in [
            document.key.id().as_str(),
            routing.unwrap_or_default(),
            &body,
        ] {
            self.hash.update(super::count(part.len()).to_be_bytes());
            self.hash.update(part);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> ContentDigest {
        ContentDigest {
            documents: self.documents,
            sha256: self.hash.finalize().into(),
        }
    }
}
