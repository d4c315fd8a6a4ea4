//! Validated collection names.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::limits::MAX_COLLECTION_NAME_BYTES;
use crate::error::{Error, Result};

/// The name of a collection: 1 to 100 bytes of `a-z`, `0-9`, `_` and `-`, beginning with a letter.
///
/// What is allowed is what every engine takes as the name of a table or an index without quoting
/// tricks or a change of case. Names that begin with `strongroom` are kept for the stores' own
/// use.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::CollectionName;
///
/// assert!("users".parse::<CollectionName>().is_ok());
/// assert!("Users".parse::<CollectionName>().is_err());
/// assert!("../users".parse::<CollectionName>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CollectionName(Arc<str>);

impl CollectionName {
    /// Checks and takes a name.
    ///
    /// # Errors
    ///
    /// `Invalid` if the name breaks the rule above.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        if name.is_empty() || name.len() > MAX_COLLECTION_NAME_BYTES {
            return Err(Error::invalid(format!(
                "collection name has {} bytes, allowed are 1 to {MAX_COLLECTION_NAME_BYTES}",
                name.len()
            )));
        }
        let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
        let made_well = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        if !starts_well || !made_well {
            return Err(Error::invalid(format!(
                "collection name {name:?} must begin with a-z and go on with a-z, 0-9, `_` or `-`"
            )));
        }
        if name.starts_with("strongroom") {
            return Err(Error::invalid(format!(
                "collection name {name:?} begins with `strongroom`, which is reserved"
            )));
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CollectionName({})", self.0)
    }
}

impl FromStr for CollectionName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl TryFrom<String> for CollectionName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<CollectionName> for String {
    fn from(name: CollectionName) -> Self {
        name.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_their_limits() {
        for good in ["a", "users", "web-logs_2026", &"a".repeat(100)] {
            assert!(CollectionName::new(good).is_ok(), "{good}");
        }
        let long = "a".repeat(101);
        let bad = [
            "",
            "A",
            "1a",
            "_a",
            "-a",
            "a.b",
            "a b",
            "a/b",
            "..",
            "*",
            "a,b",
            "ä",
            "a\0",
            "strongroom",
            "strongroom_x",
            &long,
        ];
        for bad in bad {
            assert!(CollectionName::new(bad).is_err(), "{bad:?}");
        }
    }
}
