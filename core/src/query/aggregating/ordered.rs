//! Values as keys of maps.

use std::cmp::Ordering;

use crate::model::Scalar;

/// A value in the total order that a map needs: within one type as values compare.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ordered(pub(crate) Scalar);

impl Ordered {
    /// The value in its canonical form, so that the key of a bucket does not depend on which
    /// document came first.
    pub(crate) fn new(value: Scalar) -> Self {
        Self(value.canonical())
    }

    fn rank(&self) -> u8 {
        match self.0 {
            Scalar::Boolean(_) => 0,
            Scalar::Integer(_) | Scalar::Float(_) => 1,
            Scalar::Text(_) => 2,
        }
    }
}

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        // JSON has no NaN, so two values of one rank always compare.
        self.0
            .compare(&other.0)
            .unwrap_or_else(|| self.rank().cmp(&other.rank()))
    }
}
