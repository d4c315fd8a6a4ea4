//! Opaque document versions.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::WriteId;
use crate::error::{Error, Result};

/// The version of a document: compared for equality only, with one text form.
///
/// A version of a document that was deleted and created again never equals a version of the one
/// before it. Two documents may have equal versions; a version says nothing without its key.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::Version;
///
/// let version = Version::first(7);
/// assert_eq!(version.revision(), Some(1));
/// let text = version.to_string();
/// assert_eq!(text.parse::<Version>()?, version);
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(Repr);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Repr {
    /// Incarnation in the upper 31 bits below the sign, revision in the lower 32. Positive.
    Counter(i64),
    /// A place in the write order of one shard of one concrete index.
    Sequence {
        seq_no: u64,
        primary_term: u64,
        index: u64,
    },
}

const REVISION_BITS: u32 = 32;
const REVISION_MASK: i64 = (1 << REVISION_BITS) - 1;

impl Version {
    /// The version of a document that is created now: revision 1 of a new incarnation.
    ///
    /// A process draws its first incarnation at random and goes up from there: no two among
    /// 2,147,483,648 in a row are alike, and those of another process match by chance only.
    ///
    /// # Examples
    ///
    /// ```
    /// use strongroom_core::model::Version;
    ///
    /// let (one, other) = (Version::created(), Version::created());
    /// assert_ne!(one, other);
    /// assert_eq!(other.revision(), Some(1));
    /// ```
    #[must_use]
    pub fn created() -> Self {
        static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| {
            let [a, b, c, d, ..] = *WriteId::random().as_bytes();
            AtomicU32::new(u32::from_le_bytes([a, b, c, d]))
        });
        Self::first(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Revision 1 of this incarnation, of which 31 bits are used. Stores that create documents
    /// take [`created`](Self::created).
    #[must_use]
    pub fn first(incarnation: u32) -> Self {
        let upper = i64::from(incarnation & 0x7fff_ffff) << REVISION_BITS;
        Self(Repr::Counter(upper | 1))
    }

    /// A counted version as an engine stores it: incarnation above, revision below.
    ///
    /// # Errors
    ///
    /// `Internal` if the number is not one that [`Version::first`] and [`Version::next`] make.
    pub fn from_counter(counter: i64) -> Result<Self> {
        if counter < 1 || counter & REVISION_MASK == 0 {
            return Err(Error::internal(format!(
                "stored version {counter} is not a version"
            )));
        }
        Ok(Self(Repr::Counter(counter)))
    }

    /// The number that engines with counted versions store, or `None` for other versions.
    #[must_use]
    pub fn counter(self) -> Option<i64> {
        match self.0 {
            Repr::Counter(counter) => Some(counter),
            Repr::Sequence { .. } => None,
        }
    }

    /// The version after this one, for engines with counted versions.
    ///
    /// # Errors
    ///
    /// `Invalid` if the document was written 4,294,967,295 times since its creation, or if the
    /// version is not a counted one.
    pub fn next(self) -> Result<Self> {
        match self.0 {
            Repr::Counter(counter) if counter & REVISION_MASK < REVISION_MASK => {
                Ok(Self(Repr::Counter(counter + 1)))
            }
            Repr::Counter(_) => Err(Error::invalid(
                "the document was written 4294967295 times since its creation, which is the limit",
            )),
            Repr::Sequence { .. } => Err(foreign(self)),
        }
    }

    /// A version of an engine that orders writes by shard: sequence number, primary term, and a
    /// number that identifies the concrete index.
    #[must_use]
    pub fn from_sequence(seq_no: u64, primary_term: u64, index: u64) -> Self {
        Self(Repr::Sequence {
            seq_no,
            primary_term,
            index,
        })
    }

    /// Sequence number, primary term and index of a sequenced version, or `None` for others.
    #[must_use]
    pub fn sequence(self) -> Option<(u64, u64, u64)> {
        match self.0 {
            Repr::Counter(_) => None,
            Repr::Sequence {
                seq_no,
                primary_term,
                index,
            } => Some((seq_no, primary_term, index)),
        }
    }

    /// How many writes made this version since the document was created, where the engine counts:
    /// 1 for a document just created.
    #[must_use]
    pub fn revision(self) -> Option<u64> {
        match self.0 {
            Repr::Counter(counter) => u64::try_from(counter & REVISION_MASK).ok(),
            Repr::Sequence { .. } => None,
        }
    }
}

fn foreign(version: Version) -> Error {
    Error::invalid(format!(
        "version {version} was made by another kind of store"
    ))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Repr::Counter(counter) => write!(f, "c{counter:x}"),
            Repr::Sequence {
                seq_no,
                primary_term,
                index,
            } => write!(f, "s{seq_no:x}.{primary_term:x}.{index:x}"),
        }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text)
            // One text form: no upper case, no leading zeros, no signs.
            .filter(|version| version.to_string() == text)
            .ok_or_else(|| Error::invalid(format!("{text:?} is not a version")))
    }
}

fn parse(text: &str) -> Option<Version> {
    if let Some(hex) = text.strip_prefix('c') {
        let counter = i64::from_str_radix(hex, 16).ok()?;
        return Version::from_counter(counter).ok();
    }
    let mut parts = text.strip_prefix('s')?.split('.');
    let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
    let version = Version::from_sequence(number()?, number()?, number()?);
    parts.next().is_none().then_some(version)
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_up_and_refuses_to_overflow() {
        let version = Version::first(u32::MAX);
        assert_eq!(version.revision(), Some(1));
        assert_eq!(version.next().unwrap().revision(), Some(2));
        assert!(version.counter().unwrap() > 0);
        let last = Version::from_counter(REVISION_MASK).unwrap();
        assert_eq!(last.next().unwrap_err().kind(), crate::ErrorKind::Invalid);
        assert!(Version::from_counter(0).is_err());
        assert!(Version::from_counter(-1).is_err());
        assert!(Version::from_counter(1 << 32).is_err());
    }

    #[test]
    fn one_text_form() {
        for version in [Version::first(5), Version::from_sequence(0, 1, u64::MAX)] {
            assert_eq!(version.to_string().parse::<Version>().unwrap(), version);
            let json = serde_json::to_string(&version).unwrap();
            assert_eq!(serde_json::from_str::<Version>(&json).unwrap(), version);
        }
        for bad in [
            "", "c", "c0", "c01", "cFF", "c-1", "c+1", "s1.2", "s1.2.3.4", "s1.2.x", "1",
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }
}
