//! What a write expects to find.

use std::fmt;

use super::Version;

/// What a write expects to find under its key. No write is without one.
///
/// | write | document | `Any` | `Absent` | `Present` | `Exactly(v)` |
/// | --- | --- | --- | --- | --- | --- |
/// | put | absent | created | created | `NotFound` | `NotFound` |
/// | put | at w | replaced | `AlreadyExists` | replaced | replaced if v = w, else `Conflict` |
/// | patch | absent | `NotFound` | `Invalid` | `NotFound` | `NotFound` |
/// | patch | at w | patched | `Invalid` | patched | patched if v = w, else `Conflict` |
/// | delete | absent | gone (no error) | `Invalid` | `NotFound` | `NotFound` |
/// | delete | at w | deleted | `Invalid` | deleted | deleted if v = w, else `Conflict` |
/// | check | absent | passed | passed | `NotFound` | `NotFound` |
/// | check | at w | passed | `AlreadyExists` | passed | passed if v = w, else `Conflict` |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expected {
    /// Whatever is there. Such a write is not sent again once it may have left.
    Any,
    /// Nothing: the write creates the document.
    Absent,
    /// A document, at whatever version.
    Present,
    /// The document at exactly this version.
    Exactly(Version),
}

impl From<Version> for Expected {
    fn from(version: Version) -> Self {
        Self::Exactly(version)
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Absent => f.write_str("no document"),
            Self::Present => f.write_str("a document"),
            Self::Exactly(version) => write!(f, "version {version}"),
        }
    }
}
