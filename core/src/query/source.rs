//! Which parts of a body are loaded.

use serde::Serialize;

use crate::model::FieldPath;

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
    Include(Vec<FieldPath>),
    /// All but these fields and what lies under them.
    Exclude(Vec<FieldPath>),
}

impl SourceFilter {
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
            Self::Include(paths) => paths.iter().any(|p| path.is_within(p)),
            Self::Exclude(paths) => !paths.iter().any(|p| p.overlaps(path)),
        }
    }
}
