//! Partial changes of a document, as plain data.
//!
//! [`Patch::apply`] is the one meaning of a patch: adapters use it under their own guard, or
//! native functions where these are proved equal.

mod apply;
mod merge;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::model::FieldPath;

/// Most changes of one patch.
const MAX_CHANGES: usize = 1_000;

/// One change of a document. All are applied in order, or none.
///
/// A path leads through objects only. Where a change has to make its field, a missing object or a
/// null on the way to it becomes an object; anything else on the way, an array too, makes the
/// change invalid.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// Sets a field, making the objects on the way to it.
    Set(FieldPath, Value),
    /// Removes a field; one that is not there is no error.
    Unset(FieldPath),
    /// Adds a number to a number; a missing field or null counts as 0. Two integers make an
    /// integer, and overflow of `i64` is an error; with a float on either side the sum is a float.
    Increment(FieldPath, Value),
    /// Sets a field that is missing, null, or greater than this. Numbers are compared as numbers
    /// and text as bytes; a value of another type is an error.
    Min(FieldPath, Value),
    /// Sets a field that is missing, null, or less than this, compared as for [`Min`](Self::Min).
    Max(FieldPath, Value),
    /// Adds values at the end of an array; a missing field or null counts as `[]`.
    Append(FieldPath, Vec<Value>),
    /// Removes every element of an array that equals one of these as a JSON value, 1 and 1.0
    /// alike; a missing field or null stays as it is.
    Remove(FieldPath, Vec<Value>),
    /// Merges an object into the object at the path, or at the root without one: JSON Merge Patch
    /// (RFC 7396), where null removes a member, and where something else than an object at the path
    /// gives way to one.
    Merge(Option<FieldPath>, serde_json::Map<String, Value>),
    /// Moves a field; one that is not there is no error and changes nothing.
    Rename(FieldPath, FieldPath),
}

/// Changes to make to a document, applied in order, all or none.
///
/// # Examples
///
/// ```
/// use strongroom_core::model::Body;
/// use strongroom_core::patch::Patch;
///
/// let patch = Patch::new()
///     .increment("logins".parse()?, 1)
///     .set("address.city".parse()?, "London")
///     .unset("nickname".parse()?);
/// let body = Body::parse(r#"{"logins":2,"nickname":"A"}"#)?;
/// let patched = patch.apply(&body)?;
/// let expected = Body::parse(r#"{"logins":3,"address":{"city":"London"}}"#)?;
/// assert!(patched.same_value(&expected));
/// # Ok::<(), strongroom_core::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Patch {
    changes: Vec<Change>,
    /// Why the patch cannot be applied, where building it already showed that.
    refused: Option<String>,
}

impl Patch {
    /// A patch without changes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A patch that [`check`](Self::check) refuses with this message: what builds patches without
    /// a `Result` tells so that a value cannot be written.
    pub(crate) fn refused(message: String) -> Self {
        Self {
            changes: Vec::new(),
            refused: Some(message),
        }
    }

    /// These changes, and then those of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.changes.extend(other.changes);
        self.refused = self.refused.or(other.refused);
        self
    }

    /// The changes, in order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether there are no changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.refused.is_none()
    }

    /// Adds a change.
    #[must_use]
    pub fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Sets a field. See [`Change::Set`].
    #[must_use]
    pub fn set(self, field: FieldPath, value: impl Into<Value>) -> Self {
        self.with(Change::Set(field, value.into()))
    }

    /// Removes a field. See [`Change::Unset`].
    #[must_use]
    pub fn unset(self, field: FieldPath) -> Self {
        self.with(Change::Unset(field))
    }

    /// Adds a number. See [`Change::Increment`].
    #[must_use]
    pub fn increment(self, field: FieldPath, by: impl Into<Value>) -> Self {
        self.with(Change::Increment(field, by.into()))
    }

    /// Lowers a field. See [`Change::Min`].
    #[must_use]
    pub fn min(self, field: FieldPath, value: impl Into<Value>) -> Self {
        self.with(Change::Min(field, value.into()))
    }

    /// Raises a field. See [`Change::Max`].
    #[must_use]
    pub fn max(self, field: FieldPath, value: impl Into<Value>) -> Self {
        self.with(Change::Max(field, value.into()))
    }

    /// Adds values to an array. See [`Change::Append`].
    #[must_use]
    pub fn append<V: Into<Value>>(
        self,
        field: FieldPath,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        self.with(Change::Append(field, values))
    }

    /// Removes values from an array. See [`Change::Remove`].
    #[must_use]
    pub fn remove<V: Into<Value>>(
        self,
        field: FieldPath,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        self.with(Change::Remove(field, values))
    }

    /// Merges an object. See [`Change::Merge`].
    #[must_use]
    pub fn merge(self, field: Option<FieldPath>, object: serde_json::Map<String, Value>) -> Self {
        self.with(Change::Merge(field, object))
    }

    /// Moves a field. See [`Change::Rename`].
    #[must_use]
    pub fn rename(self, from: FieldPath, to: FieldPath) -> Self {
        self.with(Change::Rename(from, to))
    }

    /// Checks what can be checked without a document.
    ///
    /// # Errors
    ///
    /// `Invalid` if the patch is empty, has more than 1,000 changes, counts up by something else
    /// than a number, compares with something else than a number or text, moves a field into
    /// itself, or was built from a value that no document holds.
    pub fn check(&self) -> Result<()> {
        if self.is_empty() {
            return Err(Error::invalid("patch has no changes"));
        }
        self.check_changes()
    }

    /// Checks what is there; a patch without changes passes.
    pub(crate) fn check_changes(&self) -> Result<()> {
        if let Some(message) = &self.refused {
            return Err(Error::invalid(message.clone()));
        }
        if self.changes.len() > MAX_CHANGES {
            return Err(Error::invalid(format!(
                "patch has {} changes, allowed are {MAX_CHANGES}",
                self.changes.len()
            )));
        }
        for change in &self.changes {
            match change {
                Change::Increment(path, by) if !by.is_number() => {
                    return Err(Error::invalid(format!(
                        "field {path} is to be incremented by something that is not a number"
                    )));
                }
                Change::Min(path, value) | Change::Max(path, value)
                    if !(value.is_number() || value.is_string()) =>
                {
                    return Err(Error::invalid(format!(
                        "field {path} is to be compared with something that is neither a number nor text"
                    )));
                }
                Change::Rename(from, to) if from != to && from.overlaps(to) => {
                    return Err(Error::invalid(format!(
                        "field {from} cannot be moved to {to}: one lies within the other"
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Patch {
    /// Prints which fields change and how, not the values: they may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut list = f.debug_list();
        for change in &self.changes {
            match change {
                Change::Set(path, _) => list.entry(&format_args!("set {path}")),
                Change::Unset(path) => list.entry(&format_args!("unset {path}")),
                Change::Increment(path, _) => list.entry(&format_args!("increment {path}")),
                Change::Min(path, _) => list.entry(&format_args!("min {path}")),
                Change::Max(path, _) => list.entry(&format_args!("max {path}")),
                Change::Append(path, _) => list.entry(&format_args!("append {path}")),
                Change::Remove(path, _) => list.entry(&format_args!("remove {path}")),
                Change::Merge(Some(path), _) => list.entry(&format_args!("merge {path}")),
                Change::Merge(None, _) => list.entry(&format_args!("merge")),
                Change::Rename(from, to) => list.entry(&format_args!("rename {from} {to}")),
            };
        }
        list.finish()
    }
}
