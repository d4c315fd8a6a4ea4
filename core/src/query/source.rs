//! Which parts of a body are loaded.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::Wildcard;
use crate::error::{Error, Result};
use crate::model::FieldPath;

/// A field path in whose names `*` stands for any run of characters: `home.*`, `*_id`.
///
/// Each name of the pattern stands for names of one level; what lies under a selected field is
/// selected with it.
///
/// # Examples
///
/// ```
/// use strongroom_core::query::FieldPattern;
///
/// let pattern: FieldPattern = "home.*_code".parse()?;
/// assert!(pattern.selects(&"home.zip_code.last".parse()?));
/// assert!(!pattern.selects(&"home.city".parse()?));
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FieldPattern(Arc<str>);

impl FieldPattern {
    /// Checks and takes a pattern.
    ///
    /// # Errors
    ///
    /// `Invalid` if it would not be a path with letters in place of its `*`, or if a name has more
    /// `*` than a [`Wildcard`] takes.
    pub fn new(pattern: impl AsRef<str>) -> Result<Self> {
        let pattern = pattern.as_ref();
        FieldPath::new(pattern.replace('*', "x"))
            .map_err(|e| Error::invalid(format!("field pattern {pattern:?}: {}", e.message())))?;
        pattern
            .split('.')
            .try_for_each(|name| Wildcard::parse(name).map(drop))?;
        Ok(Self(pattern.into()))
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The patterns of the names, outermost first.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        self.0.split('.')
    }

    /// Whether the field at `path` is selected, itself or with one above it.
    #[must_use]
    pub fn selects(&self, path: &FieldPath) -> bool {
        let mut names = path.segments();
        self.segments()
            .all(|pattern| names.next().is_some_and(|name| name_matches(pattern, name)))
    }

    /// Whether the field at `path`, one above it or one under it may be selected.
    #[must_use]
    pub fn overlaps(&self, path: &FieldPath) -> bool {
        self.segments()
            .zip(path.segments())
            .all(|(pattern, name)| name_matches(pattern, name))
    }
}

/// Whether a name of one level is meant by a pattern of one level.
pub(crate) fn name_matches(pattern: &str, name: &str) -> bool {
    if pattern.contains('*') {
        // Other characters with a meaning in wildcards are ordinary in names: `?` may be one.
        let pattern = pattern.replace('?', "\\?");
        return Wildcard::parse(&pattern).is_ok_and(|pattern| pattern.matches(name));
    }
    pattern == name
}

impl From<FieldPath> for FieldPattern {
    fn from(path: FieldPath) -> Self {
        Self(path.as_str().into())
    }
}

impl From<&FieldPath> for FieldPattern {
    fn from(path: &FieldPath) -> Self {
        Self(path.as_str().into())
    }
}

impl FromStr for FieldPattern {
    type Err = Error;

    fn from_str(pattern: &str) -> Result<Self> {
        Self::new(pattern)
    }
}

impl fmt::Display for FieldPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FieldPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldPattern({})", self.0)
    }
}

impl Serialize for FieldPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Which parts of a body are loaded.
///
/// Objects on the way to a selected field are kept, with what is selected of them, even if that is
/// nothing; a path through an array selects within every element. Of an array that a longer path
/// leads into, an inclusion drops the elements that are not objects, and an exclusion keeps them.
/// A path that leads through something else than an object or an array selects nothing there.
/// [`apply`](Self::apply) is the one meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum SourceFilter {
    /// The whole body.
    #[default]
    All,
    /// Only these fields and what lies under them.
    Include(Vec<FieldPattern>),
    /// All but these fields and what lies under them.
    Exclude(Vec<FieldPattern>),
}

impl SourceFilter {
    /// Only these fields and what lies under them.
    pub fn include<P: Into<FieldPattern>>(patterns: impl IntoIterator<Item = P>) -> Self {
        Self::Include(patterns.into_iter().map(Into::into).collect())
    }

    /// All but these fields and what lies under them.
    pub fn exclude<P: Into<FieldPattern>>(patterns: impl IntoIterator<Item = P>) -> Self {
        Self::Exclude(patterns.into_iter().map(Into::into).collect())
    }

    /// Whether the whole body is loaded.
    #[must_use]
    pub fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Whether the field at `path` is loaded, with everything under it.
    #[must_use]
    pub fn covers(&self, path: &FieldPath) -> bool {
        match self {
            Self::All => true,
            Self::Include(patterns) => patterns.iter().any(|p| p.selects(path)),
            Self::Exclude(patterns) => !patterns.iter().any(|p| p.overlaps(path)),
        }
    }
}
