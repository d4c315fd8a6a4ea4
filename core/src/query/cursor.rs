//! Where a page ended, so that the next one can begin there.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{Filter, Sort};
use crate::error::{Error, Result};
use crate::model::{CollectionName, Key, Routing, Scalar};

/// Longest text form of a cursor that is looked at.
const MAX_CURSOR_BYTES: usize = 16 * 1024;
const FORMAT: &str = "1.";
const SIGNED_FORMAT: &str = "2.";

/// What a [key](super::CursorKey) makes of a cursor.
pub(super) type Signature = [u8; 32];

/// The place of one document in the order of one query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The document's value for each sort key, in order; `None` where it has none.
    pub values: Vec<Option<Scalar>>,
    /// The document's key, which breaks ties.
    pub key: Key,
}

/// An opaque mark of where a page ended.
///
/// It belongs to one query: the same collection, filter, sort and routing. Its text form is safe
/// in URLs. It is not secret, so it can show sort values to who holds it, and it is signed only by
/// a database that has a `CursorKey` (feature `signed-cursors`).
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    position: Position,
    query: u64,
    signature: Option<Signature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    p: Position,
    q: u64,
}

impl Cursor {
    /// Marks a position in a query.
    #[must_use]
    pub fn new(
        position: Position,
        collection: &CollectionName,
        filter: &Filter,
        sort: &[Sort],
        routing: Option<&Routing>,
    ) -> Self {
        let query = Self::fingerprint(collection, filter, sort, routing);
        Self::at(position, query)
    }

    /// Marks a position in the query of this fingerprint.
    pub(crate) fn at(position: Position, query: u64) -> Self {
        Self {
            position,
            query,
            signature: None,
        }
    }

    /// A hash of the query's JSON: stable across processes and versions, unlike the standard hasher.
    pub(crate) fn fingerprint(
        collection: &CollectionName,
        filter: &Filter,
        sort: &[Sort],
        routing: Option<&Routing>,
    ) -> u64 {
        // These plain data types always serialise; a failure would only make the cursor match itself.
        let text = serde_json::to_vec(&(collection, filter, sort, routing)).unwrap_or_default();
        // Word for word, because each page that is asked for by a cursor takes this hash some times.
        let (words, rest) = text.as_chunks();
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        let hash = words.fold(OFFSET_BASIS, |hash, word| {
            (hash.rotate_left(23) ^ word).wrapping_mul(PRIME)
        });
        fnv1a_from(hash, rest)
    }

    /// Whether it carries a signature, true or false.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.signature.is_some()
    }

    #[cfg(feature = "signed-cursors")]
    pub(super) fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    #[cfg(feature = "signed-cursors")]
    pub(super) fn signed(mut self, signature: Signature) -> Self {
        self.signature = Some(signature);
        self
    }

    /// What its text form tells, without signature.
    pub(super) fn payload(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Wire {
            p: self.position.clone(),
            q: self.query,
        })
    }

    /// The position, if the cursor belongs to this query.
    ///
    /// # Errors
    ///
    /// `Invalid` if the cursor was made for another query.
    pub fn position(
        &self,
        collection: &CollectionName,
        filter: &Filter,
        sort: &[Sort],
        routing: Option<&Routing>,
    ) -> Result<&Position> {
        if self.query != Self::fingerprint(collection, filter, sort, routing)
            || self.position.values.len() != sort.len()
        {
            return Err(Error::invalid(
                "cursor was made for another query: collection, filter, sort and routing must be the same",
            )
            .with_collection(collection.clone()));
        }
        Ok(&self.position)
    }
}

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

fn fnv1a(bytes: &[u8]) -> u64 {
    fnv1a_from(OFFSET_BASIS, bytes)
}

fn fnv1a_from(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    })
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.payload().map_err(|_| fmt::Error)?;
        let format = match &self.signature {
            Some(signature) => {
                bytes.extend(signature);
                SIGNED_FORMAT
            }
            None => {
                bytes.extend(fnv1a(&bytes).to_le_bytes());
                FORMAT
            }
        };
        write!(f, "{format}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let broken = || Error::invalid("cursor is damaged or of another version");
        if text.len() > MAX_CURSOR_BYTES {
            return Err(Error::invalid(format!(
                "cursor has {} bytes, allowed are {MAX_CURSOR_BYTES}",
                text.len()
            )));
        }
        let (encoded, is_signed) = match text.strip_prefix(FORMAT) {
            Some(encoded) => (encoded, false),
            None => (text.strip_prefix(SIGNED_FORMAT).ok_or_else(broken)?, true),
        };
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| broken())?;
        let (json, signature) = if is_signed {
            let (json, signature) = bytes.split_last_chunk().ok_or_else(broken)?;
            (json, Some(*signature))
        } else {
            let (json, sum) = bytes.split_last_chunk::<8>().ok_or_else(broken)?;
            if u64::from_le_bytes(*sum) != fnv1a(json) {
                return Err(broken());
            }
            (json, None)
        };
        let wire: Wire = serde_json::from_slice(json).map_err(|e| broken().with_source(e))?;
        Ok(Self {
            position: wire.p,
            query: wire.q,
            signature,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn belongs_to_its_query_and_notices_damage() {
        let name: CollectionName = "users".parse().unwrap();
        let sort = [Sort::ascending("n".parse().unwrap())];
        let filter = Filter::eq("n", 1).unwrap();
        let position = Position {
            values: vec![Some(Scalar::from(7))],
            key: Key::new("ada").unwrap(),
        };
        let cursor = Cursor::new(position.clone(), &name, &filter, &sort, None);
        let text = cursor.to_string();
        let back: Cursor = text.parse().unwrap();
        assert_eq!(back, cursor);
        assert_eq!(
            back.position(&name, &filter, &sort, None).unwrap(),
            &position
        );
        assert!(back.position(&name, &Filter::all(), &sort, None).is_err());
        assert!(back.position(&name, &filter, &[], None).is_err());
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(bytes).unwrap();
            assert!(damaged.parse::<Cursor>().is_err(), "{damaged}");
        }
    }
}
