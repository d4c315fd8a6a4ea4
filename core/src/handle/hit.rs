//! What a page tells of a document beside the document itself.

use crate::model::FieldPath;
use crate::query::Highlights;

/// A document of a page, with its score and its fragments.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Hit<'p, R> {
    /// The document.
    pub document: &'p R,
    /// How well it fits the words asked for, by the engine's own measure, if the question sorts
    /// [by score](super::Find::by_score). Scores of different questions do not compare.
    pub score: Option<f64>,
    /// Its fragments; none if the question asked for no [highlights](super::Find::highlight).
    pub highlights: &'p Highlights,
}

impl<'p, R> Hit<'p, R> {
    /// The fragments of a field, in the order of the text.
    #[must_use]
    pub fn fragments(&self, field: impl Into<FieldPath>) -> &'p [String] {
        self.highlights.of(&field.into())
    }
}
