//! Validated paths to fields of a document.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::limits::{MAX_DEPTH, MAX_PATH_BYTES};
use crate::error::{Error, Result};

/// The path to a field: names joined by dots, `address.city`.
///
/// At most 512 bytes and 32 names. A name is not empty and holds no control character and none of
/// `"`, `\`, `*`, `[`, `]`: characters that some engine's path syntax gives a meaning that cannot
/// be escaped. A path through an array of objects means that field of every element.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::FieldPath;
///
/// let path: FieldPath = "address.city".parse()?;
/// assert_eq!(path.segments().collect::<Vec<_>>(), ["address", "city"]);
/// assert!("address..city".parse::<FieldPath>().is_err());
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldPath(Arc<str>);

impl FieldPath {
    /// Checks and takes a path.
    ///
    /// # Errors
    ///
    /// `Invalid` if the path breaks a rule above.
    pub fn new(path: impl AsRef<str>) -> Result<Self> {
        let path = path.as_ref();
        if path.is_empty() || path.len() > MAX_PATH_BYTES {
            return Err(Error::invalid(format!(
                "field path has {} bytes, allowed are 1 to {MAX_PATH_BYTES}",
                path.len()
            )));
        }
        if path.split('.').count() > MAX_DEPTH {
            return Err(Error::invalid(format!(
                "field path {path:?} has more than {MAX_DEPTH} names"
            )));
        }
        if path.split('.').any(str::is_empty) {
            return Err(Error::invalid(format!(
                "field path {path:?} has an empty name"
            )));
        }
        if let Some(bad) = path
            .chars()
            .find(|c| c.is_control() || matches!(c, '"' | '\\' | '*' | '[' | ']'))
        {
            return Err(Error::invalid(format!(
                "field path {path:?} holds {bad:?}, which is not allowed"
            )));
        }
        Ok(Self(path.into()))
    }

    /// Takes a path that the derive has checked when it was compiled.
    pub(crate) fn from_checked(path: impl Into<Arc<str>>) -> Self {
        Self(path.into())
    }

    /// The path as text, with dots.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names of the path, outermost first. There is at least one.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        self.0.split('.')
    }

    /// The outermost name.
    #[must_use]
    pub fn head(&self) -> &str {
        self.0.split_once('.').map_or(&*self.0, |(head, _)| head)
    }

    /// The member at the path, from an object on; `None` if there is none.
    pub(crate) fn find_in<'v>(&self, object: &'v Map<String, Value>) -> Option<&'v Value> {
        let mut names = self.segments();
        let top = object.get(names.next()?)?;
        names.try_fold(top, |value, name| value.get(name))
    }

    /// The path without its innermost name, or `None` for a path of one name.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0
            .rsplit_once('.')
            .map(|(parent, _)| Self(parent.into()))
    }

    /// Whether this path is `ancestor` or lies under it.
    #[must_use]
    pub fn is_within(&self, ancestor: &Self) -> bool {
        self.0
            .strip_prefix(&*ancestor.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// The part of this path under `ancestor`.
    ///
    /// # Errors
    ///
    /// `Invalid` if it does not lie under it.
    pub fn relative_to(&self, ancestor: &Self) -> Result<Self> {
        let rest = self.0.strip_prefix(&*ancestor.0);
        match rest.and_then(|rest| rest.strip_prefix('.')) {
            Some(rest) => Ok(Self(rest.into())),
            None => Err(Error::invalid(format!(
                "field {self} does not lie within {ancestor}"
            ))),
        }
    }

    /// Whether one of the two paths is the other or lies under it.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.is_within(other) || other.is_within(self)
    }
}

/// A path is looked up by its text.
impl Borrow<str> for FieldPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldPath({})", self.0)
    }
}

impl FromStr for FieldPath {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self> {
        Self::new(path)
    }
}

impl TryFrom<String> for FieldPath {
    type Error = Error;

    fn try_from(path: String) -> Result<Self> {
        Self::new(path)
    }
}

impl TryFrom<&str> for FieldPath {
    type Error = Error;

    fn try_from(path: &str) -> Result<Self> {
        Self::new(path)
    }
}

impl From<FieldPath> for String {
    fn from(path: FieldPath) -> Self {
        path.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_at_their_limits() {
        let deep = vec!["a"; 32].join(".");
        for good in [
            "a", "a.b", "größe", "a-b", "a b", "it's", "$where", "a;b", &deep,
        ] {
            assert!(FieldPath::new(good).is_ok(), "{good}");
        }
        let too_deep = vec!["a"; 33].join(".");
        let too_long = "a".repeat(513);
        for bad in [
            "", ".", "a.", ".a", "a..b", "a\"b", "a\\b", "a*", "a[0]", "a\0", "a\n", &too_deep,
            &too_long,
        ] {
            assert!(FieldPath::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn within() {
        let path = |p: &str| FieldPath::new(p).unwrap();
        assert!(path("a.b").is_within(&path("a")));
        assert!(path("a").is_within(&path("a")));
        assert!(!path("ab").is_within(&path("a")));
        assert!(path("a").overlaps(&path("a.b")));
        assert_eq!(path("a.b.c").parent(), Some(path("a.b")));
        assert_eq!(path("a.b.c").head(), "a");
    }
}
